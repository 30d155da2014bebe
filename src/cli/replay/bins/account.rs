//! What happened to a bin, and what would have with other tours.

use crate::bins::{EchoFrom, Emptying, Input, Outcome, Trust};
use crate::units::Ratio;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400;
/// From this level on a bin overflows as far as people see.
const OVERFLOWS: f64 = 0.95;
/// Longer than this, in seconds, or than so many times what mostly passes between two, a reading
/// says nothing of the time after it.
const HOLDS: i64 = 6 * 3600;
const HOLDS_TIMES: f64 = 1.5;
/// Crews come in the morning, by the clock of the site.
const MORNING: i64 = 7 * 3600;

/// What happened to a bin.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Of each reading with a level: when, and how full it was.
    pub(super) curve: Vec<(i64, f64)>,
    /// Emptyings that count, and others.
    pub(super) emptyings: Vec<Emptying>,
    pub(super) doubtful: Vec<Emptying>,
    /// The times during which echoes came from a fixed part.
    pub(super) fixed: Vec<(i64, i64)>,
    pub(super) readings: usize,
    pub(super) without_echo: usize,
    pub(super) fires: usize,
    first: Option<i64>,
    last: i64,
    /// What came in with each reading, on which day of crews, and the highest level since the last
    /// emptying.
    came: Vec<(i64, i64, f64)>,
    highest: f64,
}

/// How tours did at a bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tours {
    pub(super) emptyings: usize,
    /// Sum of the levels that were found.
    #[serde(skip)]
    pub(super) found: f64,
    pub(super) below_half: usize,
    pub(super) overflow_hours: f64,
}

impl Tours {
    fn empty(&mut self, level: f64) {
        self.emptyings += 1;
        self.found += level;
        self.below_half += usize::from(level < 0.5);
    }

    fn wait(&mut self, level: f64, seconds: i64, holds: i64) {
        if level >= OVERFLOWS {
            self.overflow_hours += seconds.clamp(0, holds) as f64 / 3600.0;
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.emptyings += other.emptyings;
        self.found += other.found;
        self.below_half += other.below_half;
        self.overflow_hours += other.overflow_hours;
    }
}

impl Account {
    /// Takes a reading.
    pub(super) fn add(&mut self, input: &Input, outcome: &Outcome, zone: &TimeZone) {
        let at = input.at.as_second();
        self.first.get_or_insert(at);
        self.last = self.last.max(at);
        self.readings += 1;
        self.without_echo += usize::from(outcome.echo == EchoFrom::None);
        self.fires += usize::from(outcome.alarm == Some(crate::bins::Alarm::Fire));
        if outcome.echo == EchoFrom::Fixed {
            match self.fixed.last_mut() {
                Some((_, until)) if at - *until <= DAY => *until = at,
                _ => self.fixed.push((at, at)),
            }
        }
        match outcome.emptied {
            Some(emptying) if emptying.counts() => {
                self.emptyings.push(emptying);
                self.highest = 0.0;
            }
            Some(emptying) => self.doubtful.push(emptying),
            None => {}
        }
        let Some(Ratio(fill)) = outcome.fill.filter(|_| outcome.trust != Trust::Rejected) else {
            return;
        };
        // what is lower again is noise, or has settled
        let came = if self.curve.is_empty() { 0.0 } else { (fill - self.highest).max(0.0) };
        let ahead = i64::from(zone.to_offset(input.at).seconds());
        self.came.push((at, (at + ahead - MORNING).div_euclid(DAY), came));
        self.highest = self.highest.max(fill);
        self.curve.push((at, fill));
    }

    /// For so many days it was watched.
    pub(super) fn days(&self) -> f64 {
        self.first.map_or(0.0, |first| (self.last - first) as f64 / DAY as f64)
    }

    /// What part of its readings arrived, if it reports every so many seconds.
    pub(super) fn completeness(&self, interval: f64) -> f64 {
        let expected = self.days() * DAY as f64 / interval.max(1.0) + 1.0;
        (self.readings as f64 / expected).min(1.0)
    }

    /// For how long, in seconds, a reading says what comes after it.
    fn holds(&self) -> i64 {
        let mut gaps: Vec<i64> = self.curve.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        gaps.sort_unstable();
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
        ((usual as f64 * HOLDS_TIMES) as i64).max(HOLDS)
    }

    /// The tours that were driven.
    pub(super) fn driven(&self) -> Tours {
        let mut tours = Tours::default();
        for emptying in &self.emptyings {
            tours.empty(emptying.fill_before.0);
        }
        let holds = self.holds();
        for pair in self.curve.windows(2) {
            tours.wait(pair[0].1, pair[1].0 - pair[0].0, holds);
        }
        tours
    }

    /// A tour every so many days.
    pub(super) fn fixed_tours(&self, every: i64) -> Tours {
        let mut last = None;
        self.toured(|day, _| {
            let due = last.is_none_or(|last| day - last >= every);
            let first = last.is_none();
            if due {
                last = Some(day);
            }
            due && !first
        })
    }

    /// A tour on the morning on which the bin must be emptied.
    pub(super) fn tours_when_due(&self, must: f64) -> Tours {
        self.toured(|_, level| level >= must)
    }

    /// Tours on the mornings that are chosen by the day's number and the level.
    fn toured(&self, mut goes: impl FnMut(i64, f64) -> bool) -> Tours {
        let mut tours = Tours::default();
        let mut level = self.curve.first().map_or(0.0, |(_, fill)| *fill);
        let holds = self.holds();
        let mut before: Option<(i64, i64)> = None;
        for &(at, day, came) in &self.came {
            if let Some((then, day_then)) = before {
                tours.wait(level, at - then, holds);
                if day > day_then && goes(day, level) {
                    tours.empty(level);
                    level = 0.0;
                }
            }
            before = Some((at, day));
            level = (level + came).min(1.0);
        }
        tours
    }
}
