//! What the broker answers, and what is forgotten then.

use super::super::error::LinkError;
use super::super::packet::{Event, Refusal};
use super::{Delivery, HEALTH_INTERVAL, Parcel, REMOVE_AT, UNANSWERED};
use crate::message;
use crate::store::{Class, Key};
use crate::units::duration;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::Instant;

impl Delivery<'_> {
    /// Takes note of what happened on the link; the reason, when it is over.
    pub(super) fn note(&mut self, event: Event) -> Option<LinkError> {
        match event {
            // commands come by another connection
            Event::Connected | Event::Subscribed(_) | Event::Received(_) => {}
            Event::Acknowledged(identifier) => {
                let parcel = self.answered(identifier);
                if let Some(Parcel::Live(leaf)) = parcel {
                    self.unwanted.remove(leaf);
                }
                match parcel {
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
                    Some(Parcel::Live(leaf)) => self.refuse_live(leaf, &refusal.reason),
                    None => {}
                }
            }
            Event::Closed(error) => return Some(error),
        }
        None
    }

    /// What an answer is about.
    pub(super) fn answered(&mut self, identifier: u16) -> Option<Parcel> {
        let place = self.sent.iter().position(|(sent, _)| *sent == identifier)?;
        if place == 0 {
            self.owed_since = None;
        }
        self.sent.remove(place).map(|(_, parcel)| parcel)
    }

    /// Whether the oldest answer is owed for too long. Asked at each tick, so that no message
    /// costs a look at the clock.
    pub(super) fn is_overdue(&mut self) -> bool {
        if self.sent.is_empty() {
            return false;
        }
        self.owed_since.get_or_insert_with(Instant::now).elapsed() > UNANSWERED
    }

    pub(super) fn acknowledge(&mut self, key: Key) {
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
    pub(super) fn try_suspects(&mut self, taken: Parcel) {
        if self.forwarder.suspicion.taken(taken) {
            self.retry_at = Some(Instant::now());
            self.health_at = Instant::now();
            // it may be among them, and nobody else says that the gateway is there
            self.publish_state("online");
        }
    }

    pub(super) fn refuse(&mut self, key: Key, refusal: &Refusal) {
        self.note_refusal(key, refusal);
        let reason = refusal.reason.as_str();
        self.refused = true;
        self.forwarder.shared.counters.refuses.store(true, Relaxed);
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

    /// What the gateway says of itself comes again, but the cloud may take it for dead until then.
    fn refuse_live(&mut self, leaf: &'static str, reason: &str) {
        if leaf == "state" {
            let wait = self.forwarder.settings.reconnect_max.min(HEALTH_INTERVAL);
            self.state_at = Some(Instant::now() + wait);
        }
        self.forwarder.shared.counters.refuses.store(true, Relaxed);
        if self.unwanted.insert(leaf) {
            log::warn!(
                MESSAGE_ID = message::UPSTREAM_REFUSED,
                LYKTA_TENANT = self.forwarder.tenant.as_str(),
                LYKTA_REASON = reason;
                "the broker refuses the {leaf} of tenant {}: {reason}; may this user publish to \
                 {}/{leaf}?",
                self.forwarder.tenant, self.forwarder.root
            );
        }
    }

    /// The state is said once, and again where the broker refused it, as health is then.
    pub(super) fn offer_state(&mut self) {
        if self.state_at.is_some_and(|at| Instant::now() >= at) && self.publish_state("online") {
            self.state_at = None;
            self.health_at = Instant::now();
        }
    }

    /// Begins anew with the first message once everything on its way is answered, so that
    /// what was refused goes out again and nothing else twice.
    pub(super) fn offer_again(&mut self) {
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
            self.forwarder.shared.counters.refuses.store(!self.unwanted.is_empty(), Relaxed);
        }
    }

    pub(super) fn remove_acknowledged(&mut self) {
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
}
