//! A valid plan with one thing wrong: the checker finds it, and says what it is.

use lykta::route::check::Fault;
use lykta::route::file;
use lykta::route::problem::{Haul, Need, Problem};
use lykta::route::{Plan, Reckoning, Route, Visit, check};
use proptest::prelude::*;

/// Two trucks, two tips, eight bins and two that are optional, on a line of minutes and
/// kilometres. Every rule of the model binds somewhere.
fn problem() -> Problem {
    let text = std::fs::read_to_string(crate::data("street.json")).unwrap();
    file::read(&text).unwrap().problem
}

use Visit::{Pause, Site, Stop};

fn plan() -> Plan {
    Plan {
        routes: vec![
            Route {
                vehicle: 0,
                visits: vec![Stop(0), Stop(1), Site(0), Pause, Stop(2), Stop(3), Site(0)],
            },
            Route {
                vehicle: 1,
                visits: vec![Stop(4), Stop(5), Site(1), Stop(6), Pause, Stop(7), Site(1)],
            },
        ],
        unserved: vec![8, 9],
    }
}

/// Without one of its visits.
fn forget(plan: &mut Plan, route: usize, at: usize) {
    let _ = plan.routes[route].visits.remove(at);
}

fn faults(problem: &Problem, plan: &Plan) -> Vec<Fault> {
    check(problem, plan).err().unwrap_or_default()
}

