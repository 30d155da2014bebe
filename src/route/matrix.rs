//! Distances and travel times between all places of a problem.

use std::sync::Arc;

/// What stands in a matrix where there is no way. Large enough that no plan goes there by
/// mistake, small enough that a route's sums stay in range.
pub const NO_WAY: u32 = 200_000_000;

/// Distance and travel time from each place to each other, both row by row: the row is where one
/// comes from.
///
/// Distances are in metres and times in seconds, unless a benchmark's file counts otherwise (the
/// tenths of Solomon's instances). Neither may exceed [`NO_WAY`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    size: usize,
    distance: Arc<[u32]>,
    time: Arc<[u32]>,
}

impl Matrix {
    /// A matrix of `size × size` distances and times.
    ///
    /// # Panics
    ///
    /// If either has not `size × size` entries.
    #[must_use]
    pub fn new(size: usize, distance: impl Into<Arc<[u32]>>, time: impl Into<Arc<[u32]>>) -> Self {
        let (distance, time) = (distance.into(), time.into());
        assert_eq!(distance.len(), size * size, "a distance for each pair");
        assert_eq!(time.len(), size * size, "a time for each pair");
        Self { size, distance, time }
    }

    /// A matrix whose times are its distances, which it keeps once: the convention of the
    /// academic instances.
    ///
    /// # Panics
    ///
    /// If there are not `size × size` entries.
    #[must_use]
    pub fn of_distances(size: usize, distance: impl Into<Arc<[u32]>>) -> Self {
        let distance = distance.into();
        let time = Arc::clone(&distance);
        Self::new(size, distance, time)
    }

    /// How many places there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The distance from one place to another.
    #[must_use]
    pub fn distance(&self, from: usize, to: usize) -> u32 {
        self.distance[from * self.size + to]
    }

    /// The travel time from one place to another.
    #[must_use]
    pub fn time(&self, from: usize, to: usize) -> u32 {
        self.time[from * self.size + to]
    }

    /// All distances, row by row.
    #[must_use]
    pub fn distances(&self) -> &Arc<[u32]> {
        &self.distance
    }

    /// All times, row by row.
    #[must_use]
    pub fn times(&self) -> &Arc<[u32]> {
        &self.time
    }
}
