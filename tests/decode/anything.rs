//! Scripts that somebody broke, and payloads that nobody sends.

use crate::Serve;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use std::cell::RefCell;

const CODEC: &str = r#"
var names = { 1: 'battery', 3: "temperature", 4: `distance` };
function decodeUplink({ bytes, fPort, recvTime }) {
    let data = {}, i = 0;
    try {
        for (; i < bytes.length; ) {
            const channel = bytes[i++], size = bytes[i++] & 3;
            data[names[channel] || 'x' + channel] = [...bytes.slice(i, (i += size))].reduce((a, b) => a * 256 + b, 0);
        }
        if (/^[0-9a-f]+$/i.test(fPort.toString(16))) data.at = new Date(recvTime ?? 0).toISOString();
    } catch (e) { return { errors: [`${e.name}: ${e.message}`] }; }
    return { data, warnings: i > 200 ? ['long'] : [] };
}
"#;

/// A part taken out, another put in somewhere else.
fn broken() -> impl Strategy<Value = String> {
    let place = 0..CODEC.len();
    let junk = prop_oneof![
        Just(String::new()),
        "[\\PC\n]{0,6}",
        "[-+*/=(){}\\[\\]`'\";:,.<>!&|?~^%0-9]{1,3}"
    ];
    (place.clone(), 0..30_usize, place, junk).prop_map(|(cut, len, at, junk)| {
        let mut text = CODEC.to_owned();
        text.replace_range(cut..(cut + len).min(CODEC.len()), "");
        text.insert_str(at.min(text.len()), &junk);
        text
    })
}

#[test]
fn a_broken_script_or_a_strange_payload_costs_no_more_than_itself() {
    let serve = RefCell::new(Serve::start());
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    let run =
        TestRunner::new(config).run(&(broken(), payload, any::<u8>()), |(script, bytes, port)| {
            let mut serve = serve.borrow_mut();
            let input = json!({"bytes": bytes, "fPort": port});
            let answer = serve.call(&script, "decodeUplink", &input);
            let told = answer["err"].as_str();
            prop_assert!(answer["out"].is_object() != told.is_some(), "{}", answer);
            // not by an end of its process
            prop_assert!(!told.is_some_and(|told| told.starts_with("it ")), "{}", answer);
            let whole = serve.call(CODEC, "decodeUplink", &input);
            prop_assert!(whole["out"].is_object(), "{}", whole);
            Ok(())
        });
    run.unwrap();
}
