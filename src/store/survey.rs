//! A tenant's database for somebody who only looks: beside the daemon that writes it, or one that
//! was set aside.

use super::outbox::{COLUMNS, DAMAGED, row};
use super::pages::Pages;
use super::rescue::{self, Elsewhere};
use super::{
    Class, Cursor, Database, Outbox, Room, Row, StoreError, failed, memory, remembered, schema,
    shed, wal,
};
use crate::clock::history::Told;
use crate::lorawan::Memory;
use rusqlite::{Connection, OptionalExtension};
use serde::de::IgnoredAny;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use uuid::Uuid;

/// So many rows are read at once.
const GROUP: usize = 500;

/// So many faults of one kind are told.
const TOLD: usize = 10;

/// The daemon may be writing its log just now: what looks like damage is looked at again.
const LOOKS: usize = 3;

/// A database that is looked at.
#[derive(Debug)]
pub struct Survey {
    outbox: Outbox,
    salvaged: Option<Salvaged>,
}

/// What could be read of a damaged database, and what could not.
#[derive(Debug)]
pub struct Salvaged {
    /// Pages that cannot be read.
    pub lost_pages: u64,
    /// Rows of which a part cannot be read.
    pub lost_rows: u64,
    /// Whether it is known which store it was: if not, the ids of its messages are not theirs.
    pub is_known: bool,
    /// Where it is for as long as it is looked at.
    directory: PathBuf,
}

impl Drop for Salvaged {
    fn drop(&mut self) {
        // what is left behind can be read by nobody else
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What there is of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlined {
    /// Which class.
    pub class: Class,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that are set aside, since the broker does not take them.
    pub set_aside: u64,
    /// Messages that were given up since the database was made.
    pub shed: u64,
    /// When the first one that waits was measured.
    pub oldest: Option<Told>,
    /// When the last one was.
    pub newest: Option<Told>,
}

impl Survey {
    /// Looks at a database that SQLite can read.
    ///
    /// # Errors
    /// When it cannot, or the file is of another version or under another key.
    pub fn open(database: impl Into<Database>) -> Result<Self, StoreError> {
        let database = database.into().found()?;
        Ok(Self { outbox: Outbox::of(schema::look(&database)?, &database)?, salvaged: None })
    }

    /// Looks at what can be read of a damaged database, or of one of an older version. It is copied
    /// into the directory for temporary files.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no room.
    pub fn salvage(database: impl Into<Database>) -> Result<Self, StoreError> {
        let database = database.into().found()?;
        let file = database.file();
        let io = |source| StoreError::Unreadable { file: file.to_owned(), source };
        // read behind its log, and so as the power cut left it
        let pages = Pages::open(&database).map_err(io)?;
        let directory = std::env::temp_dir().join(format!("lykta-{}", Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&directory).map_err(io)?;
        let new = database.at(&directory.join("salvaged.db"));
        let is_known = rescue::identity(&pages, None).is_some();
        let mut salvaged = Salvaged { lost_pages: 0, lost_rows: 0, is_known, directory };
        let lost = rescue::bring_over(&pages, &new, Elsewhere::default(), None, &|| {})?.lost;
        (salvaged.lost_pages, salvaged.lost_rows) = (lost.pages, lost.rows);
        let outbox = Outbox::of(schema::open(&new)?, &new)?;
        Ok(Self { outbox, salvaged: Some(salvaged) })
    }

    /// Looks at a database that may be damaged, or of an older version.
    ///
    /// # Errors
    /// When not even the file can be read, there is no room, or it is of a newer version.
    pub fn of_any(database: impl Into<Database>) -> Result<Self, StoreError> {
        let database = database.into().found()?;
        let opened = match wal::state(&database) == wal::State::Sound {
            true => Self::open(&database).and_then(|sound| Ok((sound.faults_of_pages()?, sound))),
            false => return Self::salvage(&database),
        };
        match opened {
            Ok((faults, sound)) if faults.is_empty() => Ok(sound),
            Err(error @ StoreError::Schema { .. }) => Err(error),
            _ => Self::salvage(&database),
        }
    }

    /// What could not be read, if it is damaged.
    pub fn salvaged(&self) -> Option<&Salvaged> {
        self.salvaged.as_ref()
    }

    /// How many messages waited when it was opened.
    pub fn waiting(&self) -> u64 {
        self.outbox.waiting()
    }

    /// Bytes in use.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn used(&self) -> Result<u64, StoreError> {
        shed::used(&self.outbox.db).map_err(|e| self.failed(e))
    }

    /// What there is of each class, the most important first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn outline(&mut self) -> Result<Vec<Outlined>, StoreError> {
        let file = self.outbox.database.file().to_owned();
        let Outbox { db, past, .. } = &mut self.outbox;
        past.fresh = false;
        let mut read = || {
            // all of one moment, whoever writes meanwhile
            let tx = db.unchecked_transaction()?;
            let given_up = shed::counts(&tx)?;
            let mut all = Vec::new();
            for class in Class::ALL {
                let mut end = |order| {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM outbox WHERE key > ?1 AND key < ?2
                         ORDER BY key {order} LIMIT 1"
                    );
                    let found = tx.query_row(&sql, class.keys(), |found| row(&tx, past, found));
                    Ok::<_, rusqlite::Error>(found.optional()?.map(|row| row.told))
                };
                all.push(Outlined {
                    class,
                    oldest: end("ASC")?,
                    newest: end("DESC")?,
                    waiting: count(&tx, "outbox", class)?,
                    set_aside: count(&tx, "aside", class)?,
                    shed: given_up[class as usize],
                });
            }
            Ok(all)
        };
        read().map_err(|e| failed(&file, e))
    }

