//! The Semtech SX1276 in its LoRa mode: registers and FIFO, by its data sheet (DS_SX1276-7-8-9;
//! "sections" and "tables" below are its).

use super::chip::{Busy, Core, Logic};
use super::fault::Fault;
use super::modem::{Event, Patience, Received};
use super::signal::Signal;
use crate::units::{Dbm, Hertz, LoRa};
use tokio::time::Instant;

mod register {
    pub(super) const FIFO: u8 = 0x00;
    pub(super) const OP_MODE: u8 = 0x01;
    pub(super) const FRF: u8 = 0x06;
    pub(super) const PA_CONFIG: u8 = 0x09;
    pub(super) const FIFO_ADDR_PTR: u8 = 0x0d;
    pub(super) const FIFO_TX_BASE: u8 = 0x0e;
    pub(super) const FIFO_RX_BASE: u8 = 0x0f;
    pub(super) const FIFO_RX_CURRENT: u8 = 0x10;
    pub(super) const IRQ_FLAGS_MASK: u8 = 0x11;
    pub(super) const IRQ_FLAGS: u8 = 0x12;
    pub(super) const RX_NB_BYTES: u8 = 0x13;
    pub(super) const PKT_SNR: u8 = 0x19;
    pub(super) const PKT_RSSI: u8 = 0x1a;
    pub(super) const RSSI: u8 = 0x1b;
    pub(super) const MODEM_CONFIG_1: u8 = 0x1d;
    pub(super) const MODEM_CONFIG_2: u8 = 0x1e;
    pub(super) const SYMB_TIMEOUT: u8 = 0x1f;
    pub(super) const PREAMBLE: u8 = 0x20;
    pub(super) const PAYLOAD_LENGTH: u8 = 0x22;
    pub(super) const MODEM_CONFIG_3: u8 = 0x26;
    pub(super) const INVERT_IQ: u8 = 0x33;
    pub(super) const SYNC_WORD: u8 = 0x39;
    pub(super) const INVERT_IQ_2: u8 = 0x3b;
    pub(super) const DIO_MAPPING_1: u8 = 0x40;
    pub(super) const VERSION: u8 = 0x42;
}

mod irq {
    pub(super) const CAD_DONE: u8 = 1 << 2;
    pub(super) const TX_DONE: u8 = 1 << 3;
    pub(super) const VALID_HEADER: u8 = 1 << 4;
    pub(super) const CRC_ERROR: u8 = 1 << 5;
    pub(super) const RX_DONE: u8 = 1 << 6;
    pub(super) const RX_TIMEOUT: u8 = 1 << 7;
}

/// Bit 7 of RegOpMode: LoRa, not FSK.
const LONG_RANGE: u8 = 0x80;

/// Bits 2:0 of RegOpMode (table 16).
mod mode {
    pub(super) const SLEEP: u8 = 0;
    pub(super) const STANDBY: u8 = 1;
    pub(super) const SYNTHESIS_TX: u8 = 2;
    pub(super) const TRANSMIT: u8 = 3;
    pub(super) const SYNTHESIS_RX: u8 = 4;
    pub(super) const RECEIVE: u8 = 5;
    pub(super) const RECEIVE_ONE: u8 = 6;
}

/// Registers with other values than zero after a reset (table 41), those of LoRa mode.
const AFTER_RESET: [(u8, u8); 24] = [
    (register::OP_MODE, 0x09),
    (register::FRF, 0x6c),
    (register::FRF + 1, 0x80),
    (register::PA_CONFIG, 0x4f),
    (0x0a, 0x09),
    (0x0b, 0x2b),
    (0x0c, 0x20),
    (register::FIFO_TX_BASE, 0x80),
    (register::MODEM_CONFIG_1, 0x72),
    (register::MODEM_CONFIG_2, 0x70),
    (register::SYMB_TIMEOUT, 0x64),
    (register::PREAMBLE + 1, 0x08),
    (register::PAYLOAD_LENGTH, 0x01),
    (0x23, 0xff),
    (register::MODEM_CONFIG_3, 0x04),
    (0x2f, 0x20),
    (0x31, 0xc3),
    (register::INVERT_IQ, 0x27),
    (0x37, 0x0a),
    (register::SYNC_WORD, 0x12),
    (register::INVERT_IQ_2, 0x1d),
    (register::VERSION, 0x12),
    (0x4b, 0x09),
    (0x4d, 0x84),
];

