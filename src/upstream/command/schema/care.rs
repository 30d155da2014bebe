//! What is promised of the commands by which staff speaks of residents.

use super::request;
use serde_json::{Value, json};

fn resident() -> Value {
    json!({ "type": "string", "description": "The pseudonym." })
}

/// `command/acknowledge`.
pub(crate) fn acknowledge() -> Value {
    let args = json!({
        "type": "object",
        "description": "Which alarm, and who answers it.",
        "properties": {
            "alarm": { "type": "string", "description": "Its name: `alarm` of its message." },
            "by": { "enum": ["primary", "secondary", "patrol_lead"] },
            "done": {
                "type": "boolean",
                "description": "Whether somebody has been there and it is over; otherwise somebody \
                                goes, and it comes again if nobody arrives in time.",
            },
        },
        "required": ["alarm", "by"],
    });
    request("Somebody answers an alarm of a resident.", args)
}

fn presence(about: &str, key: &str, what: &str, until: &str) -> Value {
    let args = json!({
        "type": "object",
        "description": "Who, and until when.",
        "properties": {
            "resident": resident(),
            key: { "type": "boolean", "description": what },
            "until": { "type": "string", "format": "date-time", "description": until },
        },
        "required": ["resident", key],
    });
    request(about, args)
}

/// `command/away`.
pub(crate) fn away() -> Value {
    presence(
        "A resident is away, as in hospital: no checks are made.",
        "away",
        "Whether they are.",
        "When that ends by itself, at most 60 days ahead; in 14 days unless told.",
    )
}

/// `command/staff`.
pub(crate) fn staff() -> Value {
    presence(
        "Staff is in the home and sees for itself: no rule raises an alarm.",
        "present",
        "Whether it is.",
        "When that ends by itself, at most 12 hours ahead; in an hour unless told.",
    )
}

/// `command/consent`.
pub(crate) fn consent() -> Value {
    let args = json!({
        "type": "object",
        "description": "Whose consent, and whether it is given.",
        "properties": {
            "resident": resident(),
            "who": who("Whose it is; the resident's unless told."),
            "given": {
                "type": "boolean",
                "description": "Without it nothing of the home is read from now on, and what is \
                                known of it is erased.",
            },
        },
        "required": ["resident", "given"],
    });
    request("A resident, or who lives there too, withdraws consent or gives it again.", args)
}

/// What an acknowledgement is answered with.
pub(crate) fn acknowledged() -> Value {
    json!({
        "type": "object",
        "properties": {
            "alarm": { "type": "string", "description": "Its name." },
            "state": {
                "enum": ["answered", "closed"],
                "description": "Somebody goes; or it is over.",
            },
        },
        "required": ["alarm", "state"],
    })
}

/// What `away` and `staff` are answered with.
pub(crate) fn present() -> Value {
    json!({
        "type": "object",
        "properties": {
            "resident": resident(),
            "state": { "enum": ["home", "away", "staff"], "description": "From now on." },
            "until": {
                "type": ["string", "null"], "format": "date-time",
                "description": "When that ends by itself.",
            },
        },
        "required": ["resident", "state", "until"],
    })
}

/// What `consent` is answered with.
pub(crate) fn consented() -> Value {
    json!({
        "type": "object",
        "properties": {
            "resident": resident(),
            "who": who("Whose it is."),
            "given": { "type": "boolean", "description": "Whether they give it from now on." },
            "read": {
                "type": "boolean",
                "description": "Whether all whose consent is needed give it, so that what sensors \
                                say is read.",
            },
        },
        "required": ["resident", "who", "given", "read"],
    })
}

fn who(description: &str) -> Value {
    json!({ "enum": ["resident", "cohabitant"], "description": description })
}
