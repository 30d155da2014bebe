//! The solver against the checker: whatever problem there is, its plan keeps every rule.

use super::{data, document, text};
use lykta::route::check::{Reckoning, check};
use lykta::route::matrix::{Matrix, NO_WAY};
use lykta::route::problem::{
    Haul, LARGEST_PRIZE, Load, Need, Pause, Problem, Rates, Site, Stop, Vehicle, Window,
};
use lykta::route::solver::{Settings, Solution, Solver};
use lykta::route::{Plan, Visit, file};
use proptest::collection::vec;
use proptest::prelude::*;

fn solve(problem: &Problem, seed: u64, iterations: u64, from: Option<&Plan>) -> Solution {
    Solver::new(problem).solve(&Settings { seed, iterations, from }, &mut |_| true)
}

/// The reckoning of a plan that has to be without fault.
fn checked(problem: &Problem, plan: &Plan) -> Reckoning {
    check(problem, plan)
        .unwrap_or_else(|faults| panic!("{faults:#?}\nof {plan:?}\nfor {problem:#?}"))
}

fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        2 => Just(Window::ALWAYS),
        1 => (0..400u32, 0..400u32).prop_map(|(earliest, length)| Window { earliest, latest: earliest + length }),
    ]
}

fn need() -> impl Strategy<Value = Need> {
    prop_oneof![
        3 => Just(Need::Must),
        1 => (0..300u32).prop_map(Need::Optional),
        1 => Just(Need::Optional(LARGEST_PRIZE)),
    ]
}

fn stop(places: usize) -> impl Strategy<Value = Stop> {
    (
        (0..places, window(), 0..30u32, 0..12u32, 0..12u32),
        (
            prop_oneof![4 => Just(0u32), 1 => 0..4u32],
            prop_oneof![4 => Just(0u32), 1 => 0..300u32],
            need(),
        ),
    )
        .prop_map(|((place, window, service, volume, mass), (skills, release, need))| Stop {
            id: String::new(),
            place,
            window,
            service,
            load: Load { volume, mass },
            skills,
            release,
            need,
        })
}

fn vehicle(places: usize) -> impl Strategy<Value = Vehicle> {
    let shift = prop_oneof![
        Just(Window::ALWAYS),
        (0..200u32, 100..900u32)
            .prop_map(|(earliest, length)| Window { earliest, latest: earliest + length }),
    ];
    let pause = (100..400u32, 0..200u32, 1..60u32).prop_map(|(earliest, slack, length)| Pause {
        window: Window { earliest, latest: earliest + slack },
        length,
    });
    let most = || prop_oneof![3 => Just(u32::MAX), 1 => 0..6u32];
    (
        (0..places, 0..places, shift, 1..40u32, 1..40u32),
        (prop_oneof![3 => Just(Load::UNBOUNDED), 1 => (0..60u32, 0..60u32).prop_map(|(volume, mass)| Load { volume, mass })]),
        (most(), most(), proptest::option::weighted(0.3, pause), 0..4u32),
        (0..200u32, 0..3u32, 0..3u32),
    )
        .prop_map(|((start, end, shift, volume, mass), daily, (most_stops, most_unloadings, pause, skills), rates)| {
            Vehicle {
                id: String::new(),
                start,
                end,
                shift,
                capacity: Load { volume, mass },
                aboard: Load::default(),
                daily,
                most_stops,
                most_unloadings,
                pause,
                skills,
                rates: Rates { fixed: rates.0, distance: rates.1, time: rates.2 },
                frozen: Vec::new(),
                not_before: 0,
            }
        })
}

fn site(places: usize) -> impl Strategy<Value = Site> {
    (0..places, window(), 0..20u32).prop_map(|(place, window, service)| Site {
        id: String::new(),
        place,
        window,
        service,
    })
}

