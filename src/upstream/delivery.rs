//! One connection's worth of delivering.

use super::envelope;
use super::error::LinkError;
use super::event_loop::Event;
use super::link::{Link, Outgoing, WINDOW};
use super::{Forwarder, state_body};
use crate::message;
use crate::store::{Class, Cursor, Key, Row};
use crate::units::duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};

/// Acknowledged messages are removed in groups: one write to the card for many.
const REMOVE_AT: usize = 200;

/// The outbox is asked again when so many slots are free, which saves questions but must leave
/// messages to send: a broker's small answers wait up to 40 ms for the TCP acknowledgement
/// that would ride on the next message. As many as rumqttc takes in at once.
const REFILL: usize = 10;

/// An acknowledged message is removed within this time; until then a crash repeats it.
const REMOVE_WITHIN: Duration = Duration::from_millis(500);

/// So many acknowledged messages may wait for a disk that refuses to forget them; then no
/// more are sent until it does.
const MAX_UNREMOVED: usize = 50 * REMOVE_AT;

/// How often a healthy gateway says that it is.
const HEALTH_INTERVAL: Duration = Duration::from_secs(60);

/// How long a stop may wait for acknowledgements.
const STOP_PATIENCE: Duration = Duration::from_millis(2200);

/// A broker that answers pings and acknowledges nothing for so long is as good as gone.
const UNANSWERED: Duration = Duration::from_secs(60);

/// What the broker refused is offered again after this, doubling.
pub(super) const REFUSED_RETRY: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3600));

/// Slots that stored messages leave free, so that a backlog does not silence state and health.
const LIVE_SLOTS: usize = 2;

/// What is in the hands of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parcel {
    Stored(Key),
    /// About this very moment: state, health.
    Live,
}

