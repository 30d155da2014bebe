//! Exchanging the tails of two routes.
//!
//! Strings are short; where routes are long, no number of them moves the second half of one
//! route behind the first half of another, opens a route by cutting one in two, or closes one by
//! hanging it behind another. This does (2-opt*, Potvin and Rousseau, 1995).

use super::model::{Kind, NONE};
use super::recreate::BLINK;
use super::rng::Rng;
use super::tour::{Node, Tour};

/// Two routes cut behind these nodes; what follows upon the one is hung behind the other.
#[derive(Debug, Clone, Copy)]
struct Cut {
    cost: i32,
    first: u32,
    second: u32,
}

/// Cuts the route of a stop drawn at random where that costs least. Returns false if the total
/// does not come out below `limit`, or a route cannot be driven; then it has to be undone.
pub(super) fn exchange(tour: &mut Tour<'_>, limit: i64, rng: &mut Rng) -> bool {
    let model = tour.model;
    let stop = (model.base + rng.below(model.stops)) as u32;
    let Node { route, next, .. } = tour.nodes[stop as usize];
    if route == NONE {
        return false;
    }
    let mut best = Cut {
        cost: i32::try_from(limit - tour.total).unwrap_or(i32::MAX),
        first: stop,
        second: NONE,
    };
    for &other in model.neighbours(stop) {
        let after = &tour.nodes[other as usize];
        if after.route != NONE && after.route != route {
            weigh(tour, stop, after.prev, rng, &mut best);
        }
    }
    // or a new route begins behind it
    if tour.used < model.routes && model.is_stop(next) {
        let class = model.crews[route as usize].class;
        if let Some(empty) = tour.idle(class) {
            weigh(tour, stop, model.start(empty), rng, &mut best);
        }
    }
    if best.second == NONE {
        return false;
    }
    tour.swap_tails(best.first, best.second);
    if model.kind == Kind::All {
        let other = tour.nodes[best.second as usize].route;
        return tour.settle(route) && tour.settle(other) && tour.total < limit;
    }
    true
}

/// Takes a cut for the best if it is, and can be made.
fn weigh(tour: &Tour<'_>, first: u32, second: u32, rng: &mut Rng, best: &mut Cut) {
    let model = tour.model;
    let (head, tail) = (&tour.nodes[first as usize], &tour.nodes[second as usize]);
    let (one, other) = (head.route, tail.route);
    if model.crews[one as usize].class != model.crews[other as usize].class {
        return;
    }
    let (after_first, after_second) =
        (&tour.nodes[head.next as usize], &tour.nodes[tail.next as usize]);
    let costs = &model.costs_of(one).to;
    let arc = |from: u32, to: u32| {
        let idle = from == model.start(other) && to == model.end(one);
        if idle { 0 } else { costs[model.way(from, to)] as i32 }
    };
    let mut cost =
        arc(first, tail.next) + arc(second, head.next) - after_first.cost - after_second.cost;
    let opening = model.crews[other as usize].opening;
    if tour.routes[other as usize].stops == 0 {
        cost += opening;
    } else if second == model.start(other) && head.next == model.end(one) {
        cost -= opening;
    }
    if cost >= best.cost {
        return;
    }
    if model.kind != Kind::Loads {
        let in_time = |from: u32, done: i32, to: u32, due: i32| {
            done + model.time[model.way(from, to)] as i32 <= due
        };
        if !in_time(first, head.done, tail.next, after_second.due)
            || !in_time(second, tail.done, head.next, after_first.due)
        {
            return;
        }
    }
    let (head_load, tail_load) = (tour.load_up_to(first), tour.load_up_to(second));
    let (head_trip, tail_trip) = if model.kind == Kind::All {
        (tour.trip_behind(first), tour.trip_behind(second))
    } else {
        (one, other)
    };
    for kind in 0..2 {
        let capacity = model.crews[one as usize].capacity[kind];
        let behind =
            |trip: u32, load: [i32; 2]| capacity - tour.room[trip as usize][kind] - load[kind];
        if head_load[kind] + behind(tail_trip, tail_load) > capacity
            || tail_load[kind] + behind(head_trip, head_load) > capacity
        {
            return;
        }
    }
    if !rng.rarely(BLINK) {
        *best = Cut { cost, first, second };
    }
}

