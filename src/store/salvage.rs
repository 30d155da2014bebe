//! Messages as a damaged database still has them, and how they get into a new one.

use super::record::Value;
use super::rescue::Identity;
use super::writing::RESERVE;
use super::{Class, DAMAGED, Key, packing};
use rusqlite::{Connection, params};
use serde::de::IgnoredAny;

/// So many rows are one transaction.
const GROUP: u64 = 5000;

/// Where the old store's next number is not known, its messages had numbers below this one.
const UNKNOWN: u64 = 1 << 40;

/// Messages, by class.
pub(super) type ByClass = [u64; Class::ALL.len()];

/// A message as it was kept.
pub(super) struct Message<'a> {
    pub(super) class: Class,
    key: i64,
    time_us: i64,
    clock: i64,
    topic: &'a str,
    body: &'a str,
    boot: i64,
    monotonic_us: i64,
    packed: Option<&'a [u8]>,
    epoch: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// `None` when the row is none of an outbox.
    pub(super) fn of(row: Option<i64>, values: &'a [Value]) -> Option<Self> {
        // one that the broker did not take waits again
        if let [
            Value::Null,
            Value::Integer(time_us),
            Value::Integer(clock @ 0..=2),
            Value::Integer(boot),
            Value::Integer(monotonic_us),
            Value::Text(topic),
            Value::Text(body),
            packed,
            epoch,
            Value::Text(_),
            Value::Integer(_),
        ] = values
        {
            let (time_us, clock, boot, monotonic_us) = (*time_us, *clock, *boot, *monotonic_us);
            let class = Key(row?).class()?;
            let (packed, epoch) = (optional_blob(packed)?, optional_text(epoch)?);
            let key = row.filter(|key| *key > 0)?;
            return Some(Self {
                class,
                key,
                time_us,
                clock,
                topic,
                body,
                boot,
                monotonic_us,
                packed,
                epoch,
            });
        }
        let [
            Value::Null,
            Value::Integer(time_us),
            Value::Integer(clock @ 0..=2),
            Value::Text(topic),
            Value::Text(body),
            rest @ ..,
        ] = values
        else {
            return None;
        };
        let key = row.filter(|key| *key > 0)?;
        let class = Key(key).class()?;
        // columns that came later are missing in older rows
        let (boot, monotonic_us) = match rest {
            [Value::Integer(boot), Value::Integer(monotonic), ..] => (*boot, *monotonic),
            [] => (0, 0),
            _ => return None,
        };
        let packed = rest.get(2).map_or(Some(None), optional_blob)?;
        let epoch = rest.get(3).map_or(Some(None), optional_text)?;
        let (time_us, clock) = (*time_us, *clock);
        let message =
            Self { class, key, time_us, clock, topic, body, boot, monotonic_us, packed, epoch };
        (rest.len() <= 4 && !topic.is_empty()).then_some(message)
    }

    /// Whether its body is what was written.
    fn is_whole(&self) -> bool {
        let json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        match self.packed {
            Some(packed) => packing::unpack(packed).is_some_and(|body| json(&body)),
            None => json(self.body),
        }
    }
}

/// `None` when it is of another kind.
fn optional_blob(value: &Value) -> Option<Option<&[u8]>> {
    match value {
        Value::Null => Some(None),
        Value::Blob(blob) => Some(Some(blob)),
        _ => None,
    }
}

/// `None` when it is of another kind.
fn optional_text(value: &Value) -> Option<Option<&str>> {
    match value {
        Value::Null => Some(None),
        Value::Text(text) => Some(Some(text)),
        _ => None,
    }
}

/// The outbox of the new file.
pub(super) struct Messages<'a> {
    db: &'a Connection,
    epoch: Option<&'a str>,
    /// Numbers from here on were never given out.
    end: u64,
    /// What was written in a later boot is not known to be of any.
    pub(super) last_boot: i64,
    /// Rows that cannot be.
    pub(super) refused: u64,
    /// Messages that were met at first and are brought over later.
    met: ByClass,
    /// Of these, what need not be: another version of one that is there, or none at all.
    passed: ByClass,
    /// Rows of this transaction.
    group: u64,
}

