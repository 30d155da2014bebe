//! What is remembered of a plan.

use super::PlanningError;
use super::draft::{Calibration, Task};
use super::scheme::Scheme;
use crate::bins::View;
use crate::clock::{ClockQuality, Moment};
use crate::route::given::NameError;
use crate::route::sheet::{Sheet, Tour, TourStop};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
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
    /// Whether nobody had set the clock when the plan was made.
    #[serde(default)]
    unset: bool,
    /// By how much that clock was ahead of the one that never jumps; none after a restart.
    #[serde(skip)]
    ahead: Option<SignedDuration>,
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
    /// By a clock that nobody had set.
    #[serde(default)]
    unset: bool,
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
    pub(super) fn denied_by(self, level: &View) -> bool {
        let fill = level.fill.0;
        level.synced
            && level.at > self.at
            && fill > level.comes(self.at, level.at) + Self::FALL
            && self.level.is_some_and(|then| fill >= then.min(1.0) - Self::FALL)
    }
}

impl Kept {
    /// What was written down. What cannot be read of it is forgotten: then with the reason.
    pub(super) fn read(body: &str) -> (Self, Option<serde_json::Error>) {
        let error = match serde_json::from_str(body) {
            Ok(kept) => return (kept, None),
            Err(error) => error,
        };
        let mut parts: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(parts) = parts.as_object_mut() {
            // what was asked for is more than the plan that was made of it
            parts.remove("sheet");
            parts.remove("nightly");
        }
        (serde_json::from_value(parts).unwrap_or_default(), Some(error))
    }

    /// What can be believed of it now: the times of a plan mean nothing when they come from a
    /// clock that nobody had set, and that has been set or has stood still since.
    pub(super) fn believed(&self, now: Moment) -> Self {
        /// Clocks that are set now and then by a little are not set.
        const LITTLE: SignedDuration = SignedDuration::from_secs(60);
        let mut kept = self.clone();
        let same = |ahead: SignedDuration| (ahead_of(now) - ahead).abs() < LITTLE;
        if self.unset && !self.ahead.is_some_and(same) {
            kept.sheet = None;
        }
        for asked in &mut kept.asked {
            if asked.unset && now.quality != ClockQuality::Unsynced {
                asked.unset = false;
                if !self.ahead.is_some_and(same) {
                    asked.since = now.wall;
                }
            }
        }
        kept
    }

    /// The last visit up to now of each bin, by this plan and those before it.
    pub(super) fn visits(&self, now: Timestamp) -> BTreeMap<String, Visited> {
        self.visits_of(now, |_, stop| stop.begins() <= now)
    }

    /// The last visit of each bin, by such stops of this plan, and until then by those before it.
    fn visits_of(
        &self,
        until: Timestamp,
        counts: impl Fn(&Tour, &TourStop) -> bool,
    ) -> BTreeMap<String, Visited> {
        let mut all = self.visited.clone();
        all.retain(|_, visit| visit.at <= until);
        for tour in self.sheet.iter().flat_map(|sheet| &sheet.routes) {
            for stop in tour.stops.iter().filter(|stop| counts(tour, stop)) {
                let visit = Visited { at: stop.begins(), level: stop.level };
                let last = all.entry(stop.id.clone()).or_insert(visit);
                if last.at < visit.at {
                    *last = visit;
                }
            }
        }
        all
    }

    /// Until when vehicles are out on the tours of another day.
    pub(super) fn out_until(&self, day: Date, now: Timestamp) -> Option<Timestamp> {
        let sheet = self.sheet.as_deref().filter(|sheet| sheet.day != day)?;
        let out = sheet.routes.iter().filter(|tour| tour.leave_at <= now && now < tour.back_at);
        out.map(|tour| tour.back_at).max()
    }

