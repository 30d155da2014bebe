//! Dragino LDDS75 ultrasonic distance sensor, FPort 2.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0–1 | battery mV in the low 14 bits |
//! | 2–3 | distance mm; 0 = no ultrasonic module, 20 = nearer than it can measure (280 mm) |
//! | 4 | 1 when an interrupt pin caused the message |
//! | 5–6 | temperature of an external DS18B20, signed tenths of °C |
//! | 7 | 1 when the ultrasonic module was detected |
//!
//! Firmware before 1.1.4 sends the first 4 or 5 bytes only. All numbers most significant
//! byte first. Source: Dragino, LDDS75 User Manual, section "Uplink Payload"; output names
//! of the ChirpStack device profile.

use super::frame::{Frame, put, tenths};
use super::{DecodeError, Object};
use serde_json::Value;

/// Every output of [`decode`].
pub(super) const OUTPUTS: &[&str] =
    &["Bat", "Distance", "Distance_error", "Interrupt_flag", "TempC_DS18B20", "Sensor_flag"];

/// Decodes one payload: `Bat` V, `Distance` mm or null with the reason in `Distance_error`
/// (`no_sensor` or `below_minimum`), `TempC_DS18B20` °C or null.
///
/// Without a DS18B20 the sensor sends 0.0 °C, which cannot be told from freezing.
pub(super) fn decode(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    const EXPECTED: &str = "4, 5 or 8";
    if f_port != 2 {
        return Err(DecodeError::Port(f_port));
    }
    if !matches!(bytes.len(), 4 | 5 | 8) {
        return Err(DecodeError::Length { expected: EXPECTED, found: bytes.len() });
    }
    let mut frame = Frame::new(bytes, EXPECTED);
    let mut object = Object::new();
    put(&mut object, "Bat", f64::from(frame.u16_be()? & 0x3fff) / 1000.0)?;
    let distance = frame.u16_be()?;
    if !frame.is_empty() {
        put(&mut object, "Interrupt_flag", frame.byte()?)?;
    }
    let mut detected = true;
    if !frame.is_empty() {
        let raw = frame.u16_be()?;
        let probe = if raw == 0x7fff { Value::Null } else { Value::from(tenths(raw)) };
        put(&mut object, "TempC_DS18B20", probe)?;
        let flag = frame.byte()?;
        detected = flag != 0;
        put(&mut object, "Sensor_flag", flag)?;
    }
    let error = match distance {
        _ if !detected => Some("no_sensor"),
        0 => Some("no_sensor"),
        20 => Some("below_minimum"),
        _ => None,
    };
    match error {
        None => put(&mut object, "Distance", distance)?,
        Some(error) => {
            put(&mut object, "Distance", Value::Null)?;
            put(&mut object, "Distance_error", error)?;
        }
    }
    Ok(object)
}
