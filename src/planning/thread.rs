//! The thread that plans.

use super::board::Board;
use super::draft::Task;
use super::kept::Kept;
use super::making::Wish;
use super::rest::Host;
use super::scheme::Scheme;
use super::told::{self, Told};
use super::{Order, Orders, Planned, PlanningError};
use crate::bins::View;
use crate::clock::{Clock, ClockQuality};
use crate::config::Settings;
use crate::device::Registry;
use crate::route::sheet::Origin;
use crate::sys;
use crate::units::{PlanName, TenantId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// How often is looked whether it is time: clocks jump, so it is not reckoned ahead.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// A failed nightly plan is tried again after this.
pub(super) const RETRY: Duration = Duration::from_secs(900);

/// A level that is so much higher than the plan expected is a surprise.
const SURPRISE: f64 = 0.1;

/// The rest of the gateway, as far as planning needs it.
pub trait House: Host {
    /// Hands over what was made; whether there was room.
    fn deliver(&self, planned: &Planned) -> bool;
    /// How full a tenant's bins are; none if nobody tells.
    fn bins(&self, tenant: &TenantId) -> Option<HashMap<String, View>>;
}

/// What a planner is made of.
pub struct Parts<'a> {
    /// All settings.
    pub settings: &'a Settings,
    /// All devices.
    pub registry: &'a Registry,
    /// What is remembered of plans, by their names.
    pub remembered: HashMap<String, String>,
    /// Where orders come from.
    pub orders: Orders,
    /// What can be seen from outside.
    pub board: Board,
    /// The clock that all go by.
    pub clock: Clock,
    /// The rest of the gateway.
    pub house: Box<dyn House>,
    /// Whether the gateway stops.
    pub stop: Arc<AtomicBool>,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("board", &self.board).finish_non_exhaustive()
    }
}

/// Makes all plans, one after the other.
pub struct Planner {
    pub(super) plans: BTreeMap<PlanName, Plan>,
    pub(super) directory: PathBuf,
    pub(super) orders: Orders,
    pub(super) board: Board,
    pub(super) clock: Clock,
    pub(super) house: Box<dyn House>,
    pub(super) stop: Arc<AtomicBool>,
    /// Answers that nobody has taken so far. No more than commands wait for one.
    pub(super) unanswered: Vec<Planned>,
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner").field("plans", &self.plans).finish_non_exhaustive()
    }
}

/// One plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scheme: Scheme,
    pub(super) kept: Kept,
    /// When it is looked whether it has to be mended, by the clock that never jumps.
    pub(super) mend_at: Option<Duration>,
    /// Bins that were full and found no place when it was mended: they are not tried again.
    pub(super) tried: HashSet<String>,
    /// When a nightly plan that failed is tried again.
    pub(super) retry_at: Option<Duration>,
    /// What was told to operations.
    pub(super) told: Told,
}

impl Plan {
    /// Why such a plan cannot be made now. One from the cloud for a later day would take the place
    /// of the tours that are under way, and of those that would be planned before; so would one
    /// that is asked for in the last hour of a day.
    pub(super) fn refusal(&self, task: &Task) -> Option<PlanningError> {
        let calendar = &self.scheme.calendar;
        if let Some(day) = task.given.as_ref().map(|given| given.day) {
            let open = calendar.target(task.now);
            if day != open && calendar.nearly_over(day, task.now) {
                return Some(PlanningError::Over { day });
            }
            if day != open {
                return Some(PlanningError::Day { day, open });
            }
        }
        let until = self.kept.believed(task.clock).out_until(task.day, task.now)?;
        Some(PlanningError::Out { day: self.kept.sheet.as_ref()?.day, until })
    }
}

