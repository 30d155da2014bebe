//! A radio that hears nothing although its devices are due is a fault. Pure.
//!
//! Nothing else would notice it: an antenna that has come off, a receiver that hangs, an
//! oscillator that has drifted away raise no error. What there is to go by is that a sensor
//! sends at least once in its heartbeat. So each heartbeat of each device that passes in
//! silence, while the radio hears none at all, is a piece of evidence against the radio.
//!
//! How much evidence is enough? A healthy radio loses an uplink with some probability `p`. If
//! losses are independent, silence by chance over `n` pieces of evidence has probability `pⁿ`:
//!
//! | | a good site, p = 0.1 | a bad one, p = 0.3 | joining on one channel of three, p = 0.67 |
//! | --- | --- | --- | --- |
//! | 5: set up again | 10⁻⁵ | 0.2 % | 14 % |
//! | 8: reset | 10⁻⁸ | 0.007 % | 4 % |
//! | 12: alarm | 10⁻¹² | 5·10⁻⁷ | 0.8 % |
//!
//! Setting the radio up again makes it deaf for a twentieth of a second, so five is not too
//! early even where it is a guess; an alarm costs somebody's way to the gateway, so twelve
//! makes it right even on a bad site. The steps come one after the other, however fast the
//! evidence grows: each remedy is given as much silence again as lies between the thresholds.

//! Beside a concentrator, devices hop over more channels than a radio hears, and a heartbeat that
//! it has not heard is no evidence. There, a piece of evidence is a frame that somebody else heard
//! just where this radio listens, from a device that this radio has heard before.

use crate::units::DevEui;
use std::collections::HashMap;
use std::time::Duration;

/// Evidence on which the radio is set up again.
const REINIT: u64 = 5;

/// Evidence on which it is reset.
const RESET: u64 = 8;

/// Evidence on which somebody is called.
const ALARM: u64 = 12;

/// A device that was silent for as many heartbeats while the radio heard others has an empty
/// battery, or has been moved away: it says nothing about the radio.
const GONE: u64 = 3;

/// Of how many devices a radio keeps account. More of them would only be surer.
const MAX_DEVICES: usize = 4096;

/// No profile promises more often.
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// What is to be done about a radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Set it up again.
    Reinit,
    /// Reset it.
    Reset,
    /// It is deaf: say so.
    Alarm,
    /// It was said to be deaf, and hears.
    Recovered,
}

/// Watches over one radio. All times are on one monotonic clock.
#[derive(Debug, Default)]
pub struct Vigil {
    devices: HashMap<DevEui, Device>,
    /// When the radio last heard any of them, or was started.
    heard: Duration,
    stage: Stage,
    /// How much evidence there was at the last step.
    judged: u64,
    /// How many frames others have heard since, where that is what counts.
    witnessed: Option<u64>,
}

#[derive(Debug)]
struct Device {
    heartbeat: Duration,
    heard: Duration,
    /// How many of its frames only others heard, until the radio heard another device …
    missed_before: u64,
    /// … and since then.
    missed: u64,
    last_missed: Duration,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Trusted,
    SetUpAgain,
    Reset,
    Deaf,
    /// It was deaf, and has heard something.
    Recovered,
}

impl Vigil {
    /// A vigil over a radio that was started now.
    pub fn new(now: Duration) -> Self {
        Self { heard: now, ..Self::default() }
    }

    /// A vigil over a radio beside a concentrator, which is told what it misses.
    pub fn with_witness(now: Duration) -> Self {
        Self { witnessed: Some(0), ..Self::new(now) }
    }

    /// Somebody else heard a frame of this device on the channel and with the spreading factor
    /// that this radio listens for. Says something of a vigil with a witness only.
    pub fn missed(&mut self, device: DevEui, now: Duration) {
        let Some(witnessed) = &mut self.witnessed else { return };
        let Some(device) = self.devices.get_mut(&device) else { return };
        if device.last_missed <= self.heard {
            device.missed_before += std::mem::take(&mut device.missed);
        }
        device.last_missed = now;
        device.missed += 1;
        // else it is out of this radio's reach by now
        if device.missed_before < GONE {
            *witnessed += 1;
        }
    }

    /// The radio was started anew, after it could not be used: its silence begins now. One that
    /// was deaf has yet to prove that it is not.
    pub fn restarted(&mut self, now: Duration) {
        self.excuse(now);
        self.judged = 0;
        if self.stage != Stage::Deaf {
            self.stage = Stage::Trusted;
        }
    }

