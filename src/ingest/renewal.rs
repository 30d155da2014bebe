//! Settings that were read again, between two frames: devices, how their payloads are read, bins and
//! residents. Sessions, what waits for devices, frames on their way and what is known stay.

use super::care::CareRules;
use super::disk::at_disk;
use super::{Decoding, Ingest};
use crate::bins::Rules;
use crate::care::Resident;
use crate::codec::Codec;
use crate::device::Registry;
use crate::lorawan::Memory;
use crate::store::{RESCUED, Room, StoreError};
use crate::units::{DevEui, TenantId};
use std::collections::HashMap;
use std::fmt;
use tokio::sync::oneshot;

/// What is new.
pub struct Renewal {
    /// The devices that there are from now on.
    pub registry: Registry,
    /// How payloads are read, by the name of their profile.
    pub codecs: HashMap<String, Codec>,
    /// The way to where scripts are asked, if it was not needed before.
    pub decoding: Option<Decoding>,
    /// What is settled with each tenant.
    pub tenants: HashMap<TenantId, TenantRenewal>,
    /// Told what became of it.
    pub done: oneshot::Sender<Result<(), NotRenewed>>,
}

/// What is settled with a tenant.
#[derive(Debug)]
pub struct TenantRenewal {
    /// Its bins.
    pub bins: HashMap<String, Rules>,
    /// What its care goes by.
    pub care: CareRules,
    /// Its residents, each with the devices that their sensors are.
    pub residents: Vec<(Resident, Vec<DevEui>)>,
}

/// Why all is as before.
#[derive(Debug, thiserror::Error)]
pub enum NotRenewed {
    /// What is remembered of devices cannot be read.
    #[error("what is remembered of devices cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The disk takes nothing: what it has of devices is not what is known.
    #[error("the disk takes nothing of tenant {0} at the moment; try again when it does")]
    Disk(TenantId),
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("devices", &self.registry.len()).finish_non_exhaustive()
    }
}

impl Ingest {
    /// Goes on with other settings, or says why not.
    pub(super) fn renew(&mut self, renewal: Renewal) {
        let Renewal { registry, codecs, decoding, tenants, done } = renewal;
        let renewed = self.memory(&registry).map(|memory| {
            self.server.renew(&registry, memory);
            self.codecs = codecs;
            if let Some(decoding) = decoding {
                self.decoding = decoding;
            }
            self.watch.renew(&self.server, self.clock.now().monotonic);
            self.renew_tenants(tenants);
        });
        // nobody waits any more: it holds all the same
        let _ = done.send(renewed);
    }

    /// What is remembered of these devices, with all that was heard so far.
    fn memory(&mut self, registry: &Registry) -> Result<Memory, NotRenewed> {
        self.commit_last();
        let mut memories = Vec::new();
        for (tenant, (sink, batch)) in &self.tenants {
            if batch.is_waiting() || batch.trouble.is_some() {
                return Err(NotRenewed::Disk(tenant.clone()));
            }
            memories.push((tenant.clone(), at_disk(&self.pulse, || sink.store.memory())?));
        }
        Ok(Memory::gather(memories, registry))
    }

    fn renew_tenants(&mut self, mut tenants: HashMap<TenantId, TenantRenewal>) {
        let now = self.clock.now();
        for (tenant, (sink, _)) in &mut self.tenants {
            if let Some(TenantRenewal { bins, .. }) = tenants.get_mut(tenant) {
                sink.tours.bins.renew(std::mem::take(bins));
            }
        }
        self.of_care(|tenant, sink| match tenants.remove(tenant) {
            Some(TenantRenewal { care, residents, .. }) => {
                // what cannot be read may have been withdrawn
                let lost = |_| vec![(RESCUED.to_owned(), String::new())];
                let consents = sink.store.states(Room::Consent).unwrap_or_else(lost);
                sink.care.renew(care, residents, consents, now)
            }
            None => Default::default(),
        });
    }
}
