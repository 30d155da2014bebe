//! From a decoder's object to typed readings, as a profile tells.

use super::{CodecError, Object};
use crate::device::{InputUnit, Mapping, Profile};
use crate::units::{Amperes, Celsius, Degrees, Joules, Lux, Metres, Ratio, Seconds, Volts, Watts};
use crate::units::{Measured, Quality, Quantity, Reading};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// A reading that there should be and is not, or an output that nobody expects. It names the
/// output and what kind of value it had, never the value: that may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmapped {
    /// The output is there but cannot become the reading that the profile wants of it.
    Wrong {
        /// Where the value stands in the object.
        output: String,
        /// What it should have become.
        quantity: Quantity,
        /// What kind of value was there instead.
        found: &'static str,
    },
    /// None of the outputs that the profile knows is there.
    Vanished {
        /// The first of those that are.
        instead: String,
    },
    /// The profile neither makes a reading of it nor says that it is none.
    Unknown {
        /// The output.
        output: String,
    },
}

impl Unmapped {
    /// Whether a reading is missing for it.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { output, quantity, found } => {
                write!(f, "output {output:?} is {found}, which is no {}", quantity.as_str())
            }
            Self::Vanished { instead } => {
                write!(f, "none of the profile's outputs is there, but {instead:?}")
            }
            Self::Unknown { output } => write!(f, "the profile does not know output {output:?}"),
        }
    }
}

/// Whether the profile's readings can be made of these outputs, if they are known.
pub(super) fn check(profile: &Profile, outputs: Option<&[&str]>) -> Result<(), CodecError> {
    let mut names = HashSet::new();
    for mapping in &profile.readings {
        let reading = name(mapping).to_owned();
        let quantity = mapping.quantity;
        let root = mapping.output.split('.').next().unwrap_or_default();
        if outputs.is_some_and(|outputs| !outputs.contains(&root)) {
            return Err(CodecError::NoOutput {
                reading,
                decoder: profile.decoder.clone().unwrap_or_default(),
                output: mapping.output.clone(),
            });
        }
        if let Some(unit) = mapping.unit
            && !units(quantity).contains(&unit)
        {
            return Err(CodecError::Unit { reading, unit, quantity: quantity.as_str() });
        }
        let named = !mapping.on.is_empty() || !mapping.off.is_empty();
        if named && !is_state(quantity) {
            return Err(CodecError::NotAState { reading, quantity: quantity.as_str() });
        }
        if !states_fit(mapping) {
            return Err(CodecError::States { reading });
        }
        if let Some([least, greatest]) = mapping.range
            && (is_state(quantity)
                || !least.is_finite()
                || !greatest.is_finite()
                || least > greatest)
        {
            return Err(CodecError::Range { reading });
        }
        if !names.insert(name(mapping)) {
            return Err(CodecError::Duplicate(reading));
        }
    }
    let presence = |m: &Mapping| matches!(m.quantity, Quantity::Motion | Quantity::Occupied);
    if profile.hold.is_none() && profile.readings.iter().any(presence) {
        return Err(CodecError::NoHold);
    }
    Ok(())
}

/// All readings that this object gives. An output that is not in it gives none: many sensors
/// report in parts.
pub(super) fn map(profile: &Profile, object: &Object) -> (Vec<Reading>, Vec<Unmapped>) {
    let mut readings = Vec::new();
    let mut unmapped = Vec::new();
    for mapping in &profile.readings {
        let Some(value) = find(object, &mapping.output) else { continue };
        let (measured, quality) = if says_missing(mapping, value) {
            (None, Quality::Missing)
        } else if let Some((measured, quality)) = measure(mapping, value) {
            (Some(measured), quality)
        } else {
            unmapped.push(Unmapped::Wrong {
                output: mapping.output.clone(),
                quantity: mapping.quantity,
                found: kind(value),
            });
            continue;
        };
        let name = name(mapping).to_owned();
        readings.push(Reading { name, quantity: mapping.quantity, measured, quality });
    }
    // a decoder of the house says nothing else than its profiles were checked against
    if profile.codec.is_some() {
        unmapped.extend(unexpected(profile, object));
    }
    (readings, unmapped)
}

