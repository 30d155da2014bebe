//! Sensors of containers: no echo, dead zone, below zero, tilt, odd bytes.

use crate::{MISSING, decode, good, object, reading, suspect};
use lykta::codec::DecodeError;
use lykta::units::{Celsius, Degrees, Measured, Metres, Ratio, Volts};
use serde_json::json;

const SENSONEO: &str = "sensoneo-single";

/// Frames of real sensors: distance cm (254 is no echo), mV, °C, tilt, event counter.
const SENSONEO_FRAMES: &[(&str, u16, u16, i8, u8, u8)] = &[
    ("ffff22b8df160070013d3d3d3d6bff00a5", 122, 3570, -1, 0, 165),
    ("ffff22b8f4160070017f7f7f7f66fd002c", 254, 3520, -3, 0, 44),
    ("ffff22b81217007004080808086f18b7f9", 16, 3610, 24, 183, 249),
    ("ffff22b8eb16007001252525257317e5af", 74, 3650, 23, 229, 175),
    ("ffff22b812170070017f7f7f7f722302fc", 254, 3640, 35, 2, 252),
    ("ffff22b87017007001373737376b002bca", 110, 3570, 0, 43, 202),
    ("ffff22b81417007001373737376dff0400", 110, 3590, -1, 4, 0),
    ("FFFF22B39C009070017F7F7F7F6D15325D", 254, 3590, 21, 50, 93),
];

#[test]
fn sensoneo_frames() {
    for &(frame, cm, mv, celsius, tilt, events) in SENSONEO_FRAMES {
        let object = object(SENSONEO, 2, frame);
        let distance = if cm == 254 { json!(null) } else { json!(f64::from(cm)) };
        assert_eq!(object["distance"], distance, "{frame}");
        assert_eq!(object["voltage"], json!(f64::from(mv) / 1000.0), "{frame}");
        assert_eq!(object["temperature"], json!(celsius), "{frame}");
        assert_eq!(object["tilt"], json!(tilt), "{frame}");
        assert_eq!(object["tx_events"], json!(events), "{frame}");
        assert_eq!(object["type"], "standalone");
    }
    let object = object(SENSONEO, 2, SENSONEO_FRAMES[7].0);
    assert_eq!((&object["sensor_id"], &object["firmware"]), (&json!(0x7090_009c), &json!(179)));
}

#[test]
fn sensoneo_no_echo_is_never_an_empty_container() {
    let distance = |frame| reading(SENSONEO, 2, frame, "distance");
    assert_eq!(distance("ffff22b8f4160070017f7f7f7f66fd002c"), MISSING);
    let heard = "ffff22b8f4160070011a7f1c7f66fd002c";
    assert_eq!(distance(heard), good(Measured::Distance(Metres(0.54))), "of those that heard");
    let zero = "ffff22b8f4160070010000000066fd002c";
    assert_eq!(distance(zero), suspect(Measured::Distance(Metres(0.0))));
    let far = "ffff22b8f416007001ffffffff66fd002c";
    assert_eq!(distance(far), suspect(Measured::Distance(Metres(5.1))));
}

#[test]
fn sensoneo_events_speak_only_when_set() {
    let tilt = "ffff22b81217007004080808086f18b7f9";
    assert_eq!(reading(SENSONEO, 2, tilt, "tilted"), good(Measured::Tilted(true)));
    assert_eq!(reading(SENSONEO, 2, tilt, "tilt"), suspect(Measured::Tilt(Degrees(183.0))));
    assert_eq!(reading(SENSONEO, 2, tilt, "fire"), None);
    let all = "ffff22b8121700701f080808086f180000";
    assert_eq!(reading(SENSONEO, 2, all, "fire"), good(Measured::Fire(true)));
    assert_eq!(reading(SENSONEO, 2, all, "battery_low"), good(Measured::BatteryLow(true)));
    assert_eq!(object(SENSONEO, 2, "ffff22b812170070e0080808086f180000")["events"], 0xe0);
}

#[test]
fn sensoneo_refuses_what_is_not_its_frame() {
    let frame = SENSONEO_FRAMES[0].0;
    assert_eq!(decode(SENSONEO, 1, frame), Err(DecodeError::Port(1)));
    let short = decode(SENSONEO, 2, &frame[2..]);
    assert_eq!(short, Err(DecodeError::Length { expected: "17", found: 16 }));
    let long = decode(SENSONEO, 2, &format!("{frame}00"));
    assert_eq!(long, Err(DecodeError::Length { expected: "17", found: 18 }));
    let prefix = decode(SENSONEO, 2, &frame.replacen("ffff", "ff00", 1));
    assert_eq!(prefix, Err(DecodeError::Unknown { what: "prefix", byte: 0, at: 1 }));
    let kind = decode(SENSONEO, 2, &frame.replacen("ffff22", "ffff23", 1));
    assert_eq!(kind, Err(DecodeError::Unknown { what: "sensor type", byte: 0x23, at: 2 }));
}

