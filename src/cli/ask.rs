//! Asks the live daemon over its Unix socket.

use super::exit;
use crate::config::{self, DEFAULT_FILE, DEFAULT_STATE_DIR, Loaded, Problems};
use crate::ops::access::{self, Reader};
use crate::ops::journal;
use crate::ops::socket::SOCKET;
use crate::units::{GatewayId, TenantId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write, stderr};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Longer than the daemon takes at the most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read: twenty times that of 5,000 devices.
const MAX_ANSWER: u64 = 64 << 20;

/// Which daemon to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The configuration of the daemon that is asked
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// The configuration, as far as it can be read.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) state_dir: PathBuf,
    /// Its name.
    pub(super) gateway: Option<GatewayId>,
    /// What is configured; a mistake in it does not stop anybody from asking the daemon.
    pub(super) loaded: Option<Loaded>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// Nobody listens there.
    #[error(
        "lykta does not run, or runs with another state_dir than {}: systemctl status lykta",
        .0.display()
    )]
    NotRunning(PathBuf),
    /// The socket is somebody else's.
    #[error("no permission to ask lykta at {}: ask as root or as the user lykta", .0.display())]
    Denied(PathBuf),
    /// The daemon is there, and that is all.
    #[error("lykta does not answer at {}: {source}", path.display())]
    Mute {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon says why not.
    #[error("lykta answers: {0}")]
    Refused(String),
    /// The daemon says something else.
    #[error(
        "lykta's answer is not understood ({0}): is the daemon of another version? systemctl restart lykta"
    )]
    Strange(serde_json::Error),
}

impl Target {
    /// Finds the daemon's state directory. Otherwise what is wrong with the configuration is told
    /// on stderr, and the exit code returned.
    ///
    /// # Errors
    /// When stderr cannot be written.
    pub(super) fn daemon(&self) -> io::Result<Result<Daemon, ExitCode>> {
        let problems = match config::load(self.config.as_deref()) {
            Ok(loaded) => return Ok(Ok(Daemon::of(loaded))),
            Err(problems) => problems,
        };
        if let Some(daemon) = self.daemon_of(&problems) {
            return Ok(Ok(daemon));
        }
        let mut err = stderr().lock();
        let main = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        if File::open(main).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            let main = main.display();
            writeln!(err, "lykta: no permission to read {main}: ask as root or as the user lykta")?;
            return Ok(Err(exit::CONFIG.into()));
        }
        writeln!(err, "{problems}")?;
        let usual = Path::new(DEFAULT_STATE_DIR);
        if main == Path::new(DEFAULT_FILE) && std::fs::read_dir(usual).is_ok() {
            let silence = Silence::NotRunning(usual.to_owned());
            writeln!(err, "{silence}; until this is mended it does not start")?;
        } else {
            writeln!(
                err,
                "lykta cannot be asked: where its socket is stands in the configuration"
            )?;
        }
        Ok(Err(exit::CONFIG.into()))
    }

    /// The daemon of a configuration with mistakes, if it says where that may be.
    pub(super) fn daemon_of(&self, problems: &Problems) -> Option<Daemon> {
        let gateway = text(problems, "gateway").and_then(|name| name.parse().ok());
        Some(Daemon { state_dir: self.state_dir(problems)?, gateway, loaded: None })
    }

    /// Where a daemon may be whose configuration has mistakes. Some are none for it, its credentials
    /// are there for nobody else; and it may go on with what its file said before.
    fn state_dir(&self, problems: &Problems) -> Option<PathBuf> {
        let main = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let named = text(problems, "state_dir")
            .map(|directory| main.parent().unwrap_or(Path::new("")).join(directory));
        let usual = || Some(PathBuf::from(DEFAULT_STATE_DIR)).filter(|it| it.join(SOCKET).exists());
        named.or_else(|| usual().filter(|_| main == Path::new(DEFAULT_FILE)))
    }
}

/// What a configuration with mistakes says in a setting.
fn text(problems: &Problems, key: &str) -> Option<String> {
    let setting = problems.sources.iter().find(|setting| setting.key == key)?;
    let value = setting.value.parse::<toml_edit::Value>().ok()?;
    value.as_str().map(str::to_owned)
}

impl Daemon {
    /// The one of a configuration.
    pub(super) fn of(loaded: Loaded) -> Self {
        let Loaded { settings, .. } = &loaded;
        let (state_dir, gateway) = (settings.state_dir.clone(), Some(settings.gateway.clone()));
        Self { state_dir, gateway, loaded: Some(loaded) }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// With the reason why there is none.
    pub(super) fn ask<T: DeserializeOwned>(&self, request: &str) -> Result<T, Silence> {
        let path = self.state_dir.join(SOCKET);
        let client = UnixStream::connect(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                Silence::NotRunning(self.state_dir.clone())
            }
            ErrorKind::PermissionDenied => Silence::Denied(path.clone()),
            _ => Silence::Mute { path: path.clone(), source: error },
        })?;
        let answer = exchange(client, request).map_err(|source| Silence::Mute { path, source })?;
        let document: Value = serde_json::from_slice(&answer).map_err(Silence::Strange)?;
        if let Some(why) = document.get("error").and_then(Value::as_str) {
            return Err(Silence::Refused(why.to_owned()));
        }
        serde_json::from_value(document).map_err(Silence::Strange)
    }
}

/// Notes what this command is about to show of the residents of these tenants. The daemon has noted
/// that it was asked; who has logged in is known here.
pub(super) fn note_shown(residents_of: &[TenantId], what: &str) {
    if !residents_of.is_empty() {
        let _journal = journal::init_beside();
        access::shown(residents_of, what, Reader::own());
    }
}

/// One line out, one line in.
fn exchange(mut client: UnixStream, request: &str) -> io::Result<Vec<u8>> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    // a daemon that refuses has answered already, and does not read this
    match writeln!(client, "{request}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    // also of no account when it has gone
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    BufReader::new(client.take(MAX_ANSWER)).read_until(b'\n', &mut answer).map_err(|error| {
        match error.kind() {
            ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "it takes too long"),
            _ => error,
        }
    })?;
    if answer.last() != Some(&b'\n') {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "its answer ends in the middle"));
    }
    Ok(answer)
}
