//! The part that both chips have in common: a LoRa modem that sends or listens.
//!
//! A modem does nothing by itself. Whoever looks at the chip, over SPI or at a pin, first asks the
//! modem what has happened up to now ([`Modem::happened`]); whoever waits for a pin asks when
//! something will ([`Modem::next`]). So there are no tasks, events carry their exact instants
//! although tokio's timer wakes up to a millisecond later, and the same calls give the same
//! events in virtual and in real time.

use super::air::{Air, Ether, Fate, Path, StationId, Transmission};
use super::signal::Signal;
use crate::units::Dbm;
use std::time::Duration;
use tokio::time::Instant;

/// What a modem tells its chip.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The packet is out.
    Sent,
    /// The transmission took longer than it was allowed to.
    SendTimeout,
    /// A preamble is certain.
    Preamble,
    /// A header came, and its own checksum fits or not. In the latter case the packet is lost.
    Header { valid: bool },
    /// A packet is complete.
    Received(Received),
    /// Nothing came in time.
    ReceiveTimeout,
}

/// A packet as the modem received it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    /// The packet's checksum does not fit. A corrupt packet without a checksum passes.
    pub(super) crc_error: bool,
    pub(super) path: Path,
}

/// How long a receiver goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    /// It stops after one packet.
    pub(super) once: bool,
    /// A preamble must be certain by then.
    pub(super) preamble_by: Option<Instant>,
    /// A header must be there by then.
    pub(super) header_by: Option<Instant>,
}

enum Activity {
    Idle,
    Sending { number: u64, end: Instant, timeout: Option<Instant> },
    Listening { tuning: Signal, since: Instant, patience: Patience, locked: Option<Lock> },
}

/// The packet that a receiver follows.
struct Lock {
    number: u64,
    /// When the header that is expected will be there, and whether it is one.
    header: Option<(Instant, bool)>,
    end: Instant,
}

pub(super) struct Modem {
    air: Air,
    station: StationId,
    activity: Activity,
    /// Notices nothing of what is on the air.
    pub(super) deaf: bool,
}

impl Modem {
    pub(super) fn new(air: Air, station: StationId) -> Self {
        Self { air, station, activity: Activity::Idle, deaf: false }
    }

    /// Sends, with the first symbol at `start`.
    pub(super) fn send(
        &mut self,
        start: Instant,
        signal: Signal,
        power: Dbm,
        bytes: Vec<u8>,
        timeout: Option<Duration>,
    ) {
        let (number, end) = self.air.send(self.station, start, signal, power, bytes);
        let timeout = timeout.map(|limit| start + limit).filter(|limit| *limit < end);
        self.activity = Activity::Sending { number, end, timeout };
    }

    /// Listens from `since` on.
    pub(super) fn listen(&mut self, since: Instant, tuning: Signal, patience: Patience) {
        self.activity = Activity::Listening { tuning, since, patience, locked: None };
    }

    /// Stops whatever it does. A packet that is being sent ends here.
    pub(super) fn stop(&mut self, now: Instant) {
        if let Activity::Sending { number, end, .. } = self.activity
            && now < end
        {
            self.air.cut(number, now);
        }
        self.activity = Activity::Idle;
    }

    /// Whether a packet is being followed.
    pub(super) fn receives(&self) -> bool {
        matches!(self.activity, Activity::Listening { locked: Some(_), .. })
    }

    /// When the next event is due, as far as the air knows by now.
    pub(super) fn next(&self) -> Option<Instant> {
        self.outlook(&self.air.ether()).map(|(at, _)| at)
    }

