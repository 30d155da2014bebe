//! Makes the plans: each night, when somebody asks, and when a bin that a plan leaves out has
//! become full.
//!
//! ```text
//!  settings ─ scheme ─┐                          ┌► checker ─ publish ─► outbox, the plan kept
//!  ingest ── levels ──┴► ways ► collection ► solver                      (one transaction)
//!  cloud ─── order ──────────────────────────────┘
//! ```
//!
//! A thread of its own, which lets all others go first, rests while frames wait or the machine is
//! hot, and never holds what others wait for. It is asked through a [`Desk`], which has room for
//! a few orders; what it has made goes to the ingest loop as a [`Planned`], and what can be seen
//! of it stands on a [`Board`]. No plan is published that the checker
//! ([`crate::route::check()`]) finds a fault in. Whatever goes wrong is told, and the last plan
//! holds.

pub mod board;
mod draft;
mod publish;
mod rest;
mod scheme;
mod thread;
mod told;
mod ways;

#[cfg(test)]
pub(crate) use publish::messages;

pub use board::{Board, Notice, Search};
pub use rest::{Host, temperature};
pub use thread::{House, Parts, Planner};

use crate::bins::Level;
use crate::route::check::Fault;
use crate::route::given::NameError;
use crate::route::sheet::Sheet;
use crate::store::{Message, State};
use crate::units::{PlanName, TenantId};
use crate::upstream::command::{self, Given};
use draft::Calibration;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How many orders may wait.
const ROOM: usize = 8;

/// Something to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By a command of the cloud, which is answered when the plan is made.
    Command {
        /// The command's id.
        id: String,
        /// Which plan.
        name: PlanName,
        /// A plan that takes its place.
        supersede: Option<Given>,
    },
    /// At once, by somebody at the machine.
    Now(PlanName),
    /// A bin has become full: perhaps a plan has to be mended.
    Full,
}

/// What came of an order, for the disk and the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Whose plan it is.
    pub tenant: TenantId,
    /// What is remembered.
    pub states: Vec<State>,
    /// What goes to the cloud.
    pub messages: Vec<Message>,
    /// The command that is answered by it.
    pub command: Option<(String, Result<Value, command::Fault>)>,
}

/// Where orders for these plans are left. Without any plan, there is nobody behind it.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    names: Arc<BTreeSet<PlanName>>,
    orders: Option<SyncSender<Order>>,
}

impl Desk {
    /// A desk, and the end at which its orders are taken.
    #[must_use]
    pub fn new() -> (Self, Receiver<Order>) {
        let (orders, taken) = sync_channel(ROOM);
        (Self { names: Arc::default(), orders: Some(orders) }, taken)
    }

    /// The same desk, for these plans only.
    #[must_use]
    pub fn of(&self, names: impl IntoIterator<Item = PlanName>) -> Self {
        Self { names: Arc::new(names.into_iter().collect()), orders: self.orders.clone() }
    }

    /// Whether this plan is made here.
    #[must_use]
    pub fn has(&self, name: &PlanName) -> bool {
        self.names.contains(name)
    }

    /// Leaves an order; whether there was room. Never blocks.
    #[must_use]
    pub fn pass(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok())
    }

    /// Says that a bin has become full. With no room left it is looked after all the same, a
    /// little later.
    pub fn nudge(&self) {
        let _ = self.pass(Order::Full);
    }
}

/// Why there is no new plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanningError {
    /// The tours of the day are over.
    #[error("the tours of {day} are over")]
    Over {
        /// The day.
        day: Date,
    },
    /// It is not the day's turn.
    #[error("a plan for {day} is not taken now, only one for {open}")]
    Day {
        /// The day.
        day: Date,
        /// The one for which plans are made now.
        open: Date,
    },
    /// The levels could not be had.
    #[error("the levels of the bins are not told: the ingest loop does not answer")]
    Levels,
    /// It is too large.
    #[error("{places} places are too many, {most} are the most")]
    TooLarge {
        /// How many there are.
        places: usize,
        /// How many may be.
        most: usize,
    },
    /// It names what is not there.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It breaks rules.
    #[error("{}", faults(.0))]
    Faulty(Vec<Fault>),
    /// There is a bug.
    #[error("internal error: {0}")]
    Panic(String),
    /// Nobody has taken it.
    #[error("it was made and could not be handed over: the ingest loop takes nothing")]
    Refused,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopped,
    /// Patrols are not planned yet.
    #[error("patrols are not planned by this version")]
    Patrol,
}

