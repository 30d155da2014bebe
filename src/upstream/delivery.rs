//! One connection's worth of delivering.

mod aside;

pub(super) use aside::Aside;

use super::budget::Allowed;
use super::envelope;
use super::error::LinkError;
use super::link::{Link, WINDOW};
use super::packet::{Event, Outgoing, Refusal};
use super::supply::{Item, Pacing, Supply};
use super::{Forwarder, state_body};
use crate::clock::Moment;
use crate::message;
use crate::store::{Class, Key, Outcast, Row};
use crate::units::duration;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until, timeout};

/// Acknowledged messages are removed in groups: one write to the card for many. What a kill finds
/// in one comes twice.
const REMOVE_AT: usize = 100;

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

/// The same over a metered line.
const SPARING_HEALTH_INTERVAL: Duration = Duration::from_secs(900);

/// How long a stop may wait for acknowledgements.
const STOP_PATIENCE: Duration = Duration::from_millis(2200);

/// A broker that answers pings and acknowledges nothing for so long is as good as gone.
const UNANSWERED: Duration = Duration::from_secs(60);

/// So often the outbox is asked in a row when all that it holds is passed over.
const QUESTIONS: usize = 50;

/// Slots that stored messages leave free, so that a backlog does not silence state and health.
const LIVE_SLOTS: usize = 2;

/// Where the newest states go.
pub(super) const LATEST: &str = "latest";

/// What is in the hands of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parcel {
    Stored(Key),
    /// What was set aside, once more.
    Aside(Key),
    /// What this message says, as the newest state.
    Newest(Key),
    /// About this very moment: state, health.
    Live(&'static str),
}

