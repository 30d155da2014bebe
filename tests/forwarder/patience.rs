//! How long the forwarder waits for a broker, and for what it waits no longer.

use crate::journal;
use crate::sink::Script;
use crate::world::World;
use lykta::config::Protocol::{V4, V5};
use lykta::message::UPSTREAM_LOST;
use lykta::store::Class;
use std::time::{Duration, Instant};

#[test]
fn an_alarm_cuts_a_long_wait_short_and_nothing_else_does() {
    for protocol in [V4, V5] {
        let script = Script { cut_after: vec![1, 2], ..Script::default() };
        let mut world = World::with(protocol, script, 1, |settings| {
            settings.reconnect_min = Duration::from_secs(3600);
            settings.reconnect_max = Duration::from_secs(36_000);
            settings.reconnect_alarm_max = Duration::from_millis(200);
        });
        let told = || journal::of(&world.tenant, UPSTREAM_LOST).len();
        world.wait_until("the connection is lost", || told() == 1);
        // the first hour of the wait: nobody can tell when it would end
        world.commit(Class::Event, 1);
        world.commit(Class::Alarm, 1);
        // the alarm is what the second connection is cut over: it still waits, and is tried again
        world.check_books(2);
        let first = world.sink.records().iter().position(|r| r.topic.contains("/alarm/"));
        let event = world.sink.records().iter().position(|r| r.topic.contains("/event/"));
        assert!(first < event);
        assert_eq!(world.sink.connections(), 3);
    }
}

#[test]
fn an_answer_that_never_comes_ends_the_connection_even_while_others_come() {
    for protocol in [V4, V5] {
        let script = Script { refused: &["/fire"], ..Script::default() };
        let mut world = World::new(protocol, script, 1);
        world.wait_until("it delivers", || world.taken([1]));
        world.sink.fall_silent();
        world.commit_on(Class::Alarm, 1, |_| "alarm/fire".into(), 10);
        world.wait_until("the alarm is swallowed", || {
            world.sink.records().iter().any(|record| record.topic.ends_with("/fire"))
        });
        world.sink.relent();
        let (mut last, deadline) = (2, Instant::now() + Duration::from_secs(150));
        while !world.taken([2]) {
            assert!(Instant::now() < deadline, "the alarm is stuck, {last} others are taken");
            last += 1;
            world.commit(Class::Measurement, 1);
            world.wait_until("others are taken", || world.taken([last]));
            std::thread::sleep(Duration::from_secs(1));
        }
        world.check_books(1);
        assert_eq!(world.sink.connections(), 2);
        let told = journal::of(&world.tenant, UPSTREAM_LOST);
        assert_eq!(told[0]["LYKTA_REASON"], "the broker has not acknowledged a message for 1m");
    }
}

#[test]
fn a_slow_line_that_lives_is_not_given_up() {
    // the last of a window is answered after more than a minute, and always one within a second
    let script = Script { trickle: Duration::from_millis(700), ..Script::default() };
    let world = World::with(V5, script, 120, |settings| settings.backlog_rate = 0);
    let deadline = Instant::now() + Duration::from_secs(300);
    while world.waiting() > 0 {
        assert!(Instant::now() < deadline, "{} wait", world.waiting());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(world.sink.connections(), 1);
    world.check_books(0);
}

#[test]
fn a_broker_is_asked_whether_it_is_there_as_often_as_is_set_however_rarely_it_wants_it() {
    let script = Script { keep_alive: Some(u16::MAX), ..Script::default() };
    let world = World::with(V5, script, 1, |settings| {
        settings.keep_alive = Duration::from_secs(1);
    });
    world.wait_until("it is asked", || world.sink.pings() >= 2);
}

#[test]
fn a_gateway_that_stops_is_seen_as_offline_also_while_one_message_goes_at_a_time() {
    for protocol in [V4, V5] {
        // two connections that break for nothing
        let delay = Duration::from_millis(400);
        let script = Script { cut_after: vec![2, 2], delay, ..Script::default() };
        let mut world = World::new(protocol, script, 100);
        world.wait_until("one goes at a time", || world.sink.connections() == 3);
        world.wait_until("they go", || world.waiting() < 100);
        world.stop();
        assert!(world.sink.most_under_way() <= 2, "not one at a time");
        world.wait_until("all can see it", || world.sink.state().starts_with("offline"));
    }
}
