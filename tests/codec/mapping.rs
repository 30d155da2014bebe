//! What a profile may say, and what becomes of an object that does not fit it.

use lykta::codec::{Codec, CodecError, Decoded, builtin};
use std::sync::Arc;

/// A profile of the Elsys decoder with these readings.
fn codec(readings: &str) -> Result<Codec, CodecError> {
    let text = format!(
        "name = \"test\"\nvendor = \"v\"\nmodel = \"m\"\ndecoder = \"elsys\"\n\
         heartbeat = \"1h\"\n{readings}"
    );
    Codec::new(Arc::new(builtin::parse("test.toml", &text).expect("TOML")))
}

fn decode(readings: &str, bytes: &[u8]) -> Decoded {
    codec(readings)
        .expect("a usable profile")
        .at_once(5, bytes)
        .expect("of the house")
        .expect("a valid payload")
}

fn error(readings: &str) -> String {
    codec(readings).expect_err("an unusable profile").to_string()
}

fn reading(rest: &str) -> String {
    format!("[[reading]]\n{rest}\n")
}

#[test]
fn a_profile_that_cannot_work_is_refused_with_its_reason() {
    let distance = "output = \"distance\"\nquantity = \"distance\"\n";
    let contact = "output = \"digital\"\nquantity = \"contact_open\"\n";
    for (readings, expected) in [
        (
            reading("output = \"distanec\"\nquantity = \"distance\""),
            r#"reading "distance": decoder "elsys" has no output "distanec""#,
        ),
        (
            reading(&format!("{distance}unit = \"V\"")),
            r#"reading "distance": Volts is not a unit of distance"#,
        ),
        (
            reading(&format!("{contact}unit = \"m\"")),
            r#"reading "contact_open": Metres is not a unit of contact_open"#,
        ),
        (
            reading(&format!("{distance}on = [1]\noff = [0]")),
            r#"reading "distance": on and off are for states, and distance is none"#,
        ),
        (
            reading(&format!("{contact}on = [1]")),
            r#"reading "contact_open": on, off and missing must be disjoint, and on and off go together"#,
        ),
        (
            reading(&format!("{contact}on = [1, 2]\noff = [0, 2.0]")),
            r#"reading "contact_open": on, off and missing must be disjoint, and on and off go together"#,
        ),
        (
            reading(&format!("{distance}range = [2.0, 1.0]")),
            r#"reading "distance": range must be two ordered numbers, and a state has none"#,
        ),
        (
            reading(&format!("{distance}range = [nan, 1.0]")),
            r#"reading "distance": range must be two ordered numbers, and a state has none"#,
        ),
        (
            reading(&format!("{contact}range = [0.0, 1.0]")),
            r#"reading "contact_open": range must be two ordered numbers, and a state has none"#,
        ),
        (
            reading(distance) + &reading(distance),
            r#"two readings are named "distance"; give one of them another name"#,
        ),
        (
            reading("output = \"motion\"\nquantity = \"motion\""),
            "a profile with motion or presence must state hold",
        ),
    ] {
        assert_eq!(error(&readings), expected);
    }
    let profiles = builtin::profiles().expect("profiles");
    let own = profiles.into_iter().find(|profile| profile.decoder.is_some());
    let mut profile = own.expect("one with a decoder of the house");
    profile.decoder = Some("elsis".into());
    let none = Codec::new(Arc::new(profile)).expect_err("no such decoder");
    assert_eq!(none, CodecError::NoDecoder("elsis".into()));
}

#[test]
fn a_profile_with_an_unknown_key_is_refused_with_its_line() {
    let error = builtin::parse("x.toml", "name = \"x\"\nheartbeet = \"1h\"").expect_err("a key");
    assert_eq!(error.file, "x.toml");
    assert!(error.reason.contains("line 2") && error.reason.contains("heartbeet"), "{error}");
}

#[test]
fn a_value_of_another_kind_is_shown_and_never_guessed() {
    let pixels = reading("output = \"grideye\"\nquantity = \"temperature\"");
    let mut bytes = vec![0x13];
    bytes.extend([0; 65]);
    let decoded = decode(&pixels, &bytes);
    assert_eq!(decoded.readings, []);
    assert_eq!(
        decoded.unmapped[0].to_string(),
        r#"output "grideye" is a list, which is no temperature"#
    );

    let fraction = reading("output = \"temperature\"\nquantity = \"count\"");
    assert_eq!(decode(&fraction, &[0x01, 0x00, 0xe2]).unmapped.len(), 1, "22.6 is no count");
    assert_eq!(decode(&fraction, &[0x01, 0xff, 0xf6]).unmapped.len(), 1, "nor is -1");
    assert_eq!(decode(&fraction, &[0x01, 0x00, 0x00]).readings.len(), 1, "but zero is");
}

#[test]
fn readings_serialise_with_unit_and_quality() {
    let readings =
        reading("output = \"distance\"\nquantity = \"distance\"\nunit = \"mm\"\nmissing = [5000]")
            + &reading("output = \"digital\"\nname = \"lid\"\nquantity = \"contact_open\"");
    let text =
        |bytes: &[u8]| serde_json::to_string(&decode(&readings, bytes).readings).expect("JSON");
    assert_eq!(
        text(&[0x0e, 0x00, 0x00, 0x0d, 0x00]),
        r#"[{"name":"distance","unit":"m","value":0.0,"quality":"good"},{"name":"lid","value":false,"quality":"good"}]"#
    );
    assert_eq!(
        text(&[0x0e, 0x13, 0x88]),
        r#"[{"name":"distance","unit":"m","value":null,"quality":"missing"}]"#
    );
}
