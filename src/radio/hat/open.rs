//! From the settings of a HAT to a radio that the driver can use.

use super::interface::{Interface, IrqLine};
use super::standing::{explain, no_answer, spi_fails};
use super::tap::{Notes, Tap};
use super::task::Opened;
use crate::board::{self, BoardError};
use crate::config::{Chip, RadioSettings};
use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal_async::spi::{Operation, SpiDevice};
use lora_phy::mod_params::RadioError;
use lora_phy::mod_traits::{InterfaceVariant, RadioKind};
use lora_phy::sx126x::{self, DeviceSel, Sx126x, Sx126xVariant, TcxoCtrlVoltage};
use lora_phy::sx127x::{self, Sx127x, Sx1276};
use lora_phy::{DelayNs, LoRa};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long the text is with which an SX1262 says what it is.
const VERSION_TEXT: usize = 16;

/// An SX1262 of which the settings say whether its DIO2 switches the antenna. It has no
/// DC-DC converter that could be relied on in every HAT: the linear regulator always works.
#[derive(Debug)]
pub struct Sx1262 {
    dio2_switch: bool,
}

/// The driver of an SX1262 over this SPI, with these output, BUSY and interrupt lines.
pub type Sx1262Radio<S, O, B, L> = Sx126x<Tap<S>, Interface<O, B, L>, Sx1262>;

/// The driver of an SX1276, likewise.
pub type Sx1276Radio<S, O, B, L> = Sx127x<Tap<S>, Interface<O, B, L>, Sx1276>;

impl Sx126xVariant for Sx1262 {
    fn get_device_sel(&self) -> DeviceSel {
        DeviceSel::HighPowerPA
    }

    fn use_dio2_as_rfswitch(&self) -> bool {
        self.dio2_switch
    }
}

/// The timer of the radio's own runtime, for the driver.
#[derive(Debug, Clone, Copy)]
pub struct TokioDelay;

impl DelayNs for TokioDelay {
    async fn delay_ns(&mut self, ns: u32) {
        sleep(Duration::from_nanos(ns.into())).await;
    }
}

/// Drives an SX1262 over this SPI and these lines.
///
/// # Errors
/// Why it does not start.
pub async fn sx1262<S: SpiDevice, O: OutputPin, B: InputPin, L: IrqLine>(
    spi: S,
    interface: Interface<O, B, L>,
    notes: Arc<Notes>,
    settings: &RadioSettings,
) -> Result<Opened<Sx1262Radio<S, O, B, L>, TokioDelay>, String> {
    let (spi, interface) = identify(spi, interface, &notes, settings).await?;
    let tap = Tap::new(spi, Chip::Sx1262, Arc::clone(&notes));
    let config = sx126x::Config {
        chip: Sx1262 { dio2_switch: settings.dio2_switch },
        tcxo_ctrl: settings.tcxo.map(tcxo_voltage),
        use_dcdc: false,
        // a gateway has the 2 mA that it takes
        rx_boost: true,
    };
    start(Sx126x::new(tap, interface, config), notes, settings).await
}

/// Drives an SX1276 over this SPI and these lines.
///
/// # Errors
/// Why it does not start.
pub async fn sx1276<S: SpiDevice, O: OutputPin, B: InputPin, L: IrqLine>(
    spi: S,
    interface: Interface<O, B, L>,
    notes: Arc<Notes>,
    settings: &RadioSettings,
) -> Result<Opened<Sx1276Radio<S, O, B, L>, TokioDelay>, String> {
    let (spi, interface) = identify(spi, interface, &notes, settings).await?;
    let tap = Tap::new(spi, Chip::Sx1276, Arc::clone(&notes));
    let config = sx127x::Config {
        chip: Sx1276,
        tcxo_used: settings.tcxo.is_some(),
        // every HAT that is sold uses the PA_BOOST pin
        tx_boost: true,
        rx_boost: true,
    };
    start(Sx127x::new(tap, interface, config), notes, settings).await
}

