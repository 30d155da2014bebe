//! What the whole way costs: `cargo bench --bench throughput`.
//!
//! 5,000 devices speak through real UDP to the real program, pinned to one core, which writes
//! to a real disk and delivers to a real mosquitto: first at a steady rate, then as fast as
//! it goes. Options after `--`: `--seconds N` (20), `--rate N` (100), `--devices N` (5,000),
//! `--frames N` (20,000, of the second part), `--json`.
//!
//! The disk is that of the directory for temporary files: with one in memory there are no bytes
//! written, and `TMPDIR` names another.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

use lykta::store::{Class, Cursor, Outbox, Store};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Broker, Concentrator, Lykta, Sensor, wait_until};

/// As many as a concentrator of eight channels hears at once.
const FRAMES_PER_DATAGRAM: usize = 8;

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = options.iter().position(|option| option == name);
        at.map_or(default, |at| options[at + 1].parse().unwrap())
    };
    let (seconds, rate) = (number("--seconds", 20), number("--rate", 100));
    let sensors: Vec<_> = (1..=number("--devices", 5_000) as u32).map(Sensor::new).collect();

    let mut bench = Bench::start(sensors);
    let idle = bench.sample();
    let steady = bench.steady(rate, seconds);
    let fast = bench.fast(number("--frames", 20_000));
    let report = json!({
        "devices": bench.sensors.len(),
        "idleRssKb": idle.rss_kb,
        "steady": steady,
        "fast": fast,
    });
    if options.iter().any(|option| option == "--json") {
        println!("{report}");
    } else {
        table(&report);
    }
}

fn table(report: &Value) {
    println!(
        "{} devices, one core, {} kB resident before the first frame",
        report["devices"], report["idleRssKb"]
    );
    println!("{:<34}{:>14}{:>14}", "", "steady", "fast");
    for (name, key) in [
        ("frames", "frames"),
        ("frames/s accepted", "acceptedPerS"),
        ("frames/s delivered", "deliveredPerS"),
        ("CPU per frame, us", "cpuUsPerFrame"),
        ("fdatasync for uplinks, per frame", "commitsPerFrame"),
        ("bytes written, per frame", "bytesPerFrame"),
        ("resident, kB", "rssKb"),
        ("resident at most, kB", "peakKb"),
    ] {
        let cell = |part: &str| {
            let value = report[part][key].as_f64().unwrap();
            if value < 10.0 { format!("{value:.3}") } else { format!("{value:.0}") }
        };
        println!("{name:<34}{:>14}{:>14}", cell("steady"), cell("fast"));
    }
}

/// What the kernel says of the process, and it of itself.
struct Sample {
    at: Instant,
    cpu: Duration,
    written: u64,
    rss_kb: u64,
    peak_kb: u64,
}

struct Bench {
    sensors: Vec<Sensor>,
    /// The counter of the last frame of each sensor.
    counters: Vec<u32>,
    next: usize,
    broker: Broker,
    lykta: Lykta,
    concentrator: Concentrator,
    commits: u64,
}

