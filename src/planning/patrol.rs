//! Plans for patrols: everybody is visited, the urgent in time and first.
//!
//! A visit that cannot be made in time is made late, and said to be late, before it is left out.
//! So windows are widened step by step for those visits that found no place, and for no others:
//! whoever was to be visited in time still is, and who is late is so by as little as can be, the
//! urgent last of all.

use super::PlanningError;
use super::draft::{Calibration, Desk, GoOn, Task};
use super::kept::Asked;
use super::scheme::{AgreedVisit, LEAD, seconds};
use super::writing::{Draft, Found, Note};
use crate::route::given::given;
use crate::route::problem::{Haul, Load, Need, Problem, Stop, Vehicle, Window};
use crate::route::sheet::{Lack, LeftOut, Sheet};
use crate::route::{Visit, check};
use jiff::Timestamp;
use std::collections::HashMap;

/// A visit that finds no place may be late by this, in seconds, and then by twice as much more, and
/// so on.
const GRACE: u32 = 900;

/// What it costs to leave out a visit: more than any way. An urgent one is worth ten others.
const AGREED: Need = Need::Optional(10_000_000);
const URGENT: Need = Need::Optional(100_000_000);

/// What is known of a stop.
struct Call<'a> {
    agreed: &'a AgreedVisit,
    /// Since when it is urgent.
    urgent: Option<Timestamp>,
    stop: Stop,
}

