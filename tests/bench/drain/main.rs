//! What happens after a long outage: `cargo bench --bench drain`.
//!
//! A million messages wait. The shipped program brings them to a broker that only counts, and to
//! a real mosquitto; beside it, in turns, the MQTT library alone with the same messages from
//! memory, and a mosquitto that bridges to the other one. Then alarms are committed into a drain.
//! Options after `--`: `--rows N` (1,000,000), `--rounds N` (3), `--sealed` (under a
//! key), `--json`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../support/mod.rs"]
mod support;

mod alarms;
mod bare;
mod bridge;
mod sink;

use bridge::Bridge;
use lykta::store::{Class, Cursor, Database, Outbox, Store};
use serde_json::{Value, json};
use sink::Shared;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Broker, Lykta, entry, message, store_key};

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = options.iter().position(|option| option == name);
        at.map_or(default, |at| options[at + 1].parse().unwrap())
    };
    let (rows, rounds) = (number("--rows", 1_000_000), number("--rounds", 3));
    let directory = tempfile::tempdir().unwrap();
    let full = directory.path().join("full.db");
    fill(&full, rows);

    let (open, first_batch) = first_batch(&full);
    let mut turns = Vec::new();
    for _ in 0..rounds {
        let (to_sink, len) = lykta_to_sink(&full, rows);
        let bare_to_sink = bare_to_sink(rows, len);
        let to_mosquitto = lykta_to_mosquitto(&full, rows);
        let bridge = bridge_to_mosquitto(rows, len);
        turns.push(json!({
            "messageBytes": len,
            "lyktaToSink": to_sink,
            "bareToSink": bare_to_sink,
            "ofBare": to_sink["perS"].as_f64().unwrap() / bare_to_sink["perS"].as_f64().unwrap(),
            "lyktaToMosquitto": to_mosquitto,
            "bridgeToMosquitto": bridge,
            "ofBridge": to_mosquitto["perS"].as_f64().unwrap() / bridge["perS"].as_f64().unwrap(),
        }));
        if !options.iter().any(|option| option == "--json") {
            turn(turns.last().unwrap());
        }
    }
    let alarms: Vec<_> = [0, 50]
        .map(|ms| (ms, alarms::during_a_drain(&full, Duration::from_millis(ms))))
        .map(|(ms, waits)| json!({ "ackDelayMs": ms, "alarms": waits }))
        .into();
    let report = json!({
        "rows": rows,
        "openMs": open,
        "firstBatchMs": first_batch,
        "turns": turns,
        "alarms": alarms,
    });
    if options.iter().any(|option| option == "--json") {
        println!("{report}");
    } else {
        rest(&report);
    }
}

fn turn(turn: &Value) {
    let (sink, mosquitto) = (&turn["lyktaToSink"], &turn["lyktaToMosquitto"]);
    println!(
        "to the sink: {:.0}/s, {:.2} of the library alone ({:.0}/s); to mosquitto: {:.0}/s, {:.2} \
         of its bridge ({:.0}/s)",
        sink["perS"].as_f64().unwrap(),
        turn["ofBare"].as_f64().unwrap(),
        turn["bareToSink"]["perS"].as_f64().unwrap(),
        mosquitto["perS"].as_f64().unwrap(),
        turn["ofBridge"].as_f64().unwrap(),
        turn["bridgeToMosquitto"]["perS"].as_f64().unwrap(),
    );
    println!(
        "  CPU a message {:.1} us, of the library alone {:.1} us",
        sink["cpuUs"].as_f64().unwrap(),
        turn["bareToSink"]["cpuUs"].as_f64().unwrap()
    );
    println!(
        "  READY after {} / {} ms, resident at most {} / {} kB (in the end {} / {} kB without the \
         program's text), the bridge {} kB; {} bytes a message",
        sink["readyMs"],
        mosquitto["readyMs"],
        sink["peakKb"],
        mosquitto["peakKb"],
        sink["anonymousKb"],
        mosquitto["anonymousKb"],
        turn["bridgeToMosquitto"]["peakKb"],
        turn["messageBytes"]
    );
}

fn rest(report: &Value) {
    println!(
        "the outbox is opened in {} ms, the first hundred are read in {} ms",
        report["openMs"], report["firstBatchMs"]
    );
    for case in report["alarms"].as_array().unwrap() {
        println!(
            "alarms committed meanwhile, acknowledgements after {} ms: on the wire after {} ms \
             (half of them), {} ms (99 of 100), {} ms (all {})",
            case["ackDelayMs"],
            case["alarms"]["p50Ms"],
            case["alarms"]["p99Ms"],
            case["alarms"]["maxMs"],
            case["alarms"]["alarms"]
        );
    }
}

/// The database in this file; with `--sealed` under a key.
fn database(file: &Path) -> Database {
    let is_sealed = std::env::args().any(|option| option == "--sealed");
    support::database(file, is_sealed.then(|| store_key(1)).as_ref())
}

