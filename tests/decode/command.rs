//! `lykta decode` for one payload, as whoever writes or installs a codec uses it.

use serde_json::{Value, json};
use std::process::{Command, Output};

fn lykta(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lykta")).arg("decode").args(args).output().unwrap()
}

fn by_script(source: &str) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("codec.js");
    std::fs::write(&file, source).unwrap();
    let file = file.to_str().unwrap();
    let output = lykta(&["--codec", file, "--fport", "2", "--hex", "0d0A 07"]);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_object_is_printed_as_the_codec_returned_it() {
    let (code, out, err) = by_script(
        "function decodeUplink(i) { return {data: {z: i.bytes, a: i.fPort,
            now: Math.abs(Date.now() - i.recvTime) < 60000, v: i.variables}}; }",
    );
    assert_eq!(out, "{\"data\":{\"z\":[13,10,7],\"a\":2,\"now\":true,\"v\":{}}}\n");
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn errors_of_the_codec_and_in_it_are_65() {
    let (code, out, _) = by_script("function decodeUplink() { return {errors: ['short']}; }");
    assert_eq!((code, out.as_str()), (Some(65), "{\"errors\":[\"short\"]}\n"));
    let (code, out, _) = by_script("function decodeUplink() { return {data: 1, errors: []}; }");
    assert_eq!((code, out.as_str()), (Some(0), "{\"data\":1,\"errors\":[]}\n"));
    let (code, out, err) = by_script("function decodeUplink() {\n  retrun 1;\n}");
    assert_eq!((code, out.as_str()), (Some(65), ""));
    assert!(err.contains("codec.js: line 2: SyntaxError"), "{err}");
}

#[test]
fn the_console_is_shown_and_cannot_draw_on_the_terminal() {
    let (code, _, err) = by_script(
        "function decodeUplink(i) { console.log('got', i.bytes, 1.5, null, undefined, '\\u001b[2J');
            console.error(new TypeError('no')); return {data: 1}; }",
    );
    assert_eq!(code, Some(0));
    assert!(err.starts_with("console: got [13,10,7] 1.5 null undefined "), "{err}");
    assert!(err.contains("\nconsole: TypeError: no\n") && !err.contains('\u{1b}'), "{err:?}");
}

#[test]
fn a_profile_gives_readings_too() {
    let output =
        lykta(&["--profile", "dragino-ldds75", "--fport", "2", "--hex", "0d0a07e900000001"]);
    assert_eq!(output.status.code(), Some(0));
    let out: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(out["object"]["Distance"], 2025);
    let distance = json!({"name": "distance", "unit": "m", "value": 2.025, "quality": "good"});
    assert_eq!(out["readings"][0], distance);
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_by_the_exit_code() {
    let code = |args: &[&str]| lykta(args).status.code();
    assert_eq!(code(&[]), Some(64));
    assert_eq!(code(&["--codec", "a.js", "--fport", "2"]), Some(64));
    assert_eq!(code(&["--codec", "a.js", "--fport", "2", "--hex", "0g"]), Some(64));
    assert_eq!(code(&["--codec", "a.js", "--fport", "300", "--hex", "00"]), Some(64));
    assert_eq!(code(&["--serve", "--codec", "a.js"]), Some(64));
    assert_eq!(code(&["--codec", "/nowhere.js", "--fport", "2", "--hex", "00"]), Some(74));
    let unknown = lykta(&["--profile", "dragino", "--fport", "2", "--hex", "00"]);
    assert_eq!(unknown.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("dragino-ldds75"));
}
