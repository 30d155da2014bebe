//! Vehicles as the solver sees them: what they are, and what they have done already.

use super::super::plan::Visit;
use super::super::problem::{Problem, Vehicle};
use super::model::signed;

/// The crew's break, in the solver's numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    pub(super) earliest: i32,
    pub(super) latest: i32,
    pub(super) length: i32,
}

/// A vehicle, in the solver's numbers; what it has done already is counted in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crew {
    /// The row of [`Model::costs`] that it pays.
    pub(super) tariff: u32,
    /// Vehicles of one class are alike in all that counts: an empty one stands for all of them.
    pub(super) class: u32,
    /// What it costs to send it.
    pub(super) opening: i32,
    pub(super) capacity: [i32; 2],
    /// What is aboard when the solver's part of the route begins.
    pub(super) aboard: [i32; 2],
    pub(super) daily: [i32; 2],
    pub(super) most_stops: i32,
    pub(super) most_sites: i32,
    pub(super) skills: u32,
    pub(super) pause: Option<Pause>,
    /// When it left on the trip that it is on.
    pub(super) left: i32,
    /// It is under way: it has to come home, whatever else it does.
    pub(super) under_way: bool,
}

/// Vehicles by what the solver can tell them apart by.
pub(super) struct Alike<'p>(pub(super) &'p Vehicle);

impl PartialEq for Alike<'_> {
    fn eq(&self, other: &Self) -> bool {
        let facts = |vehicle: &Vehicle| {
            (
                (vehicle.start, vehicle.end, vehicle.shift, vehicle.capacity, vehicle.aboard),
                (vehicle.daily, vehicle.most_stops, vehicle.most_unloadings),
                (vehicle.pause, vehicle.skills, vehicle.rates, vehicle.not_before),
            )
        };
        facts(self.0) == facts(other.0) && self.0.frozen.is_empty() && other.0.frozen.is_empty()
    }
}

/// What a vehicle has done when the solver's part of its route begins.
pub(super) struct Done {
    pub(super) place: usize,
    pub(super) until: i32,
    aboard: [i32; 2],
    today: [i32; 2],
    stops: i32,
    sites: i32,
    paused: bool,
    left: i32,
}

impl Done {
    pub(super) fn new(problem: &Problem, vehicle: &Vehicle) -> Self {
        let mut done = Self {
            place: vehicle.start,
            until: signed(vehicle.shift.earliest),
            aboard: [signed(vehicle.aboard.volume), signed(vehicle.aboard.mass)],
            today: [0, 0],
            stops: 0,
            sites: 0,
            paused: false,
            left: signed(vehicle.shift.earliest),
        };
        for visit in &vehicle.frozen {
            let (place, window, service) = match *visit {
                Visit::Stop(stop) => {
                    let stop = &problem.stops[stop];
                    for (sum, load) in [stop.load.volume, stop.load.mass].into_iter().enumerate() {
                        done.aboard[sum] = done.aboard[sum].saturating_add(signed(load));
                        done.today[sum] = done.today[sum].saturating_add(signed(load));
                    }
                    done.stops += 1;
                    (stop.place, stop.window, stop.service)
                }
                Visit::Site(site) => {
                    let site = &problem.sites[site];
                    done.aboard = [0, 0];
                    done.sites += 1;
                    (site.place, site.window, site.service)
                }
                Visit::Pause => {
                    done.paused = true;
                    if let Some(pause) = vehicle.pause {
                        done.until =
                            done.until.max(signed(pause.window.earliest)) + signed(pause.length);
                    }
                    continue;
                }
            };
            let arrival = done.until + signed(problem.matrix.time(done.place, place));
            done.until = arrival.max(signed(window.earliest)) + signed(service);
            done.place = place;
            if let Visit::Site(_) = visit {
                done.left = done.until;
            }
        }
        done.until = done.until.max(signed(vehicle.not_before));
        if let None | Some(Visit::Site(_)) = vehicle.frozen.last() {
            done.left = done.left.max(signed(vehicle.not_before));
        }
        done
    }

    /// The vehicle as it is from here on; its tariff and its class are for the caller to say.
    pub(super) fn crew(&self, vehicle: &Vehicle) -> Crew {
        let left = |whole: u32, used: i32| signed(whole).saturating_sub(used);
        let pause = vehicle
            .pause
            .filter(|pause| !self.paused && vehicle.shift.latest > pause.window.latest);
        Crew {
            tariff: 0,
            class: 0,
            opening: if vehicle.frozen.is_empty() { signed(vehicle.rates.fixed) } else { 0 },
            capacity: [signed(vehicle.capacity.volume), signed(vehicle.capacity.mass)],
            aboard: self.aboard,
            daily: [
                left(vehicle.daily.volume, self.today[0]),
                left(vehicle.daily.mass, self.today[1]),
            ],
            most_stops: left(vehicle.most_stops, self.stops),
            most_sites: left(vehicle.most_unloadings, self.sites),
            skills: vehicle.skills,
            pause: pause.map(|pause| Pause {
                earliest: signed(pause.window.earliest),
                latest: signed(pause.window.latest),
                length: signed(pause.length),
            }),
            left: self.left,
            under_way: !vehicle.frozen.is_empty(),
        }
    }
}
