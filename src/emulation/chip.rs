//! A chip on its board: what both kinds share, and the handle by which tests and demo hold it.

use super::air::{Air, StationId};
use super::fault::{Cure, Fault, Faults};
use super::modem::{Event, Modem};
use super::pins::{EmuPin, Line};
use super::spi::EmuSpi;
use super::{sx1262, sx1276};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What is soldered around the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// The clock is a TCXO that the chip's DIO3 has to switch on (SX1262 only).
    pub tcxo: bool,
    /// How the antenna gets from receiver to amplifier.
    pub antenna: Antenna,
}

/// Who switches the antenna.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Antenna {
    /// Nobody has to.
    Fixed,
    /// The chip's DIO2, if it is told to (SX1262 only).
    Dio2,
    /// Two lines from the host: [`EmuChip::rx_switch`] and [`EmuChip::tx_switch`].
    Lines,
}

impl Default for Board {
    /// As most SX1262 HATs are: a TCXO on DIO3, the antenna on DIO2.
    fn default() -> Self {
        Self { tcxo: true, antenna: Antenna::Dio2 }
    }
}

/// What both kinds of chip have, to be used by their logic.
pub(super) struct Core {
    pub(super) air: Air,
    pub(super) station: StationId,
    pub(super) board: Board,
    pub(super) modem: Modem,
    pub(super) faults: Faults,
    /// Level of the reset line; the chip is held in reset while it is low.
    reset: bool,
    pub(super) rx_switch: bool,
    pub(super) tx_switch: bool,
    dio: bool,
    edges: u64,
    edge: Option<Instant>,
}

/// What a kind of chip does by itself.
pub(super) trait Logic: Send {
    /// One SPI transaction: what comes back for these bytes, one for one.
    fn transfer(&mut self, core: &mut Core, now: Instant, mosi: &[u8]) -> Vec<u8>;
    /// Something happened to the modem.
    fn event(&mut self, core: &mut Core, event: Event);
    /// Power on, or the end of a reset.
    fn reset(&mut self, core: &mut Core, now: Instant);
    /// Level of the interrupt line (DIO1 of the SX1262, DIO0 of the SX1276).
    fn dio(&self) -> bool;
    /// Whether the chip takes commands.
    fn busy(&self) -> Busy;
}

/// State of the BUSY line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    Ready,
    Until(Instant),
    Asleep,
}

impl Core {
    pub(super) fn violation(&self, now: Instant, what: impl Into<String>) {
        self.air.violation(self.station, now, what);
    }

    /// The driver sets the chip up.
    pub(super) fn set_up(&mut self) {
        self.faults.set_up();
        self.modem.deaf = self.faults.has(Fault::Deaf);
    }

    /// Notes that the antenna stands wrong for sending or receiving.
    pub(super) fn check_antenna(&self, now: Instant, sending: bool, dio2: bool) {
        let right = match self.board.antenna {
            Antenna::Fixed => true,
            Antenna::Dio2 => dio2,
            Antenna::Lines => self.tx_switch == sending && self.rx_switch != sending,
        };
        if !right {
            let doing = if sending { "sends" } else { "receives" };
            self.violation(now, format!("{doing} while the antenna is switched elsewhere"));
        }
    }

    fn set_dio(&mut self, level: bool, at: Instant) {
        if level && !self.dio && !self.faults.has(Fault::LoseEdges) {
            self.edges += 1;
            self.edge = Some(at);
        }
        self.dio = level;
    }
}

struct State {
    core: Core,
    logic: Box<dyn Logic>,
}

impl State {
    fn advance(&mut self, now: Instant) {
        while let Some((at, event)) = self.core.modem.happened(now) {
            self.logic.event(&mut self.core, event);
            self.core.set_dio(self.logic.dio(), at);
        }
    }

    fn busy(&self, now: Instant) -> bool {
        let by_itself = match self.logic.busy() {
            Busy::Ready => false,
            Busy::Until(ready) => now < ready,
            Busy::Asleep => true,
        };
        let hangs = self.core.faults.has(Fault::HangBusy) || !self.core.reset;
        self.core.faults.dead().is_none() && (by_itself || hangs)
    }

    fn level(&self, line: Line, now: Instant) -> bool {
        match line {
            Line::Reset => self.core.reset,
            Line::Busy => self.busy(now),
            Line::Dio => self.core.dio,
            Line::RxSwitch => self.core.rx_switch,
            Line::TxSwitch => self.core.tx_switch,
        }
    }
}

/// An emulated radio chip. A handle: clones are the same chip.
#[derive(Clone)]
pub struct EmuChip(Arc<Shared>);

struct Shared {
    air: Air,
    station: StationId,
    state: Mutex<State>,
    /// The host did something to the chip.
    touched: Notify,
}

impl fmt::Debug for EmuChip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmuChip").field(&self.0.station).finish()
    }
}

impl EmuChip {
    /// An SX1262 that was just switched on.
    pub fn sx1262(air: &Air, board: Board) -> Self {
        Self::new(air, board, Box::new(sx1262::Sx1262::default()))
    }

    /// An SX1276 that was just switched on. It never needs [`Board::tcxo`], nor has it a DIO2
    /// for the antenna.
    pub fn sx1276(air: &Air, antenna: Antenna) -> Self {
        Self::new(air, Board { tcxo: false, antenna }, Box::new(sx1276::Sx1276::default()))
    }