    /// The radio ought to hear this device, which it heard before the gateway started. Its
    /// first heartbeat ends at `now` plus `heartbeat`.
    pub fn expect(&mut self, device: DevEui, heartbeat: Duration, now: Duration) {
        let heartbeat = heartbeat.max(MIN_HEARTBEAT);
        if self.devices.contains_key(&device) || self.devices.len() < MAX_DEVICES {
            let begins =
                Device { heartbeat, heard: now, missed_before: 0, missed: 0, last_missed: now };
            self.devices.insert(device, begins);
        }
    }

    /// Of devices for which this does not hold the radio hears nothing any more.
    pub fn retain(&mut self, is_there: impl Fn(DevEui) -> bool) {
        self.devices.retain(|device, _| is_there(*device));
    }

    /// Whether it keeps account of this device.
    pub fn knows(&self, device: DevEui) -> bool {
        self.devices.contains_key(&device)
    }

    /// The radio received an authenticated frame of a device that sends at least once in
    /// `heartbeat`.
    pub fn heard(&mut self, device: DevEui, heartbeat: Duration, now: Duration) {
        self.hears(now);
        self.expect(device, heartbeat, now);
        if self.devices.len() >= MAX_DEVICES {
            let heard = self.heard;
            self.devices.retain(|_, device| !device.is_gone(heard));
        }
    }

    /// How many heartbeats have passed in silence since the radio heard anything; with a witness,
    /// how many frames it has missed since then.
    pub fn evidence(&self, now: Duration) -> u64 {
        if let Some(witnessed) = self.witnessed {
            return witnessed;
        }
        let missed = |device: &Device| {
            if device.is_gone(self.heard) {
                return 0;
            }
            device.missed(now).saturating_sub(device.missed(self.heard))
        };
        self.devices.values().map(missed).sum()
    }

    /// What is to be done now. To be asked every few seconds.
    pub fn tick(&mut self, now: Duration) -> Option<Step> {
        if self.stage == Stage::Recovered {
            self.stage = Stage::Trusted;
            return Some(Step::Recovered);
        }
        let evidence = self.evidence(now);
        let (threshold, gap, stage, step) = match self.stage {
            Stage::Trusted | Stage::Recovered => (REINIT, REINIT, Stage::SetUpAgain, Step::Reinit),
            Stage::SetUpAgain => (RESET, RESET - REINIT, Stage::Reset, Step::Reset),
            Stage::Reset => (ALARM, ALARM - RESET, Stage::Deaf, Step::Alarm),
            // the alarm stands; who knows, another reset may help, ever more seldom
            Stage::Deaf => (2 * ALARM, self.judged, Stage::Deaf, Step::Reset),
        };
        if evidence < threshold.max(self.judged.saturating_add(gap)) {
            return None;
        }
        self.judged = evidence;
        self.stage = stage;
        Some(step)
    }

    /// The silence of the devices until now was the radio's.
    fn excuse(&mut self, now: Duration) {
        let heard = self.heard;
        for device in self.devices.values_mut().filter(|device| !device.is_gone(heard)) {
            device.heard = device.heard.max(now);
        }
        self.heard = heard.max(now);
        self.witnessed = self.witnessed.map(|_| 0);
    }

    fn hears(&mut self, now: Duration) {
        if self.stage == Stage::Deaf {
            self.excuse(now);
        }
        self.heard = self.heard.max(now);
        self.witnessed = self.witnessed.map(|_| 0);
        self.judged = 0;
        self.stage = match self.stage {
            Stage::Deaf | Stage::Recovered => Stage::Recovered,
            _ => Stage::Trusted,
        };
    }
}

impl Device {
    /// How many of its heartbeats were over at `time` since it was heard.
    fn missed(&self, time: Duration) -> u64 {
        let silence = time.saturating_sub(self.heard);
        (silence.as_nanos() / self.heartbeat.as_nanos()) as u64
    }

