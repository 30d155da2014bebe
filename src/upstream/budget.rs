//! How much may be sent in a day over a metered line.
//!
//! Before the day's bytes are used up measurements are thinned: one in an hour of each sensor goes,
//! the others are given up, and counted. Once they are used up only alarms go; all else waits for
//! the next day.

use crate::store::Key;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// From this share on measurements are thinned.
const THIN_AT: f64 = 0.8;

/// What a message takes beside itself: the heads of its packet and of the answer, down to IP.
const OVERHEAD: u64 = 120;

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    All,
    /// Of measurements one an hour on each topic.
    Thinned,
    Alarms,
}

/// The bytes of a day, UTC.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<u64>,
    day: Date,
    spent: u64,
    /// The last hour of which a measurement went, and which one that was, by topic.
    hours: HashMap<String, (i64, Key)>,
}

impl Budget {
    /// So many bytes a day, of which these were spent on their day; without a limit all may go.
    pub(super) fn new(limit: Option<u64>, spent: Option<(Date, u64)>) -> Self {
        let (day, spent) = spent.unwrap_or((Date::ZERO, 0));
        Self { limit, day, spent, hours: HashMap::new() }
    }

    /// Whether it is counted at all.
    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// What may go at this time.
    pub(super) fn allowed(&mut self, now: Timestamp) -> Allowed {
        self.turn(now);
        match self.limit {
            None => Allowed::All,
            Some(limit) if self.spent >= limit => Allowed::Alarms,
            Some(limit) if self.spent as f64 >= limit as f64 * THIN_AT => Allowed::Thinned,
            Some(_) => Allowed::All,
        }
    }

    /// Notes that a message of this length was sent.
    pub(super) fn spend(&mut self, bytes: usize, now: Timestamp) {
        self.turn(now);
        self.spent = self.spent.saturating_add(bytes as u64 + OVERHEAD);
    }

    /// What was spent, and on which day.
    pub(super) fn spent(&self) -> Option<(Date, u64)> {
        self.limit.map(|_| (self.day, self.spent))
    }

    /// Whether a measurement of this time is the one of its hour that goes, on its topic; also
    /// when it goes once more.
    pub(super) fn is_of_hour(&mut self, topic: &str, time: Timestamp, key: Key) -> bool {
        let hour = time.as_second().div_euclid(SignedDuration::from_hours(1).as_secs());
        match self.hours.get_mut(topic) {
            Some((last, which)) if *last == hour => *which == key,
            Some(last) => {
                *last = (hour, key);
                true
            }
            None => {
                self.hours.insert(topic.to_owned(), (hour, key));
                true
            }
        }
    }

    /// A new day begins. A clock that goes back to an earlier one does not give the bytes again.
    fn turn(&mut self, now: Timestamp) {
        let today = now.to_zoned(TimeZone::UTC).date();
        if today > self.day {
            (self.day, self.spent) = (today, 0);
            self.hours.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Class;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn measurements_are_thinned_before_it_is_used_up_and_alarms_go_always() {
        let mut budget = Budget::new(Some(10 * 1120), None);
        let noon = at("2026-03-01T12:00:00Z");
        let mut allowed = Vec::new();
        for _ in 0..11 {
            allowed.push(budget.allowed(noon));
            budget.spend(1000, noon);
        }
        use Allowed::{Alarms, All, Thinned};
        assert_eq!(allowed[..8], [All; 8]);
        assert_eq!(allowed[8..], [Thinned, Thinned, Alarms]);
        assert_eq!(budget.allowed(at("2026-03-01T23:59:59Z")), Alarms);
        assert_eq!(budget.allowed(at("2026-03-02T00:00:00Z")), All);
        assert_eq!(budget.allowed(noon), All, "the clock went back: not yesterday's bytes again");
    }

    #[test]
    fn what_was_spent_is_known_after_a_restart_on_the_same_day() {
        let noon = at("2026-03-01T12:00:00Z");
        let mut budget = Budget::new(Some(1000), None);
        budget.spend(880, noon);
        let mut again = Budget::new(Some(1000), budget.spent());
        assert_eq!(again.allowed(noon), Allowed::Alarms);
        assert_eq!(again.allowed(at("2026-03-02T00:00:00Z")), Allowed::All);
    }

    #[test]
    fn one_in_an_hour_goes_on_each_topic() {
        let mut budget = Budget::new(Some(1), None);
        let mut goes = |topic, time, number| {
            budget.is_of_hour(topic, at(time), Key::new(Class::Measurement, number))
        };
        assert!(goes("a", "2026-03-01T12:00:00Z", 1) && goes("b", "2026-03-01T12:00:00Z", 2));
        assert!(!goes("a", "2026-03-01T12:59:59Z", 3));
        assert!(goes("a", "2026-03-01T12:00:00Z", 1), "after a broken connection");
        assert!(goes("a", "2026-03-01T13:00:00Z", 4));
    }

    proptest! {
        #[test]
        fn without_a_limit_all_may_go(sizes in prop::collection::vec(any::<usize>(), 0..20)) {
            let mut budget = Budget::new(None, None);
            for size in sizes {
                budget.spend(size, Timestamp::UNIX_EPOCH);
                prop_assert_eq!(budget.allowed(Timestamp::UNIX_EPOCH), Allowed::All);
            }
            prop_assert_eq!(budget.spent(), None);
        }
    }
}