/// A problem on a map, where a detour is never shorter than the straight way.
fn problem_on_a_map() -> impl Strategy<Value = Problem> {
    (problem(), vec((0..60u32, 0..60u32), 10)).prop_map(|(mut problem, points)| {
        let way = |entry: usize| {
            let (from, to) = (points[entry / 10], points[entry % 10]);
            from.0.abs_diff(to.0) + from.1.abs_diff(to.1)
        };
        problem.matrix = Matrix::of_distances(10, (0..100).map(way).collect::<Vec<_>>());
        problem
    })
}

/// Any problem: ways that keep no triangle, stops at one place, vehicles that are unlike or all
/// alike, trips, breaks, late goods. Some ways do not exist.
fn problem() -> impl Strategy<Value = Problem> {
    (2..10usize).prop_flat_map(|places| {
        let way = prop_oneof![20 => 0..120u32, 1 => Just(NO_WAY)];
        let ways = vec(way, places * places);
        (
            (ways.clone(), proptest::option::of(ways)),
            vec(stop(places), 0..16),
            prop_oneof![
                vec(vehicle(places), 0..4),
                (vehicle(places), 1..5usize).prop_map(|(vehicle, count)| vec![vehicle; count]),
            ],
            vec(site(places), 0..3),
            prop_oneof![Just(Haul::Collect), Just(Haul::Deliver)],
        )
            .prop_map(
                move |((distance, time), mut stops, mut vehicles, mut sites, haul)| {
                    for (number, stop) in stops.iter_mut().enumerate() {
                        stop.id = format!("stop {number}");
                    }
                    for (number, vehicle) in vehicles.iter_mut().enumerate() {
                        vehicle.id = format!("vehicle {number}");
                    }
                    for (number, site) in sites.iter_mut().enumerate() {
                        site.id = format!("site {number}");
                    }
                    let matrix = match time {
                        Some(time) => Matrix::new(places, distance, time),
                        None => Matrix::of_distances(places, distance),
                    };
                    Problem { name: "any".to_owned(), matrix, stops, vehicles, sites, haul }
                },
            )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_plan_keeps_every_rule(problem in problem(), seed: u64) {
        let solution = solve(&problem, seed, 300, None);
        checked(&problem, &solution.plan);
    }

    #[test]
    fn the_same_seed_and_moves_give_the_same_plan(problem in problem(), seed: u64) {
        prop_assert_eq!(solve(&problem, seed, 200, None).plan, solve(&problem, seed, 200, None).plan);
    }

    /// Whatever has been driven stays, nothing begins in the past, and the rest of the day is still
    /// possible.
    #[test]
    fn a_tour_under_way_goes_on_from_where_it_is(
        problem in problem_on_a_map(),
        seed: u64,
        part in 0.0..1.0f64,
        later in prop::collection::vec(0..20_000u32, 8),
    ) {
        let mut problem = problem;
        // goods that come later cannot be put on a vehicle that has left
        for stop in &mut problem.stops {
            stop.release = 0;
        }
        let before = solve(&problem, seed, 200, None).plan;
        for route in &before.routes {
            let done = (route.visits.len() as f64 * part).ceil() as usize;
            problem.vehicles[route.vehicle].frozen = route.visits[..done].to_vec();
        }
        // it is so late as the plan allows
        for (vehicle, later) in (0..problem.vehicles.len()).zip(later) {
            problem.vehicles[vehicle].not_before = later;
            if check(&problem, &before).is_err() {
                problem.vehicles[vehicle].not_before = 0;
            }
        }
        let missing = checked(&problem, &before).missing;
        let cold = solve(&problem, seed, 100, None).plan;
        checked(&problem, &cold);
        let warm = solve(&problem, seed, 100, Some(&before)).plan;
        let now = checked(&problem, &warm).missing;
        prop_assert!(now.len() <= missing.len(), "{missing:?} became {now:?}: {before:?} became {warm:?}");
    }

    /// A plan of yesterday, of another problem, is a beginning like any other.
    #[test]
    fn any_plan_can_be_begun_with(problem in problem(), other in problem(), seed: u64) {
        let from = solve(&other, seed, 50, None).plan;
        checked(&problem, &solve(&problem, seed, 50, Some(&from)).plan);
    }
}

/// All orders of three stops.
fn orders() -> impl Iterator<Item = [usize; 3]> {
    (0..27)
        .map(|code| [code / 9, code / 3 % 3, code % 3])
        .filter(|order| order[0] != order[1] && order[1] != order[2] && order[0] != order[2])
}

proptest! {
    /// With one vehicle and three stops nothing is cheaper than what the solver finds.
    #[test]
    fn nothing_is_cheaper_where_all_can_be_tried(problem in problem_on_a_map(), seed: u64) {
        let mut problem = problem;
        problem.stops.truncate(3);
        problem.vehicles.truncate(1);
        problem.sites.clear();
        for vehicle in &mut problem.vehicles {
            vehicle.pause = None;
        }
        let stops = problem.stops.len();
        let key = |plan: &Plan| check(&problem, plan).ok().map(|told| (told.missing.len(), told.cost));
        let cheapest = orders()
            .flat_map(|order| (0..=3).map(move |count| order[..count].to_vec()))
            .filter(|order| order.iter().all(|stop| *stop < stops))
            .filter_map(|order| {
                let unserved = (0..stops).filter(|stop| !order.contains(stop)).collect();
                let mut plan = Plan { unserved, ..Plan::default() };
                if !order.is_empty() {
                    let visits = order.into_iter().map(Visit::Stop).collect();
                    plan.routes.push(lykta::route::Route { vehicle: 0, visits });
                }
                key(&plan)
            })
            .min();
        prop_assert_eq!(key(&solve(&problem, seed, 500, None).plan), cheapest);
    }
}

#[test]
fn the_best_known_plans_are_found() {
    for (name, best, moves) in [("r101.txt", 16377, 60_000), ("rc208.txt", 7761, 200_000)] {
        let document = document(name);
        let told = checked(&document.problem, &solve(&document.problem, 1, moves, None).plan);
        let gap = told.cost as f64 / f64::from(best) - 1.0;
        assert!(
            (0.0..0.01).contains(&gap),
            "{name}: {} is {:.2} % above {best}",
            told.cost,
            100.0 * gap
        );
    }
    let document = document("X-n101-k25.vrp");
    let (_, best) = file::answer::read(&document.problem, &text("X-n101-k25.sol")).unwrap();
    let told = checked(&document.problem, &solve(&document.problem, 1, 60_000, None).plan);
    let best: f64 = best.unwrap().parse().unwrap();
    assert!(
        told.cost as f64 <= best * 1.01,
        "{} against {best}, {:?}",
        told.cost,
        data("X-n101-k25.sol")
    );
}

/// A bin more: the plan of the night is mended with a few moves, and is as good as a new one.
#[test]
fn a_changed_day_is_mended() {
    let document = document("X-n101-k25.vrp");
    let mut yesterday = document.problem.clone();
    let late = yesterday.stops.split_off(97);
    let before = solve(&yesterday, 1, 40_000, None).plan;
    let fresh = checked(&document.problem, &solve(&document.problem, 2, 40_000, None).plan);
    let mended =
        checked(&document.problem, &solve(&document.problem, 3, 40_000, Some(&before)).plan);
    assert!(mended.missing.is_empty() && late.len() == 3);
    let more = mended.cost as f64 / fresh.cost as f64 - 1.0;
    assert!(
        more <= 0.01,
        "{} mended, {} made anew: {:.2} %",
        mended.cost,
        fresh.cost,
        100.0 * more
    );
}

#[test]
fn a_search_that_is_stopped_answers_with_what_it_has() {
    let document = document("C201R0.25.vrp");
    let mut asked = 0;
    let solution = Solver::new(&document.problem).solve(
        &Settings { seed: 1, iterations: u64::MAX, from: None },
        &mut |progress| {
            asked += 1;
            assert!(progress.iterations < 1_000);
            asked < 5
        },
    );
    assert_eq!((asked, solution.iterations), (5, 256));
    checked(&document.problem, &solution.plan);
}
