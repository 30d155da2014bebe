//! How long the forwarder waits for a broker, and for what it waits no longer.

use crate::journal;
use crate::sink::Script;
use crate::world::World;
use lykta::config::Protocol::{V4, V5};
use lykta::message::UPSTREAM_LOST;
use lykta::store::Class;
use std::time::Duration;

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
