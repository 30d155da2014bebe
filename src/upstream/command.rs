//! Commands from the cloud: what they look like, and how they are answered.
//!
//! `command/{name}` carries `{"id", "deadline", "args": {…}}`, and `command/{name}/reply` says
//! `{"id", "ok": true, "result": {…}}` or `{"id", "ok": false, "error": {"code", "message"}}`.
//! Whoever sends one repeats it, under the same id, until it is answered. All of it is untrusted.

use crate::clock::{ClockQuality, Moment};
use crate::store::{Class, Message};
use crate::units::DevEui;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// How long a command without a deadline holds, and any command while the clock is not set.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The longest payload of a LoRaWAN frame, in bytes: EU868, DR 4 to 7, no FOpts (RP002-1.0.4,
/// table 9). Slower data rates carry less.
pub const MAX_PAYLOAD: usize = 242;

/// The longest id and name, in characters.
const MAX_ID: usize = 64;

/// The longest message of an error, in bytes: it may quote what was sent.
const MAX_MESSAGE: usize = 200;

/// A command as it came in, from a tenant's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is to be done: 1 to 64 ASCII letters, digits, `-` and `_`.
    pub name: String,
    /// What [`Request::parse`] reads. At most 8 KiB.
    pub payload: Vec<u8>,
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
    /// This tenant or device does not take such commands.
    NotSupported,
    /// Too much waits for this device.
    QueueFull,
    /// The payload does not fit into a frame.
    TooLong,
    /// Too many commands wait: to be sent again.
    Busy,
    /// The disk does not take it: to be sent again.
    Storage,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Expired,
        Self::UnknownCommand,
        Self::UnknownDevice,
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

/// The envelope of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Names it for ever: 1 to 64 visible ASCII characters. Never executed twice.
    pub id: String,
    /// Until when it may be executed. Only as good as the clock by which it is judged.
    pub deadline: Timestamp,
    /// The same by the monotonic clock of [`Moment`], and what to go by while lykta runs. While
    /// nobody has set the clock, `deadline` cannot be judged: the command is accepted and this is
    /// [`LIFETIME`] from now, so that it does end.
    pub expires: Duration,
    /// What else there is to it, by the command's name.
    pub args: Map<String, Value>,
}

impl Request {
    /// Reads a command's payload, which came in at `now`.
    ///
    /// # Errors
    /// When it is no JSON object of `id`, `deadline` and `args`, or its deadline is over.
    pub fn parse(payload: &[u8], now: Moment) -> Result<Self, Rejection> {
        let object: Map<String, Value> = serde_json::from_slice(payload)
            .map_err(|e| Rejection { id: None, fault: Fault::invalid(e) })?;
        let id = object.get("id").and_then(Value::as_str).filter(|id| is_id(id));
        let rejected = |fault| Rejection { id: id.map(str::to_owned), fault };
        if !object.contains_key("id") {
            return Err(rejected(Fault::invalid("id is missing")));
        }
        let Some(id) = id else {
            let message = format!("id must be 1 to {MAX_ID} visible ASCII characters");
            return Err(rejected(Fault::invalid(message)));
        };
        let mut deadline = None;
        let mut args = Map::new();
        for (name, value) in &object {
            match (name.as_str(), value) {
                ("id", _) => {}
                ("deadline", value) => {
                    deadline = Some(text(name, value).and_then(timestamp).map_err(rejected)?);
                }
                ("args", Value::Object(object)) => args.clone_from(object),
                ("args", _) => return Err(rejected(Fault::invalid("args must be an object"))),
                _ => return Err(rejected(unknown(name, "id, deadline and args"))),
            }
        }
        let default = now.wall.checked_add(LIFETIME).unwrap_or(Timestamp::MAX);
        let deadline = deadline.unwrap_or(default);
        let lifetime = match now.quality {
            ClockQuality::Unsynced => LIFETIME,
            ClockQuality::Synced | ClockQuality::Estimated => {
                Duration::try_from(deadline.duration_since(now.wall)).unwrap_or(Duration::ZERO)
            }
        };
        if lifetime.is_zero() {
            let message = format!("the deadline {deadline} is over: it is {}", now.wall);
            return Err(rejected(Fault { code: Code::Expired, message }));
        }
        let expires = now.monotonic.saturating_add(lifetime);
        Ok(Self { id: id.to_owned(), deadline, expires, args })
    }
}

