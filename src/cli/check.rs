//! `lykta check`: is the configuration right, and who says so?

use super::exit;
use crate::config::{self, Effective, Loaded, Place, Problem, Problems};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks the configuration and shows each setting with its source. Starts and changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lykta check --config /etc/lykta/lykta.toml")]
pub(super) struct Args {
    /// The main configuration file; conf.d, devices.d and profiles lie beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Show every device, not only how many there are
    #[arg(long)]
    devices: bool,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let result = config::load(args.config.as_deref()).and_then(Loaded::for_the_service);
    let code = if result.is_ok() { ExitCode::SUCCESS } else { exit::CONFIG.into() };
    if args.json {
        writeln!(stdout().lock(), "{:#}", report(&result, args.devices))?;
    } else {
        match &result {
            Ok(loaded) => print(loaded, args.devices)?,
            Err(problems) => complain(problems)?,
        }
    }
    Ok(code)
}

/// Prints what is wrong to stderr.
fn complain(problems: &Problems) -> std::io::Result<()> {
    let mut err = stderr().lock();
    for warning in &problems.warnings {
        writeln!(err, "warning: {warning}\n")?;
    }
    writeln!(err, "{problems}")
}

fn print(loaded: &Loaded, devices: bool) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let shown: Vec<&Effective> =
        loaded.sources.iter().filter(|s| devices || !is_of_device(s)).collect();
    let width = |text: fn(&Effective) -> &str, most: usize| {
        shown.iter().map(|s| text(s).chars().count()).filter(|n| *n <= most).max().unwrap_or(0)
    };
    // a longer text pushes its own line only
    let (keys, values) = (width(|s| &s.key, 48), width(|s| &s.value, 40));
    for Effective { key, value, place } in &shown {
        writeln!(out, "{key:keys$}  {value:values$}  {}", source(place))?;
    }
    if !devices {
        for (place, count) in device_files(loaded) {
            let noun = if count == 1 { "device" } else { "devices" };
            let text = format!("{count} {noun}");
            writeln!(out, "{:keys$}  {text:values$}  {place}", "device")?;
        }
    }
    for warning in &loaded.warnings {
        writeln!(out, "\nwarning: {warning}")?;
    }
    writeln!(out, "\n{}", verdict(loaded))
}

/// A place to the line: the column says nothing where the key is named.
fn source(place: &Place) -> String {
    match place {
        Place::Line { file, line, .. } => format!("{}:{line}", file.display()),
        other => other.to_string(),
    }
}

/// How many devices each file holds.
fn device_files(loaded: &Loaded) -> BTreeMap<Place, usize> {
    let mut files = BTreeMap::new();
    let euis = loaded.sources.iter().filter(|s| is_of_device(s) && s.key.ends_with(".dev_eui"));
    for Effective { place, .. } in euis {
        let file = match place {
            Place::Line { file, .. } => Place::File(file.clone()),
            other => other.clone(),
        };
        *files.entry(file).or_default() += 1;
    }
    files
}

fn is_of_device(setting: &Effective) -> bool {
    setting.key.starts_with("device[")
}

/// How many devices each tenant has; a tenant without devices counts too.
fn devices_per_tenant(loaded: &Loaded) -> BTreeMap<&str, usize> {
    let mut tenants: BTreeMap<&str, usize> =
        loaded.settings.tenant.iter().map(|tenant| (tenant.id.as_str(), 0)).collect();
    for device in &loaded.settings.device {
        *tenants.entry(device.tenant.as_str()).or_default() += 1;
    }
    tenants
}

fn devices_per_profile(loaded: &Loaded) -> BTreeMap<&str, usize> {
    let mut profiles = BTreeMap::new();
    for device in &loaded.settings.device {
        *profiles.entry(device.profile.as_str()).or_default() += 1;
    }
    profiles
}

fn verdict(loaded: &Loaded) -> String {
    let list = |counts: BTreeMap<&str, usize>| {
        let parts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        1 => " (1 warning)".to_owned(),
        n => format!(" ({n} warnings)"),
    };
    format!(
        "ok{warnings}; devices per tenant: {}; profiles in use: {}",
        list(devices_per_tenant(loaded)),
        list(devices_per_profile(loaded))
    )
}

fn report(result: &Result<Loaded, Problems>, devices: bool) -> Value {
    let (sources, errors, warnings) = match result {
        Ok(loaded) => (&loaded.sources, [].as_slice(), &loaded.warnings),
        Err(problems) => (&problems.sources, problems.errors.as_slice(), &problems.warnings),
    };
    let shown = sources.iter().filter(|s| devices || !is_of_device(s));
    let mut report = json!({
        "ok": result.is_ok(),
        "settings": shown.map(setting).collect::<Vec<_>>(),
        "problems": errors.iter().map(problem).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(problem).collect::<Vec<_>>(),
    });
    if let Ok(loaded) = result {
        report["devices"] = json!(devices_per_tenant(loaded));
        report["profiles"] = json!(devices_per_profile(loaded));
    }
    report
}

fn setting(Effective { key, value, place }: &Effective) -> Value {
    // a masked secret is no TOML and stays the text that it is
    let value = value
        .parse::<toml_edit::de::ValueDeserializer>()
        .ok()
        .and_then(|toml| serde::Deserialize::deserialize(toml).ok())
        .unwrap_or_else(|| Value::from(value.as_str()));
    json!({ "key": key, "value": value, "source": source(place) })
}

fn problem(problem: &Problem) -> Value {
    let mut value = json!({
        "source": problem.place.to_string(),
        "key": problem.key,
        "what": problem.what,
        "help": problem.help,
    });
    if let Some((place, why)) = &problem.see {
        value["see"] = json!({ "source": place.to_string(), "why": why });
    }
    value
}
