//! What a forwarder shares with the rest of the gateway.

use super::command::Command;
use serde_json::Value;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What went to one tenant's broker, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages acknowledged by the broker.
    pub delivered: AtomicU64,
    /// Messages refused by the broker, each time it did so.
    pub refused: AtomicU64,
    /// Whether it refuses some of what waits.
    pub refuses: AtomicBool,
    /// Messages that are set aside, since the broker does not take them.
    pub set_aside: AtomicU64,
    /// Connections that the broker accepted.
    pub connections: AtomicU64,
    /// Attempts to connect that failed.
    pub attempts_failed: AtomicU64,
    /// Measurements that were given up to save the bytes of a metered line.
    pub thinned: AtomicU64,
    /// Messages that wait in the outbox.
    pub waiting: AtomicU64,
    /// Whether there is a connection now.
    pub connected: AtomicBool,
    /// Messages that came in on command topics.
    pub commands: AtomicU64,
    /// Those of them that were not passed on: retained, too large, misnamed, or without a
    /// readable id.
    pub commands_refused: AtomicU64,
    /// How often the broker refused the connection for commands, or the subscription.
    pub subscriptions_refused: AtomicU64,
    /// Whether no commands can come, as was told.
    pub deaf: AtomicBool,
    /// Why there is no connection, since the last one.
    outage: Mutex<Option<Outage>>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// What became of the last attempt.
    pub reason: String,
    /// When the next one is.
    pub next: Instant,
}

impl Counters {
    /// Why there is no connection; none while there is one, and before the first attempt.
    pub fn outage(&self) -> Option<Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_outage(&self, outage: Option<Outage>) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = outage;
    }
}

/// What a forwarder shares with the rest of the gateway.
#[derive(Clone)]
pub struct Shared {
    /// Told when there are new messages in the outbox.
    pub news: Arc<Notify>,
    /// Read by whoever wants to know.
    pub counters: Arc<Counters>,
    /// The body of the health message, as of now.
    pub health: Arc<dyn Fn() -> Value + Send + Sync>,
    /// Takes a command, which is answered later by a message in the outbox; or gives it back when
    /// there is no room for it now. Must not block.
    pub commands: Arc<dyn Fn(Command) -> Result<(), Command> + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters).finish_non_exhaustive()
    }
}
