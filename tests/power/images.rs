//! The disk as a power cut could have left it, at 1,500 instants of several kinds of days.
//! `IMAGES=9000 cargo test --test power` looks at more.

use crate::calls;
use crate::load::{Day, Load};
use crate::platter::Platter;
use crate::promise::Promise;
use crate::support::{Fate, store_key};
use crate::tape::Event;
use lykta::units::StoreKey;
use std::collections::HashMap;
use std::path::Path;

/// How many kinds of days there are below.
const DAYS: usize = 8;

/// How many images of each.
fn images() -> usize {
    let all = std::env::var("IMAGES").ok().and_then(|images| images.parse().ok());
    all.unwrap_or(1_500) / DAYS
}

const QUIET: Day = Day { commits: 120, frames: 1..2, filling: 20..400, deliver: 0.3, restart: 0.0 };

#[test]
fn frames_one_by_one() {
    keeps_its_promises(QUIET, 1);
}

#[test]
fn nothing_is_delivered() {
    keeps_its_promises(Day { deliver: 0.0, ..QUIET }, 2);
}

#[test]
fn bursts() {
    keeps_its_promises(Day { commits: 40, frames: 1..30, filling: 20..1_500, ..QUIET }, 3);
}

#[test]
fn a_log_that_comes_round() {
    // the 4 MB of the WAL are written and copied back more than once
    let day = Day { commits: 160, frames: 1..12, filling: 2_000..8_000, deliver: 0.9, ..QUIET };
    let events = keeps_its_promises(day, 4);
    // each time round the WAL gets a new head of 32 bytes
    let is_head =
        |event: &&Event| matches!(event, Event::Write { at: 0, bytes, .. } if bytes.len() == 32);
    let rounds = events.iter().filter(is_head).count();
    assert!(rounds > 2, "{rounds}");
}

#[test]
fn restarts() {
    keeps_its_promises(Day { commits: 60, frames: 1..6, restart: 0.2, ..QUIET }, 5);
}

/// The control: without a flush for each commit the same test must find what is lost.
#[test]
fn careless_settings_lose_what_was_accepted() {
    const CARELESS: &str = "careless";
    calls::be_careless_in(CARELESS);
    let directory = tempfile::Builder::new().prefix(CARELESS).tempdir().unwrap();
    let mut load = Load::new(directory.path(), 0, 1, None);
    load.live(&QUIET);
    let broken = cuts(&load.tape().0.lock().unwrap().events, 1, images(), None);
    println!("{} of {} images lost something", broken.len(), images());
    assert!(broken.len() > images() / 4, "{broken:?}");
}

/// A gateway whose power fails again and again, and which lives on with what is left each time.
#[test]
fn one_cut_after_the_other() {
    one_after_the_other(None, images());
}

/// The same under a key, where a page that is half written says nothing at all.
#[test]
fn one_cut_after_the_other_under_a_key() {
    one_after_the_other(Some(store_key(1)), images());
}

#[test]
fn bursts_and_restarts_under_a_key() {
    let day = Day { commits: 60, frames: 1..20, filling: 20..1_500, restart: 0.1, ..QUIET };
    keeps_them_under(Some(store_key(1)), day, 7);
}

