//! The shipped program on a disk of its own, and the power cut under it: `cargo test --test cuts`,
//! as root, since it takes loop devices. `CUTS=400` makes more than 40.
//!
//! The daemon is stopped in the midst of its work, and what has reached the disk by then is
//! copied, which is what a power cut would have left: not what the kernel still has in memory. The
//! copy is mounted as after a power cut (the file system replays its journal), looked through, and
//! started from; the daemon lives on, for the next cut. In the first half nobody delivers, in the
//! second a broker is there.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod read_only;

use lykta::ops::socket::SOCKET;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use support::{
    Broker, Concentrator, Disk, Left, Lykta, Messages, Sensor, Subscriber, delivered, wait_until,
};

const BINS: u32 = 20;

/// What the daemon says of itself to whoever asks.
fn asked(state: &Path) -> Option<Value> {
    let mut socket = UnixStream::connect(state.join(SOCKET)).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    writeln!(socket, "status").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    serde_json::from_str(&answer).ok()
}

fn accepted(state: &Path) -> Option<u64> {
    asked(state)?["tenants"][0]["accepted"].as_u64()
}

fn tenant(broker: &Broker) -> String {
    let sensors = (1..=BINS).map(|n| Sensor::new(n).table("waste"));
    format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [{:?}]\n\
         reconnect_min = \"100ms\"\nreconnect_max = \"200ms\"\nbacklog_rate = 0\n{}",
        broker.url(),
        sensors.collect::<String>()
    )
}

#[test]
fn what_was_accepted_survives_the_power_cut() {
    let cuts = std::env::var("CUTS").map_or(40, |cuts| cuts.parse().unwrap());
    let disk = Disk::new(256);
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    broker.kill();
    let mut lykta = Lykta::configured_with_state(disk.root(), &tenant(&broker));
    lykta.restart();

    let (go, promised) = (Go::default(), AtomicU64::new(0));
    std::thread::scope(|threads| {
        // also when something below fails
        let _end = End(&go);
        threads.spawn(|| load(Concentrator::new(1, lykta.udp), &go));
        threads.spawn(|| {
            while !go.end.load(SeqCst) {
                promised.fetch_max(accepted(disk.root()).unwrap_or(0), SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        for cut in 0..cuts {
            if cut == cuts / 2 {
                broker.restart();
                cloud.wait_for_subscription(&broker, &[]);
            }
            go.on.store(true, SeqCst);
            let before = promised.load(SeqCst);
            wait_until("more is accepted", || promised.load(SeqCst) > before + 50);
            std::thread::sleep(Duration::from_micros(fastrand::u64(..300_000)));
            // all that the world knows by now
            let known: Messages = delivered(&cloud).into_iter().collect();
            let promised = promised.load(SeqCst);
            lykta.signal("STOP");
            let left = disk.cut();
            go.on.store(false, SeqCst);
            lykta.signal("CONT");
            let found = Left::read(left.root()).unwrap();
            println!(
                "cut {cut}: {promised} accepted, {} on the disk, {} delivered, {} wait",
                found.accepted(),
                known.len(),
                found.waiting.len()
            );
            assert_eq!(found.keeps(promised, &known, &cloud), Ok(()));
            starts_from(left.root(), &broker);
        }
    });
}

/// Whether there is something to be heard.
#[derive(Default)]
struct Go {
    on: AtomicBool,
    end: AtomicBool,
}

struct End<'a>(&'a Go);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end.store(true, SeqCst);
    }
}

/// Sensor after sensor, some hundred in a second.
fn load(mut concentrator: Concentrator, go: &Go) {
    concentrator.set_patience(Duration::from_millis(300));
    let sensors: Vec<_> = (1..=BINS).map(Sensor::new).collect();
    for f_cnt in 1.. {
        for sensor in &sensors {
            let phy = sensor.level(f_cnt, (f_cnt % 120) as u8 * 2, -1);
            while !go.on.load(SeqCst) || !concentrator.try_forward(std::slice::from_ref(&phy)) {
                if go.end.load(SeqCst) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(fastrand::u64(..4_000)));
        }
    }
}

/// The daemon gets ready with what the cut has left, and finds nothing to complain of.
fn starts_from(state: &Path, broker: &Broker) {
    let mut lykta = Lykta::configured_with_state(state, &tenant(broker));
    lykta.restart();
    let log = lykta.log().join("\n");
    assert!(!log.contains("ERROR") && !log.contains("damaged"), "{log}");
    lykta.kill();
}

/// Nothing is heard, nothing is written.
#[test]
fn an_idle_gateway_writes_nothing() {
    let disk = Disk::new(64);
    let broker = Broker::start();
    let mut lykta = Lykta::configured_with_state(disk.root(), &tenant(&broker));
    lykta.restart();
    lykta.wait_for_log("connected to");
    Concentrator::new(1, lykta.udp).forward(&[Sensor::new(1).level(1, 80, 5)]);
    wait_until("it is accepted", || accepted(disk.root()) == Some(1));
    // it is delivered and removed by then, and what it knows is tidied up
    std::thread::sleep(Duration::from_secs(3));
    let before = disk.written();
    std::thread::sleep(Duration::from_secs(20));
    assert_eq!(disk.written().bytes, before.bytes);
}

/// The control: rows that are only written, and not flushed with each commit, are lost.
#[test]
fn without_a_flush_for_each_commit_this_would_find_what_is_lost() {
    let disk = Disk::new(64);
    let db = rusqlite::Connection::open(disk.root().join("waste.db")).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "NORMAL").unwrap();
    db.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").unwrap();
    let mut lost = 0;
    for cut in 1..=10_i64 {
        for _ in 0..50 {
            db.execute("INSERT INTO t DEFAULT VALUES", []).unwrap();
        }
        let left = disk.cut();
        let db = rusqlite::Connection::open(left.root().join("waste.db")).unwrap();
        let count = db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        // what cannot even be read is lost, too
        lost += u32::from(count.map_or(true, |rows| rows < cut * 50));
    }
    println!("rows were lost in {lost} of 10 cuts");
    assert!(lost > 2);
}
