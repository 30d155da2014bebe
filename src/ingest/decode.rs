//! Uplinks whose codec is a script, which is asked on a thread of its own: each waits here for
//! the answer, not long, and is taken in then with what came of it.
//!
//! Until then nothing has been accepted. The frame was read ahead, and its session, its counter
//! and the disk know nothing of it: a power cut costs what was never acknowledged to anybody, and
//! a repetition is welcome. Whatever becomes of the script, the uplink is taken in: without
//! readings, with the reason, if there is no answer in time. What the same device says
//! meanwhile waits behind it; nobody else does. Downlinks in words wait for theirs beside them
//! ([`super::encode`]).

use super::encode::{Encoded, HeldCommand};
use super::{Ingest, TenantCounters};
use crate::codec::script::{Failure, Keeper};
use crate::codec::{Codec, DecodeError, Decoded, Object};
use crate::config::TenantKind;
use crate::lorawan::{Ahead, Uplink};
use crate::radio::Heard;
use crate::units::DevEui;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an uplink waits: a hundred times what a script takes.
const PATIENCE: Duration = Duration::from_millis(300);

/// The same of a care tenant, whose payloads are worth nothing without their meaning: longer than
/// the keeper takes to give up. No device is told that it was heard before.
const CARE_PATIENCE: Duration = Duration::from_secs(3);

/// The other half of the second until a device listens for its answer belongs to the disk and the
/// gateway.
const ANSWERED_BY: Duration = Duration::from_millis(500);

/// A script has this long at least, however late a frame came.
const LEAST_PATIENCE: Duration = Duration::from_millis(50);

/// How many uplinks may wait.
const MOST: usize = 64;

type Outcome = Result<Decoded, DecodeError>;

/// There and back.
type Way = (SyncSender<(u64, Job)>, Receiver<Done>);

/// The uplinks that wait.
#[derive(Default)]
pub struct Decoding {
    /// `None` when no device needs a script.
    asked: Option<Way>,
    /// By device, in the order in which they were heard.
    held: HashMap<DevEui, VecDeque<Held>>,
    /// How many they are.
    waiting: usize,
    /// Downlinks in words that wait for theirs, in the order in which they came.
    pub(super) commands: VecDeque<HeldCommand>,
    /// The number of the next job.
    next: u64,
}

/// The thread's end.
pub struct Codecs {
    jobs: Receiver<(u64, Job)>,
    done: SyncSender<Done>,
    wake: Box<dyn Fn() + Send>,
    stopped: Stopped,
}

/// The profiles whose codecs are not run any more.
#[derive(Debug, Clone, Default)]
pub struct Stopped(Arc<Mutex<BTreeSet<String>>>);

/// Something to be asked of a script.
pub(super) struct Job {
    pub(super) codec: Codec,
    pub(super) work: Work,
    /// Nobody waits for it any longer.
    pub(super) until: Instant,
}

pub(super) enum Work {
    Decode { device: DevEui, f_port: u8, payload: Vec<u8>, heard: Timestamp },
    Encode { object: Object, f_port: Option<u8> },
}

enum Done {
    Decoded { number: u64, device: DevEui, outcome: Outcome },
    Encoded { number: u64, outcome: Encoded },
}

/// A frame that waits.
struct Held {
    heard: Heard,
    until: Instant,
    /// The job's number, while it is not done.
    asked: Option<u64>,
    outcome: Option<Outcome>,
}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoding").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codecs")
    }
}

impl Stopped {
    /// Their names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Decoding {
    /// Both ends. `wake` makes the ingest loop turn; what is not run any more is noted in `stopped`.
    pub fn new(wake: impl Fn() + Send + 'static, stopped: Stopped) -> (Self, Codecs) {
        let (jobs, to_do) = sync_channel(2 * MOST);
        let (done, answers) = sync_channel(MOST);
        let codecs = Codecs { jobs: to_do, done, wake: Box::new(wake), stopped };
        (Self { asked: Some((jobs, answers)), ..Self::default() }, codecs)
    }