impl Desk<'_> {
    /// Plans who is visited when.
    pub(super) fn patrol(
        &self,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Sheet, PlanningError> {
        let fleet = self.fleet(task);
        let (mut calls, left_out) = self.calls(task, &fleet);
        let mut problem = Problem {
            name: self.name.to_owned(),
            matrix: self.ways.matrix.clone(),
            stops: calls.iter().map(|call| call.stop.clone()).collect(),
            vehicles: fleet,
            sites: Vec::new(),
            haul: Haul::Collect,
        };
        let under_way = self.under_way(task);
        if let Some(under_way) = &under_way {
            under_way.freeze(&mut problem);
        }
        let found = match &task.given {
            Some(routes) => {
                // whoever brings a plan knows that somebody will be late
                problem
                    .stops
                    .iter_mut()
                    .for_each(|stop| stop.window.latest = Window::ALWAYS.latest);
                let plan = given(&problem, &routes.routes)?;
                let reckoning = check(&problem, &plan).map_err(PlanningError::Faulty)?;
                Found { plan, reckoning, iterations: None }
            }
            None => self.in_time_or_late(task, &mut problem, calibration, go_on)?,
        };
        let missed: Vec<Call<'_>> =
            found.plan.unserved.iter().rev().map(|stop| calls.remove(*stop)).collect();
        let late = lateness(&problem, &found, &calls);
        let mut notes: HashMap<String, Note> = calls
            .iter()
            .map(|call| {
                let reason = self.reason(call, late.get(call.stop.id.as_str()).copied());
                (call.stop.id.clone(), Note { level: None, reason })
            })
            .collect();
        for (stop, reason) in under_way.iter().flat_map(|under_way| under_way.reasons()) {
            notes.entry(stop.to_owned()).or_default().reason = reason.to_owned();
        }
        let no_time = "there is no time for it in any shift, however late";
        let no_time = missed.iter().map(|call| left_out_of(call.agreed, &call.stop.id, no_time));
        let left_out: Vec<LeftOut> = left_out.into_iter().chain(no_time).collect();
        let lacks = lacks(&late, left_out.len());
        let draft = Draft { problem: &problem, found, notes, left_out, lacks, prizes: 0 };
        Ok(self.write(task, &draft))
    }

    /// All that is to be visited, and what nobody can visit.
    fn calls(&self, task: &Task, fleet: &[Vehicle]) -> (Vec<Call<'_>>, Vec<LeftOut>) {
        let (mut calls, mut left_out) = (Vec::new(), Vec::new());
        let second = |at| self.scheme.calendar.seconds(task.day, at);
        let mut asked: Vec<(&str, &str, Option<Timestamp>)> = Vec::new();
        for Asked { stop, of, since } in &self.kept.asked {
            asked.push((stop, of, Some(*since)));
        }
        // urgent ones of this night that are done
        for stop in self.under_way(task).iter().flat_map(|under_way| under_way.stops()) {
            let visit = Asked::visit_of(stop).filter(|_| !self.scheme.has(stop));
            asked.extend(visit.map(|visit| (stop, visit, None)));
        }
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
            let mut ours = vec![Call {
                agreed,
                urgent: None,
                stop: stop(&settings.id, agreed.window, AGREED),
            }];
            for (id, _, since) in asked.iter().filter(|(_, of, _)| *of == settings.id) {
                let due = since.and_then(|since| since.checked_add(settings.urgent_within).ok());
                let latest = due.map_or(Window::ALWAYS.latest, second);
                let window = Window { earliest: 0, latest };
                ours.push(Call { agreed, urgent: *since, stop: stop(id, window, URGENT) });
            }
            let able = |vehicle: &Vehicle| ours[0].stop.skills & !vehicle.skills == 0;
            let why = if let Some(why) = self.ways.unreachable(place) {
                why.to_string()
            } else if !fleet.iter().any(able) && !fleet.is_empty() {
                "nobody on duty has the skills or the number of people that it takes".to_owned()
            } else {
                calls.append(&mut ours);
                continue;
            };
            left_out.extend(ours.iter().map(|call| left_out_of(agreed, &call.stop.id, &why)));
        }
        (calls, left_out)
    }

    /// Searches until each visit has found a place, widening the windows of those that have not.
    fn in_time_or_late(
        &self,
        task: &Task,
        problem: &mut Problem,
        calibration: &mut Option<Calibration>,
        go_on: &mut GoOn<'_>,
    ) -> Result<Found, PlanningError> {
        let now = self.scheme.calendar.seconds(task.day, task.now);
        let soon = if now > 0 { now.saturating_add(LEAD) } else { 0 };
        let last = problem.vehicles.iter().map(|vehicle| vehicle.shift.latest).max().unwrap_or(0);
        let (mut from, mut all_moves, mut step) = (None, 0, GRACE);
        let plan = loop {
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
            step *= 2;
            from = Some(plan);
        };
        let reckoning = check(problem, &plan).map_err(PlanningError::Faulty)?;
        Ok(Found { plan, reckoning, iterations: Some(all_moves) })
    }

    fn reason(&self, call: &Call<'_>, late: Option<u32>) -> String {
        let zone = &self.scheme.calendar.zone;
        let clock = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
        let settings = &call.agreed.settings;
        let why = match (call.urgent, settings.window) {
            (Some(since), _) => {
                let due = since.checked_add(settings.urgent_within).unwrap_or(since);
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

fn left_out_of(agreed: &AgreedVisit, stop: &str, why: &str) -> LeftOut {
    LeftOut {
        id: stop.to_owned(),
        lat: Some(agreed.position.lat()),
        lon: Some(agreed.position.lon()),
        level: None,
        must: true,
        reason: why.to_owned(),
    }
}

/// By how many seconds visits are late.
fn lateness<'a>(problem: &Problem, found: &Found, calls: &'a [Call<'_>]) -> HashMap<&'a str, u32> {
    let due: HashMap<&str, (&'a str, u32)> = calls
        .iter()
        .map(|Call { stop, .. }| (stop.id.as_str(), (stop.id.as_str(), stop.window.latest)))
        .collect();
    let visits = found.reckoning.routes.iter().flat_map(|route| &route.visits);
    let late = visits.filter_map(|checked| {
        let Visit::Stop(number) = checked.visit else { return None };
        let (id, due) = due.get(problem.stops[number].id.as_str())?;
        let late = checked.begin.saturating_sub(u64::from(*due));
        (late > 0).then(|| (*id, u32::try_from(late).unwrap_or(u32::MAX)))
    });
    late.collect()
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
