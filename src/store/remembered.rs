//! What the house remembers, as rows: JSON by room and key. Each room knows its own words; the
//! store only keeps them, in one transaction with what brought them about.
//!
//! With each uplink a little of it changes, anywhere: to write that where it belongs would be a
//! page for each device and each bin. So it is appended to the table `recent`, many to a page, and
//! the oldest of it is folded into `remembered` once there is enough: by then most of it has been
//! said anew, and is only dropped.
//!
//! What is known of a bin is long. A word about `bin#3` is an addition to that about `bin`, and ends
//! with the next one about `bin`.

use super::packing;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::ops::Range;

/// So many changes are folded at once: each page is then written once for many of them.
const FOLD: u64 = if cfg!(test) { 125 } else { 1000 };

/// So many are kept: long enough for most to be said anew, and few to go through at a start.
pub(super) const KEPT: u64 = 8 * FOLD;

/// What stands between a key and the place of an addition to what is said of it: in the name of no
/// bin.
pub const ADDITION: char = '#';

/// The next character after it.
const BEHIND: char = '$';

/// What is longer, such as a plan, is no small change, and goes where it belongs at once.
const LONG: usize = 2048;

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Room {
    /// What is known of bins, by the bin's name.
    Bins = 0,
    /// The plans that hold now, by the plan's name.
    Plans = 1,
    /// The sessions of devices, by DevEUI.
    Sessions = 2,
    /// Commands to plan that are not answered yet, by the command's id: gone with the answer.
    Orders = 3,
    /// What is known of residents, by the pseudonym; and the alarms that wait for an answer.
    Care = 4,
}

/// Something remembered anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// By whom.
    pub room: Room,
    /// Of what.
    pub key: String,
    /// A JSON object.
    pub body: String,
}

/// A word about something: room, key and body; without a body nothing is remembered any more.
pub(super) type Word<'a> = (Room, &'a str, Option<&'a str>);

impl State {
    pub(super) fn word(&self) -> Word<'_> {
        (self.room, &self.key, Some(&self.body))
    }
}

/// What a room remembers, by key.
pub(super) fn read(db: &Connection, room: Room) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for table in ["remembered", "recent"] {
        // the second in the order in which they were said
        let sql = format!("SELECT key, body FROM {table} WHERE room = ?1 ORDER BY rowid");
        let mut query = db.prepare(&sql)?;
        let mut rows = query.query([room as u8])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if table == "recent" {
                end(&mut known, additions(room as u8, &key));
            }
            let body: Option<Vec<u8>> = row.get(1)?;
            match body.and_then(|body| packing::text(&body)) {
                Some(body) => known.insert(key, body),
                // one that is damaged is forgotten: the rooms know how to begin anew
                None => known.remove(&key),
            };
        }
    }
    Ok(known)
}

/// Where the additions to what is said of this lie, if it can have any.
fn additions(room: u8, key: &str) -> Option<Range<String>> {
    (room == Room::Bins as u8 && !key.contains(ADDITION))
        .then(|| format!("{key}{ADDITION}")..format!("{key}{BEHIND}"))
}

/// Removes these.
fn end<V>(known: &mut BTreeMap<String, V>, additions: Option<Range<String>>) {
    let Some(additions) = additions else { return };
    let ended: Vec<_> = known.range(additions).map(|(key, _)| key.clone()).collect();
    for key in ended {
        known.remove(&key);
    }
}

/// How many changes wait to be folded.
pub(super) fn recent(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT count(*) FROM recent", [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

/// Writes these down; `recent` of them wait to be folded before, and that many after.
pub(super) fn write<'a>(
    db: &Connection,
    words: impl IntoIterator<Item = Word<'a>>,
    mut recent: u64,
) -> rusqlite::Result<u64> {
    for (room, key, body) in words {
        let body = body.map(packing::bytes);
        // of residents nothing lies about that holds no longer
        let is_secret = room == Room::Care;
        let room = room as u8;
        // an addition keeps its place behind what it is added to
        let is_long = body.as_ref().is_some_and(|body| body.len() > LONG);
        if is_secret || is_long && !key.contains(ADDITION) {
            db.prepare_cached("DELETE FROM recent WHERE room = ?1 AND key = ?2")?
                .execute(params![room, key])?;
            forget_additions(db, "recent", room, key)?;
            put(db, room, key, body.as_deref())?;
        } else {
            db.prepare_cached("INSERT INTO recent (room, key, body) VALUES (?1, ?2, ?3)")?
                .execute(params![room, key, body])?;
            recent += 1;
        }
    }
    if recent < KEPT {
        return Ok(recent);
    }
    fold(db)?;
    self::recent(db)
}

