//! One day of a simulation as a picture.

use super::ground::Ground;
use crate::route::collection::Collection;
use crate::route::picture::{Mark, Picture, Road, Track};
use crate::route::simulation::Town;
use crate::route::{Plan, Reckoning, Visit};
use anyhow::Context;
use std::path::Path;

/// Whether a path names a picture, not a directory for pictures.
pub(super) fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"))
}

/// Writes a picture to a file, or into a directory under its name.
///
/// # Errors
/// When that is impossible.
pub(super) fn write(path: &Path, name: &str, picture: &Picture) -> anyhow::Result<()> {
    let file = if is_file(path) {
        path.to_owned()
    } else {
        let made = std::fs::create_dir_all(path);
        made.with_context(|| format!("{} cannot be made", path.display()))?;
        path.join(format!("{name}.svg"))
    };
    std::fs::write(&file, picture.svg())
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// A day's tours over their ground.
pub(super) fn picture(
    ground: &Ground,
    title: String,
    collection: &Collection,
    plan: &Plan,
    reckoning: &Reckoning,
) -> Picture {
    let problem = &collection.problem;
    let places = &ground.town.places;
    let mut tour_of = vec![None; problem.stops.len()];
    let mut tours = Vec::new();
    for route in &reckoning.routes {
        let mut line = Vec::new();
        let (mut from, mut stops) = (Town::DEPOT, 0);
        for checked in &route.visits {
            let to = match checked.visit {
                Visit::Stop(stop) => {
                    tour_of[stop] = Some(tours.len());
                    stops += 1;
                    problem.stops[stop].place
                }
                Visit::Site(site) => problem.sites[site].place,
                Visit::Pause => continue,
            };
            line.extend(ground.way(from, to));
            from = to;
        }
        line.extend(ground.way(from, Town::DEPOT));
        line.dedup();
        let name = problem.vehicles[route.vehicle].id.clone();
        tours.push(Track { name, line, stops, metres: route.distance });
    }
    let by_name: std::collections::HashMap<&str, usize> = ground
        .town
        .containers
        .iter()
        .enumerate()
        .map(|(number, container)| (container.id.as_str(), Town::BINS + number))
        .collect();
    let bins = collection.assessments.iter().zip(collection.verdicts(plan));
    let bins = bins.filter_map(|(assessment, verdict)| {
        Some(Mark {
            position: places[*by_name.get(assessment.id.as_str())?],
            level: assessment.outlook.map(|outlook| outlook.level),
            tour: verdict.stop.and_then(|stop| tour_of[stop]),
            text: format!("{}: {}", verdict.bin, verdict.reason),
        })
    });
    let bins: Vec<Mark> = bins.collect();
    let roads = ground.roads.iter().flat_map(|(roads, _)| {
        roads.lines(roads.area()).map(|line| Road { line: line.places.to_vec(), speed: line.speed })
    });
    Picture {
        title,
        subtitle: format!(
            "{} of {} bins, {:.1} km",
            reckoning.served,
            ground.town.containers.len(),
            reckoning.distance as f64 / 1000.0
        ),
        roads: roads.collect(),
        tours,
        bins,
        depots: vec![places[Town::DEPOT]],
        sites: vec![places[Town::SITE]],
    }
}
