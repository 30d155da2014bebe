//! The thread that plans.

use super::board::{Board, Search};
use super::draft::{self, Task};
use super::rest::{Host, Rest};
use super::scheme::{Scheme, THOUSANDTHS};
use super::told::Told;
use super::ways::Ways;
use super::{Kept, Order, Planned, PlanningError, publish};
use crate::bins::Level;
use crate::clock::{Clock, ClockQuality, Moment};
use crate::config::{PlanKind, Settings};
use crate::device::Registry;
use crate::route::sheet::{Cause, Origin, Sheet};
use crate::route::solver::Progress;
use crate::store::{Room, State};
use crate::sys;
use crate::units::{PlanName, TenantId};
use crate::upstream::command::{Code, Fault, Given};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often is looked whether it is time: clocks jump, so it is not reckoned ahead.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// A search that has not come to its end in so many times its budget of CPU time ends.
const EMERGENCY: u32 = 30;
/// But no sooner than this.
const LEAST_EMERGENCY: Duration = Duration::from_secs(60);

/// How long to wait until what was made is tried to be handed over again, and how often.
const HAND_OVER: (Duration, u32) = (Duration::from_millis(100), 600);

/// How many places a plan may have: the matrices of 3,000 take 72 MB.
const MOST_PLACES: usize = 3000;

/// A failed nightly plan is tried again after this.
const RETRY: Duration = Duration::from_secs(900);

/// The rest of the gateway, as far as planning needs it.
pub trait House: Host {
    /// Hands over what was made; whether there was room.
    fn deliver(&self, planned: &Planned) -> bool;
    /// How full a tenant's bins are; none if nobody tells.
    fn levels(&self, tenant: &TenantId) -> Option<HashMap<String, Level>>;
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
    pub orders: Receiver<Order>,
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
    plans: BTreeMap<PlanName, Plan>,
    directory: PathBuf,
    orders: Receiver<Order>,
    board: Board,
    clock: Clock,
    house: Box<dyn House>,
    stop: Arc<AtomicBool>,
    /// Answers that nobody has taken so far. No more than commands wait for one.
    unanswered: Vec<Planned>,
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner").field("plans", &self.plans).finish_non_exhaustive()
    }
}

/// One plan.
#[derive(Debug)]
struct Plan {
    scheme: Scheme,
    kept: Kept,
    /// When it is looked whether it has to be mended.
    mend_at: Option<Instant>,
    /// Bins that were full and found no place when it was mended: they are not tried again.
    tried: HashSet<String>,
    /// When a nightly plan that failed is tried again.
    retry_at: Option<Instant>,
    /// What was told to operations.
    told: Told,
}

impl Plan {
    /// Why a plan from the cloud cannot hold on its day. For a later one it would take the place
    /// of the tours that are under way, and of those that would be planned before.
    fn refusal(&self, given: Option<Date>, now: Timestamp) -> Option<PlanningError> {
        let calendar = &self.scheme.calendar;
        let (day, open) = (given?, calendar.target(now));
        if day == open {
            None
        } else if calendar.nearly_over(day, now) {
            Some(PlanningError::Over { day })
        } else {
            Some(PlanningError::Day { day, open })
        }
    }
}

