//! lykta's own problem, as JSON.
//!
//! [`Task`] is the schema. Times are `"06:30"` or seconds, windows `"06:00-14:30"` or two times,
//! durations `"5min"` or seconds; places are given by latitude and longitude (then distances are
//! straight lines × 1.4, and the plan is marked as estimated) or by a matrix.
//!
//! ```json
#![doc = include_str!("../../../config/tours/monday.json")]
//! ```

mod places;
pub mod task;
pub mod value;

use super::super::plan::Visit;
use super::super::problem::{
    Haul, LARGEST_PRIZE, Load, Need, Pause, Problem, Rates, Site, Stop, Vehicle, Window,
};
use super::line::LARGEST;
use super::{Document, FileError, Format, MOST_PLACES};
use places::Places;
use std::collections::HashMap;
use task::{Amount, Done, Task};
use value::Span;

/// The skill of a crew of two, beside the words of the file.
const CREW_OF_TWO: &str = "crew of two";

/// How many skills a problem can have: the bits of a `u32`.
const MOST_SKILLS: usize = 32;

/// Reads a problem.
///
/// # Errors
/// What is wrong with it, where in the text, and at which member.
pub fn read(text: &str) -> Result<Document, FileError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let task: Task = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        of_json(error.inner(), if path == "." { "the document".to_owned() } else { path })
    })?;
    json.end().map_err(|error| of_json(&error, "what follows the document".to_owned()))?;
    Reading::of(task)
}

fn of_json(error: &serde_json::Error, path: String) -> FileError {
    let (line, column) = (error.line(), error.column());
    let why = error.to_string();
    let why = why.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&why);
    FileError::Json { line, column, path, why: why.to_owned() }
}

fn wrong(path: impl Into<String>, why: impl Into<String>) -> FileError {
    FileError::Meaning { path: path.into(), why: why.into() }
}

/// What is common to all members.
struct Reading {
    day_begins: u32,
    skills: Vec<String>,
}

impl Reading {
    fn of(task: Task) -> Result<Document, FileError> {
        let day_begins = task.day_begins.from_midnight(0);
        let mut this = Self { day_begins, skills: Vec::new() };
        let mut places = Places::of(&task)?;

        let mut sites = Vec::new();
        for (i, site) in task.sites.iter().enumerate() {
            let path = format!("sites[{i}]");
            sites.push(Site {
                id: site.id.clone(),
                place: places.at(&path, site.place.as_deref(), site.lat, site.lon)?,
                window: this.window(&path, site.window)?,
                service: site.service.0,
            });
        }
        let site_numbers = numbers("sites", sites.iter().map(|site| &site.id))?;
        let mut stops = Vec::new();
        for (i, stop) in task.stops.iter().enumerate() {
            let path = format!("stops[{i}]");
            let prize = stop.prize.filter(|prize| *prize > LARGEST_PRIZE);
            if let Some(prize) = prize {
                let why = format!("{prize} is more than {LARGEST_PRIZE}, the largest prize");
                return Err(wrong(format!("{path}.prize"), why));
            }
            stops.push(Stop {
                id: stop.id.clone(),
                place: places.at(&path, stop.place.as_deref(), stop.lat, stop.lon)?,
                window: this.window(&path, stop.window)?,
                service: stop.service.0,
                load: amount(&format!("{path}.load"), stop.load, Load::default())?,
                skills: this.skills(&path, &stop.skills, stop.crew)?,
                release: stop.release.map_or(0, |moment| moment.from_midnight(day_begins)),
                need: stop.prize.map_or(Need::Must, Need::Optional),
            });
        }
        let stop_numbers = numbers("stops", stops.iter().map(|stop| &stop.id))?;

        let mut vehicles = Vec::new();
        for (i, vehicle) in task.vehicles.iter().enumerate() {
            let path = format!("vehicles[{i}]");
            let frozen = vehicle.frozen.iter().enumerate().map(|(n, done)| {
                let (numbers, id, kind) = match done {
                    Done::Stop(id) => (&stop_numbers, id, "stop"),
                    Done::Site(id) => (&site_numbers, id, "site"),
                    Done::Pause => return Ok(Visit::Pause),
                };
                match (numbers.get(&**id), done) {
                    (Some(&number), Done::Stop(_)) => Ok(Visit::Stop(number)),
                    (Some(&number), _) => Ok(Visit::Site(number)),
                    (None, _) => {
                        let path = format!("{path}.frozen[{n}]");
                        Err(wrong(path, format!("there is no {kind} {id:?}")))
                    }
                }
            });
            let frozen = frozen.collect::<Result<_, _>>()?;
            this.vehicle(&path, vehicle, frozen, &mut places, &mut vehicles)?;
        }
        numbers("vehicles", vehicles.iter().map(|vehicle: &Vehicle| &vehicle.id))?;

        let estimated = task.matrix.is_none();
        let problem = Problem {
            name: task.name.clone(),
            matrix: places.matrix(task.matrix.as_ref(), task.speed_kmh)?,
            stops,
            vehicles,
            sites,
            haul: match task.haul {
                task::Haul::Collect => Haul::Collect,
                task::Haul::Deliver => Haul::Deliver,
            },
        };
        Ok(Document { format: Format::Json, problem, skills: this.skills, estimated })
    }

