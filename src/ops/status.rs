//! What `lykta status` and `lykta device` tell: documents that the daemon writes and the command
//! reads.
//!
//! Whoever may ask may also read the keys on this machine. All the same nothing here is finer than
//! it must be about homes: of a care tenant's devices it is told whether they were heard in time,
//! how much of what they send arrives, and how their batteries are.

use crate::clock::ClockQuality;
use crate::config::TenantKind;
use crate::device::{Activation, Device};
use crate::lorawan::capacity::{self, Airtime};
use crate::lorawan::statistics::{Battery, DevStatus, Statistics, Trend};
use crate::radio::concentrator;
use crate::units::{DevAddr, DevEui, GatewayId, Hertz, LoRa, Ratio, TenantId};
use crate::{ingest, upstream};
use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The answer to `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The version of the daemon, which may differ from that of the command.
    pub version: String,
    /// The gateway's name.
    pub gateway: GatewayId,
    /// When this was told.
    pub time: Timestamp,
    /// How far to trust `time`.
    pub clock: ClockQuality,
    /// How long the daemon has been running.
    pub uptime_s: u64,
    /// What was heard, from whichever receiver.
    pub air: AirStatus,
    /// Where concentrators are listened for, if the port is open.
    #[serde(default)]
    pub listening: Option<SocketAddr>,
    /// What came from concentrators.
    pub concentrator: ConcentratorStatus,
    /// Good frames that were dropped because the disk was too slow, since the start.
    pub dropped: u64,
    /// Each tenant's books.
    pub tenants: Vec<TenantStatus>,
    /// The radio HATs.
    #[serde(default)]
    pub radios: Vec<RadioStatus>,
    /// What the gateway itself has sent, by sub-band.
    #[serde(default)]
    pub airtime: Vec<SubBandStatus>,
    /// How full the air is; `None` while that is not known.
    #[serde(default)]
    pub capacity: Option<CapacityStatus>,
    /// How the devices are, in numbers; `None` while that is not known.
    #[serde(default)]
    pub devices: Option<DeviceSummary>,
    /// Why a part of this is missing.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// What became of the frames on the air, since the start. See [`ingest::Counters`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are those of the counters")]
pub struct AirStatus {
    pub heard: u64,
    pub copies: u64,
    pub not_uplink: u64,
    pub unknown_device: u64,
    pub bad_mic: u64,
    pub repeats: u64,
    pub replays: u64,
    pub resets_refused: u64,
}

/// What came over UDP, since the start. See [`concentrator::Counters`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are those of the counters")]
pub struct ConcentratorStatus {
    pub datagrams: u64,
    pub malformed_datagrams: u64,
    pub not_allowed: u64,
    pub packets: u64,
    pub bad_crc: u64,
    pub fsk: u64,
    pub malformed_packets: u64,
}

/// One tenant: what became of its uplinks and messages, since the start. See
/// [`ingest::TenantCounters`] and [`upstream::Counters`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the counters")]
pub struct TenantStatus {
    /// Which tenant.
    pub id: TenantId,
    /// What its data is: waste, care or generic.
    pub kind: String,
    /// Whether its broker is connected.
    pub connected: bool,
    pub accepted: u64,
    pub not_stored: u64,
    pub not_decoded: u64,
    pub not_mapped: u64,
    pub delivered: u64,
    pub refused: u64,
    pub waiting: u64,
    pub connections: u64,
    /// The size of its database with the write-ahead log, in bytes.
    pub store_bytes: u64,
}

/// One radio HAT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RadioStatus {
    /// Its name in the settings.
    pub name: String,
    /// Its chip, such as `sx1262`.
    pub chip: String,
    /// How it is, in a word or a sentence: `listening`, or what is wrong with it.
    pub state: String,
    /// The channel that it listens on.
    pub frequency: Hertz,
    /// What it listens for, such as `SF9BW125`.
    pub modulation: String,
    /// Frames heard with a good checksum, since the start.
    pub heard: u64,
    /// Frames with a bad checksum, since the start.
    pub bad_crc: u64,
    /// Frames sent, since the start.
    pub sent: u64,
    /// How often it had to be set up anew, since the start.
    pub restarts: u64,
}

/// What the gateway itself has sent in one sub-band in the last hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubBandStatus {
    /// Its name, such as `868.0-868.6`.
    pub name: String,
    /// The share of the hour that was used.
    pub used: Ratio,
    /// The share that the law allows.
    pub limit: Ratio,
    /// Downlinks that were not sent because of it, since the start.
    pub refused: u64,
}

/// How full the air is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityStatus {
    /// How long was looked at: up to 24 hours.
    pub span_s: u64,
    /// The channels that were used, the fullest first.
    pub channels: Vec<ChannelStatus>,
    /// Devices that transmit at the same moment.
    pub in_phase: Vec<InPhaseStatus>,
    /// What could be done, in sentences; the most urgent first.
    pub advice: Vec<String>,
}

/// One channel with one modulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Its centre.
    pub frequency: Hertz,
    /// The modulation, such as `SF12BW125`.
    pub modulation: String,
    /// The share of the time that frames were heard.
    pub share: Ratio,
    /// The share of frames that meet another one, at most.
    pub collisions: Ratio,
}

/// Devices that transmit at the same moment, time after time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InPhaseStatus {
    /// Two or more.
    pub devices: Vec<DevEui>,
    /// How often they do so.
    pub interval_s: u64,
}

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
}

/// The answer to `devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    /// When this was told.
    pub time: Timestamp,
    /// All devices; `None` when they are not known.
    pub devices: Option<Vec<DeviceStatus>>,
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

