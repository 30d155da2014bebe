//! `lykta store stats`: what is buffered.

use super::{Database, Ended, Which, failed};
use crate::cli::table::{Column, Table, UNKNOWN, ago, bytes};
use crate::clock::history::Told;
use crate::store::{self, Outlined};
use crate::units::count;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// Tells what waits for the broker, by class and age.
///
/// Reads the databases beside the running daemon, or without it, and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta store stats")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let databases = match args.which.databases() {
        Ok(databases) => databases,
        Err(ended) => return ended,
    };
    let (mut all, mut text) = (Vec::new(), String::new());
    let mut ended = None;
    for database in &databases {
        match look(database) {
            Ok(stats) if args.json => all.push(stats.json()),
            Ok(stats) => stats.describe(&mut text),
            // the others are told all the same
            Err(why) => ended = Some(why?),
        }
    }
    let mut out = stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!({ "tenants": all }))?,
        false => write!(out, "{text}")?,
    }
    Ok(ended.unwrap_or(ExitCode::SUCCESS))
}

struct Stats<'a> {
    database: &'a Database,
    classes: Vec<Outlined>,
    used: u64,
    sessions: usize,
}

fn look(database: &Database) -> Result<Stats<'_>, Ended> {
    let mut survey = database.open()?;
    let mut read = || {
        let (classes, memory) = (survey.outline()?, survey.memory()?);
        let devices = memory.sessions.keys().map(|(dev_eui, _)| *dev_eui);
        let sessions = devices.collect::<std::collections::BTreeSet<_>>().len();
        Ok(Stats { database, classes, used: survey.used()?, sessions })
    };
    read().map_err(|error| failed(&error))
}

impl Stats<'_> {
    fn describe(&self, text: &mut String) {
        let Database { tenant, file, known, .. } = self.database;
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(text, "tenant {tenant}: {} in use", bytes(self.used));
        if let Some(known) = known {
            let _ = write!(text, " of {}", bytes(known.max_bytes));
        }
        let _ = writeln!(
            text,
            ", {} on the disk; sessions of {}",
            bytes(store::len_with_log(file)),
            count(self.sessions as u64, "device")
        );
        let mut table = Table::new([
            Column::Text("CLASS"),
            Column::Number("WAITING"),
            Column::Number("SET ASIDE"),
            Column::Number("GIVEN UP"),
            Column::Number("OLDEST"),
            Column::Number("NEWEST"),
        ]);
        let now = Timestamp::now();
        let when = |told: Option<Told>| told.map_or(UNKNOWN.into(), |told| ago(told.time, now));
        for class in &self.classes {
            table.row([
                class.class.as_str().to_owned(),
                class.waiting.to_string(),
                class.set_aside.to_string(),
                class.shed.to_string(),
                when(class.oldest),
                when(class.newest),
            ]);
        }
        let _ = write!(text, "{table}");
    }

    fn json(&self) -> Value {
        let Database { tenant, file, known, .. } = self.database;
        let when = |told: Option<Told>| told.map(|told| told.time);
        let class = |class: &Outlined| {
            json!({
                "class": class.class.as_str(),
                "waiting": class.waiting,
                "setAside": class.set_aside,
                "shed": class.shed,
                "oldest": when(class.oldest),
                "newest": when(class.newest),
            })
        };
        json!({
            "tenant": tenant,
            "file": file,
            "fileBytes": store::len_with_log(file),
            "usedBytes": self.used,
            "maxBytes": known.as_ref().map(|known| known.max_bytes),
            "devices": self.sessions,
            "classes": self.classes.iter().map(class).collect::<Vec<_>>(),
        })
    }
}
