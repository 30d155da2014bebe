//! Simulated annealing: which changes stay.

use super::model::{Kind, MUST, Model, NONE};
use super::recreate::recreate;
use super::rng::Rng;
use super::ruin::ruin;
use super::tails::exchange;
use super::tour::{Snapshot, Tour};

/// The temperatures at the beginning and at the end, in units of a plan's mean way. Measured on
/// instances of the families that are in tests/tours/data; within a factor of two of them the
/// differences drown in those between seeds.
const HOT: f64 = 0.5;
const COLD: f64 = 0.02;
/// Where windows leave routes long, two good plans have little in common, and it takes more to
/// come from one to the other.
const LONG: f64 = 13.0;
const HOT_IF_LONG: f64 = 1.0;
const COLD_IF_LONG: f64 = 0.04;
/// So many moves for each pair of stops make one search; with more, long routes are searched
/// several times, since there a second search finds what a longer one does not.
const ENOUGH: u64 = 6;
const MOST_SEARCHES: u64 = 3;
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
    long: bool,
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
        let served = model.stops - tour.unserved.len();
        let long = served as f64 >= LONG * tour.used.max(1) as f64;
        let (hot, cold) = if long && model.kind == Kind::Times {
            (HOT_IF_LONG, COLD_IF_LONG)
        } else {
            (HOT, COLD)
        };
        let hot = mean * if warm { WARM } else { hot };
        Self { tour, best, rng, torn, long: long && !warm, hot, cold: mean * cold }
    }

    /// The cost of the best plan so far.
    pub(super) fn cost(&self) -> i64 {
        self.best.total
    }

    /// In how many searches so many moves are made.
    pub(super) fn searches(&self, moves: u64) -> u64 {
        let stops = self.tour.model.stops.max(1) as u64;
        let enough = ENOUGH * stops * stops;
        if self.long { (moves / enough).clamp(1, MOST_SEARCHES) } else { 1 }
    }

    /// Makes the moves of this range, of all that are made; returns the number of the last, which
    /// is less than asked for if `go_on` said no, to which that number and the least cost are told.
    pub(super) fn run(
        &mut self,
        moves: std::ops::Range<u64>,
        go_on: &mut dyn FnMut(u64, i64) -> bool,
    ) -> u64 {
        let mut done = moves.start;
        while done < moves.end && go_on(done, self.best.total) {
            let part = (done - moves.start) as f64 / (moves.end - moves.start) as f64;
            let round = ROUND.min(moves.end - done);
            self.advance(part, round);
            done += round;
        }
        done
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
