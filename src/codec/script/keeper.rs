//! Who starts the worker, asks it, and puts an end to it.

use super::engine::MAX_TIME;
use super::wire::{Case, Outcome, Ready, Reply};
use super::{Answer, Failure, Hash, Routine, Script};
use crate::message;
use crate::sys;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// An answer takes no longer by the wall, whatever the script or the machine do.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A worker that has computed so long for one case cannot be interrupted: killed. The time of
/// the interpreter, and as much again for reading the case and tidying up.
const MAX_CPU: Duration = MAX_TIME.saturating_mul(2);

/// How often it is looked at what a worker has used that has not answered yet.
const LOOK: Duration = Duration::from_millis(50);

/// The program has to be read from the card first.
const START: Duration = Duration::from_secs(10);

/// After a start that failed.
const PAUSE: Duration = Duration::from_secs(30);

/// A script that had to be stopped so often, or has cost so many workers, is not tried again.
pub(super) const QUARANTINE: u8 = 3;

/// The longest reply that is read, well above what the worker may say.
const MAX_REPLY: usize = 512 * 1024;

/// Runs scripts in a worker, one case after the other. It waits for the answer, at most
/// two seconds, and before it for a new worker if need be. A thread that owns one must outlive
/// its use: the kernel ends the worker with the thread that started it.
#[derive(Debug)]
pub struct Keeper {
    program: PathBuf,
    worker: Option<Worker>,
    /// Until when a start is not tried again, and why the last one failed.
    failed: Option<(Instant, String)>,
    told_unfiltered: bool,
    /// How often a script had to be stopped. Those that never had to be are not in it.
    killed: HashMap<Hash, u8>,
}

#[derive(Debug)]
struct Worker {
    process: Child,
    stream: UnixStream,
    /// What was read and is not used yet.
    rest: Vec<u8>,
}

/// Why a worker gave no reply.
enum Silence {
    /// Its patience is at an end, or it has computed too much.
    Late { used: Duration },
    /// It is no longer there.
    Gone,
    /// It says what no worker says.
    Nonsense,
}

impl Default for Keeper {
    /// With this very program as worker, even if its file has been replaced since.
    fn default() -> Self {
        Self::new("/proc/self/exe".into())
    }
}

impl Keeper {
    /// With this program as worker. Nothing is started before the first case.
    pub fn new(program: PathBuf) -> Self {
        let killed = HashMap::new();
        Self { program, worker: None, failed: None, told_unfiltered: false, killed }
    }

    /// Runs a case. `input` is the routine's argument, an object.
    pub fn ask(&mut self, script: &Script, routine: Routine, input: &RawValue) -> Answer {
        self.reply(script, routine, input)
            .unwrap_or_else(|failure| Answer { out: Err(failure), console: Vec::new() })
    }

    /// Starts the worker, so that the first case need not wait for it. If that fails, the first
    /// case tells.
    pub fn warm(&mut self) {
        self.worker = self.take_worker().ok();
    }

    /// The worker's process, if there is one now.
    pub fn worker(&self) -> Option<u32> {
        self.worker.as_ref().map(|worker| worker.process.id())
    }

    fn reply(
        &mut self,
        script: &Script,
        routine: Routine,
        input: &RawValue,
    ) -> Result<Answer, Failure> {
        if self.killed.get(&script.hash).is_some_and(|killed| *killed >= QUARANTINE) {
            return Err(Failure::Quarantined);
        }
        let case = Case { source: Cow::Borrowed(&script.source), routine, input };
        let mut line = serde_json::to_vec(&case).map_err(|e| Failure::Script(e.to_string()))?;
        line.push(b'\n');
        let mut worker = self.take_worker()?;
        match worker.ask(&line) {
            Ok(Reply { out, console }) => {
                self.worker = Some(worker);
                let out = match out {
                    Outcome::Object(object) => Ok(object),
                    Outcome::Error(error) => Err(Failure::Script(error)),
                    Outcome::Late(error) => {
                        let failure = Failure::Script(error);
                        // others wait for the same worker meanwhile
                        self.count(script.hash, &failure);
                        Err(failure)
                    }
                };
                Ok(Answer { out, console })
            }
            Err(silence) => {
                let ended = worker.end();
                let failure = match (silence, ended) {
                    // a card or a machine that stands still is not the script's fault
                    (Silence::Late { used }, _) if used < MAX_TIME => Failure::Starved,
                    (Silence::Late { .. }, _) => Failure::Killed,
                    (Silence::Nonsense, _) => Failure::Crashed("its words were no reply".into()),
                    (Silence::Gone, Some(ended)) if ended.signal() == Some(libc::SIGKILL) => {
                        Failure::Lost
                    }
                    (Silence::Gone, ended) => Failure::Crashed(how(ended)),
                };
                match failure {
                    Failure::Starved => {}
                    Failure::Lost => tell_ended(),
                    _ => self.count(script.hash, &failure),
                }
                Err(failure)
            }
        }
    }

