//! Payload bytes → an object with the vendor's names → typed readings.
//!
//! A decoder knows the bytes of one format and nothing of their use; a profile (a TOML file)
//! says which of its outputs become which readings, in which unit, and what is plausible.
//!
//! There are two kinds of decoders. Those of the *house* are functions in this room, for
//! families of sensors whose documents were read here: they answer at once, whatever the bytes,
//! and a new model of such a family is a line in its table. All others are *scripts*
//! ([`script`]), as vendors publish them: our own in `config/codecs/`, the operator's in
//! `codecs/` beside his configuration. A profile names one or the other, a script with the hash
//! of its text, and from there on nobody asks which it is.
//!
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
pub mod proposal;
mod same;
pub mod script;
mod sensoneo;

pub use mapping::Unmapped;
pub use same::same;

use crate::device::Profile;
use crate::units::Reading;
use jiff::Timestamp;
use script::{Failure, Hash, Keeper, Routine, Script};
use serde_json::{Value, json};
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
    /// The script gave no object.
    #[error("the codec failed: {0}")]
    Script(Failure),
    /// The script says that it cannot decode this.
    #[error("the codec says: {0}")]
    Errors(String),
    /// The script returned no `data`, and no `errors` either.
    #[error("the codec returned no data, or data that is no object")]
    NoData,
    /// The script was not done when the uplink could wait no longer.
    #[error("the codec did not answer in time")]
    Late,
    /// So many payloads wait for scripts that there is no room for another.
    #[error("too many payloads wait for their codecs")]
    Crowd,
}

impl DecodeError {
    /// As text for a log, in which no byte of a payload has any business.
    pub fn without_payload(&self) -> String {
        match self {
            Self::Unknown { what, at, .. } => format!("unknown {what} at byte {at}"),
            Self::Channel { at, .. } => format!("unknown channel at byte {at}"),
            // what a script throws it may have made of the payload
            Self::Script(Failure::Script(told)) => {
                let line = told.split_once(':').map(|(line, _)| line);
                let line = line.filter(|line| line.starts_with("line ") && line.len() < 16);
                format!(
                    "its codec failed{}",
                    line.map(|at| format!(" in {at}")).unwrap_or_default()
                )
            }
            Self::Errors(_) => "its codec refuses them".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// Why no payload could be made of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The device's profile has no script.
    #[error("the device's profile has no codec that encodes: send data or hex")]
    NoScript,
    /// The profile does not say that its sensor understands this.
    #[error("the device does not understand {name:?}; it understands: {known}")]
    Unknown {
        /// The name in the object.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The script gave no object.
    #[error("the codec failed: {0}")]
    Script(Failure),
    /// The script says that it cannot encode this.
    #[error("the codec says: {0}")]
    Errors(String),
    /// The script gave no list of bytes.
    #[error("the codec returned no bytes")]
    NoBytes,
    /// Nobody says which port.
    #[error("the codec tells no port from 1 to 223: give fPort")]
    NoPort,
    /// The script was not done in time.
    #[error("the codec did not answer in time: send it again")]
    Late,
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
    /// It names a decoder and a script, or none of them, or a script without its hash.
    #[error("a profile has either a decoder, or a codec with its sha256")]
    Which,
    /// No script of that name.
    #[error("there is no codec {0:?}")]
    NoCodec(String),
    /// The script is another one than the profile was made for.
    #[error(
        "codec {file} is not the one that this profile was made for: it has the SHA-256 {found}, \
         and the profile expects {expected}; its outputs may mean something else now"
    )]
    Changed {
        /// The script's file.
        file: String,
        /// The hash in the profile.
        expected: String,
        /// That of the file.
        found: Hash,
    },
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
    decoder("browan-tbpb100", browan::tbpb100, browan::OUTPUTS),
    decoder("dragino-ldds75", dragino_ldds75::decode, dragino_ldds75::OUTPUTS),
    decoder("elsys", elsys::decode, elsys::OUTPUTS),
    decoder("milesight-em310-udl", milesight::em310_udl, milesight::EM310_UDL_OUTPUTS),
    decoder("milesight-em400", milesight::em400, milesight::EM400_OUTPUTS),
    decoder("milesight-vs330", milesight::vs330, milesight::VS330_OUTPUTS),
    decoder("milesight-vs370", milesight::vs370, milesight::VS370_OUTPUTS),
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
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    House(Decode),
    Script(Arc<Script>),
}

impl Codec {
    /// Prepares a profile: of a decoder of the house, or of a script that comes with lykta.
    ///
    /// # Errors
    /// When the profile names no known decoder, or maps what cannot be mapped.
    pub fn new(profile: Arc<Profile>) -> Result<Self, CodecError> {
        let (name, file) = match (&profile.decoder, &profile.codec) {
            (Some(name), None) => (name, None),
            (None, Some(file)) => (file, Some(file)),
            _ => return Err(CodecError::Which),
        };
        if let Some(file) = file {
            let script = builtin::script(file).ok_or_else(|| CodecError::NoCodec(file.clone()))?;
            return Self::of_script(profile, script);
        }
        let decoder = DECODERS
            .iter()
            .find(|d| d.name == name)
            .ok_or_else(|| CodecError::NoDecoder(name.clone()))?;
        mapping::check(&profile, Some(decoder.outputs))?;
        Ok(Self { way: Way::House(decoder.decode), profile })
    }

