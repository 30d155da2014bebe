//! A database under a key: without the key the card tells nothing, and with another one nothing
//! is touched.

use crate::shelf::{DEVICES, Shelf, companion, session, uplink, waiting};
use crate::support::{Lykta, database, entry, message, store_key};
use lykta::clock::Clock;
use lykta::lorawan::Slot;
use lykta::store::{
    Class, Cursor, Database, Entry, Outbox, Room, State, Store, StoreError, Survey,
};
use lykta::units::{DevEui, StoreKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Nothing else has these bytes, packed or not.
const PLANTED: &str = "resident-r7-left-bed";

const UPLINKS: u64 = 200;

/// Every file in the directory, by its name.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    // not the socket, nor what was sent by the gateway and when
    let is_of_tenant =
        |path: &PathBuf| path.is_file() && !path.display().to_string().contains("air.db");
    let entries = entries.filter(is_of_tenant);
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn has(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.windows(pattern.len()).any(|window| window == pattern)
}

/// The files in which one of these stands.
fn telling(directory: &Path) -> Vec<PathBuf> {
    let names = companion(Path::new(&format!("device/{}", DevEui(7))), "/readings");
    let patterns = [
        PLANTED.as_bytes(),
        b"SQLite format 3",
        b"CREATE TABLE",
        b"outbox",
        names.as_os_str().as_encoded_bytes(),
        // the keys of a session, as they are kept
        b"nwkSKey",
        b"derived",
    ];
    let tells = |bytes: &Vec<u8>| patterns.iter().any(|pattern| has(bytes, pattern));
    files(directory).into_iter().filter(|(_, bytes)| tells(bytes)).map(|(path, _)| path).collect()
}

/// An uplink with the planted words: in a message, in a state, and in its topic.
fn plant(n: u64) -> Entry {
    let body = format!(r#"{{"n":{n},"what":"{PLANTED}"}}"#);
    let state = State { room: Room::Bins, key: PLANTED.into(), body: body.clone() };
    let topic = format!("care/{PLANTED}/alarm");
    let messages = vec![
        message(Class::Alarm, topic, body.clone()),
        message(Class::Event, "care/r7".into(), body),
    ];
    Entry { states: vec![state], changes: uplink(n).changes, ..entry(n % DEVICES, messages) }
}

fn open(database: impl Into<Database>) -> Result<(Store, Outbox), StoreError> {
    Store::open_both(database, &Clock::system())
}

#[test]
fn without_the_key_the_card_tells_nothing() {
    let plain = Shelf::with(UPLINKS);
    plain.open().0.commit(&[plant(UPLINKS)]).unwrap();
    assert!(telling(plain.directory.path()).len() >= 3, "the patterns are found where they are");

    let shelf = Shelf::under(Some(store_key(1)), UPLINKS);
    let directory = shelf.directory.path();
    let (mut store, mut outbox) = shelf.open();
    for n in 0..50 {
        store.commit(&[plant(UPLINKS + n)]).unwrap();
    }
    // while it runs: the log, its index, and the second file of sessions
    let names = files(directory).into_keys().map(|path| path.display().to_string());
    assert!(names.filter(|name| name.ends_with("-wal") || name.ends_with("-shm")).count() >= 4);
    assert_eq!(telling(directory), [] as [PathBuf; 0]);
    // what is set aside, and the new one
    let aside = {
        let mut bytes = std::fs::read(&shelf.file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..][..600].fill(0x5a);
        drop((store, outbox));
        std::fs::write(&shelf.file, bytes).unwrap();
        (store, outbox) = shelf.open();
        store.take_rescue().expect("it was damaged").aside
    };
    assert!(aside.exists());
    assert_eq!(telling(directory), [] as [PathBuf; 0]);
    assert!(waiting(&mut outbox).values().any(|(.., body)| body.contains(PLANTED)));
    // and it can be looked at by its name
    drop((store, outbox));
    let mut survey = Survey::of_any(database(&aside, shelf.key.as_ref())).unwrap();
    assert!(survey.salvaged().is_some());
    let rows = survey.next(&mut Cursor::default()).unwrap();
    assert!(rows.iter().any(|row| row.body.contains(PLANTED)));
}

#[test]
fn another_key_or_none_touches_nothing() {
    let shelf = Shelf::under(Some(store_key(1)), UPLINKS);
    drop(shelf.open());
    let before = files(shelf.directory.path());
    for (key, is_wrong) in [(Some(store_key(2)), true), (None, false)] {
        let other = database(&shelf.file, key.as_ref());
        let error = open(&other).map(|_| ()).unwrap_err();
        assert_eq!(matches!(error, StoreError::WrongKey { .. }), is_wrong, "{error}");
        assert_eq!(matches!(error, StoreError::NoKey { .. }), !is_wrong, "{error}");
        let said = error.to_string();
        assert!(said.contains("waste.db") && said.contains("store_key_file"), "{said}");
        assert!(Survey::of_any(&other).is_err());
        assert!(files(shelf.directory.path()) == before, "something was touched");
    }
    // whose first sector is gone, too: the second file tells
    let mut bytes = std::fs::read(&shelf.file).unwrap();
    bytes[..512].fill(0);
    std::fs::write(&shelf.file, bytes).unwrap();
    let before = files(shelf.directory.path());
    let other = database(&shelf.file, Some(&store_key(2)));
    assert!(matches!(open(&other), Err(StoreError::WrongKey { .. })));
    assert!(files(shelf.directory.path()) == before, "something was touched");
    let (mut store, mut outbox) = shelf.open();
    assert!(store.take_rescue().is_some());
    assert_eq!(waiting(&mut outbox).len() as u64, UPLINKS);
}

#[test]
fn a_plain_database_comes_under_its_key_and_leaves_nothing_behind() {
    let shelf = Shelf::with(UPLINKS);
    let (mut store, outbox) = shelf.open();
    store.commit(&[plant(0)]).unwrap();
    drop((store, outbox));
    // one that was set aside long ago is as readable
    let aside = companion(&shelf.file, ".damaged-20260101T000000Z");
    std::fs::copy(&shelf.file, &aside).unwrap();
    std::fs::hard_link(&shelf.file, shelf.directory.path().join("seen")).unwrap();
    let mut keyed = database(&shelf.file, Some(&store_key(1)));
    let (store, mut outbox) = open(&keyed).unwrap();
    assert!(store.is_renewed());
    let all = waiting(&mut outbox);
    assert_eq!(all.len() as u64, UPLINKS + 2);
    let memory = store.memory().unwrap();
    for device in 1..DEVICES {
        let was = session(UPLINKS - DEVICES + device);
        assert_eq!(memory.sessions[&(DevEui(device), Slot::Active)], was, "nothing has jumped");
    }
    drop((store, outbox));
    assert_eq!(telling(shelf.directory.path()), [] as [PathBuf; 0]);
    let old = std::fs::read(shelf.directory.path().join("seen")).unwrap();
    assert!(!old.is_empty() && old.iter().all(|byte| *byte == 0), "the old bytes are overwritten");
    assert!(!aside.exists());
    assert!(!open(&keyed).unwrap().0.is_renewed(), "once");

    // and on to another key
    keyed = Database::new(&shelf.file, Some(store_key(2)), Some(store_key(1)));
    assert!(open(&keyed).unwrap().0.is_renewed());
    assert!(matches!(
        open(database(&shelf.file, Some(&store_key(1)))),
        Err(StoreError::WrongKey { .. })
    ));
    let (store, mut outbox) = open(database(&shelf.file, Some(&store_key(2)))).unwrap();
    assert!(!store.is_renewed());
    assert!(waiting(&mut outbox) == all);
}

/// A gateway with a care tenant under these keys.
fn gateway(state: &Path, keys: &str) -> Lykta {
    Lykta::configured_with_state(
        state,
        &format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"care\"\n{keys}[tenant.upstream]\n\
             urls = [\"mqtt://127.0.0.1:9\"]\n"
        ),
    )
}

fn key_file(directory: &Path, n: u8) -> PathBuf {
    let file = directory.join(format!("{n}.key"));
    let StoreKey(key) = store_key(n);
    std::fs::write(&file, hex::encode(key)).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, owner_only).unwrap();
    file
}

