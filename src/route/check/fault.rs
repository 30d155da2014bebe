//! What can be wrong with a plan.

/// A rule that a plan breaks. Places, stops and vehicles are named by their ids, numbers that
/// stand for none by themselves; times are in the problem's unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what its fields are")]
pub enum Fault {
    #[error("route {route} is driven by vehicle number {vehicle}, and there are {vehicles}")]
    UnknownVehicle { route: usize, vehicle: usize, vehicles: usize },
    #[error("vehicle {vehicle} has more than one route")]
    VehicleTwice { vehicle: String },
    #[error("{place} names stop number {stop}, and there are {stops}")]
    UnknownStop { place: String, stop: usize, stops: usize },
    #[error("vehicle {vehicle} visits site number {site}, and there are {sites}")]
    UnknownSite { vehicle: String, site: usize, sites: usize },
    #[error("stop {stop} is visited {times} times")]
    ServedTwice { stop: String, times: usize },
    #[error("stop {stop} is visited and listed as unserved")]
    ServedAndUnserved { stop: String },
    #[error("stop {stop} is listed as unserved {times} times")]
    UnservedTwice { stop: String, times: usize },
    #[error("stop {stop} is neither visited nor listed as unserved")]
    Forgotten { stop: String },
    #[error("vehicle {vehicle} does not begin with what it has done or begun (visits: {frozen})")]
    Frozen { vehicle: String, frozen: usize },
    #[error(
        "vehicle {vehicle} lacks skills that stop {stop} needs (bits {missing:#b} of {needed:#b})"
    )]
    Skills { vehicle: String, stop: String, needed: u32, missing: u32 },
    #[error(
        "vehicle {vehicle} is overloaded at {place}: {}",
        excess(*volume, *volume_room, *mass, *mass_room)
    )]
    Overloaded {
        vehicle: String,
        place: String,
        volume: u64,
        volume_room: u32,
        mass: u64,
        mass_room: u32,
    },
    #[error("vehicle {vehicle} comes home loaded: volume {volume}, mass {mass}")]
    HomeLoaded { vehicle: String, volume: u64, mass: u64 },
    #[error(
        "vehicle {vehicle} handles more than it may in a day: {}",
        excess(*volume, *volume_most, *mass, *mass_most)
    )]
    DailyLoad { vehicle: String, volume: u64, volume_most: u32, mass: u64, mass_most: u32 },
    #[error("vehicle {vehicle} serves {stops} stops, {most} are the most in a day")]
    DailyStops { vehicle: String, stops: usize, most: u32 },
    #[error("vehicle {vehicle} visits sites {unloadings} times, {most} is the most in a day")]
    DailyUnloadings { vehicle: String, unloadings: usize, most: u32 },
    #[error("vehicle {vehicle} is late at {place}: begins at {begin}, {late} after the latest time",
            late = begin - u64::from(*latest))]
    Late { vehicle: String, place: String, begin: u64, latest: u32 },
    #[error("there is no way for vehicle {vehicle} from {from} to {to}")]
    NoWay { vehicle: String, from: String, to: String },
    #[error("vehicle {vehicle} has {pauses} breaks")]
    PauseTwice { vehicle: String, pauses: usize },
    #[error("vehicle {vehicle} has a break, and its crew is due none")]
    PauseUncalled { vehicle: String },
    #[error(
        "vehicle {vehicle} has no break, and is back at {end}, after {latest}, the latest time \
         at which it could begin"
    )]
    PauseMissing { vehicle: String, end: u64, latest: u32 },
    #[error("vehicle {vehicle} is back at {end}, {late} after the end of its shift",
            late = end - u64::from(*latest))]
    Overtime { vehicle: String, end: u64, latest: u32 },
}

/// What of the two is too much.
fn excess(volume: u64, volume_most: u32, mass: u64, mass_most: u32) -> String {
    let volume =
        (volume > u64::from(volume_most)).then(|| format!("volume {volume} of {volume_most}"));
    let mass = (mass > u64::from(mass_most)).then(|| format!("mass {mass} of {mass_most}"));
    volume.into_iter().chain(mass).collect::<Vec<_>>().join(", ")
}
