//! The SX1262's commands: parameters, when they are allowed, what they answer.

use super::setup::{Modulation, Packet, register};
use super::{CALIBRATION, Mode, Outcome, Sx1262, TIMER_STEP};
use crate::emulation::chip::Core;
use crate::emulation::fault::Fault;
use crate::units::{Hertz, LoRa};
use tokio::time::Instant;

/// The version text of another chip of the family ([`Fault::Stranger`]).
const STRANGER: &[u8; 16] = b"LLCC68 V2D 2D02\0";

/// Why a command was refused.
pub(super) enum Refusal {
    /// The opcode or a parameter makes no sense.
    NotUnderstood(String),
    /// It makes sense, but not now.
    Failed(String),
}

use Refusal::NotUnderstood;

impl Refusal {
    pub(super) fn failed(why: &str) -> Self {
        Self::Failed(why.into())
    }
}

impl Sx1262 {
    /// One command. `answer` is what comes back after the opcode's own byte; it starts as
    /// repetitions of the status.
    pub(super) fn command(
        &mut self,
        core: &mut Core,
        now: Instant,
        opcode: u8,
        p: &[u8],
        answer: &mut [u8],
    ) -> Result<Outcome, Refusal> {
        match opcode {
            // GetStatus, which changes nothing
            0xc0 => return Ok(self.outcome),
            // GetStats: packets, checksum errors, header errors
            0x10 => {
                let [received, crc_errors, header_errors] = self.stats.map(u16::to_be_bytes);
                return reply(answer, [received, crc_errors, header_errors].as_flattened());
            }
            // GetPacketType
            0x11 => return reply(answer, &[u8::from(self.setup.lora)]),
            // GetIrqStatus
            0x12 => return reply(answer, &self.irq.to_be_bytes()),
            // GetRxBufferStatus
            0x13 => return reply(answer, &self.rx_status),
            // GetPacketStatus
            0x14 => return reply(answer, &self.packet_status),
            // GetRssiInst
            0x15 => return reply(answer, &[rssi_now(core)]),
            // GetDeviceErrors
            0x17 => return reply(answer, &self.errors.to_be_bytes()),
            // ReadRegister, ReadBuffer
            0x1d => return self.read_registers(core, p, answer),
            0x1e => return self.read_buffer(p, answer),

            // ResetStats, ClearIrqStatus, ClearDeviceErrors
            0x00 => self.stats = [0; 3],
            0x02 => self.irq &= !u16::from_be_bytes(take(p)?),
            0x07 => self.errors = 0,
            // WriteRegister, WriteBuffer
            0x0d => self.write_registers(p)?,
            0x0e => self.write_buffer(p)?,

            // SetStandby, SetRx, SetTx, SetSleep, SetFs
            0x80 => self.standby(core, now, one(p)?)?,
            0x82 => self.receive(core, now, u24(take(p)?))?,
            0x83 => self.transmit(core, now, u24(take(p)?))?,
            0x84 => self.sleep(core, now, one(p)?)?,
            0xc1 => self.synthesise(core, now)?,

            // SetDioIrqParams; DIO2 and DIO3 have other things to do
            0x08 => {
                let [irq_high, irq_low, dio1_high, dio1_low, ..]: [u8; 8] = take(p)?;
                self.setup.irq_mask = u16::from_be_bytes([irq_high, irq_low]);
                self.setup.dio1_mask = u16::from_be_bytes([dio1_high, dio1_low]);
            }
            // SetRfFrequency: one step is 32 MHz / 2^25 (section 13.4.1)
            0x86 => {
                self.radio_off()?;
                let steps = u64::from(u32::from_be_bytes(take(p)?));
                self.setup.frequency = Some(Hertz(((steps * 32_000_000 + (1 << 24)) >> 25) as u32));
            }
            // Calibrate
            0x89 => {
                one(p)?;
                self.in_standby_rc()?;
                self.clock(core)?;
                self.busy_until = Some(now + CALIBRATION);
            }
            // SetPacketType
            0x8a => {
                self.radio_off()?;
                if one(p)? != 1 {
                    return Err(NotUnderstood("only LoRa is modelled".into()));
                }
                self.setup.lora = true;
                core.set_up();
            }
            // SetModulationParams, SetPacketParams
            0x8b => self.set_modulation(take(p)?)?,
            0x8c => self.set_packet(take(p)?)?,
            // SetTxParams
            0x8e => {
                let [power, _ramp] = take(p)?;
                self.setup.power = power as i8;
            }
            // SetBufferBaseAddress
            0x8f => {
                self.radio_off()?;
                [self.setup.tx_base, self.setup.rx_base] = take(p)?;
            }
            // SetRxTxFallbackMode
            0x93 => {
                self.setup.fallback = match one(p)? {
                    0x20 => Mode::StandbyRc,
                    0x30 => Mode::StandbyXosc,
                    0x40 => Mode::Synthesis,
                    other => return Err(NotUnderstood(format!("no mode {other:#04x}"))),
                };
            }
            // SetPaConfig
            0x95 => self.setup.amplifier = take(p)?,
            // SetRegulatorMode
            0x96 => {
                one(p)?;
                self.in_standby_rc()?;
            }
            // SetDIO3AsTcxoCtrl
            0x97 => {
                let [voltage, delay @ ..]: [u8; 4] = take(p)?;
                if voltage > 7 {
                    return Err(NotUnderstood(format!("no voltage {voltage}")));
                }
                self.in_standby_rc()?;
                self.setup.tcxo = Some(TIMER_STEP * u24(delay));
            }
            // CalibrateImage
            0x98 => {
                let [_from, _to] = take(p)?;
                self.radio_off()?;
            }
            // SetDIO2AsRfSwitchCtrl
            0x9d => self.setup.dio2_switch = one(p)? != 0,
            // StopTimerOnPreamble
            0x9f => self.setup.stop_timer_on_preamble = one(p)? != 0,
            // SetLoRaSymbNumTimeout
            0xa0 => self.setup.symbol_timeout = u32::from(one(p)?),

            0x88 | 0x94 | 0xc5 | 0xd1 | 0xd2 => {
                let what = "duty-cycled reception, activity detection, test signals";
                return Err(NotUnderstood(format!("{what} are not modelled")));
            }
            _ => return Err(NotUnderstood("no such command".into())),
        }
        Ok(Outcome::Fine)
    }

