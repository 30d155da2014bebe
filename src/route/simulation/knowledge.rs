//! What is known about a bin: its readings, and when it was emptied.

use crate::route::collection::{Filling, Level};

/// The rate that is assumed before anything is known, for so many days.
const FIRST_RATE: f64 = 0.15;
const FIRST_DAYS: f64 = 4.0;
/// Spread squared that is assumed for as many days, for each unit of rate.
const FIRST_LUMP: f64 = 0.06;
/// Two readings have to be so far apart, in hours, to say something about the rate.
const APART: usize = 24;
/// A reading from here on says that it is full, but not how much came.
const RIM: f64 = 0.95;
/// What two readings differ by without anything in between, squared.
const NOISE: f64 = 2.0 * 0.03 * 0.03;

/// What is known about one bin. Times are hours.
#[derive(Debug, Clone, Default)]
pub(super) struct Knowledge {
    last: Option<(usize, f64)>,
    emptied: Option<usize>,
    /// From where on the rate is measured.
    anchor: Option<(usize, f64)>,
    risen: f64,
    days: f64,
    squares: f64,
}

impl Knowledge {
    /// A reading has come.
    pub(super) fn heard(&mut self, hour: usize, level: f64) {
        self.last = Some((hour, level));
        match self.anchor {
            _ if level >= RIM => self.anchor = None,
            None => self.anchor = Some((hour, level)),
            Some((then, before)) if hour >= then + APART => {
                let days = (hour - then) as f64 / 24.0;
                let risen = level - before;
                self.squares += ((risen - self.rate() * days).powi(2) - NOISE).max(0.0);
                self.risen += risen;
                self.days += days;
                self.anchor = Some((hour, level));
            }
            Some(_) => {}
        }
    }

    /// It was emptied.
    pub(super) fn empties(&mut self, hour: usize) {
        self.emptied = Some(hour);
        self.last = None;
        self.anchor = Some((hour, 0.0));
    }

    fn rate(&self) -> f64 {
        let rate = (self.risen + FIRST_RATE * FIRST_DAYS) / (self.days + FIRST_DAYS);
        rate.max(0.005)
    }

    /// How fast it fills.
    pub(super) fn filling(&self) -> Filling {
        let rate = self.rate();
        let squares = self.squares + FIRST_LUMP * rate * FIRST_DAYS;
        Filling { before: rate, rate, spread: (squares / (self.days + FIRST_DAYS)).sqrt() }
    }

    /// The last reading since it was emptied.
    pub(super) fn level(&self, now: usize) -> Option<Level> {
        let (hour, share) = self.last?;
        Some(Level { share, age: (now - hour) as f64 / 24.0 })
    }

    /// When it was emptied, in days.
    pub(super) fn emptied(&self, now: usize) -> Option<f64> {
        Some((now - self.emptied?) as f64 / 24.0)
    }
}
