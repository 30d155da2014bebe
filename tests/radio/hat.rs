//! A HAT on its own thread, on a machine that has none.

use crate::front::{EUI, assert_clean, first_class, settings, uplink};
use crate::journal;
use lykta::board::BoardError;
use lykta::clock::Clock;
use lykta::config::{Chip, OutputSettings, SpiPort};
use lykta::emulation::{Air, EmuPin, EmuSpi};
use lykta::ops::output::{Lamp, Outputs};
use lykta::radio::hat::interface::Interface;
use lykta::radio::hat::tap::Notes;
use lykta::radio::hat::task::{Opened, Task, Timing};
use lykta::radio::hat::{
    Command, CommandError, Hat, Parts, State, Sx1262Radio, TokioDelay, sx1262,
};
use lykta::radio::vigil::Step;
use lykta::radio::{AirEvent, Heard, Outlet, OutletError, Report, Transmission, TxError};
use lykta::units::{Dbm, Hertz, LoRa};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// Nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

type Reports = mpsc::Receiver<Report>;

fn parts(name: &str) -> (Parts, watch::Sender<bool>, Reports) {
    let (parts, stop, _, reports) = listening_parts(name);
    (parts, stop, reports)
}

fn listening_parts(name: &str) -> (Parts, watch::Sender<bool>, mpsc::Receiver<Heard>, Reports) {
    journal::start();
    let (stop, stopped) = watch::channel(false);
    let (frames, heard) = mpsc::channel(100);
    let (sender, reports) = mpsc::channel(100);
    let outlet = Outlet::new(move |event| {
        let passed = match event {
            AirEvent::Heard(frame) => frames.try_send(frame).is_ok(),
            AirEvent::Sent(report) => sender.try_send(report).is_ok(),
        };
        if passed { Ok(()) } else { Err(OutletError::Closed) }
    });
    let parts = Parts {
        name: name.into(),
        settings: settings(Chip::Sx1262, 9),
        eui: EUI,
        outlet,
        clock: Clock::system(),
        stop: stopped,
    };
    (parts, stop, heard, reports)
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
    let (mut parts, stop, mut reports) = parts("none-here");
    // no pin of a machine that has some, should this run there
    parts.settings.reset = 200;
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

type NoRadio = Opened<Sx1262Radio<EmuSpi, EmuPin, EmuPin, EmuPin>, TokioDelay>;

/// In real time, as on a Pi: that it works, and not how exactly, which depends on the machine.
#[tokio::test]
async fn a_hat_on_its_own_thread_hears_and_answers() {
    let (parts, stop, mut heard, mut reports) = listening_parts("thread");
    let air = Air::new();
    let chip = first_class(&air);
    let board = chip.clone();
    let (hat, ended) = Hat::spawn_with(parts, Timing::Exact, async move |task: Task| {
        let settings = task.settings.clone();
        let notes = Notes::new(Arc::clone(&task.counters));
        task.keep(async || {
            let interface = Interface::new(
                board.reset_pin(),
                Some(board.busy_pin()),
                board.dio_pin(),
                None,
                None,
                Arc::clone(&notes),
            );
            sx1262(board.spi(), interface, Arc::clone(&notes), &settings).await
        })
        .await;
    })
    .expect("a thread");
    let (sensor, clock) = (air.station(), Clock::system());
    // until the receiver listens, nobody hears
    let heard = async {
        loop {
            sensor.send(uplink(9), b"hello").await;
            if let Ok(heard) = timeout(Duration::from_millis(100), heard.recv()).await {
                break heard.expect("open");
            }
        }
    };
    let heard = timeout(PATIENCE, heard).await.expect("a frame");
    assert_eq!(heard.phy, b"hello");
    assert!(heard.at.wall <= clock.now().wall);
    let tmst = heard.receptions[0].tmst.wrapping_add(500_000);
    hat.command(Command::Transmit(Transmission { tmst, ..downlink(1) })).expect("room");
    let report = timeout(PATIENCE, reports.recv()).await.expect("a report").expect("open");
    // a machine that stood still meanwhile may be too late, and says so
    assert!(matches!(report.result, Ok(()) | Err(TxError::TooLate)), "{report:?}");
    assert_eq!(air.log_of(chip.station()).len(), usize::from(report.result.is_ok()));
    stop.send_replace(true);
    timeout(PATIENCE, ended).await.expect("ended").expect_err("by its end");
    assert_clean(&air);
}

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

#[tokio::test]
async fn lamp_and_relay_on_a_machine_without_pins_are_one_warning() {
    journal::start();
    // no pin of a machine that has some, should this run there
    let outputs =
        OutputSettings { status_led: Some(200), relay: Some(201), buzzer: None, button: None };
    let outputs = Outputs::open(&outputs);
    outputs.lamp(Lamp::Fault);
    outputs.relay(true);
    outputs.stop().await;
    insta::assert_snapshot!("outputs", journal::beginning("[output]").join("\n"));
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
        BoardError::Gpio { cause: io::Error::from(io::ErrorKind::NotFound) },
        BoardError::PinUsed(18),
        BoardError::NoPin(99),
    ];
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("board", text.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_without_room_is_told_once_and_counted() {
    journal::start();
    let outlet = Outlet::new(|_| Err(OutletError::Full));
    let frame = || {
        let heard = Heard {
            phy: vec![0; 12],
            at: Clock::system().now(),
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            receptions: Vec::new(),
        };
        AirEvent::Heard(heard)
    };
    let told = || journal::beginning("frames come faster").len();
    for _ in 0..100 {
        assert_eq!(outlet.pass(frame()), Err(OutletError::Full));
        tokio::time::advance(Duration::from_secs(59)).await;
    }
    assert_eq!((told(), outlet.clone().dropped()), (1, 100), "one state, not a hundred events");
    tokio::time::advance(Duration::from_secs(1)).await;
    let _ = outlet.pass(frame());
    assert_eq!(told(), 2, "it had ended and began anew");
    let report = Report { id: 1, gateway: EUI, result: Ok(()) };
    assert_eq!(outlet.pass(AirEvent::Sent(report)), Err(OutletError::Full));
    assert_eq!(outlet.dropped(), 101, "a report is kept by its sender");
}
