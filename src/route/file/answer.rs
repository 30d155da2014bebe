//! Answers as VRPLIB's `.sol`: `Route #1: 12 5 0 8` and `Cost 27591`.
//!
//! Stops and sites stand by their ids. Where a crew takes its break is not written; reading finds
//! a place for it.

use super::super::check::check;
use super::super::plan::{Plan, Route, Visit, unserved};
use super::super::problem::Problem;
use super::Document;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Writes a plan, with its cost.
#[must_use]
pub fn write(document: &Document, plan: &Plan, cost: u64) -> String {
    let problem = &document.problem;
    let mut text = String::new();
    for (number, route) in plan.routes.iter().enumerate() {
        let _ = write!(text, "Route #{}:", number + 1);
        for visit in &route.visits {
            let id = match *visit {
                Visit::Stop(stop) => &problem.stops[stop].id,
                Visit::Site(site) => &problem.sites[site].id,
                Visit::Pause => continue,
            };
            let _ = write!(text, " {id}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "Cost {}", document.format.cost(cost));
    text
}

/// Reads a plan, and the cost as the file tells it. Routes are given to the vehicles in their
/// order, and stops that no route has are unserved. Lines that are neither are left out.
///
/// A break goes to the first place at which the route breaks no rule.
///
/// # Errors
/// When a route names what the problem does not have, or there are more routes than vehicles.
pub fn read(problem: &Problem, text: &str) -> Result<(Plan, Option<String>), AnswerError> {
    let stops = problem.stops.iter().enumerate().map(|(i, stop)| (&*stop.id, Visit::Stop(i)));
    let sites = problem.sites.iter().enumerate().map(|(i, site)| (&*site.id, Visit::Site(i)));
    let visits: HashMap<&str, Visit> = sites.chain(stops).collect();
    let mut plan = Plan::default();
    let mut cost = None;
    for (number, line) in super::line::lines(text, None) {
        if let Some(told) = line.strip_prefix("Cost") {
            cost = Some(told.trim_start_matches(':').trim().to_owned());
        }
        let Some((_, list)) = line.split_once(':').filter(|_| line.starts_with("Route")) else {
            continue;
        };
        let vehicle = plan.routes.len();
        if vehicle == problem.vehicles.len() {
            return Err(AnswerError::Vehicles { line: number, vehicles: vehicle });
        }
        let visits = list
            .split_ascii_whitespace()
            .map(|id| {
                let id: String = id.chars().take(80).collect();
                visits.get(&*id).copied().ok_or(AnswerError::Unknown { line: number, id })
            })
            .collect::<Result<_, _>>()?;
        plan.routes.push(with_break(problem, Route { vehicle, visits }));
    }
    plan.unserved = unserved(problem, &plan.routes);
    Ok((plan, cost))
}

/// The route with a break at the first place where it fits, if it needs one.
fn with_break(problem: &Problem, route: Route) -> Route {
    if problem.vehicles[route.vehicle].pause.is_none() {
        return route;
    }
    // the other vehicles, if they are under way, would be missed
    let mut alone = problem.clone();
    for (number, vehicle) in alone.vehicles.iter_mut().enumerate() {
        if number != route.vehicle {
            vehicle.frozen.clear();
        }
    }
    if fits(&alone, &route) {
        return route;
    }
    for at in 0..=route.visits.len() {
        let mut with = route.clone();
        with.visits.insert(at, Visit::Pause);
        if fits(&alone, &with) {
            return with;
        }
    }
    route
}

/// Whether a plan of this route alone breaks no rule.
fn fits(problem: &Problem, route: &Route) -> bool {
    let unserved = unserved(problem, std::slice::from_ref(route));
    check(problem, &Plan { routes: vec![route.clone()], unserved }).is_ok()
}

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what its fields are")]
pub enum AnswerError {
    #[error("line {line}: there is neither a stop nor a site {id:?}")]
    Unknown { line: usize, id: String },
    #[error("line {line}: one route more than the {vehicles} vehicles")]
    Vehicles { line: usize, vehicles: usize },
}
