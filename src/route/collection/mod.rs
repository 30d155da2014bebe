//! From what is known about bins to the problem of a day: which must be emptied, what it is worth
//! to empty the others, and, when there is a plan, why each is in it or not.
//!
//! ```text
//!  bins ─ outlook ─► value ─► problem ─► solver ─► plan ─ verdict ─► reasons
//!                       └─ shortfall ─► messages
//! ```
//!
//! Bins are chosen and put in order together: a bin has a prize, and the solver visits it when
//! the way there costs less. Choosing the fullest first and routing them then drives much farther
//! for the same service (Wouda, Aerts-Veenstra, Van Foreest: "An integrated selection and routing
//! policy for urban waste collection", 2024).

mod outlook;
mod reason;
mod rules;
mod shortfall;
mod value;
mod verdict;

pub use outlook::Outlook;
pub use reason::{Language, MustBe, Reason, WhyIn, WhyOut};
pub use rules::{Horizon, Rules};
pub use shortfall::Shortfall;
pub use value::Value;
pub use verdict::Verdict;

use super::matrix::{Matrix, NO_WAY};
use super::problem::{Haul, Load, Need, Problem, Site, Stop, Vehicle, Window};

/// No more than so many times its volume is carried away from a bin: it is full, and a fifth of
/// that stands beside it. Without a bound, a sensor that is silent for weeks would be a load that
/// fits no truck and takes the room of others.
const MOST_SHARE: f64 = 1.2;

/// A container and what is known about it. Shares are of its volume: 0 is empty, 1 is full, and
/// more lies beside it.
#[derive(Debug, Clone)]
pub struct Bin {
    /// Its name, unique among the bins.
    pub id: String,
    /// Where it is, as a row of the matrix. A bin that is on no road has a row too, without any
    /// way in it.
    pub place: usize,
    /// The last level that can be trusted.
    pub level: Option<Level>,
    /// When it was emptied last, in days before now, if that is known; or since when it has been
    /// watched without an emptying.
    pub emptied: Option<f64>,
    /// How fast it fills, if that is known.
    pub filling: Option<Filling>,
    /// What it holds, in litres.
    pub volume: f64,
    /// What a litre of its waste weighs, in kilograms.
    pub density: f64,
    /// How long it takes to empty it, in seconds.
    pub service: u32,
    /// When that may begin, in the problem's time.
    pub window: Window,
    /// What the vehicle or its crew must be able to do: a bit for each skill.
    pub skills: u32,
    /// From this expected level on it must be emptied.
    pub threshold_must: f64,
    /// It must be emptied when so many days have passed since the last time, however empty.
    pub most_days: Option<f64>,
    /// What has happened to it.
    pub state: State,
}

/// A measured level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// What part was full.
    pub share: f64,
    /// How many days ago.
    pub age: f64,
}

/// How fast a bin fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filling {
    /// The mean share in a day from the level, or the emptying if that is newer, up to the tour.
    pub before: f64,
    /// And from there up to [`Horizon::next`]: weekdays differ.
    pub rate: f64,
    /// The standard deviation of what comes in a day; over `d` days it is `√d` times as much.
    pub spread: f64,
}

/// What has happened to a bin, and is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing.
    #[default]
    Normal,
    /// A fire alarm. It is no stop until the alarm is cleared: what smoulders sets a vehicle on
    /// fire.
    Fire,
    /// It has fallen or was moved. It must be visited, whatever its level may be.
    Fallen,
    /// Somebody asked for it. It must be visited.
    Requested,
    /// It is out of use, or cannot be reached (roadworks). It is no stop.
    Suspended,
}

/// The bins of a day as a problem, and what was thought about each of them.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The problem. Bins that cannot be visited, and those that are not worth it whatever the
    /// way, are no stops of it.
    pub problem: Problem,
    /// One for each bin, in their order.
    pub assessments: Vec<Assessment>,
    /// The bin of each stop.
    pub bins: Vec<usize>,
    /// A stop for each bin that can be visited, whether it is worth it or not.
    pub(super) every: Vec<Option<Stop>>,
    when: Horizon,
}

/// What is thought about a bin.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// Its name.
    pub id: String,
    /// Its expected level; none if nothing is known.
    pub outlook: Option<Outlook>,
    /// What it is worth to empty it.
    pub value: Value,
    /// What is expected to be in it at the tour.
    pub load: Load,
    /// The stop that it is in the problem, or why it is none.
    pub stop: Result<usize, WhyOut>,
    /// Why it must be visited, if it must.
    pub must: Option<MustBe>,
}

impl Assessment {
    /// Whether its level was not measured lately, but is reckoned from how fast it fills.
    #[must_use]
    pub fn estimated(&self) -> bool {
        self.outlook.is_none_or(|outlook| outlook.estimated)
    }
}

