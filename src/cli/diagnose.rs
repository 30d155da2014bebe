//! `lykta diagnose`: all that whoever helps needs to know, and nothing that is nobody's business.
//!
//! What goes in is listed here and chosen: settings by their names, fields of the journal, numbers.
//! All of it passes [`words::Words`] at the end, which takes out what must not be there even if it
//! has come in by a way that nobody thought of.

mod machine;
mod words;

use super::ask::{Daemon, Target};
use super::exit;
use crate::config::{self, Effective, Problem, Sources, Tenant};
use crate::gateway;
use crate::ops::socket;
use crate::units::count;
use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::{Write, stderr, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use words::Words;

/// Settings that are shown, by what their names begin with. All others are only counted: devices,
/// residents, bins, and the visits of plans.
const SHOWN: [&str; 10] = [
    "gateway",
    "state_dir",
    "metrics",
    "store.",
    "concentrator.",
    "radio[",
    "lorawan.",
    "output.",
    "modem.after",
    "tenant[",
];

/// Of these only that they are set.
const HIDDEN: [&str; 2] = ["username", "client_id"];

/// Puts together what whoever helps needs to know: version, settings, status, journal, machine.
///
/// Keys, passwords, payloads, and the names of residents and sensors are not in it. It can be read
/// before it is sent: tar -xzOf FILE | less
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta diagnose --out lykta.tar.gz")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// The file to make, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // before all the work; what is in it is for nobody else, either
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out);
    let file = match made {
        Ok(file) => file,
        Err(error) => {
            writeln!(stderr().lock(), "lykta: {}: {error}", args.out.display())?;
            return Ok(exit::IO.into());
        }
    };
    let now = Timestamp::now();
    let loaded = config::load(args.target.config.as_deref());
    let (sources, problems) = match &loaded {
        Ok(loaded) => (loaded.sources.clone(), loaded.warnings.clone()),
        Err(problems) => (problems.sources.clone(), problems.errors.clone()),
    };
    let daemon = match loaded {
        Ok(loaded) => Some(Daemon::of(loaded)),
        Err(problems) => args.target.daemon_of(&problems),
    };
    let (sources, problems) = (&sources, &problems[..]);
    // nothing is read where a file is no TOML
    let mut words = match sources.iter().next() {
        Some(_) => Words::of(sources),
        None => Words::of_texts(&config::texts(args.target.config.as_deref())),
    };
    let whole = [
        ("about.json", about(now)),
        ("settings.json", settings(sources, problems)),
        ("status.json", status(daemon.as_ref())),
        ("machine.json", machine::facts()),
        ("unit.txt", machine::unit()),
        ("journal.txt", machine::journal()),
        ("kernel.txt", machine::kernel()),
    ];
    let name = args.out.display();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for (name, text) in &whole {
        let text = words.without(text);
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now.as_second().unsigned_abs());
        archive
            .append_data(&mut header, format!("lykta/{name}"), text.as_bytes())
            .with_context(|| args.out.display().to_string())?;
    }
    let file = archive.into_inner().and_then(GzEncoder::finish);
    file.and_then(|file| file.sync_all()).with_context(|| name.to_string())?;
    writeln!(stdout().lock(), "{name}: {}", count(whole.len() as u64, "file"))?;
    Ok(ExitCode::SUCCESS)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

fn about(now: Timestamp) -> String {
    pretty(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "architecture": std::env::consts::ARCH,
        "time": now,
        "contents": "without keys, passwords, payloads, residents, and names of sensors; EUIs and \
                     addresses are numbered in the order of their appearance",
    }))
}

/// The settings that say nothing of anybody, how many others there are, and what is wrong.
fn settings(sources: &Sources, problems: &[Problem]) -> String {
    let mut counted: Map<String, Value> = Map::new();
    let mut shown = Vec::new();
    for Effective { key, value, place } in sources.iter() {
        let leaf = key.rsplit('.').next().unwrap_or_default();
        if !SHOWN.iter().any(|begin| key == begin || is_below(key, begin)) {
            let table = key.split(['.', '[']).next().unwrap_or_default();
            let n = counted.entry(table.to_owned()).or_insert(json!(0));
            *n = json!(n.as_u64().unwrap_or_default() + 1);
            continue;
        }
        let value = if HIDDEN.contains(&leaf) { "…" } else { value.as_str() };
        shown.push(json!({ "key": key, "value": value, "source": place.to_string() }));
    }
    let problems = problems.iter().map(|problem| {
        let told = SHOWN.iter().any(|begin| problem.key == *begin || is_below(&problem.key, begin));
        json!({
            "source": problem.place.to_string(),
            "key": if told { problem.key.as_str() } else { "…" },
            "what": if told { problem.what.as_str() } else { problem.in_other_words().unwrap_or("…") },
        })
    });
    pretty(&json!({
        "settings": shown,
        "notShown": counted,
        "problems": problems.collect::<Vec<_>>(),
    }))
}

/// Whether a key is in what is shown with all that is below it.
fn is_below(key: &str, begin: &str) -> bool {
    begin.ends_with(['.', '[']) && key.starts_with(begin)
}

/// How the daemon is; without one, what waits on the disk.
fn status(daemon: Option<&Daemon>) -> String {
    let Some(daemon) = daemon else {
        return pretty(&json!({ "trouble": "the configuration is wrong: see settings.json" }));
    };
    let mut status: Value = match daemon.ask("status") {
        Ok(status) => status,
        Err(silence) => {
            let tenant = |tenant: &Tenant| {
                let file = gateway::database_file(&daemon.state_dir, &tenant.id);
                let waiting = gateway::database(&file, tenant).map(socket::classes);
                json!({ "id": tenant.id.as_str(), "classes": waiting.ok() })
            };
            let tenants = daemon.loaded.iter().flat_map(|loaded| &loaded.settings.tenant);
            let tenants: Vec<_> = tenants.map(tenant).collect();
            json!({ "trouble": silence.to_string(), "tenants": tenants })
        }
    };
    // when somebody's sensor has spoken, and which devices there are, helps nobody
    if let Some(capacity) = status.get_mut("capacity").and_then(Value::as_object_mut) {
        capacity.remove("inPhase");
        capacity.remove("advice");
    }
    let tenants = status.get_mut("tenants").and_then(Value::as_array_mut).into_iter().flatten();
    for class in tenants.filter_map(|t| t.get_mut("classes")?.as_array_mut()).flatten() {
        class.as_object_mut().map(|class| class.remove("oldest"));
    }
    pretty(&status)
}
