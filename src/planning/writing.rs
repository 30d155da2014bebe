//! From a plan in numbers to one for people.

use super::draft::{Desk, Task};
use super::scheme::THOUSANDTHS;
use super::under_way::UnderWay;
use crate::route::check::{CheckedRoute, Reckoning};
use crate::route::difference::Difference;
use crate::route::problem::Problem;
use crate::route::road::Position;
use crate::route::sheet::{
    ATTRIBUTION, Cost, Kpi, Lack, LeftOut, LineString, Origin, Sheet, Tour, TourPause, TourStop,
    Unloading,
};
use crate::route::{Plan, Visit};
use crate::units::rounded;
use std::collections::HashMap;

/// Places of a way that are nearer to the line than this, in degrees, are left out of it: 2 m.
const THIN: f64 = 2e-5;

/// A plan that breaks no rule.
pub(super) struct Found {
    pub(super) plan: Plan,
    pub(super) reckoning: Reckoning,
    /// How many moves were searched; none if it was given.
    pub(super) iterations: Option<u64>,
}

/// What is said of a stop.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// How full it is expected to be.
    pub(super) level: Option<f64>,
    /// Why it is visited.
    pub(super) reason: String,
}

/// A plan with all that is known about it.
pub(super) struct Draft<'a> {
    pub(super) problem: &'a Problem,
    pub(super) found: Found,
    /// Notes on the stops, by their names.
    pub(super) notes: HashMap<String, Note>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) lacks: Vec<Lack>,
    /// What it costs, and what of it because some are left out, in thousandths of the currency.
    pub(super) cost: u64,
    pub(super) prizes: u64,
    /// The tours that it goes on with.
    pub(super) under_way: Option<UnderWay<'a>>,
}

