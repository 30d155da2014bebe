//! A database that comes under a key, or under another one.
//!
//! It is written anew beside the old one, under a name of its own, and takes its place when it is
//! whole and on disk. A power cut in between leaves either the old one, and all of this is done
//! again, or the whole new one. What was readable without the present key is then overwritten: the
//! old file, the second one of sessions, which is made anew, and what was set aside.

use super::damaged::{self, with};
use super::rescue::{NEW, PART};
use super::{Database, StoreError, failed, schema};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What the old file is called until it is overwritten.
const OLD: &str = ".old";

/// So many bytes of what was set aside are overwritten at once.
const ERASED_AT_ONCE: u64 = 4 << 20;

/// Puts a copy under its own key in the place of a sound database that is under another, or none.
/// Nobody else may use it.
pub(super) fn renew(old: &Database, new: &Database, at_work: &dyn Fn()) -> Result<(), StoreError> {
    let file = new.file();
    let part = with(file, PART);
    let renewed = renewed(old, &new.at(&part), at_work).map_err(|error| match error {
        StoreError::Sqlite { source, .. } => {
            StoreError::Renewal { file: file.to_owned(), source: source.into() }
        }
        error => error,
    });
    renewed.inspect_err(|_| {
        // the card may be full, and half a file is of no use
        let _ = damaged::remove(&part);
    })?;
    in_place(file, at_work).map_err(|source| {
        let source = Box::new(source);
        StoreError::Renewal { file: file.to_owned(), source }
    })
}

/// Makes the copy, and leaves nothing in the old one's log.
fn renewed(old: &Database, part: &Database, at_work: &dyn Fn()) -> Result<(), StoreError> {
    let from = schema::open(old)?;
    let to = schema::open(part)?;
    copy(&from, &to, at_work).map_err(|e| failed(part.file(), e))?;
    drop(to);
    empty_log(&from).map_err(|e| failed(old.file(), e))?;
    Ok(())
}

fn copy(from: &Connection, to: &Connection, at_work: &dyn Fn()) -> rusqlite::Result<()> {
    // a power cut costs the copy, and only that
    to.pragma_update(None, "journal_mode", "MEMORY")?;
    to.pragma_update(None, "synchronous", "OFF")?;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut tables = from.prepare(tables)?;
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    to.execute_batch("BEGIN")?;
    for table in tables {
        to.execute(&format!("DELETE FROM {table}"), [])?;
        let mut rows = from.prepare(&format!("SELECT * FROM {table}"))?;
        let columns: Vec<_> = rows.column_names().map(str::to_owned).collect();
        let (width, columns) = (columns.len(), columns.join(", "));
        let values = vec!["?"; width].join(", ");
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
        let mut insert = to.prepare(&insert)?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            at_work();
            let values = (0..width).map(|n| row.get::<_, Value>(n));
            insert.execute(params_from_iter(values.collect::<rusqlite::Result<Vec<_>>>()?))?;
        }
    }
    to.execute_batch("COMMIT")
}

fn in_place(file: &Path, at_work: &dyn Fn()) -> io::Result<()> {
    let [part, new, old] = [PART, NEW, OLD].map(|suffix| with(file, suffix));
    for suffix in damaged::COMPANIONS {
        // everything is in the file itself, of the copy as of the old one
        let _ = std::fs::remove_file(with(&part, suffix));
        erase(&with(file, suffix), at_work)?;
    }
    File::open(&part)?.sync_all()?;
    std::fs::rename(&part, &new)?;
    damaged::sync_directory(file)?;
    // which of two keys it is must not be in doubt: it is made anew from the first
    erase_all(&super::copy::Copy::beside(file), at_work)?;
    std::fs::rename(file, &old)?;
    std::fs::rename(&new, file)?;
    damaged::sync_directory(file)?;
    at_work();
    erase(&old, at_work)?;
    while !erase_asides(file)? {
        at_work();
    }
    Ok(())
}

/// Overwrites and removes a part of what was set aside, small enough for a slow card to be done
/// within the second. Whether nothing was left.
pub(super) fn erase_asides(file: &Path) -> io::Result<bool> {
    let asides = damaged::asides(file);
    let mut all = asides.iter().flat_map(|aside| companions_first(aside));
    let Some(next) = all.find(|part| part.symlink_metadata().is_ok()) else { return Ok(true) };
    damaged::erase_end(&next, ERASED_AT_ONCE)?;
    Ok(false)
}

/// Overwrites what a renewal that was interrupted has left, as far as it can be read without the
/// key.
pub(super) fn sweep(database: &Database, at_work: &dyn Fn()) -> io::Result<()> {
    let file = database.file();
    erase(&with(file, OLD), at_work)?;
    for aside in damaged::asides(file).iter().filter(|aside| database.is_open(aside)) {
        erase_all(aside, at_work)?;
    }
    Ok(())
}

fn erase_all(database: &Path, at_work: &dyn Fn()) -> io::Result<()> {
    companions_first(database).try_for_each(|part| erase(&part, at_work))
}

/// Overwrites and removes a file bit by bit: it may be large, and the card slow.
fn erase(file: &Path, at_work: &dyn Fn()) -> io::Result<()> {
    while file.try_exists()? {
        damaged::erase_end(file, ERASED_AT_ONCE)?;
        at_work();
    }
    Ok(())
}

/// The database itself goes last: by it what is left of it is known.
fn companions_first(database: &Path) -> impl Iterator<Item = PathBuf> {
    damaged::parts(database).into_iter().rev()
}

/// Copies the log back into the file and cuts it off. Whether somebody was in the way.
pub(super) fn empty_log(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}
