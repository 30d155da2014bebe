//! Threads that are waited for.

use super::GatewayError;
use std::thread;
use tokio::sync::oneshot;

/// A thread, and a way to wait for its end without blocking.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) ended: oneshot::Receiver<()>,
}

impl Worker {
    pub(super) fn spawn(
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, GatewayError> {
        let (guard, ended) = oneshot::channel::<()>();
        let spawned = thread::Builder::new().name(name.clone()).spawn(move || {
            // dropped at the end, also when the work panics
            let _guard = guard;
            work();
        });
        match spawned {
            Ok(_) => Ok(Self { name, ended }),
            Err(source) => Err(GatewayError::Thread { name, source }),
        }
    }

    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }
}
