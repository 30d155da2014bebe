//! Plans for patrols: everybody is visited, the urgent at once.
//!
//! An urgent visit is asked to be made as soon as somebody can be there at all, an agreed one in its
//! hours. What finds no place is made later, and said to be late, before it is left out: its window
//! is widened step by step until it finds one, and narrowed again as far as it keeps it. Whoever
//! was to be visited in time still is, and who is late is so by little, the urgent last of all.

use super::PlanningError;
use super::draft::{Calibration, Desk, GoOn, Task};
use super::kept::Asked;
use super::scheme::{AgreedVisit, LEAD, THOUSANDTHS, seconds};
use super::writing::{Draft, Found, Note};
use crate::route::check::{CheckedRoute, Reckoning};
use crate::route::given::given;
use crate::route::matrix::NO_WAY;
use crate::route::problem::{Haul, Load, Need, Problem, Stop, Vehicle, Window};
use crate::route::sheet::{Lack, LeftOut, Sheet};
use crate::route::{Visit, check};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// An urgent visit may come later than the first moment at which somebody can be there by this, in
/// seconds.
const AT_ONCE: u32 = 120;

/// A visit that finds no place may come later by this, in seconds, and then by twice as much more,
/// and so on.
const GRACE: u32 = 300;

/// So often it is tried to make who is late half as late.
const NARROWING: u32 = 6;

/// What it costs to leave out a visit: more than any way of a night costs in the unit of a
/// patrol's rates. An urgent one is worth more than sixty others.
const AGREED: Need = Need::Optional(3_000_000);
const URGENT: Need = Need::Optional(200_000_000);

/// What is known of a stop.
struct Call<'a> {
    agreed: &'a AgreedVisit,
    /// Since when it is urgent.
    urgent: Option<Timestamp>,
    /// The latest moment at which it should begin; none if there is none.
    due: Option<Timestamp>,
    stop: Stop,
}

impl<'a> Desk<'a> {
    /// Plans who is visited when.
    pub(super) fn patrol(
        &self,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Sheet, PlanningError> {
        let (mut calls, unable) = self.calls(task);
        let mut problem = Problem {
            name: self.name.to_owned(),
            matrix: self.ways.matrix.clone(),
            stops: calls.iter().map(|call| call.stop.clone()).collect(),
            vehicles: self.fleet(task),
            sites: Vec::new(),
            haul: Haul::Collect,
        };
        let under_way = self.under_way(task);
        if let Some(under_way) = &under_way {
            under_way.freeze(&mut problem);
        }
        let (found, nobody) = match &task.given {
            Some(routes) => {
                // whoever brings a plan knows that somebody will be late
                problem
                    .stops
                    .iter_mut()
                    .for_each(|stop| stop.window.latest = Window::ALWAYS.latest);
                let plan = given(&problem, &self.still_open(task, &routes.routes))?;
                let reckoning = check(&problem, &plan).map_err(PlanningError::Faulty)?;
                let nobody = "the plan from the cloud does not visit it";
                (Found { plan, reckoning, iterations: None }, nobody)
            }
            None => {
                let found = self.in_time_or_late(task, &calls, &mut problem, calibration, go_on)?;
                (found, "there is no time for it in any shift, however late")
            }
        };
        let mut missed: Vec<usize> = found.plan.unserved.clone();
        missed.sort_unstable();
        let missed: Vec<Call<'_>> = missed.into_iter().rev().map(|i| calls.remove(i)).collect();
        let late = self.lateness(task, &problem, &found.reckoning, &calls);
        let notes = calls.iter().map(|call| {
            let reason = self.reason(call, late.get(call.stop.id.as_str()).copied());
            (call.stop.id.clone(), Note { level: None, reason })
        });
        let notes: HashMap<String, Note> = notes.collect();
        let missed = missed.iter().map(|call| left_out(call.agreed, &call.stop.id, nobody));
        let left_out: Vec<LeftOut> = unable.into_iter().chain(missed).collect();
        let lacks = lacks(&late, left_out.len());
        let cost = self.price(&problem, &found);
        let draft =
            Draft { problem: &problem, found, notes, left_out, lacks, cost, prizes: 0, under_way };
        Ok(self.write(task, &draft))
    }

    /// Routes as they are told, without what patrols did that are back.
    fn still_open(
        &self,
        task: &Task,
        routes: &[(String, Vec<String>)],
    ) -> Vec<(String, Vec<String>)> {
        let made = self.made(task);
        let open = |stops: &Vec<String>| {
            stops.iter().filter(|stop| !made.contains(*stop)).cloned().collect()
        };
        routes.iter().map(|(vehicle, stops)| (vehicle.clone(), open(stops))).collect()
    }

    /// The stops that patrols on duty have made, or begun.
    fn begun(&self, task: &Task) -> BTreeSet<&'a str> {
        let under_way = self.under_way(task);
        let stops = under_way.iter().flat_map(|under_way| under_way.stops());
        stops.map(|stop| stop.id.as_str()).collect()
    }

