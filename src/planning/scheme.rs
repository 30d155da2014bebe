//! What the settings say of one plan, in the words of `route`.

use super::kept::Visited;
use crate::bins::{Posture, View};
use crate::config::{
    BinSettings, Hours, PlanKind, PlanSettings, Settings, VehicleSettings, VisitSettings,
};
use crate::device::Registry;
use crate::route::calendar::Calendar;
use crate::route::collection::{self, Filling, Horizon, Rules, State};
use crate::route::problem::{Load, Pause, Rates, Site, Vehicle, Window};
use crate::route::road::Position;
use crate::units::TenantId;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Costs are reckoned in thousandths of the currency.
pub(super) const THOUSANDTHS: f64 = 1000.0;

/// What a second of driving costs a patrol, and what a car at most that leaves at all: a unit in
/// which no way costs what a visit is worth.
const PATROL_SECOND: f64 = 20.0;
const PATROL_FIXED: f64 = 100_000.0;

/// The bit of a crew of two among the skills.
const CREW_OF_TWO: u32 = 1 << 31;

/// A vehicle that is told today to leave today has so long to do so.
pub(super) const LEAD: u32 = 300;

const DAY_SECONDS: f64 = 86_400.0;
const HOUR_SECONDS: f64 = 3600.0;

/// A plan's settings, with the bins that it is about.
#[derive(Debug)]
pub(super) struct Scheme {
    pub(super) tenant: TenantId,
    pub(super) settings: PlanSettings,
    pub(super) calendar: Calendar,
    /// The bins with a position, by name.
    pub(super) bins: Vec<(String, BinSettings, Position)>,
    /// Those without.
    pub(super) nowhere: Vec<(String, BinSettings)>,
    /// The visits that are agreed.
    pub(super) visits: Vec<AgreedVisit>,
    skills: Vec<String>,
}

/// A visit that is agreed.
#[derive(Debug)]
pub(super) struct AgreedVisit {
    pub(super) settings: VisitSettings,
    pub(super) position: Position,
    /// When it may begin, by the clock; past 24 h on the next day.
    pub(super) window: Option<Hours>,
}

impl Scheme {
    pub(super) fn new(plan: &PlanSettings, settings: &Settings, registry: &Registry) -> Self {
        let of_devices = registry.iter().filter(|device| device.tenant == plan.tenant);
        let members: BTreeSet<&str> = if plan.bins.is_empty() {
            of_devices.filter_map(|device| device.bin.as_deref()).collect()
        } else {
            plan.bins.iter().map(String::as_str).collect()
        };
        let (mut bins, mut nowhere) = (Vec::new(), Vec::new());
        for id in members {
            let bin = settings.bin.get(id).cloned().unwrap_or_default();
            let position =
                bin.lat.zip(bin.lon).and_then(|(lat, lon)| Position::from_degrees(lat, lon));
            match position {
                Some(position) => bins.push((id.to_owned(), bin, position)),
                None => nowhere.push((id.to_owned(), bin)),
            }
        }
        let skills: BTreeSet<String> = plan
            .vehicle
            .iter()
            .flat_map(|vehicle| &vehicle.skills)
            .chain(bins.iter().flat_map(|(_, bin, _)| &bin.skills))
            .chain(plan.visit.iter().flat_map(|visit| &visit.skills))
            .cloned()
            .collect();
        let last = plan.vehicle.iter().map(|vehicle| vehicle.shift.to).max().unwrap_or(24 * 3600);
        let least_left = match plan.kind {
            PlanKind::Collection => SignedDuration::from_hours(1),
            // somebody may have to be visited in the last minutes
            PlanKind::Patrol => SignedDuration::from_mins(15),
        };
        let visits = plan.visit.iter().filter_map(|visit| {
            Some(AgreedVisit {
                settings: visit.clone(),
                position: Position::from_degrees(visit.lat, visit.lon)?,
                window: visit.window.map(|hours| plan.in_shifts(hours)),
            })
        });
        let calendar = Calendar {
            zone: plan.timezone.0.clone(),
            at: plan.at.0,
            days: plan.days.iter().map(|day| day.0).collect(),
            last,
            least_left,
        };
        Self {
            tenant: plan.tenant.clone(),
            settings: plan.clone(),
            calendar,
            bins,
            nowhere,
            visits: visits.collect(),
            skills: skills.into_iter().collect(),
        }
    }

    pub(super) fn is_patrol(&self) -> bool {
        self.settings.kind == PlanKind::Patrol
    }

    /// Whether it is about this bin or visit.
    pub(super) fn has(&self, name: &str) -> bool {
        self.has_bin(name) || self.visits.iter().any(|visit| visit.settings.id == name)
    }

