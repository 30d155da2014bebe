//! A problem as the solver sees it: flat arrays, one row of numbers for each node.
//!
//! Nodes are numbered so that the inner loop needs no table to find a stop's row in the matrix:
//! a stop's node *is* its place. Whatever else a route passes has a node behind the matrix's last
//! row, and its place in a table:
//!
//! ```text
//!  0 … width           places; those of the stops follow one another from `base` on
//!  width + 2 r, + 1    start and end of route r
//!  from `sites_from`   visits to sites that may be made, `pool` of them for each site
//! ```

use super::super::matrix::NO_WAY;
use super::super::plan::Visit;
use super::super::problem::{Haul, Need, Problem, Window};
use super::crew::{Alike, Crew, Done};
use super::ground::{Costs, Places};
use std::sync::Arc;

/// No node, no route, no trip.
pub(super) const NONE: u32 = u32::MAX;

/// What it costs to leave out a stop that must be visited: more than any detour.
pub(super) const MUST: i32 = 1_000_000_000;

/// The most that one way can cost; where there is none it is twice that.
pub(super) const DEAREST: u32 = NO_WAY / 2;

/// What never changes about a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed {
    /// The earliest begin.
    pub(super) earliest: i32,
    /// The latest begin.
    pub(super) latest: i32,
    /// How long the work takes.
    pub(super) service: i32,
    /// Volume and mass.
    pub(super) load: [i32; 2],
    /// What it costs to leave it out.
    pub(super) prize: i32,
    pub(super) release: i32,
    pub(super) skills: u32,
}

/// The problem, laid out.
#[derive(Debug)]
pub(super) struct Model {
    /// Rows of the matrix.
    pub(super) width: usize,
    /// The node of the first stop.
    pub(super) base: usize,
    /// How many stops there are to plan: those that no vehicle has served yet.
    pub(super) stops: usize,
    /// The number in the problem of each stop.
    pub(super) numbers: Vec<usize>,
    /// How many vehicles there are.
    pub(super) routes: usize,
    /// The first visit to a site.
    pub(super) sites_from: usize,
    /// How many visits to one site can be made.
    pub(super) pool: usize,
    /// How many sites there are.
    pub(super) sites: usize,
    /// Whether a vehicle comes home by a site.
    pub(super) ends_at_site: bool,
    /// The places of the nodes from `width` on.
    places: Vec<u32>,
    /// For each node; those of no stop have no load.
    pub(super) fixed: Vec<Fixed>,
    pub(super) time: Arc<[u32]>,
    pub(super) costs: Vec<Costs>,
    pub(super) crews: Vec<Crew>,
    /// How many classes of vehicles there are.
    pub(super) classes: usize,
    /// For each stop, `reach` others, nearest first (itself included): whose strings are torn out
    /// together.
    pub(super) around: Vec<u32>,
    pub(super) reach: usize,
    /// For each stop, `breadth` others beside which it may be put.
    pub(super) beside: Vec<u32>,
    pub(super) breadth: usize,
    /// Which rules there are.
    pub(super) kind: Kind,
    /// Whether more is to be decided than the order: which stops, how many vehicles.
    pub(super) choices: bool,
    /// Whether there are places between which there is no way.
    pub(super) gaps: bool,
    /// Whether any stop is released during the day.
    pub(super) releases: bool,
}

/// Which rules can bind: the fewer, the faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Capacity alone; all vehicles are alike.
    Loads,
    /// Time windows, too.
    Times,
    /// Whatever a [`Problem`] can say.
    All,
}

/// How many neighbours of a stop can be torn out with it.
const REACH: usize = 200;
/// Beside how many neighbours a stop can be put; more with windows, where near is not enough.
const BREADTH: usize = 40;
const BREADTH_IN_TIME: usize = 60;

