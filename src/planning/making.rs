//! One plan, from the order to its publication.

use super::board::Search;
use super::draft::{self, GoOn, Task};
use super::rest::Rest;
use super::scheme::THOUSANDTHS;
use super::thread::{Planner, RETRY};
use super::ways::Ways;
use super::{Planned, PlanningError, publish};
use crate::clock::{ClockQuality, Moment};
use crate::route::sheet::{Cause, Origin, Sheet};
use crate::route::solver::Progress;
use crate::store::{Room, State};
use crate::sys;
use crate::units::PlanName;
use crate::upstream::command::{Code, Fault, Planning};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A search that has not come to its end in so many times its budget of CPU time ends.
const EMERGENCY: u32 = 30;
/// But no sooner than this.
const LEAST_EMERGENCY: Duration = Duration::from_secs(60);

/// So many moves a search always has.
const LEAST_MOVES: u64 = 512;

/// A patrol is not kept waiting for a better plan.
const URGENT_PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait until what was made is tried to be handed over again, and how often.
const HAND_OVER: (Duration, u32) = (Duration::from_millis(100), 600);

/// How many places a plan may have: the matrices of 3,000 take 72 MB.
const MOST_PLACES: usize = 3000;

/// Who wants a plan, and why.
#[derive(Debug)]
pub(super) struct Wish {
    cause: Cause,
    /// The day, where it is not the next one on which tours leave.
    day: Option<Date>,
    /// What a command says.
    planning: Option<Planning>,
    /// The command's id.
    command: Option<String>,
    ticket: Option<u64>,
}

impl Wish {
    fn because(cause: Cause) -> Self {
        Self { cause, day: None, planning: None, command: None, ticket: None }
    }

    pub(super) fn nightly(day: Date) -> Self {
        Self { day: Some(day), ..Self::because(Cause::Nightly) }
    }

    pub(super) fn mending() -> Self {
        Self::because(Cause::Full)
    }

    pub(super) fn now(ticket: u64) -> Self {
        Self { ticket: Some(ticket), ..Self::because(Cause::Command) }
    }

    pub(super) fn command(id: String, planning: Planning) -> Self {
        Self { planning: Some(planning), command: Some(id), ..Self::because(Cause::Command) }
    }
}

impl Planner {
    /// Makes a plan, and says what came of it: to the cloud, to who looks, to operations. Whether
    /// there is a new one. It holds when it was handed over, and not before.
    pub(super) fn make(&mut self, name: &PlanName, wish: Wish) -> bool {
        let Wish { cause, day, planning, command, ticket } = wish;
        let now = self.clock.now();
        let Some(plan) = self.plans.get(name) else { return false };
        let (given, urgent, withdrawn) = match planning {
            Some(Planning { supersede, urgent, withdraw, .. }) => (supersede, urgent, withdraw),
            None => (None, Vec::new(), Vec::new()),
        };
        let given_day = given.as_ref().map(|given| given.day);
        let mending = plan.kept.sheet.as_deref().filter(|_| cause == Cause::Full);
        let day = given_day.or(day).or(mending.map(|sheet| sheet.day));
        let day = day.unwrap_or_else(|| plan.scheme.calendar.target(now.wall));
        let task = Task { day, now: now.wall, clock: now, cause, given, urgent, withdrawn };
        let outcome = match plan.refusal(&task) {
            Some(refusal) => Err(refusal),
            None => catch_unwind(AssertUnwindSafe(|| self.plan(name, &task)))
                .unwrap_or_else(|panic| Err(PlanningError::Panic(said(&*panic)))),
        };
        let outcome = match outcome {
            Ok(made) => self.publish(name, &task, made, command.as_ref(), now),
            Err(error) => Err(error),
        };
        // roads and matrices are gone again until the next night
        sys::return_free_memory();
        let trouble = match outcome {
            Ok(()) => None,
            // whoever asked will ask again
            Err(PlanningError::Stopped) => return false,
            // it is still due
            Err(PlanningError::Later) => {
                self.board.post(name, |notice| notice.search = None);
                return false;
            }
            Err(error) => {
                let from_cloud = task.given.is_some();
                let asked = command.is_some() || ticket.is_some();
                // nothing is wrong with the plan that holds
                let answered = asked && (from_cloud || error.is_theirs(from_cloud));
                self.fail(name, cause, &error, command, from_cloud);
                Some((error.to_string(), answered))
            }
        };
        self.board.post(name, |notice| {
            notice.search = None;
            match &trouble {
                Some((_, true)) => {}
                Some((trouble, false)) => notice.trouble = Some(trouble.clone()),
                None => notice.trouble = None,
            }
        });
        let made = trouble.is_none();
        if let Some(ticket) = ticket {
            self.board.carried_out(ticket, trouble.map(|(trouble, _)| trouble));
        }
        made
    }

