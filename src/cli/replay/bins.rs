//! `lykta replay bins`: what readings of bins mean, one after the other.

mod account;
mod page;
mod record;
mod report;

use self::account::Account;
use self::record::{Line, Record};
use crate::bins::{Alarm, Bin, EchoFrom, Outcome, Rules, Tenths, Trust};
use crate::cli::columns::{self, Fault};
use crate::cli::progress::Progress;
use crate::cli::{complain, exit};
use crate::config::Site;
use crate::units::{Metres, Ratio, rounded};
use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a record of readings through what the gateway understands of bins.
///
/// Reads CSV from standard input, with the columns bin, t_unix (seconds since 1970) and dist_cm
/// (254 is no echo), and, where they are, fill_percent (instead of dist_cm), mv, temp_c, tilt_deg
/// and presses; others are passed over, and an empty cell says nothing. Prints a JSON line for
/// each reading.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: lykta replay bins --site site.toml < readings.csv > meant.jsonl\n\n\
    A site:\n\n  \
    timezone = \"Europe/Stockholm\"\n  \
    [bin.1739]\n  \
    depth_m = 1.3\n  \
    dead_zone_m = 0.1\n  \
    threshold_may = 0.6\n  \
    threshold_must = 0.8"
)]
pub(super) struct Args {
    /// The bins: their time zone, and the settings of each as in the configuration
    #[arg(long, value_name = "SITE.toml")]
    site: PathBuf,

    /// Print a table of each bin and all of them instead of lines
    #[arg(long)]
    report: bool,

    /// With --report: print it as one JSON object
    #[arg(long, requires = "report")]
    json: bool,

    /// Write a page with a picture of each bin into this directory
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,

    /// With --report: the days between the tours of a fixed schedule, to compare with
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
    fixed: u16,
}

/// How far it is is looked at after so many readings.
const LOOKED_EVERY: u64 = 4096;

/// A bin that is replayed.
struct Replayed {
    rules: Rules,
    bin: Bin,
    account: Account,
}

/// Runs the command.
///
/// # Errors
/// When the record cannot be read, or what it means cannot be printed or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    File::open(&args.site).with_context(|| format!("{} cannot be read", args.site.display()))?;
    let site = match Site::load(&args.site) {
        Ok(site) => site,
        Err(problems) => {
            complain(format_args!("{problems}"));
            return Ok(exit::CONFIG.into());
        }
    };
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("the readings cannot be read")?;
    let mut bins = BTreeMap::new();
    let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
    let replayed = replay(args, &site, &bytes, &mut bins, &mut out);
    out.flush()?;
    if let Err(fault) = replayed? {
        complain(format_args!("the readings on standard input: {fault}"));
        return Ok(exit::DATA.into());
    }
    let accounts: Vec<(&str, &Replayed)> =
        bins.iter().map(|(id, replayed)| (id.as_str(), replayed)).collect();
    if let Some(directory) = &args.html {
        page::write(directory, &accounts)?;
    }
    if args.report {
        let report = report::Report::new(&accounts, i64::from(args.fixed));
        if args.json {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        } else {
            write!(out, "{report}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Replays all lines up to the first that is wrong.
fn replay(
    args: &Args,
    site: &Site,
    bytes: &[u8],
    bins: &mut BTreeMap<String, Replayed>,
    out: &mut impl Write,
) -> anyhow::Result<Result<(), Fault>> {
    let mut record = match Record::new(bytes) {
        Ok(record) => record,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut progress = Progress::new(bytes.len() as u64, "bytes");
    let mut count = 0_u64;
    let mut warned = false;
    loop {
        let line = match record.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(fault) => return Ok(Err(fault)),
        };
        if !bins.contains_key(line.bin) {
            let Some(settings) = site.bin.get(line.bin) else {
                let what = format!(
                    "column bin: {:?} is not in {}: add [bin.{}]",
                    line.bin,
                    args.site.display(),
                    line.bin
                );
                return Ok(Err(record::fault(bytes, line.at, what)));
            };
            let rules = settings.rules(&site.timezone.0);
            let bin = Bin::new(&rules);
            let account = Account::default();
            bins.insert(line.bin.to_owned(), Replayed { rules, bin, account });
        }
        let at = line.at;
        let Some(Replayed { rules, bin, account }) = bins.get_mut(line.bin) else { continue };
        if bin.begins_anew(line.input.at) && !std::mem::replace(&mut warned, true) {
            complain(format_args!(
                "line {} is older than a line of bin {} before it: what is known then begins anew; \
                 sort the readings by their time",
                columns::line(bytes, at),
                line.bin
            ));
        }
        let outcome = bin.offer(rules, &line.input);
        if !args.report {
            print(out, &line, bin, rules, &outcome)?;
        }
        if args.report || args.html.is_some() {
            account.add(&line.input, &outcome, &rules.zone);
        }
        count += 1;
        if count.is_multiple_of(LOOKED_EVERY) {
            progress.reach(at);
        }
    }
    Ok(Ok(()))
}

/// A reading as it is printed.
#[derive(Serialize)]
struct Printed<'a> {
    bin: &'a str,
    t: serde_json::Number,
    distance_m: Option<f64>,
    fill: Option<f64>,
    fill_quality: Trust,
    echo: EchoFrom,
    alarm: Option<Alarm>,
    emptied: Option<PrintedEmptying>,
    forecast: PrintedForecast,
}

#[derive(Serialize)]
struct PrintedEmptying {
    at: i64,
    fill_before: f64,
    confidence: f64,
}

#[derive(Serialize)]
struct PrintedForecast {
    distance_24h_m: Option<Tenths<f64>>,
    full_at: Option<Tenths<i64>>,
    may_at: Option<Tenths<i64>>,
}

fn print(
    out: &mut impl Write,
    line: &Line<'_>,
    bin: &Bin,
    rules: &Rules,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let forecast = bin.forecast(rules, line.input.at);
    let seconds = |tenths: Option<Tenths<Timestamp>>| tenths.map(|t| t.map(|t| t.as_second()));
    let printed = Printed {
        bin: line.bin,
        t: line.time.clone(),
        distance_m: line.distance().map(|Metres(metres)| rounded(metres, 4)),
        fill: outcome.fill.map(|Ratio(fill)| rounded(fill, 4)),
        fill_quality: outcome.trust,
        echo: outcome.echo,
        alarm: outcome.alarm,
        emptied: outcome.emptied.map(|emptied| PrintedEmptying {
            at: emptied.at.as_second(),
            fill_before: rounded(emptied.fill_before.0, 4),
            confidence: emptied.confidence,
        }),
        forecast: PrintedForecast {
            distance_24h_m: forecast
                .distance_24h
                .map(|distance| distance.map(|Metres(metres)| rounded(metres, 4))),
            full_at: seconds(forecast.must_at),
            may_at: seconds(forecast.may_at),
        },
    };
    serde_json::to_writer(&mut *out, &printed)?;
    out.write_all(b"\n")?;
    Ok(())
}
