//! Which vehicle visits what, in which order: a search for the cheapest plan.
//!
//! The method is ruin and recreate (`ruin`, `recreate`) with an exchange of tails (`tails`),
//! under simulated annealing (`anneal`). What makes it good is its speed, and that comes from the
//! layout of its data (`model`) and from changes that are taken back instead of copied (`tour`).
//! Problems with trips, breaks, several depots or optional stops are walked route by route
//! (`day`); plain ones pay nothing for that. A search can begin with a plan that there is (`warm`).
//!
//! Costs are integers, chance is our own (`rng`), and the effort is counted in moves: the same
//! problem, seed and number of moves give the same plan, byte for byte, on each machine.

mod anneal;
mod crew;
mod day;
mod ground;
mod model;
mod recreate;
mod rng;
mod ruin;
mod tails;
mod tour;
mod warm;

use super::plan::{Plan, Route, Visit};
use super::problem::Problem;
use anneal::Annealing;
use model::{Kind, Model, NONE};
use std::collections::HashSet;
use std::time::Duration;
use tour::Tour;
use warm::Call;

/// How to search.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'p> {
    /// Where chance begins.
    pub seed: u64,
    /// How many moves.
    pub iterations: u64,
    /// The plan to begin with: what of it is still possible stays at first, and is mended.
    pub from: Option<&'p Plan>,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// How many moves are done.
    pub iterations: u64,
    /// The best plan's cost; without what stops cost that must be visited and are not.
    pub cost: u64,
    /// How many of those there are.
    pub missing: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Solution {
    /// The best plan. It has to go through [`super::check()`] like any other.
    pub plan: Plan,
    /// How many moves were made: as many as were asked for, unless it was stopped.
    pub iterations: u64,
}

/// What part of a budget [`Solver::calibrate`] spends on measuring.
const SAMPLE: f64 = 0.04;
/// What part of the rest is planned for: the speed of a sample is not quite that of the search.
const RESERVE: f64 = 0.97;

/// A problem laid out for a search.
#[derive(Debug)]
pub struct Solver<'p> {
    problem: &'p Problem,
    model: Model,
}

impl<'p> Solver<'p> {
    /// Lays a problem out.
    #[must_use]
    pub fn new(problem: &'p Problem) -> Self {
        Self { problem, model: Model::new(problem) }
    }

    /// How many moves fit into a budget of time on this machine, of which `spent` tells how much
    /// is gone. Measured on a small search of its own, so that a search with this number can be
    /// repeated elsewhere.
    pub fn calibrate(
        &self,
        seed: u64,
        from: Option<&Plan>,
        budget: Duration,
        spent: &mut dyn FnMut() -> Duration,
    ) -> u64 {
        let begin = spent();
        let left = budget.saturating_sub(begin).as_secs_f64();
        let sample = left * SAMPLE;
        let mut annealing = self.begin(seed, from);
        let first = spent().saturating_sub(begin).as_secs_f64();
        let (mut moves, mut elapsed) = (0, 0.0);
        while elapsed < sample {
            annealing.advance(elapsed / sample, anneal::ROUND);
            moves += anneal::ROUND;
            elapsed = spent().saturating_sub(begin).as_secs_f64() - first;
        }
        if moves == 0 {
            return 0;
        }
        let rest = (left - 2.0 * first - elapsed) * RESERVE;
        (moves as f64 / elapsed * rest.max(0.0)) as u64
    }

    /// Searches. `go_on` is asked now and then; when it says no, the best plan so far is the
    /// answer.
    pub fn solve(
        &self,
        settings: &Settings<'_>,
        go_on: &mut dyn FnMut(Progress) -> bool,
    ) -> Solution {
        let mut annealing = self.begin(settings.seed, settings.from);
        let searches = annealing.searches(settings.iterations);
        let (mut least, mut plan) = (i64::MAX, Plan::default());
        let (mut search, mut begin) = (1, 0);
        loop {
            let end = if search == searches {
                settings.iterations
            } else {
                settings.iterations / searches * search
            };
            let mut ask = |done, cost: i64| go_on(progress(done, cost.min(least)));
            let done = annealing.run(begin..end, &mut ask);
            if annealing.cost() < least {
                least = annealing.cost();
                plan = self.plan(&annealing.finish());
            }
            if search == searches || done < end {
                return Solution { plan, iterations: done };
            }
            begin = end;
            annealing = self.begin(settings.seed.wrapping_add(search << 32), settings.from);
            search += 1;
        }
    }

    fn begin(&self, seed: u64, from: Option<&Plan>) -> Annealing<'_> {
        Annealing::new(&self.model, |tour| from.is_some_and(|plan| self.follow(tour, plan)), seed)
    }

    /// Lays a plan into an empty tour, as far as it is possible; whether anything of it was.
    fn follow<'m>(&'m self, tour: &mut Tour<'m>, plan: &Plan) -> bool {
        let model = &self.model;
        let mut nodes = vec![NONE; self.problem.stops.len()];
        for (position, number) in model.numbers.iter().enumerate() {
            nodes[*number] = (model.base + position) as u32;
        }
        for route in plan.routes.iter().filter(|route| route.vehicle < model.routes) {
            let done = self.problem.vehicles[route.vehicle].frozen.len();
            let visits = route.visits.iter().skip(done).filter_map(|visit| match *visit {
                Visit::Stop(stop) => {
                    let node = nodes.get(stop).copied().filter(|node| *node != NONE)?;
                    (tour.nodes[node as usize].route == NONE).then_some(Call::Stop(node))
                }
                Visit::Site(site) => (site < model.sites).then_some(Call::Site(site)),
                Visit::Pause => None,
            });
            let mut visits: Vec<Call> = visits.collect();
            let mut known = HashSet::new();
            visits.retain(|visit| matches!(visit, Call::Site(_)) || known.insert(*visit));
            tour.lay(route.vehicle as u32, &visits);
        }
        tour.unserved.retain(|stop| tour.nodes[*stop as usize].route == NONE);
        tour.used > 0
    }

    fn plan(&self, tour: &Tour<'_>) -> Plan {
        let model = &self.model;
        let mut plan = Plan::default();
        for (number, vehicle) in self.problem.vehicles.iter().enumerate() {
            let route = number as u32;
            let mut visits = vehicle.frozen.clone();
            let mut node = model.start(route);
            loop {
                if model.kind == Kind::All && tour.pauses[number] == node {
                    visits.push(Visit::Pause);
                }
                node = tour.nodes[node as usize].next;
                if node == model.end(route) {
                    break;
                }
                visits.push(if model.is_site(node) {
                    Visit::Site(model.site_of(node))
                } else {
                    Visit::Stop(model.numbers[node as usize - model.base])
                });
            }
            if !visits.is_empty() {
                plan.routes.push(Route { vehicle: number, visits });
            }
        }
        let left_out = tour.unserved.iter().map(|node| model.numbers[*node as usize - model.base]);
        plan.unserved = left_out.collect();
        plan.unserved.sort_unstable();
        plan
    }
}

fn progress(iterations: u64, total: i64) -> Progress {
    let must = i64::from(model::MUST);
    Progress {
        iterations,
        cost: total.rem_euclid(must).unsigned_abs(),
        missing: total.div_euclid(must).max(0).unsigned_abs(),
    }
}