pub(super) struct Delivery<'a> {
    forwarder: &'a mut Forwarder,
    link: Link,
    /// What goes next.
    supply: Supply,
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
    /// The last of them, when nothing was acknowledged since.
    refused_last: Option<Key>,
    /// On which topics.
    refused_topics: HashSet<String>,
    /// When this connection began, or the last pardon was given.
    begun: Instant,
    /// Whether health is to be told at once.
    speak: bool,
    /// Whether a stored message was acknowledged.
    gained: bool,
    /// To be set aside.
    outcasts: Vec<Outcast>,
    /// What is set aside and to be offered, and how often that was in vain.
    offers: VecDeque<Key>,
    offers_refused: usize,
    /// Whether all else waits for such an offer to be made and answered.
    offering: bool,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(forwarder: &'a mut Forwarder, link: Link) -> Self {
        let late_until = forwarder.last_sequence();
        let waiting = forwarder.shared.counters.waiting.load(Relaxed);
        let settings = &forwarder.settings;
        let pacing = Pacing { rate: settings.backlog_rate, delay: settings.backlog_delay };
        let supply = Supply::new(late_until, waiting, pacing, fastrand::f64(), Instant::now());
        Self {
            forwarder,
            link,
            supply,
            unread: false,
            line: VecDeque::new(),
            sent: HashMap::new(),
            owed_since: None,
            acknowledged: Vec::new(),
            retry_at: None,
            refused_in_a_row: 0,
            refused: false,
            refused_last: None,
            refused_topics: HashSet::new(),
            begun: Instant::now(),
            speak: false,
            gained: false,
            outcasts: Vec::new(),
            offers: VecDeque::new(),
            offers_refused: 0,
            offering: false,
        }
    }

    fn outstanding(&self) -> usize {
        self.line.len() + self.sent.len()
    }

    /// Delivers until the connection breaks, with the reason, or until `stop`, with `None`.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let end = self.deliver(stop).await;
        self.remove_acknowledged();
        self.conclude(end.as_ref());
        end
    }

    async fn deliver(&mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let news = Arc::clone(&self.forwarder.shared.news);
        let mut tick = interval(REMOVE_WITHIN);
        let mut health = interval(match self.forwarder.budget.is_limited() {
            true => SPARING_HEALTH_INTERVAL,
            false => HEALTH_INTERVAL,
        });
        let mut leave_at: Option<Instant> = None;
        self.publish_state("online");
        // whether the outbox is to be asked although few slots are free: there is news
        let mut ask = true;
        loop {
            self.offer_aside();
            let spacious = self.outstanding() + REFILL <= WINDOW - LIVE_SLOTS;
            let room = self.room();
            if (ask || spacious) && room > 0 && self.supply.is_ready(Instant::now()) {
                self.fill(room);
                ask = false;
            }
            // what may not go yet is waited for, unless there is no room for it
            let mut due = self.supply.next_at().filter(|_| spacious && self.room() > 0);
            if due.is_some() && self.only_alarms(self.forwarder.clock.now()) {
                due = None;
            }
            if std::mem::take(&mut self.speak) {
                health.reset_immediately();
            }
            if let Some(at) = leave_at
                && (Instant::now() >= at || (self.is_through() && self.outstanding() == 0))
            {
                self.leave().await;
                return None;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if leave_at.is_none() => {
                    leave_at = Some(Instant::now() + STOP_PATIENCE);
                    self.end_offers();
                }
                event = self.link.event() => {
                    // all that is there at once: it takes longer to wait than to note
                    let mut next = Some(event);
                    while let Some(event) = next {
                        if let Some(error) = self.note(event) {
                            return Some(error);
                        }
                        next = self.link.ready();
                    }
                }
                () = news.notified() => {
                    self.supply.news();
                    ask = true;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                _ = tick.tick() => {
                    self.remove_acknowledged();
                    if leave_at.is_none() {
                        self.tend_aside();
                    }
                    self.pardon();
                    self.offer_again();
                    self.unread = false;
                    if self.owed_since.is_some_and(|since| since.elapsed() > UNANSWERED) {
                        return Some(LinkError::Broken(format!(
                            "the broker has acknowledged nothing for {}",
                            duration::format(UNANSWERED)
                        )));
                    }
                }
                _ = health.tick(), if self.has_room() => {
                    let body = (self.forwarder.shared.health)().to_string();
                    let message = self.forwarder.live("health", Class::Diagnostic, &body);
                    self.publish_live(message, "health");
                }
            }
        }
    }

    /// Whether nothing but alarms may go: since the broker takes nothing, since a day's bytes are
    /// used up, or since the disk does not forget what was acknowledged, or is about to be asked
    /// anew for what was refused.
    fn only_alarms(&mut self, now: Moment) -> bool {
        let offer_due = self.retry_at.is_some_and(|at| Instant::now() >= at);
        let unremoved = self.acknowledged.len() > MAX_UNREMOVED;
        let allowed = self.forwarder.budget.allowed(now);
        offer_due || unremoved || allowed == Allowed::Alarms || self.refuses_all()
    }

    /// How many messages may be handed over now.
    fn room(&self) -> usize {
        if self.offering || self.unread {
            return 0;
        }
        let window = self.forwarder.suspicion.window(WINDOW - LIVE_SLOTS);
        window.saturating_sub(self.outstanding())
    }

    /// Whether nothing is left that may go now.
    fn is_through(&self) -> bool {
        self.unread || !self.supply.is_ready(Instant::now())
    }

    /// Hands over this many messages, as far as there are so many.
    fn fill(&mut self, room: usize) {
        // read once for all of them: it is a question to the kernel
        let now = self.forwarder.clock.now();
        for _ in 0..QUESTIONS {
            let only_alarms = self.only_alarms(now);
            let allowed = self.forwarder.budget.allowed(now);
            let least = if only_alarms { Class::Alarm } else { Class::Diagnostic };
            let Forwarder { outbox, newest, .. } = &mut *self.forwarder;
            let items = self.supply.take(outbox, newest, least, room, Instant::now());
            let Some(items) = self.forwarder.note_outbox(items) else {
                self.unread = true;
                // alarms from memory may have gone ahead of what could not be read
                self.retry_at.get_or_insert_with(Instant::now);
                return;
            };
            if items.is_empty() {
                return;
            }
            let before = self.outstanding();
            let mut given_up = Vec::new();
            for item in items {
                match item {
                    Item::Stored(row, late) => {
                        if allowed == Allowed::Thinned && self.is_too_many(&row) {
                            given_up.push(row.key);
                        } else if !self.passes_over(&row) {
                            self.publish(&row, now, late);
                        }
                    }
                    // a metered line does without: the message itself follows
                    Item::Newest(..) if allowed == Allowed::Thinned => {}
                    Item::Newest(row, whose) => self.publish_newest(&row, now, &whose),
                }
            }
            self.give_up(&given_up);
            if only_alarms || self.outstanding() > before {
                return;
            }
        }
    }

    /// Whether the broker refuses one message after the other.
    fn hopeless(&self) -> bool {
        self.retry_at.is_some() && self.refused_in_a_row >= WINDOW
    }

    fn publish(&mut self, row: &Row, now: Moment, late: bool) {
        let id = envelope::id(row);
        let message = self.message(row, id, now, late);
        if self.link.fits(&message) {
            self.hand_over(message, Parcel::Stored(row.key));
        } else {
            self.too_large(row.key);
        }
    }

    /// What a message says, as the newest state of a device or bin. It is not stored: the message
    /// itself is, and follows.
    fn publish_newest(&mut self, row: &Row, now: Moment, whose: &str) {
        if self.forwarder.suspicion.passes_over(Parcel::Live(LATEST)) {
            return;
        }
        let id = envelope::newest_id(row);
        let message = Outgoing {
            topic: self.forwarder.topic(&format!("{LATEST}/{whose}")),
            payload: envelope::newest(&id, row, now),
            retain: true,
            properties: envelope::properties(id, Some(Class::Event)),
        };
        if self.link.fits(&message) {
            self.hand_over(message, Parcel::Newest(row.key));
        }
    }

    /// The broker knows what this message says as the newest state.
    fn note_newest(&mut self, key: Key) {
        self.gained = true;
        self.forwarder.newest.insert(key);
    }

    fn message(&self, row: &Row, id: String, now: Moment, late: bool) -> Outgoing {
        let class = row.key.class();
        Outgoing {
            topic: self.forwarder.topic(&row.topic),
            payload: envelope::stored(&id, row, now, late),
            retain: class == Some(Class::Plan),
            properties: envelope::properties(id, class),
        }
    }

    fn publish_state(&mut self, state: &str) {
        let message = self.forwarder.live("state", Class::Diagnostic, &state_body(state));
        self.publish_live(message, "state");
    }

    fn publish_live(&mut self, message: Outgoing, leaf: &'static str) {
        // without a free slot it is left out: the next one will say the same, newer
        let parcel = Parcel::Live(leaf);
        if !self.has_room() || self.forwarder.suspicion.passes_over(parcel) {
            return;
        }
        if self.link.fits(&message) {
            self.hand_over(message, parcel);
        } else {
            let reason = self.limit();
            self.forwarder.silence(leaf, &reason);
        }
    }

    /// Whether something may be sent beside what is on its way.
    fn has_room(&self) -> bool {
        let outstanding = self.outstanding();
        let alone = self.offering && outstanding > 0;
        !alone && outstanding < self.forwarder.suspicion.window(WINDOW)
    }

    /// Whether a message is one of the measurements of an hour that a metered line does without.
    fn is_too_many(&mut self, row: &Row) -> bool {
        row.key.class() == Some(Class::Measurement)
            && !self.forwarder.budget.is_of_hour(&row.topic, row.told.time, row.key)
    }

    fn give_up(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        let given_up = self.forwarder.outbox.give_up(keys);
        // what the disk does not forget comes again with the next connection
        let Some(given_up) = self.forwarder.note_cleared(given_up) else { return };
        let counters = &self.forwarder.shared.counters;
        counters.thinned.fetch_add(given_up, Relaxed);
        counters.waiting.fetch_sub(given_up, Relaxed);
    }

    fn hand_over(&mut self, message: Outgoing, parcel: Parcel) {
        if self.forwarder.budget.is_limited() {
            let size = self.link.size(&message);
            self.forwarder.budget.spend(size, self.forwarder.clock.now());
        }
        self.link.publish(message);
        self.line.push_back(parcel);
    }

    /// Takes note of what happened on the link; the reason, when it is over.
    fn note(&mut self, event: Event) -> Option<LinkError> {
        match event {
            // commands come by another connection
            Event::Connected(_) | Event::Subscribed(_) | Event::Received(_) => {}
            Event::Sent(identifier) => {
                if let Some(parcel) = self.line.pop_front() {
                    self.sent.insert(identifier, parcel);
                    self.owed_since.get_or_insert_with(Instant::now);
                }
            }
            Event::Acknowledged(identifier) => {
                match self.answered(identifier) {
                    Some(Parcel::Stored(key)) => self.acknowledge(key),
                    Some(Parcel::Aside(key)) => self.answered_aside(key, true),
                    // not the state: each connection begins with it
                    Some(parcel @ Parcel::Live("health")) => self.try_suspects(parcel),
                    Some(Parcel::Newest(key)) => self.note_newest(key),
                    Some(Parcel::Live(_)) | None => {}
                }
            }
            Event::Refused(identifier, refusal) => {
                self.forwarder.shared.counters.refused.fetch_add(1, Relaxed);
                match self.answered(identifier) {
                    Some(Parcel::Stored(key)) => self.refuse(key, &refusal),
                    Some(Parcel::Aside(key)) => self.answered_aside(key, false),
                    // what it says follows; it is not offered again
                    Some(Parcel::Newest(key)) => self.note_newest(key),
                    Some(Parcel::Live(_)) | None => {}
                }
            }
            Event::Closed(error) => return Some(error),
        }
        None
    }

    /// What an answer is about.
    fn answered(&mut self, identifier: u16) -> Option<Parcel> {
        let parcel = self.sent.remove(&identifier);
        self.owed_since = (!self.sent.is_empty()).then(Instant::now);
        parcel
    }

    fn acknowledge(&mut self, key: Key) {
        self.refused_in_a_row = 0;
        self.refused_last = None;
        self.gained = true;
        self.forwarder.refusals.taken(key, self.forwarder.origin.elapsed());
        self.try_suspects(Parcel::Stored(key));
        self.forwarder.shared.counters.delivered.fetch_add(1, Relaxed);
        if key.class() == Some(Class::Alarm) {
            // one that is in memory makes room there, whatever the disk does
            let forgotten = self.forwarder.outbox.forget(&[key]);
            self.forwarder.shared.counters.waiting.fetch_sub(forgotten, Relaxed);
        }
        self.acknowledged.push(key);
        // a disk that fails is asked again at the next tick, not at each answer
        if self.acknowledged.len() == REMOVE_AT {
            self.remove_acknowledged();
        }
    }

    /// The broker has taken this. What was passed over meanwhile is sent next.
    fn try_suspects(&mut self, taken: Parcel) {
        if self.forwarder.suspicion.taken(taken) {
            self.retry_at = Some(Instant::now());
            self.speak = true;
            // it may be among them, and nobody else says that the gateway is there
            self.publish_state("online");
        }
    }

    fn refuse(&mut self, key: Key, refusal: &Refusal) {
        self.note_refusal(key, refusal);
        let reason = refusal.reason.as_str();
        self.refused = true;
        self.refused_in_a_row += 1;
        if self.retry_at.is_some() {
            return;
        }
        let wait = self.forwarder.refused.next();
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
            self.refused_topics.clear();
            self.supply.begin_anew(self.forwarder.last_sequence());
        } else if quiet && self.supply.is_empty() && !self.refused {
            // all of it was taken: the next refusal is a new story, and so is the next outage
            self.forwarder.newest.clear();
            self.forwarder.refused.reset();
        }
    }

    fn remove_acknowledged(&mut self) {
        while !self.acknowledged.is_empty() {
            let group = self.acknowledged.len().min(REMOVE_AT);
            let removed = self.forwarder.outbox.remove(&self.acknowledged[..group]);
            let Some(removed) = self.forwarder.note_cleared(removed) else { return };
            self.acknowledged.drain(..group);
            self.forwarder.shared.counters.waiting.fetch_sub(removed, Relaxed);
            if let Some(spent) = self.forwarder.budget.spent() {
                let noted = self.forwarder.outbox.note_spent(spent);
                self.forwarder.note_cleared(noted);
            }
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
