//! The sessions of devices, kept twice: a device whose session is lost is not heard any more until
//! somebody goes there.
//!
//! The second file has the same tables as the first, without messages. Joins are written to it at
//! once, counters now and then, since each costs a write to the card. So it may be behind, by at
//! most [`BEHIND`] uplinks: what was not counted up is no harm, as an uplink with a greater counter
//! is always accepted, and the counters of downlinks jump ahead of whatever may have been sent.

use super::damaged;
use super::remembered::{self, Room, State};
use super::rescue::Identity;
use super::{Database, Entry, StoreError, failed, memory, schema};
use crate::lorawan::{Memory, Session, Slot};
use crate::units::DevEui;
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The counters are written after so many uplinks of the tenant, or after this time along with
/// something else.
const BEHIND: u64 = 2048;
const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// So far the counter of downlinks jumps: more than are sent for [`BEHIND`] uplinks, and so few
/// that a device takes three jumps in a row for frames that it has missed (LoRaWAN 1.0.3,
/// `MAX_FCNT_GAP` 16,384).
const JUMP: u32 = 4096;

/// The counters of downlinks, by session.
pub(super) type Counters = HashMap<(DevEui, Slot), u32>;

/// The log is copied back so often: this file is small.
const CHECKPOINT_BYTES: i64 = 128 << 10;

/// The second file.
#[derive(Debug)]
pub(super) struct Copy {
    db: Connection,
    file: PathBuf,
    /// Changes of sessions since all were written.
    changes: u64,
    /// When they are written at the latest, by the monotonic clock.
    due: Duration,
    /// Whether it was damaged, and is a new one.
    pub(super) is_renewed: bool,
}

impl Copy {
    /// Where it is.
    pub(super) fn beside(file: &Path) -> PathBuf {
        file.with_extension("sessions.db")
    }

    /// Opens it or makes it. A damaged one makes way for a new one: the first file has it all.
    pub(super) fn open(database: &Database, now: Duration) -> Result<Self, StoreError> {
        match Self::open_sound(database, now) {
            Err(StoreError::Damaged { .. }) => {
                let file = database.file();
                let io = |source| StoreError::SetAside { file: file.to_owned(), source };
                if database.is_sealed() {
                    // it may be of the time before the key
                    damaged::erase(file).map_err(io)?;
                }
                damaged::remove(file).map_err(io)?;
                Ok(Self { is_renewed: true, ..Self::open_sound(database, now)? })
            }
            opened => opened,
        }
    }

    fn open_sound(database: &Database, now: Duration) -> Result<Self, StoreError> {
        let file = database.file();
        let db = schema::open(database)?;
        let prepare = || {
            db.pragma_update(None, "synchronous", "NORMAL")?;
            let pages = CHECKPOINT_BYTES / schema::page_size(&db)?;
            db.pragma_update(None, "wal_autocheckpoint", pages)?;
            memory::read(&db)
        };
        prepare().map_err(|e| failed(file, e))?;
        Ok(Self { db, file: file.to_owned(), changes: 0, due: now + PERIOD, is_renewed: false })
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    /// Which store it is a copy of; `None` of none yet.
    pub(super) fn identity(&self) -> Option<Identity> {
        identity(&self.db).ok().filter(|known| known.next_sequence > 1)
    }

    /// What it remembers.
    pub(super) fn memory(&self) -> Result<Memory, StoreError> {
        memory::read(&self.db).map_err(|e| failed(&self.file, e))
    }

    /// Takes note of what was written to the first file. Joins and keys are on the disk when it
    /// returns, or soon after; the rest when it is time.
    pub(super) fn note(
        &mut self,
        main: &Connection,
        entries: &[Entry],
        now: Duration,
    ) -> rusqlite::Result<()> {
        let consents = entries.iter().flat_map(|entry| &entry.states);
        let mut consents = consents.filter(|state| state.room == Room::Consent).peekable();
        if consents.peek().is_some() {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            remembered::write(&tx, consents.map(State::word), 0)?;
            tx.commit()?;
        }
        self.changes +=
            entries.iter().map(|entry| entry.changes.sessions.len() as u64).sum::<u64>();
        if self.changes >= BEHIND || (self.changes > 0 && now >= self.due) {
            return self.refresh(main, now);
        }
        let changes_keys = |entry: &&Entry| {
            entry.changes.join.is_some() || entry.changes.sessions.iter().any(|(_, s)| s.is_none())
        };
        let entries: Vec<_> = entries.iter().filter(changes_keys).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for entry in entries {
            memory::write_join(&tx, entry)?;
            for (slot, session) in &entry.changes.sessions {
                let (key, body) = memory::word(entry.dev_eui, *slot, session.as_ref());
                put(&tx, &key, body.as_deref())?;
            }
        }
        tx.commit()
    }

    /// Numbers of the first file up to here are taken.
    pub(super) fn reserve(&mut self, known: &Identity) -> rusqlite::Result<()> {
        identify(&self.db, known)
    }

    /// Makes it what the first file is, but for devices of which that knows nothing at all: no
    /// device ever ends without a session. Of consent it takes what it does not know: which of two
    /// words is the newer one, only whoever said them knows.
    pub(super) fn refresh(&mut self, main: &Connection, now: Duration) -> rusqlite::Result<()> {
        let known = identity(main)?;
        let theirs = remembered::read(main, Room::Sessions)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mine = remembered::read(&tx, Room::Sessions)?;
        for (key, body) in &theirs {
            if mine.get(key) != Some(body) {
                put(&tx, key, Some(body))?;
            }
        }
        let is_known = |key: &str| theirs.contains_key(memory::of_active(key));
        for key in mine.keys().filter(|key| !theirs.contains_key(*key) && is_known(key)) {
            put(&tx, key, None)?;
        }
        let consents = |db| remembered::read(db, Room::Consent);
        let mine = consents(&tx)?;
        for (key, body) in consents(main)?.into_iter().filter(|(key, _)| !mine.contains_key(key)) {
            remembered::write(&tx, [(Room::Consent, &*key, Some(&*body))], 0)?;
        }
        memory::copy_joins(main, &tx)?;
        identify(&tx, &known)?;
        tx.commit()?;
        (self.changes, self.due) = (0, now + PERIOD);
        Ok(())
    }

    /// Whether counters have changed since all were written.
    pub(super) fn is_behind(&self) -> bool {
        self.changes > 0
    }
}

fn put(db: &Connection, key: &str, body: Option<&str>) -> rusqlite::Result<()> {
    let body = body.map(super::packing::bytes);
    remembered::put(db, Room::Sessions as u8, key, body.as_deref())
}

pub(super) fn identity(db: &Connection) -> rusqlite::Result<Identity> {
    db.query_row("SELECT epoch, next_sequence FROM store", [], |row| {
        let next: i64 = row.get(1)?;
        Ok(Identity { epoch: row.get(0)?, next_sequence: next.max(1).cast_unsigned() })
    })
}

/// Says which store it is a copy of, where it does not say so yet.
fn identify(db: &Connection, known: &Identity) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE store SET epoch = ?1, next_sequence = ?2
         WHERE epoch != ?1 OR next_sequence != ?2",
        params![known.epoch, known.next_sequence as i64],
    )
    .map(|_| ())
}

