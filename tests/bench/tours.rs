//! How good the solver is: `cargo bench --bench tours`, or with budgets in seconds behind `--`.
//!
//! Each published instance of tests/tours/data is solved on one thread within budgets of CPU
//! time, and the cost compared with the best that is known; then plans that lack one stop are
//! mended in half a second, and compared with one made anew; and it is told how much memory 2,000
//! stops take. Every plan goes through the checker. `tests/bench/tours_pyvrp.py` measures a peer
//! on the same files.
#![allow(clippy::unwrap_used, missing_docs)]

use lykta::route::matrix::Matrix;
use lykta::route::problem::{Haul, Load, Need, Pause, Rates, Site, Stop, Vehicle, Window};
use lykta::route::solver::{Settings, Solver};
use lykta::route::{Plan, Problem, Visit, check, file};
use std::path::Path;
use std::time::Duration;

const SEED: u64 = 1;
/// Which stops are new, each in its turn, when a plan is mended, and how long that may take.
const NEW: [usize; 2] = [38, 69];
const MENDING: f64 = 0.5;
/// How many stops memory is measured with, and for how long.
const MANY: usize = 2000;
const LONG: f64 = 5.0;

fn main() {
    // first of all, since it is the peak of the process
    solve(&town(), LONG, None);
    println!("resident memory at its peak with {MANY} stops: {}\n", peak());
    let budgets: Vec<f64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let budgets = if budgets.is_empty() { vec![1.0, 10.0] } else { budgets };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tours/data");
    let table = std::fs::read_to_string(directory.join("best.csv")).unwrap();
    let instances: Vec<(&str, f64)> = table
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(name, best)| (name, best.parse().unwrap()))
        .collect();

    print!("{:<20}{:>8}{:>10}", "above best known, %", "stops", "best");
    budgets.iter().for_each(|budget| print!("{:>8} s", budget));
    println!("{:>14}", "moves/s");
    let mut sums = vec![0.0; budgets.len()];
    for (name, best) in &instances {
        let problem = read(&directory.join(name));
        print!("{name:<20}{:>8}{best:>10}", problem.stops.len());
        let mut speed = 0.0;
        for (sum, budget) in sums.iter_mut().zip(&budgets) {
            let begin = cpu();
            let (plan, moves) = solve(&problem, *budget, None);
            speed = moves as f64 / (cpu() - begin).as_secs_f64();
            let gap = 100.0 * (cost(&problem, &plan) / best - 1.0);
            *sum += gap;
            print!("{gap:>10.2}");
        }
        println!("{speed:>14.0}");
    }
    print!("{:<38}", "mean");
    sums.iter().for_each(|sum| print!("{:>10.2}", sum / instances.len() as f64));
    println!(
        "\n\none stop more, mended in {MENDING} s, against a plan made anew in ten, %: mean, worst"
    );
    for (name, _) in &instances {
        let gaps = mend(&read(&directory.join(name)));
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        println!("{name:<20}{mean:>10.2}{:>10.2}", gaps.into_iter().fold(f64::MIN, f64::max));
    }
}

fn read(path: &Path) -> Problem {
    file::read(&std::fs::read_to_string(path).unwrap()).unwrap().problem
}

fn solve(problem: &Problem, budget: f64, from: Option<&Plan>) -> (Plan, u64) {
    let begin = cpu();
    let budget = Duration::from_secs_f64(budget);
    let solver = Solver::new(problem);
    let iterations = solver.calibrate(SEED, from, budget, &mut || cpu() - begin);
    let solution =
        solver.solve(&Settings { seed: SEED, iterations, from }, &mut |_| cpu() - begin < budget);
    (solution.plan, solution.iterations)
}

fn cost(problem: &Problem, plan: &Plan) -> f64 {
    let reckoning = check(problem, plan).expect("every plan keeps every rule");
    assert!(reckoning.missing.is_empty());
    reckoning.cost as f64
}

/// How much dearer plans are that lacked one stop and have been mended than a new one.
fn mend(problem: &Problem) -> Vec<f64> {
    let (fresh, _) = solve(problem, 10.0, None);
    let fresh = cost(problem, &fresh);
    let dearer = |new: usize| {
        let mut before = problem.clone();
        before.stops.remove(new);
        let (mut plan, _) = solve(&before, 10.0, None);
        for visit in plan.routes.iter_mut().flat_map(|route| &mut route.visits) {
            if let Visit::Stop(stop) = visit {
                *stop += usize::from(*stop >= new);
            }
        }
        let (mended, _) = solve(problem, MENDING, Some(&plan));
        100.0 * (cost(problem, &mended) / fresh - 1.0)
    };
    NEW.map(dearer).to_vec()
}

/// A town whose bins have windows and prizes; streets of one way, two kinds of trucks, a break,
/// and a place to unload.
fn town() -> Problem {
    let mut state = SEED;
    let mut below = |limit: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % limit) as u32
    };
    let size = MANY + 2;
    let points: Vec<(u32, u32)> = (0..size).map(|_| (below(12_000), below(12_000))).collect();
    let metres: Vec<u32> = (0..size * size)
        .map(|entry| {
            let (from, to) = (points[entry / size], points[entry % size]);
            from.0.abs_diff(to.0) + from.1.abs_diff(to.1) + to.0.saturating_sub(from.0) / 10
        })
        .collect();
    let seconds: Vec<u32> = metres.iter().map(|way| way / 8 + way % 7).collect();
    let hours = |from: u32, to: u32| Window { earliest: from * 3600, latest: to * 3600 };
    let mut stop = |number: usize| {
        let from = 6 + below(4);
        Stop {
            id: format!("bin {number}"),
            // as in the daemon, where the bins of a plan do not lie in the matrix's order
            place: size - 1 - number,
            window: if below(3) == 0 { hours(from, from + 3) } else { Window::ALWAYS },
            service: 60,
            load: Load { volume: 50 + below(350), mass: 5 + below(45) },
            skills: 0,
            release: 0,
            need: if below(5) < 3 { Need::Optional(200 + below(5000)) } else { Need::Must },
        }
    };
    let stops = (0..MANY).map(&mut stop).collect();
    let vehicle = |number: u32| Vehicle {
        id: format!("truck {number}"),
        start: 0,
        end: 0,
        shift: hours(6, 14),
        capacity: Load { volume: 12_000, mass: 9_000 },
        aboard: Load::default(),
        daily: Load::UNBOUNDED,
        most_stops: u32::MAX,
        most_unloadings: u32::MAX,
        pause: Some(Pause { window: hours(10, 12), length: 1800 }),
        skills: 0,
        rates: Rates { fixed: 5000, distance: 1, time: 1 + number % 2 },
        frozen: Vec::new(),
        not_before: 0,
    };
    let tip = Site { id: "tip".to_owned(), place: 1, window: hours(7, 15), service: 900 };
    Problem {
        name: "town".to_owned(),
        matrix: Matrix::new(size, metres, seconds),
        stops,
        vehicles: (0..40).map(vehicle).collect(),
        sites: vec![tip],
        haul: Haul::Collect,
    }
}

/// The CPU time of this process.
fn cpu() -> Duration {
    let ticks = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(ticks.split_whitespace().next().unwrap().parse().unwrap())
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim().to_owned()
}
