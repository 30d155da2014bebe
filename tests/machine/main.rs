//! The promise on the street: the package on an emulated machine with a real kernel, systemd and
//! a memory card that loses what is not flushed: `tests/run machine`, as root and on amd64, since
//! it mounts what the power cuts have left. The program is the one of the tests, compiled for
//! them, on a processor in software: nothing here says how long anything takes on a Raspberry Pi.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod card;
mod emulator;
mod nbd;
mod points;

use card::{Card, Event, Mark};
use emulator::{Machine, image, wait_until};
use points::Point;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{
    Broker, Concentrator, Fate, Left, Messages, Sensor, Subscriber, delivered, package, run,
};

const BINS: u64 = 10;

/// The sensors around a gateway, and a concentrator that hears them one by one.
struct Street {
    concentrator: Concentrator,
    sensors: Vec<Sensor>,
    heard: u64,
    /// How many of these a daemon before the present one has accepted.
    before: u64,
    /// How many messages have come to the cloud.
    delivered: usize,
}

impl Street {
    fn new(machine: &Machine) -> Self {
        let sensors = (1..=BINS as u32).map(Sensor::new).collect();
        let concentrator = Concentrator::new(1, machine.udp);
        Self { concentrator, sensors, heard: 0, before: 0, delivered: 0 }
    }

    /// So many frames come. Those that are under way at an instant are few, so that none gets
    /// lost but by a power cut.
    fn hear(&mut self, frames: u64, machine: &Machine, cloud: &Subscriber) {
        for _ in 0..frames {
            let sensor = &self.sensors[(self.heard % BINS) as usize];
            let f_cnt = (self.heard / BINS + 1) as u32;
            self.concentrator.forward(&[sensor.level(f_cnt, (f_cnt % 120) as u8 * 2, -1)]);
            self.heard += 1;
            wait_until("most of it is accepted", || {
                let delivered = cloud.different();
                if delivered != self.delivered {
                    self.delivered = delivered;
                    machine.card().mark(Mark::Delivered(delivered));
                }
                self.accepted(machine) + 4 > self.heard
            });
        }
    }

    fn accepted(&self, machine: &Machine) -> u64 {
        self.before + machine.accepted()
    }

    /// All of it is accepted, and the count begins anew with the daemon that comes.
    fn settle(&mut self, machine: &Machine) {
        wait_until("all is accepted", || self.accepted(machine) == self.heard);
        self.before = self.heard;
    }
}

/// A tar of what is brought to the machine: two revisions of the package, and its settings.
fn goods(directory: &Path, broker: &Broker) -> PathBuf {
    let files = directory.join("goods");
    for revision in ["1", "2"] {
        let made = package(revision, &files);
        fs::rename(made, files.join(format!("lykta-{revision}.deb"))).unwrap();
    }
    let sensors = (1..=BINS as u32).map(|n| Sensor::new(n).table("waste"));
    let settings = format!(
        "[concentrator]\nlisten = \"0.0.0.0:1700\"\nallow_from = [\"10.0.2.0/24\"]\n[store]\ncommit_interval = \"0s\"\n\
         [[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"mqtt://10.0.2.2:{}\"]\nreconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\n\
         backlog_rate = 0\n{}",
        broker.port,
        sensors.collect::<String>()
    );
    fs::write(files.join("waste.toml"), settings).unwrap();
    // found sooner to hang than on the street, and given time by a slow processor
    let sooner = "[Service]\nWatchdogSec=30\nRestartSec=0\nTimeoutStartSec=300\n";
    fs::write(files.join("sooner.conf"), sooner).unwrap();
    let goods = directory.join("goods.tar");
    run(Command::new("tar").arg("-C").arg(&files).arg("-cf").arg(&goods).arg("."));
    goods
}

/// What of the tenant's messages waits, as the daemon tells.
fn waiting(machine: &Machine) -> u64 {
    let status = machine.run("lykta status --json");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["tenants"][0]["waiting"].as_u64().unwrap_or_else(|| panic!("{status:#}"))
}

