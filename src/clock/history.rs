//! What time it was, told afterwards.
//!
//! A message that was written before anybody had set the clock has a wall time that means little,
//! and a monotonic time that means much: once the clock of that boot is set, every moment of it is
//! known. A boot whose clock was never set lies between others: it began after the last time that
//! was seen before it, and it was over when the next boot began.

use super::{ClockQuality, Moment};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// A clock that was set by no more than this is the same as before: it was only made more exact.
const SAME: SignedDuration = SignedDuration::from_secs(1);

/// One boot of the machine, as far as it left a trace. A clock that is set anew begins another one:
/// what was written before stays as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Boot {
    /// Boots are numbered in their order, from 1.
    pub number: i64,
    /// What time it was when the monotonic clock began, if the clock was ever set.
    pub began: Option<Timestamp>,
    /// The last time that a set clock had shown before this boot.
    pub floor: Option<Timestamp>,
    /// It lasted so long, at least.
    pub lasted: Duration,
}

impl Boot {
    /// When a boot began in which it is `now`, if the clock is set.
    pub fn began(now: Moment) -> Option<Timestamp> {
        let set = now.quality == ClockQuality::Synced;
        now.wall.checked_sub(now.monotonic).ok().filter(|_| set)
    }

    /// Whether the clock was set, and says something else than what is known of this boot.
    pub fn is_news(&self, now: Moment) -> bool {
        let differs = |began: Timestamp| {
            self.began.is_none_or(|known| known.duration_since(began).abs() > SAME)
        };
        Self::began(now).is_some_and(differs)
    }
}

/// A time with what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What time it was.
    pub time: Timestamp,
    /// How far to trust `time`.
    pub clock: ClockQuality,
    /// How far off an estimate may be at most, where it is more than the drift of a clock.
    pub error: Option<Duration>,
}

/// The boots of this machine, oldest first. The last one is the present.
#[derive(Debug, Clone, Default)]
pub struct History(Vec<Boot>);

impl History {
    /// A history of these boots, oldest first.
    pub fn new(boots: Vec<Boot>) -> Self {
        Self(boots)
    }

    /// Whether it is known when this boot began, exactly or not.
    pub fn knows(&self, boot: i64) -> bool {
        let known = |n: usize| self.0[n].began.is_some() || self.bounds(n).is_some();
        self.find(boot).is_some_and(known)
    }

    /// What time it was at a moment of this boot.
    pub fn tell(&self, boot: i64, at: Moment) -> Told {
        let as_seen = Told { time: at.wall, clock: at.quality, error: None };
        let (ClockQuality::Unsynced, Some(n)) = (at.quality, self.find(boot)) else {
            return as_seen;
        };
        let estimated = |began: Timestamp, error| {
            let time = began.checked_add(at.monotonic).ok()?;
            Some(Told { time, clock: ClockQuality::Estimated, error })
        };
        let told = match (self.0[n].began, self.bounds(n)) {
            (Some(began), _) => estimated(began, None),
            (None, Some((earliest, latest))) => {
                let half = latest.duration_since(earliest) / 2;
                let middle = earliest.checked_add(half).unwrap_or(latest);
                estimated(middle, Some(half.unsigned_abs()))
            }
            (None, None) => None,
        };
        told.unwrap_or(as_seen)
    }

    fn find(&self, boot: i64) -> Option<usize> {
        self.0.binary_search_by_key(&boot, |boot| boot.number).ok()
    }

