//! What the rooms of the house remember, as rows: JSON by room and key. Each room knows its own
//! words; the store only keeps them, in one transaction with what brought them about.

use rusqlite::{Connection, params};

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Room {
    /// What is known of bins, by the bin's name.
    Bins = 0,
    /// The plans that hold now, by the plan's name.
    Plans = 1,
    /// Commands to plan that are not answered yet, by the command's id: gone with the answer.
    Orders = 2,
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

pub(super) fn read(db: &Connection, room: Room) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query = db.prepare("SELECT key, body FROM domain WHERE room = ?1 ORDER BY key")?;
    let rows = query.query_map([room as u8], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(super) fn write(db: &Connection, state: &State) -> rusqlite::Result<()> {
    let State { room, key, body } = state;
    db.prepare_cached("INSERT OR REPLACE INTO domain VALUES (?1, ?2, ?3)")?.execute(params![
        *room as u8,
        key,
        body
    ])?;
    Ok(())
}

/// What has been answered is no order any more.
pub(super) fn answered(db: &Connection, id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM domain WHERE room = ?1 AND key = ?2")?
        .execute(params![Room::Orders as u8, id])?;
    Ok(())
}
