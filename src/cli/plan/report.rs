//! A plan as JSON.

use crate::route::check::{CheckedRoute, CheckedVisit};
use crate::route::file::{Document, Format};
use crate::route::problem::{Need, Problem};
use crate::route::{Plan, Reckoning, Visit};
use serde_json::{Value, json};

/// Where a plan comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) seed: u64,
    pub(super) iterations: u64,
}

/// The plan with its times and loads, in the units of the problem; `told` is the cost as an
/// answer file has it.
pub(super) fn report(
    document: &Document,
    plan: &Plan,
    reckoning: &Reckoning,
    origin: Option<Origin>,
) -> Value {
    let problem = &document.problem;
    let format = match document.format {
        Format::Vrplib => "vrplib",
        Format::Solomon => "solomon",
        Format::Kim => "kim",
        Format::Json => "lykta",
    };
    let unserved = plan.unserved.iter().map(|&stop| {
        let stop = &problem.stops[stop];
        match stop.need {
            Need::Must => json!({ "id": stop.id, "must": true }),
            Need::Optional(prize) => json!({ "id": stop.id, "must": false, "prize": prize }),
        }
    });
    json!({
        "name": problem.name,
        "format": format,
        "cost": reckoning.cost,
        "told": document.format.cost(document.format.told(reckoning)),
        "feasible": reckoning.missing.is_empty(),
        "estimated": document.estimated,
        "seed": origin.map(|origin| origin.seed),
        "iterations": origin.map(|origin| origin.iterations),
        "routes": reckoning.routes.iter().map(|r| route(problem, r)).collect::<Vec<_>>(),
        "unserved": unserved.collect::<Vec<_>>(),
        "totals": {
            "routes": reckoning.routes.len(),
            "trips": reckoning.trips,
            "served": reckoning.served,
            "unserved": plan.unserved.len(),
            "missing": reckoning.missing.len(),
            "distance": reckoning.distance,
            "driving": reckoning.driving,
            "waiting": reckoning.waiting,
            "service": reckoning.service,
            "prizes": reckoning.prizes,
        },
    })
}

fn route(problem: &Problem, route: &CheckedRoute) -> Value {
    json!({
        "vehicle": problem.vehicles[route.vehicle].id,
        "start": route.start,
        "latestStart": route.latest_start,
        "end": route.end,
        "distance": route.distance,
        "driving": route.driving,
        "waiting": route.waiting,
        "service": route.service,
        "break": route.pause,
        "trips": route.trips,
        "volume": route.volume,
        "mass": route.mass,
        "cost": route.cost,
        "visits": route.visits.iter().map(|v| visit(problem, v)).collect::<Vec<_>>(),
    })
}

fn visit(problem: &Problem, checked: &CheckedVisit) -> Value {
    let (kind, id) = match checked.visit {
        Visit::Stop(stop) => ("stop", Some(&problem.stops[stop].id)),
        Visit::Site(site) => ("site", Some(&problem.sites[site].id)),
        Visit::Pause => ("break", None),
    };
    json!({
        "kind": kind,
        "id": id,
        "arrival": checked.arrival,
        "begin": checked.begin,
        "departure": checked.departure,
        "volume": checked.volume,
        "mass": checked.mass,
    })
}
