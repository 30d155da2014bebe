//! The routes as they stand: linked lists that can be taken back.
//!
//! A move changes a handful of nodes. Each is copied once, before its first change, into a
//! journal; a move that is not wanted is undone by writing the copies back. No route is copied or
//! walked as a whole (but where [`Kind::All`] asks for it), so that a tour of a hundred stops is
//! changed as fast as one of ten.

use super::super::matrix::NO_WAY;
use super::model::{Kind, Model, NONE};

/// A node where it stands in its route.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Node {
    pub(super) prev: u32,
    pub(super) next: u32,
    /// [`NONE`] for what is in no route.
    pub(super) route: u32,
    /// The trip that carries its load: the number of its route for the first, behind all routes
    /// for those that begin at a site.
    pub(super) trip: u32,
    /// The cost of the way from the node before.
    pub(super) cost: i32,
    /// The time of that way.
    pub(super) way: i32,
    /// When one leaves it, if everything is done as early as possible.
    pub(super) done: i32,
    /// When its work must begin, so that nothing later is too late.
    pub(super) due: i32,
}

/// What is kept for a route.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// How many stops it serves.
    pub(super) stops: i32,
    /// How many visits to sites it makes.
    pub(super) sites: i32,
    /// What it loads in all.
    pub(super) load: [i32; 2],
}

/// All routes.
#[derive(Debug)]
pub(super) struct Tour<'m> {
    pub(super) model: &'m Model,
    pub(super) nodes: Vec<Node>,
    /// What still fits into each trip.
    pub(super) room: Vec<[i32; 2]>,
    pub(super) routes: Vec<Standing>,
    /// The cost of all ways and openings, and of what is left out.
    pub(super) total: i64,
    /// How many routes serve any stop.
    pub(super) used: usize,
    /// Stops that nobody visits.
    pub(super) unserved: Vec<u32>,
    /// What more [`Kind::All`] has to know about each node.
    pub(super) spans: Vec<super::day::Span>,
    /// Behind which node each route's crew takes its break.
    pub(super) pauses: Vec<u32>,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Journal {
    number: u32,
    node_stamps: Vec<u32>,
    route_stamps: Vec<u32>,
    nodes: Vec<(u32, Node)>,
    routes: Vec<(u32, Standing, [i32; 2])>,
    total: i64,
    used: usize,
}

/// A copy of the routes that can be gone back to.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    nodes: Vec<Node>,
    room: Vec<[i32; 2]>,
    routes: Vec<Standing>,
    spans: Vec<super::day::Span>,
    pauses: Vec<u32>,
    unserved: Vec<u32>,
    used: usize,
    pub(super) total: i64,
}

const ABSENT: Node =
    Node { prev: NONE, next: NONE, route: NONE, trip: NONE, cost: 0, way: 0, done: 0, due: 0 };

impl<'m> Tour<'m> {
    /// No stop is served.
    pub(super) fn new(model: &'m Model) -> Self {
        let count = model.fixed.len();
        let trips = model.routes + count - model.sites_from;
        let day = model.kind == Kind::All;
        let mut tour = Self {
            model,
            nodes: vec![ABSENT; count],
            room: vec![[0, 0]; trips],
            routes: vec![Standing::default(); model.routes],
            total: 0,
            used: 0,
            unserved: (model.base as u32..(model.base + model.stops) as u32).collect(),
            spans: vec![super::day::Span::default(); if day { count } else { 0 }],
            pauses: vec![NONE; if day { model.routes } else { 0 }],
            journal: Journal {
                node_stamps: vec![0; count],
                route_stamps: vec![0; model.routes],
                ..Journal::default()
            },
        };
        let prizes = tour.unserved.iter().map(|stop| i64::from(model.fixed[*stop as usize].prize));
        tour.total = prizes.sum();
        tour.begin();
        for route in 0..model.routes as u32 {
            let (start, end) = (model.start(route), model.end(route));
            let crew = &model.crews[route as usize];
            for node in [start, end] {
                let fixed = &model.fixed[node as usize];
                let (done, due) = (fixed.earliest, fixed.latest);
                tour.nodes[node as usize] = Node { route, trip: route, done, due, ..ABSENT };
            }
            tour.room[route as usize] = crew.capacity;
            tour.join(start, end);
            tour.total += i64::from(tour.nodes[end as usize].cost);
            if day {
                tour.settle(route);
            }
        }
        tour
    }

