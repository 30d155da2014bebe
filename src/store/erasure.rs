//! What is gone from a database with personal data is gone from the card's files, too: overwritten
//! in the database, and cut off with its log.

use super::{Outbox, Store};
use rusqlite::Connection;

impl Store {
    /// What is deleted or replaced from now on is overwritten.
    pub fn overwrite(&self) {
        overwrite(&self.db);
    }

    /// Cuts the log off, in which what was replaced still stands; whether it could be. It is waited
    /// for who reads from it.
    pub fn scrub(&mut self) -> bool {
        // also of a file that took another's place meanwhile
        overwrite(&self.db);
        let cut = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        matches!(cut, Ok(0_i64))
    }
}

impl Outbox {
    /// What is removed from now on is overwritten.
    pub fn overwrite(&self) {
        overwrite(&self.db);
    }
}

/// A setting that cannot fail: it is of this connection, and touches no file.
fn overwrite(db: &Connection) {
    let _ = db.pragma_update(None, "secure_delete", true);
}