    /// Hands a plan over, from when on it holds.
    fn publish(
        &mut self,
        name: &PlanName,
        task: &Task,
        made: Made,
        command: Option<&String>,
        now: Moment,
    ) -> Result<(), PlanningError> {
        let Some(plan) = self.plans.get(name) else { return Err(PlanningError::Stopped) };
        let tenant = plan.scheme.tenant.clone();
        let (cause, sheet) = (task.cause, Arc::new(made.sheet));
        let mut kept = plan.kept.with(task, &plan.scheme)?;
        // a plan from the cloud holds on its day: that night's is not made here, nor is it
        // after one that somebody has asked for since its time. In any other case it is still to
        // come, also where that of a later day was there before
        let synced = now.quality != ClockQuality::Unsynced;
        let since = synced && now.wall >= plan.scheme.calendar.nightly(sheet.day);
        kept.nightly = if cause == Cause::Nightly || sheet.origin == Origin::Cloud || since {
            Some(sheet.day)
        } else {
            let before = plan.scheme.calendar.credible(kept.nightly, now.wall);
            before.map(|before| before.min(sheet.day.yesterday().unwrap_or(sheet.day)))
        };
        kept.replace(Arc::clone(&sheet), now, |stop| plan.scheme.has(stop));
        let body = serde_json::to_string(&kept).expect("plain structs");
        let planned = Planned {
            tenant: tenant.clone(),
            states: vec![State { room: Room::Plans, key: name.to_string(), body }],
            messages: publish::messages(&sheet, now),
            command: command.map(|id| (id.clone(), Ok(summary(&sheet)))),
        };
        // whoever reads of it elsewhere finds it here as well
        let before = plan.kept.sheet.clone();
        self.board.post(name, |notice| notice.sheet = Some(Arc::clone(&sheet)));
        if let Err(error) = self.hand_over(&planned) {
            self.board.post(name, |notice| notice.sheet = before);
            return Err(error);
        }
        let Some(plan) = self.plans.get_mut(name) else { return Err(PlanningError::Stopped) };
        plan.kept = kept;
        plan.retry_at = None;
        if cause != Cause::Full {
            plan.tried.clear();
        }
        plan.told.sheet(&tenant, &sheet, made.roads);
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
        plan.told.failure(name, &tenant, error, (from_cloud, plan.scheme.is_patrol()));
        if cause == Cause::Nightly {
            plan.retry_at = Some(self.clock.now().monotonic + RETRY);
        }
        let Some(id) = command else { return };
        let answer = Some((id, Err(fault(error, from_cloud))));
        let planned = Planned { tenant, states: Vec::new(), messages: Vec::new(), command: answer };
        if matches!(error, PlanningError::Refused) || self.hand_over(&planned).is_err() {
            self.unanswered.push(planned);
        }
    }

    /// Makes a plan.
    fn plan(&mut self, name: &PlanName, task: &Task) -> Result<Made, PlanningError> {
        let Some(plan) = self.plans.get_mut(name) else { return Err(PlanningError::Levels) };
        let scheme = &plan.scheme;
        let places = scheme.first_stop() + scheme.bins.len() + scheme.visits.len();
        if places > MOST_PLACES {
            return Err(PlanningError::TooLarge { places, most: MOST_PLACES });
        }
        let levels = match scheme.is_patrol() {
            true => HashMap::new(),
            false => self.house.bins(&scheme.tenant).ok_or(PlanningError::Levels)?,
        };
        let kept = plan.kept.with(task, scheme)?;
        let ways = Ways::measure(scheme, &self.directory);
        let desk =
            draft::Desk { name: name.as_str(), scheme, ways: &ways, levels: &levels, kept: &kept };
        let mut rest = Rest::new();
        // before an urgent visit begins there must be time to tell of it
        let urgent = scheme.is_patrol() && !kept.asked.is_empty();
        let patience = match urgent {
            true => URGENT_PATIENCE,
            false => (scheme.settings.budget * EMERGENCY).max(LEAST_EMERGENCY),
        };
        let begin = Instant::now();
        let (board, house, stop) = (&self.board, &mut self.house, &self.stop);
        // whoever waits for an answer gets one; nobody waits for these
        let makes_way = matches!(task.cause, Cause::Nightly | Cause::Full);
        let (orders, mut made_way) = (&self.orders, false);
        let mut shown: Option<Instant> = None;
        let go_on: &mut GoOn<'_> = &mut |progress: Progress, of: u64| {
            if shown.is_none_or(|shown| shown.elapsed() > Duration::from_millis(100)) {
                shown = Some(Instant::now());
                let Progress { iterations, cost, missing } = progress;
                let cost = cost as f64 / THOUSANDTHS;
                let search = Search { iterations, of, cost, missing };
                board.post(name, |notice| notice.search = Some(search));
            }
            let stopped = || stop.load(Relaxed) || makes_way && orders.urgent_waits();
            let goes_on = if urgent { !stopped() } else { rest.take(&mut **house, &stopped) };
            made_way |= makes_way && orders.urgent_waits();
            if made_way {
                return false;
            }
            // each search has some moves, however late it is
            goes_on && (progress.iterations < LEAST_MOVES || begin.elapsed() < patience)
        };
        let mut calibration = plan.kept.calibration;
        let sheet = desk.plan(task, &mut calibration, go_on);
        if self.stop.load(Relaxed) {
            return Err(PlanningError::Stopped);
        }
        if made_way {
            return Err(PlanningError::Later);
        }
        plan.kept.calibration = calibration;
        let roads = ways.trouble.map(|trouble| trouble.to_string());
        Ok(Made { sheet: sheet?, roads })
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

/// A plan that was made.
struct Made {
    sheet: Sheet,
    /// What is wrong with the roads, if anything is.
    roads: Option<String>,
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
        "shortfalls": sheet.shortfalls,
        "estimated": sheet.estimated,
    })
}

fn fault(error: &PlanningError, from_cloud: bool) -> Fault {
    let code = match error {
        PlanningError::Faulty(_) if from_cloud => Code::Infeasible,
        PlanningError::Over { .. } | PlanningError::Day { .. } if from_cloud => Code::Infeasible,
        PlanningError::Out { .. } => Code::Infeasible,
        PlanningError::Name(_) => Code::Invalid,
        _ => Code::Failed,
    };
    Fault { code, message: error.to_string() }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
