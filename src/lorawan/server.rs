//! The network server's part that an edge needs: who sent this frame, is it new, and what is to
//! be answered?

use super::counter::{Advance, Counter};
use super::event::{Accepted, Refusal};
use super::frame::{DataFrame, Direction, Frame, MicKey};
use super::link::{Link, Plan};
use super::received::Received;
use super::session::{Binding, Joins, Memory, Session, Slot, Undo, Waiting, binding};
use crate::device::{Activation, CounterPolicy, Device, Registry};
use crate::units::{DevAddr, DevEui};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Sessions of all registered devices.
#[derive(Debug)]
pub struct EdgeServer {
    pub(super) plan: Plan,
    pub(super) devices: HashMap<DevEui, Known>,
    by_addr: HashMap<DevAddr, Vec<Candidate>>,
}

/// All that is known of a device.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) device: Arc<Device>,
    pub(super) binding: Binding,
    pub(super) active: Option<Session>,
    pub(super) pending: Option<Session>,
    /// Of a device that joins: its AppKey worked out, and its joins so far.
    pub(super) joins: Option<(MicKey, Joins)>,
    pub(super) last_dev_nonce: Option<u16>,
    /// Downlinks for it, oldest first.
    pub(super) waiting: VecDeque<Waiting>,
    /// Authentic frames of the past.
    pub(super) past: Option<Past>,
    /// How often the last confirmed uplink was acknowledged again.
    pub(super) again: u8,
    /// When the last frame that was answered came.
    pub(super) answered_at: Option<Timestamp>,
    /// Joins since the last uplink, and when the last one was.
    pub(super) joined: (u8, Timestamp),
    /// Whether it was told that the device does not stay on the channel.
    pub(super) told_unpinned: bool,
}

/// Authentic frames of the past: the last one, and how many times in a row the counter has risen.
#[derive(Debug)]
pub(super) struct Past {
    f_cnt: u16,
    run: u8,
    at: Timestamp,
}

/// A session that may have sent a frame.
#[derive(Debug)]
struct Candidate {
    dev_eui: DevEui,
    slot: Slot,
    key: MicKey,
}

/// So many frames of the past with rising counters are a device that counts anew (a new
/// battery), and no accident.
const RISING_PAST: u8 = 3;

/// Frames of a device that counts anew lie apart: what comes faster has been kept somewhere.
const APART: Duration = Duration::from_secs(10);

/// A device repeats a confirmed uplink up to eight times; whoever repeats it more often wants
/// the gateway to waste its airtime.
const MAX_AGAIN: u8 = 8;

impl Known {
    fn new(device: Arc<Device>) -> Self {
        let binding = binding(&device.activation);
        let joins = match &device.activation {
            Activation::Otaa(otaa) => {
                Some((MicKey::new(&otaa.app_key), Joins { binding, ..Joins::default() }))
            }
            Activation::Abp(_) => None,
        };
        let active = joins.is_none().then(|| Session {
            derived: None,
            counter: None,
            f_cnt_down: 0,
            link: Link::default(),
            binding,
        });
        Self {
            device,
            binding,
            active,
            pending: None,
            joins,
            last_dev_nonce: None,
            waiting: VecDeque::new(),
            past: None,
            again: 0,
            answered_at: None,
            joined: (0, Timestamp::UNIX_EPOCH),
            told_unpinned: false,
        }
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Session> {
        match slot {
            Slot::Active => &mut self.active,
            Slot::Pending => &mut self.pending,
        }
    }

    pub(super) fn session(&self, slot: Slot) -> Option<&Session> {
        match slot {
            Slot::Active => self.active.as_ref(),
            Slot::Pending => self.pending.as_ref(),
        }
    }
}

impl EdgeServer {
    /// A server for these devices that goes on from what is remembered of them. A session of
    /// another address or key is dropped: its counter says nothing about the new one.
    pub fn new(registry: &Registry, plan: Plan, memory: Memory) -> Self {
        let mut devices: HashMap<_, _> =
            registry.iter().map(|d| (d.dev_eui, Known::new(Arc::clone(d)))).collect();
        for ((dev_eui, slot), session) in memory.sessions {
            if let Some(known) = devices.get_mut(&dev_eui)
                && known.binding == session.binding
            {
                *known.slot(slot) = Some(session);
            }
        }
        for (dev_eui, joins) in memory.joins {
            if let Some(known) = devices.get_mut(&dev_eui)
                && known.binding == joins.binding
                && let Some((_, fresh)) = &mut known.joins
            {
                *fresh = joins;
            }
        }
        for (dev_eui, item) in memory.downlinks {
            if let Some(known) = devices.get_mut(&dev_eui) {
                known.waiting.push_back(Waiting { item, sending: None });
            }
        }
        let mut server = Self { plan, devices, by_addr: HashMap::new() };
        server.index_all();
        server
    }

