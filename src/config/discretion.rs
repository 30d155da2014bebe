//! What of a problem is told where it is kept and passed on: in the journal, and in what `lykta
//! diagnose` takes from there. No resident's or sensor's name is in it, also of those who have
//! left the settings since. At the terminal `lykta check` says everything.

use super::key::{KeyPath, Part, Step};
use super::problem::{Layout, Problem, Problems};
use super::read::{Fault, Read};
use super::schema::Shape;
use super::settings::Settings;
use super::source::Place;
use figment::value::{Dict, Value};
use std::borrow::Cow;
use std::fmt;

/// What is said instead of words that may hold a name.
const SOMETHING: &str = "this does not hold";

const HELP: &str = "run `lykta check`, which says the rest: whom it is about is not told here";

/// What may be told of a problem that is about a resident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discreet {
    /// Which setting, by numbers.
    key: String,
    what: &'static str,
    /// Whether what helps is of the program's own words.
    helps: bool,
}

impl Discreet {
    /// Of a fault among these settings; `None` where all of it may be told.
    pub(super) fn of(fault: &Fault, settings: &Value) -> Option<Self> {
        // an unknown key is whatever somebody wrote, wherever it stands
        let (key, may_name) = match fault.part {
            Part::Key => (fault.path.parent(), may_have_homes(settings)),
            Part::Value => (fault.path.clone(), false),
        };
        if !may_name && !is_of_residents(&fault.path, settings) {
            return None;
        }
        // words that were put together may have been put together with a name
        let what = match (&fault.what, fault.part) {
            (Cow::Borrowed(what), _) => what,
            (Cow::Owned(_), Part::Key) => "this key does not hold here",
            (Cow::Owned(_), Part::Value) => SOMETHING,
        };
        // against an unknown key helps a known one
        Some(Self { key: key.to_string(), what, helps: fault.part == Part::Key })
    }

    /// Of a file in which nobody knows whom a line is about.
    pub(super) fn of_text(what: &'static str) -> Self {
        Self { key: String::new(), what, helps: false }
    }
}

/// Whether a setting is about a resident, a device in a home, or a patrol.
fn is_of_residents(path: &KeyPath, settings: &Value) -> bool {
    match path.steps() {
        [Step::Key(table), ..] if table == "resident" => true,
        [Step::Key(table), Step::Element(device), ..] if table == "device" => {
            let devices = settings.as_dict().and_then(|root| root.get("device")?.as_array());
            let device = devices.and_then(|all| all.get(*device)?.as_dict());
            device.is_none_or(|device| is_in_a_home(device, settings))
        }
        // also who drives, and from where
        [Step::Key(table), Step::Key(plan), Step::Key(_), ..] if table == "plan" => {
            let plans = settings.as_dict().and_then(|root| root.get("plan")?.as_dict());
            let plan = plans.and_then(|all| all.get(plan)?.as_dict());
            plan.is_none_or(|plan| is_of_care(plan, settings))
        }
        _ => false,
    }
}

/// Whether a device is in a home, or may be meant to: its tenant may be mistyped.
fn is_in_a_home(device: &Dict, settings: &Value) -> bool {
    if device.contains_key("resident") || device.contains_key("sensor") {
        return true;
    }
    is_of_care(device, settings)
}

/// Whether the tenant of this device or plan is one of care, or may be.
fn is_of_care(table: &Dict, settings: &Value) -> bool {
    owner(table, settings).map_or_else(|| may_have_homes(settings), is_care)
}

fn owner<'a>(table: &Dict, settings: &'a Value) -> Option<&'a Dict> {
    let name = text(table, "tenant")?;
    tenants(settings).find(|tenant| text(tenant, "id") == Some(name))
}

/// Whether there may be homes at all. A tenant of care may be mistyped, beside others that are
/// right: what speaks of homes, or of a tenant that is not there, speaks for one.
fn may_have_homes(settings: &Value) -> bool {
    let Some(root) = settings.as_dict() else { return true };
    let Shape::Table(known) = Settings::SHAPE else { return true };
    let strange = root.iter().any(|(name, value)| {
        let is_known = known.keys.iter().any(|key| key.name == *name);
        !is_known && (value.as_array().is_some() || value.as_dict().is_some())
    });
    let mut devices = root.get("device").and_then(Value::as_array).into_iter().flatten();
    strange
        || root.contains_key("resident")
        || tenants(settings).next().is_none()
        || tenants(settings).any(is_care)
        || devices.any(|device| {
            device.as_dict().is_none_or(|device| {
                device.contains_key("resident")
                    || device.contains_key("sensor")
                    || owner(device, settings).is_none()
            })
        })
}

/// Whether a tenant may be one of care: the word or its key may be mistyped.
fn is_care(tenant: &Dict) -> bool {
    !matches!(text(tenant, "kind"), Some("waste" | "generic"))
}

fn tenants(settings: &Value) -> impl Iterator<Item = &Dict> {
    let tenants = settings.as_dict().and_then(|root| root.get("tenant")?.as_array());
    tenants.into_iter().flatten().filter_map(Value::as_dict)
}

fn text<'a>(table: &'a Dict, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

/// A problem without source line and names.
#[derive(Debug, Clone, Copy)]
pub struct Brief<'a>(&'a Problem);

/// Problems without source lines and names.
#[derive(Debug, Clone, Copy)]
pub struct BriefProblems<'a>(&'a Problems);

impl Problem {
    /// As the journal is told of it.
    pub fn brief(&self) -> Brief<'_> {
        Brief(self)
    }

    /// What is wrong, in words that name nobody; `None` where it is told as it is.
    pub fn in_other_words(&self) -> Option<&'static str> {
        self.discreet.as_ref().map(|discreet| discreet.what)
    }
}

impl Problems {
    /// As the journal is told of them.
    pub fn brief(&self) -> BriefProblems<'_> {
        BriefProblems(self)
    }
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { place, key, what, help, see, .. } = self.0;
        // its name is made of keys, of which one may be unknown
        let variable = Place::Environment("LYKTA_…".into());
        let layout = match &self.0.discreet {
            // whatever is in a line may be in its comment
            None => Layout { what, place, excerpt: None, key, see: see.as_ref(), help },
            Some(Discreet { key, what, helps }) => {
                let help = if *helps { help } else { HELP };
                let place = if matches!(place, Place::Environment(_)) { &variable } else { place };
                Layout { what, place, excerpt: None, key, see: None, help }
            }
        };
        layout.fmt(f)
    }
}

impl fmt::Display for BriefProblems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell(f, |problem| problem.brief().to_string())
    }
}
