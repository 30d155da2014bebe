//! Tours that have left: what is done stays done.

use super::scheme::{LEAD, Scheme};
use crate::route::given::Names;
use crate::route::problem::{Load, Problem, Vehicle, Window};
use crate::route::sheet::{Doing, Sheet, Tour};
use crate::route::{Plan, Route, Visit, check};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

/// The tours of the plan that holds, as far as they have left.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    scheme: &'a Scheme,
    sheet: &'a Sheet,
    now: Timestamp,
}

/// What one of them has done, or begun.
struct Begun<'a> {
    tour: &'a Tour,
    visits: Vec<Visit>,
    /// What is aboard of bins that have lost their names since.
    aboard: Load,
}

impl<'a> UnderWay<'a> {
    pub(super) fn new(scheme: &'a Scheme, sheet: &'a Sheet, now: Timestamp) -> Self {
        Self { scheme, sheet, now }
    }

    /// The tours. One whose vehicle is not in the settings any more is nobody's: what it has done
    /// is a visit of the past, and the rest is for others.
    fn tours(&self) -> impl Iterator<Item = &'a Tour> {
        let (now, vehicles) = (self.now, &self.scheme.settings.vehicle);
        let known = move |tour: &&Tour| vehicles.iter().any(|v| v.id == tour.vehicle);
        self.sheet.routes.iter().filter(move |tour| tour.leave_at <= now).filter(known)
    }

    /// What a tour has done or begun. What a truck drives to is as good as done; a patrol can be
    /// sent elsewhere until it has begun a visit.
    fn begun(&self, tour: &'a Tour) -> Vec<Doing<'a>> {
        let mut doings = tour.doings();
        let count = if self.scheme.is_patrol() {
            let begun = |(at, doing): &(Timestamp, Doing<'_>)| {
                let opens = match doing {
                    Doing::Stop(id) => self.scheme.opens(self.sheet.day, id),
                    Doing::Unloading(_) | Doing::Pause => *at,
                };
                (*at).max(opens) <= self.now
            };
            doings.iter().take_while(|doing| begun(doing)).count()
        } else {
            doings.iter().filter(|(at, _)| *at <= self.now).count() + 1
        };
        doings.truncate(count);
        doings.into_iter().map(|(_, doing)| doing).collect()
    }

    /// The stops of what is done or begun.
    pub(super) fn stops(&self) -> impl Iterator<Item = &'a str> {
        let begun = self.tours().flat_map(|tour| self.begun(tour));
        begun.filter_map(|doing| match doing {
            Doing::Stop(id) => Some(id),
            Doing::Unloading(_) | Doing::Pause => None,
        })
    }

    /// Why the stops were visited that are behind them.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let now = self.now;
        let stops = self.tours().flat_map(|tour| &tour.stops);
        stops
            .filter(move |stop| stop.arrival <= now)
            .map(|stop| (stop.id.as_str(), stop.reason.as_str()))
    }

    fn begun_by(&self, tour: &'a Tour, names: &Names<'_>) -> Begun<'a> {
        let (mut visits, mut aboard, mut unloaded) = (Vec::new(), Load::default(), false);
        for doing in self.begun(tour) {
            unloaded |= matches!(doing, Doing::Unloading(_));
            match names.visit(doing) {
                Some(visit) => visits.push(visit),
                // one that has lost its name is done all the same, and no reason to forget others
                None if !unloaded => {
                    let lost = tour.stops.iter().find(|stop| doing == Doing::Stop(&stop.id));
                    let [volume, mass] = lost.map_or([0, 0], |stop| stop.load);
                    aboard = aboard.plus(Load { volume, mass });
                }
                None => {}
            }
        }
        Begun { tour, visits, aboard }
    }

    /// Puts what vehicles have done, or are on their way to, at the beginning of their routes.
    pub(super) fn freeze(&self, problem: &mut Problem) {
        let names = Names::new(problem);
        let begun: Vec<Begun<'_>> = self.tours().map(|tour| self.begun_by(tour, &names)).collect();
        drop(names);
        let all = self.scheme.vehicles(0);
        let calendar = &self.scheme.calendar;
        for Begun { tour, visits, aboard } in begun {
            if visits.is_empty() && self.scheme.is_patrol() {
                // it waits for its first visit, and can be sent anywhere
                continue;
            }
            // it is not at home, whatever is known of where it has been
            problem.vehicles.retain(|other| other.id != tour.vehicle);
            let settings = all.iter().find(|vehicle| vehicle.id == tour.vehicle);
            let Some(mut vehicle) = settings.filter(|_| !visits.is_empty()).cloned() else {
                continue;
            };
            vehicle.shift.earliest = calendar.seconds(self.sheet.day, tour.leave_at);
            vehicle.aboard = aboard;
            let pause = vehicle.pause;
            let soon = calendar.seconds(self.sheet.day, self.now).saturating_add(LEAD);
            bound(&mut vehicle, &visits, soon);
            let frozen: HashSet<Visit> = visits.iter().copied().collect();
            vehicle.frozen = visits;
            let loads: HashMap<&str, [u32; 2]> =
                tour.stops.iter().map(|stop| (stop.id.as_str(), stop.load)).collect();
            for (number, stop) in problem.stops.iter_mut().enumerate() {
                if !frozen.contains(&Visit::Stop(number)) {
                    continue;
                }
                // what was in the bin then, not what the sensor sees now that it is empty
                if let Some([volume, mass]) = loads.get(stop.id.as_str()) {
                    (stop.load.volume, stop.load.mass) = (*volume, *mass);
                }
                if self.scheme.is_patrol() {
                    // who came late came all the same
                    stop.window.latest = Window::ALWAYS.latest;
                }
            }
            // with what is aboard it has to come home, however late: then as it was planned
            if !can_come_home(problem, &vehicle) {
                let names = Names::new(problem);
                let whole = tour.doings().into_iter();
                let whole: Vec<Visit> = whole.filter_map(|(_, doing)| names.visit(doing)).collect();
                close(&mut vehicle, &whole);
                vehicle.pause = pause;
                vehicle.frozen = whole;
            }
            problem.vehicles.push(vehicle);
        }
        let order = |vehicle: &Vehicle| {
            self.scheme.settings.vehicle.iter().position(|v| v.id == vehicle.id)
        };
        problem.vehicles.sort_by_key(order);
    }
}

