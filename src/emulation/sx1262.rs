//! The Semtech SX1262: commands, buffer, registers, interrupts, by DS.SX1261-2.W.APP
//! ("sections" and "tables" below are its).

use super::chip::{Busy, Core, Fault, Logic};
use super::modem::{Event, Patience, Received};
use super::signal::Signal;
use crate::units::{Dbm, Hertz, LoRa};
use std::time::Duration;
use tokio::time::Instant;

/// From the end of a reset, or from a sleep without memory, to the first command (table 8-1).
const COLD_START: Duration = Duration::from_micros(3500);

/// Calibration of all blocks (section 13.1.12).
const CALIBRATION: Duration = Duration::from_micros(3500);

/// One step of the chip's timers (section 13.1.4).
const TIMER_STEP: Duration = Duration::from_nanos(15_625);

/// A receiver's timeout that means: for ever (section 13.1.5).
const CONTINUOUS: u32 = 0xff_ffff;

/// Bytes of register space that are modelled: the highest documented address is 0x0944.
const REGISTERS: usize = 0x1000;

mod irq {
    pub(super) const TX_DONE: u16 = 1 << 0;
    pub(super) const RX_DONE: u16 = 1 << 1;
    pub(super) const PREAMBLE: u16 = 1 << 2;
    pub(super) const HEADER_VALID: u16 = 1 << 4;
    pub(super) const HEADER_ERROR: u16 = 1 << 5;
    pub(super) const CRC_ERROR: u16 = 1 << 6;
    pub(super) const TIMEOUT: u16 = 1 << 9;
}

mod register {
    pub(super) const VERSION: usize = 0x0320;
    pub(super) const PAYLOAD_LENGTH: usize = 0x0702;
    pub(super) const SYNCH_TIMEOUT: usize = 0x0706;
    pub(super) const IQ_POLARITY: usize = 0x0736;
    pub(super) const SYNC_WORD: usize = 0x0740;
    pub(super) const RANDOM: std::ops::Range<usize> = 0x0819..0x081d;
}

/// The oscillator did not start (table 13-85).
const XOSC_START_ERROR: u16 = 1 << 5;

/// The mode that a status byte tells in bits 6:4 (table 13-76).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Sleep,
    StandbyRc,
    StandbyXosc,
    Synthesis,
    Receive,
    Transmit,
}

impl Mode {
    fn status(self) -> u8 {
        match self {
            Mode::Sleep => 0,
            Mode::StandbyRc => 2,
            Mode::StandbyXosc => 3,
            Mode::Synthesis => 4,
            Mode::Receive => 5,
            Mode::Transmit => 6,
        }
    }

    fn standby(self) -> bool {
        matches!(self, Mode::StandbyRc | Mode::StandbyXosc)
    }
}

/// How the last command went, in bits 3:1 of a status byte (table 13-76).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fine = 0,
    DataAvailable = 2,
    Timeout = 3,
    NotUnderstood = 4,
    Failed = 5,
    Sent = 6,
}

/// Why a command was refused.
enum Refusal {
    /// The opcode or a parameter makes no sense.
    NotUnderstood(String),
    /// It makes sense, but not now.
    Failed(String),
}

use Refusal::{Failed, NotUnderstood};

/// All that a reset, or a cold sleep, takes away.
struct Setup {
    lora: bool,
    frequency: Option<Hertz>,
    /// Spreading factor, bandwidth, coding rate, low data rate.
    modulation: Option<(LoRa, u8, bool)>,
    packet: Option<Packet>,
    pa: [u8; 4],
    power: i8,
    irq_mask: u16,
    dio1_mask: u16,
    tx_base: u8,
    rx_base: u8,
    tcxo: Option<Duration>,
    dio2_switch: bool,
    fallback: Mode,
    stop_timer_on_preamble: bool,
    symbol_timeout: u32,
    registers: Box<[u8]>,
}

