//! What the writing view writes: entries, the copy of the sessions, and a new file in place of one
//! that is damaged.

use super::copy::Copy;
use super::failure::{StoreError, failed};
use super::opened::{self, Opened};
use super::rescue::{self, Elsewhere, Identity, Rescue};
use super::{Entry, Key, Message, Room, State, Store, boots, memory, packing, remembered};
use crate::clock::history::Boot;
use crate::clock::{ClockQuality, Moment};
use rusqlite::{Connection, TransactionBehavior, params};
use std::sync::Arc;
use std::time::Duration;

/// So many sequence numbers are taken at once: to write down each would be a page more in every
/// commit. A restart leaves out what is left of them.
pub(super) const RESERVE: u64 = 1 << 16;

/// So many are in reserve while the disk takes what it is given: alarms get theirs also when it
/// takes nothing any more.
const IN_HAND: u64 = 1 << 10;

/// How soon a damaged file is tried again that could not be set aside.
const AGAIN: Duration = Duration::from_secs(10);

/// How soon a copy of the sessions that could not be used is opened again, but for the first time.
const COPY_AGAIN: Duration = Duration::from_secs(600);

/// How often the time is noted, together with something else that is written.
const NOTE: Duration = Duration::from_secs(600);

impl Store {
    /// Makes uplinks durable: all of them, on disk, when this returns; none of them when it fails.
    /// A damaged file is replaced before.
    ///
    /// # Errors
    /// When the database cannot be written: disk full, read-only, or broken.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.recover()?;
        let mut result = self.write(entries);
        if let Err(error) = &result
            && error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly)
            && self.database.is_sealed()
        {
            // as SQLCipher says for ever after a page that it could not open, whoever asked for
            // it: anew, it says what is wrong with those that are needed, or with the disk
            if let Ok(db) = opened::writing(&self.database) {
                self.db = db;
                result = self.write(entries);
            }
        }
        let result = result.map_err(|source| failed(self.database.file(), source));
        let result = match result {
            Err(error @ StoreError::Damaged { .. }) => {
                self.suspect(&error);
                self.recover()?;
                self.write(entries).map_err(|source| failed(self.database.file(), source))
            }
            result => result,
        };
        match &result {
            Ok(()) => self.copy(entries),
            // the next one writes in any case, and so tells whether the disk works
            Err(_) => self.note_at = Duration::ZERO,
        }
        result
    }

    /// What is to be kept twice.
    fn copy(&mut self, entries: &[Entry]) {
        let now = self.clock.now().monotonic;
        if self.copy.is_none() && now >= self.copy_at {
            // the disk may have been full for a moment only
            self.copy = self.reopened(now);
            self.refresh_copy(now);
        }
        if let Some(copy) = &mut self.copy
            && copy.note(&self.db, entries, now).is_err()
        {
            self.copy = None;
        }
    }

    /// The copy, after it could not be used.
    fn reopened(&mut self, now: Duration) -> Option<Copy> {
        self.copy_at = now + COPY_AGAIN;
        Copy::open(&self.database.copy(), now).ok()
    }

    pub(super) fn refresh_copy(&mut self, now: Duration) {
        if let Some(copy) = &mut self.copy
            && copy.refresh(&self.db, now).is_err()
        {
            self.copy = None;
        }
    }

    /// Replaces a damaged file by a new one with what can be read of it.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(reason) = self.condition.damage() else { return Ok(()) };
        let now = self.clock.now();
        if let Some((at, why)) = &self.again
            && now.monotonic < *at
        {
            return Err(StoreError::Damage {
                file: self.database.file().to_owned(),
                why: why.clone(),
            });
        }
        if self.replaced.is_none() {
            self.replaced = Some(self.replace(&reason, now)?);
        }
        let opened = match Opened::new(&self.database) {
            Ok(opened) => opened,
            Err(error) => {
                if matches!(error, StoreError::Damaged { .. }) {
                    // the new one as well
                    self.rescue = self.replaced.take();
                }
                self.again = Some((now.monotonic + AGAIN, error.to_string()));
                return Err(error);
            }
        };
        let Opened { db, known, recent, .. } = opened;
        self.db = db;
        self.epoch = known.epoch;
        (self.next_sequence, self.reserved) = (known.next_sequence, known.next_sequence);
        (self.recent, self.boot, self.again, self.shedding) = (recent, None, None, None);
        self.rescue = self.replaced.take();
        self.condition.replaced();
        self.refresh_copy(now.monotonic);
        Ok(())
    }

    /// Puts a new file in the place of a damaged one.
    fn replace(&mut self, reason: &str, now: Moment) -> Result<Rescue, StoreError> {
        let next_sequence = self.next_sequence.max(self.reserved);
        let is_current = self.copy.is_some();
        if !is_current {
            // what it has still helps, though it is behind
            self.copy = self.reopened(now.monotonic);
        }
        let known = Elsewhere {
            identity: Some(Identity { epoch: self.epoch.clone(), next_sequence }),
            sessions: self.copy.as_ref().and_then(|copy| copy.memory().ok()),
            counters: self.counters.clone(),
            is_current,
        };
        let replaced = rescue::rescue(&self.database, reason, known, now.wall, false, &|| {});
        replaced.inspect_err(|error| {
            if !is_current {
                self.copy = None;
            }
            self.again = Some((now.monotonic + AGAIN, error.to_string()));
        })
    }

    /// Writes down when this boot began, as soon as somebody has set the clock, and when it is set
    /// anew: what was written before can be told by the first, and what comes by the second.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn note_clock(&mut self) -> Result<(), StoreError> {
        match self.boot {
            Some(boot) if boot.is_news(self.clock.now()) => self.commit(&[]),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, entries: &[Entry]) -> rusqlite::Result<()> {
        let before = self.reserved;
        let (mut next, mut reserved, mut recent) = (self.next_sequence, self.reserved, self.recent);
        let now = self.clock.now();
        // the other view waits while alarms from memory are on their way to the disk
        let condition = Arc::clone(&self.condition);
        let mut kept = condition.kept();
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_told = kept.is_empty() && entries.iter().all(Entry::is_told_from_removals);
        let (boot, note_at) = match self.boot {
            Some(boot) if now.monotonic < self.note_at && !boot.is_news(now) && is_told => {
                (boot, self.note_at)
            }
            _ => (boots::note(&tx, self.clock.boot(), now)?, now.monotonic + NOTE),
        };
        for entry in entries {
            memory::write(&tx, entry)?;
            for (slot, session) in &entry.changes.sessions {
                let (key, body) = memory::word(entry.dev_eui, *slot, session.as_ref());
                let word = (Room::Sessions, &*key, body.as_deref());
                recent = remembered::write(&tx, [word], recent)?;
            }
            // what is answered is no order any more
            let answered = entry.command.iter().map(|c| (Room::Orders, &*c.id, None));
            let words = answered.chain(entry.states.iter().map(State::word));
            recent = remembered::write(&tx, words, recent)?;
            for m in &entry.messages {
                put(&tx, Key::new(m.class, next), m, boot, None)?;
                next += 1;
            }
        }
        for (key, (message, epoch)) in &*kept {
            // a write that seemed to fail may have reached the file that was rescued
            tx.prepare_cached("DELETE FROM outbox WHERE key = ?1")?.execute([key.0])?;
            put(&tx, *key, message, boot, Some(epoch).filter(|epoch| **epoch != self.epoch))?;
        }
        if next + IN_HAND > reserved {
            reserved = next + RESERVE;
            tx.prepare_cached("UPDATE store SET next_sequence = ?1")?.execute([reserved as i64])?;
        }
        tx.commit()?;
        kept.clear();
        drop(kept);
        (self.next_sequence, self.reserved, self.recent) = (next, reserved, recent);
        let word = |boot: Boot| (boot.number, boot.began);
        if self.boot.map(word) != Some(word(boot)) {
            self.same_since = now.monotonic;
        }
        (self.boot, self.note_at) = (Some(boot), note_at);
        for entry in entries {
            for (slot, session) in &entry.changes.sessions {
                let key = (entry.dev_eui, *slot);
                match session {
                    Some(session) => self.counters.insert(key, session.f_cnt_down),
                    None => self.counters.remove(&key),
                };
            }
        }
        if self.reserved != before
            && let Some(copy) = &mut self.copy
        {
            let known = Identity { epoch: self.epoch.clone(), next_sequence: self.reserved };
            if copy.reserve(&known).is_err() {
                self.copy = None;
            }
        }
        Ok(())
    }
}

/// Puts a message in its place.
fn put(
    db: &Connection,
    key: Key,
    m: &Message,
    boot: Boot,
    epoch: Option<&String>,
) -> rusqlite::Result<()> {
    let packed = packing::pack(&m.body);
    // a zero takes no byte, and nobody asks for these of a clock that was set
    let is_set = m.at.quality == ClockQuality::Synced;
    db.prepare_cached(
        "INSERT INTO outbox (key, time_us, clock, topic, body, boot, monotonic_us, packed, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        key.0,
        m.at.wall.as_microsecond(),
        m.at.quality as u8,
        m.topic,
        if packed.is_some() { "" } else { &m.body },
        if is_set { 0 } else { boot.number },
        if is_set { 0 } else { m.at.monotonic.as_micros() as i64 },
        packed,
        epoch,
    ])
    .map(|_| ())
}
