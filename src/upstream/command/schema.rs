//! What is promised of commands and their replies.

pub(crate) mod care;

use super::{Code, MAX_ID, MAX_PAYLOAD};
use serde_json::{Value, json};

fn id() -> Value {
    json!({
        "type": "string",
        "pattern": format!("^[!-~]{{1,{MAX_ID}}}$"),
        "description": "The command's: 1 to 64 visible ASCII characters, the sender's choice.",
    })
}

/// A command with these arguments.
fn request(about: &str, args: Value) -> Value {
    json!({
        "type": "object",
        "description": format!(
            "{about} To be sent with QoS 1, not retained, and again under the same id until it is \
             answered. What is not known here is refused."
        ),
        "properties": {
            "id": id(),
            "deadline": {
                "type": "string", "format": "date-time",
                "description": "Until when it may be executed; a day from now unless told.",
            },
            "args": args,
        },
        "required": ["id", "args"],
    })
}

/// `command/downlink`.
pub(crate) fn downlink() -> Value {
    let args = json!({
        "type": "object",
        "description": "What is sent, and to whom.",
        "properties": {
            "devEui": {
                "type": "string", "pattern": "^([-: ]*[0-9a-fA-F]){16}[-: ]*$",
                "description": "To which device.",
            },
            "fPort": { "type": "integer", "minimum": 1, "maximum": 223 },
            "data": {
                "type": "string", "contentEncoding": "base64",
                "pattern":
                    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
                "maxLength": MAX_PAYLOAD.div_ceil(3) * 4,
                "description": "The payload in the clear; or `hex`.",
            },
            "hex": {
                "type": "string", "pattern": "^([0-9a-fA-F]{2})*$", "maxLength": MAX_PAYLOAD * 2,
                "description": "The payload in the clear; or `data`.",
            },
            "object": {
                "type": "object",
                "description":
                    "Instead of a payload: what the codec of the device's profile makes one of.",
            },
            "confirmed": {
                "type": "boolean",
                "description": "Whether the device shall acknowledge it; it need not unless told.",
            },
        },
        "required": ["devEui"],
        "oneOf": [
            { "required": ["data"] }, { "required": ["hex"] }, { "required": ["object"] },
        ],
        "anyOf": [{ "required": ["fPort"] }, { "required": ["object"] }],
    });
    request("Something is to be sent to a device after its next uplink.", args)
}

/// `command/emptied`.
pub(crate) fn emptied() -> Value {
    let args = json!({
        "type": "object",
        "description": "Which bin, and when.",
        "properties": {
            "bin": { "type": "string", "description": "Its name in the settings." },
            "at": {
                "type": "string", "format": "date-time",
                "description": "When that was, at most 14 days ago; just now unless told.",
            },
        },
        "required": ["bin"],
    });
    request("A crew has emptied a bin; its level is compared with that.", args)
}

/// `command/plan`.
pub(crate) fn plan() -> Value {
    let args = json!({
        "type": "object",
        "description": "Which plan, and what takes its place.",
        "properties": {
            "name": {
                "type": "string", "pattern": "^[a-z0-9-]{1,64}$",
                "description": "Its name in the settings.",
            },
            "supersede": {
                "type": "object",
                "description": "A plan from the cloud.",
                "properties": {
                    "day": {
                        "type": "string", "format": "date",
                        "description": "The day of the next tours.",
                    },
                    "routes": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "vehicle": { "type": "string", "description": "Its name." },
                                "stops": {
                                    "type": "array", "items": { "type": "string" },
                                    "description": "Bins and unloading sites, in order.",
                                },
                            },
                            "required": ["vehicle", "stops"],
                        },
                    },
                },
                "required": ["day", "routes"],
            },
            "urgent": {
                "type": "array", "items": { "type": "string" },
                "description": "Bins or visits that must be in it from now on, until a plan has \
                                been there.",
            },
            "withdraw": {
                "type": "array", "items": { "type": "string" },
                "description": "Those that need not any more.",
            },
        },
        "required": ["name"],
    });
    request("A plan is to be made at once, or the cloud brings one.", args)
}

/// The reply to a command with this result; without one it is always refused.
pub(crate) fn reply(about: &str, result: Option<Value>) -> Value {
    let mut schema = json!({
        "type": "object",
        "description": about,
        "properties": {
            "id": id(),
            "ok": { "type": "boolean", "description": "Whether it is done, or will be." },
            "error": {
                "type": "object",
                "description": "Why not.",
                "properties": {
                    "code": { "enum": Code::ALL.map(Code::as_str) },
                    "message": { "type": "string", "description": "For people." },
                },
                "required": ["code", "message"],
            },
        },
        "required": ["id", "ok"],
    });
    match result {
        Some(result) => {
            schema["properties"]["result"] = result;
            schema["if"] = json!({ "properties": { "ok": { "const": true } } });
            schema["then"] = json!({ "required": ["result"] });
            schema["else"] = json!({ "required": ["error"] });
        }
        None => {
            schema["properties"]["ok"]["const"] = false.into();
            schema["required"] = json!(["id", "ok", "error"]);
        }
    }
    schema
}

/// What a report of an emptying is answered with.
pub(crate) fn noted() -> Value {
    json!({
        "type": "object",
        "properties": {
            "bin": { "type": "string", "description": "Its name." },
            "at": { "type": "string", "format": "date-time", "description": "When it was." },
            "level": {
                "enum": ["confirmed", "open", "unseen"],
                "description": "Whether its level has fallen: it has; the next readings will show, \
                                and if they do not, `emptyingUnconfirmed` follows in \
                                `bin/{bin}/event`; or nothing is known of its level, and the \
                                report is believed.",
            },
        },
        "required": ["bin", "at", "level"],
    })
}