#[derive(Clone, Copy)]
struct Packet {
    preamble: u16,
    explicit_header: bool,
    length: u8,
    crc: bool,
    inverted: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        // table 12-1; the version text is in no data sheet, but in every chip
        registers[register::VERSION..][..16].copy_from_slice(b"SX1261 V2D 2D02\0");
        registers[register::SYNC_WORD..][..2].copy_from_slice(&[0x14, 0x24]);
        registers[register::IQ_POLARITY] = 0x0d;
        registers[0x0889] = 0x01;
        registers[0x08ac] = 0x94;
        registers[0x08d8] = 0x1e;
        registers[0x08e7] = 0x18;
        registers[0x0911] = 0x05;
        registers[0x0912] = 0x05;
        Self {
            lora: false,
            frequency: None,
            modulation: None,
            packet: None,
            pa: [0; 4],
            power: 0,
            irq_mask: 0,
            dio1_mask: 0,
            tx_base: 0,
            rx_base: 0,
            tcxo: None,
            dio2_switch: false,
            fallback: Mode::StandbyRc,
            stop_timer_on_preamble: false,
            symbol_timeout: 0,
            registers,
        }
    }
}

/// An SX1262.
pub(super) struct Sx1262 {
    mode: Mode,
    busy_until: Option<Instant>,
    outcome: Outcome,
    setup: Setup,
    /// A sleep from which the setup comes back.
    warm: bool,
    buffer: Box<[u8; 256]>,
    irq: u16,
    errors: u16,
    /// Receives one packet after the other.
    continuous: bool,
    /// Where the next packet goes, and length and place of the last one.
    rx_pointer: u8,
    rx_status: (u8, u8),
    packet_status: [u8; 3],
    /// Packets received, and those with a checksum error.
    stats: (u16, u16),
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
            rx_status: (0, 0),
            packet_status: [0; 3],
            stats: (0, 0),
            noise: 0x2545_f491,
        }
    }
}

impl Logic for Sx1262 {
    fn transfer(&mut self, core: &mut Core, now: Instant, mosi: &[u8]) -> Vec<u8> {
        if self.mode == Mode::Sleep {
            // the falling edge of chip select wakes the chip; what follows is lost
            self.wake(core, now);
            return vec![0; mosi.len()];
        }
        if core.has(Fault::HangBusy) || self.busy_until.is_some_and(|ready| now < ready) {
            core.violation(now, format!("SPI while BUSY: {}", hex::encode(head(mosi))));
            return vec![0; mosi.len()];
        }
        let status = self.status();
        let mut miso = vec![status; mosi.len()];
        let Some((&opcode, parameters)) = mosi.split_first() else { return miso };
        let answer = miso.get_mut(1..).unwrap_or_default();
        match self.command(core, now, opcode, parameters, answer) {
            Ok(outcome) => self.outcome = outcome,
            Err(refusal) => {
                let (outcome, why) = match refusal {
                    NotUnderstood(why) => (Outcome::NotUnderstood, why),
                    Failed(why) => (Outcome::Failed, why),
                };
                self.outcome = outcome;
                let command = hex::encode(head(mosi));
                core.violation(now, format!("{command} in {:?}: {why}", self.mode));
            }
        }
        miso
    }

    fn event(&mut self, core: &mut Core, _at: Instant, event: Event) {
        match event {
            Event::Sent if core.has(Fault::StuckTx) => {}
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
            Event::Header { valid: false } => self.raise(irq::HEADER_ERROR),
            Event::Received(packet) => self.received(packet),
        }
    }

    fn reset(&mut self, core: &mut Core, now: Instant) {
        let noise = self.noise;
        *self = Self { noise, busy_until: Some(now + COLD_START), ..Self::default() };
        if core.board.tcxo {
            // nobody has switched the clock on yet (section 13.3.6)
            self.errors = XOSC_START_ERROR;
        }
        self.name(core);
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
        self.mode.status() << 4 | (self.outcome as u8) << 1
    }

    fn raise(&mut self, flags: u16) {
        self.irq |= flags & self.setup.irq_mask;
    }

    fn name(&mut self, core: &Core) {
        if core.has(Fault::Stranger) {
            self.setup.registers[register::VERSION..][..16].copy_from_slice(b"LLCC68 V2D 2D02\0");
        }
    }

    fn wake(&mut self, core: &Core, now: Instant) {
        self.mode = Mode::StandbyRc;
        if !self.warm {
            self.setup = Setup::default();
            self.name(core);
            if core.board.tcxo {
                self.errors |= XOSC_START_ERROR;
            }
            self.busy_until = Some(now + COLD_START);
        }
    }

