//! Fire, by how hot it is and how fast that came: the sun makes a bin as hot as a small fire
//! does, but not as fast, and frost makes none.

use super::packed::{Pack, Packed};
use crate::units::Celsius;
use serde::{Deserialize, Serialize};

/// What thermometers in bins can say. Firmware that writes frost as 211 to 255 °C is out of it.
const RANGE: std::ops::RangeInclusive<f64> = -45.0..=205.0;

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

/// After so many seconds without another reading a jump may be a wrong byte, and so may the first
/// reading of all: then it waits for the next one, which has to be warm, too, or hotter by so many
/// degrees.
const LONE: i64 = 1200;
const HOTTER: f64 = 5.0;

/// A doubt that is older than so many intervals of the sensor is none any more.
const DOUBTED: f64 = 4.0;
/// What is hotter than [`RANGE`] is frost in the words of old firmware, unless it was so warm within
/// so many seconds: then it is a fire, or no temperature at all, and who is silent from then on
/// burnt.
const NO_FROST: f64 = 15.0;
const BEFORE_FROST: i64 = 7200;

/// It is over when it is no longer warm, and so many degrees cooler than the hottest reading, or so
/// many minutes later.
const COOLED: f64 = 15.0;
const OVER: f64 = 240.0;

/// Slopes are looked for over so many readings: the last two, and before them one in so many seconds,
/// however often a sensor reports.
const KEPT: usize = 9;
const APART: i64 = 780;

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
    /// A jump that waits for the next reading: when it was, and how hot.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    doubted: Option<(i64, i16)>,
}

impl Heat {
    /// Whether it burns, as far as is known.
    pub(super) fn burns(&self) -> bool {
        self.burning.is_some()
    }

    /// Who is hot and then silent for so many seconds, of which somebody has listened since then,
    /// may have burnt: whether a fire begins.
    pub(super) fn wait(&mut self, now: i64, listening: i64, patience: i64) -> bool {
        let silent = self.doubted.take_if(|(at, _)| now - (*at).max(listening) >= patience);
        silent.is_some_and(|(at, degrees)| self.begin(at, degrees))
    }

    /// Nobody knows how long ago the last readings were: they show no slope.
    pub(super) fn forget_slope(&mut self) {
        self.felt.0.clear();
    }

    /// The clock is set, and what was by it before was so many seconds later.
    pub(super) fn shift(&mut self, later: i64) {
        for felt in &mut self.felt.0 {
            felt.at = felt.at.saturating_add(later);
        }
        for (at, _) in self.burning.iter_mut().chain(&mut self.doubted) {
            *at = at.saturating_add(later);
        }
    }

    /// What passed between the last two readings, in seconds.
    pub(super) fn gap(&self) -> Option<f64> {
        let [.., before, last] = self.felt.0[..] else { return None };
        Some((last.at - before.at) as f64).filter(|gap| *gap >= 1.0)
    }

    /// Ends a fire that began before this; whether there was one.
    pub(super) fn put_out(&mut self, at: i64) -> bool {
        self.burning.take_if(|(since, _)| *since < at).is_some()
    }