/// What the first file is to remember, where that differs from what it does: it may have lost a
/// part, or its last writes without a word, as when its log was cut off. When it was `rescued`, the
/// counters of downlinks that whoever asks goes on with are given: they are right, and all others
/// jump.
pub(super) fn missing(main: &Memory, copy: &Memory, rescued: Option<&Counters>) -> Memory {
    let mut missing = Memory::default();
    let join_nonce = |memory: &Memory, dev_eui| memory.joins.get(dev_eui).map(|j| j.join_nonce);
    // what was made with another key is no use
    let fits = |dev_eui: &DevEui, theirs| {
        let joined = main.joins.get(dev_eui).map(|joins| joins.binding);
        let session = || main.sessions.get(&(*dev_eui, Slot::Active)).map(|mine| mine.binding);
        joined.or_else(session).is_none_or(|mine| mine == theirs)
    };
    let known: BTreeSet<DevEui> = main.sessions.keys().map(|(dev_eui, _)| *dev_eui).collect();
    let mut sessions: HashMap<(DevEui, Slot), Session> = HashMap::new();
    for (key, theirs) in &copy.sessions {
        // how often it has joined with another key says nothing of which is newer
        let lost_join =
            fits(&key.0, theirs.binding) && join_nonce(copy, &key.0) > join_nonce(main, &key.0);
        if lost_join || (rescued.is_some() && !known.contains(&key.0)) {
            sessions.insert(*key, theirs.clone());
        }
    }
    for (key, mine) in &main.sessions {
        if sessions.contains_key(key) {
            continue;
        }
        let mut session = mine.clone();
        let mut behind = rescued.is_some();
        if let Some(theirs) = copy.sessions.get(key)
            && (&theirs.derived, theirs.binding) == (&mine.derived, mine.binding)
        {
            // one that was allowed to count anew is newer, however low it is
            let rank = |session: &Session| session.counter.map(|c| (c.reset_at, c.f_cnt_up));
            if rank(theirs) > rank(mine) {
                session.counter = theirs.counter;
                behind = true;
            }
            behind |= theirs.f_cnt_down > mine.f_cnt_down;
            session.f_cnt_down = mine.f_cnt_down.max(theirs.f_cnt_down);
        }
        if behind {
            sessions.insert(*key, session);
        }
    }
    for (key, session) in &mut sessions {
        session.f_cnt_down = match rescued.and_then(|counters| counters.get(key)) {
            Some(f_cnt_down) => session.f_cnt_down.max(*f_cnt_down),
            None => session.f_cnt_down.saturating_add(JUMP),
        };
    }
    missing.sessions = sessions;
    for (dev_eui, theirs) in &copy.joins {
        let mine = main.joins.get(dev_eui);
        if !fits(dev_eui, theirs.binding) {
            continue;
        }
        let mut joins = mine.unwrap_or(theirs).clone();
        joins.join_nonce = joins.join_nonce.max(theirs.join_nonce);
        joins.dev_nonces.extend(&theirs.dev_nonces);
        if mine != Some(&joins) {
            missing.joins.insert(*dev_eui, joins);
        }
    }
    missing
}