/// Nothing new is begun before `soon` by a vehicle that has begun with this; or nothing at all, if
/// that leaves no time.
fn bound(vehicle: &mut Vehicle, visits: &[Visit], soon: u32) {
    let paused = visits.contains(&Visit::Pause);
    let length = vehicle.pause.filter(|_| !paused).map_or(0, |pause| pause.length);
    if soon.saturating_add(length) >= vehicle.shift.latest {
        close(vehicle, visits);
        return;
    }
    vehicle.not_before = soon;
    if !paused {
        // a crew that has not had its break in time by the plan has had it all the same
        vehicle.pause = vehicle.pause.filter(|pause| soon <= pause.window.latest);
    }
}

/// A vehicle that does this and nothing else.
fn close(vehicle: &mut Vehicle, visits: &[Visit]) {
    let stops = visits.iter().filter(|visit| matches!(visit, Visit::Stop(_))).count();
    vehicle.most_stops = u32::try_from(stops).unwrap_or(u32::MAX);
    vehicle.not_before = 0;
}

/// Whether a vehicle that is under way can end its tour without a further stop.
fn can_come_home(problem: &Problem, vehicle: &Vehicle) -> bool {
    let mut alone = problem.clone();
    alone.vehicles = vec![vehicle.clone()];
    let done: HashSet<Visit> = vehicle.frozen.iter().copied().collect();
    let unserved = (0..alone.stops.len()).filter(|stop| !done.contains(&Visit::Stop(*stop)));
    let unserved: Vec<usize> = unserved.collect();
    let sites = (0..alone.sites.len()).map(Visit::Site).map(Some);
    let mut ends = std::iter::once(None).chain(sites).flat_map(|site| {
        [
            Vec::from_iter(site),
            [Visit::Pause].into_iter().chain(site).collect(),
            site.into_iter().chain([Visit::Pause]).collect(),
        ]
    });
    ends.any(|end| {
        let visits = vehicle.frozen.iter().copied().chain(end).collect();
        let routes = vec![Route { vehicle: 0, visits }];
        check(&alone, &Plan { routes, unserved: unserved.clone() }).is_ok()
    })
}
