//! What the loop does when something of a resident's home comes in, or is due.

use super::care::Told;
use super::decode::meaning;
use super::disk::at_disk;
use super::{Ingest, TenantSink};
use crate::care::{Heard, SensorKind};
use crate::clock::Moment;
use crate::codec::{DecodeError, Decoded, Unmapped};
use crate::config::TenantKind;
use crate::device::Device;
use crate::lorawan::Uplink;
use crate::store::{self, Entry, Room, State};
use crate::units::{DevEui, Measured, Ratio, TenantId};
use crate::upstream::command::{
    self, Acknowledge, Code, Consent, Fault, Planning, Presence, Request,
};
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What a sensor is thought to have left that only says that it is little.
const LITTLE: u8 = 10;

impl Ingest {
    /// Whether a device hangs in somebody's home.
    pub(super) fn is_of_home(&self, device: &Device) -> bool {
        let tenant = self.tenants.get(&device.tenant);
        tenant.is_some_and(|(sink, _)| sink.kind == TenantKind::Care)
    }

    /// Whether what this device says may be read at all.
    pub(super) fn may_be_read(&self, device: &Device) -> bool {
        let Some((sink, _)) = self.tenants.get(&device.tenant) else { return false };
        sink.kind != TenantKind::Care || sink.care.admits(device.dev_eui)
    }

    /// What an uplink from a home means. Without consent it is not even read.
    pub(super) fn sense(
        &mut self,
        device: &Arc<Device>,
        uplink: &Uplink,
        decoded: Option<Result<Decoded, DecodeError>>,
    ) -> Told {
        let now = self.clock.now();
        let Some((sink, _)) = self.tenants.get_mut(&device.tenant) else { return Told::default() };
        let Some(kind) =
            sink.care.kind(device.dev_eui).filter(|_| sink.care.admits(device.dev_eui))
        else {
            sink.counters.unheeded.fetch_add(1, Relaxed);
            self.journal.uplink(device, uplink, None);
            return Told::default();
        };
        let decoded = meaning(self.codecs.get(&device.profile.name), uplink, decoded);
        sink.counters.count(decoded.as_ref());
        let told = sink.care.hear(device.dev_eui, &heard(kind, decoded.as_ref()), now);
        sink.show();
        self.journal.uplink(device, uplink, decoded.as_ref());
        told
    }

    /// Decides what is due, and sends patrols.
    pub(super) fn look_after_residents(&mut self) {
        let now = self.clock.now();
        self.of_care(|_, sink| sink.care.look(now));
        self.send_patrols(now);
    }

    /// Writes down what is known, for the next start.
    pub(super) fn leave_residents(&mut self) {
        let now = self.clock.now();
        self.of_care(|_, sink| sink.care.rest(now));
    }

    /// Somebody at this machine answers all alarms.
    pub(super) fn answer_here(&mut self) {
        let now = self.clock.now();
        self.of_care(|_, sink| sink.care.acknowledge_all(now));
    }

    /// How long nothing is due for residents.
    pub(super) fn next_decision(&self) -> Option<Duration> {
        let now = self.clock.now();
        let tenants = self.tenants.values();
        let next = tenants.filter_map(|(sink, _)| sink.care.patience(now)).min();
        next.map(|wait| wait / self.clock.speed())
    }

    pub(super) fn of_care(&mut self, mut told: impl FnMut(&TenantId, &mut TenantSink) -> Told) {
        let mut at_once = false;
        for (tenant, (sink, batch)) in &mut self.tenants {
            if sink.kind != TenantKind::Care {
                continue;
            }
            let Told { states, messages } = told(tenant, sink);
            sink.show();
            if states.is_empty() && messages.is_empty() {
                continue;
            }
            batch.make_room(&sink.counters);
            batch.push(Entry { states, ..Entry::of(DevEui(0), messages) });
            at_once = true;
        }
        if at_once {
            self.commit_within(Duration::ZERO);
        }
    }

    /// Hands on what visits have become urgent, by the way that an order of the cloud goes.
    fn send_patrols(&mut self, now: Moment) {
        let mut ordered = false;
        for (sink, batch) in self.tenants.values_mut() {
            while let Some(visit) = sink.care.visits.front().cloned() {
                let number = uuid::Uuid::new_v4().simple();
                let id = format!("care-{number}");
                let whom = vec![visit.resident.clone()];
                let (key, urgent, withdraw) = match visit.urgent {
                    true => ("urgent", whom, Vec::new()),
                    false => ("withdraw", Vec::new(), whom),
                };
                let body = json!({
                    "id": id,
                    "args": { "name": visit.plan.as_str(), key: [visit.resident] },
                });
                let planning = Planning { name: visit.plan, supersede: None, urgent, withdraw };
                match sink.tours.order(id.clone(), planning) {
                    Ok(()) => {
                        let body = body.to_string();
                        let state = State { room: Room::Orders, key: id, body };
                        batch.push(Entry { states: vec![state], ..Entry::of(DevEui(0), vec![]) });
                        ordered = true;
                    }
                    // the next turn tries again
                    Err(fault) if fault.code == Code::Busy => break,
                    Err(fault) => log::debug!("at {}: no visit: {fault}", now.wall),
                }
                sink.care.visits.pop_front();
            }
        }
        if ordered {
            self.commit_within(Duration::ZERO);
        }
    }

