//! Databases as earlier versions left them: full of what waits.

use crate::shelf::companion;
use crate::support::{Broker, Lykta, Subscriber, wait_until};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// So many messages wait in each.
const WAITING: u64 = 5000;

const STORE: &str = "
    CREATE TABLE store (
        only INTEGER PRIMARY KEY CHECK (only = 0),
        epoch TEXT NOT NULL,
        next_sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE outbox (
        key INTEGER PRIMARY KEY,
        time_us INTEGER NOT NULL,
        clock INTEGER NOT NULL,
        topic TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
";

const SESSION_1: &str = "
    CREATE TABLE session (
        dev_eui INTEGER PRIMARY KEY,
        f_cnt_up INTEGER NOT NULL,
        high_water INTEGER NOT NULL,
        reset_at INTEGER,
        binding BLOB NOT NULL
    ) STRICT;
";

const DEVICES: &str = "
    CREATE TABLE session (
        dev_eui INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        f_cnt_up INTEGER,
        high_water INTEGER,
        reset_at INTEGER,
        f_cnt_down INTEGER NOT NULL,
        link TEXT NOT NULL,
        binding BLOB NOT NULL,
        dev_addr INTEGER,
        nwk_s_key BLOB,
        app_s_key BLOB,
        PRIMARY KEY (dev_eui, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE joins (
        dev_eui INTEGER PRIMARY KEY,
        binding BLOB NOT NULL,
        join_nonce INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE dev_nonce (
        dev_eui INTEGER NOT NULL,
        nonce INTEGER NOT NULL,
        PRIMARY KEY (dev_eui, nonce)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE downlink (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        dev_eui INTEGER NOT NULL,
        f_port INTEGER NOT NULL,
        payload BLOB NOT NULL,
        confirmed INTEGER NOT NULL,
        expires_us INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE command (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        reply TEXT NOT NULL
    ) STRICT;
";

const DOMAIN: &str = "
    CREATE TABLE domain (
        room INTEGER NOT NULL,
        key TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (room, key)
    ) STRICT, WITHOUT ROWID;
";

/// Makes a file of this version. Its epoch is `v` with the version.
fn make(file: &Path, version: usize) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut db = Connection::open(file).unwrap();
    db.pragma_update(None, "page_size", 1024).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    let tables = [[STORE, SESSION_1, ""], [STORE, DEVICES, ""], [STORE, DEVICES, DOMAIN]];
    let tx = db.transaction().unwrap();
    tx.execute_batch(&tables[version - 1].concat()).unwrap();
    tx.pragma_update(None, "user_version", version as i64).unwrap();
    tx.execute("INSERT INTO store VALUES (0, ?1, 70000)", [format!("v{version}")]).unwrap();
    let now = jiff::Timestamp::now().as_microsecond();
    for n in 1..=WAITING as i64 {
        let (class, body) = (n % 5, format!(r#"{{"n":{n}}}"#));
        let topic = format!("device/{:016x}/event/old", n % 20);
        tx.execute(
            "INSERT INTO outbox VALUES (?1, ?2, 0, ?3, ?4)",
            params![class << 56 | n, now, topic, body],
        )
        .unwrap();
    }
    tx.commit().unwrap();
}

fn tenant(version: usize, url: &str) -> String {
    format!(
        "[[tenant]]\nid = \"v{version}\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{url}\"]\n\
         backlog_rate = 0\n"
    )
}

#[test]
fn what_waits_in_a_database_of_any_earlier_version_arrives_under_its_id() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]).of_anything();
    let tenants: String = (1..=3).map(|version| tenant(version, &broker.url())).collect();
    let mut lykta = Lykta::configured(&tenants);
    (1..=3).for_each(|version| make(&lykta.database(&format!("v{version}")), version));
    lykta.restart();
    wait_until("all have arrived", || cloud.count("/event/old") as u64 >= 3 * WAITING);
    assert!(lykta.stop().success());
    let received = cloud.received();
    for version in 1..=3 {
        let of_it = format!("/v{version}/device/");
        let of_it = received.iter().filter(|message| message.topic.contains(&of_it));
        let numbers: Vec<_> = of_it
            .map(|message| {
                let n = message.body["n"].as_u64().unwrap();
                assert_eq!(message.body["id"], format!("v{version}-{n}"));
                n
            })
            .collect();
        for class in 0..5 {
            let numbers: Vec<_> = numbers.iter().filter(|n| **n % 5 == class).collect();
            assert!(numbers.is_sorted(), "version {version}, class {class}");
        }
        let different: BTreeSet<_> = numbers.iter().collect();
        assert_eq!((numbers.len(), different.len() as u64), (WAITING as usize, WAITING));
    }
}

#[test]
fn an_earlier_version_on_a_full_disk_says_what_to_do_and_loses_nothing() {
    for version in 1..=3 {
        let mut lykta = Lykta::configured(&tenant(version, "mqtt://127.0.0.1:9"));
        let file = lykta.database(&format!("v{version}"));
        make(&file, version);
        // a write beyond a limit shall be an error, as of a disk, and no signal
        let run = lykta.command();
        let mut command = Command::new("sh");
        let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(run.get_program()).args(run.get_args());
        command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
        lykta.spawn_as({
            command.stderr(Stdio::piped());
            command
        });
        assert_eq!(lykta.wait().code(), Some(74));
        lykta.wait_for_log(&format!("v{version}.db: was written by an earlier lykta"));
        lykta.wait_for_log("make room on the disk");
        assert!(!companion(&file, ".new").exists());
        // as soon as there is room
        lykta.restart();
        assert!(lykta.stop().success());
        let outbox = lykta::store::Outbox::open(&file).unwrap();
        assert_eq!((outbox.waiting(), outbox.epoch()), (WAITING, &*format!("v{version}")));
    }
}
