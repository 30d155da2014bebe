//! The answer to a problem: who visits what, in which order.

use super::problem::Problem;

/// One visit of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visit {
    /// The stop of this number in [`super::Problem::stops`] is served.
    Stop(usize),
    /// The site of this number in [`super::Problem::sites`] is visited: the vehicle unloads, or
    /// loads again.
    Site(usize),
    /// The crew's break, where the vehicle stands.
    Pause,
}

/// What one vehicle does, from its start to its end, which are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its number in [`super::Problem::vehicles`].
    pub vehicle: usize,
    /// What it does, in this order.
    pub visits: Vec<Visit>,
}

/// All routes of a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The routes that leave, by vehicle.
    pub routes: Vec<Route>,
    /// The stops that nobody visits, in order.
    pub unserved: Vec<usize>,
}

/// The stops that no route has.
pub(super) fn unserved(problem: &Problem, routes: &[Route]) -> Vec<usize> {
    let mut served = vec![false; problem.stops.len()];
    for visit in routes.iter().flat_map(|route| &route.visits) {
        if let Visit::Stop(stop) = *visit {
            served[stop] = true;
        }
    }
    (0..served.len()).filter(|stop| !served[*stop]).collect()
}
