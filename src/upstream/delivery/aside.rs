//! What the broker does not take is set aside, told, and offered again now and then.
//!
//! It is out of the way then, and not gone: what was wrong with it may be a rule or a limit of the
//! broker that somebody mends, or another broker takes it. Alarms are offered again after a
//! minute, doubling up to an hour; all else doubling up to six hours (as the settings are unless
//! told). Each goes alone but for alarms, which wait for nothing: the connection may break over it.
//! All else goes between. When one is taken, all that were set aside for the same reason are in the outbox again.

use super::super::backoff::Backoff;
use super::super::error::LinkError;
use super::super::packet::{MAX_PACKET, Refusal};
use super::super::{Forwarder, envelope};
use super::{Delivery, HEALTH_INTERVAL, LATEST, Parcel, QUESTIONS};
use crate::message;
use crate::store::{Class, Key, Outcast, Row};
use crate::units::duration;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// All but alarms are offered again at most this many times as seldom as alarms.
const SELDOM: u32 = 6;

/// After so many refusals the rest is left for the next time.
const MOST_REFUSALS: usize = 20;

/// So many topics are passed over at a time when the broker refuses one message after the other.
const MOST_TOPICS: usize = 1000;

/// So long a suspect is passed over at most: health would have been taken twice meanwhile.
const PARDON: Duration = HEALTH_INTERVAL.saturating_mul(2);

/// When what is set aside is offered again, over all connections.
#[derive(Debug)]
pub(in crate::upstream) struct Aside {
    alarms: Backoff,
    all: Backoff,
    alarms_at: Instant,
    all_at: Instant,
    /// Whether operations was told that there is no more room.
    full: bool,
    /// How long the gateway says nothing of itself on a topic that the broker does not take.
    silence: Duration,
    /// When it does so again.
    pub(super) speak_at: Option<Instant>,
    /// The topics of which operations was told.
    silenced: Vec<&'static str>,
}

impl Aside {
    /// Offered after the least, doubling up to the greatest for alarms.
    pub(in crate::upstream) fn new(least: Duration, greatest: Duration) -> Self {
        let now = Instant::now();
        let mut aside = Self {
            alarms: Backoff::new(least, greatest),
            all: Backoff::new(least, greatest * SELDOM),
            alarms_at: now,
            all_at: now,
            full: false,
            silence: greatest,
            speak_at: None,
            silenced: Vec::new(),
        };
        aside.soon();
        aside
    }

    /// Something is set aside, perhaps for a passing reason.
    fn soon(&mut self) {
        self.alarms.reset();
        self.all.reset();
        self.alarms_at = Instant::now() + self.alarms.next();
        self.all_at = Instant::now() + self.all.next();
    }

    /// Down to which class it is time to offer what is set aside.
    fn due(&mut self, now: Instant) -> Option<Class> {
        if now < self.alarms_at.min(self.all_at) {
            return None;
        }
        let all = now >= self.all_at;
        self.alarms_at = now + self.alarms.next();
        if all {
            self.all_at = now + self.all.next();
        }
        Some(if all { Class::Diagnostic } else { Class::Alarm })
    }
}

