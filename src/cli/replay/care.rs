//! `lykta replay care`: what sensors in a home mean, night after night.

mod page;
mod record;
mod report;

use self::record::{Event, Record};
use crate::care::ledger::Ledger;
use crate::care::{At, Decision, Heard, Kind, LATEST_ANSWER, Language, Outcome, Watch};
use crate::cli::table::printable;
use crate::cli::{complain, exit};
use crate::config::Home;
use crate::units::count;
use anyhow::Context;
use serde::Serialize;
use std::io::{BufWriter, Read, Write, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// So many sensors that are not in the home are named.
const MOST_NAMES: usize = 20;

/// Runs a record of events through what the gateway understands of homes.
///
/// Reads CSV from standard input, with the columns t_unix (seconds since 1970), sensor and state
/// (1 or 0; a motion is a 1), in any order of lines; other columns are passed over. Prints a JSON
/// line for each decision: checks, alarms, faults, and what is over. The record is taken to end half
/// an hour after its last event, so that each check in it has its answer.
///
/// This is no social alarm: it helps to decide whom to visit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: lykta replay care --home home.toml < events.csv > decided.jsonl\n\n\
    A home:\n\n  \
    timezone = \"Europe/Stockholm\"\n  \
    [[resident]]\n  \
    id = \"r1\"\n  \
    consent = true\n  \
    [[resident.sensor]]\n  \
    id = \"bed\"\n  \
    kind = \"bed\"\n  \
    [[resident.sensor]]\n  \
    id = \"hall\"\n  \
    kind = \"motion\"\n  \
    [[resident.rule]]\n  \
    id = \"up\"\n  \
    rule = \"bed_absence\"\n  \
    window = \"22:00-07:00\"\n  \
    after = \"15min\"\n  \
    [[resident.check]]\n  \
    id = \"night\"\n  \
    at = [\"00:00\", \"03:00\"]"
)]
pub(super) struct Args {
    /// The home: residents under pseudonyms, their sensors, rules and checks
    #[arg(long, value_name = "HOME.toml")]
    home: PathBuf,

    /// Print what each rule and check did instead of lines, and what would have saved alarms
    #[arg(long)]
    report: bool,

    /// With --report: print it as one JSON object
    #[arg(long, requires = "report")]
    json: bool,

    /// Write a page with a picture of each night into this directory. It shows when somebody was
    /// where: health data, to be kept as such
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
}

/// A resident who is replayed.
struct Replayed {
    watch: Watch,
    ledger: Ledger,
    /// Kept for a report or a page.
    decisions: Vec<Decision>,
    next: Option<At>,
}

/// Runs the command.
///
/// # Errors
/// When the record cannot be read, or what it means cannot be printed or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let residents = match Home::load(&args.home) {
        Ok(residents) => residents,
        Err(problems) => {
            complain(format_args!("{problems}"));
            return Ok(exit::CONFIG.into());
        }
    };
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("the events cannot be read")?;
    let record = match record::read(&bytes, &residents) {
        Ok(record) => record,
        Err(fault) => {
            complain(format_args!("the events on standard input: {fault}"));
            return Ok(exit::DATA.into());
        }
    };
    warn(&record)?;
    let begin = record.events.first().map_or(At(0), |event| event.at);
    let mut all: Vec<Replayed> = residents
        .into_iter()
        .map(|resident| {
            let watch = Watch::new(Arc::new(resident), begin);
            let next = watch.next_look();
            Replayed { watch, ledger: Ledger::default(), decisions: Vec::new(), next }
        })
        .collect();
    let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
    replay(args, &record.events, &mut all, &mut out)?;
    if let Some(directory) = &args.html {
        page::write(directory, &all, &record.events)?;
    }
    if args.report {
        let report = report::Report::new(&all, &record.events);
        if args.json {
            writeln!(out, "{:#}", serde_json::to_value(&report)?)?;
        } else {
            write!(out, "{report}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Names what the record and the home do not have in common.
fn warn(record: &Record) -> std::io::Result<()> {
    let mut err = stderr().lock();
    for (names, what) in [
        (&record.unknown, "is in the events and not in the home: passed over"),
        (&record.unheard, "is in the home and not in the events"),
    ] {
        for name in names.iter().take(MOST_NAMES) {
            writeln!(err, "warning: sensor \"{}\" {what}", printable(name))?;
        }
        if let Some(more) = names.len().checked_sub(MOST_NAMES + 1) {
            writeln!(err, "warning: and {} {what}", count(more as u64 + 1, "other sensor"))?;
        }
    }
    Ok(())
}

/// Decides everything up to half an hour after the last event.
fn replay(
    args: &Args,
    events: &[Event],
    all: &mut [Replayed],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(last) = events.last() else { return Ok(()) };
    for event in events {
        look(args, all, event.at, out)?;
        let of = &mut all[event.resident];
        let decisions = of.watch.hear(event.at, event.sensor, Heard::State(event.on));
        of.next = of.watch.next_look();
        take(args, of, decisions, out)?;
    }
    look(args, all, last.at.after(LATEST_ANSWER), out)
}

/// Decides what is due before an event, in the order of time.
fn look(args: &Args, all: &mut [Replayed], until: At, out: &mut impl Write) -> anyhow::Result<()> {
    while let Some(of) = all.iter_mut().min_by_key(|of| of.next.unwrap_or(At(i64::MAX))) {
        let Some(next) = of.next.filter(|next| *next <= until) else { break };
        let decisions = of.watch.look(next);
        of.next = of.watch.next_look();
        take(args, of, decisions, out)?;
    }
    Ok(())
}

fn take(
    args: &Args,
    of: &mut Replayed,
    decisions: Vec<Decision>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for decision in decisions {
        if !args.report {
            print(out, of, &decision)?;
        }
        of.ledger.note(&decision);
        if args.report || args.html.is_some() {
            of.decisions.push(decision);
        }
    }
    Ok(())
}

/// A decision as it is printed.
#[derive(Serialize)]
struct Printed<'a> {
    t: i64,
    resident: &'a str,
    kind: Kind,
    rule: &'a str,
    result: Option<Outcome>,
    because: Vec<String>,
}

fn print(out: &mut impl Write, of: &Replayed, decision: &Decision) -> anyhow::Result<()> {
    let resident = of.watch.resident();
    let because = decision.because.iter();
    let printed = Printed {
        t: decision.at.0,
        resident: &resident.id,
        kind: decision.kind,
        rule: &decision.rule,
        result: decision.outcome,
        because: because.map(|reason| reason.words(resident, Language::English)).collect(),
    };
    serde_json::to_writer(&mut *out, &printed)?;
    out.write_all(b"\n")?;
    Ok(())
}
