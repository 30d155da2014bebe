//! The promise to programs: `config/schemas/` says what every message looks like, and a message
//! that lacks something, or has it otherwise, is not one of them; one that has more still is.
//!
//! `messages.jsonl` has what lykta sent to mosquitto, each kind in its shapes, and commands that it
//! took. Every other test with a broker holds what comes against the same schemas.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, unreachable_pub, reason = "shared")]
#[path = "../support/promises.rs"]
mod promises;

use promises::{Channel, Promises};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What may be left out: the kind of message, and where in it. Everything else is promised.
const OPTIONAL: &[&str] = &[
    "bin-event /at",
    "bin-event /confidence",
    "bin-event /days",
    "bin-event /fillBefore",
    "bin-event /late",
    "bin-event /partial",
    "bin-level /batteryDays",
    "bin-level /emptiedAt",
    "bin-level /late",
    "care-alarm /account",
    "care-alarm /account/suggestion",
    "care-alarm /alarm",
    "care-alarm /call",
    "care-alarm /late",
    "care-check /alarm",
    "care-check /late",
    "command-acknowledge /args/done",
    "command-acknowledge /deadline",
    "command-acknowledge-reply /late",
    "command-away /args/until",
    "command-away /deadline",
    "command-away-reply /late",
    "command-consent /args/who",
    "command-consent /deadline",
    "command-consent-reply /late",
    "command-downlink /args/confirmed",
    "command-downlink /deadline",
    "command-downlink-reply /late",
    "command-emptied /args/at",
    "command-emptied /deadline",
    "command-emptied-reply /late",
    "command-plan /args/supersede",
    "command-plan-reply /late",
    "command-staff /args/until",
    "command-staff /deadline",
    "command-staff-reply /late",
    "event-join /late",
    "event-status /batteryLevel",
    "event-txack /txInfo/modulation/lora/polarizationInversion",
    "event-up /codecError",
    "event-up /deviceInfo/tags/bin",
    "event-up /dr",
    "event-up /late",
    "event-up /object",
    "event-up /replayable",
    "event-up /rxInfo/*/nsTime",
    "gateway-alarm /file",
    "gateway-alarm /lost",
    "gateway-alarm /lostPages",
    "gateway-alarm /saved",
    "health /air",
    "health /concentrator",
    "health /faults/*/about",
    "health /tenant/care",
    "latest /batteryDays",
    "latest /emptiedAt",
    "latest /late",
    "latest /readings/*/unit",
    "plan /attribution",
    "plan /difference",
    "plan /iterations",
    "plan /kpi/all",
    "plan /kpi/threshold",
    "plan /late",
    "plan /seed",
    "plan-geojson /late",
    "plan-gpx /late",
    "readings /bin",
    "readings /late",
    "readings /readings/*/unit",
    "readings /replayable",
];

/// Whose content is promised to nobody.
const FREE: &str = "/object";

struct Sample {
    channel: &'static Channel,
    body: Value,
}

fn samples() -> Vec<Sample> {
    let lines = include_str!("messages.jsonl").lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|mut line| Sample {
            channel: Promises::get().on(line["topic"].as_str().unwrap()).expect("a topic"),
            body: line["message"].take(),
        })
        .collect()
}

/// The places of all values below this one, as JSON pointers.
fn places(value: &Value, place: &str, all: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let place = format!("{place}/{key}");
        places(value, &place, all);
        all.push(place);
    }
}

/// A place without the numbers in it.
fn somewhere(place: &str) -> String {
    let words = place.split('/').map(|word| if word.parse::<usize>().is_ok() { "*" } else { word });
    words.collect::<Vec<_>>().join("/")
}

#[test]
fn there_is_a_message_of_each_kind_and_it_is_as_promised() {
    let samples = samples();
    for Sample { channel, body } in &samples {
        if let Some(broken) = channel.broken_by(body) {
            panic!("{broken}\n{body:#}");
        }
    }
    for channel in Promises::get().channels() {
        assert!(samples.iter().any(|s| s.channel.name == channel.name), "{}", channel.name);
    }
}

#[test]
fn what_is_promised_cannot_be_missing() {
    let mut optional = BTreeSet::new();
    for Sample { channel, body } in samples() {
        let mut all = Vec::new();
        places(&body, "", &mut all);
        for place in all.iter().filter(|place| !place.starts_with(&format!("{FREE}/"))) {
            let mut less = body.clone();
            let (above, key) = place.rsplit_once('/').unwrap();
            let Some(Value::Object(fields)) = less.pointer_mut(above) else { continue };
            fields.remove(key);
            if channel.broken_by(&less).is_none() {
                optional.insert(format!("{} {}", channel.name, somewhere(place)));
            }
        }
    }
    let optional: Vec<&str> = optional.iter().map(String::as_str).collect();
    assert_eq!(optional, OPTIONAL);
}

#[test]
fn what_is_promised_cannot_be_of_another_type() {
    for Sample { channel, body } in samples() {
        let mut all = Vec::new();
        places(&body, "", &mut all);
        for place in all.iter().filter(|place| !place.starts_with(&format!("{FREE}/"))) {
            let mut other = body.clone();
            let value = other.pointer_mut(place).unwrap();
            *value = match value {
                Value::String(_) => json!(7),
                Value::Object(_) => json!([]),
                Value::Bool(_) | Value::Number(_) => json!("seven"),
                Value::Array(_) | Value::Null => json!({}),
            };
            assert!(channel.broken_by(&other).is_some(), "{}: {place}\n{other:#}", channel.name);
        }
    }
}

#[test]
fn more_than_is_promised_may_come_anywhere() {
    for Sample { channel, body } in samples() {
        let mut all = vec![String::new()];
        places(&body, "", &mut all);
        for place in all {
            let mut more = body.clone();
            let Some(Value::Object(fields)) = more.pointer_mut(&place) else { continue };
            // text, as all tags are
            fields.insert("neverSeen".into(), json!("yet"));
            if let Some(broken) = channel.broken_by(&more) {
                panic!("{place}: {broken}");
            }
        }
    }
}