impl Tour<'_> {
    /// What is loaded on a trip up to and with a node.
    fn load_up_to(&self, mut node: u32) -> [i32; 2] {
        if self.model.kind == Kind::All {
            return if self.model.is_site(node) { [0, 0] } else { self.spans[node as usize].load };
        }
        let mut load = [0, 0];
        while self.model.is_stop(node) {
            let fixed = &self.model.fixed[node as usize];
            load = [load[0] + fixed.load[0], load[1] + fixed.load[1]];
            node = self.nodes[node as usize].prev;
        }
        load
    }

    /// Hangs what follows upon `second` behind `first`, and the other way round.
    fn swap_tails(&mut self, first: u32, second: u32) {
        let model = self.model;
        let (one, other) = (self.nodes[first as usize].route, self.nodes[second as usize].route);
        let (first_tail, second_tail) = (self.tail(first), self.tail(second));
        let used_before = [one, other].map(|route| self.routes[route as usize].stops > 0);
        let joints = |tour: &Self| -> i64 {
            let after =
                |node: u32| i64::from(tour.nodes[tour.nodes[node as usize].next as usize].cost);
            let home = |route: u32| i64::from(tour.nodes[model.end(route) as usize].cost);
            // where a tail is its route's end alone, both are the same joint
            let seams = [(first, one), (second, other)].map(|(node, route)| {
                let at_end = tour.nodes[node as usize].next == model.end(route);
                after(node) + if at_end { 0 } else { home(route) }
            });
            seams[0] + seams[1]
        };
        let before = joints(self);
        for (tail, from, to) in [(first_tail, one, other), (second_tail, other, one)] {
            if let Some((begin, _)) = tail {
                self.relabel(begin, from, to);
            }
        }
        for (head, tail, route) in [(first, second_tail, one), (second, first_tail, other)] {
            let end = model.end(route);
            match tail {
                Some((begin, last)) => {
                    self.join(head, begin);
                    self.join(last, end);
                }
                None => self.join(head, end),
            }
        }
        self.total += joints(self) - before;
        for (route, used) in [one, other].into_iter().zip(used_before) {
            let opening = i64::from(model.crews[route as usize].opening);
            match (used, self.routes[route as usize].stops > 0) {
                (true, false) => {
                    self.used -= 1;
                    self.total -= opening;
                }
                (false, true) => {
                    self.used += 1;
                    self.total += opening;
                }
                _ => {}
            }
        }
        if model.kind == Kind::Times {
            for head in [first, second] {
                self.forward(self.nodes[head as usize].next);
                self.backward(head);
            }
        }
    }

    /// The first and the last visit behind a node.
    fn tail(&self, head: u32) -> Option<(u32, u32)> {
        let Node { next, route, .. } = self.nodes[head as usize];
        let end = self.model.end(route);
        (next != end).then(|| (next, self.nodes[end as usize].prev))
    }

    /// Gives the visits from `node` on to another route.
    fn relabel(&mut self, mut node: u32, from: u32, to: u32) {
        let model = self.model;
        let end = model.end(from);
        self.keep_route(from);
        self.keep_route(to);
        while node != end {
            self.keep_node(node);
            let here = &mut self.nodes[node as usize];
            here.route = to;
            let load = model.fixed[node as usize].load;
            if model.kind != Kind::All {
                here.trip = to;
                for (kind, load) in load.into_iter().enumerate() {
                    self.room[from as usize][kind] += load;
                    self.room[to as usize][kind] -= load;
                }
            }
            let stop = i32::from(model.is_stop(node));
            for (route, sign) in [(from, -1), (to, 1)] {
                let standing = &mut self.routes[route as usize];
                standing.stops += sign * stop;
                standing.sites += sign * (1 - stop);
                standing.load = [0, 1].map(|kind| standing.load[kind] + sign * load[kind]);
            }
            node = self.nodes[node as usize].next;
        }
    }
}
