//! What lykta does to its disk, by chance and in a hurry.

use crate::calls::{self, Shared};
use crate::promise::{FILE, Frame, Mark, number};
use crate::support::database;
use lykta::store::{Class, Cursor, Database, Key, Outbox, Store};
use lykta::units::StoreKey;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What kind of a day it is.
#[derive(Debug, Clone)]
pub struct Day {
    pub commits: usize,
    /// How many frames share one.
    pub frames: Range<usize>,
    /// How many bytes a message is filled with.
    pub filling: Range<usize>,
    /// How likely it is after a commit that something is delivered and removed …
    pub deliver: f64,
    /// … and that lykta is stopped and started again.
    pub restart: f64,
}

/// How many bins there are.
const BINS: u64 = 20;

pub struct Load {
    tape: Shared,
    database: Database,
    open: Option<(Store, Outbox)>,
    cursor: Cursor,
    /// Read and not yet delivered.
    sent: Vec<(Key, Arc<str>, u64)>,
    counters: Vec<u32>,
    /// Of the last message.
    number: u64,
    random: fastrand::Rng,
}

impl Load {
    /// In this directory, which may be empty or hold what an earlier one has left, under this key.
    /// Messages get numbers above `number`.
    pub fn new(directory: &Path, number: u64, seed: u64, key: Option<&StoreKey>) -> Self {
        let mut load = Self {
            tape: calls::record(directory),
            database: database(&directory.join(FILE), key),
            open: None,
            cursor: Cursor::default(),
            sent: Vec::new(),
            counters: vec![0; BINS as usize],
            number,
            random: fastrand::Rng::with_seed(seed),
        };
        load.start();
        load
    }

    /// What was done, and the number of the last message.
    pub fn tape(&self) -> (&Shared, u64) {
        (&self.tape, self.number)
    }

    pub fn live(&mut self, day: &Day) {
        for _ in 0..day.commits {
            self.commit(day);
            if self.random.f64() < day.deliver {
                self.deliver();
            }
            if self.random.f64() < day.restart {
                self.start();
            }
        }
    }

    fn mark(&self, mark: Mark) {
        self.tape.lock().unwrap().mark(mark);
    }

    fn start(&mut self) {
        // an orderly stop, in the order in which the daemon's parts end
        if let Some((store, outbox)) = self.open.take() {
            drop(outbox);
            drop(store);
        }
        let store = Store::open(&self.database, &lykta::clock::Clock::system()).unwrap();
        let outbox = Outbox::open(&self.database).unwrap();
        for ((eui, _), session) in store.memory().unwrap().sessions {
            let known = session.counter.map_or(0, |counter| counter.f_cnt_up);
            self.counters[eui.0 as usize - 1] = known;
        }
        self.mark(Mark::Opened(outbox.epoch().to_owned()));
        self.open = Some((store, outbox));
        self.cursor = Cursor::default();
        self.sent.clear();
    }

    fn commit(&mut self, day: &Day) {
        let frames: Vec<_> =
            (0..self.random.usize(day.frames.clone())).map(|_| self.frame(day)).collect();
        let entries: Vec<_> = frames.iter().map(Frame::entry).collect();
        self.mark(Mark::Begun(frames));
        let (store, _) = self.open.as_mut().unwrap();
        store.commit(&entries).unwrap();
        self.mark(Mark::Accepted);
    }

    fn frame(&mut self, day: &Day) -> Frame {
        let device = self.random.u64(1..=BINS);
        let counter = &mut self.counters[device as usize - 1];
        *counter += 1;
        let f_cnt = *counter;
        let message = |_| {
            self.number += 1;
            let class = if self.random.u8(..20) == 0 { Class::Alarm } else { Class::Measurement };
            let len = self.random.usize(day.filling.clone());
            let filling: String =
                std::iter::repeat_with(|| self.random.alphanumeric()).take(len).collect();
            let body = format!(r#"{{"n":{},"filling":"{filling}"}}"#, self.number);
            (self.number, class, body.into())
        };
        Frame { device, f_cnt, messages: (0..2).map(message).collect() }
    }

    /// Sends what waits, and removes some of what was sent, in any order.
    fn deliver(&mut self) {
        let (_, outbox) = self.open.as_mut().unwrap();
        let limit = self.random.usize(1..40);
        let rows = outbox.next(Class::Diagnostic, &mut self.cursor, limit).unwrap();
        let rows = rows.iter().map(|row| (row.key, Arc::clone(&row.epoch), number(&row.body)));
        self.sent.extend(rows);
        for (key, epoch, message) in &self.sent {
            let (message, id) = (*message, (Arc::clone(epoch), key.sequence()));
            self.tape.lock().unwrap().mark(Mark::Seen { message, id });
        }
        self.random.shuffle(&mut self.sent);
        let rest = self.random.usize(..=self.sent.len());
        let gone = self.sent.split_off(rest);
        let delivered = gone.iter().map(|(.., message)| *message).collect();
        self.tape.lock().unwrap().mark(Mark::Delivered(delivered));
        let keys: Vec<_> = gone.iter().map(|(key, ..)| *key).collect();
        outbox.remove(&keys).unwrap();
    }
}
