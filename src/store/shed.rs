//! What is given up when there is no room, or after its time: the least important first.
//!
//! Diagnostics, then measurements, of which one an hour of each topic stays and then one a day;
//! events, then plans, and in the end what is left of measurements. Alarms never: they are the
//! reason that there is room at all. It is done in small steps between other writes, each in a
//! transaction of its own, until there is some room to go on with.

use super::{Class, Key, Store, StoreError, failed, schema};
use crate::clock::ClockQuality;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::HashMap;
use std::time::Duration;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So many bytes of the file may be in use.
    pub bytes: u64,
    /// Older messages are given up.
    pub age: Duration,
}

impl Default for Bounds {
    /// As the settings have it.
    fn default() -> Self {
        Self { bytes: 512_000_000, age: Duration::from_secs(90 * 24 * 3600) }
    }
}

/// So many rows are looked at in one step: some milliseconds on a slow card.
const STEP: usize = 400;

/// Shedding goes on until so much of the room is free, so that it does not begin again at once.
const FREE: u64 = 20;

/// A clock that was not set anew for so long says what is old: one that somebody sets wrong is
/// mostly set right again sooner.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// A message that waits is looked at for its age this often.
const LOOK: Duration = Duration::from_secs(600);

/// What is given up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// All diagnostics.
    Diagnostics,
    /// Measurements but one an hour of each topic.
    Hourly,
    /// Measurements but one a day of each topic.
    Daily,
    /// Events, oldest first.
    Events,
    /// Plans, oldest first.
    Plans,
    /// What is left of measurements, oldest first.
    Measurements,
    /// There is nothing left but alarms.
    Nothing,
}

impl Stage {
    const ALL: [Self; 7] = [
        Self::Diagnostics,
        Self::Hourly,
        Self::Daily,
        Self::Events,
        Self::Plans,
        Self::Measurements,
        Self::Nothing,
    ];

    fn class(self) -> Class {
        match self {
            Self::Diagnostics => Class::Diagnostic,
            Self::Hourly | Self::Daily | Self::Measurements => Class::Measurement,
            Self::Events => Class::Event,
            Self::Plans => Class::Plan,
            Self::Nothing => Class::Alarm,
        }
    }

    /// Of which one message stays, in seconds.
    fn span(self) -> Option<i64> {
        match self {
            Self::Hourly => Some(3600),
            Self::Daily => Some(24 * 3600),
            _ => None,
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|stage| *stage == self).unwrap_or(0);
        Self::ALL.get(at + 1).copied().unwrap_or(Self::Nothing)
    }

    /// In words, for the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Diagnostics => "diagnostics",
            Self::Hourly => "measurements but one an hour of each topic",
            Self::Daily => "measurements but one a day of each topic",
            Self::Events => "events, the oldest first",
            Self::Plans => "plans, the oldest first",
            Self::Measurements => "all measurements, the oldest first",
            Self::Nothing => "nothing more: there are only alarms left",
        }
    }
}

/// How far shedding has come.
#[derive(Debug)]
pub(super) struct Shedding {
    stage: Stage,
    /// The last row that was looked at in this stage.
    after: Key,
    /// Of each topic the last span of which a message stays. No more than there are devices.
    stays: HashMap<String, i64>,
}

impl Shedding {
    fn new(stage: Stage) -> Self {
        Self { stage, after: Key::new(stage.class(), 0), stays: HashMap::new() }
    }
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// Messages that were given up, by class.
    pub rows: [u64; Class::ALL.len()],
    /// What is given up now; `None` when there is room.
    pub stage: Option<Stage>,
    /// Whether there is more to do at once.
    pub again: bool,
    /// Bytes that were in use before.
    pub used: u64,
}