    /// Whether it had been silent for long when the radio last heard another one.
    fn is_gone(&self, radio_heard: Duration) -> bool {
        self.missed(radio_heard) >= GONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    /// Every step of a vigil that is asked each minute, with its minute.
    fn steps(vigil: &mut Vigil, minutes_from: u64, to: u64) -> Vec<(u64, Step)> {
        (minutes_from..to)
            .filter_map(|minute| vigil.tick(minutes(minute)).map(|step| (minute, step)))
            .collect()
    }

    #[test]
    fn one_device_that_is_silent_is_evidence_heartbeat_by_heartbeat() {
        let mut vigil = Vigil::new(Duration::ZERO);
        vigil.heard(DevEui(1), HOUR, Duration::ZERO);
        let steps = steps(&mut vigil, 0, 60 * 25);
        let expected =
            [(300, Step::Reinit), (480, Step::Reset), (720, Step::Alarm), (1440, Step::Reset)];
        assert_eq!(steps, expected);
    }

    #[test]
    fn many_devices_make_it_sure_within_minutes_but_each_remedy_gets_its_chance() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for device in 0..60 {
            vigil.heard(DevEui(device), HOUR, minutes(device));
        }
        // the first is due at minute 60, and from then on one a minute
        let expected = [(64, Step::Reinit), (67, Step::Reset), (71, Step::Alarm)];
        assert_eq!(steps(&mut vigil, 60, 80), expected);
    }

