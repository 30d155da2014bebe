//! Commands over a real broker. The forwarder runs in the test's own process, and the test
//! takes the commands that the gateway would execute.

use crate::gate::Gate;
use crate::support::{Broker, Lykta, Sensor, Subscriber, upstream, wait_until};
use crate::world::Watcher;
use lykta::clock::Clock;
use lykta::config::Protocol::{self, V4, V5};
use lykta::config::Upstream;
use lykta::store::{Class, Entry, Message, Outbox, Store};
use lykta::units::DevEui;
use lykta::upstream::command::{Command, Request};
use lykta::upstream::{Counters, Forwarder, Shared};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, watch};

const ROOT: &str = "lykta/gw-1/waste";

/// What whoever executes commands does with them.
#[derive(Default)]
struct Hands {
    /// How many more there is room for.
    room: usize,
    /// Whether the disk takes what comes of them.
    disk_fails: bool,
    /// Those that it took: name and payload.
    taken: Vec<(String, String)>,
}

impl Hands {
    fn take(&mut self, command: Command) -> Result<(), Command> {
        // the probe of a test
        if command.name == "hello" {
            let payload = String::from_utf8(command.payload).unwrap();
            self.taken.push((command.name, payload));
            command.receipt.sign();
            return Ok(());
        }
        if self.room == 0 {
            return Err(command);
        }
        self.room -= 1;
        if !self.disk_fails {
            let payload = String::from_utf8(command.payload).unwrap();
            self.taken.push((command.name, payload));
            command.receipt.sign();
        }
        Ok(())
    }
}

/// A forwarder, and somebody who has room for so many commands.
struct Ears {
    hands: Arc<Mutex<Hands>>,
    counters: Arc<Counters>,
    settings: Upstream,
    file: PathBuf,
    stop: watch::Sender<bool>,
    forwarder: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Ears {
    /// Returns when it listens.
    fn start(broker: &Broker, protocol: Protocol, room: usize, messages: u32) -> Self {
        Self::start_at(broker.url(), broker, protocol, room, messages)
    }

    fn start_at(
        url: String,
        broker: &Broker,
        protocol: Protocol,
        room: usize,
        messages: u32,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waste.db");
        Store::open(&file, &Clock::system()).unwrap().commit(&[entry(messages)]).unwrap();
        let settings = Upstream {
            reconnect_min: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(200),
            ..upstream(url, protocol)
        };
        let hands = Arc::new(Mutex::new(Hands { room, ..Hands::default() }));
        let mut ears = Self {
            hands,
            counters: Arc::default(),
            settings,
            file,
            stop: watch::channel(false).0,
            forwarder: None,
            _directory: directory,
        };
        ears.wake();
        ears.wait_until_it_listens(broker);
        ears
    }

    fn wake(&mut self) {
        self.stop = watch::channel(false).0;
        let hands = Arc::clone(&self.hands);
        let shared = Shared {
            news: Arc::new(Notify::new()),
            counters: Arc::clone(&self.counters),
            health: Arc::new(|| serde_json::json!({})),
            commands: Arc::new(move |command| hands.lock().unwrap().take(command)),
        };
        let (gateway, tenant) = ("gw-1".parse().unwrap(), "waste".parse().unwrap());
        let (outbox, settings) = (Outbox::open(&self.file).unwrap(), self.settings.clone());
        let forwarder =
            Forwarder::new(&gateway, &tenant, settings, outbox, Clock::system(), shared).unwrap();
        let stopped = self.stop.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.forwarder = Some(std::thread::spawn(move || runtime.block_on(forwarder.run(stopped))));
    }

    fn sleep(&mut self) {
        self.stop.send_replace(true);
        let ended = self.forwarder.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the forwarder panicked");
    }

    fn wait_until_it_listens(&self, broker: &Broker) {
        self.hands.lock().unwrap().taken.clear();
        let mut probe = 0;
        wait_until("it listens", || {
            probe += 1;
            let body = format!(r#"{{"id":"hello-{probe}"}}"#);
            send(broker, "command/hello", &[], std::slice::from_ref(&body));
            // the last that was sent: none is on its way then
            crate::support::holds_within(Duration::from_millis(100), || {
                self.hands.lock().unwrap().taken.last().is_some_and(|(_, came)| *came == body)
            })
        });
    }

    /// What came, in order, without the test's own probes.
    fn payloads(&self) -> Vec<String> {
        let hands = self.hands.lock().unwrap();
        let commands = hands.taken.iter().filter(|(name, _)| name != "hello");
        commands.map(|(_, payload)| payload.clone()).collect()
    }

    /// How many commands came, and how many of them were refused.
    fn counted(&self) -> (u64, u64) {
        (self.counters.commands.load(Relaxed), self.counters.commands_refused.load(Relaxed))
    }

    fn give_room(&self, room: usize) {
        self.hands.lock().unwrap().room = room;
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        if self.forwarder.is_some() {
            self.sleep();
        }
    }
}

fn entry(messages: u32) -> Entry {
    let message = |n: u32| Message {
        class: Class::Measurement,
        at: Clock::system().now(),
        topic: format!("device/{}/event/up", n % 7),
        body: format!(r#"{{"fCnt":{n}}}"#),
    };
    Entry::of(DevEui(1), (1..=messages).map(message).collect())
}

/// `lines` are a message each.
fn send(broker: &Broker, leaf: &str, arguments: &[&str], lines: &[String]) {
    broker.publish(&format!("{ROOT}/{leaf}"), arguments, lines);
}

/// Commands by these numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!(r#"{{"id":"c-{n}"}}"#)).collect()
}

#[test]
fn a_command_arrives() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 100, 0);
        let command = r#"{"id":"open-7","args":{"devEui":"70b3d50700000001"}}"#.to_owned();
        let before = ears.counted().0;
        send(&broker, "command/downlink", &[], std::slice::from_ref(&command));
        wait_until("it has come", || ears.payloads() == [command.as_str()]);
        assert_eq!(ears.hands.lock().unwrap().taken.last().unwrap().0, "downlink");
        let request = Request::parse(command.as_bytes(), Clock::system().now()).unwrap();
        assert_eq!(request.id, "open-7");
        assert_eq!(ears.counted(), (before + 1, 0));
    }
}

