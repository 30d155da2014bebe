//! SQLite as one finds it: the same rows, without what lykta has found out.

use super::{REMOVE_AT, body};
use rusqlite::{Connection, params};
use std::path::Path;

#[derive(Clone, Copy)]
pub enum Peer {
    /// Nothing is set: pages of 4096 bytes, a rollback journal that is deleted.
    AsItComes,
    /// With the WAL that everybody recommends.
    Wal,
}

pub struct Rows {
    db: Connection,
    number: u64,
    removed: u64,
}

impl Peer {
    pub fn name(self) -> &'static str {
        match self {
            Self::AsItComes => ", SQLite as it comes",
            Self::Wal => ", SQLite with WAL, else as it comes",
        }
    }

    pub fn open(self, directory: &Path) -> Rows {
        let db = Connection::open(directory.join("waste.db")).unwrap();
        if matches!(self, Self::Wal) {
            db.pragma_update(None, "journal_mode", "WAL").unwrap();
        }
        db.pragma_update(None, "synchronous", "FULL").unwrap();
        db.execute_batch(
            "CREATE TABLE outbox (id INTEGER PRIMARY KEY, class INT, time INT, topic TEXT, body TEXT)",
        )
        .unwrap();
        let mut rows = Rows { db, number: 0, removed: 0 };
        for _ in 0..300 {
            rows.commit(20);
        }
        rows
    }
}

impl Rows {
    pub fn commit(&mut self, packets: usize) {
        let tx = self.db.transaction().unwrap();
        for _ in 0..packets {
            self.number += 1;
            let topic = format!("device/{:016x}/readings", 0x70b3_d507_0000_0000 + self.number);
            tx.prepare_cached("INSERT INTO outbox VALUES (?1, 3, ?2, ?3, ?4)")
                .unwrap()
                .execute(params![
                    self.number as i64,
                    1_767_225_600_000_i64,
                    topic,
                    body(self.number)
                ])
                .unwrap();
        }
        tx.commit().unwrap();
        if self.number - self.removed >= REMOVE_AT as u64 {
            self.removed = self.number;
            self.db.execute("DELETE FROM outbox WHERE id <= ?1", [self.number as i64]).unwrap();
        }
    }
}