impl Delivery<'_> {
    /// Notes that the broker has refused a stored message.
    pub(super) fn note_refusal(&mut self, key: Key, refusal: &Refusal) {
        self.refused_last = Some(key);
        if self.refused_topics.len() < MOST_TOPICS {
            let topic = self.forwarder.outbox.topic(key);
            self.refused_topics.extend(self.forwarder.note_outbox(topic).flatten());
        }
        if !refusal.of_message {
            return;
        }
        let now = self.forwarder.origin.elapsed();
        if let Some(tries) = self.forwarder.refusals.refused(key, now) {
            let reason = format!("the broker refuses it: {}", refusal.reason);
            self.outcasts.push(Outcast { key, reason, tries });
        }
    }

    /// Whether a message is not sent now. A broker that refuses everything is sent one message of
    /// each topic, and not the whole backlog in vain; but alarms are always tried.
    pub(super) fn passes_over(&self, row: &Row) -> bool {
        let suspect = self.forwarder.suspicion.passes_over(Parcel::Stored(row.key));
        let in_vain = self.hopeless() && row.key.class() != Some(Class::Alarm);
        suspect || (in_vain && self.refused_topics.contains(&row.topic))
    }

    /// Whether the broker refuses more topics than are kept account of.
    pub(super) fn refuses_all(&self) -> bool {
        self.hopeless() && self.refused_topics.len() >= MOST_TOPICS
    }

    /// Notes a message that is too large to be sent.
    pub(super) fn too_large(&mut self, key: Key) {
        self.outcasts.push(Outcast { key, reason: self.limit(), tries: 0 });
    }

    /// Why a message is too large.
    pub(super) fn limit(&self) -> String {
        match self.link.largest {
            largest if largest < MAX_PACKET as usize => {
                format!("larger than the {largest} bytes that the broker takes")
            }
            largest => format!("larger than {} KiB, the most that lykta sends", largest / 1024),
        }
    }

    /// Sets aside what is to be, and sees whether it is time to offer what was.
    pub(super) fn tend_aside(&mut self) {
        let outcasts = std::mem::take(&mut self.outcasts);
        self.forwarder.set_aside(&outcasts);
        let some = self.forwarder.shared.counters.set_aside.load(Relaxed) > 0;
        if some
            && self.offers.is_empty()
            && let Some(least) = self.forwarder.aside.due(Instant::now())
        {
            let keys = self.forwarder.outbox.aside(least);
            self.offers = self.forwarder.note_outbox(keys).unwrap_or_default().into();
            self.offers_refused = 0;
        }
        self.offering |= !self.offers.is_empty();
    }

    /// Offers the next one that is set aside, once nothing but alarms is on its way. Those that are
    /// too large as ever are passed over.
    pub(super) fn offer_aside(&mut self) {
        let is_alarm = |(_, parcel): &(u16, Parcel)| match parcel {
            Parcel::Stored(key) => key.class() == Some(Class::Alarm),
            _ => false,
        };
        if !self.offering || self.room() == 0 || !self.sent.iter().all(is_alarm) {
            return;
        }
        for _ in 0..QUESTIONS {
            let Some(key) = self.offers.pop_front() else { break };
            let row = self.forwarder.outbox.row_aside(key);
            let Some(row) = self.forwarder.note_outbox(row).flatten() else { continue };
            let id = envelope::id(&row);
            let mut message = self.message(&row, id, self.forwarder.clock.now(), true);
            // what is newer than it may be there already
            message.retain = false;
            if self.link.fits(&message) {
                let counted = self.forwarder.outbox.offer_aside(key);
                self.forwarder.note_cleared(counted);
                self.hand_over(message, Parcel::Aside(key));
                return;
            }
        }
        self.offering = false;
    }

    /// A suspect is sent again, for better or worse, when it waits for too long for another
    /// message to be taken: there may be none.
    pub(super) fn pardon(&mut self) {
        if self.begun.elapsed() >= PARDON && self.forwarder.suspicion.pardon() {
            self.begun = Instant::now();
            self.retry_at = Some(self.begun);
        }
    }

    /// What the gateway says of itself is said again after a while: a line that breaks again and
    /// again may have been to blame.
    pub(super) fn end_silence(&mut self) {
        if self.forwarder.aside.speak_at.take_if(|at| Instant::now() >= *at).is_some() {
            self.forwarder.suspicion.forgive(|parcel| matches!(parcel, Parcel::Live(_)));
            self.health_at = Instant::now();
            self.publish_state("online");
        }
    }

    /// The broker has answered an offer: it has taken it, or refused it again.
    pub(super) fn answered_aside(&mut self, key: Key, taken: bool) {
        self.offering = false;
        if taken {
            self.forwarder.shared.counters.delivered.fetch_add(1, Relaxed);
            let back = self.forwarder.outbox.remove_aside(key);
            if let Some(back) = self.forwarder.note_cleared(back) {
                self.forwarder.note_taken(back);
                // what is back stands before what has been read
                self.retry_at = Some(Instant::now());
            }
        } else {
            self.offers_refused += 1;
            if self.offers_refused == MOST_REFUSALS {
                self.offers.clear();
            }
        }
    }

    /// No more offers: the gateway stops.
    pub(super) fn end_offers(&mut self) {
        self.offers.clear();
        self.offering = false;
    }

    /// The connection is over. When the broker has ended it, a message may be the reason.
    pub(super) fn conclude(&mut self, end: Option<&LinkError>) {
        let outcasts = std::mem::take(&mut self.outcasts);
        self.forwarder.set_aside(&outcasts);
        let Some(error @ LinkError::Broken(_)) = end else { return };
        let suspect = |parcel: &Parcel| match parcel {
            // one is like the other
            Parcel::Newest(_) => Parcel::Live(LATEST),
            parcel => *parcel,
        };
        let mut unanswered: Vec<_> = self.sent.iter().map(|(_, parcel)| suspect(parcel)).collect();
        unanswered.sort_unstable();
        unanswered.dedup();
        // what is set aside has its account there
        if unanswered.iter().any(|parcel| matches!(parcel, Parcel::Aside(_))) {
            return;
        }
        // some brokers refuse a message and then close the connection over it all the same
        // (mosquitto 2.0.11, with queues of any length)
        if let Some(refused) = self.refused_last {
            unanswered = vec![Parcel::Stored(refused)];
        }
        let reason = format!("each time that it is sent: {error}");
        match self.forwarder.suspicion.broke(&unanswered, self.gained) {
            Some(parcel @ Parcel::Stored(key)) => {
                let outcast = Outcast { key, reason, tries: 0 };
                if self.forwarder.set_aside(&[outcast]) == 0 {
                    self.forwarder.suspicion.ban(parcel);
                }
            }
            Some(Parcel::Live(leaf)) => self.forwarder.silence(leaf, &reason),
            Some(Parcel::Aside(_) | Parcel::Newest(_)) | None => {}
        }
    }
}

