//! The published examples in `vectors/`, each with its source and licence, against the
//! decoders: the same values, but for the differences that [`ours`] lists.

use crate::codec;
use lykta::codec::{DecodeError, same};
use serde_json::{Map, Value, json};

macro_rules! vectors {
    ($($file:literal => $profile:literal,)*) => {
        &[$((include_str!(concat!("vectors/", $file, ".json")), $file, $profile)),*]
    };
}

const VECTORS: &[(&str, &str, &str)] = vectors![
    "browan-tbdw100" => "browan-tbdw100",
    "browan-tbms100" => "browan-tbms100",
    "browan-tbms100-chirpstack" => "browan-tbms100",
    "browan-tbpb100" => "browan-tbpb100",
    "dragino-ldds45" => "dragino-ldds45",
    "dragino-ldds75" => "dragino-ldds75",
    "elsys-elt" => "elsys-elt",
    "elsys-ers" => "elsys-ers",
    "elsys-ers-eye" => "elsys-ers-eye",
    "netvox-r718pe" => "netvox-r718pe",
    "netvox-r718x" => "netvox-r718x",
];

/// An example's output as it is here, where it deliberately differs.
fn ours(file: &str, mut output: Map<String, Value>) -> Value {
    match file {
        // The names of the other published codec of this sensor; the port is no output; and
        // that codec reads 16 of the 24 bits of the count, here ff ff ff.
        "browan-tbms100-chirpstack" => {
            let mut take = |name: &str| output.remove(name).expect("the codec's output");
            assert_eq!(take("mot_counts"), 65_535);
            json!({
                "battery": take("battery_volt"),
                "temperatureBoard": take("temperature"),
                "status": take("mot_motionst"),
                "time": take("mot_times"),
                "count": 16_777_215,
            })
        }
        // That codec leaves out how often and how long ago it was pressed.
        "browan-tbpb100" => {
            output.extend([("time".to_owned(), json!(0)), ("count".to_owned(), json!(4))]);
            output.into()
        }
        // A number is a number, not the text "0.00" or "2799 mm".
        "dragino-ldds45" => {
            output.insert("Distance".into(), json!(2799));
            output.insert("TempC_DS18B20".into(), json!(0.0));
            output.into()
        }
        "dragino-ldds75" => {
            output.insert("TempC_DS18B20".into(), json!(0.0));
            output.into()
        }
        // The warning of a weak battery, which that codec writes into the voltage's text.
        _ if output.contains_key("Volt") => {
            output.insert("LowBattery".into(), json!(false));
            output.into()
        }
        _ => output.into(),
    }
}

#[test]
fn the_published_examples_decode_to_the_published_values() {
    let mut examples = 0;
    for (text, file, profile) in VECTORS {
        let vectors: Value = serde_json::from_str(text).expect("JSON");
        assert!(vectors["source_and_licence"].is_string(), "{file}: say where it is from");
        let codec = codec(profile);
        for example in vectors["examples"].as_array().expect("a list") {
            let input = &example["input"];
            let port = input["fPort"].as_u64().expect("a port") as u8;
            let bytes: Vec<u8> = serde_json::from_value(input["bytes"].clone()).expect("bytes");
            let decoded = codec.at_once(port, &bytes).expect("a decoder of the house");
            if example["output"]["errors"].is_array() {
                assert_eq!(decoded, Err(DecodeError::Port(port)), "{file}");
            } else {
                let published = example["output"]["data"].as_object().expect("an object");
                let expected = ours(file, published.clone());
                let decoded = decoded.unwrap_or_else(|e| panic!("{file}: {e}"));
                assert!(
                    same(&decoded.object.clone().into(), &expected),
                    "{file}, {}:\n{:?}\n{expected:?}",
                    example["description"],
                    decoded.object
                );
                assert_eq!(decoded.unmapped, [], "{file}");
            }
            examples += 1;
        }
    }
    assert_eq!(examples, 33);
}