/// What a script says that the profile does not know: it was made for something else.
fn unexpected(profile: &Profile, object: &Object) -> Vec<Unmapped> {
    let root = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    let known: HashSet<String> = profile.readings.iter().map(|m| root(&m.output)).collect();
    let ignored: HashSet<String> = profile.ignore.iter().map(|path| root(path)).collect();
    let unknown = || object.keys().filter(|o| !known.contains(*o) && !ignored.contains(*o));
    let mut unexpected: Vec<_> =
        unknown().map(|output| Unmapped::Unknown { output: output.clone() }).collect();
    // many sensors report in parts; but if all that came is unknown, a name has changed
    if !profile.readings.is_empty()
        && !object.keys().any(|o| known.contains(o) || ignored.contains(o))
        && let Some(instead) = unknown().next().cloned()
    {
        unexpected.insert(0, Unmapped::Vanished { instead });
    }
    unexpected
}

fn name(mapping: &Mapping) -> &str {
    mapping.name.as_deref().unwrap_or(mapping.quantity.as_str())
}

fn find<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let root = object.get(parts.next()?)?;
    parts.try_fold(root, |value, part| match value {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

fn says_missing(mapping: &Mapping, value: &Value) -> bool {
    value.is_null() || contains(&mapping.missing, value)
}

/// Numbers are compared as numbers: a profile's `254` is a decoder's 254.0.
fn contains(values: &[Value], value: &Value) -> bool {
    values.iter().any(|v| match (v.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => v == value,
    })
}

fn measure(mapping: &Mapping, value: &Value) -> Option<(Measured, Quality)> {
    use Quantity as Q;
    let wrap: fn(bool) -> Measured = match mapping.quantity {
        Q::Motion => Measured::Motion,
        Q::Occupied => Measured::Occupied,
        Q::ContactOpen => Measured::ContactOpen,
        Q::Tilted => Measured::Tilted,
        Q::Button => Measured::Button,
        Q::Tamper => Measured::Tamper,
        Q::Fire => Measured::Fire,
        Q::BatteryLow => Measured::BatteryLow,
        Q::State => Measured::State,
        quantity => {
            let number = own_unit(mapping.unit, number(mapping.unit, value)?);
            let measured = number_of(quantity, number)?;
            let plausible = |[least, greatest]: [f64; 2]| least <= number && number <= greatest;
            let good = mapping.range.is_none_or(plausible);
            return Some((measured, if good { Quality::Good } else { Quality::Suspect }));
        }
    };
    state(mapping, value).map(|state| (wrap(state), Quality::Good))
}

/// A number, also one that a codec has written as text: `"2799 mm"` of a profile in millimetres.
fn number(unit: Option<InputUnit>, value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let text = text.trim();
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    // in another unit it would be another number
    let fits = rest.trim().is_empty() || unit.is_some_and(|u| spellings(u).contains(&rest.trim()));
    if fits { digits.parse().ok() } else { None }
}

/// How codecs write a unit.
fn spellings(unit: InputUnit) -> &'static [&'static str] {
    use InputUnit as U;
    match unit {
        U::Millimetres => &["mm"],
        U::Centimetres => &["cm"],
        U::Metres => &["m"],
        U::Celsius => &["°C", "℃", "C", "Cel", "degC"],
        U::Volts => &["V"],
        U::Millivolts => &["mV"],
        U::Percent => &["%", "%RH"],
        U::Ratio | U::Tenths => &[],
        U::Degrees => &["°", "deg"],
        U::Lux => &["lx", "lux"],
        U::Seconds => &["s"],
        U::Minutes => &["min"],
        U::Hours => &["h"],
        U::Amperes => &["A"],
        U::Milliamperes => &["mA"],
        U::Watts => &["W"],
        U::Joules => &["J"],
        U::WattHours => &["Wh"],
        U::KilowattHours => &["kWh"],
    }
}

/// A number in the quantity's own unit as that quantity; none when it is not finite, or not
/// a count.
fn number_of(quantity: Quantity, number: f64) -> Option<Measured> {
    if !number.is_finite() {
        return None;
    }
    Some(match quantity {
        Quantity::Distance => Measured::Distance(Metres(number)),
        Quantity::Temperature => Measured::Temperature(Celsius(number)),
        Quantity::Humidity => Measured::Humidity(Ratio(number)),
        Quantity::BatteryVoltage => Measured::BatteryVoltage(Volts(number)),
        Quantity::BatteryLevel => Measured::BatteryLevel(Ratio(number)),
        Quantity::Illuminance => Measured::Illuminance(Lux(number)),
        Quantity::Tilt => Measured::Tilt(Degrees(number)),
        Quantity::FillLevel => Measured::FillLevel(Ratio(number)),
        Quantity::Elapsed => Measured::Elapsed(Seconds(number)),
        Quantity::Voltage => Measured::Voltage(Volts(number)),
        Quantity::Current => Measured::Current(Amperes(number)),
        Quantity::Power => Measured::Power(Watts(number)),
        Quantity::Energy => Measured::Energy(Joules(number)),
        Quantity::Share => Measured::Share(Ratio(number)),
        Quantity::Number => Measured::Number(number),
        Quantity::Count if number.fract() == 0.0 && (0.0..=u32::MAX.into()).contains(&number) => {
            Measured::Count(number as u32)
        }
        _ => return None,
    })
}

/// With `on` and `off` told, only they and true and false mean anything. Without them a
/// number is a count of events since the last message: any but zero means yes.
fn state(mapping: &Mapping, value: &Value) -> Option<bool> {
    if let Value::Bool(state) = value {
        Some(*state)
    } else if contains(&mapping.on, value) {
        Some(true)
    } else if contains(&mapping.off, value) {
        Some(false)
    } else if mapping.on.is_empty() && mapping.off.is_empty() {
        value.as_f64().map(|number| number != 0.0)
    } else {
        None
    }
}

fn states_fit(mapping: &Mapping) -> bool {
    let Mapping { on, off, missing, .. } = mapping;
    on.is_empty() == off.is_empty()
        && !on.iter().any(|v| contains(off, v) || contains(missing, v))
        && !off.iter().any(|v| contains(missing, v))
}

fn is_state(quantity: Quantity) -> bool {
    quantity.unit().is_none() && !matches!(quantity, Quantity::Count | Quantity::Number)
}

fn units(quantity: Quantity) -> &'static [InputUnit] {
    use InputUnit as U;
    match quantity {
        Quantity::Distance => &[U::Millimetres, U::Centimetres, U::Metres],
        Quantity::Temperature => &[U::Celsius],
        Quantity::Humidity | Quantity::BatteryLevel | Quantity::FillLevel | Quantity::Share => {
            &[U::Percent, U::Ratio, U::Tenths]
        }
        Quantity::BatteryVoltage | Quantity::Voltage => &[U::Volts, U::Millivolts],
        Quantity::Current => &[U::Amperes, U::Milliamperes],
        Quantity::Power => &[U::Watts],
        Quantity::Energy => &[U::Joules, U::WattHours, U::KilowattHours],
        Quantity::Illuminance => &[U::Lux],
        Quantity::Tilt => &[U::Degrees],
        Quantity::Elapsed => &[U::Seconds, U::Minutes, U::Hours],
        _ => &[],
    }
}

/// Divides where it can: 57 / 100 is the double nearest to 0.57, and 57 * 0.01 is not.
fn own_unit(unit: Option<InputUnit>, number: f64) -> f64 {
    use InputUnit as U;
    match unit {
        Some(U::Millimetres | U::Millivolts | U::Milliamperes) => number / 1000.0,
        Some(U::Centimetres | U::Percent) => number / 100.0,
        Some(U::Tenths) => number / 10.0,
        Some(U::Minutes) => number * 60.0,
        Some(U::Hours | U::WattHours) => number * 3600.0,
        Some(U::KilowattHours) => number * 3_600_000.0,
        _ => number,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number that it cannot be",
        Value::String(_) => "a text that the profile does not know",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
