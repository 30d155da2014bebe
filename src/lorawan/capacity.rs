//! How full the air is, and what to do about it.
//!
//! Two things spoil a fleet that was heard well when it was small: a channel that is used so
//! much that frames collide, and sensors that were switched on together and transmit at the same
//! moment ever since. [`Airtime`] watches the first, [`in_phase`] finds the second.

use super::statistics::Statistics;
use crate::eu868;
use crate::units::{Db, DevEui, Hertz, LoRa, Ratio, duration};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
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

/// From this share of collisions on something should be done.
const CROWDED: f64 = 0.10;

/// What an installation needs above the demodulation floor so that rain, leaves and parked cars do
/// not silence it: the usual margin of ADR in network servers.
const INSTALLATION_MARGIN: Db = Db(10.0);

/// Beside the time on air, how near two uplinks must be to count as in phase: a delay of its own
/// after the wake-up (a measurement, a random back-off) differs from uplink to uplink.
const PHASE_SLACK: Duration = Duration::from_secs(2);

/// In how many of their last eight uplinks devices must have met.
const MEETINGS: usize = 4;

/// By how much of the longer one the intervals of devices in phase may differ.
const INTERVAL_TOLERANCE: f64 = 0.01;

/// With how many later uplinks each is compared. Bounds the work when a whole fleet speaks at
/// once; a group is then told in parts.
const NEIGHBOURS: usize = 8;

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

impl Airtime {
    /// An account that begins now. Times are of a monotonic clock: one that is set during the day
    /// would fill or empty hours.
    pub fn new(now: Duration) -> Self {
        Self { start: now, hour: hour(now), channels: BTreeMap::new(), unaccounted: 0 }
    }

    /// Takes in a frame that was heard, whoever sent it, of so many bytes (PHYPayload).
    pub fn heard(&mut self, frequency: Hertz, modulation: LoRa, len: usize, now: Duration) {
        self.turn(now);
        let frequency = Hertz(frequency.0.saturating_add(RASTER / 2) / RASTER * RASTER);
        let key = (frequency, modulation.spreading_factor, modulation.bandwidth);
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
            Load { frequency, modulation, share: Ratio(share), collisions }
        };
        let mut loads: Vec<Load> = self.channels.iter().map(load).collect();
        loads.sort_by(|a, b| b.share.0.total_cmp(&a.share.0));
        loads
    }
}

fn hour(at: Duration) -> u64 {
    at.as_secs() / 3600
}

fn place(hour: u64) -> usize {
    (hour % HOURS as u64) as usize
}

/// Devices that transmit at the same moment, time after time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPhase {
    /// Two or more, by their DevEUI.
    pub devices: Vec<DevEui>,
    /// How often they do so.
    pub interval: Duration,
}

/// The groups of devices that met in at least four of their last eight uplinks, each within its
/// time on air and 2 s, at intervals that agree within 1 %; the largest group first, each device
/// in one group at most. Whether a meeting is a collision depends on channel and spreading factor,
/// which devices change; that they meet at all is what can be mended.
///
/// O(n log n). Devices whose times are nobody's business (of care) are to be left out by the caller.
pub fn in_phase<'a>(fleet: impl IntoIterator<Item = (DevEui, &'a Statistics)>) -> Vec<InPhase> {
    let mut devices: Vec<Periodic> = Vec::new();
    let mut uplinks: Vec<(Timestamp, usize)> = Vec::new();
    for (dev_eui, statistics) in fleet {
        let times = statistics.heard_at();
        if let (Some(interval), Some(airtime)) = (statistics.interval(), statistics.time_on_air())
            // devices that speak all the time meet everybody
            && interval > 2 * (airtime + PHASE_SLACK)
        {
            uplinks.extend(times.map(|at| (at, devices.len())));
            devices.push(Periodic { dev_eui, interval, reach: airtime + PHASE_SLACK });
        }
    }
    uplinks.sort_unstable();

    let mut meetings: Vec<(usize, usize)> = Vec::new();
    for (i, &(at, one)) in uplinks.iter().enumerate() {
        for &(later, other) in uplinks[i + 1..].iter().take(NEIGHBOURS) {
            let apart = later.duration_since(at).unsigned_abs();
            if apart > devices[one].reach {
                break;
            }
            if one != other && devices[one].agrees(&devices[other]) {
                meetings.push((one.min(other), one.max(other)));
            }
        }
    }
    meetings.sort_unstable();
    let mut friends: HashMap<usize, Vec<usize>> = HashMap::new();
    for met in meetings.chunk_by(|a, b| a == b).filter(|met| met.len() >= MEETINGS) {
        let (one, other) = met[0];
        friends.entry(one).or_default().push(other);
        friends.entry(other).or_default().push(one);
    }
    groups(&devices, &friends)
}

