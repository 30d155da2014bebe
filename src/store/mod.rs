//! What must survive a power cut: one SQLite file for each tenant, and one for the time on the
//! air ([`airtime`]).
//!
//! Two views of a tenant's file. The [`Store`] belongs to the ingest loop and is the only one
//! that adds: an uplink's frame counter and its messages in one transaction, on disk when
//! [`Store::commit`] returns. The [`Outbox`] belongs to the upstream: it reads what is waiting
//! and removes what was acknowledged.
//!
//! A file may be under a key (`cipher`), and comes under it as it is opened (`renewal`).
//!
//! A file that is damaged is set aside, and what can be read of it goes on in a new one, at the start
//! as well as while running; the sessions of devices are kept in a second file, too.
//!
//! The settings of the file are measured, not guessed: WAL with `synchronous=FULL` loses no
//! committed row in a power cut (NORMAL does), small pages and a WAL that keeps its length
//! spare the SD card, and SQLite is built to call fdatasync (see `.cargo/config.toml`).

pub mod airtime;
mod aside;
mod boots;
mod cipher;
mod condition;
mod copy;
mod damaged;
mod failure;
mod memory;
mod message;
mod opened;
mod outbox;
mod packing;
mod pages;
mod record;
mod remembered;
mod renewal;
mod rescue;
mod rest;
mod salvage;
mod schema;
mod shed;
mod survey;
mod transfer;
mod untold;
mod wal;

pub use aside::Outcast;
pub use cipher::Database;
pub use damaged::len_with_log;
pub use failure::StoreError;
pub use message::{Class, Command, Entry, Key, Message};
pub use outbox::{Cursor, Outbox, Row};
pub use remembered::{ADDITION, RESCUED, Room, State};
pub use rescue::Rescue;
pub use shed::{Bounds, Shed, Stage};
pub use survey::{Outlined, Salvaged, Survey};
pub use transfer::{Taken, Transfer, TransferError};

use crate::clock::history::Boot;
use crate::clock::{Clock, ClockQuality};
use crate::lorawan::Memory;
use condition::Condition;
use copy::{Copy, Counters};
use failure::failed;
use jiff::Timestamp;
use opened::{Opened, is_as_left};
use outbox::DAMAGED;
use rescue::{Elsewhere, Identity};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::sync::Arc;
use std::time::Duration;

/// So many sequence numbers are taken at once: to write down each would be a page more in every
/// commit. A restart leaves out what is left of them.
const RESERVE: u64 = 1 << 16;

/// So many are in reserve while the disk takes what it is given: alarms get theirs also when it
/// takes nothing any more.
const IN_HAND: u64 = 1 << 10;

/// So many alarms are kept in memory.
const MAX_KEPT: usize = 1000;

/// How soon a damaged file is tried again that could not be set aside.
const AGAIN: Duration = Duration::from_secs(10);

/// How soon a copy of the sessions that could not be used is opened again, but for the first time.
const COPY_AGAIN: Duration = Duration::from_secs(600);

/// How often the time is noted, together with something else that is written.
const NOTE: Duration = Duration::from_secs(600);

/// The writing view of a tenant's database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    database: Database,
    clock: Clock,
    epoch: String,
    next_sequence: u64,
    /// Numbers below this one are taken.
    reserved: u64,
    /// How many changes of what is remembered wait to be folded.
    recent: u64,
    /// The row of this boot.
    boot: Option<Boot>,
    /// Since when the clock says the same of it, by the monotonic clock.
    same_since: Duration,
    /// When the time is to be noted next, by the monotonic clock.
    note_at: Duration,
    /// The counters of downlinks, as whoever writes goes on with them.
    counters: Counters,
    /// The sessions once more; `None` while that file cannot be used.
    copy: Option<Copy>,
    /// When it is opened again at the earliest, by the monotonic clock.
    copy_at: Duration,
    condition: Arc<Condition>,
    /// What became of a damaged file, until somebody asks.
    rescue: Option<Rescue>,
    /// Whether it was brought under another key as it was opened.
    is_renewed: bool,
    /// What is being given up.
    shedding: Option<shed::Shedding>,
    /// When messages are looked at next for their age, by the monotonic clock.
    age_at: Duration,
    /// When a damaged file is tried again that could not be set aside, and why it could not.
    again: Option<(Duration, String)>,
}

