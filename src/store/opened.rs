//! A database as it is found at the start.

use super::cipher::MAGIC;
use super::copy::Counters;
use super::failure::{StoreError, failed};
use super::outbox::Outbox;
use super::rescue::{self, Identity};
use super::{Database, Room, boots, copy, damaged, memory, remembered, schema, time, wal};
use jiff::Timestamp;
use rusqlite::Connection;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the header of a database says who can write and who can read it; and the highest version
/// that there is: with a write-ahead log.
const VERSIONS: Range<usize> = 18..20;
const WAL_VERSION: u8 = 2;

/// A file of up to this size is looked through at the start: some tenths of a second, and on a slow
/// card two. In a larger one damage shows when it is met.
const LOOKED_THROUGH: u64 = 64 << 20;

/// A database that was opened, and looked through as far as is needed at the start.
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) known: Identity,
    pub(super) seen: Option<Timestamp>,
    pub(super) recent: u64,
    /// The counters of downlinks.
    pub(super) counters: Counters,
    /// The reading view, and the highest number that waits in it.
    pub(super) outbox: (Outbox, u64),
}

impl Opened {
    pub(super) fn new(database: &Database) -> Result<Self, StoreError> {
        let file = database.file();
        let db = writing(database)?;
        let read = || {
            let known = copy::identity(&db)?;
            let seen = db.query_row("SELECT seen_us FROM store", [], |row| time(row, 0))?;
            let sessions = memory::read(&db)?.sessions;
            for room in [Room::Bins, Room::Plans, Room::Orders, Room::Care, Room::Consent] {
                remembered::read(&db, room)?;
            }
            boots::read(&db)?;
            let counters = sessions.into_iter().map(|(key, session)| (key, session.f_cnt_down));
            Ok((known, seen, remembered::recent(&db)?, counters.collect()))
        };
        let (known, seen, recent, counters) = read().map_err(|e| failed(file, e))?;
        is_as_long_as_it_says(&db, file)?;
        // what a power cut has left behind the end of the log must not look like a later part of
        // it; on a full disk it stays
        let _ = db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        if damaged::len(file) <= LOOKED_THROUGH {
            let check = "PRAGMA quick_check(1)";
            let found = db.query_row(check, [], |row| row.get::<_, String>(0));
            if found.map_err(|e| failed(file, e))? != "ok" {
                let what = "its pages do not fit together";
                return Err(StoreError::Gone { file: file.to_owned(), what });
            }
        }
        let outbox = Outbox::open(database)?;
        let last = outbox.last_sequence()?;
        if known.next_sequence.max(last) >= rescue::LAST as u64 {
            let what = "its numbers are damaged";
            return Err(StoreError::Gone { file: file.to_owned(), what });
        }
        Ok(Self { db, known, seen, recent, counters, outbox: (outbox, last) })
    }
}

/// A connection that loses nothing which it has committed.
pub(super) fn writing(database: &Database) -> Result<Connection, StoreError> {
    let db = schema::open(database)?;
    let durable = db.pragma_update(None, "synchronous", "FULL");
    durable.map_err(|e| failed(database.file(), e))?;
    Ok(db)
}

/// Whether the file has the pages that it says it has. One that was cut off has not, and to one
/// whose own word of its size or kind is damaged every disk is full.
pub(super) fn is_as_long_as_it_says(db: &Connection, file: &Path) -> Result<(), StoreError> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let said = number("page_count").and_then(|pages| Ok(pages * schema::page_size(db)?));
    let said = said.map_err(|e| failed(file, e))?;
    // a bit in the header, and no file of ours has it set
    let moves = number("auto_vacuum").map_err(|e| failed(file, e))? != 0;
    // the newest pages may be in the log alone
    if moves || said.cast_unsigned() > damaged::len_with_log(file) {
        let what = "it is shorter than it says";
        return Err(StoreError::Gone { file: file.to_owned(), what });
    }
    Ok(())
}

/// Whether its header says that only a later SQLite can write it, or read it: one that is damaged
/// does, and then every write fails as on a disk that takes none. Under a key damage is told by its code.
fn is_closed(file: &Path) -> bool {
    let mut header = [0; VERSIONS.end];
    let read = File::open(file).and_then(|file| file.read_exact_at(&mut header, 0));
    read.is_ok()
        && header.starts_with(MAGIC)
        && header[VERSIONS].iter().any(|version| *version > WAL_VERSION)
}

/// Whether the file is there as it was left, before SQLite looks at it: that takes an empty one
/// for a new one, and throws its log away.
pub(super) fn is_as_left(
    database: &Database,
    exists: bool,
    is_known: bool,
) -> Result<(), StoreError> {
    let file = database.file();
    let gone = |what| Err(StoreError::Gone { file: file.to_owned(), what });
    // without all of that it is a first start, or one that a power cut has ended
    if damaged::len(file) == 0 && (is_known || damaged::len_with_log(file) > 0) {
        return gone(if exists { "the file is empty" } else { "the file is gone" });
    }
    if is_closed(file) {
        return gone("its header is damaged");
    }
    match wal::state(database) {
        wal::State::Sound => Ok(()),
        wal::State::Gap => Err(StoreError::Gap { file: file.to_owned() }),
        wal::State::Damaged => gone("its write-ahead log is damaged"),
    }
}
