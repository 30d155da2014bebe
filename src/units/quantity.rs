//! Physical quantities. Each is a newtype over its SI (or field-customary) unit.

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    )*};
}

quantity! {
    /// A length in metres.
    Metres(f64);
    /// A temperature in degrees Celsius.
    Celsius(f64);
    /// An electric potential in volts.
    Volts(f64);
    /// A share between 0 and 1.
    Ratio(f64);
    /// An angle in degrees from upright.
    Degrees(f64);
    /// An illuminance in lux.
    Lux(f64);
    /// An electric power in watts.
    Watts(f64);
    /// An energy in joules.
    Joules(f64);
    /// An electric current in amperes.
    Amperes(f64);
    /// A duration in seconds, as a sensor reports it.
    Seconds(f64);
    /// A received power in decibel-milliwatts.
    Dbm(f32);
    /// A signal-to-noise ratio in decibels.
    Db(f32);
}

/// A frequency or a bandwidth in hertz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Hertz(pub u32);