impl Bench {
    fn start(sensors: Vec<Sensor>) -> Self {
        let broker = Broker::start();
        // long enough for the subscriber to be there first when the broker comes back
        let upstream = "reconnect_min = \"2s\"\nreconnect_max = \"2s\"";
        let tenant = format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [{:?}]\n\
             backlog_rate = 0\n{upstream}\n",
            broker.url()
        );
        let devices: String = sensors.iter().map(|sensor| sensor.table("waste")).collect();
        let mut lykta = Lykta::configured(&(tenant + &devices));
        lykta.restart();
        let pinned = Command::new("taskset")
            .args(["-a", "-p", "-c", "0", &lykta.id().to_string()])
            .stdout(Stdio::null())
            .status();
        assert!(pinned.is_ok_and(|status| status.success()), "taskset, of util-linux, is there");
        lykta.wait_for_log("connected to");
        let concentrator = Concentrator::new(1, lykta.udp);
        concentrator.set_patience(Duration::from_millis(100));
        Self {
            counters: vec![0; sensors.len()],
            sensors,
            next: 0,
            broker,
            lykta,
            concentrator,
            commits: 0,
        }
    }

    /// The next frame, of each sensor in turn.
    fn frame(&mut self) -> Vec<u8> {
        let n = self.next % self.sensors.len();
        self.next += 1;
        self.counters[n] += 1;
        self.sensors[n].level(self.counters[n], 100, 5)
    }

    fn steady(&mut self, rate: u64, seconds: u64) -> Value {
        let frames = rate * seconds;
        let datagrams: Vec<_> = (0..frames).map(|_| vec![self.frame()]).collect();
        let before = self.sample();
        for (n, datagram) in datagrams.iter().enumerate() {
            let due = before.at + Duration::from_micros(n as u64 * 1_000_000 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            while !self.concentrator.try_forward(datagram) {}
        }
        self.finish(frames, &before)
    }

    fn fast(&mut self, frames: u64) -> Value {
        let all: Vec<_> = (0..frames).map(|_| self.frame()).collect();
        let before = self.sample();
        for datagram in all.chunks(FRAMES_PER_DATAGRAM) {
            // what finds lykta busy is not acknowledged, and sent again
            while !self.concentrator.try_forward(datagram) {}
        }
        self.finish(frames, &before)
    }

    /// Waits until everything is accepted and delivered, and says what it took.
    fn finish(&mut self, frames: u64, before: &Sample) -> Value {
        let database = self.lykta.database("waste");
        let store = Store::open(&database, &lykta::clock::Clock::system()).unwrap();
        let mut outbox = Outbox::open(&database).unwrap();
        let wanted: u64 = self.counters.iter().map(|counter| u64::from(*counter)).sum();
        wait_until("everything is accepted", || {
            let sessions = store.memory().unwrap().sessions;
            let counters = sessions.values().filter_map(|session| session.counter);
            counters.map(|counter| u64::from(counter.f_cnt_up)).sum::<u64>() == wanted
        });
        let accepted = before.at.elapsed();
        // counting what waits would take a core of its own
        let mut first = || outbox.next(Class::Diagnostic, &mut Cursor::default(), 1).unwrap();
        wait_until("everything is delivered", || first().is_empty());
        let after = self.sample();
        let total = self.commits();
        let commits = total - std::mem::replace(&mut self.commits, total);
        let per_frame = |value: f64| value / frames as f64;
        json!({
            "frames": frames,
            "acceptedPerS": frames as f64 / accepted.as_secs_f64(),
            "deliveredPerS": frames as f64 / (after.at - before.at).as_secs_f64(),
            "cpuUsPerFrame": per_frame((after.cpu - before.cpu).as_secs_f64() * 1e6),
            "commitsPerFrame": per_frame(commits as f64),
            "bytesPerFrame": per_frame((after.written - before.written) as f64),
            "rssKb": after.rss_kb,
            "peakKb": after.peak_kb,
        })
    }

    fn sample(&self) -> Sample {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", self.lykta.id())).unwrap()
        };
        let field = |text: &str, name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        // utime and stime are the 14th and 15th; the name before them may hold blanks
        let stat = read("stat");
        let ticks: u64 = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        let status = read("status");
        Sample {
            at: Instant::now(),
            // the kernel shows ticks of 10 ms to everybody (USER_HZ)
            cpu: Duration::from_millis(ticks * 10),
            written: field(&read("io"), "write_bytes:"),
            rss_kb: field(&status, "VmRSS:"),
            peak_kb: field(&status, "VmHWM:"),
        }
    }

    /// How many times lykta has written uplinks to the disk: from the health message that it
    /// sends when it is connected anew.
    fn commits(&mut self) -> u64 {
        self.broker.restart();
        let health = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.broker.port.to_string()])
            .args(["-t", "lykta/gw-1/waste/health", "-C", "1", "-W", "30"])
            .output()
            .unwrap();
        let health: Value = serde_json::from_slice(&health.stdout).unwrap();
        health["tenant"]["commits"].as_u64().unwrap()
    }
}
