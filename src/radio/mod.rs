//! Frames in from the air. Today by concentrators that speak the Semtech UDP protocol.

pub mod concentrator;
pub mod dedup;
pub mod gwmp;

use crate::clock::Moment;
use crate::units::{Db, Dbm, GatewayEui, Hertz, LoRa};
use jiff::Timestamp;

/// A frame as it was heard: once on the air, by one or several receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The PHYPayload, CRC checked by the receiver.
    pub phy: Vec<u8>,
    /// When its reception ended, as well as this gateway knows.
    pub at: Moment,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How it was modulated.
    pub modulation: LoRa,
    /// The coding rate in Semtech's form, `4/5`.
    pub code_rate: String,
    /// Who received it, best first. Never empty.
    pub receptions: Vec<Reception>,
}

/// One receiver's view of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Reception {
    /// The concentrator.
    pub gateway: GatewayEui,
    /// The concentrator's own wall clock, if it has one.
    pub gateway_time: Option<Timestamp>,
    /// The concentrator's microsecond counter, which wraps every 71.6 minutes: the time base
    /// for an answer.
    pub tmst: u32,
    /// Received power.
    pub rssi: Dbm,
    /// Signal-to-noise ratio.
    pub snr: Db,
    /// Which of the concentrator's channels.
    pub channel: u32,
    /// Which of its radios.
    pub rf_chain: u32,
}
