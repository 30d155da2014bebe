//! What was sent in the last hour, so that a restart does not forget it.

use super::{StoreError, damaged, failed};
use crate::clock::ClockQuality;
use crate::eu868::ledger::Record;
use crate::radio::schedule::Airtime;
use crate::units::{GatewayEui, Hertz};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The newest schema; a file's own stands in its `user_version`.
const VERSION: i64 = 1;

/// Small pages: a row is 40 bytes, and one is written before each downlink.
const PAGE_SIZE: i64 = 1024;

/// The WAL is copied back every 256 KB: this file is small for ever.
const CHECKPOINT_PAGES: i64 = 256;

/// 16 MiB hold 400,000 transmissions; beyond, something is wrong, and the card is spared.
const MAX_PAGES: i64 = 16 * 1024;

const TABLE: &str = "
    CREATE TABLE airtime (
        gateway INTEGER NOT NULL,          -- EUI, 64 bits, as signed
        start_us INTEGER NOT NULL,         -- unix microseconds
        clock INTEGER NOT NULL,            -- quality of that time
        airtime_us INTEGER NOT NULL,
        frequency INTEGER NOT NULL,        -- hertz
        PRIMARY KEY (gateway, start_us, frequency)
    ) STRICT, WITHOUT ROWID;
";

/// The file of what was sent.
#[derive(Debug)]
pub struct AirtimeStore {
    db: Connection,
    file: PathBuf,
}

/// What became of a damaged file.
#[derive(Debug)]
pub struct SetAside {
    /// Its new name.
    pub file: PathBuf,
    /// What was wrong with it.
    pub reason: StoreError,
}

impl AirtimeStore {
    /// Opens the file, or makes a new one. A damaged one is renamed after `now`, and what was
    /// in it is unknown: the caller says so, and goes on as if much had been sent.
    ///
    /// # Errors
    /// When the file cannot be opened, made or renamed, or is of a newer version.
    pub fn open(file: &Path, now: Timestamp) -> Result<(Self, Option<SetAside>), StoreError> {
        match Self::open_sound(file) {
            Ok(store) => Ok((store, None)),
            Err(reason @ StoreError::Damaged { .. }) => {
                let set_aside = |source| StoreError::SetAside { file: file.to_owned(), source };
                let aside = damaged::set_aside(file, now).map_err(set_aside)?;
                damaged::tidy(file, Some(&aside));
                Ok((Self::open_sound(file)?, Some(SetAside { file: aside, reason })))
            }
            Err(error) => Err(error),
        }
    }

    fn open_sound(file: &Path) -> Result<Self, StoreError> {
        let sqlite = |error| failed(file, error);
        let mut db = Connection::open(file).map_err(sqlite)?;
        let found = prepare(&mut db).map_err(sqlite)?;
        if found > VERSION {
            return Err(StoreError::Schema { file: file.to_owned(), found, known: VERSION });
        }
        let store = Self { db, file: file.to_owned() };
        // the damage of a page in the middle shows only when it is read
        store.load()?;
        Ok(store)
    }

    /// Everything that is kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load(&self) -> Result<Vec<Airtime>, StoreError> {
        let read = || {
            self.db
                .prepare("SELECT gateway, start_us, clock, airtime_us, frequency FROM airtime")?
                .query_map([], |row| {
                    Ok(Airtime {
                        gateway: GatewayEui(row.get::<_, i64>(0)? as u64),
                        record: Record {
                            // no such time: it counts as sent just now, as what is in the future
                            start: Timestamp::from_microsecond(row.get(1)?)
                                .unwrap_or(Timestamp::MAX),
                            clock: ClockQuality::of(row.get(2)?),
                            airtime: Duration::from_micros(row.get::<_, i64>(3)?.max(0) as u64),
                            frequency: Hertz(row.get(4)?),
                        },
                    })
                })?
                .collect::<rusqlite::Result<_>>()
        };
        read().map_err(|e| failed(&self.file, e))
    }

    /// Adds a transmission that is about to be sent. It is on disk when this returns.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add(&mut self, airtime: &Airtime) -> Result<(), StoreError> {
        insert(&self.db, airtime).map_err(|e| failed(&self.file, e))
    }

    /// Removes a transmission that was not sent after all. One that has meanwhile been given
    /// another time by [`AirtimeStore::replace`] stays until it is old.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&mut self, airtime: &Airtime) -> Result<(), StoreError> {
        let Airtime { gateway, record } = airtime;
        self.db
            .prepare_cached(
                "DELETE FROM airtime WHERE gateway = ?1 AND start_us = ?2 AND frequency = ?3",
            )
            .and_then(|mut delete| {
                delete.execute(params![
                    gateway.0 as i64,
                    record.start.as_microsecond(),
                    record.frequency.0
                ])
            })
            .map(|_| ())
            .map_err(|e| failed(&self.file, e))
    }

    /// Puts these in the place of all others: at the start and about once an hour, what has
    /// grown old goes, and what was written before the clock was set gets its right time.
    ///
    /// # Errors
    /// When the database cannot be written; everything is then as it was.
    pub fn replace(&mut self, rows: &[Airtime]) -> Result<(), StoreError> {
        let mut replace = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute("DELETE FROM airtime", [])?;
            for row in rows {
                insert(&tx, row)?;
            }
            tx.commit()
        };
        replace().map_err(|e| failed(&self.file, e))
    }
}

