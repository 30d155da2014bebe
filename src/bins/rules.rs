//! What is settled about a bin, and the steps and days that follow from it.

use super::bin::{DAY, HOUR, MORNING};
use super::calendar::Calendar;
use super::geometry::Geometry;
use crate::units::{Ratio, Volts};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Crews are out from six to eight in the evening, in seconds after five.
const DAYTIME: std::ops::Range<i64> = HOUR..15 * HOUR;

/// Steps to the farthest echo: what fits in a byte, with some left.
const STEPS: f64 = 250.0;

/// What is settled about a bin beforehand.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where its sensor hangs.
    pub geometry: Geometry,
    /// From these levels on it may and must be emptied.
    pub may: Ratio,
    /// See `may`.
    pub must: Ratio,
    /// It must be emptied when so many days have passed since the last time, however empty.
    pub most_days: Option<f64>,
    /// Where its days begin.
    pub zone: TimeZone,
    /// What part of a bin comes in a day, at others like it: it counts until more is known.
    pub usual: Ratio,
    /// At this voltage its battery is empty.
    pub flat: Volts,
    /// How often it reports; learned if nobody says so.
    pub interval: Option<SignedDuration>,
}

impl Rules {
    /// Those of a bin that nothing but its geometry is known of.
    #[must_use]
    pub fn new(geometry: Geometry, zone: TimeZone) -> Self {
        Self {
            geometry,
            may: Ratio(0.6),
            must: Ratio(0.85),
            most_days: None,
            zone,
            usual: Ratio(0.1),
            flat: Volts(3.0),
            interval: None,
        }
    }

    /// Metres in a step: a centimetre, unless the bin is very deep.
    pub(super) fn step(&self) -> f64 {
        let hundredths = (self.geometry.farthest() * 100.0 / STEPS).ceil();
        hundredths.clamp(1.0, 1000.0) / 100.0
    }

    /// From which levels on it may and must be emptied.
    pub(super) fn levels(&self) -> (Ratio, Ratio) {
        (self.may, self.must)
    }

    pub(super) fn in_steps(&self, metres: f64) -> f64 {
        metres / self.step()
    }

    /// The depth in steps.
    pub(super) fn depth(&self) -> f64 {
        self.in_steps(self.geometry.depth.0).max(1.0)
    }

    /// The height in steps.
    pub(super) fn height(&self) -> f64 {
        self.in_steps(self.geometry.height()).max(1.0)
    }

    /// What comes in a day at others, in steps.
    pub(super) fn usual(&self) -> f64 {
        self.usual.0 * self.height()
    }

    /// When a bin was emptied between two readings, and whether crews were out then. That is when
    /// the second was heard, unless they were out after the first for the last time before it.
    pub(super) fn emptied(&self, before: i64, seen: i64) -> (i64, bool) {
        let (_, began) = self.day(seen);
        if DAYTIME.contains(&(seen - began)) {
            return (seen, true);
        }
        // what is heard before six in the morning was done on the day before
        let (_, began) =
            if seen < began + DAYTIME.start { self.day(began - 1) } else { (0, began) };
        let (from, until) = (began + DAYTIME.start, began + DAYTIME.end);
        if before < until { (before.max(from).midpoint(until), true) } else { (seen, false) }
    }

    /// What kind of day a day is where it stands.
    pub(super) fn calendar(&self) -> Calendar {
        Calendar::of(&self.zone)
    }

    /// The day of waste that a time is in, and when it began, in seconds since 1970.
    pub(super) fn day(&self, at: i64) -> (i64, i64) {
        day_of(&self.zone, at)
    }
}

/// The day of waste that a time is in somewhere, and when it began, in seconds since 1970.
pub(super) fn day_of(zone: &TimeZone, at: i64) -> (i64, i64) {
    let stamp = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let ahead = i64::from(zone.to_offset(stamp).seconds());
    let day = (at + ahead - MORNING).div_euclid(DAY);
    (day, day * DAY + MORNING - ahead)
}
