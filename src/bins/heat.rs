//! Fire, by how hot it is and how fast that came: the sun makes a bin as hot as a small fire
//! does, but not as fast, and frost makes none.

use super::packed::{Pack, Packed};
use crate::units::Celsius;
use serde::{Deserialize, Serialize};

/// What thermometers in bins can say. Firmware that writes -1 °C as 255 is out of it.
const RANGE: std::ops::RangeInclusive<f64> = -45.0..=150.0;

/// So many degrees a minute, and so many in all, are no sun: in a year of seven bins, read hourly,
/// it never made more than 0.35 a minute.
const STEEP: (f64, f64) = (1.0, 12.0);
/// A sensor that reports hourly sees no slope like that. From here on so many degrees within so
/// many minutes are no sun either.
const WARM: f64 = 55.0;
const SLOW: (f64, f64) = (30.0, 75.0);
/// No sun makes a bin so hot.
const HOT: f64 = 85.0;
/// A sensor's own fire bit is a threshold that the sun reaches, too. It counts from here on.
const BIT: f64 = 60.0;

/// It is over when it is so many degrees cooler than the hottest reading, or so many minutes later.
const COOLED: f64 = 15.0;
const OVER: f64 = 240.0;

/// Slopes are looked for over so many readings.
const KEPT: usize = 6;

/// A temperature: seconds, and degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Felt {
    at: i64,
    degrees: i16,
}

impl Pack for Felt {
    const SIZE: usize = 7;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.at.to_le_bytes()[..5]);
        bytes.extend_from_slice(&self.degrees.to_le_bytes());
    }

    fn take(bytes: &[u8]) -> Self {
        let mut at = [0; 8];
        at[..5].copy_from_slice(&bytes[..5]);
        let degrees = i16::from_le_bytes([bytes[5], bytes[6]]);
        Self { at: i64::from_le_bytes(at), degrees }
    }
}

/// The last temperatures, and whether it burns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Heat {
    #[serde(rename = "f")]
    felt: Packed<Felt>,
    /// Since when, and the hottest since then.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    burning: Option<(i64, i16)>,
}

impl Heat {
    /// Whether it burns, as far as is known.
    pub(super) fn burns(&self) -> bool {
        self.burning.is_some()
    }

    /// Takes a temperature and what the sensor itself thinks of it; whether a fire begins.
    pub(super) fn feel(&mut self, at: i64, degrees: Option<Celsius>, bit: bool) -> bool {
        let Some(Celsius(degrees)) = degrees.filter(|d| RANGE.contains(&d.0)) else {
            // nobody can tell it from the sun, and so it counts
            return bit && self.begin(at, i16::MIN);
        };
        // tenths of a degree
        let now = (degrees * 10.0).round() as i16;
        if let Some((since, hottest)) = &mut self.burning {
            *hottest = now.max(*hottest);
            let cooled = f64::from(*hottest) - f64::from(now) >= COOLED * 10.0;
            if cooled || (at - *since) as f64 >= OVER * 60.0 || at < *since {
                self.burning = None;
                self.felt.0.clear();
            }
        }
        // a clock that went back knows no slope
        self.felt.0.retain(|felt| felt.at <= at);
        let steep = |felt: &Felt| {
            // a report in the same second is one of the same minute
            let minutes = ((at - felt.at) as f64 / 60.0).max(0.5);
            let rise = degrees - f64::from(felt.degrees) / 10.0;
            let fast = rise >= STEEP.1 && rise / minutes >= STEEP.0;
            fast || (degrees >= WARM && rise >= SLOW.0 && minutes <= SLOW.1)
        };
        let fire = degrees >= HOT || (bit && degrees >= BIT) || self.felt.0.iter().any(steep);
        self.felt.push(Felt { at, degrees: now }, KEPT);
        fire && self.begin(at, now)
    }

    fn begin(&mut self, at: i64, degrees: i16) -> bool {
        let new = self.burning.is_none();
        self.burning.get_or_insert((at, degrees));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(series: &[(i64, f64)]) -> usize {
        let mut heat = Heat::default();
        let felt = series.iter();
        felt.filter(|(at, degrees)| heat.feel(at * 60, Some(Celsius(*degrees)), false)).count()
    }

    #[test]
    fn twenty_degrees_in_ten_minutes_are_a_fire_from_any_temperature() {
        for base in [-12.0, 0.0, 15.0, 40.0, 61.0] {
            assert_eq!(fires(&[(0, base), (60, base), (70, base + 20.0)]), 1, "{base}");
            let minutes = |m: i64| (60 + m, base + 2.0 * m as f64);
            let slowly: Vec<_> = (0..=10).map(minutes).collect();
            assert_eq!(fires(&slowly), 1, "{base}");
        }
    }

    #[test]
    fn the_sun_and_the_frost_are_none() {
        assert_eq!(fires(&[(0, 21.0), (60, 42.0), (120, 63.0), (180, 66.0)]), 0);
        assert_eq!(fires(&[(0, 25.0), (120, 55.0), (180, 65.0)]), 0);
        assert_eq!(fires(&[(0, 3.0), (60, 0.0), (120, 255.0), (180, 250.0), (240, 0.0)]), 0);
    }

    #[test]
    fn an_hourly_report_knows_a_fire_by_its_heat() {
        assert_eq!(fires(&[(0, 20.0), (60, 58.0)]), 1);
        assert_eq!(fires(&[(0, 20.0), (600, 90.0)]), 1);
    }

    #[test]
    fn one_fire_is_one_alarm_and_the_next_another() {
        let fire = [(0, 20.0), (10, 45.0), (20, 70.0), (30, 90.0), (40, 60.0), (100, 25.0)];
        assert_eq!(fires(&fire), 1);
        let again: Vec<_> = fire.iter().chain(&[(400, 20.0), (410, 45.0)]).copied().collect();
        assert_eq!(fires(&again), 2);
    }

    #[test]
    fn a_fire_bit_counts_when_it_is_hot_or_nobody_knows() {
        let mut heat = Heat::default();
        assert!(!heat.feel(0, Some(Celsius(45.0)), true), "the sun");
        assert!(heat.feel(60, Some(Celsius(62.0)), true));
        assert!(Heat::default().feel(0, None, true));
        assert!(Heat::default().feel(0, Some(Celsius(255.0)), true));
    }
}
