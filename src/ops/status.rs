//! What `lykta status` tells: a document that the daemon writes and the command reads.

use super::card::CardStatus;
use super::device::{DeviceSummary, floored};
use super::health::{Shed, TenantView, condition};
use super::machine::MachineStatus;
use crate::clock::{ClockQuality, Moment};
use crate::config::{RadioSettings, TenantKind};
use crate::eu868::ledger::{Ledger, OBSERVATION, Usage};
use crate::fault::Standing;
use crate::ingest::{self, CareCounts};
use crate::lorawan::capacity::{self, Airtime};
use crate::lorawan::statistics::Statistics;
use crate::radio::concentrator::{self, Seen};
use crate::radio::hat::{Hat, State};
use crate::radio::schedule;
use crate::units::{DevEui, GatewayEui, GatewayId, Hertz, Ratio, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

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
    /// What is wrong now, the worst first.
    #[serde(default)]
    pub faults: Vec<Standing>,
    /// How the machine is; `None` of a daemon that does not tell.
    #[serde(default)]
    pub machine: Option<MachineStatus>,
    /// What was heard, from whichever receiver.
    pub air: AirStatus,
    /// Where concentrators are listened for, if the port is open.
    #[serde(default)]
    pub listening: Option<SocketAddr>,
    /// What came from concentrators.
    pub concentrator: ConcentratorStatus,
    /// The concentrators that were heard.
    #[serde(default)]
    pub concentrators: Vec<ConcentratorSeen>,
    /// Good frames that were dropped because the disk was too slow, since the start.
    pub dropped: u64,
    /// What was written to the card that holds the state; `None` of a daemon that does not count.
    #[serde(default)]
    pub card: Option<CardStatus>,
    /// Each tenant's books.
    pub tenants: Vec<TenantStatus>,
    /// The radio HATs.
    #[serde(default)]
    pub radios: Vec<RadioStatus>,
    /// What became of answers to devices; `None` while that is not known.
    #[serde(default)]
    pub answers: Option<AnswerStatus>,
    /// What the busiest gateway has sent, by sub-band.
    #[serde(default)]
    pub airtime: Vec<SubBandStatus>,
    /// How full the air is; `None` while that is not known.
    #[serde(default)]
    pub capacity: Option<CapacityStatus>,
    /// How the devices are, in numbers; `None` while that is not known.
    #[serde(default)]
    pub devices: Option<DeviceSummary>,
    /// The profiles whose codecs are not run any more, because they had to be stopped too often.
    #[serde(default)]
    pub stopped_codecs: Vec<String>,
    /// Why a part of this is missing.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// What became of the frames on the air, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct AirStatus {
    /// Frames on the air, each counted once however many receivers heard it.
    pub heard: u64,
    /// Receptions that joined another one.
    pub copies: u64,
    /// Not LoRaWAN, or not from a device.
    pub not_uplink: u64,
    /// Of devices that are not registered.
    pub unknown_device: u64,
    /// At a registered address, but no key fits; or a join request that does not fit its AppKey.
    pub bad_mic: u64,
    /// Retransmissions of an accepted frame.
    pub repeats: u64,
    /// Authentic frames of the past.
    pub replays: u64,
    /// Refused counter resets.
    pub resets_refused: u64,
    /// Authentic join requests that the settings do not provide for, or that come too often.
    pub joins_refused: u64,
    /// Answers that were sent, or taken to be sent.
    pub answered: u64,
    /// Answers that were not sent: the device asks again.
    pub not_answered: u64,
}

/// What came over UDP, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct ConcentratorStatus {
    /// Datagrams, of any kind.
    pub datagrams: u64,
    /// Datagrams that are not of the protocol.
    pub malformed_datagrams: u64,
    /// Datagrams of concentrators that may not speak, or from networks that may not.
    pub not_allowed: u64,
    /// LoRa packets with a good CRC, before copies are joined.
    pub packets: u64,
    /// Packets with a bad CRC or none.
    pub bad_crc: u64,
    /// FSK packets.
    pub fsk: u64,
    /// Packets whose description is malformed.
    pub malformed_packets: u64,
}