    /// All vehicles of one sort.
    fn vehicle(
        &mut self,
        path: &str,
        vehicle: &task::Vehicle,
        frozen: Vec<Visit>,
        places: &mut Places,
        all: &mut Vec<Vehicle>,
    ) -> Result<(), FileError> {
        let count = vehicle.count.unwrap_or(1);
        if count == 0 || all.len() + count as usize > MOST_PLACES {
            let why = format!("1 to {MOST_PLACES} vehicles are expected in all");
            return Err(wrong(format!("{path}.count"), why));
        }
        if count > 1 && !frozen.is_empty() {
            let why = "only one vehicle can have begun this tour, and the count is more";
            return Err(wrong(format!("{path}.frozen"), why));
        }
        let start = places.named(&format!("{path}.start"), &vehicle.start)?;
        let end = match &vehicle.end {
            Some(end) => places.named(&format!("{path}.end"), end)?,
            None => start,
        };
        let pause = match &vehicle.pause {
            None => None,
            Some(pause) => {
                let window = self.window(&format!("{path}.break"), Some(pause.window))?;
                Some(Pause { window, length: pause.length.0 })
            }
        };
        let rates = vehicle.rates.map_or(Rates::DISTANCE, |rates| Rates {
            fixed: rates.fixed,
            distance: rates.distance,
            time: rates.time,
        });
        let one = Vehicle {
            id: vehicle.id.clone(),
            start,
            end,
            shift: self.span(&format!("{path}.shift"), vehicle.shift)?,
            capacity: amount(&format!("{path}.capacity"), vehicle.capacity, Load::UNBOUNDED)?,
            aboard: amount(&format!("{path}.aboard"), vehicle.aboard, Load::default())?,
            daily: amount(&format!("{path}.daily"), vehicle.daily, Load::UNBOUNDED)?,
            most_stops: vehicle.most_stops.unwrap_or(u32::MAX),
            most_unloadings: vehicle.most_unloadings.unwrap_or(u32::MAX),
            pause,
            skills: self.skills(path, &vehicle.skills, vehicle.crew)?,
            rates,
            frozen,
            not_before: 0,
        };
        if count == 1 {
            all.push(one);
        } else {
            let numbered = |i| Vehicle { id: format!("{}-{i}", vehicle.id), ..one.clone() };
            all.extend((1..=count).map(numbered));
        }
        Ok(())
    }

    fn window(&self, path: &str, span: Option<Span>) -> Result<Window, FileError> {
        span.map_or(Ok(Window::ALWAYS), |span| self.span(&format!("{path}.window"), span))
    }

    fn span(&self, path: &str, span: Span) -> Result<Window, FileError> {
        let (earliest, latest) = span
            .from_midnight(self.day_begins)
            .ok_or_else(|| wrong(path, "it ends before it begins"))?;
        Ok(Window { earliest, latest })
    }

    /// The bits of these skills; a new word gets a new bit.
    fn skills(&mut self, path: &str, words: &[String], crew: Option<u8>) -> Result<u32, FileError> {
        let two = match crew {
            None | Some(1) => None,
            Some(2) => Some(CREW_OF_TWO),
            Some(_) => return Err(wrong(format!("{path}.crew"), "1 or 2 is expected")),
        };
        let mut bits = 0;
        for word in words.iter().map(String::as_str).chain(two) {
            let known = self.skills.iter().position(|skill| skill == word);
            let bit = known.unwrap_or(self.skills.len());
            if bit == MOST_SKILLS {
                let why = format!("{word:?} is one more than {MOST_SKILLS} skills");
                return Err(wrong(format!("{path}.skills"), why));
            }
            if known.is_none() {
                self.skills.push(word.to_owned());
            }
            bits |= 1 << bit;
        }
        Ok(bits)
    }
}

/// The number of each id.
fn numbers<'a>(
    list: &str,
    ids: impl Iterator<Item = &'a String>,
) -> Result<HashMap<&'a str, usize>, FileError> {
    let mut numbers = HashMap::new();
    for (i, id) in ids.enumerate() {
        if id.is_empty() {
            return Err(wrong(format!("{list}[{i}].id"), "it is empty"));
        }
        if let Some(first) = numbers.insert(id.as_str(), i) {
            let why = format!("{id:?} is the id of {list}[{first}], too");
            return Err(wrong(format!("{list}[{i}].id"), why));
        }
    }
    Ok(numbers)
}

fn amount(path: &str, amount: Amount, untold: Load) -> Result<Load, FileError> {
    let number = |told: Option<u32>, untold: u32, name: &str| match told {
        Some(number) if u64::from(number) > LARGEST => {
            Err(wrong(format!("{path}.{name}"), format!("{number} is more than {LARGEST}")))
        }
        told => Ok(told.unwrap_or(untold)),
    };
    Ok(Load {
        volume: number(amount.volume, untold.volume, "volume")?,
        mass: number(amount.mass, untold.mass, "mass")?,
    })
}
