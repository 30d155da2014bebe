//! Whether a bin may or must be emptied: by its level, with some play, and by its age.

use crate::units::Ratio;
use serde::{Deserialize, Serialize};

/// A level has to fall so far below a threshold before it can be crossed again.
const PLAY: f64 = 0.05;

/// Whether a bin is to be emptied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Due {
    /// Not yet.
    #[default]
    No,
    /// When somebody is near.
    May,
    /// In any case.
    Must,
}

impl Due {
    /// What is due after a level, when this was before it. `old` is whether it waits for longer
    /// than it may.
    #[must_use]
    pub(super) fn after(self, fill: Option<Ratio>, old: bool, (may, must): (Ratio, Ratio)) -> Self {
        let by_level = fill.map_or(self, |Ratio(fill)| {
            let over = |from: Ratio, at: Due| fill >= from.0 - if self >= at { PLAY } else { 0.0 };
            match () {
                () if over(must, Due::Must) => Due::Must,
                () if over(may, Due::May) => Due::May,
                () => Due::No,
            }
        });
        if old { Due::Must } else { by_level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (Ratio, Ratio) = (Ratio(0.6), Ratio(0.8));

    #[test]
    fn around_a_threshold_there_is_one_alert() {
        let mut due = Due::No;
        let mut alerts = 0;
        for fill in [0.79, 0.81, 0.79, 0.80, 0.78, 0.82] {
            let next = due.after(Some(Ratio(fill)), false, AT);
            alerts += usize::from(next > due && next == Due::Must);
            due = next;
        }
        assert_eq!((alerts, due), (1, Due::Must));
        assert_eq!(due.after(Some(Ratio(0.1)), false, AT), Due::No);
    }

    #[test]
    fn age_alone_is_enough() {
        assert_eq!(Due::No.after(Some(Ratio(0.1)), true, AT), Due::Must);
        assert_eq!(Due::No.after(None, true, AT), Due::Must);
        assert_eq!(Due::May.after(None, false, AT), Due::May);
    }
}
