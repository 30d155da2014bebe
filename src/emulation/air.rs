//! The air: who is there, who hears whom, and everything that was sent.

use super::signal::Signal;
use crate::units::{Db, Dbm};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Transmissions that are remembered. A demo that runs for weeks forgets the older ones.
const LOG_LIMIT: usize = 65_536;

/// Breaches of a chip's protocol that are remembered: the first ones say what went wrong.
const VIOLATION_LIMIT: usize = 256;

/// One radio on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StationId(u32);

/// How a station is heard by another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Power at the receiver.
    pub rssi: Dbm,
    /// Signal-to-noise ratio at the receiver.
    pub snr: Db,
}

/// What befell a transmission everywhere, beyond what each receiver makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Clear,
    /// Disturbed by something that is no station ([`Air::jam_next`]): every receiver gets it corrupt.
    Jammed,
    /// Heard by nobody ([`Air::drop_next`]).
    Dropped,
    /// The sender left its transmit mode before the end: the rest is noise.
    Cut,
}

/// One packet on the air.
#[derive(Debug, Clone, PartialEq)]
pub struct Transmission {
    /// Counts from zero, in the order in which senders were told to send.
    pub number: u64,
    /// Who sends.
    pub station: StationId,
    /// The first symbol.
    pub start: Instant,
    /// The end of the last symbol.
    pub end: Instant,
    /// How it is modulated.
    pub signal: Signal,
    /// The power that the sender's amplifier is set to.
    pub power: Dbm,
    /// The PHYPayload.
    pub bytes: Vec<u8>,
    /// What befell it.
    pub fate: Fate,
}

/// A breach of a chip's protocol by the program that drives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Whose chip.
    pub station: StationId,
    /// When.
    pub at: Instant,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "station {}: {}", self.station.0, self.what)
    }
}

/// The air that stations share. A handle: clones are the same air.
#[derive(Clone)]
pub struct Air(Arc<Shared>);

struct Shared {
    ether: Mutex<Ether>,
    /// Something was sent or cut short.
    changed: Notify,
}

/// What the air knows.
pub(super) struct Ether {
    stations: u32,
    /// Ordered by `start`.
    log: Vec<Transmission>,
    sent: u64,
    /// The longest packet so far: how far back one may look for packets that still last.
    longest: Duration,
    path: Option<Path>,
    paths: HashMap<(StationId, StationId), Option<Path>>,
    jam: u32,
    drop: u32,
    drop_of: HashMap<StationId, u32>,
    violations: Vec<Violation>,
}

impl Default for Air {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Air {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Air")
    }
}

impl Air {
    /// Empty air, in which every station hears every other one at -80 dBm with 9 dB to spare.
    pub fn new() -> Self {
        let ether = Ether {
            stations: 0,
            log: Vec::new(),
            sent: 0,
            longest: Duration::ZERO,
            path: Some(Path { rssi: Dbm(-80.0), snr: Db(9.0) }),
            paths: HashMap::new(),
            jam: 0,
            drop: 0,
            drop_of: HashMap::new(),
            violations: Vec::new(),
        };
        Self(Arc::new(Shared { ether: Mutex::new(ether), changed: Notify::new() }))
    }

    /// A new station.
    pub(super) fn join(&self) -> StationId {
        let mut ether = self.ether();
        ether.stations += 1;
        StationId(ether.stations - 1)
    }

    /// A hand-made station, which sends whatever it is told and needs no chip.
    pub fn station(&self) -> Station {
        Station { air: self.clone(), id: self.join() }
    }

    /// Sets how every pair of stations without a path of its own hears each other; `None`: not at all.
    pub fn set_path(&self, path: Option<Path>) {
        self.ether().path = path;
    }

    /// Sets how `to` hears `from`; `None`: not at all. The other direction stays as it is.
    pub fn set_path_between(&self, from: StationId, to: StationId, path: Option<Path>) {
        self.ether().paths.insert((from, to), path);
    }

    /// Disturbs the next `n` transmissions, whoever sends them: receivers get them corrupt.
    pub fn jam_next(&self, n: u32) {
        self.ether().jam = n;
    }

    /// Lets the next `n` transmissions vanish, whoever sends them: nobody hears them.
    pub fn drop_next(&self, n: u32) {
        self.ether().drop = n;
    }

    /// Lets the next `n` transmissions of this station vanish.
    pub fn drop_next_of(&self, station: StationId, n: u32) {
        self.ether().drop_of.insert(station, n);
    }

    /// Every transmission that is remembered, by the time of its first symbol. Those that have
    /// been announced to the air but not begun are among them.
    pub fn log(&self) -> Vec<Transmission> {
        self.ether().log.clone()
    }

    /// The remembered transmissions of one station.
    pub fn log_of(&self, station: StationId) -> Vec<Transmission> {
        self.ether().log.iter().filter(|sent| sent.station == station).cloned().collect()
    }

    /// How many transmissions there were in all.
    pub fn sent(&self) -> u64 {
        self.ether().sent
    }

    /// Hears every transmission from now on, on all channels and at all spreading factors.
    pub fn sniffer(&self) -> Sniffer {
        Sniffer { air: self.clone(), next: self.ether().sent }
    }

    /// Breaches of the protocol of any chip on this air, the oldest first: to be asserted empty.
    pub fn violations(&self) -> Vec<Violation> {
        self.ether().violations.clone()
    }

