//! Device lists of other network servers: CSV or JSON files to `[[device]]` tables.
//!
//! The columns are those of The Things Stack's CSV import (`dev_eui;join_eui;name;…`, with a
//! semicolon; `app_key` for joins; `dev_addr`, `f_nwk_s_int_key` and `app_s_key` for a session)
//! and of the CSV scripts around ChirpStack (`dev_eui,name,…,dev_addr,
//! nwk_s_enc_key,app_s_key`). Names are compared without case and separators. The members of a
//! JSON object are columns, too, those of an object in it with its name before them.

mod cells;
mod sheet;
mod tables;

pub use sheet::read;
pub use tables::{read_back, to_toml};

use crate::units::{DevAddr, DevEui, JoinEui};
use std::fmt;

/// A device as a row of the file gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Where it stands in the file.
    pub row: Row,
    /// Its DevEUI.
    pub dev_eui: DevEui,
    /// What people call it.
    pub name: Option<String>,
    /// The profile of its model.
    pub profile: String,
    /// Whether it joins over the air though the file has a session of it, too: that session is
    /// left behind, and the device is heard from its next join on.
    pub leaves_session: bool,
    activation: Activation,
    bin: Option<String>,
    resident: Option<String>,
    sensor: Option<String>,
}

/// How it is activated, as text for the file to be written.
#[derive(Debug, Clone, PartialEq)]
enum Activation {
    Abp { dev_addr: DevAddr, nwk_s_key: Hidden, app_s_key: Hidden },
    Otaa { join_eui: JoinEui, app_key: Hidden },
}

/// A place in the file, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A line of a CSV file.
    Line(u64),
    /// An object of a JSON file, counted.
    Object(u64),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Object(number) => write!(f, "device {number}"),
        }
    }
}

/// A key as text, for the file to be written. Its `Debug` hides it.
#[derive(Clone, PartialEq)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Why a row cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Which.
    pub row: Row,
    /// The column's name in the file, where it is about one.
    pub column: Option<String>,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "{}, column {column}: {}", self.row, self.why),
            None => write!(f, "{}: {}", self.row, self.why),
        }
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Import {
    /// Devices that can be heard.
    pub devices: Vec<Imported>,
    /// Rows that cannot be understood.
    pub bad: Vec<BadRow>,
}

/// A file that is no device list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Text in another encoding.
    #[error("line {0} is not UTF-8 text: export again as \"CSV UTF-8\"")]
    Encoding(usize),
    /// A spreadsheet's "Unicode text", or the spreadsheet itself.
    #[error("this is {0}, not a CSV file: export again as \"CSV UTF-8\"")]
    Format(&'static str),
    /// Nothing in it.
    #[error("the file is empty: the first line must name the columns")]
    Empty,
    /// A first line without the one column that is needed.
    #[error(
        "there is no dev_eui in it (but {0}): the first line of a CSV file must name the columns"
    )]
    NoDevEui(String),
    /// JSON that ends early, or holds something else than devices.
    #[error("this is no JSON list of devices: {0}")]
    Json(String),
    /// The CSV itself is broken.
    #[error("line {line}: {why}")]
    Csv {
        /// Its line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}
