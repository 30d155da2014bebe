//! How well one device is heard: what its frame counter says was lost on the air, and how near
//! it is to not being heard at all.
//!
//! Constant memory, 168 bytes a device; kept with its session as JSON. What is read back
//! from a damaged disk may be nonsense, and then gives nonsensical numbers, but never a panic.

use crate::eu868;
use crate::units::{Db, Hertz, LoRa, Ratio};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// A gap of more frames than this is not the air: the gateway was without power, or the device
/// was out of reach. It is counted as one absence and not as so many losses: a month in a drawer
/// would else ruin the ratio of a sensor for years.
pub const GREATEST_GAP: u32 = 1_000;

/// How many expected frames the recent delivery ratio looks at.
pub const WINDOW: u32 = u64::BITS;

/// How many expected frames are enough evidence for the recent half of a trend (half a day of a
/// sensor that speaks every 20 minutes), and for the half that it is compared with.
const RECENT_EVIDENCE: u32 = 32;
const EARLIER_EVIDENCE: u32 = 64;

/// A change of the delivery ratio by less than this is no trend.
const TREND_THRESHOLD: f64 = 0.05;

/// How many standard errors a change must be beyond chance: one trend in twenty is false.
const TREND_CERTAINTY: f64 = 2.0;

/// How many intervals between uplinks are remembered.
const STEPS: usize = 7;

/// What the newest uplink adds to the smoothed margin.
const SMOOTHING: f32 = 0.125;

/// An accepted uplink, as far as the statistics look at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The full frame counter.
    pub f_cnt: u32,
    /// Whether the counter began anew with this uplink: the first after a join, or a counter
    /// reset. What lies between the old and the new count is no loss.
    pub anew: bool,
    /// When its reception ended, by the wall clock.
    pub at: Timestamp,
    /// The signal-to-noise ratio at the best receiver.
    pub snr: Db,
    /// How it was modulated.
    pub modulation: LoRa,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How many bytes the PHYPayload had.
    pub len: usize,
}

/// What a device last said about itself (DevStatusAns, LoRaWAN 1.0.4, 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevStatus {
    /// As on the air: 0 external power, 1 to 254 empty to full, 255 not known to the device.
    pub battery: u8,
    /// The SNR in dB with which the device heard the request, -32 to 31.
    pub margin: i8,
    /// When it said so.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
}

/// What a device lives on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Battery {
    /// The mains.
    External,
    /// So much of its battery is left.
    Level(Ratio),
    /// It cannot tell.
    Unknown,
}

impl DevStatus {
    /// What the battery's number means.
    pub fn battery(self) -> Battery {
        match self.battery {
            0 => Battery::External,
            255 => Battery::Unknown,
            level => Battery::Level(Ratio(f64::from(level - 1) / 253.0)),
        }
    }
}

/// How the recent delivery ratio compares with the time before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// More arrives than before.
    Better,
    /// No difference beyond chance.
    Steady,
    /// Less arrives than before.
    Worse,
}

/// From one uplink to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u16)", into = "(u32, u16)")]
struct Step {
    /// How long, in milliseconds.
    ms: u32,
    /// How many frames the counter went on; 0 marks an empty place.
    frames: u16,
}

impl From<(u32, u16)> for Step {
    fn from((ms, frames): (u32, u16)) -> Self {
        Self { ms, frames }
    }
}

impl From<Step> for (u32, u16) {
    fn from(step: Step) -> Self {
        (step.ms, step.frames)
    }
}

/// How the last uplink came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Last {
    f_cnt: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    at: Timestamp,
    /// SNR above the demodulation floor, of this uplink.
    margin: f32,
    /// The same, smoothed over the uplinks with this spreading factor.
    smooth: f32,
    #[serde(serialize_with = "write_modulation", deserialize_with = "read_modulation")]
    modulation: LoRa,
    frequency: Hertz,
    /// Bytes of the PHYPayload: 0 to 255.
    len: u8,
}

/// What is known about one device's way through the air.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    received: u32,
    missed: u32,
    absences: u32,
    /// The last expected frames, the newest in bit 0; a bit is set where the frame came.
    window: u64,
    /// How many bits of the window say something.
    known: u8,
    /// From uplink to uplink, the newest first. All of one uninterrupted count and clock.
    steps: [Step; STEPS],
    last: Option<Last>,
    dev_status: Option<DevStatus>,
}

