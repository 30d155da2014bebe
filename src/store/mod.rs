//! What must survive a power cut: one SQLite file for each tenant, and one for the time on the
//! air ([`airtime`]).
//!
//! Two views of a tenant's file. The [`Store`] belongs to the ingest loop and is the only one
//! that adds: an uplink's frame counter and its messages in one transaction, on disk when
//! [`Store::commit`] returns. The [`Outbox`] belongs to the upstream: it reads what is waiting
//! and removes what was acknowledged.
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
mod condition;
mod copy;
mod damaged;
mod memory;
mod outbox;
mod packing;
mod pages;
mod remembered;
mod rescue;
mod schema;
mod shed;

pub use aside::Outcast;
pub use outbox::{Cursor, Outbox, Row};
pub use remembered::{Room, State};
pub use rescue::Rescue;
pub use shed::{Bounds, Shed, Stage};

use crate::clock::history::Boot;
use crate::clock::{Clock, ClockQuality, Moment};
use crate::lorawan::{Changes, Downlink, Memory};
use crate::units::DevEui;
use condition::Condition;
use copy::Copy;
use jiff::Timestamp;
use outbox::DAMAGED;
use rescue::Identity;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// So many sequence numbers are taken at once: to write down each would be a page more in every
/// commit. A restart leaves out what is left of them.
const RESERVE: u64 = 1 << 16;

/// So many are always in reserve: alarms are given theirs also while the disk takes nothing.
const IN_HAND: u64 = 1 << 10;

/// So many alarms are kept in memory.
const MAX_KEPT: usize = 1000;

/// A file of up to this size is looked through at the start: some tenths of a second, and on a slow
/// card two. In a larger one damage shows when it is met.
const LOOKED_THROUGH: u64 = 64 << 20;

/// How soon a damaged file is tried again that could not be set aside.
const AGAIN: Duration = Duration::from_secs(10);

/// How often the time is noted, together with something else that is written.
const NOTE: Duration = Duration::from_secs(600);

/// A database that cannot be used as it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("{}: {source}", file.display())]
    Sqlite {
        /// The database file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is no database any more, or never was one.
    #[error("{}: {source}", file.display())]
    Damaged {
        /// The database file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Written by another version of lykta.
    #[error(
        "{}: written by a newer lykta (schema {found}, this one knows {known}); install that \
         version again, or move the file away to begin anew",
        file.display()
    )]
    Schema {
        /// The database file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// The file is another than it was, or not there though it was before.
    #[error("{}: {what}", file.display())]
    Gone {
        /// The database file.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A damaged file cannot be read or renamed.
    #[error("{}: damaged, and cannot be set aside: {source}", file.display())]
    SetAside {
        /// The database file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A damaged file could not be set aside a moment ago.
    #[error("{}: damaged, and not to be replaced yet: {why}", file.display())]
    Damage {
        /// The database file.
        file: PathBuf,
        /// What stands against it.
        why: String,
    },
}

/// How important a message is: decides the order out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Somebody must act now.
    Alarm = 0,
    /// Something happened.
    Event = 1,
    /// What to do next.
    Plan = 2,
    /// What a sensor said.
    Measurement = 3,
    /// How the gateway is.
    Diagnostic = 4,
}

impl Class {
    /// All classes, most important first.
    pub const ALL: [Self; 5] =
        [Self::Alarm, Self::Event, Self::Plan, Self::Measurement, Self::Diagnostic];

    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Event => "event",
            Self::Plan => "plan",
            Self::Measurement => "measurement",
            Self::Diagnostic => "diagnostic",
        }
    }

    /// Between which keys its messages lie; neither is one of them.
    fn keys(self) -> (i64, i64) {
        (Key::new(self, 0).0, (self as i64 + 1) << Key::SEQUENCE_BITS)
    }
}

/// A message's place in the outbox: its class in the upper 8 bits, then its sequence number.
/// So the most important is always first, and no second index is written to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(i64);

impl Key {
    const SEQUENCE_BITS: u32 = 56;

