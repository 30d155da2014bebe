//! Every stop is somewhere, and nothing is anywhere twice.

use super::super::plan::{Plan, Visit};
use super::super::problem::Problem;
use super::Fault;
use std::collections::HashSet;

/// Every stop is visited once or listed once.
pub(super) fn each_stop_once(problem: &Problem, plan: &Plan, faults: &mut Vec<Fault>) {
    let stops = problem.stops.len();
    let mut served = vec![0_usize; stops];
    let mut unserved = vec![0_usize; stops];
    for route in &plan.routes {
        for visit in &route.visits {
            let Visit::Stop(stop) = *visit else { continue };
            match served.get_mut(stop) {
                Some(times) => *times += 1,
                None => {
                    let place = format!("the route of {}", name_of(problem, route.vehicle));
                    faults.push(Fault::UnknownStop { place, stop, stops });
                }
            }
        }
    }
    for &stop in &plan.unserved {
        match unserved.get_mut(stop) {
            Some(times) => *times += 1,
            None => {
                let place = "the list of unserved stops".to_owned();
                faults.push(Fault::UnknownStop { place, stop, stops });
            }
        }
    }
    for (i, stop) in problem.stops.iter().enumerate() {
        let stop = stop.id.clone();
        match (served[i], unserved[i]) {
            (1, 0) | (0, 1) => {}
            (0, 0) => faults.push(Fault::Forgotten { stop }),
            (0, times) => faults.push(Fault::UnservedTwice { stop, times }),
            (1, _) => faults.push(Fault::ServedAndUnserved { stop }),
            (times, _) => faults.push(Fault::ServedTwice { stop, times }),
        }
    }
}

/// Every vehicle has one route at most, and one that is under way has its route.
pub(super) fn each_vehicle_once(problem: &Problem, plan: &Plan, faults: &mut Vec<Fault>) {
    let mut seen = HashSet::new();
    for route in &plan.routes {
        if !seen.insert(route.vehicle) {
            let vehicle = name_of(problem, route.vehicle);
            faults.push(Fault::VehicleTwice { vehicle });
        }
    }
    for (number, vehicle) in problem.vehicles.iter().enumerate() {
        if !vehicle.frozen.is_empty() && !seen.contains(&number) {
            let frozen = vehicle.frozen.len();
            faults.push(Fault::Frozen { vehicle: vehicle.id.clone(), frozen });
        }
    }
}

fn name_of(problem: &Problem, vehicle: usize) -> String {
    problem.vehicles.get(vehicle).map_or_else(|| vehicle.to_string(), |vehicle| vehicle.id.clone())
}
