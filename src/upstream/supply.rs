//! Which message goes next.
//!
//! After an outage alarms leave first, then events and plans; then the newest state of each device
//! and bin, so that the cloud knows how things are before it hears how they came about; then the
//! backlog from its oldest on. A city of gateways that comes back at once does not storm its
//! broker: the backlog, and the newest states before it, go at a rate of their own, and the
//! backlog begins at a random time that is the later the longer it takes.

use crate::store::{Class, Cursor, Key, Outbox, Row, StoreError};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// So many rows are read at once: fewer questions, and still little memory.
const AHEAD: usize = 200;

/// How far back the newest state of a device is looked for. One that was silent for longer comes
/// with the backlog.
const LOOK_BACK: usize = 20_000;

/// How fast what had to wait may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pacing {
    /// Messages a second; 0: as fast as it goes.
    pub(super) rate: u32,
    /// The longest random wait before the backlog begins.
    pub(super) delay: Duration,
}

/// What goes next.
#[derive(Debug)]
pub(super) enum Item {
    /// A message as it is stored; whether it had to wait.
    Stored(Row, bool),
    /// What the message says about this device or bin is the newest.
    Newest(Row, String),
}

/// Allows so many messages a second, in small groups.
#[derive(Debug)]
struct Pace {
    rate: u32,
    /// From when on, and how many were allowed since.
    begin: Instant,
    allowed: u64,
}

impl Pace {
    fn new(rate: u32, begin: Instant) -> Self {
        Self { rate, begin, allowed: 0 }
    }

    /// How many may go now.
    fn room(&self, now: Instant) -> usize {
        let Some(since) = now.checked_duration_since(self.begin) else { return 0 };
        if self.rate == 0 {
            return usize::MAX;
        }
        let due = (since.as_secs_f64() * f64::from(self.rate)) as u64 + 1;
        due.saturating_sub(self.allowed).min(u64::from(self.group())) as usize
    }

    /// Notes that so many went. What was not used in time is not made up for.
    fn spend(&mut self, count: usize, now: Instant) {
        if self.rate == 0 || count == 0 {
            return;
        }
        let due = (now.duration_since(self.begin).as_secs_f64() * f64::from(self.rate)) as u64 + 1;
        let least = due.saturating_sub(u64::from(self.group()));
        self.allowed = self.allowed.max(least) + count as u64;
    }

    /// When the next group may go.
    fn next_at(&self) -> Instant {
        if self.rate == 0 {
            return self.begin;
        }
        let group = self.allowed + u64::from(self.group()) - 1;
        self.begin + Duration::from_secs_f64(group as f64 / f64::from(self.rate))
    }

    /// A tenth of a second's worth.
    fn group(&self) -> u32 {
        (self.rate / 10).max(1)
    }
}

/// The supply of one connection.
#[derive(Debug)]
pub(super) struct Supply {
    cursor: Cursor,
    /// Messages up to this number had to wait: for the connection, or for an offer after a refusal.
    late_until: u64,
    /// Whether there may be something more important than a measurement that is not read yet.
    urgent: bool,
    /// Whether there may be anything else that is not read yet.
    more: bool,
    /// Read, and not handed on.
    ahead: VecDeque<Row>,
    /// The search for the newest states; over, once there is none.
    newest: Option<Search>,
    newest_pace: Pace,
    backlog_pace: Pace,
}

/// The search for the newest state of each device and bin, from the newest message back.
#[derive(Debug, Default)]
struct Search {
    before: Option<Key>,
    seen: HashSet<String>,
    looked_at: usize,
    found: VecDeque<(Row, String)>,
    ended: bool,
}

impl Supply {
    /// The supply of a connection that begins now. `waiting` messages wait, up to the number
    /// `late_until`; `random` is between 0 and 1.
    pub(super) fn new(
        late_until: u64,
        waiting: u64,
        pacing: Pacing,
        random: f64,
        now: Instant,
    ) -> Self {
        let takes = match pacing.rate {
            0 => Duration::ZERO,
            rate => Duration::from_secs(waiting / u64::from(rate)).min(pacing.delay),
        };
        let begin = now + takes.mul_f64(random.clamp(0.0, 1.0));
        Self {
            cursor: Cursor::default(),
            late_until,
            urgent: true,
            more: true,
            ahead: VecDeque::new(),
            newest: Some(Search::default()),
            newest_pace: Pace::new(pacing.rate, now),
            backlog_pace: Pace::new(pacing.rate, begin),
        }
    }

    /// There is something new in the outbox.
    pub(super) fn news(&mut self) {
        (self.urgent, self.more) = (true, true);
    }

    /// Begins anew with the first message: all up to the number `late_until` had to wait.
    pub(super) fn begin_anew(&mut self, late_until: u64) {
        self.late_until = late_until;
        self.cursor = Cursor::default();
        self.ahead.clear();
        self.news();
    }

    /// Whether all of it was handed on.
    pub(super) fn is_empty(&self) -> bool {
        !self.urgent && !self.more && self.ahead.is_empty() && self.newest.is_none()
    }

