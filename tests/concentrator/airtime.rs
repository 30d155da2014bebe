//! The law's hour goes on when lykta does not.

use crate::support::reception;
use lykta::clock::{ClockQuality, Moment};
use lykta::radio::schedule::{Answer, Outcome, RxWindow, Schedule, Window};
use lykta::radio::{Report, TxError};
use lykta::store::airtime::AirtimeStore;
use lykta::units::{Dbm, GatewayEui, Hertz, LoRa};
use std::path::Path;
use std::time::Duration;

const RX1: Hertz = Hertz(868_100_000);

/// This many seconds after some start, by a monotonic clock that began at another.
fn at(seconds: u64, boot: u64) -> Moment {
    let start: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    Moment {
        wall: start + Duration::from_secs(seconds),
        quality: ClockQuality::Synced,
        monotonic: Duration::from_secs(seconds - boot),
    }
}

/// One life of the gateway: what is on the disk is known, and what is sent is written first.
struct Life {
    schedule: Schedule<()>,
    store: AirtimeStore,
    boot: u64,
    set_aside: bool,
}

impl Life {
    fn begin(file: &Path, boot: u64) -> Self {
        let now = at(boot, boot);
        let (mut store, aside) = AirtimeStore::open(file, now.wall).unwrap();
        let mut schedule = Schedule::new(Dbm(14.0));
        schedule.import(store.load().unwrap(), now);
        if aside.is_some() {
            schedule.assume_half_used(now.monotonic);
        }
        store.replace(&schedule.export(now)).unwrap();
        Self { schedule, store, boot, set_aside: aside.is_some() }
    }

    /// Answers an uplink that ended now; where the answer went. The gateway refuses the first
    /// choice if `refuse`.
    fn answer(&mut self, seconds: u64, mut refuse: bool) -> Option<Hertz> {
        let now = at(seconds, self.boot);
        let window = |rx, delay, frequency| Window {
            rx,
            delay: Duration::from_secs(delay),
            frequency: Hertz(frequency),
            modulation: LoRa { spreading_factor: 10, bandwidth: Hertz(125_000) },
        };
        let answer = Answer {
            phy: vec![0x60; 17],
            windows: vec![window(RxWindow::Rx1, 1, RX1.0), window(RxWindow::Rx2, 2, 869_525_000)],
        };
        let reception = reception(GatewayEui(0xa1));
        let mut outcome = self.schedule.answer(answer, &[reception], now.monotonic, (), now);
        loop {
            let order = match outcome {
                Outcome::Transmit(order) => order,
                Outcome::Sent { order, .. } => return Some(order.transmission.frequency),
                Outcome::Failed { .. } => return None,
            };
            self.store.add(&order.airtime).unwrap();
            let refused = std::mem::take(&mut refuse);
            let result = if refused { Err(TxError::Collision) } else { Ok(()) };
            let report = Report { id: order.transmission.id, gateway: GatewayEui(0xa1), result };
            let step = self.schedule.report(&report, now).unwrap();
            if let Some(unused) = step.unused {
                self.store.remove(&unused).unwrap();
            }
            outcome = step.outcome;
        }
    }
}

#[test]
fn the_duty_cycle_is_kept_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("air.db");
    // 36 s an hour are 109 answers of 330 ms; they are sent by three lives of lykta
    let mut first_window = 0;
    for boot in [0, 400, 800] {
        let mut life = Life::begin(&file, boot);
        for n in 0..40 {
            // what the gateway refuses takes nothing from the hour
            assert_ne!(life.answer(boot + 8 * n, true), Some(RX1));
            first_window += u32::from(life.answer(boot + 8 * n + 4, false) == Some(RX1));
        }
    }
    assert_eq!(first_window, 109);
    let mut life = Life::begin(&file, 1200);
    assert_ne!(life.answer(1201, false), Some(RX1), "the hour is full, also after the restart");
    assert_ne!(life.answer(3600, false), Some(RX1));
    assert_eq!(life.answer(3606, false), Some(RX1), "the first answers are older than an hour");
    // what has grown old is on the disk no longer than until the next start
    let life = Life::begin(&file, 20_000);
    assert_eq!(life.store.load().unwrap(), []);
}

#[test]
fn lost_books_leave_half_an_hour_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("air.db");
    std::fs::write(&file, b"not a database, but long enough to be taken for a broken one").unwrap();
    let mut life = Life::begin(&file, 0);
    assert!(life.set_aside);
    let sent = (0..100).filter(|n| life.answer(8 * n, false) == Some(RX1)).count();
    assert_eq!(sent, 54, "18 s in answers of 330 ms");
    assert!(!Life::begin(&file, 900).set_aside);
}
