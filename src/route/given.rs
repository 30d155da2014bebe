//! Plans that come by names: from the cloud, or from the plan before.

use super::check::check;
use super::plan::{Plan, Route, Visit, unserved};
use super::problem::{Haul, Problem};
use super::sheet::{Doing, Sheet};
use std::collections::{HashMap, HashSet};

/// Why names are no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no such vehicle.
    #[error("there is no vehicle {0:?}")]
    Vehicle(String),
    /// There is no such bin or site.
    #[error("there is neither a bin nor an unloading site {0:?} that can be visited")]
    Stop(String),
}

/// A plan whose routes are given as vehicles and the names of stops and sites. What vehicles that
/// are under way have done goes before it, and is not done again. A break that is missing goes to
/// the first place where the route breaks no rule, and a last unloading is added where the vehicle
/// would come home loaded.
///
/// # Errors
/// When a name is that of nothing in the problem. Whether the plan breaks no rule is for
/// [`check`] to say.
pub fn given(problem: &Problem, routes: &[(String, Vec<String>)]) -> Result<Plan, NameError> {
    let names = Names::new(problem);
    let mut plan = Plan::default();
    let done: HashSet<Visit> =
        problem.vehicles.iter().flat_map(|vehicle| &vehicle.frozen).copied().collect();
    for (vehicle, stops) in routes {
        let unknown = || NameError::Vehicle(vehicle.clone());
        let vehicle = *names.vehicles.get(vehicle.as_str()).ok_or_else(unknown)?;
        let visits = stops.iter().map(|name| {
            let visit = names.stops.get(name.as_str()).or_else(|| names.sites.get(name.as_str()));
            visit.copied().ok_or_else(|| NameError::Stop(name.clone()))
        });
        let visits = visits.collect::<Result<Vec<_>, _>>()?;
        let visits = behind(&problem.vehicles[vehicle].frozen, &visits, &done);
        if !visits.is_empty() {
            plan.routes.push(completed(problem, Route { vehicle, visits }));
        }
    }
    for (vehicle, under_way) in problem.vehicles.iter().enumerate() {
        let told = plan.routes.iter().any(|route| route.vehicle == vehicle);
        if !told && !under_way.frozen.is_empty() {
            let visits = under_way.frozen.clone();
            plan.routes.push(completed(problem, Route { vehicle, visits }));
        }
    }
    plan.unserved = unserved(problem, &plan.routes);
    Ok(plan)
}

/// A route behind what its vehicle has done: whoever tells it whole tells the same again.
fn behind(frozen: &[Visit], told: &[Visit], done: &HashSet<Visit>) -> Vec<Visit> {
    let mut rest = told.iter().copied().peekable();
    for visit in frozen {
        rest.next_if_eq(visit);
    }
    let rest = rest.filter(|visit| !matches!(visit, Visit::Stop(_)) || !done.contains(visit));
    frozen.iter().copied().chain(rest).collect()
}

/// The plan before, as far as there still are its vehicles, stops and sites: a search may begin
/// with it.
#[must_use]
pub fn carried_over(problem: &Problem, sheet: &Sheet) -> Plan {
    let names = Names::new(problem);
    let routes = sheet.routes.iter().filter_map(|tour| {
        let vehicle = *names.vehicles.get(tour.vehicle.as_str())?;
        let visits = tour.doings().into_iter().filter_map(|(_, doing)| names.visit(doing));
        Some(Route { vehicle, visits: visits.collect() })
    });
    let routes: Vec<Route> = routes.filter(|route| !route.visits.is_empty()).collect();
    let unserved = unserved(problem, &routes);
    Plan { routes, unserved }
}

/// Numbers by names.
#[derive(Debug)]
pub struct Names<'p> {
    vehicles: HashMap<&'p str, usize>,
    stops: HashMap<&'p str, Visit>,
    sites: HashMap<&'p str, Visit>,
}

impl<'p> Names<'p> {
    /// Those of a problem.
    #[must_use]
    pub fn new(problem: &'p Problem) -> Self {
        let vehicles = problem.vehicles.iter().enumerate();
        let stops = problem.stops.iter().enumerate();
        let sites = problem.sites.iter().enumerate();
        Self {
            vehicles: vehicles.map(|(i, vehicle)| (&*vehicle.id, i)).collect(),
            stops: stops.map(|(i, stop)| (&*stop.id, Visit::Stop(i))).collect(),
            sites: sites.map(|(i, site)| (&*site.id, Visit::Site(i))).collect(),
        }
    }