    /// The visits of this night that were made by patrols that are back, or not there any more.
    fn made(&self, task: &Task) -> BTreeSet<String> {
        let calendar = &self.scheme.calendar;
        let tonight = self.scheme.begin(task.day).max(calendar.free_from(task.day));
        let begun = self.begun(task);
        let visits = self.kept.visits(task.now).into_iter();
        let made = visits.filter(|(stop, at)| at.at >= tonight && !begun.contains(stop.as_str()));
        made.map(|(stop, _)| stop).collect()
    }

    /// All that is to be visited, and what nobody can visit.
    fn calls(&self, task: &Task) -> (Vec<Call<'a>>, Vec<LeftOut>) {
        let (mut calls, mut unable) = (Vec::new(), Vec::new());
        let calendar = &self.scheme.calendar;
        let (begun, made) = (self.begun(task), self.made(task));
        let mut urgent: Vec<(&str, &str, Option<Timestamp>)> = Vec::new();
        for Asked { stop, of, since, .. } in &self.kept.asked {
            urgent.push((stop, of, Some(*since)));
        }
        for &stop in &begun {
            if let Some(of) = Asked::visit_of(stop)
                && !self.kept.asked.iter().any(|asked| asked.stop == stop)
            {
                urgent.push((stop, of, None));
            }
        }
        // whether somebody is able is not a matter of who is on duty still
        let fleet: Vec<Vehicle> = self.scheme.vehicles(task.day, 0);
        for (i, agreed) in self.scheme.visits.iter().enumerate() {
            let settings = &agreed.settings;
            let place = self.scheme.first_stop() + i;
            let stop = |id: &str, window: Window, need: Need| Stop {
                id: id.to_owned(),
                place,
                window,
                service: seconds(settings.service),
                load: Load::default(),
                skills: self.scheme.bits(&settings.skills, settings.crew),
                release: 0,
                need,
            };
            let mut ours = Vec::new();
            if !made.contains(&settings.id) {
                let window = self.scheme.window(task.day, agreed.window);
                let due = agreed.window.map(|_| calendar.moment(task.day, window.latest));
                let stop = stop(&settings.id, window, AGREED);
                ours.push(Call { agreed, urgent: None, due, stop });
            }
            for (id, _, since) in urgent.iter().filter(|(_, of, _)| *of == settings.id) {
                let due = since.and_then(|since| since.checked_add(settings.urgent_within).ok());
                let stop = stop(id, Window::ALWAYS, URGENT);
                ours.push(Call { agreed, urgent: *since, due, stop });
            }
            let able = |vehicle: &Vehicle| {
                stop("", Window::ALWAYS, AGREED).skills & !vehicle.skills == 0
                    && self.reached(vehicle)
            };
            let why = if let Some(why) = self.ways.unreachable(place) {
                Some(why.to_string())
            } else if !fleet.iter().any(able) {
                Some("nobody has the skills or the number of people that it takes".to_owned())
            } else {
                None
            };
            // who has begun was able
            let (possible, others): (Vec<_>, Vec<_>) = ours
                .into_iter()
                .partition(|call| why.is_none() || begun.contains(call.stop.id.as_str()));
            calls.extend(possible);
            let why = why.unwrap_or_default();
            unable.extend(others.iter().map(|call| left_out(agreed, &call.stop.id, &why)));
        }
        (calls, unable)
    }

