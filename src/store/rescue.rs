//! What a damaged database still says, in a new one.
//!
//! The new file is made beside the damaged one, under a name of its own. Only when it is whole and
//! on disk is the damaged one set aside and the new one put in its place: a power cut in between
//! leaves either the damaged one, and all of this is done again, or the whole new one.
//!
//! Rows are told by their shape: no two tables of any version have the same, and so not even the
//! first page is needed, which says where each table begins. A message keeps its place and the
//! epoch of its store, and so its id.

use super::damaged::{self, with};
use super::pages::{Lost, Pages, Value};
use super::remembered::{self, Room};
use super::{Class, DAMAGED, Key, RESERVE, StoreError, copy, failed, memory, packing, schema};
use crate::device::Abp;
use crate::lorawan::{Counter, Memory, Session, Slot};
use crate::units::{AesKey, DevAddr, DevEui};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::mem::take;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the new file is called until it is whole.
const NEW: &str = ".new";

/// How long measurements may take to be brought over. What is more important, and there is little
/// of it, is not left behind.
const PATIENCE: Duration = Duration::from_secs(8);

/// So many rows are one transaction.
const GROUP: u64 = 5000;

/// Where the old store's next number is not known, its messages had numbers below this one.
const UNKNOWN: u64 = 1 << 40;

/// No store has given out so many: a greater number is damaged.
pub(super) const LAST: i64 = 1 << 52;

/// Boots are numbered one by one: a greater number is damaged.
const MAX_BOOT: i64 = 1 << 32;

/// What a store's numbers belong to, and the next that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) epoch: String,
    pub(super) next_sequence: u64,
}

/// What is known of a damaged database from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Which store it was.
    pub(super) identity: Option<Identity>,
    /// The sessions of its copy, as far as that can be read.
    pub(super) sessions: Option<Memory>,
    /// Whether the copy was kept up to the end, so that nothing but it is needed.
    pub(super) is_current: bool,
}

/// What became of a damaged database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// What was wrong with it.
    pub reason: String,
    /// Where it is now.
    pub aside: PathBuf,
    /// The messages that were saved, by class.
    pub saved: [u64; Class::ALL.len()],
    /// Messages that there was no time or no room for, at least. They are in the file.
    pub left: u64,
    /// Pages that cannot be read.
    pub lost_pages: u64,
    /// Rows of which a part cannot be read.
    pub lost_rows: u64,
}

/// Finishes what a power cut has interrupted. Whether there is a database now.
pub(super) fn resume(file: &Path, now: Timestamp) -> std::io::Result<bool> {
    let new = with(file, NEW);
    let exists = file.try_exists()?;
    if exists {
        // it may be half a file, and the whole one is still there
        damaged::remove(&new)?;
    } else if new.try_exists()? {
        if with(file, "-wal").try_exists()? {
            damaged::set_aside(file, now)?;
        }
        std::fs::rename(&new, file)?;
        damaged::sync_directory(file)?;
    }
    Ok(exists || file.try_exists()?)
}

/// Makes a new database of what a damaged one and its copy still say, and puts it in its place.
/// Nothing has to be added to it afterwards: a power cut may come as soon as it is there.
pub(super) fn rescue(
    file: &Path,
    reason: &str,
    known: Elsewhere,
    now: Timestamp,
) -> Result<Rescue, StoreError> {
    let io = |source| StoreError::SetAside { file: file.to_owned(), source };
    let begin = Instant::now();
    let pages = Pages::open(file).map_err(io)?;
    let new = with(file, NEW);
    damaged::remove(&new).map_err(io)?;
    damaged::tidy(file);
    let (saved, left, lost) =
        bring_over(&pages, &new, known, begin + PATIENCE).inspect_err(|_| {
            // the card may be full, and half a file is of no use
            let _ = damaged::remove(&new);
        })?;
    for suffix in damaged::COMPANIONS {
        // everything is in the file itself
        let _ = std::fs::remove_file(with(&new, suffix));
    }
    File::open(&new).and_then(|new| new.sync_all()).map_err(io)?;
    let aside = damaged::set_aside(file, now).map_err(io)?;
    std::fs::rename(&new, file).map_err(io)?;
    damaged::sync_directory(file).map_err(io)?;
    damaged::tidy(file);
    Ok(Rescue {
        reason: reason.to_owned(),
        aside,
        saved,
        left,
        lost_pages: lost.pages,
        lost_rows: lost.rows,
    })
}

pub(super) type Brought = ([u64; Class::ALL.len()], u64, Lost);