    fn write_registers(&mut self, p: &[u8]) -> Result<(), Refusal> {
        let (address, values) = p.split_first_chunk().ok_or_else(short)?;
        let address = usize::from(u16::from_be_bytes(*address));
        let written = address..address + values.len();
        let place = self.setup.registers.get_mut(written.clone());
        place.ok_or_else(|| no_register(address))?.copy_from_slice(values);
        if written.contains(&register::SYNCH_TIMEOUT) {
            // mantissa in bits 7:3, exponent in 2:0: in no data sheet, but in Semtech's driver
            let value = self.setup.registers[register::SYNCH_TIMEOUT];
            self.setup.symbol_timeout = u32::from(value >> 3) << (2 * (value & 7) + 1);
        }
        Ok(())
    }

    /// Two bytes of address, one of nothing, then the values.
    fn read_registers(
        &mut self,
        core: &Core,
        p: &[u8],
        answer: &mut [u8],
    ) -> Result<Outcome, Refusal> {
        let address = usize::from(u16::from_be_bytes(take(p)?));
        let stranger = core.faults.has(Fault::Stranger);
        let version = register::VERSION..register::VERSION + STRANGER.len();
        for (offset, byte) in answer.iter_mut().skip(3).enumerate() {
            let address = address + offset;
            *byte = match address {
                _ if register::RANDOM.contains(&address) => self.random(),
                _ if stranger && version.contains(&address) => STRANGER[address - version.start],
                _ => *self.setup.registers.get(address).ok_or_else(|| no_register(address))?,
            };
        }
        Ok(Outcome::DataAvailable)
    }

    fn write_buffer(&mut self, p: &[u8]) -> Result<(), Refusal> {
        self.radio_off()?;
        let (&offset, bytes) = p.split_first().ok_or_else(short)?;
        if bytes.len() > self.buffer.len() {
            return Err(NotUnderstood(format!("{} bytes into the buffer of 256", bytes.len())));
        }
        self.fill_buffer(offset, bytes);
        Ok(())
    }

    /// One byte of offset, one of nothing, then the bytes.
    fn read_buffer(&mut self, p: &[u8], answer: &mut [u8]) -> Result<Outcome, Refusal> {
        let offset = usize::from(one(p)?);
        for (i, byte) in answer.iter_mut().skip(2).enumerate() {
            *byte = self.buffer[(offset + i) % self.buffer.len()];
        }
        Ok(Outcome::DataAvailable)
    }

    fn set_modulation(&mut self, p: [u8; 4]) -> Result<(), Refusal> {
        let [spreading_factor, bandwidth, code_rate, low_data_rate] = p;
        self.lora_and_off()?;
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
        let lora = LoRa { spreading_factor, bandwidth };
        let low_data_rate = low_data_rate & 1 != 0;
        self.setup.modulation = Some(Modulation { lora, code_rate, low_data_rate });
        Ok(())
    }

    fn set_packet(&mut self, p: [u8; 6]) -> Result<(), Refusal> {
        let [preamble_high, preamble_low, implicit, length, crc, inverted] = p;
        self.lora_and_off()?;
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

    fn in_standby_rc(&self) -> Result<(), Refusal> {
        if self.mode != Mode::StandbyRc {
            return Err(Refusal::failed("this is for standby on the RC clock"));
        }
        Ok(())
    }

    fn radio_off(&self) -> Result<(), Refusal> {
        if matches!(self.mode, Mode::Receive | Mode::Transmit) {
            return Err(Refusal::failed("the radio is on"));
        }
        Ok(())
    }

    fn lora_and_off(&self) -> Result<(), Refusal> {
        if !self.setup.lora {
            return Err(Refusal::failed("parameters before the packet type"));
        }
        self.radio_off()
    }
}

/// -80 dBm while a packet comes in, -120 dBm else: rough, as no path is asked.
fn rssi_now(core: &Core) -> u8 {
    if core.modem.receives() { 160 } else { 240 }
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
