//! A buffer that is full gives up what matters least.

use crate::shelf::{Shelf, waiting};
use crate::support::{entry, message};
use jiff::Timestamp;
use lykta::clock::{Clock, ClockQuality};
use lykta::store::{Bounds, Class, Cursor, Entry, Outbox, Stage, Store};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const AGE: Duration = Duration::from_secs(90 * 24 * 3600);

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// What waits, by class: number, topic and second.
fn rows(outbox: &mut Outbox) -> BTreeMap<Class, Vec<(u64, String, i64)>> {
    let mut all: BTreeMap<Class, Vec<_>> = Class::ALL.map(|class| (class, Vec::new())).into();
    let found = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100_000).unwrap();
    for row in found {
        let class = row.key.class().unwrap();
        let second = row.told.time.as_second();
        all.get_mut(&class).unwrap().push((row.key.sequence(), row.topic, second));
    }
    all
}

fn per<'a>(
    rows: impl IntoIterator<Item = &'a (u64, String, i64)>,
    span: i64,
) -> BTreeMap<(&'a str, i64), usize> {
    let mut per = BTreeMap::new();
    for (_, topic, second) in rows {
        *per.entry((topic.as_str(), second.div_euclid(span))).or_default() += 1;
    }
    per
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_matters_least_goes_first_and_alarms_never(
        messages in prop::collection::vec(
            (prop::sample::select(vec![0usize, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]), 0u8..4), 200..900),
        step in 60i64..4000,
        share in 0.0..1.0f64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.db");
        let clock = Clock::simulated(now(), 0);
        let (mut store, mut outbox) = Store::open_both(&file, &clock).unwrap();
        let empty = store.used().unwrap();
        let count = messages.len() as i64;
        let messages = messages.iter().zip(0..).map(|((class, topic), n): (_, i64)| {
            let noise: String = (0..200).map(|_| fastrand::alphanumeric()).collect();
            let body = format!(r#"{{"noise":"{noise}"}}"#);
            let mut message = message(Class::ALL[*class], format!("t{topic}"), body);
            message.at.wall = now() - Duration::from_secs((step * (count - n)) as u64);
            message.at.quality = ClockQuality::Synced;
            message
        });
        store.commit(&[entry(1, messages.collect())]).unwrap();
        let before = rows(&mut outbox);
        let used = store.used().unwrap();
        let bounds =
            Bounds { bytes: empty + ((used - empty) as f64 * share) as u64, age: AGE };
        let mut shed = [0; 5];
        let mut steps = 0;
        let stage = loop {
            let step = store.shed(bounds, false).unwrap();
            shed.iter_mut().zip(step.rows).for_each(|(all, rows)| *all += rows);
            steps += 1;
            if !step.again {
                break step.stage;
            }
        };
        prop_assert!(steps < 40, "{steps} steps");
        let after = rows(&mut outbox);
        prop_assert_eq!(store.shed_so_far().unwrap(), shed);
        for class in Class::ALL {
            let gone = before[&class].len() - after[&class].len();
            prop_assert_eq!(gone as u64, shed[class as usize], "{:?}", class);
            let is: BTreeSet<_> = after[&class].iter().collect();
            prop_assert!(is.is_subset(&before[&class].iter().collect()));
        }
        prop_assert_eq!(shed[0], 0);
        match stage {
            None => prop_assert!(store.used().unwrap() <= bounds.bytes),
            Some(stage) => {
                prop_assert_eq!(stage, Stage::Nothing);
                prop_assert!(Class::ALL[1..].iter().all(|class| after[class].is_empty()));
            }
        }
        // what matters more is touched only when all that matters less is done
        let [_, events, plans, measurements, diagnostics] = Class::ALL.map(|class| after[&class].len());
        let measured = &before[&Class::Measurement];
        let left = &after[&Class::Measurement];
        if shed[3] > 0 {
            prop_assert_eq!(diagnostics, 0);
        }
        if shed[1] > 0 {
            prop_assert!(per(left, 24 * 3600).values().all(|n| *n <= 1));
        }
        if shed[2] > 0 {
            prop_assert_eq!(events, 0);
        }
        // until there is nothing else, one a day of each topic stays
        if plans > 0 || shed[2] == 0 {
            prop_assert!(per(left, 24 * 3600).keys().eq(per(measured, 24 * 3600).keys()));
            if events > 0 && left.len() > per(measured, 24 * 3600).len() && shed[1] == 0 {
                let hours = per(measured, 3600).len();
                prop_assert!(measurements >= hours.min(measured.len()) || shed[3] > 0);
            }
        }
        // the forwarder is told how many of what it had were still there
        let keys = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100_000).unwrap();
        let keys: Vec<_> = keys.into_iter().map(|row| row.key).collect();
        prop_assert_eq!(outbox.remove(&keys).unwrap(), keys.len() as u64);
        prop_assert_eq!(outbox.remove(&keys).unwrap(), 0);
    }
}

