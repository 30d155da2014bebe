//! Day after day: what comes, what is known, who drives where.

use super::knowledge::Knowledge;
use super::policy::Policy;
use super::score::Score;
use super::town::Town;
use super::weeks::Weeks;
use crate::route::check::Fault;
use crate::route::collection::{Bin, Collection, Horizon, Rules, State, collection};
use crate::route::matrix::Matrix;
use crate::route::problem::{Site, Vehicle, Window};
use crate::route::solver::{Settings, Solver};
use crate::route::{Plan, Reckoning, Visit, check};

/// When the tours of a day are planned.
const PLANNED_AT: usize = 5;
/// When a bin is emptied that is not yet planned, in days after that: in the middle of a shift.
const TO_TOUR: f64 = 0.2;
/// From here on a bin must be visited, whatever the way.
const FULL: f64 = 1.0;

/// Who drives, when and how they are planned: the same for all policies.
#[derive(Debug, Clone)]
pub struct Tours {
    /// The ways between the places of the town.
    pub matrix: Matrix,
    /// The vehicles of each day.
    pub vehicles: Vec<Vehicle>,
    /// Where they unload.
    pub sites: Vec<Site>,
    /// On which weekdays, from Monday on.
    pub week: [bool; 7],
    /// What is worth how much.
    pub rules: Rules,
    /// How many moves the solver has for each day.
    pub iterations: u64,
}

impl Tours {
    /// In how many days the next tour is; days are counted from a Monday.
    fn next(&self, day: usize) -> usize {
        (1..=7).find(|days| self.week[(day + days) % 7]).unwrap_or(7)
    }
}

/// A plan that breaks a rule.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the plan of day {} breaks a rule: {fault}; a bug, please report this", day + 1)]
pub struct Broken {
    day: usize,
    fault: Fault,
}

/// Replays weeks under a policy. What happens before `warm_up` days are over does not count. Each
/// day with a plan is shown to `see`, also those of the warm-up.
///
/// # Errors
/// If a plan of the solver breaks a rule, which is a bug.
pub fn replay(
    town: &Town,
    weeks: &Weeks,
    tours: &Tours,
    policy: Policy,
    warm_up: usize,
    see: &mut dyn FnMut(usize, &Collection, &Plan, &Reckoning),
) -> Result<Score, Broken> {
    let count = town.containers.len();
    let mut levels = weeks.first.clone();
    let mut known = vec![Knowledge::default(); count];
    let mut score =
        Score { days: weeks.days().saturating_sub(warm_up), bins: count, ..Score::default() };
    for day in 0..weeks.days() {
        let counts = day >= warm_up;
        let from_monday = weeks.weekday + day;
        let mut emptied: Vec<(usize, usize)> = Vec::new();
        for hour in 0..24 {
            let now = day * 24 + hour;
            for (bin, known) in known.iter_mut().enumerate() {
                if let Some(level) = weeks.reading(bin, now, levels[bin]) {
                    known.heard(now, level);
                }
            }
            if hour == PLANNED_AT && tours.week[from_monday % 7] {
                let next = tours.next(from_monday) as f64;
                let when = Horizon { tour: TO_TOUR, next, next_day: None };
                let bins = bins(town, &known, now);
                if let Some((bins, rules)) = policy.chosen(bins, from_monday, when, &tours.rules) {
                    let planned =
                        plan(tours, &bins, when, &rules).map_err(|fault| Broken { day, fault })?;
                    let (collection, plan, reckoning) = &planned;
                    see(day, collection, plan, reckoning);
                    emptied = visits(town, collection, reckoning);
                    if counts {
                        add(&mut score, reckoning);
                    }
                }
            }
            for (at, bin) in &emptied {
                if *at == hour {
                    if counts {
                        score.stops += 1;
                        score.filled += levels[*bin].min(1.0);
                        score.below_half += u64::from(levels[*bin] < 0.5);
                    }
                    levels[*bin] = 0.0;
                    known[*bin].empties(now);
                }
            }
            for (bin, level) in levels.iter_mut().enumerate() {
                *level += weeks.comes(bin, now);
                score.overflow_hours += u64::from(counts && *level > 1.0);
            }
        }
    }
    Ok(score)
}

/// What is known of all bins.
fn bins(town: &Town, known: &[Knowledge], now: usize) -> Vec<Bin> {
    let bins = town.containers.iter().zip(known).enumerate();
    bins.map(|(number, (container, known))| Bin {
        id: container.id.clone(),
        place: Town::BINS + number,
        level: known.level(now),
        emptied: known.emptied(now),
        filling: Some(known.filling()),
        volume: container.volume,
        density: container.density,
        service: container.service,
        window: Window::ALWAYS,
        skills: 0,
        threshold_must: FULL,
        most_days: None,
        state: State::Normal,
    })
    .collect()
}

/// One day's tours.
fn plan(
    tours: &Tours,
    bins: &[Bin],
    when: Horizon,
    rules: &Rules,
) -> Result<(Collection, Plan, Reckoning), Fault> {
    let (vehicles, sites) = (tours.vehicles.clone(), tours.sites.clone());
    let day = collection("day", bins, when, rules, tours.matrix.clone(), vehicles, sites);
    let settings = Settings { seed: 1, iterations: tours.iterations, from: None };
    let plan = Solver::new(&day.problem).solve(&settings, &mut |_| true).plan;
    let reckoning = check(&day.problem, &plan).map_err(|mut faults| faults.remove(0))?;
    Ok((day, plan, reckoning))
}

/// Which bins are emptied, with the hour of the day.
fn visits(town: &Town, collection: &Collection, reckoning: &Reckoning) -> Vec<(usize, usize)> {
    let visits = reckoning.routes.iter().flat_map(|route| &route.visits);
    let stops = visits.filter_map(|checked| match checked.visit {
        Visit::Stop(stop) => Some((checked.begin, collection.problem.stops[stop].place)),
        Visit::Site(_) | Visit::Pause => None,
    });
    let hour = |seconds: u64| (seconds / 3600).min(23) as usize;
    let stops = stops.map(|(begin, place)| (hour(begin), place - Town::BINS));
    stops.filter(|(_, bin)| *bin < town.containers.len()).collect()
}

fn add(score: &mut Score, reckoning: &Reckoning) {
    score.metres += reckoning.distance;
    score.driving += reckoning.driving;
    score.seconds += reckoning.driving + reckoning.waiting + reckoning.service;
    score.tours += reckoning.routes.len() as u64;
    score.touring_days += u64::from(!reckoning.routes.is_empty());
    score.missed += reckoning.missing.len() as u64;
}