/// An SX1276.
pub(super) struct Sx1276 {
    registers: [u8; 128],
    fifo: [u8; 256],
    /// Where the next received byte goes (RegFifoRxByteAddr).
    rx_byte: u8,
}

impl Default for Sx1276 {
    fn default() -> Self {
        let mut registers = [0; 128];
        for (address, value) in AFTER_RESET {
            registers[usize::from(address)] = value;
        }
        Self { registers, fifo: [0; 256], rx_byte: 0 }
    }
}

impl Logic for Sx1276 {
    fn transfer(&mut self, core: &mut Core, now: Instant, mosi: &[u8]) -> Vec<u8> {
        let mut miso = vec![0; mosi.len()];
        let Some((&address, values)) = mosi.split_first() else { return miso };
        let (write, mut address) = (address & 0x80 != 0, address & 0x7f);
        for (value, out) in values.iter().zip(&mut miso[1..]) {
            if write {
                self.write(core, now, address, *value);
            } else {
                *out = self.read(core, now, address);
            }
            // a burst goes on with the next register, or with the FIFO (section 4.3)
            if address != register::FIFO {
                address = (address + 1) & 0x7f;
            }
        }
        miso
    }

    fn event(&mut self, core: &mut Core, event: Event) {
        match event {
            Event::Sent if core.faults.has(Fault::StuckTx) => {}
            Event::Sent | Event::SendTimeout => {
                self.set_mode(mode::STANDBY);
                self.raise(irq::TX_DONE);
            }
            Event::ReceiveTimeout => {
                self.set_mode(mode::STANDBY);
                self.raise(irq::RX_TIMEOUT);
            }
            // this chip has no interrupt for a preamble, nor for a broken header
            Event::Preamble | Event::Header { valid: false } => {}
            Event::Header { valid: true } => self.raise(irq::VALID_HEADER),
            Event::Received(packet) => self.received(&packet),
        }
    }

    fn reset(&mut self, _core: &mut Core, _now: Instant) {
        *self = Self::default();
    }

    fn dio(&self) -> bool {
        // DIO0 by bits 7:6 of its mapping (table 18)
        let source = match self.get(register::DIO_MAPPING_1) >> 6 {
            0 => irq::RX_DONE,
            1 => irq::TX_DONE,
            2 => irq::CAD_DONE,
            _ => 0,
        };
        self.get(register::IRQ_FLAGS) & source != 0
    }

    fn busy(&self) -> Busy {
        Busy::Ready
    }
}

impl Sx1276 {
    fn get(&self, address: u8) -> u8 {
        self.registers[usize::from(address)]
    }

    fn put(&mut self, address: u8, value: u8) {
        self.registers[usize::from(address)] = value;
    }

    fn mode(&self) -> u8 {
        self.get(register::OP_MODE) & 7
    }

    fn set_mode(&mut self, mode: u8) {
        let rest = self.get(register::OP_MODE) & !7;
        self.put(register::OP_MODE, rest | mode);
    }

    fn raise(&mut self, flags: u8) {
        let flags = flags & !self.get(register::IRQ_FLAGS_MASK);
        self.put(register::IRQ_FLAGS, self.get(register::IRQ_FLAGS) | flags);
    }

