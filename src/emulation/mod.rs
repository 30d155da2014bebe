//! Radio chips that are not there, and the air between them: the unmodified driver (lora-phy)
//! runs on them as on a HAT, in the tests and in `lykta demo`.
//!
//! ```text
//!  gateway's radio task          end devices (lorawan-device)      hand-made frames
//!        lora-phy                        lora-phy                          │
//!  EmuSpi, EmuPin … ───┐           ┌─── EmuSpi, EmuPin …                   │
//!                    EmuChip     EmuChip                                Station
//!                       └─────┬─────┘                                      │
//!                            Air ──────────────────────────────────────────┘
//!                             └─► Sniffer, log, violations
//! ```
//!
//! All time is tokio's: with its clock paused, a day of radio takes a moment. A chip has no task
//! of its own; it catches up with the time whenever somebody looks at it, so that its events carry
//! their exact instants although tokio's timer wakes up to a millisecond later.
//!
//! # What is modelled
//!
//! * **SX1262** (Semtech DS.SX1261-2.W.APP): the bytes on SPI of some forty commands, registers,
//!   the buffer of 256 bytes and its pointers, interrupts with both masks and DIO1, BUSY in reset,
//!   calibration, sleep and while the TCXO starts, cold and warm sleep, reception of one packet
//!   with symbol and timer limits and without end, packet status, device errors, the antenna
//!   switch, the workaround for inverted IQ (section 15.4).
//! * **SX1276** in LoRa mode (its data sheet): registers, FIFO, modes, interrupt flags with mask
//!   and DIO0, packet strength, low-data-rate optimisation.
//! * **The air**: who hears whom and how well; time on air (section 6.1.4, which gives what
//!   AN1200.13 gives); same spreading factor and channel at the same time spoil both packets;
//!   frequency, bandwidth, IQ and sync word have to agree, or nothing is heard; low-data-rate
//!   optimisation has to, or the packet is garbage; a receiver that comes too late for the preamble
//!   hears nothing; jamming; a sender that stops in the middle. A spoilt packet *without* checksum, as
//!   downlinks are, arrives as if it were a good one, with other bytes.
//! * **Breaches of a chip's protocol** ([`Violation`]): SPI while BUSY, unknown or incomplete
//!   commands, those in the wrong mode, sending with the antenna elsewhere. Each test asserts that
//!   there are none ([`Air::violations`]).
//! * **Faults** ([`Fault`]) and what cures them.
//!
//! # What is not
//!
//! FSK, activity detection, duty-cycled reception, test signals; the short BUSY after each command
//! (tokio's paused clock makes a millisecond of every sleep) and the 0.1 ms that a PLL takes; capture effect,
//! fading, packet errors by weak signal, interference between spreading factors; drift of clocks;
//! RSSI without a packet; of the SX1276 DIO1 to DIO5. How many preamble symbols a receiver needs is in no
//! data sheet: six are taken. Nobody has compared these chips with real ones: what they are
//! checked against is the driver, the data sheets and published times on air.

mod air;
mod chip;
mod device;
mod fault;
mod modem;
mod pins;
mod signal;
mod spi;
mod sx1262;
mod sx1276;

pub use air::{Air, Fate, Path, Sniffer, Station, StationId, Transmission, Violation};
pub use chip::{Antenna, Board, EmuChip};
pub use device::{Activation, Answer, DeviceError, EmuDelay, EndDevice};
pub use fault::{Cure, Fault};
pub use pins::EmuPin;
pub use signal::{PUBLIC_SYNC_WORD, Signal};
pub use spi::EmuSpi;
