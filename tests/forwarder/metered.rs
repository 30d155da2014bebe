//! A metered line: measurements are thinned before the day's bytes are used up, and alarms go
//! whatever was used.

use crate::sink::Script;
use crate::world::World;
use lykta::config::Protocol::V5;
use lykta::store::Class;
use std::sync::atomic::Ordering::Relaxed;

const MESSAGES: u64 = 5_000;

/// What came of all messages, each with what it takes beside itself.
fn bytes(world: &World) -> usize {
    world.sink.records().iter().map(|r| r.body.to_string().len() + r.topic.len() + 200).sum()
}

#[test]
fn measurements_are_thinned_and_counted_before_the_bytes_are_used_up() {
    let mut world = World::with(V5, Script::default(), MESSAGES, |settings| settings.daily_mb = 1);
    world.wait_until("nothing waits", || world.waiting() == 0);
    let thinned = world.counters.thinned.load(Relaxed);
    let came = world.sink.count() as u64;
    assert_eq!(came + thinned, MESSAGES, "each came or was counted");
    assert!(thinned > 0 && came > 0, "{came} came");
    assert!(bytes(&world) < 1_000_000, "{}", bytes(&world));
    world.commit(Class::Alarm, 1);
    world.wait_until("the alarm has come", || world.taken([MESSAGES + 1]));
}

#[test]
fn when_they_are_used_up_alarms_go_and_all_else_waits() {
    let mut world = World::with(V5, Script::default(), 0, |settings| settings.daily_mb = 1);
    world.commit(Class::Event, MESSAGES);
    world.wait_until("some have come", || world.sink.count() > 1_000);
    world.commit(Class::Alarm, 50);
    world.wait_until("all alarms have come", || world.taken(MESSAGES + 1..=MESSAGES + 50));
    world.commit(Class::Alarm, 1);
    world.wait_until("another alarm has come", || world.taken([MESSAGES + 51]));
    let events = |world: &World| {
        world.sink.records().iter().filter(|r| r.topic.contains("/event/")).count() as u64
    };
    world.wait_until("the others wait", || events(&world) + world.waiting() == MESSAGES);
    assert!(world.waiting() > 0 && bytes(&world) < 1_100_000);
    assert_eq!(world.counters.thinned.load(Relaxed), 0, "an event is not given up");
}