    /// Searches until each visit has found a place: with wider windows for those that have none,
    /// and then with narrower ones for those that are late.
    fn in_time_or_late(
        &self,
        task: &Task,
        calls: &[Call<'_>],
        problem: &mut Problem,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Found, PlanningError> {
        let now = self.scheme.calendar.seconds(task.day, task.now);
        let soon = if now > 0 { now.saturating_add(LEAD) } else { 0 };
        let last = problem.vehicles.iter().map(|vehicle| vehicle.shift.latest).max().unwrap_or(0);
        let done: HashSet<Visit> =
            problem.vehicles.iter().flat_map(|vehicle| &vehicle.frozen).copied().collect();
        for (i, call) in calls.iter().enumerate() {
            if call.urgent.is_some() && !done.contains(&Visit::Stop(i)) {
                let first = first_moment(problem, i, soon).unwrap_or(last);
                problem.stops[i].window.latest = first.saturating_add(AT_ONCE);
            }
        }
        let (mut from, mut all_moves, mut step) = (None, 0, GRACE);
        let mut plan = loop {
            let (plan, moves) = self.search(problem, from.as_ref(), calibration, go_on);
            all_moves += moves;
            let mut widened = false;
            for stop in &plan.unserved {
                let window = &mut problem.stops[*stop].window;
                if window.latest < last {
                    window.latest = window.latest.max(soon).saturating_add(step).min(last);
                    widened = true;
                }
            }
            if !widened {
                break plan;
            }
            step = step.saturating_mul(2);
            from = Some(plan);
        };
        let mut reckoning = check(problem, &plan).map_err(PlanningError::Faulty)?;
        // who is late by as little as can be, as far as is known
        let mut settled = done;
        for _ in 0..NARROWING {
            let late = self.lateness(task, problem, &reckoning, calls);
            let begins = begins(&reckoning);
            let mut narrower = problem.clone();
            let mut tried = Vec::new();
            for (i, call) in calls.iter().enumerate() {
                let late = late.get(call.stop.id.as_str());
                if let (Some(late), Some(begin)) = (late, begins.get(&i))
                    && !settled.contains(&Visit::Stop(i))
                {
                    narrower.stops[i].window.latest = begin.saturating_sub(late / 2 + 1);
                    tried.push(i);
                }
            }
            if tried.is_empty() {
                break;
            }
            let (better, moves) = self.search(&narrower, Some(&plan), calibration, go_on);
            all_moves += moves;
            let lost = |stop: &&usize| !plan.unserved.contains(*stop);
            let lost: Vec<usize> = better.unserved.iter().filter(lost).copied().collect();
            if lost.is_empty() {
                reckoning = check(&narrower, &better).map_err(PlanningError::Faulty)?;
                (*problem, plan) = (narrower, better);
            } else if lost.iter().any(|stop| tried.contains(stop)) {
                settled.extend(lost.into_iter().map(Visit::Stop));
            } else {
                break;
            }
        }
        Ok(Found { plan, reckoning, iterations: Some(all_moves) })
    }

    /// By how many seconds visits are late, by their names.
    fn lateness<'c>(
        &self,
        task: &Task,
        problem: &Problem,
        reckoning: &Reckoning,
        calls: &'c [Call<'_>],
    ) -> HashMap<&'c str, u32> {
        let numbers: HashMap<&str, usize> =
            problem.stops.iter().enumerate().map(|(i, stop)| (stop.id.as_str(), i)).collect();
        let begins = begins(reckoning);
        let late = calls.iter().filter_map(|call| {
            let begin = begins.get(numbers.get(call.stop.id.as_str())?)?;
            let begin = self.scheme.calendar.moment(task.day, *begin);
            let late = begin.duration_since(call.due?).as_secs();
            (late > 0).then(|| (call.stop.id.as_str(), u32::try_from(late).unwrap_or(u32::MAX)))
        });
        late.collect()
    }

    /// What a plan costs in thousandths of the currency: the solver has reckoned in another unit.
    fn price(&self, problem: &Problem, found: &Found) -> u64 {
        let vehicles = &self.scheme.settings.vehicle;
        let price = |route: &CheckedRoute| {
            let id = &problem.vehicles[route.vehicle].id;
            let Some(vehicle) = vehicles.iter().find(|vehicle| vehicle.id == *id) else {
                return 0.0;
            };
            let (km, hours) = (route.distance as f64 / 1000.0, route.driving as f64 / 3600.0);
            vehicle.day_cost + km * vehicle.km_cost + hours * vehicle.hour_cost
        };
        let all: f64 = found.reckoning.routes.iter().map(price).sum();
        (all * THOUSANDTHS).round() as u64
    }

    fn reason(&self, call: &Call<'_>, late: Option<u32>) -> String {
        let zone = &self.scheme.calendar.zone;
        let clock = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
        let settings = &call.agreed.settings;
        let why = match (call.urgent, settings.window) {
            (Some(since), _) => {
                let due = call.due.unwrap_or(since);
                format!("urgent since {}, by {}", clock(since), clock(due))
            }
            (None, Some(hours)) => format!("agreed: {hours}"),
            (None, None) => "agreed: at any time".to_owned(),
        };
        match late {
            Some(late) => format!("{why}; {} min late", minutes(late)),
            None => why,
        }
    }
}

