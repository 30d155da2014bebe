//! When things happen: as the data sheets say, to the microsecond, although the program that
//! drives a chip is woken up to a millisecond later.

use crate::rig::{CHANNEL, assert_clean, modulation, set_rx, settle, spi, sx1262, sx1276};
use embedded_hal::digital::InputPin;
use lykta::emulation::{Air, Signal};
use lykta::eu868;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn the_chip_takes_the_time_on_air_that_the_law_is_reckoned_with() {
    let air = Air::new();
    let mut new = sx1262(&air).await;
    for sf in 7..=12 {
        for crc in [false, true] {
            for len in 1..=255 {
                new.prepare_tx(sf, !crc, crc, &vec![0; len]).await;
                new.lora.tx().await.unwrap();
                let sent = air.log().pop().unwrap();
                let lawful = eu868::time_on_air(modulation(sf), len, crc);
                assert_eq!(sent.end - sent.start, lawful, "SF{sf} {len} bytes, CRC {crc}");
                assert_eq!(sent.bytes.len(), len);
            }
        }
    }
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn an_sx1276_takes_the_same_time() {
    let air = Air::new();
    let mut old = sx1276(&air).await;
    // SF11 is wrong as long as lora-phy forgets its low-data-rate bit
    for sf in [7, 8, 9, 10, 12] {
        for len in [1, 17, 51, 255] {
            old.send(sf, &vec![0; len]).await;
            let sent = air.log().pop().unwrap();
            let lawful = eu868::time_on_air(modulation(sf), len, true);
            assert_eq!(sent.end - sent.start, lawful, "SF{sf} {len} bytes");
        }
    }
    assert_clean(&air);
}

#[test]
fn published_times_on_air_are_met() {
    // 13 bytes of LoRaWAN and 25 of payload: figures that the crate lora-modulation took from the
    // airtime calculators of TTN and of A. van Bentem
    for (sf, us) in
        [(7, 82_176), (8, 143_872), (9, 267_264), (10, 493_568), (11, 1_069_056), (12, 1_974_272)]
    {
        let signal = Signal::uplink(CHANNEL, modulation(sf));
        assert_eq!(signal.time_on_air(38), Duration::from_micros(us), "SF{sf}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tcxo_delays_the_first_symbol_and_the_radio_is_busy_meanwhile() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.prepare_tx(7, false, true, b"hello").await;
    let told = Instant::now();
    spi(&rig.chip, &[0x83, 0, 0, 0]);
    assert!(rig.chip.busy_pin().is_high().unwrap());
    let sent = air.log().remove(0);
    assert_eq!(sent.start - told, Duration::from_millis(10));

    sleep(Duration::from_millis(10)).await;
    assert!(rig.chip.busy_pin().is_low().unwrap());
    settle().await;
    assert_eq!(rig.chip.last_edge(), Some(sent.end), "TxDone is stamped with its own time");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn from_standby_on_the_crystal_there_is_no_delay() {
    let air = Air::new();
    let mut rig = sx1262(&air).await;
    rig.prepare_tx(7, false, true, b"hello").await;
    spi(&rig.chip, &[0x80, 1]);
    spi(&rig.chip, &[0x83, 0, 0, 0]);
    assert_eq!(air.log()[0].start, Instant::now());
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn the_drivers_own_mask_makes_three_edges_of_a_packet() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    let signal = Signal::uplink(CHANNEL, modulation(7));
    let before = rig.chip.edges();
    let (heard, end) = tokio::join!(rig.next(), async {
        settle().await;
        station.send(signal, b"hello").await
    });
    assert_eq!(heard.expect("heard").0, b"hello");
    assert_eq!(rig.chip.edges() - before, 3);
    assert_eq!(rig.chip.last_edge(), Some(end));
}

#[tokio::test(start_paused = true)]
async fn with_a_mask_for_the_end_there_is_one_edge_and_it_is_the_end() {
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    rig.prepare_rx(7, CHANNEL, false).await;
    // RxDone, CRC error, timeout
    spi(&rig.chip, &[0x08, 0xff, 0xff, 0x02, 0x42, 0, 0, 0, 0]);
    set_rx(&rig.chip);
    settle().await;
    let before = rig.chip.edges();
    let end = station.send(Signal::uplink(CHANNEL, modulation(7)), &[0; 33]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.chip.edges() - before, 1);
    assert_eq!(rig.chip.last_edge(), Some(end), "however late it is looked at");
    assert_clean(&air);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_for_one_packet_gives_up_after_its_symbols() {
    use lora_phy::RxMode;
    let air = Air::new();
    let station = air.station();
    let mut rig = sx1262(&air).await;
    let params = rig.params(7, CHANNEL);
    let packet = rig.lora.create_rx_packet_params(8, false, 255, true, false, &params).unwrap();
    let mut buffer = [0; 255];
    rig.lora.prepare_for_rx(RxMode::Single(20), &params, &packet).await.unwrap();
    let told = Instant::now();
    let timed_out = rig.lora.rx(&packet, &mut buffer).await;
    assert_eq!(timed_out.err(), Some(lora_phy::mod_params::RadioError::ReceiveTimeout));
    // TCXO and 20 symbols, which the driver rounds up to a multiple of two
    let symbol = Signal::uplink(CHANNEL, modulation(7)).symbol();
    let waited = rig.chip.last_edge().unwrap() - told;
    assert_eq!(waited, Duration::from_millis(10) + 20 * symbol);

    // a packet that begins in time is received to its end, however long it is
    rig.lora.prepare_for_rx(RxMode::Single(20), &params, &packet).await.unwrap();
    station.send_at(
        Instant::now() + Duration::from_millis(10) + 13 * symbol,
        Signal::uplink(CHANNEL, modulation(7)),
        &[9; 200],
    );
    let heard = timeout(Duration::from_secs(1), rig.lora.rx(&packet, &mut buffer)).await;
    assert_eq!(heard.expect("in time").unwrap().0, 200);
    assert_clean(&air);
}

#[tokio::test]
async fn in_real_time_everything_is_the_same() {
    let air = Air::new();
    let mut sender = sx1262(&air).await;
    let mut receiver = sx1262(&air).await;
    let (heard, ()) = tokio::join!(receiver.hear(7), async {
        settle().await;
        sender.send(7, b"hello").await;
    });
    assert_eq!(heard.expect("heard").0, b"hello");
    let end = air.log()[0].end;
    assert_eq!((sender.chip.last_edge(), receiver.chip.last_edge()), (Some(end), Some(end)));
    assert_clean(&air);
}