impl Model {
    /// Lays a problem out.
    pub(super) fn new(problem: &Problem) -> Self {
        let numbers = unfinished(problem);
        let stops = numbers.len();
        let routes = problem.vehicles.len();
        let places = Places::new(problem, &numbers);
        let width = places.width;
        let base = places.base;
        let kind = kind(problem);
        let pool = if problem.sites.is_empty() { 0 } else { visits_to_sites(problem) };
        let sites_from = width + 2 * routes;

        let mut fixed = vec![IDLE; sites_from + pool * problem.sites.len()];
        let mut node_places = Vec::with_capacity(fixed.len() - width);
        for (number, row) in numbers.iter().zip(&mut fixed[base..]) {
            let stop = &problem.stops[*number];
            *row = Fixed {
                service: signed(stop.service),
                load: [signed(stop.load.volume), signed(stop.load.mass)],
                prize: match stop.need {
                    Need::Must => MUST,
                    Need::Optional(prize) => signed(prize),
                },
                release: signed(stop.release),
                skills: stop.skills,
                ..within(stop.window)
            };
        }
        let mut tariffs = Vec::new();
        if problem.vehicles.is_empty() {
            tariffs.push((1, 0));
        }
        let mut heads = Vec::new();
        let mut crews = Vec::with_capacity(routes);
        for (route, vehicle) in problem.vehicles.iter().enumerate() {
            let done = Done::new(problem, vehicle);
            fixed[width + 2 * route] = Fixed { earliest: done.until, ..within(vehicle.shift) };
            fixed[width + 2 * route + 1] = within(vehicle.shift);
            node_places.push(places.moved(done.place));
            node_places.push(places.moved(vehicle.end));
            crews.push(Crew {
                tariff: number_of(&mut tariffs, (vehicle.rates.distance, vehicle.rates.time)),
                class: number_of(&mut heads, Alike(vehicle)),
                ..done.crew(vehicle)
            });
        }
        for (site, visits) in problem.sites.iter().zip(fixed[sites_from..].chunks_mut(pool.max(1)))
        {
            visits.fill(Fixed { service: signed(site.service), ..within(site.window) });
            node_places.extend(std::iter::repeat_n(places.moved(site.place), pool));
        }
        let mut model = Self {
            width,
            base,
            stops,
            numbers,
            routes,
            sites_from,
            pool,
            sites: problem.sites.len(),
            ends_at_site: problem.haul == Haul::Collect && !problem.sites.is_empty(),
            places: node_places,
            fixed,
            time: Arc::clone(&places.time),
            costs: tariffs.iter().map(|rates| places.costs(*rates, tariffs.len() == 1)).collect(),
            crews,
            classes: heads.len(),
            around: Vec::new(),
            reach: stops.min(REACH),
            beside: Vec::new(),
            breadth: (if kind == Kind::Loads { BREADTH } else { BREADTH_IN_TIME })
                .min(stops.saturating_sub(1)),
            kind,
            choices: problem.vehicles.iter().any(|vehicle| vehicle.rates.fixed > 0)
                || problem.stops.iter().any(|stop| stop.need != Need::Must),
            gaps: problem
                .matrix
                .distances()
                .iter()
                .chain(problem.matrix.times().iter())
                .any(|way| *way >= NO_WAY),
            releases: problem.stops.iter().any(|stop| stop.release > 0),
        };
        model.find_neighbours();
        model
    }

    /// The place of a node.
    #[inline]
    pub(super) fn place(&self, node: u32) -> usize {
        let node = node as usize;
        if node < self.width { node } else { self.places[node - self.width] as usize }
    }

    /// The way between two nodes, as an index into the matrices.
    #[inline]
    pub(super) fn way(&self, from: u32, to: u32) -> usize {
        self.place(from) * self.width + self.place(to)
    }

    #[inline]
    pub(super) fn start(&self, route: u32) -> u32 {
        self.width as u32 + 2 * route
    }

    #[inline]
    pub(super) fn end(&self, route: u32) -> u32 {
        self.start(route) + 1
    }

    #[inline]
    pub(super) fn is_stop(&self, node: u32) -> bool {
        (node as usize) < self.width
    }

    #[inline]
    pub(super) fn is_site(&self, node: u32) -> bool {
        (node as usize) >= self.sites_from
    }

    /// The nodes that stand for visits to a site.
    pub(super) fn visits_to(&self, site: usize) -> std::ops::Range<u32> {
        let first = self.sites_from + site * self.pool;
        first as u32..(first + self.pool) as u32
    }

    /// Which site a node of [`Self::visits_to`] visits.
    pub(super) fn site_of(&self, node: u32) -> usize {
        (node as usize - self.sites_from) / self.pool
    }

    /// What a route pays.
    #[inline]
    pub(super) fn costs_of(&self, route: u32) -> &Costs {
        &self.costs[self.crews[route as usize].tariff as usize]
    }

    /// Where a stop can be put: its neighbours.
    #[inline]
    pub(super) fn neighbours(&self, stop: u32) -> &[u32] {
        let own = (stop as usize - self.base) * self.breadth;
        &self.beside[own..own + self.breadth]
    }

