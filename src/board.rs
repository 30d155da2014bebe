//! The pins and the SPI of this machine.
//!
//! The one file that names rppal, which its author has retired: it knows the boards up to the
//! Raspberry Pi 500 and CM5. For a newer one, or another make, this file changes and no other;
//! `gpiocdev` and `spidev` would take its place.

use crate::config::SpiPort;
use crate::radio::hat::interface::IrqLine;
use crate::sys;
use embedded_hal::spi::SpiDevice as _;
use embedded_hal_bus::spi::{DeviceError, ExclusiveDevice};
use lora_phy::mod_params::RadioError;
use rppal::gpio::{self, Gpio, Trigger};
use rppal::hal::Delay;
use rppal::spi::{self, Bus, Mode, SimpleHalSpiDevice, SlaveSelect};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Both chips stand several times as much; cables and cheap sockets do not.
const SPI_CLOCK_HZ: u32 = 2_000_000;

/// A pin that lykta drives. When it is dropped, it becomes what it was before.
pub type OutputPin = gpio::OutputPin;

/// A pin that lykta reads.
pub type InputPin = gpio::InputPin;

/// Why the board does not give what the settings ask for.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// There is no such SPI device.
    #[error(
        "there is no /dev/spidev{0}: put {help} into /boot/firmware/config.txt and start the \
         machine anew, or set `spi` right; the service must be allowed to see it \
         (/usr/share/lykta/hat.conf)",
        help = spi_help(*.0)
    )]
    NoSpi(SpiPort),
    /// The SPI device cannot be opened.
    #[error("/dev/spidev{port}: {cause}; {}", permission_help(.cause, "spi"))]
    Spi {
        /// Which one.
        port: SpiPort,
        /// Why not.
        cause: io::Error,
    },
    /// The SPI device does not do what the chip needs.
    #[error("/dev/spidev{port}: {cause}")]
    SpiSettings {
        /// Which one.
        port: SpiPort,
        /// What it refused.
        cause: spi::Error,
    },
    /// This is no Raspberry Pi that rppal knows.
    #[error(
        "the pins of this machine are not known: it is no Raspberry Pi, or a newer one than a \
         Pi 500 or CM5"
    )]
    UnknownModel,
    /// The pins as a whole cannot be reached.
    #[error("the pins of this machine (/dev/gpiomem, /dev/gpiochip*): {cause}; {}", permission_help(.cause, "gpio"))]
    Gpio {
        /// Why not.
        cause: io::Error,
    },
    /// Something in this lykta has that pin already.
    #[error("GPIO {0} is used twice in the settings")]
    PinUsed(u8),
    /// There is no such pin.
    #[error("there is no GPIO {0} on this machine")]
    NoPin(u8),
}

fn spi_help(port: SpiPort) -> String {
    match port.bus {
        0 => "dtparam=spi=on".to_owned(),
        bus => format!("dtoverlay=spi{bus}-{}cs", port.select.saturating_add(1)),
    }
}

fn permission_help(cause: &io::Error, group: &str) -> String {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "the user that runs lykta must be in the group {group}, and the service be allowed \
             to use it (/usr/share/lykta/hat.conf)"
        ),
        io::ErrorKind::NotFound => {
            "the service must be allowed to see them (/usr/share/lykta/hat.conf)".to_owned()
        }
        _ => "is the driver loaded (`dmesg` says)?".to_owned(),
    }
}

impl BoardError {
    fn of_pin(error: gpio::Error) -> Self {
        match error {
            gpio::Error::UnknownModel => Self::UnknownModel,
            gpio::Error::PinUsed(pin) => Self::PinUsed(pin),
            gpio::Error::PinNotAvailable(pin) => Self::NoPin(pin),
            gpio::Error::PermissionDenied(path) => {
                Self::Gpio { cause: io::Error::new(io::ErrorKind::PermissionDenied, path) }
            }
            gpio::Error::Io(cause) => Self::Gpio { cause },
            gpio::Error::ThreadPanic => Self::Gpio { cause: io::Error::other("a thread died") },
        }
    }

    fn of_spi(port: SpiPort, error: spi::Error) -> Self {
        match error {
            spi::Error::Io(cause) if cause.kind() == io::ErrorKind::NotFound => Self::NoSpi(port),
            spi::Error::Io(cause) => Self::Spi { port, cause },
            cause => Self::SpiSettings { port, cause },
        }
    }
}

fn pin(number: u8) -> Result<gpio::Pin, BoardError> {
    Gpio::new().and_then(|gpio| gpio.get(number)).map_err(BoardError::of_pin)
}

/// A pin to drive, by its BCM number, and its level from the first moment on.
///
/// # Errors
/// When there is no such pin, or no right to it.
pub fn output(number: u8, high: bool) -> Result<OutputPin, BoardError> {
    let pin = pin(number)?;
    Ok(if high { pin.into_output_high() } else { pin.into_output_low() })
}

