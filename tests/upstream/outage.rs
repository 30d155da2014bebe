//! A broker that is gone, silent, or elsewhere; and what came late says so.

use crate::support::{
    Broker, Concentrator, Lykta, Sensor, Subscriber, free_tcp_port, holds_within, wait_until,
};
use crate::world::{
    counters, lykta_at, signal, told, told_once, wait_for_counters, waiting, waste,
};
use jiff::Timestamp;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[test]
fn what_was_kept_says_late_with_its_own_time_and_what_is_fresh_does_not() {
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    let sensor = Sensor::new(1);
    let lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    lykta.wait_for_log("connected to");
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 100, 5)]);
    wait_for_counters(&cloud, [1]);
    wait_until("its acknowledgement has come", || waiting(&lykta) == 0);
    broker.kill();
    lykta.wait_for_log("no connection to");
    let before = Timestamp::now();
    concentrator.forward(&[sensor.level(2, 100, 5)]);
    concentrator.forward(&[sensor.level(3, 100, 5)]);
    wait_until("both are on disk", || lykta.accepted()[&sensor.dev_eui.0] == 3);
    let after = Timestamp::now();
    broker.restart();
    wait_until("both have come", || counters(&cloud).ends_with(&[2, 3]));
    concentrator.forward(&[sensor.level(4, 100, 5)]);
    wait_until("the fresh one has come", || counters(&cloud).ends_with(&[2, 3, 4]));
    for message in cloud.received().iter().filter(|m| m.topic.contains("/device/")) {
        let body = &message.body;
        let time: Timestamp = body["time"].as_str().unwrap().parse().unwrap();
        let sent: Timestamp = body["sentAt"].as_str().unwrap().parse().unwrap();
        let kept = [2, 3].contains(&body["fCnt"].as_u64().unwrap());
        assert_eq!(body.get("late").is_some_and(|late| late == true), kept, "{body}");
        if kept {
            assert!(before <= time && time <= after, "the time of the measurement: {body}");
            assert!(sent >= after, "{body}");
        }
    }
}

#[test]
fn the_newest_of_each_sensor_comes_before_what_was_kept_and_stays_with_the_broker() {
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    let sensors = [Sensor::new(1), Sensor::new(2)];
    let lykta = Lykta::start(&broker, "", &sensors);
    lykta.wait_for_log("connected to");
    broker.kill();
    lykta.wait_for_log("no connection to");
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=3 {
        concentrator.forward(&sensors.each_ref().map(|s| s.level(f_cnt, 100, 5)));
    }
    wait_until("all is on disk", || {
        lykta.accepted().values().filter(|last| **last == 3).count() == 2
    });
    broker.restart();
    wait_until("all has come", || cloud.different() == 12);
    let received = cloud.received();
    let late = |m: &crate::support::Received| m.body.get("late").is_some_and(|late| late == true);
    let first = received.iter().position(|m| m.topic.contains("/device/") && late(m)).unwrap();
    for sensor in &sensors {
        let newest = cloud.on(&format!("latest/{}", sensor.dev_eui));
        // the broker may bring it once more as what it has kept
        let live: Vec<_> = newest.iter().filter(|message| !message.retained).collect();
        let [newest] = live[..] else { panic!("once: {newest:?}") };
        assert_eq!(newest.body["fCnt"], 3);
        assert!(late(newest));
        let place = received.iter().position(|m| m.topic == newest.topic).unwrap();
        assert!(place < first, "before the backlog");
        let readings = cloud.on(&format!("{}/readings", sensor.dev_eui));
        let stored = readings.iter().find(|m| m.body["fCnt"] == 3).unwrap();
        assert_eq!(newest.body["readings"], stored.body["readings"]);
        assert_eq!(newest.body["time"], stored.body["time"]);
        assert_ne!(newest.body["id"], stored.body["id"], "the message itself is no copy of it");
    }
    let later = crate::world::Watcher::start(&broker);
    assert!(later.wait_for(&format!("latest/{}", sensors[0].dev_eui)).retained);
}

#[test]
fn a_stalled_broker_is_noticed_within_twice_the_keep_alive_over_mqtt_5() {
    stalled(5);
}

#[test]
fn a_stalled_broker_is_noticed_within_twice_the_keep_alive_over_mqtt_3_1_1() {
    stalled(4);
}

fn stalled(protocol: u8) {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let lykta = Lykta::start(
        &broker,
        &format!("protocol = {protocol}\nkeep_alive = \"5s\""),
        std::slice::from_ref(&sensor),
    );
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 100, 5)]);
    wait_for_counters(&cloud, [1]);
    signal(&broker, "-STOP");
    let stopped = Instant::now();
    // more than a window, so that the link is full as well
    for f_cnt in 2..=200 {
        concentrator.forward(&[sensor.level(f_cnt, 100, 5)]);
    }
    lykta.wait_for_log("the broker has not answered for");
    let noticed = stopped.elapsed();
    // what is asked at the moment of the stall may already be under way
    assert!(noticed <= Duration::from_secs(11), "noticed after {noticed:?}");
    signal(&broker, "-CONT");
    wait_until("all have come", || {
        counters(&cloud).into_iter().collect::<std::collections::BTreeSet<_>>().len() == 200
    });
    assert_eq!(first_occurrences(&counters(&cloud)), (1..=200).collect::<Vec<_>>(), "in order");
}

