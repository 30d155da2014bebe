//! The SPI device of a chip: chip select falls, bytes go both ways, chip select rises.

use super::chip::EmuChip;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use std::convert::Infallible;

/// SPI of one chip. Blocking as rppal's is, which never takes time here, and asynchronous as
/// lora-phy wants it.
#[derive(Debug, Clone)]
pub struct EmuSpi(pub(super) EmuChip);

impl ErrorType for EmuSpi {
    type Error = Infallible;
}

impl SpiDevice<u8> for EmuSpi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let mut mosi = Vec::new();
        for operation in operations.iter() {
            match operation {
                Operation::Read(read) => mosi.resize(mosi.len() + read.len(), 0),
                Operation::Write(write) => mosi.extend_from_slice(write),
                Operation::Transfer(read, write) => {
                    let end = mosi.len() + read.len().max(write.len());
                    mosi.extend_from_slice(write);
                    mosi.resize(end, 0);
                }
                Operation::TransferInPlace(bytes) => mosi.extend_from_slice(bytes),
                Operation::DelayNs(_) => {}
            }
        }
        let miso = self.0.transfer(&mosi);
        let mut rest = miso.as_slice();
        for operation in operations {
            let taken = match operation {
                Operation::Read(read) => fill(read, rest),
                Operation::Write(write) => write.len(),
                Operation::Transfer(read, write) => fill(read, rest).max(write.len()),
                Operation::TransferInPlace(bytes) => fill(bytes, rest),
                Operation::DelayNs(_) => 0,
            };
            rest = &rest[taken..];
        }
        Ok(())
    }
}

/// Fills all of `read` with the first bytes of `from`, and says how many those were.
fn fill(read: &mut [u8], from: &[u8]) -> usize {
    read.copy_from_slice(&from[..read.len()]);
    read.len()
}

impl embedded_hal_async::spi::SpiDevice<u8> for EmuSpi {
    async fn transaction(
        &mut self,
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), Infallible> {
        SpiDevice::transaction(self, operations)
    }
}