    /// The key of the n-th message of this store.
    pub fn new(class: Class, sequence: u64) -> Self {
        debug_assert!(sequence >> Self::SEQUENCE_BITS == 0, "2^56 messages outlast the gateway");
        Self((class as i64) << Self::SEQUENCE_BITS | sequence as i64)
    }

    /// How important the message is.
    pub fn class(self) -> Option<Class> {
        Class::ALL.get((self.0 >> Self::SEQUENCE_BITS) as usize).copied()
    }

    /// The number that is unique in this store and never used again.
    pub fn sequence(self) -> u64 {
        self.0 as u64 & ((1 << Self::SEQUENCE_BITS) - 1)
    }
}

/// A message to be kept until the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How important it is.
    pub class: Class,
    /// When it was measured, by this clock in this boot.
    pub at: Moment,
    /// Its topic, below `{prefix}/{gateway}/{tenant}/`.
    pub topic: String,
    /// A JSON object, without what every message has (id, times, clock).
    pub body: String,
}

/// All that one accepted frame, report or command leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which device it is about.
    pub dev_eui: DevEui,
    /// What changed in what is remembered of it.
    pub changes: Changes,
    /// A downlink that waits for it from now on.
    pub queued: Option<Downlink>,
    /// A command that was answered.
    pub command: Option<Command>,
    /// What rooms remember from now on.
    pub states: Vec<State>,
    /// What goes to the cloud.
    pub messages: Vec<Message>,
}

impl Entry {
    /// Whether it must not wait for others to share its write: there is more in it than what a
    /// sensor says every day.
    pub fn is_urgent(&self) -> bool {
        self.messages.iter().any(|message| message.class < Class::Measurement)
    }
}

/// A command that was answered, so that it is never executed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id.
    pub id: String,
    /// The body of the reply.
    pub reply: String,
}

