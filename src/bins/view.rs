//! A bin as those see it who drive to it.

use super::bin::Bin;
use super::posture::Posture;
use super::rules::Rules;
use crate::units::Ratio;
use jiff::Timestamp;

/// The rate is that of so many days from now on: none plans much farther ahead.
const AHEAD: i64 = 4;

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
    /// What part of it comes in a day, as the mean of the days that follow.
    pub rate: f64,
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
            rate: 0.1,
            spread: 0.1,
            burns: false,
            posture: Posture::Ok,
        }
    }
}

impl Bin {
    /// What planning asks; none before its level was seen.
    #[must_use]
    pub fn view(&self, rules: &Rules) -> Option<View> {
        let part = f64::from(self.part?);
        let (today, _) = rules.day(self.at);
        let calendar = rules.calendar();
        let means = self.days.means((calendar, today), rules.usual());
        let height = rules.height();
        let mean = |day: i64| means.weekdays[calendar.weekday(day)];
        let rate = (today..today + AHEAD).map(mean).sum::<f64>() / AHEAD as f64 / height;
        Some(View {
            fill: rules.geometry.fill(rules.geometry.surface(part)),
            at: Timestamp::from_second(self.seen).ok()?,
            synced: self.synced,
            emptied: self.emptied(),
            first: self.first(),
            rate,
            spread: means.around / height,
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
