//! The record of what was sent, without which a gateway could break the law after a power cut.

use crate::calls;
use crate::platter::Platter;
use crate::support::Fate;
use jiff::Timestamp;
use lykta::clock::ClockQuality;
use lykta::eu868::ledger::Record;
use lykta::radio::schedule::Airtime;
use lykta::store::airtime::AirtimeStore;
use lykta::units::{GatewayEui, Hertz};
use std::time::Duration;

fn sent(n: i64) -> Airtime {
    Airtime {
        gateway: GatewayEui(1),
        record: Record {
            start: Timestamp::from_second(1_767_225_600 + n).unwrap(),
            clock: ClockQuality::Synced,
            airtime: Duration::from_millis(46),
            frequency: Hertz(868_100_000),
        },
    }
}

#[test]
fn what_was_sent_is_known_after_a_power_cut() {
    let directory = tempfile::tempdir().unwrap();
    let tape = calls::record(directory.path());
    let now = sent(0).record.start;
    let (mut store, _) = AirtimeStore::open(&directory.path().join("air.db"), now).unwrap();
    // after how many events each was on disk
    let written = (0..100).map(|n| {
        store.add(&sent(n)).unwrap();
        tape.lock().unwrap().events.len()
    });
    let written: Vec<_> = written.collect();
    let tape = tape.lock().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut platter = Platter::default();
    for (at, event) in tape.events.iter().enumerate() {
        platter.apply(event);
        let left = tempfile::tempdir().unwrap();
        let fate = Fate::ALL[random.usize(..Fate::ALL.len())];
        platter.cut(fate, &mut random, left.path());
        let (store, aside) = AirtimeStore::open(&left.path().join("air.db"), now).unwrap();
        assert!(aside.is_none(), "event {at}, {fate:?}: {aside:?}");
        let found = store.load().unwrap();
        let promised = written.iter().filter(|written| **written <= at + 1).count();
        let lost = (0..promised as i64).find(|n| !found.contains(&sent(*n)));
        assert_eq!(lost, None, "event {at}, {fate:?}");
    }
}