/// Makes the problem of a tour. `name` becomes that of the problem.
///
/// A bin whose level is unknown is not left out for that: it is reckoned from its last level or
/// emptying, and if there is neither it must be emptied.
///
/// # Panics
/// If the place of a bin, vehicle or site is not in the matrix.
#[must_use]
pub fn collection(
    name: &str,
    bins: &[Bin],
    when: Horizon,
    rules: &Rules,
    matrix: Matrix,
    vehicles: Vec<Vehicle>,
    sites: Vec<Site>,
) -> Collection {
    let outlooks: Vec<_> = bins.iter().map(|bin| Outlook::new(bin, when, rules)).collect();
    let visits = value::visits(bins, &outlooks, when, rules, &matrix, &vehicles);
    let mut stops = Vec::new();
    let mut numbers = Vec::new();
    let mut every = Vec::new();
    let mut assessments = Vec::new();
    for (number, (bin, outlook)) in bins.iter().zip(outlooks).enumerate() {
        let must = must(bin, outlook.as_ref(), when, rules);
        let value = Value::new(bin, outlook.as_ref(), when, rules, visits[number]);
        // nobody knows what is in it: room for a full one
        let share = outlook.map_or(1.0, |outlook| outlook.level.clamp(0.0, MOST_SHARE));
        let litres = share * bin.volume;
        let load =
            Load { volume: litres.round() as u32, mass: (litres * bin.density).round() as u32 };
        let hindrance = hindrance(bin, &matrix, &vehicles);
        let visit = Stop {
            id: bin.id.clone(),
            place: bin.place,
            window: bin.window,
            service: bin.service,
            load,
            skills: bin.skills,
            release: 0,
            need: match must {
                Some(_) => Need::Must,
                None => Need::Optional(value.prize()),
            },
        };
        every.push(hindrance.is_none().then(|| visit.clone()));
        let stop = match hindrance {
            Some(why) => Err(why),
            None if visit.need == Need::Optional(0) => Err(not_yet(bin, outlook.as_ref(), rules)),
            None => {
                numbers.push(number);
                stops.push(visit);
                Ok(stops.len() - 1)
            }
        };
        assessments.push(Assessment { id: bin.id.clone(), outlook, value, load, stop, must });
    }
    let problem =
        Problem { name: name.to_owned(), matrix, stops, vehicles, sites, haul: Haul::Collect };
    Collection { problem, assessments, bins: numbers, every, when }
}

/// Why a bin must be visited, if it must.
fn must(bin: &Bin, outlook: Option<&Outlook>, when: Horizon, rules: &Rules) -> Option<MustBe> {
    match bin.state {
        State::Fallen => return Some(MustBe::Fallen),
        State::Requested => return Some(MustBe::Requested),
        State::Normal | State::Fire | State::Suspended => {}
    }
    let since = bin.emptied.map(|days| days + when.tour);
    match outlook {
        Some(outlook) if outlook.level >= bin.threshold_must => {
            return Some(MustBe::Full { level: outlook.level, threshold: bin.threshold_must });
        }
        Some(_) => {}
        None if since.is_none_or(|days| days >= rules.unknown_every) => {
            return Some(MustBe::Unknown { since, every: rules.unknown_every });
        }
        None => {}
    }
    let (days, most) = (since?, bin.most_days?);
    (days >= most).then_some(MustBe::Old { days, most })
}

/// What keeps every vehicle from a bin.
fn hindrance(bin: &Bin, matrix: &Matrix, vehicles: &[Vehicle]) -> Option<WhyOut> {
    match bin.state {
        State::Fire => return Some(WhyOut::Fire),
        State::Suspended => return Some(WhyOut::Suspended),
        State::Normal | State::Fallen | State::Requested => {}
    }
    let able = |vehicle: &&Vehicle| bin.skills & !vehicle.skills == 0;
    let reach = |vehicle: &Vehicle| {
        matrix.distance(vehicle.start, bin.place) < NO_WAY
            && matrix.distance(bin.place, vehicle.end) < NO_WAY
    };
    if !vehicles.iter().any(&reach) {
        return Some(WhyOut::NoWay);
    }
    if !vehicles.iter().filter(able).any(reach) {
        return Some(WhyOut::Skills);
    }
    None
}

/// Why a bin is worth no visit, whatever the way.
fn not_yet(bin: &Bin, outlook: Option<&Outlook>, rules: &Rules) -> WhyOut {
    match outlook {
        Some(outlook) => WhyOut::NotYet { level: outlook.level, full_in: outlook.full_in() },
        None => {
            WhyOut::Emptied { days: bin.emptied.unwrap_or_default(), every: rules.unknown_every }
        }
    }
}
