//! Echoes that stick to a fixed part of a bin: a bar, a shelf, an edge of the chute.
//!
//! They give themselves away: the surface rises to the same place at once, and some readings later
//! is as deep as before, though nobody emptied anything. Waste does not do that.

use super::hours::Hours;
use serde::{Deserialize, Serialize};

/// What was seen fades over so many days.
const MEMORY_DAYS: f64 = 10.0;
/// A step up and back is at least this part of the depth; and back means within this part.
const STEP: f64 = 0.15;
const BACK: f64 = 0.1;
/// It is back within so many hours.
const HOURS: i64 = 36;
/// Echoes of one fixed part are within this part of the depth.
pub(super) const BAND: f64 = 0.06;
/// No more than so many readings of one stay count.
const STAY: usize = 6;
/// So many readings, of more than one stay, and this part of all, make it a fixed echo; it is none
/// when less than that remains.
const SURE: f32 = 7.0;
const PART: f32 = 0.15;
const REMAINING: f32 = 0.03;
/// A stay of more hours than this, or one that a rare report sees, says little by itself. What rises
/// at once, stays there for two readings or more and no longer than so many days, and then is deeper
/// again by no more than it rose, is no waste when it does so often.
const LONG: i64 = 12;
const LONGEST_DAYS: i64 = 21;
/// Often: so many times, to within this part of the depth of the same place. Each is forgotten over
/// so many days, and more than the most are not counted; it is over when fewer than that remain.
const RETURNS: f32 = 2.4;
const PLACE: f64 = 0.03;
const RETURNS_DAYS: f64 = 30.0;
const MOST_RETURNS: f32 = 3.0;
const RETURNS_REMAINING: f32 = 1.2;
/// With this part of wrong echoes, or two such returns, there may be one.
const MAY_BE: f32 = 0.03;
const MAY_BE_RETURNS: f32 = 1.4;
/// A bin that stood still for so many days, in which this part of its height should have come,
/// shows a fixed echo.
const STILL_DAYS: usize = 14;
const STILL_PART: f64 = 0.6;
/// Where nothing is known of what comes but what comes to others, so many times as much.
const STILL_UNKNOWN: f64 = 2.0;
/// When it is nearly empty nothing came, as it seems, and twice as much has to be missing.
const STILL_EMPTY: f64 = 1.2;
/// It stands no longer when so many readings in a row are elsewhere.
const MOVED: u8 = 3;

/// What is known of a fixed echo.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shelf {
    /// Where it is, in steps.
    #[serde(rename = "a", default)]
    at: f32,
    /// Fading counts: readings there that proved wrong, and all readings.
    #[serde(rename = "w", default)]
    wrong: f32,
    #[serde(rename = "n", default)]
    all: f32,
    /// Whether it is sure.
    #[serde(rename = "f", default)]
    fixed: bool,
    /// Where it stands still, in steps, and how many readings in a row were elsewhere.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    still: Option<(u8, u8)>,
    /// The rise that may be a stay: in which hour, from where and to where, and how many readings
    /// were there, and in a row elsewhere.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    rise: Option<(i64, u8, u8, u8, u8)>,
    /// Where long stays were, and how many, fading.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    long: Option<(u8, f32)>,
    /// Whether these are enough.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    often: bool,
}

impl Shelf {
    /// The part of the readings that proved wrong.
    fn part(&self) -> f32 {
        self.wrong / self.all.max(1.0)
    }

    /// Whether what the sensor sees may be no waste.
    pub(super) fn may_be(&self) -> bool {
        let returns = self.long.is_some_and(|(_, returns)| returns >= MAY_BE_RETURNS);
        returns || self.part() >= MAY_BE
    }

