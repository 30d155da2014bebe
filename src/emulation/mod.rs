//! Emulated radio chips and the air between them, on which the unmodified drivers run.

mod air;
mod chip;
mod device;
mod modem;
mod pins;
mod signal;
mod spi;
mod sx1262;
mod sx1276;

pub use air::{Air, Fate, Path, Sniffer, Station, StationId, Transmission, Violation};
pub use chip::{Antenna, Board, Cure, EmuChip, Fault};
pub use device::{Activation, Answer, DeviceError, EmuDelay, EndDevice};
pub use pins::EmuPin;
pub use signal::{PUBLIC_SYNC_WORD, Signal};
pub use spi::EmuSpi;
