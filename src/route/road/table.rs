//! Matrices: from every stop to every other.

use super::search::{NEVER, Search, Weight};
use super::{Roads, Snap};
use crate::route::matrix::{Matrix, NO_WAY};
use std::iter::repeat_n;
use std::sync::Arc;

/// Where each row of a fresh matrix comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Search,
    Old(usize),
}

/// Metres and seconds while they are gathered.
struct Draft<'m> {
    size: usize,
    metres: &'m mut [u32],
    seconds: &'m mut [u32],
}

impl Draft<'_> {
    fn set(&mut self, from: usize, to: usize, metres: u32, seconds: u32) {
        self.metres[from * self.size + to] = metres;
        self.seconds[from * self.size + to] = seconds;
    }
}

/// The states at which a stop's roads are met, and the keys of what is left from there; stop by
/// stop.
struct Meetings {
    first: Vec<usize>,
    all: Vec<(u32, u64)>,
}

impl Meetings {
    fn of<I: Iterator<Item = (u32, u32, u64)>>(
        points: &[Option<Snap>],
        weight: Weight,
        meet: impl Fn(Snap) -> I,
    ) -> Self {
        let (mut first, mut all) = (vec![0], Vec::new());
        for point in points {
            let met = point.iter().flat_map(|point| meet(*point));
            all.extend(met.map(|(state, _, cost)| (state, weight.key(cost))));
            first.push(all.len());
        }
        Self { first, all }
    }

    /// The least key of any way that a search has found to a stop.
    fn least(&self, search: &Search, stop: usize) -> u64 {
        let met = &self.all[self.first[stop]..self.first[stop + 1]];
        let keys = met.iter().map(|(state, rest)| {
            let key = search.keys[*state as usize];
            if key == NEVER { NEVER } else { key + rest }
        });
        keys.min().unwrap_or(NEVER)
    }
}

/// Metres and seconds, rounded.
fn rounded(key: u64, weight: Weight) -> (u32, u32) {
    if key == NEVER {
        return (NO_WAY, NO_WAY);
    }
    let cost = weight.key(key);
    let (milliseconds, centimetres) = (cost >> 32, cost & 0xffff_ffff);
    let part = |value: u64, unit: u64| ((value + unit / 2) / unit).min(u64::from(NO_WAY)) as u32;
    (part(centimetres, 100), part(milliseconds, 1_000))
}

impl Roads {
    /// The matrix of all stops: metres and seconds of the way that is best by `weight`. A stop
    /// that is on no road has [`NO_WAY`] to all others, and 0 to itself.
    #[must_use]
    pub fn matrix(&self, stops: &[Option<Snap>], weight: Weight) -> Matrix {
        self.table(stops, weight, &vec![Source::Search; stops.len()], None)
    }

    /// The matrix of stops of which a matrix is known already for the first ones, at two searches
    /// for each new stop.
    ///
    /// # Panics
    ///
    /// If there are fewer stops than the matrix has.
    #[must_use]
    pub fn extended(&self, matrix: &Matrix, stops: &[Option<Snap>], weight: Weight) -> Matrix {
        assert!(stops.len() >= matrix.size(), "stops are added, not removed");
        let kept: Vec<Option<usize>> =
            (0..stops.len()).map(|stop| (stop < matrix.size()).then_some(stop)).collect();
        self.revised(matrix, &kept, stops, weight)
    }

    /// The matrix of stops of which some are in a known matrix: `kept` says for each in which of
    /// its rows. The known one must be of the same roads and the same `weight`.
    ///
    /// # Panics
    ///
    /// If `kept` is not as long as `stops`, or names a row that the matrix does not have.
    #[must_use]
    pub fn revised(
        &self,
        matrix: &Matrix,
        kept: &[Option<usize>],
        stops: &[Option<Snap>],
        weight: Weight,
    ) -> Matrix {
        assert_eq!(kept.len(), stops.len(), "each stop is kept or new");
        let new = kept.iter().filter(|kept| kept.is_none()).count();
        if new * 2 >= stops.len() && new > 0 {
            return self.matrix(stops, weight);
        }
        let sources: Vec<Source> =
            kept.iter().map(|kept| kept.map_or(Source::Search, Source::Old)).collect();
        self.table(stops, weight, &sources, Some(matrix))
    }

    fn table(
        &self,
        stops: &[Option<Snap>],
        weight: Weight,
        sources: &[Source],
        old: Option<&Matrix>,
    ) -> Matrix {
        // made where they stay: a large matrix would else be copied
        let size = stops.len();
        let empty = || -> Arc<[u32]> { repeat_n(NO_WAY, size * size).collect() };
        let (mut metres, mut seconds) = (empty(), empty());
        let draft = Draft {
            size,
            metres: Arc::get_mut(&mut metres).expect("it is new"),
            seconds: Arc::get_mut(&mut seconds).expect("it is new"),
        };
        self.fill(draft, stops, weight, sources, old);
        Matrix::new(size, metres, seconds)
    }

    fn fill(
        &self,
        mut draft: Draft<'_>,
        stops: &[Option<Snap>],
        weight: Weight,
        sources: &[Source],
        old: Option<&Matrix>,
    ) {
        let mut search = Search::new(self.net.out.rows(), weight);
        let arrivals = Meetings::of(stops, weight, |stop| self.entries_of(stop));
        for (from, stop) in stops.iter().enumerate() {
            if let (Source::Old(row), Some(old)) = (sources[from], old) {
                for (to, source) in sources.iter().enumerate() {
                    if let Source::Old(column) = source {
                        draft.set(from, to, old.distance(row, *column), old.time(row, *column));
                    }
                }
                continue;
            }
            if let Some(stop) = stop {
                search.run(&self.net.out, self.exits(stop).map(|(state, _, cost)| (state, cost)));
            }
            for (to, other) in stops.iter().enumerate() {
                let key = self.key(*stop, *other, weight, || arrivals.least(&search, to));
                let (metres, seconds) = if from == to { (0, 0) } else { rounded(key, weight) };
                draft.set(from, to, metres, seconds);
            }
        }
        if old.is_none() {
            return;
        }
        // from the kept stops to the new ones, seen from the new ones
        let departures = Meetings::of(stops, weight, |stop| self.exits_of(stop));
        for (to, stop) in stops.iter().enumerate().filter(|(to, _)| sources[*to] == Source::Search)
        {
            if let Some(stop) = stop {
                search
                    .run(&self.net.back, self.entries(stop).map(|(state, _, cost)| (state, cost)));
            }
            for from in (0..stops.len()).filter(|from| sources[*from] != Source::Search) {
                let key = self.key(stops[from], *stop, weight, || departures.least(&search, from));
                let (metres, seconds) = rounded(key, weight);
                draft.set(from, to, metres, seconds);
            }
        }
    }

    /// The least of the way within a road and that over junctions.
    fn key(
        &self,
        from: Option<Snap>,
        to: Option<Snap>,
        weight: Weight,
        around: impl FnOnce() -> u64,
    ) -> u64 {
        let (Some(from), Some(to)) = (from, to) else { return NEVER };
        let direct = self.direct(&from, &to).map_or(NEVER, |(_, cost)| weight.key(cost));
        direct.min(around())
    }

    fn entries_of(&self, stop: Snap) -> std::vec::IntoIter<(u32, u32, u64)> {
        self.entries(&stop).collect::<Vec<_>>().into_iter()
    }

    fn exits_of(&self, stop: Snap) -> std::vec::IntoIter<(u32, u32, u64)> {
        self.exits(&stop).collect::<Vec<_>>().into_iter()
    }
}
