//! The independent checker: a plan counted again from nothing.
//!
//! It shares nothing with the solver but the words of [`Problem`] and [`Plan`], follows each
//! vehicle through its day visit by visit, and is as plain as it can be: what it says has to be
//! believed.

mod alone;
mod fault;
mod once;
mod reckoning;
mod trip;

pub use alone::alone;
pub use fault::Fault;
pub use reckoning::{CheckedRoute, CheckedVisit, Reckoning};

use super::matrix::NO_WAY;
use super::plan::{Plan, Route, Visit};
use super::problem::{Haul, Need, Problem, Vehicle, Window};
use once::{each_stop_once, each_vehicle_once};
use trip::{Sum, loaded, release};

/// Counts a plan again.
///
/// A vehicle leaves as early as its shift allows, but not before the latest release of the stops
/// of its first trip; from a site it leaves when it is served there, but not before the latest
/// release of the stops up to its next site. A break is taken where the vehicle stands. A stop
/// that must be visited and is listed as unserved is no fault of the plan, but
/// [`Reckoning::missing`].
///
/// # Errors
/// All rules that it breaks. With a fault in one place, what follows it on the same route is
/// counted as if it were none.
///
/// # Panics
/// If a place of the problem is not in its matrix.
pub fn check(problem: &Problem, plan: &Plan) -> Result<Reckoning, Vec<Fault>> {
    let mut faults = Vec::new();
    each_stop_once(problem, plan, &mut faults);
    each_vehicle_once(problem, plan, &mut faults);

    let mut routes = Vec::new();
    for (number, route) in plan.routes.iter().enumerate() {
        match problem.vehicles.get(route.vehicle) {
            Some(vehicle) => routes.push(follow(problem, vehicle, route, &mut faults)),
            None => faults.push(Fault::UnknownVehicle {
                route: number + 1,
                vehicle: route.vehicle,
                vehicles: problem.vehicles.len(),
            }),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }

    let mut missing = Vec::new();
    let mut prizes = 0;
    for &stop in &plan.unserved {
        match problem.stops[stop].need {
            Need::Must => missing.push(stop),
            Need::Optional(prize) => prizes += u64::from(prize),
        }
    }
    Ok(Reckoning {
        missing,
        prizes,
        cost: prizes + routes.iter().map(|route| route.cost).sum::<u64>(),
        distance: routes.iter().map(|route| route.distance).sum(),
        driving: routes.iter().map(|route| route.driving).sum(),
        waiting: routes.iter().map(|route| route.waiting).sum(),
        service: routes.iter().map(|route| route.service).sum(),
        trips: routes.iter().map(|route| route.trips).sum(),
        served: problem.stops.len() - plan.unserved.len(),
        routes,
    })
}

/// One vehicle's day.
fn follow(
    problem: &Problem,
    vehicle: &Vehicle,
    route: &Route,
    faults: &mut Vec<Fault>,
) -> CheckedRoute {
    let id = || vehicle.id.clone();
    let visits = &route.visits;
    if !visits.starts_with(&vehicle.frozen) {
        faults.push(Fault::Frozen { vehicle: id(), frozen: vehicle.frozen.len() });
    }

    let mut day = Day {
        problem,
        vehicle,
        place: vehicle.start,
        called: "its start".to_owned(),
        now: u64::from(vehicle.shift.earliest).max(release(problem, visits)),
        distance: 0,
        driving: 0,
        faults,
    };
    let start = day.now;
    let mut aboard = match problem.haul {
        Haul::Collect => {
            let mut sum = Sum::default();
            sum.add(vehicle.aboard);
            sum
        }
        Haul::Deliver => loaded(problem, visits),
    };
    if problem.haul == Haul::Deliver {
        day.room(aboard);
    }
    let mut handled = Sum::default();
    let (mut stops, mut unloadings, mut pauses, mut trips) = (0, 0, 0, 0);
    let (mut waiting, mut service, mut pause) = (0, 0, 0);
    let mut trip_has_stops = false;
    let mut checked = Vec::new();

    for (i, &visit) in visits.iter().enumerate() {
        if i == vehicle.frozen.len() {
            let rest = u64::from(vehicle.not_before).saturating_sub(day.now);
            waiting += rest;
            day.now += rest;
        }
        let (arrival, begin);
        match visit {
            Visit::Stop(number) => {
                let Some(stop) = problem.stops.get(number) else { continue };
                arrival = day.drive(stop.place, format!("stop {}", stop.id));
                begin = day.begin(stop.window);
                day.now += u64::from(stop.service);
                service += u64::from(stop.service);
                let missing = stop.skills & !vehicle.skills;
                if missing != 0 {
                    day.faults.push(Fault::Skills {
                        vehicle: id(),
                        stop: stop.id.clone(),
                        needed: stop.skills,
                        missing,
                    });
                }
                handled.add(stop.load);
                match problem.haul {
                    Haul::Collect => {
                        aboard.add(stop.load);
                        day.room(aboard);
                    }
                    Haul::Deliver => aboard.take(stop.load),
                }
                stops += 1;
                trips += usize::from(!trip_has_stops);
                trip_has_stops = true;
            }
            Visit::Site(number) => {
                let Some(site) = problem.sites.get(number) else {
                    let sites = problem.sites.len();
                    day.faults.push(Fault::UnknownSite { vehicle: id(), site: number, sites });
                    continue;
                };
                arrival = day.drive(site.place, format!("site {}", site.id));
                begin = day.begin(site.window);
                day.now += u64::from(site.service);
                service += u64::from(site.service);
                let goods = release(problem, &visits[i + 1..]);
                waiting += goods.saturating_sub(day.now);
                day.now = day.now.max(goods);
                aboard = loaded(problem, &visits[i + 1..]);
                if problem.haul == Haul::Deliver {
                    day.room(aboard);
                }
                unloadings += 1;
                trip_has_stops = false;
            }
            Visit::Pause => {
                pauses += 1;
                let Some(rule) = vehicle.pause else {
                    day.faults.push(Fault::PauseUncalled { vehicle: id() });
                    continue;
                };
                arrival = day.now;
                let before = std::mem::replace(&mut day.called, "its break".to_owned());
                begin = day.begin(rule.window);
                day.called = before;
                day.now += u64::from(rule.length);
                pause += u64::from(rule.length);
            }
        }
        waiting += begin - arrival;
        let departure = day.now;
        let Sum { volume, mass } = aboard;
        checked.push(CheckedVisit { visit, arrival, begin, departure, volume, mass });
    }
    let end = day.drive(vehicle.end, "its end".to_owned());
    let Day { distance, driving, .. } = day;

    if problem.haul == Haul::Collect
        && !problem.sites.is_empty()
        && (aboard.volume, aboard.mass) != (0, 0)
    {
        let Sum { volume, mass } = aboard;
        faults.push(Fault::HomeLoaded { vehicle: id(), volume, mass });
    }
    if handled.exceeds(vehicle.daily) {
        faults.push(Fault::DailyLoad {
            vehicle: id(),
            volume: handled.volume,
            volume_most: vehicle.daily.volume,
            mass: handled.mass,
            mass_most: vehicle.daily.mass,
        });
    }
    if stops > vehicle.most_stops as usize {
        faults.push(Fault::DailyStops { vehicle: id(), stops, most: vehicle.most_stops });
    }
    if unloadings > vehicle.most_unloadings as usize {
        let most = vehicle.most_unloadings;
        faults.push(Fault::DailyUnloadings { vehicle: id(), unloadings, most });
    }
    if pauses > 1 {
        faults.push(Fault::PauseTwice { vehicle: id(), pauses });
    }
    if let Some(rule) = vehicle.pause
        && pauses == 0
        && end > u64::from(rule.window.latest)
    {
        faults.push(Fault::PauseMissing { vehicle: id(), end, latest: rule.window.latest });
    }
    if end > u64::from(vehicle.shift.latest) {
        faults.push(Fault::Overtime { vehicle: id(), end, latest: vehicle.shift.latest });
    }

    let rates = vehicle.rates;
    let mut route = CheckedRoute {
        vehicle: route.vehicle,
        start,
        latest_start: start,
        end,
        distance,
        driving,
        waiting,
        service,
        pause,
        trips,
        volume: handled.volume,
        mass: handled.mass,
        cost: u64::from(rates.fixed)
            + u64::from(rates.distance).saturating_mul(distance)
            + u64::from(rates.time).saturating_mul(driving),
        visits: checked,
    };
    route.latest_start = latest_start(problem, vehicle, &route);
    route
}

/// Where a vehicle is, and when.
struct Day<'a> {
    problem: &'a Problem,
    vehicle: &'a Vehicle,
    place: usize,
    called: String,
    now: u64,
    distance: u64,
    driving: u64,
    faults: &'a mut Vec<Fault>,
}

