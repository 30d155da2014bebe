//! Text for people: aligned columns, and numbers as they would say them.

use crate::units::Ratio;
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// Columns of text, each as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

/// A column's heading and side.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// Text begins at the left.
    Text(&'static str),
    /// Numbers end at the right.
    Number(&'static str),
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    /// Every line ends with a line break; without any heading there is no line for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.columns.map(|column| match column {
            Column::Text(heading) | Column::Number(heading) => heading.to_owned(),
        });
        let headings = headings.iter().any(|heading| !heading.is_empty()).then_some(&headings);
        let lines = || headings.into_iter().chain(&self.rows);
        let width = |i: usize| lines().map(|cells| cells[i].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(width).collect();
        for cells in lines() {
            let mut line = String::new();
            for ((cell, column), width) in cells.iter().zip(&self.columns).zip(&widths) {
                let cell = match column {
                    Column::Text(_) => format!("{cell:width$}  "),
                    Column::Number(_) => format!("{cell:>width$}  "),
                };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Without control characters, which could rule a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What is not known.
pub(super) const UNKNOWN: &str = "-";

/// How long ago something was.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    match u64::try_from(now.duration_since(then).as_secs()) {
        Ok(seconds) => format!("{} ago", long(Duration::from_secs(seconds))),
        Err(_) => "in the future".to_owned(),
    }
}

/// A duration as people say it: to the minute below ten hours, to the hour below two days.
pub(super) fn long(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const TEN_HOURS: u64 = 10 * HOUR;
    const DAY: u64 = 24 * HOUR;
    const TWO_DAYS: u64 = 2 * DAY;
    let exact = duration.as_secs();
    let unit = match exact {
        0..MINUTE => 1,
        MINUTE..TEN_HOURS => MINUTE,
        TEN_HOURS..TWO_DAYS => HOUR,
        _ => DAY,
    };
    let seconds = exact.saturating_add(unit / 2) / unit * unit;
    let two = |n: u64, unit: &str, rest: u64, part: &str| match rest {
        0 => format!("{n} {unit}"),
        rest => format!("{n} {unit} {rest} {part}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        DAY..TWO_DAYS => two(1, "day", seconds % DAY / HOUR, "h"),
        _ => format!("{} days", seconds / DAY),
    }
}

/// A share in whole percents, downwards: 100 % is all.
pub(super) fn percent(ratio: Ratio) -> String {
    format!("{} %", (ratio.0 * 100.0 + 1e-6).floor())
}

/// A number of bytes.
pub(super) fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, "B");
    for next in ["kB", "MB", "GB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_say_them() {
        let said = |seconds| long(Duration::from_secs(seconds));
        assert_eq!(said(0), "0 s");
        assert_eq!(said(59), "59 s");
        assert_eq!(said(89), "1 min");
        assert_eq!(said(1799), "30 min");
        assert_eq!(said(3599), "1 h");
        assert_eq!(said(2 * 3600 + 125), "2 h 2 min");
        assert_eq!(said(17 * 3600 + 2000), "18 h");
        assert_eq!(said(24 * 3600 - 1), "1 day");
        assert_eq!(said(30 * 3600), "1 day 6 h");
        assert_eq!(said(48 * 3600 - 1), "2 days");
        assert_eq!(said(u64::MAX), format!("{} days", u64::MAX / 86_400));
    }

    #[test]
    fn only_what_is_whole_is_a_hundred_percent() {
        assert_eq!(percent(Ratio(0.9999)), "99 %");
        assert_eq!(percent(Ratio(1.0)), "100 %");
        assert_eq!(percent(Ratio(0.29)), "29 %");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(u64::MAX), "18446744073.7 GB");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new([Column::Text("NAME"), Column::Number("N")]);
        table.row(["Gläntan".to_owned(), "7".to_owned()]);
        table.row(["x\n".to_owned(), "700".to_owned()]);
        assert_eq!(table.to_string(), "NAME       N\nGläntan    7\nx\u{fffd}       700\n");
    }
}
