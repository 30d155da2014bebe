//! What a LoRa packet looks like on the air, and whether a receiver tuned in some way hears it.

use crate::units::{Hertz, LoRa};
use std::time::Duration;

/// The sync word of public networks such as LoRaWAN, as the SX1262 writes it (0x34 on SX1276).
pub const PUBLIC_SYNC_WORD: u16 = 0x3444;

/// Preamble symbols that a receiver has to hear before it is sure of a packet. Neither data sheet
/// gives a number; LoRaMac-node opens its windows so that six fit in.
const DETECTION_SYMBOLS: u32 = 6;

/// Everything about a packet but its bytes: how a transmitter makes it, or what a receiver is
/// tuned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// The channel's centre.
    pub frequency: Hertz,
    /// Spreading factor and bandwidth.
    pub modulation: LoRa,
    /// Check bits per four data bits: 1 is coding rate 4/5, 4 is 4/8.
    pub code_rate: u8,
    /// Low-data-rate optimisation: two bits fewer in each payload symbol. Sender and receiver
    /// have to agree; nothing in the packet says it.
    pub low_data_rate: bool,
    /// Symbols of the preamble, sync word not counted.
    pub preamble: u16,
    /// A header tells length, coding rate and checksum.
    pub explicit_header: bool,
    /// The payload is followed by a checksum.
    pub crc: bool,
    /// IQ inverted, as in LoRaWAN downlinks: a receiver for the other kind hears nothing.
    pub inverted: bool,
    /// The sync word as the SX1262 writes it.
    pub sync_word: u16,
}

impl Signal {
    /// As a LoRaWAN end device sends: checksum on, IQ as it is.
    pub fn uplink(frequency: Hertz, modulation: LoRa) -> Self {
        let symbol = symbol_time(modulation);
        Self {
            frequency,
            modulation,
            code_rate: 1,
            low_data_rate: symbol > Duration::from_millis(16),
            preamble: 8,
            explicit_header: true,
            crc: true,
            inverted: false,
            sync_word: PUBLIC_SYNC_WORD,
        }
    }

    /// As a LoRaWAN gateway answers: no checksum, IQ inverted.
    pub fn downlink(frequency: Hertz, modulation: LoRa) -> Self {
        Self { crc: false, inverted: true, ..Self::uplink(frequency, modulation) }
    }

    /// How long one symbol takes.
    pub fn symbol(&self) -> Duration {
        symbol_time(self.modulation)
    }

    /// How long a packet of `len` bytes takes: DS.SX1261-2.W.APP, section 6.1.4, which gives the
    /// same as AN1200.13 for SF7 and slower.
    pub fn time_on_air(&self, len: usize) -> Duration {
        let sf = i64::from(self.modulation.spreading_factor);
        let slow = sf >= 7;
        let crc = if self.crc { 16 } else { 0 };
        let header = if self.explicit_header { 20 } else { 0 };
        let bits = 8 * len as i64 + crc - 4 * sf + if slow { 8 } else { 0 } + header;
        let group = 4 * if self.low_data_rate { sf - 2 } else { sf };
        let groups = (bits.max(0) + group - 1) / group;
        let payload = 8 + groups as u32 * (4 + u32::from(self.code_rate));
        self.preamble_time() + self.symbol() * payload
    }

    /// From the first symbol to the end of the sync word and the start-of-frame delimiter.
    fn preamble_time(&self) -> Duration {
        let quarters = if self.modulation.spreading_factor >= 7 { 17 } else { 25 };
        self.symbol() * (4 * u32::from(self.preamble) + quarters) / 4
    }

    /// From the first symbol to the end of the header: preamble and the first eight symbols.
    pub(super) fn header_time(&self) -> Duration {
        self.preamble_time() + self.symbol() * 8
    }

    /// When a receiver that listens since `late` after the packet's first symbol is sure of its
    /// preamble; `None` if it came too late for that.
    pub(super) fn detection_time(&self, late: Duration) -> Option<Duration> {
        let detected = late + self.symbol() * DETECTION_SYMBOLS;
        (detected <= self.symbol() * u32::from(self.preamble)).then_some(detected)
    }

    /// Whether a receiver tuned like `self` notices a packet like `other` at all. It tolerates an
    /// offset of a quarter of the bandwidth.
    pub(super) fn notices(&self, other: &Signal) -> bool {
        self.modulation == other.modulation
            && self.inverted == other.inverted
            && self.sync_word == other.sync_word
            && self.frequency.0.abs_diff(other.frequency.0) <= self.modulation.bandwidth.0 / 4
    }

    /// Whether a receiver that noticed `other` also understands it.
    pub(super) fn understands(&self, other: &Signal) -> bool {
        self.low_data_rate == other.low_data_rate && self.explicit_header == other.explicit_header
    }

    /// Whether two packets at the same time spoil each other: the same spreading, the same
    /// channel. That inverted IQ helps a little is left out: the worse case is the better test.
    pub(super) fn disturbs(&self, other: &Signal) -> bool {
        self.modulation == other.modulation
            && self.frequency.0.abs_diff(other.frequency.0) < self.modulation.bandwidth.0 / 2
    }
}

fn symbol_time(modulation: LoRa) -> Duration {
    let chips = 1_000_000_000u64 << modulation.spreading_factor;
    Duration::from_nanos(chips / u64::from(modulation.bandwidth.0))
}