    fn find_neighbours(&mut self) {
        let nodes = self.base as u32..(self.base + self.stops) as u32;
        let costs = &self.costs[0];
        self.around = Vec::with_capacity(self.stops * self.reach);
        self.beside = Vec::with_capacity(self.stops * self.breadth);
        let mut ranked: Vec<(i32, u32)> = Vec::with_capacity(self.stops);
        for node in nodes.clone() {
            let row = &costs.to[node as usize * self.width..][..self.width];
            ranked.clear();
            ranked.extend(nodes.clone().map(|other| {
                let cost = if other == node { -1 } else { row[other as usize] as i32 };
                (cost, other)
            }));
            nearest(&mut ranked, self.reach);
            self.around.extend(ranked[..self.reach].iter().map(|(_, other)| *other));
            if self.kind != Kind::Loads {
                ranked.clear();
                ranked.extend(nodes.clone().filter(|other| *other != node).map(|other| {
                    (self.affinity(node, other).min(self.affinity(other, node)), other)
                }));
                nearest(&mut ranked, self.breadth);
                self.beside.extend(ranked[..self.breadth].iter().map(|(_, other)| *other));
            } else {
                let own = self.around.len() - self.reach;
                let others = self.around[own..].iter().filter(|other| **other != node);
                self.beside.extend(others.take(self.breadth));
            }
        }
    }

    /// How badly `second` follows upon `first`: the way, some of the waiting, and all of the
    /// coming too late (after Vidal et al., Computers & Operations Research 40, 2013).
    fn affinity(&self, first: u32, second: u32) -> i32 {
        let way = self.way(first, second);
        let (first, second) = (&self.fixed[first as usize], &self.fixed[second as usize]);
        let after = first.service + self.time[way] as i32;
        let waiting = (second.earliest - after - first.latest).max(0);
        let late = (first.earliest + after - second.latest).max(0);
        (self.costs[0].to[way] as i32).saturating_add(waiting / 5).saturating_add(late)
    }
}

const IDLE: Fixed = Fixed {
    earliest: 0,
    latest: i32::MAX / 2,
    service: 0,
    load: [0, 0],
    prize: 0,
    release: 0,
    skills: 0,
};

fn within(window: Window) -> Fixed {
    Fixed { earliest: signed(window.earliest), latest: signed(window.latest), ..IDLE }
}

pub(super) fn signed(value: u32) -> i32 {
    value.min(i32::MAX as u32 / 2) as i32
}

/// The position of an entry in a list, to which it is added if it is new.
fn number_of<T: PartialEq>(known: &mut Vec<T>, entry: T) -> u32 {
    let position = known.iter().position(|other| *other == entry).unwrap_or_else(|| {
        known.push(entry);
        known.len() - 1
    });
    position as u32
}

/// The smallest `count` of `ranked` in front, in order.
fn nearest(ranked: &mut [(i32, u32)], count: usize) {
    if count > 0 && count < ranked.len() {
        ranked.select_nth_unstable(count - 1);
    }
    ranked[..count].sort_unstable();
}

/// The stops that no vehicle has served yet.
fn unfinished(problem: &Problem) -> Vec<usize> {
    let mut open = vec![true; problem.stops.len()];
    for visit in problem.vehicles.iter().flat_map(|vehicle| &vehicle.frozen) {
        if let Visit::Stop(stop) = visit {
            open[*stop] = false;
        }
    }
    (0..problem.stops.len()).filter(|stop| open[*stop]).collect()
}

/// The least of the kinds whose rules are all that a problem has.
fn kind(problem: &Problem) -> Kind {
    let mut vehicles = problem.vehicles.iter();
    let alike = vehicles.next().is_none_or(|first| {
        let plain = first.start == first.end
            && first.pause.is_none()
            && first.frozen.is_empty()
            && first.aboard == Default::default()
            && first.daily.volume >= first.capacity.volume
            && first.daily.mass >= first.capacity.mass
            && first.most_stops as usize >= problem.stops.len();
        plain && vehicles.all(|other| Alike(first) == Alike(other))
    });
    let skilled = problem.stops.iter().any(|stop| stop.skills != 0 || stop.release != 0);
    if !alike || skilled || !problem.sites.is_empty() {
        Kind::All
    } else if problem.stops.iter().any(|stop| stop.window != Window::ALWAYS)
        || problem.vehicles.iter().any(|vehicle| vehicle.shift != Window::ALWAYS)
    {
        Kind::Times
    } else {
        Kind::Loads
    }
}

/// How many visits to each site are laid out: twice what the loads ask for, and what each vehicle
/// may need to come home.
fn visits_to_sites(problem: &Problem) -> usize {
    let least = |kind: fn(&super::super::problem::Load) -> u32| {
        let smallest = problem.vehicles.iter().map(|v| kind(&v.capacity)).min().unwrap_or(1).max(1);
        let sum: u64 = problem.stops.iter().map(|stop| u64::from(kind(&stop.load))).sum();
        sum.div_ceil(u64::from(smallest)) as usize
    };
    let trips = least(|load| load.volume).max(least(|load| load.mass));
    (2 * trips + problem.vehicles.len() + 8).min(2 * problem.stops.len() + 8)
}