/// The first rules that are broken.
fn faults(all: &[Fault]) -> String {
    const MOST: usize = 3;
    let some: Vec<String> = all.iter().take(MOST).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(MOST);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    some.join("; ") + &more
}

/// What is remembered of a plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    /// The plan that holds.
    pub(crate) sheet: Option<Arc<Sheet>>,
    /// The last day whose nightly plan was made, or came from the cloud.
    pub(crate) nightly: Option<Date>,
    calibration: Option<Calibration>,
    /// When plans visited the bins last, of those plans that do not hold any more.
    #[serde(default)]
    visited: BTreeMap<String, Visited>,
}

/// A visit of a plan. Nobody says whether it was made, so it is believed until a level says no.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Visited {
    /// When the vehicle was there.
    at: Timestamp,
    /// The level that was expected then, if there was one.
    level: Option<f64>,
}

impl Visited {
    /// A level that is so much lower than that at the visit shows that it was made.
    const FALL: f64 = 0.1;

    /// Whether this level shows that the bin was not emptied: it is as full as it was, and fuller
    /// than it can have become since.
    fn denied_by(self, level: &Level) -> bool {
        let days = level.at.duration_since(self.at).as_secs_f64() / 86_400.0;
        let fill = level.fill.0;
        level.synced
            && days > 0.0
            && fill > level.rate() * days + Self::FALL
            && self.level.is_some_and(|then| fill >= then.min(1.0) - Self::FALL)
    }
}

impl Kept {
    /// The last visit up to now of each bin, by this plan and those before it.
    fn visits(&self, now: Timestamp) -> BTreeMap<String, Visited> {
        let mut all = self.visited.clone();
        all.retain(|_, visit| visit.at <= now);
        let tours = self.sheet.iter().flat_map(|sheet| &sheet.routes);
        for stop in tours.flat_map(|tour| &tour.stops).filter(|stop| stop.arrival <= now) {
            let visit = Visited { at: stop.arrival, level: stop.level };
            let last = all.entry(stop.id.clone()).or_insert(visit);
            if last.at < visit.at {
                *last = visit;
            }
        }
        all
    }

    /// Puts a plan in the place of the one that held. Of bins that are not `known` any more no
    /// visits are remembered.
    fn replace(&mut self, sheet: Arc<Sheet>, now: Timestamp, known: impl Fn(&str) -> bool) {
        self.visited = self.visits(now);
        self.visited.retain(|bin, _| known(bin));
        self.sheet = Some(sheet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::sheet::sample;
    use crate::units::Ratio;

    #[test]
    fn a_visit_of_a_plan_is_remembered_when_its_time_is_past() {
        let sheet = Arc::new(sample::sheet());
        let stops = &sheet.routes[0].stops;
        let mut kept = Kept { sheet: Some(Arc::clone(&sheet)), ..Kept::default() };
        let middle = stops[0].arrival;
        assert_eq!(kept.visits(middle).into_keys().collect::<Vec<_>>(), ["a&b"]);
        let later = stops[1].arrival;
        let mut empty = sample::sheet();
        empty.routes.clear();
        kept.replace(Arc::new(empty), later, |bin| bin == "a&b");
        let text = serde_json::to_string(&kept).expect("JSON");
        let kept: Kept = serde_json::from_str(&text).expect("reads");
        let all = kept.visits(later);
        assert_eq!(all.len(), 1, "another bin is not there any more");
        assert_eq!(all["a&b"].at, middle);
        assert!(kept.visits(Timestamp::UNIX_EPOCH).is_empty(), "a clock that was set back");
        let old: Kept = serde_json::from_str(r#"{"sheet":null,"nightly":null}"#).expect("reads");
        assert!(old.visited.is_empty());
    }

    #[test]
    fn a_visit_is_believed_until_a_level_denies_it() {
        let at: Timestamp = "2026-11-23T05:00:00Z".parse().expect("a time");
        let hours =
            |hours| at.checked_add(jiff::SignedDuration::from_hours(hours)).expect("a time");
        let visit = Visited { at, level: Some(0.6) };
        let denied = |fill, hour| visit.denied_by(&Level::first(Ratio(fill), hours(hour), true));
        assert!(denied(0.6, 2));
        assert!(!denied(0.6, -2), "from before");
        assert!(!denied(0.05, 2), "it is empty");
        assert!(!denied(0.6, 24 * 6), "it has become full again");
        assert!(!visit.denied_by(&Level::first(Ratio(0.6), hours(2), false)));
        let low = Visited { at, level: Some(0.05) };
        assert!(!low.denied_by(&Level::first(Ratio(0.05), hours(2), true)), "empty bins stay so");
    }
}
