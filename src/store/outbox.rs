//! The upstream's view of a tenant's database: what waits, and what may go.

use super::{Class, Key, StoreError, boots, failed, packing, schema};
use crate::clock::history::{History, Told};
use crate::clock::{ClockQuality, Moment};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a message is made of, as it is kept.
pub(super) const COLUMNS: &str =
    "key, time_us, clock, boot, monotonic_us, topic, body, packed, epoch";

/// What is left of a body that the disk has damaged.
const DAMAGED: &str = r#"{"error":"the body of this message is damaged"}"#;

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place.
    pub key: Key,
    /// When it was measured, as far as is known by now.
    pub told: Told,
    /// Its topic, below `{prefix}/{gateway}/{tenant}/`.
    pub topic: String,
    /// A JSON object, without what every message has.
    pub body: String,
    /// Of the store that it was rescued from, if it is not this one's own.
    pub epoch: Option<String>,
}

/// How far the messages of each class have been read.
#[derive(Debug, Clone, Copy)]
pub struct Cursor([Key; Class::ALL.len()]);

impl Default for Cursor {
    /// Before the first message of every class: sequence numbers begin at 1.
    fn default() -> Self {
        Self(Class::ALL.map(|class| Key::new(class, 0)))
    }
}

/// The reading and removing view of a tenant's database.
#[derive(Debug)]
pub struct Outbox {
    pub(super) db: Connection,
    pub(super) file: PathBuf,
    epoch: String,
    pub(super) past: Past,
}

/// What is known about the boots of the machine.
#[derive(Debug, Default)]
pub(super) struct Past {
    history: History,
    /// Whether it was read in this very question: while nobody sets the clock there is nothing
    /// new in it, row after row.
    pub(super) fresh: bool,
}

impl Outbox {
    /// Opens the outbox of a tenant's database.
    ///
    /// # Errors
    /// As [`super::Store::open`].
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let db = schema::open(file)?;
        let read = || {
            // A removal that is lost with the power costs a duplicate, not a message.
            db.pragma_update(None, "synchronous", "NORMAL")?;
            db.query_row("SELECT epoch FROM store", [], |row| row.get(0))
        };
        let epoch = read().map_err(|e| failed(file, e))?;
        Ok(Self { db, file: file.to_owned(), epoch, past: Past::default() })
    }

    /// What makes this store's sequence numbers unique in the world.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The next messages after the cursor, most important first, none less important than
    /// `least`, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next(
        &mut self,
        least: Class,
        cursor: &mut Cursor,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.past.fresh = false;
        let read = read(&self.db, &mut self.past, least, *cursor, limit);
        // moved only when all went well: rows that are not handed on must be read again
        let (rows, reached) = read.map_err(|e| failed(&self.file, e))?;
        *cursor = reached;
        Ok(rows)
    }

    /// The messages of the same class before this one, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn before(&mut self, key: Key, limit: usize) -> Result<Vec<Row>, StoreError> {
        let Self { db, past, file, .. } = self;
        past.fresh = false;
        let mut read = || {
            let (first, _) = key.class().unwrap_or(Class::Diagnostic).keys();
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM outbox WHERE key < ?1 AND key > ?2
                 ORDER BY key DESC LIMIT ?3"
            ))?;
            let mut found = query.query((key.0, first, limit as i64))?;
            let mut rows = Vec::new();
            while let Some(found) = found.next()? {
                rows.push(row(db, past, found)?);
            }
            Ok(rows)
        };
        read().map_err(|e| failed(file, e))
    }

    /// The highest sequence number that waits, or 0: messages up to here were there at this
    /// moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_sequence(&self) -> Result<u64, StoreError> {
        let last = |class: Class| {
            let mut query = self.db.prepare_cached(
                "SELECT key FROM outbox WHERE key > ?1 AND key < ?2 ORDER BY key DESC LIMIT 1",
            )?;
            let found = query.query_row(class.keys(), |row| Ok(Key(row.get(0)?).sequence()));
            Ok(found.optional()?.unwrap_or(0))
        };
        let last =
            Class::ALL.map(last).into_iter().max_by_key(|n| *n.as_ref().unwrap_or(&u64::MAX));
        last.unwrap_or(Ok(0)).map_err(|e| failed(&self.file, e))
    }

    /// How many messages wait. Walks the whole outbox: for the start, not for every day.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        self.db
            .query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, i64>(0))
            .map(|n| n as u64)
            .map_err(|e| failed(&self.file, e))
    }

    /// Removes messages that the broker has acknowledged. How many of them were still there.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub fn remove(&mut self, keys: &[Key]) -> Result<u64, StoreError> {
        let mut remove = || {
            let mut removed = 0;
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut delete = tx.prepare_cached("DELETE FROM outbox WHERE key = ?1")?;
                for key in keys {
                    removed += delete.execute([key.0])?;
                }
            }
            tx.commit()?;
            Ok(removed as u64)
        };
        remove().map_err(|e| failed(&self.file, e))
    }
}

fn read(
    db: &Connection,
    past: &mut Past,
    least: Class,
    mut cursor: Cursor,
    limit: usize,
) -> rusqlite::Result<(Vec<Row>, Cursor)> {
    let mut rows = Vec::new();
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM outbox WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3"
    ))?;
    let classes = Class::ALL.into_iter().take_while(|class| *class <= least);
    for (class, after) in classes.zip(&mut cursor.0) {
        let (_, end) = class.keys();
        let mut found = query.query((after.0, end, (limit - rows.len()) as i64))?;
        while let Some(found) = found.next()? {
            let row = row(db, past, found)?;
            *after = row.key;
            rows.push(row);
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok((rows, cursor))
}

/// Of the columns [`COLUMNS`].
pub(super) fn row(
    db: &Connection,
    past: &mut Past,
    row: &rusqlite::Row<'_>,
) -> rusqlite::Result<Row> {
    let at = Moment {
        wall: Timestamp::from_microsecond(row.get(1)?).unwrap_or_default(),
        quality: match row.get(2)? {
            0_u8 => ClockQuality::Synced,
            1 => ClockQuality::Estimated,
            _ => ClockQuality::Unsynced,
        },
        monotonic: Duration::from_micros(row.get::<_, i64>(4)?.max(0).unsigned_abs()),
    };
    let boot = row.get(3)?;
    // it may have become known meanwhile what time it was
    if at.quality == ClockQuality::Unsynced && !past.fresh && !past.history.knows(boot) {
        *past = Past { history: boots::read(db)?, fresh: true };
    }
    let packed: Option<Vec<u8>> = row.get(7)?;
    Ok(Row {
        key: Key(row.get(0)?),
        told: past.history.tell(boot, at),
        topic: row.get(5)?,
        body: match packed {
            None => row.get(6)?,
            // it holds up nothing that stands behind it, and goes by no silence
            Some(packed) => packing::unpack(&packed).unwrap_or_else(|| DAMAGED.into()),
        },
        epoch: row.get(8)?,
    })
}
