//! The process in which scripts run: what it may, and what becomes of it.

use crate::Serve;
use crate::support::wait_until;
use lykta::codec::script::{Failure, Keeper, Routine, Script};
use serde_json::json;
use serde_json::value::RawValue;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const GOOD: &str = "function decodeUplink() { return {data: new Date(2024, 0, 1)}; }";

#[test]
fn it_has_no_rights() {
    let mut serve = Serve::start();
    serve.out(GOOD);
    let worker = serve.worker().expect("a worker");
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{worker}/{name}")).unwrap();
    let status = read("status");
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        found.unwrap_or_else(|| panic!("{name} in\n{status}")).to_owned()
    };
    assert_eq!(line("NoNewPrivs"), "1");
    // a filter: qemu's user mode, in which the tests for the Pi run, has none
    if std::env::consts::ARCH == "x86_64" {
        assert_eq!(line("Seccomp"), "2");
    }
    let limits = read("limits");
    for name in ["Max open files", "Max processes", "Max file size", "Max core file size"] {
        let limit = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(limit.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{name}");
    }
    let open = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap().count();
    assert_eq!(open, 3);
    assert_eq!(read("environ"), "TZ=UTC\0");
    assert_eq!(std::fs::read_link(format!("/proc/{worker}/cwd")).unwrap(), Path::new("/"));
}

/// Sends it a signal.
fn signal(worker: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &worker.to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn it_is_replaced_when_somebody_kills_it_and_no_script_is_blamed() {
    let mut serve = Serve::start();
    let answer = json!({"data": "2024-01-01T00:00:00.000Z"});
    assert_eq!(serve.out(GOOD), answer);
    for _ in 0..4 {
        // between two payloads nobody notices
        let worker = serve.worker().expect("a worker");
        signal(worker, "KILL");
        wait_until("it is dead", || {
            let stat = std::fs::read_to_string(format!("/proc/{worker}/stat"));
            stat.is_ok_and(|stat| stat.contains(") Z "))
        });
        assert_eq!(serve.out(GOOD), answer);
        // in the midst of one
        let worker = serve.worker().expect("a worker");
        signal(worker, "STOP");
        let script = serve.script("good.js", GOOD);
        let case = json!({"script": script, "routine": "decodeUplink", "input": {}});
        serve.send(case.to_string());
        signal(worker, "KILL");
        let told = serve.answer();
        match told["err"].as_str() {
            // the second if this test had no time for the signal
            Some(told) => {
                assert!(told.contains("somebody else") || told.contains("too busy"), "{told}");
            }
            // it was dead before it was asked
            None => assert_eq!(told["out"], answer, "{told}"),
        }
        assert_eq!(serve.out(GOOD), answer);
    }
}

#[test]
fn one_that_is_given_no_time_is_replaced_and_no_script_is_blamed() {
    let mut serve = Serve::start();
    for _ in 0..4 {
        serve.out(GOOD);
        signal(serve.worker().expect("a worker"), "STOP");
        let script = serve.script("good.js", GOOD);
        let case = json!({"script": script, "routine": "decodeUplink", "input": {}});
        serve.send(case.to_string());
        let told = serve.answer();
        assert!(told["err"].as_str().is_some_and(|t| t.contains("machine is too busy")), "{told}");
    }
    serve.out(GOOD);
}

#[test]
fn it_ends_with_who_asks_even_in_the_middle_of_a_loop() {
    let mut serve = Serve::start();
    serve.out(GOOD);
    let worker = serve.worker().expect("a worker");
    let script =
        serve.script("loop.js", "function decodeUplink() { new Array(2**32 - 1).join(); }");
    serve.send(json!({"script": script, "routine": "decodeUplink", "input": {}}).to_string());
    serve.process.kill().unwrap();
    serve.process.wait().unwrap();
    wait_until("the worker has ended", || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat"));
        !stat.is_ok_and(|stat| !stat.contains(") Z "))
    });
}

/// A worker that somebody has taken over may say what it likes: no script of another is answered
/// by it, and nobody waits or keeps what it says.
#[test]
fn one_that_says_what_no_worker_says_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let ready = r#"echo '{"filtered":true}'; read -r line;"#;
    let two = r#"{"out":{"object":{"data":1}},"console":[]}"#;
    for (what, words) in [
        ("megabytes without an end", "while :; do echo -n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"),
        ("two answers", &format!("printf '%s\\n%s\\n' '{two}' '{two}'; read -r line")),
        ("no JSON", "echo hello; read -r line"),
        ("no object", r#"echo '{"out":{"object":1'; read -r line"#),
        ("nothing", "exit 3"),
    ] {
        let program = directory.path().join("worker");
        std::fs::write(&program, format!("#!/bin/sh\n{ready} {words}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let mut keeper = Keeper::new(program.clone());
        let script = Script::new(what.as_bytes()).unwrap();
        let input = RawValue::from_string("{}".to_owned()).unwrap();
        let answer = keeper.ask(&script, Routine::DecodeUplink, &input);
        assert!(matches!(answer.out, Err(Failure::Crashed(_))), "{what}: {answer:?}");
        assert_eq!(keeper.worker(), None, "{what}");
        std::fs::remove_file(&program).unwrap();
    }
}
