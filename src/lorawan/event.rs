//! What comes out of the server.

use super::answer::Answer;
use super::frame::FrameError;
use super::mac::DevStatus;
use super::session::{Changes, Undo};
use crate::device::Device;
use crate::units::{DevAddr, DevEui, JoinEui};
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
    /// How many uplinks of this session before it were not heard.
    pub missed: u32,
    /// Whether this is the first uplink after a counter reset that the profile allows.
    pub began_anew: bool,
}

/// What an accepted frame was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Data.
    Uplink(Uplink),
    /// The device joined, and has this address now.
    Join(DevAddr),
    /// The last confirmed uplink once more: its acknowledgement was lost. Its data is known.
    Again,
}

/// What else became known with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The device said how it is.
    Status(DevStatus),
    /// What became of a confirmed downlink.
    Acknowledged {
        /// Its id.
        id: String,
        /// Its counter.
        f_cnt: u32,
        /// Whether the device has it.
        acknowledged: bool,
    },
    /// A downlink waited too long.
    Expired(String),
    /// A downlink is longer than the device's data rate allows: this many bytes.
    TooLong(String, usize),
    /// The device was asked often to stay on the channel, and does not.
    NotPinned,
}

/// A frame that is new and authentic. Not yet durable.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Who sent it.
    pub device: Arc<Device>,
    /// What it was.
    pub event: Event,
    /// What else became known.
    pub news: Vec<News>,
    /// What is to be made durable together with the frame's messages, before the answer leaves.
    pub changes: Changes,
    /// What is to be answered.
    pub answer: Option<Answer>,
    /// How to go back, should that fail.
    pub undo: Undo,
}

/// Why a frame was not accepted. Each is counted, none is an error of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No LoRaWAN frame.
    #[error("not LoRaWAN: {0}")]
    NotLoRaWan(FrameError),
    /// A frame type that this gateway does not serve: another gateway's downlink.
    #[error("not an uplink")]
    NotUplink,
    /// No registered device has this address: somebody else's sensor.
    #[error("DevAddr {0} is not registered")]
    UnknownDevAddr(DevAddr),
    /// A device that is not registered asks to join: somebody else's sensor.
    #[error("device {0} is not registered")]
    UnknownDevEui(DevEui),
    /// The address is known but no key fits: somebody else's sensor, a wrong key, a forgery.
    #[error("no device at DevAddr {0} has a key that fits")]
    BadMic(DevAddr),
    /// The join request was not made with the device's AppKey.
    #[error("the join request of device {0} does not fit its AppKey")]
    BadJoinMic(DevEui),
    /// A device with a fixed session asks to join.
    #[error("device {0} has a fixed session and asks to join")]
    JoinOfAbp(DevEui),
    /// An authentic join request for another join server.
    #[error("device {0} asks for JoinEUI {1}")]
    WrongJoinEui(DevEui, JoinEui),
    /// An authentic join request that was kept until the device listens no longer. It may have
    /// joined meanwhile by another one, whose session must not be replaced.
    #[error("the join request of device {0} comes too late")]
    LateJoin(DevEui),
    /// A device joins again and again, and never uses what it is given.
    #[error("device {0} joins too often")]
    JoinsTooOften(DevEui),
    /// An authentic join request of the past.
    #[error("device {0} used a DevNonce again")]
    JoinReplay(DevEui),
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
