//! What the SD card has to bear: `cargo bench --bench card`, as root.
//!
//! Bytes and flushes are those that reach a block device with ext4 on it (a loop device, mounted
//! `noatime`), so that the file system's journal and metadata count. Commits are 8 ms apart, since
//! those back to back hide the file system's updates of times; what the file system holds back at
//! the end counts, and so does the copying of the WAL into the file.
//! Options after `--`: `--quick` (a fifth of the commits), `--pages` (which tables are written,
//! instead), `--sealed` (under a key), `--only PART` (of a case's name), `--json`.
//!
//! A *packet* is a row of 60 bytes that is put into the outbox and later removed; a *whole uplink*
//! is one of 200 bins in random order that goes the daemon's way: frame counter, level of the bin,
//! the uplink and its readings, later removed. Rows are removed 75 at a time, as the daemon does
//! while many come, but for the quiet day, when each is removed by itself. SQLite beside it is of
//! the same build, which calls fdatasync; one as it comes calls fsync, and writes more.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../support/mod.rs"]
mod support;

mod pages;
mod peer;
mod town;

use lykta::store::{Class, Cursor, Database, Key, Outbox, Store};
use pages::Pages;
use peer::Peer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Disk, entry, message, store_key};
use town::Town;

const BINS: u32 = 200;

/// As the daemon removes what was acknowledged.
const REMOVE_AT: usize = 75;

const APART: Duration = Duration::from_millis(8);

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| options.iter().any(|option| option == name);
    let commits = if given("--quick") { 200 } else { 1_000 };
    if given("--pages") {
        return breakdown();
    }
    let only = options.iter().skip_while(|option| *option != "--only").nth(1);
    let mut report = Vec::new();
    let mut case = |name: &str, group, run: &dyn Fn(&Disk, usize, usize) -> Measured| {
        if only.is_none_or(|only| name.contains(only)) {
            report.push(measured(name, group, commits, run));
        }
    };
    for group in [1, 10] {
        let name = |what: &str, when: &str| format!("{what}, {group} a commit{when}");
        let restarted = ", after a clean restart";
        case(&name("packet", ""), group, &packets);
        case(&name("packet", restarted), group, &restarted_packets);
        case(&name("whole uplink", ""), group, &uplinks);
        case(&name("whole uplink", restarted), group, &restarted_uplinks);
        for peer in [Peer::AsItComes, Peer::Wal] {
            case(&name("packet", peer.name()), group, &|disk, group, commits| {
                let mut rows = peer.open(disk.root());
                work(disk, commits, || rows.commit(group))
            });
        }
    }
    case("whole uplink, 100 an hour", 1, &quiet_day);
    // what comes in the two seconds that measurements may wait
    case("whole uplink, 100 a second", 200, &|disk, group, commits| {
        uplinks(disk, group, commits / 20)
    });
    if given("--json") {
        println!("{}", Value::from(report));
    } else {
        table(&report);
    }
}

/// What was measured: over so many packets or uplinks.
struct Measured {
    bytes: u64,
    flushes: u64,
    commits: usize,
    wal: u64,
}

fn measured(
    name: &str,
    group: usize,
    commits: usize,
    run: &dyn Fn(&Disk, usize, usize) -> Measured,
) -> Value {
    let disk = Disk::new(256);
    let measured = run(&disk, group, commits);
    let each = (measured.commits * group) as f64;
    json!({
        "case": name,
        "bytes": measured.bytes as f64 / each,
        "flushesPerCommit": measured.flushes as f64 / measured.commits as f64,
        "walKb": measured.wal / 1024,
    })
}

fn table(report: &[Value]) {
    println!("{:<58}{:>12}{:>16}{:>10}", "", "bytes each", "flushes/commit", "WAL, kB");
    for row in report {
        println!(
            "{:<58}{:>12.0}{:>16.2}{:>10}",
            row["case"].as_str().unwrap(),
            row["bytes"].as_f64().unwrap(),
            row["flushesPerCommit"].as_f64().unwrap(),
            row["walKb"]
        );
        // what it comes to
        let (bytes, flushes) = (row["bytes"].as_f64(), row["flushesPerCommit"].as_f64());
        let (bytes, flushes) = (bytes.unwrap(), flushes.unwrap());
        match row["case"].as_str() {
            Some("whole uplink, 100 an hour") => println!(
                "{:<58}{:.0} MB a day, {:.0} flushes an hour",
                "",
                bytes * 2_400.0 / 1e6,
                flushes * 100.0
            ),
            Some("whole uplink, 100 a second") => println!(
                "{:<58}{:.1} GB a day, {:.0} flushes an hour",
                "",
                bytes * 8_640_000.0 / 1e9,
                flushes * 1_800.0
            ),
            _ => {}
        }
    }
}

/// Does this so many times, and says what it took.
fn work(disk: &Disk, commits: usize, mut commit: impl FnMut()) -> Measured {
    let before = disk.written();
    for _ in 0..commits {
        let begin = Instant::now();
        commit();
        std::thread::sleep(APART.saturating_sub(begin.elapsed()));
    }
    let written = disk.written() - before;
    let wal = std::fs::metadata(disk.root().join("waste.db-wal")).map_or(0, |m| m.len());
    Measured { bytes: written.bytes, flushes: written.flushes, commits, wal }
}

/// The database in this file; with `--sealed` under a key.
fn database(file: &Path) -> Database {
    let is_sealed = std::env::args().any(|option| option == "--sealed");
    support::database(file, is_sealed.then(|| store_key(1)).as_ref())
}

