//! VRPLIB: `KEY : VALUE` lines, sections of rows, `EOF`.
//!
//! Read are the CVRP of CVRPLIB, and with time windows, service times, release times and vehicles
//! that load again at the depot what PyVRP's instances (<https://github.com/PyVRP/Instances>)
//! write, by the same conventions: with windows distances and durations count in tenths, cut off.
//! A key or a section that means something else is an error: a problem half understood would be
//! answered wrongly.

mod sections;

use super::super::Matrix;
use super::super::problem::{Haul, Load, Need, Problem, Site, Stop, Window};
use super::geometry::{Measure, pairs};
use super::line::{LARGEST, Line};
use super::solomon::vehicle;
use super::{Document, FileError, Format, MOST_PLACES};
use sections::{Section, Sections};
use std::sync::Arc;

/// How many vehicles more than the load alone needs are offered where the file names no number.
const SPARE_VEHICLES: u64 = 20;

/// Reads an instance.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Document, FileError> {
    let file = Sections::of(text)?;
    let size = file.number("DIMENSION", MOST_PLACES as u64)?;
    let size = size.ok_or_else(|| missing("DIMENSION"))? as usize;
    if size == 0 {
        return Err(missing("place: DIMENSION is 0"));
    }
    depot(&file)?;
    let windows = file.section("TIME_WINDOW_SECTION");
    let measure = if windows.is_some() { Measure::Tenths } else { Measure::Nearest };
    let scale = measure.scale();
    let most = LARGEST / u64::from(scale);

    let distances = distances(&file, size, measure)?;
    let capacity = file.number("CAPACITY", LARGEST)?.ok_or_else(|| missing("CAPACITY"))?;
    let demands = file.section("DEMAND_SECTION").ok_or_else(|| missing("DEMAND_SECTION"))?;
    let demands = demands.each(size, |line| line.whole("the demand", LARGEST))?;
    let services = match (file.section("SERVICE_TIME_SECTION"), file.value("SERVICE_TIME")) {
        (Some(section), _) => section.each(size, |line| line.whole("the service time", most))?,
        (None, Some(mut line)) => vec![line.whole("SERVICE_TIME", most)?; size],
        (None, None) => vec![0; size],
    };
    let windows = match windows {
        None => vec![Window::ALWAYS; size],
        Some(section) => section.each(size, |line| window(line, most, scale))?,
    };
    let releases = match file.section("RELEASE_TIME_SECTION") {
        None => vec![0; size],
        Some(section) => section.each(size, |line| line.whole("the release time", most))?,
    };
    let stops: Vec<Stop> = (1..size)
        .map(|place| Stop {
            id: place.to_string(),
            place,
            window: windows[place],
            service: services[place] * scale,
            load: Load { volume: demands[place], mass: 0 },
            skills: 0,
            release: releases[place] * scale,
            need: Need::Must,
        })
        .collect();

    let total: u64 = stops.iter().map(|stop| u64::from(stop.load.volume)).sum();
    let by_load = total.div_ceil(u64::from(capacity.max(1))) + SPARE_VEHICLES;
    // time may ask for more vehicles than the load does: then as many as the DIMACS challenge has
    let enough = if measure == Measure::Tenths { by_load.max(size as u64 / 2) } else { by_load };
    let fleet = file.number("VEHICLES", MOST_PLACES as u64)?.map_or(enough, u64::from);
    let fleet = usize::try_from(fleet).unwrap_or(usize::MAX).min(stops.len().max(1));
    let mut vehicles: Vec<_> =
        (1..=fleet).map(|number| vehicle(number, windows[0], capacity, None)).collect();
    let mut sites = Vec::new();
    let reloads = reloads(&file, fleet)?;
    if reloads.contains(&true) {
        sites.push(Site { id: "0".to_owned(), place: 0, window: windows[0], service: 0 });
        for (vehicle, reloads) in vehicles.iter_mut().zip(reloads) {
            vehicle.most_unloadings = if reloads { u32::MAX } else { 0 };
        }
    }
    let problem = Problem {
        name: file.text("NAME").unwrap_or("unnamed").to_owned(),
        matrix: Matrix::of_distances(size, distances),
        stops,
        vehicles,
        sites,
        haul: Haul::Deliver,
    };
    Ok(Document { format: Format::Vrplib, problem, skills: Vec::new(), estimated: false })
}

fn missing(field: &str) -> FileError {
    FileError::Missing { field: field.to_owned() }
}