fn one_after_the_other(key: Option<StoreKey>, images: usize) {
    let mut random = fastrand::Rng::with_seed(6);
    let mut promise = Promise::under(key.clone());
    let (mut number, mut rescues) = (0, 0);
    let mut directory = tempfile::tempdir().unwrap();
    for life in 0..images as u64 {
        let mut load = Load::new(directory.path(), number, life, key.as_ref());
        let day = Day { commits: random.usize(1..12), deliver: 0.8, restart: 0.1, ..QUIET };
        load.live(&day);
        let (tape, last) = load.tape();
        number = last;
        let tape = tape.lock().unwrap();
        // as a rule while something is flushed: that takes its time
        let flushes = (tape.begin..tape.events.len())
            .filter(|at| matches!(tape.events[*at], Event::Sync { .. }))
            .collect::<Vec<_>>();
        let at = match random.usize(..3) {
            0 => random.usize(tape.begin..=tape.events.len()),
            _ => *random.choice(&flushes).unwrap_or(&tape.events.len()),
        };
        let mut platter = Platter::default();
        for event in &tape.events[..at] {
            platter.apply(event);
            if let Event::Mark(mark) = event {
                promise.note(mark);
            }
        }
        let fate = Fate::ALL[random.usize(..Fate::ALL.len())];
        let left = tempfile::tempdir().unwrap();
        platter.cut(fate, &mut random, left.path());
        // looked at elsewhere: the next life opens it as the cut has left it
        let looked_at = tempfile::tempdir().unwrap();
        copy(left.path(), looked_at.path());
        let kept = promise.check(looked_at.path());
        let rescued = kept.map_err(|what| format!("life {life}, cut at {at}, {fate:?}: {what}"));
        rescues += u64::from(rescued.unwrap());
        drop(tape);
        directory = left;
    }
    println!("{rescues} of {images} cuts might have been damage");
    assert!(rescues > 0, "none could not be told from damage");
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A day, and cuts all over it. What happened on it.
fn keeps_its_promises(day: Day, seed: u64) -> Vec<Event> {
    keeps_them_under(None, day, seed)
}

fn keeps_them_under(key: Option<StoreKey>, day: Day, seed: u64) -> Vec<Event> {
    let directory = tempfile::tempdir().unwrap();
    let mut load = Load::new(directory.path(), 0, seed, key.as_ref());
    load.live(&day);
    let events = std::mem::take(&mut load.tape().0.lock().unwrap().events);
    let broken = cuts(&events, seed, images(), key);
    assert!(broken.is_empty(), "{} of {} images: {:#?}", broken.len(), images(), &broken[..1]);
    events
}

/// Cuts the power at so many instants; what was broken at which.
fn cuts(events: &[Event], seed: u64, images: usize, key: Option<StoreKey>) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let rare = rare(events);
    let mut instants: Vec<_> = (0..images)
        .map(|n| match n % 2 {
            0 => random.usize(..=events.len()),
            _ => rare[random.usize(..rare.len())] + random.usize(..2),
        })
        .collect();
    instants.sort_unstable();
    let (mut platter, mut promise) = (Platter::default(), Promise::under(key));
    let mut broken = Vec::new();
    let (mut at, mut at_risk) = (0, 0);
    for (n, instant) in instants.into_iter().enumerate() {
        for event in &events[at..instant] {
            platter.apply(event);
            if let Event::Mark(mark) = event {
                promise.note(mark);
            }
        }
        at = instant;
        at_risk += usize::from(platter.is_at_risk());
        let fate = Fate::ALL[n % Fate::ALL.len()];
        let directory = tempfile::tempdir().unwrap();
        platter.cut(fate, &mut random, directory.path());
        if let Err(what) = promise.clone().check(directory.path()) {
            broken.push(format!("cut at event {instant} of {}, {fate:?}: {what}", events.len()));
        }
    }
    assert!(at_risk > images / 4, "only {at_risk} cuts could take anything");
    broken
}

/// Where something happens that happens seldom: to names, to lengths, to another file than most
/// of it. There are a few of these, and much depends on them.
fn rare(events: &[Event]) -> Vec<usize> {
    let inode = |event: &Event| match event {
        Event::Write { inode, .. } | Event::Sync { inode } => Some(*inode),
        _ => None,
    };
    let mut count = HashMap::<_, usize>::new();
    events.iter().filter_map(inode).for_each(|inode| *count.entry(inode).or_default() += 1);
    let most = count.into_iter().max_by_key(|(_, count)| *count).map(|(inode, _)| inode);
    let is_rare = |event: &Event| !matches!(event, Event::Mark(_)) && inode(event) != most;
    (0..events.len()).filter(|at| is_rare(&events[*at])).collect()
}