    #[test]
    fn all_due_at_once_is_no_reason_to_skip_a_remedy() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for device in 0..60 {
            vigil.heard(DevEui(device), HOUR, Duration::ZERO);
        }
        assert_eq!(vigil.tick(HOUR), Some(Step::Reinit));
        assert_eq!(vigil.tick(HOUR + minutes(59)), None, "nothing was due since");
        assert_eq!(vigil.tick(2 * HOUR), Some(Step::Reset));
        assert_eq!(vigil.tick(3 * HOUR), Some(Step::Alarm));
    }

    #[test]
    fn a_frame_clears_the_radio_and_ends_the_alarm_once() {
        let mut vigil = Vigil::new(Duration::ZERO);
        vigil.heard(DevEui(1), HOUR, Duration::ZERO);
        assert_eq!(steps(&mut vigil, 0, 800).last(), Some(&(720, Step::Alarm)));
        vigil.heard(DevEui(1), HOUR, minutes(800));
        assert_eq!(steps(&mut vigil, 800, 1000), [(800, Step::Recovered)]);
        assert_eq!(vigil.evidence(minutes(800)), 0);
    }

    #[test]
    fn beside_a_concentrator_only_what_it_heard_on_the_same_channel_counts() {
        let mut vigil = Vigil::with_witness(Duration::ZERO);
        vigil.heard(DevEui(1), HOUR, Duration::ZERO);
        vigil.missed(DevEui(2), minutes(1));
        assert_eq!(vigil.evidence(HOUR * 100), 0, "silence says nothing, nor does a stranger");
        let mut told = Vec::new();
        for minute in 1..=30 {
            vigil.missed(DevEui(1), minutes(minute));
            told.extend(vigil.tick(minutes(minute)).map(|step| (minute, step)));
        }
        let expected = [(5, Step::Reinit), (8, Step::Reset), (12, Step::Alarm), (24, Step::Reset)];
        assert_eq!(told, expected);
        vigil.heard(DevEui(1), HOUR, minutes(31));
        assert_eq!(vigil.tick(minutes(31)), Some(Step::Recovered));
        assert_eq!(vigil.evidence(minutes(31)), 0);
    }

    #[test]
    fn a_device_that_was_moved_out_of_reach_accuses_no_radio_that_hears_others() {
        let mut vigil = Vigil::with_witness(Duration::ZERO);
        vigil.heard(DevEui(1), HOUR, Duration::ZERO);
        for minute in 1..1000 {
            if minute % 60 == 4 {
                vigil.heard(DevEui(2), HOUR, minutes(minute));
            }
            vigil.missed(DevEui(1), minutes(minute));
            assert_eq!(vigil.tick(minutes(minute)), None, "minute {minute}");
        }
    }

    #[test]
    fn a_radio_that_needed_no_alarm_has_not_recovered() {
        let mut vigil = Vigil::new(Duration::ZERO);
        vigil.heard(DevEui(1), HOUR, Duration::ZERO);
        assert_eq!(steps(&mut vigil, 0, 500), [(300, Step::Reinit), (480, Step::Reset)]);
        vigil.heard(DevEui(1), HOUR, minutes(500));
        assert_eq!(steps(&mut vigil, 500, 799), []);
    }

    #[test]
    fn dead_devices_are_no_evidence_as_long_as_others_are_heard() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for dead in 0..100 {
            vigil.heard(DevEui(dead), HOUR, Duration::ZERO);
        }
        let mut told = Vec::new();
        for minute in 1..60 * 24 * 7 {
            if minute % 10 == 0 {
                vigil.heard(DevEui(1000), HOUR, minutes(minute));
            }
            told.extend(vigil.tick(minutes(minute)));
        }
        // a hundred that fall silent together may look like the radio for a moment
        assert!(told.iter().all(|step| *step == Step::Reinit), "{told:?}");
        assert!(told.len() <= 3, "{told:?}");
    }

    #[test]
    fn a_radio_that_never_heard_anything_since_the_start_is_found() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for device in 0..12 {
            vigil.expect(DevEui(device), HOUR, Duration::ZERO);
        }
        assert_eq!(
            steps(&mut vigil, 0, 200),
            [(60, Step::Reinit), (120, Step::Reset), (180, Step::Alarm)]
        );
        // opened anew it is still deaf until it hears
        vigil.restarted(minutes(200));
        assert_eq!(vigil.tick(minutes(200)), None);
        vigil.heard(DevEui(0), HOUR, minutes(201));
        assert_eq!(vigil.tick(minutes(201)), Some(Step::Recovered));
    }

    #[test]
    fn a_radio_that_comes_back_deaf_from_a_long_outage_is_found() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for device in 0..12 {
            vigil.heard(DevEui(device), HOUR, Duration::ZERO);
        }
        let back = 60 * 24;
        vigil.restarted(minutes(back));
        let expected =
            [(back + 60, Step::Reinit), (back + 120, Step::Reset), (back + 180, Step::Alarm)];
        assert_eq!(steps(&mut vigil, back, back + 200), expected);
    }

    #[test]
    fn a_radio_that_goes_deaf_again_at_once_is_found_again() {
        let mut vigil = Vigil::new(Duration::ZERO);
        for device in 0..12 {
            vigil.heard(DevEui(device), HOUR, Duration::ZERO);
        }
        assert_eq!(steps(&mut vigil, 0, 600).iter().filter(|s| s.1 == Step::Alarm).count(), 1);
        vigil.heard(DevEui(0), HOUR, minutes(600));
        let again = steps(&mut vigil, 600, 800);
        let expected =
            [(600, Step::Recovered), (660, Step::Reinit), (720, Step::Reset), (780, Step::Alarm)];
        assert_eq!(again, expected);
    }

    proptest! {
        /// A radio that hears each of its devices in time is never suspected.
        #[test]
        fn regular_devices_are_never_evidence(
            periods in proptest::collection::vec(60u64..7200, 1..20),
        ) {
            let mut vigil = Vigil::new(Duration::ZERO);
            for second in 0..20_000u64 {
                for (device, period) in periods.iter().enumerate() {
                    if second % period == 0 {
                        let heartbeat = Duration::from_secs(period + 1);
                        vigil.heard(DevEui(device as u64), heartbeat, Duration::from_secs(second));
                    }
                }
                prop_assert_eq!(vigil.tick(Duration::from_secs(second)), None);
            }
        }

        /// A radio that goes deaf is always found, in order, and never twice.
        #[test]
        fn a_deaf_radio_always_ends_in_one_alarm(
            heartbeats in proptest::collection::vec(60u64..7200, 1..20),
        ) {
            let mut vigil = Vigil::new(Duration::ZERO);
            for (device, heartbeat) in heartbeats.iter().enumerate() {
                vigil.heard(DevEui(device as u64), Duration::from_secs(*heartbeat), Duration::ZERO);
            }
            let longest = heartbeats.iter().max().expect("not empty") * 13;
            let steps: Vec<_> = (0..longest)
                .step_by(10)
                .filter_map(|second| vigil.tick(Duration::from_secs(second)))
                .collect();
            prop_assert_eq!(&steps[..3], [Step::Reinit, Step::Reset, Step::Alarm]);
            prop_assert!(steps[3..].iter().all(|step| *step == Step::Reset));
            prop_assert!(steps.len() < 20);
        }

        /// Whatever happens in whatever order, also a clock that goes back: no panic, no growth.
        #[test]
        fn memory_is_bounded(
            events in proptest::collection::vec((0u8..4, any::<u64>(), any::<u32>(), any::<u32>()), 0..300),
        ) {
            let mut vigil = Vigil::new(Duration::ZERO);
            for device in 0..(MAX_DEVICES as u64 + 100) {
                vigil.heard(DevEui(device), Duration::from_secs(60), Duration::ZERO);
            }
            for (kind, device, heartbeat, now) in events {
                let heartbeat = Duration::from_millis(heartbeat.into());
                let now = Duration::from_millis(now.into());
                match kind {
                    0 => vigil.heard(DevEui(device), heartbeat, now),
                    1 => vigil.expect(DevEui(device), heartbeat, now),
                    _ => { let _ = vigil.tick(now); }
                }
                prop_assert!(vigil.devices.len() <= MAX_DEVICES);
            }
        }
    }
}
