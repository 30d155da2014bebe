//! Commands come in by the connection that messages go out by, and never in their way.

use crate::journal;
use crate::sink::{Answer, Script};
use crate::world::World;
use lykta::config::Protocol::{V4, V5};
use lykta::message::{COMMANDS_REFUSED, COMMANDS_WORK};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const MESSAGES: u64 = 5_000;

#[test]
fn commands_between_messages_all_come_in_order_and_disturb_nothing() {
    for protocol in [V4, V5] {
        for shuffle in [1, 40, 100] {
            let script = Script { shuffle, commands: 1_000, ..Script::default() };
            let world = World::new(protocol, script, MESSAGES);
            world.check_books(0);
            assert_eq!(world.sink.connections(), 1);
            world.wait_until("all have come", || world.commands.lock().unwrap().len() == 1_000);
            let commands = world.commands.lock().unwrap();
            for (n, command) in commands.iter().enumerate() {
                assert_eq!(command.name, "open");
                assert_eq!(command.payload, format!("{{\"id\":\"c-{n}\"}}").as_bytes());
            }
            assert_eq!(world.counters.commands.load(Relaxed), 1_000);
            assert_eq!(world.counters.commands_refused.load(Relaxed), 0);
        }
    }
}

#[test]
fn commands_over_connections_that_are_cut_cost_no_message() {
    for protocol in [V4, V5] {
        for shuffle in [1, 40] {
            let cut_after = vec![900, 1, 350, 100, 101];
            let script = Script { cut_after, shuffle, commands: 2_000, ..Script::default() };
            let world = World::new(protocol, script, MESSAGES);
            world.check_books(5);
            assert_eq!(world.sink.connections(), 6);
            assert_eq!(world.sink.subscriptions(), 6, "asked for anew on each");
        }
    }
}

#[test]
fn no_packet_identifier_is_used_twice_while_the_subscription_is_unanswered() {
    for (protocol, receive_maximum) in [(V4, None), (V5, None), (V5, Some(1)), (V5, Some(3))] {
        let script = Script {
            receive_maximum,
            delay: Duration::from_millis(5),
            cut_after: vec![30],
            ..Script::default()
        };
        World::new(protocol, script, 100).check_books(1);
    }
}

#[test]
fn a_subscription_that_is_refused_is_told_once_and_messages_go_out() {
    for (protocol, reason) in [(V4, "MQTT 3.1.1 gives no reason"), (V5, "not authorized")] {
        let script = Script {
            subscriptions: vec![Answer::Refuse; 3],
            cut_after: vec![100, 200, 300],
            ..Script::default()
        };
        let world = World::new(protocol, script, 2_000);
        world.check_books(3);
        assert_eq!(world.sink.subscriptions(), 4, "asked for anew on each connection");
        let told = journal::of(&world.tenant, COMMANDS_REFUSED);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["LYKTA_REASON"], reason);
        assert_eq!(world.counters.subscriptions_refused.load(Relaxed), 3);
        assert_eq!(journal::of(&world.tenant, COMMANDS_WORK).len(), 1, "granted at last");
    }
}

#[test]
fn a_broker_that_closes_the_connection_over_the_subscription_gets_its_messages_without() {
    for protocol in [V4, V5] {
        let script = Script { subscriptions: vec![Answer::Close], ..Script::default() };
        let world = World::new(protocol, script, MESSAGES);
        world.check_books(0);
        assert_eq!(world.sink.connections(), 2);
        assert_eq!(journal::of(&world.tenant, COMMANDS_REFUSED).len(), 0, "once is an accident");
    }
}

#[test]
fn a_broker_that_never_answers_the_subscription_gets_its_messages() {
    for protocol in [V4, V5] {
        let script = Script { subscriptions: vec![Answer::Silence], ..Script::default() };
        let world = World::new(protocol, script, MESSAGES);
        world.check_books(0);
        assert_eq!((world.sink.connections(), world.sink.subscriptions()), (1, 1));
    }
}

#[test]
fn a_giant_on_a_command_topic_stops_the_messages_only_once() {
    for protocol in [V4, V5] {
        let script = Script { subscriptions: vec![Answer::Giant; 100], ..Script::default() };
        let world = World::new(protocol, script, MESSAGES);
        world.check_books(1);
        assert_eq!((world.sink.connections(), world.sink.subscriptions()), (2, 1));
    }
}
