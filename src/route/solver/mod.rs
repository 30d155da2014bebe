//! A placeholder: the nearest stop that still fits.

use super::check::check;
use super::plan::{Plan, Route, Visit};
use super::problem::{Haul, Problem};

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where chance begins.
    pub seed: u64,
    /// How many iterations at the most.
    pub iterations: u64,
}

/// How far the search has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// How many iterations are done.
    pub iterations: u64,
    /// The best cost.
    pub cost: u64,
}

/// Solves a problem. `go_on` is asked now and then; the best plan so far is given when it says no.
pub fn solve(
    problem: &Problem,
    _settings: &Settings,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    let mut open: Vec<usize> = (0..problem.stops.len()).collect();
    for vehicle in &problem.vehicles {
        open.retain(|stop| !vehicle.frozen.contains(&Visit::Stop(*stop)));
    }
    let mut iterations = 0;
    for (number, vehicle) in problem.vehicles.iter().enumerate() {
        let mut route = Route { vehicle: number, visits: vehicle.frozen.clone() };
        let mut best = finished(problem, &route);
        loop {
            let here = route.visits.iter().rev().find_map(|visit| match *visit {
                Visit::Stop(stop) => Some(problem.stops[stop].place),
                Visit::Site(site) => Some(problem.sites[site].place),
                Visit::Pause => None,
            });
            let here = here.unwrap_or(vehicle.start);
            let mut near = open.clone();
            near.sort_by_key(|stop| problem.matrix.distance(here, problem.stops[*stop].place));
            let next = near.iter().take(25).find_map(|&stop| {
                let mut tries = vec![vec![Visit::Stop(stop)]];
                tries.extend(
                    (0..problem.sites.len().min(2))
                        .map(|s| vec![Visit::Site(s), Visit::Stop(stop)]),
                );
                tries.push(vec![Visit::Pause, Visit::Stop(stop)]);
                tries.into_iter().find_map(|more| {
                    let mut with = route.clone();
                    with.visits.extend(more);
                    finished(problem, &with).map(|finished| (stop, with, finished))
                })
            });
            iterations += 1;
            let Some((stop, with, whole)) = next else { break };
            open.retain(|other| *other != stop);
            (route, best) = (with, Some(whole));
            if !go_on(Progress { iterations, cost: 0 }) {
                break;
            }
        }
        if let Some(route) = best.filter(|route| !route.visits.is_empty()) {
            plan.routes.push(route);
        }
    }
    plan.unserved = open;
    go_on(Progress { iterations, cost: 0 });
    plan
}

/// The route with what is still needed at its end, if it can be so.
fn finished(problem: &Problem, route: &Route) -> Option<Route> {
    let mut ends = vec![vec![], vec![Visit::Pause]];
    if problem.haul == Haul::Collect {
        let sites = (0..problem.sites.len()).map(Visit::Site);
        ends.extend(sites.flat_map(|site| [vec![site], vec![Visit::Pause, site]]));
    }
    let mut alone = problem.clone();
    for (number, vehicle) in alone.vehicles.iter_mut().enumerate() {
        if number != route.vehicle {
            vehicle.frozen.clear();
        }
    }
    ends.into_iter().find_map(|end| {
        let mut with = route.clone();
        with.visits.extend(end);
        let unserved =
            (0..problem.stops.len()).filter(|s| !with.visits.contains(&Visit::Stop(*s))).collect();
        check(&alone, &Plan { routes: vec![with.clone()], unserved }).ok().map(|_| with)
    })
}
