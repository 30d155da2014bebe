//! What is remembered of a plan.

use super::PlanningError;
use super::draft::{Calibration, Task};
use super::scheme::Scheme;
use crate::bins::Level;
use crate::route::given::NameError;
use crate::route::sheet::Sheet;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is remembered of a plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    /// The plan that holds.
    pub(crate) sheet: Option<Arc<Sheet>>,
    /// The last day whose nightly plan was made, or came from the cloud.
    pub(crate) nightly: Option<Date>,
    pub(super) calibration: Option<Calibration>,
    /// What somebody has asked for, until a plan has been there.
    #[serde(default)]
    pub(super) asked: Vec<Asked>,
    /// When plans visited the bins last, of those plans that do not hold any more.
    #[serde(default)]
    visited: BTreeMap<String, Visited>,
}

/// Something that has to be visited because somebody has asked for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    /// The stop that it is: a bin by its name; a visit by its name, `!` and a number, because the
    /// one that was agreed stays what it was.
    pub(super) stop: String,
    /// The bin or the visit.
    pub(super) of: String,
    /// Since when.
    pub(super) since: Timestamp,
}

impl Asked {
    /// The visit of which such a stop is an urgent one.
    pub(super) fn visit_of(stop: &str) -> Option<&str> {
        Some(stop.rsplit_once('!')?.0)
    }
}

/// A visit of a plan. Nobody says whether it was made, so it is believed until a level says no.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visited {
    /// When the vehicle was there.
    pub(super) at: Timestamp,
    /// The level that was expected then, if there was one.
    level: Option<f64>,
}

impl Visited {
    /// A level that is so much lower than that at the visit shows that it was made.
    const FALL: f64 = 0.1;

    /// Whether this level shows that the bin was not emptied: it is as full as it was, and fuller
    /// than it can have become since.
    pub(super) fn denied_by(self, level: &Level) -> bool {
        let days = level.at.duration_since(self.at).as_secs_f64() / 86_400.0;
        let fill = level.fill.0;
        level.synced
            && days > 0.0
            && fill > level.rate() * days + Self::FALL
            && self.level.is_some_and(|then| fill >= then.min(1.0) - Self::FALL)
    }
}

impl Kept {
    /// The last visit up to now of each bin, by this plan and those before it.
    pub(super) fn visits(&self, now: Timestamp) -> BTreeMap<String, Visited> {
        let mut all = self.visited.clone();
        all.retain(|_, visit| visit.at <= now);
        let tours = self.sheet.iter().flat_map(|sheet| &sheet.routes);
        for stop in tours.flat_map(|tour| &tour.stops).filter(|stop| stop.arrival <= now) {
            let visit = Visited { at: stop.arrival, level: stop.level };
            let last = all.entry(stop.id.clone()).or_insert(visit);
            if last.at < visit.at {
                *last = visit;
            }
        }
        all
    }

    /// With what is asked for by this task, and without what is not asked for any more or where a
    /// plan has been since.
    pub(super) fn with(&self, task: &Task, scheme: &Scheme) -> Result<Self, PlanningError> {
        let mut kept = self.clone();
        let unknown = |name: &&String| !scheme.has(name);
        if let Some(name) = task.urgent.iter().chain(&task.withdrawn).find(unknown) {
            return Err(NameError::Stop(name.clone()).into());
        }
        let visits = self.visits(task.now);
        let open = |asked: &Asked| visits.get(&asked.stop).is_none_or(|at| at.at < asked.since);
        kept.asked.retain(|asked| {
            open(asked) && scheme.has(&asked.of) && !task.withdrawn.contains(&asked.of)
        });
        for of in &task.urgent {
            // who asks twice has asked at the first time
            if kept.asked.iter().all(|asked| asked.of != *of) {
                let stop = if scheme.is_patrol() { self.urgent_stop(of) } else { of.clone() };
                kept.asked.push(Asked { stop, of: of.clone(), since: task.now });
            }
        }
        Ok(kept)
    }

    /// A name for an urgent visit that the plan has not used.
    fn urgent_stop(&self, of: &str) -> String {
        let stops = self.sheet.iter().flat_map(|sheet| sheet.routes.iter().flat_map(|t| &t.stops));
        let ours = stops.filter(|stop| Asked::visit_of(&stop.id) == Some(of));
        let numbers = ours.filter_map(|stop| stop.id.rsplit_once('!')?.1.parse::<u32>().ok());
        format!("{of}!{}", numbers.max().unwrap_or(0).saturating_add(1))
    }

    /// Puts a plan in the place of the one that held. Of bins that are not `known` any more no
    /// visits are remembered.
    pub(super) fn replace(
        &mut self,
        sheet: Arc<Sheet>,
        now: Timestamp,
        known: impl Fn(&str) -> bool,
    ) {
        self.visited = self.visits(now);
        self.visited.retain(|bin, _| known(bin));
        self.sheet = Some(sheet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::sheet::sample;
    use crate::units::Ratio;

    #[test]
    fn a_visit_of_a_plan_is_remembered_when_its_time_is_past() {
        let sheet = Arc::new(sample::sheet());
        let stops = &sheet.routes[0].stops;
        let mut kept = Kept { sheet: Some(Arc::clone(&sheet)), ..Kept::default() };
        let middle = stops[0].arrival;
        assert_eq!(kept.visits(middle).into_keys().collect::<Vec<_>>(), ["a&b"]);
        let later = stops[1].arrival;
        let mut empty = sample::sheet();
        empty.routes.clear();
        kept.replace(Arc::new(empty), later, |bin| bin == "a&b");
        let text = serde_json::to_string(&kept).expect("JSON");
        let kept: Kept = serde_json::from_str(&text).expect("reads");
        let all = kept.visits(later);
        assert_eq!(all.len(), 1, "another bin is not there any more");
        assert_eq!(all["a&b"].at, middle);
        assert!(kept.visits(Timestamp::UNIX_EPOCH).is_empty(), "a clock that was set back");
        let old: Kept = serde_json::from_str(r#"{"sheet":null,"nightly":null}"#).expect("reads");
        assert!(old.visited.is_empty());
    }

    #[test]
    fn a_visit_is_believed_until_a_level_denies_it() {
        let at: Timestamp = "2026-11-23T05:00:00Z".parse().expect("a time");
        let hours =
            |hours| at.checked_add(jiff::SignedDuration::from_hours(hours)).expect("a time");
        let visit = Visited { at, level: Some(0.6) };
        let denied = |fill, hour| visit.denied_by(&Level::first(Ratio(fill), hours(hour), true));
        assert!(denied(0.6, 2));
        assert!(!denied(0.6, -2), "from before");
        assert!(!denied(0.05, 2), "it is empty");
        assert!(!denied(0.6, 24 * 6), "it has become full again");
        assert!(!visit.denied_by(&Level::first(Ratio(0.6), hours(2), false)));
        let low = Visited { at, level: Some(0.05) };
        assert!(!low.denied_by(&Level::first(Ratio(0.05), hours(2), true)), "empty bins stay so");
    }
}
