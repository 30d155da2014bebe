//! Databases with bytes flipped, cut off or gone, as a card that wears out leaves them.

use crate::shelf::{DEVICES, Shelf, class, companion, session, uplink, waiting};
use crate::support::{entry, message, store_key};
use lykta::lorawan::Slot;
use lykta::store::Class;
use lykta::units::DevEui;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// The length of a page; of one under a key a half.
const PAGE: usize = 512;

/// No page has more rows of any kind than this: the shortest has some 40 bytes.
const MOST_ROWS: usize = 16;

const UPLINKS: u64 = 400;

#[derive(Debug, Clone)]
enum Damage {
    /// Bytes of so many pages.
    Flips(Vec<(prop::sample::Index, Vec<(usize, u8)>)>),
    /// Whole pages of zeros, as a sector that was never written.
    Zeros(Vec<prop::sample::Index>),
    /// The end is missing from here on.
    Cut(prop::sample::Index),
    /// What SQLite looks at first.
    Header(Vec<(usize, u8)>),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let flips = prop::collection::vec((0..PAGE, 1u8..), 1..20);
        prop_oneof![
            4 => prop::collection::vec((any::<prop::sample::Index>(), flips), 1..4)
                .prop_map(Self::Flips),
            2 => prop::collection::vec(any::<prop::sample::Index>(), 1..4).prop_map(Self::Zeros),
            1 => any::<prop::sample::Index>().prop_map(Self::Cut),
            2 => prop::collection::vec((0usize..100, 1u8..), 1..4).prop_map(Self::Header),
        ]
    }

    /// Does it; how many pages are touched.
    fn inflict(&self, file: &Path) -> usize {
        let mut bytes = std::fs::read(file).unwrap();
        let pages = bytes.len() / PAGE;
        let mut touched = BTreeSet::new();
        match self {
            Self::Flips(flips) => {
                for (page, flips) in flips {
                    let page = page.index(pages);
                    touched.insert(page);
                    for (at, flip) in flips {
                        bytes[page * PAGE + at] ^= flip;
                    }
                }
            }
            Self::Zeros(zeros) => {
                for page in zeros {
                    let page = page.index(pages);
                    touched.insert(page);
                    bytes[page * PAGE..][..PAGE].fill(0);
                }
            }
            Self::Cut(at) => {
                let at = at.index(bytes.len());
                touched.extend(at / PAGE..pages);
                bytes.truncate(at);
            }
            Self::Header(flips) => {
                touched.insert(0);
                flips.iter().for_each(|(at, flip)| bytes[*at] ^= flip);
            }
        }
        std::fs::write(file, bytes).unwrap();
        touched.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Whatever bytes of the file are flipped or cut off: it opens, in time, all that was not
    /// touched is there under the id that it had, and every device can be heard and answered.
    #[test]
    fn what_is_not_touched_is_kept(
        damage in Damage::any(),
        removed in 0u64..300,
        is_sealed in any::<bool>(),
    ) {
        let shelf = Shelf::under(is_sealed.then(|| store_key(1)), UPLINKS);
        let (store, mut outbox) = shelf.open();
        let before = waiting(&mut outbox);
        let keys: Vec<_> = {
            let mut cursor = lykta::store::Cursor::default();
            let rows = outbox.next(Class::Diagnostic, &mut cursor, removed as usize).unwrap();
            rows.into_iter().map(|row| row.key).collect()
        };
        outbox.remove(&keys).unwrap();
        let expected = waiting(&mut outbox);
        drop((store, outbox));
        let shelf = shelf.checkpointed();
        let touched = damage.inflict(&shelf.file);

        let begin = Instant::now();
        let (mut store, mut outbox) = shelf.open();
        // damage that is found only now
        let after = loop {
            let mut cursor = lykta::store::Cursor::default();
            match outbox.next(Class::Diagnostic, &mut cursor, 100_000) {
                Ok(_) => break waiting(&mut outbox),
                Err(_) => store.commit(&[]).unwrap(),
            }
        };
        prop_assert!(begin.elapsed() < Duration::from_secs(10));
        let lost = expected.keys().filter(|id| !after.contains_key(*id)).count();
        prop_assert!(lost <= touched * MOST_ROWS, "{lost} lost by {touched} pages");
        let changed = expected.iter().filter(|(id, was)| after.get(*id).is_some_and(|is| is != *was));
        let changed = changed.count();
        prop_assert!(changed <= touched * MOST_ROWS, "{changed} changed by {touched} pages");
        let made_up = after.keys().filter(|id| !before.contains_key(*id)).count();
        prop_assert!(made_up <= touched * MOST_ROWS, "{made_up} made up");

        let memory = store.memory().unwrap();
        let mut wrong = 0;
        for device in 0..DEVICES {
            let was = session(UPLINKS - DEVICES + device);
            let is = memory.sessions.get(&(DevEui(device), Slot::Active));
            let jumped = |by: u32| is.is_some_and(|is| is.f_cnt_down == was.f_cnt_down + by);
            let same = is.is_some_and(|is| is.derived == was.derived && is.counter == was.counter);
            wrong += usize::from(!(same && (jumped(0) || jumped(4096))));
        }
        prop_assert!(wrong <= touched * MOST_ROWS, "{wrong} devices are not known");

        // and no number is given twice
        store.commit(&[uplink(UPLINKS)]).unwrap();
        let new = waiting(&mut outbox);
        let new: Vec<_> = new.keys().filter(|id| !after.contains_key(*id)).collect();
        prop_assert_eq!(new.len(), 1);
        prop_assert!(!before.contains_key(new[0]), "{:?} twice", new);
    }

    /// What happens to the write-ahead log: the database is as it was at some time before, or with
    /// more, and no number is given twice.
    #[test]
    fn a_damaged_log_costs_no_number_and_no_device(
        damage in Damage::any(),
        more in 1u64..60,
        is_sealed in any::<bool>(),
    ) {
        let shelf = Shelf::under(is_sealed.then(|| store_key(1)), UPLINKS);
        let mut store = shelf.open().0;
        for n in UPLINKS..UPLINKS + more {
            store.commit(&[uplink(n)]).unwrap();
        }
        let before = waiting(&mut lykta::store::Outbox::open(shelf.database()).unwrap());
        // as a power cut leaves them
        let files: Vec<_> = std::fs::read_dir(shelf.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        drop(store);
        let cut = tempfile::tempdir().unwrap();
        for (bytes, path) in files {
            std::fs::write(cut.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let (file, key) = (cut.path().join("waste.db"), shelf.key);
        let shelf = Shelf { file, directory: cut, key };
        damage.inflict(&shelf.log());
        let (mut store, mut outbox) = shelf.open();
        let after = waiting(&mut outbox);
        let made_up = after.keys().filter(|id| !before.contains_key(*id)).count();
        prop_assert!(made_up <= MOST_ROWS, "{made_up} made up");
        let memory = store.memory().unwrap();
        for device in 0..DEVICES {
            prop_assert!(memory.sessions.contains_key(&(DevEui(device), Slot::Active)));
        }
        store.commit(&[uplink(0)]).unwrap();
        let new = waiting(&mut outbox);
        let new: Vec<_> = new.keys().filter(|id| !after.contains_key(*id)).collect();
        prop_assert_eq!(new.len(), 1);
        prop_assert!(!before.contains_key(new[0]), "{:?} twice", new);
    }
}

#[test]
fn without_its_file_a_tenant_still_knows_its_devices() {
    for gone in [true, false] {
        let shelf = Shelf::with(UPLINKS);
        if gone {
            std::fs::remove_file(&shelf.file).unwrap();
            std::fs::remove_file(shelf.log()).unwrap();
        } else {
            // SQLite takes it for a new one, and would throw away its log
            std::fs::write(&shelf.file, "").unwrap();
        }
        let (mut store, _) = shelf.open();
        let rescue = store.take_rescue().expect("told");
        assert!(rescue.reason.contains(if gone { "is gone" } else { "is empty" }), "{rescue:?}");
        assert!(rescue.all_sessions && rescue.sessions == DEVICES, "{rescue:?}");
        let memory = store.memory().unwrap();
        assert_eq!(memory.joins.len() as u64, DEVICES);
        for device in 0..DEVICES {
            let was = session(UPLINKS - DEVICES + device);
            let is = &memory.sessions[&(DevEui(device), Slot::Active)];
            assert_eq!((&is.derived, is.counter), (&was.derived, was.counter));
            assert_eq!(is.f_cnt_down, was.f_cnt_down + 4096, "ahead of what may have been sent");
        }
    }
}

#[test]
fn a_second_file_that_is_damaged_is_made_anew_and_told() {
    let shelf = Shelf::with(UPLINKS);
    let copy = shelf.file.with_extension("sessions.db");
    let _ = std::fs::remove_file(companion(&copy, "-wal"));
    std::fs::write(&copy, [0xa5; 4096]).unwrap();
    let (store, _) = shelf.open();
    assert!(store.is_copy_renewed());
    assert_eq!(store.memory().unwrap().joins.len() as u64, DEVICES);
    drop(store);
    assert!(!shelf.open().0.is_copy_renewed());
}

#[test]
fn what_is_rescued_keeps_its_order_and_its_ids() {
    let shelf = Shelf::with(UPLINKS);
    let before = waiting(&mut shelf.open().1);
    let shelf = shelf.checkpointed();
    let mut bytes = std::fs::read(&shelf.file).unwrap();
    bytes[..PAGE].fill(0xa5);
    std::fs::write(&shelf.file, bytes).unwrap();

    let (mut store, mut outbox) = shelf.open();
    let rescue = store.take_rescue().expect("the first page is damaged");
    assert!(rescue.aside.exists());
    let saved = Class::ALL.map(|c| (0..UPLINKS).filter(|n| class(*n) == c).count() as u64);
    assert_eq!(rescue.saved, saved);
    assert_eq!(waiting(&mut outbox), before, "nothing is lost, and every id is as it was");
    store.commit(&[uplink(20)]).unwrap();
    let rows = outbox.next(Class::Alarm, &mut lykta::store::Cursor::default(), 1000).unwrap();
    let own = outbox.epoch();
    assert_eq!(&*rows.last().unwrap().epoch, own, "what is new comes after what was rescued");
    assert_eq!(rows.iter().filter(|row| &*row.epoch == own).count(), 1);
}

#[test]
fn a_rescue_goes_on_after_a_power_cut() {
    let damaged = || {
        let shelf = Shelf::with(UPLINKS);
        let before = waiting(&mut shelf.open().1);
        (shelf.checkpointed(), before)
    };
    // half a new file: the damaged one is still in its place
    let (shelf, before) = damaged();
    let mut bytes = std::fs::read(&shelf.file).unwrap();
    bytes[..PAGE].fill(0);
    std::fs::write(&shelf.file, &bytes).unwrap();
    std::fs::write(companion(&shelf.file, ".new"), &bytes[..4 * PAGE]).unwrap();
    let (mut store, mut outbox) = shelf.open();
    assert!(store.take_rescue().is_some());
    assert_eq!(waiting(&mut outbox), before);
    assert!(!companion(&shelf.file, ".new").exists());

    // a whole new one, and the damaged one is set aside, but for its log
    let (shelf, before) = damaged();
    std::fs::rename(&shelf.file, companion(&shelf.file, ".new")).unwrap();
    std::fs::write(shelf.log(), "of the damaged one").unwrap();
    let (mut store, mut outbox) = shelf.open();
    assert!(store.take_rescue().is_none());
    assert_eq!(waiting(&mut outbox), before);
}

#[test]
fn damage_that_is_met_while_running_costs_nothing_of_what_is_whole() {
    let shelf = Shelf::with(UPLINKS);
    // more than SQLite keeps in memory
    let noise = || (0..300).map(|_| fastrand::alphanumeric()).collect::<String>();
    let body = |n| format!(r#"{{"n":{n},"noise":"{}"}}"#, noise());
    let more = (0..12_000).map(|n| message(Class::Measurement, "t".into(), body(n))).collect();
    shelf.open().0.commit(&[entry(1, more)]).unwrap();
    let before = waiting(&mut shelf.open().1);
    let shelf = shelf.checkpointed();
    let (mut store, mut outbox) = shelf.open();
    let woken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let wake = std::sync::Arc::clone(&woken);
    store.wake_by(move || {
        wake.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    // behind the back of both: every tree has lost its root
    let bytes = std::fs::read(&shelf.file).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&shelf.file).unwrap();
    for page in 0..bytes.len() / PAGE {
        if bytes[page * PAGE] == 5 {
            std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 16], (page * PAGE) as u64)
                .unwrap();
        }
    }
    let mut cursor = lykta::store::Cursor::default();
    let found = outbox.next(Class::Diagnostic, &mut cursor, 100_000);
    assert!(found.is_err(), "it is damaged");
    assert!(woken.load(std::sync::atomic::Ordering::SeqCst) > 0);
    assert!(store.is_damaged());
    store.commit(&[uplink(UPLINKS)]).unwrap();
    assert!(store.take_rescue().is_some() && !store.is_damaged());
    let after = waiting(&mut outbox);
    assert!(before.iter().all(|(id, row)| after.get(id) == Some(row)), "{}", after.len());
    assert_eq!(after.len(), before.len() + 1);
}
