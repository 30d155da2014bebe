//! The AsyncAPI document: which message is on which topic, and how it is sent.

use super::message::Message;
use crate::upstream;
use serde_json::{Map, Value, json};

/// What stands before every topic.
const ROOT: &str = "{prefix}/{gateway}/{tenant}";

/// The document, of AsyncAPI 3.0, as it stands beside the schemas.
pub(super) fn document(messages: &[Message]) -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    for message in messages {
        channels.insert(message.name.clone(), channel(message));
        operations.insert(message.name.clone(), operation(message, messages));
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "lykta",
            "version": upstream::SCHEMA_VERSION,
            "description": "What a lykta gateway publishes, and which commands it takes. The \
                            version is that of the formats, and the property `schema` of each \
                            message: it is raised when a field changes its meaning or goes away. \
                            New fields may come at any time.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "broker": {
            "host": "broker.example.org",
            "protocol": "mqtt",
            "description": "Each tenant's own: MQTT 5 or 3.1.1, with TLS or without.",
            "bindings": { "mqtt": {
                "clientId": "lykta-{gateway}-{tenant}",
                "cleanSession": true,
                "lastWill": {
                    "topic": format!("{ROOT}/state"),
                    "qos": 1,
                    "retain": true,
                    "message": "the message of the channel state, with `offline`",
                },
                "bindingVersion": "0.2.0",
            } },
        } },
        "channels": channels,
        "operations": operations,
        "components": {
            "parameters": {
                "prefix": { "description": "As set for the upstream.", "default": "lykta" },
                "gateway": { "description": "The gateway's name." },
                "tenant": { "description": "The tenant's name." },
                "devEui": { "description": "The device: 16 hexadecimal digits in small letters." },
                "plan": { "description": "The plan's name." },
                "command": { "description": "The command's name." },
            },
            "messageTraits": { "properties": {
                "headers": {
                    "type": "object",
                    "description": "User properties, with MQTT 5 only.",
                    "properties": {
                        "id": {
                            "type": "string",
                            "description": "The same for every copy of a message, for ever.",
                        },
                        "class": {
                            "type": "string",
                            "enum": ["alarm", "event", "plan", "measurement", "diagnostic"],
                        },
                        "schema": { "type": "string", "const": upstream::SCHEMA_VERSION },
                    },
                    "required": ["id", "class", "schema"],
                },
            } },
        },
    })
}

fn channel(message: &Message) -> Value {
    let address = format!("{ROOT}/{}", message.topic);
    let parameters = address.split('/').filter_map(|word| {
        let name = word.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), reference(&format!("#/components/parameters/{name}"))))
    });
    let mut kind = json!({
        "name": message.name,
        "title": message.topic,
        "summary": message.body["description"],
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": reference(&format!("./{}.schema.json", message.name)),
        },
    });
    if !message.classes.is_empty() {
        kind["traits"] = json!([reference("#/components/messageTraits/properties")]);
    }
    json!({
        "address": address,
        "parameters": parameters.collect::<Map<_, _>>(),
        "messages": { (message.name.as_str()): kind },
    })
}

fn operation(message: &Message, messages: &[Message]) -> Value {
    let channel = |name: &str| reference(&format!("#/channels/{name}"));
    let mut operation = json!({
        "action": if !message.classes.is_empty() { "send" } else { "receive" },
        "channel": channel(&message.name),
        "bindings": { "mqtt": {
            "qos": 1, "retain": message.retained(), "bindingVersion": "0.2.0",
        } },
    });
    let reply = format!("{}-reply", message.name);
    if messages.iter().any(|other| other.name == reply) {
        operation["reply"] = json!({ "channel": channel(&reply) });
    }
    operation
}

fn reference(to: &str) -> Value {
    json!({ "$ref": to })
}
