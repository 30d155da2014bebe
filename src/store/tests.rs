use super::rescue::Elsewhere;
use super::*;
use crate::clock::ClockQuality;
use crate::clock::Moment;
use crate::device::Abp;
use crate::lorawan::{Changes, Counter, Downlink, Join, Link, Session, Slot};
use crate::units::{AesKey, DevAddr, DevEui};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

mod damage;
mod sealed;

fn session(f_cnt_up: u32) -> Session {
    Session {
        derived: None,
        counter: Some(Counter { f_cnt_up, high_water: f_cnt_up, reset_at: None }),
        f_cnt_down: 3,
        link: Link::default(),
        binding: [8; 8],
    }
}

fn entry(dev_eui: u64, f_cnt: u32, classes: &[Class]) -> Entry {
    let message = |class: &Class| Message {
        class: *class,
        at: Moment {
            wall: Timestamp::from_second(f_cnt.into()).expect("in range"),
            quality: ClockQuality::Synced,
            monotonic: Duration::ZERO,
        },
        topic: format!("device/{}/readings", DevEui(dev_eui)),
        body: format!(r#"{{"n":{f_cnt}}}"#),
    };
    Entry {
        changes: Changes {
            sessions: vec![(Slot::Active, Some(session(f_cnt)))],
            ..Changes::default()
        },
        ..Entry::of(DevEui(dev_eui), classes.iter().map(message).collect())
    }
}

#[test]
fn counter_and_messages_survive_a_restart_together() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    let epoch = Outbox::open(&file).expect("opens").epoch().to_owned();
    store.commit(&[entry(u64::MAX, 70_000, &[Class::Measurement; 2])]).expect("commits");
    drop(store);

    let mut store = Store::open(&file, &Clock::system()).expect("opens again");
    let memory = store.memory().expect("reads");
    assert_eq!(memory.sessions[&(DevEui(u64::MAX), Slot::Active)], session(70_000));
    store.commit(&[entry(1, 1, &[Class::Alarm])]).expect("commits");
    let mut outbox = Outbox::open(&file).expect("opens again");
    assert_eq!(outbox.epoch(), epoch);
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 10).expect("reads");
    let order: Vec<_> = rows.iter().map(|row| row.key.sequence()).collect();
    let [alarm, 1, 2] = order[..] else { panic!("the alarm first, then {order:?}") };
    assert!(alarm > 2, "no number twice");

    outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).expect("removes");
    drop((store, outbox));
    let mut store = Store::open(&file, &Clock::system()).expect("opens a third time");
    store.commit(&[entry(1, 2, &[Class::Alarm])]).expect("commits");
    let outbox = Outbox::open(&file).expect("opens");
    assert!(outbox.last_sequence().expect("reads") > alarm, "an empty outbox forgets none");
}

/// Of a message that was written at this moment: what is told about its time in the end.
fn told(file: &Path, most: usize) -> Vec<(Timestamp, ClockQuality, Option<Duration>)> {
    let mut outbox = Outbox::open(file).expect("opens");
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), most).expect("reads");
    rows.into_iter().map(|row| (row.told.time, row.told.clock, row.told.error)).collect()
}

#[test]
fn what_was_written_before_the_clock_was_set_is_told_by_it_afterwards() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
    let hours = |n: i64| noon + jiff::SignedDuration::from_hours(n);
    let at = |clock: &Clock| {
        let mut entry = entry(1, 1, &[Class::Measurement]);
        entry.messages[0].at = clock.now();
        [entry]
    };
    // a boot with a set clock
    let first = Clock::simulated(noon, 0);
    Store::open(&file, &first).and_then(|mut s| s.commit(&at(&first))).expect("commits");
    // one whose clock nobody sets: it goes on from what was seen
    let second = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
    let mut store = Store::open(&file, &second).expect("opens");
    assert!(second.now().wall >= noon, "the floor");
    store.commit(&at(&second)).expect("commits");
    assert_eq!(told(&file, 9)[1].1, ClockQuality::Unsynced, "nothing is known yet");
    drop(store);
    // and one whose clock is set after a while
    let third = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
    let mut store = Store::open(&file, &third).expect("opens");
    store.commit(&at(&third)).expect("commits");
    store.note_clock().expect("nothing to note");
    third.set(hours(6), ClockQuality::Synced);
    store.note_clock().expect("notes");
    let told = told(&file, 9);
    assert_eq!(told[0], (noon, ClockQuality::Synced, None));
    let three_hours = Duration::from_secs(3 * 3600);
    assert_eq!(told[1], (hours(3), ClockQuality::Estimated, Some(three_hours)));
    assert_eq!(told[2], (hours(6), ClockQuality::Estimated, None));
}