impl From<&ingest::Counters> for AirStatus {
    fn from(air: &ingest::Counters) -> Self {
        Self {
            heard: n(&air.heard),
            copies: n(&air.copies),
            not_uplink: n(&air.not_uplink),
            unknown_device: n(&air.unknown_device),
            bad_mic: n(&air.bad_mic),
            repeats: n(&air.repeats),
            replays: n(&air.replays),
            resets_refused: n(&air.resets_refused),
        }
    }
}

impl From<&concentrator::Counters> for ConcentratorStatus {
    fn from(udp: &concentrator::Counters) -> Self {
        Self {
            datagrams: n(&udp.datagrams),
            malformed_datagrams: n(&udp.malformed_datagrams),
            not_allowed: n(&udp.not_allowed),
            packets: n(&udp.packets),
            bad_crc: n(&udp.bad_crc),
            fsk: n(&udp.fsk),
            malformed_packets: n(&udp.malformed_packets),
        }
    }
}

impl TenantStatus {
    /// One tenant's books, with the size of its store in bytes.
    pub fn new(
        id: &TenantId,
        kind: TenantKind,
        uplinks: &ingest::TenantCounters,
        messages: &upstream::Counters,
        store_bytes: u64,
    ) -> Self {
        let kind = match kind {
            TenantKind::Waste => "waste",
            TenantKind::Care => "care",
            TenantKind::Generic => "generic",
        };
        Self {
            id: id.clone(),
            kind: kind.to_owned(),
            connected: messages.connected.load(Relaxed),
            accepted: n(&uplinks.accepted),
            not_stored: n(&uplinks.not_stored),
            not_decoded: n(&uplinks.not_decoded),
            not_mapped: n(&uplinks.not_mapped),
            delivered: n(&messages.delivered),
            refused: n(&messages.refused),
            waiting: n(&messages.waiting),
            connections: n(&messages.connections),
            store_bytes,
        }
    }
}

fn n(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

impl CapacityStatus {
    /// How full the air is by this account (`now` is of its clock), and what these devices could
    /// do about it. Those of care are to be left out: when they speak is nobody's business.
    pub fn new<'a>(
        airtime: &mut Airtime,
        fleet: impl Iterator<Item = (DevEui, &'a Statistics)> + Clone,
        now: Duration,
    ) -> Self {
        let loads = airtime.loads(now);
        let groups = capacity::in_phase(fleet.clone());
        let advice = capacity::advice(&loads, &groups, fleet);
        Self {
            span_s: airtime.span(now).as_secs(),
            channels: loads
                .iter()
                .map(|load| ChannelStatus {
                    frequency: load.frequency,
                    modulation: load.modulation.to_string(),
                    share: rounded(load.share, 10_000.0),
                    collisions: rounded(load.collisions, 10_000.0),
                })
                .collect(),
            in_phase: groups
                .into_iter()
                .map(|group| InPhaseStatus {
                    devices: group.devices,
                    interval_s: group.interval.as_secs_f64().round() as u64,
                })
                .collect(),
            advice: advice.iter().map(ToString::to_string).collect(),
        }
    }
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
        let fine = |ratio| rounded(ratio, 10_000.0);
        Self {
            recent_ratio: statistics.recent().map(fine),
            overall_ratio: statistics.overall().map(fine),
            received: Some(statistics.received()),
            missed: Some(statistics.missed()),
            absences: Some(statistics.absences()),
            last_heard: statistics.last_heard(),
            margin_db: statistics.smooth_margin().map(|m| (f64::from(m.0) * 10.0).round() / 10.0),
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
        let coarse = |ratio| rounded(ratio, 100.0);
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
            Battery::Level(level) => (false, Some(rounded(level, 100.0))),
            Battery::Unknown => (false, None),
        };
        Self { external, battery, heard_us_db: Some(said.margin), at }
    }
}

impl DeviceSummary {
    /// Counts devices. Where nobody keeps count of one, there is only how many there are.
    pub fn new<'a>(devices: impl IntoIterator<Item = &'a DeviceStatus>) -> Self {
        let (mut in_time, mut silent, mut never, mut unknown) = (0, 0, 0, 0);
        for device in devices {
            match &device.heard {
                None => unknown += 1,
                Some(heard) if !heard.ever => never += 1,
                Some(heard) if heard.in_time => in_time += 1,
                Some(_) => silent += 1,
            }
        }
        let counted = |count| (unknown == 0).then_some(count);
        Self {
            registered: in_time + silent + never + unknown,
            in_time: counted(in_time),
            silent: counted(silent),
            never: counted(never),
        }
    }
}

/// To so many parts of one, downwards: only what is whole is told as such.
fn rounded(ratio: Ratio, parts: f64) -> Ratio {
    // 0.29 is a little less than 29 hundredths
    Ratio((ratio.0 * parts + 1e-6).floor() / parts)
}
