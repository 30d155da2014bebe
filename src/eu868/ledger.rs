//! Who has been on the air for how long: the sliding hour of one transmitter.

use super::{SUB_BANDS, SubBand, sub_band};
use crate::clock::{ClockQuality, Moment};
use crate::units::{Hertz, LoRa};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// The time over which a duty cycle is observed (ETSI EN 300 220-1, Tobs).
pub const OBSERVATION: Duration = Duration::from_secs(3600);

/// Of how many transmissions a sub-band keeps an entry each; beyond, the oldest are taken
/// together. Only the sub-band of 10 % has room for more of the shortest ones.
const MAX_ENTRIES: usize = 4096;

/// The airtime of one transmitter by sub-band, sent and queued.
///
/// A transmission counts as a whole in every hour that it touches. That refuses, at the rim of
/// an hour, what a count to the microsecond would just allow, by one transmission's length at
/// most; and it makes each rule below one comparison.
///
/// Times are those of a monotonic clock, kept in microseconds and signed: what was sent before
/// a restart lies before the clock's origin.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// By the start of the transmission.
    bands: [VecDeque<Entry>; SUB_BANDS.len()],
    next_id: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u64,
    start: i64,
    end: i64,
    /// Less than `end - start` where several were taken together.
    airtime: i64,
    frequency: Hertz,
}

/// A transmission that has its place in the [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    band: usize,
    id: u64,
}

/// Why something must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The channel does not lie in a sub-band.
    #[error("the channel lies in no sub-band")]
    NoBand,
    /// A sliding hour would exceed the duty cycle.
    #[error("the duty cycle of the sub-band is used up")]
    DutyCycle {
        /// From when on it may be sent, if nothing else is until then. None: it takes longer
        /// than a whole hour's budget.
        free_at: Option<Duration>,
    },
    /// This transmitter sends something else at that time.
    #[error("overlaps another transmission")]
    Overlap,
}

/// A transmission as it outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When it started.
    pub start: Timestamp,
    /// How far to trust `start`.
    pub clock: ClockQuality,
    /// How long it took, in whole microseconds.
    pub airtime: Duration,
    /// The channel's centre.
    pub frequency: Hertz,
}

/// What a sub-band has seen of this transmitter in the last hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The sub-band.
    pub band: &'static SubBand,
    /// Time on the air.
    pub airtime: Duration,
    /// What the law allows in an hour.
    pub limit: Duration,
}

impl Usage {
    /// The share of the allowed time that is used, 0 to 1.
    pub fn share(&self) -> f64 {
        self.airtime.as_secs_f64() / self.limit.as_secs_f64()
    }
}

const HOUR: i64 = OBSERVATION.as_micros() as i64;

/// The airtime that one transmitter may use of this sub-band in an hour.
pub fn limit(band: &SubBand) -> Duration {
    OBSERVATION * band.duty_permille / 1000
}

impl Ledger {
    /// Nothing was sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a place for a transmission that starts at `start`, which is not before `now`.
    ///
    /// # Errors
    /// When the law or another transmission is in its way. The ledger is then as it was.
    pub fn reserve(
        &mut self,
        now: Duration,
        start: Duration,
        frequency: Hertz,
        modulation: LoRa,
        airtime: Duration,
    ) -> Result<Reservation, Refused> {
        self.prune(micros(now));
        let band = position(frequency, modulation).ok_or(Refused::NoBand)?;
        let airtime = micros_up(airtime);
        let start = micros(start);
        let new = Entry { id: self.next_id, start, end: start + airtime, airtime, frequency };
        let mut all = self.bands.iter().flatten();
        if all.any(|other| other.start < new.end && new.start < other.end) {
            return Err(Refused::Overlap);
        }
        let entries = &mut self.bands[band];
        let budget = micros(limit(&SUB_BANDS[band]));
        if !fits(entries, &new, budget) {
            return Err(Refused::DutyCycle { free_at: free_at(entries, &new, budget) });
        }
        self.next_id += 1;
        insert(entries, new);
        coalesce(entries, micros(now));
        Ok(Reservation { band, id: new.id })
    }

    /// Gives a place back: it was not sent. One that has since been taken together with others,
    /// or has grown old, stays as it is.
    pub fn release(&mut self, reservation: Reservation) {
        self.bands[reservation.band].retain(|entry| entry.id != reservation.id);
    }

    /// What each sub-band has seen in the hour before `now`.
    pub fn usage(&self, now: Duration) -> impl Iterator<Item = Usage> {
        let now = micros(now);
        self.bands.iter().zip(&SUB_BANDS).map(move |(entries, band)| Usage {
            band,
            airtime: Duration::from_micros(seen(entries, now) as u64),
            limit: limit(band),
        })
    }

    /// What has to be known after a restart: everything of the last hour, and what is queued.
    pub fn export(&self, now: Moment) -> Vec<Record> {
        let origin = micros(now.monotonic);
        let entries = self.bands.iter().flatten().filter(|entry| entry.end > origin - HOUR);
        entries
            .map(|entry| {
                // of several that were taken together, as late as it can have been
                let age = SignedDuration::from_micros(origin - (entry.end - entry.airtime));
                Record {
                    start: now.wall.checked_sub(age).unwrap_or(now.wall),
                    clock: now.quality,
                    airtime: Duration::from_micros(entry.airtime as u64),
                    frequency: entry.frequency,
                }
            })
            .collect()
    }

