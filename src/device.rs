//! The device registry: which sensors there are, whose they are, and what they are.

use crate::units::{AesKey, DevAddr, DevEui, JoinEui, Metres, Quantity, TenantId, duration};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What all sensors of one model have in common. A TOML file in `config/profiles/`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name by which devices refer to it.
    pub name: String,
    /// Who makes the sensor.
    pub vendor: String,
    /// The vendor's name of the model.
    pub model: String,
    /// Which payload decoder of the house reads it; one of those in `codec`. Either this or a
    /// script.
    #[serde(default)]
    pub decoder: Option<String>,
    /// Which script reads it: the name of a file in `codecs/`.
    #[serde(default)]
    pub codec: Option<String>,
    /// The SHA-256 of that script, in hexadecimal: one that says something else under the same
    /// name is not run.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Outputs of the script that are no reading, on purpose. Any other that no reading is made
    /// of is counted as not mapped.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// What the script's `encodeDownlink` understands: the names in its object.
    #[serde(default)]
    pub downlinks: Vec<String>,
    /// The longest silence of a healthy sensor: it reports at least this often.
    #[serde(deserialize_with = "duration::deserialize")]
    pub heartbeat: Duration,
    /// How long the sensor keeps "motion" or "occupied" after the last sign of a person.
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    pub hold: Option<Duration>,
    /// What to do when the frame counter starts again from zero.
    #[serde(default)]
    pub counter: CounterPolicy,
    /// Which outputs of the decoder become which readings.
    #[serde(default, rename = "reading")]
    pub readings: Vec<Mapping>,
}

impl Profile {
    /// The least and the greatest distance that it can measure, if it measures one.
    pub fn sight(&self) -> Option<[Metres; 2]> {
        let distance = |m: &&Mapping| m.quantity == Quantity::Distance;
        let range = self.readings.iter().find(distance)?.range?;
        Some(range.map(Metres))
    }
}

/// Frame counter resets of an ABP device: a sensor that forgets its counter when the battery
/// is changed would never be heard again, but accepting the reset also accepts replays.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CounterPolicy {
    /// Whether a restart from zero is accepted. Default: no.
    pub reset: bool,
    /// The least time between two accepted resets. Default: 24 h.
    #[serde(deserialize_with = "duration::deserialize")]
    pub reset_interval: Duration,
}

impl Default for CounterPolicy {
    fn default() -> Self {
        Self { reset: false, reset_interval: Duration::from_secs(24 * 3600) }
    }
}

/// From one output of a decoder to one reading.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Where the value stands in the decoder's object; `.` separates levels.
    pub output: String,
    /// The reading's name; the quantity's name unless told.
    pub name: Option<String>,
    /// What it is a reading of.
    pub quantity: Quantity,
    /// The unit in which the decoder says it; the quantity's own unit unless told.
    pub unit: Option<InputUnit>,
    /// Outputs that mean "no value" (no echo, probe missing), before any conversion, beside
    /// null.
    #[serde(default)]
    pub missing: Vec<serde_json::Value>,
    /// Least and greatest plausible value, in the quantity's own unit.
    pub range: Option<[f64; 2]>,
    /// For states: the outputs that mean yes, beside `true`. With neither this nor `off`, a
    /// number is a count of events and means yes unless it is zero.
    #[serde(default)]
    pub on: Vec<serde_json::Value>,
    /// For states: the outputs that mean no, beside `false`.
    #[serde(default)]
    pub off: Vec<serde_json::Value>,
}

/// Units that decoders use, each a factor of the quantity's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum InputUnit {
    /// Millimetres.
    #[serde(rename = "mm")]
    Millimetres,
    /// Centimetres.
    #[serde(rename = "cm")]
    Centimetres,
    /// Metres.
    #[serde(rename = "m")]
    Metres,
    /// Degrees Celsius.
    #[serde(rename = "Cel")]
    Celsius,
    /// Volts.
    #[serde(rename = "V")]
    Volts,
    /// Millivolts.
    #[serde(rename = "mV")]
    Millivolts,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
    /// A share between 0 and 1.
    #[serde(rename = "/")]
    Ratio,
    /// Tenths of a whole.
    #[serde(rename = "1/10")]
    Tenths,
    /// Degrees of angle.
    #[serde(rename = "deg")]
    Degrees,
    /// Lux.
    #[serde(rename = "lx")]
    Lux,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Minutes.
    #[serde(rename = "min")]
    Minutes,
    /// Hours.
    #[serde(rename = "h")]
    Hours,
    /// Amperes.
    #[serde(rename = "A")]
    Amperes,
    /// Milliamperes.
    #[serde(rename = "mA")]
    Milliamperes,
    /// Watts.
    #[serde(rename = "W")]
    Watts,
    /// Joules.
    #[serde(rename = "J")]
    Joules,
    /// Watt-hours.
    #[serde(rename = "Wh")]
    WattHours,
    /// Kilowatt-hours.
    #[serde(rename = "kWh")]
    KilowattHours,
}

/// The fixed session of a device that never joins (activation by personalisation, LoRaWAN 1.0.x).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abp {
    /// Its address on the air.
    pub dev_addr: DevAddr,
    /// Authenticates frames.
    pub nwk_s_key: AesKey,
    /// Encrypts payloads.
    pub app_s_key: AesKey,
}

/// What a device that joins over the air (OTAA, LoRaWAN 1.0.x) gets its sessions with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otaa {
    /// Which join server it asks for (AppEUI before LoRaWAN 1.0.4).
    pub join_eui: JoinEui,
    /// Authenticates its joins; session keys are derived from it.
    pub app_key: AesKey,
}

/// How a device comes to its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// The session is fixed.
    Abp(Abp),
    /// It joins over the air.
    Otaa(Otaa),
}

/// One sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its globally unique address.
    pub dev_eui: DevEui,
    /// What people call it.
    pub name: String,
    /// Whose it is. Exactly one tenant.
    pub tenant: TenantId,
    /// What it is.
    pub profile: Arc<Profile>,
    /// How it comes to its session.
    pub activation: Activation,
    /// The bin that it sits in.
    pub bin: Option<String>,
    /// The resident, by pseudonym, whose home it is in.
    pub resident: Option<String>,
    /// Its name in that home.
    pub sensor: Option<String>,
}

/// All devices, found by DevEUI.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    by_eui: HashMap<DevEui, Arc<Device>>,
}

impl Registry {
    /// A registry of these devices. Of two with one DevEUI the later stays; the settings
    /// are checked for such pairs before they come here.
    pub fn new(devices: impl IntoIterator<Item = Device>) -> Self {
        Self {
            by_eui: devices.into_iter().map(|device| (device.dev_eui, Arc::new(device))).collect(),
        }
    }

    /// The device with this DevEUI.
    pub fn get(&self, dev_eui: DevEui) -> Option<&Arc<Device>> {
        self.by_eui.get(&dev_eui)
    }

    /// All devices, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Device>> {
        self.by_eui.values()
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.by_eui.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_eui.is_empty()
    }
}
