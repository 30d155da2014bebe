//! The Semtech SX1262, by DS.SX1261-2.W.APP ("sections" and "tables" in this room are its):
//! modes, interrupts, buffer; its commands are in [`command`].

mod command;
mod setup;

use super::chip::{Busy, Core, Logic};
use super::fault::Fault;
use super::modem::{Event, Patience, Received};
use command::Refusal;
use setup::Setup;
use std::time::Duration;
use tokio::time::Instant;

/// From the end of a reset, or from a sleep without memory, to the first command (section 8.3.1).
const COLD_START: Duration = Duration::from_micros(3500);

/// Calibration of all blocks (section 13.1.12).
const CALIBRATION: Duration = Duration::from_micros(3500);

/// One step of the chip's timers (section 13.1.4).
const TIMER_STEP: Duration = Duration::from_nanos(15_625);

/// A receiver's timeout that means: for ever (section 13.1.5).
const CONTINUOUS: u32 = 0xff_ffff;

/// The oscillator did not start (GetDeviceErrors, section 13.6.1).
const XOSC_START_ERROR: u16 = 1 << 5;

/// Interrupts (table 13-29).
mod irq {
    pub(super) const TX_DONE: u16 = 1 << 0;
    pub(super) const RX_DONE: u16 = 1 << 1;
    pub(super) const PREAMBLE: u16 = 1 << 2;
    pub(super) const HEADER_VALID: u16 = 1 << 4;
    pub(super) const HEADER_ERROR: u16 = 1 << 5;
    pub(super) const CRC_ERROR: u16 = 1 << 6;
    pub(super) const TIMEOUT: u16 = 1 << 9;
}

/// What the chip does, as bits 6:4 of its status tell (GetStatus, section 13.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Sleep = 0,
    StandbyRc = 2,
    StandbyXosc = 3,
    Synthesis = 4,
    Receive = 5,
    Transmit = 6,
}

/// How the last command went, as bits 3:1 of the status tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// "Reserved" in the data sheet, and what chips answer.
    Fine = 1,
    DataAvailable = 2,
    Timeout = 3,
    NotUnderstood = 4,
    Failed = 5,
    Sent = 6,
}

/// An SX1262.
pub(super) struct Sx1262 {
    mode: Mode,
    busy_until: Option<Instant>,
    outcome: Outcome,
    setup: Setup,
    /// The present sleep keeps the setup.
    warm: bool,
    buffer: Box<[u8; 256]>,
    irq: u16,
    errors: u16,
    /// Receives one packet after the other.
    continuous: bool,
    /// Where the next packet goes.
    rx_pointer: u8,
    /// Length and place of the last packet.
    rx_status: [u8; 2],
    /// RSSI, SNR, RSSI of the last packet.
    packet_status: [u8; 3],
    /// Packets, checksum errors, header errors.
    stats: [u16; 3],
    /// State of the random numbers, which are the same in every run.
    noise: u32,
}

impl Default for Sx1262 {
    fn default() -> Self {
        Self {
            mode: Mode::StandbyRc,
            busy_until: None,
            outcome: Outcome::Fine,
            setup: Setup::default(),
            warm: false,
            buffer: Box::new([0; 256]),
            irq: 0,
            errors: 0,
            continuous: false,
            rx_pointer: 0,
            rx_status: [0; 2],
            packet_status: [0; 3],
            stats: [0; 3],
            noise: 0x2545_f491,
        }
    }
}

