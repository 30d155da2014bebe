//! Sensoneo Single Sensor, payload version 3: 17 bytes on FPort 2.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0–1 | `ff ff` |
//! | 2 | low nibble: 0 master, 1 slave, 2 stand-alone; the high nibble is not documented |
//! | 3 | firmware |
//! | 4–7 | sensor id, least significant byte first |
//! | 8 | events: why this message was sent |
//! | 9–12 | four sonar distances, each in 2 cm; `7f` is no echo |
//! | 13 | battery, 2500 mV + 10 mV each |
//! | 14 | temperature, signed °C |
//! | 15 | tilt from upright, degrees |
//! | 16 | count of transmitted events, modulo 256 |
//!
//! Source: the vendor's payload description as implemented for the ELEMENT IoT platform, and
//! real frames of a glass-bank fleet. The older text payloads of versions 1 and 2 (FPort 1)
//! are not read.

use super::frame::{Frame, put};
use super::{DecodeError, Object};
use serde_json::Value;

/// Every output of [`decode`].
pub(super) const OUTPUTS: &[&str] = &[
    "type",
    "firmware",
    "sensor_id",
    "events",
    "event_measurement_ended",
    "event_temperature_threshold",
    "event_tilt_threshold",
    "event_slave_device_tx",
    "event_battery_low",
    "distance",
    "sonar_0",
    "sonar_1",
    "sonar_2",
    "sonar_3",
    "voltage",
    "temperature",
    "tilt",
    "tx_events",
];

/// The bits of the events byte. The description gives 0x20 two meanings (position fix and
/// start), so that bit and those above it appear in `events` only.
const EVENTS: [(u8, &str); 5] = [
    (0x01, "event_measurement_ended"),
    (0x02, "event_temperature_threshold"),
    (0x04, "event_tilt_threshold"),
    (0x08, "event_slave_device_tx"),
    (0x10, "event_battery_low"),
];

/// The sonar byte of a pulse that never came back; as a distance it would be 254 cm, an
/// almost empty container.
const NO_ECHO: u8 = 0x7f;

/// Decodes one payload. `distance` and `sonar_0` to `sonar_3` are cm or null for no echo,
/// `voltage` V, `temperature` °C, `tilt` degrees.
///
/// `distance` is the mean of the sonars that heard an echo. An `event_…` is there, as true,
/// only when its bit is set: a clear bit says that this message has another cause, not that
/// the container stands upright or is cold.
pub(super) fn decode(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if f_port != 2 {
        return Err(DecodeError::Port(f_port));
    }
    let mut frame = Frame::exact(bytes, 17, "17")?;
    for at in 0..2 {
        let byte = frame.byte()?;
        if byte != 0xff {
            return Err(DecodeError::Unknown { what: "prefix", byte, at });
        }
    }
    let mut object = Object::new();
    let byte = frame.byte()?;
    let kind = match byte & 0x0f {
        0 => "master",
        1 => "slave",
        2 => "standalone",
        _ => return Err(DecodeError::Unknown { what: "sensor type", byte, at: 2 }),
    };
    put(&mut object, "type", kind)?;
    put(&mut object, "firmware", frame.byte()?)?;
    put(&mut object, "sensor_id", u32::from_le_bytes(frame.take()?))?;

    let events = frame.byte()?;
    put(&mut object, "events", events)?;
    for (bit, name) in EVENTS {
        if events & bit != 0 {
            put(&mut object, name, true)?;
        }
    }

    let sonars = frame.take::<4>()?;
    for (name, byte) in ["sonar_0", "sonar_1", "sonar_2", "sonar_3"].into_iter().zip(sonars) {
        put(&mut object, name, echo(byte))?;
    }
    put(&mut object, "distance", mean(&sonars))?;
    put(&mut object, "voltage", f64::from(2500 + 10 * u16::from(frame.byte()?)) / 1000.0)?;
    put(&mut object, "temperature", frame.byte()?.cast_signed())?;
    put(&mut object, "tilt", frame.byte()?)?;
    put(&mut object, "tx_events", frame.byte()?)?;
    Ok(object)
}

fn echo(byte: u8) -> Value {
    if byte == NO_ECHO { Value::Null } else { Value::from(u16::from(byte) * 2) }
}

fn mean(sonars: &[u8]) -> Value {
    let heard = || sonars.iter().filter(|&&byte| byte != NO_ECHO);
    let sum: u16 = heard().map(|&byte| u16::from(byte) * 2).sum();
    match heard().count() {
        0 => Value::Null,
        n => Value::from(f64::from(sum) / n as f64),
    }
}