impl Store {
    /// Opens a tenant's database, or makes a new one. What it knows of the time is told to the
    /// clock. A damaged one is set aside, and what can be read of it goes on in a new one: see
    /// [`Store::take_rescue`].
    ///
    /// # Errors
    /// When the file cannot be opened or made, is of a newer version, or under another key.
    pub fn open(database: impl Into<Database>, clock: &Clock) -> Result<Self, StoreError> {
        Self::open_both(database, clock).map(|(store, _)| store)
    }

    /// Opens both views of a tenant's database.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_both(
        database: impl Into<Database>,
        clock: &Clock,
    ) -> Result<(Self, Outbox), StoreError> {
        Self::open_telling(database, clock, &|| {})
    }

    /// Opens both views of a tenant's database. While a damaged one is replaced, or one is brought
    /// under another key, which may take minutes, `at_work` is called again and again.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_telling(
        database: impl Into<Database>,
        clock: &Clock,
        at_work: &dyn Fn(),
    ) -> Result<(Self, Outbox), StoreError> {
        let database = database.into();
        let found = database.found()?;
        if !database.differs(&found) {
            return Self::open_found(&database, clock, at_work);
        }
        // whatever is wrong with it is mended first, in its own terms
        let (mut store, outbox) = Self::open_found(&found, clock, at_work)?;
        let rescue = store.take_rescue();
        drop((store, outbox));
        renewal::renew(&found, &database, at_work)?;
        let (mut store, outbox) = Self::open_found(&database, clock, at_work)?;
        store.rescue = store.rescue.take().or(rescue);
        store.is_renewed = true;
        Ok((store, outbox))
    }

    fn open_found(
        database: &Database,
        clock: &Clock,
        at_work: &dyn Fn(),
    ) -> Result<(Self, Outbox), StoreError> {
        let file = database.file();
        let now = clock.now();
        let io = |source| StoreError::SetAside { file: file.to_owned(), source };
        let exists = rescue::resume(database, now.wall).map_err(io)?;
        let copy = Copy::open(&database.copy(), now.monotonic);
        let copied = copy.as_ref().is_ok();
        let copy = copy.ok();
        let known = copy.as_ref().and_then(Copy::identity);
        let elsewhere = || Elsewhere {
            identity: known.clone(),
            sessions: copy.as_ref().and_then(|copy| copy.memory().ok()),
            counters: Counters::new(),
            is_current: known.is_some(),
        };
        let rescue = |reason: &StoreError| {
            let is_doubtful = matches!(reason, StoreError::Gap { .. });
            rescue::rescue(
                database,
                &reason.to_string(),
                elsewhere(),
                now.wall,
                is_doubtful,
                at_work,
            )
        };
        let opened = match is_as_left(database, exists, known.is_some()) {
            Ok(()) => Opened::new(database),
            Err(gone) => Err(gone),
        };
        let (opened, rescue) = match opened {
            Ok(opened) => (opened, None),
            // one that a newer version had opened would have a newer copy, too
            Err(StoreError::Schema { .. }) if copied && known.is_some() => {
                let what = "its version is damaged";
                let reason = StoreError::Gone { file: file.to_owned(), what };
                let rescue = rescue(&reason)?;
                (Opened::new(database)?, Some(rescue))
            }
            Err(
                reason @ (StoreError::Damaged { .. }
                | StoreError::Gone { .. }
                | StoreError::Gap { .. }),
            ) => {
                let rescue = rescue(&reason)?;
                (Opened::new(database)?, Some(rescue))
            }
            Err(error) => return Err(error),
        };
        let condition = Arc::<Condition>::default();
        let Opened { db, known: own, seen, recent, counters, outbox } = opened;
        if let Some(seen) = seen {
            clock.raise_floor(seen);
        }
        // a log that was cut off takes the newest reserve with it, and no number comes twice
        let copied =
            known.filter(|known| known.epoch == own.epoch).map(|known| known.next_sequence);
        let next_sequence = own.next_sequence.max(copied.unwrap_or(1)).max(outbox.1 + 1);
        let mut store = Self {
            db,
            database: database.clone(),
            clock: clock.clone(),
            epoch: own.epoch,
            next_sequence,
            reserved: own.next_sequence,
            recent,
            boot: None,
            same_since: Duration::ZERO,
            note_at: Duration::ZERO,
            counters,
            copy,
            copy_at: Duration::ZERO,
            condition: Arc::clone(&condition),
            rescue: None,
            is_renewed: false,
            shedding: None,
            age_at: Duration::ZERO,
            again: None,
        };
        store.reconcile()?;
        store.rescue = rescue.or_else(|| untold::read(file));
        // numbers to go on with, should the disk take nothing from now on; if it already does not,
        // the first commit says so
        let _ = store.write(&[]);
        Ok((store, outbox.0.tied_to(condition)))
    }

    /// Brings what only the copy knows back into the first file, and the copy up to date.
    fn reconcile(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now().monotonic;
        let Some(copy) = &mut self.copy else { return Ok(()) };
        let failed = |e| failed(self.database.file(), e);
        // a copy that cannot be read is none
        let theirs = copy.memory().unwrap_or_default();
        let mine = memory::read(&self.db).map_err(failed)?;
        let missing = copy::missing(&mine, &theirs, None);
        if missing != Memory::default() {
            let mut restore = || {
                let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let recent = memory::restore(&tx, &missing, self.recent)?;
                tx.commit()?;
                Ok(recent)
            };
            self.recent = restore().map_err(failed)?;
            self.counters.extend(missing.sessions.iter().map(|(key, s)| (*key, s.f_cnt_down)));
        }
        self.refresh_copy(now);
        Ok(())
    }

    /// What wakes the owner of this view when the other one finds damage: only here can something
    /// be done about it, at the next [`Store::commit`].
    pub fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.condition.wake_by(Box::new(wake));
    }

    /// Whether the file was found to be damaged.
    pub fn is_damaged(&self) -> bool {
        self.condition.damage().is_some()
    }

    /// What became of a damaged file. It is told once here, and again by the next start until
    /// [`Store::rescue_is_told`].
    pub fn take_rescue(&mut self) -> Option<Rescue> {
        self.rescue.take()
    }

    /// Whether the second file of sessions was damaged, and is made anew of the first.
    pub fn is_copy_renewed(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.is_renewed)
    }

    /// Whoever has to know what became of a damaged file does.
    pub fn rescue_is_told(&self) {
        untold::forget(self.database.file());
    }

    /// Whether it was brought under its key as it was opened: it was under the one before, or none.
    pub fn is_renewed(&self) -> bool {
        self.is_renewed
    }

    /// Makes sure that nothing removed can be read any more, whoever has the key: not in the
    /// database, nor in its log, nor in the second file, nor in what was set aside. Whether that is
    /// so: somebody may be reading just now, or much was set aside, and it is to be gone on with
    /// soon. Only of a database under a key: others leave what was removed in free pages.
    ///
    /// # Errors
    /// When the disk cannot be written.
    pub fn wipe(&mut self) -> Result<bool, StoreError> {
        let now = self.clock.now().monotonic;
        self.refresh_copy(now);
        let file = self.database.file();
        let io = |source| StoreError::Erase { file: file.to_owned(), source };
        let mut is_done = renewal::erase_asides(file).map_err(io)?;
        let of_copy = self.copy.as_ref().map(Copy::db);
        for db in [Some(&self.db), of_copy].into_iter().flatten() {
            let is_busy = renewal::empty_log(db).map_err(|e| failed(file, e))?;
            is_done &= !is_busy;
        }
        Ok(is_done)
    }

    /// What is remembered of all devices.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self) -> Result<Memory, StoreError> {
        memory::read(&self.db).map_err(|e| failed(self.database.file(), e))
    }

    /// What a room remembers, by key. Of one that is kept in both files what the second one says
    /// comes behind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn states(&self, room: Room) -> Result<Vec<(String, String)>, StoreError> {
        let states =
            remembered::read(&self.db, room).map_err(|e| failed(self.database.file(), e))?;
        let copy = self.copy.as_ref().filter(|_| room == Room::Consent);
        // a copy that cannot be read is none
        let copied = copy.and_then(|copy| remembered::read(copy.db(), room).ok());
        Ok(states.into_iter().chain(copied.into_iter().flatten()).collect())
    }

    /// The reply to a command that was answered before.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn reply(&self, id: &str) -> Result<Option<String>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached("SELECT reply FROM command WHERE id = ?1")?;
            query.query_row([id], |row| row.get(0)).optional()
        };
        read().map_err(|e| failed(self.database.file(), e)).inspect_err(|error| self.suspect(error))
    }

    /// Keeps an alarm in memory that the disk has not taken: it goes out under the id that it will
    /// have there, and goes to the disk with the next commit. Given back when there is no room for
    /// it.
    ///
    /// # Errors
    /// With the alarm.
    pub fn keep(&mut self, alarm: Message) -> Result<(), Message> {
        let mut kept = self.condition.kept();
        if kept.len() >= MAX_KEPT {
            return Err(alarm);
        }
        // a number that is not in reserve might be given out again after a crash: then it is one
        // of an epoch of its own
        let epoch = match self.next_sequence < self.reserved {
            true => self.epoch.clone(),
            false => schema::new_epoch(),
        };
        kept.insert(Key::new(alarm.class, self.next_sequence), (alarm, epoch));
        self.next_sequence += 1;
        Ok(())
    }

    /// Whether sessions are kept twice, as they should be.
    pub fn is_copied(&self) -> bool {
        self.copy.is_some()
    }

    /// How many alarms are in memory only.
    pub fn kept(&self) -> usize {
        self.condition.kept().len()
    }

    /// Whether an error says that there is no room.
    pub fn is_full(error: &StoreError) -> bool {
        let StoreError::Sqlite { source, .. } = error else { return false };
        source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }

    fn suspect(&self, error: &StoreError) {
        if matches!(error, StoreError::Damaged { .. }) {
            self.condition.report(error.to_string());
        }
    }

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

    fn refresh_copy(&mut self, now: Duration) {
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
        let replaced = rescue::rescue(&self.database, &reason, known, now.wall, false, &|| {})
            .and_then(|rescue| Ok((rescue, Opened::new(&self.database)?)));
        let (rescue, opened) = match replaced {
            Ok(replaced) => replaced,
            Err(error) => {
                if !is_current {
                    self.copy = None;
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
        self.rescue = Some(rescue);
        self.condition.replaced();
        self.refresh_copy(now.monotonic);
        Ok(())
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

    fn write(&mut self, entries: &[Entry]) -> rusqlite::Result<()> {
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

impl Drop for Store {
    /// A clean stop leaves a copy that is not behind.
    fn drop(&mut self) {
        if let Some(copy) = self.copy.as_mut().filter(|copy| copy.is_behind()) {
            // the next start does it otherwise
            let _ = copy.refresh(&self.db, Duration::ZERO);
        }
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

/// A time that may not be known.
fn time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let us: Option<i64> = row.get(column)?;
    Ok(us.and_then(|us| Timestamp::from_microsecond(us).ok()))
}

#[cfg(test)]
mod tests;
