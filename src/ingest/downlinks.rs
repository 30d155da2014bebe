//! Answers on their way: to the right gateway, in time, within the law.

use super::batch::Departure;
use crate::clock::Moment;
use crate::message;
use crate::radio::schedule::{self, Airtime, Failure, Order, Outcome, RxWindow, Schedule};
use crate::radio::{Report, Transmission, TxError};
use crate::store::StoreError;
use crate::store::airtime::AirtimeStore;
use crate::units::{Dbm, DevEui};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The power that answers are radiated with (ERP): what the law allows on every channel that
/// devices join on, and what they send with themselves.
const POWER: Dbm = Dbm(14.0);

/// What was sent more than an hour ago is of no concern.
const TIDY: Duration = Duration::from_secs(3600);

/// Hands a transmission to the front end of its gateway. Must not block.
pub type Transmit = Box<dyn FnMut(Transmission) -> Result<(), TxError> + Send>;

/// Which answer it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// To which device.
    pub dev_eui: DevEui,
    /// The downlink of an application that it carries, by its id, and the frame counter.
    pub carries: Option<(String, u32)>,
}

/// What became of an answer.
#[derive(Debug)]
pub(super) enum Fate {
    Sent { tag: Tag, transmission: Transmission },
    Failed { tag: Tag, reason: Failure },
}

/// The schedule, its memory, and the way out.
pub struct Downlinks {
    schedule: Schedule<Tag>,
    airtimes: Option<AirtimeStore>,
    file: PathBuf,
    transmit: Transmit,
    /// Whether the airtime could not be written the last time.
    failing: bool,
    /// When the airtime of the last hour next takes the place of all that was written.
    tidy_at: Duration,
}

