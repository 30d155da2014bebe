//! The device profiles that come with the gateway.

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

macro_rules! embedded {
    ($($file:literal,)*) => {
        &[$(($file, include_str!(concat!("../../config/profiles/", $file)))),*]
    };
}

/// The files of `config/profiles/`: name and text.
pub const PROFILES: &[(&str, &str)] = embedded![
    "browan-tbdw100.toml",
    "browan-tbms100.toml",
    "dragino-ldds75.toml",
    "elsys-elt.toml",
    "elsys-ers.toml",
    "elsys-ers-eye.toml",
    "milesight-em310-udl.toml",
    "milesight-em400-mud.toml",
    "milesight-em400-tld.toml",
    "milesight-em400-udl.toml",
    "milesight-vs330.toml",
    "milesight-ws202.toml",
    "milesight-ws301.toml",
    "netvox-r718j.toml",
    "netvox-r718pe.toml",
    "netvox-r718q.toml",
    "netvox-r718qa.toml",
    "netvox-r718x.toml",
    "sensoneo-single.toml",
];
