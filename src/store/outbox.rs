//! The upstream's view of a tenant's database: what waits, and what may go.

use super::condition::Condition;
use super::{Class, Database, Key, Message, StoreError, boots, failed, packing, schema, shed};
use crate::clock::history::{History, Told};
use crate::clock::{ClockQuality, Moment};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// What a message is made of, as it is kept.
pub(super) const COLUMNS: &str =
    "key, time_us, clock, boot, monotonic_us, topic, body, packed, epoch";

/// What is left of a body that the disk has damaged.
pub(super) const DAMAGED: &str = r#"{"error":"the body of this message is damaged"}"#;

/// How often it is asked whether the writing view is done.
const LITTLE: Duration = Duration::from_micros(250);

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
    /// Of the store that its number belongs to: this one, or one that it was rescued from.
    pub epoch: Arc<str>,
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
    pub(super) database: Database,
    pub(super) past: Past,
    waiting: u64,
    condition: Arc<Condition>,
    /// Which file is open.
    generation: u64,
}

/// What is known of where messages come from.
#[derive(Debug)]
pub(super) struct Past {
    /// Of this store.
    epoch: Arc<str>,
    /// The boots of the machine.
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
    pub fn open(database: impl Into<Database>) -> Result<Self, StoreError> {
        let database = database.into();
        Self::of(schema::open(&database)?, &database)
    }

