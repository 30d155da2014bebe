//! Sensors of homes: every state in both directions, below zero, weak batteries.

use crate::{MISSING, decode, good, object, reading, suspect};
use lykta::codec::DecodeError;
use lykta::units::{Celsius, Measured, Ratio, Seconds, Volts};
use serde_json::json;

#[test]
fn milesight_ws202() {
    let motion = |payload| reading("milesight-ws202", 85, payload, "motion");
    assert_eq!(motion("030001"), good(Measured::Motion(true)));
    assert_eq!(motion("030000"), good(Measured::Motion(false)));
    assert_eq!(motion("040000"), None);
    assert_eq!(
        json!(object("milesight-ws202", 85, "017510 030001 040000")),
        json!({"battery": 16, "pir": "trigger", "daylight": "dark"})
    );
    assert_eq!(object("milesight-ws202", 85, "040001")["daylight"], "light");
    let unknown = DecodeError::Unknown { what: "pir", byte: 2, at: 2 };
    assert_eq!(decode("milesight-ws202", 85, "030002"), Err(unknown));
    assert_eq!(
        reading("milesight-ws202", 85, "017500", "battery_level"),
        good(Measured::BatteryLevel(Ratio(0.0)))
    );
}

#[test]
fn milesight_vs330() {
    let occupied = |payload| reading("milesight-vs330", 85, payload, "occupied");
    assert_eq!(occupied("038e01"), good(Measured::Occupied(true)));
    assert_eq!(occupied("038e00"), good(Measured::Occupied(false)));
    assert_eq!(
        json!(object("milesight-vs330", 85, "017562 02820F00 038E01 048E01")),
        json!({"battery": 98, "distance": 15, "occupancy": "occupied",
               "calibration_status": "success"})
    );
    assert_eq!(object("milesight-vs330", 85, "048e00")["calibration_status"], "failed");
}

#[test]
fn milesight_ws301() {
    let contact = |payload| reading("milesight-ws301", 85, payload, "contact_open");
    let tamper = |payload| reading("milesight-ws301", 85, payload, "tamper");
    assert_eq!(contact("030001"), good(Measured::ContactOpen(true)));
    assert_eq!(contact("030000"), good(Measured::ContactOpen(false)));
    assert_eq!(tamper("040001"), good(Measured::Tamper(true)), "the guide, not its example");
    assert_eq!(tamper("040000"), good(Measured::Tamper(false)));
    assert_eq!(
        object("milesight-ws301", 85, "ff086538b2232131")["sn"],
        "6538b2232131",
        "six bytes"
    );
    assert_eq!(object("milesight-ws301", 85, "fe03b004")["report_interval"], 1200);
}

#[test]
fn elsys_ers() {
    let motion = |payload| reading("elsys-ers", 5, payload, "motion");
    assert_eq!(motion("0500"), good(Measured::Motion(false)));
    assert_eq!(motion("0501"), good(Measured::Motion(true)));
    assert_eq!(motion("05ff"), good(Measured::Motion(true)));
    assert_eq!(motion("0100e2"), None);
    assert_eq!(reading("elsys-ers", 5, "0500", "movements"), good(Measured::Count(0)));
    assert_eq!(
        reading("elsys-ers", 5, "02ff", "humidity"),
        suspect(Measured::Humidity(Ratio(2.55)))
    );
}

#[test]
fn elsys_ers_eye() {
    let occupied = |payload| reading("elsys-ers-eye", 5, payload, "occupied");
    assert_eq!(occupied("1100"), good(Measured::Occupied(false)));
    assert_eq!(occupied("1101"), MISSING);
    assert_eq!(occupied("1102"), good(Measured::Occupied(true)));
    let decoded = decode("elsys-ers-eye", 5, "1103").expect("a valid payload");
    assert_eq!(decoded.readings, []);
    assert_eq!(
        decoded.unmapped.first().map(ToString::to_string).as_deref(),
        Some("output \"occupancy\" is a number that it cannot be, which is no occupied")
    );
    let pixels = format!("13{}", "0a".repeat(65));
    assert_eq!(object("elsys-ers-eye", 5, &pixels)["grideye"], json!(vec![11.0; 64]));
}

