//! A radio that fails comes back by itself, or says why not; nothing runs hot meanwhile.

use crate::front::{Front, alone, assert_clean, first_class, settings, uplink};
use crate::journal;
use lykta::config::Chip;
use lykta::emulation::{Air, Antenna, Cure, EmuChip, Fault};
use lykta::radio::TxError;
use lykta::radio::hat::{Command, State};
use lykta::radio::vigil::{Step, Vigil};
use lykta::units::DevEui;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// It hears, after whatever has happened.
async fn assert_hears(front: &mut Front, air: &Air) {
    sleep(SECOND).await;
    air.station().send(uplink(9), b"are you there").await;
    assert_eq!(front.heard().await.phy, b"are you there");
}

fn remedies(front: &Front) -> (u64, u64) {
    (front.counters.reinits.load(Relaxed), front.counters.resets.load(Relaxed))
}

async fn send(front: &mut Front, id: u64) -> Result<(), TxError> {
    front.transmit(front.downlink(id, SECOND)).await;
    let report = front.report().await;
    assert_eq!(report.id, id);
    report.result
}

#[tokio::test(start_paused = true)]
async fn a_transmission_that_does_not_end_is_given_up_and_the_chip_set_up_again() {
    alone(async {
        let air = Air::new();
        for name in ["stuck-1262", "stuck-1276"] {
            let mut front = match name {
                "stuck-1262" => Front::sx1262(name, &air, 9).await,
                _ => Front::sx1276(name, &air, 9).await,
            };
            front.chip.break_down(Fault::StuckTx, Cure::Setup);
            let begin = Instant::now();
            // nobody knows how far it came
            assert_eq!(send(&mut front, 1).await, Err(TxError::Unsure), "{name}");
            assert!(begin.elapsed() < 3 * SECOND, "{name}: {:?}", begin.elapsed());
            assert_eq!(front.counters.tx_failed.load(Relaxed), 1, "{name}");
            assert_eq!(remedies(&front), (1, 0), "{name}");
            assert_hears(&mut front, &air).await;
            assert_eq!(send(&mut front, 2).await, Ok(()), "{name}");
            assert_eq!(front.opened.get(), 1, "{name}");
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_setting_up_does_not_cure_a_reset_may() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("reset-cures", &air, 9).await;
        front.chip.break_down(Fault::StuckTx, Cure::Resets(1));
        assert_eq!(send(&mut front, 1).await, Err(TxError::Unsure));
        assert_eq!(send(&mut front, 2).await, Err(TxError::Unsure));
        assert_eq!(remedies(&front), (1, 1));
        assert_eq!(send(&mut front, 3).await, Ok(()));
        assert_hears(&mut front, &air).await;
        assert_eq!(front.counters.state(), State::Up);
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hung_busy_line_is_bounded_and_cured_by_the_reset_line() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("busy", &air, 9).await;
        front.chip.break_down(Fault::HangBusy, Cure::Resets(1));
        assert_eq!(send(&mut front, 1).await, Err(TxError::Radio));
        assert_hears(&mut front, &air).await;
        assert_eq!(remedies(&front), (1, 1));
        // the commands that it could not take in between are the emulator's to complain of
        air.take_violations();
        assert_eq!(send(&mut front, 2).await, Ok(()));
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chip_that_dies_is_told_once_tried_ever_less_often_and_used_when_it_is_back() {
    alone(async {
        let air = Air::new();
        for byte in [0x00, 0xff] {
            let name = format!("dies-{byte:02x}");
            let mut front = Front::sx1262(&name, &air, 9).await;
            front.chip.break_down(Fault::Dead(byte), Cure::None);
            let result = send(&mut front, 1).await;
            assert!(matches!(result, Err(TxError::Radio | TxError::Unsure)), "{name}: {result:?}");
            front.state(State::Down).await;
            // while it is down it says so at once
            front.transmit(front.downlink(2, SECOND)).await;
            let report = front.report().await;
            assert_eq!((report.id, report.result), (2, Err(TxError::NoWay)));
            sleep(3600 * SECOND).await;
            // 10 s, 20 s … 10 min
            assert!((8..=13).contains(&front.opened.get()), "{name}: {}", front.opened.get());
            let (reinits, resets) = remedies(&front);
            assert!(reinits + resets <= 3, "{name}: {reinits} {resets}");
            // an attempt asks the chip what it is, and nothing more
            assert!(front.transactions.get() < 300, "{name}: {}", front.transactions.get());
            let said = journal::of(&name);
            assert!(said.len() <= 4, "{said:?}");

            front.chip.repair();
            sleep(601 * SECOND).await;
            assert_eq!(front.counters.state(), State::Up, "{name}");
            assert_hears(&mut front, &air).await;
            sleep(301 * SECOND).await;
            insta::assert_snapshot!(name.as_str(), journal::of(&name).join("\n"));
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chip_that_answers_otherwise_each_time_does_not_fill_the_journal() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1276("floats", &air, 9).await;
        for byte in 0x40..0x60 {
            front.chip.repair();
            front.chip.break_down(Fault::Dead(byte), Cure::None);
            if byte == 0x40 {
                assert!(send(&mut front, 1).await.is_err());
                front.state(State::Down).await;
            }
            sleep(601 * SECOND).await;
        }
        let told = || {
            let said = journal::of("floats");
            said.iter().filter(|line| line.contains("is tried again")).count()
        };
        assert_eq!(told(), 5, "{:?}", journal::of("floats"));
        front.chip.repair();
        sleep(601 * SECOND).await;
        assert_hears(&mut front, &air).await;
        sleep(301 * SECOND).await;
        // the next trouble is another one
        front.chip.break_down(Fault::Dead(0x40), Cure::None);
        assert!(send(&mut front, 2).await.is_err());
        front.state(State::Down).await;
        assert_eq!(told(), 6);
        air.take_violations();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chip_that_is_missing_or_another_one_is_an_error_that_says_what_to_check() {
    alone(async {
        let air = Air::new();
        let old = EmuChip::sx1276(&air, Antenna::Lines);
        let cases = [
            ("missing-high", Chip::Sx1262, first_class(&air), Fault::Dead(0xff)),
            ("missing-low", Chip::Sx1262, first_class(&air), Fault::Dead(0x00)),
            ("missing-busy", Chip::Sx1262, first_class(&air), Fault::HangBusy),
            ("missing-1276", Chip::Sx1276, old.clone(), Fault::Dead(0xff)),
            ("stranger-1276", Chip::Sx1276, old, Fault::Stranger),
        ];
        for (name, chip, emulated, fault) in cases {
            emulated.break_down(fault, Cure::None);
            let mut front = Front::start(name, emulated, settings(chip, 9));
            front.state(State::Down).await;
            sleep(60 * SECOND).await;
            assert_eq!(remedies(&front), (0, 0), "{name}");
            assert_eq!(send(&mut front, 1).await, Err(TxError::NoWay));
            front.chip.repair();
            sleep(60 * SECOND).await;
            assert_eq!(front.counters.state(), State::Up, "{name}");
            insta::assert_snapshot!(name, journal::of(name).join("\n"));
            front.stop().await;
        }
        assert_clean(&air);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deaf_radio_is_found_by_its_vigil_and_cured_by_the_remedy_that_helps() {
    alone(async {
        let cases = [
            ("deaf-setup", Cure::Setup, vec![Step::Reinit]),
            ("deaf-reset", Cure::Resets(1), vec![Step::Reinit, Step::Reset]),
        ];
        for (name, cure, expected) in cases {
            let air = Air::new();
            let mut front = Front::sx1262(name, &air, 9).await;
            let mut vigil = Vigil::new(front.epoch.elapsed());
            let (device, heartbeat) = (DevEui(1), 60 * SECOND);
            let mut steps = Vec::new();
            for minute in 0..30 {
                if minute == 3 {
                    front.chip.break_down(Fault::Deaf, cure);
                }
                air.station().send(uplink(9), &[minute; 12]).await;
                sleep(SECOND).await;
                while let Some(heard) = front.has_heard() {
                    vigil.heard(device, heartbeat, heard.at.monotonic);
                }
                if let Some(step) = vigil.tick(front.epoch.elapsed()) {
                    steps.push(step);
                    match step {
                        Step::Reinit => front.command(Command::Reinit).await,
                        Step::Reset => front.command(Command::Reset).await,
                        Step::Alarm | Step::Recovered => {}
                    }
                }
                sleep(58 * SECOND).await;
            }
            assert_eq!(steps, expected, "{name}");
            assert!(front.counters.packets.load(Relaxed) >= 20, "{name}");
            assert_eq!(front.opened.get(), 1);
            assert_clean(&air);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_line_that_never_tells_of_an_edge_is_told() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("no-edges", &air, 9).await;
        // what a line does that the kernel gave to somebody else: rppal asks for it in a thread,
        // and nobody hears that it was refused
        front.chip.break_down(Fault::LoseEdges, Cure::None);
        let mut late = Duration::ZERO;
        for n in 0..50u8 {
            sleep(Duration::from_millis(3170)).await;
            let end = air.station().send(uplink(9), &[n; 12]).await - front.epoch;
            let told = front.heard().await.at.monotonic;
            late = late.max(told.abs_diff(end));
        }
        println!("packets are stamped up to {late:?} late");
        let said = journal::of("no-edges");
        assert!(
            said.len() > 1,
            "50 packets without an edge, state {:?}: {said:?}",
            front.counters.state()
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lead_is_not_learned_from_an_edge_that_was_lost() {
    alone(async {
        let air = Air::new();
        let mut front = Front::sx1262("lead-no-edges", &air, 9).await;
        let mut leads = Vec::new();
        for n in 0..6u64 {
            match n {
                2 => front.chip.break_down(Fault::LoseEdges, Cure::None),
                4 => front.chip.repair(),
                _ => {}
            }
            sleep(Duration::from_millis(3170)).await;
            let due = Instant::now() + SECOND;
            assert_eq!(send(&mut front, n).await, Ok(()));
            let log = air.log_of(front.chip.station());
            let start = log.last().expect("a transmission").start;
            let off =
                start.saturating_duration_since(due).max(due.saturating_duration_since(start));
            leads.push((front.counters.lead(), off));
        }
        assert!(leads[1..].iter().all(|(_, off)| *off <= Duration::from_millis(1)), "{leads:?}");
    })
    .await;
}
