//! What a host has set an SX1262 up to, and the signal that follows from it.

use super::Mode;
use super::command::Refusal;
use crate::emulation::signal::Signal;
use crate::units::{Dbm, Hertz, LoRa};
use std::time::Duration;

/// Bytes of register space that are modelled: the highest documented address is 0x0944.
const REGISTERS: usize = 0x1000;

pub(super) mod register {
    /// A text that names the chip. It is in no data sheet, but in every chip, and libraries
    /// (RadioLib) rely on it.
    pub(in super::super) const VERSION: usize = 0x0320;
    pub(in super::super) const PAYLOAD_LENGTH: usize = 0x0702;
    pub(in super::super) const SYNCH_TIMEOUT: usize = 0x0706;
    pub(in super::super) const IQ_POLARITY: usize = 0x0736;
    pub(in super::super) const SYNC_WORD: usize = 0x0740;
    pub(in super::super) const RANDOM: std::ops::Range<usize> = 0x0819..0x081d;
}

/// All that a reset, or a cold sleep, takes away.
pub(super) struct Setup {
    /// The packet type is LoRa.
    pub(super) lora: bool,
    pub(super) frequency: Option<Hertz>,
    pub(super) modulation: Option<Modulation>,
    pub(super) packet: Option<Packet>,
    /// SetPaConfig: duty cycle, hpMax, which amplifier, and a one.
    pub(super) amplifier: [u8; 4],
    /// SetTxParams, dBm.
    pub(super) power: i8,
    /// Interrupts that are flagged at all.
    pub(super) irq_mask: u16,
    /// Those that raise DIO1.
    pub(super) dio1_mask: u16,
    pub(super) tx_base: u8,
    pub(super) rx_base: u8,
    /// DIO3 switches the clock on, which then takes this long.
    pub(super) tcxo: Option<Duration>,
    /// DIO2 switches the antenna.
    pub(super) dio2_switch: bool,
    /// The mode after a packet.
    pub(super) fallback: Mode,
    pub(super) stop_timer_on_preamble: bool,
    /// Symbols that a receiver for one packet waits for a preamble; 0: no limit.
    pub(super) symbol_timeout: u32,
    pub(super) registers: Box<[u8]>,
}

/// SetModulationParams.
#[derive(Clone, Copy)]
pub(super) struct Modulation {
    pub(super) lora: LoRa,
    pub(super) code_rate: u8,
    pub(super) low_data_rate: bool,
}

/// SetPacketParams.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) preamble: u16,
    pub(super) explicit_header: bool,
    pub(super) length: u8,
    pub(super) crc: bool,
    pub(super) inverted: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        registers[register::VERSION..][..16].copy_from_slice(b"SX1261 V2D 2D02\0");
        // table 12-1
        registers[register::SYNC_WORD..][..2].copy_from_slice(&[0x14, 0x24]);
        for (address, value) in [
            (register::IQ_POLARITY, 0x0d),
            (0x0889, 0x01),
            (0x08ac, 0x94),
            (0x08d8, 0x1e),
            (0x08e7, 0x18),
            (0x0911, 0x05),
            (0x0912, 0x05),
        ] {
            registers[address] = value;
        }
        Self {
            lora: false,
            frequency: None,
            modulation: None,
            packet: None,
            amplifier: [0; 4],
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

impl Setup {
    /// What is sent or listened for, and how long a packet that is sent is.
    pub(super) fn signal(&self) -> Result<(Signal, u8), Refusal> {
        let (Some(frequency), Some(modulation), Some(packet)) =
            (self.frequency, self.modulation, self.packet)
        else {
            return Err(Refusal::failed("frequency, modulation or packet is not set"));
        };
        let inverted = self.registers[register::IQ_POLARITY] & 1 << 2 == 0;
        if inverted != packet.inverted {
            return Err(Refusal::failed("register 0x0736 is not set for this IQ (section 15.4)"));
        }
        let sync = &self.registers[register::SYNC_WORD..][..2];
        let signal = Signal {
            frequency,
            modulation: modulation.lora,
            code_rate: modulation.code_rate,
            low_data_rate: modulation.low_data_rate,
            preamble: packet.preamble,
            explicit_header: packet.explicit_header,
            crc: packet.crc,
            inverted: packet.inverted,
            sync_word: u16::from_be_bytes([sync[0], sync[1]]),
        };
        Ok((signal, packet.length))
    }

    /// The power that SetPaConfig and SetTxParams make together (table 13-21, where a power of
    /// 22 dBm is what the amplifier is made for).
    pub(super) fn power(&self) -> Dbm {
        let less = match self.amplifier[..2] {
            [3, 5] => 2.0,
            [2, 3] => 5.0,
            [2, 2] => 8.0,
            _ => 0.0,
        };
        Dbm(f32::from(self.power) - less)
    }
}
