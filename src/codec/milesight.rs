//! Milesight sensors: a list of channel byte, type byte and value, least significant byte
//! first.
//!
//! A channel's length is known only from its model's table, so an unknown one ends the
//! payload with an error. The port is the operator's choice (default 85). Source: the
//! payload sections of Milesight's user guides and the channel tables published with its
//! decoders; output names of the 2026 tables (earlier ones say `door`, `install`, `light`).
//!
//! Vendor's slips that are not repeated here: the example of the WS301 table calls tamper
//! byte 1 "installed", against the table itself and the user guide; serial numbers take 8
//! bytes (`ff 16`) or 6 (`ff 08`), not 2.

use super::frame::{Frame, put, tenths};
use super::{DecodeError, Object};
use serde_json::Value;

/// One channel of a model: what its bytes are, in their order.
struct Channel {
    id: u8,
    kind: u8,
    fields: &'static [Field],
}

/// How the bytes of one output are read.
enum Field {
    /// One byte.
    Byte(&'static str),
    /// Two bytes, unsigned.
    Word(&'static str),
    /// Two bytes, signed tenths.
    Tenths(&'static str),
    /// Two bytes of millimetres, but these values are no distance.
    Distance(&'static str, &'static [u16]),
    /// One byte that counts through these names.
    State(&'static str, &'static [&'static str]),
    /// The same, but 0xfe is `disable`: the sensor was told not to look.
    StateOrDisabled(&'static str, &'static [&'static str]),
    /// One reserved byte: that the channel is there is what it says.
    Event(&'static str, &'static str),
    /// One byte, a digit in each half.
    Version(&'static str),
    /// Two bytes of hexadecimal digits: `01 40` is v1.4.
    Hardware(&'static str),
    /// Two bytes of hexadecimal digits: `01 14` is v1.14.
    Firmware(&'static str),
    /// Two bytes, numbers.
    Tsl(&'static str),
    /// Six bytes of hexadecimal digits.
    Serial6(&'static str),
    /// Eight bytes of hexadecimal digits.
    Serial8(&'static str),
}

use Field::{
    Byte, Distance, Event, Firmware, Hardware, Serial6, Serial8, State, StateOrDisabled, Tenths,
    Tsl, Version, Word,
};

const fn channel(id: u8, kind: u8, fields: &'static [Field]) -> Channel {
    Channel { id, kind, fields }
}

const BATTERY: Channel = channel(0x01, 0x75, &[Byte("battery")]);
const POSITION: &[&str] = &["normal", "tilt"];
const ALARM: &[&str] = &["threshold_alarm_release", "threshold_alarm"];

/// What an EM400 sends when its switched-off or blinded sensor measured nothing: 65000 by
/// field reports (a tilted sensor is switched off), the others by the guides of the EM500.
const EM400_NOTHING: &[u16] = &[65_000, 0xfffd, 0xffff];

/// EM400-MUD, EM400-TLD and EM400-UDL: distance, temperature and position.
const EM400: &[Channel] = &[
    BATTERY,
    channel(0x03, 0x67, &[Tenths("temperature")]),
    channel(0x04, 0x82, &[Distance("distance", EM400_NOTHING)]),
    channel(0x05, 0x00, &[State("position", POSITION)]),
    channel(0x83, 0x67, &[Tenths("temperature"), State("temperature_alarm", ALARM)]),
    channel(0x84, 0x82, &[Distance("distance", EM400_NOTHING), State("distance_alarm", ALARM)]),
];

/// EM310-UDL: distance and position. Zero is "beyond 4.5 m" (user guide).
const EM310_UDL: &[Channel] = &[
    BATTERY,
    channel(0x03, 0x82, &[Distance("distance", &[0, 0xfffd, 0xffff])]),
    channel(0x04, 0x00, &[State("position", POSITION)]),
];

/// WS202: motion and daylight.
const WS202: &[Channel] = &[
    BATTERY,
    channel(0x03, 0x00, &[State("pir", &["normal", "trigger"])]),
    channel(0x04, 0x00, &[State("daylight", &["dark", "light"])]),
];

/// VS330: occupancy of a bathroom, and the distance to whoever or whatever is nearest.
const VS330: &[Channel] = &[
    BATTERY,
    channel(0x02, 0x82, &[Distance("distance", &[0xfffd, 0xffff])]),
    channel(0x03, 0x8e, &[State("occupancy", &["vacant", "occupied"])]),
    channel(0x04, 0x8e, &[State("calibration_status", &["failed", "success"])]),
];

/// VS370: presence by radar, and whether it is bright.
const VS370: &[Channel] = &[
    BATTERY,
    channel(0x03, 0x00, &[State("occupancy", &["vacant", "occupied"])]),
    channel(0x04, 0x00, &[StateOrDisabled("illuminance", &["dim", "bright"])]),
];

/// WS301: magnetic contact.
const WS301: &[Channel] = &[
    BATTERY,
    channel(0x03, 0x00, &[State("magnet_status", &["close", "open"])]),
    channel(0x04, 0x00, &[State("tamper_status", &["installed", "uninstalled"])]),
];

/// What every model says of itself after it joins, and its answers to the commands that all
/// of them know.
const COMMON: &[Channel] = &[
    channel(0xff, 0x01, &[Version("ipso_version")]),
    channel(0xff, 0x08, &[Serial6("sn")]),
    channel(0xff, 0x09, &[Hardware("hardware_version")]),
    channel(0xff, 0x0a, &[Firmware("firmware_version")]),
    channel(0xff, 0x0b, &[Event("device_status", "on")]),
    channel(
        0xff,
        0x0f,
        &[State("lorawan_class", &["Class A", "Class B", "Class C", "Class CtoB"])],
    ),
    channel(0xff, 0x16, &[Serial8("sn")]),
    channel(0xff, 0xfe, &[Event("reset_event", "reset")]),
    channel(0xff, 0xff, &[Tsl("tsl_version")]),
    channel(0xff, 0x02, &[Word("collection_interval")]),
    channel(0xfe, 0x02, &[Word("collection_interval")]),
    channel(0xff, 0x03, &[Word("report_interval")]),
    channel(0xfe, 0x03, &[Word("report_interval")]),
    channel(0xff, 0x10, &[Event("reboot", "yes")]),
    channel(0xfe, 0x10, &[Event("reboot", "yes")]),
];

/// Every output of [`em400`].
pub(super) const EM400_OUTPUTS: &[&str] =
    &["battery", "temperature", "distance", "position", "temperature_alarm", "distance_alarm"];
/// Every output of [`em310_udl`].
pub(super) const EM310_UDL_OUTPUTS: &[&str] = &["battery", "distance", "position"];
/// Every output of [`ws202`].
pub(super) const WS202_OUTPUTS: &[&str] = &["battery", "pir", "daylight"];
/// Every output of [`vs330`].
pub(super) const VS330_OUTPUTS: &[&str] =
    &["battery", "distance", "occupancy", "calibration_status"];
/// Every output of [`vs370`].
pub(super) const VS370_OUTPUTS: &[&str] = &["battery", "occupancy", "illuminance"];
/// Every output of [`ws301`].
pub(super) const WS301_OUTPUTS: &[&str] = &["battery", "magnet_status", "tamper_status"];

/// Decodes one payload of an EM400-MUD, -TLD or -UDL: `battery` %, `temperature` °C,
/// `distance` mm or null, `position` `normal` or `tilt`.
pub(super) fn em400(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, EM400)
}

/// Decodes one payload of an EM310-UDL: `battery` %, `distance` mm or null, `position`.
pub(super) fn em310_udl(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, EM310_UDL)
}

/// Decodes one payload of a WS202: `battery` %, `pir` `normal` or `trigger`, `daylight`.
pub(super) fn ws202(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, WS202)
}

/// Decodes one payload of a VS330: `battery` %, `occupancy` `vacant` or `occupied`.
pub(super) fn vs330(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, VS330)
}

/// Decodes one payload of a VS370: `battery` %, `occupancy` `vacant` or `occupied`,
/// `illuminance` `dim`, `bright` or `disable`.
pub(super) fn vs370(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, VS370)
}

/// Decodes one payload of a WS301: `battery` %, `magnet_status` `close` or `open`.
pub(super) fn ws301(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    decode(f_port, bytes, WS301)
}

fn decode(f_port: u8, bytes: &[u8], model: &[Channel]) -> Result<Object, DecodeError> {
    if !(1..=223).contains(&f_port) {
        return Err(DecodeError::Port(f_port));
    }
    const EXPECTED: &str = "one or more whole channels";
    if bytes.is_empty() {
        return Err(DecodeError::Length { expected: EXPECTED, found: 0 });
    }
    let mut frame = Frame::new(bytes, EXPECTED);
    let mut object = Object::new();
    while !frame.is_empty() {
        let at = frame.at();
        let [id, kind] = frame.take()?;
        let channel = model.iter().chain(COMMON).find(|c| c.id == id && c.kind == kind);
        let channel = channel.ok_or(DecodeError::Channel { channel: id, kind, at })?;
        for field in channel.fields {
            let (name, value) = read(field, &mut frame)?;
            put(&mut object, name, value)?;
        }
    }
    Ok(object)
}

fn read(field: &Field, frame: &mut Frame<'_>) -> Result<(&'static str, Value), DecodeError> {
    Ok(match *field {
        Byte(name) => (name, frame.byte()?.into()),
        Word(name) => (name, frame.u16_le()?.into()),
        Tenths(name) => (name, tenths(frame.u16_le()?).into()),
        Distance(name, nothing) => match frame.u16_le()? {
            raw if nothing.contains(&raw) => (name, Value::Null),
            raw => (name, raw.into()),
        },
        State(name, names) => (name, frame.state(name, names)?.into()),
        StateOrDisabled(name, _) if frame.skip(0xfe) => (name, "disable".into()),
        StateOrDisabled(name, names) => (name, frame.state(name, names)?.into()),
        Event(name, text) => {
            frame.byte()?;
            (name, text.into())
        }
        Version(name) => {
            let byte = frame.byte()?;
            (name, format!("v{}.{}", byte >> 4, byte & 0x0f).into())
        }
        Hardware(name) => {
            let [major, minor] = frame.take()?;
            (name, format!("v{major:x}.{}", minor >> 4).into())
        }
        Firmware(name) => {
            let [major, minor] = frame.take()?;
            (name, format!("v{major:x}.{minor:x}").into())
        }
        Tsl(name) => {
            let [major, minor] = frame.take()?;
            (name, format!("v{major}.{minor}").into())
        }
        Serial6(name) => (name, hex::encode(frame.take::<6>()?).into()),
        Serial8(name) => (name, hex::encode(frame.take::<8>()?).into()),
    })
}
