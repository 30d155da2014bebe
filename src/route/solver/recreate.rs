//! Putting stops back, each where it costs least, with a wink.

use super::model::{DEAREST, Kind, Model, NONE};
use super::rng::Rng;
use super::tour::Tour;

/// A position is overlooked once in `1 << BLINK` times (Christiaens and Vanden Berghe, 2020).
pub(super) const BLINK: u32 = 7;

/// How much more than its prize a stop may cost in a generous move.
const GENEROSITY: i32 = 3;

/// Where a stop can be put.
#[derive(Debug, Clone, Copy)]
struct Gap {
    cost: i32,
    /// It is put behind this node.
    prev: u32,
    /// The site that is visited, too, and whether before the stop.
    site: Option<(usize, bool)>,
}

impl Gap {
    /// Where there is no way is no gap, either.
    const NOWHERE: Self = Self { cost: DEAREST as i32, prev: NONE, site: None };
}

/// Puts all of `torn` back, in an order drawn at random; whatever fits nowhere stays in `torn`.
/// Returns false as soon as the total cannot come out below `limit`.
pub(super) fn recreate(
    tour: &mut Tour<'_>,
    limit: i64,
    rng: &mut Rng,
    torn: &mut Vec<u32>,
) -> bool {
    match tour.model.kind {
        Kind::Loads => recreate_with::<false, false>(tour, limit, rng, torn),
        Kind::Times => recreate_with::<true, false>(tour, limit, rng, torn),
        Kind::All => recreate_with::<true, true>(tour, limit, rng, torn),
    }
}

fn recreate_with<const TIMES: bool, const ALL: bool>(
    tour: &mut Tour<'_>,
    limit: i64,
    rng: &mut Rng,
    torn: &mut Vec<u32>,
) -> bool {
    let model = tour.model;
    put_in_order(model, rng, torn);
    let prize = |stop: u32| model.fixed[stop as usize].prize;
    // what is still to be put back may cost nothing, at best
    let mut pending: i64 = torn.iter().map(|stop| i64::from(prize(*stop))).sum();
    // what is not worth its way alone may be so with what comes next; the move is judged as a
    // whole in the end
    let generous = model.choices && rng.rarely(2);
    let mut left = 0;
    for index in 0..torn.len() {
        if tour.total - pending >= limit {
            return false;
        }
        let stop = torn[index];
        pending -= i64::from(prize(stop));
        let gap = best_gap::<TIMES, ALL>(tour, stop, rng);
        let mut worth = prize(stop);
        if generous && gap.prev != NONE {
            let route = tour.nodes[gap.prev as usize].route as usize;
            worth = worth.saturating_mul(GENEROSITY);
            if tour.routes[route].stops == 0 {
                worth = worth.saturating_add(model.crews[route].opening);
            }
        }
        if gap.cost >= worth || gap.prev == NONE || !put::<TIMES, ALL>(tour, stop, gap) {
            torn[left] = stop;
            left += 1;
        }
    }
    torn.truncate(left);
    tour.total < limit
}

/// Puts a stop into a gap; false if that turns out to be impossible, and nothing has changed.
fn put<const TIMES: bool, const ALL: bool>(tour: &mut Tour<'_>, stop: u32, gap: Gap) -> bool {
    if !ALL {
        tour.link(stop, gap.prev);
        if TIMES {
            tour.forward(stop);
            tour.backward(stop);
        }
        return true;
    }
    let mut site = None;
    if let Some((number, before)) = gap.site {
        let Some(node) = tour.free_visit(number) else { return false };
        tour.chain_site(node, gap.prev);
        site = Some(node);
        tour.link(stop, if before { node } else { gap.prev });
    } else {
        tour.link(stop, gap.prev);
    }
    let route = tour.nodes[stop as usize].route;
    if tour.reckon(route) {
        return true;
    }
    tour.unlink(stop);
    if let Some(node) = site {
        tour.unchain_site(node);
    }
    tour.reckon(route);
    false
}

/// The orders of Christiaens and Vanden Berghe, with their weights; those by time are their
/// addition for windows. What matters most comes first now and then, if there is a choice.
fn put_in_order(model: &Model, rng: &mut Rng, torn: &mut [u32]) {
    for last in (1..torn.len()).rev() {
        torn.swap(last, rng.below(last + 1));
    }
    let fixed = |stop: &u32| &model.fixed[*stop as usize];
    let depot = if model.routes > 0 { model.place(model.start(0)) } else { 0 };
    let away = |stop: &u32| model.costs[0].to[depot * model.width + *stop as usize] as i32;
    match rng.below(if model.kind == Kind::Loads { 11 } else { 17 }) {
        0..=1 if model.choices => torn.sort_by_key(|stop| -fixed(stop).prize),
        0..=3 => {}
        4..=7 => torn.sort_by_key(|stop| -fixed(stop).load[0]),
        8..=9 => torn.sort_by_key(|stop| -away(stop)),
        10 => torn.sort_by_key(away),
        11..=12 => torn.sort_by_key(|stop| fixed(stop).latest - fixed(stop).earliest),
        13..=14 => torn.sort_by_key(|stop| fixed(stop).earliest),
        _ => torn.sort_by_key(|stop| -fixed(stop).latest),
    }
}

