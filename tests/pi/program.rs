//! What the program says on that machine to whoever has put it there.

use crate::support::{Lykta, wait_until};
use embedded_hal_async::spi::SpiDevice;
use lykta::board::Spi;
use lykta::config::SpiPort;
use rppal::gpio::{Gpio, Level, Mode};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

/// So much of the memory is filled with w (77); the rest is zeros.
const FILLED: usize = 1024;

/// Of thousands of bytes at once the emulated SPI sees no end.
const SHORT: usize = 32;

/// Nobody answers there, and it takes no name to know that.
const TENANT: &str = "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
                      urls = [\"mqtt://127.0.0.1:1\"]\n";

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn ask(lykta: &Lykta, command: &[&str]) -> Output {
    let (command, options) = command.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args([command, "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .args(options)
        .output()
        .unwrap()
}

/// What is told of a radio with these settings; all else goes on.
fn told_of(radio: &str) -> String {
    let mut lykta = Lykta::configured(&format!("[[radio]]\nname = \"street\"\n{radio}{TENANT}"));
    let check = ask(&lykta, &["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    lykta.restart();
    lykta.wait_for_log("radio street");
    let told = lykta.log().into_iter().find(|line| line.contains("radio street")).unwrap();
    let status = ask(&lykta, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["radios"][0]["state"], "does not work, see the journal");
    assert!(lykta.stop().success());
    println!("{told}");
    told
}

/// The memory is made to tell what is in it, and goes on whatever it is asked: first what could be
/// anything, then zeros, as a bus on which there is nothing.
#[test]
fn what_is_there_in_place_of_the_radio_is_told_with_where_to_look() {
    let mut spi = Spi::open(SpiPort { bus: 0, select: 0 }, None).unwrap();
    block_on(spi.write(&[0x03, 0, 0, 0])).unwrap();
    let told = told_of("chip = \"sx1262\"\nselect = 21\nreset = 18\nbusy = 20\ndio = 16\n");
    let what = format!("what answers on SPI 0.0 is no SX1262 (it says [{}", ["77"; 16].join(", "));
    assert!(told.contains(&what), "{told}");
    assert!(told.contains("is `chip` right?"), "{told}");

    for _ in 0..FILLED / SHORT {
        block_on(spi.read(&mut [0; SHORT])).unwrap();
    }
    let told = told_of("chip = \"sx1276\"\nreset = 18\ndio = 16\n");
    let what = "no SX1276 answers on SPI 0.0: is the HAT seated, has it power, are `spi`";
    assert!(told.contains(what), "{told}");
}

#[test]
fn a_port_that_is_not_switched_on_is_told_with_how_to() {
    let told = told_of("chip = \"sx1276\"\nspi = \"0.1\"\nreset = 18\ndio = 16\n");
    assert!(told.contains("there is no /dev/spidev0.1: put dtparam=spi=on into"), "{told}");
}

/// The lamp blinks without a broker; at the end all pins are what they were.
#[test]
fn lamp_and_relay_are_driven_and_given_back() {
    let pins = Gpio::new().unwrap();
    let [lamp, relay] = [26, 13].map(|number| pins.get(number).unwrap());
    assert_eq!((lamp.mode(), relay.mode()), (Mode::Input, Mode::Input));
    let mut lykta =
        Lykta::configured(&format!("[output]\nstatus_led = 26\nrelay = 13\nbutton = 6\n{TENANT}"));
    lykta.restart();
    for level in [Level::High, Level::Low, Level::High] {
        wait_until("the lamp blinks", || lamp.mode() == Mode::Output && lamp.read() == level);
    }
    assert_eq!((relay.mode(), relay.read()), (Mode::Output, Level::Low));
    assert!(lykta.stop().success());
    assert_eq!((lamp.mode(), lamp.read()), (Mode::Input, Level::Low));
    assert_eq!((relay.mode(), relay.read()), (Mode::Input, Level::Low));
    let log = lykta.log().join("\n");
    assert!(!log.contains("[output]"), "{log}");
}

/// The filter of system calls has each architecture's own numbers.
#[test]
fn a_vendor_s_script_runs_behind_the_filter() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("level.js");
    let text = "function decodeUplink(input) { return { data: { level: input.bytes[0] } }; }";
    std::fs::write(&script, text).unwrap();
    let case = serde_json::json!({
        "script": script, "routine": "decodeUplink",
        "input": {"bytes": [42], "fPort": 1, "recvTime": "2026-01-01T00:00:00Z"},
    });
    let mut decoder = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["decode", "--serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut cases = decoder.stdin.take().unwrap();
    writeln!(cases, "{case}").unwrap();
    let mut answer = String::new();
    BufReader::new(decoder.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"out\":{\"data\":{\"level\":42}}}\n");
    let worker = children(decoder.id()).pop().expect("it runs");
    let filtered = field(&worker, "Seccomp");
    drop(cases);
    assert!(decoder.wait().unwrap().success());
    assert_eq!(filtered.as_deref(), Some("2"), "SECCOMP_MODE_FILTER");
}

/// What /proc says of the processes that this one has started.
fn children(process: u32) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    all.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok())
        .filter(|status| field(status, "PPid") == Some(process.to_string()))
        .collect()
}

fn field(status: &str, name: &str) -> Option<String> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}
