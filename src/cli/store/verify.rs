//! `lykta store verify`: is the disk's word to be trusted?

use super::{Database, Ended, Which, failed};
use crate::cli::exit;
use crate::cli::progress::Progress;
use crate::cli::table::printable;
use crate::store::{StoreError, Survey};
use crate::units::count;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// Looks through every page, message and session for damage.
///
/// Reads the databases beside the running daemon, or without it, and changes nothing. With damage
/// the exit code is 65: the daemon sets a damaged database aside when it meets the damage, or as it
/// starts, and goes on with what can be read of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta store verify")]
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
    let (mut ended, mut damaged) = (None, false);
    for database in &databases {
        match look(database) {
            Ok(verdict) => {
                damaged |= !verdict.faults.is_empty();
                verdict.describe(database, &mut text);
                all.push(verdict.json(database));
            }
            // the others are told all the same
            Err(why) => ended = Some(why?),
        }
    }
    let mut out = stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", json!({ "tenants": all }))?,
        false => write!(out, "{text}")?,
    }
    Ok(match damaged {
        true => exit::DATA.into(),
        false => ended.unwrap_or(ExitCode::SUCCESS),
    })
}

#[derive(Default)]
struct Verdict {
    faults: Vec<String>,
    messages: u64,
    sessions: usize,
}

fn look(database: &Database) -> Result<Verdict, Ended> {
    database.is_there()?;
    let look = || {
        let mut survey = Survey::open(&database.sealed)?;
        let (messages, sessions) = (survey.waiting(), survey.memory()?.sessions.len());
        let mut progress = Progress::new(messages, "messages");
        let faults = survey.faults(|done| progress.reach(done))?;
        Ok(Verdict { faults, messages, sessions })
    };
    match look() {
        Ok(verdict) => Ok(verdict),
        Err(error @ (StoreError::Damaged { .. } | StoreError::Older { found: 0, .. })) => {
            Ok(Verdict { faults: vec![error.to_string()], ..Verdict::default() })
        }
        Err(error) => Err(failed(&error)),
    }
}

impl Verdict {
    fn describe(&self, database: &Database, text: &mut String) {
        let Database { tenant, .. } = database;
        if self.faults.is_empty() {
            let messages = count(self.messages, "message");
            let sessions = count(self.sessions as u64, "session");
            let _ = writeln!(text, "tenant {tenant}: sound, {messages}, {sessions}");
            return;
        }
        let _ = writeln!(text, "tenant {tenant}: damaged");
        for fault in &self.faults {
            let _ = writeln!(text, "- {}", printable(fault));
        }
    }

    fn json(&self, database: &Database) -> Value {
        json!({
            "tenant": database.tenant,
            "file": database.file,
            "messages": self.messages,
            "sessions": self.sessions,
            "faults": self.faults,
        })
    }
}