    /// From here on everything can be taken back.
    pub(super) fn begin(&mut self) {
        let journal = &mut self.journal;
        journal.number = journal.number.wrapping_add(1);
        if journal.number == 0 {
            journal.node_stamps.fill(0);
            journal.route_stamps.fill(0);
            journal.number = 1;
        }
        journal.nodes.clear();
        journal.routes.clear();
        journal.total = self.total;
        journal.used = self.used;
    }

    /// Takes back everything since [`Self::begin`].
    pub(super) fn undo(&mut self) {
        for (node, before) in &self.journal.nodes {
            self.nodes[*node as usize] = *before;
        }
        for (route, standing, room) in &self.journal.routes {
            self.routes[*route as usize] = *standing;
            self.room[*route as usize] = *room;
        }
        self.total = self.journal.total;
        self.used = self.journal.used;
        if self.model.kind == Kind::All {
            for changed in 0..self.journal.routes.len() {
                self.reckon(self.journal.routes[changed].0);
            }
        }
    }

    /// Whether there is a way wherever one is driven that was not before [`Self::begin`].
    pub(super) fn is_connected(&self) -> bool {
        let gap = NO_WAY as i32;
        !self.model.gaps
            || self.journal.nodes.iter().all(|(node, _)| {
                let here = &self.nodes[*node as usize];
                here.route == NONE || here.cost < gap
            })
    }

    /// The first route of a class that serves no stop.
    #[inline]
    pub(super) fn idle(&self, class: u32) -> Option<u32> {
        let mut routes = self.model.crews.iter().zip(&self.routes);
        let idle = routes.position(|(crew, standing)| crew.class == class && standing.stops == 0);
        idle.map(|route| route as u32)
    }

    /// How many routes have changed since [`Self::begin`].
    pub(super) fn changes(&self) -> usize {
        self.journal.routes.len()
    }

    /// The route that was the `number`th to change.
    pub(super) fn changed(&self, number: usize) -> u32 {
        self.journal.routes[number].0
    }

