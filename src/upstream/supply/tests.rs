use super::*;
use crate::clock::{Clock, ClockQuality, Moment};
use crate::store::{Entry, Message, Store};
use crate::units::DevEui;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::HashMap;

/// A store with these messages, numbered from 1.
fn store(messages: &[(Class, &str)]) -> (tempfile::TempDir, Store, Outbox) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    commit(&mut store, messages);
    let outbox = Outbox::open(&file).expect("opens");
    (directory, store, outbox)
}

fn commit(store: &mut Store, messages: &[(Class, &str)]) {
    let at = Moment {
        wall: Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Synced,
        monotonic: Duration::ZERO,
    };
    let message = |(class, topic): &(Class, &str)| Message {
        class: *class,
        at,
        topic: (*topic).to_owned(),
        body: "{}".into(),
    };
    let entry = Entry::of(DevEui(0), messages.iter().map(message).collect());
    store.commit(&[entry]).expect("commits");
}

/// What goes, in its order: the number of the message, and `*` for a newest state.
fn words(items: &[Item]) -> Vec<String> {
    let word = |item: &Item| match item {
        Item::Stored(row, late) => {
            format!("{}{}", row.key.sequence(), if *late { "" } else { "+" })
        }
        Item::Newest(row, whose) => format!("{whose}*{}", row.key.sequence()),
    };
    items.iter().map(word).collect()
}

const AT_ONCE: Pacing = Pacing { rate: 0, delay: Duration::ZERO };

#[test]
fn alarms_events_plans_newest_states_and_then_the_backlog() {
    let (a, b) = ("device/a/readings", "device/b/readings");
    let (_directory, mut store, mut outbox) = store(&[
        (Class::Measurement, a),
        (Class::Measurement, b),
        (Class::Diagnostic, "x"),
        (Class::Event, "e"),
        (Class::Measurement, a),
        (Class::Measurement, "device/a/event/up"),
        (Class::Alarm, "alarm"),
        (Class::Plan, "plan/p"),
    ]);
    let now = Instant::now();
    let mut supply = Supply::new(8, 8, AT_ONCE, 0.5, now);
    commit(&mut store, &[(Class::Measurement, b), (Class::Event, "e")]);
    supply.news();
    let mut went = Vec::new();
    while !supply.is_empty() {
        let items =
            supply.take(&mut outbox, &HashSet::new(), Class::Diagnostic, 2, now).expect("reads");
        assert!(items.len() <= 2);
        went.extend(words(&items));
    }
    let wanted = ["7", "4", "10+", "8", "a*5", "b*2", "1", "2", "5", "6", "9+", "3"];
    assert_eq!(went, wanted);
}

#[test]
fn what_the_broker_knows_as_the_newest_is_not_told_again() {
    let (a, b) = ("device/a/readings", "device/b/readings");
    let messages = [(Class::Measurement, a), (Class::Measurement, b), (Class::Measurement, a)];
    let (_directory, mut store, mut outbox) = store(&messages);
    let now = Instant::now();
    let mut told: HashSet<Key> = [2, 3].map(|n| Key::new(Class::Measurement, n)).into();
    let newest = |outbox: &mut Outbox, told: &HashSet<Key>, last| {
        let mut supply = Supply::new(last, last, AT_ONCE, 0.5, now);
        let items = supply.take(outbox, told, Class::Diagnostic, 9, now).expect("reads");
        words(&items)
    };
    assert_eq!(newest(&mut outbox, &told, 3), ["1", "2", "3"]);
    commit(&mut store, &[(Class::Measurement, b)]);
    assert_eq!(newest(&mut outbox, &told, 4)[0], "b*4", "only what is newer still");
    told.clear();
    assert_eq!(newest(&mut outbox, &told, 4)[..2], ["b*4", "a*3"]);
}

