//! What goes into the [`Schedule`](super::Schedule) and what comes out of it.

use crate::eu868::SubBand;
use crate::eu868::ledger::{Record, Refused};
use crate::radio::{Transmission, TxError};
use crate::units::{GatewayEui, Hertz, LoRa};
use std::time::Duration;

/// A downlink that answers an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The PHYPayload.
    pub phy: Vec<u8>,
    /// When the device listens, earlier first.
    pub windows: Vec<Window>,
}

/// A time at which a device listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Which of the two it is.
    pub rx: RxWindow,
    /// From the end of the uplink to the start of the answer.
    pub delay: Duration,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How the device expects it to be modulated.
    pub modulation: LoRa,
}

/// Which of the two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RxWindow {
    /// The first.
    Rx1,
    /// The second.
    Rx2,
}

/// A transmission to be handed over, and what must be on disk before.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// To the front end of its gateway.
    pub transmission: Transmission,
    /// The airtime that it uses.
    pub airtime: Airtime,
}

/// The airtime of one transmission, as it outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Airtime {
    /// The gateway that sends.
    pub gateway: GatewayEui,
    /// When, how long, where.
    pub record: Record,
}

/// What is to be done about an answer, or what became of it. `T` is the caller's own mark.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<T> {
    /// Hand this over. There will be another outcome.
    Transmit(Order),
    /// It was sent.
    Sent {
        /// The caller's mark.
        tag: T,
        /// In which window.
        window: RxWindow,
        /// How.
        order: Order,
    },
    /// It was not sent, or nobody knows.
    Failed {
        /// The caller's mark.
        tag: T,
        /// Why the first choice failed.
        reason: Failure,
    },
}

/// What a report leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<T> {
    /// Airtime that was not used after all.
    pub unused: Option<Airtime>,
    /// What is next.
    pub outcome: Outcome<T>,
}

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its time is over, or too near.
    #[error("too late")]
    TooLate,
    /// The law, or another transmission of the same gateway.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] TxError),
    /// The gateway never said what became of it. It may have been sent.
    #[error("the gateway never reported")]
    NoReport,
    /// Too much is on its way already.
    #[error("too many transmissions are on their way")]
    Crowded,
    /// Nobody received the uplink, so nobody can answer.
    #[error("no receiver")]
    NoReceiver,
}

impl Failure {
    /// Whether it may have been sent all the same.
    pub fn is_unsure(self) -> bool {
        matches!(self, Self::NoReport | Self::Gateway(TxError::Unsure))
    }
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent in the first window.
    pub rx1: u64,
    /// Sent in the second window.
    pub rx2: u64,
    /// Answers that were not sent.
    pub failed: u64,
    /// Choices refused because of the duty cycle.
    pub duty_cycle: u64,
    /// Choices refused because the gateway sends something else at that time.
    pub overlap: u64,
    /// Choices refused because their time was over or too near.
    pub late: u64,
    /// Choices on a channel that lies in no sub-band.
    pub no_band: u64,
    /// Transmissions that a gateway refused, or failed to send.
    pub errors: u64,
    /// Transmissions of which no gateway ever reported.
    pub unreported: u64,
    /// Answers for which there was no room.
    pub crowded: u64,
}

/// The duty cycle of a sub-band was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// Whose.
    pub gateway: GatewayEui,
    /// Where.
    pub band: &'static SubBand,
}