/// The journal's entries of this kind, since the machine was booted.
fn told(machine: &Machine, id: &str) -> Vec<serde_json::Value> {
    let journal = machine.run(&format!("journalctl -b -u lykta -o json -q MESSAGE_ID={id}"));
    journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_gateway_on_the_street_keeps_what_it_has_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    // the broker, when it comes back, keeps for the cloud what it is given before that is back
    broker.save();
    let goods = goods(directory.path(), &broker);
    let machine = Machine::boot(Card::holding(&image("root.img")), &goods, "utc");
    let mut street = Street::new(&machine);

    installs_and_runs(&machine, &mut street, &cloud);
    is_restarted_when_it_hangs(&machine, &mut street);
    broker.kill();
    is_upgraded_with_a_backlog(&machine, &mut street, &cloud);

    // in the first half nobody delivers, in the second the broker is there
    machine.card().begin();
    street.hear(120, &machine, &cloud);
    broker.restart();
    cloud.wait_for_subscription(&broker, &[]);
    street.hear(120, &machine, &cloud);
    let card = machine.cut();
    let card = card.lock().unwrap();
    let cut = Point::last(&card, Fate::Torn);
    every_cut_leaves_what_was_accepted(&card, street.before, &cloud);
    let left = leaves_what_was_accepted(&cut, &card, street.before, &cloud);

    // the machine goes on with what this cut has left, and with a clock that nobody has set
    let after = directory.path().join("after.img");
    cut.image(&card, &after);
    drop(card);
    let machine = Machine::boot(Card::holding(&after), &goods, "2021-03-01T00:00:00");
    street = Street { concentrator: Concentrator::new(1, machine.udp), ..street };
    goes_on_after_the_cut(&machine, &mut street, &left, &cloud);

    broker.kill();
    without_flushes_it_is_lost(machine, &mut street, &cloud);
}

fn installs_and_runs(machine: &Machine, street: &mut Street, cloud: &Subscriber) {
    machine.run("tar -C /root -xf /dev/vdb && dpkg -i /root/lykta-1.deb");
    assert_eq!(machine.service("UnitFileState"), "enabled");
    assert_eq!(machine.service("ActiveState"), "inactive");
    machine.run("install -g lykta -m 640 /root/waste.toml /etc/lykta/conf.d/");
    machine.run("install -D -t /etc/systemd/system/lykta.service.d /root/sooner.conf");
    // returns when the daemon has said READY=1
    machine.run("systemctl daemon-reload && systemctl start lykta");
    street.hear(BINS, machine, cloud);
    wait_until("the levels arrive", || cloud.on("/readings").len() as u64 == BINS);
    let line = format!("{BINS} accepted, 0 waiting, connected");
    wait_until("the status tells of it", || {
        let status = machine.run("systemctl status lykta");
        status.contains("active (running)") && status.contains(&line)
    });
    let started = told(machine, lykta::message::STARTED);
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["SYSLOG_IDENTIFIER"], "lykta");
    // a container has no such limits
    let group = "/sys/fs/cgroup/system.slice/lykta.service";
    let limits = machine.run(&format!("cat {group}/memory.max {group}/pids.max"));
    assert_eq!(limits, format!("{}\n64\n", 192 << 20));
}

fn is_restarted_when_it_hangs(machine: &Machine, street: &mut Street) {
    street.settle(machine);
    let pid = machine.service("MainPID");
    assert_ne!(pid, "0");
    machine.run(&format!("kill -STOP {pid}"));
    wait_until("another one runs", || {
        machine.service("NRestarts") == "1" && machine.service("ActiveState") == "active"
    });
    assert!(machine.run("journalctl -b -u lykta").contains("Watchdog timeout"));
}

