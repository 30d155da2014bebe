//! What goes into the server.

use crate::units::{Db, Hertz, LoRa};
use jiff::Timestamp;
use std::time::Duration;

/// A frame as the radio received it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The PHYPayload.
    pub phy: &'a [u8],
    /// When its reception ended.
    pub at: Timestamp,
    /// How long ago that was: a forwarder that was cut off brings what it kept.
    pub age: Duration,
    /// Whether `at` can be told to others.
    pub synced: bool,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How it was modulated.
    pub modulation: LoRa,
    /// Signal-to-noise ratio at the best receiver.
    pub snr: Db,
    /// How many receivers heard it.
    pub receivers: usize,
}