impl Logic for Sx1262 {
    fn transfer(&mut self, core: &mut Core, now: Instant, mosi: &[u8]) -> Vec<u8> {
        if self.mode == Mode::Sleep {
            // the falling edge of chip select wakes the chip; the bytes are lost
            self.wake(core, now);
            return vec![0; mosi.len()];
        }
        let recognisable = || hex::encode(&mosi[..mosi.len().min(8)]);
        if core.faults.has(Fault::HangBusy) || self.busy_until.is_some_and(|ready| now < ready) {
            core.violation(now, format!("SPI while BUSY: {}", recognisable()));
            return vec![0; mosi.len()];
        }
        let mut miso = vec![self.status(); mosi.len()];
        let Some((&opcode, parameters)) = mosi.split_first() else { return miso };
        let mode = self.mode;
        self.outcome = match self.command(core, now, opcode, parameters, &mut miso[1..]) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                let (outcome, why) = match refusal {
                    Refusal::NotUnderstood(why) => (Outcome::NotUnderstood, why),
                    Refusal::Failed(why) => (Outcome::Failed, why),
                };
                core.violation(now, format!("{} in {mode:?}: {why}", recognisable()));
                outcome
            }
        };
        miso
    }

    fn event(&mut self, core: &mut Core, event: Event) {
        match event {
            Event::Sent if core.faults.has(Fault::StuckTx) => {}
            Event::Sent => {
                self.mode = self.setup.fallback;
                self.outcome = Outcome::Sent;
                self.raise(irq::TX_DONE);
            }
            Event::SendTimeout | Event::ReceiveTimeout => {
                self.mode = Mode::StandbyRc;
                self.outcome = Outcome::Timeout;
                self.raise(irq::TIMEOUT);
            }
            Event::Preamble => self.raise(irq::PREAMBLE),
            Event::Header { valid: true } => self.raise(irq::HEADER_VALID),
            Event::Header { valid: false } => {
                self.stats[2] = self.stats[2].wrapping_add(1);
                self.raise(irq::HEADER_ERROR);
            }
            Event::Received(packet) => self.received(&packet),
        }
    }

    fn reset(&mut self, core: &mut Core, now: Instant) {
        // the clock of a board with a TCXO is not on yet, which the chip takes for an error
        let errors = if core.board.tcxo { XOSC_START_ERROR } else { 0 };
        *self = Self {
            noise: self.noise,
            busy_until: Some(now + COLD_START),
            errors,
            ..Self::default()
        };
    }

    fn dio(&self) -> bool {
        self.irq & self.setup.dio1_mask != 0
    }

    fn busy(&self) -> Busy {
        match (self.mode, self.busy_until) {
            (Mode::Sleep, _) => Busy::Asleep,
            (_, Some(ready)) => Busy::Until(ready),
            (_, None) => Busy::Ready,
        }
    }
}

impl Sx1262 {
    fn status(&self) -> u8 {
        (self.mode as u8) << 4 | (self.outcome as u8) << 1
    }

    fn raise(&mut self, flags: u16) {
        self.irq |= flags & self.setup.irq_mask;
    }

    fn standby(&mut self, core: &mut Core, now: Instant, which: u8) -> Result<(), Refusal> {
        let mode = match which {
            0 => Mode::StandbyRc,
            1 => Mode::StandbyXosc,
            other => return Err(Refusal::NotUnderstood(format!("no standby {other}"))),
        };
        if mode == Mode::StandbyXosc {
            self.clock(core)?;
        }
        core.modem.stop(now);
        self.mode = mode;
        Ok(())
    }

    fn synthesise(&mut self, core: &mut Core, now: Instant) -> Result<(), Refusal> {
        self.clock(core)?;
        core.modem.stop(now);
        self.mode = Mode::Synthesis;
        Ok(())
    }

    fn sleep(&mut self, core: &mut Core, now: Instant, how: u8) -> Result<(), Refusal> {
        if !matches!(self.mode, Mode::StandbyRc | Mode::StandbyXosc) {
            return Err(Refusal::failed("sleep is reached from standby only"));
        }
        core.modem.stop(now);
        self.warm = how & 1 << 2 != 0;
        self.mode = Mode::Sleep;
        // no sleep keeps the buffer (section 7)
        self.buffer.fill(0);
        self.irq = 0;
        Ok(())
    }