    /// Overwrites what was erased, once nothing waits to be written.
    pub(super) fn erase(&mut self) {
        let now = self.clock.now();
        for (tenant, (sink, batch)) in &mut self.tenants {
            if !sink.care.erases(now) {
                continue;
            }
            let wiped = match batch.is_waiting() {
                true => Ok(false),
                false => at_disk(&self.pulse, || sink.store.wipe()),
            };
            // that it is not all done yet is no news
            if !matches!(wiped, Ok(false)) {
                self.journal.erased(tenant, wiped.as_ref().err());
            }
            sink.care.erased(matches!(wiped, Ok(true)), now);
        }
    }

    /// Executes what staff says of residents. It is kept until the disk takes it, as all that is
    /// decided of them, and so is its answer.
    pub(super) fn of_resident(
        &mut self,
        tenant: &TenantId,
        name: &str,
        request: &Request,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let fault = |code, message: &str| Fault { code, message: message.to_owned() };
        let care = |(sink, _): &&mut (TenantSink, _)| sink.kind == TenantKind::Care;
        let Some((sink, batch)) = self.tenants.get_mut(tenant).filter(care) else {
            return Err(fault(Code::NotSupported, "only a tenant of kind care has residents"));
        };
        let args = &request.args;
        let nobody = |resident: &str| Fault {
            code: Code::UnknownResident,
            message: format!("this tenant has no resident {resident:?}"),
        };
        let (told, result) = match name {
            "acknowledge" => {
                let Acknowledge { alarm, by, done } = Acknowledge::parse(args)?;
                let told = sink.care.acknowledge(&alarm, by, done, now);
                let state = if done { "closed" } else { "answered" };
                (
                    told.ok_or_else(|| Fault {
                        code: Code::UnknownAlarm,
                        message: format!("no alarm {alarm:?} waits: it is over, or never was"),
                    })?,
                    json!({ "alarm": alarm, "state": state }),
                )
            }
            "consent" => {
                let Consent { resident, who, given } = Consent::parse(args)?;
                let told = sink.care.consent(&resident, who, given, now);
                let told = told.ok_or_else(|| nobody(&resident))?;
                let (told, read) = told.map_err(|()| {
                    let why = "the settings say that there is no consent: it is given there";
                    fault(Code::NotSupported, why)
                })?;
                (told, json!({ "resident": resident, "who": who, "given": given, "read": read }))
            }
            _ => {
                let staff = name == "staff";
                let parse = if staff { Presence::staff } else { Presence::away };
                let Presence { resident, until } = parse(args, now)?;
                let told = sink.care.be(&resident, staff, until, now);
                let state = match (until, staff) {
                    (None, _) => "home",
                    (Some(_), true) => "staff",
                    (Some(_), false) => "away",
                };
                let result = json!({ "resident": resident, "state": state, "until": until });
                (told.ok_or_else(|| nobody(&resident))?, result)
            }
        };
        sink.show();
        let Told { states, mut messages } = told;
        let reply = command::reply_ok(&request.id, &result);
        messages.push(command::reply(name, reply.clone(), now));
        let command = Some(store::Command { id: request.id.clone(), reply });
        batch.push(Entry { states, command, ..Entry::of(DevEui(0), messages) });
        Ok(())
    }
}

impl TenantSink {
    /// Shows how the residents are.
    fn show(&self) {
        let shown = &mut *self.counters.care.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = self.care.counts();
    }
}

/// What a sensor of this kind has said.
fn heard(kind: SensorKind, decoded: Option<&Result<Decoded, DecodeError>>) -> Vec<Heard> {
    let readings = match decoded {
        None => return vec![Heard::Alive],
        Some(Err(_)) => return vec![Heard::Unreadable],
        Some(Ok(decoded)) => &decoded.readings,
    };
    let battery = readings.iter().filter_map(|reading| match reading.measured? {
        Measured::BatteryLevel(Ratio(part)) => {
            // a float becomes the nearest number that there is
            Some(Heard::Battery((part * 100.0).round().clamp(0.0, 100.0) as u8))
        }
        Measured::BatteryLow(true) => Some(Heard::Battery(LITTLE)),
        _ => None,
    });
    let state = kind.quantities().iter().find_map(|quantity| {
        let theirs = readings.iter().filter(|reading| reading.quantity == *quantity);
        theirs.filter_map(|reading| state(reading.measured?)).next()
    });
    // one that the profile cannot read is as good as one that nobody can
    let is_lost = |unmapped: &Unmapped| match unmapped {
        Unmapped::Wrong { quantity, .. } => kind.quantities().contains(quantity),
        Unmapped::Vanished { .. } => true,
        Unmapped::Unknown { .. } => false,
    };
    let unread = matches!(decoded, Some(Ok(decoded)) if decoded.unmapped.iter().any(is_lost));
    let state = match state {
        Some(on) => Heard::State(on),
        None if unread => Heard::Unreadable,
        None => Heard::Alive,
    };
    battery.take(1).chain([state]).collect()
}

fn state(measured: Measured) -> Option<bool> {
    match measured {
        Measured::Occupied(on)
        | Measured::Motion(on)
        | Measured::ContactOpen(on)
        | Measured::Button(on) => Some(on),
        _ => None,
    }
}