    /// Takes the breaches out, so that a test of them can end with an empty list.
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.ether().violations)
    }

    pub(super) fn violation(&self, station: StationId, at: Instant, what: impl Into<String>) {
        let mut ether = self.ether();
        if ether.violations.len() < VIOLATION_LIMIT {
            ether.violations.push(Violation { station, at, what: what.into() });
        }
    }

    /// Puts a packet on the air and returns its number and its end.
    pub(super) fn send(
        &self,
        station: StationId,
        start: Instant,
        signal: Signal,
        power: Dbm,
        bytes: Vec<u8>,
    ) -> (u64, Instant) {
        let mut ether = self.ether();
        let number = ether.sent;
        ether.sent += 1;
        let lasting = signal.time_on_air(bytes.len());
        let end = start + lasting;
        ether.longest = ether.longest.max(lasting);
        let fate = ether.fate_of_next(station);
        if ether.log.len() >= LOG_LIMIT {
            ether.log.drain(..LOG_LIMIT / 2);
        }
        let place = ether.log.partition_point(|other| other.start <= start);
        ether.log.insert(
            place,
            Transmission { number, station, start, end, signal, power, bytes, fate },
        );
        drop(ether);
        self.0.changed.notify_waiters();
        (number, end)
    }

    /// The sender stops at `now`.
    pub(super) fn cut(&self, number: u64, now: Instant) {
        if let Some(sent) = self.ether().log.iter_mut().rev().find(|sent| sent.number == number) {
            sent.end = now.clamp(sent.start, sent.end);
            if sent.fate == Fate::Clear {
                sent.fate = Fate::Cut;
            }
        }
        self.0.changed.notify_waiters();
    }

    /// Completes when something was sent or cut short.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.changed.notified()
    }

    pub(super) fn ether(&self) -> MutexGuard<'_, Ether> {
        self.0.ether.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ether {
    fn fate_of_next(&mut self, station: StationId) -> Fate {
        if let Some(left) = self.drop_of.get_mut(&station).filter(|left| **left > 0) {
            *left -= 1;
            Fate::Dropped
        } else if self.drop > 0 {
            self.drop -= 1;
            Fate::Dropped
        } else if self.jam > 0 {
            self.jam -= 1;
            Fate::Jammed
        } else {
            Fate::Clear
        }
    }

    /// How `to` hears `from`, if it does.
    pub(super) fn path(&self, from: StationId, to: StationId) -> Option<Path> {
        self.paths.get(&(from, to)).copied().unwrap_or(self.path)
    }

    /// Packets that reach `station` and may still last at `from`, the latest first.
    pub(super) fn heard_by(
        &self,
        station: StationId,
        from: Instant,
    ) -> impl Iterator<Item = &Transmission> {
        self.log
            .iter()
            .rev()
            .take_while(move |sent| sent.start + self.longest >= from)
            .filter(move |sent| sent.station != station && sent.fate != Fate::Dropped)
            .filter(move |sent| self.path(sent.station, station).is_some())
    }

    /// The remembered packet with the lowest number that is not below `number`.
    fn earliest_from(&self, number: u64) -> Option<Transmission> {
        if self.sent == number {
            return None;
        }
        self.log.iter().filter(|sent| sent.number >= number).min_by_key(|sent| sent.number).cloned()
    }

    /// The packet of this number, if it is remembered.
    pub(super) fn packet(&self, number: u64) -> Option<&Transmission> {
        self.log.iter().rev().find(|sent| sent.number == number)
    }
}

/// A station without a chip: for frames that no device stack makes.
#[derive(Debug, Clone)]
pub struct Station {
    air: Air,
    id: StationId,
}

impl Station {
    /// Its name on the air.
    pub fn id(&self) -> StationId {
        self.id
    }

    /// Sends at once, and returns when the packet is over. The sender does not look whether it
    /// sends already: two packets at once disturb each other.
    pub async fn send(&self, signal: Signal, bytes: &[u8]) -> Instant {
        let end = self.send_at(Instant::now(), signal, bytes);
        sleep_until(end).await;
        end
    }

    /// Announces a packet whose first symbol leaves at `start`, and returns its end.
    /// `start` must not lie in the past: receivers may have drawn their conclusions. What is
    /// beyond the 255 bytes of a LoRa packet is cut off.
    pub fn send_at(&self, start: Instant, signal: Signal, bytes: &[u8]) -> Instant {
        let bytes = bytes[..bytes.len().min(255)].to_vec();
        self.air.send(self.id, start, signal, Dbm(14.0), bytes).1
    }
}

/// Hears everything, one transmission after the other.
#[derive(Debug, Clone)]
pub struct Sniffer {
    air: Air,
    next: u64,
}

impl Sniffer {
    /// The next transmission, as soon as it is over. Cancel-safe. Waits for ever if none comes.
    ///
    /// A sniffer that lags so far behind that the air has forgotten goes on with what is there.
    pub async fn next(&mut self) -> Transmission {
        let air = self.air.clone();
        loop {
            let mut changed = std::pin::pin!(air.changed());
            changed.as_mut().enable();
            let found = self.air.ether().earliest_from(self.next);
            match found {
                Some(sent) if sent.end <= Instant::now() => {
                    self.next = sent.number + 1;
                    return sent;
                }
                Some(sent) => {
                    tokio::select! {
                        () = sleep_until(sent.end) => (),
                        () = changed => (),
                    }
                }
                None => changed.await,
            }
        }
    }
}