    /// The outbox of a database that is open.
    pub(super) fn of(mut db: Connection, database: &Database) -> Result<Self, StoreError> {
        let file = database.file();
        // what the writing view commits meanwhile may be an alarm, and waits to be sent
        db.busy_handler(Some(wait_a_little)).map_err(|e| failed(file, e))?;
        let read = || {
            // A removal that is lost with the power costs a duplicate, not a message.
            db.pragma_update(None, "synchronous", "NORMAL")?;
            let epoch =
                db.query_row("SELECT epoch FROM store", [], |row| row.get::<_, String>(0))?;
            let count = "SELECT count(*) FROM outbox";
            Ok((epoch, db.query_row(count, [], |row| row.get::<_, i64>(0))?.cast_unsigned()))
        };
        let (epoch, waiting) = read().map_err(|e| failed(file, e))?;
        Ok(Self {
            db,
            database: database.clone(),
            past: Past { epoch: epoch.into(), history: History::default(), fresh: false },
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
    pub(super) fn follow(&mut self) -> Result<(), StoreError> {
        let generation = self.condition.generation();
        if generation != self.generation {
            let condition = Arc::clone(&self.condition);
            *self = Self { condition, generation, ..Self::open(&self.database)? };
        }
        Ok(())
    }

    /// The alarms that are in memory behind the cursor.
    fn kept(&self, cursor: Cursor, limit: usize) -> Vec<Row> {
        let after = (Bound::Excluded(cursor.0[Class::Alarm as usize]), Bound::Unbounded);
        let kept = self.condition.kept();
        let row = |(key, (message, epoch)): (&Key, &(Message, String))| Row {
            key: *key,
            told: Told { time: message.at.wall, clock: message.at.quality, error: None },
            topic: message.topic.clone(),
            body: message.body.clone(),
            epoch: epoch.as_str().into(),
        };
        kept.range(after).take(limit).map(row).collect()
    }

    /// Damage is told to the writing view.
    pub(super) fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|e| failed(self.database.file(), e)).inspect_err(|error| {
            if matches!(error, StoreError::Damaged { .. }) {
                self.condition.report(error.to_string());
            }
        })
    }

    /// What makes this store's sequence numbers unique in the world.
    pub fn epoch(&self) -> &str {
        &self.past.epoch
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
        let kept = self.kept(*cursor, limit);
        let followed = self.follow();
        self.past.fresh = false;
        let read = followed.and_then(|()| {
            let read = read(&self.db, &mut self.past, least, *cursor, limit);
            self.told(read)
        });
        // moved only when all went well: rows that are not handed on must be read again
        let (rows, reached) = match read {
            Err(_) if !kept.is_empty() => joined(kept, Vec::new(), *cursor, limit),
            Ok((rows, _)) if !kept.is_empty() => joined(kept, rows, *cursor, limit),
            read => read?,
        };
        *cursor = reached;
        Ok(rows)
    }

    /// The messages of the same class before this one, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn before(&mut self, key: Key, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.follow()?;
        let Self { db, past, .. } = self;
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
        let found = read();
        self.told(found)
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

    /// Forgets alarms that are in memory and that the broker has acknowledged, whatever the disk
    /// does. How many of them there were.
    pub fn forget(&self, keys: &[Key]) -> u64 {
        let mut kept = self.condition.kept();
        keys.iter().filter(|key| kept.remove(key).is_some()).count() as u64
    }

    /// Removes messages that the broker has acknowledged. How many of them were still there, but
    /// for those that [`Outbox::forget`] has forgotten already.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed from it then.
    pub fn remove(&mut self, keys: &[Key]) -> Result<u64, StoreError> {
        // they need not go to the disk any more; what it has taken meanwhile is there by now
        let mut kept = self.condition.kept();
        let (in_memory, stored): (Vec<Key>, Vec<Key>) =
            keys.iter().partition(|key| kept.remove(key).is_some());
        drop(kept);
        let removed = if stored.is_empty() { 0 } else { self.remove_stored(&stored)? };
        Ok(removed + in_memory.len() as u64)
    }

    /// Gives these measurements up, and counts them. How many of them were still there.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is given up then.
    pub fn give_up(&mut self, keys: &[Key]) -> Result<u64, StoreError> {
        self.follow()?;
        let mut give_up = || {
            let mut rows = [0; Class::ALL.len()];
            let keys: Vec<i64> = keys.iter().map(|key| key.0).collect();
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            shed::remove(&tx, Class::Measurement, &keys, &mut rows)?;
            tx.commit()?;
            Ok(rows.iter().sum())
        };
        let given_up = give_up();
        self.told(given_up)
    }

    /// What was spent of the bytes of which day, as it was noted last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn spent(&self) -> Result<Option<(Date, u64)>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached("SELECT day, bytes FROM spent")?;
            query.query_row([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()
        };
        let spent: Option<(String, i64)> = self.told(read())?;
        Ok(spent.and_then(|(day, bytes)| Some((day.parse().ok()?, bytes.max(0).cast_unsigned()))))
    }

    /// Notes what was spent.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn note_spent(&mut self, (day, bytes): (Date, u64)) -> Result<(), StoreError> {
        self.follow()?;
        let mut note = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.prepare_cached("DELETE FROM spent")?.execute([])?;
            tx.prepare_cached("INSERT INTO spent VALUES (?1, ?2)")?
                .execute((day.to_string(), bytes.cast_signed()))?;
            tx.commit()
        };
        let noted = note();
        self.told(noted)
    }

    fn remove_stored(&mut self, keys: &[Key]) -> Result<u64, StoreError> {
        self.follow()?;
        // what is removed while the file is being replaced would come back, and be counted
        if let Some(why) = self.condition.damage() {
            return Err(StoreError::Damage { file: self.database.file().to_owned(), why });
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

/// SQLite's own waits double up to a tenth of a second, long after the other view is done.
fn wait_a_little(times: i32) -> bool {
    std::thread::sleep(LITTLE);
    LITTLE.saturating_mul(times.unsigned_abs()) < schema::BUSY_TIMEOUT
}

/// Alarms from memory and rows from the disk in their order, and how far they reach.
fn joined(kept: Vec<Row>, rows: Vec<Row>, mut cursor: Cursor, limit: usize) -> (Vec<Row>, Cursor) {
    let mut all: BTreeMap<Key, Row> = kept.into_iter().map(|row| (row.key, row)).collect();
    all.extend(rows.into_iter().map(|row| (row.key, row)));
    let rows: Vec<_> = all.into_values().take(limit).collect();
    for row in &rows {
        if let Some(class) = row.key.class() {
            cursor.0[class as usize] = row.key;
        }
    }
    (rows, cursor)
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
        quality: ClockQuality::of(row.get(2)?),
        monotonic: Duration::from_micros(row.get::<_, i64>(4)?.max(0).unsigned_abs()),
    };
    let boot = row.get(3)?;
    // it may have become known meanwhile what time it was
    if at.quality == ClockQuality::Unsynced && !past.fresh && !past.history.knows(boot) {
        (past.history, past.fresh) = (boots::read(db)?, true);
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
        epoch: match row.get::<_, Option<String>>(8)? {
            None => Arc::clone(&past.epoch),
            Some(epoch) => epoch.into(),
        },
    })
}
