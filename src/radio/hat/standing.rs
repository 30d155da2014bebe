//! What is told of a radio: each change once, with where to look.

use super::tap::{Fault, Notes};
use crate::config::RadioSettings;
use crate::message;
use lora_phy::mod_params::RadioError;

/// What is wrong with a radio.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    /// It had to be set up again.
    Fault,
    /// That did not help.
    Failed,
    /// It cannot be opened.
    Missing,
}

/// So many different reasons are told of one trouble. A chip that floats answers otherwise at each
/// attempt.
const REASONS: usize = 5;

/// How a radio stands, as far as it was told.
#[derive(Debug)]
pub(super) struct Standing {
    name: String,
    trouble: Option<Trouble>,
    /// Why it is not used, as far as it was told since the trouble began.
    told: Vec<String>,
    /// Whether it was told that the interrupt line does not tell.
    edgeless: bool,
}

/// How many edges in a row nobody tells of when the interrupt line is of no use.
const EDGELESS: u32 = 3;

impl Standing {
    /// Of this radio nothing was told.
    pub(super) fn new(name: String) -> Self {
        Self { name, trouble: None, told: Vec::new(), edgeless: false }
    }

    /// Whether it was told to be in trouble, and not that this is over.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// It was opened.
    pub(super) fn up(&mut self, settings: &RadioSettings) {
        // one that was open before and failed has yet to prove itself
        if matches!(self.trouble, Some(Trouble::Fault | Trouble::Failed)) {
            return;
        }
        self.end();
        log::info!(
            MESSAGE_ID = message::RADIO_UP,
            LYKTA_RADIO = self.name.as_str();
            "radio {}: {} on SPI {} listens at {} MHz with SF{}",
            self.name,
            settings.chip.name(),
            settings.spi,
            f64::from(settings.channel.0.0) / 1e6,
            settings.spreading_factor
        );
    }

    /// It failed, and is set up again.
    pub(super) fn fault(&mut self, reason: &str) {
        if self.trouble.is_none() {
            self.trouble = Some(Trouble::Fault);
            log::warn!(
                MESSAGE_ID = message::RADIO_FAULT,
                LYKTA_RADIO = self.name.as_str(),
                LYKTA_REASON = reason;
                "radio {}: {reason}; it is set up again", self.name
            );
        }
    }

    /// It is not used any more, until it is tried again.
    pub(super) fn down(&mut self, trouble: Trouble, reason: &str) {
        if self.told.len() < REASONS && !self.told.iter().any(|told| told == reason) {
            self.told.push(reason.to_owned());
            log::error!(
                MESSAGE_ID = message::RADIO_MISSING,
                LYKTA_RADIO = self.name.as_str(),
                LYKTA_REASON = reason;
                "radio {}: {reason}; it is tried again, everything else runs on", self.name
            );
        }
        self.trouble = Some(trouble);
    }

    fn end(&mut self) {
        self.trouble = None;
        self.told.clear();
    }

    /// Something was received, and so many edges in a row had to be found by looking: the packets
    /// are there, but the time of their end is not, and what is answered comes too late.
    pub(super) fn edges(&mut self, untold: u32, settings: &RadioSettings) {
        if untold >= EDGELESS && !self.edgeless {
            self.edgeless = true;
            log::error!(
                MESSAGE_ID = message::RADIO_EDGES,
                LYKTA_RADIO = self.name.as_str();
                "radio {}: its interrupt line (GPIO {}) does not tell: it hears, but its answers \
                 come too late; is the pin also used by an overlay or another program?",
                self.name,
                settings.dio
            );
        } else if untold == 0 && self.edgeless {
            self.edgeless = false;
            log::info!(
                MESSAGE_ID = message::RADIO_WORKS,
                LYKTA_RADIO = self.name.as_str();
                "radio {}: its interrupt line tells again", self.name
            );
        }
    }

    /// It has worked for long without a fault.
    pub(super) fn well(&mut self) {
        self.end();
        log::info!(
            MESSAGE_ID = message::RADIO_WORKS,
            LYKTA_RADIO = self.name.as_str();
            "radio {} works again", self.name
        );
    }
}

/// Why the chip failed, in words that say where to look.
pub(super) fn explain(error: &RadioError, notes: &Notes, settings: &RadioSettings) -> String {
    match notes.take_fault() {
        Some(Fault::NoAnswer) => return no_answer(settings),
        Some(Fault::Spi(error)) => return spi_fails(&error, settings),
        None => {}
    }
    match error {
        RadioError::Busy => {
            let pin = settings.busy.map_or_else(String::new, |pin| format!(" (GPIO {pin})"));
            format!("its busy line{pin} stays high: is the HAT seated, is `busy` right?")
        }
        RadioError::TransmitTimeout => format!(
            "a transmission did not end, or its interrupt line (GPIO {}) does not tell",
            settings.dio
        ),
        RadioError::Irq | RadioError::DIO1 => {
            format!("its interrupt line (GPIO {}) hangs", settings.dio)
        }
        other => format!("its driver failed: {other:?}"),
    }
}

/// What to say when nothing answers on SPI.
pub(super) fn no_answer(settings: &RadioSettings) -> String {
    format!(
        "no {} answers on SPI {}: is the HAT seated, has it power, are `spi`, `select` and \
         `reset` right?",
        settings.chip.name(),
        settings.spi
    )
}

/// What to say when the host cannot use its SPI.
pub(super) fn spi_fails(error: &str, settings: &RadioSettings) -> String {
    format!("SPI {} does not work: {error}", settings.spi)
}
