//! The rest of the gateway, as planning sees it.

use super::inlet::Inlet;
use crate::bins::{Rules, View};
use crate::care::Resident;
use crate::care::escalation::Chain;
use crate::config::{Buffer, Household, PlanKind, Settings, Tenant};
use crate::device::Registry;
use crate::ingest::{CareRules, Input};
use crate::planning::{self, House, Planned};
use crate::store::Bounds;
use crate::units::{DevEui, PlanName, TenantId};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// How long the ingest loop may take to tell the levels: a write to a slow card is done by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ingest loop and this machine.
pub(super) struct Neighbours {
    inlet: Inlet,
    /// A question to the loop that it has not come to yet.
    probe: Option<Receiver<()>>,
}

impl Neighbours {
    pub(super) fn new(inlet: Inlet) -> Self {
        Self { inlet, probe: None }
    }
}

impl planning::Host for Neighbours {
    /// A loop that has not come to a question since the last look has frames to take in.
    fn busy(&mut self) -> bool {
        if let Some(probe) = &self.probe
            && probe.try_recv() == Err(TryRecvError::Empty)
        {
            return true;
        }
        let (reached, probe) = sync_channel(1);
        self.probe = Some(probe);
        // nobody asks any more: no matter
        !self.inlet.look(move |_| {
            let _ = reached.try_send(());
        })
    }

    fn temperature(&self) -> Option<i64> {
        planning::temperature()
    }
}

impl House for Neighbours {
    fn deliver(&self, planned: &Planned) -> bool {
        self.inlet.pass(Input::Planned(planned.clone())).is_ok()
    }

    fn bins(&self, tenant: &TenantId) -> Option<HashMap<String, View>> {
        let (tell, told) = sync_channel(1);
        let tenant = tenant.clone();
        let asked = self.inlet.look(move |sight| {
            let bins = sight.bins.iter().find(|(id, _)| **id == tenant);
            let _ = tell.try_send(bins.map(|(_, bins)| bins.views()));
        });
        if !asked {
            return None;
        }
        told.recv_timeout(PATIENCE).ok().flatten()
    }
}

/// How much may wait for a broker.
pub(super) fn bounds(buffer: &Buffer) -> Bounds {
    let day = Duration::from_secs(24 * 3600);
    Bounds { bytes: u64::from(buffer.max_mb) * 1_000_000, age: day * buffer.max_days }
}

/// The plans that are made for a tenant.
pub(super) fn plans(settings: &Settings, tenant: &TenantId) -> Vec<PlanName> {
    let theirs = settings.plan.iter().filter(|(_, plan)| plan.tenant == *tenant);
    theirs.map(|(name, _)| name.clone()).collect()
}

/// What is settled about the bins of a tenant's devices.
pub(super) fn bins(
    tenant: &Tenant,
    settings: &Settings,
    registry: &Registry,
) -> HashMap<String, Rules> {
    let devices = registry.iter().filter(|device| device.tenant == tenant.id);
    let rules = devices.filter_map(|device| {
        let id = device.bin.as_deref()?;
        let bin = settings.bin.get(id).cloned().unwrap_or_default().seen_by(&device.profile);
        Some((id.to_owned(), bin.rules(&tenant.timezone.0)))
    });
    rules.collect()
}

/// What a tenant's care goes by.
pub(super) fn care(tenant: &Tenant, settings: &Settings) -> CareRules {
    let mut rules = CareRules {
        gateway: settings.gateway.to_string(),
        chain: tenant.escalation.as_ref().map_or_else(Chain::default, |own| own.chain()),
        erase_after: tenant.erase_after,
        plans: HashMap::new(),
    };
    for (name, plan) in &settings.plan {
        if plan.tenant == tenant.id && plan.kind == PlanKind::Patrol {
            for visit in &plan.visit {
                rules.plans.entry(visit.id.clone()).or_default().push(name.clone());
            }
        }
    }
    rules
}

/// The residents of a tenant, each with the devices in their home.
pub(super) fn residents(tenant: &Tenant, households: &[Household]) -> Vec<(Resident, Vec<DevEui>)> {
    let theirs = households.iter().filter(|household| household.tenant == tenant.id);
    theirs.map(|household| (household.resident.clone(), household.devices.clone())).collect()
}
