//! A HAT on its own thread, on a machine that has none.

use crate::front::{EUI, settings};
use crate::journal;
use lykta::board::BoardError;
use lykta::clock::Clock;
use lykta::config::{Chip, SpiPort};
use lykta::radio::hat::task::{Task, Timing};
use lykta::radio::hat::{Command, CommandError, Hat, Parts, State};
use lykta::radio::vigil::Step;
use lykta::radio::{AirEvent, Outlet, Report, Transmission, TxError};
use lykta::units::{Dbm, Hertz, LoRa};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn parts(name: &str) -> (Parts, watch::Sender<bool>, mpsc::Receiver<Report>) {
    journal::start();
    let (stop, stopped) = watch::channel(false);
    let (sender, reports) = mpsc::channel(100);
    let outlet = Outlet::new(move |event| {
        if let AirEvent::Sent(report) = event {
            sender.try_send(report).expect("room");
        }
        Ok(())
    });
    let parts = Parts {
        name: name.into(),
        settings: settings(Chip::Sx1262, 9),
        eui: EUI,
        outlet,
        clock: Clock::system(),
        stop: stopped,
    };
    (parts, stop, reports)
}

fn downlink(id: u64) -> Transmission {
    Transmission {
        id,
        gateway: EUI,
        tmst: 5_000_000,
        frequency: Hertz(868_100_000),
        modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
        power: Dbm(14.0),
        phy: vec![0; 17],
    }
}

#[tokio::test]
async fn a_machine_without_a_hat_says_so_and_stops_when_told() {
    let (parts, stop, mut reports) = parts("none-here");
    let (hat, ended) = Hat::spawn(parts).expect("a thread");
    let down = async {
        while hat.counters().state() != State::Down || journal::of("none-here").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, down).await.expect("down");
    hat.command(Command::Transmit(downlink(7))).expect("room");
    let report = timeout(PATIENCE, reports.recv()).await.expect("a report").expect("open");
    assert_eq!(report, Report { id: 7, gateway: EUI, result: Err(TxError::NoWay) });
    insta::assert_snapshot!("none-here", journal::of("none-here").join("\n"));
    stop.send_replace(true);
    timeout(PATIENCE, ended).await.expect("ended").expect_err("by its end");
    assert_eq!(hat.command(Command::Reset), Err(CommandError::Stopped));
}

#[tokio::test]
async fn a_radio_that_takes_no_commands_refuses_them_in_the_end() {
    let (parts, stop, mut reports) = parts("overflow");
    let (hat, ended) = Hat::spawn_with(parts, Timing::Timer, async |mut task: Task| {
        let _ = task.stop.wait_for(|stop| *stop).await;
        // what was taken is reported, though late
        task.keep(async || Err::<NoRadio, _>("there is none".to_owned())).await;
    })
    .expect("a thread");
    let taken = (0..100).take_while(|id| hat.command(Command::Transmit(downlink(*id))).is_ok());
    let taken = taken.count() as u64;
    assert_eq!(taken, 32);
    assert_eq!(hat.command(Command::Reinit), Err(CommandError::Full));
    stop.send_replace(true);
    timeout(PATIENCE, ended).await.expect("ended").expect_err("by its end");
    for id in 0..taken {
        let report = reports.recv().await.expect("a report");
        assert_eq!((report.id, report.result), (id, Err(TxError::NoWay)));
    }
    assert_eq!(reports.recv().await, None);
}

type NoRadio = lykta::radio::hat::task::Opened<
    lykta::radio::hat::Sx1262Radio<
        lykta::emulation::EmuSpi,
        lykta::emulation::EmuPin,
        lykta::emulation::EmuPin,
        lykta::emulation::EmuPin,
    >,
    lykta::radio::hat::TokioDelay,
>;

#[tokio::test]
async fn an_alarm_of_the_vigil_is_told_with_its_end() {
    let (parts, stop, _reports) = parts("vigil");
    let (hat, ended) = Hat::spawn_with(parts, Timing::Timer, async |mut task: Task| {
        let _ = task.stop.wait_for(|stop| *stop).await;
    })
    .expect("a thread");
    hat.obey(Step::Alarm);
    hat.obey(Step::Recovered);
    insta::assert_snapshot!("vigil", journal::of("vigil").join("\n"));
    stop.send_replace(true);
    timeout(PATIENCE, ended).await.expect("ended").expect_err("by its end");
}

#[test]
fn errors_of_the_board_say_what_to_check() {
    let port = |bus, select| SpiPort { bus, select };
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let errors = [
        BoardError::NoSpi(port(0, 0)),
        BoardError::NoSpi(port(1, 2)),
        BoardError::Spi { port: port(0, 1), cause: denied() },
        BoardError::Spi { port: port(0, 1), cause: io::Error::from(io::ErrorKind::TimedOut) },
        BoardError::UnknownModel,
        BoardError::Gpio { cause: denied() },
        BoardError::PinUsed(18),
        BoardError::NoPin(99),
    ];
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("board", text.join("\n"));
}
