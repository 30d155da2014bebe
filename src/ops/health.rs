//! How the gateway is, in numbers.

use super::machine::{Machine, MachineStatus};
use super::status::{AirStatus, CareStatus, ConcentratorStatus, TenantStatus};
use crate::clock::{Clock, Moment};
use crate::config::TenantKind;
use crate::fault::{self, Fault, Standing};
use crate::ingest::Stopped;
use crate::planning::PlanHealth;
use crate::radio::Outlet;
use crate::radio::concentrator::{self, Roster, SILENT_AFTER, Seen};
use crate::store::{self, Bounds, Class, Database};
use crate::units::{TenantId, count};
use crate::{ingest, upstream};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How the gateway is, as a tenant is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The version of lykta.
    pub version: &'static str,
    /// How long it has been running, in seconds.
    pub uptime_s: u64,
    /// What is wrong now, the worst first.
    pub faults: Vec<Standing>,
    /// How the machine is.
    pub machine: MachineStatus,
    /// Good frames that were dropped because the disk was too slow, since the start.
    pub dropped: u64,
    /// What was heard; only where there is no other tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub air: Option<AirStatus>,
    /// What came from concentrators; only where there is no other tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concentrator: Option<ConcentratorStatus>,
    /// This tenant's numbers.
    pub tenant: TenantHealth,
    /// The radio HATs.
    pub radios: RadioHealth,
    /// This tenant's plans.
    pub plans: Vec<PlanHealth>,
}

/// What became of one tenant's uplinks, messages and commands, since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TenantHealth {
    /// Uplinks that are on disk, and so accepted.
    pub accepted: u64,
    /// Joins, on disk.
    pub joins: u64,
    /// Writes to the disk.
    pub commits: u64,
    /// Authentic uplinks that the disk did not take: lost unless the device repeats itself.
    pub not_stored: u64,
    /// Whether the disk takes what is to be kept: `ok` or `failing`.
    pub store: &'static str,
    /// Whether the sessions of devices are kept a second time: `ok` or `failing`.
    pub session_copy: &'static str,
    /// Alarms that are in memory only, because the disk does not take them.
    pub alarms_in_memory: u64,
    /// Alarms that there was no room for.
    pub alarms_lost: u64,
    /// Messages that were given up for want of room or for their age, since the database was made.
    pub shed: Shed,
    /// Payloads that could not be decoded; delivered raw.
    pub not_decoded: u64,
    /// Outputs of a decoder that were not what the profile takes them for, or that it does not
    /// know: readings are missing.
    pub not_mapped: u64,
    /// Messages acknowledged by the broker.
    pub delivered: u64,
    /// Messages refused by the broker, each time it did so.
    pub refused: u64,
    /// Messages that are set aside now, since the broker does not take them.
    pub set_aside: u64,
    /// Messages that wait in the outbox now.
    pub waiting: u64,
    /// Connections that the broker accepted.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub attempts_failed: u64,
    /// Messages that came in on command topics.
    pub commands: u64,
    /// Those of them that were not passed on: retained, too large, misnamed, or without a
    /// readable id.
    pub commands_refused: u64,
    /// How often the broker refused the connection for commands, or the subscription.
    pub subscriptions_refused: u64,
    /// Of a tenant of kind care.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub care: Option<CareStatus>,
}

/// Messages by their class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Shed {
    /// Alarms: there are never any.
    pub alarm: u64,
    /// Events.
    pub event: u64,
    /// Plans.
    pub plan: u64,
    /// Measurements.
    pub measurement: u64,
    /// Diagnostics.
    pub diagnostic: u64,
}

impl Shed {
    /// What there was no room for, and the measurements that a metered line did without.
    pub(super) fn new(classes: &[AtomicU64; Class::ALL.len()], thinned: u64) -> Self {
        let [alarm, event, plan, measurement, diagnostic] =
            std::array::from_fn(|class| classes[class].load(Relaxed));
        Self { alarm, event, plan, measurement: measurement + thinned, diagnostic }
    }
}

/// The radio HATs, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RadioHealth {
    /// How many there are.
    pub configured: usize,
    /// How many of them do not work, or hear none of their devices.
    pub failing: usize,
}

