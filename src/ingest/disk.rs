//! What is to be kept, on its way to the disk; and what becomes of it while the disk does not take
//! it.
//!
//! What a sensor says every day is then given up: its frame is taken back, so that a repetition of
//! it is welcome, and counted. What must not be lost waits in memory and is offered again, less and
//! less often. Alarms among it go out at once, under the number that they will have on the disk.

use super::batch::{Back, Batch, Departure};
use super::{Ingest, TenantCounters, TenantSink};
use crate::config::TenantKind;
use crate::lorawan::Changes;
use crate::pulse::Pulse;
use crate::store::{Class, Entry, Message, Shed, State, Store};
use crate::units::{DevEui, TenantId};
use crate::upstream::command::Receipt;
use crate::upstream::event::alarm;
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// A disk that fails is tried again after this, doubling.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));

/// On a disk that is full so long at once room is made for what comes.
const MAKES_ROOM: Duration = Duration::from_millis(200);

/// A card that cleans up after itself takes seconds for a write, and a large database that has to
/// be made anew minutes. What takes longer hangs.
const WRITE: Duration = Duration::from_secs(300);

/// Does this, which may take as long as the disk does.
pub(super) fn at_disk<T>(pulse: &Pulse, work: impl FnOnce() -> T) -> T {
    pulse.begins("writes to the disk", WRITE);
    let done = work();
    pulse.begins(super::TAKES_IN, super::TURN);
    done
}

/// Between two steps others have their turn.
const BETWEEN: Duration = Duration::from_millis(5);

/// A disk that fails for so long is worth an alarm.
const ALARMING: Duration = Duration::from_secs(10);

/// A disk that takes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    since: Instant,
    /// When it is tried again, and how long it was waited for that.
    at: Instant,
    wait: Duration,
    /// Whether there was an alarm about it.
    told: bool,
    /// How many alarms were lost before.
    lost: u64,
}

impl Trouble {
    /// After another failure.
    fn again(before: Option<Self>, counters: &TenantCounters) -> Self {
        let now = Instant::now();
        let wait = before.map_or(RETRY.0, |before| (before.wait * 2).min(RETRY.1));
        let since = before.map_or(now, |before| before.since);
        let lost = before.map_or(counters.alarms_lost.load(Relaxed), |before| before.lost);
        let told = before.is_some_and(|before| before.told);
        Self { since, at: now + wait, wait, told, lost }
    }
}

impl TenantCounters {
    /// How many alarms were lost since the disk takes nothing.
    fn lost_since(&self, trouble: &Trouble) -> u64 {
        self.alarms_lost.load(Relaxed).saturating_sub(trouble.lost)
    }
}

impl TenantSink {
    /// Counts what was given up, and what is in use; how much was given up.
    fn note(&self, shed: &Shed) -> u64 {
        let rows = shed.rows.iter().sum();
        self.counters.used.store(shed.used, Relaxed);
        self.upstream.waiting.fetch_sub(rows, Relaxed);
        for (count, rows) in self.counters.shed.iter().zip(shed.rows) {
            count.fetch_add(rows, Relaxed);
        }
        rows
    }
}

impl Ingest {
    /// Brings to the disk what waits for it.
    pub(super) fn commit(&mut self) {
        self.commit_by(Instant::now());
    }

    /// The same, and a disk that fails is tried at the latest now.
    pub(super) fn commit_last(&mut self) {
        self.commit_by(Instant::now() + RETRY.1);
    }

    /// Brings to the disk what waits for it; one that fails is tried if it is due at this time.
    fn commit_by(&mut self, now: Instant) {
        self.commit_at = None;
        let mut tenants = Vec::new();
        let mut later = None::<Instant>;
        for (id, (sink, batch)) in &self.tenants {
            let waits = batch.is_waiting() || batch.trouble.is_some() || sink.store.is_damaged();
            match batch.trouble.map(|trouble| trouble.at).filter(|at| *at > now) {
                // it would only take time from others
                Some(at) if waits && batch.entries.is_empty() => {
                    later = Some(later.map_or(at, |later| later.min(at)));
                }
                _ if waits => tenants.push((batch.took, id.clone())),
                _ => {}
            }
        }
        // one tenant's slow disk does not hold up what leaves for another's devices
        tenants.sort_unstable();
        for (_, tenant) in tenants {
            let departures = at_disk(&self.pulse.clone(), || self.commit_for(&tenant));
            for departure in departures {
                let fate = self.downlinks.answer(departure, self.radio_now());
                self.note(fate);
            }
        }
        if let Some(later) = later {
            self.commit_within(later.saturating_duration_since(Instant::now()));
        }
    }

