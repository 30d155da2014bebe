//! From an order to a plan that went through the checker: what bins and patrols have in common.

use super::PlanningError;
use super::kept::Kept;
use super::scheme::Scheme;
use super::under_way::UnderWay;
use super::ways::Ways;
use super::writing::Found;
use crate::bins::View;
use crate::clock::Moment;
use crate::route::given::{carried_over, given};
use crate::route::problem::{Problem, Vehicle};
use crate::route::sheet::{Cause, Sheet};
use crate::route::solver::{Progress, Settings, Solver};
use crate::route::{Plan, Visit, check};
use crate::sys;
use crate::upstream::command::Given;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::HashMap;

/// A plan that is mended takes this part of its budget in milliseconds, and no fewer moves than
/// [`LEAST`]. With all else that is done to a plan that is half a second, in which one bin more
/// finds its place as well as in a plan made anew (`cargo bench --bench tours`).
const MENDING: u64 = 400;
const LEAST: u64 = 500;

/// So many moves for each stop are enough: an alarm is not kept waiting by a patrol of three.
const ENOUGH: u64 = 20_000;

/// What is to be planned.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) day: Date,
    pub(super) now: Timestamp,
    /// The same moment, with what is known of the clock.
    pub(super) clock: Moment,
    pub(super) cause: Cause,
    /// A plan from the cloud, to be checked only.
    pub(super) given: Option<Given>,
    /// What must be visited from now on, and what need not any more.
    pub(super) urgent: Vec<String>,
    pub(super) withdrawn: Vec<String>,
}

/// How many moves fit into the budget of a plan, as measured once.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calibration {
    budget_ms: u64,
    stops: usize,
    iterations: u64,
}

impl Calibration {
    /// Whether it still says something about a search in this budget among so many stops.
    fn holds(&self, budget_ms: u64, stops: usize) -> bool {
        self.budget_ms == budget_ms && self.stops / 2 <= stops && stops <= self.stops * 2
    }
}

/// How many of the moves that a plan takes are enough to mend one.
fn mending(iterations: u64, budget_ms: u64) -> u64 {
    let part = MENDING as f64 / budget_ms.max(MENDING) as f64;
    ((iterations as f64 * part) as u64).max(LEAST)
}

/// Asked now and then whether to go on with a search; told how many moves there will be.
pub(super) type GoOn<'a> = dyn FnMut(Progress, u64) -> bool + 'a;

/// What is needed to plan one day.
pub(super) struct Desk<'a> {
    pub(super) name: &'a str,
    pub(super) scheme: &'a Scheme,
    pub(super) ways: &'a Ways,
    pub(super) levels: &'a HashMap<String, View>,
    pub(super) kept: &'a Kept,
}

impl<'a> Desk<'a> {
    /// Plans.
    pub(super) fn plan(
        &self,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Sheet, PlanningError> {
        if self.scheme.calendar.nearly_over(task.day, task.now) {
            return Err(PlanningError::Over { day: task.day });
        }
        match self.scheme.is_patrol() {
            true => self.patrol(task, calibration, go_on),
            false => self.collect(task, calibration, go_on),
        }
    }

    /// The tours of the day that have left by now, if it has any.
    pub(super) fn under_way(&self, task: &Task) -> Option<UnderWay<'a>> {
        let sheet = self.kept.sheet.as_deref().filter(|sheet| sheet.day == task.day)?;
        Some(UnderWay::new(self.scheme, sheet, &self.kept.asked, task.now))
    }

    /// The vehicles that can still leave.
    pub(super) fn fleet(&self, task: &Task) -> Vec<Vehicle> {
        let second = self.scheme.calendar.seconds(task.day, task.now);
        let mut fleet = match task.given {
            // who names one that is too late is told so
            Some(_) => self.scheme.fleet(task.day, second),
            None => self.scheme.vehicles(task.day, second),
        };
        fleet.retain(|vehicle| self.reached(vehicle));
        fleet
    }

    /// What lies in a lake would make each tour impossible that has to go there.
    pub(super) fn reached(&self, vehicle: &Vehicle) -> bool {
        self.ways.unreachable(vehicle.start).is_none()
    }

    /// The plan that was given, or the best that is found. It breaks no rule.
    pub(super) fn found(
        &self,
        problem: &Problem,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Found, PlanningError> {
        let (plan, iterations) = match &task.given {
            Some(routes) => (given(problem, &routes.routes)?, None),
            None => {
                let before = self.kept.sheet.as_deref().filter(|_| task.cause == Cause::Full);
                let from = before.map(|sheet| carried_over(problem, sheet));
                let (plan, iterations) = self.search(problem, from.as_ref(), calibration, go_on);
                (plan, Some(iterations))
            }
        };
        let reckoning = check(problem, &plan).map_err(PlanningError::Faulty)?;
        Ok(Found { plan, reckoning, iterations })
    }

    /// Searches, from a plan if there is one; with the number of moves.
    pub(super) fn search(
        &self,
        problem: &Problem,
        from: Option<&Plan>,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> (Plan, u64) {
        let stops = problem.stops.len();
        if stops == 0 || problem.vehicles.is_empty() {
            return (Plan { routes: Vec::new(), unserved: (0..stops).collect() }, 0);
        }
        let solver = Solver::new(problem);
        let settings = &self.scheme.settings;
        let seed = settings.seed;
        let budget_ms = u64::try_from(settings.budget.as_millis()).unwrap_or(u64::MAX);
        let done = |stop: usize| {
            problem.vehicles.iter().any(|vehicle| vehicle.frozen.contains(&Visit::Stop(stop)))
        };
        let open = (0..stops).filter(|stop| !done(*stop)).count();
        let mut iterations = match (settings.iterations, *calibration) {
            // whatever is moved, nothing changes
            _ if open == 0 => 1,
            (Some(iterations), _) => iterations,
            (None, Some(known)) if known.holds(budget_ms, open) => known.iterations,
            (None, _) => {
                let begin = sys::thread_cpu_time();
                let spent = &mut || sys::thread_cpu_time().saturating_sub(begin);
                let iterations = solver.calibrate(seed, None, settings.budget, spent);
                *calibration = Some(Calibration { budget_ms, stops: open, iterations });
                iterations
            }
        };
        if settings.iterations.is_none() {
            iterations = iterations.min(open.max(1) as u64 * ENOUGH);
        }
        if from.is_some() && open > 0 {
            iterations = mending(iterations, budget_ms);
        }
        let settings = Settings { seed, iterations, from };
        let solution = solver.solve(&settings, &mut |progress| go_on(progress, iterations));
        (solution.plan, solution.iterations)
    }
}
