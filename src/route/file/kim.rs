//! The waste collection instances of Kim, Kim and Sahoo (2006), "Waste collection vehicle routing
//! problem with time windows", Computers & Operations Research 33(12), 3624-3642.
//!
//! Five values, each with a comment, a line of headings, and one row for the depot, each landfill
//! and each stop. Distances are Manhattan distances in feet, driving times follow from one speed.
//! A vehicle unloads at a landfill when it is full and before it comes home, and its driver has a
//! break that begins between 11 and 12 o'clock.

use super::super::Matrix;
use super::super::problem::{Haul, Load, Need, Pause, Problem, Site, Stop, Window};
use super::geometry::pairs;
use super::line::{LARGEST, Line, lines};
use super::solomon::vehicle;
use super::{Document, FileError, Format};
use std::collections::HashSet;

const FEET_PER_MILE: f64 = 5280.0;
const HOUR: u32 = 3600;
/// When the break may begin: the heading of each file says so.
const BREAK: Window = Window { earliest: 11 * HOUR, latest: 12 * HOUR };
/// Loads count in hundredths of a cubic yard: the files have up to two decimals.
const HUNDREDTHS: usize = 2;
/// What a vehicle costs, in feet: the authors' first objective is their number, their second the
/// distance, and no vehicle less is worth so long a detour.
const VEHICLE: u32 = 528_000;
/// How many vehicles more than twice what the daily limits need are offered.
const SPARE_VEHICLES: u64 = 20;

struct Row {
    id: String,
    line: usize,
    at: (f64, f64),
    window: Window,
    service: u32,
    load: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Depot,
    Stop,
    Landfill,
}

/// Reads an instance.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Document, FileError> {
    let missing = |field: &str| FileError::Missing { field: field.to_owned() };
    let mut lines = lines(text, Some("//"));
    let mut value = |field: &str| match lines.next() {
        Some((number, line)) => Ok(Line::new(number, line)),
        None => Err(missing(field)),
    };
    let volume = |mut line: Line<'_>, field: &str| {
        let word = line.word(field)?;
        line.decimal(field, word, HUNDREDTHS, LARGEST).map(|(volume, _)| volume)
    };
    let capacity = volume(value("vehicle capacity")?, "the vehicle capacity")?;
    let daily = volume(value("daily volume")?, "the daily volume")?;
    let most_stops = value("daily number of stops")?.whole("the daily number of stops", LARGEST)?;
    let lunch = value("lunch time")?.whole("the lunch time", u64::from(24 * HOUR))?;
    let mut line = value("speed")?;
    let word = line.word("the speed")?;
    let mph = line.real("the speed", word, 0.1, 1000.0)?;
    let (number, headings) = lines.next().ok_or_else(|| missing("headings"))?;
    if !headings.to_ascii_lowercase().starts_with("stop_id") {
        let line = Line::new(number, headings);
        return Err(line.bad("the headings", headings, "Stop_ID is expected first"));
    }
    let rows = lines.map(|(number, line)| row(Line::new(number, line)));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let depot = only_depot(&rows)?;

    let feet = |from: usize, to: usize| {
        let (a, b): ((f64, f64), (f64, f64)) = (rows[from].at, rows[to].at);
        (a.0 - b.0).abs() + (a.1 - b.1).abs()
    };
    let name = |place: usize| format!("stop {}", rows[place].id);
    let distance = pairs(rows.len(), name, |from, to| feet(from, to).round())?;
    // rounded up, so that a plan that is in time here is in time with fractions, too
    let second = f64::from(HOUR) / (FEET_PER_MILE * mph);
    let time = pairs(rows.len(), name, |from, to| (feet(from, to) * second).ceil())?;

    let of_kind = |kind| rows.iter().enumerate().filter(move |(_, row)| row.kind == kind);
    let stops: Vec<Stop> = of_kind(Kind::Stop)
        .map(|(place, row)| Stop {
            id: row.id.clone(),
            place,
            window: row.window,
            service: row.service,
            load: Load { volume: row.load, mass: 0 },
            skills: 0,
            release: 0,
            need: Need::Must,
        })
        .collect();
    let sites = of_kind(Kind::Landfill).map(|(place, row)| Site {
        id: row.id.clone(),
        place,
        window: row.window,
        service: row.service,
    });
    let sites = sites.collect();

    let pause = (lunch > 0).then_some(Pause { window: BREAK, length: lunch });
    let fleet = fleet(&stops, daily, most_stops, rows[depot].window);
    let vehicles = (1..=fleet).map(|number| {
        let mut vehicle = vehicle(number, rows[depot].window, capacity, pause);
        (vehicle.start, vehicle.end) = (depot, depot);
        vehicle.daily = Load { volume: daily, mass: 0 };
        vehicle.most_stops = most_stops;
        vehicle.rates.fixed = VEHICLE;
        vehicle
    });
    let problem = Problem {
        name: format!("{} stops", stops.len()),
        vehicles: vehicles.collect(),
        matrix: Matrix::new(rows.len(), distance, time),
        stops,
        sites,
        haul: Haul::Collect,
    };
    Ok(Document { format: Format::Kim, problem, skills: Vec::new(), estimated: false })
}

