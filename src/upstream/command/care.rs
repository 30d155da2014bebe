//! The arguments of the commands by which staff speaks of residents: `acknowledge`, `away`,
//! `staff` and `consent`.

use super::{Fault, text, unknown};
use crate::care::escalation::Role;
use crate::clock::Moment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Whoever is in hospital is back, or it is said anew.
const LONGEST_AWAY: Duration = Duration::from_secs(60 * 24 * 3600);
/// Whoever works there goes home.
const LONGEST_STAFF: Duration = Duration::from_secs(12 * 3600);
/// For so long they are taken to be there unless told.
const USUAL_AWAY: Duration = Duration::from_secs(14 * 24 * 3600);
const USUAL_STAFF: Duration = Duration::from_secs(3600);

/// Somebody answers an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledge {
    /// Its name.
    pub alarm: String,
    /// Who.
    pub by: Role,
    /// Whether somebody has been there, and the alarm is over; otherwise somebody goes.
    pub done: bool,
}

/// A resident is away, or staff is there; or not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The pseudonym.
    pub resident: String,
    /// Until when; none: not any more.
    pub until: Option<Timestamp>,
}

/// A resident, or who lives there too, consents or does not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The pseudonym.
    pub resident: String,
    /// Whose it is.
    pub who: Person,
    /// Whether they do.
    pub given: bool,
}

/// Somebody whose consent is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    /// Who is cared for.
    Resident,
    /// Who lives there too.
    Cohabitant,
}

impl Acknowledge {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, Fault> {
        let (mut alarm, mut by, mut done) = (None, None, false);
        for (name, value) in args {
            match name.as_str() {
                "alarm" => alarm = Some(text(name, value)?.to_owned()),
                "by" => {
                    by = Some(match text(name, value)? {
                        "primary" => Role::Primary,
                        "secondary" => Role::Secondary,
                        "patrol_lead" => Role::PatrolLead,
                        _ => {
                            let who = "by must be primary, secondary or patrol_lead";
                            return Err(Fault::invalid(who));
                        }
                    });
                }
                "done" => done = truth(name, value)?,
                _ => return Err(unknown(name, "alarm, by and done")),
            }
        }
        Ok(Self {
            alarm: alarm.ok_or_else(|| Fault::invalid("alarm is missing"))?,
            by: by.ok_or_else(|| Fault::invalid("by is missing"))?,
            done,
        })
    }
}

impl Presence {
    /// Reads the arguments of `away`.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn away(args: &Map<String, Value>, now: Moment) -> Result<Self, Fault> {
        Self::parse(args, "away", (USUAL_AWAY, LONGEST_AWAY), now)
    }

    /// Reads the arguments of `staff`.
    ///
    /// # Errors
    /// As [`Presence::away`].
    pub fn staff(args: &Map<String, Value>, now: Moment) -> Result<Self, Fault> {
        Self::parse(args, "present", (USUAL_STAFF, LONGEST_STAFF), now)
    }

    fn parse(
        args: &Map<String, Value>,
        key: &str,
        (usual, longest): (Duration, Duration),
        now: Moment,
    ) -> Result<Self, Fault> {
        let (mut resident, mut is_so, mut until) = (None, None, None);
        for (name, value) in args {
            match name.as_str() {
                "resident" => resident = Some(text(name, value)?.to_owned()),
                "until" => {
                    let parsed = text(name, value)?.parse::<Timestamp>();
                    until = Some(parsed.map_err(|e| Fault::invalid(format!("until: {e}")))?);
                }
                name if name == key => is_so = Some(truth(name, value)?),
                _ => return Err(unknown(name, &format!("resident, {key} and until"))),
            }
        }
        let resident = resident.ok_or_else(|| Fault::invalid("resident is missing"))?;
        let is_so = is_so.ok_or_else(|| Fault::invalid(format!("{key} is missing")))?;
        if !is_so {
            return match until {
                None => Ok(Self { resident, until: None }),
                Some(_) => Err(Fault::invalid(format!("until goes with {key}: true"))),
            };
        }
        let latest = now.wall.checked_add(longest).unwrap_or(Timestamp::MAX);
        let until = until.unwrap_or_else(|| now.wall.checked_add(usual).unwrap_or(latest));
        if until <= now.wall {
            return Err(Fault::invalid(format!("until: {until} is over: it is {}", now.wall)));
        }
        if until > latest {
            return Err(Fault::invalid(format!(
                "until: {until} is too far ahead; {latest} is not"
            )));
        }
        Ok(Self { resident, until: Some(until) })
    }
}

