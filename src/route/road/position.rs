//! Where something is, and how far that is from elsewhere.

use crate::units::Metres;

/// The earth's mean radius R1 after the IUGG, in metres.
const RADIUS: f64 = 6_371_008.8;

/// Steps of a [`Position`] in a degree.
const STEPS: f64 = 1e7;

/// A place on the earth (WGS 84), to 1e-7 degrees: about a centimetre, and what OpenStreetMap
/// keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    lat: i32,
    lon: i32,
}

impl Position {
    /// The place at this latitude and longitude in degrees; none outside of ±90 and ±180.
    #[must_use]
    pub fn from_degrees(lat: f64, lon: f64) -> Option<Self> {
        let within = lat.abs() <= 90.0 && lon.abs() <= 180.0;
        // the range is checked, and NaN is in no range
        within
            .then(|| Self { lat: (lat * STEPS).round() as i32, lon: (lon * STEPS).round() as i32 })
    }

    /// The place at this latitude and longitude in 1e-7 degrees; none outside of ±90 and ±180
    /// degrees.
    #[must_use]
    pub fn from_steps(lat: i64, lon: i64) -> Option<Self> {
        let within = |steps: i64, most: i64| {
            i32::try_from(steps).ok().filter(|steps| i64::from(*steps).abs() <= most)
        };
        Some(Self { lat: within(lat, 900_000_000)?, lon: within(lon, 1_800_000_000)? })
    }

    /// Latitude in degrees.
    #[must_use]
    pub fn lat(self) -> f64 {
        f64::from(self.lat) / STEPS
    }

    /// Longitude in degrees.
    #[must_use]
    pub fn lon(self) -> f64 {
        f64::from(self.lon) / STEPS
    }

    /// Latitude and longitude in 1e-7 degrees.
    #[must_use]
    pub fn steps(self) -> (i32, i32) {
        (self.lat, self.lon)
    }

    /// The distance as the crow flies: haversine on a sphere, within 0.6 % of the ellipsoid.
    #[must_use]
    pub fn distance(self, other: Self) -> Metres {
        let (a, b) = (self.lat().to_radians(), other.lat().to_radians());
        let half_lat = (b - a) / 2.0;
        let half_lon = (other.lon() - self.lon()).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + a.cos() * b.cos() * half_lon.sin().powi(2);
        Metres(2.0 * RADIUS * h.min(1.0).sqrt().asin())
    }
}

/// A rectangle of latitudes and longitudes, its edges included. None crosses the date line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Its south-western corner.
    pub least: Position,
    /// Its north-eastern corner.
    pub greatest: Position,
}

impl Area {
    /// The smallest area with all of these places; none without any.
    #[must_use]
    pub fn around(places: impl IntoIterator<Item = Position>) -> Option<Self> {
        let areas = places.into_iter().map(|place| Self { least: place, greatest: place });
        areas.reduce(Self::with)
    }

    /// The smallest area with both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let (a, b, c, d) = (self.least, other.least, self.greatest, other.greatest);
        Self {
            least: Position { lat: a.lat.min(b.lat), lon: a.lon.min(b.lon) },
            greatest: Position { lat: c.lat.max(d.lat), lon: c.lon.max(d.lon) },
        }
    }

    /// Whether they have a place in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.least.lat <= other.greatest.lat
            && other.least.lat <= self.greatest.lat
            && self.least.lon <= other.greatest.lon
            && other.least.lon <= self.greatest.lon
    }
}

/// A flat map around one place, in metres: good to a few millimetres over some hundred metres.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    centre: Position,
    /// Metres for each step of latitude and of longitude.
    scale: (f64, f64),
}

impl Map {
    pub(super) fn around(centre: Position) -> Self {
        let step = (1.0 / STEPS).to_radians() * RADIUS;
        Self { centre, scale: (step, step * centre.lat().to_radians().cos()) }
    }

    /// Metres to the north and to the east of the centre.
    pub(super) fn offset(&self, place: Position) -> (f64, f64) {
        // as f64, since the difference of two longitudes is no i32
        let north = f64::from(place.lat) - f64::from(self.centre.lat);
        let east = f64::from(place.lon) - f64::from(self.centre.lon);
        (north * self.scale.0, east * self.scale.1)
    }

    /// The least distance in metres from the centre to an area.
    pub(super) fn distance(&self, area: Area) -> f64 {
        let (south, west) = self.offset(area.least);
        let (north, east) = self.offset(area.greatest);
        let outside = |least: f64, greatest: f64| least.max(-greatest).max(0.0);
        outside(south, north).hypot(outside(west, east))
    }
}

/// The place this share of the way from one to another.
pub(super) fn between(from: Position, to: Position, share: f64) -> Position {
    let mix = |a: i32, b: i32| {
        let (a, b) = (f64::from(a), f64::from(b));
        // between two i32
        (a + (b - a) * share).round() as i32
    };
    Position { lat: mix(from.lat, to.lat), lon: mix(from.lon, to.lon) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_of_latitude_is_111_km() {
        let a = Position::from_degrees(59.0, 10.0).expect("on the earth");
        let b = Position::from_degrees(60.0, 10.0).expect("on the earth");
        assert!((a.distance(b).0 - 111_195.0).abs() < 1.0);
        let c = Position::from_degrees(59.0, 11.0).expect("on the earth");
        assert!((a.distance(c).0 - 57_268.0).abs() < 5.0);
    }

    #[test]
    fn no_place_is_off_the_earth() {
        for (lat, lon) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::from_degrees(lat, lon), None);
        }
        assert_eq!(Position::from_steps(i64::MIN, 0), None);
        assert_eq!(Position::from_steps(900_000_001, 0), None);
        assert!(Position::from_steps(-900_000_000, 1_800_000_000).is_some());
    }
}