    pub(super) fn has_bin(&self, name: &str) -> bool {
        self.bins.iter().any(|(id, ..)| id == name)
    }

    /// Hours by the clock in the seconds of a day's plan.
    pub(super) fn window(&self, day: Date, hours: Option<Hours>) -> Window {
        let second = |clock| self.calendar.second(day, clock);
        hours.map_or(Window::ALWAYS, |hours| Window {
            earliest: second(hours.from),
            // an hour that is skipped in spring turns none inside out
            latest: second(hours.to).max(second(hours.from)),
        })
    }

    /// All places: the depots, the sites, the bins, the visits. In this order they are rows of the matrix.
    pub(super) fn places(&self) -> Vec<Position> {
        let at = |lat, lon| Position::from_degrees(lat, lon);
        let depots = self.settings.depot.iter().filter_map(|depot| at(depot.lat, depot.lon));
        let sites = self.settings.site.iter().filter_map(|site| at(site.lat, site.lon));
        let bins = self.bins.iter().map(|(.., position)| *position);
        let visits = self.visits.iter().map(|visit| visit.position);
        depots.chain(sites).chain(bins).chain(visits).collect()
    }

    /// The row of the first bin or visit; no plan has both.
    pub(super) fn first_stop(&self) -> usize {
        self.settings.depot.len() + self.settings.site.len()
    }

    /// The bins as they are now. Those of `requested` are visited whatever their level may be;
    /// those of `visited` count as emptied then.
    pub(super) fn bins(
        &self,
        levels: &HashMap<String, View>,
        visited: &BTreeMap<String, Visited>,
        requested: &HashSet<String>,
        (day, now): (Date, Timestamp),
    ) -> Vec<collection::Bin> {
        let days =
            |then: Timestamp| (now.duration_since(then).as_secs_f64() / DAY_SECONDS).max(0.0);
        let first = self.first_stop();
        let all = self.bins.iter().enumerate().map(|(i, (id, bin, _))| {
            let level = levels.get(id);
            let visit =
                visited.get(id).filter(|visit| !level.is_some_and(|level| visit.denied_by(level)));
            let seen = level.and_then(|level| level.emptied);
            let emptied = seen.max(visit.map(|visit| visit.at));
            // never emptied since it is watched: it counts from there
            let emptied = emptied.or(level.and_then(|level| level.first));
            collection::Bin {
                id: id.clone(),
                place: first + i,
                // when a clock says nothing, the last level is taken for what is there now
                level: level.map(|level| collection::Level {
                    share: level.fill.0,
                    age: if level.synced { days(level.at) } else { 0.0 },
                }),
                emptied: emptied.map(days),
                filling: level.map(|level| self.filling(level, emptied, (day, now))),
                volume: bin.volume_l,
                density: bin.kg_per_l,
                service: seconds(bin.service),
                window: self.window(day, bin.window),
                skills: self.bits(&bin.skills, bin.crew),
                threshold_must: bin.threshold_must,
                most_days: bin.most_days,
                state: match level {
                    Some(level) if level.burns => State::Fire,
                    _ if requested.contains(id) => State::Requested,
                    Some(level) if has_fallen(level) => State::Fallen,
                    _ => State::Normal,
                },
            }
        });
        all.collect()
    }

    /// How fast a bin fills: up to the tours of a day since it was seen or emptied, and from these
    /// to the next ones.
    fn filling(
        &self,
        bin: &View,
        emptied: Option<Timestamp>,
        (day, now): (Date, Timestamp),
    ) -> Filling {
        let tour = self.begin(day).max(now);
        let mean = |from: Timestamp, to: Timestamp| {
            let to = to.max(from + SignedDuration::from_hours(1));
            bin.comes(from, to) / (to.duration_since(from).as_secs_f64() / DAY_SECONDS)
        };
        let seen = if bin.synced { bin.at } else { now };
        let next = self.calendar.moment(self.calendar.after(day), 0);
        let next =
            tour + next.duration_since(self.calendar.moment(day, 0)).max(SignedDuration::ZERO);
        Filling {
            before: mean(emptied.map_or(seen, |emptied| emptied.max(seen)).min(tour), tour),
            rate: mean(tour, next),
            spread: bin.spread,
        }
    }

    /// When the first shift of a day begins.
    pub(super) fn begin(&self, day: Date) -> Timestamp {
        let begin = self.settings.vehicle.iter().map(|v| v.shift.from).min().unwrap_or(0);
        self.calendar.moment(day, self.calendar.second(day, begin))
    }

    /// When the bins can be emptied.
    pub(super) fn horizon(&self, day: Date, now: Timestamp) -> Horizon {
        let begin = self.begin(day);
        let next = self.calendar.after(day);
        let days =
            |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64() / DAY_SECONDS;
        Horizon {
            tour: days(now, begin).max(0.0),
            next: days(self.calendar.moment(day, 0), self.calendar.moment(next, 0)).max(0.0),
            next_day: Some(next.weekday()),
        }
    }

