//! The write-ahead log as it is on the disk, and whether SQLite sees all of it.
//!
//! SQLite believes nothing behind the first frame whose checksum does not hold. After a power cut
//! that is right: of what was not flushed any part may be missing. But a card also damages what was
//! flushed, and then messages that were accepted stand behind the damage. What stands there tells
//! the two apart: each transaction of [`super::Store`] is flushed before anybody begins another,
//! those of [`super::Outbox`], which may be lost, are not. So
//!
//! - when one of the store is followed by another of anybody, all before it was flushed, and is
//!   damaged;
//! - when one of the store is there as a whole and is the last, the power may have failed while
//!   it was flushed, or after it was accepted something before it was damaged: nothing tells which;
//! - anything else costs no more than repetitions, or what was under way; but for damage to the very
//!   last transaction of the store, or where it begins, which nothing tells from one that was under
//!   way.

use super::Database;
use super::damaged::with;
use super::record::{is_of_store, u32_at};
use super::schema::{OLD_PAGE_SIZE, PAGE_SIZE};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

/// The headers of the log, and of each page in it.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What is to be thought of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// SQLite sees all that was accepted.
    Sound,
    /// Something is missing before what may have been accepted: by a power cut, or by damage.
    Gap,
    /// What was accepted is damaged, or stands behind what is.
    Damaged,
}

/// A running checksum of the log.
type Sum = (u32, u32);

fn add(mut sum: Sum, bytes: &[u8], big_endian: bool) -> Sum {
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().expect("chunks of four");
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        sum.0 = sum.0.wrapping_add(word(&pair[..4])).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(&pair[4..])).wrapping_add(sum.0);
    }
    sum
}

fn sum_at(bytes: &[u8], at: usize) -> Option<Sum> {
    Some((u32_at(bytes, at)?, u32_at(bytes, at + 4)?))
}

/// What is to be thought of the log of a database. What SQLite writes at its beginning is within
/// one sector, and so there as a whole or not at all.
pub(super) fn state(database: &Database) -> State {
    let mut header = [0; HEADER];
    // there is none, or nothing in it
    let Ok(log) = File::open(with(database.file(), "-wal")) else { return State::Sound };
    if log.read_exact_at(&mut header, 0).is_err() || is_blank(&log) {
        return State::Sound;
    }
    match page_size(&log) {
        None if big_endian(&header).is_none() => State::Damaged,
        // of pages of another length SQLite knows
        None => State::Sound,
        Some(size) => frames(&log, size, database).map_or(State::Sound, |frames| judged(&frames)),
    }
}

/// Whether there is nothing in it but zeros. Its header is flushed before anything is written behind
/// it, so that no power cut takes that alone.
fn is_blank(log: &File) -> bool {
    BufReader::new(log).bytes().all(|byte| matches!(byte, Ok(0)))
}

/// The length of its pages, of the two that there ever were, when its header is sound.
pub(super) fn page_size(log: &File) -> Option<usize> {
    let mut header = [0; HEADER];
    log.read_exact_at(&mut header, 0).ok()?;
    big_endian(&header)?;
    let size = i64::from(u32_at(&header, 8)?);
    [PAGE_SIZE, OLD_PAGE_SIZE].contains(&size).then_some(size as usize)
}

fn judged(frames: &[Frame]) -> State {
    let (mut state, seen) = (State::Sound, seen(frames));
    let last = frames.iter().rposition(Frame::is_whole).unwrap_or(0);
    // of the transaction so far: whether it is there from its beginning on, and whose it is; where
    // it ends is perhaps not known
    let (mut is_whole, mut is_of_store) = (true, false);
    for (at, frame) in frames.iter().enumerate() {
        is_of_store |= frame.is_of_store;
        is_whole &= frame.is_whole();
        if !frame.is_of_log || !frame.ends {
            continue;
        }
        // a write that failed leaves a part of one behind the end: it has no beginning, or no end
        let is_followed = match frame.is_whole() {
            true => frames.get(at + 1).is_some_and(Frame::is_whole),
            false => at < last,
        };
        if at >= seen && is_of_store {
            if is_followed {
                return State::Damaged;
            }
            if is_whole {
                state = State::Gap;
            }
        }
        (is_whole, is_of_store) = (true, false);
    }
    state
}

/// The byte order of the checksums; `None` when the header is damaged.
fn big_endian(header: &[u8]) -> Option<bool> {
    let big_endian = match u32_at(header, 0)? {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return None,
    };
    let is_whole = sum_at(header, 24)? == add((0, 0), &header[..24], big_endian);
    is_whole.then_some(big_endian)
}