pub(super) fn bring_over(
    pages: &Pages,
    new: &Path,
    known: Elsewhere,
    deadline: Instant,
) -> Result<Brought, StoreError> {
    let sqlite = |error| failed(new, error);
    let db = schema::open(new)?;
    let has_copy = known.is_current && known.sessions.is_some();
    let identity = identity(pages, known.identity);
    let mut outbox = Messages::new(&db, identity.as_ref()).map_err(sqlite)?;
    let mut rest = Rest::default();
    let mut trouble = None;
    let mut lost = pages.visit(|(row, values)| {
        match Message::of(row, &values) {
            Some(message) if message.class < Class::Measurement => {
                trouble = outbox.put(&message).err();
            }
            Some(_) => {}
            None => rest.take(row, values),
        }
        trouble.is_none()
    });
    if let Some(error) = trouble {
        return Err(sqlite(error));
    }
    outbox.last_boot = rest.boots.keys().copied().max().unwrap_or(0);
    let sessions = pages.is_certain() || !has_copy;
    rest.write(&db, sessions, pages.is_certain()).map_err(sqlite)?;
    let found = memory::read(&db).map_err(sqlite)?;
    let missing = copy::missing(&found, &known.sessions.unwrap_or_default(), true);
    memory::restore(&db, &missing, 0).map_err(sqlite)?;
    outbox.begin_others().map_err(sqlite)?;
    // what there is no time or no room for is counted, for as long as that takes no time
    let end = deadline + PATIENCE / 8;
    let (mut room, mut left) = (true, 0);
    pages.visit(|(row, values)| {
        let now = Instant::now();
        if let Some(message) = Message::of(row, &values)
            && message.class >= Class::Measurement
        {
            room = room && now < deadline && outbox.put(&message).is_ok();
            left += u64::from(!room);
        }
        now < end
    });
    lost.rows += outbox.refused;
    let saved = outbox.finish().map_err(sqlite)?;
    Ok((saved, left, lost))
}

/// Which store it was.
pub(super) fn identity(pages: &Pages, known: Option<Identity>) -> Option<Identity> {
    let mut found = None;
    pages.visit(|(row, values)| {
        if let (Some(0), [Value::Null, Value::Text(epoch), Value::Integer(next), ..]) =
            (row, &values[..])
            && (3..=4).contains(&values.len())
            && epoch.len() <= 64
            && epoch.chars().all(|c| c.is_ascii_alphanumeric())
            && (1..LAST).contains(next)
        {
            found = Some(Identity { epoch: epoch.clone(), next_sequence: *next as u64 });
        }
        found.is_none()
    });
    match (found, known) {
        (Some(found), Some(known)) if found.epoch == known.epoch => {
            let next_sequence = found.next_sequence.max(known.next_sequence);
            Some(Identity { next_sequence, ..found })
        }
        (found, known) => found.or(known),
    }
}

/// A message as it was kept.
struct Message<'a> {
    class: Class,
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
    fn of(row: Option<i64>, values: &'a [Value]) -> Option<Self> {
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
struct Messages<'a> {
    db: &'a Connection,
    epoch: Option<&'a str>,
    /// Numbers from here on were never given out.
    end: u64,
    /// What was written in a later boot is not known to be of any.
    last_boot: i64,
    /// Rows that cannot be.
    refused: u64,
    /// Rows of this transaction.
    group: u64,
}

impl<'a> Messages<'a> {
    fn new(db: &'a Connection, identity: Option<&'a Identity>) -> rusqlite::Result<Self> {
        // a power cut costs the new file, and only that
        db.pragma_update(None, "journal_mode", "MEMORY")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        let end = identity.map_or(UNKNOWN, |known| known.next_sequence + RESERVE);
        db.execute("UPDATE store SET next_sequence = ?1", [end as i64])?;
        db.execute_batch("BEGIN")?;
        let epoch = identity.map(|known| known.epoch.as_str());
        Ok(Self { db, epoch, end, last_boot: i64::MAX, refused: 0, group: 0 })
    }