#[test]
fn a_daemon_killed_while_it_changes_keys_leaves_one_of_them_working() {
    let shelf = Shelf::with(UPLINKS);
    let (mut store, mut outbox) = shelf.open();
    let many =
        (0..6_000).map(|n| message(Class::Measurement, "t".into(), format!(r#"{{"n":{n}}}"#)));
    store.commit(&[entry(1, many.collect())]).unwrap();
    let all = waiting(&mut outbox);
    drop((store, outbox));
    let keys = tempfile::tempdir().unwrap();
    let [one, two] = [1, 2].map(|n| key_file(keys.path(), n));
    let settings = |key: &Path, earlier: Option<&Path>| {
        let earlier = earlier.map(|e| format!("earlier_store_key_file = \"{}\"\n", e.display()));
        format!("store_key_file = \"{}\"\n{}", key.display(), earlier.unwrap_or_default())
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut interrupted = 0;
    // from none to the first, and then from one to the other
    for turn in 0..12_u8 {
        let (key, earlier) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let numbers = if turn % 2 == 0 { (1, 2) } else { (2, 1) };
        let mut lykta =
            gateway(shelf.directory.path(), &settings(key, (turn > 0).then_some(&**earlier)));
        lykta.spawn();
        std::thread::sleep(Duration::from_millis(random.u64(5..400)));
        lykta.kill();
        let left = files(shelf.directory.path()).into_keys();
        interrupted += left.filter(|path| path.to_string_lossy().contains(".db.")).count();
        // whichever it is under, all of it is there
        let earlier = (turn > 0).then(|| store_key(numbers.1));
        holds_all(&Database::new(&shelf.file, Some(store_key(numbers.0)), earlier), &all);
        assert_eq!(telling(shelf.directory.path()), [] as [PathBuf; 0]);
    }
    println!("{interrupted} were interrupted in the middle");
}

fn holds_all(database: &Database, all: &BTreeMap<(String, u64), (Class, String, String)>) {
    let (_, mut outbox) = open(database).unwrap();
    assert!(waiting(&mut outbox) == *all, "not what was there");
}

#[test]
fn a_daemon_with_another_key_says_so_and_touches_nothing() {
    let shelf = Shelf::under(Some(store_key(1)), UPLINKS);
    let keys = tempfile::tempdir().unwrap();
    let file = key_file(keys.path(), 2);
    let state = shelf.directory.path();
    let before = |path: &Path| std::fs::read(path).unwrap();
    let (db, log) = (before(&shelf.file), before(&shelf.log()));
    let mut lykta = gateway(state, &format!("store_key_file = \"{}\"\n", file.display()));
    lykta.spawn();
    assert_eq!(lykta.wait().code(), Some(78));
    lykta.wait_for_log("encrypted with another key");
    assert!(lykta.log().iter().any(|line| line.contains("waste.db")));
    assert!(db == before(&shelf.file) && log == before(&shelf.log()));
    // the commands say the same
    let stats = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["store", "stats", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    assert_eq!(stats.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&stats.stderr).contains("another key"));
    assert!(db == before(&shelf.file) && log == before(&shelf.log()));

    // the right one
    std::fs::write(&file, hex::encode(store_key(1).0)).unwrap();
    lykta.restart();
    let stats = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["store", "verify", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&stats.stdout);
    assert!(said.contains("sound") && stats.status.success(), "{said}");
}
