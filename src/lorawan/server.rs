//! The network server's part that an edge needs: who sent this frame, and is it new?

use super::frame::{DataFrame, Direction, Frame, FrameError};
use super::session::{Advance, Session};
use crate::device::{Device, Registry};
use crate::units::{DevAddr, DevEui};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// An authenticated uplink, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
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
    /// The last accepted frame once more: a retransmission, or a late copy.
    #[error("device {0} repeated its last frame")]
    Repeat(DevEui),
    /// An authentic frame of the past.
    #[error("device {0} sent a frame of the past")]
    Replay(DevEui),
    /// The device counts from zero again, which its profile forbids, or forbids so soon.
    #[error("device {0} reset its frame counter")]
    ResetRefused(DevEui),
}

/// Sessions of all registered devices.
#[derive(Debug)]
pub struct EdgeServer {
    registry: Registry,
    sessions: HashMap<DevEui, Session>,
}

impl EdgeServer {
    /// A server for these devices that continues these sessions.
    pub fn new(registry: Registry, sessions: HashMap<DevEui, Session>) -> Self {
        Self { registry, sessions }
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
        let candidates = self.registry.at(frame.dev_addr);
        if candidates.is_empty() {
            return Err(Refusal::UnknownDevAddr(frame.dev_addr));
        }
        let (device, advance) = candidates
            .iter()
            .map(|device| (device, self.judge(device, &frame, now)))
            .find(|(_, advance)| !matches!(advance, Advance::Forged))
            .ok_or(Refusal::BadMic(frame.dev_addr))?;
        let session = match advance {
            Advance::Next(session) => session,
            Advance::Repeat => return Err(Refusal::Repeat(device.dev_eui)),
            Advance::Replay => return Err(Refusal::Replay(device.dev_eui)),
            Advance::ResetRefused => return Err(Refusal::ResetRefused(device.dev_eui)),
            Advance::Forged => return Err(Refusal::BadMic(frame.dev_addr)),
        };
        let device = Arc::clone(device);
        let previous = self.sessions.insert(device.dev_eui, session);
        let keys = &device.activation;
        let payload = match frame.f_port {
            None | Some(0) => Vec::new(),
            Some(_) => frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, session.f_cnt_up),
        };
        let uplink = Uplink {
            f_cnt: session.f_cnt_up,
            f_port: frame.f_port,
            payload,
            confirmed: frame.confirmed,
            adr: frame.adr,
            replayable: session.replayable(),
        };
        Ok(Accepted { device, uplink, session, previous })
    }

    fn judge(&self, device: &Device, frame: &DataFrame<'_>, now: Timestamp) -> Advance {
        Session::advance(
            self.sessions.get(&device.dev_eui),
            frame.f_cnt,
            frame.mic,
            &device.profile.counter,
            now,
            |f_cnt| frame.mic_matches(&device.activation.nwk_s_key, f_cnt),
        )
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