    /// One command. `answer` is what comes back after the opcode's own byte; it starts as
    /// repetitions of the status.
    fn command(
        &mut self,
        core: &mut Core,
        now: Instant,
        opcode: u8,
        p: &[u8],
        answer: &mut [u8],
    ) -> Result<Outcome, Refusal> {
        match opcode {
            0xc0 => return Ok(self.outcome), // GetStatus, which changes nothing
            0x0d => self.write_registers(p)?,
            0x1d => return self.read_registers(p, answer),
            0x0e => self.write_buffer(p)?,
            0x1e => return self.read_buffer(p, answer),
            0x84 => self.sleep(core, now, p)?,
            0x80 => self.standby(core, now, p)?,
            0xc1 => self.synthesise(core, now)?,
            0x83 => return self.transmit(core, now, p),
            0x82 => return self.receive(core, now, p),
            0x9f => self.setup.stop_timer_on_preamble = one(p)? != 0,
            0xa0 => self.setup.symbol_timeout = symbols(one(p)?),
            0x96 => {
                one(p)?;
                self.in_standby_rc()?; // SetRegulatorMode
            }
            0x89 => {
                one(p)?;
                self.in_standby_rc()?;
                self.clock(core)?;
                self.busy_until = Some(now + CALIBRATION);
            }
            0x98 => {
                take::<2>(p)?;
                self.idle()?; // CalibrateImage
            }
            0x95 => self.setup.pa = take(p)?,
            0x93 => {
                self.setup.fallback = match one(p)? {
                    0x20 => Mode::StandbyRc,
                    0x30 => Mode::StandbyXosc,
                    0x40 => Mode::Synthesis,
                    other => return Err(NotUnderstood(format!("no mode {other:#04x}"))),
                };
            }
            0x08 => {
                let masks: [u8; 8] = take(p)?;
                self.setup.irq_mask = u16::from_be_bytes([masks[0], masks[1]]);
                self.setup.dio1_mask = u16::from_be_bytes([masks[2], masks[3]]);
            }
            0x12 => return reply(answer, &self.irq.to_be_bytes()),
            0x02 => self.irq &= !u16::from_be_bytes(take(p)?),
            0x9d => self.setup.dio2_switch = one(p)? != 0,
            0x97 => {
                let [voltage, delay @ ..]: [u8; 4] = take(p)?;
                if voltage > 7 {
                    return Err(NotUnderstood(format!("no voltage {voltage}")));
                }
                self.in_standby_rc()?;
                self.setup.tcxo = Some(TIMER_STEP * u24(delay));
            }
            0x86 => {
                self.idle()?;
                let steps = u64::from(u32::from_be_bytes(take(p)?));
                // one step is 32 MHz / 2^25 (section 13.4.1)
                self.setup.frequency = Some(Hertz(((steps * 32_000_000 + (1 << 24)) >> 25) as u32));
            }
            0x8a => {
                self.idle()?;
                if one(p)? != 1 {
                    return Err(NotUnderstood("only LoRa is modelled".into()));
                }
                self.setup.lora = true;
                core.set_up();
            }
            0x11 => return reply(answer, &[u8::from(self.setup.lora)]),
            0x8e => {
                let [power, _ramp] = take(p)?;
                self.setup.power = power as i8;
            }
            0x8b => self.set_modulation(p)?,
            0x8c => self.set_packet(p)?,
            0x8f => {
                self.idle()?;
                [self.setup.tx_base, self.setup.rx_base] = take(p)?;
            }
            0x15 => return reply(answer, &[self.rssi_now(core)]),
            0x13 => return reply(answer, &[self.rx_status.0, self.rx_status.1]),
            0x14 => return reply(answer, &self.packet_status),
            0x10 => {
                let [[a, b], [c, d]] = [self.stats.0.to_be_bytes(), self.stats.1.to_be_bytes()];
                return reply(answer, &[a, b, c, d, 0, 0]);
            }
            0x00 => self.stats = (0, 0),
            0x17 => return reply(answer, &self.errors.to_be_bytes()),
            0x07 => self.errors = 0,
            0x94 | 0xc5 | 0x88 | 0xd1 | 0xd2 => {
                return Err(NotUnderstood("is not modelled".into()));
            }
            _ => return Err(NotUnderstood("no such command".into())),
        }
        Ok(Outcome::Fine)
    }