impl Planner {
    /// A planner of these parts. What is remembered and cannot be read is forgotten.
    #[must_use]
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { settings, registry, mut remembered, orders, board, clock, house, stop } = parts;
        let mut plans = BTreeMap::new();
        for (name, plan) in &settings.plan {
            let body = remembered.remove(name.as_str());
            let kept: Kept =
                body.and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default();
            board.post(name, |notice| notice.sheet.clone_from(&kept.sheet));
            let plan = Plan {
                scheme: Scheme::new(plan, settings, registry),
                kept,
                // what became full while the gateway was off
                mend_at: Some(Instant::now() + plan.mend_after),
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
        loop {
            match self.orders.recv_timeout(self.patience()) {
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

    fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    fn patience(&self) -> Duration {
        let mending = self.plans.values().filter_map(|plan| plan.mend_at).min();
        let mending = mending.map(|at| at.saturating_duration_since(Instant::now()));
        mending.map_or(LOOK_EVERY, |wait| wait.min(LOOK_EVERY)) / self.clock.speed().max(1)
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Command { id, name, supersede } => {
                let _ = self.make(&name, Cause::Command, supersede, Some(id), None);
            }
            Order::Now(name) => {
                let _ = self.make(&name, Cause::Command, None, None, None);
            }
            Order::Full => {
                for plan in self.plans.values_mut() {
                    let at = Instant::now() + plan.scheme.settings.mend_after;
                    plan.mend_at.get_or_insert(at);
                }
            }
        }
    }

    /// Makes the plans for which it is time. A clock that nobody has set knows no time.
    fn nightly(&mut self) {
        let now = self.clock.now();
        if now.quality == ClockQuality::Unsynced {
            return;
        }
        let due = |(name, plan): (&PlanName, &Plan)| {
            let waits = plan.retry_at.is_some_and(|at| Instant::now() < at);
            let day = plan.scheme.calendar.due(now.wall, plan.kept.nightly)?;
            let planned = plan.scheme.settings.kind == PlanKind::Collection;
            (planned && !waits).then(|| (name.clone(), day))
        };
        let due: Vec<_> = self.plans.iter().filter_map(due).collect();
        for (name, day) in due {
            let _ = self.make(&name, Cause::Nightly, None, None, Some(day));
        }
    }

    /// Mends the plans that leave out bins that have become full.
    fn mend(&mut self) {
        let now = Instant::now();
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
                self.make(&name, Cause::Full, None, None, None)
            };
            let Some(plan) = self.plans.get_mut(&name) else { continue };
            if told && mended {
                plan.tried.extend(full);
            } else {
                // the bins are as full as before
                plan.mend_at.get_or_insert(Instant::now() + RETRY);
            }
        }
    }

    /// The bins that must be emptied and that the plan leaves out, if it can be mended: it is made
    /// here, its tours are not over, and they were not tried before. None if nobody tells.
    fn full(&self, name: &PlanName) -> Option<Vec<String>> {
        let Some(plan) = self.plans.get(name) else { return Some(Vec::new()) };
        let Some(sheet) = plan.kept.sheet.as_deref() else { return Some(Vec::new()) };
        let over = plan.scheme.calendar.nearly_over(sheet.day, self.clock.now().wall);
        if sheet.origin == Origin::Cloud || over {
            return Some(Vec::new());
        }
        let levels = self.house.levels(&plan.scheme.tenant)?;
        let visits = plan.kept.visits(self.clock.now().wall);
        let full = plan.scheme.bins.iter().filter(|(id, bin, _)| {
            // a sensor that has been silent since the last visit says nothing
            let old = |level: &Level| {
                level.synced && visits.get(id).is_some_and(|visit| level.at <= visit.at)
            };
            levels.get(id).is_some_and(|level| level.fill.0 >= bin.threshold_must && !old(level))
                && !sheet.visits(id)
                && !plan.tried.contains(id)
                && !sheet.left_out.iter().any(|left| left.id == *id && left.must)
        });
        Some(full.map(|(id, ..)| id.clone()).collect())
    }

    /// Makes a plan, and says what came of it: to the cloud, to who looks, to operations. Whether
    /// there is a new one. It holds when it was handed over, and not before.
    #[must_use]
    fn make(
        &mut self,
        name: &PlanName,
        cause: Cause,
        given: Option<Given>,
        command: Option<String>,
        day: Option<Date>,
    ) -> bool {
        let now = self.clock.now();
        let Some(plan) = self.plans.get(name) else { return false };
        let given_day = given.as_ref().map(|given| given.day);
        let mending = plan.kept.sheet.as_deref().filter(|_| cause == Cause::Full);
        let day = given_day.or(day).or(mending.map(|sheet| sheet.day));
        let day = day.unwrap_or_else(|| plan.scheme.calendar.target(now.wall));
        let task = Task { day, now: now.wall, cause, given };
        let outcome = match plan.refusal(given_day, now.wall) {
            Some(refusal) => Err(refusal),
            None => catch_unwind(AssertUnwindSafe(|| self.plan(name, &task)))
                .unwrap_or_else(|panic| Err(PlanningError::Panic(said(&*panic)))),
        };
        let outcome = match outcome {
            Ok((sheet, roads)) => self.publish(name, cause, sheet, roads, command.as_ref(), now),
            Err(error) => Err(error),
        };
        // roads and matrices are gone again until the next night
        sys::return_free_memory();
        let trouble = match outcome {
            Ok(()) => None,
            // whoever asked will ask again
            Err(PlanningError::Stopped) => return false,
            Err(error) => {
                self.fail(name, cause, &error, command, task.given.is_some());
                Some(error.to_string())
            }
        };
        let made = trouble.is_none();
        self.board.post(name, |notice| {
            notice.search = None;
            notice.runs += 1;
            notice.trouble = trouble;
        });
        made
    }

    /// Hands a plan over, from when on it holds.
    fn publish(
        &mut self,
        name: &PlanName,
        cause: Cause,
        sheet: Sheet,
        roads: Option<String>,
        command: Option<&String>,
        now: Moment,
    ) -> Result<(), PlanningError> {
        let Some(plan) = self.plans.get(name) else { return Err(PlanningError::Stopped) };
        let tenant = plan.scheme.tenant.clone();
        let sheet = Arc::new(sheet);
        let mut kept = plan.kept.clone();
        // a plan from the cloud holds on its day: that night's is not made here, nor is it
        // after one that somebody has asked for since its time
        let synced = now.quality != ClockQuality::Unsynced;
        let since = synced && now.wall >= plan.scheme.calendar.nightly(sheet.day);
        if cause == Cause::Nightly || sheet.origin == Origin::Cloud || since {
            let before = plan.scheme.calendar.credible(kept.nightly, now.wall);
            kept.nightly = before.max(Some(sheet.day));
        }
        let known = |bin: &str| plan.scheme.bins.iter().any(|(id, ..)| id == bin);
        kept.replace(Arc::clone(&sheet), now.wall, known);
        let body = serde_json::to_string(&kept).expect("plain structs");
        let planned = Planned {
            tenant: tenant.clone(),
            states: vec![State { room: Room::Plans, key: name.to_string(), body }],
            messages: publish::messages(&sheet, now),
            command: command.map(|id| (id.clone(), Ok(summary(&sheet)))),
        };
        self.hand_over(&planned)?;
        let Some(plan) = self.plans.get_mut(name) else { return Err(PlanningError::Stopped) };
        plan.kept = kept;
        plan.retry_at = None;
        if cause != Cause::Full {
            plan.tried.clear();
        }
        plan.told.sheet(&tenant, &sheet, roads);
        self.board.post(name, |notice| notice.sheet = Some(sheet));
        Ok(())
    }

    /// There is no new plan: says so, and sees to it that it is tried again.
    fn fail(
        &mut self,
        name: &PlanName,
        cause: Cause,
        error: &PlanningError,
        command: Option<String>,
        from_cloud: bool,
    ) {
        let Some(plan) = self.plans.get_mut(name) else { return };
        let tenant = plan.scheme.tenant.clone();
        plan.told.failure(name, &tenant, error, from_cloud);
        if cause == Cause::Nightly {
            plan.retry_at = Some(Instant::now() + RETRY);
        }
        let Some(id) = command else { return };
        let answer = Some((id, Err(fault(error, from_cloud))));
        let planned = Planned { tenant, states: Vec::new(), messages: Vec::new(), command: answer };
        if matches!(error, PlanningError::Refused) || self.hand_over(&planned).is_err() {
            self.unanswered.push(planned);
        }
    }

    /// Makes a plan; with what is wrong with the roads.
    fn plan(
        &mut self,
        name: &PlanName,
        task: &Task,
    ) -> Result<(Sheet, Option<String>), PlanningError> {
        let Some(plan) = self.plans.get_mut(name) else { return Err(PlanningError::Levels) };
        let scheme = &plan.scheme;
        if scheme.settings.kind == PlanKind::Patrol {
            return Err(PlanningError::Patrol);
        }
        let places = scheme.first_bin() + scheme.bins.len();
        if places > MOST_PLACES {
            return Err(PlanningError::TooLarge { places, most: MOST_PLACES });
        }
        let levels = self.house.levels(&scheme.tenant).ok_or(PlanningError::Levels)?;
        let ways = Ways::measure(scheme, &self.directory);
        let desk = draft::Desk {
            name: name.as_str(),
            scheme,
            ways: &ways,
            levels: &levels,
            kept: &plan.kept,
        };
        let mut rest = Rest::new();
        let patience = (scheme.settings.budget * EMERGENCY).max(LEAST_EMERGENCY);
        let begin = Instant::now();
        let (board, house, stop) = (&self.board, &mut self.house, &self.stop);
        let mut shown: Option<Instant> = None;
        let mut go_on = |progress: Progress, of: u64| {
            if shown.is_none_or(|shown| shown.elapsed() > Duration::from_millis(100)) {
                shown = Some(Instant::now());
                let Progress { iterations, cost, missing } = progress;
                let cost = cost as f64 / THOUSANDTHS;
                let search = Search { iterations, of, cost, missing };
                board.post(name, |notice| notice.search = Some(search));
            }
            rest.take(&mut **house, &|| stop.load(Relaxed)) && begin.elapsed() < patience
        };
        let mut calibration = plan.kept.calibration;
        let sheet = desk.plan(task, &mut calibration, &mut go_on);
        if self.stop.load(Relaxed) {
            return Err(PlanningError::Stopped);
        }
        plan.kept.calibration = calibration;
        Ok((sheet?, ways.trouble.map(|trouble| trouble.to_string())))
    }

    /// What was made is waited with until there is room for it, but not for ever.
    fn hand_over(&mut self, planned: &Planned) -> Result<(), PlanningError> {
        let (wait, times) = HAND_OVER;
        for _ in 0..times {
            if self.house.deliver(planned) {
                return Ok(());
            }
            if self.stopped() {
                return Err(PlanningError::Stopped);
            }
            self.house.nap(wait);
        }
        Err(PlanningError::Refused)
    }
}

/// What a command is answered with.
fn summary(sheet: &Sheet) -> Value {
    json!({
        "name": sheet.name,
        "day": sheet.day,
        "origin": sheet.origin,
        "cost": sheet.cost,
        "km": sheet.kpi.km,
        "routes": sheet.routes.len(),
        "stops": sheet.kpi.stops,
        "leftOut": sheet.left_out.len(),
        "unserved": sheet.left_out.iter().filter(|bin| bin.must).count(),
        "estimated": sheet.estimated,
    })
}

fn fault(error: &PlanningError, from_cloud: bool) -> Fault {
    let code = match error {
        PlanningError::Faulty(_) if from_cloud => Code::Infeasible,
        PlanningError::Over { .. } | PlanningError::Day { .. } if from_cloud => Code::Infeasible,
        PlanningError::Name(_) => Code::Invalid,
        PlanningError::Patrol => Code::NotSupported,
        _ => Code::Failed,
    };
    Fault { code, message: error.to_string() }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