fn minutes(seconds: u32) -> u32 {
    seconds.div_ceil(60)
}

fn left_out(agreed: &AgreedVisit, stop: &str, why: &str) -> LeftOut {
    LeftOut {
        id: stop.to_owned(),
        lat: Some(agreed.position.lat()),
        lon: Some(agreed.position.lon()),
        level: None,
        must: true,
        reason: why.to_owned(),
    }
}

/// When the visits to stops begin, by their numbers, in the seconds of the night.
fn begins(reckoning: &Reckoning) -> HashMap<usize, u32> {
    let visits = reckoning.routes.iter().flat_map(|route| &route.visits);
    let begins = visits.filter_map(|checked| match checked.visit {
        Visit::Stop(number) => Some((number, u32::try_from(checked.begin).unwrap_or(u32::MAX))),
        Visit::Site(_) | Visit::Pause => None,
    });
    begins.collect()
}

/// The first moment at which somebody who is able can be at a stop; none if nobody can.
fn first_moment(problem: &Problem, stop: usize, soon: u32) -> Option<u32> {
    let Stop { place, skills, .. } = problem.stops[stop];
    let moments = problem.vehicles.iter().filter_map(|vehicle| {
        let done = || {
            vehicle.frozen.iter().filter_map(|visit| match *visit {
                Visit::Stop(stop) => Some(&problem.stops[stop]),
                Visit::Site(_) | Visit::Pause => None,
            })
        };
        let full = done().count() >= vehicle.most_stops as usize;
        if full || skills & !vehicle.skills != 0 {
            return None;
        }
        let last = done().next_back();
        let over = last.map_or(0, |stop| stop.window.earliest.saturating_add(stop.service));
        let free = vehicle.shift.earliest.max(vehicle.not_before).max(soon).max(over);
        let way = problem.matrix.time(last.map_or(vehicle.start, |stop| stop.place), place);
        (way < NO_WAY).then(|| free.saturating_add(way))
    });
    moments.min()
}

/// What a night lacks. Nobody is named: it goes to the journal.
fn lacks(late: &HashMap<&str, u32>, missing: usize) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if let Some(most) = late.values().max() {
        let (count, most) = (late.len(), minutes(*most));
        let visits = if count == 1 { "visit is" } else { "visits are" };
        lacks.push(Lack {
            kind: "late".to_owned(),
            text: format!("{count} {visits} late, by up to {most} min"),
            text_sv: format!("{count} besök blir sena, med upp till {most} min"),
        });
    }
    if missing > 0 {
        let visits = if missing == 1 { "visit cannot" } else { "visits cannot" };
        lacks.push(Lack {
            kind: "missing".to_owned(),
            text: format!("{missing} {visits} be made by anybody"),
            text_sv: format!("{missing} besök kan ingen göra"),
        });
    }
    lacks
}