    /// Makes a tenant's batch durable. What leaves now.
    fn commit_for(&mut self, tenant: &TenantId) -> Vec<Departure> {
        let Some((sink, batch)) = self.tenants.get_mut(tenant) else { return Vec::new() };
        let taken = std::mem::take(batch);
        let Batch { entries, pushed, back, answers, receipts, uplinks, joins, .. } = taken;
        let begin = Instant::now();
        // what is said of a device first stands first: its session, and its messages
        let (entries, of_frame) = Batch::ordered(entries, pushed);
        let messages = entries.iter().map(|entry| entry.messages.len() as u64).sum::<u64>();
        // counted first: the upstream may have delivered them before this thread goes on
        sink.upstream.waiting.fetch_add(messages, Relaxed);
        let kept_before = sink.store.kept() as u64;
        let mut result = sink.store.commit(&entries);
        let full_since = Instant::now();
        let is_full = |result: &Result<_, _>| result.as_ref().is_err_and(Store::is_full);
        let settled = is_full(&result) && sink.store.settle_log();
        if settled {
            result = sink.store.commit(&entries);
        }
        while settled && is_full(&result) && full_since.elapsed() < MAKES_ROOM {
            let Ok(shed) = sink.store.shed(sink.bounds, true) else { break };
            self.journal.shed(tenant, shed.stage);
            sink.counters.sheds.store(shed.stage.is_some(), Relaxed);
            // a step among what is to stay frees nothing, and the next one may
            if sink.note(&shed) > 0 {
                result = sink.store.commit(&entries);
            } else if !shed.again {
                break;
            }
        }
        batch.took = begin.elapsed();
        if let Some(rescue) = sink.store.take_rescue() {
            // what could not be read does not wait any more
            let saved = rescue.saved.iter().sum::<u64>() + kept_before;
            sink.upstream.waiting.store(saved + messages, Relaxed);
            let shed = sink.counters.shed.iter().zip(rescue.left);
            shed.for_each(|(count, left)| _ = count.fetch_add(left, Relaxed));
            // and what was set aside does
            sink.upstream.set_aside.store(0, Relaxed);
            self.rescued.push((tenant.clone(), rescue));
        }
        let counters = &sink.counters;
        let failed = counters.copy_fails.swap(!sink.store.is_copied(), Relaxed);
        let is_copied_again = failed && sink.store.is_copied() && sink.kind == TenantKind::Care;
        if is_copied_again {
            // the copy has missed words, such as of consent that was withdrawn
            batch.push(of_states(sink.care.anew().states));
        }
        let error = match result {
            Ok(()) => {
                // damage that was met just now has yet to be told
                if self.told.remove(tenant) && !self.rescued.iter().any(|(id, _)| id == tenant) {
                    sink.store.rescue_is_told();
                }
                counters.commits.fetch_add(1, Relaxed);
                counters.disk_fails.store(false, Relaxed);
                counters.alarms_in_memory.store(0, Relaxed);
                counters.accepted.fetch_add(uplinks + taken.held, Relaxed);
                counters.joins.fetch_add(joins, Relaxed);
                sink.news.notify_one();
                receipts.into_iter().for_each(Receipt::sign);
                if taken.full {
                    sink.tours.desk.nudge();
                }
                self.journal.stored(tenant, Ok(()));
                self.shed_at.get_or_insert(Instant::now());
                if let Some(lost) =
                    taken.trouble.map(|t| counters.lost_since(&t)).filter(|n| *n > 0)
                {
                    self.alarm(tenant, alarm::alarms_lost(lost, self.clock.now()));
                }
                if is_copied_again {
                    self.commit_within(Duration::ZERO);
                }
                return answers;
            }
            Err(error) => error,
        };
        sink.upstream.waiting.fetch_sub(messages, Relaxed);
        let trouble = Trouble::again(taken.trouble, counters);
        batch.trouble = Some(trouble);
        // who has something to say that must not be lost keeps its place, with all it said
        let frames = || entries.iter().zip(&of_frame).filter(|(_, of_frame)| **of_frame);
        let held = urgent(frames().map(|(entry, _)| entry));
        // newest first, so that each device ends at its last durable session
        for back in back.into_iter().rev() {
            match back {
                Back::Frame(undo) if !held.contains(&undo.dev_eui()) => self.server.take_back(undo),
                Back::Bin(dev_eui, bin, before) if !held.contains(&dev_eui) => {
                    sink.tours.bins.take_back(bin, before.map(|before| *before));
                }
                Back::Queued(dev_eui, id) => self.server.withdraw(dev_eui, &id),
                Back::Frame(_) | Back::Bin(..) => {}
            }
        }
        // what was to be sent with an answer that does not leave is sent with the next one
        for departure in answers.iter().filter(|departure| held.contains(&departure.dev_eui)) {
            if let Some((id, _)) = &departure.answer.carries {
                self.server.not_sent(departure.dev_eui, id);
            }
        }
        let is_kept = |entry: &Entry| is_of_frame(entry) && held.contains(&entry.dev_eui);
        let kept = frames().filter(|(entry, _)| is_kept(entry)).count() as u64;
        batch.held = taken.held + kept;
        counters.not_stored.fetch_add(uplinks + joins - kept, Relaxed);
        counters.disk_fails.store(true, Relaxed);
        let stays = entries.iter().zip(&of_frame).filter(|(e, of_frame)| !**of_frame || is_kept(e));
        stays.for_each(|(entry, _)| batch.push(entry.clone()));
        batch.make_room(counters);
        self.journal.alarms_lost(tenant, counters.lost_since(&trouble));
        if !trouble.told && trouble.since.elapsed() >= ALARMING {
            batch.trouble = Some(Trouble { told: true, ..trouble });
            let lost = counters.not_stored.load(Relaxed);
            let message = alarm::disk_fails(trouble.since.elapsed(), lost, self.clock.now());
            batch.push(of_nobody(vec![message]));
        }
        // alarms do not wait for the disk
        let before = sink.store.kept();
        for (_, entry) in &mut batch.pushed {
            let (alarms, rest) = std::mem::take(&mut entry.messages)
                .into_iter()
                .partition(|message| message.class == Class::Alarm);
            entry.messages = rest;
            let unkept = alarms.into_iter().filter_map(|alarm| sink.store.keep(alarm).err());
            entry.messages.extend(unkept.collect::<Vec<_>>());
        }
        batch.pushed.retain(|(_, entry)| !is_empty(entry));
        let kept = sink.store.kept();
        sink.upstream.waiting.fetch_add(kept.saturating_sub(before) as u64, Relaxed);
        counters.alarms_in_memory.store(kept as u64, Relaxed);
        sink.news.notify_one();
        self.journal.stored(tenant, Err(&error));
        self.commit_within(trouble.wait);
        Vec::new()
    }

