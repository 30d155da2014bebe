//! Commands over a real broker. The forwarder runs in the test's own process, and the test
//! takes the commands that the gateway would execute.

use crate::support::{Broker, Lykta, Sensor, Subscriber, upstream, wait_until};
use crate::world::Watcher;
use insta::assert_json_snapshot;
use lykta::clock::Clock;
use lykta::config::Protocol::{self, V4, V5};
use lykta::config::Upstream;
use lykta::lorawan::Changes;
use lykta::store::{Class, Entry, Message, Outbox, Store};
use lykta::units::DevEui;
use lykta::upstream::command::{Command, Request};
use lykta::upstream::{Counters, Forwarder, Shared};
use std::collections::HashSet;
use std::io::Write;
use std::process::{Command as Program, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, watch};

const ROOT: &str = "lykta/gw-1/waste";

/// A forwarder, and somebody who has room for so many commands.
struct Ears {
    commands: Arc<Mutex<Vec<Command>>>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    forwarder: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Ears {
    fn start(broker: &Broker, protocol: Protocol, room: usize, messages: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waste.db");
        Store::open(&file, &Clock::system()).unwrap().commit(&[entry(messages)]).unwrap();
        let settings = Upstream {
            reconnect_min: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(200),
            ..upstream(broker.url(), protocol)
        };
        let commands: Arc<Mutex<Vec<Command>>> = Arc::default();
        let counters: Arc<Counters> = Arc::default();
        let taken = Arc::clone(&commands);
        let shared = Shared {
            news: Arc::new(Notify::new()),
            counters: Arc::clone(&counters),
            health: Arc::new(|| serde_json::json!({})),
            commands: Arc::new(move |command| {
                let mut taken = taken.lock().unwrap();
                let free = taken.len() < room;
                if free {
                    taken.push(command);
                }
                free
            }),
        };
        let (gateway, tenant) = ("gw-1".parse().unwrap(), "waste".parse().unwrap());
        let outbox = Outbox::open(&file).unwrap();
        let forwarder =
            Forwarder::new(&gateway, &tenant, settings, outbox, Clock::system(), shared).unwrap();
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let forwarder = std::thread::spawn(move || runtime.block_on(forwarder.run(stopped)));
        Self { commands, counters, stop, forwarder: Some(forwarder), _directory: directory }
    }

    /// What came, in order.
    fn payloads(&self) -> Vec<String> {
        let commands = self.commands.lock().unwrap();
        commands.iter().map(|c| String::from_utf8(c.payload.clone()).unwrap()).collect()
    }

    /// How many commands came, and how many of them were refused.
    fn counted(&self) -> (u64, u64) {
        (self.counters.commands.load(Relaxed), self.counters.commands_refused.load(Relaxed))
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let ended = self.forwarder.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the forwarder panicked");
    }
}

fn entry(messages: u32) -> Entry {
    let message = |n: u32| Message {
        class: Class::Measurement,
        at: Clock::system().now(),
        topic: format!("device/{}/event/up", n % 7),
        body: format!(r#"{{"fCnt":{n}}}"#),
    };
    Entry {
        dev_eui: DevEui(1),
        changes: Changes::default(),
        queued: None,
        command: None,
        states: Vec::new(),
        messages: (1..=messages).map(message).collect(),
    }
}

/// mosquitto_pub; `lines` are a message each.
fn send(broker: &Broker, leaf: &str, arguments: &[&str], lines: &[String]) {
    let mut program = Program::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-q", "1"])
        .args(["-t", &format!("{ROOT}/{leaf}"), "-l"])
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("mosquitto_pub is installed; tests/run installs it");
    let mut input = program.stdin.take().unwrap();
    for line in lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    assert!(program.wait().unwrap().success());
}

/// Waits until the forwarder says that it is online: its subscription is there by then.
fn wait_for_subscription(broker: &Broker) -> Watcher {
    let cloud = Watcher::start(broker).of_anything();
    assert_eq!(cloud.wait_for("/state").body["state"], "online");
    cloud
}

#[test]
fn a_command_arrives_as_soon_as_the_gateway_says_that_it_is_online() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 100, 0);
        let _cloud = wait_for_subscription(&broker);
        let command = r#"{"id":"open-7","args":{"devEui":"70b3d50700000001"}}"#.to_owned();
        send(&broker, "command/downlink", &[], std::slice::from_ref(&command));
        wait_until("it has come", || ears.payloads() == [command.as_str()]);
        let taken = ears.commands.lock().unwrap()[0].clone();
        assert_eq!(taken.name, "downlink");
        assert_eq!(Request::parse(&taken.payload, Clock::system().now()).unwrap().id, "open-7");
        assert_eq!(ears.counted(), (1, 0));
    }
}

