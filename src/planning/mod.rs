//! Makes the plans: each night, when somebody asks, when a visit has become urgent, and when a bin
//! that a plan leaves out has become full, or fills faster than was to be expected.
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
mod collect;
mod draft;
mod kept;
mod making;
mod patrol;
mod publish;
mod rest;
mod scheme;
mod thread;
mod told;
mod under_way;
mod ways;
mod writing;

#[cfg(test)]
pub(crate) use publish::messages;

pub use board::{Board, Notice, Outcome, PlanHealth, Search};
pub use rest::{Host, temperature};
pub use thread::{House, Parts, Planner};

use crate::config::{PlanSettings, Settings};
use crate::device::Registry;
use crate::route::check::Fault;
use crate::route::given::NameError;
use crate::store::{Message, State};
use crate::units::{PlanName, TenantId};
use crate::upstream::command::{self, Planning};
use jiff::Timestamp;
use jiff::civil::Date;
use scheme::Scheme;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many orders may wait.
const ROOM: usize = 8;

/// Something to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By a command of the cloud, which is answered when the plan is made.
    Command {
        /// The command's id.
        id: String,
        /// Which plan, and how.
        planning: Planning,
    },
    /// At once, by somebody at the machine.
    Now {
        /// Which plan.
        name: PlanName,
        /// By which ticket of the [`Board`] it can be recognised.
        ticket: u64,
    },
    /// A bin is full, or will be before long: perhaps a plan has to be mended.
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
    /// Whether it was said, and not heard yet, that a bin is full.
    nudged: Arc<AtomicBool>,
    /// How many orders wait that are urgent.
    urgent: Arc<AtomicUsize>,
    renewed: Renewed,
}

/// Schemes that take the place of those of before.
type Renewed = Arc<Mutex<BTreeMap<PlanName, Scheme>>>;

/// Where orders are taken.
#[derive(Debug)]
pub struct Orders {
    taken: Receiver<Order>,
    nudged: Arc<AtomicBool>,
    urgent: Arc<AtomicUsize>,
    renewed: Renewed,
}

impl Order {
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Command { planning, .. } if !planning.urgent.is_empty())
    }
}

impl Orders {
    fn next(&self, patience: Duration) -> Result<Order, RecvTimeoutError> {
        let order = self.taken.recv_timeout(patience)?;
        if order == Order::Full {
            self.nudged.store(false, Relaxed);
        }
        if order.is_urgent() {
            self.urgent.fetch_sub(1, Relaxed);
        }
        Ok(order)
    }

    /// The schemes that have changed since it was last asked.
    fn renewed(&self) -> BTreeMap<PlanName, Scheme> {
        std::mem::take(&mut *self.renewed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether somebody waits for whom a plan that nobody waits for makes way.
    fn urgent_waits(&self) -> bool {
        self.urgent.load(Relaxed) > 0
    }
}

impl Desk {
    /// A desk, and the end at which its orders are taken.
    #[must_use]
    pub fn new() -> (Self, Orders) {
        let (orders, taken) = sync_channel(ROOM);
        let desk = Self { orders: Some(orders), ..Self::default() };
        let (nudged, urgent) = (Arc::clone(&desk.nudged), Arc::clone(&desk.urgent));
        let renewed = Arc::clone(&desk.renewed);
        (desk, Orders { taken, nudged, urgent, renewed })
    }

    /// The same desk, for these plans only.
    #[must_use]
    pub fn of(&self, names: impl IntoIterator<Item = PlanName>) -> Self {
        Self { names: Arc::new(names.into_iter().collect()), ..self.clone() }
    }

    /// Whether this plan is made here.
    #[must_use]
    pub fn has(&self, name: &PlanName) -> bool {
        self.names.contains(name)
    }

    /// Leaves an order; whether there was room. Never blocks.
    #[must_use]
    pub fn pass(&self, order: Order) -> bool {
        let urgent = usize::from(order.is_urgent());
        // counted before it can be taken
        self.urgent.fetch_add(urgent, Relaxed);
        let passed = self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok());
        if !passed {
            self.urgent.fetch_sub(urgent, Relaxed);
        }
        passed
    }

    /// From the next plan on these bins and visits hold. The plans themselves are those of before.
    pub fn renew(&self, settings: &Settings, registry: &Registry) {
        let scheme = |(name, plan): (&PlanName, &PlanSettings)| {
            (name.clone(), Scheme::new(plan, settings, registry))
        };
        let schemes = settings.plan.iter().map(scheme).collect();
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = schemes;
        self.nudge();
    }

    /// Says that a bin is full, or will be before long. With no room left it is looked after all the same, a
    /// little later.
    pub fn nudge(&self) {
        // once is enough: the desk is for those who wait for an answer
        if !self.nudged.swap(true, Relaxed) && !self.pass(Order::Full) {
            self.nudged.store(false, Relaxed);
        }
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
    /// Vehicles are out on the tours of another day, and would lose their plan.
    #[error("vehicles are on the tours of {day} until {until}: ask for a plan after that")]
    Out {
        /// The day of those tours.
        day: Date,
        /// Until when.
        until: Timestamp,
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
    /// Something urgent goes before it.
    #[error("something urgent goes before it")]
    Later,
    /// The gateway stops.
    #[error("the gateway stops")]
    Stopped,
}

impl PlanningError {
    /// Whether it is answered to whoever has asked, and nothing is wrong here.
    pub(crate) fn is_theirs(&self, from_cloud: bool) -> bool {
        match self {
            Self::Over { .. } | Self::Day { .. } | Self::Out { .. } | Self::Name(_) => true,
            Self::Refused => false,
            Self::Faulty(_) => false,
            _ => from_cloud,
        }
    }
}

/// The first rules that are broken.
fn faults(all: &[Fault]) -> String {
    const MOST: usize = 3;
    let some: Vec<String> = all.iter().take(MOST).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(MOST);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    some.join("; ") + &more
}