impl Statistics {
    /// Takes an accepted uplink in.
    pub fn observe(&mut self, seen: &Observation) {
        let Observation { f_cnt, at, modulation, .. } = *seen;
        // to the millisecond, as it is kept on disk
        let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at);
        self.received = self.received.saturating_add(1);
        let gap = self.last.filter(|_| !seen.anew).and_then(|last| f_cnt.checked_sub(last.f_cnt));
        match gap {
            Some(frames @ 1..=GREATEST_GAP) => {
                self.missed = self.missed.saturating_add(frames - 1);
                self.expect(frames);
                self.note_step(at, frames);
            }
            Some(1..) => {
                self.absences = self.absences.saturating_add(1);
                (self.window, self.known) = (1, 1);
                self.forget_steps();
            }
            // the first of a count
            Some(0) | None => {
                self.expect(1);
                self.forget_steps();
            }
        }
        let margin = (finite(seen.snr.0) - demodulation_floor(modulation.spreading_factor).0)
            .clamp(-100.0, 100.0);
        let smooth = match self.last {
            Some(last) if last.modulation == modulation && last.smooth.is_finite() => {
                last.smooth + SMOOTHING * (margin - last.smooth)
            }
            _ => margin,
        };
        let len = u8::try_from(seen.len).unwrap_or(u8::MAX);
        let frequency = seen.frequency;
        self.last = Some(Last { f_cnt, at, margin, smooth, modulation, frequency, len });
    }

    /// Takes in what the device says about itself.
    pub fn observe_status(&mut self, battery: u8, margin: i8, at: Timestamp) {
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        self.dev_status = Some(DevStatus { battery, margin, at });
    }

    /// So many more frames were expected, of which the newest came.
    fn expect(&mut self, frames: u32) {
        self.window = self.window.checked_shl(frames).unwrap_or(0) | 1;
        self.known = u32::from(self.known).saturating_add(frames).min(WINDOW) as u8;
    }

    fn note_step(&mut self, at: Timestamp, frames: u32) {
        let elapsed = self.last.and_then(|last| {
            let elapsed = at.duration_since(last.at);
            u32::try_from(elapsed.as_millis()).ok()
        });
        // a clock that went backwards, or by two months, was set: old and new times do not go together
        let (Some(ms), Ok(frames)) = (elapsed, u16::try_from(frames)) else {
            return self.forget_steps();
        };
        self.steps.rotate_right(1);
        self.steps[0] = Step { ms, frames };
    }

    fn forget_steps(&mut self) {
        self.steps = Default::default();
    }

    /// How many uplinks came.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// How many did not come, by the gaps of the counter; [`absences`](Self::absences) left out.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// How often more than [`GREATEST_GAP`] frames in a row did not come.
    pub fn absences(&self) -> u32 {
        self.absences
    }

    /// The share of the expected frames that came, since the device is known; absences count
    /// neither as expected nor as missed.
    pub fn overall(&self) -> Option<Ratio> {
        share(self.received, self.missed)
    }

    /// The share of the last [`WINDOW`] expected frames that came. It begins anew after an
    /// absence.
    pub fn recent(&self) -> Option<Ratio> {
        let (came, known) = self.in_window();
        share(came, known - came)
    }

    /// How many frames of the window came, and how many it knows of.
    fn in_window(&self) -> (u32, u32) {
        let known = u32::from(self.known).min(WINDOW);
        let mask = u64::MAX.checked_shr(WINDOW - known).unwrap_or(0);
        ((self.window & mask).count_ones(), known)
    }

    /// Whether more or less arrives than before: the window against all that was expected before
    /// it. `None` without at least 32 expected frames in the window and 64 before it. A difference
    /// counts when it is at least 5 points, and two standard errors.
    pub fn trend(&self) -> Option<Trend> {
        let (came, known) = self.in_window();
        let earlier_came = self.received.checked_sub(came)?;
        let earlier_missed = self.missed.saturating_sub(known - came);
        let earlier = earlier_came.saturating_add(earlier_missed);
        if known < RECENT_EVIDENCE || earlier < EARLIER_EVIDENCE {
            return None;
        }
        let (came, known) = (f64::from(came), f64::from(known));
        let (earlier_came, earlier) = (f64::from(earlier_came), f64::from(earlier));
        let difference = came / known - earlier_came / earlier;
        let pooled = (came + earlier_came) / (known + earlier);
        let error = (pooled * (1.0 - pooled) * (1.0 / known + 1.0 / earlier)).sqrt();
        Some(if difference.abs() < TREND_THRESHOLD.max(TREND_CERTAINTY * error) {
            Trend::Steady
        } else if difference > 0.0 {
            Trend::Better
        } else {
            Trend::Worse
        })
    }

    /// When the last uplink came.
    pub fn last_heard(&self) -> Option<Timestamp> {
        self.last.map(|last| last.at)
    }

    /// The SNR of the last uplink above the demodulation floor of its spreading factor.
    pub fn margin(&self) -> Option<Db> {
        self.last.map(|last| Db(last.margin))
    }

    /// The same, smoothed over the last uplinks with this spreading factor.
    pub fn smooth_margin(&self) -> Option<Db> {
        self.last.map(|last| Db(last.smooth))
    }

    /// How the last uplink was modulated.
    pub fn modulation(&self) -> Option<LoRa> {
        self.last.map(|last| last.modulation)
    }

    /// The channel of the last uplink.
    pub fn frequency(&self) -> Option<Hertz> {
        self.last.map(|last| last.frequency)
    }

    /// How long the last uplink was on the air.
    pub fn time_on_air(&self) -> Option<Duration> {
        self.last.map(|last| eu868::time_on_air(last.modulation, last.len.into(), true))
    }

    /// The mean time from one frame to the next, over the last uplinks; frames that did not come
    /// are counted in.
    pub fn interval(&self) -> Option<Duration> {
        let (ms, frames) = self.steps().fold((0u64, 0u64), |(ms, frames), step| {
            (ms + u64::from(step.ms), frames + u64::from(step.frames))
        });
        (frames > 0).then(|| Duration::from_micros(ms * 1000 / frames))
    }

    /// When the last uplinks came, the newest first: at most eight, all of one count.
    pub fn heard_at(&self) -> impl Iterator<Item = Timestamp> {
        let back = self.steps().scan(SignedDuration::ZERO, |back, step| {
            *back += SignedDuration::from_millis(step.ms.into());
            Some(*back)
        });
        let last = self.last.map(|last| last.at);
        std::iter::once(SignedDuration::ZERO).chain(back).map_while(move |back| {
            // out of range only by what a damaged disk says
            last?.checked_sub(back).ok()
        })
    }

    /// What the device last said about itself.
    pub fn dev_status(&self) -> Option<DevStatus> {
        self.dev_status
    }

    fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.into_iter().take_while(|step| step.frames > 0)
    }
}

