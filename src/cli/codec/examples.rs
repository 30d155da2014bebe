//! A vendor's examples of what its codec says.

use serde_json::{Map, Value};

/// One payload, and what should come of it.
#[derive(Debug, PartialEq)]
pub(super) struct Example {
    pub(super) what: String,
    pub(super) f_port: u8,
    pub(super) bytes: Vec<u8>,
    /// The object that the vendor tells, if it does.
    pub(super) data: Option<Value>,
    /// Whether the vendor tells that there is none.
    pub(super) fails: bool,
}

/// A vendor's examples.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Examples {
    /// Of uplinks.
    pub(super) uplinks: Vec<Example>,
    /// The names in the objects of which downlinks are made, each once.
    pub(super) downlinks: Vec<String>,
}

/// Reads examples: a list, or an object with `examples`, as TS013 has them (`type`, `description`,
/// `input`, `output`) or ChirpStack (`name`, `input`, `expected`).
///
/// # Errors
/// With what is wrong, and with which example.
pub(super) fn read(text: &str) -> Result<Examples, String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|e| format!("{e}; examples are JSON: [{{\"input\": {{\"fPort\": 1, \"bytes\": \"0a0b\"}}, \"output\": {{\"data\": {{…}}}}}}]"))?;
    let list = match &value {
        Value::Array(list) => list,
        Value::Object(object) => object
            .get("examples")
            .and_then(Value::as_array)
            .ok_or("there is no list of examples")?,
        _ => return Err("there is no list of examples".to_owned()),
    };
    let mut examples = Examples::default();
    for (n, example) in list.iter().enumerate() {
        match example.get("type").and_then(Value::as_str).unwrap_or("uplink") {
            "uplink" => {
                let read = one(example).map_err(|error| format!("example {}: {error}", n + 1));
                examples.uplinks.push(read?);
            }
            "downlink-encode" => {
                let data = example.pointer("/input/data").and_then(Value::as_object);
                for name in data.into_iter().flat_map(Map::keys) {
                    if !examples.downlinks.contains(name) {
                        examples.downlinks.push(name.clone());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(examples)
}

fn one(example: &Value) -> Result<Example, String> {
    let what = ["description", "name"].iter().find_map(|key| example.get(key)?.as_str());
    let input = example.get("input").and_then(Value::as_object).ok_or("it has no input")?;
    let f_port = input.get("fPort").and_then(Value::as_u64).and_then(|n| u8::try_from(n).ok());
    let output = ["output", "expected"].iter().find_map(|key| example.get(key)?.as_object());
    let data = output.and_then(|output| output.get("data")).cloned();
    let has_errors = |output: &Map<String, Value>| {
        output.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty())
    };
    Ok(Example {
        what: what.unwrap_or_default().to_owned(),
        f_port: f_port.ok_or("fPort is no number from 0 to 255")?,
        bytes: bytes(input.get("bytes").ok_or("it has no bytes")?)?,
        data,
        fails: output.is_some_and(has_errors),
    })
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            hex::decode(digits).map_err(|error| format!("bytes: {error}"))
        }
        value => serde_json::from_value(value.clone()).map_err(|error| format!("bytes: {error}")),
    }
}
