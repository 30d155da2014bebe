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
mod opening;
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
mod writing;

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

use crate::clock::Clock;
use crate::clock::history::Boot;
use crate::lorawan::Memory;
use condition::Condition;
use copy::{Copy, Counters};
use failure::failed;
use jiff::Timestamp;
use outbox::DAMAGED;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;
use std::time::Duration;

/// So many alarms are kept in memory.
const MAX_KEPT: usize = 1000;

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
    /// What became of a damaged file whose successor could not be opened yet.
    replaced: Option<Rescue>,
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

/// A time that may not be known.
fn time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let us: Option<i64> = row.get(column)?;
    Ok(us.and_then(|us| Timestamp::from_microsecond(us).ok()))
}

#[cfg(test)]
mod tests;
