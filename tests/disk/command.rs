//! `lykta store`: what is on the disk can be seen, checked and taken elsewhere.

use crate::shelf::{DEVICES, Shelf, companion, session};
use crate::support::{
    Broker, Concentrator, Lykta, Received, Sensor, Subscriber, entry, message, wait_until,
};
use jiff::Timestamp;
use lykta::lorawan::Slot;
use lykta::store::{Class, Message, Store};
use lykta::units::DevEui;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Exit code, stdout and stderr of `lykta store ARGUMENTS --config …`.
fn store(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let config = directory.join("lykta.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .arg("store")
        .args(arguments)
        .arg("--config")
        .arg(config)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.replace(&*directory.to_string_lossy(), "DIRECTORY")
    };
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = store(directory, arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

fn tenant(broker: &str) -> String {
    format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{broker}\"]\n\
         reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\nbacklog_rate = 0\n"
    )
}

const NOBODY: &str = "mqtt://127.0.0.1:9";

/// Not started; what lies on the shelf is the database of its tenant.
fn on_shelf(shelf: &Shelf) -> Lykta {
    Lykta::configured_with_state(shelf.directory.path(), &tenant(NOBODY))
}

/// By id: topic and body, without what differs from one sending to the next.
fn by_id(messages: impl IntoIterator<Item = (String, Value)>) -> BTreeMap<String, (String, Value)> {
    let plain = |(topic, mut body): (String, Value)| {
        let object = body.as_object_mut().unwrap();
        object.remove("sentAt").unwrap();
        object.remove("late");
        (object["id"].as_str().unwrap().to_owned(), (topic, body))
    };
    messages.into_iter().map(plain).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn exported(lines: &[Value]) -> BTreeMap<String, (String, Value)> {
    let message = |line: &Value| {
        assert_eq!(line["id"], line["body"]["id"], "{line}");
        (line["topic"].as_str().unwrap().to_owned(), line["body"].clone())
    };
    by_id(lines.iter().map(message))
}

#[test]
fn what_is_exported_beside_the_daemon_is_what_the_cloud_gets() {
    let mut broker = Broker::start();
    // it keeps for the cloud what it is given before that is back
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    broker.kill();
    let sensor = Sensor::new(1);
    let mut lykta =
        Lykta::configured(&format!("{}{}", tenant(&broker.url()), sensor.table("waste")));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    (1..=5).for_each(|n| concentrator.forward(&[sensor.level(n, 50, 4)]));
    let waits = || {
        let stats = json(lykta.path(), &["stats", "--json"]);
        let measurements = stats["tenants"][0]["classes"][3].clone();
        assert_eq!(measurements["class"], "measurement");
        measurements["waiting"].as_u64().unwrap()
    };
    wait_until("all is kept", || waits() == 10);
    let (code, out, err) = store(lykta.path(), &["export"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines = lines(&out);
    assert_eq!(lines.len(), 10);
    assert!(lines.iter().all(|line| line["body"]["late"] == true));
    let (code, out, err) = store(lykta.path(), &["verify"]);
    let sound = "tenant waste: sound, 10 messages, 1 session\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, sound, ""));
    // into a file, which nobody else can read
    let (code, out, err) = store(lykta.path(), &["export", "--out", "outbox.jsonl"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "10 messages of tenant waste\n"));
    let mode = lykta.path().join("outbox.jsonl").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    broker.restart();
    wait_until("all is there", || waits() == 0);
    let of_device = |m: &Received| m.topic.contains("/device/");
    wait_until("all is read", || cloud.received().iter().filter(|m| of_device(m)).count() == 10);
    let received = cloud.received().into_iter().filter(of_device).map(|m| (m.topic, m.body));
    assert_eq!(exported(&lines), by_id(received));
    assert_eq!(lykta.stop().code(), Some(0), "nobody who looked has harmed it");
    let (code, out, _) = store(lykta.path(), &["export"]);
    assert_eq!((code, out.as_str()), (0, ""));
}

#[test]
fn what_waits_is_told_by_class_and_age() {
    let shelf = Shelf::with(40);
    let mut store_ = shelf.open().0;
    let old = |class, days: u64| {
        let wall = Timestamp::now() - Duration::from_secs(days * 24 * 3600);
        let young = message(class, "t".into(), "{}".into());
        Message { at: lykta::clock::Moment { wall, ..young.at }, ..young }
    };
    let (mut outbox, now) = (shelf.open().1, Class::ALL.map(|class| old(class, 3)));
    let rows = outbox.next(Class::Diagnostic, &mut lykta::store::Cursor::default(), 99).unwrap();
    outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).unwrap();
    store_.commit(&[entry(1, now.to_vec())]).unwrap();
    store_.commit(&[entry(1, vec![old(Class::Alarm, 2), old(Class::Measurement, 2)])]).unwrap();
    let lykta = on_shelf(&shelf);
    // beside whoever writes, and without
    let beside = store(lykta.path(), &["stats"]);
    drop(store_);
    let after = store(lykta.path(), &["stats"]);
    assert_eq!(beside.1, after.1);
    let (code, out, err) = after;
    assert_eq!((code, err.as_str()), (0, ""));
    let (head, table) = out.split_once('\n').unwrap();
    assert!(
        head.starts_with("tenant waste: ") && head.contains("B in use of 512.0 MB, "),
        "{head}"
    );
    assert!(head.ends_with("; sessions of 20 devices"), "{head}");
    insta::assert_snapshot!(table);
    let stats = json(lykta.path(), &["stats", "--tenant", "waste", "--json"]);
    let alarms = &stats["tenants"][0]["classes"][0];
    assert_eq!((&alarms["class"], &alarms["waiting"]), (&"alarm".into(), &2.into()));
    assert!(alarms["oldest"].as_str() < alarms["newest"].as_str(), "{alarms}");
    assert_eq!(stats["tenants"][0]["maxBytes"], 512_000_000);
}

#[test]
fn a_database_that_was_set_aside_says_what_it_can() {
    let shelf = Shelf::with(200);
    let lykta = on_shelf(&shelf);
    let (code, before, _) = store(lykta.path(), &["export"]);
    assert_eq!(code, 0);
    let shelf = shelf.checkpointed();
    let aside = shelf.directory.path().join("waste.db.damaged-20260115T120000Z");
    std::fs::rename(&shelf.file, &aside).unwrap();
    let mut bytes = std::fs::read(&aside).unwrap();
    // the first page, and the root of some tree
    bytes[16..512].fill(0xa5);
    std::fs::write(&aside, &bytes).unwrap();
    let name = aside.to_str().unwrap();
    let (code, out, err) = store(lykta.path(), &["verify", name]);
    assert_eq!((code, err.as_str()), (65, ""), "{out}");
    assert!(out.starts_with("tenant waste: damaged\n- "), "{out}");
    let (code, out, err) = store(lykta.path(), &["export", name]);
    assert_eq!(code, 0);
    assert!(
        err.contains("damaged, or of an older version; this is what can be read of it"),
        "{err}"
    );
    let (before, after) = (exported(&lines(&before)), exported(&lines(&out)));
    assert!(before == after, "every message under its id: {err}");
    let (code, out, _) = store(lykta.path(), &["stats", name, "--json"]);
    let stats: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &stats["tenants"][0]["devices"]), (0, &DEVICES.into()));
    assert_eq!(std::fs::read(&aside).unwrap(), bytes, "it is as it was");
    assert!(!companion(&aside, "-shm").exists() && !companion(&aside, "-wal").exists());
}

#[test]
fn damage_is_told_where_it_is() {
    let shelf = Shelf::with(400).checkpointed();
    let lykta = on_shelf(&shelf);
    // the last page of rows
    let mut bytes = std::fs::read(&shelf.file).unwrap();
    let page = (0..bytes.len() / 512).rev().find(|page| bytes[page * 512] == 13).unwrap();
    bytes[page * 512 + 8..][..64].fill(0xff);
    std::fs::write(&shelf.file, bytes).unwrap();
    let (code, out, _) = store(lykta.path(), &["verify", "--json"]);
    let verdict: Value = serde_json::from_str(&out).unwrap();
    let faults = verdict["tenants"][0]["faults"].as_array().unwrap();
    assert_eq!(code, 65);
    assert!(faults.iter().any(|f| f.as_str().unwrap().contains("waste.db: ")), "{out}");

    std::fs::remove_dir_all(shelf.directory.path()).unwrap();
    let (code, out, err) = store(lykta.path(), &["verify"]);
    assert_eq!((code, out.as_str()), (69, ""));
    assert!(err.contains("waste.db: is not there; has lykta run yet?"), "{err}");
    let (code, _, err) = store(lykta.path(), &["stats", "--tenant", "other"]);
    assert_eq!((code, err.as_str()), (64, "lykta: there is no tenant other: lykta check\n"));
}

#[test]
fn sessions_move_to_a_new_gateway_and_their_keys_to_nobody_else() {
    let shelf = Shelf::with(60);
    let old = on_shelf(&shelf);
    let (code, _, err) = store(old.path(), &["export", "--sessions"]);
    assert_eq!(code, 64, "{err}");
    let (code, out, err) = store(old.path(), &["export", "--sessions", "--out", "sessions.json"]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(
        err.starts_with("20 sessions of tenant waste in sessions.json: there are keys"),
        "{err}"
    );
    let file = old.path().join("sessions.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let document = std::fs::read(&file).unwrap();
    // it is never written over, and so goes to no terminal
    for out in [file.to_str().unwrap(), "/dev/stdout", "/dev/tty"] {
        let (code, out, err) = store(old.path(), &["export", "--sessions", "--out", out]);
        assert_eq!((code, out.as_str()), (64, ""), "{err}");
    }
    let (_, messages, _) = store(old.path(), &["export"]);
    let device = session(1).derived.unwrap();
    for key in [device.nwk_s_key, device.app_s_key] {
        let key = hex::encode(key.0);
        assert!(String::from_utf8_lossy(&document).contains(&key) && !messages.contains(&key));
    }

    let state = tempfile::tempdir().unwrap();
    let mut new = Lykta::configured_with_state(state.path(), &tenant(NOBODY));
    let sessions = file.to_str().unwrap();
    let import = ["import", sessions, "--tenant", "waste"];
    new.restart();
    let (code, _, err) = store(new.path(), &import);
    assert_eq!(code, 69);
    assert_eq!(err, "lykta: lykta is running; stop it first: systemctl stop lykta\n");
    new.stop();
    let (code, _, err) = store(new.path(), &import);
    assert_eq!(code, 0, "{err}");
    let moved = "20 devices of gw-1/waste: 20 new here, 0 with more than was known here, \
                 0 known here as well\n20 devices are not registered for tenant waste";
    assert!(err.starts_with(moved), "{err}");
    let db = new.database("waste");
    let open = || Store::open(&db, &lykta::clock::Clock::system()).unwrap();
    let check = || {
        let memory = open().memory().unwrap();
        for device in 0..DEVICES {
            let was = session(40 + device);
            let is = &memory.sessions[&(DevEui(device), Slot::Active)];
            assert_eq!((&is.derived, is.counter), (&was.derived, was.counter));
            assert_eq!(is.f_cnt_down, was.f_cnt_down + 4096, "ahead of what was sent meanwhile");
            let joins = &memory.joins[&DevEui(device)];
            assert_eq!((joins.join_nonce, joins.dev_nonces.contains(&77)), (5, true));
        }
    };
    check();
    // once more changes nothing
    let (code, _, err) = store(new.path(), &import);
    assert!(code == 0 && err.contains("0 new here, 0 with more"), "{err}");
    check();
    // nor does one that is half there, or none at all
    for (bytes, what) in [
        (&document[..document.len() / 2], "no export of sessions, or not a whole one"),
        (b"{\"format\":\"lykta sessions 9\"}", "its format is \"lykta sessions 9\""),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let (code, _, err) = store(new.path(), &import);
        assert!(code == 65 && err.contains(what), "{err}");
    }
    check();
    // a database that is damaged here is told here: the daemon finds one that is made anew
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    rusqlite::Connection::open(&db).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
    let mut bytes = std::fs::read(&db).unwrap();
    bytes[16..512].fill(0xa5);
    std::fs::write(&db, bytes).unwrap();
    std::fs::write(&file, &document).unwrap();
    let (code, _, err) = store(new.path(), &import);
    assert_eq!(code, 65, "{err}");
    assert!(err.starts_with("lykta: the database of tenant waste was damaged ("), "{err}");
    assert!(err.contains("\n20 devices of gw-1/waste: "), "{err}");
    assert_eq!(open().memory().unwrap().sessions.len() as u64, DEVICES);
}

#[test]
fn a_device_is_heard_at_the_new_gateway_from_where_it_was() {
    let sensor = Sensor::new(7);
    let configuration = format!("{}{}", tenant(NOBODY), sensor.table("waste"));
    let start = || {
        let mut lykta = Lykta::configured(&configuration);
        lykta.restart();
        let concentrator = Concentrator::new(1, lykta.udp);
        (lykta, concentrator)
    };
    let accepted = |lykta: &Lykta| {
        let stats = json(lykta.path(), &["stats", "--json"]);
        stats["tenants"][0]["classes"][3]["waiting"].as_u64().unwrap()
    };
    let (mut old, mut concentrator) = start();
    concentrator.forward(&[sensor.level(9, 50, 4)]);
    wait_until("it is kept", || accepted(&old) == 2);
    old.stop();
    let (code, ..) = store(old.path(), &["export", "--sessions", "--out", "sessions.json"]);
    assert_eq!(code, 0);
    let (mut new, mut concentrator) = start();
    new.stop();
    let sessions = old.path().join("sessions.json");
    let import = ["import", sessions.to_str().unwrap(), "--tenant", "waste"];
    let (code, _, err) = store(new.path(), &import);
    assert!(code == 0 && err.contains("1 new here") && !err.contains("registered"), "{err}");
    new.restart();
    concentrator.forward(&[sensor.level(9, 50, 4)]);
    concentrator.forward(&[sensor.level(10, 50, 4)]);
    wait_until("the next is kept", || accepted(&new) == 2);
    new.stop();
    assert_eq!(new.accepted()[&sensor.dev_eui.0], 10);
}

#[test]
fn the_helps_have_examples() {
    for command in ["stats", "verify", "export", "import"] {
        let (code, out, _) = store(Path::new("/"), &[command, "--help"]);
        assert_eq!(code, 0);
        assert!(
            out.contains("Example") && out.contains(&format!("lykta store {command}")),
            "{out}"
        );
    }
}
