//! Days that were, instead of days by chance.

use super::weeks::{READ_EVERY, Weeks};
use std::ops::Range;

/// A reading that differs by more from what the other ones say is a wrong echo. It is doubted, as
/// if it were lost.
const WRONG: f64 = 0.15;

/// What was recorded of a bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The share that came in each hour.
    pub comes: Vec<f64>,
    /// How full it was at the beginning of each hour.
    pub level: Vec<f64>,
    /// What its sensor said, with the hour, in the order of time.
    pub heard: Vec<(usize, f64)>,
}

impl Weeks {
    /// Some days of a record that begins on a weekday, counted from Monday as 0. Sensors err and
    /// are silent as they were.
    ///
    /// # Panics
    /// If a bin was not recorded on all of these days.
    #[must_use]
    pub fn recorded(bins: &[Recorded], days: Range<usize>, weekday: usize) -> Self {
        let hours = days.start * 24..days.end * 24;
        let mut comes = Vec::new();
        let mut errors = Vec::new();
        for bin in bins {
            comes.extend(bin.comes[hours.clone()].iter().map(|share| *share as f32));
            let mut slots = vec![None; hours.len() / READ_EVERY];
            for (hour, heard) in bin.heard.iter().filter(|(hour, _)| hours.contains(hour)) {
                let error = heard - bin.level[*hour];
                if error.abs() <= WRONG {
                    slots[(hour - hours.start) / READ_EVERY] = Some(error as f32);
                }
            }
            errors.extend(slots);
        }
        let first = bins.iter().map(|bin| bin.level.get(hours.start).copied().unwrap_or_default());
        Self {
            days: days.len(),
            weekday: (weekday + days.start) % 7,
            comes,
            errors,
            first: first.collect(),
        }
    }
}
