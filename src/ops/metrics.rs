//! The numbers of `lykta status`, as Prometheus reads them.
//!
//! They are that very document, walked through, so that there is no second account: a number
//! `waiting` of `tenants` is `lykta_tenant_waiting{tenant="…"}`. What has no number, and what names
//! a single sensor, is left out.

use super::status::Status;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lists of the document: their key, what one of it is called, and what tells it from the others.
const LISTS: &[(&str, &str, &[&str])] = &[
    ("tenants", "tenant", &["id"]),
    ("radios", "radio", &["name"]),
    ("concentrators", "seen", &["gateway"]),
    ("airtime", "band", &["name"]),
    ("channels", "channel", &["frequency", "modulation"]),
];

/// Numbers that count since the start and never fall. All others are as of now.
const COUNTED: &[&str] = &[
    "accepted",
    "alarm",
    "alarmsLost",
    "answered",
    "badCrc",
    "badMic",
    "bytes",
    "connections",
    "copies",
    "datagrams",
    "delivered",
    "deviceBytes",
    "diagnostic",
    "dropped",
    "dutyCycle",
    "errors",
    "event",
    "failed",
    "fsk",
    "heard",
    "joins",
    "joinsRefused",
    "late",
    "malformedDatagrams",
    "malformedPackets",
    "measurement",
    "notAllowed",
    "notAnswered",
    "notDecoded",
    "notMapped",
    "notStored",
    "notUplink",
    "overlap",
    "packets",
    "plan",
    "refused",
    "repeats",
    "replays",
    "resetsRefused",
    "restarts",
    "rx1",
    "rx2",
    "sent",
    "taken",
    "unknownDevice",
    "unreported",
];

type Labels = Vec<(String, String)>;

/// All of it in Prometheus' text format, version 0.0.4.
pub fn text(status: &Status) -> String {
    let mut samples = Samples::default();
    let labels = |of: &[(&str, &str)]| -> Labels {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let about = [("version", status.version.as_str()), ("gateway", status.gateway.as_str())];
    samples.add("lykta_info".to_owned(), labels(&about), 1.0);
    for fault in &status.faults {
        let about = fault.about.as_deref().unwrap_or_default();
        let of = [("code", fault.code.as_str()), ("severity", fault.severity.as_str())];
        let mut of = labels(&of);
        of.push(("about".to_owned(), about.to_owned()));
        samples.add("lykta_fault".to_owned(), of, 1.0);
    }
    if let Ok(Value::Object(document)) = serde_json::to_value(status) {
        samples.walk("lykta", &Labels::new(), &document);
    }
    samples.text()
}

/// Samples by the name of their metric.
#[derive(Debug, Default)]
struct Samples(BTreeMap<String, Vec<(Labels, f64)>>);

impl Samples {
    fn add(&mut self, name: String, labels: Labels, value: f64) {
        self.0.entry(name).or_default().push((labels, value));
    }

    fn walk(&mut self, prefix: &str, labels: &Labels, document: &Map<String, Value>) {
        for (key, value) in document {
            let name = || format!("{prefix}_{}", snake(key));
            match value {
                Value::Object(below) => self.walk(&name(), labels, below),
                Value::Array(list) => self.list(prefix, labels, key, list),
                Value::Bool(is) => self.add(name(), labels.clone(), f64::from(u8::from(*is))),
                Value::Number(number) => {
                    let total = if COUNTED.contains(&key.as_str()) { "_total" } else { "" };
                    let number = number.as_f64().unwrap_or_default();
                    self.add(name() + total, labels.clone(), number);
                }
                Value::Null | Value::String(_) => {}
            }
        }
    }

    fn list(&mut self, prefix: &str, labels: &Labels, key: &str, list: &[Value]) {
        let Some((_, one, ids)) = LISTS.iter().find(|(known, ..)| *known == key) else { return };
        for element in list.iter().filter_map(Value::as_object) {
            let (mut labels, mut numbers) = (labels.clone(), element.clone());
            for id in *ids {
                let value = match numbers.remove(*id) {
                    Some(Value::String(text)) => text,
                    Some(value) => value.to_string(),
                    None => String::new(),
                };
                let of = if ids.len() == 1 { one } else { id };
                labels.push(((*of).to_owned(), value));
            }
            self.walk(&format!("{prefix}_{one}"), &labels, &numbers);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, samples) in &self.0 {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(text, "# TYPE {name} {kind}");
            for (labels, value) in samples {
                let labels: Vec<_> = labels
                    .iter()
                    .map(|(of, value)| format!("{of}=\"{}\"", escaped(value)))
                    .collect();
                let _ = match labels.is_empty() {
                    true => writeln!(text, "{name} {value}"),
                    false => writeln!(text, "{name}{{{}}} {value}", labels.join(",")),
                };
            }
        }
        text
    }
}

/// `heardAgoS` is `heard_ago_s`.
fn snake(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_prometheus_own() {
        assert_eq!(snake("nextAttemptS"), "next_attempt_s");
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        let mut sorted = COUNTED.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, COUNTED);
    }
}
