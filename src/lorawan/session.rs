//! What is remembered of a device between frames.

use super::counter::Counter;
use super::frame::{MicKey, key_check};
use super::link::Link;
use crate::device::{Abp, Activation, Device, Otaa};
use crate::units::DevEui;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// One activation of a device. On disk before anything follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Address and keys that came of a join; an ABP device has those of its settings.
    pub derived: Option<Abp>,
    /// Where the uplink counter stands; `None` before the first uplink.
    pub counter: Option<Counter>,
    /// The counter of the next downlink.
    pub f_cnt_down: u32,
    /// What is agreed with the device.
    pub link: Link,
    /// Which settings the session belongs to. A device with new ones begins anew.
    pub binding: Binding,
}

/// What a session belongs to: the address and a check value of the key of an ABP device, or a check value of
/// the AppKey. It does not give the key away: CMAC is one-way.
pub type Binding = [u8; 8];

impl Session {
    /// Address and keys.
    pub(super) fn keys<'a>(&'a self, device: &'a Device) -> Option<&'a Abp> {
        match (&self.derived, &device.activation) {
            (Some(derived), _) => Some(derived),
            (None, Activation::Abp(abp)) => Some(abp),
            (None, Activation::Otaa(_)) => None,
        }
    }
}

/// A device may have two sessions for a while: it has been answered a join, but whether it has heard
/// the answer shows only with the next uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Slot {
    /// The one in use.
    Active = 0,
    /// Joined, and not heard since.
    Pending = 1,
}

/// What must never happen twice: the numbers of a device's joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    /// Which AppKey they were made with.
    pub binding: Binding,
    /// The JoinNonce of the last answer.
    pub join_nonce: u32,
    /// Every DevNonce that was ever accepted. At most 65,536, each of an authentic request.
    pub dev_nonces: BTreeSet<u16>,
}

/// A payload for a device, which leaves after one of its next uplinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// Names it: the id of the command that brought it.
    pub id: String,
    /// The port, 1 to 223.
    pub f_port: u8,
    /// The payload in the clear.
    pub payload: Vec<u8>,
    /// Whether the device shall acknowledge it.
    pub confirmed: bool,
    /// From then on it is not sent any more.
    pub expires: Timestamp,
}

/// All that is remembered of all devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// Their sessions.
    pub sessions: HashMap<(DevEui, Slot), Session>,
    /// Their joins.
    pub joins: HashMap<DevEui, Joins>,
    /// What waits for them, oldest first.
    pub downlinks: Vec<(DevEui, Downlink)>,
}

impl Memory {
    /// Adds what another tenant's store remembers. A device that changed its owner left its past
    /// behind: of two sessions that with the greater counter holds, and no join is forgotten.
    pub fn merge(&mut self, other: Self) {
        for (key, session) in other.sessions {
            let age = |session: &Session| session.counter.map(|counter| counter.high_water);
            let known = self.sessions.entry(key).or_insert_with(|| session.clone());
            if age(known) < age(&session) {
                *known = session;
            }
        }
        for (dev_eui, joins) in other.joins {
            let known = self.joins.entry(dev_eui).or_insert_with(|| joins.clone());
            if known.binding == joins.binding {
                known.join_nonce = known.join_nonce.max(joins.join_nonce);
                known.dev_nonces.extend(joins.dev_nonces);
            }
        }
        self.downlinks.extend(other.downlinks);
    }
}

/// What must be on disk before an answer leaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Sessions as they are now; `None`: there is none any more.
    pub sessions: Vec<(Slot, Option<Session>)>,
    /// A join that was accepted.
    pub join: Option<Join>,
    /// Downlinks that wait no longer.
    pub ended: Vec<String>,
}

/// A join that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// See [`Joins::binding`]. Numbers under another binding are forgotten.
    pub binding: Binding,
    /// The number of the answer.
    pub join_nonce: u32,
    /// The number of the request.
    pub dev_nonce: u16,
}

/// A downlink that waits, and whether it is on its way.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) item: Downlink,
    pub(super) sending: bool,
}

/// The way back from an accepted frame.
#[derive(Debug, Clone)]
pub struct Undo {
    pub(super) dev_eui: DevEui,
    pub(super) sessions: Vec<(Slot, Option<Session>)>,
    /// The JoinNonce before a join, and the DevNonce that it used.
    pub(super) join: Option<(u32, u16)>,
    /// Downlinks that were taken out of the line.
    pub(super) waiting: Vec<Waiting>,
}

pub(super) fn binding(activation: &Activation) -> Binding {
    let mut binding = [0; 8];
    let (whose, check) = binding.split_at_mut(4);
    let (mark, key) = match activation {
        Activation::Abp(abp) => (abp.dev_addr.0.to_be_bytes(), &abp.nwk_s_key),
        Activation::Otaa(Otaa { app_key, .. }) => (*b"OTAA", app_key),
    };
    whose.copy_from_slice(&mark);
    check.copy_from_slice(&key_check(&MicKey::new(key)));
    binding
}
