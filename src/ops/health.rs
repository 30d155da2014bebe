//! How the gateway is, in numbers.

use super::status::{AirStatus, ConcentratorStatus, TenantStatus};
use crate::clock::{Clock, Moment};
use crate::config::TenantKind;
use crate::radio::{Outlet, concentrator};
use crate::units::TenantId;
use crate::{ingest, upstream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// One tenant's numbers.
#[derive(Debug)]
pub struct TenantView {
    /// Which tenant.
    pub id: TenantId,
    /// What its data is.
    pub kind: TenantKind,
    /// Its database.
    pub file: PathBuf,
    /// What became of its uplinks.
    pub counters: Arc<ingest::TenantCounters>,
    /// What went to its broker.
    pub upstream: Arc<upstream::Counters>,
}

impl TenantView {
    /// The numbers, with the size of the database.
    pub fn status(&self) -> TenantStatus {
        let wal = PathBuf::from(format!("{}-wal", self.file.display()));
        let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |file| file.len());
        let bytes = size(&self.file) + size(&wal);
        TenantStatus::new(&self.id, self.kind, &self.counters, &self.upstream, bytes)
    }
}

/// Everything that can be seen of a running gateway.
#[derive(Debug)]
pub struct View {
    clock: Clock,
    started: Moment,
    air: Arc<ingest::Counters>,
    udp: Arc<concentrator::Counters>,
    outlet: Outlet,
    tenants: Vec<TenantView>,
}

impl View {
    /// A view of these parts, started now.
    pub fn new(
        clock: Clock,
        air: Arc<ingest::Counters>,
        udp: Arc<concentrator::Counters>,
        outlet: Outlet,
        tenants: Vec<TenantView>,
    ) -> Self {
        let started = clock.now();
        Self { clock, started, air, udp, outlet, tenants }
    }

    /// What was heard on the air.
    pub fn air(&self) -> &ingest::Counters {
        &self.air
    }

    /// What came over UDP.
    pub fn concentrator(&self) -> &concentrator::Counters {
        &self.udp
    }

    /// How many good frames there was no room for.
    pub fn dropped(&self) -> u64 {
        self.outlet.dropped()
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.clock.now().monotonic.saturating_sub(self.started.monotonic)
    }

    /// Each tenant's numbers.
    pub fn tenants(&self) -> &[TenantView] {
        &self.tenants
    }

    /// The body of a tenant's health message: its own numbers. What the gateway hears as a
    /// whole is added only where there is no other tenant: the difference would tell one
    /// tenant when another's sensors speak, and so when somebody is up at night.
    pub fn health(&self, tenant: &TenantId) -> Value {
        let n = |counter: &AtomicU64| counter.load(Relaxed);
        let mut body = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeS": self.uptime().as_secs(),
            "dropped": self.outlet.dropped(),
        });
        if self.tenants.len() == 1 {
            body["air"] = json!(AirStatus::from(&*self.air));
            body["concentrator"] = json!(ConcentratorStatus::from(&*self.udp));
        }
        if let Some(view) = self.tenants.iter().find(|view| view.id == *tenant) {
            body["tenant"] = json!({
                "accepted": n(&view.counters.accepted),
                "joins": n(&view.counters.joins),
                "commits": n(&view.counters.commits),
                "notStored": n(&view.counters.not_stored),
                "notDecoded": n(&view.counters.not_decoded),
                "notMapped": n(&view.counters.not_mapped),
                "delivered": n(&view.upstream.delivered),
                "refused": n(&view.upstream.refused),
                "waiting": n(&view.upstream.waiting),
                "connections": n(&view.upstream.connections),
                "commands": n(&view.upstream.commands),
                "commandsRefused": n(&view.upstream.commands_refused),
                "subscriptionsRefused": n(&view.upstream.subscriptions_refused),
            });
        }
        body
    }

    /// One line for `systemctl status`.
    pub fn status(&self) -> String {
        let mut line = format!("{} frames heard", self.air.heard.load(Relaxed));
        for TenantView { id, counters, upstream, .. } in &self.tenants {
            let link = if upstream.connected.load(Relaxed) { "connected" } else { "no broker" };
            line.push_str(&format!(
                "; {id}: {} accepted, {} waiting, {link}",
                counters.accepted.load(Relaxed),
                upstream.waiting.load(Relaxed)
            ));
        }
        line
    }
}
