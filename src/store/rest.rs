//! Everything but messages, as a damaged database still has it.

use super::record::Value;
use super::remembered::{self, KEPT, Room};
use super::{memory, packing};
use crate::device::Abp;
use crate::lorawan::{Counter, Session, Slot};
use crate::units::{AesKey, DevAddr, DevEui};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

/// Boots are numbered one by one: a greater number is damaged.
const MAX_BOOT: i64 = 1 << 32;

/// A downlink that waits, but for its number.
type Waiting = (String, i64, i64, Vec<u8>, i64, i64);

/// A boot, but for its number.
type Boot = (String, Option<i64>, Option<i64>, i64);

/// Everything but messages.
#[derive(Default)]
pub(super) struct Rest {
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
    pub(super) fn take(&mut self, row: Option<i64>, values: Vec<Value>) {
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
            (Some(_), [Integer(room @ 0..=4), Text(key), Blob(body)]) if is_word(body) => {
                self.words.insert((*room as u8, take(key)), take(body));
            }
            (Some(n), [Null, Integer(room @ 0..=4), Text(key), Blob(body)]) if is_word(body) => {
                self.recent.insert(n, (*room as u8, take(key), Some(take(body))));
            }
            (Some(n), [Null, Integer(room @ 0..=4), Text(key), Null]) => {
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
    /// The last boot that is known.
    pub(super) fn last_boot(&self) -> i64 {
        self.boots.keys().copied().max().unwrap_or(0)
    }

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
    /// rows had been removed, no downlink is: none may be sent twice. A word that had been folded is
    /// the one that lies folded or older, and may not end what was added to a newer one; but for
    /// those that were folded last none can be among the newest.
    pub(super) fn write(
        self,
        db: &Connection,
        sessions: bool,
        certain: bool,
    ) -> rusqlite::Result<()> {
        let is_asked = |room: u8| sessions || room != Room::Sessions as u8;
        for ((room, key), body) in self.words {
            if is_asked(room) {
                remembered::put(db, room, &key, Some(&body))?;
            }
        }
        let most = usize::try_from(KEPT).unwrap_or(usize::MAX);
        let folded = if certain { 0 } else { self.recent.len().saturating_sub(most) };
        for (room, key, body) in self.recent.into_values().skip(folded) {
            match &body {
                _ if !is_asked(room) => {}
                Some(body) if !certain => remembered::place(db, room, &key, body)?,
                body => remembered::put(db, room, &key, body.as_deref())?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn what_had_been_folded_ends_nothing_that_was_said_since() {
        let word = |n: i64| packing::bytes(&format!(r#"{{"n":{n}}}"#));
        let row = |key: &str, n| {
            vec![Value::Null, Value::Integer(0), Value::Text(key.into()), Value::Blob(word(n))]
        };
        let mut rest = Rest::default();
        // folded: two wholes, and what was added to them since
        for (number, key, n) in [(1, "a", 32), (2, "a#1", 33), (3, "b", 32), (4, "b#1", 33)] {
            rest.take(Some(number), row(key, n)[1..].to_vec());
        }
        // folded long ago and removed, but nobody knows that; and so many that are not
        rest.take(Some(10), row("a", 16));
        for number in 0..KEPT.cast_signed() {
            rest.take(Some(1000 + number), row("other", number));
        }
        // one of those that were folded last
        rest.recent.remove(&1000);
        rest.take(Some(1000), row("b", 32));
        let dir = tempfile::tempdir().expect("a directory");
        let db = schema::open(&(&dir.path().join("t.db")).into()).expect("opens");
        rest.write(&db, true, false).expect("writes");
        let known = remembered::read(&db, Room::Bins).expect("reads");
        let known: Vec<_> = known.iter().map(|(key, body)| (&**key, &**body)).collect();
        let last = format!(r#"{{"n":{}}}"#, KEPT - 1);
        let expected = [
            ("a", r#"{"n":32}"#),
            ("a#1", r#"{"n":33}"#),
            ("b", r#"{"n":32}"#),
            ("b#1", r#"{"n":33}"#),
            ("other", &*last),
        ];
        assert_eq!(known, expected);
    }
}