/// The row of the depot, and that no id is there twice.
fn only_depot(rows: &[Row]) -> Result<usize, FileError> {
    let mut ids = HashSet::new();
    let mut depot = None;
    for (place, row) in rows.iter().enumerate() {
        let bad = |field: &str, found: &str, expected: &str| FileError::BadField {
            line: row.line,
            field: field.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        if !ids.insert(&row.id) {
            return Err(bad("Stop_ID", &row.id, "which another row has, too"));
        }
        if row.kind == Kind::Depot && depot.replace(place).is_some() {
            return Err(bad("Stop_Type", "0", "and there is a depot already"));
        }
    }
    depot.ok_or_else(|| FileError::Missing { field: "row of a depot (Stop_Type 0)".to_owned() })
}

fn row(mut line: Line<'_>) -> Result<Row, FileError> {
    let id = line.word("Stop_ID")?;
    if !id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(line.bad("Stop_ID", id, "a number is expected"));
    }
    let id = id.chars().take(20).collect();
    let at = (line.coordinate("X")?, line.coordinate("Y")?);
    let earliest = time(&mut line, "Early_St_Time")?;
    let latest = time(&mut line, "Late_St_Time")?;
    if latest < earliest {
        let late = format!("{:02}{:02}", latest / HOUR, latest % HOUR / 60);
        return Err(line.bad("Late_St_Time", &late, "before Early_St_Time"));
    }
    let service = line.whole("Svice_Time", u64::from(24 * HOUR))?;
    let word = line.word("Load")?;
    let (load, more) = line.decimal("Load", word, HUNDREDTHS, LARGEST)?;
    let word = line.word("Stop_Type")?;
    let kind = match word {
        "0" => Kind::Depot,
        "1" => Kind::Stop,
        "2" => Kind::Landfill,
        _ => return Err(line.bad("Stop_Type", word, "0, 1 or 2 is expected")),
    };
    line.end("what follows Stop_Type")?;
    let window = Window { earliest, latest };
    Ok(Row { id, line: line.number(), at, window, service, load: load + u32::from(more), kind })
}

/// A time of day as hours and minutes without anything between them: `0400`, `400`, `2400`.
fn time(line: &mut Line<'_>, field: &str) -> Result<u32, FileError> {
    let word = line.word(field)?;
    let wrong = || line.bad(field, word, "a time such as 0730 is expected");
    let (time, rest) = line.decimal(field, word, 0, 9999)?;
    let seconds = time / 100 * HOUR + time % 100 * 60;
    if rest || seconds > 24 * HOUR { Err(wrong()) } else { Ok(seconds) }
}

/// As many vehicles as could ever be wanted: more than twice what any of the limits of a day
/// asks for, but no more than stops.
fn fleet(stops: &[Stop], daily: u32, most_stops: u32, shift: Window) -> usize {
    let volume: u64 = stops.iter().map(|stop| u64::from(stop.load.volume)).sum();
    let work: u64 = stops.iter().map(|stop| u64::from(stop.service)).sum();
    let day = u64::from(shift.latest - shift.earliest).max(1);
    let least = volume.div_ceil(u64::from(daily.max(1)))
        + (stops.len() as u64).div_ceil(u64::from(most_stops.max(1)))
        + work.div_ceil(day);
    let wanted = usize::try_from(2 * least + SPARE_VEHICLES).unwrap_or(usize::MAX);
    wanted.min(stops.len()).max(1)
}
