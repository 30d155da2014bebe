//! What crews report, beside what the level shows.

use super::packed::is_default;
use crate::units::Ratio;
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;

/// What a crew reports is the emptying that was seen so many seconds before or after: reports are
/// written down at the end of the tour, and sensors report each hour or less.
const SAME: i64 = DAY / 2;
/// A crew that reports at all reports within this time, in seconds, or within the time that it
/// took of late.
const REPORTED: i64 = 3 * DAY / 2;
/// A list is not handed in later than this.
const LATEST: i64 = 30 * DAY;
/// A crew that has reported nothing for so many seconds does not report.
const REPORTS: i64 = 60 * DAY;
/// So many readings after a report show whether the level has fallen,
const READINGS: u8 = 3;
/// and below this level nobody can tell.
const LITTLE: f64 = 0.3;
/// A level that is so much lower than before shows that something was taken.
const FALLEN: f64 = 0.1;
/// After so many seconds in which no level was seen the report is believed.
const SHOWN: i64 = 2 * DAY;
/// So many emptyings are remembered: lists are handed in weekly.
const KEPT: usize = 8;

/// What crews have reported of a bin, and what was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Crew {
    /// A report that its level has still to show: when it was, how full the bin was then, and how
    /// many readings came since.
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<(i64, f32, u8)>,
    /// When it was reported to be emptied last.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<i64>,
    /// The last emptyings that were seen, and whether a report is waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emptied: Vec<(i64, bool)>,
    /// So many seconds after an emptying it is reported, as the longest of late.
    #[serde(skip_serializing_if = "is_default")]
    delay: i64,
}

/// What readings show of a report.
pub(super) enum Shown {
    /// It was emptied then.
    Emptied(i64),
    /// It was not.
    Not(i64),
}

fn is_same(a: i64, b: i64) -> bool {
    (a - b).abs() <= SAME
}

impl Crew {
    /// An emptying was seen.
    pub(super) fn see(&mut self, at: i64) {
        let is_reported = self.reported.is_some_and(|reported| is_same(reported, at));
        self.emptied.push((at, !is_reported));
        let over = self.emptied.len().saturating_sub(KEPT);
        self.emptied.drain(..over);
        self.open.take_if(|(reported, ..)| is_same(*reported, at));
    }

    /// When it was reported to be emptied last.
    pub(super) fn reported(&self) -> Option<i64> {
        self.reported
    }

    /// Whether a report is one of the emptyings that were seen. `last` is the last that is known.
    pub(super) fn confirms(&mut self, at: i64, now: i64, last: Option<i64>) -> bool {
        self.reported = self.reported.max(Some(at));
        // it gets shorter by and by
        self.delay = now.saturating_sub(at).max(self.delay - self.delay / 8).min(LATEST);
        let mut is_seen = last.is_some_and(|last| is_same(last, at));
        for (_, waits) in self.emptied.iter_mut().filter(|(seen, _)| is_same(*seen, at)) {
            (is_seen, *waits) = (true, false);
        }
        is_seen
    }

    /// Waits for the level to show a report, in a bin that is so full; or that is of no use,
    /// because it is too old: what was there before it nobody knows.
    pub(super) fn open(&mut self, at: i64, now: i64, fill: Ratio) -> bool {
        let shows = now - at <= SAME;
        if shows {
            self.open = Some((at, fill.0 as f32, 0));
        }
        shows
    }

    /// A report that no level has shown for long; it is no longer waited for.
    pub(super) fn wait(&mut self, now: i64) -> Option<i64> {
        self.open.take_if(|(at, ..)| now - *at >= SHOWN).map(|(at, ..)| at)
    }

    /// What a reading shows of the report that is open; `fill` is none where the sensor sees no
    /// waste.
    pub(super) fn look(&mut self, now: i64, fill: Option<Ratio>) -> Option<Shown> {
        let (at, before, readings) = self.open.as_mut().filter(|(at, ..)| now > *at)?;
        *readings = readings.saturating_add(1);
        let (at, before, readings) = (*at, f64::from(*before), *readings);
        let stays = fill.is_some_and(|fill| before >= LITTLE && fill.0 > before - FALLEN);
        // crews write down beforehand what they are about to empty, too
        if readings < READINGS || (stays && now - at < SAME) {
            return None;
        }
        self.open = None;
        Some(if stays { Shown::Not(at) } else { Shown::Emptied(at) })
    }

    /// Emptyings of which nobody has told, though they do at other times.
    pub(super) fn unreported(&mut self, now: i64) -> Vec<i64> {
        let patience = REPORTED.max(DAY + self.delay + self.delay / 4);
        let reported = self.reported;
        let mut untold = Vec::new();
        for (at, waits) in &mut self.emptied {
            if *waits && now - *at >= patience {
                *waits = false;
                let reports = reported.is_some_and(|reported| *at - reported < REPORTS);
                untold.extend(reports.then_some(*at));
            }
        }
        untold
    }

    /// What a clock that was ahead has dated was never.
    pub(super) fn set_clock(&mut self, now: i64) {
        let is_past = |at: i64| at <= now.saturating_add(DAY);
        self.emptied.retain(|(at, _)| is_past(*at));
        self.open.take_if(|(at, ..)| !is_past(*at));
        self.reported.take_if(|at| !is_past(*at));
    }
}
