//! What people read, from documents that a daemon could have sent.

use crate::ask;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// What the command prints when the daemon answers this request so.
fn shown(arguments: &[&str], request: &str, answer: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let configuration = "gateway = \"gw-1\"\nstate_dir = \"state\"\n[[tenant]]\nid = \"waste\"\n\
                         [tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n";
    std::fs::write(directory.path().join("lykta.toml"), configuration).unwrap();
    let listener = UnixListener::bind(state.join("lykta.sock")).unwrap();
    let (code, out, err) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&client).read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), request);
            let _ = client.write_all(answer.as_bytes());
        });
        ask(directory.path(), arguments)
    });
    let mut text = out;
    if !err.is_empty() {
        let _ = write!(text, "--- stderr\n{err}");
    }
    let _ = write!(text, "--- exit code {}", code.unwrap());
    text
}

/// A document in `documents/`, as the line that it is on the socket.
fn document(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/status/documents").join(name);
    let value: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    format!("{value}\n")
}

#[test]
fn the_status_of_a_busy_gateway() {
    insta::assert_snapshot!(shown(&["status"], "status", &document("busy.json")));
}

#[test]
fn the_status_of_a_gateway_in_trouble() {
    insta::assert_snapshot!(shown(&["status"], "status", &document("trouble.json")));
}

#[test]
fn devices_with_the_worst_first() {
    insta::assert_snapshot!(shown(&["device", "list"], "devices", &document("devices.json")));
}

#[test]
fn devices_that_the_daemon_does_not_know() {
    let answer = "{\"time\":\"2026-01-15T12:00:00Z\",\"devices\":null,\
                  \"trouble\":\"the ingest loop does not answer\"}\n";
    insta::assert_snapshot!(shown(&["device", "list"], "devices", answer));
}

#[test]
fn one_device_of_each_kind() {
    let devices: serde_json::Value = serde_json::from_str(&document("devices.json")).unwrap();
    let all: Vec<String> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| {
            let dev_eui = device["devEui"].as_str().unwrap();
            let answer =
                serde_json::json!({ "time": devices["time"], "device": device, "trouble": null });
            shown(
                &["device", "show", dev_eui],
                &format!("device {dev_eui}"),
                &format!("{answer}\n"),
            )
        })
        .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn answers_that_are_none() {
    let mut all = String::new();
    for (name, answer) in [
        ("a refusal", "{\"error\":\"too many ask at once; try again in a moment\"}\n"),
        ("another version", "{\"gateway\":\"gw-1\"}\n"),
        ("no JSON", "hello\n"),
        ("cut off", "{\"gateway\":"),
        ("nothing", ""),
    ] {
        let _ = writeln!(all, "{name}:\n{}\n", shown(&["status"], "status", answer));
    }
    insta::assert_snapshot!(all);
}
