//! The scripts that come with lykta, by `vectors/`: what each payload becomes, through the process
//! in which it is decoded in the daemon.

use lykta::codec::script::Keeper;
use lykta::codec::{Codec, builtin, same};
use lykta::units::Quality;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    profile: String,
    /// Where the payloads are from.
    source: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    what: String,
    f_port: u8,
    hex: String,
    object: Option<Map<String, Value>>,
    readings: Option<BTreeMap<String, Value>>,
    error: Option<String>,
}

fn vectors() -> Vec<Vectors> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decode/vectors");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .collect()
}

fn keeper() -> Keeper {
    Keeper::new(env!("CARGO_BIN_EXE_lykta").into())
}

fn codec(profile: &str) -> Codec {
    let profile = builtin::profiles().unwrap().into_iter().find(|p| p.name == profile).unwrap();
    Codec::new(Arc::new(profile)).unwrap()
}

#[test]
fn payloads_become_what_the_documents_say() {
    let mut keeper = keeper();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let mut tried = BTreeSet::new();
    for Vectors { profile, source, cases } in vectors() {
        assert!(!source.is_empty());
        let codec = codec(&profile);
        let mut good = BTreeSet::new();
        for Case { what, f_port, hex, object, readings, error } in cases {
            let what = format!("{profile}: {what}");
            let bytes = hex::decode(hex).unwrap();
            let decoded = codec.decode(&mut keeper, f_port, &bytes, now);
            if let Some(error) = error {
                let told = decoded.expect_err(&what).to_string();
                assert!(told.contains(&error), "{what}: {told}");
                continue;
            }
            let decoded = decoded.unwrap_or_else(|e| panic!("{what}: {e}"));
            let (object, is) = (Value::from(object.unwrap()), Value::from(decoded.object));
            assert!(same(&object, &is), "{what}: {is}");
            assert_eq!(decoded.unmapped, [], "{what}");
            let is: Map<String, Value> = decoded
                .readings
                .into_iter()
                .map(|reading| {
                    let value = match reading.quality {
                        Quality::Suspect => json!({ "suspect": reading.measured }),
                        Quality::Good | Quality::Missing => json!(reading.measured),
                    };
                    if reading.quality == Quality::Good {
                        good.insert(reading.name.clone());
                    }
                    (reading.name, value)
                })
                .collect();
            let expected: Map<String, Value> = readings.unwrap().into_iter().collect();
            assert!(same(&expected.into(), &is.clone().into()), "{what}: {is:?}");
        }
        let mappings = &codec.profile().readings;
        let names = mappings.iter().map(|m| m.name.as_deref().unwrap_or(m.quantity.as_str()));
        assert_eq!(good, names.map(str::to_owned).collect(), "{profile}: each reading, good");
        tried.insert(profile);
    }
    let scripts = builtin::profiles().unwrap().into_iter().filter(|p| p.codec.is_some());
    assert_eq!(tried, scripts.map(|p| p.name).collect(), "every profile with a script");
}

/// Whatever is cut off or changed, there is an answer, and never one without anything in it.
#[test]
fn any_payload_is_answered() {
    let mut keeper = keeper();
    let now = jiff::Timestamp::UNIX_EPOCH;
    for Vectors { profile, cases, .. } in vectors() {
        let codec = codec(&profile);
        for Case { f_port, hex, what, .. } in cases {
            let bytes = hex::decode(hex).unwrap();
            let whole = (0..bytes.len()).map(|end| bytes[..end].to_vec());
            let long = [bytes.clone(), vec![0xff; 242 - bytes.len()]].concat();
            let turned = bytes.iter().map(|byte| !byte).collect();
            for bytes in whole.chain([long, turned]) {
                match codec.decode(&mut keeper, f_port, &bytes, now) {
                    Ok(decoded) => assert!(!decoded.object.is_empty(), "{profile}: {what}"),
                    Err(error) => assert!(
                        error.to_string().starts_with("the codec says: "),
                        "{profile}, {}: {error}",
                        hex::encode(&bytes)
                    ),
                }
            }
        }
    }
}
