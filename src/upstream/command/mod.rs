//! Commands from the cloud: what they look like, and how they are answered.
//!
//! `command/{name}` carries `{"id", "deadline", "args": {…}}`, and `command/{name}/reply` says
//! `{"id", "ok": true, "result": {…}}` or `{"id", "ok": false, "error": {"code", "message"}}`.
//! A sender without an answer may repeat it under the same id. All of it is untrusted.

mod care;
mod downlink;
mod emptied;
mod planning;
mod receipt;
mod request;
#[cfg(test)]
pub(crate) mod schema;

pub use care::{Acknowledge, Consent, Person, Presence};
pub use downlink::{Downlink, MAX_PAYLOAD, Worded};
pub use emptied::Emptied;
pub use planning::{Given, Planning};
pub use receipt::{Receipt, Settled};
pub use request::{LIFETIME, Request};

use crate::clock::Moment;
use crate::store::{Class, Message};
use serde_json::{Map, Value, json};
use std::fmt;

/// The longest id and name, in characters.
const MAX_ID: usize = 64;

/// The longest message of an error, in bytes: it may quote what was sent.
const MAX_MESSAGE: usize = 200;

/// A command as it came in, from a tenant's broker.
#[derive(Debug)]
pub struct Command {
    /// What is to be done: 1 to 64 ASCII letters, digits, `-` and `_`.
    pub name: String,
    /// What [`Request::parse`] reads. At most 8 KiB, for a plan 64 KiB.
    pub payload: Vec<u8>,
    /// For whoever brought it.
    pub receipt: Receipt,
}

/// Why a command is not executed. The words are promised to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It is not as it should be.
    Invalid,
    /// Its deadline is over.
    Expired,
    /// No command has this name.
    UnknownCommand,
    /// No device of this tenant has this DevEUI.
    UnknownDevice,
    /// No bin of this tenant has this name.
    UnknownBin,
    /// No resident of this tenant has this pseudonym.
    UnknownResident,
    /// No alarm of this name waits for an answer.
    UnknownAlarm,
    /// No plan of this tenant has this name.
    UnknownPlan,
    /// A plan from outside breaks a rule.
    Infeasible,
    /// Nothing could be planned.
    Failed,
    /// This tenant or device does not take such commands.
    NotSupported,
    /// Too much waits for this device.
    QueueFull,
    /// The payload does not fit into a frame.
    TooLong,
    /// Too many plans wait: to be sent again.
    Busy,
    /// The disk does not take it: to be sent again.
    Storage,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 15] = [
        Self::Invalid,
        Self::Expired,
        Self::UnknownCommand,
        Self::UnknownDevice,
        Self::UnknownBin,
        Self::UnknownResident,
        Self::UnknownAlarm,
        Self::UnknownPlan,
        Self::Infeasible,
        Self::Failed,
        Self::NotSupported,
        Self::QueueFull,
        Self::TooLong,
        Self::Busy,
        Self::Storage,
    ];

    /// The word in replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::UnknownCommand => "unknown_command",
            Self::UnknownDevice => "unknown_device",
            Self::UnknownBin => "unknown_bin",
            Self::UnknownResident => "unknown_resident",
            Self::UnknownAlarm => "unknown_alarm",
            Self::UnknownPlan => "unknown_plan",
            Self::Infeasible => "infeasible",
            Self::Failed => "failed",
            Self::NotSupported => "not_supported",
            Self::QueueFull => "queue_full",
            Self::TooLong => "too_long",
            Self::Busy => "busy",
            Self::Storage => "storage",
        }
    }
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Fault {
    /// Of which kind it is.
    pub code: Code,
    /// What exactly, for the person who sent it.
    pub message: String,
}

impl Fault {
    fn invalid(message: impl fmt::Display) -> Self {
        Self { code: Code::Invalid, message: message.to_string() }
    }
}

/// A command that is turned down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which command. Without a readable id it cannot be answered.
    pub id: Option<String>,
    /// Why.
    pub fault: Fault,
}

impl Rejection {
    /// The body of the answer, if there can be one.
    pub fn reply(&self) -> Option<String> {
        Some(reply_error(self.id.as_deref()?, self.fault.code, &self.fault.message))
    }
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| Fault::invalid(format!("{name} must be a string")))
}

fn unknown(name: &str, known: &str) -> Fault {
    Fault::invalid(format!("unknown field {name:?}; there are {known}"))
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether a command can have this name, and the reply's topic be made of it.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(allowed)
}

/// The id alone, of a command that nobody will read.
pub(super) fn id(payload: &[u8]) -> Option<String> {
    let object: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    object.get("id")?.as_str().filter(|id| is_id(id)).map(str::to_owned)
}

/// The topic of a command's reply, below `{prefix}/{gateway}/{tenant}/`.
pub(super) fn reply_topic(name: &str) -> String {
    format!("command/{name}/reply")
}

/// The body of a command's answer: it is done, or will be.
pub fn reply_ok(id: &str, result: &Value) -> String {
    json!({ "id": id, "ok": true, "result": result }).to_string()
}

/// The body of a command's answer: it will not be done.
pub fn reply_error(id: &str, code: Code, message: &str) -> String {
    let message = &message[..message.floor_char_boundary(MAX_MESSAGE)];
    let error = json!({ "code": code.as_str(), "message": message });
    json!({ "id": id, "ok": false, "error": error }).to_string()
}

/// The answer to a command of this name, to be stored in the outbox. `body` is of [`reply_ok`]
/// or [`reply_error`].
pub fn reply(name: &str, body: String, at: Moment) -> Message {
    Message { class: Class::Event, at, topic: reply_topic(name), body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;
    use jiff::Timestamp;
    use std::time::Duration;

    const AT: Moment = Moment {
        wall: Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Synced,
        monotonic: Duration::ZERO,
    };

    #[test]
    fn the_words_of_the_codes_are_stable() {
        assert_eq!(
            Code::ALL.map(Code::as_str),
            [
                "invalid",
                "expired",
                "unknown_command",
                "unknown_device",
                "unknown_bin",
                "unknown_resident",
                "unknown_alarm",
                "unknown_plan",
                "infeasible",
                "failed",
                "not_supported",
                "queue_full",
                "too_long",
                "busy",
                "storage"
            ]
        );
    }

    #[test]
    fn replies_say_what_became_of_a_command() {
        let ok = reply_ok("x", &json!({"state": "queued"}));
        assert_eq!(ok, r#"{"id":"x","ok":true,"result":{"state":"queued"}}"#);
        let error = Request::parse(br#"{"id":"x","arg":{}}"#, AT).expect_err("wrong").reply();
        let error: Value = serde_json::from_str(&error.expect("it has an id")).expect("JSON");
        assert_eq!((&error["ok"], &error["error"]["code"]), (&json!(false), &json!("invalid")));
        assert_eq!(Request::parse(b"{", AT).expect_err("wrong").reply(), None);
        let message = reply("downlink", ok.clone(), AT);
        assert_eq!(
            (message.topic.as_str(), message.class),
            ("command/downlink/reply", Class::Event)
        );
        assert_eq!(message.body, ok);
    }

    #[test]
    fn what_is_quoted_in_an_answer_is_short() {
        let payload = format!(r#"{{"id":"x","{}":1}}"#, "å".repeat(4000));
        let rejection = Request::parse(payload.as_bytes(), AT).expect_err("wrong");
        let body = rejection.reply().expect("it has an id");
        assert!(body.len() < 300, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON");
    }
}
