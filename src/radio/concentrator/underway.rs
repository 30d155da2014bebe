//! Transmissions that a concentrator has been given, until it says what becomes of them.

use crate::radio::Transmission;
use crate::units::GatewayEui;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Forwarders of protocol version 1 send no TX_ACK, and one may be lost on the way. After this
/// time without a word the transmission counts as taken.
pub(super) const ACK_PATIENCE: Duration = Duration::from_secs(2);

/// How many may be under way: as many as all concentrators of a site send in that time.
const MAX_UNDERWAY: usize = 256;

/// Those of which nothing has been said yet, oldest first.
#[derive(Debug)]
pub(super) struct Underway {
    waiting: VecDeque<Waiting>,
    token: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) gateway: GatewayEui,
    token: u16,
    due: Instant,
}

impl Underway {
    /// Tokens begin anywhere, so that a TX_ACK from before a restart matches nothing.
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), token: fastrand::u16(..) }
    }

    /// Enters one and returns its token.
    pub(super) fn enter(&mut self, transmission: &Transmission, now: Instant) -> u16 {
        self.token = self.token.wrapping_add(1);
        let Transmission { id, gateway, .. } = *transmission;
        let due = now + ACK_PATIENCE;
        self.waiting.push_back(Waiting { id, gateway, token: self.token, due });
        self.token
    }

    /// Takes out the one that this concentrator speaks of.
    pub(super) fn take(&mut self, gateway: GatewayEui, token: u16) -> Option<Waiting> {
        let at = self.waiting.iter().position(|w| w.gateway == gateway && w.token == token)?;
        self.waiting.remove(at)
    }

    /// Takes out the next one that nobody spoke of in time.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Waiting> {
        self.waiting.pop_front_if(|waiting| waiting.due <= now)
    }

    /// When to look for those.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    /// Whether there is no room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_UNDERWAY
    }
}
