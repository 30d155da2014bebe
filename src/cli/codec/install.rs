//! `lykta codec install`: a vendor's codec becomes a profile.

use super::examples::{Example, Examples, MAX_FILE};
use crate::cli::lend;
use crate::cli::table::printable;
use crate::cli::{complain, exit};
use crate::codec::proposal::Proposal;
use crate::codec::script::{Failure, Keeper, Script};
use crate::codec::{Codec, DecodeError, Object, builtin, same};
use crate::config::DEFAULT_FILE;
use crate::ops::journal;
use crate::units::{count, duration};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Read, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Makes a profile of a vendor's codec, and installs both.
///
/// The codec's examples are run, and what comes of them is held against what the vendor says. From
/// the names, units and values of the outputs a mapping to readings is proposed. It is a draft:
/// look at it. The codec goes into codecs/, the profile with the codec's SHA-256 into profiles/
/// beside the configuration; lykta reads them at its next start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lykta codec install acme.js --profile acme-bin --dry-run\n  \
    sudo lykta codec install acme.js --profile acme-bin --examples acme.yaml --heartbeat 1h")]
pub(crate) struct Args {
    /// The script
    file: PathBuf,
    /// The name of the profile
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// The vendor's examples as they are published, JSON or YAML; may be given several times
    /// [default: those beside the script]
    #[arg(long, value_name = "FILE")]
    examples: Vec<PathBuf>,
    /// The configuration beside which it is installed
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The longest silence of a healthy sensor
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration::parse)]
    heartbeat: Duration,
    /// How long a sensor of motion or presence keeps it after the last sign of a person
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration::parse)]
    hold: Duration,
    /// Show what would be installed, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace a profile of this name; the former one is kept as NAME.toml.old
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of the examples.
#[derive(Default)]
struct Outcome {
    objects: Vec<Object>,
    equal: usize,
    /// Those that gave something else than the vendor says, or nothing.
    differ: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let _journal = journal::init();
    let name = &args.profile;
    if name.is_empty() || !name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        complain(format_args!("--profile {name:?}: a name of a to z, 0 to 9 and -"));
        return Ok(exit::USAGE.into());
    }
    let script = match Script::read(&args.file) {
        Ok(script) => script,
        Err(error) => {
            complain(format_args!("{}: {error}", args.file.display()));
            return Ok(exit::IO.into());
        }
    };
    let mut keeper = Keeper::default();
    let Examples { uplinks: examples, downlinks } = match examples(args, &mut keeper) {
        Ok(examples) => examples,
        Err((code, told)) => {
            complain(format_args!("{}", printable(&told)));
            return Ok(code.into());
        }
    };
    let outcome = match try_out(name, &script, &examples, &mut keeper)? {
        Ok(outcome) => outcome,
        Err(failure) => {
            complain(format_args!("{}: {failure}", args.file.display()));
            return Ok(exit::UNAVAILABLE.into());
        }
    };
    if outcome.objects.is_empty() {
        for line in &outcome.differ {
            complain(format_args!("{}", printable(line)));
        }
        let what = count(examples.len() as u64, "example");
        complain(format_args!("{}: nothing came of {what}", args.file.display()));
        return Ok(exit::DATA.into());
    }
    let proposal = Proposal::of(&outcome.objects);
    let header = header(args, &script, proposal.needs_hold(), &downlinks);
    let profile = format!("{header}{}", proposal.toml());
    let codec = builtin::parse(&format!("{name}.toml"), &profile)
        .map_err(anyhow::Error::new)
        .and_then(|profile| Ok(Codec::of_script(Arc::new(profile), script)?));
    if let Err(error) = codec {
        complain(format_args!("no profile could be made of it: {error:#}"));
        return Ok(exit::DATA.into());
    }
    let base = args.config.parent().unwrap_or(Path::new(""));
    let paths = [
        base.join("codecs").join(format!("{name}.js")),
        base.join("profiles").join(format!("{name}.toml")),
    ];
    tell(args, &examples, &outcome, &proposal, &profile, &paths)?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.force
        && let Some(path) = paths.iter().find(|path| path.exists())
    {
        complain(format_args!("{} is already there: --force replaces it", path.display()));
        return Ok(exit::USAGE.into());
    }
    if let Err((path, error)) = write(&paths, &fs::read(&args.file)?, &profile) {
        complain(format_args!("{}: {error}; nothing is installed", path.display()));
        return Ok(exit::IO.into());
    }
    Ok(ExitCode::SUCCESS)
}

/// The vendor's examples; or the exit code and what is wrong.
fn examples(args: &Args, keeper: &mut Keeper) -> Result<Examples, (u8, String)> {
    let files = match args.examples.is_empty() {
        true => beside(&args.file),
        false => args.examples.clone(),
    };
    let mut examples = Examples::default();
    for file in &files {
        let told =
            |code, what: &dyn std::fmt::Display| (code, format!("{}: {what}", file.display()));
        let mut text = String::new();
        let read =
            fs::File::open(file).and_then(|open| open.take(MAX_FILE + 1).read_to_string(&mut text));
        let length = read.map_err(|error| told(exit::IO, &error))?;
        if length as u64 > MAX_FILE {
            let what = format!("it has more than {} KiB", MAX_FILE / 1024);
            return Err(told(exit::DATA, &what));
        }
        examples.add(file, &text, keeper).map_err(|error| told(exit::DATA, &error))?;
    }
    if files.is_empty() {
        let what = "there are no examples beside it, and without one nothing is known of what the \
                    codec says: give --examples FILE";
        return Err((exit::IO, format!("{}: {what}", args.file.display())));
    }
    if examples.uplinks.is_empty() {
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        return Err((
            exit::DATA,
            format!("{}: there is no example of an uplink", names.join(", ")),
        ));
    }
    Ok(examples)
}

