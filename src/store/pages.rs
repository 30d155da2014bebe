//! The rows of a database that SQLite does not read any more.
//!
//! SQLite finds a row by way of the pages above it; one page that is damaged hides all below it,
//! and without the first page there is no way to any. But each leaf says by itself which rows it
//! has. So all pages are gone through, each in its newest version: that in the write-ahead log, if
//! its checksum holds, else that in the file. Those that are free are left out, as far as that is
//! known: they hold what was removed long ago.
//!
//! Where a part of the log is damaged, that newest version is of no single moment: a row that was
//! about to move to another page is perhaps in neither. So the version before the damage, which is
//! the one that SQLite sees, can be gone through as well.

use super::Database;
use super::cipher::MAGIC;
use super::damaged::with;
use super::record::{Cell, Value, cells, local_len, u16_at, u32_at, values, varint};
use super::schema::{OLD_PAGE_SIZE, PAGE_SIZE};
use super::wal;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// So many pages are read from the file at once.
const READ_AHEAD: usize = 256;

/// Longer rows are not written here, so they are none.
const LONGEST: usize = 16 << 20;

/// A row: its number, if it is of a table that has such, and its values.
pub(super) type Record = (Option<i64>, Vec<Value>);

/// A database as bytes.
#[derive(Debug)]
pub(super) struct Pages {
    database: Database,
    /// The length of a page.
    size: usize,
    /// What of it is not its reserve.
    usable: usize,
    file: Option<File>,
    log: Option<File>,
    /// With all that is in the log.
    newest: View,
    /// With what stands before its first damage, if there is any.
    before: Option<View>,
}

/// Which version of each page is looked at.
#[derive(Debug, Default)]
struct View {
    /// Where in the log it is, if it is there.
    in_log: HashMap<u32, u64>,
    /// How many pages the database has, or had.
    count: u32,
    /// Pages without rows; `None` when it is not known which.
    free: Option<HashSet<u32>>,
}

impl View {
    fn is_free(&self, number: u32) -> bool {
        self.free.as_ref().is_some_and(|free| free.contains(&number))
    }
}

/// What of it could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Pages that should be there and are not, or are none.
    pub(super) pages: u64,
    /// Rows of which a part is missing.
    pub(super) rows: u64,
}

