//! How long a battery lasts, by its voltage as it would be at one temperature.

use crate::units::{Celsius, Volts};
use serde::{Deserialize, Serialize};

/// What was learned fades over so many days.
const MEMORY_DAYS: f64 = 120.0;
/// Before so many days nothing is said.
const LEAST_DAYS: f64 = 21.0;
/// Of a battery that was higher by this, in volts, the voltage of the last days says that it is
/// empty: many fall at once in the end, and some were never full.
const FELL: f32 = 0.15;
const LATE_DAYS: f64 = 2.0;
/// A battery that loses less than this in a day, in volts, lasts longer than anybody plans.
const FLAT: f64 = 1e-4;
/// Voltages are compared at this temperature: it is the cold night that ends a battery.
const COLD: f64 = -5.0;
/// A cell warms by a degree, and its voltage rises by about so much, until more is known.
const USUAL_PER_DEGREE: f64 = 0.002;
/// It is so warm where nobody measures that.
const MILD: f64 = 10.0;
/// The prior for that weighs as much as so many readings ten degrees apart.
const USUAL_WEIGHT: f64 = 20.0;
const SPREAD: f64 = 100.0;

/// A fading regression of the voltage on the temperature and the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Battery {
    /// When the first and the last reading were, in days.
    #[serde(rename = "f")]
    first: f32,
    #[serde(rename = "l")]
    last: f64,
    /// Weight, then means of time before now, temperature and voltage, and central moments:
    /// time², temperature², time·temperature, time·voltage, temperature·voltage.
    #[serde(rename = "m")]
    moments: [f32; 9],
    /// The voltage of the last days as it would be in the cold, and the highest that was ever.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    late: Option<(f32, f32)>,
}

impl Battery {
    /// Takes a voltage and the temperature that it was measured at; without one it is as warm as it
    /// was on average.
    pub(super) fn read(&mut self, at: i64, volts: Volts, degrees: Option<Celsius>) {
        let day = at as f64 / 86_400.0;
        let known = self.moments[0] > 0.0;
        let usual = if known { f64::from(self.moments[2]) } else { MILD };
        let degrees = degrees.unwrap_or(Celsius(usual));
        let sound = (0.5..=30.0).contains(&volts.0) && (-45.0..=90.0).contains(&degrees.0);
        if !sound || (known && day <= self.last) {
            return;
        }
        let mut m = self.moments.map(f64::from);
        if m[0] == 0.0 {
            self.first = day as f32;
            self.last = day;
        }
        let passed = day - self.last;
        let cold = (volts.0 + USUAL_PER_DEGREE * (COLD - degrees.0)) as f32;
        let (late, highest) = self.late.unwrap_or((cold, cold));
        let late = late + (cold - late) * (1.0 - (-passed / LATE_DAYS).exp()) as f32;
        self.late = Some((late, highest.max(late)));
        let fading = (-passed / MEMORY_DAYS).exp();
        m[0] *= fading;
        for moment in &mut m[4..] {
            *moment *= fading;
        }
        // now is zero, and the past is before
        m[1] -= passed;
        let weight = m[0] + 1.0;
        let off = [-m[1], degrees.0 - m[2], volts.0 - m[3]];
        let part = m[0] / weight;
        let pairs = [(0, 0), (1, 1), (0, 1), (0, 2), (1, 2)];
        for (moment, (a, b)) in m[4..].iter_mut().zip(pairs) {
            *moment += off[a] * off[b] * part;
        }
        for (mean, off) in m[1..4].iter_mut().zip(off) {
            *mean += off / weight;
        }
        m[0] = weight;
        self.moments = m.map(|moment| moment as f32);
        self.last = day;
    }

    /// What was learned from a clock that was ahead of this time is forgotten.
    pub(super) fn begin_again(&mut self, at: i64) {
        if self.last * 86_400.0 > at as f64 {
            *self = Self::default();
        }
    }

    /// In how many days it falls to this voltage; none if it does not fall, or too little is known.
    pub(super) fn days(&self, empty: Volts) -> Option<f64> {
        let fell =
            |(late, highest): (f32, f32)| f64::from(late) <= empty.0 && highest - late >= FELL;
        if self.late.is_some_and(fell) {
            return Some(0.0);
        }
        let [weight, time, degrees, volts, tt, dd, td, tv, dv] = self.moments.map(f64::from);
        if weight == 0.0 || self.last - f64::from(self.first) < LEAST_DAYS {
            return None;
        }
        let dd = dd + USUAL_WEIGHT * SPREAD;
        let dv = dv + USUAL_WEIGHT * SPREAD * USUAL_PER_DEGREE;
        let determinant = tt * dd - td * td;
        if determinant <= 1e-9 {
            return None;
        }
        let per_day = (tv * dd - td * dv) / determinant;
        let per_degree = (tt * dv - td * tv) / determinant;
        let now = volts - per_day * time + per_degree * (COLD - degrees);
        (per_day < -FLAT).then(|| ((now - empty.0) / -per_day).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::rounded;

    #[test]
    fn a_winter_is_no_empty_battery() {
        let mut battery = Battery::default();
        let mut told = Vec::new();
        for hour in 0..24 * 300_i64 {
            let day = hour as f64 / 24.0;
            let degrees =
                8.0 - 14.0 * (day / 58.0).cos() + 6.0 * (day * std::f64::consts::TAU).sin();
            let volts = 3.60 - 0.0008 * day + 0.003 * (degrees - 10.0);
            // as the sensor tells it, in steps of 10 mV
            let volts = rounded(volts, 2);
            battery.read(hour * 3600, Volts(volts), Some(Celsius(degrees.round())));
            if hour % (24 * 20) == 0 && day > 100.0 {
                told.push(day + battery.days(Volts(3.0)).expect("it falls"));
            }
        }
        // without the temperature the first half would rise
        let truth = (3.60 - 0.0008 * 0.0 + 0.003 * (COLD - 10.0) - 3.0) / 0.0008;
        for date in told {
            assert!((date / truth - 1.0).abs() < 0.2, "{date} for {truth}");
        }
    }

    #[test]
    fn one_that_falls_at_once_in_the_end_is_empty_then() {
        let mut battery = Battery::default();
        let mut told = None;
        for hour in 0..24 * 213_i64 {
            let day = hour as f64 / 24.0;
            let volts = 3.6 - (day - 200.0).max(0.0) * 0.08;
            battery.read(hour * 3600, Volts(rounded(volts, 2)), Some(Celsius(10.0)));
            let empty = battery.days(Volts(3.0)).is_some_and(|days| days < 45.0);
            told = told.or(empty.then_some(day));
        }
        assert!(told.is_some_and(|day| day < 211.0), "{told:?}: it is silent at 2.6 V");
        // of another kind
        let mut low = Battery::default();
        for hour in 0..24 * 90_i64 {
            low.read(hour * 3600, Volts(2.9), Some(Celsius(10.0)));
        }
        assert_eq!(low.days(Volts(3.0)), None);
    }

    #[test]
    fn a_flat_battery_curve_ends_nowhere() {
        let mut battery = Battery::default();
        for hour in 0..24 * 60_i64 {
            battery.read(hour * 3600, Volts(3.6), Some(Celsius(10.0)));
        }
        assert_eq!(battery.days(Volts(3.0)), None);
    }
}