    fn put(&mut self, message: &Message<'_>) -> rusqlite::Result<()> {
        if Key(message.key).sequence() >= self.end {
            self.refused += 1;
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
        self.db
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
            ])
            .map(|_| ())
    }

    /// What is important is there. From now on a card may be full.
    fn begin_others(&mut self) -> rusqlite::Result<()> {
        self.group = 0;
        self.db.execute("UPDATE outbox SET boot = 0 WHERE boot > ?1", [self.last_boot])?;
        self.db.execute_batch("COMMIT; BEGIN")
    }

    /// How many messages of each class are there in the end.
    fn finish(self) -> rusqlite::Result<[u64; Class::ALL.len()]> {
        // a card that is full has taken the last group back
        if !self.db.is_autocommit() && self.db.execute_batch("COMMIT").is_err() {
            self.db.execute_batch("ROLLBACK")?;
        }
        let mut saved = [0; Class::ALL.len()];
        let mut count =
            self.db.prepare("SELECT count(*) FROM outbox WHERE key > ?1 AND key < ?2")?;
        for class in Class::ALL {
            saved[class as usize] =
                count.query_row(class.keys(), |row| row.get::<_, i64>(0))?.cast_unsigned();
        }
        Ok(saved)
    }
}

/// A downlink that waits, but for its number.
type Waiting = (String, i64, i64, Vec<u8>, i64, i64);

/// A boot, but for its number.
type Boot = (String, Option<i64>, Option<i64>, i64);

/// Everything but messages.
#[derive(Default)]
struct Rest {
    words: BTreeMap<(u8, String), Vec<u8>>,
    recent: BTreeMap<i64, (u8, String, Option<Vec<u8>>)>,
    joins: BTreeMap<i64, (Vec<u8>, i64)>,
    nonces: BTreeSet<(i64, i64)>,
    downlinks: BTreeMap<i64, Waiting>,
    commands: BTreeMap<i64, (String, String)>,
    boots: BTreeMap<i64, Boot>,
    shed: BTreeMap<i64, i64>,
    seen: Option<i64>,
}

impl Rest {
    /// Takes a row by its shape.
    fn take(&mut self, row: Option<i64>, values: Vec<Value>) {
        use Value::{Blob, Integer, Null, Text};
        let is_word = |body: &[u8]| {
            packing::text(body)
                .is_some_and(|text| serde_json::from_str::<IgnoredAny>(&text).is_ok())
        };
        let number = |value: &Value| match value {
            Integer(n) => Some(Some(*n)),
            Null => Some(None),
            _ => None,
        };
        let mut values = values;
        match (row, &mut values[..]) {
            (Some(_), [Integer(room @ 0..=3), Text(key), Blob(body)]) if is_word(body) => {
                self.words.insert((*room as u8, take(key)), take(body));
            }
            (Some(n), [Null, Integer(room @ 0..=3), Text(key), Blob(body)]) if is_word(body) => {
                self.recent.insert(n, (*room as u8, take(key), Some(take(body))));
            }
            (Some(n), [Null, Integer(room @ 0..=3), Text(key), Null]) => {
                self.recent.insert(n, (*room as u8, take(key), None));
            }
            // as version 3 kept them
            (None, [Integer(room @ 0..=1), Text(key), Text(body)]) if is_word(body.as_bytes()) => {
                self.words.insert((*room as u8, take(key)), packing::bytes(body));
            }
            (None, [Integer(dev_eui), Integer(slot @ 0..=1), _, _, _, _, Text(_), Blob(_), ..]) => {
                let (dev_eui, slot) = (DevEui(*dev_eui as u64), *slot);
                self.session(dev_eui, slot, &values);
            }
            // and version 1, which answered no device
            (Some(dev_eui), [Null, Integer(up), Integer(high), reset, Blob(binding)])
                if binding.len() == 8 =>
            {
                let down = (*up).min(16_383);
                let (up, high, reset, binding) = (*up, *high, reset.clone(), take(binding));
                let numbers = [Null, Null, Integer(up), Integer(high), reset, Integer(down)];
                let rest = [Text("{}".into()), Blob(binding)];
                let columns: Vec<_> = numbers.into_iter().chain(rest).collect();
                self.session(DevEui(dev_eui as u64), 0, &columns);
            }
            (Some(dev_eui), [Null, Blob(binding), Integer(nonce @ 0..=0xff_ffff)])
                if binding.len() == 8 =>
            {
                self.joins.insert(dev_eui, (take(binding), *nonce));
            }
            (None, [Integer(dev_eui), Integer(nonce @ 0..=0xffff)]) => {
                self.nonces.insert((*dev_eui, *nonce));
            }
            (
                Some(n),
                [
                    Null,
                    Text(id),
                    Integer(dev_eui),
                    Integer(port @ 1..=223),
                    Blob(payload),
                    Integer(confirmed @ 0..=1),
                    Integer(expires),
                ],
            ) => {
                let waiting = (take(id), *dev_eui, *port, take(payload), *confirmed, *expires);
                self.downlinks.insert(n, waiting);
            }
            (Some(n), [Null, Text(id), Text(reply)]) => {
                self.commands.insert(n, (take(id), take(reply)));
            }
            (Some(n @ 1..MAX_BOOT), [Null, Text(id), began, floor, Integer(lasted)]) => {
                if let (Some(began), Some(floor)) = (number(began), number(floor)) {
                    self.boots.insert(n, (take(id), began, floor, *lasted));
                }
            }
            (Some(class @ 0..=4), [Null, Integer(rows)]) => {
                self.shed.insert(class, (*rows).max(0));
            }
            (Some(0), [Null, Text(_), Integer(_), Integer(seen)]) => self.seen = Some(*seen),
            _ => {}
        }
    }
}

