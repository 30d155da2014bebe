//! What a plan comes to, and what would have been driven without it.

use super::check::{Fault, Reckoning, check};
use super::collection::Collection;
use super::plan::Plan;
use super::problem::{Load, Need, Problem, Stop};
use super::solver::{Settings, Solver};

/// Litres of diesel that a refuse truck needs for a kilometre, stops included: an assumption, in
/// the middle of the 0.4 to 0.6 that operators tell.
const LITRES_PER_KM: f64 = 0.5;
/// Kilograms of CO₂ from a litre of diesel, from the carbon in it (2.64 without any biofuel).
const CO2_PER_LITRE: f64 = 2.64;

/// What a plan comes to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Kpi {
    /// Metres that are driven.
    pub metres: u64,
    /// Seconds of driving, work, waiting and breaks.
    pub seconds: u64,
    /// Bins that are emptied.
    pub stops: usize,
    /// Vehicles that leave.
    pub tours: usize,
    /// What is expected to be collected.
    pub load: Load,
    /// How many bins are expected to overflow before the next chance, among those left out: the
    /// sum of their probabilities.
    pub risk: f64,
    /// Bins that must be emptied and are not.
    pub missing: usize,
}

impl Kpi {
    fn new(collection: &Collection, problem: &Problem, reckoning: &Reckoning) -> Self {
        let routes = || reckoning.routes.iter();
        let sum = |part: fn(&super::check::CheckedRoute) -> u64| -> u32 {
            routes().map(part).sum::<u64>().try_into().unwrap_or(u32::MAX)
        };
        let visits = routes().flat_map(|route| &route.visits);
        let visited: std::collections::HashSet<&str> = visits
            .filter_map(|checked| match checked.visit {
                super::Visit::Stop(stop) => Some(problem.stops[stop].id.as_str()),
                super::Visit::Site(_) | super::Visit::Pause => None,
            })
            .collect();
        let left = collection.assessments.iter().filter(|a| !visited.contains(a.id.as_str()));
        Self {
            metres: reckoning.distance,
            seconds: routes().map(|route| route.end - route.start).sum(),
            stops: reckoning.served,
            tours: reckoning.routes.len(),
            load: Load { volume: sum(|route| route.volume), mass: sum(|route| route.mass) },
            risk: left.map(|assessment| assessment.value.probability).sum(),
            missing: reckoning.missing.len(),
        }
    }

    /// What is driven less than in `other`, as a part of that; negative if it is more, none if
    /// nobody drives there.
    #[must_use]
    pub fn fewer_metres(&self, other: &Self) -> Option<f64> {
        (other.metres > 0).then(|| 1.0 - self.metres as f64 / other.metres as f64)
    }

    /// Litres of diesel and kilograms of CO₂ that are not needed compared to `other`: by an
    /// assumption of 0.5 l for a kilometre.
    #[must_use]
    pub fn fuel_saved(&self, other: &Self) -> (f64, f64) {
        let litres = (other.metres as f64 - self.metres as f64) / 1000.0 * LITRES_PER_KM;
        (litres, litres * CO2_PER_LITRE)
    }
}

/// A plan beside those that were not made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The plan.
    pub plan: Kpi,
    /// All bins that can be visited.
    pub all: Kpi,
    /// The bins that must be emptied and those from a level on, and then the way around them.
    pub threshold: Kpi,
}

/// Compares a plan with what would be driven the same day if all bins were visited, or those that
/// are expected to be `level` full. Both are planned by the same solver with `iterations` moves;
/// few will do, and what they give away speaks for them: they are real tours.
///
/// # Errors
/// If one of the plans breaks a rule.
pub fn comparison(
    collection: &Collection,
    reckoning: &Reckoning,
    level: f64,
    iterations: u64,
) -> Result<Comparison, Vec<Fault>> {
    let full = |number: usize| {
        let assessment = &collection.assessments[number];
        let outlook = assessment.outlook;
        assessment.must.is_some() || outlook.is_some_and(|outlook| outlook.level >= level)
    };
    Ok(Comparison {
        plan: Kpi::new(collection, &collection.problem, reckoning),
        all: otherwise(collection, &|_| true, iterations)?,
        threshold: otherwise(collection, &full, iterations)?,
    })
}

/// What it comes to if exactly these bins are visited.
fn otherwise(
    collection: &Collection,
    chosen: &dyn Fn(usize) -> bool,
    iterations: u64,
) -> Result<Kpi, Vec<Fault>> {
    let bins = collection.every.iter().enumerate().filter(|(number, _)| chosen(*number));
    let stops = bins.filter_map(|(_, stop)| Some(Stop { need: Need::Must, ..stop.clone()? }));
    let stops = stops.collect();
    let mut problem = Problem { stops, ..collection.problem.clone() };
    // what is under way is so in the plan; these are whole days
    for vehicle in &mut problem.vehicles {
        vehicle.frozen.clear();
        vehicle.not_before = 0;
    }
    let settings = Settings { seed: 1, iterations, from: None };
    let plan: Plan = Solver::new(&problem).solve(&settings, &mut |_| true).plan;
    let reckoning = check(&problem, &plan)?;
    Ok(Kpi::new(collection, &problem, &reckoning))
}
