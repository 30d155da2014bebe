//! What an uplink says about a bin.

use crate::units::{Celsius, Degrees, Measured, Metres, Quality, Quantity, Ratio, Reading, Volts};
use jiff::Timestamp;

/// Sensors that find nothing answer with the largest number that they know.
const NO_ECHO: std::ops::Range<f64> = 2.535..2.555;

/// What a sensor says of the distance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Echo {
    /// Nothing: this uplink is about something else.
    #[default]
    Untold,
    /// It found no echo.
    Missing,
    /// The surface is so far away, along the sensor's view.
    Distance(Metres),
}

impl Echo {
    /// A distance as sensors with one byte for it send it: 254 and 255 cm are no echo.
    #[must_use]
    pub fn bytes(distance: Metres) -> Self {
        if NO_ECHO.contains(&distance.0) { Self::Missing } else { Self::Distance(distance) }
    }
}

/// What an uplink says.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// When it was heard.
    pub at: Timestamp,
    /// Whether the clock could be trusted then.
    pub synced: bool,
    /// Of the distance to the surface.
    pub echo: Echo,
    /// How full the bin is, as the sensor itself computes it.
    pub told: Option<Ratio>,
    /// Of the temperature.
    pub temperature: Option<Celsius>,
    /// Of the battery.
    pub battery: Option<Volts>,
    /// Of the angle.
    pub tilt: Option<Degrees>,
    /// The sensor's own verdict on the angle.
    pub tilted: Option<bool>,
    /// Whether the lid is open.
    pub lid_open: Option<bool>,
    /// The sensor's own fire bit.
    pub fire: Option<bool>,
    /// Whether somebody works at the sensor.
    pub tamper: Option<bool>,
    /// How often a compactor has pressed its waste.
    pub presses: Option<u32>,
}

impl Input {
    /// One that says nothing yet.
    #[must_use]
    pub fn new(at: Timestamp, synced: bool) -> Self {
        Self {
            at,
            synced,
            echo: Echo::Untold,
            told: None,
            temperature: None,
            battery: None,
            tilt: None,
            tilted: None,
            lid_open: None,
            fire: None,
            tamper: None,
            presses: None,
        }
    }

    /// What the readings of one uplink say. What is out of a sensor's range says nothing, least of
    /// all "empty"; a temperature is judged by its own rules, for a fire is out of range, too.
    #[must_use]
    pub fn of(readings: &[Reading], at: Timestamp, synced: bool) -> Self {
        let mut input = Self::new(at, synced);
        for reading in readings {
            let good = reading.quality == Quality::Good;
            match reading.measured {
                Some(Measured::Temperature(degrees)) => {
                    input.temperature.get_or_insert(degrees);
                }
                Some(Measured::Fire(fire)) => input.fire = Some(fire | (input.fire == Some(true))),
                Some(Measured::Distance(distance))
                    if good && !matches!(input.echo, Echo::Distance(_)) =>
                {
                    input.echo = Echo::Distance(distance);
                }
                Some(Measured::FillLevel(fill)) if good && fill.0.is_finite() => {
                    input.told.get_or_insert(fill);
                }
                Some(Measured::BatteryVoltage(volts)) if good => input.battery = Some(volts),
                Some(Measured::Tilt(angle)) if good => input.tilt = Some(angle),
                Some(Measured::Tilted(tilted)) => input.tilted = Some(tilted),
                Some(Measured::ContactOpen(open)) => input.lid_open = Some(open),
                Some(Measured::Tamper(tamper)) => input.tamper = Some(tamper),
                Some(Measured::Count(presses)) if good => input.presses = Some(presses),
                _ if reading.quantity == Quantity::Distance && input.echo == Echo::Untold => {
                    input.echo = Echo::Missing;
                }
                _ => {}
            }
        }
        input
    }
}
