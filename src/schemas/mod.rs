//! What is promised of messages, for programs: a JSON Schema for each kind, and an AsyncAPI
//! document of all topics. Both are written from the types that the messages are made of, into
//! `config/schemas/`. Tests with a real broker hold every message against these files.

mod asyncapi;
mod message;
mod plan;

pub(crate) use message::of;

use crate::ops::health::Health;
use crate::store::Class;
use crate::upstream::command::schema as command;
use crate::upstream::command::schema::care as of_staff;
use crate::upstream::event::alarm as event_alarm;
use crate::upstream::{self, event};
use message::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const LATEST: &str = "The newest state of a device or bin, sent before the backlog after an outage; the \
                      message that it is taken from follows in its turn. Retained.";

/// Every kind of message.
fn all() -> Vec<Message> {
    fn message(
        name: &str,
        topic: &str,
        classes: impl IntoIterator<Item = Class>,
        body: Value,
    ) -> Message {
        let classes = classes.into_iter().collect();
        Message { name: name.to_owned(), topic: topic.to_owned(), classes, body }
    }
    let of_devices = event::schemas().into_iter().map(|(leaf, body)| {
        let class = match leaf {
            "event/up" | "event/status" | "readings" => Class::Measurement,
            _ => Class::Event,
        };
        let topic = format!("device/{{devEui}}/{leaf}");
        message(&leaf.replace('/', "-"), &topic, Some(class), body)
    });
    let [(_, level), (_, of_bin)] = event::bin::schemas();
    let [(_, check), (_, alarm)] = event::care::schemas();
    let latest = either(LATEST, [event::readings(), level.clone()]);
    let (plan, event, diagnostic) =
        (Some(Class::Plan), Some(Class::Event), Some(Class::Diagnostic));
    let reply = |name: &str, topic: &str, about: &str, result| {
        message(name, topic, event, command::reply(about, result))
    };
    let others = [
        message("plan", "plan/{plan}", plan, plan::sheet()),
        message("plan-geojson", "plan/{plan}/geojson", plan, plan::map()),
        message("plan-gpx", "plan/{plan}/gpx", plan, plan::tracks()),
        message("bin-level", "bin/{bin}/level", Some(Class::Measurement), level),
        message("bin-event", "bin/{bin}/event", [Class::Event, Class::Alarm], of_bin),
        message("care-check", "care/{resident}/check", event, check),
        message("care-alarm", "care/{resident}/alarm", Some(Class::Alarm), alarm),
        message("latest", "latest/{name}", event, latest),
        message("gateway-alarm", "gateway/alarm", Some(Class::Alarm), event_alarm::schema()),
        message("state", "state", diagnostic, upstream::state_schema()),
        message("health", "health", diagnostic, of::<Health>()),
        message("command-downlink", "command/downlink", None, command::downlink()),
        message("command-emptied", "command/emptied", None, command::emptied()),
        message("command-plan", "command/plan", None, command::plan()),
        message("command-acknowledge", "command/acknowledge", None, of_staff::acknowledge()),
        message("command-away", "command/away", None, of_staff::away()),
        message("command-staff", "command/staff", None, of_staff::staff()),
        message("command-consent", "command/consent", None, of_staff::consent()),
        reply(
            "command-downlink-reply",
            "command/downlink/reply",
            "The answer to `command/downlink`.",
            Some(command::queued()),
        ),
        reply(
            "command-emptied-reply",
            "command/emptied/reply",
            "The answer to `command/emptied`.",
            Some(command::noted()),
        ),
        reply(
            "command-plan-reply",
            "command/plan/reply",
            "The answer to `command/plan`, when the plan is made.",
            Some(plan::made()),
        ),
        reply(
            "command-acknowledge-reply",
            "command/acknowledge/reply",
            "The answer to `command/acknowledge`.",
            Some(of_staff::acknowledged()),
        ),
        reply(
            "command-away-reply",
            "command/away/reply",
            "The answer to `command/away`.",
            Some(of_staff::present()),
        ),
        reply(
            "command-staff-reply",
            "command/staff/reply",
            "The answer to `command/staff`.",
            Some(of_staff::present()),
        ),
        reply(
            "command-consent-reply",
            "command/consent/reply",
            "The answer to `command/consent`.",
            Some(of_staff::consented()),
        ),
        reply(
            "command-reply",
            "command/{command}/reply",
            "The answer to a command that there is not.",
            None,
        ),
    ];
    of_devices.chain(others).collect()
}

