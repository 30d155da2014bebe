//! The arguments of `command/downlink`.

use super::{Code, Fault, text, unknown};
use crate::eu868::DATA_RATES;
use crate::units::DevEui;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

/// The longest payload of a frame, 242 bytes: at the fastest data rate, without MAC commands
/// beside it. Slower ones carry less.
pub const MAX_PAYLOAD: usize = DATA_RATES[DATA_RATES.len() - 1].max_payload;

/// Something to be sent to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downlink {
    /// To which.
    pub dev_eui: DevEui,
    /// On which port, 1 to 223.
    pub f_port: u8,
    /// What, in the clear. At most [`MAX_PAYLOAD`] bytes; the data rate may allow less.
    pub payload: Vec<u8>,
    /// Whether the device shall acknowledge it.
    pub confirmed: bool,
}

impl Downlink {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Self, Fault> {
        let (mut dev_eui, mut f_port, mut payload, mut confirmed) = (None, None, None, false);
        for (name, value) in args {
            match name.as_str() {
                "devEui" => {
                    let parsed = text(name, value)?.parse::<DevEui>();
                    dev_eui = Some(parsed.map_err(|e| Fault::invalid(format!("devEui: {e}")))?);
                }
                "fPort" => f_port = Some(port(value)?),
                "data" | "hex" if payload.is_some() => {
                    return Err(Fault::invalid("either data or hex, not both"));
                }
                "data" | "hex" => payload = Some(bytes(name, text(name, value)?)?),
                "confirmed" => {
                    let wrong = || Fault::invalid("confirmed must be true or false");
                    confirmed = value.as_bool().ok_or_else(wrong)?;
                }
                _ => {
                    return Err(unknown(name, "devEui, fPort, data, hex or object, and confirmed"));
                }
            }
        }
        let missing = |name| Fault::invalid(format!("{name} is missing"));
        let payload = payload.ok_or_else(|| missing("data, hex or object"))?;
        if payload.len() > MAX_PAYLOAD {
            let message = format!("{} bytes, and {MAX_PAYLOAD} is the most", payload.len());
            return Err(Fault { code: Code::TooLong, message });
        }
        Ok(Self {
            dev_eui: dev_eui.ok_or_else(|| missing("devEui"))?,
            f_port: f_port.ok_or_else(|| missing("fPort"))?,
            payload,
            confirmed,
        })
    }
}

/// Something to be sent to a device, in the words of its codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worded {
    /// To which.
    pub dev_eui: DevEui,
    /// What.
    pub object: Map<String, Value>,
    /// On which port; the codec knows unless told.
    pub f_port: Option<u8>,
    /// Whether the device shall acknowledge it.
    pub confirmed: bool,
}

impl Worded {
    /// Reads the arguments, if they have an `object` instead of a payload.
    ///
    /// # Errors
    /// When one is missing, unknown, or not as it should be.
    pub fn parse(args: &Map<String, Value>) -> Result<Option<Self>, Fault> {
        let Some(object) = args.get("object") else { return Ok(None) };
        let object = object.as_object().ok_or_else(|| Fault::invalid("object must be one"))?;
        // all else is as with a payload
        let mut others = args.clone();
        others.remove("object");
        if others.insert("hex".into(), "".into()).is_some() || others.contains_key("data") {
            return Err(Fault::invalid("either object, or data or hex, not both"));
        }
        let f_port = args.get("fPort").map(port).transpose()?;
        others.entry("fPort").or_insert(1.into());
        let Downlink { dev_eui, confirmed, .. } = Downlink::parse(&others)?;
        Ok(Some(Self { dev_eui, object: object.clone(), f_port, confirmed }))
    }
}

