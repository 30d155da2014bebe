//! The shipped program on a file system of its own that is really full, and on pages that are
//! overwritten under it.

use crate::running::{ids, tenant};
use crate::shelf::{Shelf, companion};
use crate::support::{
    Broker, Concentrator, Lykta, Received, Sensor, Subscriber, entry, message, wait_until,
};
use lykta::store::{Class, Entry};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A file system in memory that only programs in its namespace see: nobody needs to be root.
struct Small {
    /// Holds it while no other program is there.
    holder: Child,
    directory: tempfile::TempDir,
}

impl Small {
    fn new(megabytes: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount = format!("mount -t tmpfs -o size={megabytes}m,mode=700 lykta \"$0\"");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(format!("{mount} && echo mounted && exec cat"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is there; tests/run installs it");
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "this user may make no namespaces: see user_namespaces(7)");
        Self { holder, directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// As seen from here.
    fn outside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.path().strip_prefix("/").unwrap()).join(name)
    }

    /// A program in there.
    fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target"]);
        command.arg(self.holder.id().to_string()).arg("--").arg(program);
        command
    }

    /// What the daemon in there says of its tenant.
    fn status(&self, lykta: &Lykta) -> Value {
        let mut ask = self.run(env!("CARGO_BIN_EXE_lykta"));
        ask.args(["status", "--json", "--config"]).arg(lykta.path().join("lykta.toml"));
        let answer: Value = serde_json::from_slice(&ask.output().unwrap().stdout).unwrap();
        answer["tenants"][0].clone()
    }

    /// Starts lykta in there.
    fn start(&self, lykta: &mut Lykta) {
        self.spawn(lykta);
        lykta.wait_for_notification("READY=1");
    }