    fn new(air: &Air, board: Board, mut logic: Box<dyn Logic>) -> Self {
        let station = air.join();
        let mut core = Core {
            air: air.clone(),
            station,
            board,
            modem: Modem::new(air.clone(), station),
            faults: Faults::default(),
            reset: true,
            rx_switch: false,
            tx_switch: false,
            dio: false,
            edges: 0,
            edge: None,
        };
        logic.reset(&mut core, Instant::now());
        let state = Mutex::new(State { core, logic });
        Self(Arc::new(Shared { air: air.clone(), station, state, touched: Notify::new() }))
    }

    /// Its name on the air.
    pub fn station(&self) -> StationId {
        self.0.station
    }

    /// Its SPI device.
    pub fn spi(&self) -> EmuSpi {
        EmuSpi(self.clone())
    }

    /// NRESET, active low. It has a pull-up.
    pub fn reset_pin(&self) -> EmuPin {
        EmuPin::new(self.clone(), Line::Reset)
    }

    /// BUSY, which an SX1276 does not have.
    pub fn busy_pin(&self) -> EmuPin {
        EmuPin::new(self.clone(), Line::Busy)
    }

    /// The interrupt line: DIO1 of the SX1262, DIO0 of the SX1276.
    pub fn dio_pin(&self) -> EmuPin {
        EmuPin::new(self.clone(), Line::Dio)
    }

    /// Puts the receiver on the antenna ([`Antenna::Lines`]).
    pub fn rx_switch(&self) -> EmuPin {
        EmuPin::new(self.clone(), Line::RxSwitch)
    }

    /// Puts the amplifier on the antenna ([`Antenna::Lines`]).
    pub fn tx_switch(&self) -> EmuPin {
        EmuPin::new(self.clone(), Line::TxSwitch)
    }

    /// Breaks the chip, until it is cured in this way or repaired.
    pub fn break_down(&self, fault: Fault, cure: Cure) {
        let now = Instant::now();
        let mut state = self.state(now);
        let State { core, logic } = &mut *state;
        core.faults.add(fault, cure);
        core.modem.deaf = core.faults.has(Fault::Deaf);
        if matches!(fault, Fault::Dead(_)) {
            core.modem.stop(now);
            logic.reset(core, now);
            core.set_dio(false, now);
        }
        drop(state);
        self.0.touched.notify_waiters();
    }

    /// Takes all faults away. A dead chip is switched on.
    pub fn repair(&self) {
        let now = Instant::now();
        let mut state = self.state(now);
        let State { core, logic } = &mut *state;
        if core.faults.dead().is_some() {
            logic.reset(core, now);
        }
        core.faults = Faults::default();
        core.modem.deaf = false;
        drop(state);
        self.0.touched.notify_waiters();
    }

    /// Rising edges of the interrupt line so far, lost ones not counted.
    pub fn edges(&self) -> u64 {
        self.state(Instant::now()).core.edges
    }

    /// When the interrupt line last rose, exactly: as the kernel stamps an edge, however late
    /// the program comes to look at it.
    pub fn last_edge(&self) -> Option<Instant> {
        self.state(Instant::now()).core.edge
    }

    /// One SPI transaction.
    pub(super) fn transfer(&self, mosi: &[u8]) -> Vec<u8> {
        let now = Instant::now();
        let mut state = self.state(now);
        let State { core, logic } = &mut *state;
        if let Some(byte) = core.faults.dead() {
            return vec![byte; mosi.len()];
        }
        if !core.reset {
            core.violation(now, "SPI while the chip is held in reset");
            return vec![0; mosi.len()];
        }
        let miso = logic.transfer(core, now, mosi);
        core.set_dio(logic.dio(), now);
        drop(state);
        self.0.touched.notify_waiters();
        debug_assert_eq!(miso.len(), mosi.len(), "SPI moves as many bytes in as out");
        miso
    }

    pub(super) fn set(&self, line: Line, level: bool) {
        let now = Instant::now();
        let mut state = self.state(now);
        let State { core, logic } = &mut *state;
        match line {
            Line::Reset if core.reset == level => {}
            Line::Reset => {
                core.reset = level;
                core.modem.stop(now);
                if level {
                    core.faults.reset();
                    core.modem.deaf = core.faults.has(Fault::Deaf);
                }
                logic.reset(core, now);
                core.set_dio(logic.dio(), now);
            }
            Line::RxSwitch => core.rx_switch = level,
            Line::TxSwitch => core.tx_switch = level,
            Line::Busy | Line::Dio => core.violation(now, "the host drives a line of the chip"),
        }
        drop(state);
        self.0.touched.notify_waiters();
    }

    pub(super) fn level(&self, line: Line) -> bool {
        let now = Instant::now();
        self.state(now).level(line, now)
    }

    /// Completes when the line has this level. A change of the interrupt line that the host
    /// cannot notice ([`Fault::LoseEdges`]) wakes nobody.
    pub(super) async fn wait(&self, line: Line, level: bool) {
        // edges that were noticed; the level counts as one at first
        let mut seen = None;
        loop {
            let mut touched = std::pin::pin!(self.0.touched.notified());
            touched.as_mut().enable();
            let mut air = std::pin::pin!(self.0.air.changed());
            air.as_mut().enable();
            let now = Instant::now();
            let next = {
                let state = self.state(now);
                let risen = seen != Some(state.core.edges);
                seen = Some(state.core.edges);
                let noticed = risen || line != Line::Dio || !level;
                if noticed && state.level(line, now) == level {
                    return;
                }
                let ready = match state.logic.busy() {
                    Busy::Until(ready) if line == Line::Busy && ready > now => Some(ready),
                    _ => None,
                };
                state.core.modem.next().into_iter().chain(ready).min()
            };
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => (),
                () = touched => (),
                () = air => (),
            }
        }
    }

    /// The chip as it is at `now`.
    fn state(&self, now: Instant) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(now);
        state
    }
}
