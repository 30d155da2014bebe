//! `lykta store export`: what waits, for somebody else than the broker; or the sessions of devices.

use super::{Database, Ended, Which, failed, told};
use crate::cli::exit;
use crate::cli::progress::Progress;
use crate::clock::Clock;
use crate::ops::access::{self, Reader};
use crate::ops::journal;
use crate::store::{Cursor, Row, Survey, Transfer};
use crate::units::{GatewayId, count};
use crate::upstream::envelope;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write, stderr, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes what waits as JSON lines, as the cloud would get it: id, topic, body.
///
/// The most important first; behind all that wait those that are set aside, with the reason. Reads
/// beside the running daemon, or without it, and removes nothing. Of a damaged FILE it writes what
/// can be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sudo lykta store export > outbox.jsonl
  sudo lykta store export /var/lib/lykta/waste.db.damaged-20260115T120000Z --out saved.jsonl
  sudo lykta store export --sessions --tenant waste --out sessions.json
  lykta store export --sessions /mnt/var/lib/lykta/care.db --key care.key --out sessions.json")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Write to this new file, which only its owner can read [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the sessions of a tenant's devices instead, for lykta store import on another gateway;
    /// there are keys in it
    #[arg(long, requires = "out")]
    sessions: bool,
}

/// Said where the tenant's settings cannot be read.
const NO_TOPICS: &str = "the topics of messages are in the configuration, and it does not hold, or \
                         is another gateway's: lykta check, or --config FILE";

/// A message, as the cloud would get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    topic: String,
    body: Box<RawValue>,
    /// Why the broker does not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let _journal = journal::init_beside();
    let databases = match args.which.databases() {
        Ok(databases) => databases,
        Err(ended) => return ended,
    };
    match (args.sessions, &databases[..], &args.out) {
        (true, [database], Some(out)) => sessions(database, out),
        (true, ..) => told(exit::USAGE, "the sessions of which tenant? --tenant ID"),
        (false, ..) => messages(&databases, args.out.as_deref()),
    }
}

fn messages(databases: &[Database], out: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut ended = None;
    let mut sink: Box<dyn Write> = match out {
        None => Box::new(stdout().lock()),
        Some(file) => match create(file) {
            Ok(file) => Box::new(BufWriter::new(file)),
            Err(ended) => return ended,
        },
    };
    for database in databases {
        let Some((known, root)) =
            database.known.as_ref().and_then(|known| Some((known, known.root.as_ref()?)))
        else {
            return told(exit::CONFIG, NO_TOPICS);
        };
        if known.is_care {
            let tenant = std::slice::from_ref(&database.tenant);
            access::shown(tenant, access::MESSAGES, Reader::own());
        }
        let written = database.open().and_then(|survey| write(survey, root, &mut *sink));
        match written {
            Ok(n) if out.is_some() => {
                let n = count(n, "message");
                writeln!(stderr().lock(), "{n} of tenant {}", database.tenant)?;
            }
            Ok(_) => {}
            // the others are written all the same
            Err(why) => ended = Some(why?),
        }
    }
    sink.flush()?;
    Ok(ended.unwrap_or(ExitCode::SUCCESS))
}

/// How many there were.
fn write(mut survey: Survey, root: &str, out: &mut dyn Write) -> Result<u64, Ended> {
    let (mut cursor, mut n) = (Cursor::default(), 0);
    let mut progress = Progress::new(survey.waiting(), "messages");
    let now = Clock::system().now();
    let line = |row: &Row, set_aside| {
        let id = envelope::id(row);
        let body = envelope::stored(&id, row, now, true);
        let topic = format!("{root}/{}", row.topic);
        // one that is no JSON is damaged, and kept as the text that it is
        let body = RawValue::from_string(body)
            .or_else(|_| to_raw_value(&row.body))
            .expect("a text can be written as JSON");
        serde_json::to_string(&Line { id, topic, body, set_aside }).expect("a plain struct")
    };
    let mut put = |row: &Row, set_aside| {
        writeln!(out, "{}", line(row, set_aside)).map_err(|error| Err(error.into()))
    };
    loop {
        let rows = survey.next(&mut cursor).map_err(|error| failed(&error))?;
        for row in &rows {
            put(row, None)?;
        }
        n += rows.len() as u64;
        progress.reach(n);
        if rows.is_empty() {
            break;
        }
    }
    let aside = survey.aside().map_err(|error| failed(&error))?;
    n += aside.len() as u64;
    for (row, reason) in aside {
        put(&row, Some(reason))?;
    }
    Ok(n)
}

fn sessions(database: &Database, out: &Path) -> anyhow::Result<ExitCode> {
    let memory = match database.open().and_then(|survey| survey.memory().map_err(|e| failed(&e))) {
        Ok(memory) => memory,
        Err(ended) => return ended,
    };
    let mut file = match create(out) {
        Ok(file) => file,
        Err(ended) => return ended,
    };
    let now = Clock::system().now().wall;
    let gateway = database.gateway.clone().unwrap_or_else(unknown);
    let transfer = Transfer::new(gateway, database.tenant.clone(), now, &memory);
    file.write_all(&serde_json::to_vec(&transfer)?)?;
    file.sync_all()?;
    writeln!(
        stderr().lock(),
        "{} of tenant {} in {}: there are keys in it. Before another gateway takes it over, this \
         one must be silenced: systemctl disable --now lykta",
        count(memory.sessions.len() as u64, "session"),
        database.tenant,
        out.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A gateway whose name stands in a configuration that is not at hand.
fn unknown() -> GatewayId {
    "unknown".parse().expect("a name")
}

/// A new file that only its owner can read.
fn create(file: &Path) -> Result<std::fs::File, Ended> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    opened.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let code = if is_there { exit::USAGE } else { exit::IO };
        told(code, format!("{} cannot be made: {error}", file.display()))
    })
}
