//! A database that comes under a key, or under another one, and the power fails meanwhile.

use crate::calls;
use crate::platter::Platter;
use crate::promise::FILE;
use crate::support::{Fate, entry, message, store_key};
use lykta::clock::Clock;
use lykta::lorawan::{Changes, Link, Session, Slot};
use lykta::store::{Class, Cursor, Database, Entry, Outbox, Store};
use lykta::units::StoreKey;
use std::path::Path;

const MESSAGES: u64 = 300;

/// How many cuts there are of each kind of change.
const CUTS: usize = 300;

fn fill(directory: &Path, key: Option<StoreKey>) {
    let database = Database::new(&directory.join(FILE), key, None);
    let mut store = Store::open(database, &Clock::system()).unwrap();
    for n in 0..MESSAGES {
        let session = Session {
            derived: None,
            counter: None,
            f_cnt_down: n as u32,
            link: Link::default(),
            binding: [8; 8],
        };
        let changes =
            Changes { sessions: vec![(Slot::Active, Some(session))], ..Changes::default() };
        let message = message(Class::Event, "t".into(), format!(r#"{{"n":{n}}}"#));
        store.commit(&[Entry { changes, ..entry(n % 7, vec![message]) }]).unwrap();
    }
}

#[test]
fn whichever_key_it_is_under_all_of_it_is_there() {
    for before in [None, Some(store_key(1))] {
        let directory = tempfile::tempdir().unwrap();
        fill(directory.path(), before.clone());
        let tape = calls::record(directory.path());
        let changing = |directory: &Path| {
            Database::new(&directory.join(FILE), Some(store_key(2)), before.clone())
        };
        let store = Store::open(changing(directory.path()), &Clock::system()).unwrap();
        assert!(store.is_renewed());
        drop(store);
        let tape = tape.lock().unwrap();
        let events = &tape.events[tape.begin..];
        let mut random = fastrand::Rng::with_seed(1);
        let mut instants: Vec<_> =
            std::iter::repeat_with(|| random.usize(..=events.len())).take(CUTS).collect();
        instants.sort_unstable();
        let mut platter = Platter::default();
        tape.events[..tape.begin].iter().for_each(|event| platter.apply(event));
        let (mut at, mut again) = (0, 0);
        for instant in instants {
            events[at..instant].iter().for_each(|event| platter.apply(event));
            at = instant;
            let left = tempfile::tempdir().unwrap();
            let fate = Fate::ALL[random.usize(..Fate::ALL.len())];
            platter.cut(fate, &mut random, left.path());
            let database = changing(left.path());
            let what = format!("event {instant} of {}, {fate:?}, {before:?}", events.len());
            let mut store = Store::open(&database, &Clock::system()).expect(&what);
            assert_eq!(store.take_rescue(), None, "{what}");
            again += usize::from(store.is_renewed());
            let mut outbox = Outbox::open(&database).unwrap();
            let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 10_000).unwrap();
            assert_eq!(rows.len() as u64, MESSAGES, "{what}");
            for ((device, _), session) in store.memory().unwrap().sessions {
                let last = (0..MESSAGES).filter(|n| n % 7 == device.0).max().unwrap();
                assert_eq!(u64::from(session.f_cnt_down), last, "{what}");
            }
            drop((store, outbox));
            // the key of before is of no use any more
            let names = std::fs::read_dir(left.path()).unwrap().flatten().map(|f| f.file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
            names.sort();
            assert_eq!(names, ["waste.db", "waste.sessions.db"], "{what}");
            assert!(
                Store::open(
                    Database::new(&left.path().join(FILE), before.clone(), None),
                    &Clock::system()
                )
                .is_err()
            );
        }
        println!("{again} of {CUTS} cuts came before the new one was in its place");
        assert!((1..CUTS).contains(&again));
    }
}