    pub(super) fn has_changed(&self, route: u32) -> bool {
        self.journal.route_stamps[route as usize] == self.journal.number
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            nodes: self.nodes.clone(),
            room: self.room.clone(),
            routes: self.routes.clone(),
            spans: self.spans.clone(),
            pauses: self.pauses.clone(),
            unserved: self.unserved.clone(),
            used: self.used,
            total: self.total,
        }
    }

    pub(super) fn save(&self, into: &mut Snapshot) {
        into.nodes.clone_from(&self.nodes);
        into.room.clone_from(&self.room);
        into.routes.clone_from(&self.routes);
        into.spans.clone_from(&self.spans);
        into.pauses.clone_from(&self.pauses);
        into.unserved.clone_from(&self.unserved);
        into.used = self.used;
        into.total = self.total;
    }

    pub(super) fn restore(&mut self, from: &Snapshot) {
        self.nodes.clone_from(&from.nodes);
        self.room.clone_from(&from.room);
        self.routes.clone_from(&from.routes);
        self.spans.clone_from(&from.spans);
        self.pauses.clone_from(&from.pauses);
        self.unserved.clone_from(&from.unserved);
        self.used = from.used;
        self.total = from.total;
    }

    #[inline]
    pub(super) fn keep_node(&mut self, node: u32) {
        let journal = &mut self.journal;
        let stamp = &mut journal.node_stamps[node as usize];
        if *stamp != journal.number {
            *stamp = journal.number;
            journal.nodes.push((node, self.nodes[node as usize]));
        }
    }

    #[inline]
    pub(super) fn keep_route(&mut self, route: u32) {
        let journal = &mut self.journal;
        let stamp = &mut journal.route_stamps[route as usize];
        if *stamp != journal.number {
            *stamp = journal.number;
            journal.routes.push((route, self.routes[route as usize], self.room[route as usize]));
        }
    }

    /// Makes `node` follow upon `prev`, in whose route it is.
    pub(super) fn join(&mut self, prev: u32, node: u32) {
        let model = self.model;
        self.keep_node(prev);
        self.keep_node(node);
        self.nodes[prev as usize].next = node;
        let route = self.nodes[prev as usize].route;
        let way = model.way(prev, node);
        let stays = !self.drives(route, prev, node);
        let here = &mut self.nodes[node as usize];
        here.prev = prev;
        here.cost = if stays { 0 } else { model.costs_of(route).to[way] as i32 };
        if model.kind != Kind::Loads {
            here.way = if stays { 0 } else { model.time[way] as i32 };
        }
    }

    /// Whether a way is driven at all: a vehicle with nothing to do stays where it is.
    #[inline]
    fn drives(&self, route: u32, prev: u32, node: u32) -> bool {
        let model = self.model;
        prev != model.start(route)
            || node != model.end(route)
            || model.crews[route as usize].under_way
    }

    /// Puts a stop behind `prev`. Times are not yet right.
    #[inline]
    pub(super) fn link(&mut self, stop: u32, prev: u32) {
        let model = self.model;
        let route = self.nodes[prev as usize].route;
        self.keep_route(route);
        self.chain(stop, prev);
        let fixed = &model.fixed[stop as usize];
        let trip = self.nodes[stop as usize].trip as usize;
        let standing = &mut self.routes[route as usize];
        for kind in 0..2 {
            self.room[trip][kind] -= fixed.load[kind];
            standing.load[kind] += fixed.load[kind];
        }
        standing.stops += 1;
        self.total -= i64::from(fixed.prize);
        if standing.stops == 1 {
            self.used += 1;
            self.total += i64::from(model.crews[route as usize].opening);
        }
    }

    /// Takes a stop out. Times are not yet right.
    #[inline]
    pub(super) fn unlink(&mut self, stop: u32) {
        let model = self.model;
        let route = self.nodes[stop as usize].route;
        self.keep_route(route);
        let fixed = &model.fixed[stop as usize];
        let trip = self.nodes[stop as usize].trip as usize;
        let standing = &mut self.routes[route as usize];
        for kind in 0..2 {
            self.room[trip][kind] += fixed.load[kind];
            standing.load[kind] -= fixed.load[kind];
        }
        standing.stops -= 1;
        self.total += i64::from(fixed.prize);
        if standing.stops == 0 {
            self.used -= 1;
            self.total -= i64::from(model.crews[route as usize].opening);
        }
        self.unchain(stop);
    }

    /// Hangs a node behind another.
    #[inline]
    pub(super) fn chain(&mut self, node: u32, prev: u32) {
        let Node { next, route, trip, .. } = self.nodes[prev as usize];
        self.keep_node(node);
        let here = &mut self.nodes[node as usize];
        here.route = route;
        here.trip = trip;
        here.next = next;
        // never what they will be, so that the times are carried beyond this node
        here.done = i32::MIN;
        here.due = i32::MIN;
        self.keep_node(next);
        let before = self.nodes[next as usize].cost;
        self.join(prev, node);
        self.join(node, next);
        let after = self.nodes[node as usize].cost + self.nodes[next as usize].cost;
        self.total += i64::from(after - before);
    }

    /// Takes a node out of its route.
    #[inline]
    pub(super) fn unchain(&mut self, node: u32) {
        self.keep_node(node);
        let Node { prev, next, cost, .. } = self.nodes[node as usize];
        let before = cost + self.nodes[next as usize].cost;
        self.join(prev, next);
        self.nodes[node as usize].route = NONE;
        self.total += i64::from(self.nodes[next as usize].cost - before);
    }

    /// Makes the times of a route right again that has changed behind `first` and before `last`,
    /// which may be the same.
    #[inline]
    pub(super) fn retime(&mut self, first: u32, last: u32) {
        self.forward(self.nodes[first as usize].next);
        self.backward(self.nodes[last as usize].prev);
    }

    /// Makes the times right again from `node` on, as far as they change.
    pub(super) fn forward(&mut self, mut node: u32) {
        let model = self.model;
        let mut done = self.nodes[self.nodes[node as usize].prev as usize].done;
        loop {
            let here = self.nodes[node as usize];
            let fixed = &model.fixed[node as usize];
            done = (done + here.way).max(fixed.earliest) + fixed.service;
            if done == here.done {
                return;
            }
            self.keep_node(node);
            self.nodes[node as usize].done = done;
            if here.next == NONE {
                return;
            }
            node = here.next;
        }
    }

    /// Makes the latest times right again from `node` back to the start, as far as they change.
    pub(super) fn backward(&mut self, mut node: u32) {
        let model = self.model;
        let mut after = self.nodes[self.nodes[node as usize].next as usize];
        loop {
            let here = self.nodes[node as usize];
            let fixed = &model.fixed[node as usize];
            let due = (after.due - after.way - fixed.service).min(fixed.latest);
            if due == here.due {
                return;
            }
            self.keep_node(node);
            self.nodes[node as usize].due = due;
            if here.prev == NONE {
                return;
            }
            after = self.nodes[node as usize];
            node = here.prev;
        }
    }
}
