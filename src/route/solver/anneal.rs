//! Simulated annealing: which changes stay.

use super::model::{MUST, Model, NONE};
use super::recreate::recreate;
use super::rng::Rng;
use super::ruin::ruin;
use super::tails::exchange;
use super::tour::{Snapshot, Tour};

/// The temperatures at the beginning and at the end, in units of a plan's mean way.
const HOT: f64 = 0.5;
const COLD: f64 = 0.015;
/// The temperature at the beginning if there is a plan to begin with: it may be mended, but not
/// be thrown over.
const WARM: f64 = 0.1;
/// How many of a thousand moves exchange tails.
const EXCHANGES: usize = 150;
/// How often the temperature is set and the caller asked, in moves.
pub(super) const ROUND: u64 = 64;

/// A search under way.
#[derive(Debug)]
pub(super) struct Annealing<'m> {
    tour: Tour<'m>,
    best: Snapshot,
    rng: Rng,
    torn: Vec<u32>,
    hot: f64,
    cold: f64,
}

impl<'m> Annealing<'m> {
    /// Begins with what `first` has done; whatever it leaves unserved is put where it costs least.
    pub(super) fn new(
        model: &'m Model,
        first: impl FnOnce(&mut Tour<'m>) -> bool,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let mut tour = Tour::new(model);
        let warm = first(&mut tour);
        // what has to be done takes its place first
        let prize = |stop: &u32| model.fixed[*stop as usize].prize;
        let (mut torn, mut rest): (Vec<_>, Vec<_>) =
            tour.unserved.iter().partition(|stop| prize(stop) == MUST);
        tour.begin();
        recreate(&mut tour, i64::MAX, &mut rng, &mut torn);
        recreate(&mut tour, i64::MAX, &mut rng, &mut rest);
        torn.append(&mut rest);
        tour.unserved.clone_from(&torn);
        let routes = (0..model.routes as u32).map(|route| model.end(route));
        let (mut ways, mut cost) = (0, 0);
        for end in routes {
            let mut node = end;
            while node != NONE {
                let here = &tour.nodes[node as usize];
                ways += i64::from(here.cost > 0);
                cost += i64::from(here.cost);
                node = here.prev;
            }
        }
        let mean = (cost as f64 / ways.max(1) as f64).max(1.0);
        let best = tour.snapshot();
        let hot = mean * if warm { WARM } else { HOT };
        Self { tour, best, rng, torn, hot, cold: mean * COLD }
    }

    /// The cost of the best plan so far.
    pub(super) fn cost(&self) -> i64 {
        self.best.total
    }

    /// Makes so many moves at the temperature of a search that is done to this part.
    pub(super) fn advance(&mut self, part: f64, moves: u64) {
        if self.tour.model.stops == 0 || self.tour.model.routes == 0 {
            return;
        }
        let temperature = self.hot * (self.cold / self.hot).powf(part);
        for _ in 0..moves {
            // whether a plan is accepted depends on the draw and its cost alone, so the draw can
            // come first, and a move be given up as soon as it costs more
            let worse = -temperature * (1.0 - self.rng.unit()).ln();
            let limit = self.tour.total + worse as i64 + 1;
            if self.change(limit) && self.tour.total < self.best.total {
                self.tour.save(&mut self.best);
            }
        }
    }

    /// One move; true if it stays.
    fn change(&mut self, limit: i64) -> bool {
        let tour = &mut self.tour;
        tour.begin();
        if self.rng.below(1000) < EXCHANGES {
            let stays = exchange(tour, limit, &mut self.rng) && tour.is_connected();
            if !stays {
                tour.undo();
            }
            return stays;
        }
        self.torn.clear();
        if !ruin(tour, &mut self.rng, &mut self.torn)
            || !recreate(tour, limit, &mut self.rng, &mut self.torn)
            || !tour.is_connected()
        {
            tour.undo();
            return false;
        }
        if !(self.torn.is_empty() && tour.unserved.is_empty()) {
            self.torn.append(&mut tour.unserved);
            self.torn.sort_unstable();
            self.torn.dedup();
            self.torn.retain(|stop| tour.nodes[*stop as usize].route == NONE);
            std::mem::swap(&mut self.torn, &mut tour.unserved);
        }
        true
    }

    /// The routes of the best plan.
    pub(super) fn finish(mut self) -> Tour<'m> {
        self.tour.restore(&self.best);
        self.tour
    }
}
