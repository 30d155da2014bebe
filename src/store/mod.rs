//! What must survive a power cut: one SQLite file for each tenant, and one for the time on the
//! air ([`airtime`]).
//!
//! Two views of a tenant's file. The [`Store`] belongs to the ingest loop and is the only one
//! that adds: an uplink's frame counter and its messages in one transaction, on disk when
//! [`Store::commit`] returns. The [`Outbox`] belongs to the upstream: it reads what is waiting
//! and removes what was acknowledged.
//!
//! The settings of the file are measured, not guessed: WAL with `synchronous=FULL` loses no
//! committed row in a power cut (NORMAL does), small pages and a WAL that keeps its length
//! spare the SD card, and SQLite is built to call fdatasync (see `.cargo/config.toml`).

pub mod airtime;
mod aside;
mod domain;
mod memory;
mod outbox;
mod schema;

pub use aside::Outcast;
pub use domain::{Room, State};
pub use outbox::{Cursor, Outbox, Row};

use crate::clock::ClockQuality;
use crate::lorawan::{Changes, Downlink, Memory};
use crate::units::DevEui;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::{Path, PathBuf};

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
    #[error(
        "{}: {source}; move it away together with its -wal and -shm, to begin anew without what \
         waits in it",
        file.display()
    )]
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
    /// A damaged file cannot be renamed.
    #[error("{}: damaged, and cannot be set aside: {source}", file.display())]
    SetAside {
        /// The database file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
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
    /// When it was measured.
    pub time: Timestamp,
    /// How far to trust `time`.
    pub clock: ClockQuality,
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
    next_sequence: u64,
}

impl Store {
    /// Opens a tenant's database, or makes a new one.
    ///
    /// # Errors
    /// When the file cannot be opened or made, is no database, or is of a newer version.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let db = schema::open(file)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(|e| failed(file, e))?;
        let next_sequence: i64 = db
            .query_row("SELECT next_sequence FROM store", [], |row| row.get(0))
            .map_err(|e| failed(file, e))?;
        Ok(Self { db, file: file.to_owned(), next_sequence: next_sequence as u64 })
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
        domain::read(&self.db, room).map_err(|e| failed(&self.file, e))
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
        read().map_err(|e| failed(&self.file, e))
    }

    /// Makes uplinks durable: all of them, on disk, when this returns; none of them when it fails.
    ///
    /// # Errors
    /// When the database cannot be written: disk full, read-only, or broken.
    pub fn commit(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let next_sequence = self.write(entries).map_err(|source| failed(&self.file, source))?;
        self.next_sequence = next_sequence;
        Ok(())
    }

    fn write(&mut self, entries: &[Entry]) -> rusqlite::Result<u64> {
        let mut next = self.next_sequence;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut outbox = tx.prepare_cached(
                "INSERT INTO outbox (key, time_us, clock, topic, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for entry in entries {
                memory::write(&tx, entry)?;
                entry.states.iter().try_for_each(|state| domain::write(&tx, state))?;
                for m in &entry.messages {
                    let key = Key::new(m.class, next);
                    next += 1;
                    outbox.execute(params![
                        key.0,
                        m.time.as_microsecond(),
                        m.clock as u8,
                        m.topic,
                        m.body
                    ])?;
                }
            }
            if next != self.next_sequence {
                tx.prepare_cached("UPDATE store SET next_sequence = ?1")?.execute([next as i64])?;
            }
        }
        tx.commit()?;
        Ok(next)
    }
}

fn failed(file: &Path, source: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let file = file.to_owned();
    match source.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged { file, source },
        _ => StoreError::Sqlite { file, source },
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
            time: Timestamp::from_second(f_cnt.into()).expect("in range"),
            clock: ClockQuality::Synced,
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
        let mut store = Store::open(&file).expect("opens");
        let epoch = Outbox::open(&file).expect("opens").epoch().to_owned();
        store.commit(&[entry(u64::MAX, 70_000, &[Class::Measurement; 2])]).expect("commits");
        drop(store);

        let mut store = Store::open(&file).expect("opens again");
        let memory = store.memory().expect("reads");
        assert_eq!(memory.sessions[&(DevEui(u64::MAX), Slot::Active)], session(70_000));
        store.commit(&[entry(1, 1, &[Class::Alarm])]).expect("commits");
        let mut outbox = Outbox::open(&file).expect("opens again");
        assert_eq!(outbox.epoch(), epoch);
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 10).expect("reads");
        let order: Vec<_> = rows.iter().map(|row| row.key.sequence()).collect();
        assert_eq!(order, [3, 1, 2], "the alarm first, and no number twice");

        outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).expect("removes");
        drop((store, outbox));
        let mut store = Store::open(&file).expect("opens a third time");
        store.commit(&[entry(1, 2, &[Class::Alarm])]).expect("commits");
        let outbox = Outbox::open(&file).expect("opens");
        assert_eq!(outbox.last_sequence().expect("reads"), 4, "an empty outbox forgets no number");
    }

    #[test]
    fn joins_and_waiting_downlinks_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file).expect("opens");
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

        let mut store = Store::open(&file).expect("opens again");
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
        let mut store = Store::open(&dir.path().join("waste.db")).expect("opens");
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
        let mut store = Store::open(&file).expect("opens");
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
        let store = Store::open(&file).expect("opens again");
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
        let error = Store::open(&file).expect_err("too new").to_string();
        assert!(error.contains("newer lykta (schema 99"), "{error}");
        std::fs::write(&file, b"not a database at all, but long enough to look like one")
            .expect("writes");
        let error = Store::open(&file).expect_err("broken").to_string();
        assert!(error.contains("waste.db: file is not a database"), "{error}");
    }

    #[test]
    fn a_full_disk_takes_nothing_half() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("waste.db");
        let mut store = Store::open(&file).expect("opens");
        store.db.pragma_update(None, "max_page_count", 20).expect("sets");
        let mut big = entry(1, 1, &[Class::Measurement]);
        big.messages[0].body = "x".repeat(100_000);
        store.commit(&[entry(2, 1, &[Class::Event]), big]).expect_err("full");
        assert_eq!(store.memory().expect("reads"), Memory::default());
        store.commit(&[entry(2, 1, &[Class::Event])]).expect("a small one still fits");
        let outbox = Outbox::open(&file).expect("opens");
        assert_eq!(
            outbox.next(Class::Diagnostic, &mut Cursor::default(), 9).expect("reads")[0]
                .key
                .sequence(),
            1
        );
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
            let mut store = Store::open(&file).expect("opens");
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
            prop_assert_eq!(again.into_iter().map(|r| r.key).collect::<Vec<_>>(), kept);
            prop_assert_eq!(outbox.last_sequence().expect("reads"), classes.len() as u64);
        }
    }
}
