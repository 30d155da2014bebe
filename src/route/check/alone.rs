//! Whether a stop could be served if there were no others.

use super::super::plan::{Plan, Route, Visit};
use super::super::problem::Problem;
use super::{Fault, check};

/// How many vehicles are tried: enough for the sorts of a fleet.
const MOST_VEHICLES: usize = 50;
/// How many sites are tried with each.
const MOST_SITES: usize = 10;

/// Gives a stop a vehicle of its own, after what that vehicle has done already.
///
/// # Errors
/// What stands against it with the vehicle that comes nearest; nothing, if there is no vehicle.
pub fn alone(problem: &Problem, stop: usize) -> Result<(), Vec<Fault>> {
    let others = (0..problem.stops.len()).filter(|other| *other != stop);
    let mut nearest: Option<Vec<Fault>> = None;
    for vehicle in 0..problem.vehicles.len().min(MOST_VEHICLES) {
        let mut here = problem.clone();
        for (number, other) in here.vehicles.iter_mut().enumerate() {
            if number != vehicle {
                other.frozen.clear();
            }
        }
        let begun = &problem.vehicles[vehicle].frozen;
        let unserved = others.clone().filter(|other| !begun.contains(&Visit::Stop(*other)));
        let unserved: Vec<usize> = unserved.collect();
        let sites = problem.sites.len().min(MOST_SITES);
        for site in std::iter::once(None).chain((0..sites).map(Some)) {
            let mut visits = vec![Visit::Stop(stop)];
            visits.extend(site.map(Visit::Site));
            for pause in std::iter::once(None).chain((0..=visits.len()).map(Some)) {
                let mut visits = visits.clone();
                if let Some(at) = pause {
                    visits.insert(at, Visit::Pause);
                }
                visits.splice(0..0, begun.iter().copied());
                let plan =
                    Plan { routes: vec![Route { vehicle, visits }], unserved: unserved.clone() };
                match check(&here, &plan) {
                    Ok(_) => return Ok(()),
                    Err(faults) if nearest.as_ref().is_none_or(|n| faults.len() < n.len()) => {
                        nearest = Some(faults);
                    }
                    Err(_) => {}
                }
            }
        }
    }
    Err(nearest.unwrap_or_default())
}