    fn write_registers(&mut self, p: &[u8]) -> Result<(), Refusal> {
        let (address, values) = p.split_first_chunk().ok_or_else(short)?;
        let address = usize::from(u16::from_be_bytes(*address));
        let place = self.setup.registers.get_mut(address..address + values.len());
        place.ok_or_else(|| no_register(address))?.copy_from_slice(values);
        if (address..address + values.len()).contains(&register::SYNCH_TIMEOUT) {
            let value = self.setup.registers[register::SYNCH_TIMEOUT];
            // mantissa in bits 7:3, exponent in 2:0: "SX126X_REG_LR_SYNCH_TIMEOUT" of Semtech's driver
            self.setup.symbol_timeout = u32::from(value >> 3) << (2 * (value & 7) + 1);
        }
        Ok(())
    }

    /// Two bytes of address, one of nothing, then the values.
    fn read_registers(&mut self, p: &[u8], answer: &mut [u8]) -> Result<Outcome, Refusal> {
        let address = usize::from(u16::from_be_bytes(take(p)?));
        for (offset, byte) in answer.iter_mut().skip(3).enumerate() {
            let address = address + offset;
            if register::RANDOM.contains(&address) {
                // xorshift: repeatable, which a chip is not
                self.noise ^= self.noise << 13;
                self.noise ^= self.noise >> 17;
                self.noise ^= self.noise << 5;
                *byte = self.noise as u8;
            } else {
                *byte = *self.setup.registers.get(address).ok_or_else(|| no_register(address))?;
            }
        }
        Ok(Outcome::DataAvailable)
    }

    fn write_buffer(&mut self, p: &[u8]) -> Result<(), Refusal> {
        self.idle()?;
        let (&offset, bytes) = p.split_first().ok_or_else(short)?;
        if bytes.len() > self.buffer.len() {
            return Err(NotUnderstood(format!("{} bytes into the buffer of 256", bytes.len())));
        }
        for (i, &byte) in bytes.iter().enumerate() {
            self.buffer[(usize::from(offset) + i) % 256] = byte;
        }
        Ok(())
    }

    /// One byte of offset, one of nothing, then the bytes.
    fn read_buffer(&mut self, p: &[u8], answer: &mut [u8]) -> Result<Outcome, Refusal> {
        let offset = usize::from(one(p)?);
        for (i, byte) in answer.iter_mut().skip(2).enumerate() {
            *byte = self.buffer[(offset + i) % 256];
        }
        Ok(Outcome::DataAvailable)
    }

    fn sleep(&mut self, core: &mut Core, now: Instant, p: &[u8]) -> Result<(), Refusal> {
        let how = one(p)?;
        if !self.mode.standby() {
            return Err(Failed("sleep is reached from standby only".into()));
        }
        core.modem.stop(now);
        self.warm = how & 1 << 2 != 0;
        self.mode = Mode::Sleep;
        // the buffer is lost in every sleep, the interrupts with it (section 9.3)
        self.buffer.fill(0);
        self.irq = 0;
        Ok(())
    }

    fn standby(&mut self, core: &mut Core, now: Instant, p: &[u8]) -> Result<(), Refusal> {
        let mode = match one(p)? {
            0 => Mode::StandbyRc,
            1 => Mode::StandbyXosc,
            other => return Err(NotUnderstood(format!("no standby {other}"))),
        };
        core.modem.stop(now);
        if mode == Mode::StandbyXosc {
            self.clock(core)?;
        }
        self.mode = mode;
        Ok(())
    }

    fn synthesise(&mut self, core: &mut Core, now: Instant) -> Result<(), Refusal> {
        self.clock(core)?;
        core.modem.stop(now);
        self.mode = Mode::Synthesis;
        Ok(())
    }