/// The writing view of a tenant's database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    file: PathBuf,
    clock: Clock,
    epoch: String,
    next_sequence: u64,
    /// Numbers below this one are taken.
    reserved: u64,
    /// How many changes of what is remembered wait to be folded.
    recent: u64,
    /// The row of this boot.
    boot: Option<Boot>,
    /// When the time is to be noted next, by the monotonic clock.
    note_at: Duration,
    /// The sessions once more; `None` while that file cannot be used.
    copy: Option<Copy>,
    condition: Arc<Condition>,
    /// What became of a damaged file, until somebody asks.
    rescue: Option<Rescue>,
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
    /// When the file cannot be opened or made, or is of a newer version.
    pub fn open(file: &Path, clock: &Clock) -> Result<Self, StoreError> {
        Self::open_both(file, clock).map(|(store, _)| store)
    }

    /// Opens both views of a tenant's database.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_both(file: &Path, clock: &Clock) -> Result<(Self, Outbox), StoreError> {
        let now = clock.now();
        let io = |source| StoreError::SetAside { file: file.to_owned(), source };
        let exists = rescue::resume(file, now.wall).map_err(io)?;
        let copy = Copy::open(&Copy::beside(file), now.monotonic);
        let copied = copy.as_ref().is_ok();
        let copy = copy.ok();
        let known = copy.as_ref().and_then(Copy::identity);
        let opened = match is_as_left(file, exists, known.is_some()) {
            Ok(()) => Opened::new(file),
            Err(gone) => Err(gone),
        };
        let (opened, rescue) = match opened {
            Ok(opened) => (opened, None),
            // one that a newer version had opened would have a newer copy, too
            Err(StoreError::Schema { .. }) if copied && known.is_some() => {
                let what = "its version is damaged";
                let reason = StoreError::Gone { file: file.to_owned(), what };
                let rescue = rescue::rescue(file, &reason.to_string(), known.clone(), now.wall)?;
                (Opened::new(file)?, Some(rescue))
            }
            Err(reason @ (StoreError::Damaged { .. } | StoreError::Gone { .. })) => {
                let rescue = rescue::rescue(file, &reason.to_string(), known.clone(), now.wall)?;
                (Opened::new(file)?, Some(rescue))
            }
            Err(error) => return Err(error),
        };
        let condition = Arc::<Condition>::default();
        let Opened { db, known: own, seen, recent, outbox } = opened;
        if let Some(seen) = seen {
            clock.raise_floor(seen);
        }
        // a log that was cut off takes the newest reserve with it, and no number comes twice
        let copied =
            known.filter(|known| known.epoch == own.epoch).map(|known| known.next_sequence);
        let next_sequence = own.next_sequence.max(copied.unwrap_or(1)).max(outbox.1 + 1);
        let mut store = Self {
            db,
            file: file.to_owned(),
            clock: clock.clone(),
            epoch: own.epoch,
            next_sequence,
            reserved: own.next_sequence,
            recent,
            boot: None,
            note_at: Duration::ZERO,
            copy,
            condition: Arc::clone(&condition),
            rescue: None,
            shedding: None,
            age_at: Duration::ZERO,
            again: None,
        };
        store.reconcile(rescue.is_some())?;
        store.rescue = rescue;
        // numbers to go on with, should the disk take nothing from now on; if it already does not,
        // the first commit says so
        let _ = store.write(&[]);
        Ok((store, outbox.0.tied_to(condition)))
    }

    /// Brings what only the copy knows back into the first file, and the copy up to date.
    fn reconcile(&mut self, rescued: bool) -> Result<(), StoreError> {
        let now = self.clock.now().monotonic;
        let Some(copy) = &mut self.copy else { return Ok(()) };
        let failed = |e| failed(&self.file, e);
        // a copy that cannot be read is none
        let theirs = copy.memory().unwrap_or_default();
        let mine = memory::read(&self.db).map_err(failed)?;
        let missing = copy::missing(&mine, &theirs, rescued);
        if missing != Memory::default() {
            let mut restore = || {
                let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let recent = memory::restore(&tx, &missing, self.recent)?;
                tx.commit()?;
                Ok(recent)
            };
            self.recent = restore().map_err(failed)?;
        }
        if copy.refresh(&self.db, now).is_err() {
            self.copy = None;
        }
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

    /// What became of a damaged file; told once.
    pub fn take_rescue(&mut self) -> Option<Rescue> {
        self.rescue.take()
    }

    /// What is remembered of all devices.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self) -> Result<Memory, StoreError> {
        memory::read(&self.db).map_err(|e| failed(&self.file, e))
    }

    /// What a room remembers, by key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn states(&self, room: Room) -> Result<Vec<(String, String)>, StoreError> {
        let states = remembered::read(&self.db, room).map_err(|e| failed(&self.file, e))?;
        Ok(states.into_iter().collect())
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
        read().map_err(|e| failed(&self.file, e)).inspect_err(|error| self.suspect(error))
    }

    /// Keeps an alarm in memory that the disk has not taken: it goes out under the number that it
    /// will have there, and goes to the disk with the next commit. Given back when there is no
    /// room for it.
    ///
    /// # Errors
    /// With the alarm.
    pub fn keep(&mut self, alarm: Message) -> Result<(), Message> {
        let mut kept = self.condition.kept();
        // a number that is not in reserve might be given out again after a crash
        if kept.len() >= MAX_KEPT || self.next_sequence >= self.reserved {
            return Err(alarm);
        }
        kept.insert(Key::new(alarm.class, self.next_sequence), (alarm, self.epoch.clone()));
        self.next_sequence += 1;
        Ok(())
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
        let result = self.write(entries).map_err(|source| failed(&self.file, source));
        let result = match result {
            Err(error @ StoreError::Damaged { .. }) => {
                self.suspect(&error);
                self.recover()?;
                self.write(entries).map_err(|source| failed(&self.file, source))
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
        if let Some(copy) = &mut self.copy {
            // the first file has it all: a copy that cannot be written is tried anew at the start
            if copy.note(&self.db, entries, now).is_err() {
                self.copy = None;
            }
        }
    }

    /// Replaces a damaged file by a new one with what can be read of it.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(reason) = self.condition.damage() else { return Ok(()) };
        let now = self.clock.now();
        if let Some((at, why)) = &self.again
            && now.monotonic < *at
        {
            return Err(StoreError::Damage { file: self.file.clone(), why: why.clone() });
        }
        let next_sequence = self.next_sequence.max(self.reserved);
        let known = Identity { epoch: self.epoch.clone(), next_sequence };
        let replaced = rescue::rescue(&self.file, &reason, Some(known), now.wall)
            .and_then(|rescue| Ok((rescue, Opened::new(&self.file)?)));
        let (rescue, opened) = match replaced {
            Ok(replaced) => replaced,
            Err(error) => {
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
        self.reconcile(true)
    }

    /// Writes down when this boot began, as soon as somebody has set the clock: what was written
    /// before can then be told by it.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn note_clock(&mut self) -> Result<(), StoreError> {
        match self.boot {
            Some(boot) if boot.began.is_none() && Boot::began(self.clock.now()).is_some() => {
                self.commit(&[])
            }
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
        let is_news = |boot: Boot| boot.began.is_none() && Boot::began(now).is_some();
        let (boot, note_at) = match self.boot {
            Some(boot) if now.monotonic < self.note_at && !is_news(boot) => (boot, self.note_at),
            _ => (boots::note(&tx, self.clock.boot(), now)?, now.monotonic + NOTE),
        };
        {
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
                put(&tx, *key, message, boot, Some(epoch).filter(|epoch| **epoch != self.epoch))?;
            }
            if next + IN_HAND > reserved {
                reserved = next + RESERVE;
                tx.prepare_cached("UPDATE store SET next_sequence = ?1")?
                    .execute([reserved as i64])?;
            }
        }
        tx.commit()?;
        kept.clear();
        drop(kept);
        (self.next_sequence, self.reserved, self.recent) = (next, reserved, recent);
        (self.boot, self.note_at) = (Some(boot), note_at);
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

/// A database that was opened, and looked through as far as is needed at the start.
struct Opened {
    db: Connection,
    known: Identity,
    seen: Option<Timestamp>,
    recent: u64,
    /// The reading view, and the highest number that waits in it.
    outbox: (Outbox, u64),
}

impl Opened {
    fn new(file: &Path) -> Result<Self, StoreError> {
        let db = schema::open(file)?;
        let read = || {
            db.pragma_update(None, "synchronous", "FULL")?;
            let known = copy::identity(&db)?;
            let seen = db.query_row("SELECT seen_us FROM store", [], |row| time(row, 0))?;
            memory::read(&db)?;
            for room in [Room::Bins, Room::Plans, Room::Orders] {
                remembered::read(&db, room)?;
            }
            boots::read(&db)?;
            Ok((known, seen, remembered::recent(&db)?))
        };
        let (known, seen, recent) = read().map_err(|e| failed(file, e))?;
        is_as_long_as_it_says(&db, file)?;
        let len = std::fs::metadata(file).map_or(0, |file| file.len());
        if len <= LOOKED_THROUGH {
            let check = "PRAGMA quick_check(1)";
            let found = db.query_row(check, [], |row| row.get::<_, String>(0));
            if found.map_err(|e| failed(file, e))? != "ok" {
                let what = "its pages do not fit together";
                return Err(StoreError::Gone { file: file.to_owned(), what });
            }
        }
        let outbox = Outbox::open(file)?;
        let last = outbox.last_sequence()?;
        if known.next_sequence.max(last) >= rescue::LAST as u64 {
            let what = "its numbers are damaged";
            return Err(StoreError::Gone { file: file.to_owned(), what });
        }
        Ok(Self { db, known, seen, recent, outbox: (outbox, last) })
    }
}

/// Whether the file has the pages that it says it has. One that was cut off has not, and to one
/// whose own word of its size or kind is damaged every disk is full.
fn is_as_long_as_it_says(db: &Connection, file: &Path) -> Result<(), StoreError> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let said = number("page_count").and_then(|pages| Ok(pages * number("page_size")?));
    let said = said.map_err(|e| failed(file, e))?;
    let len = |file: &Path| std::fs::metadata(file).map_or(0, |file| file.len());
    // a bit in the header, and no file of ours has it set
    let moves = number("auto_vacuum").map_err(|e| failed(file, e))? != 0;
    // the newest pages may be in the log alone
    if moves || said.cast_unsigned() > len(file) + len(&damaged::with(file, "-wal")) {
        let what = "it is shorter than it says";
        return Err(StoreError::Gone { file: file.to_owned(), what });
    }
    Ok(())
}

/// Whether the file is there as it was left, before SQLite looks at it: that takes an empty one
/// for a new one, and throws its log away.
fn is_as_left(file: &Path, exists: bool, is_known: bool) -> Result<(), StoreError> {
    let len = |file: &Path| std::fs::metadata(file).map_or(0, |file| file.len());
    let gone = |what| Err(StoreError::Gone { file: file.to_owned(), what });
    if len(file) == 0 && (is_known || len(&damaged::with(file, "-wal")) > 0) {
        return gone(if exists { "the file is empty" } else { "the file is gone" });
    }
    if !pages::log_is_sound(file) {
        return gone("its write-ahead log is damaged");
    }
    Ok(())
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

fn failed(file: &Path, source: rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    use rusqlite::ffi;
    let file = file.to_owned();
    let is_damage = match &source {
        Error::SqliteFailure(error, _) => {
            matches!(error.code, DatabaseCorrupt | NotADatabase)
                // a table or a column that is not there, and was
                || (error.code == Unknown && error.extended_code == ffi::SQLITE_ERROR)
                || [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ]
                    .contains(&error.extended_code)
        }
        Error::SqlInputError { .. } => true,
        // a value that was never written
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    };
    match is_damage {
        true => StoreError::Damaged { file, source },
        false => StoreError::Sqlite { file, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Abp;
    use crate::lorawan::{Counter, Join, Link, Session, Slot};
    use crate::units::{AesKey, DevAddr};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn session(f_cnt_up: u32) -> Session {
        Session {
            derived: None,
            counter: Some(Counter { f_cnt_up, high_water: f_cnt_up, reset_at: None }),
            f_cnt_down: 3,
            link: Link::default(),
            binding: [8; 8],
        }
    }

    fn entry(dev_eui: u64, f_cnt: u32, classes: &[Class]) -> Entry {
        let message = |class: &Class| Message {
            class: *class,
            at: Moment {
                wall: Timestamp::from_second(f_cnt.into()).expect("in range"),
                quality: ClockQuality::Synced,
                monotonic: Duration::ZERO,
            },
            topic: format!("device/{}/readings", DevEui(dev_eui)),
            body: format!(r#"{{"n":{f_cnt}}}"#),
        };
        Entry {
            dev_eui: DevEui(dev_eui),
            changes: Changes {
                sessions: vec![(Slot::Active, Some(session(f_cnt)))],
                ..Changes::default()
            },
            queued: None,
            command: None,
            states: Vec::new(),
            messages: classes.iter().map(message).collect(),
        }
    }

    #[test]
    fn counter_and_messages_survive_a_restart_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        let epoch = Outbox::open(&file).expect("opens").epoch().to_owned();
        store.commit(&[entry(u64::MAX, 70_000, &[Class::Measurement; 2])]).expect("commits");
        drop(store);

        let mut store = Store::open(&file, &Clock::system()).expect("opens again");
        let memory = store.memory().expect("reads");
        assert_eq!(memory.sessions[&(DevEui(u64::MAX), Slot::Active)], session(70_000));
        store.commit(&[entry(1, 1, &[Class::Alarm])]).expect("commits");
        let mut outbox = Outbox::open(&file).expect("opens again");
        assert_eq!(outbox.epoch(), epoch);
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 10).expect("reads");
        let order: Vec<_> = rows.iter().map(|row| row.key.sequence()).collect();
        let [alarm, 1, 2] = order[..] else { panic!("the alarm first, then {order:?}") };
        assert!(alarm > 2, "no number twice");

        outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).expect("removes");
        drop((store, outbox));
        let mut store = Store::open(&file, &Clock::system()).expect("opens a third time");
        store.commit(&[entry(1, 2, &[Class::Alarm])]).expect("commits");
        let outbox = Outbox::open(&file).expect("opens");
        assert!(outbox.last_sequence().expect("reads") > alarm, "an empty outbox forgets none");
    }

    /// Of a message that was written at this moment: what is told about its time in the end.
    fn told(file: &Path, most: usize) -> Vec<(Timestamp, ClockQuality, Option<Duration>)> {
        let mut outbox = Outbox::open(file).expect("opens");
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), most).expect("reads");
        rows.into_iter().map(|row| (row.told.time, row.told.clock, row.told.error)).collect()
    }

    #[test]
    fn what_was_written_before_the_clock_was_set_is_told_by_it_afterwards() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let hours = |n: i64| noon + jiff::SignedDuration::from_hours(n);
        let at = |clock: &Clock| {
            let mut entry = entry(1, 1, &[Class::Measurement]);
            entry.messages[0].at = clock.now();
            [entry]
        };
        // a boot with a set clock
        let first = Clock::simulated(noon, 0);
        Store::open(&file, &first).and_then(|mut s| s.commit(&at(&first))).expect("commits");
        // one whose clock nobody sets: it goes on from what was seen
        let second = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
        let mut store = Store::open(&file, &second).expect("opens");
        assert!(second.now().wall >= noon, "the floor");
        store.commit(&at(&second)).expect("commits");
        assert_eq!(told(&file, 9)[1].1, ClockQuality::Unsynced, "nothing is known yet");
        drop(store);
        // and one whose clock is set after a while
        let third = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
        let mut store = Store::open(&file, &third).expect("opens");
        store.commit(&at(&third)).expect("commits");
        store.note_clock().expect("nothing to note");
        third.set(hours(6), ClockQuality::Synced);
        store.note_clock().expect("notes");
        let told = told(&file, 9);
        assert_eq!(told[0], (noon, ClockQuality::Synced, None));
        let three_hours = Duration::from_secs(3 * 3600);
        assert_eq!(told[1], (hours(3), ClockQuality::Estimated, Some(three_hours)));
        assert_eq!(told[2], (hours(6), ClockQuality::Estimated, None));
    }

    #[test]
    fn joins_and_waiting_downlinks_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        let dev_eui = DevEui(7);
        let key = |byte| AesKey([byte; 16]);
        let derived = Abp { dev_addr: DevAddr(u32::MAX), nwk_s_key: key(1), app_s_key: key(2) };
        let joined = Session { derived: Some(derived), counter: None, ..session(0) };
        let join = |binding, join_nonce, dev_nonce| Entry {
            changes: Changes {
                sessions: vec![(Slot::Pending, Some(joined.clone()))],
                join: Some(Join { binding: [binding; 8], join_nonce, dev_nonce }),
                ended: Vec::new(),
            },
            ..entry(7, 0, &[])
        };
        let item = Downlink {
            id: "open".into(),
            f_port: 3,
            payload: vec![0, 255],
            confirmed: true,
            expires: Timestamp::from_second(99).expect("in range"),
        };
        let queued = Entry { queued: Some(item.clone()), ..entry(7, 5, &[]) };
        store.commit(&[join(1, 4, 40), join(1, 5, 41), queued]).expect("commits");
        drop(store);

        let mut store = Store::open(&file, &Clock::system()).expect("opens again");
        let memory = store.memory().expect("reads");
        assert_eq!(memory.sessions[&(dev_eui, Slot::Pending)], joined);
        assert_eq!(memory.sessions[&(dev_eui, Slot::Active)], session(5));
        assert_eq!(memory.joins[&dev_eui].join_nonce, 5);
        assert_eq!(memory.joins[&dev_eui].dev_nonces, BTreeSet::from([40, 41]));
        assert_eq!(memory.downlinks, [(dev_eui, item)]);

        let mut another_key = join(2, 1, 40);
        another_key.changes.ended.push("open".into());
        store.commit(&[another_key]).expect("commits");
        let memory = store.memory().expect("reads");
        assert_eq!(memory.joins[&dev_eui].dev_nonces, BTreeSet::from([40]), "numbers of that key");
        assert_eq!(memory.downlinks, []);
    }

    #[test]
    fn a_command_is_known_by_its_id_for_a_thousand_more() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(&dir.path().join("waste.db"), &Clock::system()).expect("opens");
        let answered = |n: usize| Entry {
            command: Some(Command { id: format!("c{n}"), reply: format!("{{\"n\":{n}}}") }),
            changes: Changes::default(),
            ..entry(1, 0, &[])
        };
        store.commit(&(0..1_001).map(answered).collect::<Vec<_>>()).expect("commits");
        assert_eq!(store.reply("c0").expect("reads"), None);
        assert_eq!(store.reply("c1").expect("reads").as_deref(), Some("{\"n\":1}"));
        assert_eq!(store.reply("c1000").expect("reads").as_deref(), Some("{\"n\":1000}"));
    }

    #[test]
    fn what_rooms_remember_is_kept_with_what_brought_it_about() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        let told = |room, key: &str, body: &str| Entry {
            states: vec![State { room, key: key.into(), body: body.into() }],
            ..entry(1, 0, &[])
        };
        let entries = [
            told(Room::Bins, "7", "{}"),
            told(Room::Plans, "7", r#"{"a":1}"#),
            told(Room::Bins, "7", r#"{"b":2}"#),
        ];
        store.commit(&entries).expect("commits");
        drop(store);
        let store = Store::open(&file, &Clock::system()).expect("opens again");
        let one = |body: &str| vec![("7".to_owned(), body.to_owned())];
        assert_eq!(store.states(Room::Bins).expect("reads"), one(r#"{"b":2}"#));
        assert_eq!(store.states(Room::Plans).expect("reads"), one(r#"{"a":1}"#));
    }

    #[test]
    fn a_newer_schema_and_a_broken_file_are_told_apart() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let db = Connection::open(&file).expect("opens");
        db.pragma_update(None, "user_version", 99).expect("writes");
        drop(db);
        let error = Store::open(&file, &Clock::system()).expect_err("too new").to_string();
        assert!(error.contains("newer lykta (schema 99"), "{error}");
        assert!(file.exists(), "it is not touched");
        std::fs::write(&file, b"not a database at all, but long enough to look like one")
            .expect("writes");
        let mut store = Store::open(&file, &Clock::system()).expect("goes on");
        let rescue = store.take_rescue().expect("it was broken");
        assert!(rescue.reason.contains("waste.db: file is not a database"), "{rescue:?}");
        assert!(rescue.aside.exists() && rescue.saved == [0; 5]);
        store.commit(&[entry(1, 1, &[Class::Alarm])]).expect("works");
    }

    #[test]
    fn a_full_disk_takes_nothing_half() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        store.db.pragma_update(None, "max_page_count", 20).expect("sets");
        let mut big = entry(1, 1, &[Class::Measurement]);
        big.messages[0].body = (0..100_000).map(|_| fastrand::alphanumeric()).collect();
        store.commit(&[entry(2, 1, &[Class::Event]), big]).expect_err("full");
        assert_eq!(store.memory().expect("reads"), Memory::default());
        store.commit(&[entry(2, 1, &[Class::Event])]).expect("a small one still fits");
        let mut outbox = Outbox::open(&file).expect("opens");
        assert_eq!(
            outbox.next(Class::Diagnostic, &mut Cursor::default(), 9).expect("reads")[0]
                .key
                .sequence(),
            1
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// However the clock jumps, by hours and years, back and forth, and whoever sets it when:
        /// what was written while nobody had set it is told by the first time that it was set to,
        /// and what was written afterwards by its own time.
        #[test]
        fn no_jump_of_the_clock_makes_a_time_wrong(
            jumps in prop::collection::vec((-200_000i64..200_000, any::<bool>(), 0usize..3), 1..12),
            began in 1_500_000_000i64..2_000_000_000,
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            let second = |s| Timestamp::from_second(s).expect("in range");
            let clock = Clock::simulated_as(ClockQuality::Unsynced, second(began), 1);
            let mut store = Store::open(&file, &clock).expect("opens");
            let (mut wanted, mut first) = (Vec::new(), None);
            for (jump, is_set, messages) in jumps {
                let quality = if is_set { ClockQuality::Synced } else { ClockQuality::Unsynced };
                let now = clock.now().wall;
                clock.set(second(now.as_second() + jump), quality);
                store.note_clock().expect("notes");
                for _ in 0..messages {
                    let at = clock.now();
                    let mut entry = entry(1, 1, &[Class::Measurement]);
                    entry.messages[0].at = at;
                    store.commit(&[entry]).expect("commits");
                    wanted.push((at.quality == ClockQuality::Synced).then_some(at.wall));
                }
                if is_set {
                    first.get_or_insert(clock.now().wall);
                }
            }
            let told = told(&file, 1000);
            prop_assert_eq!(told.len(), wanted.len());
            for ((time, quality, error), wanted) in told.into_iter().zip(wanted) {
                prop_assert_eq!(error, None, "it is the present boot");
                match (wanted, first) {
                    (Some(own), _) => {
                        prop_assert_eq!(time.as_microsecond(), own.as_microsecond());
                        prop_assert_eq!(quality, ClockQuality::Synced);
                    }
                    (None, Some(first)) => {
                        prop_assert_eq!(quality, ClockQuality::Estimated);
                        let off = time.duration_since(first).abs();
                        prop_assert!(off < jiff::SignedDuration::from_secs(10), "{off}");
                    }
                    (None, None) => prop_assert_eq!(quality, ClockQuality::Unsynced),
                }
            }
        }
    }

    #[test]
    fn only_what_a_sensor_says_every_day_waits_for_others() {
        for class in Class::ALL {
            let urgent = entry(1, 1, &[Class::Measurement, class]).is_urgent();
            assert_eq!(urgent, class < Class::Measurement, "{}", class.as_str());
        }
        assert!(!entry(1, 1, &[]).is_urgent());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// However it is read and acknowledged, every message is seen, most important first.
        #[test]
        fn nothing_is_skipped(
            classes in prop::collection::vec(prop::sample::select(&Class::ALL), 1..40),
            limit in 1usize..8,
            removed in prop::collection::vec(any::<bool>(), 40),
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            let mut store = Store::open(&file, &Clock::system()).expect("opens");
            let mut outbox = Outbox::open(&file).expect("opens");
            store.commit(&[entry(1, 1, &classes)]).expect("commits");
            let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
            loop {
                let rows = outbox.next(Class::Diagnostic, &mut cursor, limit).expect("reads");
                if rows.is_empty() { break }
                let gone: Vec<_> = rows.iter().map(|r| r.key)
                    .filter(|k| removed[k.sequence() as usize % removed.len()]).collect();
                outbox.remove(&gone).expect("removes");
                seen.extend(rows.into_iter().map(|r| r.key));
            }
            prop_assert!(seen.is_sorted());
            let sequences: BTreeSet<_> = seen.iter().map(|k| k.sequence()).collect();
            prop_assert_eq!(sequences.len(), classes.len());
            let again = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100).expect("reads");
            let kept: Vec<_> = seen.into_iter()
                .filter(|k| !removed[k.sequence() as usize % removed.len()]).collect();
            prop_assert_eq!(again.iter().map(|r| r.key).collect::<Vec<_>>(), kept.clone());
            let last = kept.iter().map(|key| key.sequence()).max().unwrap_or(0);
            prop_assert_eq!(outbox.last_sequence().expect("reads"), last);
        }
    }
}
