//! What mosquitto does not take: it says so by a reason code, by a limit that it announces, or by
//! closing the connection. What it takes arrives all the same.

use crate::support::{Broker, Lykta, Subscriber, entry, message, wait_until};
use crate::world::{readable_directory, told, told_once, waiting, waste};
use lykta::clock::Clock;
use lykta::store::{Class, Outbox, Store};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A lykta that is not started yet, with an event of this length between two others.
fn lykta_with(broker: &Broker, upstream: &str, length: usize) -> Lykta {
    let lykta = Lykta::configured(&waste(&broker.url(), upstream));
    std::fs::create_dir(lykta.path().join("state")).unwrap();
    let event = |topic: &str, length: usize| {
        let body = format!(r#"{{"filling":"{}"}}"#, "x".repeat(length));
        message(Class::Event, format!("bin/{topic}/event"), body)
    };
    let events = vec![event("before", 10), event("between", length), event("behind", 10)];
    let mut store = Store::open(&lykta.database("waste"), &Clock::system()).unwrap();
    store.commit(&[entry(1, events)]).unwrap();
    lykta
}

fn set_aside(lykta: &Lykta) -> u64 {
    Outbox::open(&lykta.database("waste")).unwrap().count_aside().unwrap()
}

/// The one between is set aside for this reason, and the others come.
fn only_others_come(broker: &Broker, mut lykta: Lykta, reason: &str) -> Lykta {
    let cloud = Subscriber::start(broker, &[]).of_anything();
    lykta.restart();
    wait_until("the others have come", || {
        !cloud.on("before/event").is_empty() && !cloud.on("behind/event").is_empty()
    });
    wait_until("it is set aside", || set_aside(&lykta) == 1);
    wait_until("nothing waits", || waiting(&lykta) == 0);
    assert!(cloud.on("between/event").is_empty());
    lykta.wait_for_log(&format!("is set aside: {reason}"));
    told_once(&lykta, "set aside");
    lykta
}

#[test]
fn a_message_above_the_limit_that_mosquitto_announces_is_never_sent() {
    let broker = Broker::with("allow_anonymous true\nmax_packet_size 5000\n");
    let lykta = lykta_with(&broker, "", 5_000);
    let reason = "larger than the 5000 bytes that the broker takes";
    let lykta = only_others_come(&broker, lykta, reason);
    assert_eq!(told(&lykta, "no connection"), 0);
}

#[test]
fn a_message_above_the_limit_that_mosquitto_closes_the_connection_over() {
    let broker = Broker::with("allow_anonymous true\nmax_packet_size 5000\n");
    let lykta = lykta_with(&broker, "protocol = 4", 5_000);
    only_others_come(&broker, lykta, "each time that it is sent: the broker closed the connection");
}

#[test]
fn a_message_that_mosquitto_refuses_by_a_code_that_no_acknowledgement_may_have() {
    // "packet too large" is none of those that MQTT 5 names for a PUBACK
    let broker = Broker::with("allow_anonymous true\nmessage_size_limit 5000\n");
    let lykta = lykta_with(&broker, "", 5_000);
    only_others_come(&broker, lykta, "each time that it is sent: ");
}

/// A list that lets everybody do everything but publish the one between.
fn forbidden() -> (tempfile::TempDir, PathBuf) {
    let files = readable_directory();
    let acl = files.path().join("acl");
    std::fs::write(&acl, format!("{ALLOW}topic deny lykta/gw-1/waste/bin/between/#\n")).unwrap();
    std::fs::set_permissions(&acl, std::fs::Permissions::from_mode(0o644)).unwrap();
    (files, acl)
}

const ALLOW: &str = "topic readwrite #\n";

#[test]
fn a_topic_that_is_forbidden_for_longer_than_is_waited_for_and_allowed_at_last() {
    let (_files, acl) = forbidden();
    let broker = Broker::with(&format!(
        "allow_anonymous true\nmax_queued_messages 1000\nacl_file {}\n",
        acl.display()
    ));
    let lykta = lykta_with(&broker, "set_aside_after = \"1s\"", 10);
    let lykta = only_others_come(&broker, lykta, "the broker refuses it: not authorized");
    assert_eq!(told(&lykta, "no connection"), 0);
    let cloud = Subscriber::start(&broker, &[]).of_anything();
    std::fs::write(&acl, ALLOW).unwrap();
    broker.signal("HUP");
    wait_until("it has come", || !cloud.on("between/event").is_empty());
    lykta.wait_for_log("that was set aside has been taken after all");
    wait_until("none is set aside", || set_aside(&lykta) == 0);
}

#[test]
fn a_mosquitto_that_refuses_a_topic_and_closes_the_connection_over_it_as_well() {
    let (_files, acl) = forbidden();
    // so does 2.0.11 when the length of its queues is not limited
    let broker = Broker::with(&format!("allow_anonymous true\nacl_file {}\n", acl.display()));
    let lykta = lykta_with(&broker, "", 10);
    only_others_come(&broker, lykta, "each time that it is sent: the broker closed the connection");
}
