//! From the bytes of a file to rows of text under named columns.

use super::{ImportError, Row};
use serde_json::Value;

/// Rows under their columns, of whichever format.
pub(super) struct Cells {
    /// The names of the columns, as the file has them.
    pub(super) head: Vec<String>,
    /// The rows that are not empty. A row may be shorter or longer than the head.
    pub(super) rows: Vec<(Row, Vec<String>)>,
}

impl Cells {
    /// Reads a file of either format.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ImportError> {
        let text = text(bytes)?;
        match text.trim_start().starts_with(['{', '[']) {
            true => json(text),
            false => csv(text),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, ImportError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ImportError::Format("UTF-16 text"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ImportError::Format("a spreadsheet"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        ImportError::Encoding(before.iter().filter(|b| **b == b'\n').count() + 1)
    })
}

fn delimiter(header: &str) -> u8 {
    let count = |d: u8| header.bytes().filter(|b| *b == d).count();
    // of equals the last wins: a comma is what the name says
    [b'\t', b';', b','].into_iter().max_by_key(|d| count(*d)).unwrap_or(b',')
}

fn csv(text: &str) -> Result<Cells, ImportError> {
    let header = text.lines().find(|line| !line.trim().is_empty()).ok_or(ImportError::Empty)?;
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(delimiter(header))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let owned = |row: &csv::StringRecord| row.iter().map(str::to_owned).collect::<Vec<_>>();
    let head = owned(csv.headers().map_err(|e| broken(&e))?);
    let mut lines = Lines { text, line: 1, at: 0 };
    let mut rows = Vec::new();
    for row in csv.records() {
        let row = row.map_err(|e| broken(&e))?;
        let line = lines.of(&row);
        if row.iter().any(|cell| !cell.is_empty()) {
            rows.push((Row::Line(line), owned(&row)));
        }
    }
    Ok(Cells { head, rows })
}

fn broken(error: &csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    ImportError::Csv { line, why: "this row is not CSV".to_owned() }
}

/// Counts lines. The reader's own count is one short for rows that end in CR LF.
struct Lines<'t> {
    text: &'t str,
    line: u64,
    at: usize,
}

impl Lines<'_> {
    /// The line of a row, from 1; rows must come in order.
    fn of(&mut self, row: &csv::StringRecord) -> u64 {
        let byte = row.position().and_then(|p| usize::try_from(p.byte()).ok());
        let rest = byte.and_then(|byte| self.text.get(byte..)).unwrap_or_default();
        // a row begins, for the reader, where the one before it ended
        let start = self.text.len() - rest.trim_start_matches(['\r', '\n']).len();
        let passed = self.text.get(self.at..start).unwrap_or_default();
        self.line += passed.bytes().filter(|b| *b == b'\n').count() as u64;
        self.at = self.at.max(start);
        self.line
    }
}

/// Objects one after another, or lists of them, also as the only list in an object: what
/// `jq`, The Things Stack's and ChirpStack's interfaces write.
fn json(text: &str) -> Result<Cells, ImportError> {
    let mut cells = Cells { head: Vec::new(), rows: Vec::new() };
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        // the parser's own words could repeat a key
        let value = value.map_err(|e| {
            ImportError::Json(match e.is_eof() {
                true => "it ends early".to_owned(),
                false => format!("line {} is not JSON", e.line()),
            })
        })?;
        for device in devices(value) {
            let number = cells.rows.len() as u64 + 1;
            let Value::Object(members) = device else {
                return Err(ImportError::Json(format!("entry {number} is no object")));
            };
            let mut row = vec![String::new(); cells.head.len()];
            for (name, value) in &members {
                flatten(&mut cells.head, &mut row, name.clone(), value);
            }
            cells.rows.push((Row::Object(number), row));
        }
    }
    if cells.rows.is_empty() {
        return Err(ImportError::Json("it holds nothing".to_owned()));
    }
    let width = cells.head.len();
    cells.rows.iter_mut().for_each(|(_, row)| row.resize(width, String::new()));
    Ok(cells)
}

fn devices(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        Value::Object(members) => {
            let is_list_of_devices = |value: &&Value| {
                value.as_array().is_some_and(|list| list.iter().any(Value::is_object))
            };
            let is_device = members.values().any(Value::is_object);
            let list = members.values().find(is_list_of_devices).filter(|_| !is_device);
            match list.and_then(Value::as_array) {
                Some(list) => list.clone(),
                None => vec![Value::Object(members)],
            }
        }
        other => vec![other],
    }
}

/// Enters a value under its name, an object's members under both names. Lists hold nothing
/// that is imported.
fn flatten(head: &mut Vec<String>, row: &mut Vec<String>, name: String, value: &Value) {
    let text = match value {
        Value::Object(members) => {
            for (inner, value) in members {
                flatten(head, row, format!("{name}.{inner}"), value);
            }
            return;
        }
        Value::Null | Value::Array(_) => return,
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let index = head.iter().position(|column| *column == name).unwrap_or_else(|| {
        head.push(name);
        head.len() - 1
    });
    row.resize(head.len().max(row.len()), String::new());
    if let Some(cell) = row.get_mut(index) {
        *cell = text;
    }
}
