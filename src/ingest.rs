//! The one way that an uplink goes, from the radio to the disk.
//!
//! A thread of its own, since the disk may block: frames come in through a bounded channel,
//! are joined with their copies, authenticated, decoded, and made durable together with their
//! messages. What is already waiting when a write begins shares it. The loop ends when every
//! sender of frames is gone, after the last of them is on disk.

use crate::codec::Codec;
use crate::config::TenantKind;
use crate::lorawan::{Accepted, EdgeServer, Refusal, Session};
use crate::message;
use crate::radio::Heard;
use crate::radio::dedup::Dedup;
use crate::store::{Entry, Store};
use crate::units::{DevEui, TenantId};
use crate::upstream::{self, event};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many uplinks share one write at most: bounds what a power cut can take with it and how
/// long an acknowledgement can wait.
const MAX_BATCH: usize = 256;

/// How long the loop may sleep with nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// What became of frames, since the start. Each frame heard is counted in exactly one other field,
/// or is one of a tenant's.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames on the air, each counted once however many receivers heard it.
    pub heard: AtomicU64,
    /// Receptions that joined another one.
    pub copies: AtomicU64,
    /// Not LoRaWAN, or not an uplink of data.
    pub not_uplink: AtomicU64,
    /// Of devices that are not registered.
    pub unknown_device: AtomicU64,
    /// At a registered address, but no key fits.
    pub bad_mic: AtomicU64,
    /// Retransmissions of an accepted frame.
    pub repeats: AtomicU64,
    /// Authentic frames of the past.
    pub replays: AtomicU64,
    /// Refused counter resets.
    pub resets_refused: AtomicU64,
}

/// What became of one tenant's uplinks, since the start.
#[derive(Debug, Default)]
pub struct TenantCounters {
    /// On disk, and so accepted.
    pub accepted: AtomicU64,
    /// Authentic, but the disk did not take them: lost unless the device repeats itself.
    pub not_stored: AtomicU64,
    /// Payloads that could not be decoded; delivered raw.
    pub not_decoded: AtomicU64,
    /// Outputs of a decoder that were not what the profile takes them for: readings that are missing.
    pub not_mapped: AtomicU64,
    /// Writes to the disk, each with one flush.
    pub commits: AtomicU64,
}

/// Where one tenant's uplinks go.
#[derive(Debug)]
pub struct TenantSink {
    /// What its data is.
    pub kind: TenantKind,
    /// Its database.
    pub store: Store,
    /// Told when there are new messages.
    pub news: Arc<Notify>,
    /// Counted by the upstream, too: how many messages wait.
    pub upstream: Arc<upstream::Counters>,
    /// What became of its uplinks.
    pub counters: Arc<TenantCounters>,
}

/// Uplinks that are not on disk yet.
#[derive(Debug, Default)]
struct Batch {
    entries: Vec<Entry>,
    /// The sessions before each of them.
    before: Vec<(DevEui, Option<Session>)>,
}

/// The loop and all it owns.
#[derive(Debug)]
pub struct Ingest {
    server: EdgeServer,
    codecs: HashMap<String, Codec>,
    tenants: HashMap<TenantId, (TenantSink, Batch)>,
    dedup: Dedup,
    counters: Arc<Counters>,
    commit_interval: Duration,
    /// When the oldest uplink of the batches must be on disk.
    commit_at: Option<Instant>,
    /// Devices whose last payload could not be decoded, or not mapped as a whole.
    undecodable: HashSet<DevEui>,
    /// Devices whose counter reset was refused since their last accepted frame.
    reset: HashSet<DevEui>,
    /// Tenants whose disk failed at the last write.
    failing: HashSet<TenantId>,
}