#[test]
fn milesight_em400() {
    // base64 AXVXA2c4AASCXAgFAAA=
    let payload = "017557 03673800 04825c08 050000";
    let expected =
        json!({"battery": 87, "temperature": 5.6, "distance": 2140, "position": "normal"});
    for model in ["milesight-em400-mud", "milesight-em400-tld", "milesight-em400-udl"] {
        assert_eq!(json!(object(model, 85, payload)), expected);
        assert_eq!(reading(model, 85, payload, "distance"), good(Measured::Distance(Metres(2.14))));
        assert_eq!(
            reading(model, 85, payload, "battery_level"),
            good(Measured::BatteryLevel(Ratio(0.87)))
        );
        assert_eq!(reading(model, 85, payload, "tilted"), good(Measured::Tilted(false)));
    }
    assert_eq!(
        json!(object("milesight-em400-mud", 85, "01755C 03670101 04824408 050001")),
        json!({"battery": 92, "temperature": 25.7, "distance": 2116, "position": "tilt"})
    );
    assert_eq!(
        json!(object("milesight-em400-mud", 85, "8367e80001 8482410601")),
        json!({"temperature": 23.2, "temperature_alarm": "threshold_alarm",
               "distance": 1601, "distance_alarm": "threshold_alarm"})
    );
    assert_eq!(
        object("milesight-em400-mud", 85, "8367e80000")["temperature_alarm"],
        "threshold_alarm_release"
    );
}

#[test]
fn milesight_em400_below_zero_and_nothing_measured() {
    let reading = |payload, name| reading("milesight-em400-tld", 85, payload, name);
    assert_eq!(reading("0367ffff", "temperature"), good(Measured::Temperature(Celsius(-0.1))));
    assert_eq!(reading("03670000", "temperature"), good(Measured::Temperature(Celsius(0.0))));
    assert_eq!(reading("036738ff", "temperature"), good(Measured::Temperature(Celsius(-20.0))));
    for nothing in ["0482e8fd", "0482fdff", "0482ffff", "8482e8fd01"] {
        assert_eq!(reading(nothing, "distance"), MISSING, "{nothing}");
    }
    assert_eq!(reading("04820000", "distance"), suspect(Measured::Distance(Metres(0.0))));
    assert_eq!(reading("0482ad0d", "distance"), suspect(Measured::Distance(Metres(3.501))));
    assert_eq!(reading("0482ac0d", "distance"), good(Measured::Distance(Metres(3.5))));
    assert_eq!(reading("050001", "distance"), None, "a partial report");
    assert_eq!(reading("050001", "tilted"), good(Measured::Tilted(true)));
}

#[test]
fn milesight_device_information() {
    assert_eq!(
        json!(object(
            "milesight-em400-mud",
            85,
            "ff0bff ff0101 ff166329c42503920003 ff090140 ff0a0114 ff0f00"
        )),
        json!({"device_status": "on", "ipso_version": "v0.1", "sn": "6329c42503920003",
               "hardware_version": "v1.4", "firmware_version": "v1.14",
               "lorawan_class": "Class A"})
    );
}

#[test]
fn milesight_stops_at_what_it_does_not_know() {
    let model = "milesight-em400-mud";
    let unknown = DecodeError::Channel { channel: 0x09, kind: 0x67, at: 3 };
    assert_eq!(decode(model, 85, "017557 0967380001"), Err(unknown.clone()));
    assert_eq!(unknown.to_string(), "unknown channel 0x09 of type 0x67 at byte 3");
    // The distance of an EM310-UDL, in a profile of another model.
    let other = DecodeError::Channel { channel: 0x03, kind: 0x82, at: 0 };
    assert_eq!(decode(model, 85, "03825c08"), Err(other));
    let state = DecodeError::Unknown { what: "position", byte: 2, at: 2 };
    assert_eq!(decode(model, 85, "050002"), Err(state));
    for truncated in ["", "01", "0175", "017557 0482", "017557 04825c", "ff166329c425039200"] {
        let found = decode(model, 85, truncated);
        assert!(matches!(found, Err(DecodeError::Length { .. })), "{truncated}: {found:?}");
    }
    let twice = DecodeError::Contradiction { name: "distance" };
    assert_eq!(decode(model, 85, "04825c08 04824408"), Err(twice));
    assert_eq!(decode(model, 0, "017557"), Err(DecodeError::Port(0)));
}

#[test]
fn milesight_em310_udl() {
    let model = "milesight-em310-udl";
    assert_eq!(
        json!(object(model, 85, "01755C 03824408 040001")),
        json!({"battery": 92, "distance": 2116, "position": "tilt"})
    );
    let distance = |payload| reading(model, 85, payload, "distance");
    assert_eq!(distance("03820000"), MISSING, "farther than it can hear");
    assert_eq!(distance("03821e00"), good(Measured::Distance(Metres(0.03))));
    assert_eq!(distance("03829511"), suspect(Measured::Distance(Metres(4.501))));
}

