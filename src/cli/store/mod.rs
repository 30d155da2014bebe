//! `lykta store`: what is kept on the disk, looked at beside the daemon.

mod export;
mod import;
mod stats;
mod verify;

use super::ask::{Daemon, Target};
use super::exit;
use crate::config::secret::read_store_key;
use crate::config::{self, TenantKind};
use crate::gateway;
use crate::store::{self, StoreError, Survey};
use crate::units::{GatewayId, TenantId, count};
use crate::upstream;
use std::fs::File;
use std::io::{ErrorKind, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Asked where the configuration names no tenant.
const WHOSE: &str =
    "which tenant's? The configuration does not hold (lykta check), so: --tenant ID";

/// Works with what is kept: messages that wait, and the sessions of devices.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Stats(stats::Args),
    Verify(verify::Args),
    Export(export::Args),
    Import(import::Args),
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed, or a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Stats(args) => stats::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
    }
}

/// Which databases are looked at.
#[derive(Debug, clap::Args)]
struct Which {
    /// A database that is in no use, such as one that was set aside [default: those of the daemon]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Only this tenant's; with FILE: whose it is, where its name does not say so
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// The file with its key, where the configuration does not name it: of another gateway, say
    #[arg(long, value_name = "KEYFILE")]
    key: Option<PathBuf>,
}

/// One of them.
#[derive(Debug)]
struct Database {
    tenant: TenantId,
    file: PathBuf,
    /// The same, with its key as far as that is known.
    sealed: store::Database,
    /// Where it comes from, if that could be read.
    gateway: Option<GatewayId>,
    /// What the configuration says, as far as it could be read.
    known: Option<Known>,
    /// Whether a daemon may be using it.
    is_live: bool,
}

/// What the configuration says of a tenant.
#[derive(Debug)]
struct Known {
    /// What its topics begin with; none of a file that may be another gateway's.
    root: Option<String>,
    max_bytes: u64,
    /// Whether it is of residents.
    is_care: bool,
}

/// A command that ends here, told already.
type Ended = Result<ExitCode, anyhow::Error>;

impl Which {
    /// The databases; otherwise what is wrong was told.
    fn databases(&self) -> Result<Vec<Database>, Ended> {
        let daemon = match (&self.file, &self.target.config) {
            // a file tells most of itself, on any machine
            (Some(_), None) => config::load(None).ok().map(Daemon::of),
            _ => match self.target.daemon() {
                Ok(Ok(daemon)) => Some(daemon),
                Ok(Err(code)) => return Err(Ok(code)),
                Err(error) => return Err(Err(error.into())),
            },
        };
        let settings = daemon.as_ref().and_then(|daemon| Some(&daemon.loaded.as_ref()?.settings));
        let database = |tenant: TenantId, file: Option<&Path>| {
            let found = settings.and_then(|settings| {
                let found = settings.tenant.iter().find(|known| known.id == tenant)?;
                Some((settings, found))
            });
            let is_own = self.is_own(daemon.as_ref());
            let known = found.map(|(settings, found)| Known {
                root: is_own
                    .then(|| upstream::root(&found.upstream.prefix, &settings.gateway, &tenant)),
                max_bytes: u64::from(found.buffer.max_mb) * 1_000_000,
                is_care: found.kind == TenantKind::Care,
            });
            let is_live = file.is_none();
            let own = || Some(gateway::database_file(&daemon.as_ref()?.state_dir, &tenant));
            let file = file.map(Path::to_owned).or_else(own).unwrap_or_default();
            let sealed = match (&self.key, found) {
                (Some(key), _) => {
                    let key = read_store_key(key)
                        .map_err(|(what, help)| told(exit::CONFIG, format!("{what}: {help}")))?;
                    store::Database::new(&file, Some(key), None)
                }
                (None, Some((_, found))) => gateway::database(&file, found)
                    .map_err(|error| told(exit::CONFIG, error.to_string()))?,
                (None, None) => (&file).into(),
            };
            let gateway = daemon.as_ref().and_then(|daemon| daemon.gateway.clone());
            let gateway = gateway.filter(|_| is_own);
            Ok(Database { file, sealed, tenant, gateway, known, is_live })
        };
        let named = self.file.as_deref().and_then(tenant_of);
        let tenants = match (&self.tenant, &self.file) {
            (Some(tenant), _) => vec![tenant.clone()],
            (None, Some(file)) => match named {
                Some(tenant) => vec![tenant],
                None => {
                    let what = format!("{}: whose is it? --tenant ID", file.display());
                    return Err(told(exit::USAGE, what));
                }
            },
            (None, None) => match settings {
                Some(settings) => settings.tenant.iter().map(|tenant| tenant.id.clone()).collect(),
                None => return Err(told(exit::CONFIG, WHOSE)),
            },
        };
        let databases: Vec<_> = tenants
            .into_iter()
            .map(|tenant| database(tenant, self.file.as_deref()))
            .collect::<Result<_, Ended>>()?;
        if self.key.is_some() && databases.len() > 1 {
            return Err(told(exit::USAGE, "whose key is it? --tenant ID"));
        }
        if let (Some(_), None, [Database { known: None, tenant, .. }]) =
            (settings, &self.file, &databases[..])
        {
            return Err(told(exit::USAGE, format!("there is no tenant {tenant}: lykta check")));
        }
        Ok(databases)
    }