/// The cheapest gap: beside one of the stop's neighbours or in an empty route; if there is none,
/// anywhere.
#[inline]
fn best_gap<const TIMES: bool, const ALL: bool>(tour: &Tour<'_>, stop: u32, rng: &mut Rng) -> Gap {
    let model = tour.model;
    let fixed = &model.fixed[stop as usize];
    let mut best = Gap::NOWHERE;
    let mut costs = &model.costs[0];
    let mut to = &costs.to[stop as usize * model.width..][..model.width];
    let mut from = costs.towards(model.width, stop as usize);
    for &other in model.neighbours(stop) {
        let node = &tour.nodes[other as usize];
        if node.route == NONE {
            continue;
        }
        let room = &tour.room[node.trip as usize];
        let fits = room[0] >= fixed.load[0] && room[1] >= fixed.load[1];
        if ALL {
            if !fits && model.sites == 0 || !tour.admits(node.route, stop) {
                continue;
            }
            if model.costs.len() > 1 {
                costs = model.costs_of(node.route);
                to = &costs.to[stop as usize * model.width..][..model.width];
                from = costs.towards(model.width, stop as usize);
            }
        } else if !fits {
            continue;
        }
        let before =
            from.from(model.place(node.prev)) as i32 + to[other as usize] as i32 - node.cost;
        if before < best.cost {
            weigh::<TIMES, ALL>(
                tour,
                stop,
                Gap { cost: before, prev: node.prev, site: None },
                fits,
                rng,
                &mut best,
            );
        }
        let next = node.next;
        let behind = from.from(other as usize) as i32 + to[model.place(next)] as i32
            - tour.nodes[next as usize].cost;
        if behind < best.cost {
            weigh::<TIMES, ALL>(
                tour,
                stop,
                Gap { cost: behind, prev: other, site: None },
                fits,
                rng,
                &mut best,
            );
        }
    }
    let classes = if tour.used < model.routes { model.classes as u32 } else { 0 };
    for class in 0..classes {
        if let Some(route) = tour.idle(class) {
            open::<TIMES, ALL>(tour, stop, route, rng, &mut best);
        }
    }
    if best.prev == NONE {
        anywhere::<TIMES, ALL>(tour, stop, rng, &mut best);
    }
    best
}

/// The gap in a route that serves nothing.
fn open<const TIMES: bool, const ALL: bool>(
    tour: &Tour<'_>,
    stop: u32,
    route: u32,
    rng: &mut Rng,
    best: &mut Gap,
) {
    let model = tour.model;
    let start = model.start(route);
    let next = tour.nodes[start as usize].next;
    let costs = &model.costs_of(route).to;
    let detour = costs[model.way(start, stop)] as i32 + costs[model.way(stop, next)] as i32
        - tour.nodes[next as usize].cost;
    let cost = detour + model.crews[route as usize].opening;
    if cost >= best.cost || ALL && !tour.admits(route, stop) {
        return;
    }
    let (load, crew) = (&model.fixed[stop as usize].load, &model.crews[route as usize]);
    let fits = (0..2).all(|kind| load[kind] + crew.aboard[kind] <= crew.capacity[kind]);
    let gap = Gap { cost, prev: start, site: None };
    if ALL || fits {
        weigh::<TIMES, ALL>(tour, stop, gap, fits, rng, best);
    }
}

/// All gaps of all routes that serve anything.
fn anywhere<const TIMES: bool, const ALL: bool>(
    tour: &Tour<'_>,
    stop: u32,
    rng: &mut Rng,
    best: &mut Gap,
) {
    let model = tour.model;
    let load = &model.fixed[stop as usize].load;
    for route in 0..model.routes as u32 {
        if tour.routes[route as usize].stops == 0 || ALL && !tour.admits(route, stop) {
            continue;
        }
        let costs = &model.costs_of(route).to;
        let mut prev = model.start(route);
        while prev != model.end(route) {
            let next = tour.nodes[prev as usize].next;
            let node = &tour.nodes[next as usize];
            // between two sites, or beside a start or an end, it is the stop's trip that counts
            let trip = if model.is_stop(next) { node.trip } else { tour.trip_behind(prev) };
            let room = &tour.room[trip as usize];
            let fits = room[0] >= load[0] && room[1] >= load[1];
            if fits || ALL && model.sites > 0 {
                let cost = costs[model.way(prev, stop)] as i32
                    + costs[model.way(stop, next)] as i32
                    - node.cost;
                if cost < best.cost {
                    weigh::<TIMES, ALL>(
                        tour,
                        stop,
                        Gap { cost, prev, site: None },
                        fits,
                        rng,
                        best,
                    );
                }
            }
            prev = next;
        }
    }
}

