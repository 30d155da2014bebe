//! What every message has: id, times, and how far to trust them.

use crate::clock::{ClockQuality, Moment};
use crate::store::{Class, Row};
use jiff::Timestamp;
use serde::Serialize;

/// The version of the message formats; raised when a field changes its meaning or goes away.
const SCHEMA_VERSION: &str = "1";

/// The common head of all bodies. See the README for the meaning of each field.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    id: &'a str,
    class: &'static str,
    time: Timestamp,
    sent_at: Timestamp,
    clock: ClockQuality,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
}

/// The id of a stored message: the same for every copy of it, for ever.
pub(super) fn id(epoch: &str, row: &Row) -> String {
    format!("{epoch}-{}", row.key.sequence())
}

/// A stored message as it goes out now.
pub(super) fn stored(id: &str, row: &Row, now: Moment, late: bool) -> String {
    let head = Envelope {
        id,
        class: row.key.class().map_or("", Class::as_str),
        time: row.time,
        sent_at: now.wall,
        clock: row.clock,
        late,
    };
    join(&head, &row.body)
}

/// A message about this very moment, that is not stored.
pub(super) fn live(id: &str, now: Moment, body: &impl Serialize) -> String {
    let head = Envelope {
        id,
        class: Class::Diagnostic.as_str(),
        time: now.wall,
        sent_at: now.wall,
        clock: now.quality,
        late: false,
    };
    join(&head, &serde_json::to_string(body).expect("bodies are plain structs"))
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
    use serde_json::{Value, json};
    use std::time::Duration;

    const NOW: Moment = Moment {
        wall: Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Unsynced,
        monotonic: Duration::ZERO,
    };

    #[test]
    fn head_and_body_are_one_object() {
        let text = live("e-1", NOW, &json!({"state": "online", "n": {"a": 1}}));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            value,
            json!({"id": "e-1", "class": "diagnostic", "time": "1970-01-01T00:00:00Z", "sentAt": "1970-01-01T00:00:00Z",
                   "clock": "unsynced", "state": "online", "n": {"a": 1}})
        );
        let empty: Value = serde_json::from_str(&live("e-2", NOW, &json!({}))).expect("JSON");
        assert_eq!(empty["id"], "e-2");
    }
}
