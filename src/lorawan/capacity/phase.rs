//! Who transmits at the same moment.

use crate::lorawan::statistics::Statistics;
use crate::units::DevEui;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::super::tests::{fleet, seen, spoke};
    use super::*;
    use proptest::prelude::*;

    /// Eight uplinks, so many seconds apart, the first at this one.
    fn periodic(interval: f64, phase: f64) -> Statistics {
        spoke((0..8).map(|n| ((phase + interval * f64::from(n)) * 1000.0) as i64))
    }

    fn grouped(devices: &[Statistics]) -> Vec<Vec<u64>> {
        let groups = in_phase(fleet(devices)).into_iter();
        groups.map(|group| group.devices.iter().map(|d| d.0).collect()).collect()
    }

    #[test]
    fn sensors_switched_on_together_are_found() {
        let mut devices: Vec<_> = (0..20).map(|n| periodic(3600.0, 100.0 * f64::from(n))).collect();
        devices.push(periodic(3600.0, 501.5)); // 21, with the 6th
        devices.push(periodic(3600.1, 500.0)); // 22, with both
        devices.push(periodic(3600.0, 3599.5)); // 23, with the 1st one hour later
        devices.push(periodic(1800.0, 900.0)); // 24, with the 10th, but at half the interval
        assert_eq!(grouped(&devices), [vec![6, 21, 22], vec![1, 23]]);
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
            other.observe(&seen(n, i64::from(n) * 600_000 + 1_000));
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
        let reach = spoke([0]).time_on_air().expect("it spoke") + PHASE_SLACK;
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
            fleet in prop::collection::vec(prop::collection::btree_set(0i64..100_000, 0..10), 0..40),
        ) {
            let devices: Vec<_> = fleet.into_iter().map(spoke).collect();
            let mut seen = std::collections::HashSet::new();
            for group in grouped(&devices) {
                prop_assert!(group.len() >= 2);
                prop_assert!(group.iter().all(|device| seen.insert(*device)));
            }
        }
    }
}