/// A database in which so many messages of 100 bytes wait, of 5,000 devices in turn.
fn fill(file: &Path, rows: u64) {
    let mut store = Store::open(database(file), &lykta::clock::Clock::system()).unwrap();
    let mut number = 0;
    while number < rows {
        let group = (rows - number).min(10_000);
        let messages = (number..number + group).map(|n| {
            let topic = format!("device/{:016x}/readings", n % 5_000);
            let body = format!(r#"{{"n":{n:012},"filling":"{}"}}"#, "x".repeat(69));
            message(Class::Measurement, topic, body)
        });
        store.commit(&[entry(1, messages.collect())]).unwrap();
        number += group;
    }
}

/// How long it takes to open it, and to read as many as go out at once, in milliseconds.
fn first_batch(full: &Path) -> (f64, f64) {
    let begin = Instant::now();
    let mut outbox = Outbox::open(database(full)).unwrap();
    let open = begin.elapsed();
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100).unwrap();
    assert_eq!(rows.len(), 100);
    (milliseconds(open), milliseconds(begin.elapsed() - open))
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// The shipped program with a copy of the full database, connected to this port.
struct Draining {
    lykta: Lykta,
    ready: Duration,
    _state: tempfile::TempDir,
}

impl Draining {
    fn start(full: &Path, port: u16) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::copy(full, state.path().join("waste.db")).unwrap();
        let key = state.path().join("key");
        std::fs::write(&key, hex::encode(store_key(1).0)).unwrap();
        let key = match std::env::args().any(|option| option == "--sealed") {
            true => format!("store_key_file = {key:?}\n"),
            false => String::new(),
        };
        let tenant = format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n{key}[tenant.upstream]\n\
             urls = [\"mqtt://127.0.0.1:{port}\"]\nbacklog_rate = 0\n"
        );
        let mut lykta = Lykta::configured_with_state(state.path(), &tenant);
        let begin = Instant::now();
        lykta.restart();
        Self { lykta, ready: begin.elapsed(), _state: state }
    }

    fn finish(self, books: &Shared, rows: u64) -> Value {
        let id = self.lykta.id();
        let before = cpu(&id.to_string());
        wait_for(books, rows);
        let spent = cpu(&id.to_string()) - before;
        json!({
            "perS": books.lock().unwrap().rate(),
            "cpuUs": spent.as_secs_f64() * 1e6 / rows as f64,
            "readyMs": milliseconds(self.ready),
            "peakKb": memory_kb(id, "VmHWM:"),
            // what is not the program's own text
            "anonymousKb": memory_kb(id, "RssAnon:"),
        })
    }
}

fn wait_for(books: &Shared, rows: u64) {
    let mut last = (0, Instant::now());
    while last.0 < rows {
        std::thread::sleep(Duration::from_millis(20));
        let now = books.lock().unwrap().messages;
        if now > last.0 {
            last = (now, Instant::now());
        }
        assert!(last.1.elapsed() < Duration::from_secs(60), "{now} of {rows}, and no more");
    }
}

/// What a process has computed, or the calling thread (`thread-self`).
fn cpu(of: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).unwrap();
    // utime and stime are the 14th and 15th; the name before them may hold blanks
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // the kernel shows ticks of 10 ms to everybody (USER_HZ)
    Duration::from_millis(ticks * 10)
}

fn memory_kb(id: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// What it took, and how long a message was.
fn lykta_to_sink(full: &Path, rows: u64) -> (Value, usize) {
    let (port, books) = sink::broker(Duration::ZERO);
    let report = Draining::start(full, port).finish(&books, rows);
    let books = books.lock().unwrap();
    // with the properties, which the other one sends, too
    let properties = 100;
    (report, (books.bytes / books.messages) as usize - properties)
}

fn bare_to_sink(rows: u64, len: usize) -> Value {
    let (port, books) = sink::broker(Duration::ZERO);
    let before = cpu("thread-self");
    bare::publish(port, rows, len);
    let spent = cpu("thread-self") - before;
    let rate = books.lock().unwrap().rate();
    json!({ "perS": rate, "cpuUs": spent.as_secs_f64() * 1e6 / rows as f64 })
}

fn lykta_to_mosquitto(full: &Path, rows: u64) -> Value {
    let broker = Broker::start();
    let books = sink::subscriber(broker.port);
    Draining::start(full, broker.port).finish(&books, rows)
}

fn bridge_to_mosquitto(rows: u64, len: usize) -> Value {
    let mut broker = Broker::start();
    broker.kill();
    let bridge = Bridge::to(broker.port);
    bridge.fill(rows, len);
    broker.spawn();
    let books = sink::subscriber(broker.port);
    wait_for(&books, rows);
    let peak = memory_kb(bridge.id(), "VmHWM:");
    let books = books.lock().unwrap();
    json!({ "perS": books.rate(), "peakKb": peak })
}
