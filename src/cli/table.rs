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

/// A duration to about one part in ten.
pub(super) fn long(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => match seconds % HOUR / MINUTE {
            minutes if seconds < 10 * HOUR && minutes > 0 => {
                format!("{} h {minutes} min", seconds / HOUR)
            }
            _ => format!("{} h", seconds / HOUR),
        },
        _ if seconds < 2 * DAY => format!("1 day {} h", seconds % DAY / HOUR),
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

/// A number with its noun, in the plural where that is due.
pub(super) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
