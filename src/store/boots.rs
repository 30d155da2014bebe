//! The boots of the machine, as rows.

use super::time;
use crate::clock::history::{Boot, History};
use crate::clock::{ClockQuality, Moment};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;
use uuid::Uuid;

/// So many boots are remembered. What was written before them is told as it was seen.
const MAX_BOOTS: i64 = 1000;

const COLUMNS: &str = "number, began_us, floor_us, lasted_us";

fn boot(row: &Row<'_>) -> rusqlite::Result<Boot> {
    let lasted: i64 = row.get(3)?;
    Ok(Boot {
        number: row.get(0)?,
        began: time(row, 1)?,
        floor: time(row, 2)?,
        lasted: Duration::from_micros(lasted.max(0).unsigned_abs()),
    })
}

pub(super) fn read(db: &Connection) -> rusqlite::Result<History> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM boot ORDER BY number"))?;
    let rows = query.query_map([], boot)?;
    Ok(History::new(rows.collect::<rusqlite::Result<_>>()?))
}

/// Notes that it is `now` in the boot of this name, and what time it is if that is known. The row
/// of the boot as it then is; another one, where the clock was set anew.
pub(super) fn note(db: &Connection, id: Uuid, now: Moment) -> rusqlite::Result<Boot> {
    let id = id.simple().to_string();
    let find = format!("SELECT {COLUMNS} FROM boot WHERE id = ?1");
    let found = db.prepare_cached(&find)?.query_row([&id], boot).optional()?;
    let lasted = now.monotonic.as_micros() as i64;
    let began = Boot::began(now).map(|at| at.as_microsecond());
    // the word before may have been the wrong one, and this one may be: each holds for what is
    // written while it does
    let is_other = found.is_some_and(|boot| boot.began.is_some() && boot.is_news(now));
    if is_other {
        db.prepare_cached("UPDATE boot SET id = id || '.' || number WHERE id = ?1")?
            .execute([&id])?;
    }
    if found.is_none() || is_other {
        db.execute(
            "INSERT INTO boot SELECT ifnull(max(number), 0) + 1, ?1, NULL,
             (SELECT seen_us FROM store), 0 FROM boot",
            [&id],
        )?;
        db.execute("DELETE FROM boot WHERE number <= ?1", [db.last_insert_rowid() - MAX_BOOTS])?;
    }
    db.prepare_cached(
        "UPDATE boot SET lasted_us = max(lasted_us, ?2), began_us = ifnull(began_us, ?3) WHERE id = ?1",
    )?
    .execute(params![id, lasted, began])?;
    if now.quality == ClockQuality::Synced {
        db.prepare_cached("UPDATE store SET seen_us = ?1")?.execute([now.wall.as_microsecond()])?;
    }
    db.prepare_cached(&find)?.query_row([&id], boot)
}
