//! The one way that an uplink goes, from the radio to the disk, and its answer back.
//!
//! A thread of its own, since the disk may block: frames come in through a bounded channel,
//! are joined with their copies, authenticated, decoded, and made durable together with their
//! messages. Only then does an answer leave. What is already waiting when a write begins
//! shares it. The loop ends when every sender is gone, after the last uplink is on disk.
//!
//! [`Ingest::offer`] and [`Ingest::turn`] are the whole of it, without a thread or a channel;
//! [`Ingest::run`] drives them.

mod batch;
mod bins;
mod care;
mod command;
mod consent;
mod counters;
mod decode;
mod disk;
mod downlinks;
mod encode;
mod frames;
mod journal;
mod renewal;
mod residents;
mod tours;
mod watch;

pub use bins::Bins;
pub use care::{Care, CareCounts, CareRules};
pub use counters::{Counters, TenantCounters};
pub use decode::{Codecs, Decoding, Stopped};
pub use downlinks::{Downlinks, Tag, Transmit};
pub use renewal::{NotRenewed, Renewal, TenantRenewal};
pub use tours::Tours;
pub use watch::{Hears, Obey, Watch, Watched};

use crate::clock::{Clock, ClockQuality, Moment};
use crate::codec::Codec;
use crate::config::TenantKind;
use crate::device::Device;
use crate::lorawan::capacity::Airtime;
use crate::lorawan::{Changes, EdgeServer};
use crate::planning::Planned;
use crate::pulse::Pulse;
use crate::radio::dedup::Dedup;
use crate::radio::schedule::Schedule;
use crate::radio::{AirEvent, Heard};
use crate::store::{Bounds, Entry, Message, Rescue, Store};
use crate::units::{DevEui, TenantId};
use crate::upstream::command::Command;
use crate::upstream::{self, event};
use batch::Batch;
use downlinks::Fate;
use journal::Journal;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many inputs are taken in before what is due is done: bounds how long an answer can wait.
const MAX_INPUTS: usize = 256;

/// How long the loop may sleep with nothing to do: what waits for a device expires, and a radio
/// may be deaf.
const IDLE: Duration = Duration::from_secs(30);

/// How long the loop sleeps at most before it shows that it still turns.
const SHOWS: Duration = Duration::from_secs(5);

/// One turn takes milliseconds. One that takes so long is taken for one that hangs.
const TURN: Duration = Duration::from_secs(30);

const TAKES_IN: &str = "takes frames in";

/// What comes in.
#[derive(Debug)]
pub enum Input {
    /// From the front ends.
    Air(AirEvent),
    /// From the cloud of a tenant.
    Command(TenantId, Command),
    /// A plan was made, or a command to make one has failed.
    Planned(Planned),
    /// Somebody at this machine answers all alarms.
    Answered,
    /// Somebody wants to see what only this loop knows.
    Look(Look),
    /// The settings were read again.
    Renewal(Box<Renewal>),
}