/// The least SNR at which a receiver understands a spreading factor: -7.5 dB at SF7, 2.5 dB less
/// with each further one, -20 dB at SF12 (Semtech SX1276 data sheet, table 13).
pub fn demodulation_floor(spreading_factor: u8) -> Db {
    Db(10.0 - 2.5 * f32::from(spreading_factor))
}

fn share(came: u32, missed: u32) -> Option<Ratio> {
    let all = f64::from(came) + f64::from(missed);
    (all > 0.0).then(|| Ratio(f64::from(came) / all))
}

/// A number that JSON can hold: not a number means nothing was heard beyond the noise.
fn finite(value: f32) -> f32 {
    if value.is_nan() { -100.0 } else { value }
}

fn write_modulation<S: Serializer>(modulation: &LoRa, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(modulation)
}

fn read_modulation<'de, D: Deserializer<'de>>(d: D) -> Result<LoRa, D::Error> {
    let text = String::deserialize(d)?;
    text.parse().map_err(|()| serde::de::Error::custom("no LoRa modulation"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SF9: LoRa = LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) };

    fn uplink(f_cnt: u32, second: i64) -> Observation {
        Observation {
            f_cnt,
            anew: false,
            at: Timestamp::from_second(second).expect("in range"),
            snr: Db(0.0),
            modulation: SF9,
            frequency: Hertz(868_100_000),
            len: 24,
        }
    }

    /// After these counters, an hour apart each.
    fn after(counters: impl IntoIterator<Item = u32>) -> Statistics {
        let mut statistics = Statistics::default();
        for f_cnt in counters {
            statistics.observe(&uplink(f_cnt, i64::from(f_cnt) * 3600));
        }
        statistics
    }

    #[test]
    fn it_takes_little_memory() {
        assert!(size_of::<Statistics>() <= 256, "{} bytes", size_of::<Statistics>());
    }

    #[test]
    fn nothing_is_known_of_a_device_that_was_never_heard() {
        let silent = Statistics::default();
        assert_eq!((silent.overall(), silent.recent(), silent.trend()), (None, None, None));
        assert_eq!((silent.interval(), silent.margin()), (None, None));
        assert_eq!(silent.heard_at().count(), 0);
    }

    #[test]
    fn gaps_of_the_counter_are_losses() {
        let statistics = after([10, 11, 12, 15, 16]);
        assert_eq!((statistics.received(), statistics.missed()), (5, 2));
        assert_eq!(statistics.recent(), Some(Ratio(5.0 / 7.0)));
        assert_eq!(statistics.overall(), Some(Ratio(5.0 / 7.0)));
        assert_eq!(statistics.interval(), Some(Duration::from_secs(3600)), "losses counted in");
    }

    #[test]
    fn a_count_that_begins_anew_loses_nothing() {
        let mut statistics = after(1000..1010);
        statistics.observe(&Observation { anew: true, ..uplink(0, 9_000_000) });
        statistics.observe(&uplink(1, 9_003_600));
        // the same, had nobody said so
        statistics.observe(&uplink(0, 9_007_200));
        // a join with a counter above the old one
        statistics.observe(&Observation { anew: true, ..uplink(500, 9_010_800) });
        assert_eq!((statistics.received(), statistics.missed()), (14, 0));
        assert_eq!(statistics.overall(), Some(Ratio(1.0)));
    }

    #[test]
    fn an_absence_is_no_loss_and_is_forgotten() {
        let mut statistics = after(0..100);
        statistics.observe(&uplink(9_000, 9_000 * 3600));
        assert_eq!((statistics.missed(), statistics.absences()), (0, 1));
        assert_eq!(statistics.recent(), Some(Ratio(1.0)));
        assert_eq!(statistics.trend(), None, "the window knows too little");

        // the greatest gap that counts: the window forgets it, the overall ratio outgrows it
        let mut statistics = after([0, GREATEST_GAP]);
        assert_eq!(statistics.missed(), GREATEST_GAP - 1);
        assert_eq!(statistics.recent(), Some(Ratio(1.0 / 64.0)));
        for f_cnt in GREATEST_GAP + 1..GREATEST_GAP + 64 {
            statistics.observe(&uplink(f_cnt, i64::from(f_cnt) * 3600));
        }
        assert_eq!(statistics.recent(), Some(Ratio(1.0)));
    }

    #[test]
    fn a_trend_needs_evidence_and_a_difference_beyond_chance() {
        assert_eq!(after(0..95).trend(), None);
        assert_eq!(after(0..200).trend(), Some(Trend::Steady));
        // every second one lost of late
        let worse = (0..200).chain((200..280).step_by(2));
        assert_eq!(after(worse).trend(), Some(Trend::Worse));
        let better = (0..400).step_by(2).chain(400..480);
        assert_eq!(after(better).trend(), Some(Trend::Better));
        // three of 64 lost: 4.7 points
        let scarcely = (0..200).chain((200..264).filter(|n| n % 25 != 0));
        assert_eq!(after(scarcely).trend(), Some(Trend::Steady));
    }

    #[test]
    fn the_margin_is_above_the_floor_of_its_spreading_factor() {
        let mut statistics = Statistics::default();
        for (sf, snr, margin) in [(7, -7.5, 0.0), (9, 0.0, 12.5), (12, -18.0, 2.0)] {
            let modulation = LoRa { spreading_factor: sf, ..SF9 };
            statistics.observe(&Observation { modulation, snr: Db(snr), ..uplink(sf.into(), 0) });
            assert_eq!(statistics.margin(), Some(Db(margin)));
            assert_eq!(statistics.smooth_margin(), Some(Db(margin)), "begins anew with each SF");
        }
        statistics.observe(&Observation { snr: Db(f32::NAN), ..uplink(20, 0) });
        assert_eq!(statistics.margin(), Some(Db(-87.5)));
    }

    #[test]
    fn a_clock_that_is_set_makes_no_interval() {
        let mut statistics = Statistics::default();
        for (f_cnt, at) in [(0, 0), (1, 600), (2, 1_700_000_000), (3, 1_700_000_600)] {
            statistics.observe(&uplink(f_cnt, at));
        }
        assert_eq!(statistics.interval(), Some(Duration::from_secs(600)));
        assert_eq!(statistics.heard_at().count(), 2);
        statistics.observe(&uplink(4, 0));
        assert_eq!(statistics.interval(), None);
        assert_eq!(statistics.missed(), 0);
    }

    #[test]
    fn the_battery_is_a_level_mains_or_unknown() {
        let battery =
            |raw| DevStatus { battery: raw, margin: 0, at: Timestamp::UNIX_EPOCH }.battery();
        assert_eq!(battery(0), Battery::External);
        assert_eq!(battery(1), Battery::Level(Ratio(0.0)));
        assert_eq!(battery(254), Battery::Level(Ratio(1.0)));
        assert_eq!(battery(255), Battery::Unknown);
    }

    prop_compose! {
        fn any_uplink()(
            f_cnt in prop_oneof![any::<u32>(), 0u32..3000], anew in prop::bool::weighted(0.1),
            ms in prop_oneof![0i64..100_000_000, -377_705_023_201_000..253_402_207_200_000i64],
            snr in any::<f32>(), sf in 5u8..=12, len in 0usize..300,
        ) -> Observation {
            Observation {
                f_cnt, anew, snr: Db(snr), len,
                at: Timestamp::from_millisecond(ms).expect("in range"),
                modulation: LoRa { spreading_factor: sf, ..SF9 },
                frequency: Hertz(868_300_000),
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_heard_the_numbers_are_sane_and_survive_the_disk(
            uplinks in prop::collection::vec(any_uplink(), 0..100), battery: u8, margin: i8,
        ) {
            let mut statistics = Statistics::default();
            for uplink in &uplinks {
                statistics.observe(uplink);
                for ratio in [statistics.recent(), statistics.overall()] {
                    let Ratio(ratio) = ratio.expect("something was heard");
                    prop_assert!(ratio > 0.0 && ratio <= 1.0);
                }
                statistics.trend();
                prop_assert!(statistics.margin().is_some_and(|m| m.0.is_finite()));
                prop_assert_eq!(statistics.heard_at().next(), Some(uplink.at));
                let times: Vec<_> = statistics.heard_at().collect();
                prop_assert!(times.len() <= 8 && times.is_sorted_by(|newer, older| newer >= older));
            }
            statistics.observe_status(battery, margin, Timestamp::UNIX_EPOCH);
            prop_assert_eq!(statistics.received() as usize, uplinks.len());
            let json = serde_json::to_string(&statistics).expect("JSON");
            prop_assert!(json.len() < 700, "{}", json);
            let back: Statistics = serde_json::from_str(&json).expect("read back");
            prop_assert_eq!(back, statistics);
        }

        /// What was sent has either come or is missed, as long as no gap is an absence.
        #[test]
        fn the_books_balance(lost in prop::collection::vec(any::<bool>(), 1..600)) {
            let came: Vec<u32> =
                (0..).zip(&lost).filter(|(_, lost)| !**lost).map(|(n, _)| n).collect();
            let statistics = after(came.iter().copied());
            let expected = came.last().map_or(0, |last| last - came[0] + 1);
            prop_assert_eq!(statistics.received() + statistics.missed(), expected);
            let from = expected.saturating_sub(WINDOW);
            let in_window = came.iter().filter(|n| **n - came[0] >= from).count() as f64;
            let recent = statistics.recent().map(|ratio| ratio.0);
            let share = in_window / f64::from(expected.min(WINDOW));
            prop_assert_eq!(recent, (expected > 0).then_some(share));
        }

        /// What a damaged disk says is refused, or does no harm.
        #[test]
        fn nonsense_from_the_disk_does_not_panic(
            received: u32, missed: u32, window: u64, known: u8, f_cnt: u32, ms: u32, frames: u16,
            at in -377_705_023_201_000..253_402_207_200_000i64, next in any_uplink(), sf: u8,
        ) {
            let json = serde_json::json!({
                "received": received, "missed": missed, "window": window, "known": known,
                "steps": vec![serde_json::json!([ms, frames]); STEPS],
                "last": {
                    "f_cnt": f_cnt, "at": at, "margin": 1e30, "smooth": -1e30,
                    "modulation": format!("SF{sf}BW125"), "frequency": 1, "len": 255,
                },
            });
            let read = serde_json::from_value::<Statistics>(json);
            prop_assert_eq!(read.is_ok(), (5..=12).contains(&sf));
            if let Ok(mut statistics) = read {
                for _ in 0..2 {
                    let _ = (statistics.trend(), statistics.recent(), statistics.overall());
                    let _ = (statistics.interval(), statistics.time_on_air());
                    let _ = statistics.heard_at().count();
                    statistics.observe(&next);
                }
            }
        }
    }
}
