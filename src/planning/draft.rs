//! From the levels of bins to a plan that went through the checker.

use super::scheme::{LEAD, Scheme, THOUSANDTHS};
use super::ways::Ways;
use super::{Kept, PlanningError};
use crate::bins::Level;
use crate::route::check::{CheckedRoute, Reckoning};
use crate::route::collection::{
    Collection, Language, Reason, Shortfall, Verdict, WhyOut, collection,
};
use crate::route::difference::Difference;
use crate::route::given::{Names, carried_over, given};
use crate::route::kpi::{self, Comparison};
use crate::route::problem::{Problem, Vehicle};
use crate::route::road::Position;
use crate::route::sheet::{
    ATTRIBUTION, Cause, Cost, Instead, Kpi, Lack, LeftOut, LineString, Origin, Sheet, Tour,
    TourPause, TourStop, Unloading,
};
use crate::route::solver::{Progress, Settings, Solver};
use crate::route::{Plan, Route, Visit, check};
use crate::sys;
use crate::upstream::command::Given;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::{HashMap, HashSet};

/// A plan that is mended takes this part of its budget in milliseconds, and no fewer moves than
/// [`LEAST`]. With all else that is done to a plan that is half a second, in which one bin more
/// finds its place as well as in a plan made anew (`cargo bench --bench tours`).
const MENDING: u64 = 400;
const LEAST: u64 = 500;

/// Places of a way that are nearer to the line than this, in degrees, are left out of it: 2 m.
const THIN: f64 = 2e-5;

/// Tours that are only compared with are searched for with so many moves.
const COMPARED: u64 = 3000;

/// The level from which on bins are usually emptied where the fullest are chosen first.
const USUAL_THRESHOLD: f64 = 0.7;

/// What is to be planned.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) day: Date,
    pub(super) now: Timestamp,
    pub(super) cause: Cause,
    /// A plan from the cloud, to be checked only.
    pub(super) given: Option<Given>,
}

/// How many moves fit into the budget of a plan, as measured once.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calibration {
    budget_ms: u64,
    stops: usize,
    iterations: u64,
}

impl Calibration {
    /// Whether it still says something about a search in this budget among so many stops.
    fn holds(&self, budget_ms: u64, stops: usize) -> bool {
        self.budget_ms == budget_ms && self.stops / 2 <= stops && stops <= self.stops * 2
    }
}

/// How many of the moves that a plan takes are enough to mend one.
fn mending(iterations: u64, budget_ms: u64) -> u64 {
    let part = MENDING as f64 / budget_ms.max(MENDING) as f64;
    ((iterations as f64 * part) as u64).max(LEAST)
}

/// What is needed to plan one day.
pub(super) struct Desk<'a> {
    pub(super) name: &'a str,
    pub(super) scheme: &'a Scheme,
    pub(super) ways: &'a Ways,
    pub(super) levels: &'a HashMap<String, Level>,
    pub(super) kept: &'a Kept,
}

/// A search with its outcome.
struct Found {
    plan: Plan,
    iterations: Option<u64>,
}