/// A message of so many days ago of each class.
fn of_days(days: [u64; 4]) -> Entry {
    let mut all = Vec::new();
    for days in days {
        for class in Class::ALL {
            let mut message = message(class, format!("{days}"), "{}".into());
            message.at.wall = now() - Duration::from_secs(days * 24 * 3600);
            message.at.quality = ClockQuality::Synced;
            all.push(message);
        }
    }
    entry(1, all)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_for_a_while_makes_nothing_old() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.db");
    let hour = Duration::from_secs(3600);
    let years = Duration::from_secs(20 * 365 * 24 * 3600);
    let clock = Clock::simulated(now(), 1);
    let (mut store, _) = Store::open_both(&file, &clock).unwrap();
    store.commit(&[of_days([80, 40, 2, 0])]).unwrap();
    let bounds = Bounds { bytes: 100_000_000, age: AGE };
    let shed = |store: &mut Store| store.shed(bounds, false).unwrap().rows;
    // right for days; then wrong, whether or not somebody writes meanwhile
    for writes in [true, false] {
        tokio::time::advance(48 * hour).await;
        assert_eq!(shed(&mut store), [0; 5]);
        let right = clock.now().wall;
        clock.set(right + years, ClockQuality::Synced);
        for _ in 0..4 {
            if writes {
                store.commit(&[entry(1, Vec::new())]).unwrap();
            }
            assert_eq!(shed(&mut store), [0; 5]);
            tokio::time::advance(hour).await;
        }
        assert_eq!(shed(&mut store), [0; 5]);
        clock.set(right + 4 * hour, ClockQuality::Synced);
        store.note_clock().unwrap();
        assert_eq!(shed(&mut store), [0; 5]);
    }
    // and wrong from the start
    drop(store);
    let wrong = Clock::simulated(now() + years, 1);
    let (mut store, _) = Store::open_both(&file, &wrong).unwrap();
    tokio::time::advance(hour).await;
    assert_eq!(shed(&mut store), [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_goes_but_alarms_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.db");
    let day = Duration::from_secs(24 * 3600);
    let clock = Clock::simulated(now() - day, 1);
    let (mut store, mut outbox) = Store::open_both(&file, &clock).unwrap();
    store.commit(&[of_days([200, 91, 89, 0])]).unwrap();
    let bounds = Bounds { bytes: 100_000_000, age: AGE };
    // a clock is believed that has gone with itself for a day
    tokio::time::advance(day).await;
    let shed = store.shed(bounds, false).unwrap();
    assert_eq!((shed.rows, shed.stage), ([0, 2, 2, 2, 2], None));
    let left = rows(&mut outbox);
    assert_eq!(left[&Class::Alarm].len(), 4);
    assert!(left[&Class::Event].iter().all(|(_, topic, _)| topic == "89" || topic == "0"));
    // counted for ever
    drop((store, outbox));
    let store = Store::open(&file, &clock).unwrap();
    assert_eq!(store.shed_so_far().unwrap(), [0, 2, 2, 2, 2]);
}

#[test]
fn a_disk_that_is_full_has_room_for_an_alarm() {
    let shelf = Shelf::with(2000);
    let (mut store, mut outbox) = shelf.open();
    let before = waiting(&mut outbox);
    // as if the disk ended here
    let mut shed = [0; 5];
    for _ in 0..3 {
        let step = store.shed(Bounds::default(), true).unwrap();
        shed.iter_mut().zip(step.rows).for_each(|(all, rows)| *all += rows);
    }
    assert!(shed[4] > 0 && shed[3] > 0 && shed[..3] == [0; 3], "{shed:?}");
    let after = waiting(&mut outbox);
    assert_eq!(before.len() as u64 - shed.iter().sum::<u64>(), after.len() as u64);
}
