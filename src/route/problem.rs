//! What is to be planned: stops, vehicles, unloading sites, and the rules of the day.

use super::matrix::Matrix;
use super::plan::Visit;

/// A day to be planned.
///
/// Places are rows of the matrix; several stops may share one. All times count in the matrix's
/// unit from one common zero (seconds after midnight of the day of the plan, unless a benchmark
/// says otherwise).
#[derive(Debug, Clone)]
pub struct Problem {
    /// What it is called, in files and on topics.
    pub name: String,
    /// The way between all places.
    pub matrix: Matrix,
    /// The stops.
    pub stops: Vec<Stop>,
    /// The vehicles, each for one route. There may be more than are needed.
    pub vehicles: Vec<Vehicle>,
    /// Where a vehicle may unload (or load again) during the day.
    pub sites: Vec<Site>,
    /// What a visit to a site means.
    pub haul: Haul,
}

/// What is done at the unloading sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haul {
    /// Loads are collected: a visit to a site empties the vehicle, and with [`Problem::sites`]
    /// no vehicle comes home with anything aboard.
    Collect,
    /// Loads are delivered: a vehicle starts full, a visit to a site fills it again.
    Deliver,
}

/// Volume and mass; also the room for them.
///
/// Litres and kilograms, or whatever unit a benchmark counts in (then the mass is 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Volume.
    pub volume: u32,
    /// Mass.
    pub mass: u32,
}

impl Load {
    /// More than can ever be loaded.
    pub const UNBOUNDED: Self = Self { volume: 1_000_000_000, mass: 1_000_000_000 };

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            volume: self.volume.saturating_add(other.volume),
            mass: self.mass.saturating_add(other.mass),
        }
    }

    /// Whether this fits into `room`.
    #[must_use]
    pub fn fits(self, room: Self) -> bool {
        self.volume <= room.volume && self.mass <= room.mass
    }
}

/// When something may begin: from `earliest` to `latest`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Who comes earlier waits.
    pub earliest: u32,
    /// Who comes later is too late.
    pub latest: u32,
}

impl Window {
    /// No limit.
    pub const ALWAYS: Self = Self { earliest: 0, latest: 1_000_000_000 };
}

/// What speaks for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It has to be visited; a plan without it says so as a fault of feasibility.
    Must,
    /// It may be left out, at this cost.
    Optional(u32),
}

/// The largest prize that an optional stop can have.
pub const LARGEST_PRIZE: u32 = 200_000_000;

/// Something to be visited once.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Its name, unique among the stops.
    pub id: String,
    /// Where it is.
    pub place: usize,
    /// When the work there may begin.
    pub window: Window,
    /// How long the work takes.
    pub service: u32,
    /// What is collected or delivered.
    pub load: Load,
    /// What the vehicle or its crew must be able to do: a bit for each skill.
    pub skills: u32,
    /// The trip that serves it cannot leave its depot or site before this time; 0 for none. For
    /// goods that arrive during the day.
    pub release: u32,
    /// Whether it may be left out.
    pub need: Need,
}

/// A vehicle with its crew for one day.
#[derive(Debug, Clone)]
pub struct Vehicle {
    /// Its name, unique among the vehicles.
    pub id: String,
    /// Where it starts: its depot, or where it stands now.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// It leaves no earlier and is back no later.
    pub shift: Window,
    /// What it holds.
    pub capacity: Load,
    /// What is aboard at the start (of a tour that is under way).
    pub aboard: Load,
    /// What it may handle in all during the day.
    pub daily: Load,
    /// How many stops it may serve during the day.
    pub most_stops: u32,
    /// How often it may visit a site during the day, its last visit included.
    pub most_unloadings: u32,
    /// The crew's break.
    pub pause: Option<Pause>,
    /// What it and its crew can do: a bit for each skill.
    pub skills: u32,
    /// What it costs.
    pub rates: Rates,
    /// What it has done, or begun: its route starts with this, whatever else changes.
    pub frozen: Vec<Visit>,
    /// What it does behind that, if anything, begins with a drive no earlier than this; 0 for no
    /// limit. For a vehicle that is under way: nothing can be planned in the past.
    pub not_before: u32,
}

/// A break of the crew, at whatever place it is taken. A route that is over by the latest time it
/// could begin needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it may begin.
    pub window: Window,
    /// How long it takes.
    pub length: u32,
}

/// What the use of a vehicle costs, in a unit of the problem's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// If it leaves at all.
    pub fixed: u32,
    /// For each metre (or the matrix's unit of distance).
    pub distance: u32,
    /// For each second of driving (or the matrix's unit of time).
    pub time: u32,
}

impl Rates {
    /// Distance alone counts.
    pub const DISTANCE: Self = Self { fixed: 0, distance: 1, time: 0 };
}

/// Where vehicles unload, or load again.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its name, unique among the sites.
    pub id: String,
    /// Where it is.
    pub place: usize,
    /// When a visit may begin.
    pub window: Window,
    /// How long a visit takes.
    pub service: u32,
}
