//! Payload codecs as vendors publish them: JavaScript after TS013, and its older shapes.
//!
//! A script is not trusted. It runs in a process of its own, the *worker* ([`worker`]), which has
//! no files, no network and little memory, in an interpreter that is made anew for each payload
//! (`engine`). Whoever wants something decoded asks the [`Keeper`], which kills a worker that
//! does not answer and starts the next one.
//!
//! ```text
//!  Keeper ── a line of JSON: source, routine, input ──► worker ► engine
//!         ◄─ a line of JSON: object or error, console ──
//! ```

mod engine;
mod keeper;
mod wire;
pub mod worker;

pub use keeper::Keeper;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The longest script. The longest of some 600 published ones has 101 KB.
pub const MAX_SOURCE: usize = 256 * 1024;

/// The longest result, as JSON. What is decoded goes into a message for the broker.
pub const MAX_RESULT: usize = 64 * 1024;

/// How deep a result may be nested. Published ones go to 5.
pub const MAX_DEPTH: usize = 32;

/// What is asked of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Routine {
    /// `{bytes, fPort, recvTime, variables}` → `{data, warnings, errors}`
    DecodeUplink,
    /// `{data, fPort, variables}` → `{bytes, fPort, warnings, errors}`
    EncodeDownlink,
    /// `{bytes, fPort}` → `{data, warnings, errors}`: what a downlink said
    DecodeDownlink,
    /// The result of `decodeUplink` → the same in the names of The Things Network
    NormalizeUplink,
}

impl Routine {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::DecodeUplink, Self::EncodeDownlink, Self::DecodeDownlink, Self::NormalizeUplink];

    /// The function's name in a script.
    pub fn name(self) -> &'static str {
        match self {
            Self::DecodeUplink => "decodeUplink",
            Self::EncodeDownlink => "encodeDownlink",
            Self::DecodeDownlink => "decodeDownlink",
            Self::NormalizeUplink => "normalizeUplink",
        }
    }
}

/// A codec's text.
#[derive(Clone)]
pub struct Script {
    source: String,
    hash: Hash,
}

/// The SHA-256 of a script's text: what a codec is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("the script cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A directory, a pipe or a device.
    #[error("the script is no file")]
    NoFile,
    /// Longer than any codec is.
    #[error("the script is longer than {} KiB", MAX_SOURCE / 1024)]
    TooLong,
}

impl Script {
    /// Takes a script's text. Bytes that are no UTF-8 stand for one sign each that is unknown:
    /// they are in comments mostly, from an editor of long ago.
    ///
    /// # Errors
    /// When it is too long.
    pub fn new(text: &[u8]) -> Result<Self, ScriptError> {
        if text.len() > MAX_SOURCE {
            return Err(ScriptError::TooLong);
        }
        let source = String::from_utf8_lossy(text).into_owned();
        Ok(Self { source, hash: Hash(Sha256::digest(text).into()) })
    }

    /// Reads a script.
    ///
    /// # Errors
    /// When it cannot be read, or is too long.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        // a pipe would be waited for without end
        if !std::fs::metadata(path)?.is_file() {
            return Err(ScriptError::NoFile);
        }
        let mut text = Vec::new();
        File::open(path)?.take(MAX_SOURCE as u64 + 1).read_to_end(&mut text)?;
        Self::new(&text)
    }

    /// What it is known by.
    pub fn hash(&self) -> Hash {
        self.hash
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What came of a payload.
#[derive(Debug)]
pub struct Answer {
    /// The object that the script returned, as it stands there in JSON.
    pub out: Result<Box<RawValue>, Failure>,
    /// What it wrote to its `console`, a line each. That may be of the payload.
    pub console: Vec<String>,
}

/// Why a script gave no object. An object with `errors` in it is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It threw, or returned what is no object, or was stopped in good order. With the line.
    #[error("{0}")]
    Script(String),
    /// It could not be stopped but by the end of its process.
    #[error("it computed without end where it could not be interrupted, and was killed")]
    Killed,
    /// Its process ended by itself.
    #[error("it brought its process down ({0})")]
    Crashed(String),
    /// Somebody else ended its process: the kernel, when memory runs out. Not the script's fault.
    #[error("its process was killed by somebody else; most likely memory has run out")]
    Lost,
    /// The machine gave the worker no time. Not the script's fault.
    #[error("no answer within {} s though it hardly computed: the machine is too busy", keeper::PATIENCE.as_secs())]
    Starved,
    /// It had to be stopped too often to be tried again.
    #[error(
        "not tried: it had to be stopped {} times; it is tried again when it has changed or lykta is restarted",
        keeper::QUARANTINE
    )]
    Quarantined,
    /// There is no worker to ask.
    #[error("codecs cannot run: {0}")]
    NoWorker(String),
}
