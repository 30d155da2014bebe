//! What a payload costs that a vendor's script decodes: `cargo bench --bench codec`.
//!
//! The whole way: to the worker, a new interpreter there, the script from its source, and back.
//! And whether 50,000 of them, a looping script and a memory bomb leave any memory behind.
#![allow(clippy::unwrap_used, missing_docs)]

use lykta::codec::script::{Keeper, Routine, Script};
use serde_json::value::RawValue;
use std::fmt::Write;
use std::time::{Duration, Instant};

const DECODES: usize = 50_000;

/// A codec as they are, of our own: channels of a type and a length, one after the other.
const CODEC: &str = r"
function decodeUplink(input) {
    var decoded = {}, bytes = input.bytes;
    for (var i = 0; i < bytes.length; ) {
        var channel = bytes[i++], type = bytes[i++];
        if (channel === 0x01 && type === 0x75) { decoded.battery = bytes[i]; i += 1; }
        else if (channel === 0x03 && type === 0x67) { decoded.temperature = int16(bytes.slice(i, i + 2)) / 10; i += 2; }
        else if (channel === 0x04 && type === 0x82) { decoded.distance = uint16(bytes.slice(i, i + 2)); i += 2; }
        else if (channel === 0x05 && type === 0x00) { decoded.position = bytes[i] === 0 ? 'normal' : 'tilt'; i += 1; }
        else { return {errors: ['unknown channel ' + channel]}; }
    }
    return {data: decoded};
}
function uint16(b) { return (b[1] << 8) + b[0]; }
function int16(b) { var v = uint16(b); return v > 0x7fff ? v - 0x10000 : v; }
";

fn main() {
    let input = RawValue::from_string(
        r#"{"bytes": [1,117,87,3,103,56,0,4,130,92,8,5,0,0], "fPort": 85, "recvTime": "2026-11-22T10:00:00Z", "variables": {}}"#.into(),
    )
    .unwrap();
    let mut keeper = Keeper::new(env!("CARGO_BIN_EXE_lykta").into());
    println!(
        "{:<44}{:>10}{:>10}{:>10}{:>12}",
        "a payload", "p50 ms", "p95 ms", "max ms", "decodes/s"
    );
    for kib in [1, 4, 39, 100] {
        let script = Script::new(filled(kib * 1024).as_bytes()).unwrap();
        let times = run(&mut keeper, &script, &input, DECODES / 10);
        line(&format!("script of {kib} KiB"), times);
    }

    let worker = |keeper: &Keeper| keeper.worker().map_or(0, |id| resident(&id.to_string()));
    println!("\n{:<44}{:>14}{:>14}", "resident, KiB", "here", "worker");
    let memory = |what: &str, keeper: &Keeper| {
        println!("{what:<44}{:>14}{:>14}", resident("self"), worker(keeper));
    };
    let scripts: Vec<_> =
        (1..=50).map(|kib| Script::new(filled(kib * 1024).as_bytes()).unwrap()).collect();
    for part in 0..=5 {
        memory(&format!("after {} decodes", part * DECODES / 5), &keeper);
        for n in 0..if part == 5 { 0 } else { DECODES / 5 } {
            keeper.ask(&scripts[n % 50], Routine::DecodeUplink, &input).out.unwrap();
        }
    }
    for (what, source) in [
        ("after a memory bomb", "function decodeUplink() { for (var a = []; ; ) a.push({}); }"),
        ("after a loop", "function decodeUplink() { for (;;); }"),
        ("after a kill", "function decodeUplink() { new Array(4294967295).join(); }"),
    ] {
        let begin = Instant::now();
        let out =
            keeper.ask(&Script::new(source.as_bytes()).unwrap(), Routine::DecodeUplink, &input).out;
        let took = begin.elapsed().as_millis();
        keeper.ask(&scripts[0], Routine::DecodeUplink, &input).out.unwrap();
        memory(&format!("{what} ({took} ms)"), &keeper);
        println!("    {}", out.unwrap_err());
    }
}

fn run(keeper: &mut Keeper, script: &Script, input: &RawValue, n: usize) -> Vec<Duration> {
    let one = |_| {
        let begin = Instant::now();
        keeper.ask(script, Routine::DecodeUplink, input).out.unwrap();
        begin.elapsed()
    };
    (0..n).map(one).collect()
}

fn line(name: &str, mut times: Vec<Duration>) {
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
    let rate = times.len() as f64 / total.as_secs_f64();
    println!("{name:<44}{:>10.2}{:>10.2}{:>10.2}{rate:>12.0}", at(50), at(95), at(100));
}

/// The codec with as many functions beside it as real ones of that size have.
fn filled(size: usize) -> String {
    let mut source = CODEC.to_owned();
    for n in 0.. {
        if source.len() >= size {
            break;
        }
        writeln!(
            source,
            "function command{n}(value) {{\n    if (typeof value !== 'number' || value < {n}) {{ throw new Error('wrong value'); }}\n    \
             return [0xff, {n} & 0xff, value & 0xff, (value >> 8) & 0xff]; // as told by the manual\n}}"
        )
        .unwrap();
    }
    source
}

fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