impl Desk<'_> {
    /// Plans. `go_on` is asked now and then whether to, and told how many moves there will be.
    pub(super) fn plan(
        &self,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut dyn FnMut(Progress, u64) -> bool,
    ) -> Result<Sheet, PlanningError> {
        let Task { day, now, .. } = *task;
        let calendar = &self.scheme.calendar;
        if calendar.nearly_over(day, now) {
            return Err(PlanningError::Over { day });
        }
        let before = self.kept.sheet.as_deref().filter(|sheet| sheet.day == day);
        let done: HashSet<String> = before.iter().flat_map(|sheet| done(sheet, now)).collect();
        let mut visited = self.kept.visits(now);
        // what is frozen keeps what was in it
        visited.retain(|bin, _| !done.contains(bin));
        let second = calendar.seconds(day, now);
        // what can be done on the day at all is not a matter of who can still leave
        let mut vehicles = self.scheme.vehicles(0);
        let mut requested: HashSet<String> = HashSet::new();
        match &task.given {
            Some(given) => {
                requested.extend(given.routes.iter().flat_map(|(_, stops)| stops).cloned());
            }
            None => requested.extend(done),
        }
        // what lies in a lake would make each tour impossible that has to go there
        let reached = |vehicle: &Vehicle| self.ways.unreachable(vehicle.start).is_none();
        vehicles.retain(reached);
        let mut sites = self.scheme.sites();
        sites.retain(|site| self.ways.unreachable(site.place).is_none());
        let bins = self.scheme.bins(self.levels, &visited, &requested, now);
        let mut collection = collection(
            self.name,
            &bins,
            self.scheme.horizon(day, now),
            &self.scheme.rules(),
            self.ways.matrix.clone(),
            vehicles,
            sites,
        );
        let mut left = match task.given {
            // who names one that is too late is told so
            Some(_) => self.scheme.fleet(second),
            None => self.scheme.vehicles(second),
        };
        left.retain(reached);
        collection.problem.vehicles = left;
        if let (None, Some(sheet)) = (&task.given, before) {
            self.freeze(&mut collection, sheet, now);
        }
        let found = match &task.given {
            Some(routes) => {
                Found { plan: given(&collection.problem, &routes.routes)?, iterations: None }
            }
            None => self.search(&collection, task, calibration, go_on)?,
        };
        let reckoning = check(&collection.problem, &found.plan).map_err(PlanningError::Faulty)?;
        Ok(self.sheet(task, &collection, &found, &reckoning))
    }

    /// Puts what vehicles have done, or are on their way to, at the beginning of their routes.
    fn freeze(&self, collection: &mut Collection, sheet: &Sheet, now: Timestamp) {
        let calendar = &self.scheme.calendar;
        let problem = &collection.problem;
        let names = Names::new(problem);
        let mut begun: Vec<(String, u32, Vec<Visit>)> = Vec::new();
        let mut loads = Vec::new();
        for tour in under_way(sheet, now) {
            let visits = tour.doings().into_iter();
            // one that has lost its name is done all the same, and no reason to forget the others
            let visits = visits.take(count(tour, now)).filter_map(|(_, doing)| names.visit(doing));
            let leave = calendar.seconds(sheet.day, tour.leave_at);
            begun.push((tour.vehicle.clone(), leave, visits.collect()));
            loads.extend(tour.stops.iter().map(|stop| (stop.id.clone(), stop.load)));
        }
        drop(names);
        let problem = &mut collection.problem;
        for (id, leave, visits) in begun {
            // it is not at home, whatever is known of where it has been
            problem.vehicles.retain(|other| other.id != id);
            let settings = self.scheme.vehicles(0).into_iter().find(|vehicle| vehicle.id == id);
            let Some(mut vehicle) = settings.filter(|_| !visits.is_empty()) else { continue };
            vehicle.shift.earliest = leave;
            let pause = vehicle.pause;
            let soon = calendar.seconds(sheet.day, now).saturating_add(LEAD);
            bound(&mut vehicle, &visits, soon);
            let frozen: HashSet<Visit> = visits.iter().copied().collect();
            vehicle.frozen = visits;
            // what was in the bin then, not what the sensor sees now that it is empty
            for (number, stop) in problem.stops.iter_mut().enumerate() {
                let load = loads.iter().find(|(bin, _)| *bin == stop.id);
                if let Some((_, [volume, mass])) =
                    load.filter(|_| frozen.contains(&Visit::Stop(number)))
                {
                    (stop.load.volume, stop.load.mass) = (*volume, *mass);
                }
            }
            // with what is aboard it has to come home, however late: then as it was planned
            if !can_come_home(problem, &vehicle) {
                let names = Names::new(problem);
                let tour = sheet.routes.iter().find(|tour| tour.vehicle == id);
                let whole = tour.into_iter().flat_map(Tour::doings);
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

    fn search(
        &self,
        collection: &Collection,
        task: &Task,
        calibration: &mut Option<Calibration>,
        go_on: &mut dyn FnMut(Progress, u64) -> bool,
    ) -> Result<Found, PlanningError> {
        let problem = &collection.problem;
        let stops = problem.stops.len();
        if stops == 0 || problem.vehicles.is_empty() {
            let plan = Plan { routes: Vec::new(), unserved: (0..stops).collect() };
            return Ok(Found { plan, iterations: Some(0) });
        }
        let solver = Solver::new(problem);
        let settings = &self.scheme.settings;
        let seed = settings.seed;
        let budget_ms = u64::try_from(settings.budget.as_millis()).unwrap_or(u64::MAX);
        let mut iterations = match (settings.iterations, *calibration) {
            (Some(iterations), _) => iterations,
            (None, Some(known)) if known.holds(budget_ms, stops) => known.iterations,
            (None, _) => {
                let begin = sys::thread_cpu_time();
                let spent = &mut || sys::thread_cpu_time().saturating_sub(begin);
                let iterations = solver.calibrate(seed, None, settings.budget, spent);
                *calibration = Some(Calibration { budget_ms, stops, iterations });
                iterations
            }
        };
        let before = self.kept.sheet.as_deref();
        let from =
            before.filter(|_| task.cause == Cause::Full).map(|sheet| carried_over(problem, sheet));
        if from.is_some() {
            iterations = mending(iterations, budget_ms);
        }
        let settings = Settings { seed, iterations, from: from.as_ref() };
        let solution = solver.solve(&settings, &mut |progress| go_on(progress, iterations));
        let iterations = Some(solution.iterations);
        Ok(Found { plan: solution.plan, iterations })
    }

    fn sheet(
        &self,
        task: &Task,
        collection: &Collection,
        found: &Found,
        reckoning: &Reckoning,
    ) -> Sheet {
        let verdicts = collection.verdicts(&found.plan);
        let settings = &self.scheme.settings;
        let before = self.kept.sheet.as_deref();
        let mut sheet = Sheet {
            name: self.name.to_owned(),
            day: task.day,
            timezone: settings.timezone.0.iana_name().unwrap_or("UTC").to_owned(),
            made_at: task.now,
            origin: if task.given.is_some() { Origin::Cloud } else { Origin::Gateway },
            cause: task.cause,
            estimated: self.ways.estimated(),
            seed: found.iterations.map(|_| settings.seed),
            iterations: found.iterations,
            cost: Cost {
                total: reckoning.cost as f64 / THOUSANDTHS,
                left_out: reckoning.prizes as f64 / THOUSANDTHS,
                unit: settings.currency.clone(),
            },
            routes: Vec::new(),
            left_out: self.left_out(collection, &verdicts),
            shortfalls: self.shortfalls(collection, &found.plan),
            kpi: Kpi::default(),
            difference: None,
            attribution: (!self.ways.estimated()).then(|| ATTRIBUTION.to_owned()),
        };
        let reasons = self.reasons(before, &verdicts, task);
        for route in &reckoning.routes {
            sheet.routes.push(self.tour(task.day, collection, route, &reasons));
        }
        let instead = comparison(collection, reckoning);
        sheet.kpi = kpi(collection, &sheet, instead.as_ref());
        sheet.difference = before.map(|before| Difference::between(before, &sheet));
        sheet
    }

    /// Why each bin is visited. One that was visited already keeps the reason that it had.
    fn reasons(
        &self,
        before: Option<&Sheet>,
        verdicts: &[Verdict],
        task: &Task,
    ) -> HashMap<String, String> {
        let mut reasons: HashMap<String, String> = verdicts
            .iter()
            .filter(|verdict| verdict.reason.is_in())
            .map(|verdict| (verdict.bin.clone(), verdict.reason.to_string()))
            .collect();
        let same_day = before.filter(|sheet| sheet.day == task.day && task.given.is_none());
        for tour in same_day.into_iter().flat_map(|sheet| under_way(sheet, task.now)) {
            for stop in tour.stops.iter().filter(|stop| stop.arrival <= task.now) {
                reasons.insert(stop.id.clone(), stop.reason.clone());
            }
        }
        reasons
    }

    fn tour(
        &self,
        day: Date,
        collection: &Collection,
        route: &CheckedRoute,
        reasons: &HashMap<String, String>,
    ) -> Tour {
        let problem = &collection.problem;
        let vehicle = &problem.vehicles[route.vehicle];
        let at = |second: u64| {
            self.scheme.calendar.moment(day, u32::try_from(second).unwrap_or(u32::MAX))
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
                    let assessment = &collection.assessments[collection.bins[number]];
                    tour.stops.push(TourStop {
                        id: stop.id.clone(),
                        lat: position.lat(),
                        lon: position.lon(),
                        order,
                        arrival: at(checked.arrival),
                        level: assessment.outlook.map(|outlook| hundredths(outlook.level)),
                        reason: reasons.get(&stop.id).cloned().unwrap_or_default(),
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

    /// What is lacking, before a plan and in it.
    fn shortfalls(&self, collection: &Collection, plan: &Plan) -> Vec<Lack> {
        let settings = &self.scheme.settings;
        let depots = settings.depot.iter().map(|depot| ("depot", "depån", &depot.id));
        let sites = settings.site.iter().map(|site| ("site", "tömningsplatsen", &site.id));
        let places = depots.chain(sites).enumerate().filter_map(|(place, (what, what_sv, id))| {
            let why = self.ways.unreachable(place)?;
            Some(Lack {
                kind: "unreachable".to_owned(),
                text: format!("nobody can get to the {what} {id}: {why}"),
                text_sv: format!("ingen väg till {what_sv} {id}: kontrollera koordinaterna"),
            })
        });
        let all = collection.shortfalls().into_iter().chain(collection.missing(plan));
        let of_bins = all.map(|shortfall| Lack {
            kind: match shortfall {
                Shortfall::Vehicles => "vehicles",
                Shortfall::Capacity { .. } => "capacity",
                Shortfall::Time { .. } => "time",
                Shortfall::Missing { .. } => "missing",
                Shortfall::Excluded { .. } => "excluded",
            }
            .to_owned(),
            text: shortfall.text(Language::English),
            text_sv: shortfall.text(Language::Swedish),
        });
        places.chain(of_bins).collect()
    }

    fn left_out(&self, collection: &Collection, verdicts: &[Verdict]) -> Vec<LeftOut> {
        let first = self.scheme.first_bin();
        let out = verdicts.iter().enumerate().filter(|(_, verdict)| !verdict.reason.is_in());
        let visited = out.map(|(i, verdict)| {
            let assessment = &collection.assessments[i];
            let reason = match (verdict.reason, self.ways.unreachable(first + i)) {
                (Reason::Out(WhyOut::NoWay), Some(why)) => why.to_string(),
                (reason, _) => reason.to_string(),
            };
            let position = self.ways.position(first + i);
            LeftOut {
                id: verdict.bin.clone(),
                lat: Some(position.lat()),
                lon: Some(position.lon()),
                level: assessment.outlook.map(|outlook| hundredths(outlook.level)),
                must: assessment.must.is_some(),
                reason,
            }
        });
        let nowhere = self.scheme.nowhere.iter().map(|(id, bin)| {
            let level = self.levels.get(id).map(|level| level.fill.0);
            LeftOut {
                id: id.clone(),
                lat: None,
                lon: None,
                level: level.map(hundredths),
                must: level.is_some_and(|level| level >= bin.threshold_must),
                reason: format!("it has no position: add lat and lon to [bin.{id}]"),
            }
        });
        visited.chain(nowhere).collect()
    }
}

/// The plan beside those that were not made. One of them that breaks a rule is a bug, but none of
/// the plan itself.
fn comparison(collection: &Collection, reckoning: &Reckoning) -> Option<Comparison> {
    if collection.problem.vehicles.is_empty() {
        return None;
    }
    let compared = kpi::comparison(collection, reckoning, USUAL_THRESHOLD, COMPARED);
    compared.map_err(|faults| log::debug!("a plan to compare with breaks rules: {faults:?}")).ok()
}

fn tours(kpi: &kpi::Kpi) -> Instead {
    Instead {
        km: kpi.metres as f64 / 1000.0,
        hours: hundredths(kpi.seconds as f64 / 3600.0),
        stops: kpi.stops,
        overflow_risk: hundredths(kpi.risk),
        missing: kpi.missing,
    }
}

fn kpi(collection: &Collection, sheet: &Sheet, instead: Option<&Comparison>) -> Kpi {
    let stops = || sheet.routes.iter().flat_map(|tour| &tour.stops);
    let levels: Vec<f64> = stops().filter_map(|stop| stop.level).collect();
    let visited: HashSet<&str> = stops().map(|stop| stop.id.as_str()).collect();
    let left = collection.assessments.iter().filter(|a| !visited.contains(a.id.as_str()));
    let seconds: u64 = sheet.routes.iter().map(|tour| tour.seconds).sum();
    Kpi {
        km: sheet.metres() as f64 / 1000.0,
        hours: hundredths(seconds as f64 / 3600.0),
        stops: visited.len(),
        left_out: sheet.left_out.len(),
        mean_level: (!levels.is_empty())
            .then(|| hundredths(levels.iter().sum::<f64>() / levels.len() as f64)),
        overflow_risk: hundredths(left.map(|assessment| assessment.value.probability).sum()),
        all: instead.map(|comparison| tours(&comparison.all)),
        threshold: instead.map(|comparison| tours(&comparison.threshold)),
    }
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
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

/// The tours that have left.
fn under_way(sheet: &Sheet, now: Timestamp) -> impl Iterator<Item = &Tour> {
    sheet.routes.iter().filter(move |tour| tour.leave_at <= now)
}

/// How much of a tour is done or begun: what is over, and what the vehicle drives to.
fn count(tour: &Tour, now: Timestamp) -> usize {
    let doings = tour.doings();
    let begun = doings.iter().filter(|(at, _)| *at <= now).count();
    (begun + 1).min(doings.len())
}

/// The bins of what is done or begun.
fn done(sheet: &Sheet, now: Timestamp) -> Vec<String> {
    use crate::route::sheet::Doing;
    let begun = under_way(sheet, now).flat_map(|tour| {
        let count = count(tour, now);
        tour.doings().into_iter().take(count)
    });
    let bins = begun.filter_map(|(_, doing)| match doing {
        Doing::Stop(bin) => Some(bin.to_owned()),
        Doing::Unloading(_) | Doing::Pause => None,
    });
    bins.collect()
}