impl Desk<'_> {
    /// Writes a plan down.
    pub(super) fn write(&self, task: &Task, draft: &Draft<'_>) -> Sheet {
        let settings = &self.scheme.settings;
        let before = self.kept.sheet.as_deref();
        let Found { reckoning, iterations, .. } = &draft.found;
        let mut routes: Vec<Tour> =
            draft.under_way.iter().flat_map(|under_way| under_way.over()).cloned().collect();
        routes.extend(reckoning.routes.iter().map(|route| self.tour(task, draft, route)));
        if let Some(under_way) = &draft.under_way {
            remember(&mut routes, under_way);
        }
        let mut sheet = Sheet {
            name: self.name.to_owned(),
            day: task.day,
            timezone: settings.timezone.0.iana_name().unwrap_or("UTC").to_owned(),
            made_at: task.now,
            origin: if task.given.is_some() { Origin::Cloud } else { Origin::Gateway },
            cause: task.cause,
            estimated: self.ways.estimated(),
            seed: iterations.map(|_| settings.seed),
            iterations: *iterations,
            cost: Cost {
                total: draft.cost as f64 / THOUSANDTHS,
                left_out: draft.prizes as f64 / THOUSANDTHS,
                unit: settings.currency.clone(),
            },
            kpi: kpi(&routes, draft.left_out.len()),
            routes,
            left_out: draft.left_out.clone(),
            shortfalls: self.unreachable().chain(draft.lacks.iter().cloned()).collect(),
            difference: None,
            attribution: (!self.ways.estimated()).then(|| ATTRIBUTION.to_owned()),
        };
        sheet.difference = before.map(|before| Difference::between(before, &sheet));
        sheet
    }

    fn tour(&self, task: &Task, draft: &Draft<'_>, route: &CheckedRoute) -> Tour {
        let problem = draft.problem;
        let vehicle = &problem.vehicles[route.vehicle];
        let at = |second: u64| {
            self.scheme.calendar.moment(task.day, u32::try_from(second).unwrap_or(u32::MAX))
        };
        let start = self.ways.position(vehicle.start);
        let mut tour = Tour {
            vehicle: vehicle.id.clone(),
            leave_at: at(route.start),
            // who has left cannot leave later
            leave_by: at(if vehicle.frozen.is_empty() { route.latest_start } else { route.start }),
            back_at: at(route.end),
            metres: route.distance,
            seconds: route.end.saturating_sub(route.start),
            driving: route.driving,
            start: [start.lat(), start.lon()],
            stops: Vec::new(),
            unloadings: Vec::new(),
            pause: None,
            geometry: LineString { coordinates: Vec::new() },
        };
        let mut place = vehicle.start;
        let mut go = |tour: &mut Tour, to: usize| -> Position {
            tour.geometry.coordinates.extend(self.ways.line(place, to));
            place = to;
            self.ways.position(to)
        };
        for (i, checked) in route.visits.iter().enumerate() {
            let order = i + 1;
            match checked.visit {
                Visit::Stop(number) => {
                    let stop = &problem.stops[number];
                    let position = go(&mut tour, stop.place);
                    let note = draft.notes.get(&stop.id);
                    tour.stops.push(TourStop {
                        id: stop.id.clone(),
                        lat: position.lat(),
                        lon: position.lon(),
                        order,
                        arrival: at(checked.arrival),
                        begin: (checked.begin > checked.arrival).then(|| at(checked.begin)),
                        level: note.and_then(|note| note.level),
                        reason: note.map(|note| note.reason.clone()).unwrap_or_default(),
                        service: stop.service,
                        load: [stop.load.volume, stop.load.mass],
                    });
                }
                Visit::Site(number) => {
                    let site = &problem.sites[number];
                    let position = go(&mut tour, site.place);
                    tour.unloadings.push(Unloading {
                        site: site.id.clone(),
                        lat: position.lat(),
                        lon: position.lon(),
                        order,
                        arrival: at(checked.arrival),
                    });
                }
                Visit::Pause => tour.pause = Some(TourPause { order, at: at(checked.begin) }),
            }
        }
        go(&mut tour, vehicle.end);
        tour.geometry.coordinates.dedup();
        tour.thin(THIN);
        tour
    }

    /// Depots and sites to which nobody can get.
    fn unreachable(&self) -> impl Iterator<Item = Lack> {
        let settings = &self.scheme.settings;
        let depots = settings.depot.iter().map(|depot| ("depot", "depån", &depot.id));
        let sites = settings.site.iter().map(|site| ("site", "tömningsplatsen", &site.id));
        depots.chain(sites).enumerate().filter_map(|(place, (what, what_sv, id))| {
            let why = self.ways.unreachable(place)?;
            Some(Lack {
                kind: "unreachable".to_owned(),
                text: format!("nobody can get to the {what} {id}: {why}"),
                text_sv: format!("ingen väg till {what_sv} {id}: kontrollera koordinaterna"),
            })
        })
    }
}

/// What is done or begun was when it was, for the reason that it had.
fn remember(routes: &mut [Tour], under_way: &UnderWay<'_>) {
    let begun: HashMap<&str, &TourStop> =
        under_way.stops().map(|stop| (stop.id.as_str(), stop)).collect();
    for stop in routes.iter_mut().flat_map(|tour| &mut tour.stops) {
        if let Some(begun) = begun.get(stop.id.as_str()) {
            (stop.arrival, stop.begin) = (begun.arrival, begun.begin);
            stop.reason = begun.reason.clone();
        }
    }
}

/// What can be said of all plans.
fn kpi(routes: &[Tour], left_out: usize) -> Kpi {
    let seconds: u64 = routes.iter().map(|tour| tour.seconds).sum();
    let metres: u64 = routes.iter().map(|tour| tour.metres).sum();
    Kpi {
        km: metres as f64 / 1000.0,
        hours: rounded(seconds as f64 / 3600.0, 2),
        stops: routes.iter().map(|tour| tour.stops.len()).sum(),
        left_out,
        ..Kpi::default()
    }
}
