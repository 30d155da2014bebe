//! What each tenant has of its own at the start: a database and what it remembers, a place for what
//! is heard, and what waits for its broker.

use super::inlet::Inlet;
use super::{GatewayError, house, state};
use crate::clock::Clock;
use crate::config::{Household, Settings, Tenant};
use crate::device::Registry;
use crate::ingest::{Bins, Care, TenantSink, Tours};
use crate::lorawan::Memory;
use crate::message;
use crate::ops::health::TenantView;
use crate::ops::service;
use crate::planning::Desk;
use crate::store::{Database, Outbox, Room, Store};
use crate::units::TenantId;
use crate::upstream;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often the service manager is told that the start goes on.
const TELLS_START: Duration = Duration::from_secs(1);

/// What all tenants are opened with.
pub(super) struct Opening<'a> {
    pub(super) settings: &'a Settings,
    pub(super) registry: &'a Registry,
    pub(super) households: &'a [Household],
    pub(super) desk: &'a Desk,
    pub(super) inlet: &'a Inlet,
    pub(super) clock: &'a Clock,
}

/// All tenants, by what becomes of their parts.
#[derive(Default)]
pub(super) struct Tenants {
    /// What is remembered of devices.
    pub(super) memories: Vec<(TenantId, Memory)>,
    pub(super) sinks: HashMap<TenantId, TenantSink>,
    pub(super) views: Vec<TenantView>,
    /// The plans that held before, by name.
    pub(super) remembered: HashMap<String, String>,
    pub(super) waiting: Vec<Waiting>,
}

/// What waits for a tenant's broker.
pub(super) struct Waiting {
    pub(super) tenant: Tenant,
    pub(super) outbox: Outbox,
    pub(super) news: Arc<Notify>,
    pub(super) counters: Arc<upstream::Counters>,
}

impl Opening<'_> {
    /// Opens all databases.
    pub(super) fn tenants(&self) -> Result<Tenants, GatewayError> {
        let told = Cell::new(None::<Instant>);
        // a start that does something is not to be taken for one that hangs
        let at_work = || {
            if told.get().is_none_or(|at| at.elapsed() >= TELLS_START) {
                told.set(Some(Instant::now()));
                service::starting();
            }
        };
        let mut all = Tenants::default();
        for tenant in &self.settings.tenant {
            let file = state::database_file(&self.settings.state_dir, &tenant.id);
            let database = state::database(&file, tenant)?;
            let (store, outbox) = Store::open_telling(database.clone(), self.clock, &at_work)?;
            if store.is_renewed() {
                log::info!(
                    MESSAGE_ID = message::STORE_ENCRYPTED,
                    LYKTA_TENANT = tenant.id.as_str(),
                    LYKTA_FILE = file.display().to_string();
                    "the database of tenant {} is encrypted with its key from now on; what could be \
                     read without it was overwritten, what was set aside as well", tenant.id
                );
            }
            store.wake_by(self.inlet.waker());
            self.add(&mut all, tenant, database, store, outbox)?;
        }
        Ok(all)
    }

    fn add(
        &self,
        all: &mut Tenants,
        tenant: &Tenant,
        database: Database,
        store: Store,
        outbox: Outbox,
    ) -> Result<(), GatewayError> {
        let id = &tenant.id;
        all.memories.push((id.clone(), store.memory()?));
        let plans = house::plans(self.settings, id);
        let kept = store.states(Room::Plans)?.into_iter();
        all.remembered.extend(kept.filter(|(name, _)| plans.iter().any(|p| p.as_str() == name)));
        let bins = house::bins(tenant, self.settings, self.registry);
        let bins = Bins::new(bins, store.states(Room::Bins)?);
        let rules = house::care(tenant, self.settings);
        let residents = house::residents(tenant, self.households);
        let (kept, consents) = (store.states(Room::Care)?, store.states(Room::Consent)?);
        let care = Care::new(rules, residents, kept, consents, self.clock.now());
        let (news, counters) = (Arc::new(Notify::new()), Arc::default());
        let upstream = Arc::<upstream::Counters>::default();
        // before anybody adds to it
        upstream.waiting.store(outbox.waiting(), Relaxed);
        let bounds = house::bounds(&tenant.buffer);
        all.views.push(TenantView {
            id: id.clone(),
            kind: tenant.kind,
            database,
            bounds,
            counters: Arc::clone(&counters),
            upstream: Arc::clone(&upstream),
        });
        all.waiting.push(Waiting {
            tenant: tenant.clone(),
            outbox,
            news: Arc::clone(&news),
            counters: Arc::clone(&upstream),
        });
        let sink = TenantSink {
            kind: tenant.kind,
            store,
            bounds,
            news,
            upstream,
            counters,
            tours: Tours::new(bins, self.desk.of(plans)),
            care,
        };
        all.sinks.insert(id.clone(), sink);
        Ok(())
    }
}