/// The arguments of `command/downlink`: something to be sent to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// To which.
    pub dev_eui: DevEui,
    /// On which port, 1 to 223.
    pub f_port: u8,
    /// What, in the clear. At most [`MAX_PAYLOAD`] bytes; the data rate may allow less.
    pub payload: Vec<u8>,
    /// Whether the device shall acknowledge it.
    pub confirmed: bool,
}

impl Downlink {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, Fault> {
        let (mut dev_eui, mut f_port, mut payload, mut confirmed) = (None, None, None, false);
        for (name, value) in args {
            match name.as_str() {
                "devEui" => {
                    let parsed = text(name, value)?.parse::<DevEui>();
                    dev_eui = Some(parsed.map_err(|e| Fault::invalid(format!("devEui: {e}")))?);
                }
                "fPort" => f_port = Some(port(value)?),
                "data" | "hex" if payload.is_some() => {
                    return Err(Fault::invalid("either data or hex, not both"));
                }
                "data" | "hex" => payload = Some(bytes(name, text(name, value)?)?),
                "confirmed" => {
                    let wrong = || Fault::invalid("confirmed must be true or false");
                    confirmed = value.as_bool().ok_or_else(wrong)?;
                }
                _ => return Err(unknown(name, "devEui, fPort, data or hex, and confirmed")),
            }
        }
        let missing = |name| Fault::invalid(format!("{name} is missing"));
        let payload = payload.ok_or_else(|| missing("data or hex"))?;
        if payload.len() > MAX_PAYLOAD {
            let message = format!("{} bytes, and {MAX_PAYLOAD} is the most", payload.len());
            return Err(Fault { code: Code::TooLong, message });
        }
        Ok(Self {
            dev_eui: dev_eui.ok_or_else(|| missing("devEui"))?,
            f_port: f_port.ok_or_else(|| missing("fPort"))?,
            payload,
            confirmed,
        })
    }
}

fn text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| Fault::invalid(format!("{name} must be a string")))
}

fn timestamp(text: &str) -> Result<Timestamp, Fault> {
    let wrong = |_| Fault::invalid("deadline must be a time such as 2026-01-31T12:00:00Z");
    text.parse().map_err(wrong)
}

