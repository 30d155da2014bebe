//! Every parameter of a chip has its effect, also those that no driver here uses.

use crate::rig::{CHANNEL, assert_clean, irq, modulation, set_rx, settle, spi, sx1262, sx1276};
use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal_async::digital::Wait;
use lykta::emulation::{Air, Fate, Signal};
use lykta::units::Dbm;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const TX_DONE: u16 = 1 << 0;
const RX_DONE: u16 = 1 << 1;
const PREAMBLE: u16 = 1 << 2;
const HEADER: u16 = 1 << 4;
const HEADER_ERROR: u16 = 1 << 5;
const TIMEOUT: u16 = 1 << 9;

fn uplink() -> Signal {
    Signal::uplink(CHANNEL, modulation(7))
}

#[tokio::test(start_paused = true)]
async fn the_power_is_the_one_that_the_driver_was_told() {
    let air = Air::new();
    let mut new = sx1262(&air).await;
    let mut old = sx1276(&air).await;
    // lora-phy 3.0.1 panics below 0 on the one; the other's amplifier starts at 2
    for dbm in 2..=20 {
        let params = new.params(7, CHANNEL);
        let mut packet = new.lora.create_tx_packet_params(8, false, true, false, &params).unwrap();
        new.lora.prepare_for_tx(&params, &mut packet, dbm, b"hello").await.unwrap();
        new.lora.tx().await.unwrap();
        let params = old.params(7, CHANNEL);
        let mut packet = old.lora.create_tx_packet_params(8, false, true, false, &params).unwrap();
        old.lora.prepare_for_tx(&params, &mut packet, dbm, b"hello").await.unwrap();
        old.lora.tx().await.unwrap();
        let powers: Vec<Dbm> = air.log().iter().rev().take(2).map(|sent| sent.power).collect();
        assert_eq!(powers[1], Dbm(dbm as f32), "SX1262");
        // lora-phy 3.0.1 overflows the four bits of an SX1276's power above 17 dBm: 18 gives 5
        let lost = if dbm > 17 { 13.0 } else { 0.0 };
        assert_eq!(powers[0], Dbm(dbm as f32 - lost), "SX1276");
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_spoilt_packet_without_checksum_arrives_as_a_good_one() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, true).await;
    air.jam_next(1);
    let (heard, _) = tokio::join!(rig.next(), async {
        settle().await;
        station.send(Signal::downlink(CHANNEL, modulation(7)), b"hello").await
    });
    let (bytes, _, _) = heard.expect("something");
    assert_ne!(bytes, b"hello");
    assert_eq!(bytes[..2], *b"he");
    assert_eq!(spi(&rig.chip, &[0x10, 0, 0, 0, 0, 0, 0, 0])[2..], [0, 1, 0, 0, 0, 0]);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_packet_without_the_expected_header_is_lost_and_the_next_one_is_heard() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    set_rx(&rig.chip);
    settle().await;
    station.send(Signal { explicit_header: false, ..uplink() }, b"no header").await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER_ERROR);
    spi(&rig.chip, &[0x02, 0xff, 0xff]);
    station.send(uplink(), b"header").await;
    assert_eq!(irq(&rig.chip), PREAMBLE | HEADER | RX_DONE);
    assert_eq!(spi(&rig.chip, &[0x10, 0, 0, 0, 0, 0, 0, 0])[2..], [0, 1, 0, 0, 0, 1]);
    spi(&rig.chip, &[0x00, 0, 0, 0, 0, 0, 0]);
    assert_eq!(spi(&rig.chip, &[0x10, 0, 0, 0, 0, 0, 0, 0])[2..], [0; 6]);
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_that_is_masked_is_not_flagged_and_one_that_is_not_routed_raises_no_line() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    // RxDone and header are flagged, the header is routed
    spi(&rig.chip, &[0x08, 0, 0x12, 0, 0x10, 0, 0, 0, 0]);
    set_rx(&rig.chip);
    settle().await;
    let before = rig.chip.edges();
    station.send(uplink(), b"hello").await;
    assert_eq!(irq(&rig.chip), HEADER | RX_DONE);
    assert_eq!(rig.chip.edges() - before, 1);
    // preamble and sync word take 12.25 symbols, the header 8
    let start = air.log()[0].start;
    assert_eq!(rig.chip.last_edge(), Some(start + uplink().symbol() * 81 / 4));
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_transmission_with_a_time_limit_is_cut_there() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    for (limit_ms, flag, fate) in [(20u32, TIMEOUT, Fate::Cut), (500, TX_DONE, Fate::Clear)] {
        rig.prepare_tx(7, false, true, &[0; 100]).await;
        spi(&rig.chip, &[0x02, 0xff, 0xff]);
        let [_, a, b, c] = (limit_ms * 64).to_be_bytes();
        spi(&rig.chip, &[0x83, a, b, c]);
        settle().await;
        assert_eq!(irq(&rig.chip), flag);
        let sent = air.log().pop().unwrap();
        assert_eq!(sent.fate, fate);
        assert_eq!(sent.end - sent.start < uplink().time_on_air(100), fate == Fate::Cut);
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn the_timer_of_a_receiver_stops_at_the_preamble_or_at_the_header() {
    // 10 ms for the TCXO; the packet's preamble is certain 6 symbols after its start, its header
    // there after 20.25
    for (stop_on_preamble, limit_ms, heard) in [
        (true, 5u32, false),
        (true, 7, true),
        (false, 7, false),
        (false, 20, false),
        (false, 21, true),
    ] {
        let air = Air::new();
        let station = air.station();
        let mut rig = sx1262(&air).await;
        rig.prepare_rx(7, CHANNEL, false).await;
        spi(&rig.chip, &[0x9f, u8::from(stop_on_preamble)]);
        let told = Instant::now();
        station.send_at(told + Duration::from_millis(10), uplink(), b"hello");
        let [_, a, b, c] = (limit_ms * 64).to_be_bytes();
        spi(&rig.chip, &[0x82, a, b, c]);
        settle().await;
        let flags = irq(&rig.chip);
        let why = format!("stop on preamble {stop_on_preamble}, {limit_ms} ms: {flags:#06x}");
        assert_eq!(flags & RX_DONE != 0, heard, "{why}");
        assert_eq!(flags & TIMEOUT != 0, !heard, "{why}");
        // either way the chip is in standby again
        assert_eq!(spi(&rig.chip, &[0xc0, 0])[1] >> 4, 2);
        assert_clean(&air);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_packet_the_chip_falls_back_to_the_mode_that_was_set() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    for (fallback, mode) in [(0x20, 2), (0x30, 3), (0x40, 4)] {
        rig.prepare_tx(7, false, true, b"hello").await;
        spi(&rig.chip, &[0x93, fallback]);
        spi(&rig.chip, &[0x83, 0, 0, 0]);
        settle().await;
        assert_eq!(spi(&rig.chip, &[0xc0, 0])[1] >> 4, mode);
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn random_numbers_differ_and_are_the_same_in_every_run() {
    let air = Air::new();
    let draw = |chip: &lykta::emulation::EmuChip| {
        spi(chip, &[0x1d, 0x08, 0x19, 0, 0, 0, 0, 0])[4..].to_vec()
    };
    let (a, b) = (sx1262(&air).await, sx1262(&air).await);
    let (first, second) = (draw(&a.chip), draw(&a.chip));
    assert_ne!(first, second);
    assert_eq!((draw(&b.chip), draw(&b.chip)), (first, second));
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn an_sx1276_gives_up_a_single_reception_after_its_symbols() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1276(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    rig.chip.rx_switch().set_high().unwrap();
    for (gap_symbols, flags) in [(5u32, 0b0101_0000), (20, 0b1000_0000)] {
        // 20 symbols, one packet
        spi(&rig.chip, &[0x9f, 20]);
        let start = Instant::now() + uplink().symbol() * gap_symbols;
        station.send_at(start, uplink(), b"hello");
        spi(&rig.chip, &[0x81, 0x86]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(spi(&rig.chip, &[0x12, 0])[1], flags, "{gap_symbols} symbols late");
        assert_eq!(spi(&rig.chip, &[0x01, 0])[1], 0x81, "standby again");
        spi(&rig.chip, &[0x92, 0xff]);
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn the_flags_of_an_sx1276_are_cleared_one_by_one_and_masked_by_ones() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1276(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    rig.chip.rx_switch().set_high().unwrap();
    spi(&rig.chip, &[0x81, 0x85]);
    let flags = || spi(&rig.chip, &[0x12, 0])[1];
    station.send(uplink(), b"hello").await;
    for (clear, left) in [(0x00, 0b0101_0000), (0b0001_0000, 0b0100_0000), (0xff, 0)] {
        spi(&rig.chip, &[0x92, clear]);
        assert_eq!(flags(), left);
    }
    spi(&rig.chip, &[0x91, 0b1011_1111]);
    station.send(uplink(), b"hello").await;
    assert_eq!(flags(), 0b0100_0000, "the header is masked");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn calibration_keeps_the_chip_busy() {
    let air = Air::new();
    let rig = sx1262(&air).await;
    spi(&rig.chip, &[0x89, 0x7f]);
    assert!(rig.chip.busy_pin().is_high().unwrap());
    let told = Instant::now();
    rig.chip.busy_pin().wait_for_low().await.unwrap();
    assert_eq!(told.elapsed().as_millis(), 4, "3.5 ms, as tokio counts them");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_reset_in_the_middle_of_a_packet_ends_it() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.prepare_tx(7, false, true, &[7; 50]).await;
    spi(&rig.chip, &[0x83, 0, 0, 0]);
    sleep(Duration::from_millis(60)).await;
    rig.chip.reset_pin().set_low().unwrap();
    let sent = air.log().remove(0);
    assert_eq!((sent.fate, sent.end), (Fate::Cut, Instant::now()));
    settle().await;
    assert_eq!(rig.chip.edges(), 0);
    assert_clean(&air);
}
