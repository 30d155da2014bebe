//! Messages that the broker does not take, for ever or for a time, and whichever way it says so:
//! they hold nothing up, are never lost, and operations is told.

use crate::journal::{self, Entry};
use crate::sink::Script;
use crate::world::{WINDOW, World};
use lykta::config::Protocol::{self, V4, V5};
use lykta::config::Upstream;
use lykta::message::{UPSTREAM_SET_ASIDE, UPSTREAM_TAKEN_AFTER_ALL};
use lykta::store::Class;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const MESSAGES: u64 = 1_000;

/// What is set aside is offered again after an hour, that is, not in this test.
fn patient(settings: &mut Upstream) {
    settings.set_aside_after = Duration::from_secs(60 * 3600);
}

/// What is refused is set aside soon, and soon offered again.
fn hasty(settings: &mut Upstream) {
    settings.set_aside_after = Duration::from_millis(600);
}

fn told(world: &World) -> Vec<Entry> {
    journal::of(&world.tenant, UPSTREAM_SET_ASIDE)
}

/// One message that the broker closes the connection over, among many.
fn abhorred(protocol: Protocol, before: u64, class: Class) -> World {
    let script = Script { abhorred: &["/poison"], ..Script::default() };
    let mut world = World::with(protocol, script, 0, patient);
    world.commit(Class::Measurement, before);
    world.commit_on(class, 1, |_| "bin/poison".into(), 200);
    world.commit(Class::Measurement, MESSAGES - before);
    let poison = before + 1;
    world.wait_until("all others have come", || {
        world.taken((1..=MESSAGES + 1).filter(|n| *n != poison))
    });
    world.wait_until("it is set aside", || world.set_aside() == 1);
    world.wait_until("the outbox is empty", || world.waiting() == 0);
    world
}

#[test]
fn a_message_that_the_broker_closes_the_connection_over_is_found_and_set_aside() {
    for protocol in [V4, V5] {
        for before in [0, 1, 50, 500, MESSAGES] {
            let world = abhorred(protocol, before, Class::Measurement);
            assert!(world.sink.connections() <= 12, "{} connections", world.sink.connections());
            let told = told(&world);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0]["LEVEL"], "WARN");
            assert_eq!(
                told[0]["LYKTA_REASON"],
                "each time that it is sent: the broker closed the connection"
            );
        }
    }
}

#[test]
fn an_alarm_that_the_broker_closes_the_connection_over_is_shouted() {
    for protocol in [V4, V5] {
        let world = abhorred(protocol, 500, Class::Alarm);
        let told = told(&world);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["LEVEL"], "ERROR");
        assert!(told[0]["MESSAGE"].starts_with("an ALARM of tenant "), "{told:?}");
    }
}

#[test]
fn a_dozen_of_them_are_all_found() {
    for protocol in [V4, V5] {
        let script = Script { abhorred: &["/poison"], ..Script::default() };
        let mut world = World::with(protocol, script, 0, patient);
        let topic = |n: u64| format!("bin/{}", if n % 50 == 7 { "poison" } else { "good" });
        world.commit_on(Class::Measurement, 600, topic, 200);
        world.wait_until("all others have come", || world.taken((1..=600).filter(|n| n % 50 != 7)));
        world.wait_until("they are set aside", || world.set_aside() == 12);
    }
}

