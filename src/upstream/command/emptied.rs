//! The arguments of `command/emptied`.

use super::{Fault, text, unknown};
use crate::clock::{ClockQuality, Moment};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// A report may be as old as this: crews hand in their lists at the end of the week.
const OLDEST: Duration = Duration::from_secs(14 * 24 * 3600);

/// Clocks of vehicles go wrong, but by no more than this.
const AHEAD: Duration = Duration::from_secs(600);

/// A crew says that a bin was emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied {
    /// Which.
    pub bin: String,
    /// When.
    pub at: Timestamp,
}

impl Emptied {
    /// Reads the arguments; without a time it was just now.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be; or when it was in the future, or too
    /// long ago to be compared with anything.
    pub fn parse(args: &Map<String, Value>, now: Moment) -> Result<Self, Fault> {
        let (mut bin, mut at) = (None, now.wall);
        for (name, value) in args {
            match name.as_str() {
                "bin" => bin = Some(text(name, value)?.to_owned()),
                "at" => {
                    let parsed = text(name, value)?.parse();
                    at = parsed.map_err(|e| Fault::invalid(format!("at: {e}")))?;
                }
                _ => return Err(unknown(name, "bin and at")),
            }
        }
        // a clock that nobody has set judges no time
        if now.quality != ClockQuality::Unsynced {
            if at > now.wall + AHEAD {
                return Err(Fault::invalid(format!("at: {at} is in the future")));
            }
            if at < now.wall - OLDEST {
                return Err(Fault::invalid(format!("at: {at} is more than 14 days ago")));
            }
        }
        let bin = bin.ok_or_else(|| Fault::invalid("bin is missing"))?;
        Ok(Self { bin, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(args: &str) -> Result<Emptied, String> {
        let now = Moment {
            wall: "2026-11-22T20:00:00Z".parse().expect("a time"),
            quality: ClockQuality::Synced,
            monotonic: Duration::ZERO,
        };
        let args: Value = serde_json::from_str(args).expect("JSON");
        let args = args.as_object().expect("an object");
        Emptied::parse(args, now).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_report_is_read() {
        let just_now = parse(r#"{"bin":"1739"}"#).expect("right");
        assert_eq!((just_now.bin.as_str(), just_now.at.as_second()), ("1739", 1_795_377_600));
        let before = parse(r#"{"bin":"a b","at":"2026-11-22T08:00:00+01:00"}"#).expect("right");
        assert_eq!(before.at.to_string(), "2026-11-22T07:00:00Z");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, part) in [
            ("{}", "bin is missing"),
            (r#"{"bin":7}"#, "bin must be a string"),
            (r#"{"bin":"7","at":"noon"}"#, "at: "),
            (r#"{"bin":"7","at":"2026-11-22T21:00:00Z"}"#, "is in the future"),
            (r#"{"bin":"7","at":"2026-11-01T21:00:00Z"}"#, "more than 14 days ago"),
            (r#"{"bin":"7","when":1}"#, "unknown field \"when\"; there are bin and at"),
        ] {
            let fault = parse(args).expect_err(args);
            assert!(fault.starts_with("invalid: ") && fault.contains(part), "{args}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(at in "[0-9TZ:+-]{0,30}|.{0,20}", bin in ".{0,8}") {
            let _ = parse(&serde_json::json!({ "bin": bin, "at": at }).to_string());
        }
    }
}