    pub(super) fn rules(&self) -> Rules {
        let plan = &self.settings;
        Rules {
            overflow: plan.overflow_cost * THOUSANDTHS,
            overflow_hour: plan.overflow_hour_cost * THOUSANDTHS,
            working_second: plan.work_hour_cost * THOUSANDTHS / HOUR_SECONDS,
            unknown_every: plan.unknown_every_days,
            ..Rules::default()
        }
    }

    /// The vehicles that can still leave at this second of the day.
    pub(super) fn vehicles(&self, day: Date, now: u32) -> Vec<Vehicle> {
        let mut fleet = self.fleet(day, now);
        fleet.retain(|vehicle| vehicle.shift.earliest < vehicle.shift.latest);
        fleet
    }

    /// All vehicles, also those whose shifts are over at this second of the day.
    pub(super) fn fleet(&self, day: Date, now: u32) -> Vec<Vehicle> {
        let all = self.settings.vehicle.iter().map(|vehicle| {
            let depot = self.settings.depot_of(vehicle);
            let shift = self.window(day, Some(vehicle.shift));
            let from = shift.earliest;
            let earliest = if now > from { now.saturating_add(LEAD) } else { from };
            let pause = vehicle.pause.as_ref().map(|pause| Pause {
                window: self.window(day, Some(self.settings.in_shifts(pause.window))),
                length: seconds(pause.length),
            });
            Vehicle {
                id: vehicle.id.clone(),
                start: depot,
                end: depot,
                shift: Window { earliest, latest: shift.latest },
                capacity: match vehicle.volume_l {
                    Some(volume) => Load { volume, mass: vehicle.mass_kg },
                    None => Load::UNBOUNDED,
                },
                aboard: Load::default(),
                daily: Load::UNBOUNDED,
                most_stops: vehicle.most_stops.unwrap_or(u32::MAX),
                most_unloadings: vehicle.most_unloadings.unwrap_or(u32::MAX),
                // a crew that has not left by then has its break before
                pause: pause.filter(|pause| earliest <= pause.window.latest),
                skills: self.bits(&vehicle.skills, vehicle.crew),
                rates: self.rates(vehicle),
                frozen: Vec::new(),
                not_before: 0,
            }
        });
        all.collect()
    }

    /// What a vehicle costs, in thousandths of the currency. For a patrol only the way counts, in
    /// a unit of its own: nobody is left out because money is worth little.
    fn rates(&self, vehicle: &VehicleSettings) -> Rates {
        if self.is_patrol() {
            let (metre, second) = (vehicle.km_cost / 1000.0, vehicle.hour_cost / HOUR_SECONDS);
            let unit = if second > 0.0 { PATROL_SECOND / second } else { 0.0 };
            return match unit > 0.0 {
                true => Rates {
                    fixed: whole((vehicle.day_cost * unit).min(PATROL_FIXED)),
                    distance: whole((metre * unit).min(PATROL_SECOND)),
                    time: PATROL_SECOND as u32,
                },
                false => Rates::DISTANCE,
            };
        }
        Rates {
            fixed: whole(vehicle.day_cost * THOUSANDTHS),
            // a thousandth of a kilometre is a metre
            distance: whole(vehicle.km_cost),
            time: whole(vehicle.hour_cost * THOUSANDTHS / HOUR_SECONDS),
        }
    }

    pub(super) fn sites(&self, day: Date) -> Vec<Site> {
        let first = self.settings.depot.len();
        let all = self.settings.site.iter().enumerate().map(|(i, site)| Site {
            id: site.id.clone(),
            place: first + i,
            window: self.window(day, site.window),
            service: seconds(site.service),
        });
        all.collect()
    }

    pub(super) fn bits(&self, words: &[String], crew: u8) -> u32 {
        let bit = |word: &String| self.skills.iter().position(|skill| skill == word);
        let bits = words.iter().filter_map(bit).map(|bit| 1 << bit.min(30));
        let two = if crew == 2 { CREW_OF_TWO } else { 0 };
        bits.fold(two, |all, bit: u32| all | bit)
    }
}

/// Whether it must be looked at where it is.
fn has_fallen(bin: &View) -> bool {
    matches!(bin.posture, Posture::Dropped | Posture::Moved | Posture::Vandalized)
}

pub(super) fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).min(Window::ALWAYS.latest)
}

/// A cost as a whole number.
fn whole(cost: f64) -> u32 {
    // clamped, so that nothing is cut off
    cost.round().clamp(0.0, 1e8) as u32
}
