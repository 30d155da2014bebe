//! Alarms that are committed while a backlog drains: how long until they are on the wire.

use crate::support::{entry, message, upstream};
use crate::{milliseconds, sink};
use lykta::clock::Clock;
use lykta::config::Protocol;
use lykta::store::{Class, Outbox, Store};
use lykta::upstream::{Forwarder, Shared};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const ALARMS: u64 = 300;

/// Commits alarms into a drain, with a broker that acknowledges after this delay.
pub fn during_a_drain(full: &Path, ack_delay: Duration) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waste.db");
    std::fs::copy(full, &file).unwrap();
    let mut store = Store::open(crate::database(&file), &lykta::clock::Clock::system()).unwrap();
    let (port, books) = sink::broker(ack_delay);
    let shared = Shared {
        news: Arc::default(),
        counters: Arc::default(),
        health: Arc::new(|| json!({})),
        commands: Arc::new(|_| Ok(())),
    };
    let news = Arc::clone(&shared.news);
    let forwarder = Forwarder::new(
        &"gw-1".parse().unwrap(),
        &"waste".parse().unwrap(),
        upstream(format!("mqtt://127.0.0.1:{port}"), Protocol::V5),
        Outbox::open(crate::database(&file)).unwrap(),
        Clock::system(),
        shared,
    )
    .unwrap();
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(forwarder.run(stopped));
    });
    while books.lock().unwrap().messages < 1_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut committed = Vec::new();
    for n in 0..ALARMS {
        let alarm = message(Class::Alarm, format!("alarm/{n}"), format!(r#"{{"n":{n}}}"#));
        let begin = Instant::now();
        store.commit(&[entry(1, vec![alarm])]).unwrap();
        news.notify_one();
        committed.push((begin, Instant::now()));
        std::thread::sleep(Duration::from_micros(fastrand::u64(2_000..18_000)));
    }
    let all = || books.lock().unwrap().alarms.len() as u64 == ALARMS;
    while !all() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let under_way = books.lock().unwrap().messages;
    stop.send_replace(true);
    thread.join().unwrap();
    let books = books.lock().unwrap();
    let wait = |n: usize, from: Instant| books.alarms[&(n as u64)].saturating_duration_since(from);
    let mut waits: Vec<_> =
        committed.iter().enumerate().map(|(n, (_, done))| wait(n, *done)).collect();
    let mut commits: Vec<_> = committed.iter().map(|(begin, done)| *done - *begin).collect();
    waits.sort_unstable();
    commits.sort_unstable();
    let at = |sorted: &[Duration], part: f64| {
        milliseconds(sorted[((sorted.len() - 1) as f64 * part) as usize])
    };
    json!({
        "alarms": ALARMS,
        "p50Ms": at(&waits, 0.5),
        "p99Ms": at(&waits, 0.99),
        "maxMs": at(&waits, 1.0),
        "commitP50Ms": at(&commits, 0.5),
        "commitP99Ms": at(&commits, 0.99),
        "drainedMeanwhile": under_way,
    })
}
