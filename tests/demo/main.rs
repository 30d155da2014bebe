//! The promise of the README's first command: the demonstration runs with nothing else
//! installed, bridges an outage, and loses nothing.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, unreachable_pub, reason = "shared")]
#[path = "../support/promises.rs"]
mod promises;

use serde_json::Value;
use std::collections::HashSet;
use std::process::Command;

#[test]
fn six_seconds_of_it_lose_nothing() {
    let ended = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["demo", "--for", "6s", "--speed", "240", "--seed", "1", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complaints = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{said}\n{complaints}");
    let mut lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();

    let summary = lines.pop().expect("a summary");
    let number = |key: &str| summary[key].as_u64().unwrap_or_else(|| panic!("{key}: {summary}"));
    assert_eq!(number("lost"), 0, "{summary}");
    assert!(number("heard") > 0, "{summary}");
    assert!(number("longestOutageS") > 0, "the broker was never away: {summary}");
    assert_eq!(summary.as_object().unwrap().len(), 5, "{summary}");

    let messages = lines.iter().map(|line| (line["topic"].as_str().unwrap(), &line["message"]));
    promises::assert_kept(messages);

    // the books again, by somebody else than the demonstration itself
    let devices = lines.iter().filter(|line| line["topic"].as_str().unwrap().contains("/device/"));
    let ids: Vec<_> = devices.map(|line| line["message"]["id"].as_str().unwrap()).collect();
    let different: HashSet<_> = ids.iter().collect();
    assert_eq!(number("delivered"), different.len() as u64, "{summary}");
    assert_eq!(number("duplicates"), (ids.len() - different.len()) as u64, "{summary}");
    assert!(lines.iter().any(|line| line["message"]["late"] == true), "nothing was kept");
}

#[test]
fn a_wrong_speed_is_a_wrong_command_line() {
    let ended =
        Command::new(env!("CARGO_BIN_EXE_lykta")).args(["demo", "--speed", "0"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(64));
}
