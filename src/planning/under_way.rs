//! Tours that have left: what is done stays done.

use super::kept::Asked;
use super::scheme::{LEAD, Scheme};
use crate::route::given::Names;
use crate::route::problem::{Load, Pause, Problem, Vehicle, Window};
use crate::route::sheet::{Doing, Sheet, Tour, TourStop};
use crate::route::{Plan, Route, Visit, check};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// The tours of the plan that holds, as far as they have left.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    scheme: &'a Scheme,
    sheet: &'a Sheet,
    asked: &'a [Asked],
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
    pub(super) fn new(
        scheme: &'a Scheme,
        sheet: &'a Sheet,
        asked: &'a [Asked],
        now: Timestamp,
    ) -> Self {
        Self { scheme, sheet, asked, now }
    }

    /// The tours that have left. One whose vehicle is not in the settings any more is nobody's:
    /// what it has done is a visit of the past, and the rest is for others.
    fn left(&self) -> impl Iterator<Item = &'a Tour> {
        let (now, vehicles) = (self.now, &self.scheme.settings.vehicle);
        let known = move |tour: &&Tour| vehicles.iter().any(|v| v.id == tour.vehicle);
        self.sheet.routes.iter().filter(move |tour| tour.leave_at <= now).filter(known)
    }

    /// The tours of a patrol that are over: it is at its base, and can be sent again. What is left
    /// of a truck's shift is for what lies on its way.
    pub(super) fn over(&self) -> impl Iterator<Item = &'a Tour> {
        let (now, patrol) = (self.now, self.scheme.is_patrol());
        self.left().filter(move |tour| patrol && tour.back_at <= now)
    }

    /// The others.
    fn tours(&self) -> impl Iterator<Item = &'a Tour> {
        let (now, patrol) = (self.now, self.scheme.is_patrol());
        self.left().filter(move |tour| !patrol || now < tour.back_at)
    }

    /// What a tour has done or begun. What a truck drives to is as good as done. A patrol can be
    /// sent elsewhere until it has begun a visit, but for one that is urgent, or that it is just
    /// about to begin.
    fn begun(&self, tour: &'a Tour) -> Vec<Doing<'a>> {
        let mut doings = tour.doings();
        let count = if self.scheme.is_patrol() {
            let begun = doings.iter().take_while(|(begin, _)| *begin <= self.now).count();
            let lead = SignedDuration::from_secs(LEAD.into());
            let sent = doings.get(begun).is_some_and(|next| {
                let asked = |id: &str| self.asked.iter().any(|asked| asked.stop == id);
                let urgent = matches!(next.1, Doing::Stop(id) if asked(id));
                urgent || next.0.duration_since(self.now) <= lead
            });
            begun + usize::from(sent)
        } else {
            doings.iter().filter(|(at, _)| *at <= self.now).count() + 1
        };
        doings.truncate(count);
        doings.into_iter().map(|(_, doing)| doing).collect()
    }

    /// The stops of what is done or begun.
    pub(super) fn stops(&self) -> impl Iterator<Item = &'a TourStop> {
        self.tours().flat_map(|tour| {
            self.begun(tour).into_iter().filter_map(|doing| match doing {
                Doing::Stop(id) => tour.stops.iter().find(|stop| stop.id == id),
                Doing::Unloading(_) | Doing::Pause => None,
            })
        })
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
        let begun: Vec<(Begun<'_>, Vec<Visit>)> = self
            .tours()
            .map(|tour| {
                let whole = tour.doings().into_iter();
                let whole = whole.filter_map(|(_, doing)| names.visit(doing)).collect();
                (self.begun_by(tour, &names), whole)
            })
            .collect();
        drop(names);
        for (begun, whole) in begun {
            if begun.visits.is_empty() && self.scheme.is_patrol() {
                // it waits for its first visit, and can be sent anywhere
                continue;
            }
            // it is not at home, whatever is known of where it has been
            problem.vehicles.retain(|other| other.id != begun.tour.vehicle);
            let possible = self.attempts(&begun, whole).into_iter().find_map(|vehicle| {
                let mut trial = problem.clone();
                self.settle(&mut trial, begun.tour, &vehicle);
                can_come_home(&trial, &vehicle).then_some((trial, vehicle))
            });
            if let Some((trial, vehicle)) = possible {
                *problem = trial;
                problem.vehicles.push(vehicle);
            }
        }
        let order = |vehicle: &Vehicle| {
            self.scheme.settings.vehicle.iter().position(|v| v.id == vehicle.id)
        };
        problem.vehicles.sort_by_key(order);
    }

    /// A vehicle that is under way: one that can be given more to do, one that does what was
    /// planned and nothing else, and, where settings or roads have changed since it left so that
    /// it could never have done that, one for which no rules hold.
    fn attempts(&self, begun: &Begun<'_>, whole: Vec<Visit>) -> Vec<Vehicle> {
        let calendar = &self.scheme.calendar;
        let second = |at| calendar.seconds(self.sheet.day, at);
        let fleet = self.scheme.vehicles(self.sheet.day, 0);
        let Some(mut vehicle) = fleet.into_iter().find(|v| v.id == begun.tour.vehicle) else {
            return Vec::new();
        };
        vehicle.shift.earliest = second(begun.tour.leave_at);
        vehicle.aboard = begun.aboard;
        let mut goes_on = Vehicle { frozen: begun.visits.clone(), ..vehicle.clone() };
        bound(&mut goes_on, &begun.visits, second(self.now).saturating_add(LEAD));
        let mut closed = Vehicle { frozen: whole.clone(), ..vehicle };
        close(&mut closed, &whole);
        let free = Vehicle {
            shift: Window { latest: Window::ALWAYS.latest, ..closed.shift },
            capacity: Load::UNBOUNDED,
            most_unloadings: u32::MAX,
            pause: closed
                .pause
                .filter(|_| whole.contains(&Visit::Pause))
                .map(|pause| Pause { window: Window::ALWAYS, ..pause }),
            ..closed.clone()
        };
        vec![goes_on, closed, free]
    }

    /// What a vehicle has begun with is as it was planned then, whatever is known or set now: when,
    /// how much, by whom.
    fn settle(&self, problem: &mut Problem, tour: &Tour, vehicle: &Vehicle) {
        let planned: HashMap<&str, &TourStop> =
            tour.stops.iter().map(|stop| (stop.id.as_str(), stop)).collect();
        let frozen: HashSet<Visit> = vehicle.frozen.iter().copied().collect();
        for (number, stop) in problem.stops.iter_mut().enumerate() {
            if !frozen.contains(&Visit::Stop(number)) {
                continue;
            }
            stop.skills &= vehicle.skills;
            stop.window.latest = Window::ALWAYS.latest;
            if let Some(planned) = planned.get(stop.id.as_str()) {
                [stop.load.volume, stop.load.mass] = planned.load;
                stop.service = planned.service;
                let begin = self.scheme.calendar.seconds(self.sheet.day, planned.begins());
                stop.window.earliest = begin;
            }
        }
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