#[test]
fn a_backlog_goes_at_its_rate_after_a_while_and_an_alarm_at_once() {
    let backlog = vec![(Class::Measurement, "device/a/event/up"); 300];
    let (_directory, mut store, mut outbox) = store(&backlog);
    let now = Instant::now();
    let pacing = Pacing { rate: 10, delay: Duration::from_secs(20) };
    let mut supply = Supply::new(300, 300, pacing, 0.5, now);
    let mut take = |supply: &mut Supply, seconds: f64| {
        let at = now + Duration::from_secs_f64(seconds);
        supply.take(&mut outbox, &HashSet::new(), Class::Diagnostic, 90, at).expect("reads").len()
    };
    assert_eq!((take(&mut supply, 0.0), take(&mut supply, 9.9)), (0, 0), "it takes 30 s, waits 10");
    commit(&mut store, &[(Class::Alarm, "alarm")]);
    supply.news();
    assert_eq!(take(&mut supply, 9.95), 1);
    let ten_seconds: usize =
        (0..10_000).map(|ms| take(&mut supply, 10.0 + f64::from(ms) / 1e3)).sum();
    assert_eq!(ten_seconds, 100);
    assert_eq!(take(&mut supply, 60.0), 1, "what was not used is not made up for");
    let next = supply.next_at().expect("it waits") - now;
    assert!(next > Duration::from_secs(60) && next < Duration::from_secs(61), "{next:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However it is asked: every message once, in order within its class; what is more
    /// important than a measurement before all else; the newest of each device before the
    /// backlog, once.
    #[test]
    fn every_message_goes_once_and_in_order(
        messages in prop::collection::vec((prop::sample::select(&Class::ALL), 0u8..4), 1..500),
        rooms in prop::collection::vec(1usize..60, 1..9),
        rate in prop_oneof![Just(0u32), 1u32..2000],
    ) {
        let topics: Vec<_> = (0..4).map(|n| format!("device/{n}/readings")).collect();
        let messages: Vec<_> = messages.iter().map(|(c, n)| (*c, &*topics[usize::from(*n)])).collect();
        let (_directory, _store, mut outbox) = store(&messages);
        let begin = Instant::now();
        let pacing = Pacing { rate, delay: Duration::from_secs(5) };
        let waiting = messages.len() as u64;
        let mut supply = Supply::new(waiting, waiting, pacing, 0.3, begin);
        let (mut now, mut stored, mut newest) = (begin, Vec::new(), HashMap::new());
        let (mut late, mut rooms) = (0, rooms.into_iter().cycle());
        while !supply.is_empty() {
            let room = rooms.next().expect("without end");
            let items = supply.take(&mut outbox, &HashSet::new(), Class::Diagnostic, room, now).expect("reads");
            prop_assert!(items.len() <= room);
            for item in &items {
                match item {
                    Item::Stored(row, _) => {
                        late += usize::from(row.key.class() >= Some(Class::Measurement));
                        stored.push(row.key);
                    }
                    Item::Newest(row, whose) => {
                        prop_assert_eq!(late, 0, "before the backlog");
                        prop_assert!(newest.insert(whose.clone(), row.key).is_none());
                    }
                }
            }
            if items.is_empty() && let Some(at) = supply.next_at() {
                now = now.max(at) + Duration::from_millis(1);
            }
        }
        prop_assert!(stored.is_sorted());
        prop_assert_eq!(stored.len(), messages.len());
        let measurements = stored.iter().filter(|key| key.class() == Some(Class::Measurement));
        let mut wanted = HashMap::new();
        for key in measurements {
            let topic = messages[key.sequence() as usize - 1].1;
            wanted.insert(whose(topic).expect("a device").to_owned(), *key);
        }
        prop_assert_eq!(newest, wanted);
        if rate > 0 {
            let took = now.duration_since(begin).as_secs_f64();
            let most = took * f64::from(rate) + f64::from(rate) / 10.0 + 2.0;
            prop_assert!(late as f64 <= most, "{late} in {took} s at {rate}");
        }
    }
}