/// Takes a gap for the best if the stop can be put there; `fits` says whether its load can.
#[inline]
fn weigh<const TIMES: bool, const ALL: bool>(
    tour: &Tour<'_>,
    stop: u32,
    gap: Gap,
    fits: bool,
    rng: &mut Rng,
    best: &mut Gap,
) {
    let model = tour.model;
    if ALL && model.ends_at_site && tour.comes_home_empty(gap.prev) {
        if fits {
            with_sites(tour, stop, gap, &[false], best);
        }
        return;
    }
    if ALL && !fits {
        if !rng.rarely(BLINK) {
            with_sites(tour, stop, gap, &[true, false], best);
        }
        return;
    }
    if (!TIMES || fits_in_time::<ALL>(tour, stop, gap.prev)) && !rng.rarely(BLINK) {
        *best = gap;
    } else if ALL && model.releases && model.sites > 0 {
        with_sites(tour, stop, gap, &[true, false], best);
    }
}

#[inline]
fn fits_in_time<const ALL: bool>(tour: &Tour<'_>, stop: u32, prev: u32) -> bool {
    let model = tour.model;
    let fixed = &model.fixed[stop as usize];
    let done = if ALL && model.releases {
        match tour.done_after(prev, fixed.release) {
            Some(done) => done,
            None => return false,
        }
    } else {
        tour.nodes[prev as usize].done
    };
    let begin = (done + model.time[model.way(prev, stop)] as i32).max(fixed.earliest);
    if begin > fixed.latest {
        return false;
    }
    let next = tour.nodes[prev as usize].next;
    begin + fixed.service + model.time[model.way(stop, next)] as i32
        <= tour.nodes[next as usize].due
}

/// Takes a gap for the best, with a visit to a site before or behind the stop.
#[cold]
fn with_sites(tour: &Tour<'_>, stop: u32, gap: Gap, orders: &[bool], best: &mut Gap) {
    let model = tour.model;
    let prev = gap.prev;
    let next = tour.nodes[prev as usize].next;
    let route = tour.nodes[prev as usize].route;
    let crew = &model.crews[route as usize];
    if tour.routes[route as usize].sites >= crew.most_sites {
        return;
    }
    let fixed = &model.fixed[stop as usize];
    let (costs, time) = (&model.costs_of(route).to, &model.time);
    let trip = tour.trip_behind(prev);
    let head = if model.is_stop(prev) || prev == model.start(route) {
        tour.spans[prev as usize].load
    } else {
        [0, 0]
    };
    let whole = [0, 1].map(|kind| crew.capacity[kind] - tour.room[trip as usize][kind]);
    let simple = costs[model.way(prev, stop)] as i32 + costs[model.way(stop, next)] as i32;
    for &before in orders {
        // the trip that takes the stop is the one before the site or the one behind
        let (useful, beside) = if before {
            (model.is_stop(prev), [whole[0] - head[0], whole[1] - head[1]])
        } else {
            (model.is_stop(next) || model.ends_at_site && next == model.end(route), head)
        };
        if !useful || (0..2).any(|kind| beside[kind] + fixed.load[kind] > crew.capacity[kind]) {
            continue;
        }
        for site in 0..model.sites {
            let node = model.visits_to(site).start;
            let (first, second) = if before { (node, stop) } else { (stop, node) };
            let ways = [model.way(prev, first), model.way(first, second), model.way(second, next)];
            let cost = gap.cost - simple + ways.iter().map(|way| costs[*way] as i32).sum::<i32>();
            if cost >= best.cost {
                continue;
            }
            let release = if before { 0 } else { fixed.release };
            let Some(mut done) = tour.done_after(prev, release) else { continue };
            let mut in_time = true;
            for (visit, way) in [first, second].into_iter().zip(ways) {
                let visited = &model.fixed[visit as usize];
                let begin = (done + time[way] as i32).max(visited.earliest);
                in_time &= begin <= visited.latest;
                done = begin + visited.service;
                if before && visit == node {
                    done = done.max(fixed.release);
                }
            }
            if in_time && done + time[ways[2]] as i32 <= tour.nodes[next as usize].due {
                *best = Gap { cost, prev, site: Some((site, before)) };
            }
        }
    }
}
