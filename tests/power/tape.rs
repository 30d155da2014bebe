//! What is done to a directory, in its order.

use crate::promise::Mark;
use std::collections::HashMap;

/// A file, whatever its name is at the time.
pub type Inode = usize;

#[derive(Debug)]
pub enum Event {
    /// A name is given to a file, which loses the one it had.
    Name {
        name: String,
        inode: Inode,
        before: Option<String>,
    },
    /// A name is taken away.
    Unlink {
        name: String,
    },
    Write {
        inode: Inode,
        at: u64,
        bytes: Vec<u8>,
    },
    /// A file is cut off or prolonged.
    Length {
        inode: Inode,
        bytes: u64,
    },
    /// All of this file is on the disk.
    Sync {
        inode: Inode,
    },
    /// All names are on the disk.
    SyncNames,
    /// Somebody was promised something.
    Mark(Mark),
}

/// The recording of one directory.
#[derive(Debug, Default)]
pub struct Tape {
    pub events: Vec<Event>,
    /// Before this one, what was there already.
    pub begin: usize,
    names: HashMap<String, Inode>,
    inodes: usize,
}

impl Tape {
    /// The file of this name, which is opened, and made if need be.
    pub fn open(&mut self, name: &str, truncate: bool) -> Inode {
        if let Some(inode) = self.names.get(name).copied() {
            if truncate {
                self.events.push(Event::Length { inode, bytes: 0 });
            }
            return inode;
        }
        let inode = self.inodes;
        self.inodes += 1;
        self.names.insert(name.to_owned(), inode);
        self.events.push(Event::Name { name: name.to_owned(), inode, before: None });
        inode
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(inode) = self.names.remove(from) {
            self.names.insert(to.to_owned(), inode);
            let (name, before) = (to.to_owned(), Some(from.to_owned()));
            self.events.push(Event::Name { name, inode, before });
        }
    }

    pub fn unlink(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.events.push(Event::Unlink { name: name.to_owned() });
        }
    }

    pub fn mark(&mut self, mark: Mark) {
        self.events.push(Event::Mark(mark));
    }
}
