//! The shipped program, started as a service manager would.

use super::{Broker, PATIENCE, Sensor, free_udp_address, wait_until};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A lykta with a configuration of the test's own. Killed hard with its owner.
pub struct Lykta {
    pub udp: SocketAddr,
    directory: tempfile::TempDir,
    state: PathBuf,
    process: Option<Child>,
    notify: UnixDatagram,
    log: Arc<Mutex<Vec<String>>>,
}

impl Lykta {
    /// Starts with one tenant, `waste`, and returns when it says that it is ready.
    /// `upstream` are further lines of `[tenant.upstream]`.
    pub fn start(broker: &Broker, upstream: &str, sensors: &[Sensor]) -> Self {
        let tenant = format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n\
             reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\nbacklog_rate = 0\n{upstream}\n",
            broker.url()
        );
        let devices: String = sensors.iter().map(|sensor| sensor.table("waste")).collect();
        let mut lykta = Self::configured(&format!("{tenant}\n{devices}"));
        lykta.restart();
        lykta
    }

    /// Not started yet; `rest` follows after gateway, state_dir and concentrator.
    pub fn configured(rest: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        Self::at(state, directory, rest)
    }

    /// As [`Lykta::configured`], with its state in this directory.
    pub fn configured_with_state(state: &Path, rest: &str) -> Self {
        Self::at(state.to_owned(), tempfile::tempdir().unwrap(), rest)
    }

    fn at(state: PathBuf, directory: tempfile::TempDir, rest: &str) -> Self {
        let udp = free_udp_address();
        // no care without a key
        let rest = match rest.contains("store_key_file") {
            true => rest.to_owned(),
            false => {
                let care = "kind = \"care\"\n";
                rest.replace(care, &format!("{care}{}", super::care_key(directory.path())))
            }
        };
        // a test does not wait for others to share a write, unless it is about that
        let store = match rest.contains("[store]") {
            true => "",
            false => "[store]\ncommit_interval = \"0s\"\n",
        };
        let configuration = format!(
            "gateway = \"gw-1\"\nstate_dir = \"{}\"\n{store}[concentrator]\nlisten = \"{udp}\"\n{rest}",
            state.display()
        );
        let file = directory.path().join("lykta.toml");
        std::fs::write(&file, configuration).unwrap();
        // it has keys in it, and lykta warns of a file that everybody can read
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, owner_only).unwrap();
        let notify = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { udp, directory, state, process: None, notify, log: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Starts it, again if need be, and waits for READY=1.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait_for_notification("READY=1");
    }

    /// Starts it without waiting.
    pub fn spawn(&mut self) {
        self.spawn_as(self.command());
    }

    /// How it is started, for a test that has something to add.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
        command
            .arg("run")
            .arg("--config")
            .arg(self.directory.path().join("lykta.toml"))
            .env("NOTIFY_SOCKET", self.directory.path().join("notify"))
            .stderr(Stdio::piped());
        command
    }

    /// Starts it by this command without waiting.
    pub fn spawn_as(&mut self, mut command: Command) {
        self.kill();
        let mut process = command.spawn().unwrap();
        if let Some(stderr) = process.stderr.take() {
            let log = Arc::clone(&self.log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock().unwrap().push(line);
                }
            });
        }
        self.process = Some(process);
    }

    /// Waits for a datagram to the service manager that has this line; returns all lines up to it.
    pub fn wait_for_notification(&self, line: &str) -> Vec<String> {
        self.wait_for_notification_that(line, |l| l == line)
    }

    /// Waits for a datagram to the service manager with a line like that; returns all lines up
    /// to it.
    pub fn wait_for_notification_that(&self, what: &str, is: impl Fn(&str) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        loop {
            assert!(
                Instant::now() < deadline,
                "no {what}, but {seen:?}\n{}",
                self.log().join("\n")
            );
            if let Ok(len) = self.notify.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                seen.extend(text.lines().map(str::to_owned));
                if text.lines().any(&is) {
                    return seen;
                }
            }
        }
    }

    /// What the service manager was told and nobody has waited for, by lines.
    pub fn drain_notifications(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        self.notify.set_nonblocking(true).unwrap();
        while let Ok(len) = self.notify.recv(&mut buffer) {
            seen.extend(String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_owned));
        }
        self.notify.set_nonblocking(false).unwrap();
        seen
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends this signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it ends by itself. Killed when it does not.
    pub fn wait(&mut self) -> ExitStatus {
        let process = self.process.as_mut().expect("it runs");
        let mut status = None;
        wait_until("lykta ends", || {
            status = process.try_wait().unwrap();
            status.is_some()
        });
        self.process = None;
        status.expect("waited for")
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of its log.
    pub fn wait_for_log(&self, part: &str) {
        wait_until(&format!("the log says {part:?}"), || {
            self.log().iter().any(|line| line.contains(part))
        });
    }

    pub fn database(&self, tenant: &str) -> PathBuf {
        self.state.join(format!("{tenant}.db"))
    }

    /// The frame counters on disk: what lykta has accepted. Keyed by DevEUI.
    pub fn accepted(&self) -> HashMap<u64, u32> {
        self.accepted_by("waste")
    }

    /// As [`Lykta::accepted`], of this tenant.
    pub fn accepted_by(&self, tenant: &str) -> HashMap<u64, u32> {
        let store =
            lykta::store::Store::open(&self.database(tenant), &lykta::clock::Clock::system())
                .unwrap();
        let sessions = store.memory().unwrap().sessions.into_iter();
        sessions.filter_map(|((eui, _), s)| Some((eui.0, s.counter?.f_cnt_up))).collect()
    }
}

impl Drop for Lykta {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("lykta said:\n{}", self.log().join("\n"));
        }
        self.kill();
    }
}
