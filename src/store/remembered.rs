//! What the house remembers, as rows: JSON by room and key. Each room knows its own words; the
//! store only keeps them, in one transaction with what brought them about.
//!
//! With each uplink a little of it changes, anywhere: to write that where it belongs would be a
//! page for each device and each bin. So it is appended to the table `recent`, many to a page, and
//! folded into `remembered` once there is enough of it.

use super::packing;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// So many changes are folded at once: each page is then written once for many of them, and at a
/// start there are few to go through.
const FOLD: u64 = 1000;

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
        // both in the order in which they were written
        let sql = format!("SELECT key, body FROM {table} WHERE room = ?1 ORDER BY rowid");
        let mut query = db.prepare(&sql)?;
        let mut rows = query.query([room as u8])?;
        while let Some(row) = rows.next()? {
            let body: Option<Vec<u8>> = row.get(1)?;
            match body.and_then(|body| packing::text(&body)) {
                Some(body) => known.insert(row.get(0)?, body),
                // one that is damaged is forgotten: the rooms know how to begin anew
                None => known.remove(&row.get::<_, String>(0)?),
            };
        }
    }
    Ok(known)
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
        let room = room as u8;
        if body.as_ref().is_some_and(|body| body.len() > LONG) {
            db.prepare_cached("DELETE FROM recent WHERE room = ?1 AND key = ?2")?
                .execute(params![room, key])?;
            put(db, room, key, body.as_deref())?;
        } else {
            db.prepare_cached("INSERT INTO recent (room, key, body) VALUES (?1, ?2, ?3)")?
                .execute(params![room, key, body])?;
            recent += 1;
        }
    }
    if recent < FOLD {
        return Ok(recent);
    }
    fold(db)?;
    Ok(0)
}

/// Puts a word where it belongs.
pub(super) fn put(
    db: &Connection,
    room: u8,
    key: &str,
    body: Option<&[u8]>,
) -> rusqlite::Result<()> {
    match body {
        // in its place, so that the index stays as it is
        Some(_) => db
            .prepare_cached(
                "INSERT INTO remembered (room, key, body) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET body = excluded.body",
            )?
            .execute(params![room, key, body])?,
        None => db
            .prepare_cached("DELETE FROM remembered WHERE room = ?1 AND key = ?2")?
            .execute(params![room, key])?,
    };
    Ok(())
}

/// Puts the last word about each thing where it belongs.
fn fold(db: &Connection) -> rusqlite::Result<()> {
    let mut last = BTreeMap::new();
    {
        let mut query = db.prepare_cached("SELECT room, key, body FROM recent ORDER BY rowid")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let body: Option<Vec<u8>> = row.get(2)?;
            last.insert((row.get::<_, u8>(0)?, row.get::<_, String>(1)?), body);
        }
    }
    for ((room, key), body) in last {
        put(db, room, &key, body.as_deref())?;
    }
    db.execute("DELETE FROM recent", [])?;
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
            let mut model = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
            let mut said = Vec::new();
            for _ in 0..repeat {
                for (room, key, body) in &words {
                    let key = format!("k{key}");
                    // some are long
                    let body = body.map(|(size, n)| {
                        let long: String =
                            (0..size / 3 * 3000).map(|_| fastrand::alphanumeric()).collect();
                        format!(r#"{{"n":{n},"text":"{long}"}}"#)
                    });
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
                prop_assert!(waiting < FOLD);
            }
            for (room, known) in rooms.into_iter().zip(model) {
                prop_assert_eq!(read(&db, room).expect("reads"), known);
            }
        }
    }
}
