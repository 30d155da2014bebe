//! Problems and answers as text.
//!
//! Four formats are read: VRPLIB, Solomon's, that of Kim's waste collection instances, and
//! lykta's own JSON. Each is recognised by what stands in it. [`answer`] writes and reads the
//! routes.

pub mod answer;
pub mod geometry;
pub mod json;
pub mod kim;
pub mod line;
pub mod solomon;
pub mod vrplib;

use super::check::Reckoning;
use super::problem::Problem;

/// How many places a problem may have: a matrix of 10,000 places takes 400 MB, and no gateway
/// has more.
pub const MOST_PLACES: usize = 10_000;

/// A file's content.
#[derive(Debug, Clone)]
pub struct Document {
    /// How it is written.
    pub format: Format,
    /// What is to be planned. The ids of stops and sites are those by which an answer names them.
    pub problem: Problem,
    /// The skills in words, by the bits of [`super::problem::Stop::skills`]: the first is bit 0.
    pub skills: Vec<String>,
    /// Whether distances are straight lines, stretched.
    pub estimated: bool,
}

/// How a problem is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Sections of `KEY : VALUE` and rows, with the conventions of CVRPLIB and of PyVRP's
    /// instances.
    Vrplib,
    /// Solomon's instances with time windows, and those of Gehring and Homberger.
    Solomon,
    /// The waste collection instances of Kim, Kim and Sahoo.
    Kim,
    /// Our own.
    Json,
}

impl Format {
    /// Recognises a format by its marks.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            return Some(Self::Json);
        }
        let mut after_vehicle = false;
        for line in text.lines() {
            let mut words = line.split(|c: char| c.is_whitespace() || c == ':');
            let first = words.find(|word| !word.is_empty()).unwrap_or_default();
            if first == "DIMENSION" || first.ends_with("_SECTION") {
                return Some(Self::Vrplib);
            }
            if first.eq_ignore_ascii_case("Stop_ID") {
                return Some(Self::Kim);
            }
            if after_vehicle && first == "NUMBER" {
                return Some(Self::Solomon);
            }
            after_vehicle |= first == "VEHICLE";
        }
        None
    }

    /// What of a plan's reckoning answers in this format tell: the cost, but in Kim's the distance,
    /// since what we count for a vehicle is none of its authors'.
    #[must_use]
    pub fn told(self, reckoning: &Reckoning) -> u64 {
        if self == Self::Kim { reckoning.distance } else { reckoning.cost }
    }

    /// A cost as answers in this format tell it: Solomon's count tenths, with one decimal.
    #[must_use]
    pub fn cost(self, cost: u64) -> String {
        match self {
            Self::Solomon => format!("{}.{}", cost / 10, cost % 10),
            Self::Vrplib | Self::Kim | Self::Json => cost.to_string(),
        }
    }
}

/// Reads a problem in any of the formats.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Document, FileError> {
    let text = text.trim_start_matches('\u{feff}');
    match Format::of(text).ok_or(FileError::Unrecognised)? {
        Format::Vrplib => vrplib::read(text),
        Format::Solomon => solomon::read(text),
        Format::Kim => kim::read(text),
        Format::Json => json::read(text),
    }
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what its fields are")]
pub enum FileError {
    #[error(
        "this is no problem that can be read: neither VRPLIB (with DIMENSION), nor Solomon's \
         format (with VEHICLE and NUMBER), nor Kim's (with Stop_ID), nor a JSON object"
    )]
    Unrecognised,
    #[error("line {line}: {field} is missing")]
    MissingField { line: usize, field: String },
    #[error("line {line}: {field} is {found:?}, {expected}")]
    BadField { line: usize, field: String, found: String, expected: String },
    #[error("line {line}: {field} {what} is not understood here")]
    Unsupported { line: usize, field: String, what: String },
    #[error("there is no {field}")]
    Missing { field: String },
    #[error("{field}: {rows} rows, where {expected} are expected")]
    Rows { field: String, rows: usize, expected: usize },
    #[error("{places} places are too many, {} are the most", MOST_PLACES)]
    TooLarge { places: usize },
    #[error("the way from {from} to {to} is too long to be counted")]
    TooFar { from: String, to: String },
    #[error("line {line}, column {column}, {path}: {why}")]
    Json { line: usize, column: usize, path: String, why: String },
    #[error("{path}: {why}")]
    Meaning { path: String, why: String },
}