#[test]
fn joins_and_waiting_downlinks_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    let dev_eui = DevEui(7);
    let key = |byte| AesKey([byte; 16]);
    let derived = Abp { dev_addr: DevAddr(u32::MAX), nwk_s_key: key(1), app_s_key: key(2) };
    let joined = Session { derived: Some(derived), counter: None, ..session(0) };
    let join = |binding, join_nonce, dev_nonce| Entry {
        changes: Changes {
            sessions: vec![(Slot::Pending, Some(joined.clone()))],
            join: Some(Join { binding: [binding; 8], join_nonce, dev_nonce }),
            ended: Vec::new(),
        },
        ..entry(7, 0, &[])
    };
    let item = Downlink {
        id: "open".into(),
        f_port: 3,
        payload: vec![0, 255],
        confirmed: true,
        expires: Timestamp::from_second(99).expect("in range"),
    };
    let queued = Entry { queued: Some(item.clone()), ..entry(7, 5, &[]) };
    store.commit(&[join(1, 4, 40), join(1, 5, 41), queued]).expect("commits");
    drop(store);

    let mut store = Store::open(&file, &Clock::system()).expect("opens again");
    let memory = store.memory().expect("reads");
    assert_eq!(memory.sessions[&(dev_eui, Slot::Pending)], joined);
    assert_eq!(memory.sessions[&(dev_eui, Slot::Active)], session(5));
    assert_eq!(memory.joins[&dev_eui].join_nonce, 5);
    assert_eq!(memory.joins[&dev_eui].dev_nonces, BTreeSet::from([40, 41]));
    assert_eq!(memory.downlinks, [(dev_eui, item)]);

    let mut another_key = join(2, 1, 40);
    another_key.changes.ended.push("open".into());
    store.commit(&[another_key]).expect("commits");
    let memory = store.memory().expect("reads");
    assert_eq!(memory.joins[&dev_eui].dev_nonces, BTreeSet::from([40]), "numbers of that key");
    assert_eq!(memory.downlinks, []);
}

#[test]
fn a_command_is_known_by_its_id_for_a_thousand_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(&dir.path().join("waste.db"), &Clock::system()).expect("opens");
    let answered = |n: usize| Entry {
        command: Some(Command { id: format!("c{n}"), reply: format!("{{\"n\":{n}}}") }),
        changes: Changes::default(),
        ..entry(1, 0, &[])
    };
    store.commit(&(0..1_001).map(answered).collect::<Vec<_>>()).expect("commits");
    assert_eq!(store.reply("c0").expect("reads"), None);
    assert_eq!(store.reply("c1").expect("reads").as_deref(), Some("{\"n\":1}"));
    assert_eq!(store.reply("c1000").expect("reads").as_deref(), Some("{\"n\":1000}"));
}

