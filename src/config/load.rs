//! From files and environment to a configuration that can be run, or to all that is wrong.

use super::check::Checks;
use super::discretion::Discreet;
use super::file::File;
use super::household::Household;
use super::key::KeyPath;
use super::key::Part;
use super::layer::{Environment, Layers};
use super::problem::{Problem, Problems};
use super::profile::Profiles;
use super::read::{Fault, Leaf, Read, Reader};
use super::secret::{self, Places};
use super::service::Used;
use super::settings::Settings;
use super::source::{Effective, Place, Sources};
use crate::codec::Codec;
use crate::device::Registry;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The main file, unless told.
pub const DEFAULT_FILE: &str = "/etc/lykta/lykta.toml";

/// `state_dir`, unless told.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/lykta";

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The settings. File names in them are resolved: none is a bare credential.
    pub settings: Settings,
    /// Where each setting came from.
    pub sources: Sources,
    /// All devices with their profiles and keys.
    pub registry: Registry,
    /// The residents with their sensors.
    pub households: Vec<Household>,
    /// The codec of every known profile, by the profile's name.
    pub codecs: HashMap<String, Codec>,
    /// What is doubtful.
    pub warnings: Vec<Problem>,
    /// What was read, the directory of the main file first.
    pub(super) used: Vec<Used>,
}

/// Reads the configuration: `path`, or [`DEFAULT_FILE`]; the directories beside it; the
/// environment of this process.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: Option<&Path>) -> Result<Loaded, Problems> {
    // a value that is no text becomes one that is refused with its name, not overlooked
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into()))
    });
    load_with(path, variables)
}

/// As [`load`], with the given environment variables instead of those of this process.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn load_with(
    path: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Problems> {
    let variables: Vec<(String, String)> = variables.into_iter().collect();
    let main = path.unwrap_or(Path::new(DEFAULT_FILE));
    let credentials = variables.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
    let base = main.parent().unwrap_or(Path::new(""));
    let places = Places::new(base, credentials.map(|(_, directory)| Path::new(directory)));

    let mut errors = Vec::new();
    // a container may be configured by its environment alone
    let environment = Environment::new(variables);
    let mut paths = Vec::new();
    if path.is_some() || environment.is_empty() || main.exists() {
        paths.push(main.to_owned());
    }
    paths.extend(toml_files(&places.base.join("conf.d"), &mut errors));
    let mut files = read_all(&paths, &mut errors);
    let of_devices = toml_files(&places.base.join("devices.d"), &mut errors);
    let device_files = read_all(&of_devices, &mut errors);
    paths.extend(of_devices);
    for file in &device_files {
        errors.extend(file.other_keys("device"));
    }
    files.extend(device_files);
    let (profiles, problems) = Profiles::of(&places.base);
    errors.extend(problems);
    let base = if base == Path::new("") { Path::new(".") } else { base };
    let directories = ["conf.d", "devices.d", "profiles"].map(|directory| base.join(directory));
    let mut listed = vec![base.to_owned()];
    listed.extend(directories.into_iter().filter(|directory| directory.is_dir()));
    listed.extend(paths);
    listed.extend(profiles.files.iter().cloned());
    if !errors.is_empty() {
        // what an unread file would have said is not known: more errors would mislead
        return Err(Problems { errors, warnings: Vec::new(), sources: Sources::default() });
    }

    let layers = Layers::new(files, environment);
    let mut reader = Reader::default();
    let settings = Settings::read(&mut reader, &KeyPath::default(), layers.merged());
    let mut checks = Checks::new(&mut reader, &places);
    let checked = settings.map(|mut settings| {
        checks.settings(&mut settings);
        let devices = checks.devices(&settings, &profiles);
        checks.sights(&settings, &devices);
        let households = checks.households(&settings, &profiles);
        (settings, Registry::new(devices), households)
    });
    let mut warnings = located(&layers, checks.warnings);
    let named = checks.used.into_iter().map(|(path, file)| {
        let place = layers.place(&path, Part::Value);
        Used { place, key: path.to_string(), file }
    });
    let used: Vec<Used> = listed.into_iter().map(Used::of_settings).chain(named).collect();
    let Reader { faults, leaves, .. } = reader;
    warnings.extend(exposed_files(&layers, &leaves));
    let sources = Sources(leaves.into_iter().map(|leaf| effective(&layers, leaf)).collect());
    let errors = located(&layers, faults);
    match checked {
        Some((settings, registry, households)) if errors.is_empty() => {
            let codecs = profiles.codecs;
            Ok(Loaded { settings, sources, registry, households, codecs, warnings, used })
        }
        _ => Err(Problems { errors, warnings, sources }),
    }
}

/// The text of each file with settings as far as it can be read, also where it is no TOML.
pub fn texts(path: Option<&Path>) -> Vec<String> {
    let main = path.unwrap_or(Path::new(DEFAULT_FILE));
    let base = main.parent().unwrap_or(Path::new(""));
    let below = ["conf.d", "devices.d"].map(|name| toml_files(&base.join(name), &mut Vec::new()));
    let files = std::iter::once(main.to_owned()).chain(below.into_iter().flatten());
    let bytes = files.filter_map(|file| std::fs::read(file).ok());
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// The `*.toml` files of a directory by name; none when there is no such directory.
pub(super) fn toml_files(directory: &Path, errors: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            let help = "let the service's user read this directory";
            errors.push(Problem::of_file(directory, format!("cannot be listed: {e}"), help));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.retain(|path| {
        // nobody may ever write into a pipe
        let is_pipe = path.metadata().is_ok_and(|file| file.file_type().is_fifo());
        if is_pipe {
            errors.push(Problem::of_file(path, "this is a pipe, not a file", "remove it"));
        }
        !is_pipe
    });
    paths.sort();
    paths
}

fn read_all(paths: &[PathBuf], errors: &mut Vec<Problem>) -> Vec<File> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match File::read(path) {
            Ok(file) => files.push(file),
            Err(problem) => errors.push(*problem),
        }
    }
    files
}

/// A warning for each file with keys in it that every user can read.
fn exposed_files(layers: &Layers, leaves: &[Leaf]) -> Vec<Problem> {
    let secrets = leaves.iter().filter(|leaf| leaf.is_secret);
    let files: BTreeSet<&Path> = secrets.filter_map(|leaf| layers.file(&leaf.path)).collect();
    let exposed = files.into_iter().filter_map(|file| Some((file, secret::exposed(file)?)));
    exposed
        .map(|(file, (_, help))| {
            Problem::of_file(file, "this file has keys in it, and every user can read it", help)
        })
        .collect()
}

/// Faults as problems, in the order of the places.
pub(super) fn located(layers: &Layers, faults: Vec<Fault>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = faults
        .into_iter()
        .map(|fault| {
            let (place, excerpt) = layers.locate(&fault.path, fault.part);
            let discreet = Discreet::of(&fault, layers.merged());
            Problem {
                place,
                key: fault.path.to_string(),
                what: fault.what.into_owned(),
                help: fault.help,
                see: fault.see.map(|(path, why)| (layers.place(&path, Part::Value), why)),
                excerpt,
                of_machine: fault.of_machine,
                discreet,
            }
        })
        .collect();
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    problems
}

fn effective(layers: &Layers, leaf: Leaf) -> Effective {
    let place = match leaf.is_default {
        true => Place::Default,
        false => layers.place(&leaf.path, Part::Key),
    };
    Effective { key: leaf.path.to_string(), value: leaf.value, place }
}
