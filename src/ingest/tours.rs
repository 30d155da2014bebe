//! What the loop does for the tours: it keeps the levels of bins, and hands orders on.

use crate::bins::{Geometry, Input, Level};
use crate::clock::{ClockQuality, Moment};
use crate::planning::{Desk, Order};
use crate::store::{Room, State};
use crate::units::{Degrees, Metres, Ratio, Reading};
use crate::upstream::command::{Code, Fault, Planning};
use std::collections::{HashMap, HashSet};

/// Who plans looks again when a bin will be overfull in so many days: no tours are farther apart
/// in most towns.
const SOON_DAYS: f64 = 4.0;

/// A tenant's bins, and who makes its plans.
#[derive(Debug, Default)]
pub struct Tours {
    /// How full its bins are.
    pub bins: Levels,
    /// Who plans.
    pub desk: Desk,
    /// The commands that wait for a plan. No more than the desk has room for.
    orders: HashSet<String>,
}

impl Tours {
    /// These bins, planned there.
    pub fn new(bins: Levels, desk: Desk) -> Self {
        Self { bins, desk, orders: HashSet::new() }
    }

    /// Whether this command waits for its plan, and so is among the orders that are kept.
    pub(super) fn ordered(&self, id: &str) -> bool {
        self.orders.contains(id)
    }

    pub(super) fn order(&mut self, id: String, planning: Planning) -> Result<(), Fault> {
        if !self.desk.has(&planning.name) {
            let message = format!("this tenant has no plan {}", planning.name);
            return Err(Fault { code: Code::UnknownPlan, message });
        }
        let order = Order::Command { id: id.clone(), planning };
        if !self.desk.pass(order) {
            let message = "too many plans are waiting to be made; send it again".to_owned();
            return Err(Fault { code: Code::Busy, message });
        }
        self.orders.insert(id);
        Ok(())
    }

    pub(super) fn answered(&mut self, id: &str) {
        self.orders.remove(id);
    }
}

/// How full a tenant's bins are, by their names.
#[derive(Debug, Default)]
pub struct Levels {
    all: HashMap<String, Level>,
    /// Where their sensors hang, and from which level on they must be emptied.
    bins: HashMap<String, (Geometry, Ratio)>,
}

/// What an uplink changes.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) bin: String,
    /// What was known before.
    pub(super) before: Option<Level>,
    pub(super) state: State,
    /// Whether it must be emptied, or will have to be before long.
    pub(super) full: bool,
}

impl Levels {
    /// The bins with the places of their sensors and the levels from which on they must be
    /// emptied, and what is remembered of them. What cannot be read is forgotten.
    pub fn new(
        bins: HashMap<String, (Geometry, Ratio)>,
        remembered: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let known = |(bin, body): (String, String)| Some((bin, serde_json::from_str(&body).ok()?));
        Self { all: remembered.into_iter().filter_map(known).collect(), bins }
    }

    /// All levels that are known.
    #[must_use]
    pub fn all(&self) -> &HashMap<String, Level> {
        &self.all
    }

    /// Takes the readings of one uplink.
    pub(super) fn offer(&mut self, bin: &str, readings: &[Reading], at: Moment) -> Option<Change> {
        let (geometry, must) = self.bins.get(bin)?;
        let synced = at.quality == ClockQuality::Synced;
        let fill = geometry.measured(&Input::of(readings, at.wall, synced))?;
        let before = self.all.get(bin).cloned();
        let level = match self.all.get_mut(bin) {
            Some(level) => {
                level.offer(fill, at.wall, synced);
                level
            }
            None => self.all.entry(bin.to_owned()).or_insert(Level::first(fill, at.wall, synced)),
        };
        let body = serde_json::to_string(level).expect("a level is a plain struct");
        let full = level.fill.0 >= must.0 || level.fill.0 + level.rate() * SOON_DAYS >= 1.0;
        let state = State { room: Room::Bins, key: bin.to_owned(), body };
        Some(Change { bin: bin.to_owned(), before, state, full })
    }

    /// What the disk did not take was never known.
    pub(super) fn take_back(&mut self, bin: String, before: Option<Level>) {
        match before {
            Some(level) => self.all.insert(bin, level),
            None => self.all.remove(&bin),
        };
    }
}

/// From a bin's settings.
impl From<&crate::config::BinSettings> for Geometry {
    fn from(bin: &crate::config::BinSettings) -> Self {
        Self {
            depth: Metres(bin.depth_m),
            dead_zone: Metres(bin.dead_zone_m),
            angle: Degrees(bin.sensor_angle_deg),
            volumes: bin.volumes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Measured, Quality, Quantity};
    use std::time::Duration;

    fn at(second: i64) -> Moment {
        let wall = jiff::Timestamp::from_second(1_700_000_000 + second).expect("in range");
        Moment { wall, quality: ClockQuality::Synced, monotonic: Duration::ZERO }
    }

    fn distance(metres: f64) -> [Reading; 1] {
        let measured = Some(Measured::Distance(Metres(metres)));
        let (name, quantity) = ("distance".to_owned(), Quantity::Distance);
        [Reading { name, quantity, measured, quality: Quality::Good }]
    }

    #[test]
    fn a_level_is_remembered_and_what_the_disk_did_not_take_was_never_known() {
        let geometry = Geometry::straight(Metres(1.5), Metres(0.0));
        let bins = || HashMap::from([("7".to_owned(), (geometry.clone(), Ratio(0.85)))]);
        let mut levels = Levels::new(bins(), []);
        assert!(levels.offer("8", &distance(0.1), at(0)).is_none(), "nobody's bin");
        assert!(levels.offer("7", &[], at(0)).is_none(), "nothing said");
        let first = levels.offer("7", &distance(0.75), at(0)).expect("a level");
        assert!(first.before.is_none() && !first.full);
        let second = levels.offer("7", &distance(0.15), at(3600)).expect("a level");
        assert!(second.full);

        let remembered = Levels::new(bins(), [(second.state.key.clone(), second.state.body)]);
        assert_eq!(remembered.all(), levels.all());
        let broken = Levels::new(bins(), [("7".to_owned(), "{".to_owned())]);
        assert!(broken.all().is_empty(), "what cannot be read is forgotten");

        levels.take_back(second.bin, second.before);
        assert_eq!(levels.all()["7"].fill, Ratio(0.5));
        levels.take_back(first.bin, first.before);
        assert!(levels.all().is_empty());
    }
}
