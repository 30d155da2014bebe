//! What a plan comes to.

use super::super::plan::Visit;

/// A plan without faults, counted. Distances and times are in the problem's units, costs in its
/// unit of cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reckoning {
    /// The routes, as the plan has them.
    pub routes: Vec<CheckedRoute>,
    /// Stops that have to be visited and are not: the plan falls short of what was asked.
    pub missing: Vec<usize>,
    /// What optional stops that are left out would have been worth.
    pub prizes: u64,
    /// What all routes cost, with [`Self::prizes`]. Missing stops have no price.
    pub cost: u64,
    /// How far all vehicles drive.
    pub distance: u64,
    /// How long they drive.
    pub driving: u64,
    /// How long they wait, for windows and for goods.
    pub waiting: u64,
    /// How long they work at stops and sites.
    pub service: u64,
    /// How many trips they make.
    pub trips: usize,
    /// How many stops they serve.
    pub served: usize,
}

/// One vehicle's route, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRoute {
    /// Its number in [`super::super::Problem::vehicles`].
    pub vehicle: usize,
    /// When it leaves: at the begin of its shift, or when the goods of its first trip are there.
    pub start: u64,
    /// When it could leave at the latest, and still be back at the same time.
    pub latest_start: u64,
    /// When it is back.
    pub end: u64,
    /// How far it drives.
    pub distance: u64,
    /// How long it drives.
    pub driving: u64,
    /// How long it waits after [`Self::start`].
    pub waiting: u64,
    /// How long it works at stops and sites.
    pub service: u64,
    /// How long its break is; 0 without one.
    pub pause: u64,
    /// How many trips with at least one stop it makes.
    pub trips: usize,
    /// The volume of all its stops.
    pub volume: u64,
    /// The mass of all its stops.
    pub mass: u64,
    /// Its fixed cost, distance and driving time.
    pub cost: u64,
    /// Its visits in their order.
    pub visits: Vec<CheckedVisit>,
}

/// One visit, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedVisit {
    /// What is visited.
    pub visit: Visit,
    /// When the vehicle is there.
    pub arrival: u64,
    /// When the work (or the break) begins.
    pub begin: u64,
    /// When the vehicle leaves.
    pub departure: u64,
    /// The volume aboard when it leaves.
    pub volume: u64,
    /// The mass aboard when it leaves.
    pub mass: u64,
}
