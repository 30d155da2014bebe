//! What a sensor said is what a reading says: decoders against published examples and edge
//! values, the mapping by profiles, and both against arbitrary bytes.

mod bins;
mod golden;
mod homes;
mod mapping;
mod profiles;
mod properties;

use lykta::codec::{Codec, DecodeError, Decoded, Object, builtin};
use lykta::units::{Measured, Quality};
use std::sync::Arc;

/// The codec of one of the profiles that come with the gateway.
fn codec(profile: &str) -> Codec {
    let profiles = builtin::profiles().expect("the profiles parse");
    let found = profiles.into_iter().find(|p| p.name == profile);
    Codec::new(Arc::new(found.expect("a profile of that name"))).expect("a usable profile")
}

fn decode(profile: &str, f_port: u8, payload: &str) -> Result<Decoded, DecodeError> {
    codec(profile).at_once(f_port, &bytes(payload)).expect("a decoder of the house")
}

fn bytes(payload: &str) -> Vec<u8> {
    hex::decode(payload.replace(' ', "")).expect("hexadecimal text")
}

/// The object of a payload that must decode without anything left unmapped.
fn object(profile: &str, f_port: u8, payload: &str) -> Object {
    let decoded = decode(profile, f_port, payload).expect("a valid payload");
    assert_eq!(decoded.unmapped, [], "{profile} {payload}");
    decoded.object
}

/// One reading of a payload; none when the payload does not give it.
fn reading(
    profile: &str,
    f_port: u8,
    payload: &str,
    name: &str,
) -> Option<(Option<Measured>, Quality)> {
    let decoded = decode(profile, f_port, payload).expect("a valid payload");
    assert_eq!(decoded.unmapped, [], "{profile} {payload}");
    let found = decoded.readings.into_iter().find(|r| r.name == name);
    found.map(|r| (r.measured, r.quality))
}

fn good(measured: Measured) -> Option<(Option<Measured>, Quality)> {
    Some((Some(measured), Quality::Good))
}

fn suspect(measured: Measured) -> Option<(Option<Measured>, Quality)> {
    Some((Some(measured), Quality::Suspect))
}

const MISSING: Option<(Option<Measured>, Quality)> = Some((None, Quality::Missing));

/// Whole payloads that together hold every output that a profile maps, with their ports.
const PAYLOADS: &[(u8, &str)] = &[
    (2, "ffff22b8df160070011f3d3d3d6bff00a5"),
    (2, "ffff22b8df1600701f1f7f3d3d6bff00a5"),
    (85, "017557 03673800 04825c08 050000"),
    (85, "8367e80001 8482410601"),
    (85, "017557 03825c08 040001"),
    (85, "017510 030001 040000"),
    (85, "017562 02820f00 038e01 048e01"),
    (85, "ff0bff ff0101 ff166329c42503920003 ff090100 ff0a0101 ff0f00 ffff0100 fffeff"),
    (5, "0100e2 0229 03012705 040027 0506 070e0a 0e0411 1102"),
    (2, "0d0a 07e9 00 0000 01"),
    (102, "01bb340400dc7801"),
    (100, "00cb3500008a3a00"),
    (147, "01fe370000040000"),
    (85, "017564 030001 0400fe"),
    (85, "017500 030000 040001"),
    (6, "01b101240001f419000000"),
    (6, "0134012401012c0107320a"),
    (6, "015b011e01000000000000"),
    (6, "0197011e00000000000000"),
    (6, "0121011e01000000000000"),
    (7, "8234038407080100640005"),
];