pub(super) struct Delivery<'a> {
    forwarder: &'a mut Forwarder,
    link: Link,
    cursor: Cursor,
    /// Messages up to this sequence number had to wait: for the connection, or for an offer
    /// after a refusal.
    late_until: u64,
    /// Whether the outbox may hold more behind the cursor.
    more: bool,
    /// Whether the outbox could not be read, and is to be asked again.
    unread: bool,
    /// Handed to the link, in order, not yet sent.
    line: VecDeque<Parcel>,
    /// Sent and not yet answered, by packet identifier.
    sent: HashMap<u16, Parcel>,
    /// Since when the broker owes an answer.
    owed_since: Option<Instant>,
    /// Acknowledged and not yet removed.
    acknowledged: Vec<Key>,
    /// When what the broker refused is offered again.
    retry_at: Option<Instant>,
    /// Refusals without an acknowledgement between them.
    refused_in_a_row: usize,
    /// Whether anything was refused since the last offer.
    refused: bool,
    /// What must not happen did: a free slot was none.
    overrun: bool,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(forwarder: &'a mut Forwarder, link: Link) -> Self {
        Self {
            forwarder,
            link,
            cursor: Cursor::default(),
            late_until: 0,
            more: true,
            unread: false,
            line: VecDeque::new(),
            sent: HashMap::new(),
            owed_since: None,
            acknowledged: Vec::new(),
            retry_at: None,
            refused_in_a_row: 0,
            refused: false,
            overrun: false,
        }
    }

    fn outstanding(&self) -> usize {
        self.line.len() + self.sent.len()
    }

    /// Delivers until the connection breaks, with the reason, or until `stop`, with `None`.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let end = self.deliver(stop).await;
        self.remove_acknowledged();
        end
    }

    async fn deliver(&mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let news = Arc::clone(&self.forwarder.shared.news);
        let mut tick = interval(REMOVE_WITHIN);
        let mut health = interval(HEALTH_INTERVAL);
        let mut leave_at: Option<Instant> = None;
        self.mark_late();
        self.publish_state("online");
        // whether the outbox is to be asked although few slots are free: there is news
        let mut ask = true;
        loop {
            if self.more && (ask || self.outstanding() + REFILL <= WINDOW - LIVE_SLOTS) {
                self.fill();
                ask = false;
            }
            if self.overrun {
                return Some(self.ending().await);
            }
            if let Some(at) = leave_at
                && (Instant::now() >= at || (!self.more && self.outstanding() == 0))
            {
                self.leave().await;
                return None;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if leave_at.is_none() => {
                    leave_at = Some(Instant::now() + STOP_PATIENCE);
                }
                event = self.link.event() => {
                    if let Some(error) = self.note(event) {
                        return Some(error);
                    }
                }
                () = news.notified() => {
                    self.more = true;
                    ask = true;
                }
                _ = tick.tick() => {
                    self.remove_acknowledged();
                    self.offer_again();
                    self.more |= std::mem::take(&mut self.unread);
                    if self.owed_since.is_some_and(|since| since.elapsed() > UNANSWERED) {
                        return Some(LinkError::Connection(format!(
                            "the broker has acknowledged nothing for {}",
                            duration::format(UNANSWERED)
                        )));
                    }
                }
                _ = health.tick() => {
                    let body = (self.forwarder.shared.health)().to_string();
                    let message = self.forwarder.live("health", Class::Diagnostic, &body);
                    self.publish_live(message);
                }
            }
        }
    }

    /// Why the link takes nothing any more: it has ended, and the reason stands behind the last
    /// answers. These are still noted, since each would else be a duplicate.
    async fn ending(&mut self) -> LinkError {
        let reason = async {
            loop {
                let event = self.link.event().await;
                if let Some(error) = self.note(event) {
                    return error;
                }
            }
        };
        // full though never more is outstanding than fits would be a bug; a new link cures it
        let full = || LinkError::Connection("the MQTT client is full".into());
        timeout(Duration::from_secs(1), reason).await.unwrap_or_else(|_| full())
    }

    /// Hands over as many messages as there are free slots.
    fn fill(&mut self) {
        let room = (WINDOW - LIVE_SLOTS).saturating_sub(self.outstanding());
        let offer_due = self.retry_at.is_some_and(|at| Instant::now() >= at);
        if room == 0 || offer_due || self.acknowledged.len() > MAX_UNREMOVED {
            return;
        }
        // a broker that refuses everything is not sent the whole backlog in vain; but alarms
        // are always tried
        let hopeless = self.retry_at.is_some() && self.refused_in_a_row >= WINDOW;
        let least = if hopeless { Class::Alarm } else { Class::Diagnostic };
        let rows = self.forwarder.outbox.next(least, &mut self.cursor, room);
        let Some(rows) = self.forwarder.note_outbox(rows) else {
            self.more = false;
            self.unread = true;
            return;
        };
        self.more = hopeless || rows.len() == room;
        for row in rows {
            self.publish(&row);
        }
    }

    fn publish(&mut self, row: &Row) {
        let id = envelope::id(self.forwarder.outbox.epoch(), row);
        let late = row.key.sequence() <= self.late_until;
        let class = row.key.class();
        let message = Outgoing {
            topic: self.forwarder.topic(&row.topic),
            payload: envelope::stored(&id, row, self.forwarder.clock.now(), late),
            retain: class == Some(Class::Plan),
            properties: envelope::properties(id, class),
        };
        self.hand_over(message, Parcel::Stored(row.key));
    }

    fn publish_state(&mut self, state: &str) {
        let message = self.forwarder.live("state", Class::Diagnostic, &state_body(state));
        self.publish_live(message);
    }

    fn publish_live(&mut self, message: Outgoing) {
        // without a free slot it is left out: the next one will say the same, newer
        if self.outstanding() < WINDOW {
            self.hand_over(message, Parcel::Live);
        }
    }

    fn hand_over(&mut self, message: Outgoing, parcel: Parcel) {
        if self.link.publish(message) {
            self.line.push_back(parcel);
        } else {
            self.overrun = true;
        }
    }

    /// Takes note of what happened on the link; the reason, when it is over.
    fn note(&mut self, event: Event) -> Option<LinkError> {
        match event {
            // commands come by another connection
            Event::Connected | Event::Subscribed(_) | Event::Received(_) => {}
            Event::Sent(identifier) => {
                if let Some(parcel) = self.line.pop_front() {
                    self.sent.insert(identifier, parcel);
                    self.owed_since.get_or_insert_with(Instant::now);
                }
            }
            Event::Acknowledged(identifier) => {
                if let Some(key) = self.answered(identifier) {
                    self.refused_in_a_row = 0;
                    self.forwarder.shared.counters.delivered.fetch_add(1, Relaxed);
                    self.acknowledged.push(key);
                    // a disk that fails is asked again at the next tick, not at each answer
                    if self.acknowledged.len() == REMOVE_AT {
                        self.remove_acknowledged();
                    }
                }
            }
            Event::Refused(identifier, reason) => {
                self.forwarder.shared.counters.refused.fetch_add(1, Relaxed);
                if self.answered(identifier).is_some() {
                    self.refuse(&reason);
                }
            }
            Event::Closed(error) => return Some(error),
        }
        None
    }

    /// Which stored message an answer is about.
    fn answered(&mut self, identifier: u16) -> Option<Key> {
        let parcel = self.sent.remove(&identifier);
        self.owed_since = (!self.sent.is_empty()).then(Instant::now);
        match parcel? {
            Parcel::Stored(key) => Some(key),
            Parcel::Live => None,
        }
    }

    fn refuse(&mut self, reason: &str) {
        self.refused = true;
        self.refused_in_a_row += 1;
        if self.retry_at.is_some() {
            return;
        }
        let wait = self.forwarder.refused.next(1.0);
        self.retry_at = Some(Instant::now() + wait);
        log::error!(
            MESSAGE_ID = message::UPSTREAM_REFUSED,
            LYKTA_TENANT = self.forwarder.tenant.as_str(),
            LYKTA_REASON = reason;
            "the broker refuses messages of tenant {}: {reason}; they are kept and offered \
             again in {}; may this user publish to {}/#?",
            self.forwarder.tenant, duration::format(wait), self.forwarder.root
        );
    }

    /// Begins anew with the first message once everything on its way is answered, so that
    /// what was refused goes out again and nothing else twice.
    fn offer_again(&mut self) {
        let quiet = self.outstanding() == 0 && self.acknowledged.is_empty();
        if quiet && self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.retry_at = None;
            self.refused_in_a_row = 0;
            self.refused = false;
            self.cursor = Cursor::default();
            self.more = true;
            self.mark_late();
        } else if quiet && !self.more && !self.refused {
            // all of it was taken: the next refusal is a new story
            self.forwarder.refused.reset();
        }
    }

    /// What is in the outbox now did not go out at once.
    fn mark_late(&mut self) {
        let last = self.forwarder.outbox.last_sequence();
        self.late_until = self.forwarder.note_outbox(last).unwrap_or(self.late_until);
    }

    fn remove_acknowledged(&mut self) {
        while !self.acknowledged.is_empty() {
            let group = self.acknowledged.len().min(REMOVE_AT);
            let removed = self.forwarder.outbox.remove(&self.acknowledged[..group]);
            let Some(removed) = self.forwarder.note_outbox(removed) else { return };
            self.acknowledged.drain(..group);
            self.forwarder.shared.counters.waiting.fetch_sub(removed, Relaxed);
        }
    }

    /// Says goodbye: the retained state, and a clean disconnection.
    async fn leave(&mut self) {
        if self.outstanding() >= WINDOW {
            return; // no room for the goodbye: the last will says it
        }
        self.publish_state("offline");
        let answered = async {
            while self.outstanding() > 0 {
                let event = self.link.event().await;
                if self.note(event).is_some() {
                    return;
                }
            }
            self.link.disconnect();
            loop {
                let event = self.link.event().await;
                if self.note(event).is_some() {
                    return;
                }
            }
        };
        // a broker that does not answer publishes the last will, which says the same
        let _ = timeout(Duration::from_secs(1), answered).await;
    }
}
