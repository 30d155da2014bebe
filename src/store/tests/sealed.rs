//! Under a key: what SQLCipher writes is what is read here, and what is removed is gone.

use super::*;
use crate::store::pages::Pages;
use crate::units::StoreKey;

fn sealed(file: &Path) -> Database {
    Database::new(file, Some(StoreKey([0x5e; 32])), None)
}

/// All pages of the file and of its log as they are, but for the key.
fn opened(database: &Database) -> Vec<u8> {
    let size = database.page_size().expect("it is sealed");
    let file = std::fs::read(database.file()).expect("reads");
    let log = std::fs::read(damaged::with(database.file(), "-wal")).unwrap_or_default();
    let pages = file.chunks_exact(size).zip(1..);
    let frames = log.get(32..).unwrap_or_default().chunks_exact(24 + size);
    let frames = frames.map(|frame| {
        let page = u32::from_be_bytes(frame[..4].try_into().expect("four"));
        (&frame[24..], page)
    });
    pages.chain(frames).flat_map(|(page, n)| database.opened(page.to_vec(), n)).collect()
}

fn count(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).filter(|window| *window == pattern).count()
}

#[test]
fn what_is_removed_is_gone_for_whoever_has_the_key() {
    const PLANTED: &[u8] = b"resident-r7";
    let dir = tempfile::tempdir().expect("a directory");
    let database = sealed(&dir.path().join("t.db"));
    let (mut store, mut outbox) = Store::open_both(&database, &Clock::system()).expect("opens");
    for n in 0..200 {
        let mut entry = entry(1, n, &[Class::Event; 2]);
        for message in &mut entry.messages {
            message.topic = String::from_utf8_lossy(PLANTED).into();
            message.body = format!(r#"{{"n":"{}"}}"#, "x".repeat(n as usize * 7));
        }
        let name = String::from_utf8_lossy(PLANTED).into_owned();
        entry.states = vec![State { room: Room::Bins, key: name, body: "{}".into() }];
        store.commit(&[entry]).expect("commits");
    }
    assert!(
        count(&opened(&database), PLANTED) > 400,
        "it is there, and what is read here is right"
    );
    let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 1000).expect("reads");
    outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).expect("removes");
    store.db.execute_batch("DELETE FROM recent; DELETE FROM remembered").expect("removes");
    assert!(store.wipe().expect("writes"), "nobody reads just now");
    for database in [database.copy(), database] {
        assert_eq!(count(&opened(&database), PLANTED), 0, "{database:?}");
    }
    store.commit(&[entry(1, 999, &[Class::Event])]).expect("goes on");
}

#[test]
fn much_that_was_set_aside_is_erased_piece_by_piece() {
    const PIECE: u64 = 4 << 20;
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = Store::open(sealed(&dir.path().join("t.db")), &Clock::system()).expect("opens");
    let aside = dir.path().join("t.db.damaged-20260101T000001Z");
    std::fs::write(&aside, vec![7; 2 * PIECE as usize + 1]).expect("writes");
    let log = dir.path().join("t.db.damaged-20260101T000001Z-wal");
    std::fs::write(&log, "x").expect("writes");
    let left = || [&log, &aside].map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    let mut pieces = Vec::new();
    while !store.wipe().expect("writes") {
        pieces.push(left());
    }
    assert_eq!(pieces, [[0, 2 * PIECE + 1], [0, PIECE + 1], [0, 1], [0, 0]]);
    assert!(!aside.exists() && !log.exists());
}

#[test]
fn all_rows_are_found_without_sqlcipher() {
    let dir = tempfile::tempdir().expect("a directory");
    let database = sealed(&dir.path().join("t.db"));
    let mut store = Store::open(&database, &Clock::system()).expect("opens");
    for n in 0..300 {
        let mut entry = entry(u64::from(n % 9), n, &[Class::Event]);
        // some are longer than a page
        entry.messages[0].topic = "t".repeat(1 + n as usize % 7 * 500);
        store.commit(&[entry]).expect("commits");
    }
    // and with the first page gone, of the file and of the log
    for is_damaged in [false, true] {
        if is_damaged {
            store.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("copies");
            let file = std::fs::OpenOptions::new().write(true).open(database.file());
            file.expect("opens").write_all_at(&[0; 1024], 0).expect("writes");
        }
        let pages = Pages::open(&database).expect("opens");
        assert_eq!(pages.is_certain(), !is_damaged);
        let mut found = 0;
        let lost = pages.visit(|(row, values)| {
            found += usize::from(salvage::Message::of(row, &values).is_some());
            true
        });
        assert_eq!((found, lost.rows), (300, 0));
    }
}

/// SQLCipher writes no more through a connection that has met a page which it cannot open.
#[test]
fn a_damaged_page_that_somebody_only_read_stops_no_alarm() {
    let dir = tempfile::tempdir().expect("a directory");
    let database = sealed(&dir.path().join("t.db"));
    let mut store = Store::open(&database, &Clock::system()).expect("opens");
    for n in 0..400 {
        let state = State { room: Room::Bins, key: n.to_string(), body: "b".repeat(3000) };
        store.commit(&[Entry { states: vec![state], ..entry(1, n, &[]) }]).expect("commits");
    }
    store.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("copies");
    store.db.execute_batch("PRAGMA shrink_memory").expect("forgets what it has read");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(database.file());
    let file = file.expect("opens");
    let pages = file.metadata().expect("is there").len() / 1024;
    // what is long is in the middle
    file.write_all_at(&[0x5a; 1024], pages / 2 * 1024).expect("writes");
    assert!(store.states(Room::Bins).is_err(), "it is met");
    store.commit(&[entry(1, 400, &[Class::Alarm])]).expect("goes on");
    let mut outbox = Outbox::open(&database).expect("opens");
    let rows = outbox.next(Class::Alarm, &mut Cursor::default(), 10).expect("reads");
    assert_eq!(rows.len(), 1);
}
