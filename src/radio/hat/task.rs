//! The one radio task: receives without end, and sends at its time. The same for every chip,
//! real or emulated.

use super::modem::{conducted_power, modulation_params};
use super::schedule::{Planned, Schedule, tmst};
use super::standing::{Standing, Trouble, explain};
use super::tap::Notes;
use super::{Command, Counters, State};
use crate::clock::Moment;
use crate::config::RadioSettings;
use crate::radio::{
    AirEvent, Heard, Outlet, OutletError, Reception, Report, Transmission, TxError,
};
use crate::units::{GatewayEui, Hertz, LoRa as Modulation};
use lora_phy::mod_params::RadioError;
use lora_phy::mod_traits::RadioKind;
use lora_phy::{DelayNs, LoRa, RxMode};
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long before its time a transmission is set up. The radio is deaf from then on.
const PREPARE: Duration = Duration::from_millis(40);

/// Setting up a transmission takes 3 ms over SPI at 2 MHz: with less notice it is not begun.
const SETUP: Duration = Duration::from_millis(5);

/// The last 2 ms of a wait are spun away; and the third, to which tokio's timer rounds up.
const SPIN: Duration = Duration::from_millis(3);

/// How much longer than its time on air a transmission may take.
const TX_PATIENCE: Duration = Duration::from_secs(1);

/// What lora-phy allows an oscillator on DIO3 to start: the lead until there is a better one.
const TCXO_START: Duration = Duration::from_millis(10);

/// A longer lead is no oscillator, but a mistake in its measurement.
const MAX_LEAD: Duration = Duration::from_millis(20);

/// How long the last transmission may take at a stop.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How many reports may wait for the rest of the gateway: more than there can be transmissions.
const REPORTS: usize = 64;

/// How often a report is offered again.
const REPORT_RETRY: Duration = Duration::from_millis(100);

/// How often, when the gateway stops.
const REPORT_RETRIES_AT_STOP: u32 = 3;

/// How long the thread of a radio waits at most before it shows that it still turns.
const SHOWS: Duration = Duration::from_secs(5);

/// The longest frame takes three seconds in the air, and a chip that does not answer half of
/// one at each step of its set-up. A thread that is busy for longer hangs.
const BUSY: Duration = Duration::from_secs(30);

/// A radio that has worked this long without a fault is well again.
const STABLE: Duration = Duration::from_secs(300);

/// The first wait before a radio that could not be opened is tried again. It doubles …
const RETRY_MIN: Duration = Duration::from_secs(10);

/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// How an exact moment is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The last 2 ms are spun away: for a radio in the air.
    Exact,
    /// With the timer alone, to the millisecond: for emulated chips in virtual time, where a
    /// clock that is looked at does not go on.
    Timer,
}

impl Timing {
    async fn until(self, moment: Instant) {
        match self {
            Self::Timer => sleep_until(moment).await,
            Self::Exact => {
                sleep_until(moment - SPIN).await;
                while Instant::now() < moment {
                    std::hint::spin_loop();
                }
            }
        }
    }
}

/// A radio that has been opened: its driver, and what its tap notes.
pub struct Opened<RK: RadioKind, D: DelayNs> {
    /// The driver, initialised.
    pub lora: LoRa<RK, D>,
    /// The notes of the tap under it.
    pub notes: Arc<Notes>,
}