/// What somebody does who looks.
pub struct Look(pub Box<dyn FnOnce(Sight<'_>) + Send>);

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// What is to be seen.
#[derive(Debug)]
pub struct Sight<'a> {
    /// The devices and their sessions.
    pub server: &'a EdgeServer,
    /// How full the air is; its time is that of `now.monotonic`.
    pub heard: &'a mut Airtime,
    /// What was sent, and what was not; its time is `radio_now`.
    pub schedule: &'a Schedule<Tag>,
    /// What is known of bins.
    pub bins: Vec<(&'a TenantId, &'a Bins)>,
    /// When it is seen.
    pub now: Moment,
    /// The same by the time of the radios.
    pub radio_now: Duration,
}

/// Where one tenant's uplinks go.
#[derive(Debug)]
pub struct TenantSink {
    /// What its data is.
    pub kind: TenantKind,
    /// Its database.
    pub store: Store,
    /// How much may wait in it.
    pub bounds: Bounds,
    /// Told when there are new messages.
    pub news: Arc<Notify>,
    /// Counted by the upstream, too: how many messages wait.
    pub upstream: Arc<upstream::Counters>,
    /// What became of its uplinks.
    pub counters: Arc<TenantCounters>,
    /// Its bins, and who makes its plans.
    pub tours: Tours,
    /// Its residents.
    pub care: Care,
}

/// The loop and all it owns.
#[derive(Debug)]
pub struct Ingest {
    server: EdgeServer,
    codecs: HashMap<String, Codec>,
    decoding: Decoding,
    tenants: HashMap<TenantId, (TenantSink, Batch)>,
    dedup: Dedup,
    downlinks: Downlinks,
    watch: Watch,
    heard: Airtime,
    clock: Clock,
    begin: Instant,
    counters: Arc<Counters>,
    commit_interval: Duration,
    commit_rows: usize,
    /// When the oldest uplink of the batches must be on disk.
    commit_at: Option<Instant>,
    /// When what waits for devices is next looked through for what has waited too long.
    expire_at: Instant,
    journal: Journal,
    /// Damaged databases that were replaced, and are to be told of.
    rescued: Vec<(TenantId, Rescue)>,
    /// Whose damage was told, and is so for good with the next commit.
    told: HashSet<TenantId>,
    /// When there is more to give up.
    shed_at: Option<Instant>,
    /// Shows that it turns.
    pulse: Pulse,
}

/// What a loop is made of.
#[derive(Debug)]
pub struct Parts {
    /// Whose frames they are.
    pub server: EdgeServer,
    /// How payloads are read, by the name of their profile.
    pub codecs: HashMap<String, Codec>,
    /// The way to where scripts are asked.
    pub decoding: Decoding,
    /// Where uplinks go. Every device's tenant must be there.
    pub tenants: HashMap<TenantId, TenantSink>,
    /// Joins copies.
    pub dedup: Dedup,
    /// How answers leave.
    pub downlinks: Downlinks,
    /// Who watches over the radios.
    pub watch: Watch,
    /// The clock that all go by.
    pub clock: Clock,
    /// What became of frames.
    pub counters: Arc<Counters>,
    /// How long an uplink may wait for others to share its write.
    pub commit_interval: Duration,
    /// So many share one and wait no longer.
    pub commit_rows: usize,
}

impl Ingest {
    /// A loop of these parts.
    pub fn new(parts: Parts) -> Self {
        let mut sinks = parts.tenants;
        let rescued = sinks
            .iter_mut()
            .filter_map(|(id, sink)| Some((id.clone(), sink.store.take_rescue()?)))
            .collect();
        for sink in sinks.values() {
            // a disk that cannot be read says so at the first write
            let shed = sink.store.shed_so_far().unwrap_or_default();
            sink.counters
                .shed
                .iter()
                .zip(shed)
                .for_each(|(count, rows)| count.store(rows, Relaxed));
            sink.counters.used.store(sink.store.used().unwrap_or_default(), Relaxed);
            sink.counters.copy_fails.store(!sink.store.is_copied(), Relaxed);
        }
        let journal = Journal::default();
        for (id, sink) in &sinks {
            if sink.store.is_copy_renewed() {
                journal.copy_renewed(id);
            }
            let (withdrawn, lost) = sink.care.unheard();
            journal.unheard(id, withdrawn, lost);
        }
        let tenants = sinks.into_iter().map(|(id, sink)| (id, (sink, Batch::default())));
        Self {
            rescued,
            told: HashSet::new(),
            shed_at: None,
            server: parts.server,
            codecs: parts.codecs,
            decoding: parts.decoding,
            tenants: tenants.collect(),
            dedup: parts.dedup,
            downlinks: parts.downlinks,
            watch: parts.watch,
            heard: Airtime::new(parts.clock.now().monotonic),
            clock: parts.clock,
            begin: Instant::now(),
            counters: parts.counters,
            commit_interval: parts.commit_interval,
            commit_rows: parts.commit_rows,
            commit_at: None,
            expire_at: Instant::now() + IDLE,
            journal,
            pulse: Pulse::default(),
        }
    }

    /// Runs until every sender is gone, and shows its progress by this pulse.
    pub fn run(mut self, inputs: &Receiver<Input>, pulse: Pulse) {
        self.pulse = pulse;
        self.pulse.begins(TAKES_IN, TURN);
        self.resume();
        self.turn();
        loop {
            let patience = self.patience().min(SHOWS);
            self.pulse.begins("waits for frames", patience + TURN);
            let input = inputs.recv_timeout(patience);
            self.pulse.begins(TAKES_IN, TURN);
            match input {
                Ok(input) => self.offer(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            let mut waiting = 1;
            while waiting < MAX_INPUTS
                && let Ok(input) = inputs.try_recv()
            {
                self.offer(input);
                waiting += 1;
            }
            self.turn();
        }
    }

    /// The time by which answers are planned: that of the radios, which is real however fast a
    /// simulated clock runs.
    fn radio_now(&self) -> Moment {
        Moment { monotonic: self.begin.elapsed(), ..self.clock.now() }
    }

    /// How long ago a frame ended, by the same time.
    fn age(&self, heard: &Heard) -> Duration {
        self.clock.now().monotonic.saturating_sub(heard.at.monotonic) / self.clock.speed()
    }

    /// Takes something in.
    pub fn offer(&mut self, input: Input) {
        match input {
            Input::Air(AirEvent::Heard(frame)) => self.dedup.offer(frame, self.begin.elapsed()),
            Input::Air(AirEvent::Sent(report)) => {
                let fate = self.downlinks.report(&report, self.radio_now());
                self.note(fate);
            }
            Input::Command(tenant, command) => self.command(&tenant, command),
            Input::Planned(planned) => self.planned(planned),
            Input::Answered => self.answer_here(),
            Input::Renewal(renewal) => self.renew(*renewal),
            Input::Look(look) => (look.0)(Sight {
                bins: self.tenants.iter().map(|(id, (sink, _))| (id, &sink.tours.bins)).collect(),
                server: &self.server,
                heard: &mut self.heard,
                schedule: self.downlinks.schedule(),
                now: self.clock.now(),
                radio_now: self.begin.elapsed(),
            }),
        }
    }

    /// Does what is due.
    pub fn turn(&mut self) {
        self.downlinks.tell_reached();
        while let Some(fate) = self.downlinks.take_overdue(self.radio_now()) {
            self.note(Some(fate));
        }
        self.look_after_residents();
        self.take_due(self.begin.elapsed());
        self.take_decoded();
        self.expire();
        self.look_after_damage();
        if self.shed_at.is_some_and(|at| at <= Instant::now()) {
            self.shed();
        }
        let rows = self.commit_rows;
        let full = self.tenants.values().any(|(_, batch)| batch.entries.len() >= rows);
        if full || self.commit_at.is_some_and(|at| at <= Instant::now()) {
            self.commit();
        }
        if !self.rescued.is_empty() {
            self.tell_rescues();
        }
        self.erase();
    }

    /// The last turn: nothing waits for anything any more.
    pub fn finish(mut self) {
        self.take_due(Duration::MAX);
        self.finish_decoding();
        self.leave_residents();
        self.commit_last();
        if !self.rescued.is_empty() {
            self.tell_rescues();
        }
        // answers that cannot be sent any more leave a message behind
        if self.commit_at.is_some() {
            self.commit_last();
        }
    }

    /// How long nothing needs to be done, if nothing comes.
    pub fn patience(&self) -> Duration {
        let joined = self.dedup.next_due().map(|due| due.saturating_sub(self.begin.elapsed()));
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let written = self.commit_at.into_iter().chain(self.shed_at).map(until).min();
        let reported =
            self.downlinks.next_due().map(|due| due.saturating_sub(self.begin.elapsed()));
        let waits = joined.into_iter().chain(written).chain(reported);
        let waits = waits.chain(self.next_decision());
        let waits = waits.chain(self.decoding.patience());
        waits.chain([until(self.expire_at)]).min().unwrap_or(IDLE)
    }

    fn commit_within(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.commit_at = Some(self.commit_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// What has waited too long is given up, and its sender told; silent radios are looked after.
    fn expire(&mut self) {
        if Instant::now() < self.expire_at {
            return;
        }
        self.expire_at = Instant::now() + IDLE;
        self.shed_at.get_or_insert(Instant::now());
        for (tenant, (sink, _)) in &mut self.tenants {
            if let Err(error) = &disk::at_disk(&self.pulse, || sink.store.note_clock()) {
                self.journal.stored(tenant, Err(error));
            }
        }
        let now = self.clock.now();
        self.downlinks.tidy(self.radio_now());
        let hears = self.watch.tick(now.monotonic);
        self.of_care(|_, sink| sink.care.listen(hears, now));
        // a clock that nobody has set judges no deadline
        let expired = if now.quality == ClockQuality::Unsynced {
            Vec::new()
        } else {
            self.server.expire(now.wall)
        };
        self.pass(now);
        for (device, id) in expired {
            let message = expiry(&device, now, &id);
            let changes = Changes { ended: vec![id], ..Changes::default() };
            self.push(&device, changes, message);
        }
    }

    /// What time has brought to bins.
    fn pass(&mut self, now: Moment) {
        let mut changes = Vec::new();
        for (tenant, (sink, batch)) in &mut self.tenants {
            for change in sink.tours.bins.pass(now) {
                batch.full |= change.full;
                changes.push((tenant.clone(), change));
            }
        }
        for (tenant, change) in changes {
            change.news.iter().for_each(|news| bins::tell(&tenant, &change.bin, news));
            let states = vec![change.state];
            self.add(&tenant, Entry { states, ..Entry::of(DevEui(0), change.messages) });
        }
    }

    /// What became of an answer.
    fn note(&mut self, fate: Option<Fate>) {
        match fate {
            None => {}
            Some(Fate::Sent { tag: Tag { dev_eui, carries }, transmission }) => {
                self.counters.answered.fetch_add(1, Relaxed);
                let fails = self.journal.answered();
                self.counters.answers_fail.store(fails, Relaxed);
                let Some((id, f_cnt)) = carries else { return };
                let Some(changes) = self.server.sent(dev_eui, &id, f_cnt) else { return };
                let Some(device) = self.server.device(dev_eui).cloned() else { return };
                let now = self.clock.now();
                let message = event::tx_ack(&device, now, &id, f_cnt, &transmission);
                self.push(&device, changes, message);
            }
            Some(Fate::Failed { tag: Tag { dev_eui, carries }, reason }) => {
                self.counters.not_answered.fetch_add(1, Relaxed);
                self.server.not_answered(dev_eui);
                let fails = self.journal.not_answered(&reason);
                self.counters.answers_fail.store(fails, Relaxed);
                let Some((id, _)) = carries else { return };
                let Some(device) = self.server.device(dev_eui).cloned() else { return };
                let (changes, then) = if reason.is_unsure() {
                    let Some(changes) = self.server.unsure(dev_eui, &id) else { return };
                    (changes, "it is not known whether it was sent, and not tried again")
                } else {
                    self.server.not_sent(dev_eui, &id);
                    (Changes::default(), "tried again after the next uplink")
                };
                let (now, ending) = (self.clock.now(), event::Ending::Gateway);
                let text = format!("{reason}; {then}");
                let message = event::log(&device, now, &id, ending, &text);
                self.push(&device, changes, message);
            }
        }
    }

    /// Adds what became of a downlink.
    fn push(&mut self, device: &Device, changes: Changes, message: Message) {
        let entry = Entry { changes, ..Entry::of(device.dev_eui, vec![message]) };
        self.add(&device.tenant, entry);
    }

    /// Adds what no frame brought.
    fn add(&mut self, tenant: &TenantId, mut entry: Entry) {
        let Some((sink, batch)) = self.tenants.get_mut(tenant) else { return };
        if sink.kind == TenantKind::Care {
            entry.messages.clear();
        }
        batch.make_room(&sink.counters);
        let wait = if entry.is_urgent() { Duration::ZERO } else { self.commit_interval };
        batch.push(entry);
        self.commit_within(wait);
    }
}

fn expiry(device: &Device, at: Moment, id: &str) -> Message {
    event::log(device, at, id, event::Ending::Expired, "the device was not heard in time")
}
