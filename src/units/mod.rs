//! Names and quantities as types: what a bare string or float would leave open.
//!
//! Every id is parsed once, at the edge, and is valid from then on.

pub mod duration;
mod quantity;
mod reading;

pub use quantity::{
    Amperes, Celsius, Db, Dbm, Degrees, Hertz, Joules, Lux, Metres, Ratio, Seconds, Volts, Watts,
};
pub use reading::{Measured, Quality, Quantity, Reading};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is not the id that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// A hexadecimal id of the wrong length or with other characters.
    #[error("expected {digits} hexadecimal digits, found {found}")]
    Hex {
        /// How many digits this id has.
        digits: usize,
        /// What was there instead: a count or a character, never the text (it may be a key).
        found: String,
    },
    /// A name that cannot be part of a topic and a file name.
    #[error("expected 1 to 64 characters of a-z, 0-9 and '-', found {found}")]
    Name {
        /// What was there instead.
        found: String,
    },
}

/// To so many decimals, as it is told.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

/// Parses exactly `N` bytes of hexadecimal text, most significant first.
/// Separators that people paste (`-`, `:`, space) are ignored.
fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let digits = N * 2;
    let mut nibbles = Vec::with_capacity(digits);
    for c in text.chars().filter(|c| !matches!(c, '-' | ':' | ' ')) {
        match c.to_digit(16) {
            Some(d) if nibbles.len() < digits => nibbles.push(d as u8),
            Some(_) => {
                return Err(ParseIdError::Hex { digits, found: "more of them".into() });
            }
            None => {
                return Err(ParseIdError::Hex { digits, found: format!("the character {c:?}") });
            }
        }
    }
    if nibbles.len() != digits {
        return Err(ParseIdError::Hex { digits, found: format!("{}", nibbles.len()) });
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(bytes)
}

/// A number with its noun, in the plural where that is due.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex::<{ $digits / 2 }>(text).map(|b| Self(<$int>::from_be_bytes(b)))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        text_serde!($name);
        text_schema!($name, concat!("^[0-9a-f]{", $digits, "}$"));
    };
}

/// The schema of such text in messages.
macro_rules! text_schema {
    ($name:ident, $pattern:expr) => {
        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// Serde as text by `Display` and `FromStr`.
macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// A device's globally unique address (IEEE EUI-64), printed most significant byte first.
    DevEui, u64, 16
);
hex_id!(
    /// The EUI-64 of the join server that a device asks for (AppEUI before LoRaWAN 1.0.4).
    JoinEui, u64, 16
);
hex_id!(
    /// The 32-bit address that a session uses on the air. Several devices may share one.
    DevAddr, u32, 8
);
hex_id!(
    /// The EUI-64 of a concentrator, as it names itself in the Semtech UDP protocol.
    GatewayEui, u64, 16
);

/// An AES-128 key. It has no `Display`, its `Debug` hides it, and it does not serialise.
#[derive(Clone, PartialEq, Eq)]
pub struct AesKey(pub [u8; 16]);

impl FromStr for AesKey {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(…)")
    }
}

impl<'de> Deserialize<'de> for AesKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The key of a database: AES-256. As secret as an [`AesKey`].
#[derive(Clone, PartialEq, Eq)]
pub struct StoreKey(pub [u8; 32]);

impl FromStr for StoreKey {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let odd = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'));
                match odd {
                    Some(c) => Err(ParseIdError::Name { found: format!("the character {c:?}") }),
                    None if text.is_empty() || text.len() > 64 => {
                        Err(ParseIdError::Name { found: format!("{} characters", text.len()) })
                    }
                    None => Ok(Self(text.to_owned())),
                }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        text_serde!($name);
    };
}

name_id!(
    /// This gateway's name: part of every topic.
    GatewayId
);
name_id!(
    /// A tenant's name: part of its topics and the name of its database file.
    TenantId
);
name_id!(
    /// A plan's name: part of its topics.
    PlanName
);

/// How a LoRa frame was modulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoRa {
    /// Spreading factor, 5 to 12.
    pub spreading_factor: u8,
    /// Bandwidth: 125, 250 or 500 kHz.
    pub bandwidth: Hertz,
}

impl FromStr for LoRa {
    type Err = ();
    /// Parses the Semtech text form, `SF7BW125`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (sf, bw) = text.strip_prefix("SF").and_then(|t| t.split_once("BW")).ok_or(())?;
        let spreading_factor = sf.parse().map_err(|_| ())?;
        let bandwidth = match bw {
            "125" => 125_000,
            "250" => 250_000,
            "500" => 500_000,
            _ => return Err(()),
        };
        if !(5..=12).contains(&spreading_factor) {
            return Err(());
        }
        Ok(Self { spreading_factor, bandwidth: Hertz(bandwidth) })
    }
}

impl fmt::Display for LoRa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SF{}BW{}", self.spreading_factor, self.bandwidth.0 / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_accept_the_separators_that_people_paste() {
        let eui = DevEui(0x70b3_d507_0000_1739);
        for text in ["70b3d50700001739", "70-B3-D5-07-00-00-17-39", "70:b3:d5:07:00:00:17:39"] {
            assert_eq!(text.parse(), Ok(eui));
        }
        assert_eq!(eui.to_string(), "70b3d50700001739");
    }

    #[test]
    fn a_wrong_id_says_how_it_is_wrong_without_repeating_it() {
        let short = "70b3d5".parse::<DevEui>().expect_err("too short");
        assert_eq!(short.to_string(), "expected 16 hexadecimal digits, found 6");
        let odd = "70b3d5070000173g".parse::<DevEui>().expect_err("not hex");
        assert_eq!(odd.to_string(), "expected 16 hexadecimal digits, found the character 'g'");
    }

    #[test]
    fn a_key_never_shows_itself() {
        let key: AesKey = "000102030405060708090a0b0c0d0e0f".parse().expect("a key");
        assert_eq!(format!("{key:?}"), "AesKey(…)");
    }

    proptest! {
        #[test]
        fn ids_survive_a_round_trip(n: u64, text: String) {
            prop_assert_eq!(DevEui(n).to_string().parse(), Ok(DevEui(n)));
            let _ = text.parse::<DevEui>();
            let _ = text.parse::<LoRa>();
            if let Ok(name) = text.parse::<TenantId>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