/// One tenant: what became of its uplinks and messages, since the start. See
/// [`ingest::TenantCounters`] and [`crate::upstream::Counters`].
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
    /// What became of the last attempt to connect, if it failed.
    #[serde(default)]
    pub trouble: Option<String>,
    /// How long it is until the next attempt.
    #[serde(default)]
    pub next_attempt_s: Option<u64>,
    pub accepted: u64,
    #[serde(default)]
    pub joins: u64,
    pub not_stored: u64,
    pub not_decoded: u64,
    pub not_mapped: u64,
    pub delivered: u64,
    pub refused: u64,
    #[serde(default)]
    pub set_aside: u64,
    pub waiting: u64,
    pub connections: u64,
    /// The size of its database with the write-ahead log, in bytes.
    pub store_bytes: u64,
    /// What waits against what may, and what that has cost; `None` of a daemon that does not tell.
    #[serde(default)]
    pub buffer: Option<BufferStatus>,
    /// How its disk is; `None` of a daemon that does not tell.
    #[serde(default)]
    pub disk: Option<DiskStatus>,
    /// Of a tenant of kind care.
    #[serde(default)]
    pub care: Option<CareStatus>,
    /// What waits, by class, where anything does.
    #[serde(default)]
    pub classes: Vec<ClassStatus>,
}

/// The residents of a tenant, in numbers that tell of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CareStatus {
    /// What is known of them now.
    #[serde(flatten)]
    pub counts: CareCounts,
    /// Frames of homes of which nothing may be read, since the start.
    pub unheeded: u64,
}

impl CareStatus {
    pub(super) fn new(uplinks: &ingest::TenantCounters) -> Self {
        Self { counts: uplinks.of_care(), unheeded: n(&uplinks.unheeded) }
    }
}

/// What waits of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassStatus {
    /// Its name, such as `alarm`.
    pub class: String,
    /// How many messages wait.
    pub waiting: u64,
    /// How many are set aside.
    pub set_aside: u64,
    /// When the oldest that waits was measured.
    #[serde(default)]
    pub oldest: Option<Timestamp>,
}

/// One tenant's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BufferStatus {
    /// Bytes that are in use.
    pub used_bytes: u64,
    /// So many may be.
    pub max_bytes: u64,
    /// What is older is given up, once the clock is right.
    pub max_days: u64,
    /// What was given up for want of room or for its age, since the database was made; and the
    /// measurements that a metered line did without.
    pub shed: Shed,
}

/// How the disk is that one tenant's database is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskStatus {
    /// Whether it takes what is to be kept: `ok` or `failing`.
    pub store: String,
    /// Whether the sessions of devices are kept a second time: `ok` or `failing`.
    pub session_copy: String,
    /// Alarms that are in memory only.
    pub alarms_in_memory: u64,
    /// Alarms that there was no room for.
    pub alarms_lost: u64,
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
    /// How long ago the last of them was.
    #[serde(default)]
    pub heard_ago_s: Option<u64>,
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
}

/// One concentrator that was heard since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConcentratorSeen {
    /// Its EUI.
    pub gateway: GatewayEui,
    /// How long ago it was heard.
    pub heard_ago_s: u64,
    /// How long ago it asked for downlinks; without that it is given none.
    #[serde(default)]
    pub asked_ago_s: Option<u64>,
    /// Good packets that it has passed on.
    pub packets: u64,
    /// Downlinks that it has taken.
    pub taken: u64,
    /// Downlinks that it has refused.
    pub refused: u64,
    /// The share of its datagrams that were acknowledged, by its own word.
    #[serde(default)]
    pub acknowledged: Option<Ratio>,
    /// Packets that its radios received since its word before, by its own word.
    #[serde(default)]
    pub received: Option<u64>,
    /// Of these, with a good checksum.
    #[serde(default)]
    pub received_ok: Option<u64>,
}