/// A pin to read, by its BCM number.
///
/// # Errors
/// When there is no such pin, or no right to it.
pub fn input(number: u8) -> Result<InputPin, BoardError> {
    Ok(pin(number)?.into_input())
}

/// A button between this pin and ground, by its BCM number: low while it is pressed.
///
/// # Errors
/// When there is no such pin, or no right to it.
pub fn button(number: u8) -> Result<InputPin, BoardError> {
    Ok(pin(number)?.into_input_pullup())
}

/// An SPI device. Asynchronous in name only: a transaction takes about a millisecond, on the
/// radio's own thread. Not for transfers in place, of which no driver here makes any: for these
/// rppal 0.22.1 sends zeros where the bus selects the chip.
pub struct Spi(Wiring);

enum Wiring {
    /// The bus selects the chip.
    Hardware(SimpleHalSpiDevice),
    /// A plain pin selects the chip.
    Pin(ExclusiveDevice<spi::Spi, OutputPin, Delay>),
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Wiring::Hardware(_) => "Spi (hardware select)",
            Wiring::Pin(_) => "Spi (pin select)",
        })
    }
}

impl Spi {
    /// Opens an SPI device; `select` is the pin that selects the chip, where the bus does not.
    ///
    /// # Errors
    /// When there is no such device or pin, or no right to it.
    pub fn open(port: SpiPort, select: Option<u8>) -> Result<Self, BoardError> {
        let (Some(bus), Some(slave)) = (bus(port.bus), slave(port.select)) else {
            return Err(BoardError::NoSpi(port));
        };
        let spi = spi::Spi::new(bus, slave, SPI_CLOCK_HZ, Mode::Mode0)
            .map_err(|error| BoardError::of_spi(port, error))?;
        Ok(Self(match select {
            None => Wiring::Hardware(SimpleHalSpiDevice::new(spi)),
            Some(pin) => {
                let pin = output(pin, true)?;
                let Ok(device) = ExclusiveDevice::new(spi, pin, Delay::new());
                Wiring::Pin(device)
            }
        }))
    }
}

fn bus(number: u8) -> Option<Bus> {
    const BUSES: [Bus; 7] =
        [Bus::Spi0, Bus::Spi1, Bus::Spi2, Bus::Spi3, Bus::Spi4, Bus::Spi5, Bus::Spi6];
    BUSES.get(usize::from(number)).copied()
}

fn slave(number: u8) -> Option<SlaveSelect> {
    const SLAVES: [SlaveSelect; 4] =
        [SlaveSelect::Ss0, SlaveSelect::Ss1, SlaveSelect::Ss2, SlaveSelect::Ss3];
    SLAVES.get(usize::from(number)).copied()
}

impl embedded_hal::spi::ErrorType for Spi {
    type Error = spi::Error;
}

impl embedded_hal_async::spi::SpiDevice for Spi {
    async fn transaction(
        &mut self,
        operations: &mut [embedded_hal::spi::Operation<'_, u8>],
    ) -> Result<(), Self::Error> {
        match &mut self.0 {
            Wiring::Hardware(device) => device.transaction(operations),
            Wiring::Pin(device) => device.transaction(operations).map_err(|error| match error {
                DeviceError::Spi(error) => error,
                DeviceError::Cs(never) => match never {},
            }),
        }
    }
}

/// An input that tells when it rises.
#[derive(Debug)]
pub struct Edge {
    pin: InputPin,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    /// When the line rose last, in nanoseconds of the kernel's monotonic clock; 0: never yet.
    at: AtomicU64,
    rose: Notify,
}

impl Edge {
    /// Watches the pin of this BCM number. rppal runs a thread for it, which sleeps until the
    /// line rises.
    ///
    /// # Errors
    /// When there is no such pin, or no right to it.
    pub fn watch(number: u8) -> Result<Self, BoardError> {
        // pulled down: a line that nobody drives shall not look like an interrupt
        let mut pin = pin(number)?.into_input_pulldown();
        let signal = Arc::new(Signal::default());
        let told = Arc::clone(&signal);
        pin.set_async_interrupt(Trigger::RisingEdge, None, move |event| {
            told.at.store(event.timestamp.as_nanos() as u64, Ordering::Release);
            // the permit is kept: an edge between looking and waiting is not missed
            told.rose.notify_one();
        })
        .map_err(BoardError::of_pin)?;
        Ok(Self { pin, signal })
    }
}

impl IrqLine for Edge {
    async fn high(&mut self) -> Result<(), RadioError> {
        while self.pin.is_low() {
            self.signal.rose.notified().await;
        }
        Ok(())
    }

    fn stamp(&self) -> Option<Instant> {
        let at = self.signal.at.load(Ordering::Acquire);
        let age = sys::monotonic().checked_sub(Duration::from_nanos(at))?;
        (at != 0).then(|| Instant::now().checked_sub(age)).flatten()
    }
}
