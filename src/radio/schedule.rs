//! Who answers an uplink, and when: the first window if it can be, else the second, by the best
//! receiver that the law lets send.
//!
//! Pure. Each answer has one outcome. A transmission comes out as an [`Order`], together with
//! the airtime that has to be on disk before it may leave: what was sent must be known after a
//! power cut, what was not may be known as well.

mod outcome;

pub use outcome::{
    Airtime, Answer, Counts, Failure, Order, Outcome, Reached, RxWindow, Step, Window,
};

use super::{Reception, Report, Transmission, TxError};
use crate::clock::Moment;
use crate::eu868::ledger::{Ledger, Record, Refused, Reservation};
use crate::eu868::{SubBand, sub_band, time_on_air};
use crate::units::{Dbm, GatewayEui};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long before its start a transmission must be handed over. A concentrator's forwarder
/// wants it 30 to 40 ms ahead and the datagram needs its way; a HAT prepares 40 ms ahead. How
/// long the uplink was on its way from a concentrator nobody knows: where that is much, the
/// forwarder says "too late", and the next choice is tried.
pub const LEAD: Duration = Duration::from_millis(60);

/// Of how many receivers each window is tried: one that hears a device worse than three others
/// is hardly heard by it.
const RECEIVERS: usize = 3;

/// How long after a transmission should have started its report is waited for.
const REPORT_PATIENCE: Duration = Duration::from_secs(5);

/// Of how many gateways airtime is kept. Idle ones make room for new ones.
const MAX_GATEWAYS: usize = 128;

/// How many transmissions may be on their way.
const MAX_PENDING: usize = 256;

/// Part of the budget, in thousandths, that counts as used when what was sent is not known.
const UNKNOWN_PERMILLE: u32 = 500;

/// The share of a sub-band's hour below which its duty cycle is no longer called reached.
const FREE_AGAIN: f64 = 0.5;