    /// With what is asked for by this task, and without what is not asked for any more or where a
    /// plan has been since.
    pub(super) fn with(&self, task: &Task, scheme: &Scheme) -> Result<Self, PlanningError> {
        let mut kept = self.believed(task.clock);
        let unknown = |name: &&String| !scheme.has(name);
        if let Some(name) = task.urgent.iter().chain(&task.withdrawn).find(unknown) {
            return Err(NameError::Stop(name.clone()).into());
        }
        let visits = kept.visits(task.now);
        let open = |asked: &Asked| visits.get(&asked.stop).is_none_or(|at| at.at < asked.since);
        kept.asked.retain(|asked| {
            open(asked) && scheme.has(&asked.of) && !task.withdrawn.contains(&asked.of)
        });
        for of in &task.urgent {
            // who asks twice has asked at the first time
            if kept.asked.iter().all(|asked| asked.of != *of) {
                let stop = if scheme.is_patrol() { self.urgent_stop(of) } else { of.clone() };
                let unset = task.clock.quality == ClockQuality::Unsynced;
                kept.asked.push(Asked { stop, of: of.clone(), since: task.now, unset });
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

    /// Puts a plan in the place of the one that held. Of stops that are not `known` any more no
    /// visits are remembered.
    pub(super) fn replace(&mut self, sheet: Arc<Sheet>, now: Moment, known: impl Fn(&str) -> bool) {
        let other_day = self.sheet.as_ref().is_some_and(|before| before.day != sheet.day);
        // whoever is out on the tours of another day goes on by them
        // a clock that was far ahead is no reason to remember the future
        let tomorrow = now.wall.checked_add(SignedDuration::from_hours(24)).unwrap_or(now.wall);
        self.visited = self.visits_of(tomorrow, |tour, stop| {
            stop.begins() <= now.wall || other_day && tour.leave_at <= now.wall
        });
        self.visited.retain(|stop, _| known(stop));
        self.unset = now.quality == ClockQuality::Unsynced;
        self.ahead = Some(ahead_of(now));
        self.sheet = Some(sheet);
    }
}

fn ahead_of(now: Moment) -> SignedDuration {
    let monotonic = SignedDuration::try_from(now.monotonic).unwrap_or(SignedDuration::MAX);
    now.wall.as_duration().saturating_sub(monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::sheet::sample;
    use crate::units::Ratio;

    fn moment(wall: Timestamp) -> Moment {
        let quality = ClockQuality::Synced;
        Moment { wall, quality, monotonic: std::time::Duration::from_secs(1000) }
    }

    #[test]
    fn the_times_of_a_clock_that_nobody_had_set_mean_nothing_once_it_is_set() {
        let sheet = Arc::new(sample::sheet());
        let stops = &sheet.routes[0].stops;
        let mut kept = Kept::default();
        let unset = Moment { quality: ClockQuality::Unsynced, ..moment(stops[0].arrival) };
        kept.replace(Arc::clone(&sheet), unset, |_| true);
        kept.asked.push(Asked {
            stop: "a&b".into(),
            of: "a&b".into(),
            since: unset.wall,
            unset: true,
        });
        let later = |minutes: i64, clock: i64| {
            let by = |minutes| SignedDuration::from_mins(minutes);
            let wall = unset.wall.checked_add(by(minutes + clock)).expect("a time");
            let more = std::time::Duration::from_secs(minutes.unsigned_abs() * 60);
            Moment { wall, monotonic: unset.monotonic + more, ..unset }
        };
        assert!(kept.believed(later(60, 0)).sheet.is_some(), "it goes on, and so do they");
        assert!(kept.believed(later(60, 120)).sheet.is_none(), "it has jumped");
        let set = Moment { quality: ClockQuality::Synced, ..later(60, 120) };
        assert_eq!(kept.believed(set).asked[0].since, set.wall);
        let body = serde_json::to_string(&kept).expect("JSON");
        let (after_a_restart, error) = Kept::read(&body);
        assert!(error.is_none());
        assert!(after_a_restart.believed(later(0, 0)).sheet.is_none());
    }

    #[test]
    fn a_visit_in_the_future_of_a_clock_that_was_wrong_hides_none() {
        let sheet = Arc::new(sample::sheet());
        let at = sheet.routes[0].stops[0].arrival;
        let mut kept = Kept { sheet: Some(sheet), ..Kept::default() };
        let far = Timestamp::MAX;
        kept.visited.insert("a&b".into(), Visited { at: far, level: None });
        assert_eq!(kept.visits(at)["a&b"].at, at);
        kept.replace(Arc::new(sample::sheet()), moment(at), |_| true);
        assert_eq!(kept.visited["a&b"].at, at);
    }

    #[test]
    fn what_was_asked_for_outlives_a_plan_that_cannot_be_read() {
        let body = r#"{"sheet":{"old":1},"nightly":"2026-11-23","asked":[{"stop":"r1!1",
            "of":"r1","since":"2026-11-23T05:00:00Z"}]}"#;
        let (kept, error) = Kept::read(body);
        assert!(error.is_some() && kept.sheet.is_none());
        assert_eq!((kept.asked.len(), kept.nightly), (1, None), "it is made anew");
        assert!(Kept::read("{").1.is_some());
    }

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
        kept.replace(Arc::new(empty), moment(later), |bin| bin == "a&b");
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
        let denied = |fill, hour| visit.denied_by(&View::first(Ratio(fill), hours(hour), true));
        assert!(denied(0.6, 2));
        assert!(!denied(0.6, -2), "from before");
        assert!(!denied(0.05, 2), "it is empty");
        assert!(!denied(0.6, 24 * 6), "it has become full again");
        assert!(!visit.denied_by(&View::first(Ratio(0.6), hours(2), false)));
        let low = Visited { at, level: Some(0.05) };
        assert!(!low.denied_by(&View::first(Ratio(0.05), hours(2), true)), "empty bins stay so");
    }
}
