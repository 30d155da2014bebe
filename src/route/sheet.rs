//! A plan for those who drive and those who plan: everything with names, places, times, and
//! reasons. It is what is published, kept, and asked for.

use super::difference::Difference;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What whoever shows ways of an OpenStreetMap extract has to say.
pub const ATTRIBUTION: &str = "© OpenStreetMap contributors";

/// A plan of one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// The plan's name.
    pub name: String,
    /// The day of its tours, where they are driven.
    pub day: Date,
    /// The time zone of that day, by its name in the IANA database.
    pub timezone: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who made it.
    pub origin: Origin,
    /// Why it was made.
    pub cause: Cause,
    /// Whether ways are straight lines × 1.4: such a plan tells a third to a half too few
    /// kilometres.
    pub estimated: bool,
    /// Where chance began; not of a plan from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seed: Option<u64>,
    /// How many moves were searched; not of a plan from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub iterations: Option<u64>,
    /// What it costs.
    pub cost: Cost,
    /// Who goes where.
    pub routes: Vec<Tour>,
    /// Bins that are not emptied, and why.
    pub left_out: Vec<LeftOut>,
    /// What the day lacks.
    pub shortfalls: Vec<Lack>,
    /// What it comes to.
    pub kpi: Kpi,
    /// What is different from the plan that held before, if there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub difference: Option<Difference>,
    /// Whose map was used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attribution: Option<String>,
}

/// Who made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// This gateway.
    Gateway,
    /// The cloud, by a command.
    Cloud,
}

/// Why a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// It was time.
    Nightly,
    /// Somebody asked for it.
    Command,
    /// A bin that the plan before left out must be emptied.
    Full,
}

/// What a plan costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Driving and vehicles, and the expected cost of what is left out.
    pub total: f64,
    /// The expected cost of what is left out.
    pub left_out: f64,
    /// In which currency.
    pub unit: String,
}

/// What one vehicle does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tour {
    /// Its name.
    pub vehicle: String,
    /// When it leaves; all arrivals are reckoned from this.
    pub leave_at: Timestamp,
    /// When it could leave at the latest and still be back in time.
    pub leave_by: Timestamp,
    /// When it is back.
    pub back_at: Timestamp,
    /// How far it drives.
    pub metres: u64,
    /// How long it is away.
    pub seconds: u64,
    /// How long of this it drives.
    pub driving: u64,
    /// Where it starts: latitude and longitude.
    pub start: [f64; 2],
    /// The bins that it empties.
    pub stops: Vec<TourStop>,
    /// Where it unloads. `order` counts stops, unloadings and the break together, from 1.
    pub unloadings: Vec<Unloading>,
    /// The crew's break.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pause: Option<TourPause>,
    /// The way that it drives.
    pub geometry: LineString,
}

/// A bin on a tour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TourStop {
    /// Its name.
    pub id: String,
    /// Its latitude in degrees.
    pub lat: f64,
    /// Its longitude in degrees.
    pub lon: f64,
    /// Its place on the tour.
    pub order: usize,
    /// When the vehicle is there.
    pub arrival: Timestamp,
    /// When the work begins, if the vehicle has to wait for that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub begin: Option<Timestamp>,
    /// The level that is expected then, if there is one: 0 is empty, 1 is full.
    pub level: Option<f64>,
    /// Why it is visited.
    pub reason: String,
    /// How long it takes, in seconds.
    pub service: u32,
    /// What is expected to be in it, in litres and kilograms.
    pub load: [u32; 2],
}

impl TourStop {
    /// When the work begins.
    #[must_use]
    pub fn begins(&self) -> Timestamp {
        self.begin.unwrap_or(self.arrival)
    }
}

/// An unloading on a tour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Unloading {
    /// The site.
    pub site: String,
    /// Its latitude in degrees.
    pub lat: f64,
    /// Its longitude in degrees.
    pub lon: f64,
    /// Its place on the tour.
    pub order: usize,
    /// When the vehicle is there.
    pub arrival: Timestamp,
}

/// A break on a tour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TourPause {
    /// Its place on the tour.
    pub order: usize,
    /// When it begins.
    pub at: Timestamp,
}