#[test]
fn commands_that_are_sent_while_nobody_is_there_come_later_and_in_order() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let mut ears = Ears::start(&broker, protocol, 100, 0);
        ears.sleep();
        send(&broker, "command/open", &[], &numbered(0..50));
        ears.wake();
        wait_until("all have come", || ears.payloads().len() >= 50);
        assert_eq!(ears.payloads(), numbered(0..50));
        // and what was acknowledged does not come again
        ears.sleep();
        ears.wake();
        ears.wait_until_it_listens(&broker);
        assert_eq!(ears.payloads(), Vec::<String>::new());
    }
}

#[test]
fn commands_that_are_sent_while_the_connection_is_broken_come_later() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let gate = Gate::before(&broker);
        let ears = Ears::start_at(gate.url(), &broker, protocol, 1_000, 0);
        for round in 0..10 {
            // in the middle of them as well
            gate.cut();
            send(&broker, "command/open", &[], &numbered(20 * round..20 * round + 10));
            gate.cut();
            send(&broker, "command/open", &[], &numbered(20 * round + 10..20 * (round + 1)));
        }
        wait_until("all have come", || {
            ears.payloads().into_iter().collect::<HashSet<_>>().len() == 200
        });
    }
}

#[test]
fn it_comes_again_after_the_broker_was_away() {
    for protocol in [V5, V4] {
        let mut broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 100, 0);
        // without its sessions, and then with them
        broker.kill();
        broker.restart();
        ears.wait_until_it_listens(&broker);
        broker.save();
        broker.kill();
        broker.restart();
        send(&broker, "command/open", &[], &numbered(1..2));
        wait_until("it has come", || ears.payloads() == numbered(1..2));
    }
}

#[test]
fn what_the_disk_does_not_take_comes_again_until_it_does() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let ears = Ears::start(&broker, protocol, 3, 0);
        ears.hands.lock().unwrap().disk_fails = true;
        send(&broker, "command/open", &[], &numbered(1..3));
        wait_until("they came more than once", || ears.hands.lock().unwrap().room == 0);
        assert_eq!(ears.payloads(), Vec::<String>::new());
        {
            let mut hands = ears.hands.lock().unwrap();
            (hands.disk_fails, hands.room) = (false, 100);
        }
        wait_until("both are taken", || ears.payloads().len() >= 2);
        let taken: HashSet<_> = ears.payloads().into_iter().collect();
        assert_eq!(taken, numbered(1..3).into_iter().collect());
        assert_eq!(ears.counters.connections.load(Relaxed), 1, "messages went out meanwhile");
    }
}