async fn start<RK: RadioKind>(
    kind: RK,
    notes: Arc<Notes>,
    settings: &RadioSettings,
) -> Result<Opened<RK, TokioDelay>, String> {
    match LoRa::new(kind, true, TokioDelay).await {
        Ok(lora) => Ok(Opened { lora, notes }),
        Err(error) => Err(explain(&error, &notes, settings)),
    }
}

/// Makes sure, before the driver trusts it, that the chip is there and of the kind that it is
/// said to be. Leaves it reset.
async fn identify<S: SpiDevice, O: OutputPin, B: InputPin, L: IrqLine>(
    mut spi: S,
    mut interface: Interface<O, B, L>,
    notes: &Notes,
    settings: &RadioSettings,
) -> Result<(S, Interface<O, B, L>), String> {
    let trouble = |error: RadioError| explain(&error, notes, settings);
    interface.reset(&mut TokioDelay).await.map_err(trouble)?;
    interface.wait_on_busy().await.map_err(trouble)?;
    let mut answer = [0; VERSION_TEXT];
    let (command, answer): (&[u8], &mut [u8]) = match settings.chip {
        Chip::Sx1262 => (&[0x1d, 0x03, 0x20, 0x00], &mut answer),
        Chip::Sx1276 => (&[0x42], &mut answer[..1]),
    };
    spi.transaction(&mut [Operation::Write(command), Operation::Read(answer)])
        .await
        .map_err(|error| spi_fails(&format!("{error:?}"), settings))?;
    interface.wait_on_busy().await.map_err(trouble)?;
    let known = match settings.chip {
        // in no data sheet, but in every chip; an SX1262 may say SX1261
        Chip::Sx1262 => answer.starts_with(b"SX126") || answer.starts_with(b"LLCC68"),
        Chip::Sx1276 => answer == [0x12],
    };
    if known {
        return Ok((spi, interface));
    }
    let silent = answer.iter().all(|byte| *byte == 0) || answer.iter().all(|byte| *byte == 0xff);
    Err(if silent {
        no_answer(settings)
    } else {
        format!(
            "what answers on SPI {} is no {} (it says {:02x?}): is `chip` right?",
            settings.spi,
            settings.chip.name(),
            answer
        )
    })
}

type BoardInterface = Interface<board::OutputPin, board::InputPin, board::Edge>;

/// The SPI device and the lines of a HAT on this board.
pub(super) fn board_of(
    settings: &RadioSettings,
    notes: &Arc<Notes>,
) -> Result<(board::Spi, BoardInterface), String> {
    let wire = || {
        // first, as it is what is most often missing
        let spi = board::Spi::open(settings.spi, settings.select)?;
        let switch = |pin: Option<u8>| pin.map(|pin| board::output(pin, false)).transpose();
        let interface = Interface::new(
            board::output(settings.reset, true)?,
            settings.busy.map(board::input).transpose()?,
            board::Edge::watch(settings.dio)?,
            switch(settings.rx_enable)?,
            switch(settings.tx_enable)?,
            Arc::clone(notes),
        );
        Ok((spi, interface))
    };
    wire().map_err(|error: BoardError| format!("{error} ({})", wiring(settings)))
}

/// How the HAT is wired by its settings, for whoever looks for what is wrong.
fn wiring(settings: &RadioSettings) -> String {
    let busy = settings.busy.map_or_else(String::new, |pin| format!(", busy {pin}"));
    format!("SPI {}, reset {}{busy}, dio {}", settings.spi, settings.reset, settings.dio)
}

/// The voltage that the chip can make which is nearest to the one that is asked for.
fn tcxo_voltage(volts: f32) -> TcxoCtrlVoltage {
    use TcxoCtrlVoltage::*;
    let nearest = [
        (1.6, Ctrl1V6),
        (1.7, Ctrl1V7),
        (1.8, Ctrl1V8),
        (2.2, Ctrl2V2),
        (2.4, Ctrl2V4),
        (2.7, Ctrl2V7),
        (3.0, Ctrl3V0),
        (3.3, Ctrl3V3),
    ];
    let distance = |entry: &(f32, TcxoCtrlVoltage)| (entry.0 - volts).abs();
    nearest
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .map_or(Ctrl1V8, |(_, voltage)| voltage)
}