    /// The next event that has happened up to `now`, and when it did.
    pub(super) fn happened(&mut self, now: Instant) -> Option<(Instant, Event)> {
        let air = self.air.clone();
        let ether = air.ether();
        let (at, next) = self.outlook(&ether).filter(|(at, _)| *at <= now)?;
        let event = match next {
            Next::Sent => {
                self.activity = Activity::Idle;
                Event::Sent
            }
            Next::SendTimeout(number) => {
                self.activity = Activity::Idle;
                drop(ether);
                air.cut(number, at);
                Event::SendTimeout
            }
            Next::ReceiveTimeout => {
                self.activity = Activity::Idle;
                Event::ReceiveTimeout
            }
            Next::Preamble(lock) => {
                if let Activity::Listening { locked, .. } = &mut self.activity {
                    *locked = Some(lock);
                }
                Event::Preamble
            }
            Next::Header { valid } => {
                if let Activity::Listening { since, locked, .. } = &mut self.activity {
                    match locked {
                        Some(lock) if valid => lock.header = None,
                        _ => (*locked, *since) = (None, at),
                    }
                }
                Event::Header { valid }
            }
            Next::Received(number) => {
                let Activity::Listening { tuning, since, patience, locked } = &mut self.activity
                else {
                    return None;
                };
                (*locked, *since) = (None, at);
                let packet = received(&ether, self.station, tuning, number);
                if patience.once {
                    self.activity = Activity::Idle;
                }
                Event::Received(packet?)
            }
        };
        Some((at, event))
    }

    fn outlook(&self, ether: &Ether) -> Option<(Instant, Next)> {
        match &self.activity {
            Activity::Idle => None,
            Activity::Sending { number, timeout: Some(timeout), .. } => {
                Some((*timeout, Next::SendTimeout(*number)))
            }
            Activity::Sending { end, .. } => Some((*end, Next::Sent)),
            Activity::Listening { patience, locked: Some(lock), .. } => Some(match lock.header {
                Some((header, valid)) => match patience.header_by {
                    Some(limit) if limit < header => (limit, Next::ReceiveTimeout),
                    _ => (header, Next::Header { valid }),
                },
                None => (lock.end, Next::Received(lock.number)),
            }),
            Activity::Listening { tuning, since, patience, locked: None } => {
                let limit = match (patience.preamble_by, patience.header_by) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                let heard = if self.deaf { None } else { self.first(ether, tuning, *since) };
                match (heard, limit) {
                    (Some((at, lock)), limit) if limit.is_none_or(|limit| at <= limit) => {
                        Some((at, Next::Preamble(lock)))
                    }
                    (_, limit) => limit.map(|limit| (limit, Next::ReceiveTimeout)),
                }
            }
        }
    }

    /// The first packet that a receiver tuned like this notices.
    fn first(&self, ether: &Ether, tuning: &Signal, since: Instant) -> Option<(Instant, Lock)> {
        ether
            .heard_by(self.station, since)
            .filter(|sent| tuning.notices(&sent.signal))
            .filter_map(|sent| {
                let late = since.saturating_duration_since(sent.start);
                let detected = sent.start + sent.signal.detection_time(late)?;
                (detected < sent.end).then_some((detected, sent))
            })
            .min_by_key(|(detected, sent)| (*detected, sent.number))
            .map(|(detected, sent)| {
                let header = tuning
                    .explicit_header
                    .then(|| (sent.start + sent.signal.header_time(), sent.signal.explicit_header));
                // a packet that is cut short is demodulated to the end that its header promised
                let end = sent.start + sent.signal.time_on_air(sent.bytes.len());
                (detected, Lock { number: sent.number, header, end })
            })
    }
}

/// What comes next.
enum Next {
    Sent,
    SendTimeout(u64),
    ReceiveTimeout,
    Preamble(Lock),
    Header { valid: bool },
    Received(u64),
}

fn received(ether: &Ether, to: StationId, tuning: &Signal, number: u64) -> Option<Received> {
    let sent = ether.packet(number)?;
    let path = ether.path(sent.station, to)?;
    let corrupt = matches!(sent.fate, Fate::Jammed | Fate::Cut)
        || !tuning.understands(&sent.signal)
        || disturbed(ether, to, sent);
    let mut bytes = sent.bytes.clone();
    if corrupt {
        // the same mess in every run, and only from the middle on: who sent it can still be read
        let middle = bytes.len() / 2;
        bytes[middle..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    }
    let crc = if sent.signal.explicit_header { sent.signal.crc } else { tuning.crc };
    Some(Received { bytes, crc_error: corrupt && crc, path })
}

/// Whether something else that reaches the receiver overlaps this packet.
fn disturbed(ether: &Ether, to: StationId, packet: &Transmission) -> bool {
    ether.heard_by(to, packet.start).any(|other| {
        other.number != packet.number
            && other.start < packet.end
            && packet.start < other.end
            && other.signal.disturbs(&packet.signal)
    })
}
