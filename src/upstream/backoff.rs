//! How long to wait before the next attempt.

use std::time::Duration;

/// Doubles from the least to the greatest wait, with jitter, so that a city of gateways does
/// not come back to its broker in one wave.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    least: Duration,
    greatest: Duration,
    failures: u32,
}

/// A connection that lived this long was a good one: the next wait is short again.
pub(super) const STABLE: Duration = Duration::from_secs(60);

impl Backoff {
    pub(super) fn new(least: Duration, greatest: Duration) -> Self {
        Self { least, greatest: greatest.max(least), failures: 0 }
    }

    /// The wait after one more failure. `random` is between 0 and 1: the wait is spread over
    /// the upper half of the interval.
    pub(super) fn next(&mut self, random: f64) -> Duration {
        let doubled = self.least.saturating_mul(1 << self.failures.min(20)).min(self.greatest);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_up_to_the_greatest_wait() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn never_more_than_the_greatest_nor_a_busy_loop(
            least in 1u64..100_000, greatest in 1u64..10_000_000, random: f64, failures in 0usize..200,
        ) {
            let (least, greatest) = (Duration::from_millis(least), Duration::from_millis(greatest));
            let mut backoff = Backoff::new(least, greatest);
            for _ in 0..failures {
                let wait = backoff.next(if random.is_nan() { 0.0 } else { random });
                prop_assert!(wait <= greatest.max(least) && wait >= least / 2);
            }
        }
    }
}