    /// Asks a script; the number of the job. `None` when there is no room for another.
    pub(super) fn ask(&mut self, job: Job) -> Option<u64> {
        let (jobs, _) = self.asked.as_ref()?;
        let number = self.next;
        self.next += 1;
        jobs.try_send((number, job)).ok().map(|()| number)
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes an answer in. One that comes too late finds nobody.
    fn note(&mut self, done: Done) {
        match done {
            Done::Decoded { number, device, outcome } => {
                let mut held = self.held.get_mut(&device).into_iter().flatten();
                if let Some(held) = held.find(|held| held.asked == Some(number)) {
                    held.asked = None;
                    held.outcome = Some(outcome);
                }
            }
            Done::Encoded { number, outcome } => {
                if let Some(held) = self.commands.iter_mut().find(|held| held.number == number) {
                    held.outcome = Some(outcome);
                }
            }
        }
    }

    fn hold(&mut self, device: DevEui, held: Held) {
        self.held.entry(device).or_default().push_back(held);
        self.waiting += 1;
    }

    /// The first of a device's, if it need not wait any longer by this time.
    fn take(&mut self, device: DevEui, now: Instant) -> Option<Held> {
        let line = self.held.get_mut(&device)?;
        let first = line.pop_front_if(|held| held.asked.is_none() || held.until <= now)?;
        if line.is_empty() {
            self.held.remove(&device);
        }
        self.waiting -= 1;
        Some(first)
    }

    /// How long nothing is to be done here.
    pub(super) fn patience(&self) -> Option<Duration> {
        let first = self.held.values().filter_map(|line| line.front());
        let commands = self.commands.iter().map(|held| held.until);
        let until = first.map(|held| held.until).chain(commands).min()?;
        Some(until.saturating_duration_since(Instant::now()))
    }
}

impl Codecs {
    /// Asks scripts until the ingest loop has ended.
    pub fn run(self, mut keeper: Keeper) {
        // the first uplink need not wait for it
        keeper.warm();
        for (number, Job { codec, work, until }) in &self.jobs {
            if until <= Instant::now() {
                continue;
            }
            let done = match work {
                Work::Decode { device, f_port, payload, heard } => {
                    let outcome = codec.decode(&mut keeper, f_port, &payload, heard);
                    self.note(&codec, &outcome);
                    Done::Decoded { number, device, outcome }
                }
                Work::Encode { object, f_port } => {
                    let outcome = codec.encode(&mut keeper, &object, f_port);
                    Done::Encoded { number, outcome }
                }
            };
            if self.done.send(done).is_err() {
                return;
            }
            (self.wake)();
        }
    }

    fn note(&self, codec: &Codec, outcome: &Outcome) {
        let mut names = self.stopped.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(DecodeError::Script(Failure::Quarantined)) => {
                names.insert(codec.profile().name.clone());
            }
            // another script has taken its place
            Ok(_) => _ = names.remove(&codec.profile().name),
            Err(_) => {}
        }
    }
}

/// What an uplink says: what its script made of it, if one was asked.
pub(super) fn meaning(
    codec: Option<&Codec>,
    uplink: &Uplink,
    decoded: Option<Outcome>,
) -> Option<Outcome> {
    match (uplink.f_port, codec) {
        // port 0 and an absent port carry nothing of the sensor's
        (None | Some(0), _) | (_, None) => None,
        (Some(port), Some(codec)) => decoded.or_else(|| codec.at_once(port, &uplink.payload)),
    }
}

impl TenantCounters {
    /// Counts what a payload did not say.
    pub(super) fn count(&self, decoded: Option<&Outcome>) {
        match decoded {
            Some(Err(_)) => self.not_decoded.fetch_add(1, Relaxed),
            Some(Ok(decoded)) => self.not_mapped.fetch_add(decoded.unmapped.len() as u64, Relaxed),
            None => 0,
        };
    }
}