/// The examples of a script by the names that they have where codecs are published.
fn beside(script: &Path) -> Vec<PathBuf> {
    let stem = script.file_stem().unwrap_or_default().to_string_lossy();
    let names = [
        "examples.json".to_owned(),
        format!("{stem}-codec.yaml"),
        format!("test_decode_{stem}.json"),
        format!("test_encode_{stem}.json"),
    ];
    let files = names.iter().map(|name| script.with_file_name(name));
    files.filter(|file| file.exists()).collect()
}

/// Runs the examples; the failure that is ours and not the script's.
fn try_out(
    name: &str,
    script: &Script,
    examples: &[Example],
    keeper: &mut Keeper,
) -> anyhow::Result<Result<Outcome, Failure>> {
    let text = format!(
        "name = {name:?}\nvendor = \"\"\nmodel = \"\"\ncodec = \"x.js\"\nsha256 = \"{}\"\n\
         heartbeat = \"1h\"\n",
        script.hash()
    );
    let codec = Codec::of_script(Arc::new(builtin::parse("x.toml", &text)?), script.clone())?;
    let mut outcome = Outcome::default();
    for (n, example) in examples.iter().enumerate() {
        let what = format!("example {} ({})", n + 1, example.what);
        match codec.decode(keeper, example.f_port, &example.bytes, Timestamp::now()) {
            Ok(decoded) => {
                let object = Value::from(decoded.object.clone());
                match &example.data {
                    Some(data) if !same(data, &object) => {
                        outcome.differ.push(format!("{what}: {object}, where {data} is expected"));
                    }
                    _ => outcome.equal += 1,
                }
                outcome.objects.push(decoded.object);
            }
            Err(DecodeError::Script(
                failure @ (Failure::NoWorker(_) | Failure::Starved | Failure::Lost),
            )) => return Ok(Err(failure)),
            Err(_) if example.fails => outcome.equal += 1,
            Err(error) => outcome.differ.push(format!("{what}: {error}")),
        }
    }
    Ok(Ok(outcome))
}

/// What a profile begins with.
fn header(args: &Args, script: &Script, needs_hold: bool, downlinks: &[String]) -> String {
    let name = &args.profile;
    let (vendor, model) = name.split_once('-').unwrap_or((name, name));
    let hold = match needs_hold {
        true => format!("hold = \"{}\"\n", duration::format(args.hold)),
        false => String::new(),
    };
    let downlinks = match downlinks.is_empty() {
        true => String::new(),
        false => format!("downlinks = {}\n", json!(downlinks)),
    };
    format!(
        "# Drafted by `lykta codec install` from the outputs of the codec's examples. To be looked\n\
         # at: names and units are guessed; set heartbeat and hold to what the sensor does, and\n\
         # range and missing to what its manual says.\n\n\
         name = \"{name}\"\nvendor = \"{vendor}\"\nmodel = \"{model}\"\ncodec = \"{name}.js\"\n\
         sha256 = \"{}\"\nheartbeat = \"{}\"\n{hold}{downlinks}",
        script.hash(),
        duration::format(args.heartbeat)
    )
}

fn tell(
    args: &Args,
    examples: &[Example],
    outcome: &Outcome,
    proposal: &Proposal,
    profile: &str,
    [codec, file]: &[PathBuf; 2],
) -> io::Result<()> {
    let mut out = stdout().lock();
    if args.json {
        let told = json!({
            "examples": examples.len(),
            "asTheVendorSays": outcome.equal,
            "differ": outcome.differ,
            "readings": proposal.readings,
            "ignored": proposal.ignored,
            "codec": codec,
            "profile": file,
            "text": profile,
            "dryRun": args.dry_run,
        });
        return writeln!(out, "{told}");
    }
    for line in &outcome.differ {
        complain(format_args!("{}", printable(line)));
    }
    let (all, equal) = (count(examples.len() as u64, "example"), outcome.equal);
    writeln!(
        out,
        "# {all}, {equal} as the vendor says\n# {}\n# {}",
        codec.display(),
        file.display()
    )?;
    writeln!(out, "{profile}")
}

/// Both files, the codec first: a profile is never there without it.
fn write<'a>(
    [codec, profile]: &'a [PathBuf; 2],
    script: &[u8],
    text: &str,
) -> Result<(), (&'a Path, io::Error)> {
    if profile.exists() {
        let old = profile.with_extension("toml.old");
        fs::rename(profile, old).map_err(|error| (profile.as_path(), error))?;
    }
    for (path, text) in [(codec, script), (profile, text.as_bytes())] {
        let written = || {
            let directory = path.parent().unwrap_or(Path::new(""));
            lend::make(directory)?;
            let new = path.with_extension("new");
            let mut file = fs::File::create(&new)?;
            file.write_all(text)?;
            lend::lend(&file, directory)?;
            file.sync_all()?;
            fs::rename(new, path)
        };
        written().map_err(|error| (path.as_path(), error))?;
    }
    Ok(())
}
