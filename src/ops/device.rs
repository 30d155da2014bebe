//! What is told of devices, and what is not.
//!
//! Whoever may ask may also read the keys on this machine. All the same nothing here is finer than
//! it must be about homes: of a care tenant's devices it is told whether they were heard in time,
//! how much of what they send arrives, and how their batteries are.

use crate::config::TenantKind;
use crate::device::{Activation, Device};
use crate::lorawan::statistics::{Battery, DevStatus, Statistics, Trend};
use crate::units::{DevAddr, DevEui, Hertz, LoRa, Ratio, TenantId, rounded};
use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the devices are, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSummary {
    /// In the registry.
    pub registered: usize,
    /// Heard within their profile's heartbeat; `None` when nobody keeps count.
    pub in_time: Option<usize>,
    /// Heard once, but silent for longer than that.
    pub silent: Option<usize>,
    /// Never heard.
    pub never: Option<usize>,
    /// Heard in time, but more than a fifth of what they send is lost.
    #[serde(default)]
    pub weak: Option<usize>,
}

/// What of a device's frames comes at least, unless it is weak.
const STRONG: f64 = 0.8;

/// The answer to `devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    /// When this was told.
    pub time: Timestamp,
    /// All devices; `None` when they are not known.
    pub devices: Option<Vec<DeviceStatus>>,
    /// The tenants of whose residents it tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residents_of: Vec<TenantId>,
    /// Why something is missing.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// The answer to `device DEVEUI`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneDevice {
    /// When this was told.
    pub time: Timestamp,
    /// The device; `None` without `trouble` when there is no such device.
    pub device: Option<DeviceStatus>,
    /// The tenants of whose residents it tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residents_of: Vec<TenantId>,
    /// Why something is missing.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Its DevEUI.
    pub dev_eui: DevEui,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is.
    pub profile: String,
    /// `abp` or `otaa`.
    pub activation: String,
    /// Its address, if that is fixed.
    #[serde(default)]
    pub dev_addr: Option<DevAddr>,
    /// The longest silence of a healthy sensor of its kind.
    pub heartbeat_s: u64,
    /// How it is heard; `None` when nobody keeps count.
    #[serde(default)]
    pub heard: Option<HeardStatus>,
}

/// How a device is heard. Of care only what is marked so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeardStatus {
    /// Whether it was ever heard. Of care, too.
    pub ever: bool,
    /// Whether it was heard within its heartbeat. Of care, too.
    pub in_time: bool,
    /// The share of the last 64 expected frames that came. Of care, too, in whole percents.
    pub recent_ratio: Option<Ratio>,
    /// The same since it is known. Of care, too, in whole percents.
    pub overall_ratio: Option<Ratio>,
    /// Recent against overall. Of care, too.
    pub trend: Option<Trend>,
    /// How many frames came.
    pub received: Option<u32>,
    /// How many did not.
    pub missed: Option<u32>,
    /// How often more than a thousand in a row did not, which counts as no loss.
    pub absences: Option<u32>,
    /// When it was last heard.
    pub last_heard: Option<Timestamp>,
    /// The smoothed SNR above the demodulation floor, in decibels.
    pub margin_db: Option<f64>,
    /// How the last uplink was modulated, such as `SF9BW125`.
    pub modulation: Option<String>,
    /// The channel of the last uplink.
    pub frequency: Option<Hertz>,
    /// The mean time between its frames.
    pub interval_s: Option<u64>,
    /// What it lives on, as it says itself. Of care, too, with the hour in which it said so.
    pub power: Option<PowerStatus>,
}

/// What a device lives on, as it says itself (DevStatusAns).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerStatus {
    /// Whether that is the mains.
    pub external: bool,
    /// What is left of its battery; `None` when it cannot tell, or on the mains.
    pub battery: Option<Ratio>,
    /// The SNR in decibels with which it hears the gateway. Not of care.
    pub heard_us_db: Option<i8>,
    /// When it said so.
    pub at: Timestamp,
}