#[test]
fn what_rooms_remember_is_kept_with_what_brought_it_about() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    let told = |room, key: &str, body: &str| Entry {
        states: vec![State { room, key: key.into(), body: body.into() }],
        ..entry(1, 0, &[])
    };
    let entries = [
        told(Room::Bins, "7", "{}"),
        told(Room::Plans, "7", r#"{"a":1}"#),
        told(Room::Bins, "7", r#"{"b":2}"#),
    ];
    store.commit(&entries).expect("commits");
    drop(store);
    let store = Store::open(&file, &Clock::system()).expect("opens again");
    let one = |body: &str| vec![("7".to_owned(), body.to_owned())];
    assert_eq!(store.states(Room::Bins).expect("reads"), one(r#"{"b":2}"#));
    assert_eq!(store.states(Room::Plans).expect("reads"), one(r#"{"a":1}"#));
}

#[test]
fn a_newer_schema_and_a_broken_file_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let db = Connection::open(&file).expect("opens");
    db.pragma_update(None, "user_version", 99).expect("writes");
    drop(db);
    let error = Store::open(&file, &Clock::system()).expect_err("too new").to_string();
    assert!(error.contains("newer lykta (schema 99"), "{error}");
    assert!(file.exists(), "it is not touched");
    std::fs::write(&file, b"not a database at all, but long enough to look like one")
        .expect("writes");
    let mut store = Store::open(&file, &Clock::system()).expect("goes on");
    let rescue = store.take_rescue().expect("it was broken");
    assert!(rescue.reason.contains("waste.db: file is not a database"), "{rescue:?}");
    assert!(rescue.aside.exists() && rescue.saved == [0; 5]);
    // no second file knows the sessions either, and that is not kept quiet
    let told = rescue.to_string();
    assert!(told.contains("the sessions of 0 devices (which may not be all"), "{told}");
    assert!(told.ends_with("how many messages were in them is not known"), "{told}");
    assert!(told.contains("lykta store import"), "{told}");
    store.commit(&[entry(1, 1, &[Class::Alarm])]).expect("works");
}

#[test]
fn a_full_disk_takes_nothing_half() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    store.db.pragma_update(None, "max_page_count", 20).expect("sets");
    let mut big = entry(1, 1, &[Class::Measurement]);
    big.messages[0].body = (0..100_000).map(|_| fastrand::alphanumeric()).collect();
    store.commit(&[entry(2, 1, &[Class::Event]), big]).expect_err("full");
    assert_eq!(store.memory().expect("reads"), Memory::default());
    store.commit(&[entry(2, 1, &[Class::Event])]).expect("a small one still fits");
    let mut outbox = Outbox::open(&file).expect("opens");
    assert_eq!(
        outbox.next(Class::Diagnostic, &mut Cursor::default(), 9).expect("reads")[0].key.sequence(),
        1
    );
}

/// Of a store with 50 sessions: its file, whose first page is no page any more.
fn uncertain(dir: &Path) -> PathBuf {
    let file = dir.join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    store.commit(&(1..=50).map(|n| entry(n, 7, &[])).collect::<Vec<_>>()).expect("commits");
    drop(store);
    std::fs::remove_file(damaged::with(&file, "-wal")).expect("is copied back");
    overwrite(&file);
    file
}

fn overwrite(file: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("opens");
    file.write_all_at(&[0xff; 16], 0).expect("writes");
}

#[test]
fn a_power_cut_after_a_rescue_costs_no_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = uncertain(dir.path());
    // up to where the new file is in its place
    let copy = Copy::open(&(&Copy::beside(&file)).into(), Duration::ZERO).expect("opens");
    let known = Elsewhere {
        identity: copy.identity(),
        sessions: Some(copy.memory().expect("reads")),
        counters: Counters::new(),
        is_current: true,
    };
    drop(copy);
    rescue::rescue(&(&file).into(), "damaged", known, Timestamp::now(), false, &|| {})
        .expect("rescues");
    for _ in 0..2 {
        let store = Store::open(&file, &Clock::system()).expect("opens");
        assert_eq!(store.memory().expect("reads").sessions.len(), 50);
        let copy = store.copy.as_ref().expect("is there").memory().expect("reads");
        assert_eq!(copy.sessions.len(), 50);
    }
}

#[test]
fn a_copy_that_could_not_be_written_for_a_moment_costs_no_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    store.commit(&(1..=50).map(|n| entry(n, 7, &[])).collect::<Vec<_>>()).expect("commits");
    store.copy = None;
    store.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoints");
    overwrite(&file);
    store.condition.report("damaged".into());
    store.commit(&[]).expect("goes on");
    assert_eq!(store.memory().expect("reads").sessions.len(), 50);
    store.copy = None;
    store.copy_at = Duration::ZERO;
    store.commit(&[entry(51, 1, &[])]).expect("commits");
    let copy = store.copy.as_ref().expect("is open again").memory().expect("reads");
    assert_eq!(copy.sessions.len(), 51);
}

#[test]
fn what_stands_behind_a_damaged_page_of_the_log_is_not_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    store.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoints");
    for n in 0..100 {
        store.commit(&[entry(1, n, &[Class::Alarm])]).expect("commits");
    }
    let other = tempfile::tempdir().expect("a directory");
    let cut = other.path().join("t.db");
    for file in [&file, &Copy::beside(&file)] {
        for suffix in ["", "-wal"] {
            let from = damaged::with(file, suffix);
            let to = other.path().join(from.file_name().expect("a name"));
            std::fs::copy(from, to).expect("copies");
        }
    }
    let log = damaged::with(&cut, "-wal");
    let mut bytes = std::fs::read(&log).expect("reads");
    bytes[32 + 536 * 10 + 100] ^= 1;
    std::fs::write(&log, bytes).expect("writes");
    let mut store = Store::open(&cut, &Clock::system()).expect("opens");
    assert!(store.take_rescue().is_some());
    let mut outbox = Outbox::open(&cut).expect("opens");
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 1000).expect("reads");
    assert_eq!(rows.len(), 100);
}

