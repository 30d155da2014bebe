//! A database as it is found at the start.

use super::failure::{StoreError, failed};
use super::outbox::Outbox;
use super::rescue::{self, Identity};
use super::{Room, boots, copy, damaged, memory, pages, remembered, schema, time};
use jiff::Timestamp;
use rusqlite::Connection;
use std::path::Path;

/// A file of up to this size is looked through at the start: some tenths of a second, and on a slow
/// card two. In a larger one damage shows when it is met.
const LOOKED_THROUGH: u64 = 64 << 20;

/// A database that was opened, and looked through as far as is needed at the start.
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) known: Identity,
    pub(super) seen: Option<Timestamp>,
    pub(super) recent: u64,
    /// The reading view, and the highest number that waits in it.
    pub(super) outbox: (Outbox, u64),
}

impl Opened {
    pub(super) fn new(file: &Path) -> Result<Self, StoreError> {
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
pub(super) fn is_as_long_as_it_says(db: &Connection, file: &Path) -> Result<(), StoreError> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let said = number("page_count").and_then(|pages| Ok(pages * number("page_size")?));
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

/// Whether the file is there as it was left, before SQLite looks at it: that takes an empty one
/// for a new one, and throws its log away.
pub(super) fn is_as_left(file: &Path, exists: bool, is_known: bool) -> Result<(), StoreError> {
    let gone = |what| Err(StoreError::Gone { file: file.to_owned(), what });
    if damaged::len(file) == 0 && (is_known || damaged::len_with_log(file) > 0) {
        return gone(if exists { "the file is empty" } else { "the file is gone" });
    }
    if !pages::log_is_sound(file) {
        return gone("its write-ahead log is damaged");
    }
    Ok(())
}
