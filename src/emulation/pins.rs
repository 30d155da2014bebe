//! The lines between host and chip.

use super::chip::EmuChip;
use crate::radio::hat::interface::IrqLine;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal_async::digital::Wait;
use lora_phy::mod_params::RadioError;
use std::convert::Infallible;
use tokio::time::Instant;

/// Which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Reset,
    Busy,
    Dio,
    RxSwitch,
    TxSwitch,
}

/// One line of a chip. Clones are the same line.
#[derive(Debug, Clone)]
pub struct EmuPin {
    chip: EmuChip,
    line: Line,
}

impl EmuPin {
    pub(super) fn new(chip: EmuChip, line: Line) -> Self {
        Self { chip, line }
    }

    /// When this chip's interrupt line last rose, as the kernel would have stamped it.
    pub fn last_edge(&self) -> Option<Instant> {
        self.chip.last_edge()
    }
}

impl ErrorType for EmuPin {
    type Error = Infallible;
}

impl OutputPin for EmuPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.chip.set(self.line, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.chip.set(self.line, true);
        Ok(())
    }
}

impl InputPin for EmuPin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.chip.level(self.line))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.chip.level(self.line))
    }
}

impl Wait for EmuPin {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.chip.wait(self.line, true).await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.chip.wait(self.line, false).await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_low().await?;
        self.wait_for_high().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for_high().await?;
        self.wait_for_low().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        let level = self.chip.level(self.line);
        self.chip.wait(self.line, !level).await;
        Ok(())
    }
}

impl IrqLine for EmuPin {
    async fn high(&mut self) -> Result<(), RadioError> {
        self.chip.wait(self.line, true).await;
        Ok(())
    }

    fn stamp(&self) -> Option<Instant> {
        self.last_edge()
    }
}
