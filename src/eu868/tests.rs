use super::*;
use proptest::prelude::*;

const KHZ_125: Hertz = Hertz(125_000);

fn lora(spreading_factor: u8) -> LoRa {
    LoRa { spreading_factor, bandwidth: KHZ_125 }
}

#[test]
fn a_short_answer_takes_as_long_as_published() {
    // 17 bytes without checksum (a JoinAccept, a LinkADRReq), as published for SF7 to SF12
    for (sf, published) in (7..=12).zip([46, 93, 165, 330, 660, 1155]) {
        let ours = time_on_air(lora(sf), 17, false).as_micros();
        assert!(ours.abs_diff(published * 1000) < 1000, "SF{sf}: {ours} us");
    }
    // a JoinAccept with CFList
    let longest = time_on_air(lora(12), 33, false);
    assert!((1_805_000..1_815_000).contains(&longest.as_micros()), "{longest:?}");
}

#[test]
fn every_default_channel_lies_in_a_band_of_one_percent() {
    for channel in DEFAULT_CHANNELS {
        let band = sub_band(channel, KHZ_125).expect("a band");
        assert_eq!((band.name, band.duty_permille), ("868.0-868.6", 10));
    }
    for channel in [867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000] {
        assert_eq!(sub_band(Hertz(channel), KHZ_125).map(|b| b.name), Some("865.0-868.0"));
    }
    let rx2 = sub_band(RX2_FREQUENCY, KHZ_125).expect("a band");
    assert_eq!((rx2.duty_permille, rx2.power), (100, Dbm(27.0)));
}

#[test]
fn a_channel_lies_in_its_band_as_a_whole() {
    for band in &SUB_BANDS {
        let (lowest, highest) = (Hertz(band.from.0 + 62_500), Hertz(band.to.0 - 62_500));
        assert_eq!(sub_band(lowest, KHZ_125), Some(band));
        assert_eq!(sub_band(highest, KHZ_125), Some(band));
        assert_ne!(sub_band(Hertz(lowest.0 - 1), KHZ_125), Some(band));
        assert_ne!(sub_band(Hertz(highest.0 + 1), KHZ_125), Some(band));
    }
    // across 868.0, in the three gaps, and outside; 250 kHz is the width of the narrowest band
    for gap in [868_000_000, 868_650_000, 869_300_000, 869_675_000, 862_900_000, 870_100_000] {
        assert_eq!(sub_band(Hertz(gap), KHZ_125), None, "{gap}");
    }
    assert!(sub_band(RX2_FREQUENCY, Hertz(250_000)).is_some());
    assert_eq!(sub_band(RX2_FREQUENCY, Hertz(500_000)), None);
    for absurd in [0, u32::MAX] {
        assert_eq!(sub_band(Hertz(absurd), KHZ_125), None);
    }
}

#[test]
fn bands_ascend_and_none_lies_in_another() {
    assert!(SUB_BANDS.iter().all(|band| band.from < band.to));
    assert!(SUB_BANDS.windows(2).all(|pair| pair[0].to <= pair[1].from));
}

#[test]
fn payloads_are_as_long_as_the_regional_parameters_say() {
    // RP002-1.0.4, table "EU863-870 maximum payload size (not repeater compatible)": N = M - 8
    let n: Vec<_> = DATA_RATES.iter().map(|rate| rate.max_payload).collect();
    assert_eq!(n, [51, 51, 51, 115, 242, 242, 242]);
    // MHDR, MIC and the M bytes between them fit into what a LoRa radio can send
    assert!(n.iter().all(|n| 1 + (n + 8) + 4 <= 255));
    for (i, rate) in DATA_RATES.iter().enumerate() {
        assert_eq!(index(rate.modulation), Some(i as u8));
        assert_eq!(data_rate(i as u8), Some(rate));
    }
    assert_eq!(data_rate(7), None, "FSK");
    assert_eq!(index(LoRa { spreading_factor: 12, bandwidth: Hertz(250_000) }), None);
}

/// Semtech AN1200.13, section 4, as it stands there, in seconds.
fn published_formula(sf: f64, bandwidth: f64, len: f64, crc: f64, low_rate: f64) -> f64 {
    let symbol = 2f64.powf(sf) / bandwidth;
    let preamble = (8.0 + 4.25) * symbol;
    let groups =
        ((8.0 * len - 4.0 * sf + 28.0 + 16.0 * crc) / (4.0 * (sf - 2.0 * low_rate))).ceil();
    preamble + (8.0 + (groups * (1.0 + 4.0)).max(0.0)) * symbol
}

proptest! {
    #[test]
    fn time_on_air_is_that_of_the_published_formula(
        sf in 7u8..=12, wide: bool, len in 0usize..=255, crc: bool
    ) {
        let bandwidth = Hertz(if wide { 250_000 } else { 125_000 });
        // mandated for SF11 and SF12 at 125 kHz; SF12 at 250 kHz has the same symbol as SF11 there
        let low_rate = if wide { sf == 12 } else { sf >= 11 };
        let published = published_formula(
            sf.into(), bandwidth.0.into(), len as f64, f64::from(u8::from(crc)),
            f64::from(u8::from(low_rate)),
        );
        let ours = time_on_air(LoRa { spreading_factor: sf, bandwidth }, len, crc).as_secs_f64();
        prop_assert!((ours - published).abs() < 1e-9, "{ours} {published}");
    }
}
