//! `lykta decode`: what a codec makes of a payload.

mod serve;

use super::table::printable;
use super::{complain, exit};
use crate::codec::script::{Failure, Keeper, Routine, Script};
use crate::config::{DEFAULT_FILE, Profiles};
use crate::ops::journal;
use jiff::Timestamp;
use serde_json::json;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Decodes one payload and prints the JSON object that the codec returned.
///
/// The codec is a script as vendors publish it (TS013: decodeUplink; or the older Decoder and
/// Decode), or that of a device profile, with which the typed readings are printed, too. A script
/// is not trusted: it has 250 ms, 8 MiB, no files and no network. What it writes to its console
/// goes to stderr. An object with errors in it is printed like any other, and ends in exit code 65.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lykta decode --codec ldds75.js --fport 2 --hex 0d0a07e900000001\n  \
    lykta decode --profile dragino-ldds75 --fport 2 --hex 0d0a07e900000001\n  \
    lykta decode --serve < cases.jsonl"
)]
pub(super) struct Args {
    /// The script
    #[arg(long, value_name = "FILE.js", required_unless_present_any = ["profile", "serve"])]
    codec: Option<PathBuf>,

    /// A device profile: one that comes with lykta, or one in profiles/ beside the configuration
    #[arg(long, value_name = "NAME", conflicts_with = "codec")]
    profile: Option<String>,

    /// The configuration beside which profiles are
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    /// The port
    #[arg(long, value_name = "N", required_unless_present = "serve")]
    fport: Option<u8>,

    /// The payload
    #[arg(long, value_name = "HEX", required_unless_present = "serve", value_parser = bytes)]
    hex: Option<Bytes>,

    /// Answer lines of JSON until standard input ends, in order: {"script": PATH, "routine":
    /// "decodeUplink", "input": {"bytes": [1, 2], "fPort": 1}} with {"out": OBJECT} or {"err": TEXT}
    #[arg(long, conflicts_with_all = ["codec", "profile", "fport", "hex"])]
    serve: bool,
}

/// A payload; for clap, a vector would be an option that is given several times.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

fn bytes(text: &str) -> Result<Bytes, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode(digits).map(Bytes).map_err(|error| error.to_string())
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let _journal = journal::init();
    match args {
        Args { serve: true, .. } => serve::serve(),
        Args { codec: Some(file), fport: Some(f_port), hex: Some(Bytes(bytes)), .. } => {
            by_script(file, *f_port, bytes)
        }
        Args { profile: Some(name), fport: Some(f_port), hex: Some(Bytes(bytes)), .. } => {
            by_profile(name, &args.config, *f_port, bytes)
        }
        _ => Ok(exit::USAGE.into()),
    }
}

fn by_script(file: &Path, f_port: u8, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let script = match Script::read(file) {
        Ok(script) => script,
        Err(error) => {
            complain(format_args!("{}: {error}", file.display()));
            return Ok(exit::IO.into());
        }
    };
    let input = json!({
        "bytes": bytes, "fPort": f_port, "recvTime": Timestamp::now().to_string(), "variables": {},
    });
    let input = serde_json::value::to_raw_value(&input)?;
    let answer = Keeper::default().ask(&script, Routine::DecodeUplink, &input);
    let mut err = std::io::stderr().lock();
    for line in &answer.console {
        writeln!(err, "console: {}", printable(line))?;
    }
    match answer.out {
        Ok(object) => {
            writeln!(stdout(), "{object}")?;
            Ok(if has_errors(object.get()) { exit::DATA.into() } else { ExitCode::SUCCESS })
        }
        Err(failure) => {
            let told = failure.to_string();
            complain(format_args!("{}: {}", file.display(), printable(&told)));
            let is_ours =
                matches!(failure, Failure::NoWorker(_) | Failure::Starved | Failure::Lost);
            Ok(if is_ours { exit::UNAVAILABLE } else { exit::DATA }.into())
        }
    }
}

fn has_errors(object: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Result {
        #[serde(default)]
        errors: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Result>(object).is_ok_and(|result| !result.errors.is_empty())
}

fn by_profile(name: &str, config: &Path, f_port: u8, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let (profiles, problems) = Profiles::of(config.parent().unwrap_or(Path::new("")));
    for problem in &problems {
        complain(format_args!("{problem}"));
    }
    let Some(codec) = profiles.codecs.get(name) else {
        let mut names: Vec<_> = profiles.codecs.keys().map(String::as_str).collect();
        names.sort_unstable();
        complain(format_args!("there is no profile {name:?}; there are {}", names.join(", ")));
        return Ok(exit::DATA.into());
    };
    match codec.decode(&mut Keeper::default(), f_port, bytes, Timestamp::now()) {
        Ok(decoded) => {
            for unmapped in &decoded.unmapped {
                complain(format_args!("{unmapped}"));
            }
            let (object, readings) = (&decoded.object, &decoded.readings);
            writeln!(stdout(), "{}", json!({ "object": object, "readings": readings }))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            complain(format_args!("profile {name}: {}", printable(&error.to_string())));
            Ok(exit::DATA.into())
        }
    }
}