impl Forwarder {
    /// Sets messages aside and tells operations; how many there was room for.
    fn set_aside(&mut self, outcasts: &[Outcast]) -> usize {
        if outcasts.is_empty() {
            return 0;
        }
        let moved = self.outbox.set_aside(outcasts);
        let Some(moved) = self.note_cleared(moved) else { return 0 };
        self.shared.counters.waiting.fetch_sub(moved.len() as u64, Relaxed);
        self.shared.counters.set_aside.fetch_add(moved.len() as u64, Relaxed);
        if moved.len() == outcasts.len() {
            self.aside.full = false;
        } else if !std::mem::replace(&mut self.aside.full, true) {
            log::error!(
                MESSAGE_ID = message::UPSTREAM_SET_ASIDE,
                LYKTA_TENANT = self.tenant.as_str(),
                LYKTA_REASON = "there is no room for more";
                "there is no room to set aside more messages of tenant {}: what the broker does \
                 not take stays among those that wait", self.tenant
            );
        }
        let mut groups: BTreeMap<&str, Vec<Key>> = BTreeMap::new();
        for outcast in outcasts.iter().filter(|outcast| moved.contains(&outcast.key)) {
            self.refusals.forget(outcast.key);
            groups.entry(&outcast.reason).or_default().push(outcast.key);
        }
        for (reason, keys) in groups {
            self.tell_aside(reason, &keys);
        }
        if !moved.is_empty() {
            self.aside.soon();
        }
        moved.len()
    }

    fn tell_aside(&self, reason: &str, keys: &[Key]) {
        let alarms = keys.iter().filter(|key| key.class() == Some(Class::Alarm)).count();
        let level = if alarms > 0 { log::Level::Error } else { log::Level::Warn };
        let what = match (keys.len(), alarms) {
            (1, 1) => "an ALARM".to_owned(),
            (1, _) => "a message".to_owned(),
            (n, 0) => format!("{n} messages"),
            (n, alarms) => format!("{n} messages, {alarms} of them ALARMS,"),
        };
        let (id, are) = (keys[0].sequence(), if keys.len() == 1 { "is" } else { "are" });
        log::log!(
            level,
            MESSAGE_ID = message::UPSTREAM_SET_ASIDE,
            LYKTA_TENANT = self.tenant.as_str(),
            LYKTA_REASON = reason;
            "{what} of tenant {} (the first is {}-{id}) {are} set aside: {reason}; kept, and \
             offered again now and then", self.tenant, self.outbox.epoch()
        );
    }

    /// Sends nothing of what the gateway says of itself on this topic for a while.
    pub(super) fn silence(&mut self, leaf: &'static str, reason: &str) {
        self.suspicion.ban(Parcel::Live(leaf));
        self.aside.speak_at.get_or_insert(Instant::now() + self.aside.silence);
        if self.aside.silenced.contains(&leaf) {
            return;
        }
        self.aside.silenced.push(leaf);
        log::warn!(
            MESSAGE_ID = message::UPSTREAM_SET_ASIDE,
            LYKTA_TENANT = self.tenant.as_str(),
            LYKTA_REASON = reason;
            "{leaf} of tenant {} is not sent, but for a try every {}: {reason}; may this user \
             publish to {}/{leaf}?",
            self.tenant, duration::format(self.aside.silence), self.root
        );
    }

    /// The line was to blame: what the gateway says of itself is said again.
    pub(in crate::upstream) fn break_silence(&mut self) {
        self.suspicion.forgive(|parcel| matches!(parcel, Parcel::Live(_)));
        self.aside.speak_at = None;
        self.aside.silenced.clear();
    }

    /// Tells operations that a message was taken after all, and so many are in the outbox again.
    fn note_taken(&self, back: u64) {
        // a file that was replaced meanwhile has nothing set aside any more
        let less = |count: u64| Some(count.saturating_sub(1 + back));
        let _ = self.shared.counters.set_aside.fetch_update(Relaxed, Relaxed, less);
        self.shared.counters.waiting.fetch_add(back, Relaxed);
        log::info!(
            MESSAGE_ID = message::UPSTREAM_TAKEN_AFTER_ALL,
            LYKTA_TENANT = self.tenant.as_str();
            "a message of tenant {} that was set aside has been taken after all; {back} more that \
             were set aside for the same reason are sent now", self.tenant
        );
    }
}