    /// Whether they are of the gateway that the configuration is of: beside its own, or somebody
    /// says so by naming it.
    fn is_own(&self, daemon: Option<&Daemon>) -> bool {
        let (Some(file), None) = (&self.file, &self.target.config) else { return true };
        let lies_in = file.canonicalize().ok().and_then(|file| Some(file.parent()?.to_owned()));
        let own = daemon.and_then(|daemon| daemon.state_dir.canonicalize().ok());
        own.is_some() && lies_in == own
    }
}

/// The tenant that a database is named after.
fn tenant_of(file: &Path) -> Option<TenantId> {
    file.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

impl Database {
    /// Looks at it; otherwise what is wrong was told.
    fn open(&self) -> Result<Survey, Ended> {
        self.is_there()?;
        let opened = match self.is_live {
            true => Survey::open(&self.sealed),
            false => Survey::of_any(&self.sealed),
        };
        let survey = opened.map_err(|error| failed(&error))?;
        if let Some(salvaged) = survey.salvaged() {
            let mut what = format!(
                "{}: damaged, or of an older version; this is what can be read of it ({} and {} \
                 cannot)",
                self.file.display(),
                count(salvaged.lost_pages, "page"),
                count(salvaged.lost_rows, "row")
            );
            if !salvaged.is_known {
                what.push_str("; which store it was is not known, so the ids are others");
            }
            tell(&what).map_err(Err)?;
        }
        Ok(survey)
    }

    fn is_there(&self) -> Result<(), Ended> {
        let shown = self.file.display();
        match File::open(&self.file) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                ErrorKind::NotFound if self.is_live => {
                    told(exit::UNAVAILABLE, format!("{shown}: is not there; has lykta run yet?"))
                }
                ErrorKind::PermissionDenied => {
                    told(exit::IO, format!("{shown}: ask as root or as the user lykta"))
                }
                _ => told(exit::IO, format!("{shown}: {error}")),
            }),
        }
    }
}

/// A database that cannot be used.
fn failed(error: &StoreError) -> Ended {
    let code = match error {
        StoreError::WrongKey { .. } | StoreError::NoKey { .. } => exit::CONFIG,
        StoreError::Sqlite { .. } | StoreError::Unreadable { .. } => exit::IO,
        _ => exit::DATA,
    };
    let damaged = matches!(error, StoreError::Damaged { .. });
    let hint = if damaged { "; lykta store verify says more" } else { "" };
    told(code, format!("{error}{hint}"))
}

/// Says what is wrong; the exit code.
fn told(code: u8, what: impl AsRef<str>) -> Ended {
    tell(what.as_ref())?;
    Ok(code.into())
}

fn tell(what: &str) -> anyhow::Result<()> {
    Ok(writeln!(stderr().lock(), "lykta: {what}")?)
}