    /// From now on these are the devices. Those that stay, with their owner and their key, go on
    /// as they are, whatever else is new about them; the others go on from what is remembered.
    pub fn renew(&mut self, registry: &Registry, memory: Memory) {
        let fresh = Self::new(registry, self.plan.clone(), memory);
        let before = std::mem::replace(self, fresh);
        for (dev_eui, mut known) in before.devices {
            let Some(place) = self.devices.get_mut(&dev_eui) else { continue };
            if known.binding == place.binding && known.device.tenant == place.device.tenant {
                known.device = Arc::clone(&place.device);
                *place = known;
            }
        }
        self.by_addr.clear();
        self.index_all();
    }

    fn index_all(&mut self) {
        let all: Vec<_> = self.devices.keys().copied().collect();
        for dev_eui in all {
            for slot in [Slot::Active, Slot::Pending] {
                self.index(dev_eui, slot);
            }
        }
    }

    /// Makes a session be found by its address.
    fn index(&mut self, dev_eui: DevEui, slot: Slot) {
        let Some(known) = self.devices.get(&dev_eui) else { return };
        let Some(keys) = known.session(slot).and_then(|s| s.keys(&known.device)) else { return };
        let key = MicKey::new(&keys.nwk_s_key);
        let candidate = Candidate { dev_eui, slot, key };
        self.by_addr.entry(keys.dev_addr).or_default().push(candidate);
    }

