//! The upstream's view of a tenant's database: what waits, and what may go.

use super::{Class, Key, StoreError, failed, schema};
use crate::clock::ClockQuality;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place.
    pub key: Key,
    /// When it was measured.
    pub time: Timestamp,
    /// How far to trust `time`.
    pub clock: ClockQuality,
    /// Its topic, below `{prefix}/{gateway}/{tenant}/`.
    pub topic: String,
    /// A JSON object, without what every message has.
    pub body: String,
}

impl Row {
    /// Of the columns `key, time_us, clock, topic, body`, in this order.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: Key(row.get(0)?),
            time: Timestamp::from_microsecond(row.get(1)?).unwrap_or_default(),
            clock: match row.get(2)? {
                0_u8 => ClockQuality::Synced,
                1 => ClockQuality::Estimated,
                _ => ClockQuality::Unsynced,
            },
            topic: row.get(3)?,
            body: row.get(4)?,
        })
    }
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
        Ok(Self { db, file: file.to_owned(), epoch })
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
        &self,
        least: Class,
        cursor: &mut Cursor,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        // moved only when all went well: rows that are not handed on must be read again
        let mut reached = *cursor;
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.db.prepare_cached(
                "SELECT key, time_us, clock, topic, body FROM outbox
                 WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3",
            )?;
            let classes = Class::ALL.into_iter().take_while(|class| *class <= least);
            for (class, after) in classes.zip(&mut reached.0) {
                let end = (class as i64 + 1) << Key::SEQUENCE_BITS;
                let mut found = query.query((after.0, end, (limit - rows.len()) as i64))?;
                while let Some(row) = found.next()? {
                    let row = Row::read(row)?;
                    *after = row.key;
                    rows.push(row);
                }
                if rows.len() >= limit {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|e| failed(&self.file, e))?;
        *cursor = reached;
        Ok(rows)
    }

    /// The last sequence number given out: messages up to here were there at this moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn last_sequence(&self) -> Result<u64, StoreError> {
        self.db
            .query_row("SELECT next_sequence - 1 FROM store", [], |row| row.get::<_, i64>(0))
            .map(|n| n as u64)
            .map_err(|e| failed(&self.file, e))
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

    /// Removes messages that the broker has acknowledged.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub fn remove(&mut self, keys: &[Key]) -> Result<(), StoreError> {
        let mut remove = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut delete = tx.prepare_cached("DELETE FROM outbox WHERE key = ?1")?;
                for key in keys {
                    delete.execute([key.0])?;
                }
            }
            tx.commit()
        };
        remove().map_err(|e| failed(&self.file, e))
    }
}
