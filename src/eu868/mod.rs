//! The law and the plan of the EU868 band, as data.
//!
//! Pure. Sources: LoRaWAN Regional Parameters RP002-1.0.4 (EU863-870) for channels, data rates
//! and payload sizes; ERC Recommendation 70-03 Annex 1 and ETSI EN 300 220-2 for sub-bands,
//! powers and duty cycles; Semtech AN1200.13 for the time on air.

pub mod ledger;

use crate::units::{Dbm, Hertz, LoRa};
use std::time::Duration;

/// The channels that every device knows and joins on: 868.1, 868.3, 868.5 MHz.
pub const DEFAULT_CHANNELS: [Hertz; 3] =
    [Hertz(868_100_000), Hertz(868_300_000), Hertz(868_500_000)];

/// The second answer window, unless the device was told otherwise with another data rate.
pub const RX2_FREQUENCY: Hertz = Hertz(869_525_000);

/// The data rate of the second answer window of a device that was told nothing.
pub const RX2_DATA_RATE: u8 = 0;

/// One data rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRate {
    /// How it is modulated.
    pub modulation: LoRa,
    /// Largest application payload (N) in bytes, without FOpts, where no repeater may be in
    /// the way.
    pub max_payload: usize,
}

const fn rate(spreading_factor: u8, bandwidth: u32, max_payload: usize) -> DataRate {
    let modulation = LoRa { spreading_factor, bandwidth: Hertz(bandwidth) };
    DataRate { modulation, max_payload }
}

/// DR0 to DR6. DR7 is FSK, which lykta does not use.
pub const DATA_RATES: [DataRate; 7] = [
    rate(12, 125_000, 51),
    rate(11, 125_000, 51),
    rate(10, 125_000, 51),
    rate(9, 125_000, 115),
    rate(8, 125_000, 242),
    rate(7, 125_000, 242),
    rate(7, 250_000, 242),
];

/// The data rate of this index.
pub fn data_rate(index: u8) -> Option<&'static DataRate> {
    DATA_RATES.get(usize::from(index))
}

/// The index of this modulation.
pub fn index(modulation: LoRa) -> Option<u8> {
    DATA_RATES.iter().position(|rate| rate.modulation == modulation).map(|i| i as u8)
}

/// A part of the band with a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubBand {
    /// Its edges in MHz, by which people and `lykta status` call it.
    pub name: &'static str,
    /// From here.
    pub from: Hertz,
    /// To here.
    pub to: Hertz,
    /// The share of an hour that one transmitter may send, in thousandths.
    pub duty_permille: u32,
    /// The greatest radiated power (ERP).
    pub power: Dbm,
}

/// Every part of the band in which lykta may send: K, L, M, N, P and Q of EN 300 220-2, which are
/// h1.3 to h1.7 and h1.9 of ERC Recommendation 70-03. The LoRaWAN practice counts 865 to 868 MHz
/// and 868.0 to 868.6 MHz separately, with budgets of their own.
pub const SUB_BANDS: [SubBand; 6] = [
    SubBand {
        name: "863.0-865.0",
        from: Hertz(863_000_000),
        to: Hertz(865_000_000),
        duty_permille: 1,
        power: Dbm(14.0),
    },
    SubBand {
        name: "865.0-868.0",
        from: Hertz(865_000_000),
        to: Hertz(868_000_000),
        duty_permille: 10,
        power: Dbm(14.0),
    },
    SubBand {
        name: "868.0-868.6",
        from: Hertz(868_000_000),
        to: Hertz(868_600_000),
        duty_permille: 10,
        power: Dbm(14.0),
    },
    SubBand {
        name: "868.7-869.2",
        from: Hertz(868_700_000),
        to: Hertz(869_200_000),
        duty_permille: 1,
        power: Dbm(14.0),
    },
    SubBand {
        name: "869.4-869.65",
        from: Hertz(869_400_000),
        to: Hertz(869_650_000),
        duty_permille: 100,
        power: Dbm(27.0),
    },
    SubBand {
        name: "869.7-870.0",
        from: Hertz(869_700_000),
        to: Hertz(870_000_000),
        duty_permille: 10,
        power: Dbm(14.0),
    },
];

/// The sub-band in which a LoRa channel of this bandwidth lies as a whole, edges included.
pub fn sub_band(centre: Hertz, bandwidth: Hertz) -> Option<&'static SubBand> {
    let half = bandwidth.0 / 2;
    let (low, high) = (centre.0.checked_sub(half)?, centre.0.checked_add(half)?);
    SUB_BANDS.iter().find(|band| low >= band.from.0 && high <= band.to.0)
}

/// The gain of a half-wave dipole over an isotropic antenna in dB: ERP + 2.15 = EIRP.
pub const DIPOLE_GAIN: f32 = 2.15;

/// How long a LoRa packet of `len` bytes is on the air, with a preamble of 8 symbols, an explicit
/// header, coding rate 4/5, and low-data-rate optimisation where a symbol takes longer than 16 ms.
/// `crc` is on in uplinks and off in downlinks. Takes any spreading factor from 5 to 12.
pub fn time_on_air(modulation: LoRa, len: usize, crc: bool) -> Duration {
    let sf = u64::from(modulation.spreading_factor);
    let bandwidth = u64::from(modulation.bandwidth.0);
    let symbol_ns = (1_000_000_000u64 << sf) / bandwidth;
    let low_rate = symbol_ns > 16_000_000;
    let bits = 8 * len as i64 - 4 * sf as i64 + 28 + if crc { 16 } else { 0 };
    let per_group = 4 * (sf as i64 - if low_rate { 2 } else { 0 });
    let groups = (bits.max(0) + per_group - 1) / per_group;
    let payload_symbols = 8 + groups as u64 * 5;
    // the preamble is 8 + 4.25 symbols
    Duration::from_nanos(symbol_ns * (49 + 4 * payload_symbols) / 4)
}

#[cfg(test)]
mod tests;
