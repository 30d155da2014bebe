//! The layout of VRPLIB: keys with values, and sections with rows.

use super::super::FileError;
use super::super::line::{Line, lines};
use std::collections::HashMap;

/// Keys that mean something to us, or nothing to anybody.
const KEYS: &[&str] = &[
    "NAME",
    "COMMENT",
    "TYPE",
    "DIMENSION",
    "CAPACITY",
    "VEHICLES",
    "SERVICE_TIME",
    "VEHICLES_RELOAD_DEPOT",
    "EDGE_WEIGHT_TYPE",
    "EDGE_WEIGHT_FORMAT",
    "NODE_COORD_TYPE",
    "DISPLAY_DATA_TYPE",
];

/// Sections of the same sort.
const SECTIONS: &[&str] = &[
    "NODE_COORD_SECTION",
    "DEMAND_SECTION",
    "DEPOT_SECTION",
    "TIME_WINDOW_SECTION",
    "SERVICE_TIME_SECTION",
    "RELEASE_TIME_SECTION",
    "VEHICLES_RELOAD_DEPOT_SECTION",
    "EDGE_WEIGHT_SECTION",
    "DISPLAY_DATA_SECTION",
];

/// A file, taken apart.
pub(super) struct Sections<'a> {
    values: HashMap<&'a str, (usize, &'a str)>,
    sections: HashMap<&'a str, Section<'a>>,
}

/// The rows of one section.
pub(super) struct Section<'a> {
    name: &'a str,
    rows: Vec<(usize, &'a str)>,
}

impl<'a> Sections<'a> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// When a key or a section is unknown or there twice.
    pub(super) fn of(text: &'a str) -> Result<Self, FileError> {
        let mut file = Self { values: HashMap::new(), sections: HashMap::new() };
        let mut open: Option<Section<'a>> = None;
        for (number, line) in lines(text, None) {
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            let (key, value) = (key.trim(), value.trim());
            let is_word = key.starts_with(|c: char| c.is_ascii_alphabetic());
            if !is_word {
                match &mut open {
                    Some(section) => section.rows.push((number, line)),
                    None => return Err(unsupported(number, "row", line)),
                }
                continue;
            }
            if let Some(section) = open.take() {
                file.sections.insert(section.name, section);
            }
            if key == "EOF" {
                break;
            }
            let twice = file.values.contains_key(key) || file.sections.contains_key(key);
            if twice && key != "COMMENT" {
                return Err(unsupported(number, "a second", key));
            }
            if SECTIONS.contains(&key) {
                open = Some(Section { name: key, rows: Vec::new() });
            } else if KEYS.contains(&key) {
                file.values.insert(key, (number, value));
            } else {
                let kind = if key.ends_with("_SECTION") { "section" } else { "key" };
                return Err(unsupported(number, kind, key));
            }
        }
        if let Some(section) = open {
            file.sections.insert(section.name, section);
        }
        Ok(file)
    }

    /// The value of a key as it stands.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).map(|(_, value)| *value)
    }

    /// The value of a key as a line of fields.
    pub(super) fn value(&self, key: &str) -> Option<Line<'a>> {
        self.values.get(key).map(|(number, value)| Line::new(*number, value))
    }

    /// The value of a key as a number.
    ///
    /// # Errors
    /// When it is none from 0 to `most`.
    pub(super) fn number(&self, key: &str, most: u64) -> Result<Option<u32>, FileError> {
        self.value(key).map(|mut line| line.whole(key, most)).transpose()
    }

    /// The section of this name.
    pub(super) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.get(name)
    }

    /// That the value of a key is not understood.
    pub(super) fn unsupported(&self, key: &str, value: &str) -> FileError {
        unsupported(self.values.get(key).map_or(0, |(number, _)| *number), key, value)
    }
}

impl<'a> Section<'a> {
    /// Its rows.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'a>> {
        self.rows.iter().map(|(number, row)| Line::new(*number, row))
    }

    /// What `read` reads from the row of each node, 1 to `size`, after its number.
    ///
    /// # Errors
    /// When a row is missing, too much, or out of order, or cannot be read.
    pub(super) fn each<T>(
        &self,
        size: usize,
        read: impl Fn(&mut Line<'a>) -> Result<T, FileError>,
    ) -> Result<Vec<T>, FileError> {
        if self.rows.len() != size {
            let field = self.name.to_owned();
            return Err(FileError::Rows { field, rows: self.rows.len(), expected: size });
        }
        let mut all = Vec::with_capacity(size);
        for (mut line, expected) in self.lines().zip(1..) {
            let number = line.word("the node")?;
            if number.parse() != Ok(expected) {
                return Err(line.bad("the node", number, format!("{expected} is expected")));
            }
            all.push(read(&mut line)?);
            line.end(self.name)?;
        }
        Ok(all)
    }
}

fn unsupported(line: usize, field: &str, what: &str) -> FileError {
    let what = what.chars().take(40).collect();
    FileError::Unsupported { line, field: field.to_owned(), what }
}
