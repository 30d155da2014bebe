//! Which bins a day's tour visits: three ways to choose, and a fourth between them.

use crate::route::collection::{Bin, Horizon, Outlook, Rules, State};
use std::fmt;

/// A way to choose, with its knob.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// All bins, every so many days.
    All {
        /// The days.
        every: u32,
    },
    /// The bins that are expected to be so full, and then the way around them: what most systems
    /// do.
    Threshold {
        /// The share.
        level: f64,
    },
    /// The bins that overflow before the next chance with so much probability, and then the way
    /// around them: forecast, but no look at the way.
    Risk {
        /// The probability.
        probability: f64,
    },
    /// Each bin has a prize, and the way decides ([`crate::route::collection`]).
    Joint {
        /// How many times the cost of an overflow as the rules have it.
        factor: f64,
    },
}

impl Policy {
    /// Its name, in tables and on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::All { .. } => "all",
            Self::Threshold { .. } => "threshold",
            Self::Risk { .. } => "risk",
            Self::Joint { .. } => "joint",
        }
    }

    /// What it makes of the bins of a day, and by which rules; none if nobody drives.
    pub(super) fn chosen(
        &self,
        mut bins: Vec<Bin>,
        day: usize,
        when: Horizon,
        rules: &Rules,
    ) -> Option<(Vec<Bin>, Rules)> {
        let outlook = |bin: &Bin| Outlook::new(bin, when, rules);
        let mut rules = *rules;
        match *self {
            Self::All { every } => {
                if !day.is_multiple_of(every.max(1) as usize) {
                    return None;
                }
            }
            Self::Threshold { level } => {
                bins.retain(|bin| outlook(bin).is_none_or(|outlook| outlook.level >= level));
            }
            Self::Risk { probability } => bins.retain(|bin| {
                outlook(bin).is_none_or(|outlook| outlook.overflow(when.next) >= probability)
            }),
            Self::Joint { factor } => {
                rules.overflow *= factor;
                rules.overflow_hour *= factor;
                return Some((bins, rules));
            }
        }
        for bin in &mut bins {
            bin.state = State::Requested;
        }
        Some((bins, rules))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { every: 1 } => f.write_str("every day"),
            Self::All { every } => write!(f, "every {every} days"),
            Self::Threshold { level } => write!(f, "from {:.1} % on", level * 100.0),
            Self::Risk { probability } => write!(f, "from {:.2} % on", probability * 100.0),
            Self::Joint { factor } => write!(f, "overflow × {factor:.2}"),
        }
    }
}