impl Ingest {
    /// Takes a frame in, now or when its script has answered.
    pub(super) fn take_in(&mut self, heard: Heard) {
        let now = Instant::now();
        // nothing is read twice where no device needs a script
        let ahead = match self.decoding.is_asking() {
            true => self.received(&heard).and_then(|received| self.server.read_ahead(&received)),
            false => None,
        };
        let Some(ahead) = ahead else { return self.receive(&heard, None) };
        let device = ahead.device.dev_eui;
        let codec = self.codecs.get(&ahead.device.profile.name).filter(|c| c.is_script());
        let codec = codec.filter(|_| self.may_be_read(&ahead.device));
        let job = match (ahead.f_port, codec) {
            (None | Some(0), _) | (_, None) => None,
            (Some(f_port), Some(codec)) => Some(Job {
                codec: codec.clone(),
                until: now + self.patience_for(&ahead, &heard),
                work: Work::Decode { device, f_port, payload: ahead.payload, heard: heard.at.wall },
            }),
        };
        if job.is_none() && !self.decoding.held.contains_key(&device) {
            return self.receive(&heard, None);
        }
        if self.decoding.waiting >= MOST {
            // in their order, but none of this device waits any more
            while let Some(held) = self.decoding.take(device, now + CARE_PATIENCE) {
                self.let_in(held);
            }
            return self.receive(&heard, job.map(|_| Err(DecodeError::Crowd)));
        }
        let until = job.as_ref().map_or(now, |job| job.until);
        let (asked, outcome) = match job.map(|job| self.decoding.ask(job)) {
            None => (None, None),
            Some(Some(number)) => (Some(number), None),
            Some(None) => (None, Some(Err(DecodeError::Crowd))),
        };
        self.decoding.hold(device, Held { heard, until, asked, outcome });
        self.let_in_due(device);
    }

    /// How long an uplink may wait for its script.
    fn patience_for(&self, ahead: &Ahead, heard: &Heard) -> Duration {
        let sink = self.tenants.get(&ahead.device.tenant).map(|(sink, _)| sink);
        if sink.is_some_and(|sink| sink.kind == TenantKind::Care) {
            return CARE_PATIENCE;
        }
        match ahead.wants_answer {
            true => ANSWERED_BY.saturating_sub(self.age(heard)).clamp(LEAST_PATIENCE, PATIENCE),
            false => PATIENCE,
        }
    }

    /// Takes in what need not wait any longer.
    pub(super) fn take_decoded(&mut self) {
        while let Some((_, done)) = &self.decoding.asked
            && let Ok(done) = done.try_recv()
        {
            self.decoding.note(done);
        }
        let devices: Vec<_> = self.decoding.held.keys().copied().collect();
        for device in devices {
            self.let_in_due(device);
        }
        self.take_encoded();
    }

    /// Waits for all answers that may still come in time, and takes everything in.
    pub(super) fn finish_decoding(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.decoding.waiting > 0
            && let Some((_, done)) = &self.decoding.asked
        {
            let left = until.saturating_duration_since(Instant::now());
            match done.recv_timeout(left) {
                Ok(done) => self.decoding.note(done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            self.take_decoded();
        }
        let devices: Vec<_> = self.decoding.held.keys().copied().collect();
        for device in devices {
            while let Some(held) = self.decoding.take(device, until + CARE_PATIENCE) {
                self.let_in(held);
            }
        }
    }

    fn let_in_due(&mut self, device: DevEui) {
        while let Some(held) = self.decoding.take(device, Instant::now()) {
            self.let_in(held);
        }
    }

    fn let_in(&mut self, held: Held) {
        let late = held.asked.is_some().then_some(Err(DecodeError::Late));
        self.receive(&held.heard, held.outcome.or(late));
    }
}
