//! The rows of a database that SQLite does not read any more.
//!
//! SQLite finds a row by way of the pages above it; one page that is damaged hides all below it,
//! and without the first page there is no way to any. But each leaf says by itself which rows it
//! has. So all pages are gone through, each in its newest version: that in the write-ahead log, if
//! its checksum holds, else that in the file. Those that are free are left out, as far as that is
//! known: they hold what was removed long ago. Nothing in the file is believed: no length or
//! number in it is used before it is held against what can be.
//!
//! See <https://sqlite.org/fileformat2.html> for the format.

use super::damaged::with;
use super::schema::{OLD_PAGE_SIZE, PAGE_SIZE};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What an SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The header of the first page, before that of its tree.
const FILE_HEADER: usize = 100;

/// The headers of the log, and of each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// So many pages are read from the file at once.
const READ_AHEAD: usize = 256;

/// Longer rows are not written here, so they are none.
const LONGEST: usize = 16 << 20;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A row: its number, if it is of a table that has such, and its values.
pub(super) type Record = (Option<i64>, Vec<Value>);

/// A database as bytes.
#[derive(Debug)]
pub(super) struct Pages {
    /// The length of a page.
    size: usize,
    file: Option<File>,
    log: Option<File>,
    /// Where in the log the newest version of a page is.
    newest: HashMap<u32, u64>,
    /// How many pages the database has, or had.
    count: u32,
    /// Pages without rows; `None` when it is not known which.
    free: Option<HashSet<u32>>,
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
    pub(super) fn open(file: &Path) -> io::Result<Self> {
        let open = |file: &Path| match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        let (file, log) = (open(file)?, open(&with(file, "-wal"))?);
        let size = page_size(file.as_ref(), log.as_ref());
        let len = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|file| file.len()))?;
        let newest = log.as_ref().map(|log| newest(log, size)).transpose()?.unwrap_or_default();
        let count = newest.keys().copied().max().unwrap_or(0);
        let count = count.max(u32::try_from(len / size as u64).unwrap_or(u32::MAX));
        let mut pages = Self { size, file, log, newest, count, free: None };
        if let Some(first) = pages.page(1)
            && first.starts_with(MAGIC)
        {
            // pages that were cut off count as lost; what a damaged number says does not
            let said = u32_at(&first, 28).unwrap_or(0);
            if said < pages.count.saturating_mul(4) {
                pages.count = pages.count.max(said);
            }
            pages.free = pages.free_pages(&first);
        }
        Ok(pages)
    }

    /// Whether it is known which pages are in use: without that, rows may come that were removed
    /// before.
    pub(super) fn is_certain(&self) -> bool {
        self.free.is_some()
    }

    /// The bytes of a page in its newest version.
    fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.size];
        match (self.newest.get(&number), &self.log, &self.file) {
            (Some(at), Some(log), _) => log.read_exact_at(&mut page, *at).ok()?,
            (_, _, Some(file)) => {
                let at = u64::from(number.checked_sub(1)?) * self.size as u64;
                file.read_exact_at(&mut page, at).ok()?;
            }
            _ => return None,
        }
        Some(page)
    }

    /// The list of free pages; `None` when it is damaged.
    fn free_pages(&self, first: &[u8]) -> Option<HashSet<u32>> {
        let (mut trunk, count) = (u32_at(first, 32)?, u32_at(first, 36)?);
        let mut free = HashSet::new();
        while trunk != 0 {
            if trunk > self.count || !free.insert(trunk) {
                return None;
            }
            let page = self.page(trunk)?;
            let leaves = u32_at(&page, 4)? as usize;
            if leaves > self.size / 4 - 2 {
                return None;
            }
            for n in 0..leaves {
                let leaf = u32_at(&page, 8 + 4 * n)?;
                if leaf == 0 || leaf > self.count || !free.insert(leaf) {
                    return None;
                }
            }
            trunk = u32_at(&page, 0)?;
        }
        (free.len() == count as usize).then_some(free)
    }

    /// Goes through all rows that can be read, until `visit` says `false`. What was lost, as far as
    /// the way went.
    pub(super) fn visit(&self, mut visit: impl FnMut(Record) -> bool) -> Lost {
        let size = self.size;
        let mut lost = Lost::default();
        // pages that are none by themselves: in the end they either belonged to a long row, or
        // are damaged
        let (mut nothing, mut overflow) = (HashSet::new(), HashSet::new());
        let mut ahead = Vec::new();
        let mut ahead_from = 0;
        'pages: for number in 1..=self.count {
            if self.free.as_ref().is_some_and(|free| free.contains(&number)) {
                continue;
            }
            let page = if self.newest.contains_key(&number) {
                self.page(number)
            } else {
                let index = number as usize - 1;
                if index < ahead_from || (index - ahead_from + 1) * size > ahead.len() {
                    ahead = self.read_ahead(index);
                    ahead_from = index;
                }
                let from = (index - ahead_from) * size;
                match ahead.get(from..from + size) {
                    Some(page) => Some(page.to_vec()),
                    // a sector in the middle of what is read at once may be gone
                    None => self.page(number),
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
                match self.record(&page, cell, &mut overflow) {
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
    fn record(&self, page: &[u8], cell: Cell, overflow: &mut HashSet<u32>) -> Option<Record> {
        let mut at = cell.at;
        let len = usize::try_from(varint(page, &mut at)?).ok().filter(|len| *len <= LONGEST)?;
        let row = match cell.is_table {
            true => Some(varint(page, &mut at)?),
            false => None,
        };
        let local = local_len(len, cell.is_table, self.size);
        let mut payload = page.get(at..at + local)?.to_vec();
        if local < len {
            let mut next = u32_at(page, at + local)?;
            while payload.len() < len {
                if next == 0 || next > self.count || !overflow.insert(next) {
                    return None;
                }
                let page = self.page(next)?;
                let part = (len - payload.len()).min(self.size - 4);
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
    let mut header = [0; LOG_HEADER];
    let mut said = Vec::new();
    if file.is_some_and(|file| file.read_exact_at(&mut header, 0).is_ok()) {
        said.extend(u16_at(&header, 16).map(usize::from));
    }
    if log.is_some_and(|log| log.read_exact_at(&mut header, 0).is_ok())
        && big_endian(&header).is_some()
    {
        said.extend(u32_at(&header, 8).map(|size| size as usize));
    }
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

/// Where a row begins in its page.
#[derive(Debug, Clone, Copy)]
struct Cell {
    at: usize,
    is_table: bool,
}

/// The rows of a page; `None` when it is no page of a tree.
fn cells(page: &[u8], number: u32) -> Option<Vec<Cell>> {
    let header = if number == 1 { FILE_HEADER } else { 0 };
    let (is_table, is_leaf) = match page[header] {
        0x0d => (true, true),
        0x0a => (false, true),
        // the inner pages of an index have rows as well
        0x02 => (false, false),
        0x05 => return Some(Vec::new()),
        _ => return None,
    };
    let count = u16_at(page, header + 3)? as usize;
    let list = header + if is_leaf { 8 } else { 12 };
    let first = list + 2 * count;
    let cell = |n: usize| {
        let at = u16_at(page, list + 2 * n)? as usize;
        (at >= first && at < page.len())
            .then_some(Cell { at: if is_leaf { at } else { at + 4 }, is_table })
    };
    (first <= page.len()).then(|| (0..count).filter_map(cell).collect())
}

/// How much of a row of this length is in its own page.
fn local_len(len: usize, is_table: bool, size: usize) -> usize {
    let most = if is_table { size - 35 } else { (size - 12) * 64 / 255 - 23 };
    if len <= most {
        return len;
    }
    let least = (size - 12) * 32 / 255 - 23;
    let part = least + (len - least) % (size - 4);
    if part <= most { part } else { least }
}

/// The values of a row.
fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(payload, &mut at)?).ok()?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(payload, &mut at)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let bytes = payload.get(body..body.checked_add(len)?)?;
        body += len;
        values.push(match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(bytes)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            // nothing here is a real number
            7 => return None,
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
        });
    }
    (at == header && body == payload.len()).then_some(values)
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |n, byte| n << 8 | i64::from(*byte))
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut number = 0_u64;
    for n in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if n == 8 {
            return Some((number << 8 | u64::from(byte)).cast_signed());
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number.cast_signed())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A running checksum of the log.
type Sum = (u32, u32);

fn add(mut sum: Sum, bytes: &[u8], big_endian: bool) -> Sum {
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("chunks of four");
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        sum.0 = sum.0.wrapping_add(word(&pair[..4])).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(&pair[4..])).wrapping_add(sum.0);
    }
    sum
}

fn sum_at(bytes: &[u8], at: usize) -> Option<Sum> {
    Some((u32_at(bytes, at)?, u32_at(bytes, at + 4)?))
}

/// Whether the log begins as SQLite begins one. What it writes there is within one sector, and
/// so there as a whole or not at all.
pub(super) fn log_is_sound(file: &Path) -> bool {
    let mut header = [0; LOG_HEADER];
    match File::open(with(file, "-wal")).and_then(|mut log| log.read_exact(&mut header)) {
        Ok(()) => header == [0; LOG_HEADER] || big_endian(&header).is_some(),
        // there is none, or nothing in it
        Err(_) => true,
    }
}

/// The byte order of the checksums; `None` when the header is damaged.
fn big_endian(header: &[u8]) -> Option<bool> {
    let big_endian = match u32_at(header, 0)? {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    let is_whole = sum_at(header, 24)? == add((0, 0), &header[..24], big_endian);
    is_whole.then_some(big_endian)
}

/// Where in the log the newest version of each page is that belongs to a finished transaction.
///
/// SQLite believes nothing behind the first damaged frame. But the checksum of each frame goes on
/// from that of the one before, which is written there, so that those behind can be told as well.
fn newest(log: &File, page_size: usize) -> io::Result<HashMap<u32, u64>> {
    let frame_len = FRAME_HEADER + page_size;
    let mut header = [0; LOG_HEADER];
    let mut newest = HashMap::new();
    if log.metadata()?.len() < (LOG_HEADER + frame_len) as u64 {
        return Ok(newest);
    }
    log.read_exact_at(&mut header, 0)?;
    let sound = big_endian(&header);
    let mut frame = vec![0; frame_len];
    let (orders, mut salts, mut written) = match sound {
        Some(order) => (vec![order], sum_at(&header, 16), sum_at(&header, 24)),
        // the first frame is of the present log whenever there is one
        None => (vec![false, true], None, None),
    };
    let mut transaction = Vec::new();
    let mut at = LOG_HEADER as u64;
    while let Ok(()) = log.read_exact_at(&mut frame, at) {
        let (page, size) = (u32_at(&frame, 0), u32_at(&frame, 4));
        let (salt, sum) = (sum_at(&frame, 8), sum_at(&frame, 16));
        let whole = |before: Sum| {
            orders.iter().any(|order| {
                let head = add(before, &frame[..8], *order);
                sum == Some(add(head, &frame[FRAME_HEADER..], *order))
            })
        };
        salts = salts.or(salt);
        // what an older log has left behind has other salts
        if salt == salts
            && written.is_some_and(whole)
            && let Some(page) = page.filter(|page| *page != 0)
        {
            transaction.push((page, at + FRAME_HEADER as u64));
            if size != Some(0) {
                newest.extend(transaction.drain(..));
            }
        }
        written = sum;
        at += frame_len as u64;
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;

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
        let pages = Pages::open(file).expect("opens");
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

    #[test]
    fn a_log_is_read_behind_its_damage() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let db = database(&file, 4);
        db.pragma_update(None, "wal_autocheckpoint", 0).expect("sets");
        let whole = |n: i64| {
            db.execute("INSERT INTO t VALUES (?1, 0, x'', '')", [n]).expect("inserts");
        };
        db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).expect("checkpoints");
        (1000..1100).for_each(whole);
        let log = with(&file, "-wal");
        let mut bytes = std::fs::read(&log).expect("reads");
        assert!(log_is_sound(&file));
        // in the middle of a frame, and in the header
        bytes[LOG_HEADER + 10 * (FRAME_HEADER + PAGE_SIZE as usize) + 300] ^= 1;
        bytes[20] ^= 1;
        let copy = dir.path().join("c.db");
        std::fs::copy(&file, &copy).expect("copies");
        std::fs::write(with(&copy, "-wal"), bytes).expect("writes");
        assert!(!log_is_sound(&copy));
        let (rows, _) = read(&copy);
        assert!(rows.iter().any(|(n, _)| *n == Some(1099)), "the last one is there");
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
