//! Columns of CSV by their names, and what is wrong with it, by its line.

use std::fmt;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: u64,
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Without a byte order mark, as spreadsheets write it.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Where the column of that name is, if there is one.
pub(crate) fn column(headers: &csv::StringRecord, name: &str) -> Result<Option<usize>, Fault> {
    let mut found = (0..headers.len()).filter(|i| &headers[*i] == name);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(Fault { line: 1, what: format!("there are two columns {name}") }),
        (first, _) => Ok(first),
    }
}

/// Where columns are that must be there.
pub(crate) fn columns<const N: usize>(
    headers: &csv::StringRecord,
    names: [&str; N],
) -> Result<[usize; N], Fault> {
    let mut columns = [0; N];
    for (place, name) in columns.iter_mut().zip(names) {
        let what = || format!("there is no column {name}; {} are needed", names.join(","));
        *place = column(headers, name)?.ok_or_else(|| Fault { line: 1, what: what() })?;
    }
    Ok(columns)
}

/// The line of a record that begins at this byte. The CSV reader's own count is that of the blank
/// lines before it.
pub(crate) fn line(bytes: &[u8], at: u64) -> u64 {
    let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let (before, from) = bytes.split_at(bytes.len().min(at as usize));
    let skipped = from.iter().take_while(blank);
    1 + before.iter().chain(skipped).filter(|byte| **byte == b'\n').count() as u64
}

/// What the CSV reader complains about, in one line.
pub(crate) fn broken(bytes: &[u8], error: &csv::Error) -> Fault {
    let line = error.position().map_or(1, |position| line(bytes, position.byte()));
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} columns, and the first line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Fault { line, what }
}
