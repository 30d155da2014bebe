//! Commands of the cloud: each is executed once, and always answered.
//!
//! Whoever brought one keeps it until its receipt is signed: when the answer is on the disk, or,
//! of one that is answered only when there is a plan, the order itself.

use super::batch::{Back, Batch};
use super::encode::{self, Encoded};
use super::{Ingest, TenantSink};
use crate::bins::Report;
use crate::config::TenantKind;
use crate::lorawan::{self, QueueError};
use crate::planning::Planned;
use crate::store::{self, Entry, Room, State};
use crate::units::{DevEui, TenantId};
use crate::upstream::command::{
    self, Code, Command, Downlink, Emptied, Fault, Receipt, Rejection, Request, Worded,
};
use serde_json::json;
use std::time::Duration;

impl Ingest {
    /// Executes a command and puts its reply into the outbox; with the same id again, only the
    /// reply.
    pub(super) fn command(&mut self, tenant: &TenantId, command: Command) {
        match self.encoding(tenant, &command) {
            Some(job) => self.hold_command(tenant, command, job),
            None => self.take_command(tenant, command, None, None),
        }
    }

    /// Goes on with what was ordered before the start and not answered.
    pub(super) fn resume(&mut self) {
        let orders = |(id, (sink, _)): (&TenantId, &(TenantSink, Batch))| {
            // a disk that cannot be read says so at the first write
            let orders = sink.store.states(Room::Orders).unwrap_or_default();
            orders.into_iter().map(|order| (id.clone(), order)).collect::<Vec<_>>()
        };
        let orders: Vec<_> = self.tenants.iter().flat_map(orders).collect();
        for (tenant, (id, payload)) in orders {
            let (name, payload) = ("plan".to_owned(), payload.into_bytes());
            let command = Command { name, payload, receipt: Receipt::default() };
            self.take_command(&tenant, command, Some(id), None);
        }
    }

    /// `order` is the id of one that was ordered before: whatever the answer is, it is final.
    /// `encoded` is what a script made of its words.
    pub(super) fn take_command(
        &mut self,
        tenant: &TenantId,
        command: Command,
        order: Option<String>,
        encoded: Option<Encoded>,
    ) {
        let Command { name, payload, receipt } = command;
        let now = self.clock.now();
        let (request, body) = match Request::parse(&payload, now) {
            Ok(request) => (Some(request), None),
            // what was executed before its deadline has its answer
            Err(rejection) => (None, self.answered(tenant, &rejection).or(rejection.reply())),
        };
        let mut entry = Entry::of(DevEui(0), Vec::new());
        let body = match request {
            Some(request) => self.execute(tenant, &name, request, &payload, &mut entry, encoded),
            None => body,
        };
        let Some((_, batch)) = self.tenants.get_mut(tenant) else { return };
        if let Some(body) = body {
            if let (None, Some(id)) = (&entry.command, order) {
                entry.command = Some(store::Command { id, reply: body.clone() });
            }
            entry.messages.push(command::reply(&name, body, now));
            if let Some(queued) = &entry.queued {
                batch.back.push(Back::Queued(entry.dev_eui, queued.id.clone()));
            }
            batch.entries.push(entry);
        }
        if batch.is_waiting() {
            batch.receipts.push(receipt);
            self.commit_within(Duration::ZERO);
        } else {
            // it cannot be answered, or is to be planned and on the disk
            receipt.sign();
        }
    }

    /// The reply to a command that was executed before.
    fn answered(&self, tenant: &TenantId, rejection: &Rejection) -> Option<String> {
        let (sink, _) = self.tenants.get(tenant)?;
        sink.store.reply(rejection.id.as_deref()?).ok()?
    }

    /// The reply; `None` when it is on its way already, or there can be none.
    fn execute(
        &mut self,
        tenant: &TenantId,
        name: &str,
        request: Request,
        payload: &[u8],
        entry: &mut Entry,
        encoded: Option<Encoded>,
    ) -> Option<String> {
        let (sink, batch) = self.tenants.get(tenant)?;
        let id = request.id.clone();
        let again = |e: &Entry| e.command.as_ref().is_some_and(|command| command.id == id);
        // what is being planned is answered when there is a plan
        if batch.entries.iter().chain(batch.pushed.iter().map(|(_, entry)| entry)).any(again)
            || sink.tours.ordered(&id)
        {
            return None;
        }
        match sink.store.reply(&id) {
            Ok(Some(reply)) => return Some(reply),
            Ok(None) => {}
            // not known whether it was executed: its sender repeats it
            Err(error) => {
                return Some(command::reply_error(&id, Code::Storage, &error.to_string()));
            }
        }
        let result = match name {
            "downlink" => self.downlink(tenant, request, entry, encoded),
            "emptied" => self.emptied(tenant, request, entry),
            "plan" => match self.plan(tenant, request, payload) {
                Ok(()) => return None,
                Err(fault) => Err(fault),
            },
            "acknowledge" | "away" | "staff" | "consent" => {
                match self.of_resident(tenant, name, &request) {
                    Ok(()) => return None,
                    Err(fault) => Err(fault),
                }
            }
            _ => Err(Fault {
                code: Code::UnknownCommand,
                message: format!(
                    "there is no command {name}; there are downlink, emptied and plan, and of \
                     residents acknowledge, away, staff and consent"
                ),
            }),
        };
        Some(match result {
            Ok(reply) => {
                entry.command = Some(store::Command { id, reply: reply.clone() });
                reply
            }
            Err(fault) => Rejection { id: Some(id), fault }.reply()?,
        })
    }

