//! What became of each bin.

use super::reason::{Reason, WhyIn, WhyOut};
use super::{Assessment, Collection};
use crate::route::check::alone;
use crate::route::plan::{Plan, Visit};
use crate::route::problem::{Need, Problem};

/// What became of a bin, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its name.
    pub bin: String,
    /// Its stop in the problem, if it is one.
    pub stop: Option<usize>,
    /// Why it is in the plan or not.
    pub reason: Reason,
    /// Whether its level was reckoned, not measured.
    pub estimated: bool,
}

impl Collection {
    /// Says for each bin, in their order, why it is in a plan or not.
    ///
    /// # Panics
    /// If the plan is not one of this problem: [`crate::route::check()`] tells.
    #[must_use]
    pub fn verdicts(&self, plan: &Plan) -> Vec<Verdict> {
        let problem = &self.problem;
        let mut detours = vec![None; problem.stops.len()];
        for leg in legs(problem, plan) {
            if let Some(stop) = leg.stop {
                detours[stop] = Some(detour(problem, leg.before, leg.place, leg.after));
            }
        }
        let verdict = |assessment: &Assessment| Verdict {
            bin: assessment.id.clone(),
            stop: assessment.stop.ok(),
            reason: match assessment.stop {
                Err(why) => Reason::Out(why),
                Ok(stop) => match detours[stop] {
                    Some(detour) => Reason::In(self.why_in(assessment, detour)),
                    None => Reason::Out(self.why_out(assessment, stop, plan)),
                },
            },
            estimated: assessment.estimated(),
        };
        self.assessments.iter().map(verdict).collect()
    }

    fn why_in(&self, assessment: &Assessment, detour: u64) -> WhyIn {
        /// A smaller risk is no reason to come.
        const LEAST_RISK: f64 = 0.05;
        let value = assessment.value;
        match assessment.must {
            Some(must) => WhyIn::Must(must),
            None if value.probability >= LEAST_RISK && value.risk >= value.saved => {
                let (days, day) = (self.when.next, self.when.next_day);
                WhyIn::Overflow { probability: value.probability, days, day }
            }
            None => {
                let level = assessment.outlook.map_or(0.0, |outlook| outlook.level);
                WhyIn::OnTheWay { detour, level }
            }
        }
    }

    fn why_out(&self, assessment: &Assessment, stop: usize, plan: &Plan) -> WhyOut {
        let problem = &self.problem;
        let level = assessment.outlook.map(|outlook| outlook.level);
        let must = problem.stops[stop].need == Need::Must;
        if must {
            return match alone(problem, stop) {
                Ok(()) => WhyOut::Capacity { must, level },
                Err(_) => WhyOut::Alone,
            };
        }
        let place = problem.stops[stop].place;
        let legs = legs(problem, plan).into_iter();
        let ways = legs.map(|leg| detour(problem, leg.before, place, leg.place));
        // a vehicle that stays at home could come, too
        let at_home = |number: &usize| plan.routes.iter().all(|route| route.vehicle != *number);
        let idle = (0..problem.vehicles.len()).filter(at_home).map(|number| {
            let vehicle = &problem.vehicles[number];
            let way = |a, b| u64::from(problem.matrix.distance(a, b));
            way(vehicle.start, place) + way(place, vehicle.end)
        });
        let least = ways.chain(idle);
        let detour = least.min().unwrap_or(0);
        let rate = problem.vehicles.iter().map(|v| u64::from(v.rates.distance)).min().unwrap_or(0);
        if detour.saturating_mul(rate) * 2 < u64::from(assessment.value.prize()) {
            return WhyOut::Capacity { must, level };
        }
        WhyOut::Detour {
            level: level.unwrap_or(0.0),
            detour,
            full_in: assessment.outlook.and_then(|outlook| outlook.full_in()),
        }
    }
}

/// What a place between two others adds to the way, in metres.
fn detour(problem: &Problem, from: usize, place: usize, to: usize) -> u64 {
    let way = |a, b| u64::from(problem.matrix.distance(a, b));
    (way(from, place) + way(place, to)).saturating_sub(way(from, to))
}

/// A visit, or the arrival at a route's end: a place with those before and after it.
struct Leg {
    stop: Option<usize>,
    before: usize,
    place: usize,
    after: usize,
}

/// All legs of a plan.
fn legs(problem: &Problem, plan: &Plan) -> Vec<Leg> {
    let mut legs = Vec::new();
    for route in &plan.routes {
        let vehicle = &problem.vehicles[route.vehicle];
        let places = route.visits.iter().filter_map(|visit| match *visit {
            Visit::Stop(stop) => Some((Some(stop), problem.stops[stop].place)),
            Visit::Site(site) => Some((None, problem.sites[site].place)),
            Visit::Pause => None,
        });
        let places: Vec<_> = places.chain([(None, vehicle.end)]).collect();
        let mut before = vehicle.start;
        for (i, &(stop, place)) in places.iter().enumerate() {
            let after = places.get(i + 1).map_or(place, |(_, place)| *place);
            legs.push(Leg { stop, before, place, after });
            before = place;
        }
    }
    legs
}
