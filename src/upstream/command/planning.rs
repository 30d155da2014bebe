//! The arguments of `command/plan`.

use super::{Code, Fault, text, unknown};
use crate::units::PlanName;
use jiff::civil::Date;
use serde_json::{Map, Value};

/// A plan is to be made, or is brought.
///
/// `{"name": "tours"}` makes the plan anew, for the next tours. With `supersede` the cloud brings
/// one: `{"name": "tours", "supersede": {"day": "2026-11-23", "routes": [{"vehicle": "truck-1",
/// "stops": ["1739", "1740", "tip"]}]}}`. Stops are bins by their ids, and unloading sites by
/// theirs; breaks find a place by themselves, and so does a last unloading that is missing. The
/// day is that of the next tours, as for a plan that is made: today until an hour before the last
/// shift ends, then the next day on which tours leave. On any other day it is `infeasible`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planning {
    /// Which plan.
    pub name: PlanName,
    /// What takes its place.
    pub supersede: Option<Given>,
    /// Bins or visits that must be in it from now on, whatever else holds.
    pub urgent: Vec<String>,
    /// Those that need not any more.
    pub withdraw: Vec<String>,
}

/// A plan as the cloud gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The day of its tours.
    pub day: Date,
    /// For each vehicle that leaves, its name and where it goes.
    pub routes: Vec<(String, Vec<String>)>,
}

impl Planning {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, Fault> {
        let (mut name, mut supersede) = (None, None);
        let (mut urgent, mut withdraw) = (Vec::new(), Vec::new());
        let names = |key: &str, value| list(key, value, |id| Ok(text(key, id)?.to_owned()));
        for (key, value) in args {
            match key.as_str() {
                "name" => {
                    let given = text(key, value)?;
                    let wrong = |_| Fault {
                        code: Code::UnknownPlan,
                        message: format!("there is no plan {given:?}"),
                    };
                    name = Some(given.parse().map_err(wrong)?);
                }
                "supersede" => supersede = Some(Given::parse(value)?),
                "urgent" => urgent = names(key, value)?,
                "withdraw" => withdraw = names(key, value)?,
                _ => return Err(unknown(key, "name, supersede, urgent and withdraw")),
            }
        }
        let name = name.ok_or_else(|| Fault::invalid("name is missing"))?;
        if supersede.is_some() && !(urgent.is_empty() && withdraw.is_empty()) {
            let why = "who brings a plan puts into it what is urgent: supersede stands alone";
            return Err(Fault::invalid(why));
        }
        Ok(Self { name, supersede, urgent, withdraw })
    }
}

impl Given {
    fn parse(value: &Value) -> Result<Self, Fault> {
        let object = value.as_object().ok_or_else(|| Fault::invalid("supersede: no object"))?;
        let (mut day, mut routes) = (None, None);
        for (key, value) in object {
            match key.as_str() {
                "day" => {
                    let wrong = |_| Fault::invalid("supersede.day: write it as 2026-11-23");
                    day = Some(text("supersede.day", value)?.parse().map_err(wrong)?);
                }
                "routes" => routes = Some(list("supersede.routes", value, route)?),
                _ => return Err(unknown(key, "day and routes")),
            }
        }
        Ok(Self {
            day: day.ok_or_else(|| Fault::invalid("supersede.day is missing"))?,
            routes: routes.ok_or_else(|| Fault::invalid("supersede.routes is missing"))?,
        })
    }
}

fn route(value: &Value) -> Result<(String, Vec<String>), Fault> {
    let wrong = || Fault::invalid("a route is {\"vehicle\": …, \"stops\": […]}");
    let object = value.as_object().ok_or_else(wrong)?;
    if let Some(key) = object.keys().find(|key| !matches!(key.as_str(), "vehicle" | "stops")) {
        return Err(unknown(key, "vehicle and stops"));
    }
    let vehicle = object.get("vehicle").ok_or_else(wrong)?;
    let stops = object.get("stops").ok_or_else(wrong)?;
    Ok((
        text("vehicle", vehicle)?.to_owned(),
        list("stops", stops, |stop| text("a stop", stop).map(str::to_owned))?,
    ))
}

fn list<T>(
    name: &str,
    value: &Value,
    element: impl Fn(&Value) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let list = value.as_array().ok_or_else(|| Fault::invalid(format!("{name} must be a list")))?;
    list.iter().map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(args: &str) -> Result<Planning, Fault> {
        Planning::parse(&serde_json::from_str(args).expect("an object"))
    }

    #[test]
    fn a_plan_is_asked_for_or_brought() {
        let asked = parse(r#"{"name":"tours"}"#).expect("right");
        assert_eq!((asked.name.as_str(), asked.supersede), ("tours", None));
        let brought = parse(
            r#"{"name":"tours","supersede":{"day":"2026-11-23",
                "routes":[{"vehicle":"truck-1","stops":["1739","tip"]}]}}"#,
        );
        let given = brought.expect("right").supersede.expect("brought");
        assert_eq!(given.day.to_string(), "2026-11-23");
        assert_eq!(given.routes, [("truck-1".into(), vec!["1739".into(), "tip".into()])]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = [
            ("{}", Code::Invalid, "name is missing"),
            (r#"{"name":7}"#, Code::Invalid, "name must be a string"),
            (r#"{"name":"No Such"}"#, Code::UnknownPlan, "no plan"),
            (r#"{"nam":"x"}"#, Code::Invalid, "unknown field \"nam\""),
            (r#"{"name":"x","supersede":1}"#, Code::Invalid, "supersede"),
            (r#"{"name":"x","supersede":{"routes":[]}}"#, Code::Invalid, "day is missing"),
            (r#"{"name":"x","supersede":{"day":"monday","routes":[]}}"#, Code::Invalid, "day"),
            (
                r#"{"name":"x","supersede":{"day":"2026-11-23","routes":[{"stops":[]}]}}"#,
                Code::Invalid,
                "a route is",
            ),
            (
                r#"{"name":"x","supersede":{"day":"2026-11-23","routes":[{"vehicle":"v","stops":[1]}]}}"#,
                Code::Invalid,
                "a stop must be a string",
            ),
        ];
        for (args, code, part) in wrong {
            let fault = parse(args).expect_err(args);
            assert_eq!(fault.code, code, "{args}: {fault}");
            assert!(fault.message.contains(part), "{args}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(name in "\\PC{0,12}", day in "\\PC{0,12}|[0-9-]{0,10}") {
            let args = serde_json::json!({
                "name": name, "supersede": {"day": day, "routes": [{"vehicle": "v", "stops": [day]}]},
            });
            let _ = Planning::parse(args.as_object().expect("an object"));
        }
    }
}