/// One of these.
fn either(about: &str, bodies: [Value; 2]) -> Value {
    let mut all = serde_json::json!({ "description": about, "type": "object", "$defs": {} });
    let own = bodies.map(|mut body| {
        if let Some(Value::Object(words)) = body.as_object_mut().and_then(|b| b.remove("$defs")) {
            words.into_iter().for_each(|(name, word)| all["$defs"][name] = word);
        }
        body
    });
    all["anyOf"] = own.into_iter().collect();
    all
}

/// The files by their names.
fn files() -> BTreeMap<String, String> {
    let text = |value: &Value| format!("{value:#}\n");
    let all = all();
    let schemas = all.iter().map(|m| (format!("{}.schema.json", m.name), text(&m.schema())));
    schemas.chain([("asyncapi.json".to_owned(), text(&asyncapi::document(&all)))]).collect()
}

#[test]
fn the_files_are_what_the_code_says() {
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/schemas"));
    let files = files();
    let there = || -> Vec<String> {
        let found = std::fs::read_dir(directory).expect("it is there");
        let names = found.map(|file| file.expect("readable").file_name().into_string());
        let mut names: Vec<_> = names.collect::<Result<_, _>>().expect("UTF-8");
        names.sort();
        names
    };
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        for name in there().iter().filter(|name| !files.contains_key(*name)) {
            std::fs::remove_file(directory.join(name)).expect("removable");
        }
        for (name, text) in &files {
            std::fs::write(directory.join(name), text).expect("writable");
        }
    }
    let advice = "write it anew with UPDATE_SCHEMAS=1 cargo test --lib schemas";
    for (name, text) in &files {
        let file = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(file == *text, "config/schemas/{name} is not what the code says; {advice}");
    }
    assert!(files.keys().eq(&there()), "config/schemas has other files; {advice}");
}

#[test]
fn every_schema_is_one_and_none_forbids_what_may_come() {
    for message in all() {
        let schema = message.schema();
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| {
            panic!("{}: {error}", message.name);
        });
        let text = schema.to_string();
        for word in ["\"additionalProperties\":false", "\"unevaluatedProperties\""] {
            assert!(!text.contains(word), "{} has {word}", message.name);
        }
    }
}

#[test]
fn plans_of_every_length_are_as_promised() {
    use crate::clock::{ClockQuality, Moment};
    use crate::route::sheet::{TourStop, sample};
    let at = Moment {
        wall: jiff::Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Synced,
        monotonic: std::time::Duration::ZERO,
    };
    let all = all();
    let stop = sample::sheet().routes[0].stops[0].clone();
    for (count, id, shortened) in [(2, 5, false), (1000, 5, true), (500, 500, true)] {
        let mut sheet = sample::sheet();
        let long =
            |order| TourStop { id: "i".repeat(id), order, reason: "x".repeat(90), ..stop.clone() };
        sheet.routes[0].stops = (1..=count).map(long).collect();
        sheet.left_out = vec![sheet.left_out[0].clone(); 9];
        for message in crate::planning::messages(&sheet, at) {
            let topic = message.topic.replace("/tours", "/{plan}");
            let promised = all.iter().find(|m| m.topic == topic).expect("a schema");
            // the envelope is added as it is sent
            let schema = jsonschema::validator_for(&promised.body).expect("a schema");
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            if let Err(error) = schema.validate(&body) {
                panic!("{topic} of {count} stops: {error} at {}", error.instance_path());
            }
            assert_eq!(body["truncated"] == true, shortened, "{topic} of {count} stops");
            assert_eq!(body["error"].is_string(), id > 5, "{topic} of {count} stops");
        }
    }
}