impl TenantHealth {
    fn new(view: &TenantView) -> Self {
        let (uplinks, messages) = (&*view.counters, &*view.upstream);
        let n = |counter: &AtomicU64| counter.load(Relaxed);
        Self {
            accepted: n(&uplinks.accepted),
            joins: n(&uplinks.joins),
            commits: n(&uplinks.commits),
            not_stored: n(&uplinks.not_stored),
            store: condition(&uplinks.disk_fails),
            session_copy: condition(&uplinks.copy_fails),
            alarms_in_memory: n(&uplinks.alarms_in_memory),
            alarms_lost: n(&uplinks.alarms_lost),
            shed: Shed::new(&uplinks.shed, n(&messages.thinned)),
            not_decoded: n(&uplinks.not_decoded),
            not_mapped: n(&uplinks.not_mapped),
            delivered: n(&messages.delivered),
            refused: n(&messages.refused),
            set_aside: n(&messages.set_aside),
            waiting: n(&messages.waiting),
            connections: n(&messages.connections),
            attempts_failed: n(&messages.attempts_failed),
            commands: n(&messages.commands),
            commands_refused: n(&messages.commands_refused),
            subscriptions_refused: n(&messages.subscriptions_refused),
            care: (view.kind == TenantKind::Care).then(|| CareStatus::new(uplinks)),
        }
    }
}

/// A word for whether something fails.
pub(super) fn condition(fails: &AtomicBool) -> &'static str {
    if fails.load(Relaxed) { "failing" } else { "ok" }
}

/// One tenant's numbers.
#[derive(Debug)]
pub struct TenantView {
    /// Which tenant.
    pub id: TenantId,
    /// What its data is.
    pub kind: TenantKind,
    /// Its database.
    pub database: Database,
    /// How much may wait in it.
    pub bounds: Bounds,
    /// What became of its uplinks.
    pub counters: Arc<ingest::TenantCounters>,
    /// What went to its broker.
    pub upstream: Arc<upstream::Counters>,
}

impl TenantView {
    /// The numbers, with the size of the database.
    pub fn status(&self) -> TenantStatus {
        TenantStatus::new(self, store::len_with_log(self.database.file()))
    }

    /// What is wrong with it.
    pub fn faults(&self) -> Vec<Standing> {
        let (counters, upstream) = (&self.counters, &self.upstream);
        let is = |flag: &AtomicBool| flag.load(Relaxed);
        let wrong = [
            (counters.alarms_lost.load(Relaxed) > 0, Fault::AlarmsLost),
            (is(&counters.disk_fails), Fault::StoreFails),
            (is(&counters.sheds), Fault::Shedding),
            (!is(&upstream.connected), Fault::NoBroker),
            (is(&upstream.refuses), Fault::Refused),
            (upstream.set_aside.load(Relaxed) > 0, Fault::SetAside),
            (is(&upstream.deaf), Fault::CommandsRefused),
            (is(&counters.copy_fails), Fault::SessionsOnce),
        ];
        fault::that_hold(wrong).map(|fault| Standing::of(fault, &self.id)).collect()
    }
}

/// What a view looks at.
#[derive(Debug)]
pub struct Parts {
    /// The clock that all go by.
    pub clock: Clock,
    /// What was heard on the air.
    pub air: Arc<ingest::Counters>,
    /// What came over UDP.
    pub udp: Arc<concentrator::Counters>,
    /// The concentrators that were heard.
    pub roster: Arc<Roster>,
    /// Whether concentrators are to be listened for.
    pub listens: bool,
    /// Knows what was dropped.
    pub outlet: Outlet,
    /// The profiles whose codecs are not run any more.
    pub stopped: Stopped,
    /// The machine.
    pub machine: Machine,
    /// Each tenant's numbers.
    pub tenants: Vec<TenantView>,
}

/// Everything that can be seen of a running gateway.
#[derive(Debug)]
pub struct View {
    parts: Parts,
    started: Moment,
    /// Whether the configuration was read again and did not hold.
    unsettled: AtomicBool,
}

impl View {
    /// A view of these parts, started now.
    pub fn new(parts: Parts) -> Self {
        Self { started: parts.clock.now(), parts, unsettled: AtomicBool::new(false) }
    }

    /// Whether what the configuration says now holds.
    pub fn set_settled(&self, settled: bool) {
        self.unsettled.store(!settled, Relaxed);
    }