/// A line of GeoJSON (RFC 7946): longitude and latitude of each place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub struct LineString {
    /// The places.
    pub coordinates: Vec<[f64; 2]>,
}

/// A bin that is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Its name.
    pub id: String,
    /// Its latitude in degrees, if it has a position.
    pub lat: Option<f64>,
    /// Its longitude in degrees.
    pub lon: Option<f64>,
    /// The level that is expected, if there is one.
    pub level: Option<f64>,
    /// Whether it should have been emptied.
    pub must: bool,
    /// Why it is left out.
    pub reason: String,
}

/// Something that a day lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Lack {
    /// Of which kind it is: a stable word.
    pub kind: String,
    /// In English.
    pub text: String,
    /// In Swedish.
    pub text_sv: String,
}

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Kpi {
    /// All ways together, in kilometres.
    pub km: f64,
    /// All tours together, in hours.
    pub hours: f64,
    /// How many bins are emptied.
    pub stops: usize,
    /// How many bins are left out.
    pub left_out: usize,
    /// The mean expected level of those that are emptied, if it is known.
    pub mean_level: Option<f64>,
    /// How many of those that are left out are expected to overflow before the next tours.
    pub overflow_risk: f64,
    /// What would be driven if all bins were visited that can be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub all: Option<Instead>,
    /// What would be driven if the bins that are full enough were chosen first, and then the way
    /// around them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub threshold: Option<Instead>,
}

/// Tours that were not made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Instead {
    /// All ways together, in kilometres.
    pub km: f64,
    /// All tours together, in hours.
    pub hours: f64,
    /// How many bins are emptied.
    pub stops: usize,
    /// How many of those that are left out are expected to overflow before the next tours.
    pub overflow_risk: f64,
    /// How many bins that must be emptied are not.
    pub missing: usize,
}

impl Sheet {
    /// Whether it empties this bin.
    #[must_use]
    pub fn visits(&self, bin: &str) -> bool {
        self.routes.iter().flat_map(|tour| &tour.stops).any(|stop| stop.id == bin)
    }

    /// All ways together, in metres.
    #[must_use]
    pub fn metres(&self) -> u64 {
        self.routes.iter().map(|tour| tour.metres).sum()
    }

    /// When the last vehicle is back; none if nobody leaves.
    #[must_use]
    pub fn back_at(&self) -> Option<Timestamp> {
        self.routes.iter().map(|tour| tour.back_at).max()
    }
}

