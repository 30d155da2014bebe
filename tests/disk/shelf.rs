//! A tenant's database with something in it, and what is to be found there afterwards.

use crate::support::{database, entry, message};
use lykta::clock::Clock;
use lykta::device::Abp;
use lykta::lorawan::{Changes, Counter, Join, Link, Session, Slot};
use lykta::store::{Class, Cursor, Database, Entry, Outbox, Room, State, Store};
use lykta::units::{AesKey, DevAddr, DevEui, StoreKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// So many devices speak in turn.
pub const DEVICES: u64 = 20;

/// The class of the n-th message.
pub fn class(n: u64) -> Class {
    match n % 20 {
        0 => Class::Alarm,
        1 | 2 => Class::Event,
        3 => Class::Plan,
        19 => Class::Diagnostic,
        _ => Class::Measurement,
    }
}

/// The body of the n-th message; some are long.
pub fn body(n: u64) -> String {
    let noise: String = match n % 50 {
        7 => (0..1500).map(|i| char::from(b'a' + ((n * 31 + i * i) % 26) as u8)).collect(),
        _ => String::new(),
    };
    format!(r#"{{"n":{n},"noise":"{noise}"}}"#)
}

fn key(n: u64) -> AesKey {
    AesKey([n as u8; 16])
}

/// The session of a device after its n-th uplink.
pub fn session(n: u64) -> Session {
    let device = n % DEVICES;
    let up = 1000 + n as u32;
    Session {
        derived: Some(Abp {
            dev_addr: DevAddr(0x0100_0000 + device as u32),
            nwk_s_key: key(device),
            app_s_key: key(device + 100),
        }),
        counter: Some(Counter { f_cnt_up: up, high_water: up, reset_at: None }),
        f_cnt_down: up / 2,
        link: Link::default(),
        binding: [device as u8; 8],
    }
}

/// The n-th uplink: each device joins with its first.
pub fn uplink(n: u64) -> Entry {
    let device = n % DEVICES;
    let join = Join { binding: [device as u8; 8], join_nonce: 5, dev_nonce: 77 };
    let changes = Changes {
        sessions: vec![(Slot::Active, Some(session(n)))],
        join: (n < DEVICES).then_some(join),
        ended: Vec::new(),
    };
    let state = State { room: Room::Bins, key: format!("bin{device}"), body: body(n) };
    let topic = format!("device/{}/readings", DevEui(device));
    Entry { changes, states: vec![state], ..entry(device, vec![message(class(n), topic, body(n))]) }
}

/// A directory with a database in it.
pub struct Shelf {
    pub directory: tempfile::TempDir,
    pub file: PathBuf,
    pub key: Option<StoreKey>,
}

impl Shelf {
    /// With so many uplinks, closed in order.
    pub fn with(uplinks: u64) -> Self {
        Self::under(None, uplinks)
    }

    /// As [`Shelf::with`], encrypted with this key.
    pub fn under(key: Option<StoreKey>, uplinks: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waste.db");
        let shelf = Self { directory, file, key };
        let mut store = shelf.open().0;
        let all: Vec<_> = (0..uplinks).map(uplink).collect();
        all.chunks(40).for_each(|some| store.commit(some).unwrap());
        shelf
    }

    /// With everything in the file itself, as after a log has begun anew.
    pub fn checkpointed(self) -> Self {
        std::fs::remove_file(self.log()).unwrap();
        self
    }

    pub fn open(&self) -> (Store, Outbox) {
        Store::open_both(self.database(), &Clock::system()).unwrap()
    }

    pub fn database(&self) -> Database {
        database(&self.file, self.key.as_ref())
    }

    pub fn log(&self) -> PathBuf {
        companion(&self.file, "-wal")
    }
}

pub fn companion(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What waits, by its id: class, topic and body.
pub fn waiting(outbox: &mut Outbox) -> BTreeMap<(String, u64), (Class, String, String)> {
    let mut cursor = Cursor::default();
    let mut all = BTreeMap::new();
    loop {
        let rows = outbox.next(Class::Diagnostic, &mut cursor, 500).unwrap();
        if rows.is_empty() {
            return all;
        }
        for row in rows {
            let epoch = row.epoch.to_string();
            let class = row.key.class().unwrap();
            all.insert((epoch, row.key.sequence()), (class, row.topic, row.body));
        }
    }
}
