//! What is remembered of devices, as rows.

use super::remembered::{self, Room};
use super::{Command, Entry};
use crate::device::Abp;
use crate::lorawan::{Binding, Counter, Downlink, Joins, Memory, Session, Slot};
use crate::units::{AesKey, DevAddr, DevEui};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// How many answered commands are remembered. A sender that repeats one does so soon.
const MAX_COMMANDS: i64 = 1000;

/// What stands behind the DevEUI in the key of a session that was joined and not heard since.
const PENDING: &str = "!";

/// A session as it is kept, with names as short as it is written often.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The last accepted counter, the greatest ever, and the second of the last reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up: Option<(u32, u32, Option<i64>)>,
    /// The counter of the next downlink.
    down: u32,
    /// What is agreed with the device. What cannot be read of it is agreed anew.
    link: Box<RawValue>,
    /// Which settings the session belongs to.
    binding: String,
    /// Of a join: address and keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<(u32, String, String)>,
}

impl From<&Session> for Kept {
    fn from(session: &Session) -> Self {
        let up = session.counter.as_ref().map(|counter| {
            (counter.f_cnt_up, counter.high_water, counter.reset_at.map(Timestamp::as_second))
        });
        let keys = session.derived.as_ref().map(|keys| {
            (keys.dev_addr.0, hex::encode(keys.nwk_s_key.0), hex::encode(keys.app_s_key.0))
        });
        Self {
            up,
            down: session.f_cnt_down,
            link: to_raw_value(&session.link).expect("a link is a plain struct"),
            binding: hex::encode(session.binding),
            keys,
        }
    }
}

impl Kept {
    /// `None` when it is damaged.
    fn session(self) -> Option<Session> {
        fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
            let mut bytes = [0; N];
            hex::decode_to_slice(text, &mut bytes).ok()?;
            Some(bytes)
        }
        let counter = self.up.map(|(f_cnt_up, high_water, reset_at)| Counter {
            f_cnt_up,
            high_water,
            reset_at: reset_at.and_then(|second| Timestamp::from_second(second).ok()),
        });
        let derived = match self.keys {
            None => None,
            Some((dev_addr, nwk_s_key, app_s_key)) => Some(Abp {
                dev_addr: DevAddr(dev_addr),
                nwk_s_key: AesKey(bytes(&nwk_s_key)?),
                app_s_key: AesKey(bytes(&app_s_key)?),
            }),
        };
        let binding: Binding = bytes(&self.binding)?;
        let link = serde_json::from_str(self.link.get()).unwrap_or_default();
        Some(Session { derived, counter, f_cnt_down: self.down, link, binding })
    }
}

/// What is remembered of a device from now on: key and body.
pub(super) fn word(
    dev_eui: DevEui,
    slot: Slot,
    session: Option<&Session>,
) -> (String, Option<String>) {
    let slot = if slot == Slot::Pending { PENDING } else { "" };
    let body = session.map(|session| {
        serde_json::to_string(&Kept::from(session)).expect("a session is a plain struct")
    });
    (format!("{dev_eui}{slot}"), body)
}

/// The key of the session in use, of either of a device.
pub(super) fn of_active(key: &str) -> &str {
    key.strip_suffix(PENDING).unwrap_or(key)
}

/// The session that a word says; `None` when it is damaged.
pub(super) fn said(key: &str, body: &str) -> Option<((DevEui, Slot), Session)> {
    let (dev_eui, slot) = match key.strip_suffix(PENDING) {
        Some(dev_eui) => (dev_eui, Slot::Pending),
        None => (key, Slot::Active),
    };
    let session = serde_json::from_str::<Kept>(body).ok()?.session()?;
    Some(((dev_eui.parse().ok()?, slot), session))
}

fn sessions(db: &Connection, memory: &mut Memory) -> rusqlite::Result<()> {
    for (key, body) in remembered::read(db, Room::Sessions)? {
        // a damaged one is none: its device joins anew, or its counter begins at the next frame
        if let Some((key, session)) = said(&key, &body) {
            memory.sessions.insert(key, session);
        }
    }
    Ok(())
}

