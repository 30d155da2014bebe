//! How full a bin is, and how fast it fills, in constant memory.

use crate::units::Ratio;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A fall of the level by so much, to less than half of what it was, is an emptying. What settles
/// or was pressed falls less.
const EMPTIED_FALL: f64 = 0.25;

/// Readings of the same surface differ by less than this.
pub(super) const NOISE: f64 = 0.15;

/// Readings that come in out of order are not farther apart than this, in seconds. One that is
/// older than the one before by more shows that the clock was wrong then.
const DISORDER: f64 = 3600.0;

/// How long, in days, what was learned about the rate keeps its weight: two weeks, so that a
/// holiday is forgotten and a weekday is not the whole truth.
const MEMORY_DAYS: f64 = 14.0;

/// What is assumed about a bin that nothing is known of: full in ten days. It weighs as much as
/// two days of its own readings.
const USUAL_RATE: f64 = 0.1;
const USUAL_DAYS: f64 = 2.0;

/// What comes in a day varies about so much as its mean, until more is known: a Poisson-like
/// spread of few large bags.
const USUAL_SPREAD: f64 = 0.08;

/// Readings that are farther apart say nothing about a rate: anything may have happened.
pub(super) const LONGEST_GAP_DAYS: f64 = 30.0;

const DAY_SECONDS: f64 = 86_400.0;

/// What a reading meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is the level now.
    Taken,
    /// It is much lower than before. It counts when the next one says so too.
    Doubted,
    /// The bin was emptied.
    Emptied,
}

/// What is known about a bin's level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// What part was full, by the last reading that counts.
    pub fill: Ratio,
    /// When that was.
    pub at: Timestamp,
    /// Whether the clock could be trusted then.
    pub synced: bool,
    /// When it was emptied last, if that was seen.
    pub emptied: Option<Timestamp>,
    /// When it was heard of first, by a clock that could be trusted: since then it is watched.
    #[serde(default)]
    pub first: Option<Timestamp>,
    /// A much lower reading that waits for a second one.
    doubted: Option<(Ratio, Timestamp)>,
    /// What came in, the days in which it did, and its squares, all fading.
    risen: f64,
    days: f64,
    squares: f64,
}

impl Level {
    /// What the first reading of a bin says.
    #[must_use]
    pub fn first(fill: Ratio, at: Timestamp, synced: bool) -> Self {
        Self {
            fill,
            at,
            synced,
            emptied: None,
            first: synced.then_some(at),
            doubted: None,
            risen: 0.0,
            days: 0.0,
            squares: 0.0,
        }
    }

    /// Takes a reading. One of the past changes nothing, unless it is from so long before that
    /// what is known must be from the future: a clock that was wrong must not make a bin deaf.
    pub fn offer(&mut self, fill: Ratio, at: Timestamp, synced: bool) -> Step {
        if self.synced && synced && at <= self.at {
            if self.at.duration_since(at).as_secs_f64() <= DISORDER {
                return Step::Taken;
            }
            self.emptied = self.emptied.filter(|emptied| *emptied <= at);
            self.first = self.first.filter(|first| *first <= at);
        }
        if synced {
            // of what was kept before this was
            let known = if self.synced { self.at.min(at) } else { at };
            self.first.get_or_insert(known);
        }
        let fell = |from: Ratio, to: Ratio| from.0 - to.0 >= EMPTIED_FALL && to.0 < from.0 / 2.0;
        if fell(self.fill, fill) {
            let agrees = |(low, _): &(Ratio, Timestamp)| (low.0 - fill.0).abs() <= NOISE;
            let Some((_, since)) = self.doubted.replace((fill, at)).filter(agrees) else {
                return Step::Doubted;
            };
            self.doubted = None;
            // what comes between two readings after an emptying is not known: no rate from that
            self.empty(since, at, synced);
            (self.fill, self.at, self.synced) = (fill, at, synced);
            return Step::Emptied;
        }
        self.doubted = None;
        if self.synced && synced {
            self.learn(fill.0 - self.fill.0, at);
        }
        (self.fill, self.at, self.synced) = (fill, at, synced);
        Step::Taken
    }