fn is_upgraded_with_a_backlog(machine: &Machine, street: &mut Street, cloud: &Subscriber) {
    street.hear(100, machine, cloud);
    street.settle(machine);
    let (pid, backlog) = (machine.service("MainPID"), waiting(machine));
    assert!(backlog >= 200, "{backlog}");
    machine.run("dpkg -i /root/lykta-2.deb");
    assert_eq!(machine.service("ActiveState"), "active");
    assert_ne!(machine.service("MainPID"), pid, "an upgrade restarts it");
    assert_eq!(waiting(machine), backlog);
}

fn every_cut_leaves_what_was_accepted(card: &Card, before: u64, cloud: &Subscriber) {
    let points = std::env::var("POINTS").map_or(60, |points| points.parse().unwrap());
    let count = |what: fn(&&Event) -> bool| card.tape().iter().filter(what).count();
    let writes = count(|event| matches!(event, Event::Write { .. }));
    println!("{writes} writes and {} flushes", count(|event| matches!(event, Event::Flush)));
    for point in Point::many(card, points) {
        leaves_what_was_accepted(&point, card, before, cloud);
    }
}

fn leaves_what_was_accepted(point: &Point, card: &Card, before: u64, cloud: &Subscriber) -> Left {
    let left = point.left(card).unwrap_or_else(|wrong| panic!("{point}: {wrong}"));
    println!("{point}: {} on the disk, {} wait", left.accepted(), left.waiting.len());
    let kept = left.keeps(before + point.accepted, &point.known(&delivered(cloud)), cloud);
    assert_eq!(kept, Ok(()), "{point}");
    left
}

fn goes_on_after_the_cut(machine: &Machine, street: &mut Street, left: &Left, cloud: &Subscriber) {
    assert_eq!(told(machine, lykta::message::STARTED).len(), 1);
    assert!(told(machine, lykta::message::STORE_SET_ASIDE).is_empty());
    let today = jiff::Timestamp::now().as_second();
    let clock: i64 = machine.run("date +%s").trim().parse().unwrap();
    assert!(clock < today - 86_400, "{clock} is not wrong");
    // all that waited, under the same ids
    wait_until("everything has arrived", || {
        let delivered: Messages = delivered(cloud).into_iter().collect();
        left.waiting.iter().all(|(message, id)| delivered.get(message) == Some(id))
    });
    let delivered = delivered(cloud);
    let messages: Messages = delivered.iter().cloned().collect();
    assert_eq!(delivered.len(), messages.len(), "a copy had another id");
    // what was on the air in that instant is gone; each sensor is heard again
    street.before = street.heard;
    street.hear(BINS, machine, cloud);
    street.settle(machine);
    let last = street.heard / BINS;
    wait_until("what is heard now arrives", || {
        let levels = cloud.on("/readings").into_iter();
        let of_now = levels.filter(|level| level.body["fCnt"] == last);
        of_now.filter(|level| level.body["clock"] == "unsynced").count() as u64 == BINS
    });
    wait_until("nothing waits", || waiting(machine) == 0);
    assert_eq!(machine.run("journalctl -b -u lykta -q -p err"), "");
}

/// The control: a daemon that does not wait for the card must be found out.
fn without_flushes_it_is_lost(machine: Machine, street: &mut Street, cloud: &Subscriber) {
    const POINTS: usize = 20;
    let careless = "/etc/systemd/system/lykta.service.d/careless.conf";
    let preload = "[Service]\\nEnvironment=LD_PRELOAD=libeatmydata.so.1\\n";
    machine.run(&format!("printf '{preload}' >{careless}"));
    machine.run("systemctl daemon-reload && systemctl restart lykta && sync");
    machine.card().begin();
    street.hear(120, &machine, cloud);
    let card = machine.cut();
    let card = card.lock().unwrap();
    let mut points = Point::many(&card, POINTS);
    points.retain(|point| point.accepted > 0);
    let is_found_out = |point: &&Point| {
        let there = point.left(&card).map_or(0, |left| left.accepted());
        println!("without flushes, {point}: {there} on the disk");
        there < street.before + point.accepted
    };
    let lost = points.iter().filter(is_found_out).count();
    println!("without flushes {lost} of {} cuts lose what was accepted", points.len());
    assert!(lost > points.len() / 2);
}
