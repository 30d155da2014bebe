//! How good the solver is: `cargo bench --bench tours`, or with budgets in seconds behind `--`.
//!
//! Each published instance of tests/tours/data is solved on one thread within budgets of CPU
//! time, and the cost compared with the best that is known; then a plan without five of its stops
//! is mended in half a second, and compared with one made anew. Every plan goes through the
//! checker. `tests/bench/tours_pyvrp.py` measures a peer on the same files.
#![allow(clippy::unwrap_used, missing_docs)]

use lykta::route::solver::{Settings, Solver};
use lykta::route::{Plan, Problem, Visit, check, file};
use std::path::Path;
use std::time::Duration;

const SEED: u64 = 1;
/// How many stops are new when a plan is mended, and how long that may take.
const NEW: usize = 5;
const MENDING: f64 = 0.5;

fn main() {
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
    println!("\n\n{NEW} stops more, mended in {MENDING} s, against a plan made anew in ten, %");
    for name in ["X-n101-k25.vrp", "X-n303-k21.vrp", "X-n1001-k43.vrp", "rc1_4_9.txt"] {
        let problem = read(&directory.join(name));
        println!("{name:<20}{:>10.2}", mend(&problem));
    }
    println!("\npeak of resident memory, with all of this: {}", peak());
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

/// How much dearer a mended plan is than a new one.
fn mend(problem: &Problem) -> f64 {
    let stops = problem.stops.len();
    let new: Vec<usize> = (0..NEW).map(|number| number * 7919 % stops).collect();
    let known: Vec<usize> = (0..stops).filter(|stop| !new.contains(stop)).collect();
    let mut before = problem.clone();
    before.stops = known.iter().map(|stop| problem.stops[*stop].clone()).collect();
    let (mut plan, _) = solve(&before, 10.0, None);
    for visit in plan.routes.iter_mut().flat_map(|route| &mut route.visits) {
        if let Visit::Stop(stop) = visit {
            *stop = known[*stop];
        }
    }
    let (mended, _) = solve(problem, MENDING, Some(&plan));
    let (fresh, _) = solve(problem, 10.0, None);
    100.0 * (cost(problem, &mended) / cost(problem, &fresh) - 1.0)
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