    fn read(&mut self, core: &Core, now: Instant, address: u8) -> u8 {
        match address {
            register::FIFO => {
                let place = self.fifo_place(core, now);
                self.fifo[place]
            }
            // -80 dBm while a packet comes in, -120 dBm else: rough, as no path is asked
            register::RSSI => u8::from(core.modem.receives()) * 40 + 37,
            // what an SX1272 answers
            register::VERSION if core.faults.has(Fault::Stranger) => 0x22,
            _ => self.get(address),
        }
    }

    fn write(&mut self, core: &mut Core, now: Instant, address: u8, value: u8) {
        match address {
            register::FIFO => {
                let place = self.fifo_place(core, now);
                self.fifo[place] = value;
            }
            register::OP_MODE => self.set_op_mode(core, now, value),
            // a one clears its flag
            register::IRQ_FLAGS => self.put(address, self.get(address) & !value),
            register::FIFO_RX_CURRENT
            | register::RX_NB_BYTES..=register::RSSI
            | register::VERSION => core
                .violation(now, format!("register {address:#04x} is written, which is read-only")),
            _ => self.put(address, value),
        }
    }

    /// The FIFO is not there in sleep (section 4.1.2.3).
    fn fifo_place(&mut self, core: &Core, now: Instant) -> usize {
        if self.mode() == mode::SLEEP {
            core.violation(now, "the FIFO is used in sleep");
        }
        let place = self.get(register::FIFO_ADDR_PTR);
        self.put(register::FIFO_ADDR_PTR, place.wrapping_add(1));
        usize::from(place)
    }

    fn set_op_mode(&mut self, core: &mut Core, now: Instant, value: u8) {
        let (before, next) = (self.mode(), value & 7);
        let lora = value & LONG_RANGE;
        let mut value = value;
        // the bit changes in sleep only (table 41), or on the way to it, as drivers rely on
        if lora != self.get(register::OP_MODE) & LONG_RANGE && before.min(next) != mode::SLEEP {
            core.violation(now, "LoRa mode is switched outside of sleep");
            value ^= LONG_RANGE;
        }
        self.put(register::OP_MODE, value);
        if before == next && next != mode::SLEEP {
            return;
        }
        core.modem.stop(now);
        match next {
            mode::SLEEP => {
                self.fifo.fill(0);
                core.set_up();
            }
            mode::STANDBY => {}
            _ if value & LONG_RANGE == 0 => core.violation(now, "only LoRa is modelled"),
            mode::TRANSMIT => self.transmit(core, now),
            mode::RECEIVE | mode::RECEIVE_ONE => self.receive(core, now, next),
            mode::SYNTHESIS_TX | mode::SYNTHESIS_RX => {}
            _ => core.violation(now, "channel activity detection is not modelled"),
        }
    }

    fn transmit(&mut self, core: &mut Core, now: Instant) {
        let Some(signal) = self.signal(core, now, true) else { return };
        core.check_antenna(now, true, false);
        let base = usize::from(self.get(register::FIFO_TX_BASE));
        let length = usize::from(self.get(register::PAYLOAD_LENGTH));
        let bytes = (0..length).map(|i| self.fifo[(base + i) % 256]).collect();
        core.modem.send(now, signal, self.power(), bytes, None);
    }

    fn receive(&mut self, core: &mut Core, now: Instant, how: u8) {
        let Some(tuning) = self.signal(core, now, false) else { return };
        core.check_antenna(now, false, false);
        self.rx_byte = self.get(register::FIFO_RX_BASE);
        let mut patience = Patience { once: how == mode::RECEIVE_ONE, ..Patience::default() };
        if patience.once {
            let high = u16::from(self.get(register::MODEM_CONFIG_2) & 3);
            let symbols = high << 8 | u16::from(self.get(register::SYMB_TIMEOUT));
            patience.preamble_by = Some(now + tuning.symbol() * u32::from(symbols));
        }
        core.modem.listen(now, tuning, patience);
    }