/// What a radio task is and whom it tells.
pub struct Task {
    /// What it is called in the journal.
    pub name: String,
    /// Chip, channel, power.
    pub settings: RadioSettings,
    /// Under which name it is a gateway.
    pub eui: GatewayEui,
    /// Where frames and reports go.
    pub outlet: Outlet,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// From the clock of the radio to the gateway's.
    pub moments: Box<dyn Fn(Instant) -> Moment + Send>,
    /// What is to be done.
    pub commands: mpsc::Receiver<Command>,
    /// Whether to stop.
    pub stop: watch::Receiver<bool>,
    /// How it waits.
    pub timing: Timing,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a radio is no longer driven.
enum End {
    Stopped,
    Failed(String),
}

/// What interrupts listening.
enum Next {
    Send,
    SetUp { gently: bool },
    Stable,
    Stop,
}

/// Why a transmission did not go out.
enum Failure {
    Late,
    /// After it had begun: told to stop.
    Stopped,
    /// Before it began.
    Radio(RadioError),
    /// After it had begun.
    Sending(RadioError),
}

impl From<RadioError> for Failure {
    fn from(error: RadioError) -> Self {
        Self::Radio(error)
    }
}

/// Faults that came in a row.
struct Faults {
    count: u32,
    last: Instant,
}

/// A task at work.
struct Work {
    task: Task,
    /// When its clock showed nought.
    epoch: Instant,
    schedule: Schedule,
    /// From the command to send to the first symbol.
    lead: Duration,
    /// What that was at the last transmission.
    measured: Option<Duration>,
    standing: Standing,
    /// Reports that the rest of the gateway had no room for.
    reports: VecDeque<Report>,
}

impl Task {
    /// Opens the radio, works with it, and opens it again when it has failed, until it shall
    /// stop. Each transmission that was commanded is reported, and once.
    pub async fn keep<RK: RadioKind, D: DelayNs>(
        self,
        mut open: impl AsyncFnMut() -> Result<Opened<RK, D>, String>,
    ) {
        let lead = if self.settings.tcxo.is_some() { TCXO_START } else { Duration::ZERO };
        self.counters.set_lead(lead);
        let standing = Standing::new(self.name.clone());
        let mut work = Work {
            task: self,
            epoch: Instant::now(),
            schedule: Schedule::default(),
            lead,
            measured: None,
            standing,
            reports: VecDeque::new(),
        };
        let mut wait = RETRY_MIN;
        loop {
            let begin = Instant::now();
            work.task.counters.pulse().begins("opens the radio", BUSY);
            let trouble = match open().await {
                Ok(Opened { lora, notes }) => {
                    work.task.counters.set_state(State::Up);
                    work.standing.up(&work.task.settings);
                    match work.drive(lora, &notes).await {
                        End::Stopped => None,
                        End::Failed(reason) => Some((Trouble::Failed, reason)),
                    }
                }
                Err(reason) => Some((Trouble::Missing, reason)),
            };
            work.task.counters.set_state(State::Down);
            while let Some(planned) = work.schedule.take() {
                work.report(planned.transmission.id, Err(TxError::NoWay));
            }
            let Some((trouble, reason)) = trouble else { break };
            if begin.elapsed() >= STABLE {
                wait = RETRY_MIN;
            }
            work.standing.down(trouble, &reason);
            if work.rest(wait).await {
                break;
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
        work.close().await;
        work.task.counters.pulse().ends();
    }
}

impl Work {
    /// Works with an open radio until it has failed or shall stop.
    async fn drive<RK: RadioKind, D: DelayNs>(
        &mut self,
        mut lora: LoRa<RK, D>,
        notes: &Notes,
    ) -> End {
        let mut faults = Faults { count: 0, last: Instant::now() };
        loop {
            let next = self.listen(&mut lora, notes, faults.last + STABLE).await;
            self.task.counters.pulse().begins("works the radio", BUSY);
            let step = match next {
                Ok(Next::Send) => self.send(&mut lora, notes).await,
                Ok(Next::SetUp { gently }) => self.set_up(&mut lora, notes, gently).await,
                Ok(Next::Stable) => {
                    self.standing.well();
                    Ok(())
                }
                Ok(Next::Stop) => {
                    // whatever it does just now, a reset ends it; one that does not obey is as
                    // silent as it can be
                    let _ = lora.init().await;
                    let _ = lora.sleep(false).await;
                    return End::Stopped;
                }
                Err(error) => Err(error),
            };
            if let Err(error) = step
                && let Err(reason) = self.recover(&mut lora, notes, &mut faults, error).await
            {
                return End::Failed(reason);
            }
        }
    }

    /// Receives until there is something else to do.
    async fn listen<RK: RadioKind, D: DelayNs>(
        &mut self,
        lora: &mut LoRa<RK, D>,
        notes: &Notes,
        stable: Instant,
    ) -> Result<Next, RadioError> {
        // between two transmissions that follow each other closely there is nothing to hear
        if *self.task.stop.borrow() {
            return Ok(Next::Stop);
        }
        if self.prepare_at().is_some_and(|at| at <= Instant::now()) {
            return Ok(Next::Send);
        }
        let channel = modulation_params(lora, self.modulation(), self.task.settings.channel.0)?;
        let packet = lora.create_rx_packet_params(8, false, 255, true, false, &channel)?;
        lora.prepare_for_rx(RxMode::Continuous, &channel, &packet).await?;
        let mut buffer = [0; 255];
        loop {
            let length = {
                // kept over commands: begun anew, it would lose the packet that is coming in
                let mut reception = pin!(lora.rx(&packet, &mut buffer));
                loop {
                    self.tell();
                    self.waits();
                    let prepare = self.prepare_at();
                    tokio::select! {
                        biased;
                        received = &mut reception => break received?.0,
                        () = stopped(&mut self.task.stop) => return Ok(Next::Stop),
                        () = sleep_until(prepare.unwrap_or(stable)), if prepare.is_some() => {
                            return Ok(Next::Send);
                        }
                        command = self.task.commands.recv() => match command {
                            Some(Command::Transmit(transmission)) => self.accept(transmission),
                            Some(Command::Reinit) => return Ok(Next::SetUp { gently: true }),
                            Some(Command::Reset) => return Ok(Next::SetUp { gently: false }),
                            None => return Ok(Next::Stop),
                        },
                        () = sleep(REPORT_RETRY), if !self.reports.is_empty() => {}
                        () = sleep_until(stable), if self.standing.is_troubled() => {
                            return Ok(Next::Stable);
                        }
                        () = sleep(SHOWS) => {}
                    }
                }
            };
            self.heard(buffer.get(..usize::from(length)).unwrap_or_default(), notes);
        }
    }

    /// When the next transmission is to be set up.
    fn prepare_at(&self) -> Option<Instant> {
        self.schedule.next().map(|at| self.epoch + at.saturating_sub(PREPARE))
    }

    /// Sends the next transmission, and reports it.
    async fn send<RK: RadioKind, D: DelayNs>(
        &mut self,
        lora: &mut LoRa<RK, D>,
        notes: &Notes,
    ) -> Result<(), RadioError> {
        let Some(planned) = self.schedule.take() else { return Ok(()) };
        let outcome = self.transmit(lora, notes, &planned).await;
        let (result, step) = match outcome {
            Ok(()) => (Ok(()), Ok(())),
            Err(Failure::Late) => (Err(TxError::TooLate), Ok(())),
            Err(Failure::Stopped) => (Err(TxError::Unsure), Ok(())),
            Err(Failure::Sending(error)) => (Err(TxError::Unsure), Err(error)),
            Err(Failure::Radio(error)) => (Err(TxError::Radio), Err(error)),
        };
        self.report(planned.transmission.id, result);
        step
    }

    async fn transmit<RK: RadioKind, D: DelayNs>(
        &mut self,
        lora: &mut LoRa<RK, D>,
        notes: &Notes,
        planned: &Planned,
    ) -> Result<(), Failure> {
        let Planned { transmission, at, airtime } = planned;
        let power = conducted_power(&self.task.settings, transmission)
            .expect("what cannot be sent is not accepted");
        let channel = modulation_params(lora, transmission.modulation, transmission.frequency)?;
        let mut packet = lora.create_tx_packet_params(8, false, false, true, &channel)?;
        lora.prepare_for_tx(&channel, &mut packet, power, &transmission.phy).await?;

        let start = self.epoch + at.saturating_sub(self.lead);
        self.task.timing.until(start).await;
        let begin = Instant::now();
        if begin > start + tolerance(transmission.modulation) {
            return Err(Failure::Late);
        }
        let stop = &mut self.task.stop;
        let last_words = async {
            stopped(stop).await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            biased;
            sent = timeout(*airtime + MAX_LEAD + TX_PATIENCE, lora.tx()) => {
                sent.unwrap_or(Err(RadioError::TransmitTimeout)).map_err(Failure::Sending)?;
            }
            // the reset at the stop, which comes next, ends the transmission
            () = last_words => return Err(Failure::Stopped),
        }
        // an end that was found late says nothing of the beginning
        let lead = notes.edge().saturating_duration_since(begin).saturating_sub(*airtime);
        if notes.untold() == 0 && lead <= MAX_LEAD {
            self.learn(lead);
        }
        Ok(())
    }

    /// The lesser of the last two measurements holds: a host that was busy with something else
    /// can only make one longer.
    fn learn(&mut self, measured: Duration) {
        let before = self.measured.replace(measured);
        self.lead = before.map_or(measured, |before| before.min(measured));
        self.task.counters.set_lead(self.lead);
    }

    /// Plans a transmission, or reports why not.
    fn accept(&mut self, transmission: Transmission) {
        let id = transmission.id;
        let planned = if conducted_power(&self.task.settings, &transmission).is_none() {
            Err(TxError::Impossible)
        } else {
            self.schedule.add(transmission, self.epoch.elapsed(), self.lead + SETUP)
        };
        if let Err(error) = planned {
            self.report(id, Err(error));
        }
    }

    fn heard(&mut self, phy: &[u8], notes: &Notes) {
        if notes.damaged() {
            return;
        }
        self.standing.edges(notes.untold(), &self.task.settings);
        let edge = notes.edge();
        let strength = notes.strength(self.task.settings.chip);
        let at = (self.task.moments)(edge);
        self.task.counters.packet_at(at);
        let heard = Heard {
            phy: phy.to_vec(),
            at,
            frequency: self.task.settings.channel.0,
            modulation: self.modulation(),
            code_rate: "4/5".into(),
            receptions: vec![Reception {
                gateway: self.task.eui,
                gateway_time: None,
                tmst: tmst(edge.saturating_duration_since(self.epoch)),
                rssi: strength.rssi,
                snr: strength.snr,
                channel: 0,
                rf_chain: 0,
            }],
        };
        // what there is no room for is counted there; and when the gateway stops, nobody waits for
        // it any more
        let _ = self.task.outlet.pass(AirEvent::Heard(heard));
    }

    fn report(&mut self, id: u64, result: Result<(), TxError>) {
        let counters = &self.task.counters;
        let counter = match result {
            Ok(()) => &counters.transmitted,
            Err(TxError::Radio | TxError::Unsure) => &counters.tx_failed,
            Err(_) => &counters.tx_refused,
        };
        counter.fetch_add(1, Relaxed);
        self.reports.push_back(Report { id, gateway: self.task.eui, result });
        self.tell();
        if self.reports.len() > REPORTS {
            self.reports.pop_front();
            self.task.counters.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Hands on what reports there are room for.
    fn tell(&mut self) {
        while let Some(report) = self.reports.front() {
            match self.task.outlet.pass(AirEvent::Sent(report.clone())) {
                Err(OutletError::Full) => return,
                Ok(()) | Err(OutletError::Closed) => self.reports.pop_front(),
            };
        }
    }

    async fn set_up<RK: RadioKind, D: DelayNs>(
        &mut self,
        lora: &mut LoRa<RK, D>,
        notes: &Notes,
        gently: bool,
    ) -> Result<(), RadioError> {
        let counters = &self.task.counters;
        let counter = if gently { &counters.reinits } else { &counters.resets };
        counter.fetch_add(1, Relaxed);
        notes.set_gently(gently);
        let done = lora.init().await;
        notes.set_gently(false);
        done
    }

    /// Sets the chip up again; if that was not enough, by its reset line. The third fault
    /// within five minutes is one that neither cures.
    async fn recover<RK: RadioKind, D: DelayNs>(
        &mut self,
        lora: &mut LoRa<RK, D>,
        notes: &Notes,
        faults: &mut Faults,
        mut error: RadioError,
    ) -> Result<(), String> {
        if faults.last.elapsed() >= STABLE {
            faults.count = 0;
        }
        loop {
            faults.count += 1;
            faults.last = Instant::now();
            let reason = explain(&error, notes, &self.task.settings);
            if faults.count > 2 {
                return Err(reason);
            }
            self.standing.fault(&reason);
            match self.set_up(lora, notes, faults.count == 1).await {
                Ok(()) => return Ok(()),
                Err(another) => error = another,
            }
        }
    }

    /// Shows that it only waits.
    fn waits(&self) {
        self.task.counters.pulse().begins("waits for the radio", SHOWS + BUSY);
    }

    /// Waits while there is no radio; whether it shall stop.
    async fn rest(&mut self, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        loop {
            self.tell();
            self.waits();
            tokio::select! {
                biased;
                () = stopped(&mut self.task.stop) => return true,
                () = sleep_until(end) => return false,
                () = sleep(SHOWS) => {}
                command = self.task.commands.recv() => match command {
                    Some(command) => self.refuse(command),
                    None => return true,
                },
                () = sleep(REPORT_RETRY), if !self.reports.is_empty() => {}
            }
        }
    }

    /// Takes no more commands, and reports what was still commanded.
    async fn close(&mut self) {
        self.task.commands.close();
        while let Some(command) = self.task.commands.recv().await {
            self.refuse(command);
        }
        for _ in 0..REPORT_RETRIES_AT_STOP {
            self.tell();
            if self.reports.is_empty() {
                return;
            }
            sleep(REPORT_RETRY).await;
        }
    }

    fn refuse(&mut self, command: Command) {
        match command {
            Command::Transmit(transmission) => self.report(transmission.id, Err(TxError::NoWay)),
            // it is set up anew in any case
            Command::Reinit | Command::Reset => {}
        }
    }

    fn modulation(&self) -> Modulation {
        Modulation {
            spreading_factor: self.task.settings.spreading_factor,
            bandwidth: Hertz(125_000),
        }
    }
}

/// How late an answer is still heard. A device with a good clock that needs six symbols of the
/// preamble hears one that is two symbols late (LoRaMac-node, RegionCommon.c: 3 ms at SF7, 66 ms
/// at SF12).
fn tolerance(modulation: Modulation) -> Duration {
    let symbol = Duration::from_secs(1 << modulation.spreading_factor) / modulation.bandwidth.0;
    2 * symbol
}

/// Waits until the gateway stops, or has died.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn exact_timing_is_never_early_and_does_not_wait_for_the_past() {
        for us in [0, 700, 2500, 3100] {
            let moment = Instant::now() + Duration::from_micros(us);
            Timing::Exact.until(moment).await;
            assert!(Instant::now() >= moment);
        }
    }
}