    /// Takes a temperature and what the sensor itself thinks of it, which reports so often; whether a
    /// fire begins.
    pub(super) fn feel(
        &mut self,
        at: i64,
        every: f64,
        degrees: Option<Celsius>,
        bit: Option<bool>,
    ) -> bool {
        let is_late = |since: i64| (at - since) as f64 >= OVER * 60.0;
        let Some(Celsius(degrees)) = degrees.filter(|d| RANGE.contains(&d.0)) else {
            // what only the bit has said ends when it does; if it goes on, it is told again
            let ends = |(since, hottest)| {
                bit.is_some() && (is_late(since) || (hottest == i16::MIN && bit == Some(false)))
            };
            if self.burning.is_some_and(ends) {
                self.burning = None;
            }
            let was_warm = self.felt.0.last().is_some_and(|felt| {
                at - felt.at <= BEFORE_FROST && f64::from(felt.degrees) >= NO_FROST * 10.0
            });
            if was_warm && self.burning.is_none() && degrees.is_some_and(|d| d.0 > *RANGE.end()) {
                self.doubted = Some((at, i16::MAX));
            }
            // nobody can tell it from the sun, and so it counts
            return bit == Some(true) && self.begin(at, i16::MIN);
        };
        // tenths of a degree
        let now = (degrees * 10.0).round() as i16;
        if let Some((since, hottest)) = &mut self.burning {
            *hottest = now.max(*hottest);
            let cooled = f64::from(*hottest) - f64::from(now) >= COOLED * 10.0;
            // a clock that was set back ends no fire
            if degrees < WARM && (cooled || is_late(*since)) {
                self.burning = None;
                self.forget_slope();
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
        let told = bit == Some(true) && degrees >= BIT;
        let hot = degrees >= HOT || self.felt.0.iter().any(steep);
        let lone = self.felt.0.last().is_none_or(|felt| at - felt.at > LONE);
        let doubted = self.doubted.take();
        let doubted = doubted.filter(|(since, _)| (at - since) as f64 <= DOUBTED * every);
        let confirmed = doubted.is_some_and(|(_, before)| {
            degrees >= WARM || f64::from(now) >= f64::from(before) + HOTTER * 10.0
        });
        let fire = told || confirmed || (hot && !lone);
        if hot && !fire && self.burning.is_none() {
            self.doubted = Some((at, now));
        }
        self.felt.push(Felt { at, degrees: now }, KEPT);
        let felt = &mut self.felt.0;
        if let [.., anchor, middle, _, _] = felt[..]
            && middle.at - anchor.at < APART
        {
            felt.remove(felt.len() - 3);
        }
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

    const HOURLY: f64 = 3600.0;

    fn fires(series: &[(i64, f64)]) -> usize {
        begins(series).len()
    }

    /// The minutes at which fires begin; who is silent is waited for.
    fn begins(series: &[(i64, f64)]) -> Vec<i64> {
        let mut heat = Heat::default();
        let felt = series.iter();
        felt.filter(|(at, degrees)| heat.feel(at * 60, HOURLY, Some(Celsius(*degrees)), None))
            .map(|(at, _)| *at)
            .collect()
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
        assert_eq!(begins(&[(0, 20.0), (60, 58.0), (120, 70.0)]), [120]);
        assert_eq!(begins(&[(0, 20.0), (600, 90.0), (601, 88.0)]), [601]);
        assert_eq!(begins(&[(0, 20.0), (60, 165.0), (120, 190.0), (180, 180.0)]), [120]);
    }

    #[test]
    fn a_wrong_byte_in_an_hourly_report_is_none() {
        for wrong in [60.0, 90.0, 127.0, 205.0, -40.0] {
            for usual in [-5.0, 5.0, 20.0, 35.0] {
                assert_eq!(fires(&[(0, usual), (60, usual), (120, wrong), (180, usual)]), 0);
                let before = [(0, usual), (60, wrong), (120, usual), (180, usual), (240, usual)];
                assert_eq!(fires(&before), 0, "{wrong} among {usual}");
            }
        }
    }

    #[test]
    fn the_first_report_of_all_may_be_wrong_too() {
        for wrong in [60.0, 90.0, 127.0, 205.0] {
            assert_eq!(fires(&[(0, wrong), (10, 20.0), (20, 21.0)]), 0, "{wrong}");
            assert_eq!(fires(&[(0, wrong), (60, 20.0), (120, 21.0)]), 0, "{wrong}");
        }
        assert_eq!(begins(&[(0, 95.0), (10, 93.0)]), [10], "it burns where it was switched on");
    }

    #[test]
    fn one_hot_report_and_then_silence_is_a_fire() {
        let mut heat = Heat::default();
        heat.feel(0, HOURLY, Some(Celsius(20.0)), None);
        assert!(!heat.feel(3600, HOURLY, Some(Celsius(95.0)), None), "a single reading");
        assert!(!heat.wait(3600 + 3000, 0, 5400), "the next may still come");
        assert!(heat.wait(3600 + 5400, 0, 5400) && heat.burns());
        assert!(!heat.wait(3600 + 9000, 0, 5400), "told once");
        let mut sensor = Heat::default();
        sensor.feel(0, HOURLY, Some(Celsius(20.0)), None);
        assert!(sensor.feel(3600, HOURLY, Some(Celsius(70.0)), Some(true)), "two signs at once");
    }

    #[test]
    fn one_fire_is_one_alarm_and_the_next_another() {
        let fire = [(0, 20.0), (10, 45.0), (20, 70.0), (30, 90.0), (40, 60.0), (100, 25.0)];
        assert_eq!(fires(&fire), 1);
        let again: Vec<_> = fire.iter().chain(&[(400, 20.0), (410, 45.0)]).copied().collect();
        assert_eq!(fires(&again), 2);
    }

    #[test]
    fn a_smoulder_is_a_fire_however_often_it_is_reported() {
        for each in [1, 2, 5, 10, 20] {
            let rises = |m: i64| (60 + m, 20.0 + 0.6 * m as f64);
            let slowly: Vec<_> = (0..=100).step_by(each).map(rises).collect();
            assert_eq!(fires(&slowly), 1, "each {each} minutes");
        }
        // twenty degrees in ten minutes, each half of one told twice
        let mut heat = Heat::default();
        let mut told = 0;
        for half in 0..=20 {
            for _ in 0..2 {
                let degrees = Celsius(20.0 + f64::from(half));
                told += usize::from(heat.feel(i64::from(half) * 30, HOURLY, Some(degrees), None));
            }
        }
        assert_eq!(told, 1);
    }

    #[test]
    fn what_is_hot_is_not_over() {
        let mut heat = Heat::default();
        heat.feel(-600, HOURLY, Some(Celsius(20.0)), None);
        assert!(heat.feel(0, HOURLY, Some(Celsius(100.0)), None));
        for (minute, degrees) in [(10, 84.0), (300, 80.0), (600, 72.0), (-60, 72.0)] {
            heat.feel(minute * 60, HOURLY, Some(Celsius(degrees)), None);
            assert!(heat.burns(), "{degrees} after {minute} minutes");
        }
        heat.feel(700 * 60, HOURLY, Some(Celsius(30.0)), None);
        assert!(!heat.burns());
    }

    #[test]
    fn what_only_a_bit_says_ends_with_it_and_can_begin_again() {
        let mut heat = Heat::default();
        assert!(heat.feel(0, HOURLY, None, Some(true)));
        assert!(!heat.feel(600, HOURLY, None, Some(true)), "told once");
        heat.feel(1200, HOURLY, None, None);
        assert!(heat.burns(), "that says nothing");
        heat.feel(1800, HOURLY, None, Some(false));
        assert!(!heat.burns());
        assert!(heat.feel(2400, HOURLY, None, Some(true)), "another");
    }

    #[test]
    fn a_fire_bit_counts_when_it_is_hot_or_nobody_knows() {
        let mut heat = Heat::default();
        assert!(!heat.feel(0, HOURLY, Some(Celsius(45.0)), Some(true)), "the sun");
        assert!(heat.feel(60, HOURLY, Some(Celsius(62.0)), Some(true)));
        assert!(Heat::default().feel(0, HOURLY, None, Some(true)));
        assert!(Heat::default().feel(0, HOURLY, Some(Celsius(255.0)), Some(true)));
    }
}
