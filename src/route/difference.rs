//! What is different between two plans.

use super::sheet::Sheet;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is different from another plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The day of the tours of the other.
    pub day: Date,
    /// When the other was made.
    pub made_at: Timestamp,
    /// Bins that it does not visit.
    pub added: Vec<String>,
    /// Bins that only it visits.
    pub removed: Vec<String>,
    /// Bins of both that another vehicle visits, or the same one earlier or later among those that
    /// stay in their order.
    pub moved: Vec<String>,
    /// How many kilometres more it is.
    pub km: f64,
}

impl Difference {
    /// What is different in `new` from `old`.
    #[must_use]
    pub fn between(old: &Sheet, new: &Sheet) -> Self {
        let (before, after) = (places(old), places(new));
        let added = after.keys().filter(|bin| !before.contains_key(*bin));
        let removed = before.keys().filter(|bin| !after.contains_key(*bin));
        let mut stays = BTreeSet::new();
        for tour in &new.routes {
            let here = tour.stops.iter().filter_map(|stop| {
                let (vehicle, position) = before.get(stop.id.as_str())?;
                (*vehicle == tour.vehicle).then_some((*position, stop.id.as_str()))
            });
            stays.extend(rising(&here.collect::<Vec<_>>()));
        }
        let moved = after.keys().filter(|bin| before.contains_key(*bin) && !stays.contains(*bin));
        let names = |bins: &mut dyn Iterator<Item = &&str>| bins.map(|b| (*b).to_owned()).collect();
        Self {
            day: old.day,
            made_at: old.made_at,
            added: names(&mut { added }),
            removed: names(&mut { removed }),
            moved: names(&mut { moved }),
            km: (new.metres() as f64 - old.metres() as f64) / 1000.0,
        }
    }
}

/// Each bin's vehicle and position on its tour.
fn places(sheet: &Sheet) -> BTreeMap<&str, (&str, usize)> {
    let tours = sheet.routes.iter().flat_map(|tour| {
        tour.stops.iter().enumerate().map(|(i, stop)| (stop.id.as_str(), (&*tour.vehicle, i)))
    });
    tours.collect()
}

/// The names of a longest sequence whose numbers rise.
fn rising<'a>(list: &[(usize, &'a str)]) -> Vec<&'a str> {
    // the end of the best sequence of each length, and what stands before each entry in its own
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(list.len());
    for (i, (number, _)) in list.iter().enumerate() {
        let length = ends.partition_point(|end| list[*end].0 < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(i);
        } else {
            ends[length] = i;
        }
    }
    let mut names = Vec::new();
    let mut at = ends.last().copied();
    while let Some(i) = at {
        names.push(list[i].1);
        at = before[i];
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::sheet::sample;
    use super::*;

    /// A plan of these tours.
    fn sheet(tours: &[(&str, &[&str])], metres: u64) -> Sheet {
        let mut sheet = sample::sheet();
        let like = sheet.routes.remove(0);
        for (vehicle, bins) in tours {
            let mut tour = like.clone();
            tour.vehicle = (*vehicle).into();
            tour.metres = metres;
            let stop = like.stops[0].clone();
            let stops = bins
                .iter()
                .map(|id| super::super::sheet::TourStop { id: (*id).into(), ..stop.clone() });
            tour.stops = stops.collect();
            sheet.routes.push(tour);
        }
        sheet
    }

    #[test]
    fn added_removed_and_moved_bins_are_told() {
        let old = sheet(&[("1", &["a", "b", "c", "d"]), ("2", &["x", "y"])], 1000);
        let new = sheet(&[("1", &["a", "d", "b", "c", "n"]), ("2", &["x", "e"])], 3000);
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.added, ["e", "n"]);
        assert_eq!(difference.removed, ["y"]);
        assert_eq!(difference.moved, ["d"], "only the one that changed its place");
        assert!((difference.km - 4.0).abs() < 1e-9);
        let other_vehicle = sheet(&[("2", &["a"])], 0);
        assert_eq!(Difference::between(&old, &other_vehicle).moved, ["a"]);
        let same = Difference::between(&old, &old);
        assert_eq!((same.added.len(), same.removed.len(), same.moved.len()), (0, 0, 0));
    }
}
