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
    /// What is added to each distance that the sensor says: its zero is not where it hangs.
    pub offset: Metres,
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
        let (offset, angle) = (Metres(0.0), Degrees(0.0));
        Self { depth, dead_zone, offset, angle, volumes: Vec::new() }
    }

    /// From full to empty.
    #[must_use]
    pub fn height(&self) -> f64 {
        (self.depth.0 - self.dead_zone.0).max(LEAST_HEIGHT)
    }

    /// Straight down, what is so far away along the sensor's view.
    #[must_use]
    pub fn down(&self, distance: Metres) -> Metres {
        let along = distance.0 + self.offset.0;
        // what is nearer than the zero touches it; a negative distance is none
        let along = if distance.0 >= 0.0 { along.max(0.0) } else { distance.0 };
        Metres(along * self.angle.0.to_radians().cos())
    }

    /// Another number for each other geometry, as far as four bytes go (FNV-1a).
    #[must_use]
    pub fn mark(&self) -> u32 {
        let numbers = [self.depth.0, self.dead_zone.0, self.offset.0, self.angle.0];
        let bytes = numbers.iter().chain(&self.volumes).flat_map(|number| number.to_le_bytes());
        bytes.fold(0x811c_9dc5, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Measured, Quality, Quantity, Reading};
    use jiff::Timestamp;

    fn cone() -> Geometry {
        Geometry { volumes: vec![0.0, 0.25, 1.0], ..Geometry::straight(Metres(1.5), Metres(0.3)) }
    }

    fn level(geometry: &Geometry, readings: &[Reading]) -> Option<Ratio> {
        geometry.measured(&Input::of(readings, Timestamp::UNIX_EPOCH, true))
    }

    fn distance(measured: Option<f64>, quality: Quality) -> Reading {
        let measured = measured.map(|metres| Measured::Distance(Metres(metres)));
        Reading { name: "x".into(), quantity: Quantity::Distance, measured, quality }
    }

    fn told(fill: f64) -> Reading {
        let measured = Some(Measured::FillLevel(Ratio(fill)));
        let quantity = Quantity::FillLevel;
        Reading { name: "y".into(), quantity, measured, quality: Quality::Good }
    }

    #[test]
    fn a_distance_is_a_level_and_clamped_both_ways() {
        let straight = Geometry::straight(Metres(1.5), Metres(0.3));
        let set_off = Geometry { offset: Metres(-0.2), ..straight.clone() };
        let askew = Geometry { angle: Degrees(60.0), ..straight.clone() };
        for (geometry, metres, fill) in [
            (&straight, 1.5, Some(0.0)),
            (&straight, 1.2, Some(0.25)),
            (&straight, 0.9, Some(0.5)),
            (&straight, 0.6, Some(0.75)),
            (&straight, 0.3, Some(1.0)),
            (&straight, 0.1, Some(1.0)),
            (&straight, 0.0, Some(1.0)),
            (&straight, 1.7, Some(0.0)),
            (&straight, 1.8, None),
            (&straight, 9.0, None),
            (&straight, -0.1, None),
            (&straight, f64::NAN, None),
            (&set_off, 1.7, Some(0.0)),
            (&set_off, 1.1, Some(0.5)),
            (&set_off, 0.1, Some(1.0)),
            (&set_off, -0.1, None),
            (&askew, 3.0, Some(0.0)),
            (&askew, 1.8, Some(0.5)),
            (&askew, 0.6, Some(1.0)),
            (&cone(), 1.5, Some(0.0)),
            (&cone(), 1.2, Some(0.125)),
            (&cone(), 0.9, Some(0.25)),
            (&cone(), 0.6, Some(0.625)),
            (&cone(), 0.3, Some(1.0)),
        ] {
            let found = level(geometry, &[distance(Some(metres), Quality::Good)]);
            let near = match (found, fill) {
                (Some(found), Some(fill)) => (found.0 - fill).abs() < 1e-9,
                (None, None) => true,
                _ => false,
            };
            assert!(near, "{metres}: {found:?}, not {fill:?}");
        }
    }

    #[test]
    fn no_echo_is_never_empty() {
        let straight = Geometry::straight(Metres(1.5), Metres(0.3));
        let missing = distance(None, Quality::Missing);
        let absurd = distance(Some(2.54), Quality::Suspect);
        let beyond = distance(Some(1.8), Quality::Good);
        assert_eq!(level(&straight, &[missing.clone(), absurd]), None);
        assert_eq!(level(&straight, &[missing, told(0.4)]), Some(Ratio(0.4)));
        assert_eq!(level(&straight, &[beyond, told(0.4)]), Some(Ratio(0.4)));
        assert_eq!(level(&straight, &[told(1.4)]), Some(Ratio(1.0)));
    }

    #[test]
    fn a_part_of_the_volume_is_reached_at_its_height() {
        for (fill, part) in [(0.0, 0.0), (0.125, 0.25), (0.25, 0.5), (0.625, 0.75), (1.0, 1.0)] {
            assert!((cone().part_at(Ratio(fill)) - part).abs() < 1e-9, "{fill}");
        }
        assert_eq!(Geometry::straight(Metres(1.0), Metres(0.0)).part_at(Ratio(0.8)), 0.8);
    }
}
