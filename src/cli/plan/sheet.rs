//! A plan for a terminal.

use crate::cli::table::{Column, Table, UNKNOWN, percent, printable};
use crate::route::sheet::{Cause, Doing, Origin, Sheet, Tour};
use crate::units::{Ratio, count};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

/// The plan in lines: what it comes to, each tour, what is left out, what is lacking.
pub(super) fn describe(sheet: &Sheet) -> String {
    let mut text = String::new();
    // by the clocks where the tours are driven
    let zone = TimeZone::get(&sheet.timezone).unwrap_or(TimeZone::UTC);
    let origin = match (sheet.origin, sheet.cause) {
        (Origin::Cloud, _) => "from the cloud",
        (_, Cause::Nightly) => "made in time",
        (_, Cause::Command) => "made on demand",
        (_, Cause::Full) => "mended for bins that became full",
    };
    let kpi = &sheet.kpi;
    let _ = writeln!(
        text,
        "plan {} for {}, {origin} at {}",
        printable(&sheet.name),
        sheet.day.strftime("%A %F"),
        clock(sheet.made_at, &zone)
    );
    let _ = writeln!(
        text,
        "{}, {}, {:.1} km, {:.1} h, cost {:.2} {}; {} left out",
        count(sheet.routes.len() as u64, "tour"),
        count(kpi.stops as u64, "stop"),
        kpi.km,
        kpi.hours,
        sheet.cost.total,
        printable(&sheet.cost.unit),
        sheet.left_out.len()
    );
    for (instead, what) in [(kpi.all, "all bins"), (kpi.threshold, "the full bins")] {
        if let Some(instead) = instead {
            let _ = writeln!(text, "to visit {what} instead: {:.1} km", instead.km);
        }
    }
    if sheet.estimated {
        text.push_str("estimated by straight lines: kilometres are a third to a half too few\n");
    }
    for lack in &sheet.shortfalls {
        let _ = writeln!(text, "falls short: {}", printable(&lack.text));
    }
    if let Some(difference) = &sheet.difference {
        let _ = writeln!(
            text,
            "to the plan before ({}): {} added, {} removed, {} moved, {:+.1} km",
            difference.day,
            difference.added.len(),
            difference.removed.len(),
            difference.moved.len(),
            difference.km
        );
    }
    for route in &sheet.routes {
        tour(&mut text, route, &zone);
    }
    if !sheet.left_out.is_empty() {
        let mut table =
            Table::new([Column::Text("left out"), Column::Number("level"), Column::Text("why")]);
        for bin in &sheet.left_out {
            table.row([bin.id.clone(), level(bin.level), bin.reason.clone()]);
        }
        let _ = write!(text, "\n{table}");
    }
    text
}

fn tour(text: &mut String, tour: &Tour, zone: &TimeZone) {
    let _ = writeln!(
        text,
        "\n{}: leaves {} (by {} at the latest), back {}, {:.1} km",
        printable(&tour.vehicle),
        clock(tour.leave_at, zone),
        clock(tour.leave_by, zone),
        clock(tour.back_at, zone),
        tour.metres as f64 / 1000.0
    );
    let mut table = Table::new([
        Column::Number("#"),
        Column::Text("at"),
        Column::Text("stop"),
        Column::Number("level"),
        Column::Text("why"),
    ]);
    for (i, (at, doing)) in tour.doings().into_iter().enumerate() {
        let (name, full, why) = match doing {
            Doing::Stop(bin) => {
                let stop = tour.stops.iter().find(|stop| stop.id == bin);
                let full = level(stop.and_then(|stop| stop.level));
                let why = stop.map(|stop| stop.reason.clone()).unwrap_or_default();
                (bin.to_owned(), full, why)
            }
            Doing::Unloading(site) => (site.to_owned(), String::new(), "unload".to_owned()),
            Doing::Pause => (String::new(), String::new(), "break".to_owned()),
        };
        table.row([(i + 1).to_string(), clock(at, zone), name, full, why]);
    }
    let _ = write!(text, "{table}");
}

fn level(level: Option<f64>) -> String {
    level.map_or_else(|| UNKNOWN.to_owned(), |level| percent(Ratio(level)))
}

/// Hours and minutes.
fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M").to_string()
}
