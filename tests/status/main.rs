//! The promise to whoever looks after a gateway: the daemon can be asked how it is at any time, the
//! answer is true and can be read by people and programs, and nobody who asks can harm it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod diagnose;
mod hostile;
mod inside;
mod metrics;
mod socket;
mod text;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::{Lykta, Sensor};

/// A tenant whose broker is not there: asking needs none.
const TENANT: &str = "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
                      urls = [\"mqtt://127.0.0.1:9\"]\n";

/// A running daemon with these sensors.
fn start(sensors: &[Sensor]) -> Lykta {
    let devices: String = sensors.iter().map(|sensor| sensor.table("waste")).collect();
    let mut lykta = Lykta::configured(&format!("{TENANT}{devices}"));
    lykta.restart();
    lykta
}

/// `lykta ARGUMENTS --config …` as a person would run it.
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
    command.args(arguments).arg("--config").arg(directory.join("lykta.toml"));
    command
}

/// Its exit code, and what it said on stdout and stderr, without the test's directory.
fn ask(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    said(directory, &command(directory, arguments).output().unwrap())
}

fn said(directory: &Path, ended: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace(&*directory.to_string_lossy(), "DIRECTORY")
    };
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
}

fn socket_of(lykta: &Lykta) -> PathBuf {
    lykta.path().join("state/lykta.sock")
}
