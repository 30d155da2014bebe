//! The device profiles that come with the gateway, and their scripts.

use super::script::Script;
use crate::device::Profile;

/// Why a profile's text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ProfileError {
    /// The name of the file.
    pub file: String,
    /// What is wrong, with line and key.
    pub reason: String,
}

/// Reads one profile; `file` is its name, for the error.
///
/// # Errors
/// When the text is not TOML, lacks a key, or has one that profiles do not know.
pub fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
    toml_edit::de::from_str(text)
        .map_err(|e| ProfileError { file: file.to_owned(), reason: e.to_string() })
}

/// All profiles of this program, parsed.
///
/// # Errors
/// Never: a test parses them all. It is an error and not a panic, for the caller has the
/// operator's own profiles to read in the same way.
pub fn profiles() -> Result<Vec<Profile>, ProfileError> {
    PROFILES.iter().map(|(file, text)| parse(file, text)).collect()
}

/// A script of this program, by the name of its file.
pub fn script(file: &str) -> Option<Script> {
    let (_, text) = CODECS.iter().find(|(name, _)| *name == file)?;
    Script::new(text.as_bytes()).ok()
}

macro_rules! embedded {
    ($directory:literal: $($file:literal,)*) => {
        &[$(($file, include_str!(concat!("../../config/", $directory, "/", $file)))),*]
    };
}

/// The files of `config/codecs/`: name and text.
pub const CODECS: &[(&str, &str)] = embedded![
    "codecs":
    "browan-dw10.js",
    "cayenne-lpp.js",
    "decentlab-dl-mbx.js",
    "dingtek-df702.js",
    "dragino-lds02.js",
    "netvox-rb11e.js",
    "pepperl-fuchs-wilsen.js",
    "teneo-fill.js",
    "terabee-lora-lm.js",
];

/// The files of `config/profiles/`: name and text.
pub const PROFILES: &[(&str, &str)] = embedded![
    "profiles":
    "browan-dw10.toml",
    "browan-tbdw100.toml",
    "browan-tbms100.toml",
    "browan-tbpb100.toml",
    "decentlab-dl-mbx.toml",
    "dingtek-df702.toml",
    "dragino-ldds45.toml",
    "dragino-ldds75.toml",
    "dragino-lds02.toml",
    "elsys-elt.toml",
    "elsys-ers.toml",
    "elsys-ers-eye.toml",
    "lpp-compactor.toml",
    "lpp-parking.toml",
    "lpp-street-light.toml",
    "milesight-em310-udl.toml",
    "milesight-em400-mud.toml",
    "milesight-em400-tld.toml",
    "milesight-em400-udl.toml",
    "milesight-vs330.toml",
    "milesight-vs370.toml",
    "milesight-ws202.toml",
    "milesight-ws301.toml",
    "netvox-r718j.toml",
    "netvox-r718pe.toml",
    "netvox-r718q.toml",
    "netvox-r718qa.toml",
    "netvox-r718x.toml",
    "netvox-rb11e.toml",
    "pepperl-fuchs-wilsen.toml",
    "sensoneo-single.toml",
    "teneo-fill.toml",
    "terabee-lora-lm.toml",
];
