//! What a record says of bins and their tours, as a table or as JSON.

use super::account::Tours;
use super::{Replayed, rounded};
use crate::cli::table::{Column, Table};
use serde::Serialize;
use std::fmt;

/// How often a sensor reports that was heard once.
const USUAL_INTERVAL: f64 = 3600.0;

/// Everything.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    bins: Vec<Row>,
    fleet: Row,
    fixed_days: i64,
}

/// A bin, or all of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    bin: String,
    days: f64,
    readings: usize,
    completeness: f64,
    without_echo: f64,
    fixed_echo: f64,
    fires: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_days: Option<f64>,
    doubtful_emptyings: usize,
    driven: Told,
    fixed: Told,
    when_due: Told,
}

/// How tours did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(flatten)]
    tours: Tours,
    per_week: Option<f64>,
    mean_level: Option<f64>,
    below_half_share: Option<f64>,
}

impl Told {
    fn new(mut tours: Tours, days: f64) -> Self {
        let share =
            |sum: f64| (tours.emptyings > 0).then(|| rounded(sum / tours.emptyings as f64, 3));
        let (mean_level, below_half_share) = (share(tours.found), share(tours.below_half as f64));
        tours.overflow_hours = rounded(tours.overflow_hours, 1);
        let per_week = (days >= 1.0).then(|| rounded(tours.emptyings as f64 * 7.0 / days, 2));
        Self { tours, per_week, mean_level, below_half_share }
    }
}

impl Report {
    /// Of these bins, beside a tour every so many days.
    pub(super) fn new(bins: &[(&str, &Replayed)], fixed_days: i64) -> Self {
        let mut all = [Tours::default(); 3];
        let rows: Vec<Row> = bins
            .iter()
            .map(|(id, Replayed { rules, bin, account })| {
                let tours = [
                    account.driven(),
                    account.fixed_tours(fixed_days),
                    account.tours_when_due(rules.must.0),
                ];
                for (all, tours) in all.iter_mut().zip(tours) {
                    all.add(tours);
                }
                let days = account.days();
                let interval = rules.interval.or(bin.interval());
                let interval = interval.map_or(USUAL_INTERVAL, |i| i.as_secs_f64());
                let seconds: i64 = account.fixed.iter().map(|(from, until)| until - from).sum();
                let of_readings = |part: usize| part as f64 / account.readings.max(1) as f64;
                let [driven, fixed, when_due] = tours.map(|tours| Told::new(tours, days));
                Row {
                    bin: (*id).to_owned(),
                    days: rounded(days, 1),
                    readings: account.readings,
                    completeness: rounded(account.completeness(interval), 3),
                    without_echo: rounded(of_readings(account.without_echo), 3),
                    fixed_echo: rounded(seconds as f64 / (days * 86_400.0).max(1.0), 3),
                    fires: account.fires,
                    battery_days: bin.battery_days(rules).map(f64::round),
                    doubtful_emptyings: account.doubtful.len(),
                    driven,
                    fixed,
                    when_due,
                }
            })
            .collect();
        // the sum of nothing is -0 else
        let days = rows.iter().fold(0.0, |sum, row| sum + row.days);
        let mean = |part: fn(&Row) -> f64| {
            let sum = rows.iter().fold(0.0, |sum, row| sum + part(row) * row.days);
            rounded(sum / days.max(1e-9), 3)
        };
        let [driven, fixed, when_due] = all.map(|tours| Told::new(tours, days));
        let fleet = Row {
            bin: format!("all {}", rows.len()),
            days: rounded(days, 1),
            readings: rows.iter().map(|row| row.readings).sum(),
            completeness: mean(|row| row.completeness),
            without_echo: mean(|row| row.without_echo),
            fixed_echo: mean(|row| row.fixed_echo),
            fires: rows.iter().map(|row| row.fires).sum(),
            battery_days: rows.iter().filter_map(|row| row.battery_days).reduce(f64::min),
            doubtful_emptyings: rows.iter().map(|row| row.doubtful_emptyings).sum(),
            driven,
            fixed,
            when_due,
        };
        Self { bins: rows, fleet, fixed_days }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bins.is_empty() {
            return writeln!(f, "No readings.");
        }
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let maybe = |share: Option<f64>| share.map_or("-".to_owned(), percent);
        let mut table = Table::new([
            Column::Text("BIN"),
            Column::Number("DAYS"),
            Column::Number("HEARD"),
            Column::Number("FIXED ECHO"),
            Column::Number("EMPTYINGS"),
            Column::Number("PER WEEK"),
            Column::Number("FULL THEN"),
            Column::Number("BELOW HALF"),
            Column::Number("OVERFLOW H"),
        ]);
        for row in self.bins.iter().chain([&self.fleet]) {
            table.row([
                row.bin.clone(),
                format!("{:.0}", row.days),
                percent(row.completeness),
                percent(row.fixed_echo),
                row.driven.tours.emptyings.to_string(),
                row.driven.per_week.map_or("-".to_owned(), |n| format!("{n:.1}")),
                maybe(row.driven.mean_level),
                maybe(row.driven.below_half_share),
                format!("{:.0}", row.driven.tours.overflow_hours),
            ]);
        }
        writeln!(f, "{table}")?;
        let mut tours = Table::new([
            Column::Text("TOURS"),
            Column::Number("EMPTYINGS"),
            Column::Number("FULL THEN"),
            Column::Number("BELOW HALF"),
            Column::Number("OVERFLOW H"),
        ]);
        let every = format!("every {} days", self.fixed_days);
        for (name, told) in [
            ("as they were driven", &self.fleet.driven),
            (every.as_str(), &self.fleet.fixed),
            ("when a bin must be emptied", &self.fleet.when_due),
        ] {
            tours.row([
                name.to_owned(),
                told.tours.emptyings.to_string(),
                maybe(told.mean_level),
                maybe(told.below_half_share),
                format!("{:.0}", told.tours.overflow_hours),
            ]);
        }
        write!(f, "{tours}")
    }
}
