//! What an uplink says, before it is accepted.

use super::counter::Advance;
use super::frame::{Direction, Frame};
use super::received::Received;
use super::server::EdgeServer;
use crate::device::Device;
use std::sync::Arc;

/// An uplink that would be accepted now.
#[derive(Debug)]
pub struct Ahead {
    /// Of which device.
    pub device: Arc<Device>,
    /// On which port, if it has one.
    pub f_port: Option<u8>,
    /// What it says; nothing of one that speaks to the network.
    pub payload: Vec<u8>,
    /// Whether the device is, as far as is known, to be answered.
    pub wants_answer: bool,
}

impl EdgeServer {
    /// Reads an uplink without accepting it: nothing changes by that, and the same frame is
    /// accepted later as if it had just been heard. `None` of one that is no new uplink.
    pub fn read_ahead(&self, received: &Received<'_>) -> Option<Ahead> {
        let frame = match Frame::parse(received.phy).ok()? {
            Frame::Data(frame) if frame.direction == Direction::Up => frame,
            _ => return None,
        };
        let (dev_eui, slot, advance) = self.whose(&frame, received.at).ok()?;
        let Advance::Next(counter, _) = advance else { return None };
        let known = self.devices.get(&dev_eui)?;
        let keys = known.session(slot)?.keys(&known.device)?;
        let payload = match frame.f_port {
            None | Some(0) => Vec::new(),
            Some(_) => frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, counter.f_cnt_up),
        };
        Some(Ahead {
            device: Arc::clone(&known.device),
            f_port: frame.f_port,
            payload,
            wants_answer: frame.confirmed || !known.waiting.is_empty(),
        })
    }
}