    /// It was emptied, as a reading says and one before it did. A clock that nobody has set does
    /// not know when.
    fn empty(&mut self, since: Timestamp, at: Timestamp, synced: bool) {
        let days = at.duration_since(since).as_secs_f64() / DAY_SECONDS;
        let sound = (0.0..=LONGEST_GAP_DAYS).contains(&days);
        self.emptied = synced.then_some(if sound { since } else { at });
        if !synced {
            self.first = None;
        }
    }

    /// The rise up to now, signed: noise and settling cancel out over many readings. A fall that
    /// is more than that says nothing about what comes in: somebody took something out.
    fn learn(&mut self, rise: f64, at: Timestamp) {
        let days = at.duration_since(self.at).as_secs_f64() / DAY_SECONDS;
        if !(0.0..=LONGEST_GAP_DAYS).contains(&days) || days == 0.0 || rise < -NOISE {
            return;
        }
        let fading = (-days / MEMORY_DAYS).exp();
        let surprise = rise - self.rate() * days;
        self.risen = self.risen * fading + rise;
        self.days = self.days * fading + days;
        self.squares = self.squares * fading + surprise * surprise;
    }

    /// The mean part that comes in a day.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let risen = self.risen + USUAL_RATE * USUAL_DAYS;
        (risen / (self.days + USUAL_DAYS)).max(0.0)
    }

    /// The standard deviation of what comes in a day.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let squares = self.squares + USUAL_SPREAD * USUAL_SPREAD * USUAL_DAYS;
        (squares / (self.days + USUAL_DAYS)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(days: f64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + (days * DAY_SECONDS) as i64).expect("in range")
    }

    #[test]
    fn two_low_readings_that_differ_are_no_emptying() {
        let mut level = Level::first(Ratio(0.9), at(0.0), true);
        assert_eq!(level.offer(Ratio(0.35), at(0.1), true), Step::Doubted);
        assert_eq!(level.offer(Ratio(0.0), at(0.2), true), Step::Doubted);
        assert_eq!(level.offer(Ratio(0.1), at(0.3), true), Step::Emptied);
        assert_eq!(level.emptied, Some(at(0.2)));
    }

    #[test]
    fn what_somebody_takes_out_teaches_no_rate() {
        let mut level = Level::first(Ratio(0.9), at(0.0), true);
        let rate = level.rate();
        level.offer(Ratio(0.6), at(0.5), true);
        assert_eq!((level.fill, level.rate()), (Ratio(0.6), rate));
        level.offer(Ratio(0.5), at(1.0), true);
        assert!(level.rate() < rate, "settling does");
    }

    #[test]
    fn a_clock_that_was_wrong_makes_no_bin_deaf() {
        let mut level = Level::first(Ratio(0.9), at(4000.0), true);
        level.offer(Ratio(0.1), at(4000.1), true);
        level.offer(Ratio(0.1), at(4000.2), true);
        assert_eq!(level.emptied, Some(at(4000.1)));
        let rate = level.rate();
        assert_eq!(level.offer(Ratio(0.2), at(1.0), true), Step::Taken);
        assert_eq!((level.fill, level.at, level.rate()), (Ratio(0.2), at(1.0), rate));
        assert_eq!((level.emptied, level.first), (None, Some(at(1.0))));
        level.offer(Ratio(0.7), at(0.99), true);
        assert_eq!(level.fill, Ratio(0.2), "out of order by minutes");
    }

    #[test]
    fn an_emptying_by_a_clock_that_nobody_has_set_has_no_time() {
        let mut level = Level::first(Ratio(0.9), at(0.0), true);
        level.offer(Ratio(0.1), Timestamp::UNIX_EPOCH, false);
        assert_eq!(level.offer(Ratio(0.1), Timestamp::UNIX_EPOCH, false), Step::Emptied);
        assert_eq!((level.emptied, level.first), (None, None));
        level.offer(Ratio(0.9), at(1.0), true);
        assert_eq!(level.first, Some(at(1.0)));
        level.offer(Ratio(0.1), Timestamp::UNIX_EPOCH, false);
        assert_eq!(level.offer(Ratio(0.1), at(2.0), true), Step::Emptied);
        assert_eq!(level.emptied, Some(at(2.0)), "not in 1970");
    }

    #[test]
    fn what_was_kept_before_is_watched_since_its_last_reading() {
        let level = Level::first(Ratio(0.1), at(0.0), true);
        let mut old: serde_json::Value = serde_json::to_value(&level).expect("JSON");
        old.as_object_mut().expect("an object").remove("first");
        let mut old: Level = serde_json::from_value(old).expect("reads");
        assert_eq!(old.first, None);
        old.offer(Ratio(0.1), at(1.0), true);
        assert_eq!(old.first, Some(at(0.0)));
    }

    #[test]
    fn an_emptying_needs_two_readings_and_teaches_no_rate() {
        let mut level = Level::first(Ratio(0.9), at(0.0), true);
        let rate = level.rate();
        assert_eq!(level.offer(Ratio(0.02), at(0.1), true), Step::Doubted);
        assert_eq!(level.fill, Ratio(0.9), "one low echo does not empty a bin");
        assert_eq!(level.offer(Ratio(0.03), at(0.2), true), Step::Emptied);
        assert_eq!((level.fill, level.emptied), (Ratio(0.03), Some(at(0.1))));
        assert!((level.rate() - rate).abs() < 1e-9);

        assert_eq!(level.offer(Ratio(0.8), at(0.3), true), Step::Taken);
        assert_eq!(level.offer(Ratio(0.1), at(0.4), true), Step::Doubted);
        assert_eq!(level.offer(Ratio(0.8), at(0.5), true), Step::Taken, "it was a false echo");
        assert_eq!(level.emptied, Some(at(0.1)));
    }

    #[test]
    fn the_rate_comes_from_noisy_readings_through_emptyings() {
        let mut level = Level::first(Ratio(0.0), at(0.0), true);
        let mut fill = 0.0_f64;
        for hour in 1..24 * 60 {
            fill += 0.25 / 24.0;
            if fill > 0.9 {
                fill = 0.0;
            }
            let noise = if hour % 2 == 0 { 0.02 } else { -0.02 };
            level.offer(Ratio((fill + noise).clamp(0.0, 1.0)), at(f64::from(hour) / 24.0), true);
        }
        assert!((level.rate() - 0.25).abs() < 0.04, "{}", level.rate());
    }

    #[test]
    fn a_clock_that_nobody_has_set_teaches_nothing() {
        let mut level = Level::first(Ratio(0.1), at(0.0), false);
        let before = level.rate();
        level.offer(Ratio(0.8), at(0.01), true);
        assert_eq!((level.fill, level.rate()), (Ratio(0.8), before));
    }

    #[test]
    fn it_is_kept_as_json() {
        let mut level = Level::first(Ratio(0.9), at(0.0), true);
        level.offer(Ratio(0.1), at(1.0), true);
        let text = serde_json::to_string(&level).expect("JSON");
        assert_eq!(serde_json::from_str::<Level>(&text).expect("reads"), level);
    }

    proptest! {
        #[test]
        fn no_readings_make_a_level_absurd(
            readings in prop::collection::vec((0.0f64..=1.0, -2.0f64..3.0, any::<bool>()), 1..60),
        ) {
            let mut level = Level::first(Ratio(0.5), at(0.0), true);
            let mut time = 0.0;
            for (fill, later, synced) in readings {
                time += later;
                level.offer(Ratio(fill), at(time), synced);
                prop_assert!((0.0..=1.0).contains(&level.fill.0));
                prop_assert!(level.rate() >= 0.0 && level.rate().is_finite());
                prop_assert!(level.spread().is_finite());
            }
        }
    }
}