/// A device that was heard at least twice in a row.
struct Periodic {
    dev_eui: DevEui,
    interval: Duration,
    /// Another uplink that begins within this time meets its own.
    reach: Duration,
}

impl Periodic {
    fn agrees(&self, other: &Self) -> bool {
        let (a, b) = (self.interval.as_secs_f64(), other.interval.as_secs_f64());
        (a - b).abs() <= INTERVAL_TOLERANCE * a.max(b)
    }
}

/// Who has most friends gathers those that are still free. So all of a group meet the same
/// device, and do not only hang together in a chain.
fn groups(devices: &[Periodic], friends: &HashMap<usize, Vec<usize>>) -> Vec<InPhase> {
    let mut hosts: Vec<(&usize, &Vec<usize>)> = friends.iter().collect();
    hosts.sort_unstable_by_key(|(host, guests)| (Reverse(guests.len()), **host));
    let mut taken = vec![false; devices.len()];
    let mut groups = Vec::new();
    for (host, guests) in hosts {
        if taken[*host] {
            continue;
        }
        let mut members: Vec<usize> = guests.iter().copied().filter(|g| !taken[*g]).collect();
        if members.is_empty() {
            continue;
        }
        members.push(*host);
        members.iter().for_each(|member| taken[*member] = true);
        let mut members: Vec<DevEui> = members.iter().map(|m| devices[*m].dev_eui).collect();
        members.sort_unstable();
        groups.push(InPhase { devices: members, interval: devices[*host].interval });
    }
    groups.sort_by_key(|group| Reverse(group.devices.len()));
    groups
}

/// What could be done for a better reception.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// Frames collide on this channel.
    Crowded {
        /// Where.
        load: Load,
        /// How many of our devices last used this spreading factor there.
        devices: usize,
        /// How many of them are heard well enough for a faster one, with a margin of 10 dB.
        movable: usize,
        /// The slowest that one of these would do with.
        faster: u8,
    },
    /// Devices transmit together.
    InPhase(InPhase),
}

/// What to do, the worst first: crowded channels, then devices in phase.
pub fn advice<'a>(
    loads: &[Load],
    groups: &[InPhase],
    fleet: impl IntoIterator<Item = (DevEui, &'a Statistics)>,
) -> Vec<Advice> {
    let mut crowded: Vec<Crowd> = loads
        .iter()
        .filter(|load| load.collisions.0 >= CROWDED)
        .map(|load| Crowd { load: *load, devices: 0, movable: 0, faster: 7 })
        .collect();
    if !crowded.is_empty() {
        for (_, statistics) in fleet {
            crowded.iter_mut().for_each(|crowd| crowd.count(statistics));
        }
    }
    let crowded = crowded.into_iter().map(|Crowd { load, devices, movable, faster }| {
        Advice::Crowded { load, devices, movable, faster }
    });
    crowded.chain(groups.iter().cloned().map(Advice::InPhase)).collect()
}

struct Crowd {
    load: Load,
    devices: usize,
    movable: usize,
    faster: u8,
}

impl Crowd {
    fn count(&mut self, statistics: &Statistics) {
        let modulation = self.load.modulation;
        let near = |at: Hertz| at.0.abs_diff(self.load.frequency.0) <= RASTER / 2;
        if statistics.modulation() != Some(modulation) || !statistics.frequency().is_some_and(near)
        {
            return;
        }
        self.devices += 1;
        let Some(margin) = statistics.smooth_margin() else { return };
        let faster = fastest(modulation.spreading_factor, margin);
        if faster < modulation.spreading_factor {
            self.movable += 1;
            self.faster = self.faster.max(faster);
        }
    }
}

/// The fastest spreading factor, 7 at least, that leaves the installation margin: each costs 2.5 dB.
fn fastest(spreading_factor: u8, margin: Db) -> u8 {
    let spare = ((margin.0 - INSTALLATION_MARGIN.0) / 2.5).clamp(0.0, 5.0) as u8;
    spreading_factor.saturating_sub(spare).max(7.min(spreading_factor))
}

