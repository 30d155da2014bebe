//! A bin as those see it who drive to it.

use super::bin::{Bin, DAY};
use super::calendar::Calendar;
use super::forecast::come;
use super::posture::Posture;
use super::rules::{Rules, day_of};
use crate::units::Ratio;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What comes in more days than these is full by then.
const FAR: i64 = 400;

/// What planning asks about a bin.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What part was full when the waste itself was seen last. A fixed echo is none.
    pub fill: Ratio,
    /// When that was.
    pub at: Timestamp,
    /// Whether the clock could be trusted then.
    pub synced: bool,
    /// When it was emptied last, if that is known.
    pub emptied: Option<Timestamp>,
    /// When it was heard of first, by a clock that could be trusted: since then it is watched.
    pub first: Option<Timestamp>,
    /// What part of it comes on each weekday, from Monday on; a holiday is a Sunday.
    pub weekdays: [f64; 7],
    /// Where its days begin.
    pub zone: TimeZone,
    /// The standard deviation of what comes in a day.
    pub spread: f64,
    /// Whether it burns, as far as is known.
    pub burns: bool,
    /// What it looks like.
    pub posture: Posture,
}

impl View {
    /// One of which no more is known than a level: what comes is what usually does.
    #[must_use]
    pub fn first(fill: Ratio, at: Timestamp, synced: bool) -> Self {
        Self {
            fill,
            at,
            synced,
            emptied: None,
            first: synced.then_some(at),
            weekdays: [0.1; 7],
            zone: TimeZone::UTC,
            spread: 0.1,
            burns: false,
            posture: Posture::Ok,
        }
    }

    /// What part of it is expected to come between two times.
    #[must_use]
    pub fn comes(&self, from: Timestamp, to: Timestamp) -> f64 {
        let to = to.as_second();
        let from = from.as_second().clamp(to.saturating_sub(FAR * DAY), to);
        let calendar = Calendar::of(&self.zone);
        let [(first, began), (last, ends)] = [from, to].map(|at| day_of(&self.zone, at));
        let days = (first..=last).map(|day| {
            let until = if day == last { come(to - ends) } else { 1.0 };
            let since = if day == first { come(from - began) } else { 0.0 };
            self.weekdays[calendar.weekday(day)] * (until - since)
        });
        days.sum()
    }
}

impl Bin {
    /// What planning asks; none before its level was seen.
    #[must_use]
    pub fn view(&self, rules: &Rules) -> Option<View> {
        let part = f64::from(self.part?);
        let (today, _) = rules.day(self.at);
        let means = self.days.means((rules.calendar(), today), rules.usual());
        let height = rules.height();
        Some(View {
            fill: rules.geometry.fill(rules.geometry.surface(part)),
            at: Timestamp::from_second(self.seen).ok()?,
            synced: self.synced,
            emptied: self.emptied(),
            first: self.first(),
            weekdays: means.weekdays.map(|steps| steps / height),
            zone: rules.zone.clone(),
            spread: means.within / height,
            burns: self.burns(),
            posture: self.posture(),
        })
    }

    /// What part of it comes in a day, once enough is known of it to say so.
    #[must_use]
    pub fn known_rate(&self, rules: &Rules) -> Option<f64> {
        (self.days.len() >= KNOWN).then(|| self.daily(rules).0)
    }
}

/// So many days are enough to say what comes in one.
const KNOWN: usize = 14;