impl Planner {
    /// A planner of these parts. What is remembered and cannot be read is forgotten.
    #[must_use]
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { settings, registry, mut remembered, orders, board, clock, house, stop } = parts;
        let mut plans = BTreeMap::new();
        let now = clock.now().monotonic;
        for (name, plan) in &settings.plan {
            let body = remembered.remove(name.as_str());
            let (kept, error) = body.map(|body| Kept::read(&body)).unwrap_or_default();
            if let Some(error) = error {
                told::forgotten(name, &plan.tenant, &error);
            }
            board.post(name, |notice| notice.sheet.clone_from(&kept.sheet));
            let plan = Plan {
                scheme: Scheme::new(plan, settings, registry),
                kept,
                // what became full while the gateway was off
                mend_at: Some(now + plan.mend_after),
                tried: HashSet::new(),
                retry_at: None,
                told: Told::default(),
            };
            plans.insert(name.clone(), plan);
        }
        let directory = settings.state_dir.clone();
        Self { plans, directory, orders, board, clock, house, stop, unanswered: Vec::new() }
    }

    /// Plans until the gateway stops.
    pub fn run(mut self) {
        // in vain under a kernel that forbids it: then it takes its share of time like others
        if !sys::yield_to_all() {
            log::debug!("the thread that plans cannot be given a low priority");
        }
        self.look_at(self.clock.now().quality);
        loop {
            let order = self.orders.next(self.patience());
            for (name, scheme) in self.orders.renewed() {
                if let Some(plan) = self.plans.get_mut(&name) {
                    plan.scheme = scheme;
                }
            }
            match order {
                Err(RecvTimeoutError::Disconnected) => return,
                _ if self.stopped() => return,
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let house = &self.house;
            self.unanswered.retain(|planned| !house.deliver(planned));
            self.nightly();
            self.mend();
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    fn patience(&self) -> Duration {
        let mending = self.plans.values().filter_map(|plan| plan.mend_at).min();
        let mending = mending.map(|at| at.saturating_sub(self.clock.now().monotonic));
        mending.map_or(LOOK_EVERY, |wait| wait.min(LOOK_EVERY)) / self.clock.speed().max(1)
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Command { id, planning } => {
                let name = planning.name.clone();
                self.make(&name, Wish::command(id, planning));
            }
            Order::Now { name, ticket } => {
                self.make(&name, Wish::now(ticket));
            }
            Order::Full => {
                let now = self.clock.now().monotonic;
                for plan in self.plans.values_mut() {
                    let at = now + plan.scheme.settings.mend_after;
                    plan.mend_at.get_or_insert(at);
                }
            }
        }
    }

    /// Says whether plans can be made by themselves.
    fn look_at(&self, quality: ClockQuality) {
        let unset = quality == ClockQuality::Unsynced;
        for name in self.plans.keys() {
            self.board.post(name, |notice| notice.clock_unset = unset);
        }
    }

    /// Makes the plans for which it is time. A clock that nobody has set knows no time.
    fn nightly(&mut self) {
        let now = self.clock.now();
        self.look_at(now.quality);
        if now.quality == ClockQuality::Unsynced {
            return;
        }
        let due = |(name, plan): (&PlanName, &Plan)| {
            let waits = plan.retry_at.is_some_and(|at| now.monotonic < at);
            let day = plan.scheme.calendar.due(now.wall, plan.kept.nightly)?;
            (!waits).then(|| (name.clone(), day))
        };
        let due: Vec<_> = self.plans.iter().filter_map(due).collect();
        for (name, day) in due {
            self.make(&name, Wish::nightly(day));
        }
    }

    /// Mends the plans that leave out bins that have become full.
    fn mend(&mut self) {
        let now = self.clock.now().monotonic;
        let due = |(name, plan): (&PlanName, &mut Plan)| {
            plan.mend_at.take_if(|at| *at <= now).map(|_| name.clone())
        };
        let due: Vec<_> = self.plans.iter_mut().filter_map(due).collect();
        for name in due {
            let full = self.full(&name);
            let told = full.is_some();
            let full = full.unwrap_or_default();
            let mended = full.is_empty() || {
                log::debug!("plan {name}: {} bins are full and left out", full.len());
                self.make(&name, Wish::mending())
            };
            let Some(plan) = self.plans.get_mut(&name) else { continue };
            if told && mended {
                plan.tried.extend(full);
            } else {
                // the bins are as full as before
                plan.mend_at.get_or_insert(now + RETRY);
            }
        }
    }

    /// The bins that the plan leaves out and that must be emptied, or will overflow before the next
    /// tours as was not to be expected; if it can be mended: it is made here, its tours are not
    /// over, and they were not tried before. None if nobody tells.
    fn full(&self, name: &PlanName) -> Option<Vec<String>> {
        let Some(plan) = self.plans.get(name) else { return Some(Vec::new()) };
        let Some(sheet) = plan.kept.sheet.as_deref() else { return Some(Vec::new()) };
        let clock = self.clock.now();
        let (now, calendar) = (clock.wall, &plan.scheme.calendar);
        let over = calendar.nearly_over(sheet.day, now);
        if sheet.origin == Origin::Cloud || over || plan.scheme.bins.is_empty() {
            return Some(Vec::new());
        }
        let levels = self.house.bins(&plan.scheme.tenant)?;
        let visits = plan.kept.believed(clock).visits(now);
        let next = calendar.moment(calendar.after(sheet.day), 0);
        let full = plan.scheme.bins.iter().filter(|(id, bin, _)| {
            let Some(level) = levels.get(id) else { return false };
            // a sensor that has been silent since the last visit says nothing
            let old = level.synced && visits.get(id).is_some_and(|visit| level.at <= visit.at);
            let left = sheet.left_out.iter().find(|left| left.id == *id);
            let expected = left.and_then(|left| left.level).unwrap_or(1.0);
            let fill = level.fill.0;
            let overflows = fill >= expected + SURPRISE && fill + level.comes(now, next) >= 1.0;
            (fill >= bin.threshold_must || overflows)
                && !old
                && !sheet.visits(id)
                && !plan.tried.contains(id)
                && !left.is_some_and(|left| left.must)
        });
        Some(full.map(|(id, ..)| id.clone()).collect())
    }
}