/// A store, and who reads and removes what is in it.
struct Mailbox {
    file: PathBuf,
    store: Store,
    outbox: Outbox,
    cursor: Cursor,
    acknowledged: Vec<Key>,
    number: u64,
}

impl Mailbox {
    fn open(directory: &Path) -> Self {
        let file = directory.join("waste.db");
        Self {
            store: Store::open(database(&file), &lykta::clock::Clock::system()).unwrap(),
            outbox: Outbox::open(database(&file)).unwrap(),
            cursor: Cursor::default(),
            acknowledged: Vec::new(),
            number: 0,
            file,
        }
    }

    fn commit(&mut self, packets: usize) {
        let entries: Vec<_> = (0..packets)
            .map(|_| {
                self.number += 1;
                let topic = format!("device/{:016x}/readings", 0x70b3_d507_0000_0000 + self.number);
                entry(self.number, vec![message(Class::Measurement, topic, body(self.number))])
            })
            .collect();
        self.store.commit(&entries).unwrap();
    }

    /// Removes what was sent, when so much of it is there.
    fn remove_at(&mut self, least: usize) {
        let rows = self.outbox.next(Class::Diagnostic, &mut self.cursor, 1_000).unwrap();
        self.acknowledged.extend(rows.into_iter().map(|row| row.key));
        if self.acknowledged.len() >= least {
            self.outbox.remove(&self.acknowledged).unwrap();
            self.acknowledged.clear();
        }
    }
}

/// 60 bytes that cannot be compressed to much less.
fn body(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    let filling: String = std::iter::repeat_with(|| random.alphanumeric()).take(51).collect();
    format!(r#"{{"v":"{filling}"}}"#)
}

/// Which time round the WAL is on: the salts in its head.
fn generation(file: &Path) -> Vec<u8> {
    let wal = std::fs::read(file.with_extension("db-wal")).unwrap_or_default();
    wal.get(16..24).unwrap_or_default().to_vec()
}

/// A mailbox on which the WAL has come round.
fn warm(disk: &Disk) -> Mailbox {
    let mut rows = Mailbox::open(disk.root());
    let first = generation(&rows.file);
    while generation(&rows.file) == first {
        rows.commit(20);
        rows.remove_at(REMOVE_AT);
    }
    rows
}

fn packets(disk: &Disk, group: usize, commits: usize) -> Measured {
    let mut rows = warm(disk);
    work(disk, commits, || {
        rows.commit(group);
        rows.remove_at(REMOVE_AT);
    })
}

fn restarted_packets(disk: &Disk, group: usize, commits: usize) -> Measured {
    drop(warm(disk));
    let mut rows = Mailbox::open(disk.root());
    work(disk, commits, || {
        rows.commit(group);
        rows.remove_at(REMOVE_AT);
    })
}

fn warm_town(disk: &Disk) -> Town {
    let mut town = Town::open(disk.root(), BINS, 1);
    let mut rows = Mailbox::open(disk.root());
    let first = generation(&rows.file);
    while generation(&rows.file) == first {
        town.hear_all();
        rows.remove_at(REMOVE_AT);
    }
    town
}

fn uplinks(disk: &Disk, group: usize, commits: usize) -> Measured {
    let mut town = warm_town(disk);
    let mut rows = Mailbox::open(disk.root());
    work(disk, commits, || {
        town.hear(group);
        rows.remove_at(REMOVE_AT);
    })
}

fn restarted_uplinks(disk: &Disk, group: usize, commits: usize) -> Measured {
    drop(warm_town(disk));
    let mut town = Town::open(disk.root(), BINS, 2);
    let mut rows = Mailbox::open(disk.root());
    work(disk, commits, || {
        town.hear(group);
        rows.remove_at(REMOVE_AT);
    })
}

/// So seldom that the kernel has written everything out before the next one comes.
fn quiet_day(disk: &Disk, group: usize, commits: usize) -> Measured {
    let mut town = warm_town(disk);
    let mut rows = Mailbox::open(disk.root());
    work(disk, commits / 4, || {
        town.hear(group);
        rows.remove_at(1);
        disk.written();
    })
}

/// Which tables the pages belong to that a commit writes.
fn breakdown() {
    for group in [1, 10] {
        let disk = Disk::new(256);
        let mut town = warm_town(&disk);
        let mut rows = Mailbox::open(disk.root());
        let (mut commit, mut removal) = (Pages::new(&rows.file), Pages::new(&rows.file));
        let commits = 200;
        for _ in 0..commits {
            town.hear(group);
            commit.look();
            removal.skip();
            rows.remove_at(REMOVE_AT);
            removal.look();
            commit.skip();
        }
        let uplinks = (commits * group) as f64;
        println!("WAL frames (512-byte pages) for each uplink, {group} a commit");
        for (what, pages) in [("commit", &commit), ("removal", &removal)] {
            for (name, frames) in &pages.frames {
                println!("  {what:<10}{name:<44}{:>8.3}", *frames as f64 / uplinks);
            }
            let all: u64 = pages.frames.values().sum();
            println!("  {what:<10}{:<44}{:>8.3}", "all", all as f64 / uplinks);
        }
        let mut outbox = Outbox::open(database(&rows.file)).unwrap();
        town.hear(1);
        for row in outbox.next(Class::Diagnostic, &mut rows.cursor, 2).unwrap() {
            println!("  {} ({} bytes): {}", row.topic, row.body.len(), row.body);
        }
    }
}