    fn set_modulation(&mut self, p: &[u8]) -> Result<(), Refusal> {
        let [spreading_factor, bandwidth, code_rate, low_data_rate] = take(p)?;
        self.idle()?;
        if !self.setup.lora {
            return Err(Failed("modulation before the packet type".into()));
        }
        let bandwidth = Hertz(match bandwidth {
            0x00 => 7_812,
            0x08 => 10_417,
            0x01 => 15_625,
            0x09 => 20_833,
            0x02 => 31_250,
            0x0a => 41_667,
            0x03 => 62_500,
            0x04 => 125_000,
            0x05 => 250_000,
            0x06 => 500_000,
            other => return Err(NotUnderstood(format!("no bandwidth {other:#04x}"))),
        });
        if !(5..=12).contains(&spreading_factor) || !(1..=4).contains(&code_rate) {
            let what = format!("no SF {spreading_factor} with coding rate {code_rate}");
            return Err(NotUnderstood(what));
        }
        let modulation = LoRa { spreading_factor, bandwidth };
        self.setup.modulation = Some((modulation, code_rate, low_data_rate & 1 != 0));
        Ok(())
    }

    fn set_packet(&mut self, p: &[u8]) -> Result<(), Refusal> {
        let [preamble_high, preamble_low, implicit, length, crc, inverted] = take(p)?;
        self.idle()?;
        if !self.setup.lora {
            return Err(Failed("packet parameters before the packet type".into()));
        }
        self.setup.packet = Some(Packet {
            preamble: u16::from_be_bytes([preamble_high, preamble_low]),
            explicit_header: implicit & 1 == 0,
            length,
            crc: crc & 1 != 0,
            inverted: inverted & 1 != 0,
        });
        self.setup.registers[register::PAYLOAD_LENGTH] = length;
        Ok(())
    }

    fn transmit(&mut self, core: &mut Core, now: Instant, p: &[u8]) -> Result<Outcome, Refusal> {
        let timeout = u24(take(p)?);
        let (signal, length) = self.signal()?;
        let start = now + self.start(core)?;
        core.check_antenna(now, true, self.setup.dio2_switch);
        core.modem.stop(now);
        self.busy_until = Some(start);
        self.mode = Mode::Transmit;
        let base = usize::from(self.setup.tx_base);
        let bytes = (0..usize::from(length)).map(|i| self.buffer[(base + i) % 256]).collect();
        let timeout = (timeout > 0).then(|| TIMER_STEP * timeout);
        core.modem.send(start, signal, self.power(), bytes, timeout);
        Ok(Outcome::Fine)
    }

    fn receive(&mut self, core: &mut Core, now: Instant, p: &[u8]) -> Result<Outcome, Refusal> {
        let timeout = u24(take(p)?);
        let (tuning, _) = self.signal()?;
        let since = now + self.start(core)?;
        core.check_antenna(now, false, self.setup.dio2_switch);
        core.modem.stop(now);
        self.busy_until = Some(since);
        self.continuous = timeout == CONTINUOUS;
        if self.mode != Mode::Receive || !self.continuous {
            self.rx_pointer = self.setup.rx_base;
        }
        self.mode = Mode::Receive;
        let mut patience = Patience::default();
        if !self.continuous {
            let symbols = self.setup.symbol_timeout;
            patience.preamble_by = (symbols > 0).then(|| since + tuning.symbol() * symbols);
            let timer = (timeout > 0).then(|| since + TIMER_STEP * timeout);
            if self.setup.stop_timer_on_preamble {
                let both = patience.preamble_by.into_iter().chain(timer);
                patience.preamble_by = both.min();
            } else {
                patience.header_by = timer;
            }
        }
        core.modem.listen(since, tuning, patience);
        Ok(Outcome::Fine)
    }

    fn received(&mut self, packet: Received) {
        let start = self.rx_pointer;
        for (i, &byte) in packet.bytes.iter().enumerate() {
            self.buffer[(usize::from(start) + i) % 256] = byte;
        }
        let length = packet.bytes.len() as u8;
        self.rx_pointer = start.wrapping_add(length);
        self.rx_status = (length, start);
        let rssi = (-2.0 * packet.path.rssi.0).clamp(0.0, 255.0) as u8;
        let snr = (4.0 * packet.path.snr.0).round() as i8 as u8;
        self.packet_status = [rssi, snr, rssi];
        self.stats.0 = self.stats.0.wrapping_add(1);
        self.raise(irq::RX_DONE);
        if packet.crc_error {
            self.stats.1 = self.stats.1.wrapping_add(1);
            self.raise(irq::CRC_ERROR);
        }
        if !self.continuous {
            self.mode = self.setup.fallback;
        }
    }

