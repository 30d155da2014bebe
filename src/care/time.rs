//! Moments in whole seconds, agreed times and windows by the clock on the wall.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment in unix seconds: what a night is decided by. Whole ones, so that what is written down
/// and read again is the same moment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct At(pub i64);

impl At {
    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(seconds(time)))
    }

    /// So much earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(seconds(time)))
    }

    /// The time from an earlier moment to this one; none if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a timestamp; one that no calendar has becomes the nearest that one has.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let most = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(self.0).unwrap_or(most)
    }

    /// The day by the clocks of this zone.
    pub(super) fn day(self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.timestamp()).date()
    }
}

impl From<Timestamp> for At {
    /// What a second has begun with counts as its begin.
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond().div_euclid(1000))
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// When a time by the clock comes on a day. One that is skipped in spring comes an hour later, one
/// that comes twice in autumn comes the first time.
pub(super) fn moment(zone: &TimeZone, day: Date, time: Time) -> At {
    zone.to_timestamp(day.to_datetime(time))
        .map_or_else(|_| At(if day.year() < 0 { i64::MIN } else { i64::MAX }), At::from)
}

fn days_from(day: Date, first: i64, last: i64) -> impl Iterator<Item = Date> {
    (first..=last).filter_map(move |days| day.checked_add(days.days()).ok())
}

/// The first moment after this one at which clocks show this time.
pub(super) fn next(zone: &TimeZone, time: Time, after: At) -> At {
    days_from(after.day(zone), -1, 2)
        .map(|day| moment(zone, day, time))
        .find(|moment| *moment > after)
        .unwrap_or(At(i64::MAX))
}

/// From one moment to another, the second left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its begin.
    pub from: At,
    /// Its end.
    pub to: At,
}

/// Hours that come each day. Those that end before they begin, or when they begin, end on the
/// next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When they begin.
    pub from: Time,
    /// When they end.
    pub to: Time,
}

impl Window {
    fn on(self, zone: &TimeZone, day: Date) -> Span {
        let last = match self.to <= self.from {
            true => day.tomorrow().unwrap_or(day),
            false => day,
        };
        Span { from: moment(zone, day, self.from), to: moment(zone, last, self.to) }
    }

    /// The hours in which this moment lies.
    #[must_use]
    pub fn around(self, zone: &TimeZone, at: At) -> Option<Span> {
        days_from(at.day(zone), -1, 0)
            .map(|day| self.on(zone, day))
            .find(|span| span.from <= at && at < span.to)
    }

    /// The hours in which this moment lies, or else the next ones.
    #[must_use]
    pub fn around_or_next(self, zone: &TimeZone, at: At) -> Span {
        days_from(at.day(zone), -1, 2)
            .map(|day| self.on(zone, day))
            .find(|span| span.to > at && span.to > span.from)
            .unwrap_or(Span { from: At(i64::MAX), to: At(i64::MAX) })
    }

    /// This moment if it lies in the hours, or else their next begin.
    pub(super) fn first_in(self, zone: &TimeZone, at: At) -> At {
        self.around_or_next(zone, at).from.max(at)
    }
}

/// So far ahead a time that was dealt with stays dealt with when the clock is set back.
const STAYS_HANDLED: Duration = Duration::from_secs(6 * 3600);

/// Up to when things are dealt with after the clock was set back to `now`. What was dealt with an
/// hour ago is not done twice; what was dealt with by a clock that was wrong by a day is done again.
/// What a clock passes over when it is set forward is not dealt with.
pub(super) fn set_back(handled: &mut At, now: At) {
    if *handled > now.after(STAYS_HANDLED) {
        *handled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stockholm() -> TimeZone {
        TimeZone::get("Europe/Stockholm").expect("tzdata")
    }

    fn at(text: &str) -> At {
        At::from(text.parse::<Timestamp>().expect("a time"))
    }

    fn time(hour: i8, minute: i8) -> Time {
        Time::constant(hour, minute, 0, 0)
    }

    #[test]
    fn a_night_has_23_or_25_hours_when_clocks_are_changed() {
        let window = Window { from: time(21, 0), to: time(7, 0) };
        let hours = |text| {
            let span = window.around(&stockholm(), at(text)).expect("in the night");
            span.to.since(span.from).as_secs() / 3600
        };
        assert_eq!(hours("2026-03-28T23:00:00Z"), 9);
        assert_eq!(hours("2026-10-24T23:00:00Z"), 11);
        assert_eq!(hours("2026-11-22T23:00:00Z"), 10);
        assert_eq!(window.around(&stockholm(), at("2026-11-22T12:00:00Z")), None);
    }

    #[test]
    fn each_agreed_time_comes_once_in_the_nights_of_the_change() {
        let zone = stockholm();
        // 02:30 is skipped in spring
        let spring = next(&zone, time(2, 30), at("2026-03-28T12:00:00Z"));
        assert_eq!(spring, at("2026-03-29T01:30:00Z"));
        assert_eq!(next(&zone, time(2, 30), spring), at("2026-03-30T00:30:00Z"));
        // and comes twice in autumn
        let autumn = next(&zone, time(2, 30), at("2026-10-24T12:00:00Z"));
        assert_eq!(autumn, at("2026-10-25T00:30:00Z"));
        assert_eq!(next(&zone, time(2, 30), autumn), at("2026-10-26T01:30:00Z"));
    }
}
