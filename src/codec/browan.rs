//! Browan TABS sensors that share one 8-byte frame: TBMS100 (PIR, FPort 102), TBDW100 (door
//! and window, FPort 100) and TBPB100 (button, FPort 147).
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0 | bit 0: occupied, open or pressed; the others are reserved and not always zero |
//! | 1 | low nibble: battery, (25 + n) / 10 V, n from 1 to 14 |
//! | 2 | low 7 bits: board temperature + 32 °C |
//! | 3–4 | minutes since the last event, least significant byte first |
//! | 5–7 | count of events since power-up, least significant byte first |
//!
//! Source: Browan, Motion Sensor Reference Manual (BQW_02_0006) and Door & Window Sensor
//! Reference Manual, section 4.1.2; output names of The Things Network's codec. A codec in
//! circulation reads only 16 bits of the count, and so wraps 256 times too early.

use super::frame::{Frame, put};
use super::{DecodeError, Object};

/// Every output of [`tbms100`], [`tbdw100`] and [`tbpb100`].
pub(super) const OUTPUTS: &[&str] = &["status", "battery", "temperatureBoard", "time", "count"];

/// Decodes one payload of a TBMS100: `status` 1 occupied, 0 free.
pub(super) fn tbms100(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if f_port == 102 { status(bytes) } else { Err(DecodeError::Port(f_port)) }
}

/// Decodes one payload of a TBDW100: `status` 1 open, 0 closed.
pub(super) fn tbdw100(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if f_port == 100 { status(bytes) } else { Err(DecodeError::Port(f_port)) }
}

/// Decodes one payload of a TBPB100: `status` 1 pressed.
pub(super) fn tbpb100(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if f_port == 147 { status(bytes) } else { Err(DecodeError::Port(f_port)) }
}

/// `battery` V, `temperatureBoard` °C, `time` minutes.
fn status(bytes: &[u8]) -> Result<Object, DecodeError> {
    let mut frame = Frame::exact(bytes, 8, "8")?;
    let mut object = Object::new();
    put(&mut object, "status", frame.byte()? & 0x01)?;
    put(&mut object, "battery", f64::from(25 + (frame.byte()? & 0x0f)) / 10.0)?;
    put(&mut object, "temperatureBoard", i16::from(frame.byte()? & 0x7f) - 32)?;
    put(&mut object, "time", frame.u16_le()?)?;
    let [low, middle, high] = frame.take()?;
    put(&mut object, "count", u32::from_le_bytes([low, middle, high, 0]))?;
    Ok(object)
}
