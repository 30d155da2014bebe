//! Uplinks that wait for a script.

use super::{Running, n, said_again, start};
use crate::support::{Sensor, wait_until};
use lykta::codec::script::Keeper;
use lykta::config::TenantKind;
use lykta::store::{Class, Cursor, Outbox};
use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;

/// Something stands there; 20 degrees; 3.5 V.
const TAKEN: [u8; 11] = [1, 0x66, 1, 2, 0x67, 0, 200, 3, 0x74, 1, 0x5e];

pub(crate) fn scripted() -> Sensor {
    Sensor::new(4)
}

/// The uplinks that wait for the cloud, in the order in which they were taken in: whose, its
/// counter, and why it has no readings.
fn uplinks(running: Running) -> Vec<(String, u64, Option<String>)> {
    let file = running.file.clone();
    running.stop();
    let mut outbox = Outbox::open(&file).unwrap();
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), usize::MAX >> 1).unwrap();
    let ups = rows.iter().filter(|row| row.topic.ends_with("event/up"));
    ups.map(|row| {
        let body: Value = serde_json::from_str(&row.body).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let device = text(&body["deviceInfo"]["devEui"]).unwrap();
        (device, body["fCnt"].as_u64().unwrap(), text(&body["codecError"]))
    })
    .collect()
}

#[test]
fn whoever_waits_for_a_script_keeps_nobody_else_waiting_and_its_own_order() {
    let directory = tempfile::tempdir().unwrap();
    // nobody asks the script
    let running = start(directory.path(), TenantKind::Waste);
    let (slow, other) = (scripted(), Sensor::new(1));
    running.hear(slow.uplink(1, 2, &TAKEN));
    // this one needs no script, but may not overtake
    running.hear(slow.without_payload(2));
    running.hear(slow.uplink(3, 2, &TAKEN));
    for f_cnt in 1..=3 {
        running.hear(other.level(f_cnt, 50, 4));
    }
    let late = Some("the codec did not answer in time".to_owned());
    let (slow, other) = (slow.dev_eui.to_string(), other.dev_eui.to_string());
    let all = uplinks(running);
    let of = |device: &str| -> Vec<_> {
        let of = all.iter().filter(|(whose, ..)| whose == device);
        of.map(|(_, f_cnt, error)| (*f_cnt, error.clone())).collect()
    };
    assert_eq!(of(&other), [(1, None), (2, None), (3, None)]);
    assert_eq!(of(&slow), [(1, late.clone()), (2, None), (3, late)]);
    let first = |device: &str| all.iter().position(|(whose, ..)| whose == device).unwrap();
    assert!(first(&other) < first(&slow), "{all:?}");
}

#[test]
fn a_crowd_is_taken_in_without_its_readings_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), TenantKind::Waste);
    for f_cnt in 1..=200 {
        running.hear(scripted().uplink(f_cnt, 2, &TAKEN));
    }
    let tenant = running.tenant.clone();
    let all = uplinks(running);
    assert_eq!(all.iter().map(|(_, f_cnt, _)| *f_cnt).collect::<Vec<_>>(), Vec::from_iter(1..=200));
    assert!(all.iter().all(|(.., error)| error.is_some()));
    assert_eq!((n(&tenant.accepted), n(&tenant.not_decoded)), (200, 200));
}

#[test]
fn what_waits_has_not_been_accepted_and_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    // of care an uplink waits longer than this test
    let running = start(directory.path(), TenantKind::Care);
    let frame = scripted().uplink(7, 2, &TAKEN);
    running.hear(frame.clone());
    wait_until("it is heard", || running.air.heard.load(Relaxed) == 1);
    // a copy that came late finds nothing accepted, and is a repetition in the end
    running.hear(frame.clone());
    assert_eq!(n(&running.tenant.accepted), 0);
    // a power cut leaves what is on the disk
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(directory.path().join("waste.db"), other.path().join("waste.db")).unwrap();
    let again = start(other.path(), TenantKind::Waste);
    again.hear(frame.clone());
    again.hear(frame);
    let (air, tenant) = (again.air.clone(), again.tenant.clone());
    let all = uplinks(again);
    assert_eq!(all.len(), 1);
    assert_eq!((n(&tenant.accepted), said_again(&air)), (1, 1));
}

#[test]
fn with_its_answer_an_uplink_has_readings() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = start(directory.path(), TenantKind::Care);
    let codecs = running.codecs.take().unwrap();
    let thread = std::thread::spawn(move || {
        codecs.run(Keeper::new(env!("CARGO_BIN_EXE_lykta").into()));
    });
    running.hear(scripted().uplink(1, 2, &TAKEN));
    running.hear(scripted().uplink(2, 2, b"no such format"));
    // nobody wakes the loop here, but time does
    let tenant = running.tenant.clone();
    wait_until("both are accepted", || n(&tenant.accepted) == 2);
    running.stop();
    assert_eq!(n(&tenant.not_decoded), 1);
    thread.join().unwrap();
}