#[test]
fn it_comes_again_after_the_broker_was_away() {
    for protocol in [V5, V4] {
        let mut broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 100, 0);
        drop(wait_for_subscription(&broker));
        // without a word, and so without the last will: the retained state is gone with it
        broker.kill();
        broker.restart();
        let _cloud = wait_for_subscription(&broker);
        send(&broker, "command/open", &[], &["1".into()]);
        wait_until("it has come", || ears.payloads() == ["1"]);
    }
}

#[test]
fn a_retained_command_is_not_executed_again_at_each_connection() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        send(&broker, "command/open", &["-r"], &["0".into()]);
        let ears = Ears::start(&broker, protocol, 100, 0);
        let _cloud = wait_for_subscription(&broker);
        send(&broker, "command/open", &[], &["1".into()]);
        wait_until("both have come", || ears.counted() == (2, 1));
        assert_eq!(ears.payloads(), ["1"]);
    }
}

#[test]
fn what_is_too_large_or_misnamed_is_refused() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 100, 0);
        let _cloud = wait_for_subscription(&broker);
        let topic = format!("{ROOT}/command/open").len();
        let filled = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let largest = filled(8192 - topic);
        send(&broker, "command/open", &[], &[filled(8193 - topic), largest.clone()]);
        send(&broker, "command/öppna", &[], &["0".into()]);
        send(&broker, "command/open the lid", &[], &["0".into()]);
        send(&broker, &format!("command/{}", "n".repeat(65)), &[], &["0".into()]);
        // not a command's topic: nothing comes at all
        send(&broker, "command/open/now", &[], &["0".into()]);
        send(&broker, "command/open", &[], &["1".into()]);
        wait_until("the last has come", || ears.payloads().last().is_some_and(|l| l == "1"));
        assert_eq!(ears.payloads(), [largest.as_str(), "1"]);
        assert_eq!(ears.counted(), (6, 4));
    }
}

#[test]
fn a_command_that_there_is_no_room_for_is_told_so() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 1, 0);
        let cloud = wait_for_subscription(&broker);
        let lines = ["0", r#"{"args":{}}"#, r#"{"id":"open-7"}"#].map(str::to_owned);
        send(&broker, "command/open", &[], &lines);
        let reply = cloud.wait_for("command/open/reply");
        assert_json_snapshot!("busy", reply.body, {
            ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
        });
        assert!(!reply.retained);
        if protocol == V5 {
            assert!(reply.properties.ends_with(" class:event schema:1"), "{}", reply.properties);
        }
        assert_eq!(ears.payloads(), ["0"]);
        assert_eq!(ears.counted(), (3, 2));
    }
}

#[test]
fn a_storm_of_commands_costs_no_message_and_no_command() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let cloud = Subscriber::start(&broker, &[]).of_anything();
        let ears = Ears::start(&broker, protocol, 1_000, 10_000);
        wait_until("messages are under way", || cloud.different() > 100);
        let storm: Vec<_> = (0..1_000).map(|n| format!(r#"{{"id":"c-{n}"}}"#)).collect();
        send(&broker, "command/open", &[], &storm);
        wait_until("all commands have come", || ears.payloads().len() == 1_000);
        let different: HashSet<_> = ears.payloads().into_iter().collect();
        assert_eq!(different, storm.into_iter().collect());
        // and as many again, which there is no room for
        let storm: Vec<_> = (0..1_000).map(|n| format!(r#"{{"id":"d-{n}"}}"#)).collect();
        send(&broker, "command/open", &[], &storm);
        wait_until("all messages have come", || cloud.different() == 10_000);
        wait_until("all commands were judged", || ears.counted() == (2_000, 1_000));
        wait_until("somebody was answered", || !cloud.on("command/open/reply").is_empty());
        let ups = cloud.on("/event/up");
        assert_eq!(ups.len(), 10_000, "each once");
        let connections = ears.counters.connections.load(Relaxed);
        assert_eq!(connections, 1, "and no connection was lost over it");
    }
}

#[test]
fn a_flood_of_large_commands_takes_no_memory() {
    for protocol in [5, 4] {
        let broker = Broker::start();
        let lykta = Lykta::start(&broker, &format!("protocol = {protocol}"), &[Sensor::new(1)]);
        let cloud = wait_for_subscription(&broker);
        let before = most_memory(&lykta);
        // 40 MB of what is too large, and of what cannot be answered
        let large = format!("{{\"args\":\"{}\"}}", "x".repeat(10_000));
        let unnamed = format!("{{\"args\":\"{}\"}}", "x".repeat(6_000));
        let flood: Vec<_> = [large, unnamed].into_iter().cycle().take(5_000).collect();
        send(&broker, "command/open", &[], &flood);
        wait_until("it has come to an end", || {
            send(&broker, "command/end", &[], &[r#"{"id":"end"}"#.into()]);
            cloud.has("command/end/reply")
        });
        let taken = most_memory(&lykta) - before;
        assert!(taken < 4 * 1024, "{taken} KiB");
    }
}

/// The most memory that it has ever had, in KiB.
fn most_memory(lykta: &Lykta) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", lykta.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
