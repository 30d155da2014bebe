//! What some weeks under a policy come to.

/// Sums over the days that count.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// The days.
    pub days: usize,
    /// The bins.
    pub bins: usize,
    /// Metres that were driven.
    pub metres: u64,
    /// Seconds of driving.
    pub driving: u64,
    /// Seconds of driving, work and waiting.
    pub seconds: u64,
    /// Bins that were emptied.
    pub stops: u64,
    /// Days on which somebody drove.
    pub touring_days: u64,
    /// Tours: vehicles that left.
    pub tours: u64,
    /// Hours in which a bin was overfull, summed over all bins.
    pub overflow_hours: u64,
    /// The sum of how full bins were when they were emptied.
    pub filled: f64,
    /// How many of those were less than half full.
    pub below_half: u64,
    /// How many bins that had to be visited were not, for want of room or time.
    pub missed: u64,
}

impl Score {
    /// Kilometres.
    #[must_use]
    pub fn km(&self) -> f64 {
        self.metres as f64 / 1000.0
    }

    /// The mean level at emptying.
    #[must_use]
    pub fn fill(&self) -> f64 {
        self.filled / self.stops.max(1) as f64
    }

    /// The share of all bins and hours in which nothing lay beside a bin.
    #[must_use]
    pub fn service(&self) -> f64 {
        1.0 - self.overflow_hours as f64 / (self.days * self.bins * 24).max(1) as f64
    }
}