    /// Starts lykta in there, whatever becomes of it.
    fn spawn(&self, lykta: &mut Lykta) {
        let run = lykta.command();
        let mut command = self.run(run.get_program());
        command.args(run.get_args()).stderr(Stdio::piped());
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        lykta.spawn_as(command);
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let ballast = self.outside("ballast");
        let mut ballast = OpenOptions::new().create(true).append(true).open(ballast).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.outside("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Alarms of the gateway, by their ids.
fn alarms(cloud: &Subscriber, kind: &str) -> BTreeSet<String> {
    let all = cloud.on("/waste/gateway/alarm").into_iter();
    let of_kind = all.filter(|alarm| alarm.body["kind"] == kind);
    of_kind.map(|alarm| alarm.body["id"].as_str().unwrap().to_owned()).collect()
}

/// Whether it is one of those that waited, and none that is sent beside them.
fn waited(received: &Received) -> bool {
    received.topic.contains("/device/") || received.topic.ends_with("/alarm")
}

#[test]
fn a_disk_that_is_full_at_the_very_first_start_says_what_to_do() {
    let small = Small::new(1);
    small.fill();
    let mut lykta = Lykta::configured_with_state(small.path(), &tenant("waste", &Broker::start()));
    small.spawn(&mut lykta);
    assert_eq!(lykta.wait().code(), Some(74));
    lykta.wait_for_log("waste.db: database or disk is full; make room on the disk");
    small.empty();
    small.start(&mut lykta);
}

#[test]
fn a_disk_that_is_full_holds_up_no_alarm_also_after_a_restart() {
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    broker.kill();
    let sensor = Sensor::new(1);
    let small = Small::new(12);
    let configuration =
        format!("{}backlog_rate = 0\n{}", tenant("waste", &broker), sensor.table("waste"));
    let mut lykta = Lykta::configured_with_state(small.path(), &configuration);
    small.start(&mut lykta);
    let mut concentrator = Concentrator::new(1, lykta.udp);
    (1..=20).for_each(|n| concentrator.forward(&[sensor.level(n, 50, 4)]));
    wait_until("they are on the disk", || small.status(&lykta)["accepted"] == 20);
    small.fill();
    let mut heard = 20;
    wait_until("there is an alarm in memory", || {
        // there may be room for a few in the files themselves
        heard += 1;
        concentrator.forward(&[sensor.level(heard, 50, 4)]);
        small.status(&lykta)["disk"]["alarmsInMemory"] == 1
    });

    // the alarm is the first thing that the cloud hears, and what was accepted is there or counted
    broker.restart();
    wait_until("the alarm is there", || !alarms(&cloud, "diskFails").is_empty());
    assert!(cloud.on("/waste/gateway/alarm")[0].body["lost"].as_u64() > Some(0));
    let number = |value: &Value| value.as_u64().unwrap();
    let heard = u64::from(heard);
    wait_until("each is accepted or counted", || {
        let status = small.status(&lykta);
        number(&status["accepted"]) + number(&status["notStored"]) == heard
    });
    let status = small.status(&lykta);
    let accepted = number(&status["accepted"]);
    assert!(accepted >= 20, "{status}");
    assert_eq!(status["buffer"]["shed"]["measurement"], 0, "it would have made no room");
    let there = || ids(&cloud, "waste").len() as u64;
    wait_until("all that was accepted is there", || there() == 2 * accepted);
    let first = cloud.received().into_iter().find(waited).unwrap();
    assert!(first.topic.ends_with("/waste/gateway/alarm"), "{first:?}");

    // as somebody does who wants to help: now there is not even a number in reserve
    let status = lykta.stop();
    assert!(status.success(), "{status}");
    small.fill();
    small.start(&mut lykta);
    let mut heard = 50_000;
    wait_until("another alarm is there", || {
        heard += 1;
        concentrator.forward(&[sensor.level(heard, 50, 4)]);
        alarms(&cloud, "diskFails").len() == 2
    });

    small.empty();
    lykta.wait_for_log("the disk takes the uplinks of tenant waste again");
    concentrator.forward(&[sensor.level(60_000, 50, 4)]);
    wait_until("the next is there", || {
        cloud.on("/event/up").iter().any(|up| up.body["fCnt"] == 60_000)
    });
    let status = lykta.stop();
    assert!(status.success(), "{status}");
    assert_eq!(alarms(&cloud, "diskFails").len(), 2, "each has one id, however often it went out");
    assert!(!lykta.log().iter().any(|line| line.contains("was damaged")));
}

#[test]
fn pages_that_are_overwritten_under_the_daemon_cost_nothing_that_is_whole() {
    const ROWS: usize = 12_000;
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]).of_anything();
    broker.save();
    broker.kill();
    let sensor = Sensor::new(1);
    // more than SQLite keeps in memory
    let shelf = Shelf::with(0);
    let noise = || (0..300).map(|_| fastrand::alphanumeric()).collect::<String>();
    let row = |n: usize| {
        let class = if n.is_multiple_of(100) { Class::Alarm } else { Class::Measurement };
        let body = format!(r#"{{"n":{n},"noise":"{}"}}"#, noise());
        let topic = if n.is_multiple_of(100) { "gateway/alarm" } else { "device/7/readings" };
        message(class, topic.into(), body)
    };
    let all: Vec<Entry> = (0..ROWS).map(|n| entry(1, vec![row(n)])).collect();
    shelf.open().0.commit(&all).unwrap();
    let shelf = shelf.checkpointed();
    let configuration =
        format!("{}backlog_rate = 0\n{}", tenant("waste", &broker), sensor.table("waste"));
    let mut lykta = Lykta::configured_with_state(shelf.directory.path(), &configuration);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 50, 4)]);
    // behind its back: every tree has lost its root
    let mut bytes = Vec::new();
    std::fs::File::open(&shelf.file).unwrap().read_to_end(&mut bytes).unwrap();
    let file = OpenOptions::new().write(true).open(&shelf.file).unwrap();
    for page in (0..bytes.len()).step_by(512).filter(|page| bytes[*page] == 5) {
        file.write_all_at(&[0xff; 16], page as u64).unwrap();
    }

    broker.restart();
    lykta.wait_for_log("the database of tenant waste was damaged");
    concentrator.forward(&[sensor.level(2, 50, 4)]);
    wait_until("the alarm is there", || !alarms(&cloud, "databaseSetAside").is_empty());
    let numbers = || -> BTreeSet<u64> {
        cloud.received().iter().filter_map(|message| message.body["n"].as_u64()).collect()
    };
    wait_until("all that waited is there", || numbers().len() == ROWS);
    wait_until("and so are the uplinks", || {
        let of = |n| cloud.on("/event/up").iter().any(|up| up.body["fCnt"] == n);
        of(1) && of(2)
    });
    // every alarm before every measurement
    let all: Vec<_> = cloud.received().into_iter().filter(waited).collect();
    let made_up =
        |leaf| all.iter().filter(move |m| m.topic.ends_with(leaf) && !m.body["n"].is_null());
    let last_alarm = made_up("/alarm").map(|m| m.body["sentAt"].to_string()).min();
    let first_row = made_up("/7/readings").map(|m| m.body["sentAt"].to_string()).min();
    assert!(last_alarm <= first_row, "{last_alarm:?} {first_row:?}");
    let one_id = |n: u64| {
        let of_n = all.iter().filter(|m| m.body["n"] == n);
        of_n.map(|m| m.body["id"].to_string()).collect::<BTreeSet<_>>().len() == 1
    };
    assert!((0..ROWS as u64).step_by(97).all(one_id), "each has one id");
    assert!(!companion(&shelf.file, ".new").exists());
    let status = lykta.stop();
    assert!(status.success(), "{status}");
}