fn joins(db: &Connection, memory: &mut Memory) -> rusqlite::Result<()> {
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
    Ok(())
}

pub(super) fn read(db: &Connection) -> rusqlite::Result<Memory> {
    let mut memory = Memory::default();
    sessions(db, &mut memory)?;
    joins(db, &mut memory)?;
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

/// Writes a join down, if the entry brings one.
pub(super) fn write_join(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let dev_eui = entry.dev_eui.0 as i64;
    let Some(join) = &entry.changes.join else { return Ok(()) };
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
        .execute(params![dev_eui, join.dev_nonce])
        .map(|_| ())
}

/// Writes down sessions and joins from elsewhere. How many changes wait to be folded, as in
/// [`remembered::write`].
pub(super) fn restore(db: &Connection, memory: &Memory, mut recent: u64) -> rusqlite::Result<u64> {
    for ((dev_eui, slot), session) in &memory.sessions {
        let (key, body) = word(*dev_eui, *slot, Some(session));
        recent = remembered::write(db, [(Room::Sessions, &*key, body.as_deref())], recent)?;
    }
    for (dev_eui, joins) in &memory.joins {
        let dev_eui = dev_eui.0 as i64;
        db.execute(
            "INSERT OR REPLACE INTO joins VALUES (?1, ?2, ?3)",
            params![dev_eui, joins.binding, joins.join_nonce],
        )?;
        for nonce in &joins.dev_nonces {
            db.prepare_cached("INSERT OR IGNORE INTO dev_nonce VALUES (?1, ?2)")?
                .execute(params![dev_eui, nonce])?;
        }
    }
    Ok(recent)
}

/// Brings the joins of one database into another, where they differ.
pub(super) fn copy_joins(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    let (mut theirs, mut mine) = (Memory::default(), Memory::default());
    joins(from, &mut theirs)?;
    joins(to, &mut mine)?;
    if theirs.joins != mine.joins {
        to.execute_batch("DELETE FROM joins; DELETE FROM dev_nonce")?;
        restore(to, &theirs, 0)?;
    }
    Ok(())
}

/// Writes what an entry changes, but for its messages and states.
pub(super) fn write(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let dev_eui = entry.dev_eui.0 as i64;
    write_join(db, entry)?;
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
        // of a file that was rescued the order may have come back beside its answer
        let is_new = db
            .prepare_cached("INSERT OR IGNORE INTO command (id, reply) VALUES (?1, ?2)")?
            .execute([id, reply])?
            > 0;
        if is_new {
            // one whose downlink still waits is remembered with it
            db.prepare_cached(
                "DELETE FROM command WHERE number <= ?1 AND id NOT IN (SELECT id FROM downlink)",
            )?
            .execute([db.last_insert_rowid() - MAX_COMMANDS])?;
        }
    }
    Ok(())
}

/// The sessions of a database of version 3, as they are remembered since.
pub(super) fn words_of_version_3(
    db: &Connection,
) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut query = db.prepare("SELECT * FROM session")?;
    let words = query.query_map([], |row| {
        let slot = if row.get::<_, u8>("slot")? == 0 { Slot::Active } else { Slot::Pending };
        Ok(word(dev_eui(row)?, slot, Some(&session_of_version_3(row)?)))
    })?;
    words.collect()
}

fn session_of_version_3(row: &Row<'_>) -> rusqlite::Result<Session> {
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
    let link = serde_json::from_str(&row.get::<_, String>("link")?).unwrap_or_default();
    Ok(Session {
        derived,
        counter,
        f_cnt_down: row.get("f_cnt_down")?,
        link,
        binding: row.get("binding")?,
    })
}

fn dev_eui(row: &Row<'_>) -> rusqlite::Result<DevEui> {
    row.get::<_, i64>("dev_eui").map(|eui| DevEui(eui as u64))
}
