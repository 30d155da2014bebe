//! What it costs to wait: `cargo bench --no-default-features --bench idle`.
//!
//! The shipped program with a concentrator's port, a mosquitto and devices of which none says
//! anything: how large it is, how soon it is ready, what it keeps in memory, and how often it wakes
//! up. Options after `--`: `--seconds N` (60), `--forwarder PROGRAM` for the same of ChirpStack's MQTT
//! Forwarder beside it (built with the feature `semtech_udp` alone).
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Broker, Lykta, Sensor, free_udp_address};

/// Of which clock ticks are told, whatever the kernel was built with.
const TICK: Duration = Duration::from_millis(10);

/// What a start has to do is done after this.
const SETTLES: Duration = Duration::from_secs(10);

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = options.iter().position(|option| option == name);
        at.map(|at| options[at + 1].clone())
    };
    let time = Duration::from_secs(option("--seconds").map_or(60, |n| n.parse().unwrap()));
    let broker = Broker::start();
    println!(
        "{:<34}{:>12}{:>9}{:>14}{:>14}{:>8}{:>10}",
        "", "program MB", "ready s", "resident MB", "not text MB", "CPU %", "wakes/s"
    );
    for devices in [0, 20, 500] {
        let sensors: Vec<_> = (1..=devices).map(Sensor::new).collect();
        let begin = Instant::now();
        let lykta = Lykta::start(&broker, "", &sensors);
        let ready = begin.elapsed().as_secs_f64();
        let program = Path::new(env!("CARGO_BIN_EXE_lykta"));
        tell(&format!("lykta, {devices} devices"), program, Some(ready), lykta.id(), time);
    }
    if let Some(program) = option("--forwarder") {
        let forwarder = Forwarder::start(&program, &broker);
        tell("chirpstack-mqtt-forwarder", Path::new(&program), None, forwarder.0.id(), time);
    }
}

fn tell(what: &str, program: &Path, ready: Option<f64>, process: u32, time: Duration) {
    std::thread::sleep(SETTLES);
    let (cpu, wakes) = (cpu(process), wakes(process));
    std::thread::sleep(time);
    let share = (self::cpu(process) - cpu).as_secs_f64() / time.as_secs_f64() * 100.0;
    let wakes = (self::wakes(process) - wakes) as f64 / time.as_secs_f64();
    let ready = ready.map_or_else(String::new, |ready| format!("{ready:.2}"));
    let [resident, own] = ["VmRSS", "RssAnon"].map(|key| field(process, key) / 1000.0);
    println!(
        "{what:<34}{:>12.1}{ready:>9}{resident:>14.1}{own:>14.1}{share:>8.3}{wakes:>10.1}",
        size(program)
    );
}

/// Without its symbols, as a package has it.
fn size(program: &Path) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let small = directory.path().join("program");
    let made = Command::new("strip").arg("-o").arg(&small).arg(program).status().unwrap();
    assert!(made.success());
    std::fs::metadata(small).unwrap().len() as f64 / 1e6
}

/// A line of `/proc/PID/status`, in kilobytes.
fn field(process: u32, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // behind the name, which may have spaces
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    TICK * fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().unwrap()).sum()
}

/// How often its threads have gone to sleep by themselves.
fn wakes(process: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    threads.map(of).sum()
}

/// ChirpStack's, which passes on what a concentrator says.
struct Forwarder(Child, #[expect(dead_code, reason = "removed with it")] tempfile::TempDir);

impl Forwarder {
    fn start(program: &str, broker: &Broker) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("forwarder.toml");
        let server = broker.url().replace("mqtt://", "tcp://");
        let bind = free_udp_address();
        let text = format!(
            "[mqtt]\nserver = \"{server}\"\n[backend]\nenabled = \"semtech_udp\"\n\
             [backend.semtech_udp]\nbind = \"{bind}\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let command = Command::new(program).arg("-c").arg(&file).stdout(Stdio::null()).spawn();
        Self(command.unwrap(), directory)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
