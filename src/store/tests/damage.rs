//! Damaged files: what is made of them, whenever that is interrupted and however often it happens.

use super::*;

/// All alarms that wait, by their number.
fn alarms(file: &Path) -> Vec<u64> {
    let mut outbox = Outbox::open(file).expect("opens");
    let rows = outbox.next(Class::Alarm, &mut Cursor::default(), 1000).expect("reads");
    rows.iter().map(|row| row.key.sequence()).collect()
}

#[test]
fn half_of_a_new_file_is_not_taken_for_the_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    store.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoints");
    for n in 0..9 {
        store.commit(&[entry(1, n, &[Class::Alarm])]).expect("commits");
    }
    let log = std::fs::read(damaged::with(&file, "-wal")).expect("reads");
    drop(store);
    // the file is gone, only its log is there, and the power has failed while all of that was read
    std::fs::remove_file(&file).expect("removes");
    std::fs::write(damaged::with(&file, "-wal"), log).expect("writes");
    drop(schema::open(&(&damaged::with(&file, ".new.part")).into()).expect("opens"));
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    let rescue = store.take_rescue().expect("told");
    assert_eq!((rescue.saved[0], alarms(&file).len()), (9, 9));
    let left = std::fs::read_dir(dir.path()).expect("reads").flatten();
    let part = left.map(|file| file.file_name()).find(|n| n.to_string_lossy().contains("new"));
    assert_eq!(part, None);
}

#[test]
fn a_card_that_fails_again_and_again_takes_no_device_beyond_its_gap() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    let mut store = Store::open(&file, &Clock::system()).expect("opens");
    let down = |store: &Store, dev_eui| {
        let memory = store.memory().expect("reads");
        memory.sessions[&(DevEui(dev_eui), Slot::Active)].f_cnt_down
    };
    store.commit(&[entry(1, 1, &[]), entry(2, 1, &[])]).expect("commits");
    for n in 0..5 {
        // one of the two is heard in between
        store.commit(&[entry(1, 2 + n, &[])]).expect("commits");
        store.condition.report("damaged".into());
        store.commit(&[]).expect("goes on");
        assert!(store.take_rescue().is_some());
        assert_eq!((down(&store, 1), down(&store, 2)), (3, 3), "nobody has jumped while it runs");
    }
    drop(store);
    let store = Store::open(&file, &Clock::system()).expect("opens");
    assert_eq!((down(&store, 1), down(&store, 2)), (3, 3));
}

#[test]
fn an_order_beside_its_answer_spoils_no_write() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(&dir.path().join("t.db"), &Clock::system()).expect("opens");
    let order = State { room: Room::Orders, key: "c".into(), body: "{}".into() };
    let ordered = Entry { states: vec![order], ..entry(1, 1, &[]) };
    let answered = |reply: &str| Entry {
        command: Some(Command { id: "c".into(), reply: reply.into() }),
        ..entry(2, 2, &[Class::Alarm])
    };
    // as a rescue brings it back
    store.commit(&[answered("first")]).expect("commits");
    store.commit(&[ordered]).expect("commits");
    store.commit(&[answered("second")]).expect("commits");
    assert_eq!(store.states(Room::Orders).expect("reads"), [], "it is no order any more");
    assert_eq!(store.reply("c").expect("reads").as_deref(), Some("first"));
}

#[test]
fn a_header_that_forbids_writing_is_damage_and_no_full_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.db");
    for at in [18, 19] {
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        store.commit(&[entry(1, 7, &[Class::Alarm])]).expect("commits");
        drop(store);
        let db = std::fs::OpenOptions::new().read(true).write(true).open(&file).expect("opens");
        let mut version = [0];
        db.read_exact_at(&mut version, at).expect("reads");
        db.write_all_at(&[version[0] ^ 4], at).expect("writes");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        assert!(store.take_rescue().is_some(), "byte {at}");
        store.commit(&[entry(1, 8, &[Class::Alarm])]).expect("commits");
    }
    assert_eq!(alarms(&file).len(), 4, "what was there before and after");
}
