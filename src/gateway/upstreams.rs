//! The threads that bring to the brokers what waits for them.

use super::hats::Hats;
use super::inlet::Inlet;
use super::tenants::Waiting;
use super::worker::Worker;
use super::{GatewayError, house};
use crate::clock::Clock;
use crate::config::Settings;
use crate::ops::health::{RadioHealth, View};
use crate::planning::Board;
use crate::upstream::{Forwarder, Shared};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;

/// What all of them know.
pub(super) struct Outward<'a> {
    pub(super) settings: &'a Settings,
    pub(super) view: &'a Arc<View>,
    pub(super) hats: &'a Hats,
    pub(super) board: &'a Board,
    pub(super) inlet: &'a Inlet,
    pub(super) clock: &'a Clock,
    pub(super) stop: &'a watch::Receiver<bool>,
}

impl Outward<'_> {
    /// Starts that of a tenant.
    pub(super) fn spawn(&self, waiting: Waiting) -> Result<Worker, GatewayError> {
        let Waiting { tenant, outbox, news, counters } = waiting;
        let id = tenant.id;
        let plans = house::plans(self.settings, &id);
        let (view, hats, board) = (Arc::clone(self.view), self.hats.clone(), self.board.clone());
        let of = id.clone();
        let health = move || {
            let radios = RadioHealth { configured: hats.len(), failing: hats.failing() };
            json!(view.health(&of, (radios, hats.faults()), board.health(&plans)))
        };
        let shared = Shared {
            news,
            counters,
            health: Arc::new(health),
            commands: Arc::new(self.inlet.commands(id.clone())),
        };
        let (gateway, clock) = (&self.settings.gateway, self.clock.clone());
        let forwarder = Forwarder::new(gateway, &id, tenant.upstream, outbox, clock, shared)?;
        let name = format!("up-{id}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| GatewayError::Thread { name: name.clone(), source })?;
        let stop = self.stop.clone();
        Worker::spawn(name, move || {
            runtime.block_on(forwarder.run(stop));
            // a name server that does not answer would else hold up the stop
            runtime.shutdown_background();
        })
    }
}
