//! The upstream's view of a tenant's database: what waits, and what may go.

use super::condition::Condition;
use super::{Class, Key, StoreError, boots, failed, packing, schema};
use crate::clock::history::{History, Told};
use crate::clock::{ClockQuality, Moment};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is left of a body that the disk has damaged.
pub(super) const DAMAGED: &str = r#"{"error":"the body of this message is damaged"}"#;

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
    db: Connection,
    file: PathBuf,
    epoch: String,
    history: History,
    waiting: u64,
    condition: Arc<Condition>,
    /// Which file is open.
    generation: u64,
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
            let epoch = db.query_row("SELECT epoch FROM store", [], |row| row.get(0))?;
            let count = "SELECT count(*) FROM outbox";
            Ok((epoch, db.query_row(count, [], |row| row.get::<_, i64>(0))?.cast_unsigned()))
        };
        let (epoch, waiting) = read().map_err(|e| failed(file, e))?;
        Ok(Self {
            db,
            file: file.to_owned(),
            epoch,
            history: History::default(),
            waiting,
            condition: Arc::default(),
            generation: 0,
        })
    }

    /// Together with the writing view, from now on.
    pub(super) fn tied_to(self, condition: Arc<Condition>) -> Self {
        Self { condition, ..self }
    }

    /// Opens the file that has taken the place of a damaged one.
    fn follow(&mut self) -> Result<(), StoreError> {
        let generation = self.condition.generation();
        if generation != self.generation {
            let condition = Arc::clone(&self.condition);
            *self = Self { condition, generation, ..Self::open(&self.file)? };
        }
        Ok(())
    }

    /// Damage is told to the writing view.
    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|e| failed(&self.file, e)).inspect_err(|error| {
            if matches!(error, StoreError::Damaged { .. }) {
                self.condition.report(error.to_string());
            }
        })
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
        self.follow()?;
        let read = read(&self.db, &mut self.history, least, *cursor, limit);
        // moved only when all went well: rows that are not handed on must be read again
        let (rows, reached) = self.told(read)?;
        *cursor = reached;
        Ok(rows)
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
        self.told(last.unwrap_or(Ok(0)))
    }

    /// How many messages waited when it was opened.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Removes messages that the broker has acknowledged. How many of them were still there.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub fn remove(&mut self, keys: &[Key]) -> Result<u64, StoreError> {
        self.follow()?;
        // what is removed while the file is being replaced would come back, and be counted
        if let Some(why) = self.condition.damage() {
            return Err(StoreError::Damage { file: self.file.clone(), why });
        }
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
        let removed = remove();
        self.told(removed)
    }
}

fn read(
    db: &Connection,
    history: &mut History,
    least: Class,
    mut cursor: Cursor,
    limit: usize,
) -> rusqlite::Result<(Vec<Row>, Cursor)> {
    let mut rows = Vec::new();
    let mut asked = false;
    let mut query = db.prepare_cached(
        "SELECT key, time_us, clock, boot, monotonic_us, topic, body, packed, epoch FROM outbox
         WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3",
    )?;
    let classes = Class::ALL.into_iter().take_while(|class| *class <= least);
    for (class, after) in classes.zip(&mut cursor.0) {
        let (_, end) = class.keys();
        let mut found = query.query((after.0, end, (limit - rows.len()) as i64))?;
        while let Some(row) = found.next()? {
            let key = Key(row.get(0)?);
            *after = key;
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
            if at.quality == ClockQuality::Unsynced && !asked && !history.knows(boot) {
                asked = true;
                *history = boots::read(db)?;
            }
            let packed: Option<Vec<u8>> = row.get(7)?;
            rows.push(Row {
                key,
                told: history.tell(boot, at),
                topic: row.get(5)?,
                body: match packed {
                    None => row.get(6)?,
                    // it holds up nothing that stands behind it, and goes by no silence
                    Some(packed) => packing::unpack(&packed).unwrap_or_else(|| DAMAGED.into()),
                },
                epoch: row.get(8)?,
            });
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok((rows, cursor))
}