    /// What is done, if it still can be.
    #[must_use]
    pub fn visit(&self, doing: Doing<'_>) -> Option<Visit> {
        match doing {
            Doing::Stop(bin) => self.stops.get(bin).copied(),
            Doing::Unloading(site) => self.sites.get(site).copied(),
            Doing::Pause => Some(Visit::Pause),
        }
    }
}

/// The route with what is missing, if that makes it one that breaks no rule.
fn completed(problem: &Problem, route: Route) -> Route {
    let mut alone = problem.clone();
    for (number, vehicle) in alone.vehicles.iter_mut().enumerate() {
        if number != route.vehicle {
            // those under way would be missed
            vehicle.frozen.clear();
        }
    }
    let fits = |route: &Route| {
        let unserved = unserved(&alone, std::slice::from_ref(route));
        check(&alone, &Plan { routes: vec![route.clone()], unserved }).is_ok()
    };
    let ends = problem.haul == Haul::Collect
        && !matches!(route.visits.last(), Some(Visit::Site(_)) | None);
    let sites = if ends { problem.sites.len() } else { 0 };
    let pauses =
        if problem.vehicles[route.vehicle].pause.is_some() { route.visits.len() + 1 } else { 0 };
    for end in std::iter::once(None).chain((0..sites).map(Some)) {
        for pause in std::iter::once(None).chain((0..=pauses).map(Some).take(pauses)) {
            let mut complete = route.clone();
            complete.visits.extend(end.map(Visit::Site));
            if let Some(at) = pause {
                complete.visits.insert(at, Visit::Pause);
            }
            if fits(&complete) {
                return complete;
            }
        }
    }
    route
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::file;

    fn problem() -> Problem {
        let text = include_str!("../../config/tours/monday.json");
        file::read(text).expect("the example").problem
    }

    fn routes(list: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        list.iter().map(|(vehicle, stops)| ((*vehicle).to_owned(), owned(stops))).collect()
    }

    #[test]
    fn a_plan_by_names_gets_its_unloading_and_its_break() {
        let problem = problem();
        let plan = given(
            &problem,
            &routes(&[("truck-1", &["school", "bin 1739"]), ("crane", &["glass"])]),
        )
        .expect("names");
        let reckoning = check(&problem, &plan).expect("no rule is broken");
        assert!(reckoning.missing.is_empty());
        assert_eq!(plan.unserved.len(), 1);
        assert!(matches!(plan.routes[0].visits.last(), Some(Visit::Site(0))));
    }

    #[test]
    fn what_is_done_is_told_again_or_not_and_never_done_twice() {
        let mut problem = problem();
        let names = Names::new(&problem);
        let done = vec![names.stops["school"], names.sites["tip"]];
        drop(names);
        let truck = problem.vehicles.iter_mut().find(|vehicle| vehicle.id == "truck-1");
        truck.expect("a truck").frozen = done.clone();
        let visits = |list: &[(&str, &[&str])]| -> Vec<Vec<Visit>> {
            let plan = given(&problem, &routes(list)).expect("names");
            plan.routes.into_iter().map(|route| route.visits).collect()
        };
        let whole = visits(&[("truck-1", &["school", "tip", "bin 1739"])]);
        assert_eq!(whole, visits(&[("truck-1", &["bin 1739"])]));
        assert_eq!(whole[0][..2], done);
        assert_eq!(visits(&[]), [done], "nobody has told it to turn back");
    }

    #[test]
    fn names_of_nothing_are_told() {
        let problem = problem();
        let vehicle = given(&problem, &routes(&[("truck", &["school"])]));
        assert_eq!(vehicle, Err(NameError::Vehicle("truck".into())));
        let stop = given(&problem, &routes(&[("truck-1", &["skool"])]));
        assert_eq!(stop, Err(NameError::Stop("skool".into())));
    }

    #[test]
    fn a_plan_that_breaks_a_rule_stays_one() {
        let problem = problem();
        let plan = given(&problem, &routes(&[("truck-1", &["glass"])])).expect("names");
        check(&problem, &plan).expect_err("a truck is no crane");
        let twice = given(&problem, &routes(&[("truck-1", &["school", "school"])])).expect("names");
        check(&problem, &twice).expect_err("twice");
    }
}
