//! Payload bytes → an object with the vendor's names → typed readings.
//!
//! A decoder knows the bytes of one format and nothing of their use; a profile (a TOML file)
//! says which of its outputs become which readings, in which unit, and what is plausible.
//! What a sensor sends in place of a value ("no echo") is null from the decoder on, and a
//! [`Reading`] of quality `Missing` at the end: it never looks like a number.

mod browan;
pub mod builtin;
mod dragino_ldds75;
mod elsys;
mod frame;
mod mapping;
mod milesight;
mod netvox_r718;
pub mod script;
mod sensoneo;

pub use mapping::Unmapped;

use crate::device::Profile;
use crate::units::Reading;
use std::sync::Arc;

/// What a decoder returns: names as the vendor's documents have them.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// Why a payload could not be decoded. The uplink is delivered all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The sensor does not use this port.
    #[error("no payload format is known for FPort {0}")]
    Port(u8),
    /// The payload is shorter or longer than its format.
    #[error("{found} bytes where {expected} are expected")]
    Length {
        /// What the format asks for.
        expected: &'static str,
        /// What was there.
        found: usize,
    },
    /// A byte that the format does not know.
    #[error("unknown {what} 0x{byte:02x} at byte {at}")]
    Unknown {
        /// What kind of byte it is.
        what: &'static str,
        /// The byte.
        byte: u8,
        /// Where it stands, from 0.
        at: usize,
    },
    /// A channel that the model does not have. What follows it cannot be read either, for
    /// its length is not known.
    #[error("unknown channel 0x{channel:02x} of type 0x{kind:02x} at byte {at}")]
    Channel {
        /// The channel's number.
        channel: u8,
        /// The type of its value.
        kind: u8,
        /// Where it stands, from 0.
        at: usize,
    },
    /// One payload gives one output two values.
    #[error("two different values of {name:?} in one payload")]
    Contradiction {
        /// The output.
        name: &'static str,
    },
}

impl DecodeError {
    /// As text for a log, in which no byte of a payload has any business.
    pub fn without_payload(&self) -> String {
        match self {
            Self::Unknown { what, at, .. } => format!("unknown {what} at byte {at}"),
            Self::Channel { at, .. } => format!("unknown channel at byte {at}"),
            Self::Port(_) | Self::Length { .. } | Self::Contradiction { .. } => self.to_string(),
        }
    }
}

/// One decoded payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Under the vendor's names.
    pub object: Object,
    /// As typed readings by the profile.
    pub readings: Vec<Reading>,
    /// Outputs that the profile maps but that could not become a reading: profile and sensor
    /// do not fit. To be counted and shown, for the reading is silently absent otherwise.
    pub unmapped: Vec<Unmapped>,
}

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// No decoder of that name.
    #[error("there is no decoder {0:?}")]
    NoDecoder(String),
    /// The decoder never says this, so the reading would never come.
    #[error("reading {reading:?}: decoder {decoder:?} has no output {output:?}")]
    NoOutput {
        /// The reading.
        reading: String,
        /// The profile's decoder.
        decoder: String,
        /// The output that it does not have.
        output: String,
    },
    /// Two readings of one name.
    #[error("two readings are named {0:?}; give one of them another name")]
    Duplicate(String),
    /// The input unit is not one of this quantity, or the quantity has none.
    #[error("reading {reading:?}: {unit:?} is not a unit of {quantity}")]
    Unit {
        /// The reading.
        reading: String,
        /// The unit that does not fit.
        unit: crate::device::InputUnit,
        /// The quantity's name.
        quantity: &'static str,
    },
    /// `on` or `off` for something that is not a state.
    #[error("reading {reading:?}: on and off are for states, and {quantity} is none")]
    NotAState {
        /// The reading.
        reading: String,
        /// The quantity's name.
        quantity: &'static str,
    },
    /// One output stands in two of `on`, `off` and `missing`, or only one of `on` and `off`
    /// is there, so that the other state could never be reported.
    #[error(
        "reading {reading:?}: on, off and missing must be disjoint, and on and off go together"
    )]
    States {
        /// The reading.
        reading: String,
    },
    /// A range that is not two ordered numbers, or stands at a state.
    #[error("reading {reading:?}: range must be two ordered numbers, and a state has none")]
    Range {
        /// The reading.
        reading: String,
    },
    /// A sensor of motion or presence whose holding time is not known: when does its silence
    /// mean that nobody moves?
    #[error("a profile with motion or presence must state hold")]
    NoHold,
}

/// A decoder: port and bytes in, the vendor's names out.
type Decode = fn(u8, &[u8]) -> Result<Object, DecodeError>;

/// One decoder of this house.
struct Decoder {
    name: &'static str,
    decode: Decode,
    /// What a profile can map.
    outputs: &'static [&'static str],
}

const fn decoder(name: &'static str, decode: Decode, outputs: &'static [&'static str]) -> Decoder {
    Decoder { name, decode, outputs }
}

const DECODERS: &[Decoder] = &[
    decoder("browan-tbdw100", browan::tbdw100, browan::OUTPUTS),
    decoder("browan-tbms100", browan::tbms100, browan::OUTPUTS),
    decoder("dragino-ldds75", dragino_ldds75::decode, dragino_ldds75::OUTPUTS),
    decoder("elsys", elsys::decode, elsys::OUTPUTS),
    decoder("milesight-em310-udl", milesight::em310_udl, milesight::EM310_UDL_OUTPUTS),
    decoder("milesight-em400", milesight::em400, milesight::EM400_OUTPUTS),
    decoder("milesight-vs330", milesight::vs330, milesight::VS330_OUTPUTS),
    decoder("milesight-ws202", milesight::ws202, milesight::WS202_OUTPUTS),
    decoder("milesight-ws301", milesight::ws301, milesight::WS301_OUTPUTS),
    decoder("netvox-r718", netvox_r718::decode, netvox_r718::OUTPUTS),
    decoder("sensoneo-single", sensoneo::decode, sensoneo::OUTPUTS),
];

/// The names of all decoders, in alphabetical order.
pub fn decoders() -> impl Iterator<Item = &'static str> {
    DECODERS.iter().map(|d| d.name)
}

/// The decoder and the mapping of one profile, ready to use.
#[derive(Debug, Clone)]
pub struct Codec {
    profile: Arc<Profile>,
    decode: Decode,
}

impl Codec {
    /// Prepares a profile.
    ///
    /// # Errors
    /// When the profile names no known decoder, or maps what cannot be mapped.
    pub fn new(profile: Arc<Profile>) -> Result<Self, CodecError> {
        let decoder = DECODERS
            .iter()
            .find(|d| d.name == profile.decoder)
            .ok_or_else(|| CodecError::NoDecoder(profile.decoder.clone()))?;
        mapping::check(&profile, decoder.outputs)?;
        Ok(Self { decode: decoder.decode, profile })
    }

    /// The profile that it was made of.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Decodes one payload.
    ///
    /// # Errors
    /// When the payload is not in the sensor's format. Never panics, whatever the bytes.
    pub fn decode(&self, f_port: u8, bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let object = (self.decode)(f_port, bytes)?;
        let (readings, unmapped) = mapping::map(&self.profile, &object);
        Ok(Decoded { object, readings, unmapped })
    }
}
