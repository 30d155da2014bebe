//! What cannot be done, however it is planned.

use super::reason::{Language, WhyOut};
use super::{Assessment, Collection, MustBe};
use crate::route::matrix::NO_WAY;
use crate::route::plan::Plan;
use crate::route::problem::{Load, Need, Problem, Stop, Vehicle};
use crate::units::count;
use std::fmt;

/// Something that a day lacks: a message for the planner, never a reason for an empty tour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortfall {
    /// There is no vehicle.
    Vehicles,
    /// What must be emptied is more than all vehicles can carry, unloading as often as their
    /// shifts allow. Never told wrongly; a day may fall short without it.
    Capacity {
        /// What must be emptied.
        needed: Load,
        /// What can be carried.
        room: Load,
    },
    /// What must be emptied takes longer than all shifts together: the work, and for each bin at
    /// least the way from the nearest other place. Never told wrongly either.
    Time {
        /// Seconds that are needed at least.
        needed: u64,
        /// Seconds of all shifts, without breaks.
        room: u64,
    },
    /// The plan leaves out bins that must be emptied.
    Missing {
        /// Their names.
        bins: Vec<String>,
        /// What is expected to be in them.
        load: Load,
    },
    /// Bins that must be emptied cannot be visited at all; each has its reason.
    Excluded {
        /// Their names.
        bins: Vec<String>,
    },
}

impl Shortfall {
    /// The words for a planner, without a full stop.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let swedish = language == Language::Swedish;
        match self {
            Self::Vehicles if swedish => "det finns inget fordon".to_owned(),
            Self::Vehicles => "there is no vehicle".to_owned(),
            Self::Capacity { needed, room } => {
                let (what, needed, room, unit) = if short(needed.mass, room.mass)
                    > short(needed.volume, room.volume)
                {
                    (if swedish { "lastvikten" } else { "capacity" }, needed.mass, room.mass, "kg")
                } else {
                    (
                        if swedish { "lastvolymen" } else { "capacity" },
                        needed.volume,
                        room.volume,
                        "l",
                    )
                };
                let share = short(needed, room);
                if swedish {
                    format!(
                        "{what} räcker inte, {share} % saknas: {needed} {unit} måste hämtas, {room} {unit} får plats"
                    )
                } else {
                    format!(
                        "{what} {share} % short: {needed} {unit} must be collected, there is room for {room} {unit}"
                    )
                }
            }
            Self::Time { needed, room } => {
                let (needed, room) = (*needed as f64 / 3600.0, *room as f64 / 3600.0);
                if swedish {
                    format!(
                        "tiden räcker inte: minst {needed:.1} h behövs, skiften har {room:.1} h"
                    )
                    .replace('.', ",")
                } else {
                    format!(
                        "time is short: at least {needed:.1} h are needed, the shifts have {room:.1} h"
                    )
                }
            }
            Self::Missing { bins, load } => {
                let names = names(bins);
                if swedish {
                    format!(
                        "{} kärl som måste tömmas får inte plats ({} l): {names}",
                        bins.len(),
                        load.volume
                    )
                } else {
                    format!(
                        "{} that must be emptied found no vehicle ({} l): {names}",
                        count(bins.len() as u64, "bin"),
                        load.volume
                    )
                }
            }
            Self::Excluded { bins } => {
                let names = names(bins);
                if swedish {
                    format!("{} kärl som måste tömmas kan inte besökas: {names}", bins.len())
                } else {
                    format!(
                        "{} that must be emptied cannot be visited: {names}",
                        count(bins.len() as u64, "bin")
                    )
                }
            }
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::English))
    }
}

/// How much of the need is missing, in percents.
fn short(needed: u32, room: u32) -> u64 {
    let (needed, room) = (u64::from(needed), u64::from(room));
    (needed.saturating_sub(room) * 100).div_ceil(needed.max(1))
}

fn names(bins: &[String]) -> String {
    const MOST: usize = 5;
    let names = bins.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if bins.len() > MOST { format!("{names}, …") } else { names }
}

