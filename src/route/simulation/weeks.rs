//! What comes into each bin, hour by hour, and what its sensor says.

use super::chance::Chance;
use super::town::Town;

/// Hours between two readings of a sensor.
pub(super) const READ_EVERY: usize = 4;
/// How much more or less comes on each weekday, from Monday on. Saturdays are high and Sundays
/// low, as in Frankfurt.
const WEEK: [f64; 7] = [0.95, 0.9, 0.9, 0.95, 1.15, 1.45, 0.7];
/// The standard deviation of a reading.
const NOISE: f64 = 0.03;
/// How many readings are lost on the air: 17 % in the median of a year in Frankfurt,
const LOST: f64 = 0.17;
/// and half of them at one bin in eight.
const LOST_OFTEN: f64 = 0.5;
/// On how many days something unusual comes: a party, a move.
const BURSTS: f64 = 0.01;

/// Weeks of a town. Every policy meets the same.
#[derive(Debug, Clone)]
pub struct Weeks {
    pub(super) days: usize,
    /// The weekday of the first day, counted from Monday as 0.
    pub(super) weekday: usize,
    /// The share that comes in each hour, bin by bin.
    pub(super) comes: Vec<f32>,
    /// What is wrong with each reading, bin by bin; none if it was lost.
    pub(super) errors: Vec<Option<f32>>,
    /// How full each bin is at the beginning.
    pub(super) first: Vec<f64>,
}

impl Weeks {
    /// So many days, the first of them a Monday, by chance.
    #[must_use]
    pub fn new(town: &Town, days: usize, seed: u64) -> Self {
        let mut comes = Vec::new();
        let mut errors = Vec::new();
        let mut first = Vec::new();
        for (number, container) in town.containers.iter().enumerate() {
            let mut chance = Chance::new(seed, 1_000 + number as u64);
            first.push(chance.between(0.0, 0.8));
            let lost = if chance.unit() < 0.125 { LOST_OFTEN } else { LOST };
            for day in 0..days {
                let burst = (chance.unit() < BURSTS)
                    .then(|| (chance.between(9.0, 20.0) as usize, chance.between(0.15, 0.5)));
                for hour in 0..24 {
                    let mean = container.rate * WEEK[day % 7] * by_day(hour);
                    let mut share = container.lump * chance.gamma(mean / container.lump);
                    if let Some((when, more)) = burst
                        && when == hour
                    {
                        share += more;
                    }
                    comes.push(share as f32);
                }
            }
            errors.extend((0..days * 24 / READ_EVERY).map(|_| {
                let heard = chance.unit() >= lost;
                let error = chance.normal() * NOISE;
                heard.then_some(error as f32)
            }));
        }
        Self { days, weekday: 0, comes, errors, first }
    }

    /// How many days there are.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days
    }

    /// The share of a bin that comes in an hour, counted from the beginning.
    #[must_use]
    pub fn comes(&self, bin: usize, hour: usize) -> f64 {
        f64::from(self.comes[bin * self.days * 24 + hour])
    }

    /// What the sensor of a bin says at the beginning of an hour, if it says something then and
    /// is heard. It sees nothing above the rim.
    #[must_use]
    pub fn reading(&self, bin: usize, hour: usize, level: f64) -> Option<f64> {
        if !hour.is_multiple_of(READ_EVERY) {
            return None;
        }
        let error = self.errors[(bin * self.days * 24 + hour) / READ_EVERY]?;
        Some((level.min(1.0) + f64::from(error)).clamp(0.0, 1.0))
    }
}

/// What part of a day comes in an hour: nothing at night, evenly from seven to ten in the evening.
fn by_day(hour: usize) -> f64 {
    if (7..22).contains(&hour) { 1.0 / 15.0 } else { 0.0 }
}
