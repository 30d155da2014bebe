//! A vendor's examples of what its codec says.

use crate::codec::script::{Keeper, Routine, Script};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::path::Path;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::{Yaml, YamlLoader};

/// The longest file of examples. The longest published one has 60 KB.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// How deep examples may be nested.
const MAX_DEPTH: usize = 64;

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

impl Examples {
    /// Adds those of a file, in any of the forms in which they are published: a list, or an object
    /// with `examples`, as TS013 has them (`type`, `description`, `input`, `output`) or ChirpStack
    /// (`name`, `input`, `expected`), or with the tables of The Things Network (`uplinkDecoder`,
    /// `downlinkEncoder`). JSON, also with what JavaScript allows in it, or YAML.
    ///
    /// # Errors
    /// With what is wrong, and with which example.
    pub(super) fn add(
        &mut self,
        file: &Path,
        text: &str,
        keeper: &mut Keeper,
    ) -> Result<(), String> {
        let is_yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
        let value = if is_yaml { yaml(text)? } else { json(text, keeper)? };
        for (kind, list) in lists(&value)? {
            for (n, example) in list.iter().enumerate() {
                let told = |error| format!("example {}: {error}", n + 1);
                self.add_one(kind, example).map_err(told)?;
            }
        }
        Ok(())
    }

    fn add_one(&mut self, kind: Option<&str>, example: &Value) -> Result<(), String> {
        let object = example.pointer("/input/data").and_then(Value::as_object);
        let own = example.get("type").and_then(Value::as_str);
        // ChirpStack's say it by the name of their file alone
        let encodes = object.is_some() && example.pointer("/input/bytes").is_none();
        match kind.or(own).unwrap_or(if encodes { "downlink-encode" } else { "uplink" }) {
            "uplink" => self.uplinks.push(one(example)?),
            "downlink-encode" => {
                for name in object.into_iter().flat_map(Map::keys) {
                    if !self.downlinks.contains(name) {
                        self.downlinks.push(name.clone());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Examples, and what they are of where their place says it.
type List<'a> = (Option<&'static str>, &'a [Value]);

fn lists(value: &Value) -> Result<Vec<List<'_>>, String> {
    if let Value::Array(list) = value {
        return Ok(vec![(None, list)]);
    }
    let places = [
        (None, "/examples"),
        (Some("uplink"), "/uplinkDecoder/examples"),
        (Some("downlink-encode"), "/downlinkEncoder/examples"),
    ];
    let found = places
        .into_iter()
        .filter_map(|(kind, place)| Some((kind, value.pointer(place)?.as_array()?.as_slice())));
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err("there is no list of examples".to_owned()) } else { Ok(found) }
}

/// JSON; where it is none, what JavaScript takes for an object: with comments, hexadecimal
/// numbers, names without quotes. Who understands that is at hand, and is not trusted either.
fn json(text: &str, keeper: &mut Keeper) -> Result<Value, String> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let told = |what: &dyn std::fmt::Display| {
        format!(
            "{what}; examples are JSON or YAML: [{{\"input\": {{\"fPort\": 1, \"bytes\": \
             \"0a0b\"}}, \"output\": {{\"data\": {{…}}}}}}]"
        )
    };
    let source = format!("function decodeUplink() {{ return {{data: ({text}\n)}}; }}");
    let script = Script::new(source.as_bytes()).map_err(|_| told(&error))?;
    let nothing = RawValue::from_string("{}".to_owned()).map_err(|_| told(&error))?;
    let out = keeper.ask(&script, Routine::DecodeUplink, &nothing).out;
    let out: Value = match out {
        Ok(out) => serde_json::from_str(out.get()).map_err(|error| told(&error))?,
        // what both say of a file that is neither is of use; JSON's has the column, too
        Err(_) => return Err(told(&error)),
    };
    Ok(out.get("data").cloned().unwrap_or_default())
}

fn yaml(text: &str) -> Result<Value, String> {
    // what is loaded is nested by recursion, and grows with each alias: looked at before
    let (mut parser, mut depth) = (Parser::new_from_str(text), 0_usize);
    loop {
        match parser.next_token().map_err(|error| error.to_string())?.0 {
            Event::Alias(_) => return Err("aliases are not understood here".to_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            Event::StreamEnd => break,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH}"));
        }
    }
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    let document = documents.first().ok_or("the file is empty")?;
    Ok(of_yaml(document))
}

fn of_yaml(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Boolean(state) => Value::Bool(*state),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Real(text) => {
            let number = yaml.as_f64().and_then(Number::from_f64);
            number.map_or_else(|| Value::from(text.as_str()), Value::Number)
        }
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Array(list) => list.iter().map(of_yaml).collect(),
        Yaml::Hash(table) => {
            let entry = |(key, value)| match of_yaml(key) {
                Value::String(key) => (key, of_yaml(value)),
                other => (other.to_string(), of_yaml(value)),
            };
            Value::Object(table.iter().map(entry).collect())
        }
        Yaml::Null | Yaml::BadValue | Yaml::Alias(_) => Value::Null,
    }
}

fn one(example: &Value) -> Result<Example, String> {
    let what = ["description", "name"].iter().find_map(|key| example.get(key)?.as_str());
    let input = example.get("input").and_then(Value::as_object).ok_or("it has no input")?;
    let f_port = match input.get("fPort") {
        // some decode whatever the port, and their examples have none
        None => Some(1),
        Some(port) => port.as_u64().and_then(|n| u8::try_from(n).ok()),
    };
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