    fn wake(&mut self, core: &mut Core, now: Instant) {
        if self.warm {
            self.mode = Mode::StandbyRc;
        } else {
            self.reset(core, now);
        }
    }

    fn transmit(&mut self, core: &mut Core, now: Instant, timeout: u32) -> Result<(), Refusal> {
        let (signal, length) = self.setup.signal()?;
        let start = now + self.start(core)?;
        core.check_antenna(now, true, self.setup.dio2_switch);
        core.modem.stop(now);
        self.busy_until = Some(start);
        self.mode = Mode::Transmit;
        let base = usize::from(self.setup.tx_base);
        let bytes = self.buffer.iter().cycle().skip(base).take(length.into()).copied().collect();
        let timeout = (timeout > 0).then(|| TIMER_STEP * timeout);
        core.modem.send(start, signal, self.setup.power(), bytes, timeout);
        Ok(())
    }

    fn receive(&mut self, core: &mut Core, now: Instant, timeout: u32) -> Result<(), Refusal> {
        let (tuning, _) = self.setup.signal()?;
        let since = now + self.start(core)?;
        core.check_antenna(now, false, self.setup.dio2_switch);
        core.modem.stop(now);
        self.busy_until = Some(since);
        let goes_on = self.mode == Mode::Receive && self.continuous;
        self.continuous = timeout == CONTINUOUS;
        if !(goes_on && self.continuous) {
            self.rx_pointer = self.setup.rx_base;
        }
        self.mode = Mode::Receive;
        let mut patience = Patience { once: !self.continuous, ..Patience::default() };
        if patience.once {
            let symbols = self.setup.symbol_timeout;
            patience.preamble_by = (symbols > 0).then(|| since + tuning.symbol() * symbols);
            let timer = (timeout > 0).then(|| since + TIMER_STEP * timeout);
            if self.setup.stop_timer_on_preamble {
                patience.preamble_by = patience.preamble_by.into_iter().chain(timer).min();
            } else {
                patience.header_by = timer;
            }
        }
        core.modem.listen(since, tuning, patience);
        Ok(())
    }

    fn received(&mut self, packet: &Received) {
        let (start, length) = (self.rx_pointer, packet.bytes.len() as u8);
        self.fill_buffer(start, &packet.bytes);
        self.rx_pointer = start.wrapping_add(length);
        self.rx_status = [length, start];
        let rssi = (-2.0 * packet.path.rssi.0) as u8;
        let snr = (4.0 * packet.path.snr.0).round() as i8 as u8;
        self.packet_status = [rssi, snr, rssi];
        self.stats[0] = self.stats[0].wrapping_add(1);
        self.raise(irq::RX_DONE);
        if packet.crc_error {
            self.stats[1] = self.stats[1].wrapping_add(1);
            self.raise(irq::CRC_ERROR);
        }
        if !self.continuous {
            self.mode = self.setup.fallback;
        }
    }

    /// Writes round the end of the buffer, as the chip does.
    fn fill_buffer(&mut self, offset: u8, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            self.buffer[(usize::from(offset) + i) % 256] = byte;
        }
    }

    /// How long the clock takes to start from the present mode.
    fn start(&mut self, core: &Core) -> Result<Duration, Refusal> {
        if self.mode == Mode::Transmit {
            return Err(Refusal::failed("a transmission is running"));
        }
        self.clock(core)?;
        let stands_still = self.mode == Mode::StandbyRc;
        Ok(self.setup.tcxo.filter(|_| stands_still).unwrap_or_default())
    }

    /// Whether there is a clock.
    fn clock(&mut self, core: &Core) -> Result<(), Refusal> {
        if core.board.tcxo && self.setup.tcxo.is_none() {
            self.errors |= XOSC_START_ERROR;
            return Err(Refusal::failed("the TCXO is not switched on"));
        }
        Ok(())
    }

    /// Xorshift (Marsaglia 2003).
    fn random(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise as u8
    }
}