    /// Between which times a boot that is over began, whose clock was never set.
    fn bounds(&self, n: usize) -> Option<(Timestamp, Timestamp)> {
        let after = |time: Timestamp, by: Duration| time.checked_add(by).ok();
        let earliest = self.0[..=n].iter().fold(None, |since: Option<Timestamp>, boot| {
            // `since` is the earliest end of the boot before
            let began = boot.began.or(since.max(boot.floor))?;
            after(began, if boot.number == self.0[n].number { Duration::ZERO } else { boot.lasted })
        })?;
        let mut lasted = SignedDuration::ZERO;
        for boot in &self.0[n..] {
            if let Some(began) = boot.began {
                let latest = began.checked_sub(lasted).ok()?;
                // a clock that was set back: the later word is the better one
                return Some((earliest.min(latest), latest));
            }
            lasted = lasted.saturating_add(SignedDuration::try_from(boot.lasted).ok()?);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("a time")
    }

    /// As a Pi without a battery sees it: the time of its image.
    fn unset(monotonic: Duration) -> Moment {
        let wall = "2024-01-01T00:00:00Z".parse().expect("a time");
        Moment { wall, quality: ClockQuality::Unsynced, monotonic }
    }

    #[test]
    fn a_boot_whose_clock_was_set_later_is_told_exactly() {
        let boot = Boot { number: 1, began: Some(noon()), ..Boot::default() };
        let told = History::new(vec![boot]).tell(1, unset(2 * HOUR));
        let time = noon() + 2 * HOUR;
        assert_eq!(told, Told { time, clock: ClockQuality::Estimated, error: None });
    }

    #[test]
    fn a_boot_whose_clock_is_not_set_yet_is_told_as_it_was_seen() {
        let boot = Boot { number: 1, floor: Some(noon()), ..Boot::default() };
        let history = History::new(vec![boot]);
        assert!(!history.knows(1));
        let told = history.tell(1, unset(HOUR));
        assert_eq!((told.time, told.clock), (unset(HOUR).wall, ClockQuality::Unsynced));
        assert_eq!(history.tell(7, unset(HOUR)).clock, ClockQuality::Unsynced, "nobody knows it");
    }

    #[test]
    fn a_boot_that_is_over_lies_between_the_others() {
        // seen at noon; then off for up to an hour, on for two, off; set at six
        let history = History::new(vec![
            Boot { number: 4, floor: Some(noon()), lasted: 2 * HOUR, began: None },
            Boot { number: 5, began: Some(noon() + 6 * HOUR), ..Boot::default() },
        ]);
        assert!(history.knows(4));
        let told = history.tell(4, unset(HOUR));
        // it began between noon and four
        assert_eq!(told.time, noon() + 3 * HOUR);
        assert_eq!((told.clock, told.error), (ClockQuality::Estimated, Some(2 * HOUR)));
    }

    #[test]
    fn nothing_is_made_up_without_a_time_before_it() {
        let history = History::new(vec![
            Boot { number: 1, lasted: HOUR, ..Boot::default() },
            Boot { number: 2, began: Some(noon()), ..Boot::default() },
        ]);
        assert_eq!(history.tell(1, unset(HOUR)).clock, ClockQuality::Unsynced);
    }

    proptest! {
        /// Boots as they were, of which some never had their clock set: what is told is never
        /// farther from the truth than it says.
        #[test]
        fn an_estimate_is_as_good_as_it_says(
            boots in prop::collection::vec((1u64..100_000, 1u64..100_000, any::<bool>()), 1..8),
            shares in prop::collection::vec(0.0..1.0f64, 8),
        ) {
            let mut time = noon();
            let mut seen = None;
            let mut history = Vec::new();
            let mut truth = Vec::new();
            for (number, (off, on, is_set)) in (1..).zip(boots) {
                time += Duration::from_secs(off);
                let lasted = Duration::from_secs(on);
                truth.push((number, time, lasted));
                let began = is_set.then_some(time);
                history.push(Boot { number, began, floor: seen, lasted });
                time += lasted;
                seen = if is_set { Some(time) } else { seen };
            }
            let history = History::new(history);
            for ((number, began, lasted), share) in truth.into_iter().zip(shares) {
                let monotonic = lasted.mul_f64(share);
                let told = history.tell(number, unset(monotonic));
                if told.clock == ClockQuality::Estimated {
                    let off = told.time.duration_since(began + monotonic).unsigned_abs();
                    let error = told.error.unwrap_or_default() + Duration::from_micros(1);
                    prop_assert!(off <= error, "{off:?} is more than {error:?}");
                }
            }
        }

        #[test]
        fn no_numbers_make_it_panic(
            boots in prop::collection::vec((any::<Option<i64>>(), any::<Option<i64>>(), any::<u64>()), 0..6),
            at in any::<u64>(), wall in any::<i64>(), number in 0i64..8,
        ) {
            let time = |us: Option<i64>| us.and_then(|us| Timestamp::from_microsecond(us).ok());
            let boots = (1..).zip(boots).map(|(number, (began, floor, lasted))| Boot {
                number, began: time(began), floor: time(floor), lasted: Duration::from_micros(lasted),
            });
            let wall = time(Some(wall)).unwrap_or(Timestamp::MAX);
            let at = Moment {
                wall, quality: ClockQuality::Unsynced, monotonic: Duration::from_micros(at),
            };
            History::new(boots.collect()).tell(number, at);
        }
    }
}