    /// Puts a session in its place, or takes it away, and keeps the index.
    fn put(&mut self, dev_eui: DevEui, slot: Slot, session: Option<Session>) {
        let Some(known) = self.devices.get_mut(&dev_eui) else { return };
        let device = Arc::clone(&known.device);
        let address = |s: &Session| s.keys(&device).map(|keys| keys.dev_addr);
        let old = std::mem::replace(known.slot(slot), session);
        let new = known.session(slot);
        let same = match (&old, new) {
            (Some(old), Some(new)) => old.derived == new.derived,
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(address) = old.as_ref().and_then(address)
            && let Some(candidates) = self.by_addr.get_mut(&address)
        {
            candidates.retain(|c| (c.dev_eui, c.slot) != (dev_eui, slot));
            if candidates.is_empty() {
                self.by_addr.remove(&address);
            }
        }
        self.index(dev_eui, slot);
    }

    /// What a received frame is. An accepted one advances the session at once, so that a copy
    /// behind it is told apart; [`EdgeServer::take_back`] undoes that.
    ///
    /// # Errors
    /// With the reason why the frame is not a new uplink or join of a registered device.
    pub fn uplink(&mut self, received: &Received<'_>) -> Result<Accepted, Refusal> {
        match Frame::parse(received.phy).map_err(Refusal::NotLoRaWan)? {
            Frame::Data(frame) if frame.direction == Direction::Up => self.data(received, &frame),
            Frame::JoinRequest(request) => self.join(received, &request),
            Frame::Data(_) | Frame::Other => Err(Refusal::NotUplink),
        }
    }

    fn data(
        &mut self,
        received: &Received<'_>,
        frame: &DataFrame<'_>,
    ) -> Result<Accepted, Refusal> {
        let (dev_eui, slot, advance) = self.whose(frame, received.at)?;
        let known = self.devices.get_mut(&dev_eui).expect("candidates are known devices");
        match advance {
            Advance::Next(counter, replayable) => {
                Ok(self.next(received, frame, dev_eui, slot, counter, replayable))
            }
            Advance::Again if frame.confirmed && known.may_repeat(slot, received.at) => {
                known.again += 1;
                known.answered_at = Some(received.at);
                self.again(received, dev_eui, slot).ok_or(Refusal::Repeat(dev_eui))
            }
            Advance::Again | Advance::Repeat => Err(Refusal::Repeat(dev_eui)),
            Advance::ResetRefused => Err(Refusal::ResetRefused(dev_eui)),
            Advance::Replay => Err(known.note_past(frame.f_cnt, received.at)),
        }
    }

    /// Whose frame it is. Of several sessions at one address that one is asked first whose counter
    /// is nearest, each for the counter that it would have next; then all for all others.
    pub(super) fn whose(
        &self,
        frame: &DataFrame<'_>,
        now: Timestamp,
    ) -> Result<(DevEui, Slot, Advance), Refusal> {
        let unknown = Refusal::UnknownDevAddr(frame.dev_addr);
        let candidates = self.by_addr.get(&frame.dev_addr).ok_or(unknown)?;
        let last = |candidate: &Candidate| {
            let known = self.devices.get(&candidate.dev_eui)?;
            known.session(candidate.slot)?.counter
        };
        let mut order: Vec<(u16, u32, &Candidate)> = candidates
            .iter()
            .map(|candidate| {
                let last = last(candidate);
                let ahead = last.map_or(u16::MAX, |l| frame.f_cnt.wrapping_sub(l.f_cnt_up as u16));
                (ahead, Counter::likely(last.as_ref(), frame.f_cnt), candidate)
            })
            .collect();
        order.sort_unstable_by_key(|(ahead, ..)| *ahead);
        let advance = |candidate: &Candidate, authentic: &dyn Fn(u32) -> bool| {
            let known = self.devices.get(&candidate.dev_eui)?;
            // a device that joined has been told its counter; it counts anew by joining anew
            let derived = known.session(candidate.slot)?.derived.is_some();
            let forbidden = CounterPolicy::default();
            let policy = if derived { &forbidden } else { &known.device.profile.counter };
            let last = last(candidate);
            Counter::advance(last.as_ref(), frame.f_cnt, policy, now, authentic)
                .map(|advance| (candidate.dev_eui, candidate.slot, advance))
        };
        order
            .iter()
            .find(|(_, likely, candidate)| frame.mic_matches(&candidate.key, *likely))
            .and_then(|(_, likely, candidate)| advance(candidate, &|f_cnt| f_cnt == *likely))
            .or_else(|| {
                order.iter().find_map(|(_, tried, candidate)| {
                    advance(candidate, &|f_cnt| {
                        f_cnt != *tried && frame.mic_matches(&candidate.key, f_cnt)
                    })
                })
            })
            .ok_or(Refusal::BadMic(frame.dev_addr))
    }

    /// Puts sessions in their place and says how to go back.
    pub(super) fn replace(
        &mut self,
        dev_eui: DevEui,
        sessions: &[(Slot, Option<Session>)],
    ) -> Undo {
        let known = self.devices.get(&dev_eui);
        let again = known.map_or(0, |known| known.again);
        let before = sessions
            .iter()
            .map(|(slot, _)| (*slot, known.and_then(|known| known.session(*slot).cloned())))
            .collect();
        for (slot, session) in sessions {
            self.put(dev_eui, *slot, session.clone());
        }
        Undo { dev_eui, sessions: before, join: None, waiting: Vec::new(), sending: None, again }
    }

    /// Forgets an accepted frame that could not be made durable, so that its retransmission
    /// is welcome. Several frames of one device are taken back newest first.
    pub fn take_back(&mut self, undo: Undo) {
        let Undo { dev_eui, sessions, join, waiting, sending, again } = undo;
        let Some(known) = self.devices.get_mut(&dev_eui) else { return };
        known.again = again;
        // what was sent meanwhile was sent
        let awaited = known.active.as_ref().and_then(|active| active.link.awaited.clone());
        for (slot, session) in sessions {
            self.put(dev_eui, slot, session);
        }
        let Some(known) = self.devices.get_mut(&dev_eui) else { return };
        if let Some(active) = &mut known.active {
            active.link.awaited = active.link.awaited.take().or(awaited);
        }
        if let (Some((join_nonce, dev_nonce)), Some((_, joins))) = (join, &mut known.joins) {
            joins.join_nonce = join_nonce;
            joins.dev_nonces.remove(&dev_nonce);
            known.last_dev_nonce = None;
        }
        let on_its_way = |waiting: &&mut Waiting| Some(&waiting.item.id) == sending.as_ref();
        if let Some(waiting) = known.waiting.iter_mut().find(on_its_way) {
            waiting.sending = None;
        }
        for item in waiting.into_iter().rev() {
            known.waiting.push_front(item);
        }
    }

    /// All registered devices, each with the session in use.
    pub fn devices(&self) -> impl Iterator<Item = (&Arc<Device>, Option<&Session>)> {
        self.devices.values().map(|known| (&known.device, known.active.as_ref()))
    }

    /// A registered device.
    pub fn device(&self, dev_eui: DevEui) -> Option<&Arc<Device>> {
        self.devices.get(&dev_eui).map(|known| &known.device)
    }
}

impl Known {
    /// Whether a confirmed uplink that comes once more is a repetition of its device. While that
    /// still listens for the answer it is a late copy by another receiver.
    fn may_repeat(&self, slot: Slot, at: Timestamp) -> bool {
        let delay = self.session(slot).map_or(1, |session| session.link.rx1_delay);
        let listens = SignedDuration::from_secs(i64::from(delay) + 1);
        let over = |answered: Timestamp| at.duration_since(answered).abs() >= listens;
        self.again < MAX_AGAIN && self.answered_at.is_none_or(over)
    }

    /// An authentic frame of the past: a recording, or a device that has begun to count anew?
    fn note_past(&mut self, f_cnt: u16, at: Timestamp) -> Refusal {
        let dev_eui = self.device.dev_eui;
        let past = self.past.get_or_insert(Past { f_cnt, run: 0, at });
        // what a forwarder kept comes at once, and is as old as it looks
        if past.run == 0 || at.duration_since(past.at).unsigned_abs() >= APART {
            let rises = f_cnt > past.f_cnt || past.run == 0;
            let run = if rises { past.run.saturating_add(1) } else { 1 };
            *past = Past { f_cnt, run, at };
        }
        if past.run >= RISING_PAST {
            Refusal::ResetRefused(dev_eui)
        } else {
            Refusal::Replay(dev_eui)
        }
    }
}