impl fmt::Debug for Downlinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downlinks").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl Downlinks {
    /// Goes on with what was sent within the last hour, as this file knows it. A damaged one is
    /// set aside, and told of; with one that cannot be used nothing is sent until it can.
    pub fn open(file: &Path, now: Moment, transmit: Transmit) -> Self {
        // the time of the radios begins here
        let now = Moment { monotonic: Duration::ZERO, ..now };
        let mut downlinks = Self {
            schedule: Schedule::new(POWER),
            airtimes: None,
            file: file.to_owned(),
            transmit,
            failing: false,
            tidy_at: Duration::ZERO,
        };
        downlinks.tidy(now);
        downlinks
    }

    fn read(&mut self, now: Moment) -> Result<(), StoreError> {
        let (airtimes, aside) = AirtimeStore::open(&self.file, now.wall)?;
        if let Some(aside) = aside {
            log::error!(
                MESSAGE_ID = message::AIRTIME_SET_ASIDE,
                LYKTA_REASON = aside.reason.to_string();
                "what was sent before the restart is not known, and half of each hour counts as \
                 used: {}; the file is kept as {}", aside.reason, aside.file.display()
            );
            self.schedule.assume_half_used(now.monotonic);
        }
        self.schedule.import(airtimes.load()?, now);
        self.airtimes = Some(airtimes);
        Ok(())
    }

    /// Now and then, what has grown old goes from the disk; a file that could not be opened is
    /// tried again.
    pub(super) fn tidy(&mut self, now: Moment) {
        if self.airtimes.is_none() {
            let read = self.read(now);
            self.note(read);
        }
        if now.monotonic >= self.tidy_at
            && let Some(airtimes) = &mut self.airtimes
        {
            self.tidy_at = now.monotonic + TIDY;
            let replaced = airtimes.replace(&self.schedule.export(now));
            self.note(replaced);
        }
    }

    /// Takes airtime out of the file that was not used.
    fn forget(&mut self, unused: Option<Airtime>) {
        if let (Some(unused), Some(airtimes)) = (unused, &mut self.airtimes) {
            let removed = airtimes.remove(&unused);
            self.note(removed);
        }
    }

    /// Puts airtime into the file; whether it is there.
    fn remember(&mut self, airtime: &Airtime) -> bool {
        let Some(airtimes) = &mut self.airtimes else { return false };
        let kept = airtimes.add(airtime);
        self.note(kept).is_some()
    }

    /// What was sent, and what was not.
    pub(super) fn schedule(&self) -> &Schedule<Tag> {
        &self.schedule
    }

    /// Sends an answer, or begins to. What became of it, if that is known at once.
    pub(super) fn answer(&mut self, departure: Departure, now: Moment) -> Option<Fate> {
        let Departure { dev_eui, answer, receptions, ended } = departure;
        let tag = Tag { dev_eui, carries: answer.carries };
        let windows = answer.windows.iter().map(|window| schedule::Window {
            rx: if window.second { RxWindow::Rx2 } else { RxWindow::Rx1 },
            delay: window.delay,
            frequency: window.frequency,
            modulation: window.modulation,
        });
        let answer = schedule::Answer { phy: answer.phy, windows: windows.collect() };
        let outcome = self.schedule.answer(answer, &receptions, ended, tag, now);
        self.follow(outcome, now)
    }

    /// What became of an answer, with this report.
    pub(super) fn report(&mut self, report: &Report, now: Moment) -> Option<Fate> {
        let step = self.schedule.report(report, now)?;
        self.forget(step.unused);
        self.follow(step.outcome, now)
    }

    /// An answer of which no front end reported in time; to be asked until there is none.
    pub(super) fn take_overdue(&mut self, now: Moment) -> Option<Fate> {
        match self.schedule.take_overdue(now.monotonic)? {
            Outcome::Failed { tag, reason } => Some(Fate::Failed { tag, reason }),
            other => self.follow(other, now),
        }
    }

    /// When that is to be asked.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.schedule.next_due()
    }

    /// Tells of duty cycles that were reached.
    pub(super) fn tell_reached(&mut self) {
        while let Some(reached) = self.schedule.take_reached() {
            log::warn!(
                MESSAGE_ID = message::DUTY_CYCLE_REACHED,
                LYKTA_CONCENTRATOR = reached.gateway.to_string(),
                LYKTA_BAND = reached.band.name;
                "gateway {} has sent as much between {} MHz as the law allows for this hour: \
                 devices wait for answers", reached.gateway, reached.band.name
            );
        }
    }

    /// Hands transmissions over until one is taken, or none is left.
    fn follow(&mut self, mut outcome: Outcome<Tag>, now: Moment) -> Option<Fate> {
        loop {
            match outcome {
                Outcome::Sent { tag, order, .. } => {
                    return Some(Fate::Sent { tag, transmission: order.transmission });
                }
                Outcome::Failed { tag, reason } => return Some(Fate::Failed { tag, reason }),
                Outcome::Transmit(Order { transmission, airtime }) => {
                    let (id, gateway) = (transmission.id, transmission.gateway);
                    // what cannot be remembered may not be sent: the law holds after a restart
                    let result = if self.remember(&airtime) {
                        (self.transmit)(transmission)
                    } else {
                        Err(TxError::Refused)
                    };
                    let Err(error) = result else { return None };
                    let report = Report { id, gateway, result: Err(error) };
                    let step = self.schedule.report(&report, now)?;
                    self.forget(step.unused);
                    outcome = step.outcome;
                }
            }
        }
    }

    /// Tells operations when the disk begins or ceases to fail.
    fn note(&mut self, result: Result<(), StoreError>) -> Option<()> {
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    log::info!(
                        MESSAGE_ID = message::STORE_WORKS;
                        "the disk takes the airtime again, and devices are answered"
                    );
                }
                Some(())
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    log::error!(
                        MESSAGE_ID = message::STORE_FAILED, LYKTA_REASON = error.to_string();
                        "the airtime cannot be kept, so no device is answered: {error}; is the \
                         disk full, read-only or broken?"
                    );
                }
                None
            }
        }
    }
}