/// Puts a word where it belongs; what was added to the one before it ends.
pub(super) fn put(
    db: &Connection,
    room: u8,
    key: &str,
    body: Option<&[u8]>,
) -> rusqlite::Result<()> {
    forget_additions(db, "remembered", room, key)?;
    if let Some(body) = body {
        return place(db, room, key, body);
    }
    db.prepare_cached("DELETE FROM remembered WHERE room = ?1 AND key = ?2")?
        .execute(params![room, key])?;
    Ok(())
}

/// Puts a word in the place of the one before it, so that the index stays as it is; what was added
/// to that stays, too.
pub(super) fn place(db: &Connection, room: u8, key: &str, body: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO remembered (room, key, body) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET body = excluded.body",
    )?
    .execute(params![room, key, body])?;
    Ok(())
}

fn forget_additions(db: &Connection, table: &str, room: u8, key: &str) -> rusqlite::Result<()> {
    if let Some(Range { start, end }) = additions(room, key) {
        let sql = format!("DELETE FROM {table} WHERE room = ?1 AND key >= ?2 AND key < ?3");
        db.prepare_cached(&sql)?.execute(params![room, start, end])?;
    }
    Ok(())
}

/// Puts those of the oldest words where they belong that hold still.
fn fold(db: &Connection) -> rusqlite::Result<()> {
    let mut last: BTreeMap<u8, BTreeMap<String, Option<Vec<u8>>>> = BTreeMap::new();
    let mut upto: i64 = 0;
    {
        let mut query =
            db.prepare_cached("SELECT number, room, key, body FROM recent ORDER BY number")?;
        let mut rows = query.query([])?;
        let mut n = 0;
        while let Some(row) = rows.next()? {
            let (room, key) = (row.get(1)?, row.get::<_, String>(2)?);
            let words = last.entry(room).or_default();
            end(words, additions(room, &key));
            if n < FOLD {
                upto = row.get(0)?;
                words.insert(key, row.get(3)?);
            } else {
                words.remove(&key);
            }
            n += 1;
        }
    }
    for (room, words) in last {
        for (key, body) in words {
            put(db, room, &key, body.as_deref())?;
        }
    }
    db.execute("DELETE FROM recent WHERE number <= ?1", [upto])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Whatever is written in whichever groups, what is read is the last word about each thing.
        #[test]
        fn the_last_word_holds(
            words in prop::collection::vec(
                (0u8..3, 0u8..6, prop::option::of((0usize..4, 0u32..1000))), 1..400),
            group in 1usize..40,
            repeat in 1usize..8,
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let db = schema::open(&(&dir.path().join("t.db")).into()).expect("opens");
            let rooms = [Room::Bins, Room::Plans, Room::Sessions];
            let mut model: [BTreeMap<String, String>; 3] = Default::default();
            let mut said = Vec::new();
            for _ in 0..repeat {
                for (room, key, body) in &words {
                    // a third of them are additions to what is said of the same bin
                    let key = match *key {
                        key @ ..4 => format!("k{key}"),
                        key => format!("k{}{ADDITION}{key}", key % 2),
                    };
                    // some are long
                    let body = body.map(|(size, n)| {
                        let long: String =
                            (0..size / 3 * 3000).map(|_| fastrand::alphanumeric()).collect();
                        format!(r#"{{"n":{n},"text":"{long}"}}"#)
                    });
                    if *room == 0 && !key.contains(ADDITION) {
                        model[0].retain(|other, _| !other.starts_with(&format!("{key}{ADDITION}")));
                    }
                    match &body {
                        Some(body) => model[usize::from(*room)].insert(key.clone(), body.clone()),
                        None => model[usize::from(*room)].remove(&key),
                    };
                    said.push((rooms[usize::from(*room)], key, body));
                }
            }
            let mut waiting = recent(&db).expect("reads");
            for said in said.chunks(group) {
                let words = said.iter().map(|(room, key, body)| (*room, &**key, body.as_deref()));
                db.execute_batch("BEGIN").expect("begins");
                waiting = write(&db, words, waiting).expect("writes");
                db.execute_batch("COMMIT").expect("commits");
                prop_assert!(waiting < KEPT);
            }
            for (room, known) in rooms.into_iter().zip(model) {
                prop_assert_eq!(read(&db, room).expect("reads"), known);
            }
        }
    }
}
