//! What the watch comes to.

use super::check::{Look, Outcome};
use super::reason::Reason;
use super::time::At;
use serde::{Deserialize, Serialize};

/// What a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An agreed check has its answer.
    Check,
    /// Somebody has to go there.
    Alarm,
    /// Something technical has to be mended.
    Fault,
    /// An alarm or a fault is over, or a mode is.
    Cleared,
    /// An alarm will come, or a mode is still on.
    Warning,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: At,
    /// What it is.
    pub kind: Kind,
    /// Whose decision: the id of a rule or check, or one of [`OWN_RULES`].
    pub rule: String,
    /// What a check came to.
    pub outcome: Option<Outcome>,
    /// What a check was agreed for.
    pub agreed: Option<At>,
    /// What it rests on; never empty.
    pub because: Vec<Reason>,
}

/// The names of what is decided without a rule of the resident's own.
pub const OWN_RULES: [&str; 7] = [SUPERVISION, BATTERY, CLOCK, GATEWAY, AWAY, STAFF, CONSENT];
pub(super) const SUPERVISION: &str = "supervision";
pub(super) const BATTERY: &str = "battery";
pub(super) const CLOCK: &str = "clock";
pub(super) const GATEWAY: &str = "gateway";
pub(super) const AWAY: &str = "away";
pub(super) const STAFF: &str = "staff";
pub(super) const CONSENT: &str = "consent";

pub(super) fn answer(at: At, check: &str, agreed: At, Look { outcome, because }: Look) -> Decision {
    let (outcome, agreed) = (Some(outcome), Some(agreed));
    Decision { outcome, agreed, ..decided(at, Kind::Check, check, because) }
}

pub(super) fn decision(at: At, kind: Kind, rule: &str, reason: Reason) -> Decision {
    decided(at, kind, rule, vec![reason])
}

pub(super) fn decided(at: At, kind: Kind, rule: &str, because: Vec<Reason>) -> Decision {
    Decision { at, kind, rule: rule.to_owned(), outcome: None, agreed: None, because }
}