impl<'a> Messages<'a> {
    pub(super) fn new(
        db: &'a Connection,
        identity: Option<&'a Identity>,
    ) -> rusqlite::Result<Self> {
        // a power cut costs the new file, and only that
        db.pragma_update(None, "journal_mode", "MEMORY")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        let end = identity.map_or(UNKNOWN, |known| known.next_sequence + RESERVE);
        db.execute("UPDATE store SET next_sequence = ?1", [end as i64])?;
        db.execute_batch("BEGIN")?;
        let epoch = identity.map(|known| known.epoch.as_str());
        Ok(Self {
            db,
            epoch,
            end,
            last_boot: i64::MAX,
            refused: 0,
            met: [0; 5],
            passed: [0; 5],
            group: 0,
        })
    }

    /// Brings one over that is important, and counts the others.
    pub(super) fn meet(&mut self, message: &Message<'_>) -> rusqlite::Result<()> {
        if message.class < Class::Measurement {
            return self.put(message);
        }
        self.met[message.class as usize] += 1;
        Ok(())
    }

    pub(super) fn put(&mut self, message: &Message<'_>) -> rusqlite::Result<()> {
        if Key(message.key).sequence() >= self.end {
            self.refused += 1;
            self.passed[message.class as usize] += 1;
            return Ok(());
        }
        if self.group == GROUP {
            self.group = 0;
            self.db.execute_batch("COMMIT; BEGIN")?;
        }
        self.group += 1;
        let is_whole = message.is_whole();
        let known = (0..=self.last_boot).contains(&message.boot);
        // the first version that is met is the newest one as far as anything says
        let put = self
            .db
            .prepare_cached(
                "INSERT OR IGNORE INTO outbox
                 (key, time_us, clock, topic, body, boot, monotonic_us, packed, epoch)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                message.key,
                message.time_us,
                message.clock,
                message.topic,
                if is_whole { message.body } else { DAMAGED },
                if known { message.boot } else { 0 },
                message.monotonic_us.max(0),
                message.packed.filter(|_| is_whole),
                message.epoch.or(self.epoch),
            ])?;
        self.passed[message.class as usize] += u64::from(put == 0);
        Ok(())
    }

    /// What is important is there. From now on a card may be full: what that leaves behind is
    /// counted before, where it takes no room afterwards.
    pub(super) fn begin_others(&mut self) -> rusqlite::Result<()> {
        self.group = 0;
        self.db.execute("UPDATE outbox SET boot = 0 WHERE boot > ?1", [self.last_boot])?;
        let mut count = self.db.prepare(
            "INSERT INTO shed (class, rows) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
        )?;
        for (class, met) in self.met.iter().enumerate().filter(|(_, met)| **met > 0) {
            count.execute((class as i64, met.cast_signed()))?;
        }
        self.db.execute_batch("COMMIT; BEGIN")
    }

    /// How many messages of each class are there in the end, and how many are not.
    pub(super) fn finish(self) -> rusqlite::Result<(ByClass, ByClass)> {
        // a card that is full has taken the last group back
        if !self.db.is_autocommit() && self.db.execute_batch("COMMIT").is_err() {
            self.db.execute_batch("ROLLBACK")?;
        }
        let mut saved = ByClass::default();
        let mut count =
            self.db.prepare("SELECT count(*) FROM outbox WHERE key > ?1 AND key < ?2")?;
        let mut left = ByClass::default();
        for class in Class::ALL {
            let n = class as usize;
            saved[n] = count.query_row(class.keys(), |row| row.get::<_, i64>(0))?.cast_unsigned();
            left[n] = self.met[n].saturating_sub(saved[n] + self.passed[n]);
            let not_left = (self.met[n] - left[n]).cast_signed();
            if not_left > 0 {
                let uncount = "UPDATE shed SET rows = rows - ?2 WHERE class = ?1";
                self.db.execute(uncount, (class as i64, not_left))?;
            }
        }
        Ok((saved, left))
    }
}