impl Consent {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, Fault> {
        let (mut resident, mut who, mut given) = (None, Person::Resident, None);
        for (name, value) in args {
            match name.as_str() {
                "resident" => resident = Some(text(name, value)?.to_owned()),
                "who" => {
                    who = match text(name, value)? {
                        "resident" => Person::Resident,
                        "cohabitant" => Person::Cohabitant,
                        _ => return Err(Fault::invalid("who must be resident or cohabitant")),
                    }
                }
                "given" => given = Some(truth(name, value)?),
                _ => return Err(unknown(name, "resident, who and given")),
            }
        }
        Ok(Self {
            resident: resident.ok_or_else(|| Fault::invalid("resident is missing"))?,
            who,
            given: given.ok_or_else(|| Fault::invalid("given is missing"))?,
        })
    }
}

fn truth(name: &str, value: &Value) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| Fault::invalid(format!("{name} must be true or false")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;
    use proptest::prelude::*;
    use serde_json::json;

    fn now() -> Moment {
        Moment {
            wall: "2026-11-22T20:00:00Z".parse().expect("a time"),
            quality: ClockQuality::Synced,
            monotonic: Duration::ZERO,
        }
    }

    fn args(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn what_staff_says_is_read() {
        let told = Acknowledge::parse(&args(&json!({"alarm": "r1/up/1", "by": "patrol_lead"})));
        let told = told.expect("right");
        assert_eq!((told.by, told.done), (Role::PatrolLead, false));
        let away = Presence::away(&args(&json!({"resident": "r1", "away": true})), now());
        let until = away.expect("right").until.expect("it ends");
        assert_eq!(until.to_string(), "2026-12-06T20:00:00Z");
        let gone = Presence::staff(&args(&json!({"resident": "r1", "present": false})), now());
        assert_eq!(gone.expect("right").until, None);
        let consent = Consent::parse(&args(&json!({"resident": "r1", "given": false})));
        assert!(!consent.expect("right").given);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (given, part) in [
            (json!({"by": "primary"}), "alarm is missing"),
            (json!({"alarm": "a"}), "by is missing"),
            (json!({"alarm": "a", "by": "anybody"}), "by must be"),
            (json!({"alarm": "a", "by": "primary", "done": 1}), "done must be true or false"),
            (json!({"alarm": "a", "by": "primary", "x": 1}), "unknown field \"x\""),
        ] {
            let fault = Acknowledge::parse(&args(&given)).expect_err("wrong").to_string();
            assert!(fault.contains(part), "{given}: {fault}");
        }
        for (given, part) in [
            (json!({"present": true}), "resident is missing"),
            (json!({"resident": "r1"}), "present is missing"),
            (json!({"resident": "r1", "present": true, "until": "soon"}), "until: "),
            (json!({"resident": "r1", "present": true, "until": "2026-11-22T19:00:00Z"}), "over"),
            (json!({"resident": "r1", "present": true, "until": "2026-11-23T20:00:00Z"}), "ahead"),
            (json!({"resident": "r1", "present": false, "until": "2026-11-22T21:00:00Z"}), "goes"),
        ] {
            let fault = Presence::staff(&args(&given), now()).expect_err("wrong").to_string();
            assert!(fault.contains(part), "{given}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(until in "[0-9TZ:+-]{0,30}|.{0,20}", who in ".{0,8}") {
            let given = json!({"resident": who, "away": true, "until": until});
            let _ = Presence::away(&args(&given), now());
            let _ = Acknowledge::parse(&args(&json!({"alarm": who, "by": until})));
        }
    }
}
