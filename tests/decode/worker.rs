//! The process in which scripts run: what it may, and what becomes of it.

use crate::Serve;
use crate::support::wait_until;
use serde_json::json;
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

#[test]
fn it_is_replaced_when_somebody_kills_it_and_the_script_is_not_blamed_twice() {
    let mut serve = Serve::start();
    serve.out(GOOD);
    for _ in 0..5 {
        let worker = serve.worker().expect("a worker");
        let killed = Command::new("kill").args(["-s", "KILL", &worker.to_string()]).status();
        assert!(killed.unwrap().success());
        wait_until("it is dead", || {
            let stat = std::fs::read_to_string(format!("/proc/{worker}/stat"));
            stat.is_ok_and(|stat| stat.contains(") Z "))
        });
        // between two payloads it is nobody's fault
        assert_eq!(serve.out(GOOD), json!({"data": "2024-01-01T00:00:00.000Z"}));
    }
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