impl Store {
    /// Bytes in use.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn used(&self) -> Result<u64, StoreError> {
        used(&self.db).map_err(|e| failed(self.database.file(), e))
    }

    /// How many messages were given up since the store was made, by class.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn shed_so_far(&self) -> Result<[u64; Class::ALL.len()], StoreError> {
        counts(&self.db).map_err(|e| failed(self.database.file(), e))
    }

    /// Gives up a little of what there is no room for, or whose time is over. Takes some
    /// milliseconds; to be called again while there is a stage. `full` says that the disk has no
    /// room whatever the bounds are.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is given up then.
    pub fn shed(&mut self, bounds: Bounds, full: bool) -> Result<Shed, StoreError> {
        if full
            && let Err(error) = super::opened::is_as_long_as_it_says(&self.db, self.database.file())
        {
            self.condition.report(error.to_string());
            return Err(error);
        }
        self.step(bounds, full)
            .map_err(|e| failed(self.database.file(), e))
            .inspect_err(|e| self.suspect(e))
    }

    /// Brings the log back into the file, so that its room can be written anew; whether all of it is
    /// there now. On a disk that is full that may be all the room there is. Where the file cannot
    /// even take its log, nothing that is given up makes room on the disk.
    pub fn settle_log(&mut self) -> bool {
        let settled = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))
        });
        matches!(settled, Ok((0, true)))
    }

    fn step(&mut self, bounds: Bounds, full: bool) -> rusqlite::Result<Shed> {
        let now = self.clock.now();
        let mut rows = [0; Class::ALL.len()];
        let used = used(&self.db)?;
        // a message is not old because somebody's clock is wrong
        let is_same = self.boot.is_some_and(|boot| boot.began.is_some() && !boot.is_news(now));
        let is_believed = is_same && now.monotonic >= self.same_since + BELIEVED;
        if now.quality == ClockQuality::Synced && is_believed && now.monotonic >= self.age_at {
            let age = i64::try_from(bounds.age.as_micros()).unwrap_or(i64::MAX);
            let limit = now.wall.as_microsecond().saturating_sub(age);
            let again = self.expire(limit, &mut rows)?;
            self.age_at = if again { Duration::ZERO } else { now.monotonic + LOOK };
            if rows.iter().any(|count| *count > 0) {
                // told before anything else can fail: they are gone
                return Ok(Shed { rows, stage: self.stage(), again: true, used });
            }
        }
        let low = bounds.bytes - bounds.bytes / FREE;
        if self.shedding.is_none() && (used > bounds.bytes || full) {
            self.shedding = Some(Shedding::new(Stage::Diagnostics));
        }
        if used <= low && !full {
            self.shedding = None;
        }
        if let Some(shedding) = &mut self.shedding {
            thin(&mut self.db, shedding, &mut rows)?;
        }
        let stage = self.stage();
        let again = stage.is_some_and(|stage| stage != Stage::Nothing);
        Ok(Shed { rows, stage, again, used })
    }

    fn stage(&self) -> Option<Stage> {
        self.shedding.as_ref().map(|shedding| shedding.stage)
    }

    /// Removes the oldest rows of each class but alarms, if they are older than this; whether
    /// there may be more.
    fn expire(&mut self, limit_us: i64, rows: &mut [u64; 5]) -> rusqlite::Result<bool> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut more = false;
        for class in Class::ALL.into_iter().filter(|class| *class != Class::Alarm) {
            let (from, end) = class.keys();
            let old: Vec<i64> = {
                // they lie in the order in which they came, so the oldest are in front
                let mut query = tx.prepare_cached(
                    "SELECT key, time_us, clock FROM outbox WHERE key > ?1 AND key < ?2
                     ORDER BY key LIMIT ?3",
                )?;
                let mut found = query.query((from, end, STEP as i64))?;
                let mut old = Vec::new();
                while let Some(row) = found.next()? {
                    let (time, clock): (i64, i64) = (row.get(1)?, row.get(2)?);
                    // of one whose time is not known the age is not, either
                    if time >= limit_us && clock != 2 {
                        break;
                    }
                    if clock != 2 {
                        old.push(row.get(0)?);
                    }
                }
                old
            };
            more |= old.len() == STEP;
            remove(&tx, class, &old, rows)?;
        }
        if rows.iter().any(|count| *count > 0) {
            tx.commit()?;
        }
        Ok(more)
    }
}

/// How many messages were given up, by class.
pub(super) fn counts(db: &Connection) -> rusqlite::Result<[u64; Class::ALL.len()]> {
    let mut all = [0; Class::ALL.len()];
    let mut query = db.prepare_cached("SELECT class, rows FROM shed")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(count) = all.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *count = row.get::<_, i64>(1)?.max(0).cast_unsigned();
        }
    }
    Ok(all)
}

pub(super) fn used(db: &Connection) -> rusqlite::Result<u64> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    Ok((pages * schema::page_size(db)?).max(0).cast_unsigned())
}

/// Goes on with this stage, or to the next.
fn thin(db: &mut Connection, shedding: &mut Shedding, rows: &mut [u64; 5]) -> rusqlite::Result<()> {
    if shedding.stage == Stage::Nothing {
        // what comes while there is no room is less important than alarms
        *shedding = Shedding::new(Stage::Diagnostics);
    }
    loop {
        let class = shedding.stage.class();
        if shedding.stage == Stage::Nothing {
            return Ok(());
        }
        let (_, end) = class.keys();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut gone, mut after, mut looked_at) = (Vec::new(), shedding.after, 0);
        {
            let mut query = tx.prepare_cached(
                "SELECT key, topic, time_us FROM outbox WHERE key > ?1 AND key < ?2
                 ORDER BY key LIMIT ?3",
            )?;
            let mut found = query.query((after.0, end, STEP as i64))?;
            while let Some(row) = found.next()? {
                after = Key(row.get(0)?);
                looked_at += 1;
                let stays = match shedding.stage.span() {
                    None => false,
                    Some(span) => {
                        let this = row.get::<_, i64>(2)?.div_euclid(1_000_000).div_euclid(span);
                        shedding.stays.insert(row.get(1)?, this) != Some(this)
                    }
                };
                if !stays {
                    gone.push(after.0);
                }
            }
        }
        remove(&tx, class, &gone, rows)?;
        tx.commit()?;
        shedding.after = after;
        if looked_at < STEP {
            *shedding = Shedding::new(shedding.stage.next());
        }
        if !gone.is_empty() || looked_at == STEP {
            return Ok(());
        }
    }
}

/// Removes these rows, and counts them for ever.
pub(super) fn remove(
    db: &Connection,
    class: Class,
    keys: &[i64],
    rows: &mut [u64; 5],
) -> rusqlite::Result<()> {
    let mut removed = 0;
    let mut delete = db.prepare_cached("DELETE FROM outbox WHERE key = ?1")?;
    for key in keys {
        removed += delete.execute([key])? as u64;
    }
    if removed > 0 {
        rows[class as usize] += removed;
        db.prepare_cached(
            "INSERT INTO shed (class, rows) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        )?
        .execute((class as i64, removed.cast_signed()))?;
    }
    Ok(())
}