fn window(line: &mut Line<'_>, most: u64, scale: u32) -> Result<Window, FileError> {
    let earliest = line.whole("the earliest time", most)?;
    let latest = line.whole("the latest time", most)?;
    if latest < earliest {
        return Err(line.bad("the latest time", &latest.to_string(), "before the earliest"));
    }
    Ok(Window { earliest: earliest * scale, latest: latest * scale })
}

/// One depot, and it is node 1: only so do the numbers of the answers mean what everybody takes
/// them for.
fn depot(file: &Sections<'_>) -> Result<(), FileError> {
    let Some(section) = file.section("DEPOT_SECTION") else { return Ok(()) };
    let mut seen = false;
    for mut line in section.lines() {
        let node = line.word("the depot")?;
        match (node, seen) {
            ("-1", _) => break,
            ("1", false) => seen = true,
            (_, false) => return Err(line.bad("the depot", node, "only node 1 is understood")),
            (_, true) => return Err(line.bad("the depot", node, "only one is understood")),
        }
    }
    Ok(())
}

fn distances(file: &Sections<'_>, size: usize, measure: Measure) -> Result<Arc<[u32]>, FileError> {
    let name = |place: usize| format!("node {}", place + 1);
    match file.text("EDGE_WEIGHT_TYPE").ok_or_else(|| missing("EDGE_WEIGHT_TYPE"))? {
        "EUC_2D" => {
            let section =
                file.section("NODE_COORD_SECTION").ok_or_else(|| missing("NODE_COORD_SECTION"))?;
            let points =
                section.each(size, |line| Ok((line.coordinate("x")?, line.coordinate("y")?)))?;
            pairs(size, name, |from, to| measure.between(points[from], points[to]))
        }
        "EXPLICIT" => {
            let section = file
                .section("EDGE_WEIGHT_SECTION")
                .ok_or_else(|| missing("EDGE_WEIGHT_SECTION"))?;
            match file.text("EDGE_WEIGHT_FORMAT").ok_or_else(|| missing("EDGE_WEIGHT_FORMAT"))? {
                "FULL_MATRIX" => {
                    let all = weights(section, size * size)?;
                    pairs(size, name, |from, to| measure.of(all[from * size + to]))
                }
                "LOWER_ROW" => {
                    let all = weights(section, size * (size - 1) / 2)?;
                    pairs(size, name, |from, to| {
                        let (row, column) = (from.max(to), from.min(to));
                        measure.of(all[row * (row - 1) / 2 + column])
                    })
                }
                format => Err(file.unsupported("EDGE_WEIGHT_FORMAT", format)),
            }
        }
        kind => Err(file.unsupported("EDGE_WEIGHT_TYPE", kind)),
    }
}

/// The numbers of a matrix, however they are laid out in lines.
fn weights(section: &Section<'_>, expected: usize) -> Result<Vec<f64>, FileError> {
    let mut all = Vec::new();
    for mut line in section.lines() {
        while let Some(word) = line.more() {
            all.push(line.real("a distance", word, 0.0, 1e9)?);
        }
    }
    if all.len() == expected {
        Ok(all)
    } else {
        let field = "EDGE_WEIGHT_SECTION, numbers instead of".to_owned();
        Err(FileError::Rows { field, rows: all.len(), expected })
    }
}

/// Which of the vehicles may load again at the depot.
fn reloads(file: &Sections<'_>, fleet: usize) -> Result<Vec<bool>, FileError> {
    const FIELD: &str = "the depot of reloading";
    let check = |mut line: Line<'_>| {
        let depot = line.word(FIELD)?;
        match depot {
            "1" => line.end(FIELD),
            _ => Err(line.bad(FIELD, depot, "only node 1 is understood")),
        }
    };
    let Some(section) = file.section("VEHICLES_RELOAD_DEPOT_SECTION") else {
        let all = match file.value("VEHICLES_RELOAD_DEPOT") {
            Some(line) => check(line).map(|()| true)?,
            // PyVRP's instances call a multi-trip problem so
            None => file.text("TYPE").is_some_and(|kind| kind.starts_with("MT")),
        };
        return Ok(vec![all; fleet]);
    };
    let mut vehicles = vec![false; fleet];
    for mut line in section.lines() {
        let word = line.word("the vehicle")?;
        let Some(number) = word.parse::<usize>().ok().filter(|number| *number > 0) else {
            return Err(line.bad("the vehicle", word, "its number is expected"));
        };
        check(line)?;
        // the fleet was cut to the number of stops
        if let Some(vehicle) = vehicles.get_mut(number - 1) {
            *vehicle = true;
        }
    }
    Ok(vehicles)
}