    /// Whether something may go now, as far as is known.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        !self.is_empty() && (self.urgent || self.next_at().is_none_or(|at| at <= now))
    }

    /// When something may go that may not go before.
    pub(super) fn next_at(&self) -> Option<Instant> {
        if self.newest.is_some() {
            return Some(self.newest_pace.next_at());
        }
        let waits = self.ahead.front().is_some_and(|row| self.is_paced(row));
        waits.then(|| self.backlog_pace.next_at())
    }

    /// What goes next: at most `room` messages, none less important than `least`. Of the messages
    /// in `told` the broker has taken what they say as the newest state: on a line that breaks
    /// again and again the backlog has its turn, too.
    ///
    /// # Errors
    /// When the outbox cannot be read; it is to be asked again.
    pub(super) fn take(
        &mut self,
        outbox: &mut Outbox,
        told: &HashSet<Key>,
        least: Class,
        room: usize,
        now: Instant,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        if self.urgent {
            let class = least.min(Class::Plan);
            let rows = outbox.next(class, &mut self.cursor, room)?;
            self.urgent = rows.len() == room || class < Class::Plan;
            items.extend(rows.into_iter().map(|row| self.stored(row)));
        }
        if least < Class::Measurement {
            return Ok(items);
        }
        let rest = self.take_rest(outbox, told, room, now, &mut items);
        // what was read goes, whatever the disk says of the rest: that is asked for again
        if items.is_empty() { rest.map(|()| items) } else { Ok(items) }
    }

    fn take_rest(
        &mut self,
        outbox: &mut Outbox,
        told: &HashSet<Key>,
        room: usize,
        now: Instant,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        self.take_newest(outbox, told, room, now, items)?;
        if self.newest.is_none() {
            self.take_backlog(outbox, room, now, items)?;
        }
        Ok(())
    }

    fn take_newest(
        &mut self,
        outbox: &mut Outbox,
        told: &HashSet<Key>,
        room: usize,
        now: Instant,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        let Some(search) = &mut self.newest else { return Ok(()) };
        let room = room.saturating_sub(items.len()).min(self.newest_pace.room(now));
        while search.found.len() < room && !search.ended {
            search.look(outbox, told, self.late_until)?;
        }
        let count = room.min(search.found.len());
        let found = search.found.drain(..count);
        items.extend(found.map(|(row, whose)| Item::Newest(row, whose)));
        self.newest_pace.spend(count, now);
        if search.ended && search.found.is_empty() {
            self.newest = None;
        }
        Ok(())
    }

    fn take_backlog(
        &mut self,
        outbox: &mut Outbox,
        room: usize,
        now: Instant,
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        let mut paced = self.backlog_pace.room(now);
        let mut spent = 0;
        while items.len() < room {
            if self.ahead.is_empty() && self.more {
                let rows = outbox.next(Class::Diagnostic, &mut self.cursor, AHEAD)?;
                self.more = rows.len() == AHEAD;
                self.ahead.extend(rows);
            }
            let Some(row) = self.ahead.pop_front() else { break };
            if self.is_paced(&row) {
                if paced == 0 {
                    self.ahead.push_front(row);
                    break;
                }
                paced -= 1;
                spent += 1;
            }
            items.push(self.stored(row));
        }
        self.backlog_pace.spend(spent, now);
        Ok(())
    }

    fn stored(&self, row: Row) -> Item {
        let late = row.key.sequence() <= self.late_until;
        Item::Stored(row, late)
    }

    /// Whether it goes at the rate of the backlog.
    fn is_paced(&self, row: &Row) -> bool {
        let bulk = row.key.class().is_none_or(|class| class >= Class::Measurement);
        bulk && row.key.sequence() <= self.late_until
    }
}

impl Search {
    /// Looks a step farther back.
    fn look(
        &mut self,
        outbox: &mut Outbox,
        told: &HashSet<Key>,
        late_until: u64,
    ) -> Result<(), StoreError> {
        let before = self.before.unwrap_or(Key::new(Class::Measurement, late_until + 1));
        let rows = outbox.before(before, AHEAD)?;
        self.looked_at += rows.len();
        self.ended = rows.len() < AHEAD || self.looked_at >= LOOK_BACK;
        for row in rows {
            self.before = Some(row.key);
            if let Some(whose) = whose(&row.topic)
                && !self.seen.contains(whose)
            {
                let whose = whose.to_owned();
                self.seen.insert(whose.clone());
                if !told.contains(&row.key) {
                    self.found.push_back((row, whose));
                }
            }
        }
        Ok(())
    }
}

/// Which device's or bin's state a message on this topic tells.
fn whose(topic: &str) -> Option<&str> {
    let of = |room: &str, leaf: &str| topic.strip_prefix(room)?.strip_suffix(leaf);
    of("device/", "/readings").or_else(|| of("bin/", "/level"))
}

#[cfg(test)]
mod tests;