impl fmt::Display for Advice {
    /// One sentence or two, for a person who can do something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crowded { load, devices, movable, faster } => {
                let percent = |ratio: Ratio| (ratio.0 * 100.0).round();
                write!(
                    f,
                    "{} MHz SF{} is used {} % of the time: about {} % of frames collide; ",
                    f64::from(load.frequency.0) / 1e6,
                    load.modulation.spreading_factor,
                    percent(load.share),
                    percent(load.collisions),
                )?;
                match (devices, movable) {
                    (0, _) => f.write_str("no sensor of yours is among them"),
                    (_, 0) => f.write_str(
                        "move sensors to another channel, or nearer to a receiver: none is heard \
                         well enough for a faster spreading factor",
                    ),
                    (1, _) => {
                        write!(f, "move your sensor there to SF{faster}, or to another channel")
                    }
                    (_, _) => write!(
                        f,
                        "move sensors to SF{faster} ({movable} of {devices} there are heard well \
                         enough) or to another channel"
                    ),
                }
            }
            Self::InPhase(InPhase { devices, interval }) => {
                const NAMED: usize = 4;
                let names: Vec<String> =
                    devices.iter().take(NAMED).map(ToString::to_string).collect();
                let more = match devices.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                write!(
                    f,
                    "{} sensors transmit at the same moment, every {}: {}{more}; start all but \
                     one of them anew at another moment, or change their intervals",
                    devices.len(),
                    duration::format(Duration::from_secs(interval.as_secs_f64().round() as u64)),
                    names.join(", ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Observation;
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const CHANNEL: Hertz = Hertz(868_100_000);

    fn sf(spreading_factor: u8) -> LoRa {
        LoRa { spreading_factor, bandwidth: Hertz(125_000) }
    }

    /// A device that spoke at these milliseconds.
    fn spoke(at: impl IntoIterator<Item = i64>) -> Statistics {
        let mut statistics = Statistics::default();
        for (f_cnt, at) in (0..).zip(at) {
            statistics.observe(&Observation {
                f_cnt,
                anew: false,
                at: Timestamp::from_millisecond(at).expect("in range"),
                snr: Db(0.0),
                modulation: sf(9),
                frequency: CHANNEL,
                len: 24,
            });
        }
        statistics
    }

    /// Eight uplinks, so many seconds apart, the first at this one.
    fn periodic(interval: f64, phase: f64) -> Statistics {
        spoke((0..8).map(|n| ((phase + interval * f64::from(n)) * 1000.0) as i64))
    }

    fn fleet(devices: &[Statistics]) -> impl Iterator<Item = (DevEui, &Statistics)> {
        (1..).map(DevEui).zip(devices)
    }

    fn grouped(devices: &[Statistics]) -> Vec<Vec<u64>> {
        let groups = in_phase(fleet(devices)).into_iter();
        groups.map(|group| group.devices.iter().map(|d| d.0).collect()).collect()
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

    #[test]
    fn the_advice_names_the_channel_the_share_and_what_to_do() {
        let load = Load {
            frequency: CHANNEL,
            modulation: sf(12),
            share: Ratio(0.09),
            collisions: Ratio(1.0 - (-0.18f64).exp()),
        };
        let heard_with = |snr: f32| {
            let mut statistics = Statistics::default();
            statistics.observe(&Observation {
                f_cnt: 0,
                anew: false,
                at: Timestamp::UNIX_EPOCH,
                snr: Db(snr),
                modulation: sf(12),
                frequency: CHANNEL,
                len: 24,
            });
            statistics
        };
        let says = |devices: &[Statistics]| {
            let advice = advice(&[load], &[], fleet(devices));
            advice.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let begin = "868.1 MHz SF12 is used 9 % of the time: about 16 % of frames collide; ";
        assert_eq!(says(&[]), format!("{begin}no sensor of yours is among them"));
        // margins of 20, 17.5 and 2 dB: 10 of them are to stay, the rest is three steps or two
        assert_eq!(
            says(&[heard_with(0.0), heard_with(-2.5), heard_with(-18.0), spoke([0])]),
            format!(
                "{begin}move sensors to SF9 (2 of 3 there are heard well enough) or to another channel"
            )
        );
        assert!(says(&[heard_with(-18.0)]).contains("nearer to a receiver"));
        let quiet = Load { collisions: Ratio(0.09), ..load };
        assert!(advice(&[quiet], &[], fleet(&[])).is_empty());
    }

    #[test]
    fn sensors_switched_on_together_are_found() {
        let mut devices: Vec<_> = (0..20).map(|n| periodic(3600.0, 100.0 * f64::from(n))).collect();
        devices.push(periodic(3600.0, 501.5)); // 21, with the 6th
        devices.push(periodic(3600.1, 500.0)); // 22, with both
        devices.push(periodic(3600.0, 3599.5)); // 23, with the 1st one hour later
        devices.push(periodic(1800.0, 900.0)); // 24, with the 10th, but at half the interval
        assert_eq!(grouped(&devices), [vec![6, 21, 22], vec![1, 23]]);
        let said = Advice::InPhase(in_phase(fleet(&devices)).remove(0)).to_string();
        assert_eq!(
            said,
            "3 sensors transmit at the same moment, every 1h: 0000000000000006, 0000000000000015, \
             0000000000000016; start all but one of them anew at another moment, or change their intervals"
        );
    }

    #[test]
    fn three_meetings_are_an_accident() {
        let meet = |times| {
            let other = (0..8).map(|n| if n < times { n * 600_000 } else { n * 600_000 + 30_000 });
            grouped(&[periodic(600.0, 0.0), spoke(other)])
        };
        assert!(meet(3).is_empty());
        assert_eq!(meet(4), [[1, 2]]);
    }

    #[test]
    fn losses_do_not_hide_that_devices_meet() {
        // they destroy each other's frames every third time
        let one = periodic(600.0, 0.0);
        let mut other = Statistics::default();
        for n in (0..8u32).filter(|n| n % 3 != 1) {
            let at = Timestamp::from_second(i64::from(n) * 600 + 1).expect("in range");
            let seen = Observation {
                f_cnt: n,
                anew: false,
                at,
                snr: Db(0.0),
                modulation: sf(9),
                frequency: CHANNEL,
                len: 24,
            };
            other.observe(&seen);
        }
        assert_eq!(grouped(&[one, other]), [[1, 2]]);
    }

    #[test]
    fn five_thousand_at_once_are_bounded_work_and_all_told() {
        let devices: Vec<_> = (0..5_000).map(|_| periodic(600.0, 0.0)).collect();
        let groups = in_phase(fleet(&devices));
        let told: usize = groups.iter().map(|group| group.devices.len()).sum();
        assert!(told > 4_000, "{told}");
        assert!(groups.iter().all(|group| group.devices.len() <= 2 * NEIGHBOURS * 8 + 1));
    }

    /// How many pairs of devices with one interval meet by mere chance: each of the n(n-1)/2 pairs
    /// with the share of the interval that both reaches cover.
    fn chance(devices: usize, interval: f64) -> f64 {
        let reach = eu868::time_on_air(sf(9), 24, true) + PHASE_SLACK;
        let pairs = (devices * (devices - 1)) as f64 / 2.0;
        pairs * 2.0 * reach.as_secs_f64() / interval
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// With random phases only those meet that chance makes meet.
        #[test]
        fn random_phases_are_not_in_phase_beyond_chance(
            phases in prop::collection::vec(0.0..3600.0f64, 100),
        ) {
            let devices: Vec<_> = phases.iter().map(|phase| periodic(3600.0, *phase)).collect();
            let expected = chance(devices.len(), 3600.0);
            let grouped: usize = grouped(&devices).iter().map(|group| group.len() - 1).sum();
            // a Poisson count, six standard deviations away
            prop_assert!((grouped as f64) < expected + 6.0 * expected.sqrt(), "{grouped} of {expected}");
        }

        /// Intervals that differ by more than 1 % never keep step.
        #[test]
        fn other_intervals_never_keep_step(phase in 0.0..600.0f64, n in 1u32..30) {
            let devices: Vec<_> =
                (0..n).map(|n| periodic(600.0 * 1.011f64.powi(n as i32), phase)).collect();
            prop_assert!(grouped(&devices).is_empty());
        }

        /// Whatever devices did, nothing panics, and each is in one group at most, with others.
        #[test]
        fn any_fleet_is_grouped_or_not(
            fleet in prop::collection::vec(prop::collection::vec(0i64..20_000, 0..10), 0..40),
        ) {
            let devices: Vec<_> = fleet.iter().map(|at| spoke(at.iter().copied())).collect();
            let mut seen = std::collections::HashSet::new();
            for group in grouped(&devices) {
                prop_assert!(group.len() >= 2);
                prop_assert!(group.iter().all(|device| seen.insert(*device)));
            }
        }

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
                prop_assert!(load.share.0 >= 0.0 && load.share.0.is_finite());
                prop_assert!((0.0..=1.0).contains(&load.collisions.0));
            }
        }
    }
}
