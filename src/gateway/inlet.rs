//! The way to the ingest loop.

use crate::ingest::{Input, Look, Sight};
use crate::radio::{Outlet, OutletError};
use crate::units::TenantId;
use crate::upstream::command::Command;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many commands a tenant may send at once, and how many a second from then on.
const BURST: f64 = 100.0;
const RATE: f64 = 10.0;

/// How many bytes of a command count as one.
const SHORT: usize = 8 * 1024;

/// A bounded way in that many share and one closes: the loop ends when it is closed, after
/// what is in it.
#[derive(Debug, Clone)]
pub(super) struct Inlet(Arc<Mutex<Option<SyncSender<Input>>>>);

impl Inlet {
    pub(super) fn new(sender: SyncSender<Input>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Never blocks for longer than another takes to do the same.
    pub(super) fn pass(&self, input: Input) -> Result<(), OutletError> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return Err(OutletError::Closed) };
        sender.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => OutletError::Full,
            TrySendError::Disconnected(_) => OutletError::Closed,
        })
    }

    /// Waits for room; whether it was passed. Not for a thread that others wait for.
    pub(super) fn wait_and_pass(&self, input: Input) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sender.is_some_and(|sender| sender.send(input).is_ok())
    }

    /// As [`Self::pass`], and what was not passed comes back.
    fn pass_command(&self, tenant: TenantId, command: Command) -> Result<(), Command> {
        use TrySendError::{Disconnected, Full};
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return Err(command) };
        match sender.try_send(Input::Command(tenant, command)) {
            Err(Full(Input::Command(_, back)) | Disconnected(Input::Command(_, back))) => Err(back),
            _ => Ok(()),
        }
    }

    /// The end that the front ends of the air have.
    pub(super) fn air(&self) -> Outlet {
        let inlet = self.clone();
        Outlet::new(move |event| inlet.pass(Input::Air(event)))
    }

    /// The end that a tenant's upstream has, which gets back what there was no room for. Frames
    /// come first: whoever may send commands cannot fill the way, nor the disk with replies.
    pub(super) fn commands(
        &self,
        tenant: TenantId,
    ) -> impl Fn(Command) -> Result<(), Command> + use<> {
        let (inlet, allowance) = (self.clone(), Mutex::new((BURST, Instant::now())));
        move |command| {
            let mut allowance = allowance.lock().unwrap_or_else(PoisonError::into_inner);
            let (left, since) = *allowance;
            let left = BURST.min(left + since.elapsed().as_secs_f64() * RATE);
            // a long one counts as several: no more bytes wait than of short ones
            let price = command.payload.len().div_ceil(SHORT).max(1) as f64;
            let passes = left >= price;
            *allowance = (if passes { left - price } else { left }, Instant::now());
            if passes { inlet.pass_command(tenant.clone(), command) } else { Err(command) }
        }
    }

    /// The end that those have who want to see what only the loop knows; whether there was room.
    pub(super) fn look(&self, look: impl FnOnce(Sight<'_>) + Send + 'static) -> bool {
        self.pass(Input::Look(Look(Box::new(look)))).is_ok()
    }

    /// What makes the loop turn. One that has no room to be asked is awake.
    pub(super) fn waker(&self) -> impl Fn() + Send + Sync + use<> {
        let inlet = self.clone();
        // any question does
        move || _ = inlet.look(|_| {})
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