impl Ingest {
    /// A loop for these devices and tenants. Every device's tenant and profile must be there.
    pub fn new(
        server: EdgeServer,
        codecs: HashMap<String, Codec>,
        tenants: HashMap<TenantId, TenantSink>,
        dedup: Dedup,
        counters: Arc<Counters>,
        commit_interval: Duration,
    ) -> Self {
        let tenants = tenants.into_iter().map(|(id, sink)| (id, (sink, Batch::default())));
        Self {
            server,
            codecs,
            tenants: tenants.collect(),
            dedup,
            counters,
            commit_interval,
            commit_at: None,
            undecodable: HashSet::new(),
            reset: HashSet::new(),
            failing: HashSet::new(),
        }
    }

    /// Runs until every sender of frames is gone.
    pub fn run(mut self, frames: &Receiver<Heard>) {
        let start = Instant::now();
        let mut open = true;
        while open {
            match frames.recv_timeout(self.patience(start)) {
                Ok(frame) => self.dedup.offer(frame, start.elapsed()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
            let mut waiting = 1;
            while waiting < MAX_BATCH
                && let Ok(frame) = frames.try_recv()
            {
                self.dedup.offer(frame, start.elapsed());
                waiting += 1;
            }
            let due = if open { start.elapsed() } else { Duration::MAX };
            while let Some(frame) = self.dedup.take_due(due) {
                self.take(&frame);
            }
            self.counters.copies.store(self.dedup.copies(), Relaxed);
            let full = self.tenants.values().any(|(_, batch)| batch.entries.len() >= MAX_BATCH);
            if !open || full || self.commit_at.is_some_and(|at| at <= Instant::now()) {
                self.commit();
            }
        }
    }

    /// How long nothing needs to be done, if nothing comes.
    fn patience(&self, start: Instant) -> Duration {
        let joined = self.dedup.next_due().map(|due| due.saturating_sub(start.elapsed()));
        let written = self.commit_at.map(|at| at.saturating_duration_since(Instant::now()));
        joined.into_iter().chain(written).min().unwrap_or(IDLE)
    }

    fn take(&mut self, heard: &Heard) {
        self.counters.heard.fetch_add(1, Relaxed);
        match self.server.uplink(&heard.phy, heard.at.wall) {
            Ok(accepted) => self.accept(heard, accepted),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        log::debug!("frame refused: {refusal}");
        if let Refusal::ResetRefused(device) = refusal
            && self.reset.insert(device)
        {
            log::error!(
                MESSAGE_ID = message::COUNTER_RESET_REFUSED,
                LYKTA_DEVICE = device.to_string();
                "device {device} counts its frames from zero again (a new battery?) and is no \
                 longer heard: its profile forbids that, or the last time is too recent; allow \
                 it with [counter] reset = true in a profile of your own, or join it anew"
            );
        }
        let counter = match refusal {
            Refusal::NotLoRaWan(_) | Refusal::NotUplink => &self.counters.not_uplink,
            Refusal::UnknownDevAddr(_) => &self.counters.unknown_device,
            Refusal::BadMic(_) => &self.counters.bad_mic,
            Refusal::Repeat(_) => &self.counters.repeats,
            Refusal::Replay(_) => &self.counters.replays,
            Refusal::ResetRefused(_) => &self.counters.resets_refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn accept(&mut self, heard: &Heard, accepted: Accepted) {
        let Accepted { device, uplink, session, previous } = accepted;
        let decoded = match (uplink.f_port, self.codecs.get(&device.profile.name)) {
            // port 0 and an absent port carry nothing of the sensor's
            (None | Some(0), _) | (_, None) => None,
            (Some(port), Some(codec)) => Some(codec.decode(port, &uplink.payload)),
        };
        let Some((sink, batch)) = self.tenants.get_mut(&device.tenant) else { return };
        self.reset.remove(&device.dev_eui);
        if let Some(result) = &decoded {
            let trouble = match result {
                Err(error) => {
                    sink.counters.not_decoded.fetch_add(1, Relaxed);
                    Some(error.without_payload())
                }
                Ok(decoded) => {
                    sink.counters.not_mapped.fetch_add(decoded.unmapped.len() as u64, Relaxed);
                    decoded.unmapped.first().map(ToString::to_string)
                }
            };
            let changed = match trouble {
                Some(_) => self.undecodable.insert(device.dev_eui),
                None => self.undecodable.remove(&device.dev_eui),
            };
            if changed {
                tell_decoding(device.dev_eui, &device.tenant, trouble.as_deref());
            }
        }
        if session.reset_at != previous.and_then(|p| p.reset_at) {
            log::warn!(
                MESSAGE_ID = message::COUNTER_RESET,
                LYKTA_DEVICE = device.dev_eui.to_string(),
                LYKTA_TENANT = device.tenant.as_str();
                "device {} counts its frames from zero again, as its profile allows; until it \
                 is past its old count its uplinks are marked replayable", device.dev_eui
            );
        }
        let messages = match sink.kind {
            TenantKind::Waste | TenantKind::Generic => {
                event::messages(heard, &device, &uplink, decoded.as_ref())
            }
            // nothing of a single device leaves a care tenant
            TenantKind::Care => Vec::new(),
        };
        batch.entries.push(Entry { dev_eui: device.dev_eui, session, messages });
        batch.before.push((device.dev_eui, previous));
        self.commit_at.get_or_insert_with(|| Instant::now() + self.commit_interval);
    }

    fn commit(&mut self) {
        self.commit_at = None;
        for (tenant, (sink, batch)) in &mut self.tenants {
            if batch.entries.is_empty() {
                continue;
            }
            let uplinks = batch.entries.len() as u64;
            let messages: usize = batch.entries.iter().map(|entry| entry.messages.len()).sum();
            // counted first: the upstream may have delivered them before this thread goes on
            sink.upstream.waiting.fetch_add(messages as u64, Relaxed);
            match sink.store.commit(&batch.entries) {
                Ok(()) => {
                    sink.counters.commits.fetch_add(1, Relaxed);
                    sink.counters.accepted.fetch_add(uplinks, Relaxed);
                    sink.news.notify_one();
                    if self.failing.remove(tenant) {
                        log::info!(
                            MESSAGE_ID = message::STORE_WORKS, LYKTA_TENANT = tenant.as_str();
                            "the disk takes the uplinks of tenant {tenant} again"
                        );
                    }
                }
                Err(error) => {
                    sink.upstream.waiting.fetch_sub(messages as u64, Relaxed);
                    // newest first, so that each device ends at its last durable session
                    for (dev_eui, previous) in batch.before.drain(..).rev() {
                        self.server.take_back(dev_eui, previous);
                    }
                    sink.counters.not_stored.fetch_add(uplinks, Relaxed);
                    if self.failing.insert(tenant.clone()) {
                        log::error!(
                            MESSAGE_ID = message::STORE_FAILED,
                            LYKTA_TENANT = tenant.as_str(),
                            LYKTA_REASON = error.to_string();
                            "uplinks of tenant {tenant} cannot be kept and are lost: {error}; \
                             is the disk full, read-only or broken?"
                        );
                    }
                }
            }
            batch.entries.clear();
            batch.before.clear();
        }
    }
}

fn tell_decoding(device: DevEui, tenant: &TenantId, trouble: Option<&str>) {
    match trouble {
        Some(trouble) => log::warn!(
            MESSAGE_ID = message::DECODE_FAILED,
            LYKTA_DEVICE = device.to_string(),
            LYKTA_TENANT = tenant.as_str(),
            LYKTA_REASON = trouble;
            "payloads of device {device} cannot be decoded: {trouble}; is its profile right?"
        ),
        None => log::info!(
            MESSAGE_ID = message::DECODE_WORKS,
            LYKTA_DEVICE = device.to_string(),
            LYKTA_TENANT = tenant.as_str();
            "payloads of device {device} can be decoded again"
        ),
    }
}