#[test]
fn what_is_set_aside_is_offered_again_and_arrives_once_the_broker_takes_it() {
    for protocol in [V4, V5] {
        let script = Script { abhorred: &["/poison"], ..Script::default() };
        let mut world = World::with(protocol, script, 100, hasty);
        world.commit_on(Class::Alarm, 1, |_| "bin/poison".into(), 200);
        world.commit_on(Class::Measurement, 1, |_| "bin/poison".into(), 200);
        world.wait_until("they are set aside", || world.set_aside() == 2);
        // each offer costs a connection, and nobody else anything
        let connections = world.sink.connections();
        world.wait_until("it is offered again", || world.sink.connections() > connections + 2);
        world.commit(Class::Measurement, 100);
        world.wait_until("others come all the while", || world.waiting() == 0);
        assert_eq!(journal::of(&world.tenant, UPSTREAM_TAKEN_AFTER_ALL).len(), 0);
        world.sink.relent();
        world.wait_until("they are taken after all", || world.set_aside() == 0);
        world.wait_until("the outbox is empty again", || world.waiting() == 0);
        assert!(world.taken(1..=202));
        let records = world.sink.records();
        let late: Vec<_> = records.iter().filter(|r| r.topic.ends_with("/poison")).collect();
        assert!(late.iter().all(|record| record.body["late"] == true), "{late:?}");
        let told = || !journal::of(&world.tenant, UPSTREAM_TAKEN_AFTER_ALL).is_empty();
        world.wait_until("it is told", told);
    }
}

#[test]
fn a_broker_that_closes_the_connection_over_everything_makes_nothing_be_set_aside() {
    for protocol in [V4, V5] {
        let script = Script { abhorred: &[""], ..Script::default() };
        let mut world = World::with(protocol, script, 500, patient);
        world.commit(Class::Alarm, 1);
        world.wait_until("it has been tried often", || world.sink.connections() > 60);
        assert_eq!((world.set_aside(), world.waiting()), (0, 501));
        world.sink.relent();
        world.wait_until("all have come", || world.waiting() == 0);
        assert!(world.taken(1..=501));
        assert_eq!(told(&world), Vec::<Entry>::new());
    }
}

#[test]
fn a_broker_that_closes_the_connection_over_health_gets_everything_else() {
    for protocol in [V4, V5] {
        let script = Script { abhorred: &["/health"], ..Script::default() };
        let mut world = World::with(protocol, script, 500, patient);
        world.wait_until("all have come", || world.waiting() == 0);
        // what it takes from now on shows that it is not about everything
        for _ in 0..10 {
            world.commit(Class::Measurement, 1);
            world.wait_until("it has come", || world.waiting() == 0);
        }
        world.wait_until("health is not sent any more", || !told(&world).is_empty());
        let told = told(&world);
        assert!(told[0]["MESSAGE"].starts_with("health of tenant "), "{told:?}");
        let connections = world.sink.connections();
        world.wait_until("all have come", || world.waiting() == 0);
        assert!(world.sink.connections() <= connections + 1);
        assert_eq!(world.set_aside(), 0);
    }
}

#[test]
fn health_that_the_broker_closes_the_connection_over_is_tried_again_after_a_while() {
    let script = Script { abhorred: &["/health"], ..Script::default() };
    let mut world = World::with(V5, script, 0, |settings| {
        settings.set_aside_after = Duration::from_secs(1);
    });
    // other messages show that it is not about everything
    let until = |world: &mut World, what, holds: &dyn Fn(&World) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(world) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            world.commit(Class::Measurement, 1);
            world.wait_until("it has come", || world.waiting() == 0);
        }
        world.sink.connections()
    };
    let connections = until(&mut world, "health is not sent", &|world| !told(world).is_empty());
    let again = |world: &World| world.sink.connections() > connections + 2;
    until(&mut world, "it is tried again", &again);
    assert_eq!(world.sink.healths(), 0);
    world.sink.relent();
    until(&mut world, "health is there", &|world| world.sink.healths() > 0);
    assert_eq!(told(&world).len(), 1, "though it was tried again: {:?}", told(&world));
}

