//! What the broker refuses by a reason code, and for how long it has done so.
//!
//! A refusal may be a mistake in the broker's rules that somebody mends an hour later. So nothing
//! is set aside before it was refused [`TRIES`] times over a time that is set, and not while the
//! broker takes nothing else either: it would not be in anybody's way.

use crate::store::Key;
use std::collections::HashMap;
use std::time::Duration;

/// A message that was refused less often is not set aside, however long ago it was first.
const TRIES: u32 = 5;

/// So many are kept account of. Beyond them they are refused and offered again as well, and come
/// to their turn when others have been set aside, or were not refused for so long: these were
/// given up meanwhile, for their age or for want of room.
const KNOWN: usize = 1000;
const GONE: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct Refusals {
    /// For how long a message is offered.
    patience: Duration,
    known: HashMap<Key, Refused>,
    /// When the broker last took anything.
    taken: Option<Duration>,
}

#[derive(Debug)]
struct Refused {
    first: Duration,
    last: Duration,
    tries: u32,
}

impl Refusals {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, known: HashMap::new(), taken: None }
    }

    /// This one was refused now. How often it was, when it is to be set aside.
    pub(super) fn refused(&mut self, key: Key, now: Duration) -> Option<u32> {
        if self.known.len() >= KNOWN && !self.known.contains_key(&key) {
            self.known.retain(|_, refused| {
                now.saturating_sub(refused.last) < GONE.max(2 * self.patience)
            });
        }
        if self.known.len() >= KNOWN && !self.known.contains_key(&key) {
            return None;
        }
        let new = Refused { first: now, last: now, tries: 0 };
        let refused = self.known.entry(key).or_insert(new);
        refused.tries += 1;
        refused.last = now;
        let tries = refused.tries;
        let long = tries >= TRIES && now.saturating_sub(refused.first) >= self.patience;
        let others_pass = self.taken.is_some_and(|at| at >= refused.first);
        (long && others_pass).then_some(tries)
    }

    /// This one was taken.
    pub(super) fn taken(&mut self, key: Key, now: Duration) {
        self.taken = Some(now);
        self.forget(key);
    }

    /// This one is in the way no longer.
    pub(super) fn forget(&mut self, key: Key) {
        self.known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Class;

    const HOUR: Duration = Duration::from_secs(3600);

    fn key(n: u64) -> Key {
        Key::new(Class::Measurement, n)
    }

    #[test]
    fn a_message_is_set_aside_after_five_refusals_over_an_hour_when_others_are_taken() {
        let mut refusals = Refusals::new(HOUR);
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for n in 0..20 {
            assert_eq!(refusals.refused(key(1), minutes(n)), None);
            assert_eq!(refusals.refused(key(2), minutes(n)), None);
        }
        assert_eq!(refusals.refused(key(1), HOUR), None, "nothing else is taken either");
        refusals.taken(key(3), HOUR);
        assert_eq!(refusals.refused(key(1), HOUR), Some(22));
        for _ in 0..3 {
            assert_eq!(refusals.refused(key(4), HOUR), None);
        }
        assert_eq!(refusals.refused(key(4), 9 * HOUR), None, "four times only");
        refusals.taken(key(2), HOUR);
        assert_eq!(refusals.refused(key(2), 2 * HOUR), None, "a new story");
    }

    #[test]
    fn what_was_given_up_meanwhile_takes_no_room_in_the_account() {
        let mut refusals = Refusals::new(HOUR);
        for n in 0..KNOWN as u64 {
            refusals.refused(key(n), Duration::ZERO);
        }
        let new = key(KNOWN as u64);
        for n in 24..30 {
            refusals.taken(Key::new(Class::Alarm, 1), n * HOUR);
            let refused = refusals.refused(new, n * HOUR);
            assert_eq!(refused, (n >= 28).then_some(n - 23), "hour {n}");
            if refused.is_some() {
                return;
            }
        }
    }

    #[test]
    fn the_account_has_an_end_and_those_beyond_it_come_to_their_turn() {
        let mut refusals = Refusals::new(Duration::ZERO);
        let mut left: Vec<_> = (0..2 * KNOWN as u64 + 1).map(key).collect();
        for now in (0..15).map(Duration::from_secs) {
            refusals.taken(Key::new(Class::Alarm, 1), now);
            left.retain(|key| match refusals.refused(*key, now) {
                None => true,
                Some(_) => {
                    refusals.forget(*key);
                    false
                }
            });
            assert!(refusals.known.len() <= KNOWN);
        }
        assert_eq!(left, []);
    }
}