    /// A crew says that a bin was emptied.
    fn emptied(
        &mut self,
        tenant: &TenantId,
        request: Request,
        entry: &mut Entry,
    ) -> Result<String, Fault> {
        let now = self.clock.now();
        let Emptied { bin, at } = Emptied::parse(&request.args, now)?;
        let unknown = || Fault {
            code: Code::UnknownBin,
            message: format!("this tenant has no bin {bin:?} with a sensor"),
        };
        let (sink, batch) = self.tenants.get_mut(tenant).ok_or_else(unknown)?;
        let (report, change) = sink.tours.bins.report(&bin, at, now.wall).ok_or_else(unknown)?;
        batch.back.push(Back::Bin(entry.dev_eui, change.bin, change.before.map(Box::new)));
        entry.states.push(change.state);
        let level = match report {
            Report::Confirmed => "confirmed",
            Report::Open => "open",
            Report::Unseen => "unseen",
        };
        Ok(command::reply_ok(&request.id, &json!({ "bin": bin, "at": at, "level": level })))
    }

    /// Hands the order for a plan on, and keeps it until it is answered.
    fn plan(&mut self, tenant: &TenantId, request: Request, payload: &[u8]) -> Result<(), Fault> {
        let Some((sink, batch)) = self.tenants.get_mut(tenant) else { return Ok(()) };
        let order = command::Planning::parse(&request.args)?;
        let body = String::from_utf8_lossy(payload).into_owned();
        let state = State { room: Room::Orders, key: request.id.clone(), body };
        sink.tours.order(request.id, order)?;
        // it is under way: kept until the disk takes it, and before its answer
        batch.push(Entry { states: vec![state], ..Entry::of(DevEui(0), Vec::new()) });
        Ok(())
    }

    /// What came of planning: to the disk, and then to the cloud.
    pub(super) fn planned(&mut self, planned: Planned) {
        let Planned { tenant, states, messages, command } = planned;
        let now = self.clock.now();
        let Some((sink, batch)) = self.tenants.get_mut(&tenant) else { return };
        let mut entry = Entry { states, ..Entry::of(DevEui(0), messages) };
        if let Some((id, answer)) = command {
            sink.tours.answered(&id);
            let body: String = match answer {
                Ok(result) => command::reply_ok(&id, &result),
                Err(Fault { code, message }) => command::reply_error(&id, code, &message),
            };
            entry.messages.push(command::reply("plan", body.clone(), now));
            entry.command = Some(store::Command { id, reply: body });
        }
        batch.push(entry);
        self.commit_within(Duration::ZERO);
    }

    /// Puts a payload in line for a device.
    fn downlink(
        &mut self,
        tenant: &TenantId,
        request: Request,
        entry: &mut Entry,
        encoded: Option<Encoded>,
    ) -> Result<String, Fault> {
        let dev_eui = match Worded::parse(&request.args)? {
            Some(worded) => worded.dev_eui,
            None => Downlink::parse(&request.args)?.dev_eui,
        };
        let fault = |code, message: &str| Fault { code, message: message.to_owned() };
        if self.tenants.get(tenant).is_some_and(|(sink, _)| sink.kind == TenantKind::Care) {
            let why = "a care tenant has no topics of single devices";
            return Err(fault(Code::NotSupported, why));
        }
        let unknown = || fault(Code::UnknownDevice, "this tenant has no such device");
        let device = self.server.device(dev_eui).ok_or_else(unknown)?;
        if device.tenant != *tenant {
            return Err(unknown());
        }
        let downlink = encode::downlink(&request, encoded)?;
        let item = lorawan::Downlink {
            id: request.id.clone(),
            f_port: downlink.f_port,
            payload: downlink.payload,
            confirmed: downlink.confirmed,
            expires: request.deadline,
        };
        self.server.enqueue(dev_eui, item.clone()).map_err(|error| match error {
            QueueError::UnknownDevice => unknown(),
            QueueError::Full => fault(Code::QueueFull, &error.to_string()),
            QueueError::Twice => fault(Code::Invalid, &error.to_string()),
        })?;
        let result = json!({ "state": "queued", "expires": item.expires });
        entry.dev_eui = dev_eui;
        entry.queued = Some(item);
        Ok(command::reply_ok(&request.id, &result))
    }
}