    /// Prepares a profile of this script.
    ///
    /// # Errors
    /// When the profile is of another one, or maps what cannot be mapped.
    pub fn of_script(profile: Arc<Profile>, script: Script) -> Result<Self, CodecError> {
        let (None, Some(file), Some(expected)) =
            (&profile.decoder, &profile.codec, &profile.sha256)
        else {
            return Err(CodecError::Which);
        };
        let found = script.hash();
        if !found.to_string().eq_ignore_ascii_case(expected) {
            let (file, expected) = (file.clone(), expected.clone());
            return Err(CodecError::Changed { file, expected, found });
        }
        mapping::check(&profile, None)?;
        Ok(Self { way: Way::Script(Arc::new(script)), profile })
    }

    /// The profile that it was made of.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Whether its decoder is a script, which can only be asked where one may wait.
    pub fn is_script(&self) -> bool {
        matches!(self.way, Way::Script(_))
    }

    /// Decodes one payload, unless a script has to be asked. Never panics, whatever the bytes.
    pub fn at_once(&self, f_port: u8, bytes: &[u8]) -> Option<Result<Decoded, DecodeError>> {
        let Way::House(decode) = self.way else { return None };
        Some(decode(f_port, bytes).map(|object| self.map(object)))
    }

    /// Decodes one payload that was heard at this time, and waits for a script if need be.
    ///
    /// # Errors
    /// When the payload is not in the sensor's format, or the script fails.
    pub fn decode(
        &self,
        keeper: &mut Keeper,
        f_port: u8,
        bytes: &[u8],
        heard: Timestamp,
    ) -> Result<Decoded, DecodeError> {
        let object = match &self.way {
            Way::House(decode) => decode(f_port, bytes)?,
            Way::Script(script) => ask(keeper, script, f_port, bytes, heard)?,
        };
        Ok(self.map(object))
    }

    /// What a script sends to its device for an object: port and bytes. A port that is told goes
    /// to the script, which may know better.
    ///
    /// # Errors
    /// When there is no script, or it fails, or there is no port.
    pub fn encode(
        &self,
        keeper: &mut Keeper,
        object: &Object,
        f_port: Option<u8>,
    ) -> Result<(u8, Vec<u8>), EncodeError> {
        let Way::Script(script) = &self.way else { return Err(EncodeError::NoScript) };
        let known = &self.profile.downlinks;
        if let Some(name) = object.keys().find(|name| !known.contains(name)) {
            let (name, known) = (name.clone(), known.join(", "));
            return Err(EncodeError::Unknown { name, known });
        }
        let input = json!({ "data": object, "fPort": f_port, "variables": {} });
        let told =
            |error: serde_json::Error| EncodeError::Script(Failure::Script(error.to_string()));
        let input = serde_json::value::to_raw_value(&input).map_err(told)?;
        let out = keeper.ask(script, Routine::EncodeDownlink, &input).out;
        let out = out.map_err(EncodeError::Script)?;
        let out: Object = serde_json::from_str(out.get()).map_err(told)?;
        if let Some(errors) = errors(&out) {
            return Err(EncodeError::Errors(errors));
        }
        let bytes = out.get("bytes").cloned().unwrap_or_default();
        let bytes = serde_json::from_value(bytes).map_err(|_| EncodeError::NoBytes)?;
        let said = out.get("fPort").and_then(Value::as_u64).and_then(|port| port.try_into().ok());
        let port = said.or(f_port).filter(|port| matches!(port, 1..=223));
        Ok((port.ok_or(EncodeError::NoPort)?, bytes))
    }

    fn map(&self, object: Object) -> Decoded {
        let (readings, unmapped) = mapping::map(&self.profile, &object);
        Decoded { object, readings, unmapped }
    }
}

fn ask(
    keeper: &mut Keeper,
    script: &Script,
    f_port: u8,
    bytes: &[u8],
    heard: Timestamp,
) -> Result<Object, DecodeError> {
    let input = json!({
        "bytes": bytes, "fPort": f_port, "recvTime": heard.to_string(), "variables": {},
    });
    let told = |error: serde_json::Error| DecodeError::Script(Failure::Script(error.to_string()));
    let input = serde_json::value::to_raw_value(&input).map_err(told)?;
    let answer = keeper.ask(script, Routine::DecodeUplink, &input);
    for line in &answer.console {
        log::debug!("codec {}: console: {line}", script.hash());
    }
    let out = answer.out.map_err(DecodeError::Script)?;
    let mut out: Object = serde_json::from_str(out.get()).map_err(told)?;
    if let Some(errors) = errors(&out) {
        return Err(DecodeError::Errors(errors));
    }
    match out.remove("data") {
        Some(Value::Object(data)) => Ok(data),
        _ => Err(DecodeError::NoData),
    }
}

/// What a script says is wrong.
fn errors(out: &Object) -> Option<String> {
    match out.get("errors")? {
        Value::Array(errors) if !errors.is_empty() => {
            let errors = errors.iter().map(|e| e.as_str().map_or(e.to_string(), str::to_owned));
            Some(errors.collect::<Vec<_>>().join("; "))
        }
        Value::String(error) if !error.is_empty() => Some(error.clone()),
        _ => None,
    }
}
