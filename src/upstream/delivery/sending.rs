//! What is handed over to the link.

use super::super::budget::Allowed;
use super::super::envelope;
use super::super::packet::Outgoing;
use super::super::supply::Item;
use super::super::{Forwarder, state_body};
use super::{Delivery, LATEST, Parcel, QUESTIONS};
use crate::clock::Moment;
use crate::store::{Class, Key, Row};
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::Instant;

impl Delivery<'_> {
    /// Hands over this many messages, as far as there are so many.
    pub(super) fn fill(&mut self, room: usize) {
        // read once for all of them: it is a question to the kernel
        let now = self.forwarder.clock.now();
        for _ in 0..QUESTIONS {
            self.allowed = self.forwarder.budget.allowed(now);
            let only_alarms = self.only_alarms();
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
                        if self.allowed == Allowed::Thinned && self.is_too_many(&row) {
                            given_up.push(row.key);
                        } else if !self.passes_over(&row) {
                            self.publish(&row, now, late);
                        }
                    }
                    // a metered line does without: the message itself follows
                    Item::Newest(..) if self.allowed == Allowed::Thinned => {}
                    Item::Newest(row, whose) => self.publish_newest(&row, now, &whose),
                }
            }
            self.give_up(&given_up);
            if only_alarms || self.outstanding() > before {
                return;
            }
        }
    }

    pub(super) fn publish(&mut self, row: &Row, now: Moment, late: bool) {
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
    pub(super) fn publish_newest(&mut self, row: &Row, now: Moment, whose: &str) {
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
    pub(super) fn note_newest(&mut self, key: Key) {
        self.gained = true;
        self.forwarder.newest.insert(key);
    }

    pub(super) fn message(&self, row: &Row, id: String, now: Moment, late: bool) -> Outgoing {
        let class = row.key.class();
        Outgoing {
            topic: self.forwarder.topic(&row.topic),
            payload: envelope::stored(&id, row, now, late),
            retain: class == Some(Class::Plan),
            properties: envelope::properties(id, class),
        }
    }

    pub(super) fn publish_state(&mut self, state: &str) {
        let message = self.forwarder.live("state", Class::Diagnostic, &state_body(state));
        self.publish_live(message, "state");
    }

    pub(super) fn publish_live(&mut self, message: Outgoing, leaf: &'static str) {
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

    /// Whether a message is one of the measurements of an hour that a metered line does without.
    pub(super) fn is_too_many(&mut self, row: &Row) -> bool {
        row.key.class() == Some(Class::Measurement)
            && !self.forwarder.budget.is_of_hour(&row.topic, row.told.time, row.key)
    }

    pub(super) fn give_up(&mut self, keys: &[Key]) {
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

    pub(super) fn hand_over(&mut self, message: Outgoing, parcel: Parcel) {
        if self.forwarder.budget.is_limited() {
            let size = self.link.size(&message);
            self.forwarder.budget.spend(size, self.forwarder.clock.now());
        }
        self.link.publish(message);
        self.line.push_back(parcel);
    }
}
