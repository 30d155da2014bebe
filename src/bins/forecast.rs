//! When a bin will be full, with an interval.

use super::bin::{Bin, DAY, ESTIMATED, HOUR, MORNING};
use super::days::{Coming, Means};
use super::rules::Rules;
use crate::units::{Metres, Ratio};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What comes tomorrow counts from then on, in seconds after five: the middle of a day's waste.
const MIDDAY: i64 = 8 * HOUR;
/// Waste comes evenly in these seconds after five.
const COMES: (i64, i64) = (2 * HOUR, 16 * HOUR);
/// The outer tenths of a normal distribution begin so many deviations from its middle.
const TENTH: f64 = 1.2816;
/// A level is known this well, as a part of the height.
const NOISE: f64 = 0.03;
/// Nobody plans farther ahead than so many days.
const HORIZON: i64 = 60;

/// A tenth below, the middle, a tenth above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tenths<T> {
    /// With a chance of one in ten it is less.
    pub p10: T,
    /// It is as likely less as more.
    pub p50: T,
    /// With a chance of one in ten it is more.
    pub p90: T,
}

impl<T> Tenths<T> {
    /// Each in other words.
    pub fn map<U>(self, mut words: impl FnMut(T) -> U) -> Tenths<U> {
        Tenths { p10: words(self.p10), p50: words(self.p50), p90: words(self.p90) }
    }
}

/// What is expected of a bin that nobody empties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// What its sensor will say in 24 hours, straight down; none before it said anything. It
    /// forecasts the sensor, echoes from fixed parts and all: so it can be checked.
    pub distance_24h: Option<Tenths<Metres>>,
    /// When it may be emptied: none if that is farther ahead than two months.
    pub may_at: Option<Tenths<Timestamp>>,
    /// When it must be.
    pub must_at: Option<Tenths<Timestamp>>,
}

/// What part of a day's waste has come so many seconds after five.
pub(super) fn come(second: i64) -> f64 {
    let (from, to) = COMES;
    ((second - from) as f64 / (to - from) as f64).clamp(0.0, 1.0)
}

impl Bin {
    /// What is expected from now on, a time not before the last uplink.
    #[must_use]
    pub fn forecast(&self, rules: &Rules, now: Timestamp) -> Forecast {
        let now = now.as_second();
        let means = self.means(rules, now);
        Forecast {
            distance_24h: self.distance(rules, now, &means),
            may_at: self.reached(rules, now, rules.may, &means),
            must_at: self.reached(rules, now, rules.must, &means),
        }
    }

    fn means(&self, rules: &Rules, now: i64) -> Means {
        self.days.means((rules.calendar(), rules.day(now).0), rules.usual())
    }

    fn distance(&self, rules: &Rules, now: i64, means: &Means) -> Option<Tenths<Metres>> {
        let surface = self.hours.latest()?;
        let (day, began) = rules.day(now);
        let day = if now - began < MIDDAY { day } else { day + 1 };
        let base = self.base(surface);
        let mut coming =
            self.days.coming((rules.calendar(), day), base, rules.usual(), rules.depth());
        if self.shelf.stands() {
            coming = Coming { little: 0.0, middle: 0.0, ..coming };
        }
        // what came in the meantime, and nobody heard
        let passed = (now.saturating_sub(self.at).max(0) as f64 / DAY as f64).min(30.0);
        let more = if passed * DAY as f64 > ESTIMATED as f64 { means.all * passed } else { 0.0 };
        let at = |came: f64| {
            let metres = (base - came - more) * rules.step();
            Metres(metres.clamp(0.0, rules.geometry.farthest()))
        };
        Some(Tenths { p10: at(coming.much), p50: at(coming.middle), p90: at(coming.little) })
    }

    /// The mean of what comes in a day and its standard deviation, as parts of the height.
    #[must_use]
    pub fn daily(&self, rules: &Rules) -> (f64, f64) {
        let means = self.means(rules, self.at.max(0));
        let height = rules.height();
        (means.all / height, means.around / height)
    }

    pub(super) fn expected_part(&self, rules: &Rules, now: i64) -> Option<f64> {
        let part = f64::from(self.part?);
        let passed = now.saturating_sub(self.seen);
        if passed <= ESTIMATED {
            return Some(part);
        }
        let days = (passed as f64 / DAY as f64).min(HORIZON as f64);
        Some((part + self.daily(rules).0 * days).min(1.0))
    }

    /// When a level is reached.
    fn reached(
        &self,
        rules: &Rules,
        now: i64,
        level: Ratio,
        means: &Means,
    ) -> Option<Tenths<Timestamp>> {
        let part = self.expected_part(rules, now)?;
        let missing = rules.geometry.part_at(level) - part;
        let height = rules.height();
        let (today, began) = rules.day(now);
        let calendar = rules.calendar();
        let gone = come(now - began);
        // in how many seconds what came is `aside` deviations more than expected
        let when = |aside: f64| {
            let over = |sum: f64, variance: f64| {
                sum + aside * (variance + NOISE * NOISE).sqrt() >= missing
            };
            let (mut sum, mut variance) = (0.0, 0.0);
            for ahead in 0..=HORIZON {
                let left = if ahead == 0 { 1.0 - gone } else { 1.0 };
                let comes = means.weekdays[calendar.weekday(today + ahead)] / height * left;
                let varies = (means.within / height).powi(2) * left;
                if over(sum + comes, variance + varies) || over(sum, variance) {
                    let parts = (0..=24).map(|n| f64::from(n) / 24.0);
                    let mut parts =
                        parts.filter(|part| over(sum + comes * part, variance + varies * part));
                    let part = parts.next().unwrap_or(1.0);
                    let of_day = if ahead == 0 { gone + (1.0 - gone) * part } else { part };
                    let second = COMES.0 as f64 + (COMES.1 - COMES.0) as f64 * of_day;
                    let second = if part == 0.0 { 0.0 } else { second };
                    return Some((began + ahead * DAY + second as i64).max(now));
                }
                sum += comes;
                variance += varies;
            }
            None
        };
        let stamp = |second: i64| Timestamp::from_second(second).ok();
        let p50 = if missing <= 0.0 { now } else { when(0.0)? };
        let p10 = when(TENTH).unwrap_or(now).min(p50);
        let p90 = when(-TENTH).unwrap_or(began + HORIZON * DAY + MORNING).max(p50);
        Some(Tenths { p10: stamp(p10)?, p50: stamp(p50)?, p90: stamp(p90)? })
    }
}
