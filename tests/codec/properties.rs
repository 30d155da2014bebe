//! What holds for any bytes whatever. Arbitrary bytes alone seldom get far into a decoder, so
//! most are made of whole payloads, changed, cut and joined.

use crate::{PAYLOADS, bytes};
use lykta::codec::{Codec, builtin};
use lykta::units::{Measured, Quality};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static CODECS: LazyLock<Vec<Codec>> = LazyLock::new(|| {
    let profiles = builtin::profiles().expect("the profiles parse");
    let codecs = profiles.into_iter().map(|p| Codec::new(Arc::new(p)).expect("a usable profile"));
    codecs.filter(|codec| !codec.is_script()).collect()
});

fn ports() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(vec![2, 5, 6, 7, 85, 100, 102, 147]),
        1 => any::<u8>(),
    ]
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let seed = prop::sample::select(PAYLOADS).prop_map(|(_, payload)| bytes(payload));
    let changed = (seed, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4))
        .prop_map(|(mut bytes, changes)| {
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        });
    let cut = (changed.clone(), any::<prop::sample::Index>())
        .prop_map(|(bytes, index)| bytes[..index.index(bytes.len())].to_vec());
    let joined = (changed.clone(), changed.clone()).prop_map(|(a, b)| [a, b].concat());
    prop_oneof![changed, cut, joined, prop::collection::vec(any::<u8>(), 0..80)]
}

fn number(measured: Measured) -> Option<f64> {
    serde_json::to_value(measured).expect("JSON").as_f64()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic_and_no_reading_lies(port in ports(), bytes in payloads()) {
        for codec in CODECS.iter() {
            let Some(Ok(decoded)) = codec.at_once(port, &bytes) else { continue };
            prop_assert!(!decoded.object.is_empty(), "a decoded payload says something");
            let mapped = decoded.readings.len() + decoded.unmapped.len();
            prop_assert!(mapped <= codec.profile().readings.len());
            for reading in decoded.readings {
                prop_assert_eq!(
                    reading.measured.is_none(),
                    reading.quality == Quality::Missing
                );
                if let Some(measured) = reading.measured {
                    prop_assert_eq!(measured.quantity(), reading.quantity);
                    prop_assert!(number(measured).is_none_or(f64::is_finite));
                }
            }
        }
    }

    #[test]
    fn decoding_twice_says_the_same(port in ports(), bytes in payloads()) {
        for codec in CODECS.iter() {
            prop_assert_eq!(codec.at_once(port, &bytes), codec.at_once(port, &bytes));
        }
    }
}
