//! Days that were recorded, and where the bins of the record stand.

use super::readings::{self, Readings};
use super::{Args, TRAINING};
use crate::bins::{Echo, Geometry, Inflow};
use crate::cli::plan::points::{self, More};
use crate::route::road::Position;
use crate::route::simulation::{Container, Recorded, Town, Weeks};
use crate::units::Metres;
use anyhow::Context;
use jiff::{Timestamp, tz::TimeZone};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// From the sensor to the floor, where nobody says it: as in the configuration.
const USUAL_DEPTH: f64 = 1.5;
/// Days that count, unless told: less would be luck.
const LEAST_DAYS: usize = 7;
/// More is no record, but a clock that was wrong.
const MOST_DAYS: i64 = 3_650;
/// More bins would make a matrix that takes too long.
const MOST_BINS: usize = 2_000;
const DAY: i64 = 86_400;

/// A record that makes sense.
pub(super) struct History {
    pub(super) town: Town,
    bins: Vec<Recorded>,
    weekday: usize,
    /// Whole days.
    pub(super) days: usize,
}

/// A place with what is known of the bin there.
struct Place {
    position: Position,
    geometry: Geometry,
    volume: f64,
}

impl History {
    /// Reads both files; or why that makes no record.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(args: &Args, record: &Path) -> anyhow::Result<Result<Self, String>> {
        let bytes = |path: &Path| {
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let places = args.places.as_deref().unwrap_or(Path::new(""));
        let (points, readings) = (bytes(places)?, bytes(record)?);
        let named = |path: &Path, fault: points::Fault| {
            format!("{}:{}: {}", path.display(), fault.line, fault.what)
        };
        let history = points::read_more(&points, ["depth_m", "dead_zone_m", "volume_l"])
            .map_err(|fault| named(places, fault))
            .and_then(|points| known(points).map_err(|why| format!("{}: {why}", places.display())))
            .and_then(|known| {
                let readings = readings::read(&readings).map_err(|fault| named(record, fault))?;
                let town = town(args, places, &known, &readings)?;
                Self::new(town, &known, readings)
                    .map_err(|why| format!("{}: {why}", record.display()))
            });
        Ok(history)
    }

    fn new(
        town: Town,
        places: &HashMap<String, Place>,
        readings: Readings,
    ) -> Result<Self, String> {
        let (first, last) = readings.span.ok_or("there are no readings with a distance")?;
        let begin = (first.as_second() + DAY - 1).div_euclid(DAY);
        let days = last.as_second().div_euclid(DAY) - begin;
        if days > MOST_DAYS {
            return Err(format!(
                "from {first} to {last} are more than {MOST_DAYS} days: was a clock wrong?"
            ));
        }
        let days = days.max(0) as usize;
        let from = Timestamp::from_second(begin * DAY).map_err(|error| error.to_string())?;
        let weekday = from.to_zoned(TimeZone::UTC).weekday().to_monday_zero_offset();
        let mut bins = Vec::new();
        if days > 0 {
            for (id, heard) in &readings.bins {
                let geometry = &places[id].geometry;
                let levels: Vec<_> = heard
                    .iter()
                    .filter_map(|(time, distance)| {
                        Some((*time, geometry.fill(geometry.seen(Echo::Distance(*distance))?)))
                    })
                    .collect();
                let inflow = Inflow::new(&levels, from, days * 24)
                    .map_err(|unknown| format!("bin {id:?}: {unknown}; leave it out"))?;
                let hour = |time: &Timestamp| (time.as_second() - begin * DAY).div_euclid(3600);
                let heard = levels
                    .iter()
                    .filter_map(|(time, fill)| Some((usize::try_from(hour(time)).ok()?, fill.0)));
                bins.push(Recorded {
                    heard: heard.collect(),
                    comes: inflow.comes,
                    level: inflow.level,
                });
            }
        }
        Ok(Self { town, bins, weekday: weekday as usize, days })
    }

    /// How many days count: the last ones, a third of what is not needed to warm up.
    pub(super) fn counted(&self, args: &Args) -> Result<usize, String> {
        let warm_up = args.warm_up as usize;
        let third = self.days.saturating_sub(warm_up) / (TRAINING + 1);
        let days = args.days.map_or(third.max(LEAST_DAYS), |days| days as usize);
        let needed = warm_up + 2 * days;
        if self.days < needed {
            return Err(format!(
                "its {} whole days are too few: {warm_up} to warm up, {days} that count and as \
                 many before them to turn the knobs on make {needed}",
                self.days
            ));
        }
        Ok(days)
    }

    /// Some of its days.
    pub(super) fn weeks(&self, days: Range<usize>) -> Weeks {
        Weeks::recorded(&self.bins, days, self.weekday)
    }
}

fn known(points: Vec<More<3>>) -> Result<HashMap<String, Place>, String> {
    let places = points.into_iter().map(|(point, [depth, dead_zone, volume])| {
        let (depth, dead_zone) = (depth.unwrap_or(USUAL_DEPTH), dead_zone.unwrap_or_default());
        if dead_zone >= depth {
            return Err(format!("point {:?}: dead_zone_m must be less than depth_m", point.id));
        }
        let place = Place {
            position: point.position,
            geometry: Geometry::straight(Metres(depth), Metres(dead_zone)),
            volume: volume.unwrap_or(Container::USUAL_VOLUME),
        };
        Ok((point.id, place))
    });
    places.collect()
}

fn town(
    args: &Args,
    file: &Path,
    places: &HashMap<String, Place>,
    readings: &Readings,
) -> Result<Town, String> {
    let named = |what: &str, id: &str| {
        let place = places.get(id);
        place.ok_or_else(|| format!("{}: {what} {id:?} has no place there", file.display()))
    };
    let depot = args.depot.as_deref().unwrap_or_default();
    let site = args.site.as_deref().unwrap_or(depot);
    let mut town = Town {
        places: vec![named("the depot", depot)?.position, named("the site", site)?.position],
        containers: Vec::new(),
    };
    for id in readings.bins.keys() {
        let place = named("bin", id)?;
        town.places.push(place.position);
        town.containers.push(Container::new(id.clone(), place.volume));
    }
    if town.containers.len() > MOST_BINS {
        return Err(format!("these are more than {MOST_BINS} bins"));
    }
    Ok(town)
}