impl DeviceStatus {
    /// How a device is. `statistics` are `None` when nobody keeps count, and empty for a device
    /// that was never heard.
    pub fn new(
        device: &Device,
        kind: TenantKind,
        statistics: Option<&Statistics>,
        now: Timestamp,
    ) -> Self {
        let (activation, dev_addr) = match &device.activation {
            Activation::Abp(abp) => ("abp", Some(abp.dev_addr)),
            Activation::Otaa(_) => ("otaa", None),
        };
        let heartbeat = device.profile.heartbeat;
        let heard = statistics.map(|statistics| match kind {
            TenantKind::Care => HeardStatus::guarded(statistics, heartbeat, now),
            TenantKind::Waste | TenantKind::Generic => {
                HeardStatus::whole(statistics, heartbeat, now)
            }
        });
        Self {
            dev_eui: device.dev_eui,
            name: device.name.clone(),
            tenant: device.tenant.clone(),
            profile: device.profile.name.clone(),
            activation: activation.to_owned(),
            dev_addr,
            heartbeat_s: heartbeat.as_secs(),
            heard,
        }
    }
}

impl HeardStatus {
    /// All that is known.
    fn whole(statistics: &Statistics, heartbeat: Duration, now: Timestamp) -> Self {
        let fine = |ratio| floored(ratio, 10_000.0);
        Self {
            recent_ratio: statistics.recent().map(fine),
            overall_ratio: statistics.overall().map(fine),
            received: Some(statistics.received()),
            missed: Some(statistics.missed()),
            absences: Some(statistics.absences()),
            last_heard: statistics.last_heard(),
            margin_db: statistics.smooth_margin().map(|m| rounded(f64::from(m.0), 1)),
            modulation: statistics.modulation().as_ref().map(LoRa::to_string),
            frequency: statistics.frequency(),
            interval_s: statistics.interval().map(|i| i.as_secs_f64().round() as u64),
            power: statistics.dev_status().map(|said| PowerStatus::new(said, said.at)),
            ..Self::guarded(statistics, heartbeat, now)
        }
    }

    /// What may be told of a home: neither times nor counts, from which it could be read when
    /// somebody goes through a door.
    fn guarded(statistics: &Statistics, heartbeat: Duration, now: Timestamp) -> Self {
        let coarse = |ratio| floored(ratio, 100.0);
        let heartbeat = SignedDuration::try_from(heartbeat).unwrap_or(SignedDuration::MAX);
        let last = statistics.last_heard();
        Self {
            ever: last.is_some(),
            in_time: last.is_some_and(|last| now.duration_since(last) <= heartbeat),
            recent_ratio: statistics.recent().map(coarse),
            overall_ratio: statistics.overall().map(coarse),
            trend: statistics.trend(),
            power: statistics.dev_status().map(|said| {
                let hour = TimestampRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Floor);
                let at = said.at.round(hour).unwrap_or(Timestamp::UNIX_EPOCH);
                PowerStatus { heard_us_db: None, ..PowerStatus::new(said, at) }
            }),
            ..Self::default()
        }
    }
}

impl PowerStatus {
    fn new(said: DevStatus, at: Timestamp) -> Self {
        let (external, battery) = match said.battery() {
            Battery::External => (true, None),
            Battery::Level(level) => (false, Some(floored(level, 100.0))),
            Battery::Unknown => (false, None),
        };
        Self { external, battery, heard_us_db: Some(said.margin), at }
    }
}

impl DeviceSummary {
    /// Counts devices. Where nobody keeps count of one, there is only how many there are.
    pub fn new<'a>(devices: impl IntoIterator<Item = &'a DeviceStatus>) -> Self {
        let (mut in_time, mut silent, mut never, mut unknown, mut weak) = (0, 0, 0, 0, 0);
        for device in devices {
            match &device.heard {
                None => unknown += 1,
                Some(heard) if !heard.ever => never += 1,
                Some(heard) if heard.in_time => {
                    in_time += 1;
                    weak += usize::from(heard.recent_ratio.is_some_and(|ratio| ratio.0 < STRONG));
                }
                Some(_) => silent += 1,
            }
        }
        let counted = |count| (unknown == 0).then_some(count);
        Self {
            registered: in_time + silent + never + unknown,
            in_time: counted(in_time),
            silent: counted(silent),
            never: counted(never),
            weak: counted(weak),
        }
    }
}

/// To so many parts of one, downwards: only what is whole is told as such.
pub(super) fn floored(ratio: Ratio, parts: f64) -> Ratio {
    // 0.29 is a little less than 29 hundredths
    Ratio((ratio.0 * parts + 1e-6).floor() / parts)
}
