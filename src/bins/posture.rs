//! Whether a bin stands as it was put: one odd byte is none, two readings are.
//!
//! How it was put is the first angle that it kept for a day: sensors are switched on in a van. Who
//! was there may have put it otherwise, and then it is asked again.

use super::Input;
use crate::units::Degrees;
use serde::{Deserialize, Serialize};

/// Larger angles are none.
const MOST: f64 = 180.0;
/// So far from its usual angle a bin lies on its side, or has been moved to where it stands askew.
const LYING: f64 = 45.0;
const ASKEW: f64 = 20.0;
/// So many readings agree before it is said; but who tears a sensor off leaves it no second one.
const AGREED: u8 = 2;
/// What part of a reading goes into the usual angle.
const LEARNED: f64 = 0.1;
/// An angle that so many readings in a row show is how it was put.
const PUT: u8 = 24;

/// What a bin looks like, in the words of Smart Data Models' `WasteContainer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Posture {
    /// As it was put.
    #[default]
    Ok,
    /// Its lid stays open.
    LidOpen,
    /// It lies on its side.
    Dropped,
    /// It stands elsewhere, or askew.
    Moved,
    /// Somebody works at the sensor, or it was torn off.
    Vandalized,
}

/// What is known of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stand {
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    usual: Option<f32>,
    /// By so many readings the usual angle was shown; from [`PUT`] on it stays.
    #[serde(rename = "n", default)]
    shown: u8,
    /// Until then: another angle, and by how many readings in a row.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    other: Option<(f32, u8)>,
    /// Whether somebody was there since it stood as usual.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
    #[serde(rename = "p", default)]
    pub(super) posture: Posture,
    /// Since which reading it lies or is torn off, as far as the readings since then say something
    /// of that.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    lies: Option<i64>,
    /// Another posture, and by how many readings.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    doubted: Option<(Posture, u8)>,
}

impl Stand {
    /// Takes a reading; the posture if it is a new one.
    pub(super) fn see(&mut self, input: &Input) -> Option<Posture> {
        let seen = self.seen(input)?;
        let lies = matches!(seen, Posture::Dropped | Posture::Vandalized);
        self.lies = lies.then(|| self.lies.unwrap_or(input.at.as_second()));
        if seen == self.posture {
            self.doubted = None;
            return None;
        }
        let times = match self.doubted {
            Some((doubted, times)) if doubted == seen => times.saturating_add(1),
            _ => 1,
        };
        self.doubted = Some((seen, times));
        if times < AGREED && seen != Posture::Vandalized {
            return None;
        }
        self.doubted = None;
        self.posture = seen;
        if seen == Posture::Dropped && std::mem::take(&mut self.asked) {
            // whoever emptied it did not put it so
            self.shown = PUT;
        }
        Some(seen)
    }

    /// Since when it lies, or is torn off.
    pub(super) fn lies_since(&self) -> Option<i64> {
        self.lies.filter(|_| matches!(self.posture, Posture::Dropped | Posture::Vandalized))
    }

    /// Somebody was there: how it stands from now on may be how it was put.
    pub(super) fn ask_again(&mut self) {
        (self.shown, self.asked) = (0, true);
    }

    /// How far an angle is from the usual one, which it moves a little if it is near.
    fn off(&mut self, angle: f64) -> f64 {
        let usual = f64::from(*self.usual.get_or_insert(angle as f32));
        let off = (angle - usual).abs();
        if off < ASKEW {
            self.usual = Some((usual + (angle - usual) * LEARNED) as f32);
            self.shown = self.shown.saturating_add(1).min(PUT);
            self.other = None;
        }
        off
    }

    /// Whether another angle is how it was put, and becomes the usual one.
    fn is_put(&mut self, angle: f64) -> bool {
        if self.shown >= PUT {
            return false;
        }
        let times = match self.other {
            Some((other, times)) if (f64::from(other) - angle).abs() < ASKEW => times + 1,
            _ => 1,
        };
        let is_put = times >= PUT;
        self.other = (!is_put).then_some((angle as f32, times));
        if is_put {
            self.usual = Some(angle as f32);
        }
        is_put
    }

