//! `lykta device import`: device lists of other network servers.

use crate::cli::exit;
use crate::cli::lend;
use crate::config::import::{self, Import, Row, read_back, to_toml};
use crate::config::{self, DEFAULT_FILE, Loaded, Place};
use crate::units::{DevEui, TenantId, count};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{Write, stderr, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Turns a device list of The Things Stack or ChirpStack, CSV or JSON, into [[device]] tables.
///
/// The first line of a CSV file names the columns; comma, semicolon and tab are recognised.
/// Needed are dev_eui and, of a device that joins (OTAA), join_eui (also app_eui) and app_key
/// (also nwk_key); of one with a fixed session (ABP), dev_addr, nwk_s_key (also f_nwk_s_int_key,
/// nwk_s_enc_key) and app_s_key. A device with both joins. name, profile (also
/// device_profile_name, model_id), bin, resident and sensor are used. With one bad row nothing
/// is written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lykta device import sensors.csv --tenant waste --profile sensoneo-single --config /etc/lykta/lykta.toml"
)]
pub(super) struct Args {
    /// The CSV or JSON file
    file: PathBuf,
    /// The tenant that owns the devices
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The profile of rows that do not name one
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The configuration to add to [default: /etc/lykta/lykta.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to write, - for standard output [default: devices.d/<FILE>.toml beside the
    /// configuration]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave bad rows out instead of stopping
    #[arg(long)]
    skip_bad: bool,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut err = stderr().lock();
    let default = Path::new(DEFAULT_FILE);
    let config = args.config.as_deref().or_else(|| default.exists().then_some(default));
    let Some(out) = args.out.clone().or_else(|| Some(beside(config?, &args.file))) else {
        if default.try_exists().is_err() {
            writeln!(err, "error: no permission to look for {}: ask as root", default.display())?;
            return Ok(exit::IO.into());
        }
        writeln!(err, "error: say where to write: --out FILE, --out - or --config FILE")?;
        return Ok(exit::USAGE.into());
    };
    let to_stdout = out == Path::new("-");
    if !to_stdout && out.exists() && !args.force {
        writeln!(err, "error: {} is already there: --force overwrites it", out.display())?;
        return Ok(exit::USAGE.into());
    }
    let loaded = match config.map(|config| config::load(Some(config))).transpose() {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(err, "{problems}\nMend the configuration first: lykta check")?;
            return Ok(exit::CONFIG.into());
        }
    };
    let builtin = config::builtin_profiles();
    let mut profiles: Vec<&str> = match &loaded {
        Some(loaded) => loaded.codecs.keys().map(String::as_str).collect(),
        None => builtin.iter().map(String::as_str).collect(),
    };
    profiles.sort_unstable();
    if let Some(why) = wrong_arguments(args, loaded.as_ref(), &profiles) {
        writeln!(err, "error: {why}")?;
        return Ok(exit::USAGE.into());
    }

    let shown = args.file.display();
    let bytes = match std::fs::read(&args.file) {
        Ok(bytes) => bytes,
        Err(e) => {
            writeln!(err, "error: {shown} cannot be read: {e}")?;
            return Ok(exit::IO.into());
        }
    };
    let import = match import::read(&bytes, args.profile.as_deref(), &profiles) {
        Ok(import) => import,
        Err(error) => {
            writeln!(err, "error: {shown}: {error}")?;
            return Ok(exit::DATA.into());
        }
    };
    let known = already_there(&import, loaded.as_ref(), &out);
    tell(&mut err, &args.file, &import, &known)?;
    let bad = import.bad.len() + known.len();
    if bad > 0 && !args.skip_bad {
        writeln!(
            err,
            "Nothing was written, because of {}. Mend it, or leave it out with --skip-bad.",
            count(bad as u64, "bad row")
        )?;
        return Ok(exit::DATA.into());
    }
    let fresh: Vec<_> = import
        .devices
        .iter()
        .filter(|device| !known.iter().any(|(row, _)| *row == device.row))
        .cloned()
        .collect();
    if fresh.is_empty() {
        writeln!(err, "Nothing was written: {shown} holds no new device.")?;
        return Ok(exit::DATA.into());
    }
    let text = to_toml(&fresh, &args.tenant);
    anyhow::ensure!(
        read_back(&text).is_some_and(|devices| devices.len() == fresh.len()),
        "the devices of {shown} cannot be read back as they were written; please report this"
    );
    if to_stdout {
        stdout().lock().write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(e) = write_secret(&out, &text) {
        writeln!(err, "error: {} cannot be written: {e}", out.display())?;
        return Ok(exit::IO.into());
    }
    writeln!(
        err,
        "{} written to {}. Look at the result: lykta check",
        count(fresh.len() as u64, "device"),
        out.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// `devices.d/<stem>.toml` beside the configuration.
fn beside(config: &Path, file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default();
    let directory = config.parent().unwrap_or(Path::new("")).join("devices.d");
    directory.join(stem).with_added_extension("toml")
}

fn wrong_arguments(args: &Args, loaded: Option<&Loaded>, profiles: &[&str]) -> Option<String> {
    if let Some(profile) = args.profile.as_deref().filter(|profile| !profiles.contains(profile)) {
        return Some(format!("there is no profile {profile:?}; profiles: {}", profiles.join(", ")));
    }
    let tenants: Vec<&str> = loaded?.settings.tenant.iter().map(|t| t.id.as_str()).collect();
    (!tenants.contains(&args.tenant.as_str()))
        .then(|| format!("there is no tenant \"{}\"; tenants: {}", args.tenant, tenants.join(", ")))
}

/// Rows whose device the configuration has already, outside the file that is overwritten.
fn already_there(import: &Import, loaded: Option<&Loaded>, out: &Path) -> Vec<(Row, Place)> {
    let settings = loaded.into_iter().flat_map(|loaded| loaded.sources.iter());
    let places: HashMap<DevEui, &Place> = settings
        .filter(|setting| setting.key.starts_with("device[") && setting.key.ends_with(".dev_eui"))
        .filter(|setting| !matches!(&setting.place, Place::Line { file, .. } if is_same(file, out)))
        .filter_map(|setting| Some((setting.value.trim_matches('"').parse().ok()?, &setting.place)))
        .collect();
    let rows = import.devices.iter();
    rows.filter_map(|row| Some((row.row, (*places.get(&row.dev_eui)?).clone()))).collect()
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Names every row that is not imported, and what is doubtful about those that are.
fn tell(
    err: &mut impl Write,
    file: &Path,
    import: &Import,
    known: &[(Row, Place)],
) -> std::io::Result<()> {
    let file = file.display();
    for bad in &import.bad {
        writeln!(err, "error: {file}: {bad}")?;
    }
    for (row, place) in known {
        writeln!(err, "error: {file}: {row}: the device is already configured at {place}")?;
    }
    for device in import.devices.iter().filter(|device| device.leaves_session) {
        writeln!(
            err,
            "warning: {file}: {}: device {} joins over the air, and its present session is left \
             behind: it is heard from its next join on. Restart it if it does not join by itself",
            device.row, device.dev_eui
        )?;
    }
    Ok(())
}

/// Writes a file that only its owner can read, and the service where the directory is the service's.
/// It is there whole or not at all.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    lend::make(directory)?;
    let part = path.with_added_extension("part");
    // left by an import that was interrupted; its mode would be kept
    match std::fs::remove_file(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    lend::lend(&file, directory)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}
