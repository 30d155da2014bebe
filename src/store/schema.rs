//! The shape of a tenant's database, and its settings.

use super::{StoreError, failed};
use rusqlite::{Connection, FileControl, MAIN_DB};
use std::path::Path;
use std::time::Duration;

/// The newest schema; a file's own stands in its `user_version`.
const VERSION: i64 = 1;

/// Small pages: a short transaction writes fewer bytes. Fixed when the file is made.
const PAGE_SIZE: i64 = 1024;

/// The WAL is copied back into the file every 4 MB.
const CHECKPOINT_PAGES: i64 = 4000;

/// A hard limit of 1 GiB, beyond which new uplinks are refused and counted: a full card would
/// take the rest of the system down as well.
const MAX_PAGES: i64 = 1024 * 1024;

/// The other view of the file may be in the middle of a write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE store (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        epoch TEXT NOT NULL,               -- unique in the world, new with each new file
        next_sequence INTEGER NOT NULL     -- never goes back, also when the outbox is empty
    ) STRICT;
    CREATE TABLE session (
        dev_eui INTEGER PRIMARY KEY,       -- 64 bits, as signed
        f_cnt_up INTEGER NOT NULL,         -- of the last accepted uplink
        high_water INTEGER NOT NULL,       -- the greatest ever accepted
        reset_at INTEGER,                  -- unix seconds of the last counter reset
        binding BLOB NOT NULL              -- address and key check that the counter belongs to
    ) STRICT;
    CREATE TABLE outbox (
        key INTEGER PRIMARY KEY,           -- class << 56 | sequence
        time_us INTEGER NOT NULL,          -- when it was measured, unix microseconds
        clock INTEGER NOT NULL,            -- quality of that time
        topic TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
";

/// Opens a file with the settings that both views share; makes the tables in a new one.
pub(super) fn open(file: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open(file).map_err(|e| failed(file, e))?;
    let version = prepare(&db).map_err(|e| failed(file, e))?;
    if version > VERSION {
        return Err(StoreError::Schema { file: file.to_owned(), found: version, known: VERSION });
    }
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "page_size", PAGE_SIZE)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "max_page_count", MAX_PAGES)?;
    // a WAL that is deleted at a clean stop grows anew after it, at four times the writes
    db.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 {
        return Ok(version);
    }
    let epoch = uuid::Uuid::new_v4().simple().to_string();
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES}
         INSERT INTO store VALUES (0, '{epoch}', 1);
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(VERSION)
}