    /// Whether what the sensor sees is no waste.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed || self.often || self.stands()
    }

    /// Whether its echoes come from the fixed part for long, but rarely: in between it is right.
    pub(super) fn is_rare(&self) -> bool {
        self.often && !self.fixed && !self.stands()
    }

    /// Whether it sees the same all the time.
    pub(super) fn stands(&self) -> bool {
        self.still.is_some()
    }

    /// Whether a reading comes from there.
    pub(super) fn is_at(&self, step: u8, depth: f64) -> bool {
        let near = |at: f64| (f64::from(step) - at).abs() <= BAND * depth;
        let still = self.still.is_some_and(|(at, _)| near(at.into()));
        let long = self.long.is_some_and(|(at, _)| self.often && near(at.into()));
        still || long || (self.fixed && near(self.at.into()))
    }

    /// Takes the same reading as [`Shelf::see`], for stays that are longer than it remembers. `rare`
    /// is whether the sensor reports so rarely that it sees none of the others.
    pub(super) fn stay(
        &mut self,
        before: Option<u8>,
        hour: i64,
        step: u8,
        (days, rare): (f64, bool),
        (depth, full): (f64, f64),
    ) {
        if let Some((_, returns)) = &mut self.long {
            *returns *= (-days / RETURNS_DAYS).exp() as f32;
        }
        let deeper = |a: u8, b: u8| f64::from(a) - f64::from(b);
        match &mut self.rise {
            None => {
                let rose = before.filter(|before| deeper(*before, step) >= STEP * depth);
                self.rise = rose
                    .filter(|_| f64::from(step) > full)
                    .map(|before| (hour, before, step, 1, 0));
            }
            Some((_, _, to, there, elsewhere)) if deeper(step, *to).abs() <= BAND * depth => {
                (*there, *elsewhere) = (there.saturating_add(1), 0);
            }
            Some((since, from, to, there, elsewhere)) => {
                *elsewhere += 1;
                let (since, from, to, there) = (*since, *from, *to, *there);
                let back = deeper(step, to) >= STEP * depth && deeper(step, from) <= BACK * depth;
                let length = hour - since;
                let long = (rare || length > LONG) && length <= LONGEST_DAYS * 24;
                let times = *elsewhere;
                // one deep reading may be a wild one
                if (back && times >= 2) || times >= MOVED {
                    self.rise = None;
                    if back && there >= 2 && long {
                        self.returned(to, depth);
                    }
                }
            }
        }
        let returns = self.long.map_or(0.0, |(_, returns)| returns);
        self.often = returns >= if self.often { RETURNS_REMAINING } else { RETURNS };
    }

    fn returned(&mut self, from: u8, depth: f64) {
        let far = |at: u8| (f64::from(at) - f64::from(from)).abs() > PLACE * depth;
        match &mut self.long {
            Some((at, returns)) if !far(*at) => *returns = (*returns + 1.0).min(MOST_RETURNS),
            Some((_, returns)) if *returns >= 1.0 => *returns -= 1.0,
            long => *long = Some((from, 1.0)),
        }
    }

    /// Whether the last readings stand no longer where all did: it is seen again.
    pub(super) fn follow(&mut self, step: u8, depth: f64) {
        let Some((at, elsewhere)) = self.still else { return };
        let moved = (f64::from(step) - f64::from(at)).abs() > BAND * depth;
        let elsewhere = if moved { elsewhere + 1 } else { 0 };
        self.still = (elsewhere < MOVED).then_some((at, elsewhere));
    }

    /// Takes the reading of an hour, before it is put among the others. `full` is the step from
    /// which on a bin is as good as full: there they all come back to the same place.
    pub(super) fn see(
        &mut self,
        hours: &Hours,
        hour: i64,
        step: u8,
        days: f64,
        depth: f64,
        full: f64,
    ) {
        let fading = (-days / MEMORY_DAYS).exp() as f32;
        self.wrong *= fading;
        self.all = self.all * fading + 1.0;
        let deep = f64::from(step);
        let nearer = |seen: u8| deep - f64::from(seen) >= STEP * depth;
        let stay = || hours.back(hour).take_while(|(at, seen)| nearer(*seen) && hour - at <= HOURS);
        let count = stay().count();
        let Some((_, before)) = hours.back(hour).nth(count).filter(|(at, _)| hour - at <= HOURS)
        else {
            return self.judge();
        };
        let first = stay().last().map(|(_, first)| f64::from(first));
        let rose = first.is_some_and(|first| f64::from(before) - first >= STEP * depth);
        if rose && (f64::from(before) - deep).abs() <= BACK * depth {
            let stayed: Vec<u8> = stay().map(|(_, seen)| seen).take(STAY).collect();
            for seen in stayed {
                if f64::from(seen) > full {
                    self.wrong(f64::from(seen) as f32, (BAND * depth) as f32);
                }
            }
        }
        self.judge();
    }

    /// The place that most of them agree on, in the memory of one (Boyer and Moore, 1981).
    fn wrong(&mut self, seen: f32, band: f32) {
        if (seen - self.at).abs() <= band {
            self.at += (seen - self.at) * 0.1;
            self.wrong += 1.0;
        } else if self.wrong < 1.0 {
            (self.at, self.wrong) = (seen, 1.0);
        } else {
            self.wrong -= 1.0;
        }
    }

    fn judge(&mut self) {
        if self.fixed {
            self.fixed = self.part() >= REMAINING;
        } else {
            self.fixed = self.wrong >= SURE && self.part() >= PART;
        }
    }

    /// A surface that stood still for so many days, though this part of the height should have
    /// come on each of them, in a bin that is or is not nearly empty, and of which that is known or
    /// only of others; whether that is news.
    pub(super) fn stood(
        &mut self,
        days: usize,
        daily: f64,
        empty: bool,
        is_known: bool,
        step: f64,
    ) -> bool {
        let unknown = if is_known { 1.0 } else { STILL_UNKNOWN };
        let missing = unknown * if empty { STILL_EMPTY } else { STILL_PART };
        let stands = days >= STILL_DAYS && daily * days as f64 >= missing;
        if stands {
            self.still = Some((step.round().clamp(0.0, 254.0) as u8, 0));
        }
        stands
    }
}