impl Pages {
    /// Opens a database and its log, as far as they are there.
    ///
    /// # Errors
    /// When one is there and cannot be opened.
    pub(super) fn open(database: &Database) -> io::Result<Self> {
        let file = database.file();
        let open = |file: &std::path::Path| match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        let (file, log) = (open(file)?, open(&with(file, "-wal"))?);
        let size = database.page_size();
        let size = size.unwrap_or_else(|| page_size(file.as_ref(), log.as_ref()));
        let len = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|file| file.len()))?;
        let frames = log.as_ref().map(|log| wal::frames(log, size, database)).transpose()?;
        let frames = frames.unwrap_or_default();
        let seen = wal::seen(&frames);
        let (database, usable) = (database.clone(), database.usable(size));
        let mut pages =
            Self { database, size, usable, file, log, newest: View::default(), before: None };
        let len = u32::try_from(len / size as u64).unwrap_or(u32::MAX);
        pages.newest = pages.view(wal::newest(&frames), len);
        if wal::newest(&frames[seen..]).is_empty() {
            return Ok(pages);
        }
        let before = pages.view(wal::newest(&frames[..seen]), len);
        if pages.newest.free.is_none() {
            // what was written since is in use
            let is_old = |page: &u32| pages.newest.in_log.get(page) == before.in_log.get(page);
            let free = before.free.as_ref();
            pages.newest.free = free.map(|free| free.iter().copied().filter(is_old).collect());
        }
        pages.before = Some(before);
        Ok(pages)
    }

    fn view(&self, in_log: HashMap<u32, u64>, len: u32) -> View {
        let count = in_log.keys().copied().max().unwrap_or(0).max(len);
        let mut view = View { in_log, count, free: None };
        if let Some(first) = self.page(&view, 1)
            && first.starts_with(MAGIC)
        {
            // pages that were cut off count as lost; what a damaged number says does not
            let said = u32_at(&first, 28).unwrap_or(0);
            if said < view.count.saturating_mul(4) {
                view.count = view.count.max(said);
            }
            view.free = self.free_pages(&view, &first);
        }
        view
    }

    /// Whether it is known which pages are in use: without that, rows may come that were removed
    /// before.
    pub(super) fn is_certain(&self) -> bool {
        self.newest.free.is_some()
    }

    /// The bytes of a page.
    fn page(&self, view: &View, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.size];
        match (view.in_log.get(&number), &self.log, &self.file) {
            (Some(at), Some(log), _) => log.read_exact_at(&mut page, *at).ok()?,
            (_, _, Some(file)) => {
                let at = u64::from(number.checked_sub(1)?) * self.size as u64;
                file.read_exact_at(&mut page, at).ok()?;
            }
            _ => return None,
        }
        Some(self.database.opened(page, number))
    }

    /// The list of free pages; `None` when it is damaged.
    fn free_pages(&self, view: &View, first: &[u8]) -> Option<HashSet<u32>> {
        let (mut trunk, count) = (u32_at(first, 32)?, u32_at(first, 36)?);
        let mut free = HashSet::new();
        while trunk != 0 {
            if trunk > view.count || !free.insert(trunk) {
                return None;
            }
            let page = self.page(view, trunk)?;
            let leaves = u32_at(&page, 4)? as usize;
            if leaves > self.usable / 4 - 2 {
                return None;
            }
            for n in 0..leaves {
                let leaf = u32_at(&page, 8 + 4 * n)?;
                if leaf == 0 || leaf > view.count || !free.insert(leaf) {
                    return None;
                }
            }
            trunk = u32_at(&page, 0)?;
        }
        (free.len() == count as usize).then_some(free)
    }

    /// Goes through all rows that can be read, until `visit` says `false`. What was lost, as far as
    /// the way went.
    pub(super) fn visit(&self, visit: impl FnMut(Record) -> bool) -> Lost {
        self.visit_some(&self.newest, |_| true, visit)
    }

    /// Goes through the rows of pages as they were before the damage in the log, where they are
    /// not the same any more: some of them were removed since, and some are not to be found
    /// elsewhere.
    pub(super) fn visit_before(&self, visit: impl FnMut(Record) -> bool) {
        let Some(before) = &self.before else { return };
        let differs = |number: u32| {
            before.in_log.get(&number) != self.newest.in_log.get(&number)
                || self.newest.is_free(number)
        };
        self.visit_some(before, differs, visit);
    }

    fn visit_some(
        &self,
        view: &View,
        is_asked: impl Fn(u32) -> bool,
        mut visit: impl FnMut(Record) -> bool,
    ) -> Lost {
        let size = self.size;
        let mut lost = Lost::default();
        // pages that are none by themselves: in the end they either belonged to a long row, or
        // are damaged
        let (mut nothing, mut overflow) = (HashSet::new(), HashSet::new());
        let mut ahead = Vec::new();
        let mut ahead_from = 0;
        let pages = (1..=view.count).filter(|page| !view.is_free(*page) && is_asked(*page));
        'pages: for number in pages {
            let page = if view.in_log.contains_key(&number) {
                self.page(view, number)
            } else {
                let index = number as usize - 1;
                if index < ahead_from || (index - ahead_from + 1) * size > ahead.len() {
                    ahead = self.read_ahead(index);
                    ahead_from = index;
                }
                let from = (index - ahead_from) * size;
                match ahead.get(from..from + size) {
                    Some(page) => Some(self.database.opened(page.to_vec(), number)),
                    // a sector in the middle of what is read at once may be gone
                    None => self.page(view, number),
                }
            };
            let Some(page) = page else {
                lost.pages += 1;
                continue;
            };
            let Some(cells) = cells(&page, number) else {
                nothing.insert(number);
                continue;
            };
            for cell in cells {
                match self.record(view, &page, cell, &mut overflow) {
                    Some(record) => {
                        if !visit(record) {
                            break 'pages;
                        }
                    }
                    None => lost.rows += 1,
                }
            }
        }
        lost.pages += nothing.difference(&overflow).count() as u64;
        lost
    }

    fn read_ahead(&self, index: usize) -> Vec<u8> {
        let Some(file) = &self.file else { return Vec::new() };
        let mut bytes = vec![0; READ_AHEAD * self.size];
        let mut len = 0;
        while len < bytes.len() {
            match file.read_at(&mut bytes[len..], (index * self.size + len) as u64) {
                Ok(0) | Err(_) => break,
                Ok(n) => len += n,
            }
        }
        bytes.truncate(len);
        bytes
    }

    /// The row of a cell; `None` when it is damaged.
    fn record(
        &self,
        view: &View,
        page: &[u8],
        cell: Cell,
        overflow: &mut HashSet<u32>,
    ) -> Option<Record> {
        let mut at = cell.at;
        let len = usize::try_from(varint(page, &mut at)?).ok().filter(|len| *len <= LONGEST)?;
        let row = match cell.is_table {
            true => Some(varint(page, &mut at)?),
            false => None,
        };
        let local = local_len(len, cell.is_table, self.usable);
        let mut payload = page.get(at..at + local)?.to_vec();
        if local < len {
            let mut next = u32_at(page, at + local)?;
            while payload.len() < len {
                if next == 0 || next > view.count || !overflow.insert(next) {
                    return None;
                }
                let page = self.page(view, next)?;
                let part = (len - payload.len()).min(self.usable - 4);
                payload.extend(&page[4..4 + part]);
                next = u32_at(&page, 0)?;
            }
        }
        Some((row, values(&payload)?))
    }
}

