//! The settings of plans.

use super::key::KeyPath;
use super::read::{Read, Reader, known};
use super::schema::settings;
use super::timing::{Day, DayTime, Hours, Zone};
use crate::route::road::Means;
use crate::units::TenantId;
use figment::value::Value;
use std::path::PathBuf;
use std::time::Duration;

settings! {
    /// A plan that is made each night: who goes where, in which order.
    pub struct PlanSettings {
        /// The tenant whose plan it is: its bins, its topics.
        pub tenant: TenantId => "waste",
        /// What it is: "collection" (bins are emptied) or "patrol" (people are visited).
        pub kind: PlanKind = "collection",
        /// The time zone of all times of day in this plan.
        pub timezone: Zone => "Europe/Stockholm",
        /// When it is made, on the day of its tours (of a patrol: on the day on which its night
        /// begins).
        pub at: DayTime = "04:30",
        /// The days on which tours leave.
        pub days: Vec<Day> = ["mon", "tue", "wed", "thu", "fri"],
        /// The bins that it is about. Empty: all bins of the tenant's devices.
        pub bins: Vec<String> = [],
        /// The roads: an OpenStreetMap extract (.osm.pbf). Left out: straight lines × 1.4, and the
        /// plan is marked as estimated.
        pub roads: Option<PathBuf> => "/var/lib/lykta/town.osm.pbf",
        /// How its vehicles drive: "truck", "van", "car" or "foot".
        pub profile: Means = "truck",
        /// How long is searched, in CPU time. Measured once and kept as a number of moves, so that
        /// the same levels give the same plan.
        pub budget: Duration = "20s",
        /// How many moves are searched, instead of `budget`.
        pub iterations: Option<u64> => 200000,
        /// Where chance begins.
        pub seed: u64 = 1,
        /// How long to wait for more of them when a bin that the plan leaves out has become full,
        /// before the plan is mended.
        pub mend_after: Duration = "5min",
        /// The currency of all costs, for those who read the plan.
        pub currency: String = "SEK",
        /// What it costs when a bin overflows.
        pub overflow_cost: f64 = 300,
        /// What each hour costs in which a bin is overfull.
        pub overflow_hour_cost: f64 = 20,
        /// What an hour of work at the stops costs.
        pub work_hour_cost: f64 = 720,
        /// How often, in days, a bin of which nothing is known is emptied.
        pub unknown_every_days: f64 = 7,
        /// Where vehicles start and end.
        pub depot: Vec<DepotSettings> = [],
        /// The vehicles.
        pub vehicle: Vec<VehicleSettings> = [],
        /// Where vehicles unload during the day. Without any they come home loaded.
        pub site: Vec<SiteSettings> = [],
        /// The visits of a patrol.
        pub visit: Vec<VisitSettings> = [],
    }

    /// A depot.
    pub struct DepotSettings {
        /// Its name.
        pub id: String => "yard",
        /// Its latitude in degrees (WGS 84).
        pub lat: f64 => 59.3293,
        /// Its longitude in degrees.
        pub lon: f64 => 18.0686,
    }

    /// A vehicle with its crew.
    pub struct VehicleSettings {
        /// Its name.
        pub id: String => "truck-1",
        /// Where it starts and ends. Left out: at the only depot.
        pub depot: Option<String> => "yard",
        /// What it holds, in litres (of waste as it lies in the bins: with a press, more than its
        /// own volume). Where bins are emptied, it must be said.
        pub volume_l: Option<u32> => 40000,
        /// What it may carry, in kilograms.
        pub mass_kg: u32 = 9000,
        /// It leaves no earlier and is back no later; "22:00-06:00" ends on the next day.
        pub shift: Hours => "06:00-14:30",
        /// The crew's break.
        pub pause: Option<BreakSettings>,
        /// How many stops it serves at most in a day.
        pub most_stops: Option<u32> => 120,
        /// How often it unloads at most in a day.
        pub most_unloadings: Option<u32> => 3,
        /// What it can do, in words of your own.
        pub skills: Vec<String> = [],
        /// How many people it has, 1 or 2.
        pub crew: u8 = 1,
        /// What it costs if it leaves at all.
        pub day_cost: f64 = 0,
        /// What a kilometre costs.
        pub km_cost: f64 = 12,
        /// What an hour of driving costs.
        pub hour_cost: f64 = 720,
    }

    /// A break.
    pub struct BreakSettings {
        /// When it may begin.
        pub window: Hours => "10:00-12:00",
        /// How long it takes.
        pub length: Duration = "30min",
    }

    /// Where vehicles unload.
    pub struct SiteSettings {
        /// Its name.
        pub id: String => "tip",
        /// Its latitude in degrees (WGS 84).
        pub lat: f64 => 59.3793,
        /// Its longitude in degrees.
        pub lon: f64 => 18.0186,
        /// When an unloading may begin. Left out: at any time.
        pub window: Option<Hours> => "07:00-15:00",
        /// How long an unloading takes.
        pub service: Duration = "15min",
    }

    /// A visit of a patrol.
    pub struct VisitSettings {
        /// Whom it is for, by pseudonym. Each of several visits to one person has a name of its own.
        pub id: String => "r1",
        /// Its latitude in degrees (WGS 84).
        pub lat: f64 => 59.3313,
        /// Its longitude in degrees.
        pub lon: f64 => 18.0716,
        /// How long it takes.
        pub service: Duration = "15min",
        /// When it may begin. Left out: at any time of the shifts.
        pub window: Option<Hours> => "22:00-23:30",
        /// How long after a visit has become urgent it shall begin.
        pub urgent_within: Duration = "30min",
        /// What the crew must be able to do, in words of your own.
        pub skills: Vec<String> = [],
        /// How many people it takes, 1 or 2.
        pub crew: u8 = 1,
    }
}

