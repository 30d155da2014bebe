//! A whole day's rules: trips between sites, the crew's break, goods that are released late.
//!
//! With these a change at one end of a route can be felt at the other, so a route is walked as a
//! whole whenever it has changed. What is known about it afterwards follows from the order of its
//! visits alone; therefore none of it has to be kept in the journal.

use super::crew::Pause;
use super::model::{DEAREST, NONE};
use super::rng::Rng;
use super::tour::{Node, Tour};

/// The stretch from a trip's departure up to and with a node: one who departs at `t` is done at
/// `max(t + duration, soonest)`, and in time everywhere if `t <= until`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    duration: i32,
    soonest: i32,
    until: i32,
    /// What the trip has loaded by then.
    pub(super) load: [i32; 2],
}

impl Span {
    const EMPTY: Self =
        Self { duration: 0, soonest: i32::MIN / 2, until: i32::MAX / 2, load: [0, 0] };

    /// With one thing more to be done, `way` further on.
    fn then(self, way: i32, earliest: i32, latest: i32, length: i32) -> Self {
        Self {
            duration: self.duration + way + length,
            soonest: (self.soonest + way).max(earliest) + length,
            until: self.until.min(latest - self.duration - way),
            load: self.load,
        }
    }
}

/// Too late for anything.
const NEVER: i32 = i32::MIN / 2;

