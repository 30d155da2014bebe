//! The way to the ingest loop.

use crate::ingest::{Input, Look, Sight};
use crate::radio::{Outlet, OutletError};
use crate::units::TenantId;
use crate::upstream::command::Command;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded way in that many share and one closes: the loop ends when it is closed, after
/// what is in it.
#[derive(Debug, Clone)]
pub(super) struct Inlet(Arc<Mutex<Option<SyncSender<Input>>>>);

impl Inlet {
    pub(super) fn new(sender: SyncSender<Input>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Never blocks for longer than another takes to do the same.
    fn pass(&self, input: Input) -> Result<(), OutletError> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = sender.as_ref() else { return Err(OutletError::Closed) };
        sender.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => OutletError::Full,
            TrySendError::Disconnected(_) => OutletError::Closed,
        })
    }

    /// The end that the front ends of the air have.
    pub(super) fn air(&self) -> Outlet {
        let inlet = self.clone();
        Outlet::new(move |event| inlet.pass(Input::Air(event)))
    }

    /// The end that a tenant's upstream has; whether there was room.
    pub(super) fn commands(&self, tenant: TenantId) -> impl Fn(Command) -> bool + use<> {
        let inlet = self.clone();
        move |command| inlet.pass(Input::Command(tenant.clone(), command)).is_ok()
    }

    /// The end that those have who want to see what only the loop knows; whether there was room.
    pub(super) fn look(&self, look: impl FnOnce(Sight<'_>) + Send + 'static) -> bool {
        self.pass(Input::Look(Look(Box::new(look)))).is_ok()
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
