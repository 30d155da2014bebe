//! What every message has: id, times, and how far to trust them.

use crate::clock::{ClockQuality, Moment};
use crate::store::{Class, Row};
use jiff::Timestamp;
use serde::Serialize;

/// The version of the message formats; raised when a field changes its meaning or goes away.
pub(super) const SCHEMA_VERSION: &str = "1";

/// The common head of all bodies.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    /// The same for every copy of a message, for ever. In the reply to a command it is the
    /// command's.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// How important it is: `alarm`, `event`, `plan`, `measurement` or `diagnostic`.
    class: &'static str,
    /// When it was measured.
    time: Timestamp,
    /// When this copy left.
    sent_at: Timestamp,
    /// How far to trust `time`.
    clock: ClockQuality,
    /// How far off an `estimated` time may be, where it is more than the drift of a clock: it was
    /// measured while the gateway was on, before or after which nobody set its clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_error_s: Option<u64>,
    /// Whether it already waited as the connection that brings it came up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
}

/// The id of a stored message: the same for every copy of it, for ever.
pub(crate) fn id(row: &Row) -> String {
    format!("{}-{}", row.epoch, row.key.sequence())
}

/// The id that a body has on this topic, below the tenant's. The answer to a command brings the
/// command's id instead, as whoever sent it knows no other; the message's own is still among its
/// properties.
fn id_in_body<'a>(topic: &str, id: &'a str) -> Option<&'a str> {
    (!topic.starts_with("command/")).then_some(id)
}

/// A stored message as it goes out now.
pub(crate) fn stored(id: &str, row: &Row, now: Moment, late: bool) -> String {
    let head = Envelope {
        id: id_in_body(&row.topic, id),
        class: row.key.class().map_or("", Class::as_str),
        time: row.told.time,
        sent_at: now.wall,
        clock: row.told.clock,
        time_error_s: row.told.error.map(|error| error.as_secs() + 1),
        late,
    };
    join(&head, &row.body)
}

/// The id of what a stored message says as the newest state: the same for every copy, too, and
/// another one than that of the message itself, which comes later.
pub(super) fn newest_id(row: &Row) -> String {
    format!("{}-latest", id(row))
}

/// What a stored message says, as the newest state of whatever it is about.
pub(super) fn newest(id: &str, row: &Row, now: Moment) -> String {
    let head = Envelope {
        id: Some(id),
        class: Class::Event.as_str(),
        time: row.told.time,
        sent_at: now.wall,
        clock: row.told.clock,
        time_error_s: row.told.error.map(|error| error.as_secs() + 1),
        late: true,
    };
    join(&head, &row.body)
}

/// A message about this very moment, that is not stored. Its topic is below the tenant's.
pub(super) fn live(id: &str, topic: &str, class: Class, now: Moment, body: &str) -> String {
    let head = Envelope {
        id: id_in_body(topic, id),
        class: class.as_str(),
        time: now.wall,
        sent_at: now.wall,
        clock: now.quality,
        time_error_s: None,
        late: false,
    };
    join(&head, body)
}

/// What MQTT 5 says of a message without its body being parsed.
pub(super) fn properties(id: String, class: Option<Class>) -> Vec<(String, String)> {
    vec![
        ("id".into(), id),
        ("class".into(), class.map_or("", Class::as_str).into()),
        ("schema".into(), SCHEMA_VERSION.into()),
    ]
}

/// Joins two JSON objects as text. Stored bodies are written by this program as objects, and
/// parsing each of a million of them again only to add four fields would be a waste.
fn join(head: &Envelope<'_>, body: &str) -> String {
    let mut text = serde_json::to_string(head).expect("an envelope is a plain struct");
    match body.strip_prefix('{') {
        Some("}") | None => {}
        Some(rest) => {
            text.pop();
            text.push(',');
            text.push_str(rest);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::history::Told;
    use crate::store::Key;
    use serde_json::{Value, json};
    use std::time::Duration;

    const NOW: Moment = Moment {
        wall: Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Unsynced,
        monotonic: Duration::ZERO,
    };

    fn value(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn head_and_body_are_one_object() {
        let body = r#"{"state":"online","n":{"a":1}}"#;
        assert_eq!(
            value(&live("e-1", "state", Class::Diagnostic, NOW, body)),
            json!({"id": "e-1", "class": "diagnostic", "time": "1970-01-01T00:00:00Z",
                   "sentAt": "1970-01-01T00:00:00Z", "clock": "unsynced", "state": "online",
                   "n": {"a": 1}})
        );
        assert_eq!(value(&live("e-2", "state", Class::Diagnostic, NOW, "{}"))["id"], "e-2");
    }

    #[test]
    fn the_answer_to_a_command_has_the_commands_id_and_no_other() {
        let body = r#"{"id":"open-7","ok":true,"result":{}}"#;
        let topic = "command/downlink/reply";
        let text = live("e-1", topic, Class::Event, NOW, body);
        assert_eq!(text.matches(r#""id""#).count(), 1, "{text}");
        assert_eq!(value(&text)["id"], "open-7");
        assert_eq!(value(&text)["class"], "event");

        let row = |topic: &str| Row {
            key: Key::new(Class::Event, 7),
            told: Told { time: NOW.wall, clock: NOW.quality, error: None },
            topic: topic.into(),
            body: body.into(),
            epoch: "e".into(),
        };
        let text = stored("e-7", &row(topic), NOW, false);
        assert_eq!(text.matches(r#""id""#).count(), 1, "{text}");
        assert_eq!(value(&text)["id"], "open-7");
        assert!(stored("e-7", &row("commander/x"), NOW, false).starts_with(r#"{"id":"e-7","#));
    }
}