impl Rest {
    /// A session as versions 1 to 3 kept it.
    fn session(&mut self, dev_eui: DevEui, slot: i64, columns: &[Value]) {
        let number = |n: usize| match columns.get(n) {
            Some(Value::Integer(n)) => Some(*n),
            _ => None,
        };
        let blob = |n: usize| match columns.get(n) {
            Some(Value::Blob(blob)) => Some(&blob[..]),
            _ => None,
        };
        let u32_of = |n: usize| number(n).and_then(|n| u32::try_from(n).ok());
        let Some(session) = (|| {
            let key = |n: usize| blob(n)?.try_into().ok().map(AesKey);
            let counter = u32_of(2).zip(u32_of(3)).map(|(f_cnt_up, high_water)| Counter {
                f_cnt_up,
                high_water,
                reset_at: number(4).and_then(|second| Timestamp::from_second(second).ok()),
            });
            let derived = match (u32_of(8), key(9), key(10)) {
                (Some(dev_addr), Some(nwk_s_key), Some(app_s_key)) => {
                    Some(Abp { dev_addr: DevAddr(dev_addr), nwk_s_key, app_s_key })
                }
                _ => None,
            };
            let Some(Value::Text(link)) = columns.get(6) else { return None };
            let link = serde_json::from_str(link).unwrap_or_default();
            let binding = blob(7)?.try_into().ok()?;
            Some(Session { derived, counter, f_cnt_down: u32_of(5)?, link, binding })
        })() else {
            return;
        };
        let slot = if slot == 0 { Slot::Active } else { Slot::Pending };
        let (key, body) = memory::word(dev_eui, slot, Some(&session));
        if let Some(body) = body {
            self.words.insert((Room::Sessions as u8, key), packing::bytes(&body));
        }
    }

    /// Writes down what was found; of sessions only if so asked. Where it is not `certain` which
    /// rows had been removed, no downlink is: none may be sent twice.
    fn write(self, db: &Connection, sessions: bool, certain: bool) -> rusqlite::Result<()> {
        let is_asked = |room: u8| sessions || room != Room::Sessions as u8;
        for ((room, key), body) in self.words {
            if is_asked(room) {
                remembered::put(db, room, &key, Some(&body))?;
            }
        }
        for (room, key, body) in self.recent.into_values() {
            if is_asked(room) {
                remembered::put(db, room, &key, body.as_deref())?;
            }
        }
        for (dev_eui, (binding, nonce)) in self.joins {
            db.execute("INSERT INTO joins VALUES (?1, ?2, ?3)", params![dev_eui, binding, nonce])?;
        }
        for nonce in self.nonces {
            db.execute("INSERT INTO dev_nonce VALUES (?1, ?2)", nonce)?;
        }
        if certain {
            for (number, (id, dev_eui, port, payload, confirmed, expires)) in self.downlinks {
                db.execute(
                    "INSERT OR IGNORE INTO downlink VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![number, id, dev_eui, port, payload, confirmed, expires],
                )?;
            }
        }
        for (number, (id, reply)) in self.commands {
            db.execute("INSERT OR IGNORE INTO command VALUES (?1, ?2, ?3)", (number, id, reply))?;
        }
        for (number, (id, began, floor, lasted)) in self.boots {
            db.execute(
                "INSERT OR IGNORE INTO boot VALUES (?1, ?2, ?3, ?4, ?5)",
                (number, id, began, floor, lasted),
            )?;
        }
        for (class, rows) in self.shed {
            db.execute("INSERT INTO shed VALUES (?1, ?2)", (class, rows))?;
        }
        db.execute("UPDATE store SET seen_us = ?1", [self.seen])?;
        Ok(())
    }
}
