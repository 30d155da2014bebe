//! A town by chance: where its bins are, how large they are, how fast they fill.

use super::chance::Chance;
use crate::route::road::{Area, Position};

/// A town's bins, with a depot and an unloading site.
#[derive(Debug, Clone)]
pub struct Town {
    /// Where everything is: the depot, the unloading site, then the bins in their order.
    pub places: Vec<Position>,
    /// The bins.
    pub containers: Vec<Container>,
}

/// A bin as nature knows it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name.
    pub id: String,
    /// What it holds, in litres.
    pub volume: f64,
    /// What a litre weighs, in kilograms.
    pub density: f64,
    /// How long it takes to empty it, in seconds.
    pub service: u32,
    /// What share comes in a day, in the mean of a week.
    pub rate: f64,
    /// What share comes at once: the smaller, the more even it fills.
    pub lump: f64,
}

impl Container {
    /// What a container holds of which nobody says it: the middle one of a town's sizes.
    pub const USUAL_VOLUME: f64 = 1_100.0;

    /// A bin into which nothing comes by chance.
    #[must_use]
    pub fn new(id: String, volume: f64) -> Self {
        let service = 90 + (volume / 50.0) as u32;
        Self { id, volume, density: 0.1, service, rate: 0.0, lump: 0.0 }
    }
}

impl Town {
    /// The place of the depot.
    pub const DEPOT: usize = 0;
    /// The place of the unloading site.
    pub const SITE: usize = 1;
    /// The place of the first bin.
    pub const BINS: usize = 2;

    /// A town of so many bins: half of them in its middle, a third in five villages, the others
    /// anywhere. A bin is full after 3 to 30 days, after a week in the mean.
    ///
    /// How fast bins differ is taken from the 77 glass banks of Frankfurt, where one tour found
    /// some at 31 % and others at 100 %; the sizes are those of containers in Sweden.
    #[must_use]
    pub fn new(bins: usize, area: Area, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let villages: Vec<(f64, f64)> =
            (0..5).map(|_| (chance.between(0.1, 0.9), chance.between(0.1, 0.9))).collect();
        let mut places = vec![at(area, 0.34, 0.27), at(area, 0.9, 0.16)];
        let mut containers = Vec::new();
        for number in 0..bins {
            let (x, y) = match chance.unit() {
                kind if kind < 0.5 => (0.5 + 0.12 * chance.normal(), 0.5 + 0.12 * chance.normal()),
                kind if kind < 0.83 => {
                    let (x, y) = villages[(chance.unit() * villages.len() as f64) as usize];
                    (x + 0.03 * chance.normal(), y + 0.03 * chance.normal())
                }
                _ => (chance.unit(), chance.unit()),
            };
            places.push(at(area, x.clamp(0.02, 0.98), y.clamp(0.02, 0.98)));
            let volume = [660.0, Container::USUAL_VOLUME, 3_000.0][(chance.unit() * 3.0) as usize];
            containers.push(Container {
                rate: (0.12 * chance.gamma(2.5) / 2.5).clamp(0.02, 0.2),
                lump: chance.between(0.02, 0.06),
                ..Container::new(format!("bin-{:03}", number + 1), volume)
            });
        }
        Self { places, containers }
    }

    /// Without the bins for which `keep` says no.
    #[must_use]
    pub fn with(mut self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let kept: Vec<bool> = (0..self.containers.len()).map(&mut keep).collect();
        let mut each = kept.iter();
        self.containers.retain(|_| *each.next().unwrap_or(&true));
        let mut each = [true; Self::BINS].iter().chain(&kept);
        self.places.retain(|_| *each.next().unwrap_or(&true));
        self
    }
}

/// A place of an area, by its shares of the way from west to east and from south to north.
fn at(area: Area, x: f64, y: f64) -> Position {
    let mix = |a: i32, b: i32, share: f64| {
        // between two i32
        i64::from(a) + ((f64::from(b) - f64::from(a)) * share).round() as i64
    };
    let ((south, west), (north, east)) = (area.least.steps(), area.greatest.steps());
    Position::from_steps(mix(south, north, y), mix(west, east, x)).unwrap_or(area.least)
}
