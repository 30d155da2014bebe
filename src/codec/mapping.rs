//! From a decoder's object to typed readings, as a profile tells.

use super::{CodecError, Object};
use crate::device::{InputUnit, Mapping, Profile};
use crate::units::{Celsius, Degrees, Lux, Metres, Ratio, Seconds, Volts};
use crate::units::{Measured, Quality, Quantity, Reading};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// An output that is there but cannot become the reading that the profile wants of it. It
/// names the output and what kind of value it had, never the value: that may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// Where the value stands in the object.
    pub output: String,
    /// What it should have become.
    pub quantity: Quantity,
    /// What kind of value was there instead.
    pub found: &'static str,
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, quantity, found } = self;
        write!(f, "output {output:?} is {found}, which is no {}", quantity.as_str())
    }
}

/// Whether the profile's readings can be made of these outputs.
pub(super) fn check(profile: &Profile, outputs: &[&str]) -> Result<(), CodecError> {
    let mut names = HashSet::new();
    for mapping in &profile.readings {
        let reading = name(mapping).to_owned();
        let quantity = mapping.quantity;
        let root = mapping.output.split('.').next().unwrap_or_default();
        if !outputs.contains(&root) {
            return Err(CodecError::NoOutput {
                reading,
                decoder: profile.decoder.clone(),
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
            unmapped.push(Unmapped {
                output: mapping.output.clone(),
                quantity: mapping.quantity,
                found: kind(value),
            });
            continue;
        };
        let name = name(mapping).to_owned();
        readings.push(Reading { name, quantity: mapping.quantity, measured, quality });
    }
    (readings, unmapped)
}

fn name(mapping: &Mapping) -> &str {
    mapping.name.as_deref().unwrap_or(mapping.quantity.as_str())
}

fn find<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let root = object.get(parts.next()?)?;
    parts.try_fold(root, |value, part| value.get(part))
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
        quantity => {
            let number = own_unit(mapping.unit, value.as_f64()?);
            let measured = number_of(quantity, number)?;
            let plausible = |[least, greatest]: [f64; 2]| least <= number && number <= greatest;
            let good = mapping.range.is_none_or(plausible);
            return Some((measured, if good { Quality::Good } else { Quality::Suspect }));
        }
    };
    state(mapping, value).map(|state| (wrap(state), Quality::Good))
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
    quantity.unit().is_none() && quantity != Quantity::Count
}

fn units(quantity: Quantity) -> &'static [InputUnit] {
    use InputUnit as U;
    match quantity {
        Quantity::Distance => &[U::Millimetres, U::Centimetres, U::Metres],
        Quantity::Temperature => &[U::Celsius],
        Quantity::Humidity | Quantity::BatteryLevel | Quantity::FillLevel => {
            &[U::Percent, U::Ratio]
        }
        Quantity::BatteryVoltage => &[U::Volts, U::Millivolts],
        Quantity::Illuminance => &[U::Lux],
        Quantity::Tilt => &[U::Degrees],
        Quantity::Elapsed => &[U::Seconds, U::Minutes],
        _ => &[],
    }
}

/// Divides where it can: 57 / 100 is the double nearest to 0.57, and 57 * 0.01 is not.
fn own_unit(unit: Option<InputUnit>, number: f64) -> f64 {
    use InputUnit as U;
    match unit {
        Some(U::Millimetres | U::Millivolts) => number / 1000.0,
        Some(U::Centimetres | U::Percent) => number / 100.0,
        Some(U::Minutes) => number * 60.0,
        Some(U::Metres | U::Celsius | U::Volts | U::Ratio | U::Degrees | U::Lux | U::Seconds)
        | None => number,
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
