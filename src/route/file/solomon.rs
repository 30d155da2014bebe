//! Solomon's instances with time windows, and those of Gehring and Homberger in the same layout.
//!
//! By the convention of the DIMACS challenge (<http://dimacs.rutgers.edu/programs/challenge/vrp/vrptw/>)
//! distances and times count in tenths, cut off; only distance costs; and there are as many
//! vehicles as are wanted: half as many as rows, whatever the file says.

use super::super::Matrix;
use super::super::problem::{Haul, Load, Need, Pause, Problem, Rates, Stop, Vehicle, Window};
use super::geometry::{Measure, pairs};
use super::line::{LARGEST, Line, lines};
use super::{Document, FileError, Format};

struct Row {
    at: (f64, f64),
    demand: u32,
    window: Window,
    service: u32,
}

/// Reads an instance.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Document, FileError> {
    let missing = |field: &str| FileError::Missing { field: field.to_owned() };
    let mut lines = lines(text, None);
    let mut next = move || lines.next();
    let (_, name) = next().ok_or_else(|| missing("name"))?;
    loop {
        let (_, line) = next().ok_or_else(|| missing("NUMBER"))?;
        if line.starts_with("NUMBER") {
            break;
        }
    }
    let (number, line) = next().ok_or_else(|| missing("CAPACITY"))?;
    let mut line = Line::new(number, line);
    line.whole("NUMBER", LARGEST)?;
    let capacity = line.whole("CAPACITY", LARGEST)?;
    loop {
        let (_, line) = next().ok_or_else(|| missing("CUST NO."))?;
        if line.starts_with("CUST") && line.contains("NO") {
            break;
        }
    }
    let mut rows = Vec::new();
    while let Some((number, line)) = next() {
        rows.push(row(Line::new(number, line), rows.len())?);
    }
    let (depot, customers) = rows.split_first().ok_or_else(|| missing("row of the depot"))?;

    let distances = pairs(
        rows.len(),
        |place| format!("customer {place}"),
        |from, to| Measure::Tenths.between(rows[from].at, rows[to].at),
    )?;
    let stops = customers.iter().enumerate().map(|(i, row)| Stop {
        id: (i + 1).to_string(),
        place: i + 1,
        window: row.window,
        service: row.service,
        load: Load { volume: row.demand, mass: 0 },
        skills: 0,
        release: 0,
        need: Need::Must,
    });
    let stops = stops.collect();
    let fleet = rows.len() / 2;
    let problem = Problem {
        name: name.to_owned(),
        matrix: Matrix::of_distances(rows.len(), distances),
        stops,
        vehicles: (1..=fleet.max(1)).map(|i| vehicle(i, depot.window, capacity, None)).collect(),
        sites: Vec::new(),
        haul: Haul::Deliver,
    };
    Ok(Document { format: Format::Solomon, problem, skills: Vec::new(), estimated: false })
}

fn row(mut line: Line<'_>, expected: usize) -> Result<Row, FileError> {
    let number = line.word("CUST NO.")?;
    if number.parse() != Ok(expected) {
        return Err(line.bad("CUST NO.", number, format!("{expected} is expected")));
    }
    let scale = Measure::Tenths.scale();
    let tenths = |line: &mut Line<'_>, field| {
        Ok::<_, FileError>(line.whole(field, LARGEST / u64::from(scale))? * scale)
    };
    let at = (line.coordinate("XCOORD")?, line.coordinate("YCOORD")?);
    let demand = line.whole("DEMAND", LARGEST)?;
    let earliest = tenths(&mut line, "READY TIME")?;
    let latest = tenths(&mut line, "DUE DATE")?;
    if latest < earliest {
        let due = (latest / scale).to_string();
        return Err(line.bad("DUE DATE", &due, "before the READY TIME"));
    }
    let service = tenths(&mut line, "SERVICE TIME")?;
    line.end("what follows SERVICE TIME")?;
    Ok(Row { at, demand, window: Window { earliest, latest }, service })
}

/// One of the equal vehicles of an academic instance, at place 0.
pub(super) fn vehicle(
    number: usize,
    shift: Window,
    capacity: u32,
    pause: Option<Pause>,
) -> Vehicle {
    Vehicle {
        id: number.to_string(),
        start: 0,
        end: 0,
        shift,
        capacity: Load { volume: capacity, mass: 0 },
        aboard: Load::default(),
        daily: Load::UNBOUNDED,
        most_stops: u32::MAX,
        most_unloadings: u32::MAX,
        pause,
        skills: 0,
        rates: Rates::DISTANCE,
        frozen: Vec::new(),
        not_before: 0,
    }
}
