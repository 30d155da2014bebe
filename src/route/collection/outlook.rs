//! How full a bin will be.

use super::Bin;
use super::rules::{Horizon, Rules};

/// In how many steps the time of an overflow is summed up.
const STEPS: u32 = 12;

/// A bin's expected level at the tour and after it: a normal distribution whose mean grows with
/// the time and whose variance does so too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// The expected share at the tour. Unbounded: how long a bin has been full counts for its
    /// risk. Of the load no more counts than fits in and stands beside it.
    pub level: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// What is expected to come in a day from the tour on.
    pub rate: f64,
    /// The standard deviation of what comes in a day.
    pub spread: f64,
    /// Whether it stands on no measurement of late.
    pub estimated: bool,
}

impl Outlook {
    /// What can be said about a bin: from its last level or its last emptying, whichever is
    /// newer. None if there is neither, or if nobody knows how fast it fills and the level is old.
    #[must_use]
    pub fn new(bin: &Bin, when: Horizon, rules: &Rules) -> Option<Self> {
        let heard = bin.level.filter(|level| bin.emptied.is_none_or(|days| level.age <= days));
        let (share, age, noise) = match (heard, bin.emptied) {
            (Some(level), _) => (level.share, level.age.max(0.0), rules.noise),
            (None, Some(days)) => (0.0, days.max(0.0), 0.0),
            (None, None) => return None,
        };
        let silent = age > rules.silent_after;
        let estimated = silent || heard.is_none();
        let (before, rate, spread) = match bin.filling {
            Some(filling) => {
                (filling.before.max(0.0), filling.rate.max(0.0), filling.spread.max(0.0))
            }
            None if estimated => return None,
            None => (0.0, 0.0, 0.0),
        };
        let ahead = age + when.tour;
        Some(Self {
            level: share + before * ahead,
            deviation: (noise * noise + spread * spread * ahead).sqrt(),
            rate,
            spread,
            estimated,
        })
    }

    /// The probability that it is overfull so many days after the tour, if it is left out. Since
    /// no bin empties itself, this is also the probability that it overflows up to then.
    #[must_use]
    pub fn overflow(&self, days: f64) -> f64 {
        let mean = self.level + self.rate * days;
        let deviation = (self.deviation.powi(2) + self.spread.powi(2) * days).sqrt();
        normal((mean - 1.0) / deviation.max(1e-6))
    }

    /// For how many of so many days after the tour it is expected to be overfull.
    #[must_use]
    pub fn overflow_days(&self, days: f64) -> f64 {
        let step = days / f64::from(STEPS);
        let middles = (0..STEPS).map(|i| (f64::from(i) + 0.5) * step);
        middles.map(|day| self.overflow(day) * step).sum()
    }

    /// In how many days after the tour it is expected to be full; none if it does not fill.
    #[must_use]
    pub fn full_in(&self) -> Option<f64> {
        (self.rate > 0.0).then(|| ((1.0 - self.level) / self.rate).max(0.0))
    }
}

/// The distribution function of the normal distribution: Abramowitz and Stegun, 26.2.17, within
/// 7.5e-8.
fn normal(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (x, p) in [(0.0, 0.5), (1.0, 0.841_345), (-1.96, 0.024_998), (3.0, 0.998_650)] {
            assert!((normal(x) - p).abs() < 1e-6, "{x}: {}", normal(x));
        }
    }
}
