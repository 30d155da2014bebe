//! Which tables a commit writes to: from the frames that it leaves in the WAL.

use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Reads along in a database's WAL.
pub struct Pages {
    file: PathBuf,
    /// The generation of the WAL, and how many frames of it were seen.
    seen: (Vec<u8>, usize),
    /// How many frames were written to each table.
    pub frames: BTreeMap<String, u64>,
}

impl Pages {
    pub fn new(file: &Path) -> Self {
        let mut pages =
            Self { file: file.to_owned(), seen: (Vec::new(), 0), frames: BTreeMap::new() };
        pages.skip();
        pages
    }

    /// Counts what was written since the last look.
    pub fn look(&mut self) {
        let pages = self.new_pages();
        let names = self.names();
        for page in pages {
            let name = names.get(&page).map_or("free", String::as_str);
            *self.frames.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Passes over what was written since the last look.
    pub fn skip(&mut self) {
        self.new_pages();
    }

    fn new_pages(&mut self) -> Vec<u32> {
        let mut name = self.file.clone().into_os_string();
        name.push("-wal");
        let Ok(wal) = std::fs::read(name) else { return Vec::new() };
        if wal.len() < 32 {
            return Vec::new();
        }
        let size = u32::from_be_bytes(wal[8..12].try_into().unwrap()) as usize;
        let salts = wal[16..24].to_vec();
        let frames = wal[32..].chunks_exact(24 + size);
        // a frame of an earlier generation has its salts
        let pages = frames.take_while(|frame| frame[8..16] == salts);
        let mut pages: Vec<_> =
            pages.map(|frame| u32::from_be_bytes(frame[..4].try_into().unwrap())).collect();
        let from = if self.seen.0 == salts { self.seen.1 } else { 0 };
        self.seen = (salts, pages.len());
        pages.split_off(from)
    }

    fn names(&self) -> HashMap<u32, String> {
        let db = Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut query = db.prepare("SELECT pageno, name || ' ' || pagetype FROM dbstat").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
