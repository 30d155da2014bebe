//! What came into a bin on each day, and what that says of the days to come.
//!
//! A day begins at five in the morning, local time: at night nothing comes. What a day will bring
//! is what came on days like it: of the same weekday (a holiday is a Sunday), and from a level like today's (a bin that is
//! nearly full takes less, and an echo that sticks to a part of the bin moves late). The middle of
//! these is the forecast, and their outer tenths are its interval.

use super::calendar::Calendar;
use super::packed::{Pack, Packed};
use serde::{Deserialize, Serialize};

/// So many days are remembered.
const KEPT: usize = 128;
/// A day loses weight over so many.
const MEMORY: f64 = 300.0;
/// Levels are alike within this part of the depth.
const ALIKE: f64 = 0.1;
/// A day from another level weighs so much all the same.
const UNLIKE: f64 = 0.04;
/// How much another day weighs: a working day for another, a Saturday for a Sunday, and one kind
/// for the other.
const WORKING: f64 = 0.4;
const RESTING: f64 = 0.2;
const CROSSED: f64 = 0.15;
/// The middle is taken over this part on both sides: few days leave large steps between them.
const MIDDLE: f64 = 0.07;
/// The outer parts that a forecast leaves out.
const OUTER: f64 = 0.1;
/// What comes in a day at other bins, as parts of its mean: many days bring little, few much.
const USUAL: [f64; 5] = [0.1, 0.4, 0.8, 1.3, 2.4];
/// All of that weighs as much as this part of a day of the bin's own.
const USUAL_WEIGHT: f64 = 0.3;
/// For the mean it weighs as much as two days.
const USUAL_MEAN_WEIGHT: f64 = 2.0;
/// A bin stands still when its surface moves by no more steps than these in a day, and in all of
/// them.
const STILL: f64 = 2.0;
const DRIFT: f64 = 4.0;

/// A day: its number since 1970, and the steps to the surface when it began and when it ended.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Day {
    day: u16,
    from: u8,
    to: u8,
}

impl Pack for Day {
    const SIZE: usize = 4;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.day.to_le_bytes());
        bytes.extend_from_slice(&[self.from, self.to]);
    }

    fn take(bytes: &[u8]) -> Self {
        let day = u16::from_le_bytes([bytes[0], bytes[1]]);
        Self { day, from: bytes[2], to: bytes[3] }
    }
}

impl Day {
    fn came(&self) -> f64 {
        f64::from(self.from) - f64::from(self.to)
    }
}

/// The days that are remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Days(Packed<Day>);

/// What comes in a day, in steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coming {
    pub(super) little: f64,
    pub(super) middle: f64,
    pub(super) much: f64,
}

/// What comes in a day on average, in steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Means {
    /// On each weekday, from Monday on, and the standard deviation from that.
    pub(super) weekdays: [f64; 7],
    pub(super) within: f64,
    /// On any day, and the standard deviation from that.
    pub(super) all: f64,
    pub(super) around: f64,
}

fn like_weekday(a: usize, b: usize) -> f64 {
    match (a >= 5, b >= 5) {
        _ if a == b => 1.0,
        (false, false) => WORKING,
        (true, true) => RESTING,
        _ => CROSSED,
    }
}

impl Days {
    pub(super) fn push(&mut self, day: i64, from: f64, to: f64) {
        let Ok(day) = u16::try_from(day) else { return };
        let step = |step: f64| step.round().clamp(0.0, 254.0) as u8;
        self.0.push(Day { day, from: step(from), to: step(to) }, KEPT);
    }

    /// Forgets the days from this one on.
    pub(super) fn forget_from(&mut self, day: i64) {
        self.0.0.retain(|known| i64::from(known.day) < day);
    }

    /// Days in a row, up to the last, on which the surface stood still: what comes slowly comes
    /// nevertheless.
    pub(super) fn still(&self) -> usize {
        let Some(last) = self.0.0.last() else { return 0 };
        let stood = |day: &&Day| {
            let drift = f64::from(day.from) - f64::from(last.to);
            day.came().abs() <= STILL && drift.abs() <= DRIFT
        };
        self.0.0.iter().rev().take_while(stood).count()
    }