fn told(problem: &Problem, plan: &Plan) -> String {
    let faults = faults(problem, plan);
    assert!(!faults.is_empty(), "nothing was found");
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn the_plan_is_valid_and_counted() {
    let reckoning = check(&problem(), &plan()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    insta::assert_debug_snapshot!(reckoning);
}

#[test]
fn the_cost_is_the_sum_of_its_parts() {
    let problem = problem();
    let Reckoning { cost, prizes, missing, routes, .. } = check(&problem, &plan()).unwrap();
    assert_eq!(missing, [9], "stop 9 has no prize: it must be visited");
    assert_eq!(prizes, 700);
    let by_hand: u64 = routes.iter().map(|r| 1000 + r.distance + 2 * r.driving).sum();
    assert_eq!(cost, by_hand + prizes);
}

#[test]
fn leaving_later_changes_nothing_but_the_waiting() {
    let mut problem = problem();
    let before = check(&problem, &plan()).unwrap();
    for (i, route) in before.routes.iter().enumerate() {
        problem.vehicles[i].shift.earliest = u32::try_from(route.latest_start).unwrap();
    }
    let after = check(&problem, &plan()).unwrap();
    for (before, after) in before.routes.iter().zip(&after.routes) {
        assert_eq!(before.end, after.end);
        assert_eq!(before.waiting - after.waiting, after.start - before.start);
    }
    for i in 0..2 {
        let mut late = problem.clone();
        late.vehicles[i].shift.earliest += 1;
        let ends = check(&late, &plan()).map(|reckoning| reckoning.routes[i].end);
        assert_ne!(ends.ok(), Some(before.routes[i].end), "it could leave later still");
    }
}

/// One snapshot for all: the change, and what is said about it.
#[test]
fn each_rule_has_its_words() {
    type Change = fn(&mut Problem, &mut Plan);
    let changes: &[(&str, Change)] = &[
        ("a stop is dropped", |_, plan| forget(plan, 0, 0)),
        ("a stop is there twice", |_, plan| plan.routes[0].visits.insert(1, Stop(0))),
        ("a stop is served and unserved", |_, plan| plan.unserved.push(0)),
        ("a stop is unserved twice", |_, plan| plan.unserved.push(8)),
        ("a stop that is none", |_, plan| plan.routes[1].visits[0] = Stop(99)),
        ("an unserved stop that is none", |_, plan| plan.unserved.push(99)),
        ("a site that is none", |_, plan| plan.routes[0].visits[2] = Site(9)),
        ("a vehicle that is none", |_, plan| plan.routes[1].vehicle = 7),
        ("a vehicle twice", |_, plan| plan.routes[1].vehicle = 0),
        ("skills", |problem, _| problem.vehicles[1].skills = 0),
        ("no unloading between", |_, plan| forget(plan, 0, 2)),
        ("no unloading at the end", |_, plan| forget(plan, 0, 6)),
        ("aboard at the start", |problem, _| problem.vehicles[0].aboard.volume = 500),
        ("mass", |problem, _| problem.stops[0].load.mass = 9_001),
        ("load of a day", |problem, _| problem.vehicles[0].daily.volume = 3_000),
        ("stops of a day", |problem, _| problem.vehicles[0].most_stops = 3),
        ("unloadings of a day", |problem, _| problem.vehicles[1].most_unloadings = 1),
        ("a window of a stop", |_, plan| plan.routes[0].visits.swap(0, 5)),
        ("a window of a site", |problem, _| problem.sites[1].window.latest = 30_000),
        ("a service that takes long", |problem, _| problem.stops[7].service = 20_000),
        ("goods that come late", |problem, _| problem.stops[1].release = 40_000),
        ("no break", |_, plan| plan.routes[0].visits.retain(|visit| *visit != Pause)),
        ("two breaks", |_, plan| plan.routes[0].visits.push(Pause)),
        ("a break that is due to nobody", |problem, _| problem.vehicles[0].pause = None),
        ("a break that is late", |_, plan| {
            plan.routes[0].visits.remove(3);
            plan.routes[0].visits.push(Pause);
        }),
        ("a shift", |problem, _| problem.vehicles[0].shift.latest = 36_000),
        ("what is done is done", |problem, _| problem.vehicles[0].frozen = vec![Stop(1)]),
        ("a tour under way is not forgotten", |problem, plan| {
            problem.vehicles[0].frozen = vec![Stop(0)];
            let gone = plan.routes.remove(0);
            let stops = gone.visits.iter().filter_map(|visit| match visit {
                Stop(stop) => Some(*stop),
                _ => None,
            });
            plan.unserved.extend(stops);
        }),
        ("no way", |problem, plan| {
            problem.stops[8].place = problem.matrix.size() - 1;
            plan.unserved.retain(|stop| *stop != 8);
            plan.routes[0].visits.insert(0, Stop(8));
        }),
        ("delivered more than there is room", |problem, _| {
            problem.haul = Haul::Deliver;
            problem.vehicles[0].capacity.volume = 1_500;
        }),
    ];
    let mut all = String::new();
    for (name, change) in changes {
        let (mut problem, mut plan) = (problem(), plan());
        change(&mut problem, &mut plan);
        all.push_str(&format!("# {name}\n{}\n", told(&problem, &plan)));
    }
    insta::assert_snapshot!(all);
}

/// Any one change to a plan that is not itself another valid plan.
fn mutated(kind: usize, route: usize, at: usize) -> (Problem, Plan) {
    let (mut problem, mut plan) = (problem(), plan());
    let visits = &mut plan.routes[route].visits;
    let at = at % visits.len();
    match kind {
        0 => forget(&mut plan, route, at),
        1 => {
            let visit = visits[at];
            visits.insert(at, visit);
            // to unload twice is a detour, and no fault
            if let Site(_) = visit {
                problem.vehicles[route].most_unloadings = 2;
            }
        }
        2 => {
            if let Some(stop) =
                visits.iter().find_map(|v| if let Stop(s) = v { Some(*s) } else { None })
            {
                plan.unserved.push(stop);
            }
        }
        3 => problem.vehicles[route].shift.latest = 20_000,
        4 => problem.vehicles[route].capacity.volume = 1,
        5 => problem.vehicles[route].frozen = vec![visits[at], visits[at]],
        6 => {
            let other = 1 - route;
            let stolen = plan.routes[other].visits[at % plan.routes[other].visits.len()];
            if let Stop(_) = stolen {
                plan.routes[route].visits.insert(at, stolen);
            } else {
                plan.routes[route].vehicle = other;
            }
        }
        _ => problem.vehicles[route].skills = 0,
    }
    if kind == 7 {
        problem.stops[[0, 4][route]].skills = 4;
    }
    (problem, plan)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_single_change_goes_by(kind in 0usize..8, route in 0usize..2, at in 0usize..7) {
        let (problem, plan) = mutated(kind, route, at);
        prop_assert!(!faults(&problem, &plan).is_empty(), "{kind} {route} {at}: {plan:?}");
    }

    /// Any list of visits is counted or refused, and nothing is counted twice or forgotten.
    #[test]
    fn any_plan_has_an_answer(
        routes in proptest::collection::vec((0usize..4, proptest::collection::vec(0usize..16, 0..12)), 0..4),
        unserved in proptest::collection::vec(0usize..12, 0..8),
        deliver: bool,
    ) {
        let mut problem = problem();
        if deliver {
            problem.haul = Haul::Deliver;
        }
        let visit = |n: usize| match n {
            0..=11 => Stop(n),
            12..=14 => Site(n - 12),
            _ => Pause,
        };
        let routes = routes
            .into_iter()
            .map(|(vehicle, visits)| Route { vehicle, visits: visits.into_iter().map(visit).collect() })
            .collect();
        if let Ok(reckoning) = check(&problem, &Plan { routes, unserved }) {
            let visits = reckoning.routes.iter().flat_map(|route| &route.visits);
            prop_assert_eq!(visits.filter(|v| matches!(v.visit, Stop(_))).count(), reckoning.served);
            for route in &reckoning.routes {
                let busy = route.driving + route.waiting + route.service + route.pause;
                prop_assert_eq!(route.end - route.start, busy);
            }
        }
    }

    #[test]
    fn optional_stops_cost_their_prize(prize in 0u32..200_000_000) {
        let mut problem = problem();
        let before = check(&problem, &plan()).unwrap();
        problem.stops[8].need = Need::Optional(prize);
        let after = check(&problem, &plan()).unwrap();
        prop_assert_eq!(after.cost - u64::from(prize), before.cost - before.prizes);
    }
}