impl Day<'_> {
    /// Drives on, and says when it is there.
    fn drive(&mut self, to: usize, called: String) -> u64 {
        let distance = self.problem.matrix.distance(self.place, to);
        let time = self.problem.matrix.time(self.place, to);
        if distance >= NO_WAY || time >= NO_WAY {
            self.faults.push(Fault::NoWay {
                vehicle: self.vehicle.id.clone(),
                from: self.called.clone(),
                to: called.clone(),
            });
        } else {
            self.distance += u64::from(distance);
            self.driving += u64::from(time);
            self.now += u64::from(time);
        }
        self.place = to;
        self.called = called;
        self.now
    }

    /// Waits for the window to open, and says when that is.
    fn begin(&mut self, window: Window) -> u64 {
        self.now = self.now.max(u64::from(window.earliest));
        if self.now > u64::from(window.latest) {
            self.faults.push(Fault::Late {
                vehicle: self.vehicle.id.clone(),
                place: self.called.clone(),
                begin: self.now,
                latest: window.latest,
            });
        }
        self.now
    }

    /// Whether there is room for what is aboard.
    fn room(&mut self, aboard: Sum) {
        let room = self.vehicle.capacity;
        if aboard.exceeds(room) {
            self.faults.push(Fault::Overloaded {
                vehicle: self.vehicle.id.clone(),
                place: self.called.clone(),
                volume: aboard.volume,
                volume_room: room.volume,
                mass: aboard.mass,
                mass_room: room.mass,
            });
        }
    }
}

