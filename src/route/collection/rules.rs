//! What holds for all bins of a plan.

use jiff::civil::Weekday;

/// When bins can be emptied. In days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon {
    /// From now to the tour that is planned.
    pub tour: f64,
    /// From there to the next chance to empty a bin that is left out.
    pub next: f64,
    /// The day of that chance, for the reasons.
    pub next_day: Option<Weekday>,
}

/// What is worth how much, and what counts as known. Costs are in the unit of
/// [`crate::route::problem::Rates`]; the defaults take it as 1/1000 SEK.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What it costs when a bin overflows: a call, somebody who looks, cleaning up. The default,
    /// 300 SEK, is an assumption: about half an hour of a person with a car.
    pub overflow: f64,
    /// What each hour costs in which a bin is overfull. The default is 20 SEK, an assumption too.
    pub overflow_hour: f64,
    /// What a second of work at a stop costs. The default is a crew of one at 360 SEK an hour.
    pub working_second: f64,
    /// How much of what a later visit would cost speaks for a visit today, by how full a bin is:
    /// 1 for all of it, 0 for a plan that thinks no farther than [`Horizon::next`].
    pub foresight: f64,
    /// The standard deviation of a measured level.
    pub noise: f64,
    /// A level that is older than this, in days, is no measurement any more, but an estimate.
    pub silent_after: f64,
    /// How often, in days, a bin of which nothing is known must be emptied.
    pub unknown_every: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            overflow: 300_000.0,
            overflow_hour: 20_000.0,
            working_second: 100.0,
            foresight: 1.0,
            noise: 0.03,
            silent_after: 2.0,
            unknown_every: 7.0,
        }
    }
}