    /// The next messages that wait, as they would leave.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next(&mut self, cursor: &mut Cursor) -> Result<Vec<Row>, StoreError> {
        self.outbox.next(Class::Diagnostic, cursor, GROUP)
    }

    /// What is set aside, each with the reason.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn aside(&mut self) -> Result<Vec<(Row, String)>, StoreError> {
        let file = self.outbox.database.file().to_owned();
        let Outbox { db, past, .. } = &mut self.outbox;
        past.fresh = false;
        let mut read = || {
            let mut query =
                db.prepare(&format!("SELECT {COLUMNS}, reason FROM aside ORDER BY key"))?;
            let rows =
                query.query_map([], |found| Ok((row(db, past, found)?, found.get("reason")?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| failed(&file, e))
    }

    /// What is remembered of devices.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self) -> Result<Memory, StoreError> {
        memory::read(&self.outbox.db).map_err(|e| self.failed(e))
    }

    /// What is wrong with it and with the second file of sessions, in sentences. `go_on` is told
    /// how many messages were looked at.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn faults(&mut self, mut go_on: impl FnMut(u64)) -> Result<Vec<String>, StoreError> {
        let mut faults = Vec::new();
        let file = self.outbox.database.file().to_owned();
        if !(0..LOOKS).any(|_| wal::state(&self.outbox.database) == wal::State::Sound) {
            faults.push(format!("{}-wal: damaged in the middle", file.display()));
        }
        faults.extend(self.faults_of_pages()?);
        let (mut cursor, mut seen, mut broken) = (Cursor::default(), 0, 0);
        loop {
            let rows = self.next(&mut cursor)?;
            let is_broken = |row: &&Row| {
                row.body == DAMAGED || serde_json::from_str::<IgnoredAny>(&row.body).is_err()
            };
            broken += rows.iter().filter(is_broken).count();
            seen += rows.len() as u64;
            go_on(seen);
            if rows.is_empty() {
                break;
            }
        }
        if broken > 0 {
            faults.push(format!("{}: {broken} messages have damaged bodies", file.display()));
        }
        let words = remembered::read(&self.outbox.db, Room::Sessions);
        let words = words.map_err(|e| self.failed(e))?.len();
        let sessions = self.memory()?.sessions.len();
        if sessions < words {
            let damaged = words - sessions;
            faults.push(format!("{}: {damaged} sessions of devices are damaged", file.display()));
        }
        let copied = Self::open(self.outbox.database.copy()).and_then(|copy| {
            let faults = copy.faults_of_pages()?;
            copy.memory().map(|_| faults)
        });
        match copied {
            Ok(of_copy) => faults.extend(of_copy),
            Err(error) => faults.push(format!("sessions are kept once only: {error}")),
        }
        Ok(faults)
    }

    fn faults_of_pages(&self) -> Result<Vec<String>, StoreError> {
        let read = || {
            let mut query = self.outbox.db.prepare(&format!("PRAGMA integrity_check({TOLD})"))?;
            let found = query.query_map([], |row| row.get::<_, String>(0))?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = read().map_err(|e| self.failed(e))?;
        let faults = found.into_iter().filter(|fault| fault != "ok");
        Ok(faults
            .map(|fault| format!("{}: {fault}", self.outbox.database.file().display()))
            .collect())
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        failed(self.outbox.database.file(), error)
    }
}

fn count(db: &Connection, table: &str, class: Class) -> rusqlite::Result<u64> {
    let sql = format!("SELECT count(*) FROM {table} WHERE key > ?1 AND key < ?2");
    db.query_row(&sql, class.keys(), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}