    /// Where concentrators are listened for, once the port is open.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.parts.udp.listening.get().copied()
    }

    /// The concentrators that were heard.
    pub fn concentrators(&self) -> Vec<Seen> {
        self.parts.roster.list()
    }

    /// The profiles whose codecs are not run any more.
    pub fn stopped_codecs(&self) -> Vec<String> {
        self.parts.stopped.names()
    }

    /// How the machine is.
    pub fn machine(&self) -> MachineStatus {
        self.parts.machine.status()
    }

    /// What is wrong with the machine.
    pub fn machine_faults(&self, machine: &MachineStatus) -> Vec<Standing> {
        machine.faults(self.now().quality, self.uptime())
    }

    /// What is wrong with the gateway as a whole.
    fn faults(&self, machine: &MachineStatus) -> Vec<Standing> {
        let mut faults = self.machine_faults(machine);
        let closed = self.parts.listens && self.listening().is_none();
        let wrong = [
            (self.unsettled.load(Relaxed), Fault::SettingsRefused),
            (closed, Fault::ConcentratorPort),
            (self.parts.air.answers_fail.load(Relaxed), Fault::AnswersFail),
        ];
        faults.extend(fault::that_hold(wrong).map(Standing::new));
        faults
    }

    /// What is wrong with what all tenants share and only this machine's owner is told of.
    fn shared_faults(&self) -> Vec<Standing> {
        let now = self.now().monotonic;
        let mut faults: Vec<_> = self
            .concentrators()
            .into_iter()
            .filter(|seen| now.saturating_sub(seen.last_heard.monotonic) > SILENT_AFTER)
            .map(|seen| Standing::of(Fault::ConcentratorSilent, seen.gateway))
            .collect();
        let stopped = self.stopped_codecs();
        faults.extend(stopped.into_iter().map(|name| Standing::of(Fault::CodecStopped, name)));
        faults
    }

    /// All that is wrong, with what is wrong with radios and devices.
    pub fn all_faults(&self, machine: &MachineStatus, others: Vec<Standing>) -> Vec<Standing> {
        let mut faults = self.faults(machine);
        faults.extend(self.shared_faults());
        faults.extend(self.parts.tenants.iter().flat_map(TenantView::faults));
        faults.extend(others);
        fault::sort(&mut faults);
        faults
    }

    /// What was heard on the air.
    pub fn air(&self) -> &ingest::Counters {
        &self.parts.air
    }

    /// What came over UDP.
    pub fn concentrator(&self) -> &concentrator::Counters {
        &self.parts.udp
    }

    /// How many good frames there was no room for.
    pub fn dropped(&self) -> u64 {
        self.parts.outlet.dropped()
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.parts.clock.now()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.parts.clock.now().monotonic.saturating_sub(self.started.monotonic)
    }

    /// Each tenant's numbers.
    pub fn tenants(&self) -> &[TenantView] {
        &self.parts.tenants
    }

    /// The body of a tenant's health message: its own numbers. What the gateway hears as a
    /// whole is added only where there is no other tenant: the difference would tell one
    /// tenant when another's sensors speak, and so when somebody is up at night. `None` when
    /// there is no such tenant.
    pub fn health(
        &self,
        tenant: &TenantId,
        (radios, of_radios): (RadioHealth, Vec<Standing>),
        plans: Vec<PlanHealth>,
    ) -> Option<Health> {
        let view = self.parts.tenants.iter().find(|view| view.id == *tenant)?;
        let alone = self.parts.tenants.len() == 1;
        let machine = self.machine();
        let mut faults = self.faults(&machine);
        faults.extend(of_radios);
        faults.extend(view.faults());
        if alone {
            faults.extend(self.shared_faults());
        }
        fault::sort(&mut faults);
        Some(Health {
            faults,
            machine,
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.uptime().as_secs(),
            dropped: self.parts.outlet.dropped(),
            air: alone.then(|| (&*self.parts.air).into()),
            concentrator: alone.then(|| (&*self.parts.udp).into()),
            tenant: TenantHealth::new(view),
            radios,
            plans,
        })
    }

    /// One line for `systemctl status`.
    pub fn status(&self) -> String {
        let mut line = format!("{} heard", count(self.parts.air.heard.load(Relaxed), "frame"));
        for TenantView { id, counters, upstream, .. } in &self.parts.tenants {
            let link = if upstream.connected.load(Relaxed) { "connected" } else { "no broker" };
            line.push_str(&format!(
                "; {id}: {} accepted, {} waiting, {link}",
                counters.accepted.load(Relaxed),
                upstream.waiting.load(Relaxed)
            ));
        }
        line
    }
}
