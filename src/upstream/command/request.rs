//! The envelope of every command.

use super::{Code, Fault, MAX_ID, Rejection, is_id, text, unknown};
use crate::clock::{ClockQuality, Moment};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// How long a command without a deadline holds.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The envelope of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Names it for ever: 1 to 64 visible ASCII characters. Never executed twice.
    pub id: String,
    /// Until when it may be executed, by the sender's clock. When it does not say: [`LIFETIME`]
    /// from now, and without end while nobody has set our clock, which then knows no now.
    /// A deadline that is given is judged as soon as the clock is set.
    pub deadline: Timestamp,
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
        let judged = now.quality != ClockQuality::Unsynced;
        let default = || now.wall.checked_add(LIFETIME).ok().filter(|_| judged);
        let deadline = deadline.or_else(default).unwrap_or(Timestamp::MAX);
        if judged && deadline <= now.wall {
            let message = format!("the deadline {deadline} is over: it is {}", now.wall);
            return Err(rejected(Fault { code: Code::Expired, message }));
        }
        Ok(Self { id: id.to_owned(), deadline, args })
    }
}

fn timestamp(text: &str) -> Result<Timestamp, Fault> {
    let wrong = |_| Fault::invalid("deadline must be a time such as 2026-01-31T12:00:00Z");
    text.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::super::id;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

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

    #[test]
    fn a_request_has_an_id_a_deadline_and_arguments() {
        let request =
            parse(r#"{"id":"open-7","deadline":"2026-03-01T14:00:30+01:00","args":{"a":[1]}}"#)
                .expect("it is right");
        assert_eq!(request.id, "open-7");
        assert_eq!(request.deadline.to_string(), "2026-03-01T13:00:30Z");
        assert_eq!(Value::Object(request.args), json!({"a": [1]}));
    }

    #[test]
    fn a_request_without_a_deadline_holds_for_a_day() {
        let request = parse(r#"{"id":"x"}"#).expect("it is right");
        assert_eq!(request.deadline.to_string(), "2026-03-02T12:00:00Z");
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
        let request = Request::parse(br#"{"id":"x"}"#, at(ClockQuality::Unsynced));
        assert_eq!(request.map(|r| r.deadline), Ok(Timestamp::MAX), "no now, no day from now");
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

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&payload, at(ClockQuality::Synced));
            let _ = id(&payload);
        }

        #[test]
        fn no_deadline_makes_it_panic(
            deadline in "\\PC{0,40}|[0-9T:Z+-]{0,30}|[+-]?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T00:00Z",
        ) {
            let payload = json!({"id": "x", "deadline": deadline}).to_string();
            let now = at(ClockQuality::Synced);
            if let Ok(request) = Request::parse(payload.as_bytes(), now) {
                prop_assert!(request.deadline > now.wall);
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
