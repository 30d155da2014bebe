//! Echoes that stick to a fixed part of a bin: a bar, a shelf, an edge of the chute.
//!
//! They give themselves away: the surface rises to the same place at once, and some readings later
//! is as deep as before, though nobody emptied anything. Waste does not do that.

use super::hours::Hours;
use super::stays::Stays;
use serde::{Deserialize, Serialize};

/// What was seen fades over so many days.
const MEMORY_DAYS: f64 = 10.0;
/// A step up and back is at least this part of the depth; and back means within this part.
pub(super) const STEP: f64 = 0.15;
pub(super) const BACK: f64 = 0.1;
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
/// With this part of wrong echoes there may be one.
const MAY_BE: f32 = 0.03;
/// A bin that stood still for so many days, in which this part of its height should have come,
/// shows a fixed echo.
pub(super) const STILL_DAYS: usize = 14;
const STILL_PART: f64 = 0.6;
/// When it is nearly empty nothing came, as it seems, and twice as much has to be missing.
const STILL_EMPTY: f64 = 1.2;
/// It stands no longer when so many readings in a row are elsewhere.
pub(super) const MOVED: u8 = 3;

/// A reading, as it is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// In which hour, and where, in steps.
    pub(super) hour: i64,
    pub(super) step: u8,
    /// So many days after the one before.
    pub(super) days: f64,
    /// Of a sensor that reports so rarely that it shows no short stays.
    pub(super) rare: bool,
    /// The depth of the bin in steps, and from which step on it is as good as full: there all
    /// readings come back to the same place.
    pub(super) depth: f64,
    pub(super) full: f64,
}

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
    /// Long stays.
    #[serde(flatten)]
    stays: Stays,
}

impl Shelf {
    /// The part of the readings that proved wrong.
    fn part(&self) -> f32 {
        self.wrong / self.all.max(1.0)
    }

    /// Whether what the sensor sees may be no waste.
    pub(super) fn may_be(&self) -> bool {
        self.stays.may_be() || self.part() >= MAY_BE
    }

    /// Whether what the sensor sees is no waste.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed || self.stays.is_sure() || self.stands()
    }

    /// Whether its echoes come from the fixed part for long, but rarely: in between it is right.
    pub(super) fn is_rare(&self) -> bool {
        self.stays.is_sure() && !self.fixed && !self.stands()
    }

    /// Whether it sees the same all the time.
    pub(super) fn stands(&self) -> bool {
        self.still.is_some()
    }

    /// Whether a reading comes from there.
    pub(super) fn is_at(&self, step: u8, depth: f64) -> bool {
        let near = |at: f64| (f64::from(step) - at).abs() <= BAND * depth;
        let still = self.still.is_some_and(|(at, _)| near(at.into()));
        let long = self.stays.place().is_some_and(|at| near(at.into()));
        still || long || (self.fixed && near(self.at.into()))
    }

    /// Whether the last readings stand no longer where all did: it is seen again.
    pub(super) fn follow(&mut self, step: u8, depth: f64) {
        let Some((at, elsewhere)) = self.still else { return };
        let moved = (f64::from(step) - f64::from(at)).abs() > BAND * depth;
        let elsewhere = if moved { elsewhere + 1 } else { 0 };
        self.still = (elsewhere < MOVED).then_some((at, elsewhere));
    }

    /// Takes the reading of an hour, before it is put among the others.
    pub(super) fn see(&mut self, hours: &Hours, look: &Look) {
        self.stays.see(hours, look);
        let Look { hour, step, days, depth, full, .. } = *look;
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

    /// A surface that stood still for [`STILL_DAYS`] or more, in which this part of the height should
    /// have come, in a bin that is or is not nearly empty; whether that is news.
    pub(super) fn stood(&mut self, missing: f64, empty: bool, step: f64) -> bool {
        let stands = missing >= if empty { STILL_EMPTY } else { STILL_PART };
        if stands {
            self.still = Some((step.round().clamp(0.0, 254.0) as u8, 0));
        }
        stands
    }
}
