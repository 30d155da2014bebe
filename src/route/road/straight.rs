//! Without an extract: as the crow flies, and a bit more.

use super::position::Position;
use super::profile::Means;
use crate::route::matrix::{Matrix, NO_WAY};

/// Roads are so much longer than the straight line. In our measurements on Oslo and
/// Liechtenstein the factor that fits best lies between 1.36 and 1.70.
const DETOUR: f64 = 1.4;

/// A matrix that was guessed, not measured. Tours that are planned on it drive 8 to 44 % farther
/// than tours planned on roads, and tell a third to a half too few kilometres: a plan made of it
/// has to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimated(pub Matrix);

/// The matrix of these places by straight lines, 1.4 times as long as they are.
///
/// The speeds are assumptions for towns: 25 km/h for trucks, 30 km/h for vans and cars (from the
/// usual speeds of residential to tertiary roads), and 5 km/h on foot.
#[must_use]
pub fn straight(places: &[Position], means: Means) -> Estimated {
    let metres_per_second = match means {
        Means::Truck => 25.0,
        Means::Van | Means::Car => 30.0,
        Means::Foot => 5.0,
    } / 3.6;
    let ways = || {
        let pairs =
            places.iter().flat_map(|from| places.iter().map(move |to| from.distance(*to).0));
        pairs.map(|metres| metres * DETOUR)
    };
    // no two places on the earth are farther apart than NO_WAY says, not even on foot
    let whole = |value: f64| (value.round() as u32).min(NO_WAY);
    let metres: Vec<u32> = ways().map(whole).collect();
    let seconds: Vec<u32> = ways().map(|way| whole(way / metres_per_second)).collect();
    Estimated(Matrix::new(places.len(), metres, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_longer_than_the_line() {
        let place = |lat, lon| Position::from_degrees(lat, lon).expect("on the earth");
        let places = [place(59.0, 10.0), place(59.01, 10.0)];
        let Estimated(matrix) = straight(&places, Means::Van);
        assert_eq!(matrix.distance(0, 1), 1_557);
        assert_eq!(matrix.time(0, 1), 187);
        assert_eq!((matrix.distance(1, 1), matrix.time(1, 1)), (0, 0));
    }
}
