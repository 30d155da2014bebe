//! How full the air is, and what to do about it.
//!
//! Two things spoil a fleet that was heard well when it was small: a channel that is used so
//! much that frames collide, and sensors that were switched on together and transmit at the same
//! moment ever since. [`Airtime`] watches the first, [`in_phase`] finds the second.

mod load;
mod phase;

pub use load::{Airtime, Load};
pub use phase::{InPhase, in_phase};

use super::statistics::Statistics;
use crate::units::{Db, DevEui, Ratio, duration};
use std::fmt;
use std::time::Duration;

/// From this share of collisions on something should be done.
const CROWDED: f64 = 0.10;

/// What an installation needs above the demodulation floor so that rain, leaves and parked cars do
/// not silence it: the usual margin of ADR in network servers.
const INSTALLATION_MARGIN: Db = Db(10.0);

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
        let (Some(frequency), Some(modulation)) = (statistics.frequency(), statistics.modulation())
        else {
            return;
        };
        if !self.load.holds(frequency, modulation) {
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
    use crate::units::{Hertz, LoRa};
    use jiff::Timestamp;

    const CHANNEL: Hertz = Hertz(868_100_000);

    fn sf(spreading_factor: u8) -> LoRa {
        LoRa { spreading_factor, bandwidth: Hertz(125_000) }
    }

    /// An uplink with SF9 at this millisecond.
    pub(super) fn seen(f_cnt: u32, at: i64) -> Observation {
        Observation {
            f_cnt,
            anew: false,
            at: Timestamp::from_millisecond(at).expect("in range"),
            snr: Db(0.0),
            modulation: sf(9),
            frequency: CHANNEL,
            len: 24,
        }
    }

    /// A device that spoke at these milliseconds.
    pub(super) fn spoke(at: impl IntoIterator<Item = i64>) -> Statistics {
        let mut statistics = Statistics::default();
        for (f_cnt, at) in (0..).zip(at) {
            statistics.observe(&seen(f_cnt, at));
        }
        statistics
    }

    /// These devices, numbered from 1.
    pub(super) fn fleet(devices: &[Statistics]) -> impl Iterator<Item = (DevEui, &Statistics)> {
        (1..).map(DevEui).zip(devices)
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
            let modulation = sf(12);
            statistics.observe(&Observation { snr: Db(snr), modulation, ..seen(0, 0) });
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
    fn the_advice_names_devices_in_phase_and_not_all_of_a_crowd() {
        let together = |n: u64| {
            let devices = (1..=n).map(DevEui).collect();
            let group = InPhase { devices, interval: Duration::from_millis(599_996) };
            Advice::InPhase(group).to_string()
        };
        assert_eq!(
            together(2),
            "2 sensors transmit at the same moment, every 10m: 0000000000000001, 0000000000000002; \
             start all but one of them anew at another moment, or change their intervals"
        );
        assert!(together(9).contains("0000000000000004 and 5 more; start"), "{}", together(9));
    }
}