/// A page in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Where its page begins.
    at: u64,
    page: u32,
    /// Whether it is the last one of a transaction.
    ends: bool,
    /// Whether it says that it is of the present log: what an older one has left behind has other
    /// salts.
    is_of_log: bool,
    /// Whether its checksum holds.
    holds: bool,
    /// Whether it is whole and has what only the store writes.
    is_of_store: bool,
}

impl Frame {
    fn is_whole(&self) -> bool {
        self.is_of_log && self.holds && self.page != 0
    }
}

/// All frames in the log.
///
/// SQLite believes nothing behind the first damaged frame. But the checksum of each frame goes on
/// from that of the one before, which is written there, so that those behind can be told as well.
pub(super) fn frames(log: &File, page_size: usize, database: &Database) -> io::Result<Vec<Frame>> {
    let frame_len = FRAME_HEADER + page_size;
    let mut header = [0; HEADER];
    let mut frames = Vec::new();
    if log.metadata()?.len() < (HEADER + frame_len) as u64 {
        return Ok(frames);
    }
    log.read_exact_at(&mut header, 0)?;
    let sound = big_endian(&header);
    let mut frame = vec![0; frame_len];
    let (orders, mut salts, mut written) = match sound {
        Some(order) => (vec![order], sum_at(&header, 16), sum_at(&header, 24)),
        // the first frame that follows another is of the present log: older ones stand behind
        None => (vec![false, true], None, None),
    };
    let mut at = HEADER as u64;
    while let Ok(()) = log.read_exact_at(&mut frame, at) {
        let (salt, sum) = (sum_at(&frame, 8), sum_at(&frame, 16));
        let whole = |before: Sum| {
            orders.iter().any(|order| {
                let head = add(before, &frame[..8], *order);
                sum == Some(add(head, &frame[FRAME_HEADER..], *order))
            })
        };
        let holds = written.is_some_and(whole);
        let page = u32_at(&frame, 0).unwrap_or(0);
        // the checksum of nothing but zeros holds as well
        salts = salts.or(salt.filter(|_| holds && page != 0));
        let mut found = Frame {
            at: at + FRAME_HEADER as u64,
            page,
            ends: u32_at(&frame, 4) != Some(0),
            is_of_log: salt == salts,
            holds,
            is_of_store: false,
        };
        if found.is_whole() {
            let page = database.opened(frame[FRAME_HEADER..].to_vec(), page);
            found.is_of_store = is_of_store(&page, found.page);
        }
        frames.push(found);
        written = sum;
        at += frame_len as u64;
    }
    Ok(frames)
}

/// How many frames SQLite believes.
pub(super) fn seen(frames: &[Frame]) -> usize {
    frames.iter().position(|frame| !frame.is_whole()).unwrap_or(frames.len())
}