/// What a vehicle does next, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing<'a> {
    /// A bin is emptied.
    Stop(&'a str),
    /// The vehicle is unloaded.
    Unloading(&'a str),
    /// The crew has a break.
    Pause,
}

impl Tour {
    /// All that it does, in order, and when it begins.
    #[must_use]
    pub fn doings(&self) -> Vec<(Timestamp, Doing<'_>)> {
        let stops = self.stops.iter().map(|s| (s.order, s.begins(), Doing::Stop(s.id.as_str())));
        let unloadings =
            self.unloadings.iter().map(|u| (u.order, u.arrival, Doing::Unloading(u.site.as_str())));
        let pause = self.pause.iter().map(|p| (p.order, p.at, Doing::Pause));
        let mut all: Vec<_> = stops.chain(unloadings).chain(pause).collect();
        all.sort_by_key(|(order, ..)| *order);
        all.into_iter().map(|(_, at, doing)| (at, doing)).collect()
    }

    /// Leaves out places of the way that are hardly off the line: Douglas and Peucker (1973), with
    /// a tolerance in degrees of latitude.
    pub fn thin(&mut self, tolerance: f64) {
        let all = &self.geometry.coordinates;
        let mut keep = vec![false; all.len()];
        let mut open = vec![(0, all.len().saturating_sub(1))];
        while let Some((first, last)) = open.pop() {
            if all.is_empty() {
                break;
            }
            (keep[first], keep[last]) = (true, true);
            let off = |i: usize| (i, beside(all[i], all[first], all[last]));
            let farthest = (first + 1..last).map(off).max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((middle, distance)) = farthest
                && distance > tolerance
            {
                open.extend([(first, middle), (middle, last)]);
            }
        }
        let mut kept = keep.into_iter();
        self.geometry.coordinates.retain(|_| kept.next().unwrap_or(true));
    }
}

/// How far a place is off a line, in degrees of latitude.
fn beside(place: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let narrow = from[1].to_radians().cos();
    let flat = |p: [f64; 2]| ((p[0] - from[0]) * narrow, p[1] - from[1]);
    let ((x, y), (along_x, along_y)) = (flat(place), flat(to));
    let square = along_x * along_x + along_y * along_y;
    let share =
        if square > 0.0 { ((x * along_x + y * along_y) / square).clamp(0.0, 1.0) } else { 0.0 };
    (x - share * along_x).hypot(y - share * along_y)
}

#[cfg(test)]
pub(crate) mod sample {
    use super::*;

    /// A plan with one tour: two bins with names that hurt, an unloading and a break.
    pub(crate) fn sheet() -> Sheet {
        let at = |minute: i64| {
            let begin: Timestamp = "2026-11-23T05:00:00Z".parse().expect("a time");
            begin.checked_add(jiff::SignedDuration::from_mins(minute)).expect("in range")
        };
        let stop = |id: &str, order, minute, lat, lon| TourStop {
            id: id.into(),
            lat,
            lon,
            order,
            arrival: at(minute),
            begin: None,
            level: Some(0.9),
            reason: "must: 90 % full, its limit is 85 %".into(),
            service: 180,
            load: [594, 59],
        };
        Sheet {
            name: "tours".into(),
            day: "2026-11-23".parse().expect("a day"),
            timezone: "Europe/Stockholm".into(),
            made_at: at(-90),
            origin: Origin::Gateway,
            cause: Cause::Nightly,
            estimated: false,
            seed: Some(1),
            iterations: Some(1000),
            cost: Cost { total: 123.4, left_out: 3.4, unit: "SEK".into() },
            routes: vec![Tour {
                vehicle: "truck <1> & \"co\"".into(),
                leave_at: at(0),
                leave_by: at(5),
                back_at: at(100),
                metres: 12_345,
                seconds: 6000,
                driving: 3000,
                start: [59.3, 18.0],
                stops: vec![stop("a&b", 1, 10, 59.31, 18.01), stop("]]>", 3, 40, 59.32, 18.02)],
                unloadings: vec![Unloading {
                    site: "tip".into(),
                    lat: 59.33,
                    lon: 18.03,
                    order: 4,
                    arrival: at(60),
                }],
                pause: Some(TourPause { order: 2, at: at(15) }),
                geometry: LineString { coordinates: vec![[18.0, 59.3], [18.01, 59.31]] },
            }],
            left_out: vec![LeftOut {
                id: "c".into(),
                lat: Some(59.34),
                lon: Some(18.04),
                level: Some(0.1),
                must: false,
                reason: "10 % full, full in 9 days".into(),
            }],
            shortfalls: vec![],
            kpi: Kpi::default(),
            difference: None,
            attribution: Some(ATTRIBUTION.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vehicle_does_is_told_in_order() {
        let sheet = sample::sheet();
        let doings: Vec<_> = sheet.routes[0].doings().into_iter().map(|(_, doing)| doing).collect();
        let expected =
            [Doing::Stop("a&b"), Doing::Pause, Doing::Stop("]]>"), Doing::Unloading("tip")];
        assert_eq!(doings, expected);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let sheet = sample::sheet();
        let text = serde_json::to_string(&sheet).expect("JSON");
        assert_eq!(serde_json::from_str::<Sheet>(&text).expect("reads"), sheet);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["routes"][0]["geometry"]["type"], "LineString");
        assert_eq!(value["leftOut"][0]["id"], "c");
    }

    #[test]
    fn a_thinned_line_keeps_its_corners() {
        let mut tour = sample::sheet().routes.remove(0);
        tour.geometry.coordinates =
            vec![[18.0, 59.0], [18.05, 59.000_001], [18.1, 59.0], [18.1, 59.05], [18.1, 59.1]];
        tour.thin(1e-5);
        assert_eq!(tour.geometry.coordinates, [[18.0, 59.0], [18.1, 59.0], [18.1, 59.1]]);
        tour.geometry.coordinates.clear();
        tour.thin(1e-5);
    }
}
