//! From coordinates to distances.

use super::super::matrix::NO_WAY;
use super::{FileError, MOST_PLACES};
use std::sync::Arc;

/// How an academic instance measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Straight lines, to the nearest whole unit: CVRPLIB.
    Nearest,
    /// Straight lines in tenths, cut off: the convention of the DIMACS challenge for instances
    /// with time windows.
    Tenths,
}

impl Measure {
    /// The straight line between two points.
    #[must_use]
    pub fn between(self, from: (f64, f64), to: (f64, f64)) -> f64 {
        let square = (from.0 - to.0).powi(2) + (from.1 - to.1).powi(2);
        match self {
            Self::Nearest => (square.sqrt() + 0.5).floor(),
            // the root of a hundred squares, not ten roots: of whole coordinates it is exact
            Self::Tenths => (100.0 * square).sqrt().floor(),
        }
    }

    /// A given distance, in the unit of the matrix.
    #[must_use]
    pub fn of(self, given: f64) -> f64 {
        match self {
            Self::Nearest => (given + 0.5).floor(),
            Self::Tenths => (given * 10.0).floor(),
        }
    }

    /// How many units a unit of the file is.
    #[must_use]
    pub fn scale(self) -> u32 {
        match self {
            Self::Nearest => 1,
            Self::Tenths => 10,
        }
    }
}

/// A distance (or a time) for each pair of places, row by row.
///
/// # Errors
/// When there are too many places, or one pair is too far apart; `name` says which that is.
pub fn pairs(
    size: usize,
    name: impl Fn(usize) -> String,
    between: impl Fn(usize, usize) -> f64,
) -> Result<Arc<[u32]>, FileError> {
    if size > MOST_PLACES {
        return Err(FileError::TooLarge { places: size });
    }
    let mut far = None;
    // straight into what the matrix keeps: a copy would double the memory of a large problem
    let all = (0..size * size).map(|pair| {
        let (from, to) = (pair / size, pair % size);
        let length = if from == to { 0.0 } else { between(from, to) };
        if !(0.0..f64::from(NO_WAY)).contains(&length) {
            far.get_or_insert((from, to));
            return NO_WAY;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to NO_WAY, and whole"
        )]
        let length = length as u32;
        length
    });
    let all = all.collect();
    match far {
        None => Ok(all),
        Some((from, to)) => Err(FileError::TooFar { from: name(from), to: name(to) }),
    }
}
