//! What an uplink means.

use super::due::Due;
use super::posture::Posture;
use crate::units::Ratio;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a level can be trusted: three of the values of resource 6042 in OMA LwM2M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The sensor said so, and nothing speaks against it.
    Accepted,
    /// It may be otherwise: a fixed echo, a bag, a single reading.
    Suspect,
    /// The sensor said nothing that can be of this bin; the level is what is expected.
    Rejected,
}

/// What an echo came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EchoFrom {
    /// The waste, as far as is known.
    Ok,
    /// The bin sends echoes from a fixed part.
    Fixed,
    /// Nothing in the bin.
    None,
}

/// Begins with this uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alarm {
    /// It burns.
    Fire,
    /// It lies, or stands elsewhere.
    Tilt,
}

/// Somebody emptied it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emptying {
    /// When the first reading after it was, or in the daytime between that and the one before.
    pub at: Timestamp,
    /// What was in it before.
    pub fill_before: Ratio,
    /// Whether something remained.
    pub partial: bool,
    /// How sure that is, from 0 to 1; below a half it does not count.
    pub confidence: f64,
}

impl Emptying {
    /// Whether it is more likely than not.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.confidence >= 0.5
    }
}

/// What an uplink means.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How full it is; none before anything was heard of it.
    pub fill: Option<Ratio>,
    /// How far that can be trusted.
    pub trust: Trust,
    /// What the echo came from.
    pub echo: EchoFrom,
    /// What begins.
    pub alarm: Option<Alarm>,
    /// What it looks like now, if that is new.
    pub posture: Option<Posture>,
    /// Somebody emptied it.
    pub emptied: Option<Emptying>,
    /// What is due now, if that is new.
    pub due: Option<Due>,
}