#[test]
fn browan() {
    let occupied = "01bb340400dc7801";
    assert_eq!(reading("browan-tbms100", 102, occupied, "motion"), good(Measured::Motion(true)));
    assert_eq!(
        reading("browan-tbms100", 102, occupied, "elapsed"),
        good(Measured::Elapsed(Seconds(240.0)))
    );
    assert_eq!(reading("browan-tbms100", 102, occupied, "count"), good(Measured::Count(96_476)));
    let free = "00bb140000000000";
    assert_eq!(reading("browan-tbms100", 102, free, "motion"), good(Measured::Motion(false)));
    assert_eq!(
        reading("browan-tbms100", 102, free, "temperature"),
        good(Measured::Temperature(Celsius(-12.0)))
    );
    assert_eq!(reading("browan-tbms100", 102, free, "count"), good(Measured::Count(0)));
    let reserved = "feb0a00000000000";
    assert_eq!(
        json!(object("browan-tbms100", 102, reserved)),
        json!({"status": 0, "battery": 2.5, "temperatureBoard": 0, "time": 0, "count": 0}),
        "reserved bits are no part of the values"
    );
    assert_eq!(
        reading("browan-tbms100", 102, reserved, "battery_voltage"),
        suspect(Measured::BatteryVoltage(Volts(2.5)))
    );
    let open = reading("browan-tbdw100", 100, "01cb3500008a3a00", "contact_open");
    assert_eq!(open, good(Measured::ContactOpen(true)));
    let closed = reading("browan-tbdw100", 100, "00cb3500008a3a00", "contact_open");
    assert_eq!(closed, good(Measured::ContactOpen(false)));
    assert_eq!(decode("browan-tbdw100", 102, occupied), Err(DecodeError::Port(102)));
    assert_eq!(decode("browan-tbms100", 100, occupied), Err(DecodeError::Port(100)));
    for wrong in ["", "01bb340400dc78", "01bb340400dc780100"] {
        let found = decode("browan-tbms100", 102, wrong);
        assert!(matches!(found, Err(DecodeError::Length { expected: "8", .. })), "{found:?}");
    }
}

#[test]
fn netvox_occupancy_and_contact() {
    let on = "015b011e01000000000000";
    assert_eq!(
        json!(object("netvox-r718q", 6, on)),
        json!({"Device": "R718Q", "Volt": 3.0, "LowBattery": false, "status": 1})
    );
    assert_eq!(reading("netvox-r718q", 6, on, "motion"), good(Measured::Motion(true)));
    let off = "015b01a000000000000000";
    assert_eq!(reading("netvox-r718q", 6, off, "motion"), good(Measured::Motion(false)));
    assert_eq!(reading("netvox-r718q", 6, off, "battery_low"), good(Measured::BatteryLow(true)));
    for (profile, on, off) in [
        ("netvox-r718qa", "0197012401000000000000", "0197012400000000000000"),
        ("netvox-r718j", "0121012401000000000000", "0121012400000000000000"),
    ] {
        let occupied = |payload| reading(profile, 6, payload, "occupied");
        assert_eq!(occupied(on), good(Measured::Occupied(true)));
        assert_eq!(occupied(off), good(Measured::Occupied(false)));
    }
    let version = "015b0064 0b20200424 0000";
    assert_eq!(
        json!(object("netvox-r718q", 6, version)),
        json!({"Device": "R718Q", "SWver": 10.0, "HWver": 11, "Datecode": "20200424"})
    );
    assert_eq!(
        json!(object("netvox-r718q", 7, "845B001E005A0000000000")),
        json!({"Device": "R718Q", "Cmd": "GetIRDisableTimeRsp", "IRDisableTime": 30,
               "IRDetectionTime": 90})
    );
    assert_eq!(object("netvox-r718q", 7, "835B010000000000000000")["Status"], "Failure");
}

#[test]
fn netvox_refuses_what_it_does_not_know() {
    let unknown = |what, byte, at| Err(DecodeError::Unknown { what, byte, at });
    let decode = |port, payload| decode("netvox-r718q", port, payload);
    assert_eq!(decode(6, "025b011e01000000000000"), unknown("version", 2, 0));
    assert_eq!(decode(6, "0199011e01000000000000"), unknown("device type", 0x99, 1));
    assert_eq!(decode(6, "015b021e01000000000000"), unknown("report type", 2, 2));
    assert_eq!(decode(6, "015b011e02000000000000"), unknown("status", 2, 4));
    assert_eq!(decode(7, "8b5b000000000000000000"), unknown("command", 0x8b, 0));
    assert_eq!(decode(7, "8421010000000000000000"), unknown("command", 0x84, 0));
    assert_eq!(decode(8, "015b011e01000000000000"), Err(DecodeError::Port(8)));
    for wrong in ["", "015b011e010000000000", "015b011e0100000000000000"] {
        let found = decode(6, wrong);
        assert!(matches!(found, Err(DecodeError::Length { expected: "11", .. })), "{found:?}");
    }
}
