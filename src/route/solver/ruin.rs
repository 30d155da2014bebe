//! Tearing strings of neighbouring stops out of neighbouring routes.
//!
//! Slack Induction by String Removals (Christiaens and Vanden Berghe, Transportation Science
//! 54(2), 2020): what is near one another on the map is removed together, a few strings of
//! limited length, so that there is slack in both space and capacity where it is put back.

use super::model::{Kind, NONE};
use super::rng::Rng;
use super::tour::Tour;

/// How many stops are removed on average.
const STOPS: f64 = 10.0;
/// The longest string.
const LONGEST: f64 = 10.0;
/// Where routes are long, strings are this part of one, up to [`LONGEST_EVER`], and some stops
/// more are removed. Found by measuring (Gehring and Homberger's r2_4_7 at 33 stops a route).
const PART: f64 = 0.45;
const LONGEST_EVER: f64 = 15.0;
/// The most strings that are torn out at once: with the shortest strings twice the average.
const MOST_STRINGS: usize = 24;
/// How often a string is split.
const SPLIT: f64 = 0.5;
/// A split string keeps one stop more with this probability, again and again.
const KEEP_MORE: f64 = 0.01;
/// Where routes may be given up, one in `1 << WHOLE` moves tears out a whole one.
const WHOLE: u32 = 6;
/// How many stops that nobody visits are tried again at once.
const RETRIED: usize = 8;

/// Tears strings out of `tour` and puts their stops into `torn`, with the unserved stops nearby.
/// Returns false if that leaves a route that cannot be driven.
pub(super) fn ruin(tour: &mut Tour<'_>, rng: &mut Rng, torn: &mut Vec<u32>) -> bool {
    let model = tour.model;
    let served = (model.stops - tour.unserved.len()) as f64;
    let usual = served / tour.used.max(1) as f64;
    let limit = (PART * usual).clamp(LONGEST, LONGEST_EVER);
    let stops = STOPS + 0.4 * (limit - LONGEST);
    let longest = limit.min(usual).max(1.0);
    let most = 4.0 * stops / (1.0 + longest) - 1.0;
    let strings = (rng.unit() * most + 1.0) as usize;
    let seed = rng.below(model.stops);
    if model.choices && rng.rarely(WHOLE) {
        let route = tour.nodes[model.base + seed].route;
        if route != NONE {
            tour.clear(route, torn);
        }
    }
    let (mut done, mut retried) = (0, 0);
    let mut touched = [NONE; MOST_STRINGS];
    for &stop in &model.around[seed * model.reach..(seed + 1) * model.reach] {
        if done >= strings {
            break;
        }
        let route = tour.nodes[stop as usize].route;
        if route == NONE {
            if retried < RETRIED && !tour.unserved.is_empty() && !torn.contains(&stop) {
                torn.push(stop);
                retried += 1;
            }
            continue;
        }
        // one string of each route, or of each trip if a route has several
        let trip = tour.nodes[stop as usize].trip;
        if touched.contains(&trip) || model.sites == 0 && tour.has_changed(route) {
            continue;
        }
        touched[done % touched.len()] = trip;
        done += 1;
        tear(tour, stop, longest, rng, torn);
    }
    if done == 0 && retried == 0 && !tour.unserved.is_empty() {
        torn.push(tour.unserved[rng.below(tour.unserved.len())]);
    }
    if model.kind == Kind::All {
        for change in 0..tour.changes() {
            let route = tour.changed(change);
            tour.merge(route);
            if !tour.settle(route) {
                return false;
            }
            if tour.routes[route as usize].sites > 0 && rng.rarely(1) && !tour.reseat(route, rng) {
                return false;
            }
        }
    }
    true
}

/// Tears a string with `stop` in it out of its route.
fn tear(tour: &mut Tour<'_>, stop: u32, longest: f64, rng: &mut Rng, torn: &mut Vec<u32>) {
    let model = tour.model;
    let count = tour.stops_of_trip(stop);
    let length = ((rng.unit() * longest.min(count as f64) + 1.0) as usize).min(count);
    let mut kept = 0;
    if length > 1 && length < count && rng.unit() < SPLIT {
        kept = 1;
        while length + kept < count && rng.unit() < KEEP_MORE {
            kept += 1;
        }
    }
    let whole = length + kept;

    // how many stops there are on both sides, as far as the string can reach
    let (mut before, mut first) = (0, stop);
    while before + 1 < whole {
        let Some(prev) = tour.stop_before(first) else { break };
        first = prev;
        before += 1;
    }
    let (mut after, mut last) = (0, stop);
    while after + 1 < whole {
        let Some(next) = tour.stop_after(last) else { break };
        last = next;
        after += 1;
    }
    // the string begins between `before` stops ahead and where its end is the last stop
    let least = (whole - 1).saturating_sub(after);
    let ahead = least + rng.below(before - least + 1);
    for _ in ahead..before {
        first = tour.stop_after(first).expect("there are `before` stops up to the chosen one");
    }
    let gap = if kept > 0 { 1 + rng.below(length - 1) } else { whole };

    let border = tour.nodes[first as usize].prev;
    let (mut node, mut behind, mut split) = (first, NONE, NONE);
    for position in 0..whole {
        let next = tour.stop_after(node);
        if position >= gap && position < gap + kept {
            split = node;
        } else {
            behind = tour.nodes[node as usize].next;
            tour.unlink(node);
            torn.push(node);
        }
        node = next.unwrap_or(NONE);
    }
    if model.kind == Kind::Times {
        // the two places at which something is missing, if what was kept stands between them
        if split != NONE {
            tour.forward(tour.nodes[border as usize].next);
        }
        tour.retime(tour.nodes[behind as usize].prev, behind);
        if split != NONE {
            tour.backward(border);
        }
    }
}

impl Tour<'_> {
    /// Tears out all stops of a route.
    pub(super) fn clear(&mut self, route: u32, torn: &mut Vec<u32>) {
        let model = self.model;
        let mut node = self.nodes[model.start(route) as usize].next;
        while node != model.end(route) {
            let next = self.nodes[node as usize].next;
            if model.is_stop(node) {
                self.unlink(node);
                torn.push(node);
            }
            node = next;
        }
        if model.kind == Kind::Times {
            self.retime(model.start(route), model.end(route));
        }
    }

    /// How many stops there are on a stop's trip.
    fn stops_of_trip(&self, stop: u32) -> usize {
        if self.model.sites == 0 {
            return self.routes[self.nodes[stop as usize].route as usize].stops as usize;
        }
        let before = std::iter::successors(Some(stop), |stop| self.stop_before(*stop)).count();
        let behind = std::iter::successors(Some(stop), |stop| self.stop_after(*stop)).count();
        before + behind - 1
    }

    /// The stop before this one on its trip.
    fn stop_before(&self, stop: u32) -> Option<u32> {
        Some(self.nodes[stop as usize].prev).filter(|node| self.model.is_stop(*node))
    }

    /// The stop behind this one on its trip.
    fn stop_after(&self, stop: u32) -> Option<u32> {
        Some(self.nodes[stop as usize].next).filter(|node| self.model.is_stop(*node))
    }
}
