//! `lykta plan show`: the plan that holds.

use super::{picture, sheet};
use crate::cli::ask::{Daemon, Silence, Target, note_shown};
use crate::cli::exit;
use crate::cli::table::printable;
use crate::ops::access;
use crate::ops::plan::OnePlan;
use crate::route::sheet::Sheet;
use crate::route::{geojson, gpx};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

/// Shows the plan that holds: who goes where, what is left out, and why.
///
/// As a table, as GeoJSON for a map, as GPX for a phone's navigator, or as the JSON that is
/// published. The exit code is 69 where the daemon does not run, has no plan yet, or has only one
/// whose day is over.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sudo lykta plan show tours\n  sudo lykta plan show tours --format gpx --vehicle truck-1 > truck-1.gpx"
)]
pub(super) struct Args {
    /// The plan's name; not needed where there is one plan only
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only the tour of this vehicle (gpx)
    #[arg(long, value_name = "NAME")]
    vehicle: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For maps (RFC 7946)
    Geojson,
    /// For navigators (GPX 1.1)
    Gpx,
    /// A picture, with the roads where their extract can be read
    Svg,
    /// As it is published
    Json,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let daemon = match args.target.daemon()? {
        Ok(daemon) => daemon,
        Err(code) => return Ok(code),
    };
    let answer = match ask(&daemon, "plan", args.name.as_deref()) {
        Ok(answer) => answer,
        Err(silence) => return refuse(&silence),
    };
    let Some(sheet) = answer.plan else {
        let name = answer.name.as_ref().map_or("", |name| name.as_str());
        let why = answer.trouble.map_or(String::new(), |trouble| format!(": {trouble}"));
        writeln!(
            stderr().lock(),
            "lykta: there is no plan {name} yet{}; make it: lykta plan now {name}",
            printable(&why)
        )?;
        return Ok(exit::UNAVAILABLE.into());
    };
    if let Some(vehicle) = &args.vehicle
        && !sheet.routes.iter().any(|tour| tour.vehicle == *vehicle)
    {
        let leave = sheet.routes.iter().map(|tour| tour.vehicle.as_str()).collect::<Vec<_>>();
        let leave = if leave.is_empty() { "none".to_owned() } else { leave.join(", ") };
        let vehicle = printable(vehicle);
        writeln!(stderr().lock(), "lykta: {vehicle} stays at home; vehicles that leave: {leave}")?;
        return Ok(exit::DATA.into());
    }
    note_shown(&answer.residents_of, access::VISITS);
    let format = if args.json { Format::Json } else { args.format };
    let mut out = stdout().lock();
    let vehicle = args.vehicle.as_deref();
    let sheet = &*sheet;
    match format {
        Format::Svg => write!(out, "{}", picture::draw(sheet, daemon.loaded.as_ref()).svg()),
        Format::Table => write!(out, "{}", sheet::describe(sheet)),
        Format::Geojson => writeln!(out, "{:#}", geojson::write(sheet)),
        Format::Gpx => write!(out, "{}", gpx::write(sheet, vehicle)),
        Format::Json => writeln!(out, "{:#}", serde_json::json!(sheet)),
    }?;
    if let Some(trouble) = &answer.trouble {
        writeln!(stderr().lock(), "lykta: the last attempt failed: {}", printable(trouble))?;
    }
    if is_over(sheet, Timestamp::now()) {
        writeln!(stderr().lock(), "lykta: this plan was for {}", sheet.day.strftime("%A %F"))?;
        return Ok(exit::UNAVAILABLE.into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a plan's day is before today where its tours are driven, and nobody is under way.
fn is_over(sheet: &Sheet, now: Timestamp) -> bool {
    let zone = TimeZone::get(&sheet.timezone).unwrap_or(TimeZone::UTC);
    // a night's tours come home on the day after
    sheet.day < now.to_zoned(zone).date() && sheet.routes.iter().all(|tour| tour.back_at < now)
}

/// Asks about a plan.
///
/// # Errors
/// With the reason why there is no answer.
pub(super) fn ask(daemon: &Daemon, verb: &str, name: Option<&str>) -> Result<OnePlan, Silence> {
    // a line is a request, and nothing that is longer is the name of a plan and an order
    let name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(96));
    let request = match name {
        Some(name) => format!("{verb} {}", name.collect::<String>()),
        None => verb.to_owned(),
    };
    daemon.ask(&request)
}

/// Says why there is no answer.
///
/// # Errors
/// When stderr cannot be written.
pub(super) fn refuse(silence: &Silence) -> anyhow::Result<ExitCode> {
    writeln!(stderr().lock(), "lykta: {}", printable(&silence.to_string()))?;
    Ok(exit::UNAVAILABLE.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::sheet::sample;

    #[test]
    fn a_plan_is_over_on_the_day_after_when_all_are_back() {
        let sheet = sample::sheet();
        let back = sheet.routes.iter().map(|tour| tour.back_at).max().expect("a tour");
        assert!(!is_over(&sheet, back));
        assert!(is_over(&sheet, back + jiff::SignedDuration::from_hours(24)));
    }
}
