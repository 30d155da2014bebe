//! What is remembered of devices, as rows.

use super::{Command, Entry, domain};
use crate::device::Abp;
use crate::lorawan::{Counter, Downlink, Joins, Memory, Session, Slot};
use crate::units::{AesKey, DevAddr, DevEui};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

/// How many answered commands are remembered. A sender that repeats one does so soon.
const MAX_COMMANDS: i64 = 1000;

pub(super) fn read(db: &Connection) -> rusqlite::Result<Memory> {
    let mut memory = Memory::default();
    let mut query = db.prepare("SELECT * FROM session")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let slot = if row.get::<_, u8>("slot")? == 0 { Slot::Active } else { Slot::Pending };
        memory.sessions.insert((dev_eui(row)?, slot), session(row)?);
    }
    let mut query = db.prepare("SELECT dev_eui, binding, join_nonce FROM joins")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let joins = Joins { binding: row.get(1)?, join_nonce: row.get(2)?, ..Joins::default() };
        memory.joins.insert(dev_eui(row)?, joins);
    }
    let mut query = db.prepare("SELECT dev_eui, nonce FROM dev_nonce")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(joins) = memory.joins.get_mut(&dev_eui(row)?) {
            joins.dev_nonces.insert(row.get(1)?);
        }
    }
    let mut query = db.prepare("SELECT * FROM downlink ORDER BY number")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let item = Downlink {
            id: row.get("id")?,
            f_port: row.get("f_port")?,
            payload: row.get("payload")?,
            confirmed: row.get("confirmed")?,
            expires: Timestamp::from_microsecond(row.get("expires_us")?).unwrap_or_default(),
        };
        memory.downlinks.push((dev_eui(row)?, item));
    }
    Ok(memory)
}

fn dev_eui(row: &Row<'_>) -> rusqlite::Result<DevEui> {
    row.get::<_, i64>("dev_eui").map(|eui| DevEui(eui as u64))
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let counter = match (row.get("f_cnt_up")?, row.get("high_water")?) {
        (Some(f_cnt_up), Some(high_water)) => {
            let reset_at: Option<i64> = row.get("reset_at")?;
            let reset_at = reset_at.and_then(|s| Timestamp::from_second(s).ok());
            Some(Counter { f_cnt_up, high_water, reset_at })
        }
        _ => None,
    };
    let keys = (row.get("dev_addr")?, row.get("nwk_s_key")?, row.get("app_s_key")?);
    let derived = match keys {
        (Some(dev_addr), Some(nwk_s_key), Some(app_s_key)) => Some(Abp {
            dev_addr: DevAddr(dev_addr),
            nwk_s_key: AesKey(nwk_s_key),
            app_s_key: AesKey(app_s_key),
        }),
        _ => None,
    };
    // what cannot be read is agreed anew with the device
    let link = serde_json::from_str(&row.get::<_, String>("link")?).unwrap_or_default();
    Ok(Session {
        derived,
        counter,
        f_cnt_down: row.get("f_cnt_down")?,
        link,
        binding: row.get("binding")?,
    })
}

/// Writes what an entry changes, but for its messages.
pub(super) fn write(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let dev_eui = entry.dev_eui.0 as i64;
    for (slot, session) in &entry.changes.sessions {
        match session {
            Some(session) => write_session(db, dev_eui, *slot, session)?,
            None => {
                db.prepare_cached("DELETE FROM session WHERE dev_eui = ?1 AND slot = ?2")?
                    .execute(params![dev_eui, *slot as u8])?;
            }
        }
    }
    if let Some(join) = &entry.changes.join {
        db.prepare_cached(
            "DELETE FROM dev_nonce WHERE dev_eui = ?1
             AND NOT EXISTS (SELECT 1 FROM joins WHERE dev_eui = ?1 AND binding = ?2)",
        )?
        .execute(params![dev_eui, join.binding])?;
        db.prepare_cached("INSERT OR REPLACE INTO joins VALUES (?1, ?2, ?3)")?.execute(params![
            dev_eui,
            join.binding,
            join.join_nonce
        ])?;
        db.prepare_cached("INSERT OR IGNORE INTO dev_nonce VALUES (?1, ?2)")?
            .execute(params![dev_eui, join.dev_nonce])?;
    }
    for id in &entry.changes.ended {
        db.prepare_cached("DELETE FROM downlink WHERE id = ?1")?.execute([id])?;
    }
    if let Some(item) = &entry.queued {
        db.prepare_cached(
            "INSERT INTO downlink (id, dev_eui, f_port, payload, confirmed, expires_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            item.id,
            dev_eui,
            item.f_port,
            item.payload,
            item.confirmed,
            item.expires.as_microsecond()
        ])?;
    }
    if let Some(Command { id, reply }) = &entry.command {
        db.prepare_cached("INSERT INTO command (id, reply) VALUES (?1, ?2)")?
            .execute([id, reply])?;
        domain::answered(db, id)?;
        // one whose downlink still waits is remembered with it
        db.prepare_cached(
            "DELETE FROM command WHERE number <= ?1 AND id NOT IN (SELECT id FROM downlink)",
        )?
        .execute([db.last_insert_rowid() - MAX_COMMANDS])?;
    }
    Ok(())
}

fn write_session(db: &Connection, dev_eui: i64, slot: Slot, s: &Session) -> rusqlite::Result<()> {
    let counter = s.counter.as_ref();
    let keys = s.derived.as_ref();
    let reset_at = counter.and_then(|c| c.reset_at).map(Timestamp::as_second);
    db.prepare_cached(
        "INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        dev_eui,
        slot as u8,
        counter.map(|c| c.f_cnt_up),
        counter.map(|c| c.high_water),
        reset_at,
        s.f_cnt_down,
        serde_json::to_string(&s.link).expect("a link is a plain struct"),
        s.binding,
        keys.map(|k| k.dev_addr.0),
        keys.map(|k| k.nwk_s_key.0),
        keys.map(|k| k.app_s_key.0),
    ])?;
    Ok(())
}