/// Where in the log the newest version of each page is that belongs to a finished transaction.
pub(super) fn newest(frames: &[Frame]) -> HashMap<u32, u64> {
    let (mut newest, mut transaction) = (HashMap::new(), Vec::new());
    for frame in frames.iter().filter(|frame| frame.is_whole()) {
        transaction.push((frame.page, frame.at));
        if frame.ends {
            newest.extend(transaction.drain(..));
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::lorawan::{Changes, Link, Session, Slot};
    use crate::store::{Class, Cursor, Entry, Message, Outbox, Store};
    use crate::units::DevEui;
    use std::cell::Cell;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    const FRAME: usize = FRAME_HEADER + PAGE_SIZE as usize;

    /// A log with transactions of both views, after one that came round.
    struct Written {
        dir: tempfile::TempDir,
        /// The file, into which nothing of this log was copied back.
        file: Vec<u8>,
        bytes: Vec<u8>,
        frames: Vec<Frame>,
        /// What was there before.
        older: Vec<u8>,
    }

    impl Written {
        /// `s` is an uplink, `a` an alarm of the gateway itself, `r` a removal.
        fn new(transactions: &str) -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            let (mut store, mut outbox) = Store::open_both(&file, &Clock::system()).expect("opens");
            let entry = |is_alarm| {
                let session = Session {
                    derived: None,
                    counter: None,
                    f_cnt_down: 1,
                    link: Link::default(),
                    binding: [8; 8],
                };
                let changes =
                    Changes { sessions: vec![(Slot::Active, Some(session))], ..Changes::default() };
                let message = |n| Message {
                    class: if is_alarm { Class::Alarm } else { Class::Measurement },
                    at: Clock::system().now(),
                    topic: "t".into(),
                    body: format!(r#"{{"n":{n},"noise":"{}"}}"#, "x".repeat(150)),
                };
                let mut entry = Entry::of(DevEui(1), (0..3).map(message).collect());
                entry.changes = if is_alarm { Changes::default() } else { changes };
                entry
            };
            (0..40).for_each(|_| store.commit(&[entry(false)]).expect("commits"));
            let around = "PRAGMA wal_checkpoint(RESTART)";
            rusqlite::Connection::open(&file)
                .and_then(|db| db.query_row(around, [], |_| Ok(())))
                .expect("checkpoints");
            let log = with(&file, "-wal");
            let older = std::fs::read(&log).expect("reads");
            let mut cursor = Cursor::default();
            for transaction in transactions.chars() {
                match transaction {
                    'r' => {
                        let rows = outbox.next(Class::Diagnostic, &mut cursor, 7).expect("reads");
                        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
                        outbox.remove(&keys).expect("removes");
                    }
                    kind => store.commit(&[entry(kind == 'a')]).expect("commits"),
                }
            }
            let bytes = std::fs::read(&log).expect("reads");
            let frames =
                frames(&File::open(&log).expect("opens"), PAGE_SIZE as usize, &(&file).into());
            let mut frames = frames.expect("reads");
            assert!(frames.iter().any(|frame| !frame.is_of_log), "there is an older one behind");
            frames.truncate(seen(&frames));
            let file = std::fs::read(&file).expect("reads");
            Self { dir, file, bytes, frames, older }
        }

        /// The database with this log, as a start finds it; where it is.
        fn left(&self, log: &[u8]) -> (tempfile::TempDir, PathBuf) {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("t.db");
            std::fs::write(&file, &self.file).expect("writes");
            std::fs::write(with(&file, "-wal"), log).expect("writes");
            (dir, file)
        }

        /// Where its transactions begin and end.
        fn transactions(&self) -> Vec<(usize, usize)> {
            let ends = self.frames.iter().enumerate().filter(|(_, frame)| frame.ends);
            let mut begin = 0;
            ends.map(|(at, _)| (std::mem::replace(&mut begin, at + 1), at + 1)).collect()
        }

        fn state(&self, change: impl FnOnce(&mut Vec<u8>)) -> State {
            let mut bytes = self.bytes.clone();
            change(&mut bytes);
            let file = self.dir.path().join("c.db");
            std::fs::write(with(&file, "-wal"), bytes).expect("writes");
            state(&(&file).into())
        }

        /// After the loss of a sector: zeros, or what was there before.
        fn without(&self, sector: usize) -> [State; 2] {
            let range = 512 * sector..self.bytes.len().min(512 * (sector + 1));
            let zeros = self.state(|bytes| bytes[range.clone()].fill(0));
            [
                zeros,
                self.state(|bytes| {
                    bytes[range.clone()].copy_from_slice(&self.older[range.clone()])
                }),
            ]
        }

        /// The sectors that hold a part of these frames.
        fn sectors(&self, (from, to): (usize, usize)) -> std::ops::RangeInclusive<usize> {
            (HEADER + from * FRAME) / 512..=(HEADER + to * FRAME - 1) / 512
        }
    }

    #[test]
    fn each_transaction_is_known_for_whose_it_is() {
        let kinds = "srsarrassr";
        let log = Written::new(kinds);
        let is_of_store = |(from, to): &(usize, usize)| {
            log.frames[*from..*to].iter().any(|frame| frame.is_of_store)
        };
        let known: Vec<_> = log.transactions().iter().map(is_of_store).collect();
        let wanted: Vec<_> = kinds.chars().map(|kind| kind != 'r').collect();
        assert_eq!(known, wanted);
        assert_eq!(log.state(|_| {}), State::Sound);
    }

    #[test]
    fn a_bit_is_damage_wherever_it_flips() {
        let log = Written::new("ssrsss");
        let (from, to) = log.transactions()[1];
        for at in HEADER + from * FRAME..HEADER + to * FRAME {
            assert_eq!(log.state(|bytes| bytes[at] ^= 4), State::Damaged, "byte {at}");
        }
        for at in 0..HEADER {
            assert_eq!(log.state(|bytes| bytes[at] ^= 4), State::Damaged, "byte {at}");
        }
    }

    #[test]
    fn a_sector_that_is_lost_before_what_was_accepted_is_damage() {
        let log = Written::new("srsrss");
        let all = log.transactions();
        for sector in 1..*log.sectors((0, all[3].1 - 1)).end() {
            let states = log.without(sector);
            assert_eq!(states, [State::Damaged; 2], "sector {sector}");
        }
        // with only one behind it, all but where that begins: its head, and the end before it
        let sectors = 1..=*log.sectors(all[4]).end();
        let passed: Vec<_> =
            sectors.filter(|sector| log.without(*sector).contains(&State::Sound)).collect();
        assert!(passed.len() <= 2, "{passed:?}");
    }

    #[test]
    fn what_a_power_cut_leaves_is_no_damage() {
        let log = Written::new("ssrrrs");
        let all = log.transactions();
        // of what was written since the last flush any part may be missing
        let (first, last) = (all[2].0, all[5]);
        let mut gaps = 0;
        for sector in *log.sectors((first, last.1)).start() + 1..log.bytes.len() / 512 {
            for state in log.without(sector) {
                assert_ne!(state, State::Damaged, "sector {sector}");
                gaps += usize::from(state == State::Gap);
                let is_whole = sector < *log.sectors(last).start();
                assert!(state == State::Sound || is_whole, "sector {sector}");
            }
        }
        assert!(gaps > 0, "what may have been accepted stands behind");
        // removals alone cost no more than repetitions
        let log = Written::new("srrrr");
        for sector in *log.sectors((log.transactions()[1].0, log.frames.len())).start() + 1.. {
            if 512 * (sector + 1) > log.bytes.len() {
                break;
            }
            for state in log.without(sector) {
                assert_eq!(state, State::Sound, "sector {sector}");
            }
        }
        for end in (0..log.bytes.len()).step_by(100) {
            assert_eq!(log.state(|bytes| bytes.truncate(end)), State::Sound, "cut off at {end}");
        }
    }

    #[test]
    fn a_log_whose_first_sector_is_gone_is_damaged() {
        let log = Written::new("s");
        for len in [HEADER, 512, 4096] {
            assert_eq!(log.state(|bytes| bytes[..len].fill(0)), State::Damaged, "{len} zeros");
        }
        // unless nothing was ever flushed into it
        assert_eq!(log.state(|bytes| bytes.fill(0)), State::Sound);
        assert_eq!(log.state(|bytes| bytes.truncate(0)), State::Sound);
    }

    #[test]
    fn all_alarms_behind_damage_are_there() {
        let log = Written::new("rsaaaaaaaaaa");
        let alarms = |file: &Path| {
            let mut outbox = Outbox::open(file).expect("opens");
            outbox.next(Class::Alarm, &mut Cursor::default(), 1000).expect("reads").len()
        };
        let (_dir, file) = log.left(&[]);
        Store::open(&file, &Clock::system()).expect("opens");
        assert_eq!(alarms(&file), 0, "they are in the log alone");
        let sector = 512 * (*log.sectors(log.transactions()[1]).start() + 1);
        let damages = [(sector, 512, 0), (0, HEADER, 0), (0, 512, 0), (0, 512, 0xff), (0, 4096, 0)];
        for (at, len, byte) in damages {
            let mut bytes = log.bytes.clone();
            bytes[at..][..len].fill(byte);
            let (_dir, file) = log.left(&bytes);
            let mut store = Store::open(&file, &Clock::system()).expect("opens");
            let rescue = store.take_rescue().expect("it was damaged");
            assert!(!rescue.is_doubtful);
            assert_eq!(alarms(&file), 30, "{len} bytes at {at}: {rescue:?}");
        }
    }

    #[test]
    fn a_gap_leaves_no_measurement_behind_however_slow_the_card_is() {
        let log = Written::new("srs");
        let mut lost = log.sectors(log.transactions()[1]);
        let sector = lost.find(|sector| log.without(*sector)[0] == State::Gap);
        let mut bytes = log.bytes.clone();
        bytes[512 * sector.expect("some may be lost")..][..512].fill(0);
        let opened = |slow_from: usize| {
            let (_dir, file) = log.left(&bytes);
            let calls = Cell::new(0);
            let at_work = || {
                calls.set(calls.get() + 1);
                if calls.get() == slow_from {
                    std::thread::sleep(Duration::from_secs(9));
                }
            };
            let (mut store, _) =
                Store::open_telling(&file, &Clock::system(), &at_work).expect("opens");
            (calls.get(), store.take_rescue().expect("it is made anew"))
        };
        let (calls, swift) = opened(usize::MAX);
        // what is gone through twice comes over the second time
        let (_, slow) = opened(calls / 2 + 1);
        assert_eq!((slow.saved, slow.left), (swift.saved, [0; 5]));
        assert!(slow.is_doubtful && slow.saved.iter().sum::<u64>() > 100, "{slow:?}");
    }
}
