//! Commands that keep coming through a real mosquitto while lykta is killed at random moments:
//! each is executed once, and answered.

use crate::support::{Broker, Lykta, Sensor, Subscriber, wait_until};
use lykta::store::{Outbox, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const KILLS: usize = 20;
const DEVICES: u32 = 40;
/// As many as may wait for a device.
const EACH: u32 = 16;

#[test]
fn no_command_is_lost_over_mqtt_5() {
    no_command_is_lost(5, 1);
}

#[test]
fn no_command_is_lost_over_mqtt_3_1_1() {
    no_command_is_lost(4, 2);
}

fn no_command_is_lost(protocol: u8, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sensors: Vec<_> = (1..=DEVICES).map(Sensor::new).collect();
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::start(&broker, &format!("protocol = {protocol}"), &sensors);
    cloud.wait_until_commands_are_answered(&broker);

    let mut commands: Vec<_> = (0..DEVICES * EACH)
        .map(|n| {
            let device = sensors[(n % DEVICES) as usize].dev_eui;
            format!(r#"{{"id":"c-{n}","args":{{"devEui":"{device}","fPort":3,"hex":"{n:04x}"}}}}"#)
        })
        .collect();
    let all: BTreeSet<_> = (0..commands.len()).map(|n| format!("c-{n}")).collect();
    let chunk = commands.len().div_ceil(2 * KILLS);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !commands.is_empty() {
                let rest = commands.split_off(chunk.min(commands.len()));
                broker.publish("lykta/gw-1/waste/command/downlink", &[], &commands);
                commands = rest;
                // so that they keep coming for as long as the kills take
                std::thread::sleep(Duration::from_millis(60));
            }
        });
        for _ in 0..KILLS {
            // somewhere in the middle of what it is doing
            let before = replies(&cloud).len();
            wait_until("another command is answered", || {
                sender.is_finished() || replies(&cloud).len() > before
            });
            std::thread::sleep(Duration::from_micros(random.u64(0..30_000)));
            lykta.kill();
            lykta.restart();
        }
    });
    wait_until("every command is answered", || replies(&cloud).len() == all.len());
    check(&cloud, &lykta, &all);
    // what was acknowledged does not come again
    let waiting = || Outbox::open(&lykta.database("waste")).unwrap().waiting();
    wait_until("nothing is left to be said", || waiting() == 0);
    lykta.restart();
    let copies = cloud.on("command/downlink/reply").len();
    cloud.wait_until_commands_are_answered(&broker);
    assert_eq!(cloud.on("command/downlink/reply").len(), copies);
}

#[test]
fn a_stop_keeps_the_session_and_what_is_sent_meanwhile_comes_after_it() {
    for protocol in [5, 4] {
        let sensor = Sensor::new(1);
        let mut broker = Broker::start();
        let cloud = Subscriber::start(&broker, &[]);
        let upstream = format!("protocol = {protocol}");
        let mut lykta = Lykta::start(&broker, &upstream, std::slice::from_ref(&sensor));
        cloud.wait_until_commands_are_answered(&broker);
        let command = |id: &str| {
            let args = format!(r#"{{"devEui":"{}","fPort":3,"hex":"01"}}"#, sensor.dev_eui);
            vec![format!(r#"{{"id":"{id}","args":{args}}}"#)]
        };
        let topic = "lykta/gw-1/waste/command/downlink";
        assert!(lykta.stop().success());
        broker.publish(topic, &[], &command("c-1"));
        // the broker keeps it over a restart of its own
        broker.save();
        wait_until("it is saved", || saved(&broker, "c-1"));
        broker.restart();
        cloud.wait_for_subscription(&broker, &[]);
        lykta.restart();
        wait_until("it is answered", || replies(&cloud).len() == 1);
        check(&cloud, &lykta, &BTreeSet::from(["c-1".to_owned()]));
        let told = lykta.log().into_iter().filter(|line| line.contains("no commands"));
        assert_eq!(told.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[test]
fn without_commands_there_is_one_connection_and_no_answer() {
    let log = tempfile::NamedTempFile::new().unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(log.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let broker = Broker::with(&format!(
        "allow_anonymous true\nlog_dest file {}\nlog_type notice\nconnection_messages true\n",
        log.path().display()
    ));
    let cloud = Subscriber::start(&broker, &[]);
    let with = Lykta::start(&broker, "", &[Sensor::new(1)]);
    cloud.wait_until_commands_are_answered(&broker);
    let clients = || std::fs::read_to_string(log.path()).unwrap();
    assert!(clients().contains("as lykta-gw-1-waste-commands"), "{}", clients());
    drop(with);
    std::fs::write(log.path(), "").unwrap();
    let mut without = Lykta::start(&broker, "commands = false", &[Sensor::new(1)]);
    wait_until("it is connected", || clients().contains("as lykta-gw-1-waste "));
    assert!(without.stop().success());
    assert!(!clients().contains("lykta-gw-1-waste-commands"), "{}", clients());
}

/// Whether this is in what the broker has saved.
fn saved(broker: &Broker, part: &str) -> bool {
    let bytes = std::fs::read(broker.directory().join("mosquitto.db")).unwrap_or_default();
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// The replies to each command.
fn replies(cloud: &Subscriber) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for reply in cloud.on("command/downlink/reply") {
        let id = reply.body["id"].as_str().unwrap().to_owned();
        all.entry(id).or_default().push(reply.body);
    }
    all
}

fn check(cloud: &Subscriber, lykta: &Lykta, all: &BTreeSet<String>) {
    let replies = replies(cloud);
    assert_eq!(&replies.keys().cloned().collect::<BTreeSet<_>>(), all);
    for (id, replies) in &replies {
        for reply in replies {
            assert_eq!(reply["ok"], true, "{reply}");
            // a day from its execution, to the microsecond
            assert_eq!(reply["result"], replies[0]["result"], "{id} is executed once");
        }
    }
    let queued = Store::open(&lykta.database("waste"), &lykta::clock::Clock::system())
        .unwrap()
        .memory()
        .unwrap()
        .downlinks;
    let ids: Vec<_> = queued.iter().map(|(_, item)| item.id.clone()).collect();
    assert_eq!(ids.len(), all.len(), "each is queued once");
    assert_eq!(&ids.into_iter().collect::<BTreeSet<_>>(), all);
    let copies = replies.values().map(Vec::len).sum::<usize>() - all.len();
    println!("{} commands, {copies} replies twice", all.len());
}
