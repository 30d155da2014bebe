//! Line for line.

use crate::Serve;
use serde_json::json;

#[test]
fn what_is_no_case_is_answered_in_its_place() {
    let mut serve = Serve::start();
    let script = serve.script("a.js", "function decodeUplink(i) { return {data: i.fPort}; }");
    let case =
        json!({"script": script, "routine": "decodeUplink", "input": {"fPort": 9}}).to_string();
    let lines: &[(&[u8], &str)] = &[
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"\xff\xfe", "expected value"),
        (br#"{"script": "a.js"}"#, "missing field `routine`"),
        (br#"{"script": "a.js", "routine": "decodeuplink", "input": {}}"#, "unknown variant"),
        (br#"{"script": "/nowhere.js", "routine": "decodeUplink", "input": {}}"#, "/nowhere.js: "),
        (br#"{"script": "/", "routine": "decodeUplink", "input": {}}"#, "no file"),
        (br#"{"script": "/dev/zero", "routine": "decodeUplink", "input": {}}"#, "no file"),
    ];
    for (line, _) in lines {
        serve.send(line);
        serve.send(&case);
    }
    for (line, told) in lines {
        let answer = serve.answer();
        let line = String::from_utf8_lossy(line);
        assert!(answer["err"].as_str().unwrap().contains(told), "{line}: {answer}");
        assert_eq!(serve.answer(), json!({"out": {"data": 9}}), "after {line}");
    }
}

#[test]
fn a_line_without_end_costs_no_memory_and_only_itself() {
    let mut serve = Serve::start();
    serve.send(vec![b'['; 5 << 20]);
    let answer = serve.answer();
    assert!(answer["err"].as_str().unwrap().contains("more than 1024 KiB"), "{answer}");
    assert_eq!(serve.out("function decodeUplink() { return {data: 1}; }"), json!({"data": 1}));
}

#[test]
fn the_last_line_needs_no_end_and_the_end_is_the_end() {
    let mut serve = Serve::start();
    let script = serve.script("a.js", "function decodeUplink() { return {data: 1}; }");
    let case = json!({"script": script, "routine": "decodeUplink", "input": {}});
    std::io::Write::write_all(serve.input.as_mut().unwrap(), case.to_string().as_bytes()).unwrap();
    serve.input = None;
    assert_eq!(serve.answer(), json!({"out": {"data": 1}}));
    assert!(serve.process.wait().unwrap().success());
}

#[test]
fn what_a_script_keeps_is_gone_with_the_next_payload() {
    let mut serve = Serve::start();
    let counts = "var n = 0; globalThis.m = (globalThis.m ?? 0) + 1; Array.prototype.k = (Array.prototype.k ?? 0) + 1;
                  function decodeUplink() { return {data: [++n, m, [].k]}; }";
    for _ in 0..3 {
        assert_eq!(serve.out(counts), json!({"data": [1, 1, 1]}));
    }
}