impl Collection {
    /// What can be said to be lacking before anything is planned.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<Shortfall> {
        let problem = &self.problem;
        let mut shortfalls = Vec::new();
        // who says that a bin burns or is out of use knows that it is not emptied
        let lost = |a: &&Assessment| matches!(a.stop, Err(WhyOut::NoWay | WhyOut::Skills));
        let excluded = self.assessments.iter().filter(|a| a.must.is_some()).filter(lost);
        let excluded: Vec<String> = excluded.map(|a| a.id.clone()).collect();
        if !excluded.is_empty() {
            shortfalls.push(Shortfall::Excluded { bins: excluded });
        }
        let musts = || problem.stops.iter().filter(|stop| stop.need == Need::Must);
        if musts().next().is_none() {
            return shortfalls;
        }
        if problem.vehicles.is_empty() {
            shortfalls.push(Shortfall::Vehicles);
            return shortfalls;
        }
        let needed = musts().fold(Load::default(), |sum, stop| sum.plus(stop.load));
        let room = problem.vehicles.iter().map(|vehicle| room(problem, vehicle));
        let room = room.fold(Load::default(), Load::plus);
        if !needed.fits(room) {
            shortfalls.push(Shortfall::Capacity { needed, room });
        }
        let needed = musts().map(|stop| u64::from(stop.service) + nearest(problem, stop)).sum();
        let room = problem.vehicles.iter().map(|vehicle| u64::from(shift(vehicle))).sum();
        if needed > room {
            shortfalls.push(Shortfall::Time { needed, room });
        }
        shortfalls
    }

    /// What a plan leaves out that must be done.
    #[must_use]
    pub fn missing(&self, plan: &Plan) -> Option<Shortfall> {
        let missing = plan.unserved.iter().filter_map(|stop| {
            let bin = *self.bins.get(*stop)?;
            Some(&self.assessments[bin]).filter(|a| a.must.is_some())
        });
        let (mut bins, mut load) = (Vec::new(), Load::default());
        for assessment in missing {
            bins.push(assessment.id.clone());
            load = load.plus(assessment.load);
        }
        (!bins.is_empty()).then_some(Shortfall::Missing { bins, load })
    }

    /// How many bins must be emptied, and why: for a summary.
    pub fn musts(&self) -> impl Iterator<Item = (&str, MustBe)> {
        self.assessments.iter().filter_map(|a| Some((a.id.as_str(), a.must?)))
    }
}

fn shift(vehicle: &Vehicle) -> u32 {
    let pause = vehicle.pause.map_or(0, |pause| pause.length);
    vehicle.shift.latest.saturating_sub(vehicle.shift.earliest).saturating_sub(pause)
}

/// What a vehicle can carry at most in its day.
fn room(problem: &Problem, vehicle: &Vehicle) -> Load {
    let mut trips = 1;
    if !problem.sites.is_empty() {
        // a trip takes at least the time at the site and the way to it from its nearest stop
        let trip = problem.sites.iter().map(|site| {
            let way = |stop: &Stop| {
                let there = problem.matrix.time(stop.place, site.place);
                let back = problem.matrix.time(site.place, stop.place);
                there.saturating_add(back)
            };
            problem.stops.iter().map(way).min().unwrap_or(0).saturating_add(site.service)
        });
        let trip = trip.min().unwrap_or(0).max(1);
        let sites = problem.sites.iter().map(|site| problem.matrix.time(site.place, vehicle.end));
        let stops = problem.stops.iter().map(|s| problem.matrix.time(vehicle.start, s.place));
        let ways = stops.min().unwrap_or(0).saturating_add(sites.min().unwrap_or(0));
        // the first of them does not come from a site
        let left = shift(vehicle).saturating_sub(ways);
        trips = (left / trip).saturating_add(1).min(vehicle.most_unloadings);
    }
    let carried = |one: u32, aboard: u32, most: u32| {
        one.saturating_mul(trips).saturating_sub(aboard).min(most)
    };
    Load {
        volume: carried(vehicle.capacity.volume, vehicle.aboard.volume, vehicle.daily.volume),
        mass: carried(vehicle.capacity.mass, vehicle.aboard.mass, vehicle.daily.mass),
    }
}

/// How long the way to a stop is at least.
fn nearest(problem: &Problem, stop: &Stop) -> u64 {
    let others = problem.stops.iter().filter(|other| other.id != stop.id).map(|other| other.place);
    let starts = problem.vehicles.iter().map(|vehicle| vehicle.start);
    let sites = problem.sites.iter().map(|site| site.place);
    let ways = others.chain(starts).chain(sites);
    let ways = ways.map(|place| problem.matrix.time(place, stop.place));
    u64::from(ways.min().filter(|time| *time < NO_WAY).unwrap_or(0))
}