    /// Forgets these: nobody saw what came on them.
    pub(super) fn forget_still(&mut self) {
        let moved = self.0.0.len() - self.still();
        self.0.0.truncate(moved);
    }

    pub(super) fn len(&self) -> usize {
        self.0.0.len()
    }

    /// What will come on a day, when the surface is here now; `usual` is the mean of other bins,
    /// and `depth` that of this one.
    pub(super) fn coming(
        &self,
        (calendar, day): (Calendar, i64),
        base: f64,
        usual: f64,
        depth: f64,
    ) -> Coming {
        let weekday = |day| calendar.weekday(day);
        let like = weekday(day);
        let own = self.0.0.iter().map(|known| {
            let ago = (day - i64::from(known.day)).max(0) as f64;
            let off = (f64::from(known.from) - base) / (ALIKE * depth);
            let alike = UNLIKE + (1.0 - UNLIKE) * (-off * off / 2.0).exp();
            (
                known.came(),
                (-ago / MEMORY).exp() * like_weekday(weekday(known.day.into()), like) * alike,
            )
        });
        let part = USUAL_WEIGHT / USUAL.len() as f64;
        let others = USUAL.iter().map(|share| (share * usual, part));
        let mut all: Vec<(f64, f64)> = own.chain(others).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let parts =
            [OUTER, 0.5 - MIDDLE, 0.5 - MIDDLE / 2.0, 0.5, 0.5 + MIDDLE / 2.0, 0.5 + MIDDLE];
        let [little, a, b, c, d, e] = parts.map(|part| quantile(&all, part));
        let middle = (a + 2.0 * b + 3.0 * c + 2.0 * d + e) / 9.0;
        let much = quantile(&all, 1.0 - OUTER);
        Coming { little: little.min(middle), middle, much: much.max(middle) }
    }

    /// The mean of each weekday, from Monday on, and of all days.
    pub(super) fn means(&self, (calendar, today): (Calendar, i64), usual: f64) -> Means {
        let weekday = |day: u16| calendar.weekday(day.into());
        let weight = |day: &Day| (-(today - i64::from(day.day)).max(0) as f64 / MEMORY).exp();
        // the weight of each weekday, and of what came on it
        let mut own = [(0.0, 0.0); 7];
        for day in &self.0.0 {
            let (weights, sum) = &mut own[weekday(day.day)];
            *weights += weight(day);
            *sum += weight(day) * day.came();
        }
        let mean = |like: &dyn Fn(usize) -> f64| {
            let prior = (USUAL_MEAN_WEIGHT, USUAL_MEAN_WEIGHT * usual);
            let (weights, sum) = own
                .iter()
                .enumerate()
                .fold(prior, |all, (n, own)| (all.0 + like(n) * own.0, all.1 + like(n) * own.1));
            (sum / weights).max(0.0)
        };
        let weekdays = std::array::from_fn(|of| mean(&|n| like_weekday(n, of)));
        let all = mean(&|_| 1.0);
        let prior = (USUAL_MEAN_WEIGHT, USUAL_MEAN_WEIGHT * usual * usual);
        let (mut weights, mut within, mut around) = (prior.0, prior.1, prior.1);
        for day in &self.0.0 {
            let own: f64 = weekdays[weekday(day.day)];
            weights += weight(day);
            within += weight(day) * (day.came() - own).powi(2);
            around += weight(day) * (day.came() - all).powi(2);
        }
        let [within, around] = [within, around].map(|squares| (squares / weights).sqrt());
        Means { weekdays, within, all, around }
    }
}

/// Where this part of the weight is, of what is in order.
fn quantile(all: &[(f64, f64)], part: f64) -> f64 {
    let whole: f64 = all.iter().map(|(_, weight)| weight).sum();
    let (mut before, mut last) = (0.0, None);
    for (value, weight) in all {
        let at = (before + weight / 2.0) / whole;
        if at >= part {
            return match last {
                Some((value_before, at_before)) if at > at_before => {
                    value_before + (value - value_before) * (part - at_before) / (at - at_before)
                }
                _ => *value,
            };
        }
        last = Some((*value, at));
        before += weight;
    }
    all.last().map_or(0.0, |(value, _)| *value)
}
