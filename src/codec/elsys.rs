//! Elsys ELT, ERS and relatives: a list of type byte and value, most significant byte first.
//!
//! A length is known only from its type, so an unknown type ends the payload with an error.
//! The two top bits of a type byte announce a time offset, which these sensors do not send
//! by default; such a type is unknown here. The port is the operator's choice (default 5).
//! Source: ELSYS, "Sensor payload" (types, lengths, units); output names of the vendor's
//! decoder. That decoder shows absolute counters above 2³¹ as negative; this one does not. Positions
//! (type 0x09) are not read: the vendor's decoders disagree about their byte order, and these
//! models have none.

use super::frame::{Frame, put, tenths};
use super::{DecodeError, Object};
use serde_json::Value;

/// Every output of [`decode`].
pub(super) const OUTPUTS: &[&str] = &[
    "temperature",
    "humidity",
    "x",
    "y",
    "z",
    "light",
    "motion",
    "co2",
    "vdd",
    "analog1",
    "pulse1",
    "pulseAbs",
    "externalTemperature",
    "digital",
    "distance",
    "accMotion",
    "irInternalTemperature",
    "irExternalTemperature",
    "occupancy",
    "waterleak",
    "grideye",
    "pressure",
    "soundPeak",
    "soundAvg",
    "pulse2",
    "pulseAbs2",
    "analog2",
    "externalTemperature2",
    "digital2",
    "analogUv",
    "tvoc",
];

/// Decodes one payload: temperatures °C, `humidity` %, `light` lx, `vdd` mV, `distance` mm,
/// `pressure` hPa, `motion` the number of movements since the last message, `occupancy`
/// 0 nobody, 1 undecided, 2 somebody, `externalTemperature2` one value or a list of them.
pub(super) fn decode(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if !(1..=223).contains(&f_port) {
        return Err(DecodeError::Port(f_port));
    }
    const EXPECTED: &str = "one or more whole values";
    if bytes.is_empty() {
        return Err(DecodeError::Length { expected: EXPECTED, found: 0 });
    }
    let mut frame = Frame::new(bytes, EXPECTED);
    let mut object = Object::new();
    let mut probes = Vec::new();
    while !frame.is_empty() {
        let at = frame.at();
        let o = &mut object;
        match frame.byte()? {
            0x01 => put(o, "temperature", tenths(frame.u16_be()?))?,
            0x02 => put(o, "humidity", frame.byte()?)?,
            0x03 => {
                let [x, y, z] = frame.take()?;
                for (name, byte) in [("x", x), ("y", y), ("z", z)] {
                    put(o, name, byte.cast_signed())?;
                }
            }
            0x04 => put(o, "light", frame.u16_be()?)?,
            0x05 => put(o, "motion", frame.byte()?)?,
            0x06 => put(o, "co2", frame.u16_be()?)?,
            0x07 => put(o, "vdd", frame.u16_be()?)?,
            0x08 => put(o, "analog1", frame.u16_be()?)?,
            0x0a => put(o, "pulse1", frame.u16_be()?)?,
            0x0b => put(o, "pulseAbs", u32::from_be_bytes(frame.take()?))?,
            0x0c => put(o, "externalTemperature", tenths(frame.u16_be()?))?,
            0x0d => put(o, "digital", frame.byte()?)?,
            0x0e => put(o, "distance", frame.u16_be()?)?,
            0x0f => put(o, "accMotion", frame.byte()?)?,
            0x10 => {
                put(o, "irInternalTemperature", tenths(frame.u16_be()?))?;
                put(o, "irExternalTemperature", tenths(frame.u16_be()?))?;
            }
            0x11 => put(o, "occupancy", frame.byte()?)?,
            0x12 => put(o, "waterleak", frame.byte()?)?,
            0x13 => {
                let reference = f64::from(frame.byte()?);
                let pixels = frame.take::<64>()?.map(|p| reference + f64::from(p) / 10.0);
                put(o, "grideye", pixels.to_vec())?;
            }
            0x14 => put(o, "pressure", f64::from(i32::from_be_bytes(frame.take()?)) / 1000.0)?,
            0x15 => {
                put(o, "soundPeak", frame.byte()?)?;
                put(o, "soundAvg", frame.byte()?)?;
            }
            0x16 => put(o, "pulse2", frame.u16_be()?)?,
            0x17 => put(o, "pulseAbs2", u32::from_be_bytes(frame.take()?))?,
            0x18 => put(o, "analog2", frame.u16_be()?)?,
            // A chain of probes sends this type once for each.
            0x19 => probes.push(tenths(frame.u16_be()?)),
            0x1a => put(o, "digital2", frame.byte()?)?,
            0x1b => put(o, "analogUv", i32::from_be_bytes(frame.take()?))?,
            0x1c => put(o, "tvoc", frame.u16_be()?)?,
            byte => return Err(DecodeError::Unknown { what: "value type", byte, at }),
        }
    }
    match probes.as_slice() {
        [] => {}
        [only] => put(&mut object, "externalTemperature2", *only)?,
        _ => put(&mut object, "externalTemperature2", Value::from(probes))?,
    }
    Ok(object)
}
