//! What is remembered of a device between frames.

use super::counter::Counter;
use super::frame::{MicKey, key_check};
use super::link::Link;
use crate::device::{Abp, Activation, Device, Otaa, Registry};
use crate::units::{DevEui, TenantId};
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
    /// What several tenants' stores remember of these devices. A device that changed its owner, or
    /// came back, has left its past behind in more than one: the latest holds, by the number of
    /// its join or by its counter. What was made with other keys says nothing, no join is
    /// forgotten, and nothing that waits under one owner is handed on to another.
    pub fn gather(stores: Vec<(TenantId, Self)>, registry: &Registry) -> Self {
        let bindings: HashMap<_, _> =
            registry.iter().map(|d| (d.dev_eui, (binding(&d.activation), &d.tenant))).collect();
        let mut all = Self::default();
        let mut latest: HashMap<DevEui, Rank> = HashMap::new();
        for (tenant, mut store) in stores {
            let owns = |dev_eui: &DevEui| bindings.get(dev_eui).is_some_and(|b| *b.1 == tenant);
            let fits = |dev_eui: &DevEui, binding: &Binding| {
                bindings.get(dev_eui).is_some_and(|b| b.0 == *binding)
            };
            store.joins.retain(|dev_eui, joins| fits(dev_eui, &joins.binding));
            store.sessions.retain(|(dev_eui, _), session| fits(dev_eui, &session.binding));
            let mut ranks: HashMap<DevEui, Rank> = HashMap::new();
            for ((dev_eui, _), session) in &store.sessions {
                let rank = ranks.entry(*dev_eui).or_default();
                rank.join_nonce = store.joins.get(dev_eui).map_or(0, |joins| joins.join_nonce);
                rank.counter = rank.counter.max(session.counter.map(|c| c.high_water));
                rank.owner = owns(dev_eui);
            }
            ranks.retain(|dev_eui, rank| latest.get(dev_eui).is_none_or(|known| *known < *rank));
            all.sessions.retain(|(dev_eui, _), _| !ranks.contains_key(dev_eui));
            let better = |(key, _): &((DevEui, Slot), Session)| ranks.contains_key(&key.0);
            all.sessions.extend(store.sessions.into_iter().filter(better));
            latest.extend(ranks);
            for (dev_eui, joins) in store.joins {
                let known = all.joins.entry(dev_eui).or_insert_with(|| joins.clone());
                known.join_nonce = known.join_nonce.max(joins.join_nonce);
                known.dev_nonces.extend(joins.dev_nonces);
            }
            all.downlinks.extend(store.downlinks.into_iter().filter(|(dev_eui, _)| owns(dev_eui)));
        }
        all
    }
}

/// How late what a store remembers of a device is, the most telling first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    join_nonce: u32,
    counter: Option<u32>,
    owner: bool,
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
    /// The counter under which it is on its way.
    pub(super) sending: Option<u32>,
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
    /// Which downlink has gone on its way.
    pub(super) sending: Option<String>,
    /// How often the uplink before was acknowledged again.
    pub(super) again: u8,
}

impl Undo {
    /// Whose frame it was.
    pub fn dev_eui(&self) -> DevEui {
        self.dev_eui
    }
}

pub(crate) fn binding(activation: &Activation) -> Binding {
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