    /// What the setup makes of a packet, and how long it is.
    fn signal(&self) -> Result<(Signal, u8), Refusal> {
        let unset = |what| move || Failed(format!("{what} not set"));
        let frequency = self.setup.frequency.ok_or_else(unset("the frequency is"))?;
        let (modulation, code_rate, low_data_rate) =
            self.setup.modulation.ok_or_else(unset("the modulation is"))?;
        let packet = self.setup.packet.ok_or_else(unset("the packet's parameters are"))?;
        let polarity = self.setup.registers[register::IQ_POLARITY] & 1 << 2 == 0;
        if polarity != packet.inverted {
            return Err(Failed("register 0x0736 is not set for this IQ (section 15.4)".into()));
        }
        let sync = &self.setup.registers[register::SYNC_WORD..][..2];
        let signal = Signal {
            frequency,
            modulation,
            code_rate,
            low_data_rate,
            preamble: packet.preamble,
            explicit_header: packet.explicit_header,
            crc: packet.crc,
            inverted: packet.inverted,
            sync_word: u16::from_be_bytes([sync[0], sync[1]]),
        };
        Ok((signal, packet.length))
    }

    /// The power that SetPaConfig and SetTxParams make together (table 13-21).
    fn power(&self) -> Dbm {
        let less = match self.setup.pa {
            [4, 7, 0, _] => 0,
            [3, 5, 0, _] => 2,
            [2, 3, 0, _] => 5,
            [2, 2, 0, _] => 8,
            _ => 0,
        };
        Dbm(f32::from(self.setup.power) - less as f32)
    }

    /// How long the clock takes to start from the present mode.
    fn start(&mut self, core: &Core) -> Result<Duration, Refusal> {
        if self.mode == Mode::Transmit {
            return Err(Failed("a transmission is running".into()));
        }
        self.clock(core)?;
        let running = self.mode != Mode::StandbyRc;
        Ok(self.setup.tcxo.filter(|_| !running).unwrap_or_default())
    }

    /// Whether there is a clock.
    fn clock(&mut self, core: &Core) -> Result<(), Refusal> {
        if core.board.tcxo && self.setup.tcxo.is_none() {
            self.errors |= XOSC_START_ERROR;
            return Err(Failed("the TCXO is not switched on".into()));
        }
        Ok(())
    }

    fn in_standby_rc(&self) -> Result<(), Refusal> {
        let right = self.mode == Mode::StandbyRc;
        right.then_some(()).ok_or_else(|| Failed("is for standby on the RC clock".into()))
    }

    fn idle(&self) -> Result<(), Refusal> {
        let active = matches!(self.mode, Mode::Receive | Mode::Transmit);
        (!active).then_some(()).ok_or_else(|| Failed("the radio is on".into()))
    }

    fn rssi_now(&self, core: &Core) -> u8 {
        // -80 dBm while a packet comes in, -120 dBm else: rough, as no path is asked
        if core.modem.receives() { 160 } else { 240 }
    }
}

/// Symbols that SetLoRaSymbNumTimeout stands for (section 13.4.9).
fn symbols(parameter: u8) -> u32 {
    u32::from(parameter)
}

fn u24(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// Writes the answer after the byte of status that precedes it.
fn reply(answer: &mut [u8], bytes: &[u8]) -> Result<Outcome, Refusal> {
    answer.iter_mut().skip(1).zip(bytes).for_each(|(out, byte)| *out = *byte);
    Ok(Outcome::DataAvailable)
}

fn one(p: &[u8]) -> Result<u8, Refusal> {
    p.first().copied().ok_or_else(short)
}

fn take<const N: usize>(p: &[u8]) -> Result<[u8; N], Refusal> {
    p.first_chunk().copied().ok_or_else(short)
}

fn short() -> Refusal {
    NotUnderstood("too few parameters".into())
}

fn no_register(address: usize) -> Refusal {
    NotUnderstood(format!("no register {address:#06x}"))
}

/// Enough of a command to recognise it.
fn head(mosi: &[u8]) -> &[u8] {
    &mosi[..mosi.len().min(8)]
}