#[test]
fn what_there_is_no_room_for_waits_and_nothing_is_lost() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let mut ears = Ears::start(&broker, protocol, 1, 0);
        send(&broker, "command/open", &[], &numbered(0..200));
        wait_until("the first is taken", || ears.payloads() == numbered(0..1));
        // the others wait with the broker, also over a stop
        ears.sleep();
        ears.wake();
        ears.give_room(1_000);
        wait_until("all are taken", || {
            ears.payloads().into_iter().collect::<HashSet<_>>().len() == 200
        });
        assert_eq!(ears.counted().1, 0);
    }
}

#[test]
fn a_retained_command_is_not_executed_again_at_each_connection() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        send(&broker, "command/open", &["-r"], &numbered(0..1));
        let ears = Ears::start(&broker, protocol, 100, 0);
        send(&broker, "command/open", &[], &numbered(1..2));
        wait_until("the other has come", || ears.payloads() == numbered(1..2));
        assert_eq!(ears.counted().1, 1);
    }
}

#[test]
fn what_cannot_be_answered_is_refused_and_does_not_come_again() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let mut ears = Ears::start(&broker, protocol, 100, 0);
        let topic = format!("{ROOT}/command/open").len();
        let filled = |bytes: usize| format!(r#"{{"id":"{}"}}"#, "x".repeat(bytes - 9));
        let long = |bytes: usize| format!(r#"{{"id":"x","a":"{}"}}"#, "x".repeat(bytes - 17));
        let (largest, larger) = (long(8192 - topic), long(8193 - topic));
        send(&broker, "command/open", &[], &[larger, largest.clone()]);
        let named = numbered(0..1);
        send(&broker, "command/öppna", &[], &named);
        send(&broker, "command/open the lid", &[], &named);
        send(&broker, &format!("command/{}", "n".repeat(65)), &[], &named);
        // without an id, or with one that is none
        send(&broker, "command/open", &[], &["{}".into(), "1".into(), filled(74)]);
        // not a command's topic: nothing comes at all
        send(&broker, "command/open/now", &[], &named);
        send(&broker, "command/open", &[], &numbered(1..2));
        wait_until("the last has come", || ears.payloads().last() == numbered(1..2).last());
        assert_eq!(ears.payloads(), [largest, numbered(1..2).remove(0)]);
        assert_eq!(ears.counted().1, 7);
        ears.sleep();
        ears.wake();
        ears.wait_until_it_listens(&broker);
        assert_eq!(ears.counted().1, 7, "the broker has forgotten them");
    }
}

#[test]
fn a_storm_of_commands_costs_no_message_and_no_command() {
    for protocol in [V5, V4] {
        let broker = Broker::start();
        let cloud = Subscriber::start(&broker, &[]).of_anything();
        let ears = Ears::start(&broker, protocol, 10_000, 10_000);
        send(&broker, "command/open", &[], &numbered(0..1_000));
        wait_until("all commands have come", || {
            ears.payloads().into_iter().collect::<HashSet<_>>().len() == 1_000
        });
        let different: HashSet<_> = ears.payloads().into_iter().collect();
        assert_eq!(different, numbered(0..1_000).into_iter().collect());
        wait_until("all messages have come", || cloud.different() == 10_000);
        assert_eq!(cloud.on("/event/up").len(), 10_000, "each once");
        let connections = ears.counters.connections.load(Relaxed);
        assert_eq!(connections, 1, "and no connection was lost over it");
    }
}

#[test]
fn a_flood_of_large_commands_takes_no_memory() {
    for protocol in [5, 4] {
        let broker = Broker::start();
        let lykta = Lykta::start(&broker, &format!("protocol = {protocol}"), &[Sensor::new(1)]);
        let cloud = Watcher::start(&broker).of_anything();
        assert_eq!(cloud.wait_for("/state").body["state"], "online");
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
