//! Whatever comes over SPI, a chip does not panic, and answers byte for byte.

use embedded_hal::digital::OutputPin;
use lykta::emulation::{Air, Antenna, Board, EmuChip, Signal};
use lykta::units::{Hertz, LoRa};
use proptest::prelude::*;
use std::time::Duration;

use crate::rig::spi;

#[derive(Debug, Clone)]
enum Deed {
    Spi(Vec<u8>),
    Reset(bool),
    Wait(u64),
}

/// Random bytes seldom are a command: half of the time the first byte is one.
fn deed(commands: &'static [u8]) -> impl Strategy<Value = Deed> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let command = (prop::sample::select(commands), prop::collection::vec(any::<u8>(), 0..12))
        .prop_map(|(opcode, mut rest)| {
            rest.insert(0, opcode);
            rest
        });
    prop_oneof![
        3 => bytes.prop_map(Deed::Spi),
        6 => command.prop_map(Deed::Spi),
        1 => any::<bool>().prop_map(Deed::Reset),
        2 => (0..20_000u64).prop_map(Deed::Wait),
    ]
}

/// Does it all, while others send.
fn suffer(make: fn(&Air) -> EmuChip, deeds: &[Deed]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let air = Air::new();
        let chip = make(&air);
        let station = air.station();
        let modulation = LoRa { spreading_factor: 7, bandwidth: Hertz(125_000) };
        for deed in deeds {
            match deed {
                Deed::Spi(bytes) => assert_eq!(spi(&chip, bytes).len(), bytes.len()),
                Deed::Reset(true) => chip.reset_pin().set_high().unwrap(),
                Deed::Reset(false) => chip.reset_pin().set_low().unwrap(),
                Deed::Wait(ms) => {
                    let signal = Signal::uplink(Hertz(868_100_000), modulation);
                    station.send(signal, &[0; 40]).await;
                    tokio::time::sleep(Duration::from_millis(*ms)).await;
                }
            }
        }
    });
}

const SX1262: &[u8] = &[
    0x00, 0x02, 0x07, 0x08, 0x0d, 0x0e, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17, 0x1d, 0x1e, 0x80,
    0x82, 0x83, 0x84, 0x86, 0x89, 0x8a, 0x8b, 0x8c, 0x8e, 0x8f, 0x93, 0x95, 0x96, 0x97, 0x98, 0x9d,
    0x9f, 0xa0, 0xc0, 0xc1,
];

const SX1276: &[u8] = &[0x00, 0x01, 0x80, 0x81, 0x8d, 0x91, 0x92, 0x9d, 0x9e, 0x9f, 0xa0, 0xa2];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_sx1262_bears_everything(deeds in prop::collection::vec(deed(SX1262), 1..60)) {
        suffer(|air| EmuChip::sx1262(air, Board { tcxo: false, antenna: Antenna::Fixed }), &deeds);
        suffer(|air| EmuChip::sx1262(air, Board::default()), &deeds);
    }

    #[test]
    fn an_sx1276_bears_everything(deeds in prop::collection::vec(deed(SX1276), 1..60)) {
        suffer(|air| EmuChip::sx1276(air, Antenna::Fixed), &deeds);
    }

    /// Set up as LoRa, and then told anything: so that it gets to send and receive.
    #[test]
    fn an_sx1262_that_was_set_up_bears_everything(
        sf in 5..=12u8,
        bandwidth in prop::sample::select(vec![0x00u8, 0x08, 0x01, 0x09, 0x02, 0x0a, 3, 4, 5, 6]),
        preamble: [u8; 2],
        length: u8,
        deeds in prop::collection::vec(deed(SX1262), 1..30),
    ) {
        let mut all = vec![
            Deed::Wait(5),
            Deed::Spi(vec![0x8a, 1]),
            Deed::Spi(vec![0x86, 0x36, 0x41, 0x99, 0x9a]),
            Deed::Spi(vec![0x8b, sf, bandwidth, 1, 0]),
            Deed::Spi(vec![0x8c, preamble[0], preamble[1], 0, length, 1, 0]),
            Deed::Spi(vec![0x08, 0xff, 0xff, 0xff, 0xff]),
            Deed::Spi(vec![0x83, 0, 0, 0]),
        ];
        all.extend(deeds);
        suffer(|air| EmuChip::sx1262(air, Board { tcxo: false, antenna: Antenna::Fixed }), &all);
    }
}