    fn count(&mut self, hash: Hash, failure: &Failure) {
        let killed = self.killed.entry(hash).or_default();
        *killed += 1;
        if *killed == QUARANTINE {
            log::error!(
                MESSAGE_ID = message::CODEC_QUARANTINED,
                LYKTA_CODEC = hash.to_string(), LYKTA_REASON = failure.to_string();
                "the codec with the SHA-256 {hash} is not run any more: {failure}, for the \
                 {killed}rd time; uplinks of its devices are delivered raw"
            );
        }
    }

    fn take_worker(&mut self) -> Result<Worker, Failure> {
        if let Some(mut worker) = self.worker.take() {
            if matches!(worker.process.try_wait(), Ok(None)) {
                return Ok(worker);
            }
            // between two cases: by no script
            tell_ended();
        }
        if let Some((until, reason)) = &self.failed
            && Instant::now() < *until
        {
            return Err(Failure::NoWorker(reason.clone()));
        }
        match Worker::start(&self.program) {
            Ok((worker, ready)) => {
                self.failed = None;
                if !ready.filtered && !std::mem::replace(&mut self.told_unfiltered, true) {
                    log::warn!(
                        "codecs run without a filter of system calls, which this kernel does not \
                         have; they have no files and no network all the same"
                    );
                }
                Ok(worker)
            }
            Err(error) => {
                let reason = format!("their process does not start: {error}");
                if self.failed.is_none() {
                    log::error!(
                        MESSAGE_ID = message::CODECS_FAILED, LYKTA_REASON = error.to_string();
                        "no codec can run, for {reason}; uplinks of the devices that need one are \
                         delivered raw; tried again every {} s",
                        PAUSE.as_secs()
                    );
                }
                self.failed = Some((Instant::now() + PAUSE, reason.clone()));
                Err(Failure::NoWorker(reason))
            }
        }
    }
}

fn tell_ended() {
    log::warn!(
        MESSAGE_ID = message::CODECS_ENDED;
        "somebody has ended the process in which codecs run, most often the kernel for want of \
         memory; another one takes its place"
    );
}

impl Worker {
    fn start(program: &std::path::Path) -> io::Result<(Self, Ready)> {
        let (stream, theirs) = UnixStream::pair()?;
        let process = Command::new(program)
            .arg0(env!("CARGO_PKG_NAME"))
            .arg(super::worker::COMMAND)
            .env_clear()
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        // the child has it now, and its end shall be seen here
        let mut worker = Self { process, stream, rest: Vec::new() };
        let ready = worker.read(START, Duration::MAX);
        match ready {
            Ok(ready) => Ok((worker, ready)),
            Err(Silence::Late { .. }) => {
                worker.end();
                Err(io::Error::new(ErrorKind::TimedOut, "it was not ready in time"))
            }
            Err(Silence::Gone | Silence::Nonsense) => Err(io::Error::other(how(worker.end()))),
        }
    }

    fn ask(&mut self, line: &[u8]) -> Result<Reply, Silence> {
        // it reads whenever it has answered; only one that is broken lets this wait
        let sent = self.stream.set_write_timeout(Some(PATIENCE));
        sent.and_then(|()| self.stream.write_all(line)).map_err(|_| Silence::Gone)?;
        self.read(PATIENCE, MAX_CPU)
    }

    /// The next line, unless it takes longer than this, or so much of the CPU.
    fn read<T: serde::de::DeserializeOwned>(
        &mut self,
        patience: Duration,
        max_cpu: Duration,
    ) -> Result<T, Silence> {
        let until = Instant::now() + patience;
        let before = self.cpu_time();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                // one line a case: what came after it would be taken for the next case's answer
                if end + 1 < self.rest.len() {
                    return Err(Silence::Nonsense);
                }
                let line = std::mem::take(&mut self.rest);
                return serde_json::from_slice(&line).map_err(|_| Silence::Nonsense);
            }
            if self.rest.len() > MAX_REPLY {
                return Err(Silence::Nonsense);
            }
            let used = self.cpu_time().saturating_sub(before);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || used > max_cpu {
                return Err(Silence::Late { used });
            }
            // zero would mean for ever
            let _ = self.stream.set_read_timeout(Some(left.min(LOOK)));
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Silence::Gone),
                Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(Silence::Gone),
                },
            }
        }
    }

    fn cpu_time(&self) -> Duration {
        sys::cpu_time_of(self.process.id())
    }

    fn end(&mut self) -> Option<ExitStatus> {
        // how it ended by itself counts, not that it was killed afterwards
        if let Ok(Some(status)) = self.process.try_wait() {
            return Some(status);
        }
        let _ = self.process.kill();
        self.process.wait().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

fn how(ended: Option<ExitStatus>) -> String {
    ended.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string())
}
