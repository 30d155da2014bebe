//! Whether a sensor is lost, or only its frames are.

use serde::{Deserialize, Serialize};

/// That a sensor's own losses explain a silence has to be less likely than this.
const CHANCE: f64 = 1e-4;
/// Losses come together: a lorry stands before the antenna for hours.
const TOGETHER: f64 = 3.0;
/// However well it was heard, and however badly: this many intervals, and so many seconds.
const LEAST: f64 = 6.0;
const MOST_SECONDS: f64 = 4.0 * 86_400.0;
/// What was learned fades over so many frames that were expected.
const MEMORY: f64 = 24.0 * 14.0;
/// A gap of less than so many intervals is one of them. When so many gaps in a row were longer, the
/// interval is: a sensor that is tried out sends each minute, and never again.
const ONE: f64 = 1.5;
const LONGER: u8 = 24;
/// Until more is known: hourly, with one frame in six lost.
const USUAL: f64 = 3600.0;
const USUAL_LOSS: f64 = 1.0 / 6.0;
const USUAL_WEIGHT: f64 = 12.0;

/// How often a sensor is heard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Silence {
    /// Its interval in seconds, as learned; none before the second frame.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    interval: Option<f32>,
    #[serde(rename = "e", default)]
    expected: f32,
    #[serde(rename = "h", default)]
    heard: f32,
    /// So many gaps in a row were longer than an interval, and the smallest of them.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    longer: Option<(u8, f32)>,
}

impl Silence {
    /// It was heard so many seconds after the time before.
    pub(super) fn heard(&mut self, passed: f64) {
        // repetitions of the same report, and clocks that were set, are no interval
        if !(60.0..=MOST_SECONDS).contains(&passed) {
            return;
        }
        let mut interval = f64::from(self.interval.unwrap_or(passed as f32));
        let (count, least) = self.longer.unwrap_or((0, f32::MAX));
        let longer = (passed > interval * ONE).then(|| (count + 1, least.min(passed as f32)));
        self.longer = longer.filter(|(count, _)| *count < LONGER);
        if let Some((LONGER.., least)) = longer {
            interval = f64::from(least);
            (self.expected, self.heard) = (0.0, 0.0);
        }
        // shorter gaps pull it down fast, and longer ones up slowly: gaps are multiples of it
        let part = if passed < interval * 0.8 { 0.2 } else { 0.02 };
        let missed = (passed / interval).round().max(1.0);
        let interval = interval + part * (passed / missed.max(1.0) - interval);
        self.interval = Some(interval as f32);
        let fading = (1.0 - missed / MEMORY).max(0.0) as f32;
        self.expected = self.expected * fading + missed as f32;
        self.heard = self.heard * fading + 1.0;
    }

    /// How often it reports, in seconds, as learned; none before the second frame.
    pub(super) fn interval(&self) -> Option<f64> {
        self.interval.map(f64::from)
    }

    /// What part of its frames arrives.
    pub(super) fn delivery(&self) -> f64 {
        let expected = f64::from(self.expected) + USUAL_WEIGHT;
        (f64::from(self.heard) + USUAL_WEIGHT * (1.0 - USUAL_LOSS)) / expected
    }

    /// After so many seconds of silence it is lost.
    pub(super) fn lost_after(&self, interval: Option<f64>) -> f64 {
        let interval = interval.or(self.interval.map(f64::from)).unwrap_or(USUAL);
        let loss = (1.0 - self.delivery()).clamp(0.02, 0.98);
        let intervals = (CHANCE.ln() / loss.ln() * TOGETHER).max(LEAST);
        (intervals * interval).min(MOST_SECONDS).max(2.0 * interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of hourly frames, the longest silence after which it is still not lost, in hours, and when
    /// it is.
    fn hours(loss: f64) -> (f64, f64, f64) {
        let mut random = fastrand::Rng::with_seed(7);
        let mut silence = Silence::default();
        let (mut gap, mut longest) = (0.0_f64, 0.0_f64);
        for hour in 0..24 * 200 {
            gap += 1.0;
            if random.f64() >= loss {
                if hour > 24 * 14 {
                    longest = longest.max(gap / (silence.lost_after(None) / 3600.0));
                }
                silence.heard(gap * 3600.0);
                gap = 0.0;
            }
        }
        (longest, silence.lost_after(None) / 3600.0, silence.delivery())
    }

    #[test]
    fn a_sensor_that_is_heard_badly_is_lost_later() {
        for (loss, least, most) in [(0.02, 5.0, 8.0), (0.17, 12.0, 22.0), (0.5, 30.0, 60.0)] {
            let (longest, after, delivery) = hours(loss);
            assert!(longest < 1.0, "{loss}: a false alarm");
            assert!((least..=most).contains(&after), "{loss}: after {after} h");
            assert!((delivery - (1.0 - loss)).abs() < 0.08, "{loss}: {delivery}");
        }
    }

    #[test]
    fn a_sensor_that_was_tried_out_reports_hourly_all_the_same() {
        for tried in [&[120.0][..], &[3600.0, 300.0, 300.0, 300.0, 300.0], &[120.0; 30]] {
            let mut random = fastrand::Rng::with_seed(3);
            let mut silence = Silence::default();
            tried.iter().for_each(|gap| silence.heard(*gap));
            let mut gap = 0.0;
            for _ in 0..24 * 10 {
                gap += 3600.0;
                if random.f64() >= 0.17 {
                    silence.heard(gap);
                    gap = 0.0;
                }
            }
            let interval = silence.interval().unwrap_or_default();
            assert!((3500.0..3700.0).contains(&interval), "{tried:?}: {interval} s");
            assert!(silence.delivery() > 0.75, "{tried:?}: {}", silence.delivery());
        }
    }
}
