//! Downlinks in the words of a codec: what is to be sent is asked of the script first, and then
//! the command is executed as if it had come with the payload.
//!
//! Its receipt is signed afterwards, as any: one that waits when the power fails comes again.

use super::Ingest;
use super::decode::{Job, Work};
use crate::codec::EncodeError;
use crate::units::TenantId;
use crate::upstream::command::{Code, Command, Downlink, Fault, Request, Worded};
use std::time::Duration;
use tokio::time::Instant;

/// How long a command waits: nobody listens for it right now.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many commands may wait.
const MOST: usize = 64;

/// Port and payload.
pub(super) type Encoded = Result<(u8, Vec<u8>), EncodeError>;

/// A command that waits for its script.
pub(super) struct HeldCommand {
    pub(super) number: u64,
    pub(super) until: Instant,
    pub(super) outcome: Option<Encoded>,
    tenant: TenantId,
    command: Command,
}

impl Ingest {
    /// Asks for what is to be sent, and executes the command when that is known.
    pub(super) fn hold_command(&mut self, tenant: &TenantId, command: Command, job: Job) {
        let (until, has_room) = (job.until, self.decoding.commands.len() < MOST);
        let Some(number) = has_room.then(|| self.decoding.ask(job)).flatten() else {
            return self.take_command(tenant, command, None, Some(Err(EncodeError::Late)));
        };
        let tenant = tenant.clone();
        let held = HeldCommand { number, until, outcome: None, tenant, command };
        self.decoding.commands.push_back(held);
    }

    /// What is to be asked for a command. `None` when nothing is, also of one that is wrong or has
    /// its answer: that is told where it is executed.
    pub(super) fn encoding(&self, tenant: &TenantId, command: &Command) -> Option<Job> {
        if command.name != "downlink" || !self.decoding.is_asking() {
            return None;
        }
        let request = Request::parse(&command.payload, self.clock.now()).ok()?;
        let Worded { dev_eui, object, f_port, .. } = Worded::parse(&request.args).ok()??;
        let (sink, _) = self.tenants.get(tenant)?;
        if sink.store.reply(&request.id).ok()?.is_some() {
            return None;
        }
        let device = self.server.device(dev_eui).filter(|device| device.tenant == *tenant)?;
        let codec = self.codecs.get(&device.profile.name).filter(|codec| codec.is_script())?;
        let until = Instant::now() + PATIENCE;
        Some(Job { codec: codec.clone(), work: Work::Encode { object, f_port }, until })
    }

    /// Executes what need not wait any longer, each tenant's in its order.
    pub(super) fn take_encoded(&mut self) {
        let now = Instant::now();
        let mut waiting = Vec::<TenantId>::new();
        let mut at = 0;
        while let Some(held) = self.decoding.commands.get(at) {
            let is_due = held.outcome.is_some() || held.until <= now;
            if !is_due || waiting.contains(&held.tenant) {
                waiting.push(held.tenant.clone());
                at += 1;
                continue;
            }
            let Some(held) = self.decoding.commands.remove(at) else { break };
            let HeldCommand { outcome, tenant, command, .. } = held;
            let outcome = outcome.unwrap_or(Err(EncodeError::Late));
            self.take_command(&tenant, command, None, Some(outcome));
        }
    }
}

/// What is to be sent, with what the script made of it.
pub(super) fn downlink(request: &Request, encoded: Option<Encoded>) -> Result<Downlink, Fault> {
    let Some(Worded { dev_eui, confirmed, .. }) = Worded::parse(&request.args)? else {
        return Downlink::parse(&request.args);
    };
    let (f_port, payload) = encoded.unwrap_or(Err(EncodeError::NoScript)).map_err(|error| {
        let code = match error {
            EncodeError::NoScript | EncodeError::Unknown { .. } => Code::NotSupported,
            EncodeError::Late => Code::Busy,
            _ => Code::Invalid,
        };
        Fault { code, message: error.to_string() }
    })?;
    if payload.len() > crate::upstream::command::MAX_PAYLOAD {
        let message = format!("the codec made {} bytes of it", payload.len());
        return Err(Fault { code: Code::TooLong, message });
    }
    Ok(Downlink { dev_eui, f_port, payload, confirmed })
}
