//! The sessions of devices on their way to another gateway: a device whose session stays behind is
//! not heard there until it joins anew, and one with a fixed session never answered again.
//!
//! One JSON document. There are keys in it.

use super::copy::Counters;
use super::{Store, StoreError, copy, failed, memory};
use crate::lorawan::{Binding, Joins, Memory};
use crate::units::{DevEui, GatewayId, TenantId};
use jiff::Timestamp;
use rusqlite::TransactionBehavior;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// What such a document says of itself.
const FORMAT: &str = "lykta sessions 1";

/// A document with sessions.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_debug_implementations, reason = "there are keys in it")]
pub struct Transfer {
    format: String,
    /// Where it comes from.
    pub gateway: GatewayId,
    /// Whose devices they are.
    pub tenant: TenantId,
    /// When it was written.
    pub time: Timestamp,
    /// By DevEUI, as they are remembered.
    sessions: BTreeMap<String, Box<RawValue>>,
    joins: BTreeMap<DevEui, Joined>,
}

/// What must never happen twice.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Joined {
    /// In hexadecimal.
    binding: String,
    join_nonce: u32,
    dev_nonces: BTreeSet<u16>,
}

/// A document that is none, or damaged.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It is no such document.
    #[error("no export of sessions, or not a whole one: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("its format is {0:?}, and {FORMAT:?} is understood")]
    Format(String),
    /// One session cannot be read.
    #[error("the session of {0} is damaged")]
    Session(String),
}

/// What became of the sessions of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Devices that were not known here.
    pub new: usize,
    /// Devices that were known here, and less well.
    pub newer: usize,
    /// Devices that are known here as well, or better.
    pub known: usize,
}

impl Transfer {
    /// Of what is remembered of a tenant's devices.
    pub fn new(gateway: GatewayId, tenant: TenantId, time: Timestamp, memory: &Memory) -> Self {
        let session = |((dev_eui, slot), session): (&(DevEui, _), _)| {
            let (key, body) = memory::word(*dev_eui, *slot, Some(session));
            let body = RawValue::from_string(body.unwrap_or_default());
            (key, body.expect("a session is JSON"))
        };
        let joined = |(dev_eui, joins): (&DevEui, &Joins)| {
            let Joins { binding, join_nonce, dev_nonces } = joins.clone();
            (*dev_eui, Joined { binding: hex::encode(binding), join_nonce, dev_nonces })
        };
        Self {
            format: FORMAT.to_owned(),
            gateway,
            tenant,
            time,
            sessions: memory.sessions.iter().map(session).collect(),
            joins: memory.joins.iter().map(joined).collect(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it is none, or damaged.
    pub fn read(json: &[u8]) -> Result<Self, TransferError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let Head { format } = serde_json::from_slice(json)?;
        match format == FORMAT {
            true => Ok(serde_json::from_slice(json)?),
            false => Err(TransferError::Format(format)),
        }
    }

    /// What it says of devices.
    ///
    /// # Errors
    /// When a session is damaged.
    pub fn memory(&self) -> Result<Memory, TransferError> {
        let mut memory = Memory::default();
        for (key, body) in &self.sessions {
            let damaged = || TransferError::Session(key.clone());
            let (key, session) = memory::said(key, body.get()).ok_or_else(damaged)?;
            memory.sessions.insert(key, session);
        }
        for (dev_eui, joined) in &self.joins {
            let mut joins = Joins {
                binding: Binding::default(),
                join_nonce: joined.join_nonce,
                dev_nonces: joined.dev_nonces.clone(),
            };
            hex::decode_to_slice(&joined.binding, &mut joins.binding)
                .map_err(|_| TransferError::Session(dev_eui.to_string()))?;
            memory.joins.insert(*dev_eui, joins);
        }
        Ok(memory)
    }
}

impl Store {
    /// Takes over what another gateway remembers of devices, where it knows more: of those that are
    /// not known here, or have joined or been heard there since. The counters of their downlinks
    /// jump ahead of whatever it may have sent meanwhile.
    ///
    /// # Errors
    /// When the database cannot be read or written; nothing is taken then.
    pub fn take_over(&mut self, theirs: &Memory) -> Result<Taken, StoreError> {
        let mine = self.memory()?;
        let mut known: BTreeSet<DevEui> =
            mine.sessions.keys().map(|(dev_eui, _)| *dev_eui).collect();
        known.extend(mine.joins.keys());
        let (mut here, mut new) = (Memory::default(), Memory::default());
        for (key, session) in &theirs.sessions {
            let memory = if known.contains(&key.0) { &mut here } else { &mut new };
            memory.sessions.insert(*key, session.clone());
        }
        for (dev_eui, joins) in &theirs.joins {
            let memory = if known.contains(dev_eui) { &mut here } else { &mut new };
            memory.joins.insert(*dev_eui, joins.clone());
        }
        let newer = copy::missing(&mine, &here, None);
        let new = copy::missing(&Memory::default(), &new, Some(&Counters::new()));
        let devices = |memory: &Memory| {
            let of_sessions = memory.sessions.keys().map(|(dev_eui, _)| *dev_eui);
            of_sessions.chain(memory.joins.keys().copied()).collect::<BTreeSet<_>>().len()
        };
        let mut take = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let recent = memory::restore(&tx, &newer, self.recent)?;
            let recent = memory::restore(&tx, &new, recent)?;
            tx.commit()?;
            Ok(recent)
        };
        self.recent = take().map_err(|e| failed(self.database.file(), e))?;
        let now = self.clock.now().monotonic;
        self.refresh_copy(now);
        let (new, newer) = (devices(&new), devices(&newer));
        Ok(Taken { new, newer, known: devices(theirs) - new - newer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::lorawan::{Counter, Link, Session, Slot};

    fn joined(binding: Binding, join_nonce: u32, up: u32) -> Memory {
        let counter = Counter { f_cnt_up: up, high_water: up, reset_at: None };
        let session = Session {
            derived: None,
            counter: Some(counter),
            f_cnt_down: 1,
            link: Link::default(),
            binding,
        };
        let joins = Joins { binding, join_nonce, dev_nonces: [3].into() };
        Memory {
            sessions: [((DevEui(1), Slot::Active), session)].into(),
            joins: [(DevEui(1), joins)].into(),
            ..Memory::default()
        }
    }

    #[test]
    fn a_session_of_another_key_does_not_replace_the_one_that_works() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(&dir.path().join("t.db"), &Clock::system()).expect("opens");
        store.take_over(&joined([2; 8], 1, 500)).expect("takes");
        let here = store.memory().expect("reads");
        // there it has joined often, and with the key of then
        let taken = store.take_over(&joined([1; 8], 50, 7)).expect("takes");
        assert_eq!(taken, Taken { known: 1, ..Taken::default() });
        assert_eq!(store.memory().expect("reads"), here);
        // nor does one of a device that joins replace that of one that does not
        let fixed = Memory { joins: Default::default(), ..here };
        let mut store = Store::open(&dir.path().join("f.db"), &Clock::system()).expect("opens");
        store.take_over(&fixed).expect("takes");
        let here = store.memory().expect("reads");
        store.take_over(&joined([1; 8], 50, 7)).expect("takes");
        assert_eq!(store.memory().expect("reads"), here);
        // one that has joined anew with the same key does
        let taken = store.take_over(&joined([2; 8], 51, 7)).expect("takes");
        assert_eq!(taken, Taken { newer: 1, ..Taken::default() });
    }
}
