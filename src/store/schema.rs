//! The shape of a tenant's database, and its settings.

use super::record::u32_at;
use super::remembered::Room;
use super::{Database, StoreError, failed, memory, remembered};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags, TransactionBehavior};
use std::time::Duration;

/// The newest schema; a file's own stands in its `user_version`.
const VERSION: i64 = 4;

/// Where that stands in the file.
const USER_VERSION: usize = 60;

/// Small pages: a short transaction writes fewer bytes (`cargo bench --bench card`). Fixed when the
/// file is made; older files have pages of [`OLD_PAGE_SIZE`].
pub(super) const PAGE_SIZE: i64 = 512;
pub(super) const OLD_PAGE_SIZE: i64 = 1024;

/// Under a key each page gives 80 bytes away, and to SQLite 432 are too few for one.
pub(super) const SEALED_PAGE_SIZE: i64 = 1024;

/// The WAL is copied back into the file every 4 MB.
const CHECKPOINT_BYTES: i64 = 8000 * PAGE_SIZE;

/// A hard limit of 1 GiB, beyond which new uplinks are refused and counted: a full card would
/// take the rest of the system down as well.
const MAX_BYTES: i64 = 1 << 30;

/// What a migration may take on top.
const SPARE_BYTES: i64 = 16 << 20;

/// What each view may keep of the file in memory, in kB: SQLite takes 2 MB unless told.
const CACHE: i64 = 512;

/// The other view of the file may be in the middle of a write.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const STORE: &str = "
    CREATE TABLE store (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        epoch TEXT NOT NULL,               -- unique in the world, new with each new file
        next_sequence INTEGER NOT NULL     -- above all that were given out, by up to a reserve
    ) STRICT;
    CREATE TABLE outbox (
        key INTEGER PRIMARY KEY,           -- class << 56 | sequence
        time_us INTEGER NOT NULL,          -- when it was measured, unix microseconds
        clock INTEGER NOT NULL,            -- quality of that time
        topic TEXT NOT NULL,
        body TEXT NOT NULL                 -- empty when it is packed
    ) STRICT;
";