#[test]
fn an_alarm_in_memory_may_be_in_the_file_already() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    // as a write that seemed to fail, and did not
    let first = store.next_sequence;
    let alarm = entry(1, 1, &[Class::Alarm]);
    store.commit(std::slice::from_ref(&alarm)).expect("commits");
    store.next_sequence = first;
    store.keep(alarm.messages[0].clone()).expect("there is room");
    store.condition.report("damaged".into());
    store.commit(&[entry(2, 2, &[Class::Alarm])]).expect("goes on");
    let mut outbox = Outbox::open(&file).expect("opens");
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 9).expect("reads");
    let bodies: Vec<_> = rows.iter().map(|row| row.body.as_str()).collect();
    assert_eq!((bodies, store.kept()), (vec![r#"{"n":1}"#, r#"{"n":2}"#], 0));
}

#[test]
fn an_alarm_in_memory_is_forgotten_once_delivered_whatever_the_disk_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let (mut store, mut outbox) = Store::open_both(&file, &Clock::system()).expect("opens");
    store.commit(&[entry(1, 1, &[Class::Measurement])]).expect("commits");
    store.keep(entry(1, 2, &[Class::Alarm]).messages.remove(0)).expect("there is room");
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 9).expect("reads");
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    outbox.db.pragma_update(None, "query_only", true).expect("sets");
    outbox.remove(&keys).expect_err("the disk takes nothing");
    assert_eq!((keys.len(), store.kept()), (2, 0));
    store.keep(entry(1, 3, &[Class::Alarm]).messages.remove(0)).expect("there is room");
    let rows = outbox.next(Class::Alarm, &mut Cursor::default(), 9).expect("reads");
    assert_eq!((outbox.forget(&[rows[0].key]), store.kept()), (1, 0));
}

