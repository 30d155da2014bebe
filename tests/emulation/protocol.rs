//! What a driver may do to a chip, and what a chip can suffer from.

use crate::rig::{
    CHANNEL, assert_clean, irq, modulation, set_rx, settle, spi, sx1262, sx1262_on, sx1276,
};
use embedded_hal::digital::{InputPin, OutputPin};
use lykta::emulation::{Air, Antenna, Board, Cure, EmuChip, Fault, Signal};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the chip was told wrong, in short.
#[track_caller]
fn assert_violation(air: &Air, what: &str) {
    let taken = air.take_violations();
    assert!(taken.iter().any(|v| v.what.contains(what)), "no {what:?} in {taken:?}");
}

#[tokio::test(start_paused = true)]
async fn reception_can_be_cancelled_at_any_moment_and_the_driver_still_sends() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    let mut hearer = sx1262(&air).await;
    hearer.prepare_rx(7, CHANNEL, true).await;
    // packets of 56.6 ms, so that receptions are cancelled in every state
    let traffic = tokio::spawn(async move {
        loop {
            station.send(Signal::uplink(CHANNEL, modulation(7)), &[1; 20]).await;
            sleep(Duration::from_millis(7)).await;
        }
    });
    for ms in 0..200u8 {
        rig.prepare_rx(7, CHANNEL, false).await;
        let _ = timeout(Duration::from_millis(ms.into()), rig.next()).await;
        let (heard, ()) = tokio::join!(hearer.next(), async {
            rig.prepare_tx(7, true, false, &[ms; 17]).await;
            // the receiver needs the time that the last packet's read-out took
            sleep(Duration::from_millis(15)).await;
            timeout(Duration::from_secs(1), rig.lora.tx()).await.expect("TxDone").unwrap();
        });
        assert_eq!(heard.expect("heard").0.len(), 17, "after {ms} ms");
    }
    traffic.abort();
    assert_eq!(air.log_of(rig.chip.station()).len(), 200);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_cold_sleep_takes_the_setup_away_and_the_driver_knows() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.send(7, b"before").await;
    rig.lora.sleep(false).await.unwrap();
    rig.send(7, b"after").await;
    assert_eq!(air.log()[1].bytes, b"after");
    assert_clean(&air);

    rig.lora.sleep(false).await.unwrap();
    spi(&rig.chip, &[0xc0, 0]); // the edge that wakes it
    sleep(Duration::from_millis(5)).await;
    let sync = spi(&rig.chip, &[0x1d, 0x07, 0x40, 0, 0, 0]);
    assert_eq!(sync[4..], [0x14, 0x24], "back to the private sync word");
    spi(&rig.chip, &[0x83, 0, 0, 0]);
    assert_violation(&air, "packet is not set");
    assert_eq!(spi(&rig.chip, &[0xc0, 0])[1] >> 1 & 7, 5, "execution failed");
    assert_eq!(air.sent(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_warm_sleep_keeps_the_setup_and_loses_the_buffer() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.send(7, b"before").await;
    rig.lora.sleep(true).await.unwrap();
    assert!(rig.chip.busy_pin().is_high().unwrap());
    spi(&rig.chip, &[0xc0, 0]);
    assert_eq!(spi(&rig.chip, &[0x1d, 0x07, 0x40, 0, 0, 0])[4..], [0x34, 0x44]);
    assert_eq!(spi(&rig.chip, &[0x1e, 0, 0, 0, 0])[3..], [0, 0]);
    rig.send(7, b"after").await;
    assert_eq!(air.log()[1].bytes, b"after");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn breaches_of_the_protocol_are_noticed() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    let chip = rig.chip.clone();
    let told = |bytes: &[u8], what: &str| {
        spi(&chip, bytes);
        assert_violation(&air, what);
    };
    told(&[0x42], "no such command");
    told(&[0x86, 1], "too few parameters");
    told(&[0x1d, 0xff, 0xff, 0, 0], "no register");
    told(&[0x8b, 13, 4, 1, 0], "no SF 13");
    told(&[0x8b, 7, 0x77, 1, 0], "no bandwidth");
    told(&[0x8a, 0], "only LoRa");
    told(&[0xc5], "not modelled");
    assert_eq!(spi(&chip, &[0xc0, 0])[1] >> 1 & 7, 4, "not understood");

    rig.prepare_rx(7, CHANNEL, false).await;
    // without the workaround of section 15.4
    spi(&chip, &[0x0d, 0x07, 0x36, 0x09]);
    told(&[0x82, 0xff, 0xff, 0xff], "0x0736");
    spi(&chip, &[0x0d, 0x07, 0x36, 0x0d]);

    set_rx(&chip);
    told(&[0xc0, 0], "SPI while BUSY");
    settle().await;
    told(&[0x86, 0, 0, 0, 0], "the radio is on");
    told(&[0x0e, 0, 1], "the radio is on");
    told(&[0x84, 0], "from standby only");
    told(&[0x97, 1, 0, 0, 0], "standby on the RC clock");

    chip.reset_pin().set_low().unwrap();
    told(&[0xc0, 0], "held in reset");
    chip.reset_pin().set_high().unwrap();
    told(&[0xc0, 0], "SPI while BUSY");
    sleep(Duration::from_millis(5)).await;
    told(&[0x89, 0x7f], "TCXO is not switched on");
    assert_eq!(spi(&chip, &[0x17, 0, 0, 0])[2..], [0, 1 << 5], "XOSC_START_ERR");
    told(&[0x8c, 0, 8, 0, 1, 1, 0], "before the packet type");
    chip.busy_pin().set_high().unwrap();
    assert_violation(&air, "drives a line of the chip");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn breaches_of_the_sx1276_are_noticed() {
    let air = Air::new();
    let rig = sx1276(&air).await;
    for (bytes, what) in [
        (&[0x93, 1][..], "read-only"),
        (&[0x81, 0x00], ""),
        (&[0x80, 1], "FIFO is used in sleep"),
        (&[0x81, 0x01], ""),
        (&[0x81, 0x81], "LoRa mode is switched outside of sleep"),
        (&[0x81, 0x05], "only LoRa is modelled"),
    ] {
        spi(&rig.chip, bytes);
        if !what.is_empty() {
            assert_violation(&air, what);
        }
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn the_antenna_has_to_be_switched() {
    let air = Air::new();
    let board = Board { antenna: Antenna::Lines, ..Board::default() };
    let mut rig = sx1262_on(EmuChip::sx1262(&air, board)).await.unwrap();
    rig.send(7, b"the driver switches it").await;
    assert_clean(&air);

    rig.chip.tx_switch().set_low().unwrap();
    rig.prepare_tx(7, false, true, b"nobody did").await;
    spi(&rig.chip, &[0x83, 0, 0, 0]);
    assert_violation(&air, "sends while the antenna is switched elsewhere");

    let rig = sx1262(&air).await;
    spi(&rig.chip, &[0x9d, 0]);
    let mut rig = rig;
    rig.send(7, b"DIO2 does not").await;
    assert_violation(&air, "sends while the antenna is switched elsewhere");
}

#[tokio::test(start_paused = true)]
async fn without_its_tcxo_a_board_does_not_send_and_says_so() {
    use lora_phy::iv::GenericSx126xInterfaceVariant;
    use lora_phy::sx126x::{Config, Sx126x, Sx1262};
    let air = Air::new();
    let chip = EmuChip::sx1262(&air, Board::default());
    let (reset, dio, busy) = (chip.reset_pin(), chip.dio_pin(), chip.busy_pin());
    let lines = GenericSx126xInterfaceVariant::new(reset, dio, busy, None, None).unwrap();
    let config = Config { chip: Sx1262, tcxo_ctrl: None, use_dcdc: true, rx_boost: false };
    let kind = Sx126x::new(chip.spi(), lines, config);
    let lora = lora_phy::LoRa::new(kind, true, lykta::emulation::EmuDelay).await.unwrap();
    let mut rig = crate::rig::Rig { chip, lora };
    rig.prepare_tx(7, false, true, b"hello").await;
    assert!(timeout(Duration::from_secs(5), rig.lora.tx()).await.is_err());
    assert_violation(&air, "TCXO is not switched on");
    assert_eq!(air.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_busy_line_is_cured_by_a_reset() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.chip.break_down(Fault::HangBusy, Cure::Resets(2));
    assert!(rig.chip.busy_pin().is_high().unwrap());
    // the driver's own line adapter waits without end
    let hangs = timeout(Duration::from_secs(60), rig.lora.init()).await;
    assert!(hangs.is_err());
    rig.lora.init().await.unwrap();
    rig.send(7, b"alive").await;
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_dead_chip_answers_with_one_level_until_it_is_switched_on() {
    let air = Air::new();
    // the sync word of the one, the version of the other
    for (chip, read) in [
        (EmuChip::sx1262(&air, Board::default()), [0x1d, 0x07, 0x40, 0, 0]),
        (EmuChip::sx1276(&air, Antenna::Fixed), [0x42, 0, 0, 0, 0]),
    ] {
        sleep(Duration::from_millis(5)).await;
        let alive = spi(&chip, &read);
        for byte in [0x00, 0xff] {
            chip.break_down(Fault::Dead(byte), Cure::None);
            assert_eq!(spi(&chip, &read), [byte; 5]);
            assert!(chip.busy_pin().is_low().unwrap());
            chip.repair();
            sleep(Duration::from_millis(5)).await;
            assert_eq!(spi(&chip, &read), alive);
        }
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn lost_edges_leave_the_driver_waiting() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    rig.chip.break_down(Fault::LoseEdges, Cure::None);
    let edges = rig.chip.edges();
    let signal = Signal::uplink(CHANNEL, modulation(7));
    let (heard, _) = tokio::join!(rig.next(), async {
        settle().await;
        station.send(signal, b"hello").await
    });
    assert_eq!(heard, None);
    assert_eq!(rig.chip.edges(), edges);
    assert!(rig.chip.dio_pin().is_high().unwrap(), "the level is right");
    rig.chip.repair();
    assert_eq!(rig.next().await.expect("by its level").0, b"hello");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_deaf_chip_hears_again_after_its_cure() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    let signal = Signal::uplink(CHANNEL, modulation(7));
    for (cure, inits) in [(Cure::Setup, 1), (Cure::Resets(1), 1), (Cure::Resets(3), 3)] {
        rig.chip.break_down(Fault::Deaf, cure);
        for n in 0..=inits {
            rig.prepare_rx(7, CHANNEL, false).await;
            set_rx(&rig.chip);
            settle().await;
            station.send(signal, b"hello").await;
            assert_eq!(irq(&rig.chip) != 0, n == inits, "{cure:?} after {n}");
            rig.lora.init().await.unwrap();
        }
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_transmission_never_says_that_it_is_done() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.chip.break_down(Fault::StuckTx, Cure::Resets(1));
    rig.prepare_tx(7, false, true, b"hello").await;
    assert!(timeout(Duration::from_secs(60), rig.lora.tx()).await.is_err());
    assert_eq!(air.sent(), 1);
    rig.lora.init().await.unwrap();
    rig.send(7, b"again").await;
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_has_another_version() {
    let air = Air::new();
    let new = EmuChip::sx1262(&air, Board::default());
    let old = EmuChip::sx1276(&air, Antenna::Fixed);
    sleep(Duration::from_millis(5)).await;
    let version = |chip: &EmuChip| {
        let mut read = [0; 10];
        read[..3].copy_from_slice(&[0x1d, 0x03, 0x20]);
        spi(chip, &read)[4..].to_vec()
    };
    assert_eq!(spi(&old, &[0x42, 0])[1], 0x12);
    assert_eq!(version(&new), b"SX1261");
    for chip in [&new, &old] {
        chip.break_down(Fault::Stranger, Cure::None);
    }
    assert_eq!(spi(&old, &[0x42, 0])[1], 0x22);
    assert_eq!(version(&new), b"LLCC68");
    assert_clean(&air);
}
