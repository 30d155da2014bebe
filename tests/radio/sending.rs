//! Answers leave in time, or it is said why not; each is reported, and once.

use crate::front::{
    CHANNEL, Front, alone, assert_clean, first_class, modulation, settings, uplink,
};
use lykta::config::{Chip, RadioSettings};
use lykta::emulation::{Air, Signal};
use lykta::radio::hat::Command;
use lykta::radio::{Transmission, TxError};
use lykta::units::{Dbm, Hertz};
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::spawn_local;
use tokio::time::{Instant, interval, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// How far the last transmission's first symbol was from its due time.
fn error(front: &Front, air: &Air, due: Instant) -> Duration {
    let log = air.log_of(front.chip.station());
    let start = log.last().expect("a transmission").start;
    start.saturating_duration_since(due).max(due.saturating_duration_since(start))
}

#[tokio::test(start_paused = true)]
async fn an_answer_starts_within_a_millisecond_once_the_lead_is_known() {
    alone(async {
        let air = Air::new();
        for chip in [Chip::Sx1262, Chip::Sx1276] {
            let mut front = match chip {
                Chip::Sx1262 => Front::sx1262("lead-1262", &air, 9).await,
                Chip::Sx1276 => Front::sx1276("lead-1276", &air, 9).await,
            };
            for n in 0..20 {
                // at odd times: the timer's milliseconds must not help
                sleep(Duration::from_micros(71_317 * n)).await;
                let end = air.station().send(uplink(9), &[1; 23]).await;
                let heard = front.heard().await;
                let tmst = heard.receptions[0].tmst.wrapping_add(1_000_000);
                front.transmit(Transmission { tmst, ..front.downlink(n, SECOND) }).await;
                let report = front.report().await;
                assert_eq!(report.result, Ok(()), "{chip:?}, number {n}");
                let error = error(&front, &air, end + SECOND);
                // before the first, a TCXO's lead is a guess
                let tolerated = if n == 0 { 5 } else { 1 };
                let close = error <= Duration::from_millis(tolerated);
                assert!(close, "{chip:?}, number {n}: {error:?}");
            }
            assert_eq!(front.counters.transmitted.load(Relaxed), 20);
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_nobody_told_of_is_learned_from_the_first_answer() {
    alone(async {
        let air = Air::new();
        let real = settings(Chip::Sx1262, 9);
        let believed = RadioSettings { tcxo: None, ..real.clone() };
        let mut front = Front::start_believing("learns", first_class(&air), real, believed);
        front.listens().await;
        assert_eq!(front.counters.lead(), Duration::ZERO);
        let mut errors = Vec::new();
        for n in 0..5 {
            let due = Instant::now() + SECOND;
            front.transmit(front.downlink(n, SECOND)).await;
            assert_eq!(front.report().await.result, Ok(()));
            errors.push(error(&front, &air, due));
        }
        assert!(errors[0] > Duration::from_millis(9), "{errors:?}");
        assert!(errors[1..].iter().all(|e| *e <= Duration::from_millis(1)), "{errors:?}");
        assert!(front.counters.lead().abs_diff(errors[0]) <= Duration::from_millis(1));
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_frames_a_second_do_not_make_answers_late() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("load", &air, 9).await;
        let crowd = air.clone();
        let load = spawn_local(async move {
            let mut tick = interval(Duration::from_millis(5));
            let station = crowd.station();
            for n in 0u32.. {
                let at = tick.tick().await;
                // seven channels and three spreading factors, this radio's own among them
                let channel = Hertz(CHANNEL.0 - 200_000 * (n % 7));
                let signal = Signal::uplink(channel, modulation(7 + (n % 3) as u8));
                station.send_at(at, signal, &n.to_be_bytes());
            }
        });
        for n in 0..30 {
            sleep(Duration::from_micros(313_131)).await;
            let due = Instant::now() + SECOND;
            front.transmit(front.downlink(n, SECOND)).await;
            assert_eq!(front.report().await.result, Ok(()));
            let error = error(&front, &air, due);
            assert!(n == 0 || error <= Duration::from_millis(1), "number {n}: {error:?}");
        }
        load.abort();
        let counters = &front.counters;
        let ended = counters.packets.load(Relaxed) + counters.bad_crc.load(Relaxed);
        assert!(ended > 100, "it hears all the while: {ended}");
        assert!(air.sent() > 200 * 30, "{}", air.sent());
        assert_eq!(counters.reinits.load(Relaxed), 0);
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_inverted_without_checksum_and_as_loud_as_it_may_be() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("loud", &air, 9).await;
        let wanted = Transmission {
            frequency: Hertz(869_525_000),
            modulation: modulation(12),
            power: Dbm(27.0),
            phy: (0..33).collect(),
            ..front.downlink(1, SECOND)
        };
        front.transmit(wanted.clone()).await;
        assert_eq!(front.report().await.result, Ok(()));
        let log = air.log_of(front.chip.station());
        assert_eq!(log[0].bytes, wanted.phy);
        let expected = Signal::downlink(wanted.frequency, wanted.modulation);
        assert_eq!(Signal { frequency: wanted.frequency, ..log[0].signal }, expected);
        assert!(log[0].signal.frequency.0.abs_diff(869_525_000) < 100);
        assert_eq!(log[0].power, Dbm(14.0), "the settings say 14 dBm");
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_with_its_reason_and_only_once() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("refused", &air, 9).await;
        sleep(SECOND).await;
        let good = front.downlink(1, 2 * SECOND);
        let past = front.tmst(Instant::now() - Duration::from_millis(1));
        let cases = [
            (Transmission { tmst: past, ..good.clone() }, TxError::TooLate),
            (front.downlink(0, Duration::from_millis(12)), TxError::TooLate),
            (front.downlink(0, 40 * SECOND), TxError::TooEarly),
            (front.downlink(0, 2 * SECOND + Duration::from_millis(100)), TxError::Collision),
            (front.downlink(0, 2 * SECOND - Duration::from_millis(100)), TxError::Collision),
            (front.downlink(0, 2 * SECOND), TxError::Collision),
            (Transmission { frequency: Hertz(868_650_000), ..good.clone() }, TxError::Impossible),
            (Transmission { phy: vec![0; 256], ..good.clone() }, TxError::Impossible),
        ];
        front.transmit(good).await;
        let mut expected = Vec::new();
        for (n, (transmission, error)) in cases.into_iter().enumerate() {
            let id = 10 + n as u64;
            front.transmit(Transmission { id, ..transmission }).await;
            expected.push((id, Err(error)));
        }
        expected.push((1, Ok(())));
        let mut reports = Vec::new();
        for _ in &expected {
            let report = front.report().await;
            reports.push((report.id, report.result));
        }
        assert_eq!(reports, expected);
        sleep(60 * SECOND).await;
        assert_eq!(front.more_reports(), []);
        assert_eq!(air.log_of(front.chip.station()).len(), 1);
        assert_eq!(front.counters.tx_refused.load(Relaxed), 8);
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_are_sent_in_order_of_time_whatever_the_order_of_commands() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("order", &air, 9).await;
        for n in [3, 1, 4, 2] {
            front.transmit(front.downlink(n, SECOND * n as u32)).await;
        }
        for n in 1..=4 {
            let report = front.report().await;
            assert_eq!((report.id, report.result), (n, Ok(())));
        }
        let log = air.log_of(front.chip.station());
        assert_eq!(log.len(), 4);
        // … and then it listens again
        sleep(Duration::from_millis(50)).await;
        air.station().send(uplink(9), b"still here").await;
        assert_eq!(front.heard().await.phy, b"still here");
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn transmissions_may_follow_each_other_closely() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("close", &air, 9).await;
        let airtime = Signal::downlink(CHANNEL, modulation(9)).time_on_air(17);
        let gap = airtime + Duration::from_micros(30_100);
        let begin = Instant::now() + SECOND;
        for n in 0..10 {
            let tmst = front.tmst(begin + gap * n);
            let id = u64::from(n);
            front.transmit(Transmission { tmst, ..front.downlink(id, SECOND) }).await;
        }
        for n in 0..10 {
            let report = front.report().await;
            assert_eq!((report.id, report.result), (n, Ok(())));
        }
        for (n, sent) in air.log_of(front.chip.station()).iter().enumerate() {
            let due = begin + gap * n as u32;
            let late = sent.start.saturating_duration_since(due);
            let early = due.saturating_duration_since(sent.start);
            assert!(late.max(early) <= Duration::from_millis(1), "{n}: {late:?} {early:?}");
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reports_wait_until_there_is_room_for_them() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("room", &air, 9).await;
        front.full.store(5, Relaxed);
        front.transmit(front.downlink(1, Duration::ZERO)).await;
        front.transmit(front.downlink(2, SECOND)).await;
        let (first, second) = (front.report().await, front.report().await);
        assert_eq!((first.id, first.result), (1, Err(TxError::TooLate)));
        assert_eq!((second.id, second.result), (2, Ok(())));
        assert_eq!(front.counters.dropped.load(Relaxed), 0);
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_less_than_a_second_even_in_the_middle_of_a_long_answer() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("stop", &air, 9).await;
        let long = Transmission {
            modulation: modulation(12),
            phy: vec![0; 60],
            ..front.downlink(1, Duration::from_millis(100))
        };
        front.transmit(long).await;
        sleep(Duration::from_millis(500)).await;
        // waits in the queue, behind the one on the air
        front.transmit(front.downlink(2, 5 * SECOND)).await;
        front.transmit(front.downlink(3, 6 * SECOND)).await;
        assert_eq!(front.more_reports(), []);
        let (took, reports) = front.stop().await;
        assert!(took <= SECOND, "{took:?}");
        let reports: Vec<_> = reports.into_iter().map(|r| (r.id, r.result)).collect();
        let no_way = Err(TxError::NoWay);
        assert_eq!(reports, [(1, Err(TxError::Unsure)), (2, no_way), (3, no_way)]);
        sleep(10 * SECOND).await;
        assert_eq!(air.sent(), 1);
        assert_clean(&air);
    })
    .await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is commanded, and whenever, and while frames come in: one report for each.
    #[test]
    fn every_transmission_is_reported_exactly_once(
        asked in proptest::collection::vec(
            (0u64..3000, -200i64..4000, 7u8..=12, any::<bool>(), 0u8..12),
            1..12,
        ),
        stop_after in 0u64..8000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(alone(async {
            let air = Air::new();
            let chip = first_class(&air);
            let mut front = Front::start("every", chip, settings(Chip::Sx1262, 9));
            let (commands, epoch) = (front.commands.clone(), front.epoch);
            let count = asked.len() as u64;
            let template = front.downlink(0, Duration::ZERO);
            let crowd = air.clone();
            spawn_local(async move {
                for (id, (pause, ahead, sf, frame, other)) in asked.into_iter().enumerate() {
                    sleep(Duration::from_millis(pause)).await;
                    if frame {
                        crowd.station().send(uplink(9), &[1; 12]).await;
                    }
                    match other {
                        0 => commands.send(Command::Reinit).await.unwrap_or_default(),
                        1 => commands.send(Command::Reset).await.unwrap_or_default(),
                        _ => {}
                    }
                    let now = (Instant::now() - epoch).as_micros() as i64;
                    let transmission = Transmission {
                        id: id as u64,
                        tmst: (now + 1000 * ahead) as u32,
                        modulation: modulation(sf),
                        ..template.clone()
                    };
                    // one that is refused here is the caller's to report
                    let refused = commands.send(Command::Transmit(transmission)).await.is_err();
                    assert!(!refused || commands.is_closed());
                }
            });
            let mut seen = Vec::new();
            if stop_after < 4000 {
                sleep(Duration::from_millis(stop_after)).await;
                seen = front.more_reports();
                seen.extend(front.stop().await.1);
            } else {
                for _ in 0..count {
                    seen.push(front.report().await);
                }
                assert_eq!(front.more_reports(), []);
            }
            let mut ids: Vec<_> = seen.iter().map(|report| report.id).collect();
            ids.sort_unstable();
            let before = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), before, "reported twice");
            // those that were taken are the first ones
            assert!(ids.iter().copied().eq(0..before as u64), "{ids:?}");
            assert_clean(&air);
        }));
    }
}