    /// Gives up a little of what there is no room for.
    pub(super) fn shed(&mut self) {
        self.shed_at = None;
        for (tenant, (sink, batch)) in &mut self.tenants {
            if batch.trouble.is_some() {
                continue;
            }
            match at_disk(&self.pulse, || sink.store.shed(sink.bounds, false)) {
                Ok(shed) => {
                    sink.note(&shed);
                    self.journal.shed(tenant, shed.stage);
                    sink.counters.sheds.store(shed.stage.is_some(), Relaxed);
                    if shed.again {
                        self.shed_at = Some(Instant::now() + BETWEEN);
                    }
                }
                // the next commit tells what is wrong
                Err(error) => log::debug!("nothing can be given up: {error}"),
            }
        }
    }

    /// Damage that the upstream has met is seen to at once.
    pub(super) fn look_after_damage(&mut self) {
        let is_new = |(sink, batch): &(TenantSink, Batch)| {
            batch.trouble.is_none() && sink.store.is_damaged()
        };
        if self.tenants.values().any(is_new) {
            self.commit_within(Duration::ZERO);
        }
    }

    /// Tells operations and the cloud of databases that were replaced.
    pub(super) fn tell_rescues(&mut self) {
        let rescued = std::mem::take(&mut self.rescued);
        for (tenant, rescue) in &rescued {
            self.journal.rescued(tenant, rescue);
            if let Some((sink, batch)) = self.tenants.get_mut(tenant)
                && sink.kind == TenantKind::Care
            {
                // what could not be read of residents is known here
                batch.push(of_states(sink.care.anew().states));
            }
            self.alarm(tenant, alarm::set_aside(rescue, self.clock.now()));
            self.told.insert(tenant.clone());
        }
        self.commit();
    }

    fn alarm(&mut self, tenant: &TenantId, message: Message) {
        if let Some((_, batch)) = self.tenants.get_mut(tenant) {
            batch.push(of_nobody(vec![message]));
            self.commit_within(Duration::ZERO);
        }
    }
}

/// Whether a frame brought it, and no command.
fn is_of_frame(entry: &Entry) -> bool {
    entry.command.is_none() && entry.queued.is_none() && !entry.changes.sessions.is_empty()
}

/// The devices with something that must not be lost. One that joins asks again.
fn urgent<'a>(frames: impl Iterator<Item = &'a Entry>) -> HashSet<DevEui> {
    let frames: Vec<_> = frames.filter(|entry| is_of_frame(entry)).collect();
    let of_frames = || frames.iter();
    let mut urgent: HashSet<_> =
        of_frames().filter(|entry| entry.is_urgent()).map(|entry| entry.dev_eui).collect();
    for entry in of_frames().filter(|entry| entry.changes.join.is_some()) {
        urgent.remove(&entry.dev_eui);
    }
    urgent
}

pub(super) fn is_empty(entry: &Entry) -> bool {
    entry.messages.is_empty()
        && entry.states.is_empty()
        && entry.command.is_none()
        && entry.queued.is_none()
        && entry.changes == Changes::default()
}

fn of_nobody(messages: Vec<Message>) -> Entry {
    Entry::of(DevEui(0), messages)
}

pub(super) fn of_states(states: Vec<State>) -> Entry {
    Entry { states, ..of_nobody(Vec::new()) }
}
