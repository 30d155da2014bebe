//! A machine that does not know what time it is, and a broker whose certificate does.

use crate::support::{Subscriber, entry, message, wait_until};
use crate::tls::{VALID, World};
use jiff::Timestamp;
use lykta::clock::{Clock, ClockQuality};
use lykta::config::{Protocol, Upstream};
use lykta::store::{Class, Outbox, Store};
use lykta::upstream::{Counters, Forwarder, Shared};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// A store with one message.
fn store(file: &Path) {
    let message = message(Class::Event, "bin/1739/event".into(), "{}".into());
    Store::open(file, &Clock::system()).unwrap().commit(&[entry(1, vec![message])]).unwrap();
}

/// As settings are unless told, but that nobody tries again within this test.
fn patient(url: String, ca: &Path) -> Upstream {
    let hour = Duration::from_secs(3600);
    Upstream {
        urls: vec![url.try_into().unwrap()],
        prefix: "lykta".into(),
        protocol: Protocol::V5,
        client_id: None,
        ca: Some(ca.to_owned()),
        cert: None,
        key: None,
        username: None,
        password_file: None,
        keep_alive: Duration::from_secs(20),
        daily_mb: 0,
        backlog_rate: 0,
        backlog_delay: Duration::ZERO,
        commands: false,
        command_session: hour,
        reconnect_min: hour,
        reconnect_max: hour,
        reconnect_stable: hour,
        reconnect_alarm_max: hour,
        set_aside_after: hour,
    }
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_tried_again_as_soon_as_the_clock_is_set() {
    let world = World::new("127.0.0.1", VALID, false);
    let cloud = Subscriber::start(&world.broker, &[]).of_anything();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waste.db");
    store(&file);
    let in_1970 = Timestamp::from_second(3).unwrap();
    let clock = Clock::simulated_as(ClockQuality::Unsynced, in_1970, 1);
    let counters = Arc::<Counters>::default();
    let shared = Shared {
        news: Arc::<Notify>::default(),
        counters: Arc::clone(&counters),
        health: Arc::new(|| serde_json::json!({})),
        commands: Arc::new(Err),
    };
    let outbox = Outbox::open(&file).unwrap();
    let settings = patient(world.url(), &world.file("ca.pem"));
    let (gateway, tenant) = ("gw-1".parse().unwrap(), "waste".parse().unwrap());
    let forwarder =
        Forwarder::new(&gateway, &tenant, settings, outbox, clock.clone(), shared).unwrap();
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let running = std::thread::spawn(move || runtime.block_on(forwarder.run(stopped)));

    wait_until("it has failed", || counters.attempts_failed.load(Relaxed) == 1);
    assert_eq!(counters.connections.load(Relaxed), 0);
    clock.set(Timestamp::now(), ClockQuality::Synced);
    wait_until("the message has come", || !cloud.on("bin/1739/event").is_empty());
    assert_eq!(counters.attempts_failed.load(Relaxed), 1);
    stop.send_replace(true);
    running.join().unwrap();
}