#[test]
fn elsys_elt() {
    let elt = "elsys-elt";
    let distance = |payload| reading(elt, 5, payload, "distance");
    assert_eq!(distance("0e012c"), good(Measured::Distance(Metres(0.3))));
    assert_eq!(distance("0e0400"), good(Measured::Distance(Metres(1.024))));
    for nothing in ["0e0000", "0e1388", "0e270f", "0effff"] {
        assert_eq!(distance(nothing), MISSING, "{nothing}");
    }
    assert_eq!(distance("0e2311"), suspect(Measured::Distance(Metres(8.977))));
    let temperature = |payload| reading(elt, 5, payload, "temperature");
    assert_eq!(temperature("01ffce0250"), good(Measured::Temperature(Celsius(-5.0))));
    assert_eq!(temperature("010000"), good(Measured::Temperature(Celsius(0.0))));
    assert_eq!(
        reading(elt, 5, "070e0a", "battery_voltage"),
        good(Measured::BatteryVoltage(Volts(3.594)))
    );
    assert_eq!(
        json!(object(elt, 5, "14000f5ca8 19000a 19fff6 0bffffffff 03807f00 1bffffffff")),
        json!({"pressure": 1006.76, "externalTemperature2": [1.0, -1.0],
               "pulseAbs": 4_294_967_295_u32, "x": -128, "y": 127, "z": 0, "analogUv": -1})
    );
}

#[test]
fn elsys_stops_at_what_it_does_not_know() {
    let unknown = DecodeError::Unknown { what: "value type", byte: 0x3e, at: 3 };
    assert_eq!(decode("elsys-elt", 6, "0100e2 3e0102"), Err(unknown));
    for truncated in ["", "01", "0100", "0100e20e23", "1300"] {
        let found = decode("elsys-elt", 5, truncated);
        assert!(matches!(found, Err(DecodeError::Length { .. })), "{truncated}: {found:?}");
    }
}

#[test]
fn dragino_ldds75() {
    let model = "dragino-ldds75";
    let distance = |payload| reading(model, 2, payload, "distance");
    assert_eq!(distance("0d0a 07e9 00 0000 01"), good(Measured::Distance(Metres(2.025))));
    assert_eq!(distance("0e1c 0b05"), good(Measured::Distance(Metres(2.821))), "old firmware");
    assert_eq!(distance("0e1c 0b05 01"), good(Measured::Distance(Metres(2.821))));
    assert_eq!(distance("0d0a 0000 00 0000 01"), MISSING);
    assert_eq!(distance("0d0a 0014 00 0000 01"), MISSING);
    assert_eq!(distance("0d0a 07e9 00 0000 00"), MISSING, "the module is not there");
    assert_eq!(distance("0d0a 0013 00 0000 01"), suspect(Measured::Distance(Metres(0.019))));
    assert_eq!(object(model, 2, "0d0a 0000 00 0000 01")["Distance_error"], "no_sensor");
    assert_eq!(object(model, 2, "0d0a 0014 00 0000 01")["Distance_error"], "below_minimum");
    assert_eq!(object(model, 2, "cd0a 07e9 00 ff3f 01")["Bat"], 3.338);
    assert_eq!(object(model, 2, "0d0a 07e9 00 ff3f 01")["TempC_DS18B20"], -19.3);
    assert_eq!(object(model, 2, "0d0a 07e9 00 7fff 01")["TempC_DS18B20"], json!(null));
    for wrong in ["", "0d0a07", "0d0a07e90000", "0d0a07e90000000100"] {
        let found = decode(model, 2, wrong);
        assert!(matches!(found, Err(DecodeError::Length { .. })), "{wrong}: {found:?}");
    }
    assert_eq!(decode(model, 3, "0e1c0b05"), Err(DecodeError::Port(3)));
}

#[test]
fn netvox_distance_sensors() {
    let pe = "01B101240001F419000000";
    assert_eq!(
        json!(object("netvox-r718pe", 6, pe)),
        json!({"Device": "R718PE", "Volt": 3.6, "LowBattery": false, "Status": "OFF",
               "Distance": 500, "FillLevel": 25})
    );
    assert_eq!(
        reading("netvox-r718pe", 6, pe, "fill_level"),
        None,
        "its zero may mean that it does not know"
    );
    let weak = "01B1019F0001F400000000";
    assert_eq!(
        reading("netvox-r718pe", 6, weak, "battery_voltage"),
        good(Measured::BatteryVoltage(Volts(3.1)))
    );
    assert_eq!(reading("netvox-r718pe", 6, weak, "battery_low"), good(Measured::BatteryLow(true)));
    let cold = "0134012400012cff39320a";
    assert_eq!(
        reading("netvox-r718x", 6, cold, "temperature"),
        good(Measured::Temperature(Celsius(-19.9)))
    );
    assert_eq!(reading("netvox-r718x", 6, cold, "tilt"), good(Measured::Tilt(Degrees(10.0))));
}