/// What a downlink that is taken is answered with.
pub(crate) fn queued() -> Value {
    json!({
        "type": "object",
        "properties": {
            "state": { "const": "queued" },
            "expires": {
                "type": "string", "format": "date-time",
                "description": "Until when it waits for an uplink.",
            },
        },
        "required": ["state", "expires"],
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Downlink, Planning, Request, Worded};
    use super::*;
    use crate::clock::{ClockQuality, Moment};

    /// Whether it is taken by what reads it, and by the schema.
    fn judged(name: &str, command: &Value) -> (bool, bool) {
        let wall = jiff::Timestamp::UNIX_EPOCH;
        let now =
            Moment { wall, quality: ClockQuality::Synced, monotonic: std::time::Duration::ZERO };
        let request = Request::parse(command.to_string().as_bytes(), now);
        let schema = if name == "plan" { plan() } else { downlink() };
        let taken = request.is_ok_and(|request| match name {
            "plan" => Planning::parse(&request.args).is_ok(),
            _ => match Worded::parse(&request.args) {
                Ok(worded) => worded.is_some() || Downlink::parse(&request.args).is_ok(),
                Err(_) => false,
            },
        });
        let options = jsonschema::options().should_validate_formats(true);
        (taken, options.build(&schema).expect("a schema").is_valid(command))
    }

    #[test]
    fn what_is_read_is_what_is_promised() {
        let eui = "70b3d50700001739";
        let right = [
            ("downlink", json!({"devEui": eui, "fPort": 5, "data": "Af8="})),
            ("downlink", json!({"devEui": "70-B3-D5-07-00-00-17-39", "fPort": 1, "hex": "01fF"})),
            ("downlink", json!({"devEui": eui, "fPort": 223, "hex": "", "confirmed": true})),
            ("downlink", json!({"devEui": eui, "fPort": 1, "hex": "00".repeat(MAX_PAYLOAD)})),
            ("downlink", json!({"devEui": eui, "object": {"led": 1}})),
            ("downlink", json!({"devEui": eui, "object": {}, "fPort": 7, "confirmed": true})),
            ("plan", json!({"name": "tours"})),
            (
                "plan",
                json!({"name": "tours", "supersede": {"day": "2026-11-23",
                    "routes": [{"vehicle": "truck-1", "stops": ["1739", "tip"]}]}}),
            ),
        ];
        for (name, args) in &right {
            for deadline in [json!("2026-03-01T12:00:00Z"), json!("2026-03-01T12:00:00.5+01:00")] {
                let command = json!({"id": "open-7", "deadline": deadline, "args": args});
                assert_eq!(judged(name, &command), (true, true), "{command}");
            }
            let command = json!({"id": "open-7", "args": args});
            assert_eq!(judged(name, &command), (true, true), "{command}");
        }
        let wrong = [
            ("downlink", json!({"fPort": 5, "hex": "00"})),
            ("downlink", json!({"devEui": eui, "hex": "00"})),
            ("downlink", json!({"devEui": eui, "fPort": 5})),
            ("downlink", json!({"devEui": "70b3", "fPort": 5, "hex": "00"})),
            ("downlink", json!({"devEui": eui, "fPort": 0, "hex": "00"})),
            ("downlink", json!({"devEui": eui, "fPort": 224, "hex": "00"})),
            ("downlink", json!({"devEui": eui, "fPort": "5", "hex": "00"})),
            ("downlink", json!({"devEui": eui, "fPort": 5, "hex": "0"})),
            ("downlink", json!({"devEui": eui, "fPort": 5, "data": "A"})),
            ("downlink", json!({"devEui": eui, "fPort": 5, "hex": "00", "data": "AA=="})),
            ("downlink", json!({"devEui": eui, "fPort": 5, "hex": "00", "confirmed": 1})),
            ("downlink", json!({"devEui": eui, "fPort": 1, "hex": "00".repeat(243)})),
            ("downlink", json!({"devEui": eui, "fPort": 5, "hex": "00", "object": {}})),
            ("downlink", json!({"devEui": eui, "object": [1]})),
            ("downlink", json!({"devEui": eui, "object": {}, "fPort": 0})),
            ("plan", json!({})),
            ("plan", json!({"name": 7})),
            ("plan", json!({"name": "No Such"})),
            ("plan", json!({"name": "x", "supersede": 1})),
            ("plan", json!({"name": "x", "supersede": {"routes": []}})),
            ("plan", json!({"name": "x", "supersede": {"day": "2026-11-23"}})),
            ("plan", json!({"name": "x", "supersede": {"day": "monday", "routes": []}})),
            (
                "plan",
                json!({"name": "x", "supersede": {"day": "2026-11-23",
                    "routes": [{"vehicle": "v", "stops": [1]}]}}),
            ),
        ];
        for (name, args) in &wrong {
            let command = json!({"id": "open-7", "args": args});
            assert_eq!(judged(name, &command), (false, false), "{command}");
        }
        let (name, args) = &right[0];
        for (key, value) in [
            ("id", json!("a b")),
            ("id", json!(7)),
            ("deadline", json!("tomorrow")),
            ("args", json!([])),
        ] {
            let mut command = json!({"id": "open-7", "args": args});
            command[key] = value;
            assert_eq!(judged(name, &command), (false, false), "{command}");
        }
    }
}
