//! Long stays of an echo at a fixed part: they are seen by their coming again.

use super::hours::Hours;
use super::shelf::{BACK, BAND, Look, MOVED, STEP};
use serde::{Deserialize, Serialize};

/// A stay of more hours than this, or one that a rare report sees, says little by itself. What rises
/// at once, stays there for two readings or more and no longer than so many days, and then is deeper
/// again by no more than it rose, is no waste when it does so often.
const LONG: i64 = 12;
const LONGEST_DAYS: i64 = 21;
/// Often: so many times, to within this part of the depth of the same place. Each is forgotten over
/// so many days, and more than the most are not counted; it is over when fewer than that remain.
const SURE: f32 = 2.4;
const PLACE: f64 = 0.03;
const MEMORY_DAYS: f64 = 30.0;
const MOST: f32 = 3.0;
const REMAINING: f32 = 1.2;
/// With two of them there may be a fixed echo.
const MAY_BE: f32 = 1.4;

/// What is known of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stays {
    /// The rise that may be the next one.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    rise: Option<Rise>,
    /// Where they were, and how many, fading.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    seen: Option<(u8, f32)>,
    /// Whether these are enough.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    sure: bool,
}

/// A surface that rose at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rise {
    /// In which hour, from where and to where, in steps.
    #[serde(rename = "h")]
    hour: i64,
    #[serde(rename = "f")]
    from: u8,
    #[serde(rename = "t")]
    to: u8,
    /// How many readings were there, and in a row elsewhere.
    #[serde(rename = "n")]
    there: u8,
    #[serde(rename = "e")]
    elsewhere: u8,
}

impl Stays {
    /// Whether what the sensor sees may be no waste.
    pub(super) fn may_be(&self) -> bool {
        self.count() >= MAY_BE
    }

    /// Whether it is none.
    pub(super) fn is_sure(&self) -> bool {
        self.sure
    }

    /// Where it is none.
    pub(super) fn place(&self) -> Option<u8> {
        self.seen.filter(|_| self.sure).map(|(at, _)| at)
    }

    fn count(&self) -> f32 {
        self.seen.map_or(0.0, |(_, count)| count)
    }

    /// Takes the reading of an hour, before it is put among the others.
    pub(super) fn see(&mut self, hours: &Hours, look: &Look) {
        let Look { hour, step, days, rare, depth, full } = *look;
        if let Some((_, count)) = &mut self.seen {
            *count *= (-days / MEMORY_DAYS).exp() as f32;
        }
        let deeper = |a: u8, b: u8| f64::from(a) - f64::from(b);
        match &mut self.rise {
            None => {
                // one deep reading may be a wild one
                let before = hours.back(hour).take(2).map(|(_, step)| step).min();
                let from = before.filter(|before| deeper(*before, step) >= STEP * depth);
                self.rise = from.filter(|_| f64::from(step) > full).map(|from| Rise {
                    hour,
                    from,
                    to: step,
                    there: 1,
                    elsewhere: 0,
                });
            }
            Some(rise) if deeper(step, rise.to).abs() <= BAND * depth => {
                (rise.there, rise.elsewhere) = (rise.there.saturating_add(1), 0);
            }
            Some(rise) => {
                rise.elsewhere += 1;
                let back = deeper(step, rise.to) >= STEP * depth
                    && deeper(step, rise.from) <= BACK * depth;
                let length = hour - rise.hour;
                let long = (rare || length > LONG) && length <= LONGEST_DAYS * 24;
                let (to, stayed) = (rise.to, rise.there >= 2);
                // and so may this one
                if (back && rise.elsewhere >= 2) || rise.elsewhere >= MOVED {
                    self.rise = None;
                    if back && stayed && long {
                        self.end(to, depth);
                    }
                }
            }
        }
        self.sure = self.count() >= if self.sure { REMAINING } else { SURE };
    }

    /// A stay was over.
    fn end(&mut self, place: u8, depth: f64) {
        let near = |at: u8| (f64::from(at) - f64::from(place)).abs() <= PLACE * depth;
        match &mut self.seen {
            Some((at, count)) if near(*at) => *count = (*count + 1.0).min(MOST),
            Some((_, count)) if *count >= 1.0 => *count -= 1.0,
            seen => *seen = Some((place, 1.0)),
        }
    }
}
