//! What a sensor said, in typed quantities: the one language of codecs, bins and care.

use super::{Amperes, Celsius, Degrees, Joules, Lux, Metres, Ratio, Seconds, Volts, Watts};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeStruct, Serializer};

macro_rules! measured {
    ($($(#[$doc:meta])* $kind:ident($inner:ty) = $text:literal, $unit:expr;)*) => {
        /// The kinds of quantity that a reading can be of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
        pub enum Quantity {
            $($(#[$doc])* #[serde(rename = $text)] $kind,)*
        }

        /// One measured value with its type. Zero and false are values like any other.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Measured {
            $($(#[$doc])* $kind($inner),)*
        }

        impl Quantity {
            /// Every kind, in the order of declaration.
            pub const ALL: &[Quantity] = &[$(Quantity::$kind,)*];

            /// The name in profiles and messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Quantity::$kind => $text,)* }
            }

            /// The unit in messages, as SenML (RFC 8428) registers it; none for states and counts.
            pub fn unit(self) -> Option<&'static str> {
                match self { $(Quantity::$kind => $unit,)* }
            }
        }

        impl Measured {
            /// Which quantity this is.
            pub fn quantity(self) -> Quantity {
                match self { $(Measured::$kind(_) => Quantity::$kind,)* }
            }
        }
    };
}

measured! {
    /// From the sensor down to the surface.
    Distance(Metres) = "distance", Some("m");
    /// Of the air at the sensor.
    Temperature(Celsius) = "temperature", Some("Cel");
    /// Relative humidity of the air.
    Humidity(Ratio) = "humidity", Some("/");
    /// Of the battery under load.
    BatteryVoltage(Volts) = "battery_voltage", Some("V");
    /// What is left of the battery, as the sensor estimates it.
    BatteryLevel(Ratio) = "battery_level", Some("/");
    /// Light at the sensor.
    Illuminance(Lux) = "illuminance", Some("lx");
    /// Angle from upright.
    Tilt(Degrees) = "tilt", Some("deg");
    /// How full the container is, as the sensor itself computes it.
    FillLevel(Ratio) = "fill_level", Some("/");
    /// Time since the last event, as the sensor counts it.
    Elapsed(Seconds) = "elapsed", Some("s");
    /// Events since the sensor last reset its counter.
    Count(u32) = "count", None;
    /// Somebody moved.
    Motion(bool) = "motion", None;
    /// Somebody is there: on the bed, on the chair, in the room.
    Occupied(bool) = "occupied", None;
    /// The contact is open: a door, a window, a lid.
    ContactOpen(bool) = "contact_open", None;
    /// The sensor no longer hangs as it was installed.
    Tilted(bool) = "tilted", None;
    /// A button was pressed.
    Button(bool) = "button", None;
    /// Somebody tampers with the sensor or took it down.
    Tamper(bool) = "tamper", None;
    /// The sensor's own temperature alarm.
    Fire(bool) = "fire", None;
    /// The sensor's own warning of a weak battery.
    BatteryLow(bool) = "battery_low", None;
    /// A voltage that is not that of the battery.
    Voltage(Volts) = "voltage", Some("V");
    /// An electric current.
    Current(Amperes) = "current", Some("A");
    /// Electric power.
    Power(Watts) = "power", Some("W");
    /// Electric energy.
    Energy(Joules) = "energy", Some("J");
    /// A part of a whole that is no level: how far a lamp is dimmed, say.
    Share(Ratio) = "share", Some("/");
    /// A state that has no other name here, on or off. The reading's name says of what.
    State(bool) = "state", None;
    /// A number that has no other name here. The reading's name says of what.
    Number(f64) = "number", None;
}

/// How far a reading can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Within what the sensor can measure.
    Good,
    /// Outside the plausible range that the profile states: a fault or a miracle.
    Suspect,
    /// The sensor answered that it has no value (no echo, probe missing).
    Missing,
}

/// One reading of one quantity. Serialises to a record `{name, unit, value, quality}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The name that the profile gives it; unique within the profile.
    pub name: String,
    /// What it is a reading of.
    pub quantity: Quantity,
    /// The value; `None` if and only if the quality is [`Quality::Missing`].
    pub measured: Option<Measured>,
    /// How far to trust it.
    pub quality: Quality,
}

#[cfg(test)]
impl schemars::JsonSchema for Reading {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reading".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let units = Quantity::ALL.iter().filter_map(|quantity| quantity.unit());
        let units: std::collections::BTreeSet<_> = units.collect();
        schemars::json_schema!({
            "type": "object",
            "description": "One reading of one quantity.",
            "properties": {
                "name": {
                    "type": "string",
                    "description": "The name that the profile gives it.",
                },
                "unit": {
                    "enum": units,
                    "description": "As SenML (RFC 8428) registers it; none of states and counts.",
                },
                "value": {
                    "type": ["number", "boolean", "null"],
                    "description": "Null if, and only if, the quality is `missing`.",
                },
                "quality": generator.subschema_for::<Quality>(),
            },
            "required": ["name", "value", "quality"],
            "if": { "properties": { "quality": { "const": "missing" } } },
            "then": { "properties": { "value": { "type": "null" } } },
            "else": { "properties": { "value": { "type": ["number", "boolean"] } } },
            "dependentSchemas": {
                "unit": { "properties": { "value": { "type": ["number", "null"] } } },
            },
        })
    }
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use Measured as M;
        match *self {
            M::Distance(Metres(v))
            | M::Temperature(Celsius(v))
            | M::Humidity(Ratio(v))
            | M::BatteryVoltage(Volts(v))
            | M::BatteryLevel(Ratio(v))
            | M::Illuminance(Lux(v))
            | M::Tilt(Degrees(v))
            | M::FillLevel(Ratio(v))
            | M::Elapsed(Seconds(v))
            | M::Voltage(Volts(v))
            | M::Current(Amperes(v))
            | M::Power(Watts(v))
            | M::Energy(Joules(v))
            | M::Share(Ratio(v))
            | M::Number(v) => s.serialize_f64(v),
            M::Count(n) => s.serialize_u32(n),
            M::Motion(b)
            | M::Occupied(b)
            | M::ContactOpen(b)
            | M::Tilted(b)
            | M::Button(b)
            | M::Tamper(b)
            | M::Fire(b)
            | M::BatteryLow(b)
            | M::State(b) => s.serialize_bool(b),
        }
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut record = s.serialize_struct("Reading", 4)?;
        record.serialize_field("name", &self.name)?;
        if let Some(unit) = self.quantity.unit() {
            record.serialize_field("unit", unit)?;
        }
        record.serialize_field("value", &self.measured)?;
        record.serialize_field("quality", &self.quality)?;
        record.end()
    }
}