fn port(value: &Value) -> Result<u8, Fault> {
    let port = value.as_u64().and_then(|port| u8::try_from(port).ok());
    port.filter(|port| matches!(port, 1..=223))
        .ok_or_else(|| Fault::invalid("fPort must be a whole number from 1 to 223"))
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    match name {
        "hex" => hex::decode(text).map_err(|e| Fault::invalid(format!("hex: {e}"))),
        _ => BASE64.decode(text).map_err(|e| Fault::invalid(format!("data is no base64: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn downlink(args: Value) -> Result<Downlink, Fault> {
        Downlink::parse(args.as_object().expect("an object"))
    }

    #[test]
    fn a_downlink_is_read_from_base64_or_hexadecimal_text() {
        let expected = Downlink {
            dev_eui: DevEui(0x70b3_d507_0000_1739),
            f_port: 5,
            payload: vec![1, 0xff],
            confirmed: false,
        };
        let dev_eui = "70b3d50700001739";
        let read = downlink(json!({"devEui": dev_eui, "fPort": 5, "data": "Af8="}));
        assert_eq!(read.as_ref(), Ok(&expected));
        let read = downlink(
            json!({"devEui": "70-B3-D5-07-00-00-17-39", "fPort": 5, "hex": "01FF", "confirmed": true}),
        );
        assert_eq!(read, Ok(Downlink { confirmed: true, ..expected }));
        let empty = downlink(json!({"devEui": dev_eui, "fPort": 223, "hex": ""}));
        assert_eq!(empty.map(|d| d.payload), Ok(vec![]));
        let full = downlink(json!({"devEui": dev_eui, "fPort": 1, "hex": "00".repeat(242)}));
        assert_eq!(full.map(|d| d.payload.len()), Ok(MAX_PAYLOAD));
    }

    #[test]
    fn what_is_wrong_with_a_downlink_is_named() {
        let good = json!({"devEui": "70b3d50700001739", "fPort": 5, "hex": "00"});
        downlink(good.clone()).expect("it is right");
        let with = |name: &str, value: Value| {
            let mut args = good.clone();
            args[name] = value;
            downlink(args).expect_err("it is wrong")
        };
        let without = |name: &str| {
            let mut args = good.clone();
            args.as_object_mut().expect("an object").remove(name);
            downlink(args).expect_err("it is wrong")
        };
        for port in [json!(0), json!(224), json!(-1), json!(261), json!(5.5), json!("5")] {
            assert_eq!(with("fPort", port).message, "fPort must be a whole number from 1 to 223");
        }
        assert_eq!(with("data", json!("AA==")).message, "either data or hex, not both");
        assert_eq!(with("hex", json!("0")).message, "hex: Odd number of digits");
        assert_eq!(with("hex", json!(null)).message, "hex must be a string");
        assert_eq!(with("confirmed", json!(1)).message, "confirmed must be true or false");
        assert!(with("devEui", json!("70b3")).message.starts_with("devEui: expected 16"));
        assert!(with("dev_eui", json!("")).message.starts_with("unknown field \"dev_eui\""));
        assert_eq!(without("devEui").message, "devEui is missing");
        assert_eq!(without("fPort").message, "fPort is missing");
        assert_eq!(without("hex").message, "data, hex or object is missing");
        let long = with("hex", json!("00".repeat(243)));
        assert_eq!(
            (long.code, long.message.as_str()),
            (Code::TooLong, "243 bytes, and 242 is the most")
        );
    }

    #[test]
    fn an_object_takes_the_place_of_a_payload() {
        let dev_eui = "70b3d50700001739";
        let worded = |args: Value| Worded::parse(args.as_object().expect("an object"));
        let read = worded(json!({"devEui": dev_eui, "object": {"led": 0}, "confirmed": true}));
        let read = read.expect("it is right").expect("an object");
        assert_eq!(
            (read.f_port, read.confirmed, read.object["led"].as_u64()),
            (None, true, Some(0))
        );
        assert_eq!(worded(json!({"devEui": dev_eui, "fPort": 5, "hex": "00"})), Ok(None));
        for (args, told) in [
            (json!({"devEui": dev_eui, "object": 1}), "object must be one"),
            (json!({"devEui": dev_eui, "object": {}, "hex": "00"}), "not both"),
            (json!({"devEui": dev_eui, "object": {}, "data": ""}), "not both"),
            (json!({"devEui": dev_eui, "object": {}, "fPort": 0}), "fPort must be"),
            (json!({"devEui": dev_eui, "object": {}, "led": 1}), "unknown field"),
            (json!({"object": {}}), "devEui is missing"),
        ] {
            let message = worded(args).expect_err(told).message;
            assert!(message.contains(told), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(
            name in "devEui|fPort|data|hex|confirmed|\\PC{0,8}",
            value in prop_oneof![
                any::<f64>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                "\\PC{0,40}|[0-9a-f]{0,600}".prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
            ],
        ) {
            let mut args = json!({"fPort": 1, "devEui": "70b3d50700001739"});
            args[name] = value;
            if let Ok(downlink) = downlink(args) {
                prop_assert!(downlink.payload.len() <= MAX_PAYLOAD);
                prop_assert!((1..=223).contains(&downlink.f_port));
            }
        }

        #[test]
        fn both_ways_to_write_a_payload_say_the_same(
            payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
        ) {
            let args = |name: &str, text: String| {
                let mut args = json!({"fPort": 1, "devEui": "70b3d50700001739"});
                args[name] = text.into();
                downlink(args).map(|d| d.payload)
            };
            prop_assert_eq!(args("hex", hex::encode(&payload)), Ok(payload.clone()));
            prop_assert_eq!(args("data", BASE64.encode(&payload)), Ok(payload));
        }
    }
}