/// What became of answers to devices, since the start. See [`schedule::Counts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are those of the counts")]
pub struct AnswerStatus {
    pub rx1: u64,
    pub rx2: u64,
    pub failed: u64,
    pub late: u64,
    pub duty_cycle: u64,
    pub overlap: u64,
    pub errors: u64,
    pub unreported: u64,
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
            joins_refused: n(&air.joins_refused),
            answered: n(&air.answered),
            not_answered: n(&air.not_answered),
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

impl RadioStatus {
    /// How a radio is, at this monotonic time.
    pub fn new(hat: &Hat, settings: &RadioSettings, now: Duration) -> Self {
        let counters = hat.counters();
        let state = match counters.state() {
            State::Opening => "opening",
            State::Up => "listening",
            State::Down => "does not work, see the journal",
            State::Deaf => "listening, and hears none of its devices",
        };
        Self {
            name: hat.name().to_owned(),
            chip: settings.chip.name().to_owned(),
            state: state.to_owned(),
            frequency: settings.channel.0,
            modulation: format!("SF{}BW125", settings.spreading_factor),
            heard: n(&counters.packets),
            heard_ago_s: counters.last_packet().map(|at| now.saturating_sub(at).as_secs()),
            bad_crc: n(&counters.bad_crc),
            sent: n(&counters.transmitted),
            restarts: n(&counters.reinits) + n(&counters.resets),
        }
    }
}

impl ConcentratorSeen {
    /// What is known of a concentrator, at this monotonic time.
    pub fn new(seen: &Seen, now: Duration) -> Self {
        let ago = |at: Moment| now.saturating_sub(at.monotonic).as_secs();
        let stat = seen.stat.unwrap_or_default();
        Self {
            gateway: seen.gateway,
            heard_ago_s: ago(seen.last_heard),
            asked_ago_s: seen.pull.map(|pull| ago(pull.at)),
            packets: seen.packets,
            taken: seen.taken,
            refused: seen.refused.values().sum(),
            acknowledged: stat.ackr.map(|percent| Ratio(percent / 100.0)),
            received: stat.rxnb,
            received_ok: stat.rxok,
        }
    }
}

impl From<schedule::Counts> for AnswerStatus {
    fn from(counts: schedule::Counts) -> Self {
        Self {
            rx1: counts.rx1,
            rx2: counts.rx2,
            failed: counts.failed,
            late: counts.late,
            duty_cycle: counts.duty_cycle,
            overlap: counts.overlap,
            errors: counts.errors,
            unreported: counts.unreported,
        }
    }
}

impl SubBandStatus {
    /// What these gateways have sent in the last hour: in each sub-band the busiest one.
    pub fn list<'a>(ledgers: impl Iterator<Item = &'a Ledger>, now: Duration) -> Vec<Self> {
        let mut bands: Vec<Usage> = Vec::new();
        for usage in ledgers.flat_map(|ledger| ledger.usage(now)) {
            match bands.iter_mut().find(|known| known.band == usage.band) {
                Some(known) if known.airtime < usage.airtime => *known = usage,
                Some(_) => {}
                None => bands.push(usage),
            }
        }
        let share = |airtime: Duration| Ratio(airtime.as_secs_f64() / OBSERVATION.as_secs_f64());
        bands
            .into_iter()
            .filter(|usage| !usage.airtime.is_zero())
            .map(|usage| Self {
                name: usage.band.name.to_owned(),
                used: floored(share(usage.airtime), 10_000.0),
                limit: share(usage.limit),
            })
            .collect()
    }
}

impl TenantStatus {
    /// One tenant's books, with the size of its store in bytes.
    pub fn new(view: &TenantView, store_bytes: u64) -> Self {
        let (uplinks, messages) = (&*view.counters, &*view.upstream);
        let kind = match view.kind {
            TenantKind::Waste => "waste",
            TenantKind::Care => "care",
            TenantKind::Generic => "generic",
        };
        let outage = messages.outage();
        let until = |next: Instant| next.saturating_duration_since(Instant::now()).as_secs();
        Self {
            id: view.id.clone(),
            kind: kind.to_owned(),
            connected: messages.connected.load(Relaxed),
            next_attempt_s: outage.as_ref().map(|outage| until(outage.next)),
            trouble: outage.map(|outage| outage.reason),
            classes: Vec::new(),
            accepted: n(&uplinks.accepted),
            joins: n(&uplinks.joins),
            not_stored: n(&uplinks.not_stored),
            not_decoded: n(&uplinks.not_decoded),
            not_mapped: n(&uplinks.not_mapped),
            delivered: n(&messages.delivered),
            refused: n(&messages.refused),
            set_aside: n(&messages.set_aside),
            waiting: n(&messages.waiting),
            connections: n(&messages.connections),
            store_bytes,
            buffer: Some(BufferStatus {
                used_bytes: n(&uplinks.used),
                max_bytes: view.bounds.bytes,
                max_days: view.bounds.age.as_secs() / (24 * 3600),
                shed: Shed::new(&uplinks.shed, n(&messages.thinned)),
            }),
            disk: Some(DiskStatus {
                store: condition(&uplinks.disk_fails).to_owned(),
                session_copy: condition(&uplinks.copy_fails).to_owned(),
                alarms_in_memory: n(&uplinks.alarms_in_memory),
                alarms_lost: n(&uplinks.alarms_lost),
            }),
            care: (view.kind == TenantKind::Care).then(|| CareStatus::new(uplinks)),
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
                    share: floored(load.share, 10_000.0),
                    collisions: floored(load.collisions, 10_000.0),
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