    /// Takes in what was sent before the restart. Where one of the two clocks cannot be trusted,
    /// or the record lies in the future, it counts as sent just now.
    pub fn import(&mut self, records: impl IntoIterator<Item = Record>, now: Moment) {
        let origin = micros(now.monotonic);
        for record in records {
            let Some(band) =
                SUB_BANDS.iter().position(|band| (band.from..=band.to).contains(&record.frequency))
            else {
                continue;
            };
            // a row that says more than that is damaged
            let airtime = micros_up(record.airtime).min(HOUR);
            let trusted =
                now.quality != ClockQuality::Unsynced && record.clock != ClockQuality::Unsynced;
            let age = now.wall.as_microsecond() - record.start.as_microsecond();
            let ended = if trusted { (age - airtime).max(0) } else { 0 };
            self.enter(band, origin - ended, airtime, record.frequency);
        }
        self.prune(origin);
        for entries in &mut self.bands {
            coalesce(entries, origin);
        }
    }

    /// Begins as if, until just now, this part of each hour's budget had been used, in
    /// thousandths: for when nobody knows any more what was sent.
    pub fn assume_used(&mut self, now: Duration, permille: u32) {
        for (i, band) in SUB_BANDS.iter().enumerate() {
            let airtime = micros(limit(band) * permille / 1000);
            self.enter(i, micros(now), airtime, Hertz(band.from.0.midpoint(band.to.0)));
        }
    }

    /// Whether it knows of no transmission in the hour before `now`, nor of one to come.
    pub fn is_idle(&self, now: Duration) -> bool {
        self.bands.iter().flatten().all(|entry| entry.end <= micros(now) - HOUR)
    }

    fn enter(&mut self, band: usize, end: i64, airtime: i64, frequency: Hertz) {
        let entry = Entry { id: self.next_id, start: end - airtime, end, airtime, frequency };
        self.next_id += 1;
        insert(&mut self.bands[band], entry);
    }

    fn prune(&mut self, now: i64) {
        for entries in &mut self.bands {
            entries.retain(|entry| entry.end > now - HOUR);
        }
    }
}

fn position(frequency: Hertz, modulation: LoRa) -> Option<usize> {
    let band = sub_band(frequency, modulation.bandwidth)?;
    SUB_BANDS.iter().position(|other| other == band)
}

/// The airtime in the hour that has just reached `at`, what starts at that moment included.
fn seen<'a>(entries: impl IntoIterator<Item = &'a Entry>, at: i64) -> i64 {
    let touched = |entry: &&Entry| entry.start <= at && entry.end > at - HOUR;
    entries.into_iter().filter(touched).map(|entry| entry.airtime).sum()
}

/// Whether no hour that contains the new transmission exceeds the budget. What an hour has seen
/// grows only where a transmission starts: that of the new one, and of those queued after it.
fn fits(entries: &VecDeque<Entry>, new: &Entry, budget: i64) -> bool {
    let later = entries.iter().filter(|e| e.start > new.start && e.start - HOUR < new.end);
    [new].into_iter().chain(later).all(|e| seen(entries.iter().chain([new]), e.start) <= budget)
}

/// When the transmission would fit behind everything that is known.
fn free_at(entries: &VecDeque<Entry>, new: &Entry, budget: i64) -> Option<Duration> {
    let mut total = new.airtime + entries.iter().map(|entry| entry.airtime).sum::<i64>();
    let last = entries.back().map_or(new.start, |entry| entry.start.max(new.start));
    let mut by_end: Vec<_> = entries.iter().map(|entry| (entry.end, entry.airtime)).collect();
    by_end.sort_unstable();
    let mut free = last;
    let mut leaving = by_end.into_iter();
    while total > budget {
        let (end, airtime) = leaving.next()?;
        total -= airtime;
        free = free.max(end + HOUR);
    }
    Some(Duration::from_micros(free.max(0) as u64))
}

fn insert(entries: &mut VecDeque<Entry>, new: Entry) {
    let place = entries.partition_point(|entry| entry.start <= new.start);
    entries.insert(place, new);
}

/// Takes what is over together in pairs, when there is too much of it.
fn coalesce(entries: &mut VecDeque<Entry>, now: i64) {
    if entries.len() <= MAX_ENTRIES {
        return;
    }
    let over = entries.iter().take_while(|entry| entry.end <= now).count();
    let rest = entries.split_off(over);
    let past = std::mem::take(entries);
    let mut past = past.into_iter();
    while let Some(mut entry) = past.next() {
        if let Some(next) = past.next() {
            entry.end = entry.end.max(next.end);
            entry.airtime += next.airtime;
        }
        entries.push_back(entry);
    }
    entries.extend(rest);
}

/// A monotonic time as the ledger counts. 73,000 years fit, with room to add.
fn micros(time: Duration) -> i64 {
    time.as_micros().min(i64::MAX as u128 / 4) as i64
}

/// A length, never shortened.
fn micros_up(length: Duration) -> i64 {
    micros(length + Duration::from_nanos(999))
}

#[cfg(test)]
mod tests;
