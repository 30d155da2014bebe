//! The network server's part that an edge needs: who sent this frame, and is it new?

use super::frame::{DataFrame, Direction, Frame, FrameError, key_check};
use super::session::{Advance, Session};
use crate::device::{Abp, Activation, Device, Registry};
use crate::units::{DevAddr, DevEui};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// An authenticated uplink, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The session's address.
    pub dev_addr: DevAddr,
    /// The full frame counter.
    pub f_cnt: u32,
    /// The port; `None` when the frame carries no payload.
    pub f_port: Option<u8>,
    /// The payload in the clear. Empty on port 0, whose MAC commands are nobody's data.
    pub payload: Vec<u8>,
    /// Whether the device asked for an acknowledgement.
    pub confirmed: bool,
    /// Whether the device lets the network control its data rate.
    pub adr: bool,
    /// Whether this could be a recording: the device was allowed to reset its counter.
    pub replayable: bool,
}

/// A frame that is new and authentic. Not yet durable.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Who sent it.
    pub device: Arc<Device>,
    /// What it carried.
    pub uplink: Uplink,
    /// The session to make durable together with the frame's messages.
    pub session: Session,
    /// The session before this frame, to go back to when that fails.
    pub previous: Option<Session>,
}

/// Why a frame was not accepted. Each is counted, none is an error of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No LoRaWAN frame.
    #[error("not LoRaWAN: {0}")]
    NotLoRaWan(FrameError),
    /// A frame type that this gateway does not serve: a join, another gateway's downlink.
    #[error("not an uplink data frame")]
    NotUplink,
    /// No registered device has this address: somebody else's sensor.
    #[error("DevAddr {0} is not registered")]
    UnknownDevAddr(DevAddr),
    /// The address is known but no key fits: somebody else's sensor, a wrong key, a forgery.
    #[error("no device at DevAddr {0} has a key that fits")]
    BadMic(DevAddr),
    /// The last accepted frame once more, or one just before it: a retransmission, a late copy.
    #[error("device {0} repeated its last frame")]
    Repeat(DevEui),
    /// An authentic frame of the past.
    #[error("device {0} sent a frame of the past")]
    Replay(DevEui),
    /// The device counts from zero again, which its profile forbids, or forbids so soon. Told
    /// from a replay, while the profile forbids it, by a run of rising counters.
    #[error("device {0} reset its frame counter")]
    ResetRefused(DevEui),
}

/// Sessions of all registered devices.
#[derive(Debug)]
pub struct EdgeServer {
    by_addr: HashMap<DevAddr, Vec<Arc<Device>>>,
    sessions: HashMap<DevEui, Session>,
    /// What authenticates a device's session, worked out once.
    bindings: HashMap<DevEui, [u8; 8]>,
    /// Devices that send authentic frames of the past: the last counter, and how many times in
    /// a row it has risen.
    past: HashMap<DevEui, (u16, u8)>,
}

/// So many frames of the past with rising counters are a device that counts anew (a new
/// battery), and no accident.
const RISING_PAST: u8 = 3;

impl EdgeServer {
    /// A server for these devices that continues these sessions. A session of another address
    /// or key is dropped: its counter says nothing about the new one.
    pub fn new(registry: Registry, mut sessions: HashMap<DevEui, Session>) -> Self {
        let bindings: HashMap<_, _> =
            registry.iter().filter_map(|d| Some((d.dev_eui, binding(abp(d)?)))).collect();
        sessions.retain(|dev_eui, session| bindings.get(dev_eui) == Some(&session.binding));
        let mut by_addr: HashMap<DevAddr, Vec<Arc<Device>>> = HashMap::new();
        for device in registry.iter() {
            if let Some(abp) = abp(device) {
                by_addr.entry(abp.dev_addr).or_default().push(Arc::clone(device));
            }
        }
        Self { by_addr, sessions, bindings, past: HashMap::new() }
    }