/// A way to the broker that becomes a black hole when it is told to: what comes is no longer taken,
/// and no end of it is closed. Connections made after that get through.
struct Way {
    port: u16,
    swallowed: Arc<AtomicUsize>,
}

impl Way {
    fn to(broker: &Broker) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, target) = (listener.local_addr().unwrap().port(), broker.port);
        // connections of a number up to this one are swallowed
        let swallowed = Arc::<AtomicUsize>::default();
        let swallows = Arc::clone(&swallowed);
        std::thread::spawn(move || {
            for (n, near) in listener.incoming().map_while(Result::ok).enumerate() {
                let far = TcpStream::connect(("127.0.0.1", target)).unwrap();
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    let swallows = Arc::clone(&swallows);
                    std::thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(len @ 1..) = from.read(&mut bytes) {
                            if swallows.load(SeqCst) > n {
                                // what is never dropped is never closed
                                std::mem::forget((from, to));
                                return;
                            }
                            to.write_all(&bytes[..len]).unwrap();
                        }
                    });
                }
                std::mem::forget((near, far));
            }
        });
        Self { port, swallowed }
    }
}

#[test]
fn a_link_that_is_dead_without_a_word_is_noticed_within_two_minutes_as_the_settings_are_unless_told()
 {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let way = Way::to(&broker);
    let sensor = Sensor::new(1);
    let lykta = lykta_at(&format!("mqtt://127.0.0.1:{}", way.port), "", &sensor);
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 100, 5)]);
    wait_for_counters(&cloud, [1]);
    wait_until("its acknowledgement has come", || waiting(&lykta) == 0);
    way.swallowed.store(1, SeqCst);
    let dead = Instant::now();
    concentrator.forward(&[sensor.level(2, 100, 5)]);
    let gone = || told(&lykta, "the broker has not answered for 40s") == 1;
    assert!(holds_within(Duration::from_secs(120), gone), "{}", lykta.log().join("\n"));
    println!("noticed after {:?}", dead.elapsed());
    wait_for_counters(&cloud, [1, 2]);
}

fn first_occurrences(counters: &[u64]) -> Vec<u64> {
    let mut seen = std::collections::HashSet::new();
    counters.iter().copied().filter(|c| seen.insert(*c)).collect()
}

#[test]
fn a_port_that_refuses_for_a_while() {
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    broker.kill();
    let sensor = Sensor::new(1);
    let lykta = lykta_at(&broker.url(), "", &sensor);
    lykta.wait_for_log("nothing listens there (connection refused)");
    let frames: Vec<_> = (1..=9).map(|f_cnt| sensor.level(f_cnt, 100, 5)).collect();
    Concentrator::new(1, lykta.udp).forward(&frames);
    wait_until("they are on disk", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&9));
    broker.restart();
    wait_for_counters(&cloud, 1..=9);
    told_once(&lykta, "no connection to");
}

#[test]
fn a_name_that_does_not_resolve() {
    let lykta = lykta_at("mqtt://broker.invalid:1883", "", &Sensor::new(1));
    lykta.wait_for_log("the name broker.invalid cannot be resolved");
}

#[test]
fn several_addresses_are_tried_in_turn() {
    let dead = free_tcp_port();
    let mut first = Broker::start();
    let second = Broker::start();
    let (cloud_1, cloud_2) = (Subscriber::start(&first, &[]), Subscriber::start(&second, &[]));
    let sensor = Sensor::new(1);
    let mut tenant = waste("URLS", "");
    let urls = format!("\"mqtt://127.0.0.1:{dead}\", {:?}, {:?}", first.url(), second.url());
    tenant = tenant.replace("\"URLS\"", &urls);
    let mut lykta = Lykta::configured(&(tenant + &sensor.table("waste")));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 100, 5)]);
    wait_for_counters(&cloud_1, [1]);
    wait_until("its acknowledgement has come", || waiting(&lykta) == 0);
    first.kill();
    concentrator.forward(&[sensor.level(2, 100, 5)]);
    wait_for_counters(&cloud_2, [2]);
    told_once(&lykta, &format!("connected to {}", first.url()));
    told_once(&lykta, &format!("connected to {}", second.url()));
    told_once(&lykta, &format!("no connection to mqtt://127.0.0.1:{dead}"));
    told_once(&lykta, &format!("no connection to {}", first.url()));
}

#[test]
fn two_addresses_with_different_troubles_are_each_told_once() {
    let sensor = Sensor::new(1);
    let dead = free_tcp_port();
    let mut tenant = waste("URLS", "");
    let urls = format!("\"mqtt://127.0.0.1:{dead}\", \"mqtt://broker.invalid:1883\"");
    tenant = tenant.replace("\"URLS\"", &urls);
    let mut lykta = Lykta::configured(&(tenant + &sensor.table("waste")));
    lykta.restart();
    // the broker that comes to life proves that the dead addresses were tried again
    wait_until("each was told", || told(&lykta, "no connection to") >= 2);
    let listener = std::net::TcpListener::bind(("127.0.0.1", dead)).unwrap();
    for _ in 0..3 {
        drop(listener.accept().unwrap());
    }
    lykta.wait_for_log("the broker closed the connection before it had accepted it");
    told_once(&lykta, "cannot be resolved");
    told_once(&lykta, "closed the connection before");
}