/// The seconds of a day.
const DAY: u32 = 24 * 3600;
const MINUTE: u32 = 60;

impl PlanSettings {
    /// Hours in the seconds of the day on which the shifts begin: those of the morning after a
    /// night belong to that night, and those that go on through midnight to both its parts.
    #[must_use]
    pub fn in_shifts(&self, hours: Hours) -> Hours {
        let next = Hours { from: hours.from + DAY, to: hours.to + DAY };
        match (self.on_duty(hours), self.on_duty(next)) {
            (true, true) if next.from <= hours.to + MINUTE => {
                Hours { from: hours.from, to: next.to }
            }
            (false, true) => next,
            _ => hours,
        }
    }

    /// Whether somebody is on duty at some time of these hours.
    #[must_use]
    pub fn meet_a_shift(&self, hours: Hours) -> bool {
        self.on_duty(self.in_shifts(hours))
    }

    /// Whether these hours, which come each day, are two parts of one night with a gap between
    /// them: nobody knows which is meant.
    #[must_use]
    pub fn meet_twice(&self, hours: Hours) -> bool {
        let next = Hours { from: hours.from + DAY, to: hours.to + DAY };
        let works = |hours: Hours| {
            let mut shifts = self.vehicle.iter().map(|vehicle| vehicle.shift);
            shifts.any(|shift| hours.from < shift.to && shift.from < hours.to)
        };
        // where somebody is on duty all day long, the first are meant
        !self.shifts_overlap() && works(hours) && works(next) && next.from > hours.to + MINUTE
    }

    /// When the last shift ends that goes on through midnight, by the clock of that morning.
    fn last_morning(&self) -> u32 {
        let last = self.vehicle.iter().map(|vehicle| vehicle.shift.to).max().unwrap_or(0);
        last.saturating_sub(DAY)
    }

    /// Whether the last shift of a day goes on when the first one of the next day begins.
    #[must_use]
    pub fn shifts_overlap(&self) -> bool {
        let first = self.vehicle.iter().map(|vehicle| vehicle.shift.from).min().unwrap_or(0);
        self.last_morning() > first
    }

    fn on_duty(&self, hours: Hours) -> bool {
        let mut shifts = self.vehicle.iter().map(|vehicle| vehicle.shift);
        shifts.any(|shift| hours.from <= shift.to && shift.from <= hours.to)
    }
}

/// What a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlanKind {
    /// Bins are emptied.
    #[default]
    Collection,
    /// People are visited.
    Patrol,
}

impl Read for PlanKind {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let parse = |text: &str| match text {
            "collection" => Ok(Self::Collection),
            "patrol" => Ok(Self::Patrol),
            _ => Err(()),
        };
        reader.parsed(path, value, parse, |text, ()| {
            let kinds = ["collection", "patrol"];
            ("there is no such kind of plan".to_owned(), known(text, &kinds, "kinds"))
        })
    }
}

impl Read for Means {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let names = Self::ALL.map(Self::name);
        let parse = |text: &str| Self::ALL.into_iter().find(|means| means.name() == text).ok_or(());
        reader.parsed(path, value, parse, |text, ()| {
            ("there is no such profile of roads".to_owned(), known(text, &names, "profiles"))
        })
    }
}