    /// What a received frame is. An accepted one advances the session at once, so that a copy
    /// behind it is told apart; [`EdgeServer::take_back`] undoes that.
    ///
    /// # Errors
    /// With the reason why the frame is not a new uplink of a registered device.
    pub fn uplink(&mut self, phy: &[u8], now: Timestamp) -> Result<Accepted, Refusal> {
        let frame = match Frame::parse(phy).map_err(Refusal::NotLoRaWan)? {
            Frame::Data(data) if data.direction == Direction::Up => data,
            Frame::Data(_) | Frame::JoinRequest | Frame::Other => return Err(Refusal::NotUplink),
        };
        let candidates = self.by_addr.get(&frame.dev_addr).map_or(&[][..], Vec::as_slice);
        if candidates.is_empty() {
            return Err(Refusal::UnknownDevAddr(frame.dev_addr));
        }
        let (device, advance) = candidates
            .iter()
            .find_map(|device| Some((device, self.judge(device, &frame, now)?)))
            .ok_or(Refusal::BadMic(frame.dev_addr))?;
        let (session, replayable) = match advance {
            Advance::Next(session, replayable) => (session, replayable),
            Advance::Repeat => return Err(Refusal::Repeat(device.dev_eui)),
            Advance::ResetRefused => return Err(Refusal::ResetRefused(device.dev_eui)),
            Advance::Replay => return Err(self.note_past(device.dev_eui, frame.f_cnt)),
        };
        let device = Arc::clone(device);
        self.past.remove(&device.dev_eui);
        let previous = self.sessions.insert(device.dev_eui, session);
        let Some(keys) = abp(&device) else { return Err(Refusal::NotUplink) };
        let payload = match frame.f_port {
            None | Some(0) => Vec::new(),
            Some(_) => frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, session.f_cnt_up),
        };
        let uplink = Uplink {
            dev_addr: frame.dev_addr,
            f_cnt: session.f_cnt_up,
            f_port: frame.f_port,
            payload,
            confirmed: frame.confirmed,
            adr: frame.adr,
            replayable,
        };
        Ok(Accepted { device, uplink, session, previous })
    }

    /// What a frame means for a device; `None` when it is not that device's.
    fn judge(&self, device: &Device, frame: &DataFrame<'_>, now: Timestamp) -> Option<Advance> {
        Session::advance(
            self.sessions.get(&device.dev_eui),
            frame.f_cnt,
            self.bindings.get(&device.dev_eui).copied()?,
            &device.profile.counter,
            now,
            |f_cnt| abp(device).is_some_and(|abp| frame.mic_matches(&abp.nwk_s_key, f_cnt)),
        )
    }

    /// An authentic frame of the past: a recording, or a device that has begun to count anew?
    fn note_past(&mut self, dev_eui: DevEui, f_cnt: u16) -> Refusal {
        let (last, run) = self.past.entry(dev_eui).or_insert((f_cnt, 0));
        *run = if f_cnt > *last || *run == 0 { run.saturating_add(1) } else { 1 };
        *last = f_cnt;
        if *run >= RISING_PAST { Refusal::ResetRefused(dev_eui) } else { Refusal::Replay(dev_eui) }
    }

    /// Forgets an accepted frame that could not be made durable, so that its retransmission
    /// is welcome. Several frames of one device are taken back newest first.
    pub fn take_back(&mut self, dev_eui: DevEui, previous: Option<Session>) {
        match previous {
            Some(session) => self.sessions.insert(dev_eui, session),
            None => self.sessions.remove(&dev_eui),
        };
    }
}

fn abp(device: &Device) -> Option<&Abp> {
    match &device.activation {
        Activation::Abp(abp) => Some(abp),
        Activation::Otaa(_) => None,
    }
}

/// What a session's counter belongs to: the address, and a check value of the key that
/// authenticates frames. It does not give the key away: CMAC is one-way.
fn binding(activation: &Abp) -> [u8; 8] {
    let mut binding = [0; 8];
    let (address, check) = binding.split_at_mut(4);
    address.copy_from_slice(&activation.dev_addr.0.to_be_bytes());
    check.copy_from_slice(&key_check(&activation.nwk_s_key));
    binding
}
