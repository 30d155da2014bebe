//! `lykta store import`: the sessions of another gateway's devices.

use super::{Ended, failed, tell, told};
use crate::cli::ask::Target;
use crate::cli::exit;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::gateway::{self, GatewayError};
use crate::lorawan::{Memory, binding};
use crate::store::{Store, Transfer};
use crate::units::{DevEui, TenantId, count};
use nix::unistd::{geteuid, setgid, setgroups, setuid};
use std::collections::BTreeSet;
use std::io::{self, Write, stderr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Takes over the sessions of devices from another gateway's export, so that they need not join
/// anew here.
///
/// For the time between: stop the old gateway, lykta store export --sessions there, stop lykta
/// here, import, start lykta here. A session that is known here as well, or better, stays as it is.
/// A database that is found damaged here is made anew of what it still says; then the exit code is
/// 65, though the sessions were taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta store import sessions.json --tenant waste")]
pub(super) struct Args {
    /// What lykta store export --sessions has written
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Whose devices they are here
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match import(args) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(ended) => ended,
    }
}

fn import(args: &Args) -> Result<(), Ended> {
    let daemon = match args.target.daemon() {
        Ok(Ok(daemon)) => daemon,
        Ok(Err(code)) => return Err(Ok(code)),
        Err(error) => return Err(Err(error.into())),
    };
    // whose they are, and under which key they are kept, it alone knows
    let Some(loaded) = &daemon.loaded else {
        return Err(told(exit::CONFIG, "the configuration does not hold: lykta check"));
    };
    let Some(tenant) = loaded.settings.tenant.iter().find(|t| t.id == args.tenant) else {
        let what = format!("there is no tenant {}: lykta check", args.tenant);
        return Err(told(exit::USAGE, what));
    };
    let shown = args.file.display();
    let json = std::fs::read(&args.file)
        .map_err(|error| told(exit::IO, format!("{shown} cannot be read: {error}")))?;
    let data = |error| told(exit::DATA, format!("{shown}: {error}"));
    let transfer = Transfer::read(&json).map_err(data)?;
    let theirs = transfer.memory().map_err(data)?;
    let file = gateway::database_file(&daemon.state_dir, &args.tenant);
    let database =
        gateway::database(&file, tenant).map_err(|error| told(exit::CONFIG, error.to_string()))?;
    // all that only root may read was read
    become_owner_of(&daemon.state_dir)
        .map_err(|error| told(exit::IO, format!("{}: {error}", daemon.state_dir.display())))?;
    // as long as it is held no daemon starts
    let _lock = gateway::lock(&daemon.state_dir).map_err(|error| match error {
        GatewayError::Locked { .. } => {
            told(exit::UNAVAILABLE, "lykta is running; stop it first: systemctl stop lykta")
        }
        error => told(exit::IO, error.to_string()),
    })?;
    let mut rescue = None;
    let taken = Store::open(database, &Clock::system()).and_then(|mut store| {
        rescue = store.take_rescue();
        store.take_over(&theirs)
    });
    if let Some(rescue) = &rescue {
        // operations and the cloud are told by the next start
        tell(&format!("the database of tenant {} {rescue}", args.tenant)).map_err(Err)?;
    }
    let taken = taken.map_err(|error| failed(&error))?;
    let mut text = format!(
        "{} of {}/{}: {} new here, {} with more than was known here, {} known here as well",
        count((taken.new + taken.newer + taken.known) as u64, "device"),
        transfer.gateway,
        transfer.tenant,
        taken.new,
        taken.newer,
        taken.known
    );
    let strangers = strangers(loaded, &args.tenant, &theirs);
    if strangers > 0 {
        text.push_str(&format!(
            "\n{} not registered for tenant {} with the keys of then: what is known of it is used \
             as soon as it is",
            match strangers {
                1 => "1 device is".to_owned(),
                n => format!("{n} devices are"),
            },
            args.tenant
        ));
    }
    writeln!(stderr().lock(), "{text}").map_err(|error| Err(error.into()))?;
    match rescue {
        Some(_) => Err(Ok(exit::DATA.into())),
        None => Ok(()),
    }
}

/// How many devices the configuration does not know, or knows with other keys.
fn strangers(loaded: &Loaded, tenant: &TenantId, theirs: &Memory) -> usize {
    let of_sessions = theirs.sessions.iter().map(|((dev_eui, _), s)| (*dev_eui, s.binding));
    let of_joins = theirs.joins.iter().map(|(dev_eui, joins)| (*dev_eui, joins.binding));
    let fits = |(dev_eui, bound): &(DevEui, _)| {
        let device = loaded.registry.get(*dev_eui).filter(|device| device.tenant == *tenant);
        device.is_some_and(|device| binding(&device.activation) == *bound)
    };
    let strangers = of_sessions.chain(of_joins).filter(|device| !fits(device));
    strangers.map(|(dev_eui, _)| dev_eui).collect::<BTreeSet<_>>().len()
}

/// Becomes whom a directory belongs to: what is made in it is then the service's, and nothing that
/// lies in it leads root elsewhere.
fn become_owner_of(directory: &Path) -> io::Result<()> {
    let owner = match directory.metadata() {
        Ok(owner) => owner,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if geteuid().is_root() && owner.uid() != 0 {
        setgroups(&[])?;
        setgid(owner.gid().into())?;
        setuid(owner.uid().into())?;
    }
    Ok(())
}
