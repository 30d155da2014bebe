//! What is asked of the chip, in the words of lora-phy: how to modulate, and how loud.

use crate::config::{Chip, RadioSettings};
use crate::eu868::{self, DIPOLE_GAIN};
use crate::radio::Transmission;
use crate::units::{Hertz, LoRa as Modulation};
use lora_phy::mod_params::{Bandwidth, CodingRate, ModulationParams, RadioError, SpreadingFactor};
use lora_phy::mod_traits::RadioKind;
use lora_phy::{DelayNs, LoRa};

/// Floating-point numbers are never quite what people wrote.
const ROUNDING: f32 = 0.01;

fn words(modulation: Modulation) -> Option<(SpreadingFactor, Bandwidth)> {
    let spreading_factor = match modulation.spreading_factor {
        7 => SpreadingFactor::_7,
        8 => SpreadingFactor::_8,
        9 => SpreadingFactor::_9,
        10 => SpreadingFactor::_10,
        11 => SpreadingFactor::_11,
        12 => SpreadingFactor::_12,
        _ => return None,
    };
    let bandwidth = match modulation.bandwidth.0 {
        125_000 => Bandwidth::_125KHz,
        250_000 => Bandwidth::_250KHz,
        _ => return None,
    };
    Some((spreading_factor, bandwidth))
}

/// The driver's parameters of a channel; the coding rate is 4/5.
pub(super) fn modulation_params<RK: RadioKind, D: DelayNs>(
    lora: &mut LoRa<RK, D>,
    modulation: Modulation,
    frequency: Hertz,
) -> Result<ModulationParams, RadioError> {
    let (spreading_factor, bandwidth) =
        words(modulation).ok_or(RadioError::UnavailableSpreadingFactor)?;
    lora.create_modulation_params(spreading_factor, bandwidth, CodingRate::_4_5, frequency.0)
}

/// The power at the chip's pin in dBm with which a transmission may be sent: what is asked
/// for, at most what the law allows to be radiated by this antenna, and what the HAT is to give
/// at most. `None` where it cannot be sent at all: outside of the band, too long, or when even
/// the chip's least power is too much.
pub(super) fn conducted_power(
    settings: &RadioSettings,
    transmission: &Transmission,
) -> Option<i32> {
    words(transmission.modulation)?;
    if !(1..=255).contains(&transmission.phy.len()) {
        return None;
    }
    let band = eu868::sub_band(transmission.frequency, transmission.modulation.bandwidth)?;
    let (least, most) = match settings.chip {
        // lora-phy computes powers below 0 wrongly
        Chip::Sx1262 => (0, 22),
        // … and here those above 17: 18 dBm would come out as 5
        Chip::Sx1276 => (2, 17),
    };
    let at_chip =
        |radiated: f32| (radiated + DIPOLE_GAIN - settings.antenna_gain + ROUNDING).floor();
    if at_chip(band.power.0) < least as f32 {
        return None;
    }
    let asked = at_chip(transmission.power.0.min(band.power.0)) as i32;
    let power = asked.min(i32::from(settings.power)).clamp(least, most);
    // lora-phy makes 22 of 21 on an SX1262
    Some(if power == 21 { 20 } else { power })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Megahertz, SpiPort};
    use crate::units::{Dbm, GatewayEui};
    use proptest::prelude::*;

    fn settings(chip: Chip, power: u8, antenna_gain: f32) -> RadioSettings {
        RadioSettings {
            name: None,
            chip,
            spi: SpiPort { bus: 0, select: 0 },
            select: None,
            reset: 18,
            busy: Some(20),
            dio: 16,
            rx_enable: None,
            tx_enable: None,
            dio2_switch: true,
            tcxo: None,
            channel: Megahertz(Hertz(868_100_000)),
            spreading_factor: 9,
            power,
            antenna_gain,
        }
    }

    fn transmission(frequency: u32, power: f32) -> Transmission {
        Transmission {
            id: 1,
            gateway: GatewayEui(1),
            tmst: 0,
            frequency: Hertz(frequency),
            modulation: Modulation { spreading_factor: 9, bandwidth: Hertz(125_000) },
            power: Dbm(power),
            phy: vec![0; 17],
        }
    }

    #[test]
    fn power_is_what_was_asked_for_within_law_and_chip() {
        let power = |chip, most, gain, frequency, asked| {
            conducted_power(&settings(chip, most, gain), &transmission(frequency, asked))
        };
        let (narrow, loud) = (868_100_000, 869_525_000);
        assert_eq!(power(Chip::Sx1262, 22, 2.15, narrow, 14.0), Some(14));
        assert_eq!(power(Chip::Sx1262, 22, 2.15, narrow, 27.0), Some(14), "the law");
        assert_eq!(power(Chip::Sx1262, 22, 5.0, narrow, 14.0), Some(11), "a good antenna");
        assert_eq!(power(Chip::Sx1262, 22, 2.15, loud, 27.0), Some(22), "the chip");
        assert_eq!(power(Chip::Sx1262, 22, 8.15, loud, 27.0), Some(20), "21 would be 22");
        assert_eq!(power(Chip::Sx1262, 14, 2.15, loud, 27.0), Some(14), "the settings");
        assert_eq!(power(Chip::Sx1262, 14, 2.15, narrow, -5.0), Some(0), "never negative");
        assert_eq!(power(Chip::Sx1262, 14, 17.0, narrow, 14.0), None, "not even 0 dBm is lawful");
        assert_eq!(power(Chip::Sx1276, 20, 2.15, loud, 27.0), Some(17), "18 would be 5");
        assert_eq!(power(Chip::Sx1276, 0, 2.15, narrow, 14.0), Some(2));
        assert_eq!(power(Chip::Sx1262, 14, 2.15, 870_300_000, 14.0), None, "not in the band");
    }

    #[test]
    fn what_no_chip_can_send_is_known_before() {
        let settings = settings(Chip::Sx1262, 14, 2.15);
        let long = Transmission { phy: vec![0; 256], ..transmission(868_100_000, 14.0) };
        assert_eq!(conducted_power(&settings, &long), None);
        let empty = Transmission { phy: vec![], ..transmission(868_100_000, 14.0) };
        assert_eq!(conducted_power(&settings, &empty), None);
        let slow = Modulation { spreading_factor: 13, bandwidth: Hertz(125_000) };
        let slow = Transmission { modulation: slow, ..transmission(868_100_000, 14.0) };
        assert_eq!(conducted_power(&settings, &slow), None);
    }

    proptest! {
        #[test]
        fn never_more_than_the_law_allows_is_radiated(
            frequency in 800_000_000u32..900_000_000,
            asked in -50f32..50.0,
            gain in -10f32..20.0,
            most: u8,
            old: bool,
        ) {
            let chip = if old { Chip::Sx1276 } else { Chip::Sx1262 };
            let transmission = transmission(frequency, asked);
            if let Some(power) = conducted_power(&settings(chip, most, gain), &transmission) {
                let band = eu868::sub_band(transmission.frequency, Hertz(125_000));
                let radiated = power as f32 + gain - DIPOLE_GAIN;
                prop_assert!(radiated <= band.expect("in the band").power.0 + 2.0 * ROUNDING);
                prop_assert!((0..=22).contains(&power) && power != 21);
            }
        }
    }
}