#[test]
fn what_is_refused_for_long_is_set_aside_and_comes_back_when_the_rule_is_mended() {
    let script = Script { refused: &["/2"], ..Script::default() };
    let mut world = World::with(V5, script, MESSAGES, hasty);
    let refused = (1..=MESSAGES).filter(|n| n % 7 == 2).count() as u64;
    world.wait_until("the others have come", || world.taken((1..=MESSAGES).filter(|n| n % 7 != 2)));
    // others are taken all the while: only then is it plain what the broker does not want
    let (mut last, deadline) = (MESSAGES, Instant::now() + Duration::from_secs(60));
    while world.set_aside() != refused && Instant::now() < deadline {
        last += 1;
        world.commit_on(Class::Event, 1, |_| "bin/good".into(), 200);
        world.wait_until("it is taken", || world.taken([last]));
    }
    world.wait_until("they are set aside", || world.set_aside() == refused);
    world.wait_until("the outbox is empty", || world.waiting() == 0);
    let told = told(&world);
    assert_eq!(told[0]["LYKTA_REASON"], "the broker refuses it: not authorized");
    assert!(told.len() <= 4, "{} times for {refused} messages", told.len());
    assert_eq!(world.sink.connections(), 1, "and no connection was given up for it");
    world.sink.relent();
    world.wait_until("they are taken after all", || world.set_aside() == 0);
    world.wait_until("the outbox is empty again", || world.waiting() == 0);
    assert!(world.taken(1..=last));
}

#[test]
fn what_is_refused_for_a_while_is_not_set_aside() {
    let script = Script { refused: &["/2"], ..Script::default() };
    let world = World::with(V5, script, MESSAGES, |settings| {
        // offered every two seconds
        settings.set_aside_after = Duration::from_secs(120);
    });
    world.wait_until("they are offered again", || {
        world.counters.refused.load(Relaxed) > 2 * MESSAGES / 7 + 2
    });
    assert_eq!(world.set_aside(), 0);
    world.sink.relent();
    world.wait_until("all have come", || world.waiting() == 0);
    assert!(world.taken(1..=MESSAGES));
}

#[test]
fn any_number_that_is_refused_holds_nothing_up_behind_it() {
    let script = Script { refused: &["/forbidden"], ..Script::default() };
    let mut world = World::with(V5, script, 0, patient);
    world.commit_on(Class::Measurement, 5_000, |_| "bin/forbidden".into(), 200);
    world.commit(Class::Measurement, 500);
    world.wait_until("what is behind has come", || world.taken(5_001..=5_500));
    world.wait_until("only what is refused is left", || world.waiting() == 5_000);
    let offered = world.sink.count() as u64 - 500;
    assert!(offered < 5 * WINDOW as u64, "{offered} were sent in vain");
    assert_eq!(world.sink.connections(), 1);
}

#[test]
fn what_is_too_large_is_never_sent() {
    let script = || Script { maximum_packet: Some(2_000), ..Script::default() };
    let theirs = "larger than the 2000 bytes that the broker takes";
    let ours = "larger than 256 KiB, the most that lykta sends";
    for (protocol, script, length, reason) in [
        (V5, script(), 3_000, theirs),
        (V5, Script::default(), 300_000, ours),
        (V4, Script::default(), 300_000, ours),
    ] {
        let mut world = World::with(protocol, script, 100, hasty);
        world.commit_on(Class::Event, 1, |_| "bin/large".into(), length);
        world.commit_on(Class::Event, 1, |_| "bin/small".into(), 1_000);
        world.wait_until("it is set aside", || world.set_aside() == 1);
        world.wait_until("the outbox is empty", || world.waiting() == 0);
        assert!(world.taken((1..=100).chain([102])));
        let told = told(&world);
        assert_eq!((told.len(), told[0]["LYKTA_REASON"].as_str()), (1, reason));
        assert!(world.sink.largest() < 2_000);
        assert_eq!(world.sink.connections(), 1);
    }
}

#[test]
fn health_that_is_too_large_is_left_out_and_told() {
    let script = Script { maximum_packet: Some(200), ..Script::default() };
    let mut world = World::with(V5, script, 0, patient);
    world.wait_until("it is told", || !told(&world).is_empty());
    world.commit(Class::Event, 1);
    world.wait_until("the event is too large as well", || world.set_aside() == 1);
    assert_eq!(world.sink.connections(), 1);
}