/// What is remembered of devices; see `lorawan::Memory`.
const DEVICES: &str = "
    CREATE TABLE session (
        dev_eui INTEGER NOT NULL,          -- 64 bits, as signed
        slot INTEGER NOT NULL,             -- 0: in use, 1: joined and not heard since
        f_cnt_up INTEGER,                  -- of the last accepted uplink; null before the first
        high_water INTEGER,                -- the greatest ever accepted
        reset_at INTEGER,                  -- unix seconds of the last counter reset
        f_cnt_down INTEGER NOT NULL,       -- of the next downlink
        link TEXT NOT NULL,                -- what is agreed with the device, as JSON
        binding BLOB NOT NULL,             -- which settings the session belongs to
        dev_addr INTEGER,                  -- of a join, with its keys
        nwk_s_key BLOB,
        app_s_key BLOB,
        PRIMARY KEY (dev_eui, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE joins (
        dev_eui INTEGER PRIMARY KEY,
        binding BLOB NOT NULL,
        join_nonce INTEGER NOT NULL        -- of the last answer
    ) STRICT;
    CREATE TABLE dev_nonce (               -- of every join that was accepted
        dev_eui INTEGER NOT NULL,
        nonce INTEGER NOT NULL,
        PRIMARY KEY (dev_eui, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE downlink (
        number INTEGER PRIMARY KEY,        -- oldest first
        id TEXT NOT NULL UNIQUE,           -- of the command that brought it
        dev_eui INTEGER NOT NULL,
        f_port INTEGER NOT NULL,
        payload BLOB NOT NULL,
        confirmed INTEGER NOT NULL,
        expires_us INTEGER NOT NULL        -- unix microseconds
    ) STRICT;
    CREATE TABLE command (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        reply TEXT NOT NULL                -- given again when the id comes again
    ) STRICT;
";

/// What the rooms of the house remember. New in version 3.
const DOMAIN: &str = "
    CREATE TABLE domain (
        room INTEGER NOT NULL,             -- 0: bins, 1: plans
        key TEXT NOT NULL,
        body TEXT NOT NULL,                -- JSON
        PRIMARY KEY (room, key)
    ) STRICT, WITHOUT ROWID;
";

/// New in version 4. Columns are added, not tables written anew: an outbox may be as large as the
/// card allows, and full.
const TRUST: &str = "
    ALTER TABLE store ADD COLUMN seen_us INTEGER;  -- the last time of a clock that was set
    ALTER TABLE outbox ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN monotonic_us INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN packed BLOB;     -- see super::packing
    ALTER TABLE outbox ADD COLUMN epoch TEXT;      -- of the store that it was rescued from
    CREATE TABLE aside (                   -- what the broker does not take; see super::aside
        key INTEGER PRIMARY KEY,           -- as it was in the outbox, and so are the next eight
        time_us INTEGER NOT NULL,
        clock INTEGER NOT NULL,
        boot INTEGER NOT NULL,
        monotonic_us INTEGER NOT NULL,
        topic TEXT NOT NULL,
        body TEXT NOT NULL,
        packed BLOB,
        epoch TEXT,
        reason TEXT NOT NULL,              -- why, in words
        tries INTEGER NOT NULL             -- how often it was offered
    ) STRICT;
    CREATE TABLE boot (
        number INTEGER PRIMARY KEY,        -- in their order
        id TEXT NOT NULL UNIQUE,           -- the kernel's
        began_us INTEGER,                  -- when its monotonic clock began, once that is known
        floor_us INTEGER,                  -- the last time of a clock that was set before it
        lasted_us INTEGER NOT NULL         -- at least
    ) STRICT;
    CREATE TABLE remembered (              -- see super::remembered
        room INTEGER NOT NULL,             -- 0: bins, 1: plans, 2: sessions, 3: orders, 4: care
        key TEXT NOT NULL,
        body BLOB,                         -- JSON, perhaps packed
        UNIQUE (room, key)
    ) STRICT;
    CREATE TABLE recent (                  -- oldest first, not yet folded into it
        number INTEGER PRIMARY KEY,
        room INTEGER NOT NULL,
        key TEXT NOT NULL,
        body BLOB                          -- null: nothing any more
    ) STRICT;
    INSERT INTO remembered SELECT room, key, CAST(body AS BLOB) FROM domain ORDER BY room, key;
    DROP TABLE domain;
    CREATE TABLE spent (                   -- of a day's bytes, where they are counted
        day TEXT NOT NULL,                 -- one row at most
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE shed (
        class INTEGER PRIMARY KEY,
        rows INTEGER NOT NULL              -- that were given up, since the store was made
    ) STRICT;
";

/// From version 1, which knew uplinks of fixed sessions only. Whoever answered these devices
/// before did so at most once an uplink.
const FROM_1: &str = "
    INSERT INTO session
        SELECT dev_eui, 0, f_cnt_up, high_water, reset_at, min(f_cnt_up, 16383), '{}', binding,
               NULL, NULL, NULL
        FROM session_1;
    DROP TABLE session_1;
";

/// Opens a file with the settings that both views share; makes the tables in a new one.
pub(super) fn open(database: &Database) -> Result<Connection, StoreError> {
    let file = database.file();
    let failed = |error| match failed(file, error) {
        StoreError::Sqlite { file, source } => match earlier_version(database) {
            Some(found) => StoreError::Migration { file, found, known: VERSION, source },
            None => StoreError::Sqlite { file, source },
        },
        other => other,
    };
    let mut db = Connection::open(file).map_err(failed)?;
    let found = unlock(&db, database).and_then(|()| prepare(&db)).map_err(failed)?;
    if found > VERSION {
        return Err(StoreError::Schema { file: file.to_owned(), found, known: VERSION });
    }
    if found < VERSION {
        migrate(&mut db, found).map_err(failed)?;
    }
    Ok(db)
}

/// What makes sequence numbers unique in the world.
pub(super) fn new_epoch() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Opens a file for somebody who only looks: nothing is changed in it, and who writes goes on.
pub(super) fn look(database: &Database) -> Result<Connection, StoreError> {
    let file = database.file();
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(file, flags)?;
        unlock(&db, database)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "cache_size", -CACHE)?;
        // nor does the last one to look put the log in order
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((db, version))
    };
    match open().map_err(|e| failed(file, e))? {
        (db, VERSION) => Ok(db),
        (_, found) if found > VERSION => {
            Err(StoreError::Schema { file: file.to_owned(), found, known: VERSION })
        }
        (_, found) => Err(StoreError::Older { file: file.to_owned(), found }),
    }
}

/// The version of a file that was made before this one. A full disk lets SQLite not even look.
fn earlier_version(database: &Database) -> Option<i64> {
    let version = u32_at(&database.header()?, USER_VERSION)?;
    Some(version.into()).filter(|version| (1..VERSION).contains(version))
}

/// Gives the key, before anything else is asked.
fn unlock(db: &Connection, database: &Database) -> rusqlite::Result<()> {
    match database.pragma() {
        Some(key) => {
            db.pragma_update(None, "key", key)?;
            db.pragma_update(None, "cipher_page_size", SEALED_PAGE_SIZE)?;
            // also what is removed by somebody who has the key is removed
            db.pragma_update(None, "secure_delete", true)
        }
        None => db.pragma_update(None, "page_size", PAGE_SIZE),
    }
}

/// The length of a page: under a key that is told as text.
pub(super) fn page_size(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "page_size", |row| match row.get_ref(0)? {
        ValueRef::Integer(size) => Ok(size),
        _ => Ok(SEALED_PAGE_SIZE),
    })
}

/// The version that is found.
fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "cache_size", -CACHE)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    let page_size = page_size(db)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_BYTES / page_size)?;
    db.pragma_update(None, "max_page_count", MAX_BYTES / page_size)?;
    // a WAL that is deleted at a clean stop grows anew after it, at four times the writes
    db.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(db: &mut Connection, version: i64) -> rusqlite::Result<()> {
    // also of a file that is full: nothing could be delivered from it otherwise
    let page_size = page_size(db)?;
    db.pragma_update(None, "max_page_count", (MAX_BYTES + SPARE_BYTES) / page_size)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version {
        0 => {
            let epoch = new_epoch();
            tx.execute_batch(&[STORE, DEVICES, DOMAIN].concat())?;
            tx.execute("INSERT INTO store VALUES (0, ?1, 1)", [epoch])?;
        }
        1 => {
            tx.execute_batch("ALTER TABLE session RENAME TO session_1")?;
            tx.execute_batch(&[DEVICES, FROM_1, DOMAIN].concat())?;
        }
        2 => tx.execute_batch(DOMAIN)?,
        _ => {}
    }
    tx.execute_batch(TRUST)?;
    let sessions = memory::words_of_version_3(&tx)?;
    let words = sessions.iter().map(|(key, body)| (Room::Sessions, &**key, body.as_deref()));
    remembered::write(&tx, words, 0)?;
    tx.execute_batch("DROP TABLE session")?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::{DEVICES, DOMAIN, STORE};
    use crate::clock::{Clock, ClockQuality};
    use crate::lorawan::Slot;
    use crate::store::{Class, Cursor, Outbox, Room, Store};
    use crate::units::DevEui;
    use rusqlite::Connection;

    /// A file as version 1 wrote it.
    const VERSION_1: &str = "
        CREATE TABLE store (only INTEGER PRIMARY KEY CHECK (only = 0), epoch TEXT NOT NULL,
            next_sequence INTEGER NOT NULL) STRICT;
        CREATE TABLE session (dev_eui INTEGER PRIMARY KEY, f_cnt_up INTEGER NOT NULL,
            high_water INTEGER NOT NULL, reset_at INTEGER, binding BLOB NOT NULL) STRICT;
        CREATE TABLE outbox (key INTEGER PRIMARY KEY, time_us INTEGER NOT NULL,
            clock INTEGER NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL) STRICT;
        INSERT INTO store VALUES (0, 'e1', 8);
        INSERT INTO session VALUES (-1, 70000, 70001, NULL, x'0102030405060708');
        INSERT INTO outbox VALUES (7, 0, 0, 't', '{}');
        PRAGMA user_version = 1;";

    #[test]
    fn stores_of_versions_2_and_3_get_what_is_new_and_keep_the_rest() {
        for (version, tables) in
            [(2, [STORE, DEVICES].concat()), (3, [STORE, DEVICES, DOMAIN].concat())]
        {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            let db = Connection::open(&file).expect("opens");
            let rows = "INSERT INTO store VALUES (0, 'e1', 8);
                INSERT INTO outbox VALUES (7, 60000000, 2, 't', '{\"n\":7}');";
            db.execute_batch(&format!("{tables} {rows} PRAGMA user_version = {version};"))
                .expect("writes");
            drop(db);
            for _ in 0..2 {
                let store = Store::open(&file, &Clock::system()).expect("opens");
                assert_eq!(store.states(Room::Plans).expect("reads"), []);
                let mut outbox = Outbox::open(&file).expect("opens");
                assert_eq!((outbox.epoch(), outbox.last_sequence().expect("reads")), ("e1", 7));
                let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 9);
                let rows = rows.expect("reads");
                let [row] = &rows[..] else { panic!("{version}: {rows:?}") };
                assert_eq!((row.body.as_str(), row.told.time.as_second()), (r#"{"n":7}"#, 60));
                assert_eq!(row.told.clock, ClockQuality::Unsynced, "its boot is not known");
            }
            let mut store = Store::open(&file, &Clock::system()).expect("opens");
            store.commit(&[]).expect("writes");
        }
    }

    #[test]
    fn a_store_of_version_1_keeps_its_sessions_and_messages() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        Connection::open(&file).expect("opens").execute_batch(VERSION_1).expect("writes");
        for _ in 0..2 {
            let memory =
                Store::open(&file, &Clock::system()).expect("opens").memory().expect("reads");
            let session = &memory.sessions[&(DevEui(u64::MAX), Slot::Active)];
            let counter = session.counter.expect("it was heard");
            assert_eq!((counter.f_cnt_up, counter.high_water), (70_000, 70_001));
            assert_eq!(session.f_cnt_down, 16_383);
            assert_eq!(session.binding, [1, 2, 3, 4, 5, 6, 7, 8]);
            let outbox = Outbox::open(&file).expect("opens");
            assert_eq!((outbox.epoch(), outbox.last_sequence().expect("reads")), ("e1", 7));
            assert_eq!(outbox.waiting(), 1);
        }
    }
}
