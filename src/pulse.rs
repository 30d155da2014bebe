//! What a loop shows of its progress, for whoever asks whether it hangs.
//!
//! A loop says what it begins, and by when it will have something else to say. One that waits
//! says for how long at most it will wait, so that silence from outside, a dead broker or a
//! missing radio is no hanging; a lock that nobody gives back is, and so is a disk that never
//! answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The pulse of one loop. Clones are the same one. One that has not begun, or has ended, is
/// never overdue.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<Option<Promise>>>);

#[derive(Debug, Clone, Copy)]
struct Promise {
    doing: &'static str,
    until: Instant,
}

impl Pulse {
    /// From now on the loop does this, and says what comes next within this time.
    pub fn begins(&self, doing: &'static str, within: Duration) {
        self.set(Some(Promise { doing, until: Instant::now() + within }));
    }

    /// The loop has come to its end.
    pub fn ends(&self) {
        self.set(None);
    }

    /// What the loop should long have done.
    pub fn overdue(&self) -> Option<&'static str> {
        self.overdue_at(Instant::now())
    }

    fn overdue_at(&self, now: Instant) -> Option<&'static str> {
        let promise = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        promise.filter(|promise| promise.until < now).map(|promise| promise.doing)
    }

    fn set(&self, promise: Option<Promise>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = promise;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_promised_and_not_kept_is_overdue() {
        let pulse = Pulse::default();
        let seen = pulse.clone();
        let after = |s| Instant::now() + Duration::from_secs(s);
        assert_eq!(seen.overdue_at(after(1000)), None, "it has not begun");
        pulse.begins("waits for frames", Duration::from_secs(30));
        assert_eq!(seen.overdue_at(after(20)), None);
        assert_eq!(seen.overdue_at(after(40)), Some("waits for frames"));
        pulse.begins("writes to the disk", Duration::from_secs(300));
        assert_eq!(seen.overdue_at(after(40)), None, "another deadline");
        assert_eq!(seen.overdue_at(after(310)), Some("writes to the disk"));
        pulse.ends();
        assert_eq!(seen.overdue_at(after(1000)), None);
    }
}
