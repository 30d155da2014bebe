//! What is known of a bin is kept with the uplink that told it, and told once.

use super::{Running, heard_at, n, start_with};
use crate::support::{Sensor, wait_until};
use lykta::config::TenantKind;
use lykta::ingest::Input;
use lykta::radio::AirEvent;
use lykta::store::{Class, Cursor, Outbox};
use serde_json::Value;
use std::path::Path;

const EMPTY: u8 = 150;

/// A sensor that is heard each hour, over as many lives of the gateway as one likes.
struct Bin {
    directory: tempfile::TempDir,
    sensor: Sensor,
    hour: i64,
}

impl Bin {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), sensor: Sensor::new(1), hour: 0 }
    }

    /// In a life of the gateway it is heard with these distances and temperatures.
    fn live(&mut self, readings: impl IntoIterator<Item = (u8, i8)>) {
        let running: Running = start_with(self.directory.path(), TenantKind::Waste, true);
        let mut count = 0;
        for (centimetres, degrees) in readings {
            self.hour += 1;
            count += 1;
            let frame = self.sensor.level(self.hour as u32, centimetres, degrees);
            let heard = heard_at(frame, self.hour);
            running.inputs.send(Input::Air(AirEvent::Heard(heard))).unwrap();
        }
        wait_until("all are accepted", || n(&running.tenant.accepted) == count);
        running.stop();
    }

    /// What waits for the cloud on topics that end so.
    fn told(&self, leaf: &str) -> Vec<(Class, Value)> {
        told(self.directory.path(), leaf)
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |(_, body): (Class, Value)| body["kind"].as_str().unwrap().to_owned();
        self.told("/event").into_iter().map(kind).collect()
    }
}

fn told(directory: &Path, leaf: &str) -> Vec<(Class, Value)> {
    let mut outbox = Outbox::open(&directory.join("waste.db")).unwrap();
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100_000).unwrap();
    let mut told: Vec<_> = rows
        .iter()
        .filter(|row| row.topic.starts_with("bin/1/") && row.topic.ends_with(leaf))
        .map(|row| {
            let class = row.key.class().unwrap();
            (row.key.sequence(), class, serde_json::from_str(&row.body).unwrap())
        })
        .collect();
    told.sort_by_key(|(sequence, ..)| *sequence);
    told.into_iter().map(|(_, class, body)| (class, body)).collect()
}

/// Centimetres to the surface of a bin that fills by a centimetre an hour.
fn filling(from: u8) -> impl Iterator<Item = (u8, i8)> {
    (0..).map(move |hour: u8| (from.saturating_sub(hour), 8))
}

#[test]
fn a_bin_that_fills_and_is_emptied_is_told_once_whatever_the_restarts() {
    let mut bin = Bin::new();
    for part in 0..6_u8 {
        bin.live(filling(EMPTY - 20 * part).take(20));
    }
    bin.live(filling(EMPTY - 120).take(6));
    bin.live([(EMPTY - 1, 8); 2]);
    bin.live([(EMPTY - 2, 8); 4]);
    let kinds = bin.kinds();
    assert_eq!(kinds, ["mayBeEmptied", "mustBeEmptied", "emptied", "dueOver"], "{kinds:?}");
    let (class, emptied) = bin.told("/event").remove(2);
    assert_eq!(class, Class::Event);
    let before = emptied["fillBefore"].as_f64().unwrap();
    assert!((0.8..=0.9).contains(&before), "{emptied}");
    assert_eq!(emptied["at"], "2026-01-21T04:00:00Z", "{emptied}");
    let levels = bin.told("/level");
    let fills: Vec<_> = levels.iter().map(|(_, level)| level["fill"].as_f64().unwrap()).collect();
    // in each of seven lives the first reading is told, and then each step of two per cent
    let told = fills.windows(2).filter(|pair| (pair[1] - pair[0]).abs() < 0.019).count();
    assert!((30..45).contains(&fills.len()) && told <= 12, "{told}: {fills:?}");
    assert!(fills.iter().any(|fill| *fill > 0.85) && fills.last().is_some_and(|f| *f < 0.05));
    let last = &levels.last().unwrap().1;
    assert_eq!(last["emptiedAt"], "2026-01-21T04:00:00Z", "{last}");
    assert!(levels[25].1["mustAt"]["p50"].is_string(), "{}", levels[30].1);
}

#[test]
fn a_fire_is_an_alarm_and_told_once_over_a_restart() {
    let mut bin = Bin::new();
    // in an hourly report one hot byte may be wrong, and the next one says so
    bin.live([(EMPTY, 8), (EMPTY, 8), (EMPTY, 90)]);
    bin.live([(EMPTY, 95)]);
    bin.live([(EMPTY, 96), (EMPTY, 30)]);
    let events = bin.told("/event");
    let kinds = bin.kinds();
    assert_eq!(kinds, ["fire", "fireOver"]);
    assert_eq!((events[0].0, events[1].0), (Class::Alarm, Class::Event));
    assert_eq!(events[0].1["text"]["sv"], "Kärl 1: det brinner.");
    let levels = bin.told("/level");
    let fires: Vec<bool> = levels.iter().map(|(_, level)| level["fire"] == true).collect();
    assert_eq!(fires, [false, true, true, false], "remembered");
}

#[test]
fn no_echo_and_frost_are_neither_empty_nor_fire() {
    let mut bin = Bin::new();
    bin.live([(60, 8), (60, 4), (60, -1), (60, -12)]);
    bin.live([(254, -12), (254, 3), (60, 4)]);
    assert_eq!(bin.kinds(), ["mayBeEmptied"]);
    let levels = bin.told("/level");
    for (_, level) in &levels {
        assert!((level["fill"].as_f64().unwrap() - 0.64).abs() < 0.03, "{level}");
    }
    let (_, silent) = &levels[levels.len() - 2];
    assert_eq!((&silent["fillQuality"], &silent["echo"]), (&"rejected".into(), &"none".into()));
}
