//! Whether commands can come in: one subscription, asked for anew on each connection.
//!
//! It must never stand in the way of what goes out. rumqttc numbers subscriptions and messages
//! from one small space, so it is asked for while nothing is on its way, and nothing is sent
//! until it is answered: no packet identifier is ever in use twice. But a broker that does not
//! answer holds nothing up for longer than [`PATIENCE`], and one that breaks the connection over
//! it is left alone about it for a while: AWS IoT does so to whoever may not subscribe, and a
//! retained message that is too large ends each MQTT 3.1.1 connection that asks for it.

use super::backoff::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// How long messages wait for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// When it is asked for again after it broke the connection, doubling.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3600));

/// Once may be an accident of the line. So many in a row are told.
const TELL_AT: u32 = 2;

#[derive(Debug)]
pub(super) struct Subscription {
    state: State,
    /// After it broke a connection: not before this.
    not_before: Option<Instant>,
    retry: Backoff,
    /// Connections broken in a row.
    broken: u32,
    /// Whether the last of them broke although it was granted.
    doubtful: bool,
}

#[derive(Debug)]
enum State {
    Missing,
    Asked(Instant),
    Answered,
}

impl Subscription {
    pub(super) fn new() -> Self {
        let retry = Backoff::new(RETRY.0, RETRY.1);
        Self { state: State::Missing, not_before: None, retry, broken: 0, doubtful: false }
    }

    /// Whether to ask for it, as soon as nothing is on its way.
    pub(super) fn due(&self, now: Instant) -> bool {
        matches!(self.state, State::Missing) && self.not_before.is_none_or(|at| now >= at)
    }

    /// Whether messages wait for its answer.
    pub(super) fn holds(&self, now: Instant) -> bool {
        matches!(self.state, State::Asked(since) if now.duration_since(since) < PATIENCE)
    }

    pub(super) fn asked(&mut self, now: Instant) {
        self.state = State::Asked(now);
    }

    /// The broker has granted or refused it.
    pub(super) fn answered(&mut self) {
        self.state = State::Answered;
    }

    /// Whether being granted says little: the last time, what came by it broke the connection.
    pub(super) fn doubtful(&self) -> bool {
        self.doubtful
    }

    /// The connection has ended; `by_it`: over something that came by this subscription.
    /// Whether this is to be told: it breaks one connection after the other.
    pub(super) fn ended(&mut self, now: Instant, by_it: bool) -> bool {
        match std::mem::replace(&mut self.state, State::Missing) {
            State::Asked(_) => {}
            State::Answered if by_it => {}
            State::Answered => {
                *self = Self::new();
                return false;
            }
            State::Missing => return false,
        }
        self.not_before = Some(now + self.retry.next());
        self.broken += 1;
        self.doubtful = by_it;
        self.broken >= TELL_AT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_asked_for_once_on_each_connection_and_holds_messages_until_the_answer() {
        let mut subscription = Subscription::new();
        let now = Instant::now();
        assert!(subscription.due(now) && !subscription.holds(now));
        subscription.asked(now);
        assert!(!subscription.due(now) && subscription.holds(now));
        subscription.answered();
        assert!(!subscription.due(now) && !subscription.holds(now));
        assert!(!subscription.ended(now, false));
        assert!(subscription.due(now), "the next connection");
    }

    #[test]
    fn a_broker_that_does_not_answer_holds_messages_for_five_seconds() {
        let mut subscription = Subscription::new();
        let now = Instant::now();
        subscription.asked(now);
        assert!(subscription.holds(now + 4 * SECOND));
        assert!(!subscription.holds(now + 5 * SECOND));
        assert!(!subscription.due(now + 5 * SECOND), "and is not asked again");
    }

    #[test]
    fn a_broken_connection_postpones_it_ever_longer() {
        let mut subscription = Subscription::new();
        let mut now = Instant::now();
        for (wait, told) in [(10, false), (20, true), (40, true), (80, true)] {
            assert!(subscription.due(now));
            subscription.asked(now);
            assert_eq!(subscription.ended(now, false), told);
            assert!(!subscription.due(now + (wait - 1) * SECOND));
            // a connection that did not ask says nothing about it
            assert!(!subscription.ended(now, false));
            now += wait * SECOND;
        }
        // what came by it may break the connection as well
        subscription.asked(now);
        subscription.answered();
        assert!(!subscription.doubtful());
        assert!(subscription.ended(now, true));
        assert!(subscription.doubtful(), "the next answer says little");
        assert!(!subscription.due(now + 100 * SECOND));
        // a connection that outlived the answer ends the story
        now += 160 * SECOND;
        subscription.asked(now);
        subscription.answered();
        assert!(!subscription.ended(now, false));
        assert!(subscription.due(now) && !subscription.doubtful());
    }
}
