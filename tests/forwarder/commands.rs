//! Whatever becomes of the connection for commands, messages go out as if there were none.

use crate::journal;
use crate::sink::{Answer, Script};
use crate::world::World;
use lykta::config::Protocol::{V4, V5};
use lykta::message::{COMMANDS_REFUSED, COMMANDS_WORK, UPSTREAM_LOST};
use std::sync::atomic::Ordering::Relaxed;

const MESSAGES: u64 = 5_000;

fn script(subscriptions: Vec<Answer>) -> Script {
    Script { subscriptions, ..Script::default() }
}

#[test]
fn a_subscription_that_is_refused_is_told_once_and_asked_for_again() {
    for (protocol, reason) in [(V4, "MQTT 3.1.1 gives no reason"), (V5, "not authorized")] {
        let world = World::new(protocol, script(vec![Answer::Refuse; 3]), MESSAGES);
        world.check_books(0);
        world.wait_until("it is granted", || world.sink.subscriptions() == 4);
        assert_eq!(world.sink.connections(), 1);
        let told = journal::of(&world.tenant, COMMANDS_REFUSED);
        assert_eq!(told.len(), 1, "{told:?}");
        let whole = format!("the subscription is not granted: {reason}");
        assert_eq!(told[0]["LYKTA_REASON"], whole);
        assert_eq!(world.counters.subscriptions_refused.load(Relaxed), 3);
        world.wait_until("it is told that they can come", || {
            journal::of(&world.tenant, COMMANDS_WORK).len() == 1
        });
    }
}

#[test]
fn a_second_connection_that_is_not_accepted_is_told_once() {
    for (protocol, reason) in [(V4, "not authorized"), (V5, "not authorized")] {
        let world = World::new(protocol, script(vec![Answer::Unwelcome; 3]), MESSAGES);
        world.check_books(0);
        world.wait_until("it is accepted", || world.sink.subscriptions() == 1);
        assert_eq!(world.sink.connections(), 1);
        let told = journal::of(&world.tenant, COMMANDS_REFUSED);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0]["LYKTA_REASON"].contains(reason), "{told:?}");
        assert_eq!(journal::of(&world.tenant, UPSTREAM_LOST).len(), 0, "and nothing else");
    }
}

#[test]
fn a_broker_that_closes_the_connection_over_the_subscription_is_told_of_when_it_does_so_again() {
    for protocol in [V4, V5] {
        for (times, told) in [(1, 0), (3, 1)] {
            let world = World::new(protocol, script(vec![Answer::Close; times]), MESSAGES);
            world.check_books(0);
            world.wait_until("it is granted", || world.sink.subscriptions() == times + 1);
            assert_eq!(world.sink.connections(), 1);
            let entries = journal::of(&world.tenant, COMMANDS_REFUSED);
            assert_eq!(entries.len(), told, "once is an accident: {entries:?}");
        }
    }
}

#[test]
fn a_broker_that_never_answers_the_subscription_gets_its_messages() {
    for protocol in [V4, V5] {
        let world = World::new(protocol, script(vec![Answer::Silence]), MESSAGES);
        world.check_books(0);
        assert_eq!(world.sink.connections(), 1);
    }
}

#[test]
fn a_giant_command_is_given_up_with_its_session_and_does_not_come_for_ever() {
    for protocol in [V4, V5] {
        let world = World::new(protocol, script(vec![Answer::Giant]), MESSAGES);
        world.check_books(0);
        world.wait_until("it listens again", || world.sink.subscriptions() == 2);
        assert_eq!((world.sink.connections(), world.sink.afresh()), (1, 1));
        let told = journal::of(&world.tenant, COMMANDS_REFUSED);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

#[test]
fn a_broker_that_allows_one_connection_only_keeps_that_of_the_messages() {
    for protocol in [V4, V5] {
        let world = World::new(protocol, script(vec![Answer::Jealousy; 3]), MESSAGES);
        world.wait_until("it has tried", || world.sink.subscriptions() == 4);
        world.check_books(3);
        assert_eq!(world.sink.connections(), 4);
        let told = journal::of(&world.tenant, COMMANDS_REFUSED);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