/// Decides who answers and when, and keeps each gateway within the law.
///
/// A transmission of which no report comes is given up some seconds after its
/// time. It may have been sent, so its airtime stays counted, and it is not tried again.
#[derive(Debug)]
pub struct Schedule<T> {
    power: Dbm,
    transmitters: HashMap<GatewayEui, Transmitter>,
    /// In the order of their numbers.
    pending: BTreeMap<u64, Pending<T>>,
    next_id: u64,
    /// Until when, for want of knowledge, a gateway begins with part of its hour used up, and
    /// since when.
    unknown: Option<Duration>,
    reached: Vec<Reached>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Transmitter {
    ledger: Ledger,
    /// The sub-bands of which it was told that their duty cycle is reached.
    told: Vec<&'static SubBand>,
}

#[derive(Debug)]
struct Pending<T> {
    course: Course<T>,
    reservation: Reservation,
    order: Order,
    window: RxWindow,
    /// When to give up waiting for the report.
    expires: Duration,
}

/// An answer on its way through its choices.
#[derive(Debug)]
struct Course<T> {
    tag: T,
    answer: Answer,
    receivers: Vec<(GatewayEui, u32)>,
    ended: Duration,
    /// The next choice: windows × receivers, RX1 first.
    choice: usize,
    /// Why the first choice failed.
    reason: Option<Failure>,
}

impl<T> Schedule<T> {
    /// Nothing was sent. `power` is the greatest power that any gateway is to radiate (ERP); the
    /// law may be stricter.
    pub fn new(power: Dbm) -> Self {
        Self {
            power,
            transmitters: HashMap::new(),
            pending: BTreeMap::new(),
            next_id: 1,
            unknown: None,
            reached: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Finds a time and a gateway for an answer to an uplink that ended at `ended` (monotonic)
    /// and was received so, best first.
    pub fn answer(
        &mut self,
        answer: Answer,
        receptions: &[Reception],
        ended: Duration,
        tag: T,
        now: Moment,
    ) -> Outcome<T> {
        let receivers = receptions.iter().take(RECEIVERS).map(|r| (r.gateway, r.tmst)).collect();
        let course = Course { tag, answer, receivers, ended, choice: 0, reason: None };
        if self.pending.len() >= MAX_PENDING {
            self.counts.crowded += 1;
            return self.fail(course, Failure::Crowded);
        }
        self.proceed(course, now)
    }

    /// Takes a report in. None: it is about nothing that is waited for.
    pub fn report(&mut self, report: &Report, now: Moment) -> Option<Step<T>> {
        let pending = self.pending.get(&report.id)?;
        if pending.order.transmission.gateway != report.gateway {
            return None;
        }
        let Pending { mut course, reservation, order, window, .. } =
            self.pending.remove(&report.id)?;
        match report.result {
            Ok(()) => {
                match window {
                    RxWindow::Rx1 => self.counts.rx1 += 1,
                    RxWindow::Rx2 => self.counts.rx2 += 1,
                }
                let outcome = Outcome::Sent { tag: course.tag, window, order };
                Some(Step { unused: None, outcome })
            }
            // it may have been on the air: its airtime stays counted, and no other is tried
            Err(error @ TxError::Unsure) => {
                self.counts.errors += 1;
                let outcome = self.fail(course, Failure::Gateway(error));
                Some(Step { unused: None, outcome })
            }
            Err(error) => {
                self.counts.errors += 1;
                if let Some(transmitter) = self.transmitters.get_mut(&report.gateway) {
                    transmitter.ledger.release(reservation);
                }
                course.reason.get_or_insert(Failure::Gateway(error));
                let outcome = self.proceed(course, now);
                Some(Step { unused: Some(order.airtime), outcome })
            }
        }
    }

    /// The next transmission whose report is overdue; to be asked until there is none.
    pub fn take_overdue(&mut self, now: Duration) -> Option<Outcome<T>> {
        let due = self.pending.iter().find(|(_, pending)| pending.expires <= now);
        let id = due.map(|(id, _)| *id)?;
        let pending = self.pending.remove(&id)?;
        self.counts.unreported += 1;
        Some(self.fail(pending.course, Failure::NoReport))
    }

    /// When to ask for what is overdue.
    pub fn next_due(&self) -> Option<Duration> {
        self.pending.values().map(|pending| pending.expires).min()
    }

    /// A duty cycle that has been reached since this was last asked. Told once, until the
    /// sub-band is half free again.
    pub fn take_reached(&mut self) -> Option<Reached> {
        self.reached.pop()
    }

    /// What happened since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The airtime of each gateway that has sent.
    pub fn ledgers(&self) -> impl Iterator<Item = (GatewayEui, &Ledger)> {
        self.transmitters.iter().map(|(gateway, transmitter)| (*gateway, &transmitter.ledger))
    }

    /// What has to be known after a restart: to replace, at the start and now and then, what
    /// has piled up on the disk.
    pub fn export(&self, now: Moment) -> Vec<Airtime> {
        let of = |(gateway, ledger): (GatewayEui, &Ledger)| {
            ledger.export(now).into_iter().map(move |record| Airtime { gateway, record })
        };
        self.ledgers().flat_map(of).collect()
    }

    /// Takes in what was sent before the restart.
    pub fn import(&mut self, rows: impl IntoIterator<Item = Airtime>, now: Moment) {
        let mut by_gateway: HashMap<_, Vec<_>> = HashMap::new();
        for Airtime { gateway, record } in rows {
            by_gateway.entry(gateway).or_default().push(record);
        }
        for (gateway, records) in by_gateway {
            if let Some(transmitter) = self.transmitter(gateway, now.monotonic) {
                transmitter.ledger.import(records, now);
            }
        }
    }

    /// Begins as if every gateway had just used half of each hour: for when what was sent
    /// before the restart is lost. Full would be sure, but leaves devices without answers for
    /// an hour, and gateways use a small part of it; none would be no caution at all.
    pub fn assume_half_used(&mut self, now: Duration) {
        self.unknown = Some(now);
        for transmitter in self.transmitters.values_mut() {
            transmitter.ledger.assume_used(now, UNKNOWN_PERMILLE);
        }
    }

    fn proceed(&mut self, mut course: Course<T>, now: Moment) -> Outcome<T> {
        while let Some((window, (gateway, tmst))) = course.next() {
            match self.place(&course, window, gateway, tmst, now) {
                Ok((order, reservation, expires)) => {
                    let id = order.transmission.id;
                    let pending = Pending {
                        course,
                        reservation,
                        order: order.clone(),
                        window: window.rx,
                        expires,
                    };
                    self.pending.insert(id, pending);
                    return Outcome::Transmit(order);
                }
                Err(failure) => {
                    self.count(failure);
                    course.reason.get_or_insert(failure);
                }
            }
        }
        let reason = course.reason.unwrap_or(Failure::NoReceiver);
        self.fail(course, reason)
    }

    /// Tries one choice.
    fn place(
        &mut self,
        course: &Course<T>,
        window: Window,
        gateway: GatewayEui,
        tmst: u32,
        now: Moment,
    ) -> Result<(Order, Reservation, Duration), Failure> {
        let Window { delay, frequency, modulation, .. } = window;
        let start = course.ended + delay;
        if start < now.monotonic + LEAD {
            return Err(Failure::TooLate);
        }
        let band = sub_band(frequency, modulation.bandwidth).ok_or(Refused::NoBand)?;
        let airtime = time_on_air(modulation, course.answer.phy.len(), false);
        let transmitter = self.transmitter(gateway, now.monotonic).ok_or(Failure::Crowded)?;
        let reserved =
            transmitter.ledger.reserve(now.monotonic, start, frequency, modulation, airtime);
        let reached = transmitter.note(band, &reserved, now.monotonic);
        if reached && self.reached.len() < MAX_GATEWAYS {
            self.reached.push(Reached { gateway, band });
        }
        let reservation = reserved?;
        let id = self.next_id;
        self.next_id += 1;
        let wall = now.wall.checked_add(start - now.monotonic).unwrap_or(now.wall);
        let order = Order {
            transmission: Transmission {
                id,
                gateway,
                tmst: tmst.wrapping_add(delay.as_micros() as u32),
                frequency,
                modulation,
                power: Dbm(self.power.0.min(band.power.0)),
                phy: course.answer.phy.clone(),
            },
            airtime: Airtime {
                gateway,
                record: Record { start: wall, clock: now.quality, airtime, frequency },
            },
        };
        Ok((order, reservation, start + airtime + REPORT_PATIENCE))
    }

    /// The gateway's airtime; None when there are too many gateways, all of which sent lately.
    fn transmitter(&mut self, gateway: GatewayEui, now: Duration) -> Option<&mut Transmitter> {
        if !self.transmitters.contains_key(&gateway) {
            if self.transmitters.len() >= MAX_GATEWAYS {
                self.transmitters.retain(|_, transmitter| !transmitter.ledger.is_idle(now));
            }
            if self.transmitters.len() >= MAX_GATEWAYS {
                return None;
            }
            let mut transmitter = Transmitter::default();
            if let Some(since) = self.unknown {
                transmitter.ledger.assume_used(since, UNKNOWN_PERMILLE);
            }
            self.transmitters.insert(gateway, transmitter);
        }
        self.transmitters.get_mut(&gateway)
    }

    fn count(&mut self, failure: Failure) {
        let counter = match failure {
            Failure::TooLate => &mut self.counts.late,
            Failure::Refused(Refused::DutyCycle { .. }) => &mut self.counts.duty_cycle,
            Failure::Refused(Refused::Overlap) => &mut self.counts.overlap,
            Failure::Refused(Refused::NoBand) => &mut self.counts.no_band,
            Failure::Crowded => &mut self.counts.crowded,
            Failure::Gateway(_) => &mut self.counts.errors,
            Failure::NoReport => &mut self.counts.unreported,
            Failure::NoReceiver => return,
        };
        *counter += 1;
    }

    fn fail(&mut self, course: Course<T>, reason: Failure) -> Outcome<T> {
        self.counts.failed += 1;
        Outcome::Failed { tag: course.tag, reason }
    }
}

impl<T> Course<T> {
    fn next(&mut self) -> Option<(Window, (GatewayEui, u32))> {
        let count = self.receivers.len();
        let window = *self.answer.windows.get(self.choice.checked_div(count)?)?;
        let receiver = self.receivers[self.choice % count];
        self.choice += 1;
        Some((window, receiver))
    }
}

impl Transmitter {
    /// Whether it is news that this sub-band's duty cycle is reached.
    fn note(
        &mut self,
        band: &'static SubBand,
        reserved: &Result<Reservation, Refused>,
        now: Duration,
    ) -> bool {
        match reserved {
            Err(Refused::DutyCycle { free_at: Some(_) }) if !self.told.contains(&band) => {
                self.told.push(band);
                true
            }
            Ok(_) if self.told.contains(&band) => {
                let mut usage = self.ledger.usage(now);
                if usage.any(|usage| usage.band == band && usage.share() < FREE_AGAIN) {
                    self.told.retain(|told| *told != band);
                }
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
