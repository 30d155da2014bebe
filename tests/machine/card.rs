//! A memory card with a write cache: what was written is there while there is power, what was
//! flushed stays. Everything is kept on a tape, so that the card can be had as a power cut at any
//! instant would have left it.

use crate::support::{Fate, run};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What the card writes as a whole or not at all: no more than a page of flash, and a block of ext4,
/// which is not mounted again when its superblock was torn in two.
const BLOCK: usize = 4096;

/// A card that is in a machine.
pub(crate) type Shared = Arc<Mutex<Card>>;

#[derive(Debug)]
pub(crate) enum Event {
    Write { at: u64, bytes: Vec<u8> },
    Flush,
    Mark(Mark),
}

/// What the world learns.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    /// So many uplinks are accepted since the daemon was started.
    Accepted(u64),
    /// So many different messages have come to the cloud.
    Delivered(usize),
}

pub(crate) struct Card {
    /// What was on it when the tape began.
    base: PathBuf,
    /// What the machine reads.
    seen: File,
    tape: Vec<Event>,
    pub(crate) has_power: bool,
    _directory: tempfile::TempDir,
}

impl Card {
    /// With what is in this image, which stays as it is.
    pub(crate) fn holding(image: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (base, seen) = (directory.path().join("base"), directory.path().join("seen"));
        copy(image, &base);
        copy(image, &seen);
        Self { base, seen: open(&seen), tape: Vec::new(), has_power: true, _directory: directory }
    }

    pub(crate) fn len(&self) -> u64 {
        self.seen.metadata().unwrap().len()
    }

    pub(crate) fn read(&self, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.seen.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    pub(crate) fn write(&mut self, at: u64, bytes: Vec<u8>) -> std::io::Result<()> {
        self.seen.write_all_at(&bytes, at)?;
        self.tape.push(Event::Write { at, bytes });
        Ok(())
    }

    pub(crate) fn flush(&mut self) {
        self.tape.push(Event::Flush);
    }

    /// Notes what the world learns, in order with what is written.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if self.has_power {
            self.tape.push(Event::Mark(mark));
        }
    }

    pub(crate) fn tape(&self) -> &[Event] {
        &self.tape
    }

    /// The tape begins here, but for what is not flushed yet.
    pub(crate) fn begin(&mut self) {
        let flushed = flushed(&self.tape);
        let base = open(&self.base);
        for event in self.tape.drain(..flushed) {
            put(&base, &event);
        }
        self.tape.retain(|event| matches!(event, Event::Write { .. }));
    }

    /// Writes what is left when the power fails after so many events.
    pub(crate) fn left(&self, at: usize, fate: Fate, random: &mut fastrand::Rng, image: &Path) {
        copy(&self.base, image);
        let image = open(image);
        let (flushed, pending) = self.tape[..at].split_at(flushed(&self.tape[..at]));
        flushed.iter().for_each(|event| put(&image, event));
        let whole = match fate {
            Fate::Nothing => return,
            Fate::Everything => 0..pending.len(),
            Fate::Sectors => 0..0,
            Fate::Torn => 0..random.usize(..=pending.len()),
            Fate::Late => random.usize(..=pending.len())..pending.len(),
        };
        for (n, event) in pending.iter().enumerate() {
            let Event::Write { at, bytes } = event else { continue };
            let blocks = bytes.chunks(BLOCK);
            let torn = random.usize(..=blocks.len());
            for (k, block) in blocks.enumerate() {
                let survives = match fate {
                    _ if whole.contains(&n) => true,
                    Fate::Torn => n == whole.end && k < torn,
                    _ => random.bool(),
                };
                if survives {
                    image.write_all_at(block, at + (k * BLOCK) as u64).unwrap();
                }
            }
        }
    }
}

/// How many of these events are flushed, with the flush.
fn flushed(events: &[Event]) -> usize {
    events.iter().rposition(|event| matches!(event, Event::Flush)).map_or(0, |last| last + 1)
}

fn put(image: &File, event: &Event) {
    if let Event::Write { at, bytes } = event {
        image.write_all_at(bytes, *at).unwrap();
    }
}

fn open(image: &Path) -> File {
    File::options().read(true).write(true).open(image).unwrap()
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--sparse=always").args([from, to]));
}
