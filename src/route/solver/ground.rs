//! The matrix as the solver reads it: rows in the order of its nodes, and what each way costs.

use super::super::matrix::{Matrix, NO_WAY};
use super::super::plan::Visit;
use super::super::problem::Problem;
use super::model::{DEAREST, NONE};
use std::sync::Arc;

/// Costs of one kind of vehicle: `to[a * width + b]` and `from[b * width + a]` both say what it
/// costs to go from `a` to `b`, so that either end can be the row that stays in the cache.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    pub(super) to: Arc<[u32]>,
    pub(super) from: Arc<[u32]>,
}

/// The matrix in which the places of the stops follow one another in the order of the stops.
pub(super) struct Places {
    pub(super) matrix: Matrix,
    /// The place of the first stop.
    pub(super) base: usize,
    /// The row in `matrix` of each place of the problem that is not a stop's.
    moved: Vec<u32>,
}

impl Places {
    pub(super) fn new(problem: &Problem, numbers: &[usize]) -> Self {
        let base = problem.stops.first().map_or(0, |stop| stop.place);
        let size = problem.matrix.size();
        let ordered = numbers.len() == problem.stops.len()
            && problem.stops.iter().enumerate().all(|(i, stop)| stop.place == base + i);
        if ordered {
            return Self {
                matrix: problem.matrix.clone(),
                base,
                moved: (0..size as u32).collect(),
            };
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
        let copy = |whole: &Arc<[u32]>| -> Arc<[u32]> {
            let entries =
                rows.iter().flat_map(|from| rows.iter().map(move |to| whole[from * size + to]));
            entries.collect()
        };
        let distance = copy(problem.matrix.distances());
        let same = Arc::ptr_eq(problem.matrix.distances(), problem.matrix.times());
        let matrix = if same {
            Matrix::of_distances(rows.len(), distance)
        } else {
            Matrix::new(rows.len(), distance, copy(problem.matrix.times()))
        };
        Self { matrix, base, moved }
    }

    /// Where a place that is not a stop's is now.
    pub(super) fn moved(&self, place: usize) -> u32 {
        self.moved[place]
    }
}

impl Costs {
    pub(super) fn new(matrix: &Matrix, (distance, time): (u32, u32)) -> Self {
        let both = || matrix.distances().iter().zip(matrix.times().iter());
        let no_way = |(way, duration): (&u32, &u32)| *way >= NO_WAY || *duration >= NO_WAY;
        let shared =
            (distance, time) == (1, 0) && both().all(|entry| no_way(entry) == (*entry.0 >= NO_WAY));
        let to: Arc<[u32]> = if shared {
            Arc::clone(matrix.distances())
        } else {
            let cost = |(way, duration): (&u32, &u32)| {
                let cost =
                    way.saturating_mul(distance).saturating_add(duration.saturating_mul(time));
                if no_way((way, duration)) { NO_WAY } else { cost.min(DEAREST) }
            };
            both().map(cost).collect()
        };
        let width = matrix.size();
        let symmetric = (0..width)
            .all(|row| (0..row).all(|column| to[row * width + column] == to[column * width + row]));
        let from = if symmetric {
            Arc::clone(&to)
        } else {
            (0..width * width).map(|entry| to[entry % width * width + entry / width]).collect()
        };
        Self { to, from }
    }
}
