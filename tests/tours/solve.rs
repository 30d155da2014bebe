//! `lykta plan solve` as a person or a program runs it.

use crate::{data, text};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn solve(file: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["plan", "solve"])
        .arg(file)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a command that refuses its arguments does not wait for input
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, stdout, stderr.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_answer_is_checked_by_the_same_rules_again() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["rc208.txt", "RC208R0.75.vrp", "hill.txt"] {
        let (code, answer, err) = said(&solve(&data(name), &["--iterations", "200"], ""));
        assert_eq!(code, Some(0), "{name}: {err}");
        let first = answer.lines().next().unwrap();
        assert!(first.starts_with("Route #1: "), "{first}");
        let cost = answer.lines().last().unwrap().strip_prefix("Cost ").unwrap();
        assert_eq!(cost.contains('.'), name == "rc208.txt", "{cost}");

        let file = directory.path().join("answer.sol");
        std::fs::write(&file, &answer).unwrap();
        let again = solve(&data(name), &["--check", file.to_str().unwrap()], "");
        assert_eq!(said(&again).1, answer, "{name}");
    }
}

#[test]
fn the_same_seed_and_iterations_give_the_same_bytes() {
    let once =
        || said(&solve(&data("rc208.txt"), &["--iterations", "100", "--seed", "7", "--json"], ""));
    assert_eq!(once(), once());
}

#[test]
fn standard_input_is_a_file_too() {
    let (code, out, err) = said(&solve(Path::new("-"), &["--budget", "1s"], &text("street.json")));
    assert_eq!(code, Some(0), "{err}");
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["name"], "street");
    assert_eq!(plan["estimated"], false);
    let totals = &plan["totals"];
    let number = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!(number("served") + number("unserved"), 10);
    for route in plan["routes"].as_array().unwrap() {
        assert_eq!(route["visits"].as_array().unwrap().last().unwrap()["volume"], 0);
    }
}

#[test]
fn what_must_be_visited_and_is_not_is_named_and_the_rest_is_planned() {
    let problem = text("street.json").replace("\"06:00-07:00\"", "\"05:00-05:30\"");
    let (code, out, err) = said(&solve(Path::new("-"), &["--budget", "1s"], &problem));
    assert_eq!(code, Some(0), "{err}");
    insta::assert_snapshot!(err);
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["feasible"], false);
    assert!(!plan["routes"].as_array().unwrap().is_empty());
}

#[test]
fn an_answer_with_faults_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Route #1: 7 3 4 5 6 1 1\nRoute #2: 8 9 9\n").unwrap();
    let (code, out, err) =
        said(&solve(&data("hill.txt"), &["--check", file.path().to_str().unwrap()], ""));
    insta::assert_snapshot!(err.replace(file.path().to_str().unwrap(), "FILE"));
    assert_eq!((code, out.as_str()), (Some(65), ""));
}

#[test]
fn exit_codes_tell_the_cause() {
    let bad = said(&solve(Path::new("-"), &[], "DIMENSION : 3\n"));
    assert_eq!(bad.0, Some(65));
    assert_eq!(bad.2, "error: -: there is no EDGE_WEIGHT_TYPE\n");
    let none = said(&solve(Path::new("/nowhere/x.vrp"), &[], ""));
    assert_eq!(none.0, Some(74), "{}", none.2);
    assert!(none.2.contains("/nowhere/x.vrp"), "{}", none.2);
    assert_eq!(said(&solve(&data("r101.txt"), &["--budget", "10"], "")).0, Some(64));
    assert_eq!(said(&solve(&data("r101.txt"), &["--check", "x", "--seed", "2"], "")).0, Some(64));
}
