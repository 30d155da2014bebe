//! Netvox R718 family: 11-byte frames, reports on FPort 6 and answers to commands on FPort 7.
//!
//! Report: version `01`, device type, report type, then for report type 0 software, hardware
//! and date of manufacture, and for report type 1:
//!
//! | bytes | R718X | R718PE | R718Q, R718QA, R718J, R718MBA |
//! | --- | --- | --- | --- |
//! | 3 | battery, tenths of a volt; bit 7: low | same | same |
//! | 4 | 1 something is nearer than the threshold | same | 1 occupied, contact closed, moving |
//! | 5–6 | distance mm | same | reserved |
//! | 7–8 | temperature, signed tenths of °C | 7: fill level % | reserved |
//! | 9 | fill level % | reserved | reserved |
//! | 10 | angle of inclination | reserved | reserved |
//!
//! Source: Netvox LoRaWAN Application Command and the user manuals of R718PE, R718PQ and
//! R718PQA (the sold names of R718Q and R718QA); output names of The Things Network's codecs.
//! Those turn a weak battery's voltage into a text (`"3.1(low battery)"`); here `Volt` stays
//! a number and `LowBattery` says the rest.

use super::frame::{Frame, put, tenths};
use super::{DecodeError, Object};

/// Every output of [`decode`].
pub(super) const OUTPUTS: &[&str] = &[
    "Device",
    "SWver",
    "HWver",
    "Datecode",
    "Volt",
    "LowBattery",
    "Status",
    "status",
    "Distance",
    "FillLevel",
    "Temp",
    "AngleOfInclination",
    "Cmd",
    "MinTime",
    "MaxTime",
    "BatteryChange",
    "DistanceChange",
    "TempChange",
    "OnDistanceThreshold",
    "FillMaxDistance",
    "DeadZoneDistance",
    "IRDisableTime",
    "IRDetectionTime",
];

/// The members of the family, by what their frames hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// R718X: ultrasonic distance with temperature and inclination.
    DistanceAndTemperature,
    /// R718PE: ultrasonic distance.
    Distance,
    /// R718Q, R718QA: infrared.
    Infrared,
    /// R718J, R718MBA: a contact or a vibration.
    Contact,
}

/// Decodes one payload: `Volt` V, `Distance` mm, `FillLevel` %, `Temp` °C, times s; `status`
/// 0 or 1 (`Status` `"OFF"` or `"ON"` of the two distance sensors), or the answer to a
/// command named by `Cmd`.
pub(super) fn decode(f_port: u8, bytes: &[u8]) -> Result<Object, DecodeError> {
    if !matches!(f_port, 6 | 7) {
        return Err(DecodeError::Port(f_port));
    }
    let mut frame = Frame::exact(bytes, 11, "11")?;
    let first = frame.byte()?;
    let byte = frame.byte()?;
    let (member, device) = match byte {
        0x21 => (Member::Contact, "R718J"),
        0x27 => (Member::Contact, "R718MBA"),
        0x34 => (Member::DistanceAndTemperature, "R718X"),
        0x5b => (Member::Infrared, "R718Q"),
        0x97 => (Member::Infrared, "R718QA"),
        0xb1 => (Member::Distance, "R718PE"),
        _ => return Err(DecodeError::Unknown { what: "device type", byte, at: 1 }),
    };
    let mut object = Object::new();
    put(&mut object, "Device", device)?;
    if f_port == 7 {
        answer(first, member, &mut frame, &mut object)?;
        return Ok(object);
    }
    if first != 0x01 {
        return Err(DecodeError::Unknown { what: "version", byte: first, at: 0 });
    }
    match frame.byte()? {
        0x00 => version(&mut frame, &mut object)?,
        0x01 => report(member, &mut frame, &mut object)?,
        byte => return Err(DecodeError::Unknown { what: "report type", byte, at: 2 }),
    }
    Ok(object)
}

fn version(frame: &mut Frame<'_>, object: &mut Object) -> Result<(), DecodeError> {
    put(object, "SWver", f64::from(frame.byte()?) / 10.0)?;
    put(object, "HWver", frame.byte()?)?;
    put(object, "Datecode", hex::encode(frame.take::<4>()?))
}

fn report(member: Member, frame: &mut Frame<'_>, object: &mut Object) -> Result<(), DecodeError> {
    let battery = frame.byte()?;
    put(object, "Volt", f64::from(battery & 0x7f) / 10.0)?;
    put(object, "LowBattery", battery & 0x80 != 0)?;
    match member {
        Member::Infrared | Member::Contact => {
            let at = frame.at();
            match frame.byte()? {
                status @ (0 | 1) => put(object, "status", status),
                byte => Err(DecodeError::Unknown { what: "status", byte, at }),
            }
        }
        Member::Distance => {
            put(object, "Status", frame.state("Status", &["OFF", "ON"])?)?;
            put(object, "Distance", frame.u16_be()?)?;
            put(object, "FillLevel", frame.byte()?)
        }
        Member::DistanceAndTemperature => {
            put(object, "Status", frame.state("Status", &["OFF", "ON"])?)?;
            put(object, "Distance", frame.u16_be()?)?;
            put(object, "Temp", tenths(frame.u16_be()?))?;
            put(object, "FillLevel", frame.byte()?)?;
            put(object, "AngleOfInclination", frame.byte()?)
        }
    }
}

/// The answer to a command. The same command numbers mean other things on other members.
fn answer(
    command: u8,
    member: Member,
    frame: &mut Frame<'_>,
    object: &mut Object,
) -> Result<(), DecodeError> {
    let measures = matches!(member, Member::Distance | Member::DistanceAndTemperature);
    let infrared = member == Member::Infrared;
    let (name, value) = match command {
        0x81 => ("ConfigReportRsp", None),
        0x82 => {
            put(object, "Cmd", "ReadConfigReportRsp")?;
            put(object, "MinTime", frame.u16_be()?)?;
            put(object, "MaxTime", frame.u16_be()?)?;
            put(object, "BatteryChange", f64::from(frame.byte()?) / 10.0)?;
            if measures {
                put(object, "DistanceChange", frame.u16_be()?)?;
            }
            if member == Member::DistanceAndTemperature {
                put(object, "TempChange", f64::from(frame.u16_be()?) / 10.0)?;
            }
            return Ok(());
        }
        0x83 if infrared => ("SetIRDisableTimeRsp", None),
        0x84 if infrared => {
            put(object, "Cmd", "GetIRDisableTimeRsp")?;
            put(object, "IRDisableTime", frame.u16_be()?)?;
            return put(object, "IRDetectionTime", frame.u16_be()?);
        }
        0x83 if measures => ("SetOnDistanceThresholdRsp", None),
        0x84 if measures => ("GetOnDistanceThresholdRsp", Some("OnDistanceThreshold")),
        0x85 if measures => ("SetFillMaxDistanceRsp", None),
        0x86 if measures => ("GetFillMaxDistanceRsp", Some("FillMaxDistance")),
        0x8b if measures => ("SetDeadZoneDistanceRsp", None),
        0x8c if measures => ("GetDeadZoneDistanceRsp", Some("DeadZoneDistance")),
        byte => return Err(DecodeError::Unknown { what: "command", byte, at: 0 }),
    };
    put(object, "Cmd", name)?;
    match value {
        Some(value) => put(object, value, frame.u16_be()?),
        None => {
            let success = frame.byte()? == 0;
            put(object, "Status", if success { "Success" } else { "Failure" })
        }
    }
}