    fn seen(&mut self, input: &Input) -> Option<Posture> {
        // to which side it leans is the same
        let angle = input.tilt.map(|Degrees(angle)| angle.abs()).filter(|angle| *angle <= MOST);
        let off = angle.map(|angle| {
            let off = self.off(angle);
            if off >= ASKEW && self.is_put(angle) { self.off(angle) } else { off }
        });
        let nothing = off.is_none() && input.tilted.is_none() && input.lid_open.is_none();
        if nothing && input.tamper.is_none() {
            return None;
        }
        let lying = off.is_some_and(|off| off >= LYING) || input.tilted == Some(true);
        Some(match off {
            _ if input.tamper == Some(true) => Posture::Vandalized,
            _ if lying => Posture::Dropped,
            Some(off) if off >= ASKEW => Posture::Moved,
            _ if input.lid_open == Some(true) => Posture::LidOpen,
            _ => Posture::Ok,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn postures(angles: &[f64]) -> Vec<Posture> {
        let mut stand = Stand::default();
        let seen = angles.iter().filter_map(|angle| {
            let mut input = Input::new(Timestamp::UNIX_EPOCH, true);
            input.tilt = Some(Degrees(*angle));
            stand.see(&input)
        });
        seen.collect()
    }

    #[test]
    fn an_odd_angle_is_none_and_two_are_a_fall() {
        assert_eq!(postures(&[2.0, 229.0, 224.0, 183.0, 1.0, 90.0, 2.0, 88.0, 3.0]), []);
        assert_eq!(postures(&[2.0, 88.0, 89.0, 88.0, 2.0, 3.0]), [Posture::Dropped, Posture::Ok]);
        assert_eq!(postures(&[2.0, 30.0, 32.0]), [Posture::Moved]);
    }

    #[test]
    fn what_hangs_askew_does_so_as_usual() {
        assert_eq!(postures(&[70.0, 71.0, 69.0, 71.0]), []);
        assert_eq!(postures(&[70.0, 71.0, 2.0, 3.0]), [Posture::Dropped]);
    }

    #[test]
    fn one_that_was_switched_on_in_a_van_stands_as_it_was_put() {
        let angles: Vec<f64> = [90.0; 20].into_iter().chain([2.0; 60]).collect();
        assert_eq!(postures(&angles), [Posture::Dropped, Posture::Ok]);
        let falls: Vec<f64> = angles.into_iter().chain([88.0; 300]).collect();
        let seen = postures(&falls);
        assert_eq!(
            seen,
            [Posture::Dropped, Posture::Ok, Posture::Dropped],
            "and lies until mended"
        );
    }

    #[test]
    fn who_was_there_may_have_put_it_otherwise() {
        let mut stand = Stand::default();
        let mut see = |angle, times, asked| {
            if asked {
                stand.ask_again();
            }
            let mut input = Input::new(Timestamp::UNIX_EPOCH, true);
            input.tilt = Some(Degrees(angle));
            (0..times).for_each(|_| {
                stand.see(&input);
            });
            stand.posture
        };
        assert_eq!(see(2.0, 30, false), Posture::Ok);
        assert_eq!(see(60.0, 300, false), Posture::Dropped);
        assert_eq!(see(60.0, 20, true), Posture::Dropped, "not at once");
        assert_eq!(see(60.0, 10, false), Posture::Ok);
    }

    #[test]
    fn a_lid_needs_two_readings_and_a_hand_one() {
        let mut stand = Stand::default();
        let mut input = Input::new(Timestamp::UNIX_EPOCH, true);
        input.lid_open = Some(true);
        assert_eq!((stand.see(&input), stand.see(&input)), (None, Some(Posture::LidOpen)));
        input.tamper = Some(true);
        assert_eq!((stand.see(&input), stand.see(&input)), (Some(Posture::Vandalized), None));
    }
}