/// The length of a page, of the two that there ever were: what the file says, and its log, or else
/// that one by which more rows are found.
fn page_size(file: Option<&File>, log: Option<&File>) -> usize {
    let sizes = [PAGE_SIZE, OLD_PAGE_SIZE].map(|size| size as usize);
    let mut header = [0; 18];
    let mut said = Vec::new();
    if file.is_some_and(|file| file.read_exact_at(&mut header, 0).is_ok()) {
        said.extend(u16_at(&header, 16).map(usize::from));
    }
    said.extend(log.and_then(wal::page_size));
    said.retain(|size| sizes.contains(size));
    if let Some(first) = said.first()
        && said.iter().all(|size| size == first)
    {
        return *first;
    }
    let rows = |size: &usize| -> usize {
        let Some(file) = file else { return 0 };
        let mut page = vec![0; *size];
        let pages = (0..READ_AHEAD as u64).map_while(|n| {
            file.read_exact_at(&mut page, n * *size as u64).ok()?;
            let cells = cells(&page, n as u32 + 1).unwrap_or_default();
            let whole = |cell: &Cell| {
                let mut at = cell.at;
                let len = varint(&page, &mut at).and_then(|len| usize::try_from(len).ok());
                let at = if cell.is_table { varint(&page, &mut at).map(|_| at) } else { Some(at) };
                let row = len.zip(at).and_then(|(len, at)| page.get(at..at.checked_add(len)?));
                row.is_some_and(|row| values(row).is_some())
            };
            Some(cells.iter().filter(|cell| whole(cell)).count())
        });
        pages.sum()
    };
    sizes.into_iter().max_by_key(rows).unwrap_or(sizes[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use std::path::Path;

    /// A table and an index, with short and long rows, some of them only in the log.
    fn database(file: &Path, rows: usize) -> Connection {
        let db = Connection::open(file).expect("opens");
        db.pragma_update(None, "page_size", PAGE_SIZE).expect("sets");
        db.pragma_update(None, "journal_mode", "WAL").expect("sets");
        db.pragma_update(None, "wal_autocheckpoint", 50).expect("sets");
        db.execute_batch(
            "CREATE TABLE t (n INTEGER PRIMARY KEY, i INT, b BLOB, x TEXT);
             CREATE TABLE w (a INT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID;",
        )
        .expect("creates");
        for n in 0..rows as i64 {
            let text = "x".repeat(if n % 7 == 0 { 3000 } else { n as usize % 200 });
            let i = (n - 50) * 7_i64.pow(n as u32 % 20);
            db.execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4)", (n, i, vec![7_u8; 9], text))
                .expect("inserts");
            db.execute("INSERT INTO w VALUES (?1, ?2)", (n, -n)).expect("inserts");
        }
        db
    }

    fn read(file: &Path) -> (Vec<Record>, Lost) {
        let mut rows = Vec::new();
        let pages = Pages::open(&file.into()).expect("opens");
        let lost = pages.visit(|record| {
            rows.push(record);
            true
        });
        rows.sort_by_key(|(row, values)| (*row, values.len()));
        (rows, lost)
    }

    #[test]
    fn what_sqlite_reads_is_read_here() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let db = database(&file, 400);
        db.execute("DELETE FROM t WHERE n >= 100 AND n < 200", []).expect("deletes");
        let (rows, lost) = read(&file);
        assert_eq!(lost, Lost::default());
        let of_table: Vec<_> = rows.iter().filter(|(n, v)| n.is_some() && v.len() == 4).collect();
        assert_eq!(of_table.len(), 300, "what was removed does not come back");
        for (n, values) in of_table {
            let row = db
                .query_row("SELECT i, b, x FROM t WHERE n = ?1", [n], |row| {
                    let (i, b, x) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(vec![Value::Null, Value::Integer(i), Value::Blob(b), Value::Text(x)])
                })
                .expect("is there");
            assert_eq!(*values, row);
        }
        let pairs = rows.iter().filter(|(n, values)| n.is_none() && values.len() == 2);
        let pairs: HashSet<_> = pairs.map(|(_, values)| format!("{values:?}")).collect();
        assert_eq!(pairs.len(), 400, "inner pages of an index have rows, too");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_in_the_files_is_gone_through(
            rows in 0usize..60,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..200),
            cut in prop::option::of(any::<prop::sample::Index>()),
            in_log in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            let _db = database(&file, rows);
            let damaged = if in_log { with(&file, "-wal") } else { file.clone() };
            let mut bytes = std::fs::read(&damaged).expect("reads");
            prop_assume!(!bytes.is_empty());
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            std::fs::write(&damaged, bytes).expect("writes");
            read(&file);
        }
    }
}
