//! One kind of message, and its schema as a consumer sees it.

use crate::store::Class;
use crate::upstream;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// A kind of message.
pub(super) struct Message {
    /// The file's name.
    pub(super) name: String,
    /// Below `{prefix}/{gateway}/{tenant}/`.
    pub(super) topic: String,
    /// Of which it can be: none of a command, which comes in.
    pub(super) classes: Vec<Class>,
    /// The schema of its body, without what every message has.
    pub(super) body: Value,
}

/// The schema of what serde writes of this type.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|s| s.meta_schema = None);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(root) = &mut schema {
        root.remove("title");
    }
    tidy(&mut schema);
    schema
}

impl Message {
    /// Whether the broker keeps it for whoever comes later.
    pub(super) fn retained(&self) -> bool {
        matches!(self.classes[..], [Class::Plan | Class::Diagnostic])
    }

    /// The whole schema: what is on the wire.
    pub(super) fn schema(&self) -> Value {
        let mut schema = self.body.clone();
        if !self.classes.is_empty() {
            envelop(&mut schema, &self.classes);
        }
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["$id"] =
            format!("urn:lykta:schema:{}:{}", upstream::SCHEMA_VERSION, self.name).into();
        schema["title"] = self.topic.as_str().into();
        schema
    }
}

/// Adds what every message has.
fn envelop(schema: &mut Value, classes: &[Class]) {
    let mut envelope = upstream::envelope_schema();
    let word = |class: &Class| class.as_str();
    match classes {
        [class] => envelope["properties"]["class"]["const"] = word(class).into(),
        _ => envelope["properties"]["class"]["enum"] = classes.iter().map(word).collect(),
    }
    let mut required = vec![json!("id")];
    required.append(envelope["required"].as_array_mut().expect("a list"));
    let fields = |schema: &mut Value, key: &str| match schema[key].take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for key in ["properties", "$defs"] {
        let mut all = fields(&mut envelope, key);
        // a reply has an id of its own
        all.append(&mut fields(schema, key));
        match all.is_empty() {
            true => drop(schema.as_object_mut().expect("an object").remove(key)),
            false => schema[key] = all.into(),
        }
    }
    let own = schema["required"].as_array().cloned().unwrap_or_default();
    required.extend(own.into_iter().filter(|word| word != "id"));
    schema["required"] = required.into();
}

/// What is left out when there is none is never null; defaults and the sizes of numbers are no
/// consumer's business; links of rustdoc lead nowhere.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("default");
            let known = ["date-time", "date", "uuid"];
            if fields.get("format").is_some_and(|format| known.iter().all(|word| format != word)) {
                fields.remove("format");
            }
            let object = fields.get("type").is_some_and(|kind| kind == "object");
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            let required = fields.get("required").cloned().unwrap_or_default();
            let required = required.as_array().cloned().unwrap_or_default();
            if let Some(Value::Object(properties)) = fields.get_mut("properties")
                && object
            {
                let optional = |name: &str| !required.iter().any(|word| word == name);
                let some = properties.iter_mut().filter(|(name, _)| optional(name));
                some.for_each(|(_, property)| never_null(property));
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn never_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            schema["type"] = only.clone();
        }
    }
    let Some(Value::Array(mut any)) = schema.get_mut("anyOf").map(Value::take) else { return };
    any.retain(|choice| choice["type"] != "null");
    let fields = schema.as_object_mut().expect("it has anyOf");
    match <[Value; 1]>::try_from(any) {
        Ok([Value::Object(only)]) => {
            fields.remove("anyOf");
            fields.extend(only);
        }
        Ok(other) => drop(fields.insert("anyOf".into(), other.to_vec().into())),
        Err(any) => drop(fields.insert("anyOf".into(), any.into())),
    }
}
