//! Longer each time.

use std::time::Duration;

/// Doubles from the least to the greatest wait.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    least: Duration,
    greatest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(least: Duration, greatest: Duration) -> Self {
        Self { least, greatest: greatest.max(least), failures: 0 }
    }

    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.wait();
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// The same, up to half of it less; `random` is between 0 and 1.
    pub(super) fn next_spread(&mut self, random: f64) -> Duration {
        self.next().mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// What [`Backoff::next`] is about to say.
    pub(super) fn wait(&self) -> Duration {
        self.least.saturating_mul(1 << self.failures.min(20)).min(self.greatest)
    }

    /// As if there had been so many failures already, at least.
    pub(super) fn skip(&mut self, failures: u32) {
        self.failures = self.failures.max(failures);
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_greatest_wait() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let waits = |backoff: &mut Backoff| [(); 8].map(|()| backoff.next().as_secs());
        assert_eq!(waits(&mut backoff), [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        backoff.skip(3);
        assert_eq!(waits(&mut backoff), [8, 16, 32, 60, 60, 60, 60, 60]);
        for _ in 0..100 {
            backoff.next();
        }
        assert_eq!(backoff.next().as_secs(), 60);
    }
}
