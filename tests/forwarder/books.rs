//! The hard cases.

use crate::journal;
use crate::sink::Script;
use crate::world::World;
use lykta::config::Protocol::{self, V4, V5};
use lykta::message::{UPSTREAM_LOST, UPSTREAM_REFUSED};
use lykta::store::Class;
use std::time::Duration;

const MESSAGES: u64 = 5_000;
const CUTS: [usize; 7] = [900, 1, 350, 100, 101, 7, 1_500];

fn cut(protocol: Protocol, script: Script) {
    let cuts = script.cut_after.len();
    let world = World::new(protocol, script, MESSAGES);
    world.check_books(cuts);
    assert_eq!(world.sink.connections(), cuts + 1);
}

#[test]
fn connections_cut_in_the_middle_with_the_session_lost() {
    for protocol in [V4, V5] {
        cut(protocol, Script { cut_after: CUTS.to_vec(), ..Script::default() });
    }
}

#[test]
fn connections_cut_in_the_middle_with_the_session_kept() {
    for protocol in [V4, V5] {
        let script =
            Script { cut_after: CUTS.to_vec(), session_present: true, ..Script::default() };
        cut(protocol, script);
    }
}

#[test]
fn acknowledgements_out_of_order() {
    for protocol in [V4, V5] {
        for shuffle in [3, 40, 100] {
            cut(protocol, Script { cut_after: CUTS.to_vec(), shuffle, ..Script::default() });
        }
    }
}

#[test]
fn acknowledgements_that_take_their_time() {
    for protocol in [V4, V5] {
        let delay = Duration::from_millis(20);
        let cut_after = vec![150, 700, 99];
        cut(protocol, Script { cut_after, delay, shuffle: 10, ..Script::default() });
    }
}

#[test]
fn a_broker_that_never_answers_the_connection() {
    let world = World::new(V5, Script { mute: 1, ..Script::default() }, 100);
    world.check_books(0);
    assert_eq!(world.sink.connections(), 2);
    let told = journal::of(&world.tenant, UPSTREAM_LOST);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["LYKTA_REASON"], "no answer within 30s");
}

#[test]
fn a_receive_maximum_below_the_window_is_respected() {
    for (receive_maximum, shuffle) in [(1, 1), (7, 1), (20, 5), (99, 60)] {
        let script = Script {
            receive_maximum: Some(receive_maximum),
            shuffle,
            cut_after: vec![100, 500],
            ..Script::default()
        };
        let world = World::new(V5, script, 2_000);
        world.check_books(2);
        assert!(world.sink.most_under_way() <= usize::from(receive_maximum));
    }
}

#[test]
fn what_is_refused_stays_and_holds_nothing_back() {
    for shuffle in [1, 40, 100] {
        refused(Script { shuffle, ..Script::default() });
        refused(Script { shuffle, receive_maximum: Some(10), ..Script::default() });
    }
}

fn refused(script: Script) {
    // two of the seven topics
    let script = Script { refused: &["/2", "/5"], ..script };
    let world = World::new(V5, script, MESSAGES);
    let refused = (1..=MESSAGES).filter(|n| [2, 5].contains(&(n % 7))).count() as u64;
    world.wait_until("only what was refused is left", || world.waiting() == refused);
    let accepted = world.sink.records().iter().filter(|record| !record.refused).count();
    assert_eq!(accepted as u64, MESSAGES - refused, "each once");
    let told = journal::of(&world.tenant, UPSTREAM_REFUSED);
    assert_eq!(told.len(), 1, "told once");
    assert_eq!(told[0]["LYKTA_REASON"], "not authorized");
    assert_eq!(world.sink.connections(), 1, "and no connection was given up for it");
}

#[test]
fn a_broker_that_refuses_everything_is_spared_the_backlog_but_not_an_alarm() {
    let refused: &[&str] = &[
        "measurement/0",
        "measurement/1",
        "measurement/2",
        "measurement/3",
        "measurement/4",
        "measurement/5",
        "measurement/6",
    ];
    let mut world = World::new(V5, Script { refused, ..Script::default() }, MESSAGES);
    world.wait_until("it has refused a window", || world.sink.count() > crate::world::WINDOW);
    world.commit(Class::Alarm, 1);
    let came = || world.sink.records().iter().any(|r| r.topic.contains("/alarm/"));
    world.wait_until("the alarm has come", came);
    world.wait_until("only it is gone", || world.waiting() == MESSAGES);
    let offered = world.sink.count();
    assert!(offered < 4 * crate::world::WINDOW, "{offered} were sent in vain");
}

#[test]
fn an_alarm_overtakes_what_waits() {
    for protocol in [V4, V5] {
        let script = Script { delay: Duration::from_millis(5), ..Script::default() };
        let mut world = World::new(protocol, script, MESSAGES);
        world.wait_until("the backlog is under way", || world.sink.count() > 500);
        let before = world.sink.count();
        world.commit(Class::Alarm, 1);
        let place = || world.sink.records().iter().position(|r| r.topic.contains("/alarm/"));
        world.wait_until("the alarm has come", || place().is_some());
        let overtaken = place().unwrap().saturating_sub(before);
        // what is on its way cannot be called back, and a round trip passes meanwhile
        assert!(overtaken <= 4 * crate::world::WINDOW, "{overtaken} were before it");
        world.check_books(0);
    }
}

#[test]
fn a_client_id_that_another_client_uses_is_named() {
    let script = Script { cut_after: vec![50], goodbye: Some(0x8e), ..Script::default() };
    let world = World::new(V5, script, 200);
    world.check_books(1);
    let told = journal::of(&world.tenant, UPSTREAM_LOST);
    assert_eq!(
        told[0]["LYKTA_REASON"],
        format!(
            "another client has connected with the client id lykta-gw-1-{}; each needs its own",
            world.tenant
        )
    );
}

#[test]
fn an_alarm_stands_behind_no_more_than_the_broker_lets_be_under_way() {
    for receive_maximum in [1, 2, 5, 20] {
        let delay = Duration::from_millis(50);
        let script = Script { receive_maximum: Some(receive_maximum), delay, ..Script::default() };
        let mut world = World::with(V5, script, 5_000, |settings| settings.backlog_rate = 0);
        world.wait_until("the backlog is under way", || world.sink.count() >= 30);
        world.commit(Class::Alarm, 1);
        let before = world.sink.count();
        let place = || world.sink.records().iter().position(|r| r.topic.contains("/alarm/"));
        world.wait_until("the alarm has come", || place().is_some());
        let overtaken = place().unwrap().saturating_sub(before);
        // one round that began in this very moment, and what it makes room for
        let most = 2 * usize::from(receive_maximum);
        assert!(overtaken <= most, "{overtaken} were before it, {receive_maximum} may be");
    }
}

#[test]
fn health_is_told_in_a_backlog_by_whatever_window() {
    for receive_maximum in [1, 2, 3] {
        let delay = Duration::from_millis(20);
        let script = Script { receive_maximum: Some(receive_maximum), delay, ..Script::default() };
        let world = World::with(V5, script, 5_000, |settings| settings.backlog_rate = 0);
        world.wait_until("it says how it is", || world.sink.healths() > 0);
        assert!(world.waiting() > 0, "not in the backlog");
    }
}