    fn received(&mut self, packet: &Received) {
        let start = self.rx_byte;
        for (i, &byte) in packet.bytes.iter().enumerate() {
            self.fifo[(usize::from(start) + i) % 256] = byte;
        }
        let length = packet.bytes.len() as u8;
        self.rx_byte = start.wrapping_add(length);
        self.put(register::FIFO_RX_CURRENT, start);
        self.put(register::RX_NB_BYTES, length);
        let (rssi, snr) = (packet.path.rssi.0, packet.path.snr.0);
        self.put(register::PKT_SNR, (4.0 * snr).round() as i8 as u8);
        // section 5.5.5, the high-frequency port
        let above = rssi + 157.0;
        let value = if snr >= 0.0 { above * 15.0 / 16.0 } else { above - snr };
        self.put(register::PKT_RSSI, value.round().clamp(0.0, 255.0) as u8);
        if self.mode() == mode::RECEIVE_ONE {
            self.set_mode(mode::STANDBY);
        }
        self.raise(irq::RX_DONE);
        if packet.crc_error {
            self.raise(irq::CRC_ERROR);
        }
    }

    /// What the registers make of a packet that is sent, or listened for.
    fn signal(&self, core: &Core, now: Instant, sending: bool) -> Option<Signal> {
        let [high, middle, low] = [0, 1, 2].map(|i| u64::from(self.get(register::FRF + i)));
        // one step is 32 MHz / 2^19 (section 4.1.4)
        let frequency = Hertz((((high << 16 | middle << 8 | low) * 32_000_000) >> 19) as u32);
        let [config_1, config_2] =
            [register::MODEM_CONFIG_1, register::MODEM_CONFIG_2].map(|r| self.get(r));
        let bandwidth = match config_1 >> 4 {
            0 => 7_812,
            1 => 10_417,
            2 => 15_625,
            3 => 20_833,
            4 => 31_250,
            5 => 41_667,
            6 => 62_500,
            7 => 125_000,
            8 => 250_000,
            9 => 500_000,
            other => {
                core.violation(now, format!("no bandwidth {other}"));
                return None;
            }
        };
        let (spreading_factor, code_rate) = (config_2 >> 4, config_1 >> 1 & 7);
        if !(6..=12).contains(&spreading_factor) || !(1..=4).contains(&code_rate) {
            let what = format!("no SF {spreading_factor} with coding rate {code_rate}");
            core.violation(now, what);
            return None;
        }
        // the sender's bit works the other way round than the receiver's
        let invert = self.get(register::INVERT_IQ);
        let inverted = if sending { invert & 1 == 0 } else { invert & 1 << 6 != 0 };
        let sync = u16::from(self.get(register::SYNC_WORD));
        Some(Signal {
            frequency,
            modulation: LoRa { spreading_factor, bandwidth: Hertz(bandwidth) },
            code_rate,
            low_data_rate: self.get(register::MODEM_CONFIG_3) & 1 << 3 != 0,
            preamble: u16::from_be_bytes([
                self.get(register::PREAMBLE),
                self.get(register::PREAMBLE + 1),
            ]),
            explicit_header: config_1 & 1 == 0,
            crc: config_2 & 1 << 2 != 0,
            inverted,
            // the SX1262 spreads both half-bytes over a word of their own: 0x34 is its 0x3444
            sync_word: (sync & 0xf0) << 8 | 0x0400 | (sync & 0x0f) << 4 | 0x0004,
        })
    }

    /// RegPaConfig (section 5.4.2).
    fn power(&self) -> Dbm {
        let config = self.get(register::PA_CONFIG);
        let output = f32::from(config & 0x0f);
        if config & 0x80 != 0 {
            // RegPaDac 0x87 adds 3 dB
            let boost = if self.get(0x4d) & 7 == 7 { 3.0 } else { 0.0 };
            return Dbm(2.0 + output + boost);
        }
        let most = 10.8 + 0.6 * f32::from(config >> 4 & 7);
        Dbm(most - (15.0 - output))
    }
}