/// When the vehicle could leave at the latest and still be back at the same time: backwards from
/// its end, no visit later than its window and than what follows allows.
fn latest_start(problem: &Problem, vehicle: &Vehicle, route: &CheckedRoute) -> u64 {
    let mut place = vehicle.end;
    let mut latest = route.end;
    for (i, checked) in route.visits.iter().enumerate().rev() {
        let (here, window, length) = match checked.visit {
            Visit::Stop(stop) => {
                let stop = &problem.stops[stop];
                (stop.place, stop.window, stop.service)
            }
            Visit::Site(site) => {
                let site = &problem.sites[site];
                (site.place, site.window, site.service)
            }
            Visit::Pause => {
                let before = route.visits[..i].iter().rev();
                let here = before.filter_map(|checked| place_of(problem, checked.visit)).next();
                let Some(rule) = vehicle.pause else { continue };
                (here.unwrap_or(vehicle.start), rule.window, rule.length)
            }
        };
        let departure = latest.saturating_sub(u64::from(problem.matrix.time(here, place)));
        latest = departure.saturating_sub(u64::from(length)).min(u64::from(window.latest));
        place = here;
    }
    latest.saturating_sub(u64::from(problem.matrix.time(vehicle.start, place))).max(route.start)
}

fn place_of(problem: &Problem, visit: Visit) -> Option<usize> {
    match visit {
        Visit::Stop(stop) => Some(problem.stops[stop].place),
        Visit::Site(site) => Some(problem.sites[site].place),
        Visit::Pause => None,
    }
}
