//! A disk, and what a power cut leaves of it.
//!
//! What was synced is there. Of what was written to a file since, each sector of 512 bytes has
//! reached the disk or not, whatever the order, as the kernel and the disk please; likewise each
//! change of its length. Names are stricter than ext4: a name that was given, changed or taken
//! away is on the disk only when the directory was synced, or by chance; but as a journal has it,
//! none before an earlier one.

use crate::support::Fate;
use crate::tape::{Event, Inode};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub const SECTOR: u64 = 512;

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Clone)]
enum Naming {
    Name { name: String, inode: Inode, before: Option<String> },
    Unlink(String),
}

#[derive(Debug, Default)]
pub struct Platter {
    files: HashMap<Inode, File>,
    names: BTreeMap<String, Inode>,
    namings: Vec<Naming>,
}

impl Platter {
    /// What happens next.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Name { name, inode, before } => self.namings.push(Naming::Name {
                name: name.clone(),
                inode: *inode,
                before: before.clone(),
            }),
            Event::Unlink { name } => self.namings.push(Naming::Unlink(name.clone())),
            Event::Write { inode, at, bytes } => {
                self.pend(*inode, Change::Write { at: *at, bytes: bytes.clone() });
            }
            Event::Length { inode, bytes } => self.pend(*inode, Change::Length(*bytes)),
            Event::Sync { inode } => {
                let file = self.files.entry(*inode).or_default();
                for change in file.pending.drain(..) {
                    change.apply(&mut file.durable);
                }
            }
            Event::SyncNames => {
                for naming in self.namings.drain(..) {
                    naming.apply(&mut self.names);
                }
            }
            Event::Mark(_) => {}
        }
    }

    fn pend(&mut self, inode: Inode, change: Change) {
        self.files.entry(inode).or_default().pending.push(change);
    }

    /// Whether there is anything that a power cut could take.
    pub fn is_at_risk(&self) -> bool {
        !self.namings.is_empty() || self.files.values().any(|file| !file.pending.is_empty())
    }

    /// Writes into a directory what is left when the power fails now.
    pub fn cut(&self, fate: Fate, random: &mut fastrand::Rng, directory: &Path) {
        let mut names = self.names.clone();
        let survive = match fate {
            Fate::Nothing => 0,
            Fate::Everything => self.namings.len(),
            Fate::Sectors | Fate::Torn | Fate::Late => random.usize(..=self.namings.len()),
        };
        self.namings[..survive].iter().for_each(|naming| naming.apply(&mut names));
        for (name, inode) in &names {
            let bytes = self.files.get(inode).map(|file| file.cut(fate, random));
            std::fs::write(directory.join(name), bytes.unwrap_or_default()).unwrap();
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Name { name, inode, before } => {
                if let Some(before) = before {
                    names.remove(before);
                }
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(content, *at as usize, bytes),
            Self::Length(len) => content.resize(*len as usize, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

impl File {
    fn cut(&self, fate: Fate, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut disk = self.durable.clone();
        match fate {
            Fate::Nothing => {}
            Fate::Everything => self.pending.iter().for_each(|change| change.apply(&mut disk)),
            Fate::Torn => {
                let whole = random.usize(..=self.pending.len());
                self.pending[..whole].iter().for_each(|change| change.apply(&mut disk));
                if let Some(Change::Write { at, bytes }) = self.pending.get(whole) {
                    let sectors = random.u64(..=bytes.len() as u64 / SECTOR);
                    let end = ((at / SECTOR + sectors) * SECTOR).saturating_sub(*at);
                    put(&mut disk, *at as usize, &bytes[..bytes.len().min(end as usize)]);
                }
            }
            Fate::Sectors | Fate::Late => {
                let late = match fate {
                    Fate::Late => random.usize(..=self.pending.len()),
                    _ => self.pending.len(),
                };
                // a sector is written out with all that it has in memory by then
                let mut memory = disk.clone();
                for (n, change) in self.pending.iter().enumerate() {
                    change.apply(&mut memory);
                    match change {
                        Change::Write { at, bytes } => {
                            for sector in at / SECTOR..(at + bytes.len() as u64).div_ceil(SECTOR) {
                                let from = ((sector * SECTOR) as usize).min(memory.len());
                                let to = memory.len().min(from + SECTOR as usize);
                                if n >= late || random.bool() {
                                    put(&mut disk, from, &memory[from..to]);
                                }
                            }
                        }
                        Change::Length(len) if n >= late || random.bool() => {
                            disk.resize(*len as usize, 0)
                        }
                        Change::Length(_) => {}
                    }
                }
            }
        }
        disk
    }
}
