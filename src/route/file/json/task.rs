//! The document as it stands in the file. All objects refuse members that they do not know.

use super::value::{Length, Moment, Span};
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Task {
    /// What it is called.
    #[serde(default = "unnamed")]
    pub name: String,
    /// What a visit to a site means.
    #[serde(default)]
    pub haul: Haul,
    /// Times of day before this one belong to the next day: a night's patrol writes `"12:00"`
    /// and then plainly `"22:00"` and `"03:00"`.
    #[serde(default)]
    pub day_begins: Moment,
    /// The speed on straight lines, where there is no matrix.
    #[serde(default = "usual_speed")]
    pub speed_kmh: f64,
    /// Places by name, for depots, and for all if there is a matrix.
    pub places: Vec<Place>,
    /// The way between all places, in their order.
    pub matrix: Option<Ways>,
    /// Who drives.
    pub vehicles: Vec<Vehicle>,
    /// Where vehicles unload, or load again.
    #[serde(default)]
    pub sites: Vec<Site>,
    /// What is visited.
    pub stops: Vec<Stop>,
}

fn unnamed() -> String {
    "unnamed".to_owned()
}

/// A lorry from bin to bin in a town.
fn usual_speed() -> f64 {
    30.0
}

/// What a visit to a site means.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Haul {
    /// The vehicle unloads, as it must before it comes home if there are sites.
    #[default]
    Collect,
    /// The vehicle, which starts full, loads again.
    Deliver,
}

/// A place by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Place {
    /// Its name, unique among the places.
    pub id: String,
    /// Degrees north (WGS 84). Not needed with a matrix.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
}

/// The way from each place to each, row by row; `null` where there is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ways {
    /// Distances in metres.
    pub metres: Vec<Vec<Option<u32>>>,
    /// Travel times in seconds.
    pub seconds: Vec<Vec<Option<u32>>>,
}

/// Volume and mass; what is not told is 0 as a load, and without limit as room.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Amount {
    /// Litres.
    pub volume: Option<u32>,
    /// Kilograms.
    pub mass: Option<u32>,
}

/// A vehicle with its crew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Vehicle {
    /// Its name, unique among the vehicles. Several of one sort are numbered: `truck-1`, ….
    pub id: String,
    /// How many of the sort there are; 1 unless told.
    pub count: Option<u32>,
    /// The place where it starts.
    pub start: String,
    /// The place where it ends; where it started, unless told.
    pub end: Option<String>,
    /// It leaves no earlier and is back no later.
    pub shift: Span,
    /// What it holds.
    #[serde(default)]
    pub capacity: Amount,
    /// What is aboard at the start.
    #[serde(default)]
    pub aboard: Amount,
    /// What it may handle in all during the day.
    #[serde(default)]
    pub daily: Amount,
    /// How many stops it may serve during the day.
    pub most_stops: Option<u32>,
    /// How often it may visit a site during the day, its last visit included.
    pub most_unloadings: Option<u32>,
    /// The crew's break.
    #[serde(rename = "break")]
    pub pause: Option<Pause>,
    /// What it and its crew can do, in words of your own.
    #[serde(default)]
    pub skills: Vec<String>,
    /// How many people are in it, 1 or 2; 1 unless told.
    pub crew: Option<u8>,
    /// What it costs; by distance alone unless told.
    pub rates: Option<Rates>,
    /// What it has done, or begun.
    #[serde(default)]
    pub frozen: Vec<Done>,
}

/// A break of the crew. A route that is over by the latest time at which it could begin needs
/// none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pause {
    /// When it may begin.
    pub window: Span,
    /// How long it takes.
    pub length: Length,
}

/// What the use of a vehicle costs, in a unit of your own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rates {
    /// If it leaves at all.
    #[serde(default)]
    pub fixed: u32,
    /// For each metre.
    #[serde(default)]
    pub distance: u32,
    /// For each second of driving.
    #[serde(default)]
    pub time: u32,
}

/// A visit that is done or begun: `{"stop": "bin 7"}`, `{"site": "tip"}` or `"break"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Done {
    /// The stop of this id.
    Stop(String),
    /// The site of this id.
    Site(String),
    /// The break.
    #[serde(rename = "break")]
    Pause,
}

/// Where vehicles unload, or load again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Site {
    /// Its name, unique among the sites.
    pub id: String,
    /// The place where it is, or `lat` and `lon`.
    pub place: Option<String>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// When a visit may begin; at any time unless told.
    pub window: Option<Span>,
    /// How long a visit takes.
    #[serde(default)]
    pub service: Length,
}

/// Something to be visited once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Stop {
    /// Its name, unique among the stops.
    pub id: String,
    /// The place where it is, or `lat` and `lon`.
    pub place: Option<String>,
    /// Degrees north.
    pub lat: Option<f64>,
    /// Degrees east.
    pub lon: Option<f64>,
    /// When the work may begin; at any time unless told.
    pub window: Option<Span>,
    /// How long the work takes.
    #[serde(default)]
    pub service: Length,
    /// What is collected or delivered.
    #[serde(default)]
    pub load: Amount,
    /// What the vehicle and its crew must be able to do.
    #[serde(default)]
    pub skills: Vec<String>,
    /// How many people it takes, 1 or 2; 1 unless told.
    pub crew: Option<u8>,
    /// The trip that serves it leaves no earlier than this.
    pub release: Option<Moment>,
    /// It may be left out, at this cost. Without a prize it has to be visited.
    pub prize: Option<u32>,
}
