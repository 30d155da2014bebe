//! The matrix as the solver reads it: rows in the order of its nodes, and what each way costs.

use super::super::matrix::{Matrix, NO_WAY};
use super::super::plan::Visit;
use super::super::problem::Problem;
use super::model::{DEAREST, NONE};
use std::sync::Arc;

/// Costs of one kind of vehicle.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    /// `to[a * width + b]` is what it costs to go from `a` to `b`.
    pub(super) to: Arc<[u32]>,
    /// The same by columns, `from[b * width + a]`, so that either end can be the row that stays
    /// in the cache. With several kinds that would take too much memory.
    from: Option<Arc<[u32]>>,
}

/// What it costs to come to one place, from each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'c> {
    table: &'c [u32],
    step: usize,
}

impl Column<'_> {
    #[inline]
    pub(super) fn from(&self, place: usize) -> u32 {
        self.table[place * self.step]
    }
}

impl Costs {
    /// What it costs to come to `place`.
    #[inline]
    pub(super) fn towards(&self, width: usize, place: usize) -> Column<'_> {
        match &self.from {
            Some(from) => Column { table: &from[place * width..][..width], step: 1 },
            None => Column { table: &self.to[place..], step: width },
        }
    }
}

/// The matrix in which the places of the stops follow one another in the order of the stops.
pub(super) struct Places<'p> {
    matrix: &'p Matrix,
    /// How many places there are.
    pub(super) width: usize,
    /// The place of the first stop.
    pub(super) base: usize,
    /// The problem's place for each row, unless they are the same.
    rows: Option<Vec<usize>>,
    /// The row of each place of the problem that is not a stop's.
    moved: Vec<u32>,
    /// How long each way takes.
    pub(super) time: Arc<[u32]>,
}

impl<'p> Places<'p> {
    pub(super) fn new(problem: &'p Problem, numbers: &[usize]) -> Self {
        let matrix = &problem.matrix;
        let size = matrix.size();
        let base = problem.stops.first().map_or(0, |stop| stop.place);
        let ordered = numbers.len() == problem.stops.len()
            && problem.stops.iter().enumerate().all(|(i, stop)| stop.place == base + i);
        if ordered {
            let time = Arc::clone(matrix.times());
            let moved = (0..size as u32).collect();
            return Self { matrix, width: size, base, rows: None, moved, time };
        }
        let mut rows = Vec::new();
        let mut moved = vec![NONE; size];
        let frozen = |visit: &Visit| match *visit {
            Visit::Stop(stop) => Some(problem.stops[stop].place),
            Visit::Site(site) => Some(problem.sites[site].place),
            Visit::Pause => None,
        };
        for vehicle in &problem.vehicles {
            rows.extend([vehicle.start, vehicle.end]);
            rows.extend(vehicle.frozen.iter().filter_map(frozen));
        }
        rows.extend(problem.sites.iter().map(|site| site.place));
        rows.sort_unstable();
        rows.dedup();
        for (row, place) in rows.iter().enumerate() {
            moved[*place] = row as u32;
        }
        let base = rows.len();
        rows.extend(numbers.iter().map(|number| problem.stops[*number].place));
        let width = rows.len();
        let time = table(width, |from, to| matrix.time(rows[from], rows[to]));
        Self { matrix, width, base, rows: Some(rows), moved, time }
    }

    /// Where a place that is not a stop's is now.
    pub(super) fn moved(&self, place: usize) -> u32 {
        self.moved[place]
    }

    /// What each way costs at these rates of distance and time; `alone` says whether there are no
    /// others.
    pub(super) fn costs(&self, (distance, time): (u32, u32), alone: bool) -> Costs {
        let (width, matrix) = (self.width, self.matrix);
        let cost = |from: usize, to: usize| {
            let (from, to) = self.rows.as_ref().map_or((from, to), |rows| (rows[from], rows[to]));
            let (way, duration) = (matrix.distance(from, to), matrix.time(from, to));
            if way >= NO_WAY || duration >= NO_WAY {
                return NO_WAY;
            }
            let cost = way.saturating_mul(distance).saturating_add(duration.saturating_mul(time));
            cost.min(DEAREST)
        };
        let each = |is: &dyn Fn(usize, usize) -> bool| {
            (0..width).all(|row| (0..width).all(|column| is(row, column)))
        };
        // if distance alone costs, there may be a table that says it
        let same = Arc::ptr_eq(matrix.distances(), matrix.times());
        let known = if same { &self.time } else { matrix.distances() };
        let is_known = (distance, time) == (1, 0)
            && (same || self.rows.is_none())
            && each(&|from, to| known[from * width + to] == cost(from, to));
        let to = if is_known { Arc::clone(known) } else { table(width, cost) };
        let from = if each(&|row, column| to[row * width + column] == to[column * width + row]) {
            Some(Arc::clone(&to))
        } else {
            alone.then(|| table(width, |row, column| to[column * width + row]))
        };
        Costs { to, from }
    }
}

/// A table of `width × width` entries.
fn table(width: usize, entry: impl Fn(usize, usize) -> u32) -> Arc<[u32]> {
    let mut table: Arc<[u32]> = std::iter::repeat_n(0, width * width).collect();
    let rows = Arc::get_mut(&mut table).expect("it is nobody else's yet");
    for (row, entries) in rows.chunks_exact_mut(width.max(1)).enumerate() {
        for (column, place) in entries.iter_mut().enumerate() {
            *place = entry(row, column);
        }
    }
    table
}
