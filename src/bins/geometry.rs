//! Where a sensor hangs in a bin, and what its distances mean there.

use super::input::{Echo, Input};
use crate::units::{Degrees, Metres, Ratio};

/// An echo from farther away than the floor, by this part of the depth and so many metres, is
/// none of this bin: its lid is open, the sensor hangs elsewhere, or the settings are wrong.
const BEYOND: (f64, f64) = (1.1, 0.1);

/// A bin is not less high than this: a division has to end well.
const LEAST_HEIGHT: f64 = 0.01;

/// Where the sensor hangs, and the shape of the bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// From the sensor to the floor, straight down.
    pub depth: Metres,
    /// From the sensor to the surface when the bin is full, straight down.
    pub dead_zone: Metres,
    /// How far the sensor looks away from straight down. What it measures is so much longer.
    pub angle: Degrees,
    /// Parts of the volume, from 0 to 1, at heights that part the bin evenly; without any it has
    /// straight walls. `[0.0, 0.25, 1.0]` is a cone that is half as high where a quarter is in it.
    pub volumes: Vec<f64>,
}

impl Geometry {
    /// A bin with straight walls and a sensor that looks straight down.
    #[must_use]
    pub fn straight(depth: Metres, dead_zone: Metres) -> Self {
        Self { depth, dead_zone, angle: Degrees(0.0), volumes: Vec::new() }
    }

    /// From full to empty.
    #[must_use]
    pub fn height(&self) -> f64 {
        (self.depth.0 - self.dead_zone.0).max(LEAST_HEIGHT)
    }

    /// Straight down, what is so far away along the sensor's view.
    #[must_use]
    pub fn down(&self, distance: Metres) -> Metres {
        Metres(distance.0 * self.angle.0.to_radians().cos())
    }

    /// What part of the height is filled when the surface is so far below the sensor: clamped to
    /// 0 … 1, for a surface cannot be lower than the floor.
    #[must_use]
    pub fn part(&self, down: Metres) -> f64 {
        ((self.depth.0 - down.0) / self.height()).clamp(0.0, 1.0)
    }

    /// What part of the volume is filled when the surface is so far below the sensor.
    #[must_use]
    pub fn fill(&self, down: Metres) -> Ratio {
        let part = self.part(down);
        let Some(last) = self.volumes.len().checked_sub(1).filter(|last| *last > 0) else {
            return Ratio(part);
        };
        let at = part * last as f64;
        let low = (at.floor() as usize).min(last - 1);
        let [from, to] = [self.volumes[low], self.volumes[low + 1]];
        Ratio((from + (to - from) * (at - low as f64)).clamp(0.0, 1.0))
    }

    /// What part of the height is filled when this part of the volume is.
    #[must_use]
    pub fn part_at(&self, fill: Ratio) -> f64 {
        let steps = self.volumes.len().saturating_sub(1);
        let pairs = self.volumes.windows(2).enumerate();
        let found =
            pairs.filter(|(_, pair)| pair[1] >= fill.0 && pair[1] > pair[0]).map(|(low, pair)| {
                (low as f64 + ((fill.0 - pair[0]) / (pair[1] - pair[0])).max(0.0)) / steps as f64
            });
        if steps == 0 { fill.0 } else { found.fold(f64::NAN, f64::min).min(1.0) }
    }

    /// How far below the sensor the surface is when this part of the height is filled.
    #[must_use]
    pub fn surface(&self, part: f64) -> Metres {
        Metres(self.depth.0 - part.clamp(0.0, 1.0) * self.height())
    }

    /// How far below the sensor an echo came from; none if it came from nothing in this bin.
    #[must_use]
    pub fn seen(&self, echo: Echo) -> Option<Metres> {
        let Echo::Distance(distance) = echo else { return None };
        Some(self.down(distance)).filter(|down| (0.0..=self.farthest()).contains(&down.0))
    }

    /// What part of the volume is filled by an uplink; none if it does not say. Missing and far
    /// echoes say nothing, least of all "empty".
    #[must_use]
    pub fn measured(&self, input: &Input) -> Option<Ratio> {
        let told = || Some(Ratio(input.told?.0.clamp(0.0, 1.0)));
        self.seen(input.echo).map(|down| self.fill(down)).or_else(told)
    }

    /// The farthest echo that can be of this bin.
    #[must_use]
    pub fn farthest(&self) -> f64 {
        let (part, metres) = BEYOND;
        self.depth.0 * part + metres
    }
}
