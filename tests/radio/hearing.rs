//! What is on the air is heard as it is.

use crate::front::{CHANNEL, EUI, Front, alone, assert_clean, modulation, uplink};
use lykta::emulation::{Air, Cure, Fault, Path, Signal};
use lykta::units::{Db, Dbm};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_frame_is_heard_with_its_bytes_strength_and_time() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("as-it-is", &air, 9).await;
        let sensor = air.station();
        let path = Path { rssi: Dbm(-101.5), snr: Db(-7.25) };
        air.set_path_between(sensor.id(), front.chip.station(), Some(path));
        for length in [1, 12, 23, 255] {
            let bytes: Vec<u8> = (0..length).collect();
            let end = sensor.send(uplink(9), &bytes).await;
            let heard = front.heard().await;
            assert_eq!(heard.phy, bytes);
            assert_eq!((heard.frequency, heard.modulation), (CHANNEL, modulation(9)));
            let reception = &heard.receptions[0];
            assert_eq!(reception.gateway, EUI);
            assert_eq!((reception.rssi, reception.snr), (path.rssi, path.snr));
            assert!(reception.tmst.abs_diff(front.tmst(end)) <= 1, "{reception:?}");
            assert!(heard.at.monotonic.abs_diff(end - front.epoch) <= Duration::from_micros(1));
        }
        assert_eq!(front.counters.packets.load(Relaxed), 4);
        assert!(front.counters.last_packet().is_some());
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_by_another_real_driver_is_heard() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("driver", &air, 9).await;
        // a second front end; its downlinks are inverted, so that the first must not hear them
        let other = Front::sx1262("driver-other", &air, 9).await;
        other.transmit(other.downlink(1, Duration::from_millis(500))).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(air.sent(), 1);
        assert_eq!(front.has_heard(), None);
        air.station().send(uplink(9), b"uplink").await;
        assert_eq!(front.heard().await.phy, b"uplink");
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn damaged_packets_are_counted_and_not_passed_on() {
    alone(async {
        let air = Air::new();
        let fronts =
            [Front::sx1262("crc-1262", &air, 9).await, Front::sx1276("crc-1276", &air, 9).await];
        let sensor = air.station();
        air.jam_next(3);
        for n in 0..3 {
            sensor.send(uplink(9), &[n; 20]).await;
            sleep(Duration::from_millis(20)).await;
        }
        sensor.send(uplink(9), b"whole").await;
        for mut front in fronts {
            assert_eq!(front.heard().await.phy, b"whole");
            assert_eq!(front.counters.packets.load(Relaxed), 1);
            assert_eq!(front.counters.bad_crc.load(Relaxed), 3);
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_interrupt_line_rises_once_a_packet() {
    alone(async {
        let air = Air::new();
        for mut front in
            [Front::sx1262("edges-1262", &air, 9).await, Front::sx1276("edges-1276", &air, 9).await]
        {
            let sensor = air.station();
            let before = front.chip.edges();
            for _ in 0..10 {
                sensor.send(uplink(9), &[7; 30]).await;
                front.heard().await;
                sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(front.chip.edges() - before, 10);
            front.transmit(front.downlink(1, Duration::from_millis(500))).await;
            assert_eq!(front.report().await.result, Ok(()));
            sleep(Duration::from_millis(20)).await;
            assert_eq!(front.chip.edges() - before, 11);
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_chips_understand_every_spreading_factor() {
    alone(async {
        let air = Air::new();
        for sf in 7..=12 {
            let mut fronts = [
                Front::sx1262(&format!("all-1262-{sf}"), &air, sf).await,
                Front::sx1276(&format!("all-1276-{sf}"), &air, sf).await,
            ];
            air.station().send(uplink(sf), &[sf; 40]).await;
            for front in &mut fronts {
                assert_eq!(front.heard().await.phy, [sf; 40], "SF{sf}");
            }
            for mut front in fronts {
                let mut downlink = front.downlink(1, Duration::from_millis(100));
                downlink.modulation = modulation(sf);
                front.transmit(downlink).await;
                assert_eq!(front.report().await.result, Ok(()), "SF{sf}");
                let log = air.log_of(front.chip.station());
                let expected = Signal::downlink(CHANNEL, modulation(sf));
                let sent = log.last().expect("sent").signal;
                assert!(sent.frequency.0.abs_diff(CHANNEL.0) < 100, "{sent:?}");
                assert_eq!(Signal { frequency: CHANNEL, ..sent }, expected, "SF{sf}");
                front.stop().await;
            }
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_packet_whose_edge_was_lost_is_heard_a_little_later() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("lost-edge", &air, 9).await;
        front.chip.break_down(Fault::LoseEdges, Cure::None);
        let end = air.station().send(uplink(9), b"unnoticed").await;
        assert_eq!(front.heard().await.phy, b"unnoticed");
        assert!(end.elapsed() <= Duration::from_millis(600), "{:?}", end.elapsed());
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_an_idle_chip() {
    alone(async {
        let air = Air::new();
        for front in
            [Front::sx1262("idle-1262", &air, 9).await, Front::sx1276("idle-1276", &air, 9).await]
        {
            let before = front.transactions.get();
            sleep(Duration::from_secs(3600)).await;
            assert_eq!(front.transactions.get() - before, 0);
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}
