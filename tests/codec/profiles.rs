//! The profiles that come with the gateway.

use crate::{PAYLOADS, bytes, codec};
use lykta::codec::{Codec, builtin, decoders};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

#[test]
fn every_file_is_built_in() {
    for (directory, built_in) in [("profiles", builtin::PROFILES), ("codecs", builtin::CODECS)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(directory);
        let files: BTreeSet<String> = std::fs::read_dir(path)
            .expect("the directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        let built_in: BTreeSet<String> =
            built_in.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(files, built_in);
    }
}

#[test]
fn every_script_has_a_profile() {
    let used: BTreeSet<String> =
        builtin::profiles().expect("profiles").into_iter().filter_map(|p| p.codec).collect();
    let scripts = builtin::CODECS.iter().map(|(file, _)| (*file).to_owned());
    assert_eq!(used, scripts.collect());
}

#[test]
fn every_profile_works_and_is_named_as_its_file() {
    for (file, text) in builtin::PROFILES {
        let profile = builtin::parse(file, text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{}.toml", profile.name), *file);
        assert!(!profile.readings.is_empty(), "{file} reads nothing");
        assert!(!profile.heartbeat.is_zero(), "{file} is never alive");
        assert!(text.starts_with('#'), "{file} does not say where its figures are from");
        Codec::new(Arc::new(profile)).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

#[test]
fn every_decoder_has_a_profile() {
    let used: BTreeSet<String> =
        builtin::profiles().expect("profiles").into_iter().filter_map(|p| p.decoder).collect();
    assert_eq!(used, decoders().map(str::to_owned).collect());
}

#[test]
fn every_reading_of_every_profile_can_come() {
    for profile in builtin::profiles().expect("profiles") {
        let codec = codec(&profile.name);
        // what scripts say is in tests/decode
        if codec.is_script() {
            continue;
        }
        let come: BTreeSet<String> = PAYLOADS
            .iter()
            .filter_map(|(port, payload)| codec.at_once(*port, &bytes(payload))?.ok())
            .flat_map(|decoded| decoded.readings)
            .map(|reading| reading.name)
            .collect();
        for mapping in &profile.readings {
            let name = mapping.name.as_deref().unwrap_or(mapping.quantity.as_str());
            assert!(come.contains(name), "{}: {name} never comes", profile.name);
        }
    }
}