/// Two rows with the same key are two times of one transmitter that nobody could tell apart,
/// such as several that count as sent just now: their airtimes add up.
fn insert(db: &Connection, Airtime { gateway, record }: &Airtime) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO airtime (gateway, start_us, clock, airtime_us, frequency)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET airtime_us = airtime_us + ?4, clock = max(clock, ?3)",
    )?
    .execute(params![
        gateway.0 as i64,
        record.start.as_microsecond(),
        record.clock as u8,
        record.airtime.as_micros() as i64,
        record.frequency.0
    ])
    .map(|_| ())
}

fn prepare(db: &mut Connection) -> rusqlite::Result<i64> {
    db.pragma_update(None, "page_size", PAGE_SIZE)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "max_page_count", MAX_PAGES)?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 {
        return Ok(version);
    }
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLE} PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_225_600).expect("in range")
    }

    fn row(gateway: u64, second: i64, milliseconds: u64) -> Airtime {
        Airtime {
            gateway: GatewayEui(gateway),
            record: Record {
                start: Timestamp::from_second(1_767_225_600 + second).expect("in range"),
                clock: ClockQuality::Synced,
                airtime: Duration::from_millis(milliseconds),
                frequency: Hertz(868_100_000),
            },
        }
    }

    fn open(file: &Path) -> (AirtimeStore, Option<SetAside>) {
        AirtimeStore::open(file, now()).expect("opens")
    }

    #[test]
    fn what_was_sent_is_known_after_a_restart_and_what_was_not_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("air.db");
        let (mut store, _) = open(&file);
        assert_eq!(store.load().expect("reads"), []);
        let mut unsynced = row(u64::MAX, 5, 46);
        unsynced.record.clock = ClockQuality::Unsynced;
        for row in [row(1, 0, 46), unsynced, row(1, 2, 46)] {
            store.add(&row).expect("adds");
        }
        store.remove(&row(1, 2, 46)).expect("removes");
        drop(store);
        let (mut store, aside) = open(&file);
        assert!(aside.is_none());
        let mut rows = store.load().expect("reads");
        rows.sort_by_key(|row| row.gateway);
        assert_eq!(rows, [row(1, 0, 46), unsynced]);

        store.replace(&[row(2, 0, 10), row(2, 0, 20)]).expect("replaces");
        assert_eq!(open(&file).0.load().expect("reads"), [row(2, 0, 30)], "no airtime is lost");
    }

    #[test]
    fn a_damaged_file_is_set_aside_with_its_date() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("air.db");
        let noise = b"not a database at all, but long enough to look like one".repeat(40);
        for damage in ["all", "the middle"] {
            let (mut store, _) = open(&file);
            for n in 0..1000 {
                store.add(&row(1, n, 46)).expect("adds");
            }
            drop(store);
            let mut bytes = std::fs::read(&file).expect("reads");
            match damage {
                "all" => bytes = noise.clone(),
                _ => bytes[5 * 1024..][..noise.len()].copy_from_slice(&noise),
            }
            std::fs::write(&file, bytes).expect("writes");
            std::fs::write(dir.path().join("air.db-wal"), b"left behind").expect("writes");

            let (mut store, aside) = open(&file);
            let aside = aside.unwrap_or_else(|| panic!("{damage}: not noticed"));
            let name = aside.file.file_name().and_then(|name| name.to_str()).expect("a name");
            assert!(name.starts_with("air.db.damaged-20260101T000000Z"), "{name}");
            assert!(aside.file.exists());
            assert!(matches!(aside.reason, StoreError::Damaged { .. }));
            assert_eq!(store.load().expect("reads"), []);
            store.add(&row(1, 0, 46)).expect("works");
            drop(store);
            assert!(open(&file).1.is_none(), "sound again");
        }
    }

    #[test]
    fn a_newer_file_is_not_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("air.db");
        open(&file).0.db.pragma_update(None, "user_version", 9).expect("writes");
        let error = AirtimeStore::open(&file, now()).expect_err("too new");
        assert!(error.to_string().contains("newer lykta (schema 9"), "{error}");
        assert!(file.exists());
    }
}
