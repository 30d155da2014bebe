//! How much of the time the air is used.

use crate::eu868;
use crate::units::{Hertz, LoRa, Ratio};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many hours are looked at: a town's day.
const HOURS: usize = 24;

/// A share of less than this time says nothing about the rest of the day.
const LEAST_SPAN: Duration = Duration::from_secs(600);

/// Of how many channels and modulations airtime is kept. EU868 has 8 × 7; the rest is what
/// strangers make up over UDP, which must not make memory grow.
const MAX_CHANNELS: usize = 128;

/// Channels are told apart by this much; receivers report them with small errors.
const RASTER: u32 = 25_000;

/// How long the air was used, by channel and modulation, over the last 24 hours in steps of one.
/// What is not heard is not in it: under a heavy load the truth is worse.
#[derive(Debug, Clone)]
pub struct Airtime {
    start: Duration,
    /// The hour of the newest bucket.
    hour: u64,
    /// Microseconds in each hour; the place is the hour modulo 24.
    channels: BTreeMap<(Hertz, u8, Hertz), [u64; HOURS]>,
    unaccounted: u64,
}

/// How much one channel is used with one modulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// The channel's centre.
    pub frequency: Hertz,
    /// The modulation: other spreading factors hardly disturb.
    pub modulation: LoRa,
    /// The share of the time that frames were heard.
    pub share: Ratio,
    /// The share of the frames that meet another one: 1 − e^(−2G) with G the share of the time,
    /// for senders that do not listen first (Abramson, "The ALOHA System", 1970). The stronger of
    /// two frames often survives, so this is the upper end.
    pub collisions: Ratio,
}

impl Load {
    /// Whether a frame of this kind is one of those.
    pub(super) fn holds(&self, frequency: Hertz, modulation: LoRa) -> bool {
        on_raster(frequency) == self.frequency && modulation == self.modulation
    }
}

impl Airtime {
    /// An account that begins now. Times are of a monotonic clock: one that is set during the day
    /// would fill or empty hours.
    pub fn new(now: Duration) -> Self {
        Self { start: now, hour: hour(now), channels: BTreeMap::new(), unaccounted: 0 }
    }

    /// Takes in a frame that was heard, whoever sent it, of so many bytes (PHYPayload).
    pub fn heard(&mut self, frequency: Hertz, modulation: LoRa, len: usize, now: Duration) {
        self.turn(now);
        let key = (on_raster(frequency), modulation.spreading_factor, modulation.bandwidth);
        if self.channels.len() >= MAX_CHANNELS && !self.channels.contains_key(&key) {
            self.unaccounted = self.unaccounted.saturating_add(1);
            return;
        }
        // no radio carries more
        let airtime = eu868::time_on_air(modulation, len.min(255), true);
        let hours = self.channels.entry(key).or_default();
        let bucket = &mut hours[place(self.hour)];
        *bucket = bucket.saturating_add(airtime.as_micros() as u64);
    }

    /// Goes on to this time: forgets what is a day old, and channels that nobody used since.
    fn turn(&mut self, now: Duration) {
        let newest = hour(now).max(self.hour);
        if newest == self.hour {
            return;
        }
        let forgotten = (newest - self.hour).min(HOURS as u64);
        for hours in self.channels.values_mut() {
            for hour in newest - forgotten + 1..=newest {
                hours[place(hour)] = 0;
            }
        }
        self.channels.retain(|_, hours| hours.iter().any(|airtime| *airtime > 0));
        self.hour = newest;
    }

    /// How many frames were left out because there were too many channels.
    pub fn unaccounted(&self) -> u64 {
        self.unaccounted
    }

    /// How long the account looks back: up to 24 hours.
    pub fn span(&self, now: Duration) -> Duration {
        let oldest = hour(now).max(self.hour).saturating_sub(HOURS as u64 - 1);
        now.saturating_sub(self.start.max(Duration::from_secs(oldest * 3600)))
    }

    /// How much each channel is used, the fullest first. Nothing in the first ten minutes.
    pub fn loads(&mut self, now: Duration) -> Vec<Load> {
        self.turn(now);
        let span = self.span(now);
        if span < LEAST_SPAN {
            return Vec::new();
        }
        let load = |(&(frequency, spreading_factor, bandwidth), hours): (_, &[u64; HOURS])| {
            let airtime = hours.iter().fold(0u64, |sum, hour| sum.saturating_add(*hour));
            let share = airtime as f64 / span.as_micros() as f64;
            let modulation = LoRa { spreading_factor, bandwidth };
            let collisions = Ratio(1.0 - (-2.0 * share).exp());
            // frames that overlap can fill more than the time
            Load { frequency, modulation, share: Ratio(share.min(1.0)), collisions }
        };
        let mut loads: Vec<Load> = self.channels.iter().map(load).collect();
        loads.sort_by(|a, b| b.share.0.total_cmp(&a.share.0));
        loads
    }
}