fn port(value: &Value) -> Result<u8, Fault> {
    let port = value.as_u64().and_then(|port| u8::try_from(port).ok());
    port.filter(|port| matches!(port, 1..=223))
        .ok_or_else(|| Fault::invalid("fPort must be a whole number from 1 to 223"))
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    match name {
        "hex" => hex::decode(text).map_err(|e| Fault::invalid(format!("hex: {e}"))),
        _ => BASE64.decode(text).map_err(|e| Fault::invalid(format!("data is no base64: {e}"))),
    }
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
    Message {
        class: Class::Event,
        time: at.wall,
        clock: at.quality,
        topic: reply_topic(name),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(quality: ClockQuality) -> Moment {
        let wall = "2026-03-01T12:00:00Z".parse().expect("a time");
        Moment { wall, quality, monotonic: Duration::from_secs(1000) }
    }

    fn parse(text: &str) -> Result<Request, Rejection> {
        Request::parse(text.as_bytes(), at(ClockQuality::Synced))
    }

    /// Id, code and message of the answer.
    fn rejected(text: &str) -> (Option<String>, Code, String) {
        let Rejection { id, fault } = parse(text).expect_err("it is wrong");
        (id, fault.code, fault.message)
    }

    fn downlink(args: Value) -> Result<Downlink, Fault> {
        Downlink::parse(args.as_object().expect("an object"))
    }

    #[test]
    fn a_request_has_an_id_a_deadline_and_arguments() {
        let request =
            parse(r#"{"id":"open-7","deadline":"2026-03-01T14:00:30+01:00","args":{"a":[1]}}"#)
                .expect("it is right");
        assert_eq!(request.id, "open-7");
        assert_eq!(request.deadline.to_string(), "2026-03-01T13:00:30Z");
        assert_eq!(request.expires, Duration::from_secs(1000 + 3630));
        assert_eq!(Value::Object(request.args), json!({"a": [1]}));
    }

    #[test]
    fn a_request_without_a_deadline_holds_for_a_day() {
        let request = parse(r#"{"id":"x"}"#).expect("it is right");
        assert_eq!(request.deadline.to_string(), "2026-03-02T12:00:00Z");
        assert_eq!(request.expires, Duration::from_secs(1000) + LIFETIME);
        assert!(request.args.is_empty());
    }

    #[test]
    fn a_deadline_that_is_over_is_told_by_its_code() {
        for deadline in ["2026-03-01T12:00:00Z", "2026-03-01T11:59:59.9Z", "1970-01-01T00:00:00Z"] {
            let (id, code, message) = rejected(&format!(r#"{{"id":"x","deadline":"{deadline}"}}"#));
            assert_eq!((id.as_deref(), code), (Some("x"), Code::Expired), "{message}");
        }
        parse(r#"{"id":"x","deadline":"9999-12-30T00:00:00Z"}"#).expect("far, but not over");
    }

    #[test]
    fn a_clock_that_nobody_has_set_judges_no_deadline() {
        let payload = br#"{"id":"x","deadline":"1999-01-01T00:00:00Z"}"#;
        let request = Request::parse(payload, at(ClockQuality::Unsynced)).expect("accepted");
        assert_eq!(request.deadline.to_string(), "1999-01-01T00:00:00Z", "as it was given");
        assert_eq!(request.expires, Duration::from_secs(1000) + LIFETIME, "but it ends");
        let estimated = Request::parse(payload, at(ClockQuality::Estimated));
        assert_eq!(estimated.expect_err("judged").fault.code, Code::Expired);
    }

    #[test]
    fn what_is_wrong_with_a_request_is_named() {
        let wrong = [
            (r#"{"id":"x","arg":{}}"#, Some("x"), "unknown field \"arg\""),
            (r#"{"id":"x","args":[]}"#, Some("x"), "args must be an object"),
            (r#"{"id":"x","args":null}"#, Some("x"), "args must be an object"),
            (r#"{"id":"x","deadline":7}"#, Some("x"), "deadline must be a string"),
            (r#"{"id":"x","deadline":"tomorrow"}"#, Some("x"), "deadline must be a time"),
            (r#"{"id":"x","deadline":"2026-03-01T13:00:00"}"#, Some("x"), "deadline must be"),
            (r#"{"args":{}}"#, None, "id is missing"),
            (r#"{"id":7}"#, None, "id must be 1 to 64"),
            (r#"{"id":""}"#, None, "id must be 1 to 64"),
            (r#"{"id":"a b"}"#, None, "id must be 1 to 64"),
            (r#"{"id":"å"}"#, None, "id must be 1 to 64"),
            ("[1]", None, "expected a map"),
            ("", None, "EOF"),
            ("\u{feff}{}", None, "expected value"),
        ];
        for (text, id, part) in wrong {
            let (found, code, message) = rejected(text);
            assert_eq!((found.as_deref(), code), (id, Code::Invalid), "{text}");
            assert!(message.contains(part), "{text}: {message}");
        }
        let long = "i".repeat(64);
        assert_eq!(parse(&format!(r#"{{"id":"{long}"}}"#)).map(|r| r.id), Ok(long.clone()));
        rejected(&format!(r#"{{"id":"{long}i"}}"#));
    }

    #[test]
    fn a_downlink_is_read_from_base64_or_hexadecimal_text() {
        let expected = Downlink {
            dev_eui: DevEui(0x70b3_d507_0000_1739),
            f_port: 5,
            payload: vec![1, 0xff],
            confirmed: false,
        };
        let dev_eui = "70b3d50700001739";
        let read = downlink(json!({"devEui": dev_eui, "fPort": 5, "data": "Af8="}));
        assert_eq!(read.as_ref(), Ok(&expected));
        let read = downlink(
            json!({"devEui": "70-B3-D5-07-00-00-17-39", "fPort": 5, "hex": "01FF", "confirmed": true}),
        );
        assert_eq!(read, Ok(Downlink { confirmed: true, ..expected }));
        let empty = downlink(json!({"devEui": dev_eui, "fPort": 223, "hex": ""}));
        assert_eq!(empty.map(|d| d.payload), Ok(vec![]));
        let full = downlink(json!({"devEui": dev_eui, "fPort": 1, "hex": "00".repeat(242)}));
        assert_eq!(full.map(|d| d.payload.len()), Ok(MAX_PAYLOAD));
    }

    #[test]
    fn what_is_wrong_with_a_downlink_is_named() {
        let good = json!({"devEui": "70b3d50700001739", "fPort": 5, "hex": "00"});
        downlink(good.clone()).expect("it is right");
        let with = |name: &str, value: Value| {
            let mut args = good.clone();
            args[name] = value;
            downlink(args).expect_err("it is wrong")
        };
        let without = |name: &str| {
            let mut args = good.clone();
            args.as_object_mut().expect("an object").remove(name);
            downlink(args).expect_err("it is wrong")
        };
        for port in [json!(0), json!(224), json!(-1), json!(261), json!(5.5), json!("5")] {
            assert_eq!(with("fPort", port).message, "fPort must be a whole number from 1 to 223");
        }
        assert_eq!(with("data", json!("AA==")).message, "either data or hex, not both");
        assert_eq!(with("hex", json!("0")).message, "hex: Odd number of digits");
        assert_eq!(with("hex", json!(null)).message, "hex must be a string");
        assert_eq!(with("confirmed", json!(1)).message, "confirmed must be true or false");
        assert!(with("devEui", json!("70b3")).message.starts_with("devEui: expected 16"));
        assert!(with("dev_eui", json!("")).message.starts_with("unknown field \"dev_eui\""));
        assert_eq!(without("devEui").message, "devEui is missing");
        assert_eq!(without("fPort").message, "fPort is missing");
        assert_eq!(without("hex").message, "data or hex is missing");
        let long = with("hex", json!("00".repeat(243)));
        assert_eq!(
            (long.code, long.message.as_str()),
            (Code::TooLong, "243 bytes, and 242 is the most")
        );
    }

    #[test]
    fn the_words_of_the_codes_are_stable() {
        assert_eq!(
            Code::ALL.map(Code::as_str),
            [
                "invalid",
                "expired",
                "unknown_command",
                "unknown_device",
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
        let error = parse(r#"{"id":"x","arg":{}}"#).expect_err("wrong").reply();
        let error: Value = serde_json::from_str(&error.expect("it has an id")).expect("JSON");
        assert_eq!((&error["ok"], &error["error"]["code"]), (&json!(false), &json!("invalid")));
        assert_eq!(parse("{").expect_err("wrong").reply(), None);
        let message = reply("downlink", ok.clone(), at(ClockQuality::Synced));
        assert_eq!(
            (message.topic.as_str(), message.class),
            ("command/downlink/reply", Class::Event)
        );
        assert_eq!(message.body, ok);
    }

    #[test]
    fn what_is_quoted_in_an_answer_is_short() {
        let (_, _, message) = rejected(&format!(r#"{{"id":"x","{}":1}}"#, "å".repeat(4000)));
        let body = reply_error("x", Code::Invalid, &message);
        assert!(body.len() < 300, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&payload, at(ClockQuality::Synced));
            let _ = id(&payload);
        }

        #[test]
        fn no_values_make_it_panic(
            deadline in "\\PC{0,40}|[0-9T:Z+-]{0,30}",
            name in "devEui|fPort|data|hex|confirmed|\\PC{0,8}",
            value in prop_oneof![
                any::<f64>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                "\\PC{0,40}|[0-9a-f]{0,600}".prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
            ],
            seconds in any::<u64>(),
        ) {
            let mut args = Map::new();
            args.insert("fPort".into(), 1.into());
            args.insert("devEui".into(), "70b3d50700001739".into());
            args.insert(name, value);
            let payload = json!({"id": "x", "deadline": deadline, "args": args}).to_string();
            let now = Moment { monotonic: Duration::from_secs(seconds), ..at(ClockQuality::Synced) };
            let _ = Request::parse(payload.as_bytes(), now);
            if let Ok(downlink) = Downlink::parse(&args) {
                prop_assert!(downlink.payload.len() <= MAX_PAYLOAD);
                prop_assert!((1..=223).contains(&downlink.f_port));
            }
        }

        #[test]
        fn an_id_is_read_wherever_a_whole_request_is(id_text in "[!-~]{1,64}") {
            let payload = json!({"id": id_text, "args": {}}).to_string();
            prop_assert_eq!(id(payload.as_bytes()), Some(id_text.clone()));
            prop_assert_eq!(parse(&payload).map(|r| r.id), Ok(id_text));
        }
    }
}