impl Tour<'_> {
    /// The node from which a trip departs.
    pub(super) fn head(&self, trip: u32) -> u32 {
        let routes = self.model.routes as u32;
        if trip < routes {
            self.model.start(trip)
        } else {
            trip - routes + self.model.sites_from as u32
        }
    }

    /// The trip to which a stop put behind `node` would belong.
    pub(super) fn trip_behind(&self, node: u32) -> u32 {
        let model = self.model;
        if model.is_site(node) {
            model.routes as u32 + node - model.sites_from as u32
        } else {
            self.nodes[node as usize].trip
        }
    }

    /// Whether a vehicle has nothing to do behind `node` but to come home, with nothing aboard.
    pub(super) fn comes_home_empty(&self, node: u32) -> bool {
        let model = self.model;
        let Node { next, route, .. } = self.nodes[node as usize];
        next == model.end(route)
            && (model.is_site(node)
                || node == model.start(route) && self.spans[node as usize].load == [0, 0])
    }

    /// When `node` is left if the trip that it belongs to departs no earlier than `release`;
    /// `None` if that makes something late.
    #[inline]
    pub(super) fn done_after(&self, node: u32, release: i32) -> Option<i32> {
        let here = &self.nodes[node as usize];
        let head = if self.model.is_stop(node) { self.head(here.trip) } else { node };
        let crew = &self.model.crews[here.route as usize];
        if crew.under_way && head == self.model.start(here.route) {
            return (release <= crew.left).then_some(here.done);
        }
        if release <= self.nodes[head as usize].done {
            return Some(here.done);
        }
        let span = &self.spans[node as usize];
        (release <= span.until).then(|| (release + span.duration).max(span.soonest))
    }

    /// Whether a route may serve one stop more, as far as the stop and the day are concerned.
    #[inline]
    pub(super) fn admits(&self, route: u32, stop: u32) -> bool {
        let crew = &self.model.crews[route as usize];
        let (fixed, standing) = (&self.model.fixed[stop as usize], &self.routes[route as usize]);
        fixed.skills & !crew.skills == 0
            && standing.stops < crew.most_stops
            && standing.load[0] + fixed.load[0] <= crew.daily[0]
            && standing.load[1] + fixed.load[1] <= crew.daily[1]
    }

    /// Brings a route into order that has lost or gained something: sites that have become
    /// useless are dropped, a missing last one is added, and times are reckoned again. Says
    /// whether the route is possible.
    pub(super) fn settle(&mut self, route: u32) -> bool {
        let model = self.model;
        if model.sites > 0 {
            self.drop_useless(route);
            let last = self.nodes[model.end(route) as usize].prev;
            let loaded = model.is_stop(last)
                || last == model.start(route) && model.crews[route as usize].aboard != [0, 0];
            if model.ends_at_site && loaded {
                return self.come_home(route, last);
            }
        }
        self.reckon(route)
    }

    /// Sends a loaded vehicle home by the cheapest site at which it is in time; by the cheapest
    /// if it is so at none.
    fn come_home(&mut self, route: u32, last: u32) -> bool {
        let model = self.model;
        let costs = &model.costs_of(route).to;
        let cost = |site: usize| {
            let node = model.visits_to(site).start;
            costs[model.way(last, node)] + costs[model.way(node, model.end(route))]
        };
        let mut tried = NONE;
        loop {
            // the next dearer one than what was tried last; of equals the next in order
            let rank = |site: &usize| (cost(*site), *site);
            let after = |site: &usize| tried == NONE || rank(site) > rank(&(tried as usize));
            let Some(site) = (0..model.sites).filter(after).min_by_key(rank) else { break };
            tried = site as u32;
            if cost(site) >= DEAREST {
                break;
            }
            let Some(node) = self.free_visit(site) else { continue };
            self.chain_site(node, last);
            if self.reckon(route) {
                return true;
            }
            self.unchain_site(node);
        }
        let first = (0..model.sites).min_by_key(|site| (cost(*site), *site));
        if let Some(node) = first.and_then(|site| self.free_visit(site)) {
            self.chain_site(node, last);
        }
        self.reckon(route);
        false
    }

    /// Drops the sites at which nothing happens.
    fn drop_useless(&mut self, route: u32) {
        let model = self.model;
        let (start, end) = (model.start(route), model.end(route));
        let mut node = self.nodes[start as usize].next;
        while node != end {
            let Node { prev, next, .. } = self.nodes[node as usize];
            if model.is_site(node) {
                let nothing_aboard = model.is_site(prev)
                    || prev == start && model.crews[route as usize].aboard == [0, 0];
                if nothing_aboard || !model.ends_at_site && next == end {
                    self.unchain_site(node);
                }
            }
            node = next;
        }
    }

    /// Drops the sites without which two trips are one that fits.
    pub(super) fn merge(&mut self, route: u32) {
        let model = self.model;
        if model.sites == 0 || model.releases {
            return;
        }
        let crew = &model.crews[route as usize];
        let (start, end) = (model.start(route), model.end(route));
        let (mut load, mut site, mut before) = (crew.aboard, NONE, [0, 0]);
        let mut node = self.nodes[start as usize].next;
        loop {
            if model.is_stop(node) {
                let fixed = &model.fixed[node as usize];
                load = [load[0] + fixed.load[0], load[1] + fixed.load[1]];
            } else {
                // a trip is over; if it and the one before fit together, the site between goes
                let both = [before[0] + load[0], before[1] + load[1]];
                let empty = load == [0, 0];
                if site != NONE
                    && !empty
                    && both[0] <= crew.capacity[0]
                    && both[1] <= crew.capacity[1]
                {
                    self.unchain_site(site);
                    load = both;
                }
                if node == end {
                    return;
                }
                (before, load, site) = (load, [0, 0], node);
            }
            node = self.nodes[node as usize].next;
        }
    }

    /// A node for one visit more to a site.
    pub(super) fn free_visit(&self, site: usize) -> Option<u32> {
        self.model.visits_to(site).find(|node| self.nodes[*node as usize].route == NONE)
    }

    pub(super) fn chain_site(&mut self, node: u32, prev: u32) {
        let route = self.nodes[prev as usize].route;
        self.keep_route(route);
        self.routes[route as usize].sites += 1;
        self.chain(node, prev);
    }

    pub(super) fn unchain_site(&mut self, node: u32) {
        let route = self.nodes[node as usize].route;
        self.keep_route(route);
        self.routes[route as usize].sites -= 1;
        self.unchain(node);
    }

    /// Reckons all that follows from the order of a route's visits. Says whether everything is in
    /// time and within its limits.
    pub(super) fn reckon(&mut self, route: u32) -> bool {
        let crew = &self.model.crews[route as usize];
        let mut possible = self.measure(route);
        self.pauses[route as usize] = NONE;
        possible &= self.reckon_times(route, None);
        // whoever is back before the break would have to begin takes none
        let back = self.nodes[self.model.end(route) as usize].done;
        if let Some(pause) = crew.pause
            && (self.routes[route as usize].stops > 0 || crew.under_way)
            && back > pause.latest
        {
            self.pauses[route as usize] = self.best_pause(route, pause);
            possible &=
                self.pauses[route as usize] != NONE && self.reckon_times(route, Some(pause));
        }
        possible
    }

    /// Which trip each visit belongs to, and what fits into each trip.
    fn measure(&mut self, route: u32) -> bool {
        let model = self.model;
        let crew = &model.crews[route as usize];
        let standing = &self.routes[route as usize];
        let mut possible = standing.stops <= crew.most_stops
            && standing.sites <= crew.most_sites
            && (0..2).all(|kind| standing.load[kind] <= crew.daily[kind]);
        let mut trip = route;
        let mut load = crew.aboard;
        let mut node = model.start(route);
        self.spans[node as usize].load = load;
        loop {
            node = self.nodes[node as usize].next;
            let ends = !model.is_stop(node);
            if ends {
                let room = [crew.capacity[0] - load[0], crew.capacity[1] - load[1]];
                possible &= room[0] >= 0 && room[1] >= 0;
                self.room[trip as usize] = room;
                if !model.is_site(node) {
                    return possible;
                }
                load = [0, 0];
                trip = self.trip_behind(node);
            } else {
                let fixed = &model.fixed[node as usize];
                load = [load[0] + fixed.load[0], load[1] + fixed.load[1]];
            }
            self.nodes[node as usize].trip = trip;
            self.spans[node as usize].load = load;
        }
    }

    /// When the goods of the trip that departs from `head` are there.
    fn release_of(&self, head: u32) -> i32 {
        let model = self.model;
        let mut release = 0;
        if model.releases {
            let mut node = self.nodes[head as usize].next;
            while model.is_stop(node) {
                release = release.max(model.fixed[node as usize].release);
                node = self.nodes[node as usize].next;
            }
        }
        release
    }

    /// Earliest and latest times of a route, with the break behind the node that is noted for it.
    fn reckon_times(&mut self, route: u32, pause: Option<Pause>) -> bool {
        let model = self.model;
        let (start, end) = (model.start(route), model.end(route));
        let mut possible = true;
        let mut node = start;
        let mut done = model.fixed[start as usize].earliest;
        let mut span = Span::EMPTY;
        loop {
            let fixed = &model.fixed[node as usize];
            if node != start {
                let way = self.nodes[node as usize].way;
                let begin = (done + way).max(fixed.earliest);
                possible &= begin <= fixed.latest;
                done = begin + fixed.service;
                span = span.then(way, fixed.earliest, fixed.latest, fixed.service);
            }
            if !model.is_stop(node) {
                done = done.max(self.release_of(node));
                span = Span::EMPTY;
            }
            if let Some(pause) = pause
                && self.pauses[route as usize] == node
            {
                let begin = done.max(pause.earliest);
                possible &= begin <= pause.latest;
                done = begin + pause.length;
                span = span.then(0, pause.earliest, pause.latest, pause.length);
            }
            self.nodes[node as usize].done = done;
            self.spans[node as usize] = Span { load: self.spans[node as usize].load, ..span };
            if node == end {
                break;
            }
            node = self.nodes[node as usize].next;
        }
        let mut due = model.fixed[end as usize].latest;
        self.nodes[end as usize].due = due;
        while node != start {
            let Node { prev, way, .. } = self.nodes[node as usize];
            node = prev;
            let fixed = &model.fixed[node as usize];
            let mut leave = due - way;
            if let Some(pause) = pause
                && self.pauses[route as usize] == node
            {
                leave = (leave - pause.length).min(pause.latest);
                if leave < pause.earliest {
                    leave = NEVER;
                }
            }
            if !model.is_stop(node) && leave < self.release_of(node) {
                leave = NEVER;
            }
            due = (leave - fixed.service).min(fixed.latest).max(NEVER);
            self.nodes[node as usize].due = due;
        }
        possible && self.nodes[start as usize].due >= model.fixed[start as usize].earliest
    }

    /// Behind which node the break leaves most time, in a route reckoned without it.
    fn best_pause(&self, route: u32, pause: Pause) -> u32 {
        let model = self.model;
        let end = model.end(route);
        let (mut best, mut most) = (NONE, 0);
        let mut node = model.start(route);
        while node != end {
            let Node { done, next, .. } = self.nodes[node as usize];
            let begin = done.max(pause.earliest);
            if begin > pause.latest {
                break;
            }
            let next_node = &self.nodes[next as usize];
            let spare = next_node.due - next_node.way - begin - pause.length;
            if spare > most || best == NONE && spare >= 0 {
                (best, most) = (node, spare);
            }
            node = next;
        }
        best
    }

    /// Takes one of a route's visits to sites, drawn at random, to where and to which site it
    /// costs least.
    pub(super) fn reseat(&mut self, route: u32, rng: &mut Rng) -> bool {
        let model = self.model;
        let (start, end) = (model.start(route), model.end(route));
        let mut steps = rng.below(self.routes[route as usize].sites as usize);
        let mut site = self.nodes[start as usize].next;
        while !model.is_site(site) || steps > 0 {
            steps -= usize::from(model.is_site(site));
            site = self.nodes[site as usize].next;
        }
        let before = self.nodes[site as usize].prev;
        let last = model.ends_at_site && self.nodes[site as usize].next == end;
        self.unchain_site(site);
        // without it the trip may be too heavy; the times are what is needed here
        self.reckon(route);
        let trip = self.nodes[before as usize].trip;
        let head = if model.is_stop(before) { self.head(trip) } else { before };
        let capacity = &model.crews[route as usize].capacity;
        let costs = model.costs_of(route);
        // the last node of what was two trips
        let mut prev = before;
        while model.is_stop(self.nodes[prev as usize].next) {
            prev = self.nodes[prev as usize].next;
        }
        let whole = self.spans[prev as usize].load;
        let (mut best, mut least, mut release) = (None, i32::MAX, 0);
        loop {
            let next = self.nodes[prev as usize].next;
            if model.is_stop(next) {
                release = release.max(model.fixed[next as usize].release);
            }
            let load = self.spans[prev as usize].load;
            let fits = (0..2).all(|kind| {
                load[kind] <= capacity[kind] && whole[kind] - load[kind] <= capacity[kind]
            });
            if fits {
                let base = self.nodes[next as usize].cost;
                for number in 0..model.sites {
                    let first = model.visits_to(number).start;
                    let (into, out) = (model.way(prev, first), model.way(first, next));
                    let cost = costs.to[into] as i32 + costs.to[out] as i32 - base;
                    let fixed = &model.fixed[first as usize];
                    let begin = (self.nodes[prev as usize].done + model.time[into] as i32)
                        .max(fixed.earliest);
                    let leave = (begin + fixed.service).max(release);
                    let in_time = begin <= fixed.latest
                        && leave + model.time[out] as i32 <= self.nodes[next as usize].due;
                    if cost < least && in_time {
                        (best, least) = (Some((prev, number)), cost);
                    }
                }
            }
            if prev == head || last {
                break;
            }
            prev = self.nodes[prev as usize].prev;
        }
        let seat = best.and_then(|(prev, number)| Some((prev, self.free_visit(number)?)));
        let (prev, node) = seat.unwrap_or((before, site));
        self.chain_site(node, prev);
        self.reckon(route)
    }
}