/// The channel that a receiver means.
fn on_raster(frequency: Hertz) -> Hertz {
    Hertz(frequency.0.saturating_add(RASTER / 2) / RASTER * RASTER)
}

fn hour(at: Duration) -> u64 {
    at.as_secs() / 3600
}

fn place(hour: u64) -> usize {
    (hour % HOURS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const CHANNEL: Hertz = Hertz(868_100_000);

    fn sf(spreading_factor: u8) -> LoRa {
        LoRa { spreading_factor, bandwidth: Hertz(125_000) }
    }

    #[test]
    fn a_day_is_remembered_and_no_more() {
        let mut air = Airtime::new(Duration::ZERO);
        let frame = eu868::time_on_air(sf(12), 51, true);
        for hour in 0..100 {
            for minute in 0..60 {
                air.heard(CHANNEL, sf(12), 51, HOUR * hour + Duration::from_secs(60 * minute));
            }
            let now = HOUR * (hour + 1) - Duration::from_millis(1);
            let loads = air.loads(now);
            assert_eq!(loads.len(), 1);
            let expected = 60.0 * frame.as_secs_f64() / 3600.0;
            assert!((loads[0].share.0 - expected).abs() < 1e-6, "{hour}: {loads:?}");
        }
        assert!(!air.loads(HOUR * 122).is_empty());
        assert!(air.loads(HOUR * 124).is_empty(), "a silent channel is forgotten");
        // the clock of a machine that hibernated, and one that goes backwards
        air.heard(CHANNEL, sf(12), 51, Duration::MAX);
        air.heard(CHANNEL, sf(12), 51, Duration::ZERO);
        assert_eq!(air.span(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_first_minutes_say_nothing() {
        let mut air = Airtime::new(HOUR / 2);
        air.heard(CHANNEL, sf(7), 20, HOUR / 2);
        assert!(air.loads(HOUR / 2 + Duration::from_secs(599)).is_empty());
        let loads = air.loads(HOUR / 2 + Duration::from_secs(600));
        let share = eu868::time_on_air(sf(7), 20, true).as_secs_f64() / 600.0;
        assert!((loads[0].share.0 - share).abs() < 1e-9);
    }

    #[test]
    fn channels_that_strangers_make_up_do_not_grow_it() {
        let mut air = Airtime::new(Duration::ZERO);
        for n in 0..100_000 {
            air.heard(Hertz(n * 40_000), sf(7), 20, HOUR / 2);
        }
        assert_eq!(air.channels.len(), MAX_CHANNELS);
        assert_eq!(air.unaccounted(), 100_000 - MAX_CHANNELS as u64);
        // they make room for the true ones after a day
        air.heard(CHANNEL, sf(7), 20, HOUR * 25);
        assert_eq!(air.loads(HOUR * 25)[0].frequency, CHANNEL);
    }

    #[test]
    fn a_channel_is_one_channel_however_receivers_round_it() {
        let mut air = Airtime::new(Duration::ZERO);
        for hertz in [868_099_999, 868_100_000, 868_100_001, 868_110_000] {
            air.heard(Hertz(hertz), sf(7), 20, HOUR);
        }
        assert_eq!(air.loads(HOUR).len(), 1);
    }

    proptest! {
        #[test]
        fn any_frames_at_any_time_are_accounted_for(
            frames in prop::collection::vec((any::<u32>(), 5u8..=12, 0usize..300, 0u64..400_000), 0..200),
            now in 0u64..400_000,
        ) {
            let mut air = Airtime::new(Duration::ZERO);
            for (hertz, spreading_factor, len, second) in frames {
                air.heard(Hertz(hertz), sf(spreading_factor), len, Duration::from_secs(second));
            }
            for load in air.loads(Duration::from_secs(now)) {
                prop_assert!((0.0..=1.0).contains(&load.share.0));
                prop_assert!((0.0..=1.0).contains(&load.collisions.0));
            }
        }
    }
}