#[test]
fn a_wrong_first_word_about_the_time_does_not_stay_for_the_boot() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("waste.db");
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
    let years = jiff::SignedDuration::from_hours(20 * 365 * 24);
    let clock = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
    let mut store = Store::open(&file, &clock).expect("opens");
    let commit = |store: &mut Store| {
        let mut entry = entry(1, 1, &[Class::Measurement]);
        entry.messages[0].at = clock.now();
        store.commit(&[entry]).expect("commits");
    };
    // a time source that is wrong for a minute, and right for months
    clock.set(noon + years, ClockQuality::Synced);
    store.note_clock().expect("notes");
    clock.set(noon, ClockQuality::Synced);
    store.note_clock().expect("notes");
    // an outage of many hours
    clock.set(noon, ClockQuality::Unsynced);
    commit(&mut store);
    assert_eq!(told(&file, 9), [(noon, ClockQuality::Estimated, None)]);
    drop(store);
    // the next boot begins after this one, and nobody sets its clock
    let next = Clock::simulated_as(ClockQuality::Unsynced, Timestamp::UNIX_EPOCH, 0);
    drop(Store::open(&file, &next).expect("opens"));
    let last = Clock::simulated(noon, 0);
    let mut store = Store::open(&file, &last).expect("opens");
    store.note_clock().expect("notes");
    assert_eq!(told(&file, 9), [(noon, ClockQuality::Estimated, None)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_told_also_when_the_disk_then_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let day = Duration::from_secs(24 * 3600);
    let clock = Clock::simulated(Timestamp::UNIX_EPOCH + 200 * day, 1);
    let mut store = Store::open(&dir.path().join("t.db"), &clock).expect("opens");
    let mut young = entry(1, 1, &[Class::Diagnostic]);
    young.messages[0].at = clock.now();
    young.messages[0].topic = "young".into();
    store.commit(&[entry(1, 1, &[Class::Event; 3]), young]).expect("commits");
    let fails = "CREATE TEMP TRIGGER fails BEFORE DELETE ON main.outbox WHEN old.topic = 'young'
        BEGIN SELECT RAISE(ABORT, 'the disk'); END";
    store.db.execute_batch(fails).expect("makes a trigger");
    tokio::time::advance(day).await;
    let bounds = Bounds { bytes: 0, ..Bounds::default() };
    let told = store.shed(bounds, false).expect("gives up what is old");
    store.shed(bounds, false).expect_err("and what there is no room for stays");
    assert_eq!(told.rows, [0, 3, 0, 0, 0]);
    assert_eq!(store.shed_so_far().expect("reads"), told.rows);
}

#[test]
fn an_alarm_is_kept_in_memory_also_right_after_a_start_on_a_full_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    drop(Store::open(&file, &Clock::system()).expect("opens"));
    let mut ids = BTreeSet::new();
    for start in 0..3 {
        let (mut store, mut outbox) = Store::open_both(&file, &Clock::system()).expect("opens");
        // as if the first write had failed already
        store.next_sequence = store.reserved;
        for n in 0..3 {
            store.keep(entry(1, n, &[Class::Alarm]).messages.remove(0)).expect("is kept");
        }
        let rows = outbox.next(Class::Alarm, &mut Cursor::default(), 99).expect("reads");
        let new = rows.iter().map(|row| format!("{}-{}", row.epoch, row.key.sequence()));
        let new: Vec<_> = new.filter(|id| !ids.contains(id)).collect();
        assert_eq!(new.len(), 3, "no id is given twice");
        if start < 2 {
            // the power goes: what is in memory was sent, and is forgotten
            ids.extend(new);
            continue;
        }
        store.commit(&[entry(1, 9, &[Class::Alarm])]).expect("there is room again");
        let stored = outbox.next(Class::Alarm, &mut Cursor::default(), 99).expect("reads");
        let stored: Vec<_> = stored.iter().map(|row| (row.epoch.clone(), row.key)).collect();
        assert!(rows.iter().all(|row| stored.contains(&(row.epoch.clone(), row.key))));
        assert_eq!((stored.len(), store.kept()), (4, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However the clock jumps, by hours and years, back and forth, and whoever sets it when:
    /// what was written while nobody had set it is told by the last time that it was set to
    /// before that, or else by the first one afterwards; and what was written while it was set, by
    /// its own time.
    #[test]
    fn no_jump_of_the_clock_makes_a_time_wrong(
        jumps in prop::collection::vec(
            (prop_oneof![-200_000i64..200_000, -1i64..2, -300_000_000i64..300_000_000],
             any::<bool>(), 0usize..3), 1..12),
        began in 1_500_000_000i64..2_000_000_000,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let second = |s| Timestamp::from_second(s).expect("in range");
        let clock = Clock::simulated_as(ClockQuality::Unsynced, second(began), 1);
        let mut store = Store::open(&file, &clock).expect("opens");
        let (mut wanted, mut first, mut last) = (Vec::new(), None, None);
        for (jump, is_set, messages) in jumps {
            let quality = if is_set { ClockQuality::Synced } else { ClockQuality::Unsynced };
            let now = clock.now().wall;
            clock.set(second(now.as_second() + jump), quality);
            store.note_clock().expect("notes");
            if is_set {
                last = Some(clock.now().wall);
                first = first.or(last);
            }
            for _ in 0..messages {
                let at = clock.now();
                let mut entry = entry(1, 1, &[Class::Measurement]);
                entry.messages[0].at = at;
                store.commit(&[entry]).expect("commits");
                wanted.push(((at.quality == ClockQuality::Synced).then_some(at.wall), last));
            }
        }
        let told = told(&file, 1000);
        prop_assert_eq!(told.len(), wanted.len());
        for ((time, quality, error), (own, last)) in told.into_iter().zip(wanted) {
            prop_assert_eq!(error, None, "it is the present boot");
            match (own, last.or(first)) {
                (Some(own), _) => {
                    prop_assert_eq!(time.as_microsecond(), own.as_microsecond());
                    prop_assert_eq!(quality, ClockQuality::Synced);
                }
                (None, Some(word)) => {
                    prop_assert_eq!(quality, ClockQuality::Estimated);
                    let off = time.duration_since(word).abs();
                    prop_assert!(off < jiff::SignedDuration::from_secs(10), "{off}");
                }
                (None, None) => prop_assert_eq!(quality, ClockQuality::Unsynced),
            }
        }
    }
}

#[test]
fn only_what_a_sensor_says_every_day_waits_for_others() {
    for class in Class::ALL {
        let urgent = entry(1, 1, &[Class::Measurement, class]).is_urgent();
        assert_eq!(urgent, class < Class::Measurement, "{}", class.as_str());
    }
    assert!(!entry(1, 1, &[]).is_urgent());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// However it is read and acknowledged, every message is seen, most important first.
    #[test]
    fn nothing_is_skipped(
        classes in prop::collection::vec(prop::sample::select(&Class::ALL), 1..40),
        limit in 1usize..8,
        removed in prop::collection::vec(any::<bool>(), 40),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        let mut outbox = Outbox::open(&file).expect("opens");
        store.commit(&[entry(1, 1, &classes)]).expect("commits");
        let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
        loop {
            let rows = outbox.next(Class::Diagnostic, &mut cursor, limit).expect("reads");
            if rows.is_empty() { break }
            let gone: Vec<_> = rows.iter().map(|r| r.key)
                .filter(|k| removed[k.sequence() as usize % removed.len()]).collect();
            outbox.remove(&gone).expect("removes");
            seen.extend(rows.into_iter().map(|r| r.key));
        }
        prop_assert!(seen.is_sorted());
        let sequences: BTreeSet<_> = seen.iter().map(|k| k.sequence()).collect();
        prop_assert_eq!(sequences.len(), classes.len());
        let again = outbox.next(Class::Diagnostic, &mut Cursor::default(), 100).expect("reads");
        let kept: Vec<_> = seen.into_iter()
            .filter(|k| !removed[k.sequence() as usize % removed.len()]).collect();
        prop_assert_eq!(again.iter().map(|r| r.key).collect::<Vec<_>>(), kept.clone());
        let last = kept.iter().map(|key| key.sequence()).max().unwrap_or(0);
        prop_assert_eq!(outbox.last_sequence().expect("reads"), last);
    }
}
