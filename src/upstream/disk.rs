//! Whether the outbox can be read and cleared, as operations is told.

use super::Forwarder;
use crate::message;
use crate::store::StoreError;

/// What the disk may refuse.
const READING: usize = 0;
const CLEARING: usize = 1;

impl Forwarder {
    /// Tells operations when the outbox begins or ceases to be read.
    pub(super) fn note_outbox<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        self.note_disk(result, READING)
    }

    /// The same of clearing: a disk may let itself be read, and take nothing.
    pub(super) fn note_cleared<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        self.note_disk(result, CLEARING)
    }

    fn note_disk<T>(&mut self, result: Result<T, StoreError>, what: usize) -> Option<T> {
        let failed = self.outbox_fails.contains(&true);
        self.outbox_fails[what] = result.is_err();
        match result {
            Ok(value) => {
                if failed && !self.outbox_fails.contains(&true) {
                    log::info!(
                        MESSAGE_ID = message::STORE_WORKS,
                        LYKTA_TENANT = self.tenant.as_str();
                        "the outbox of tenant {} can be used again", self.tenant
                    );
                }
                Some(value)
            }
            Err(error) => {
                if !failed {
                    log::error!(
                        MESSAGE_ID = message::STORE_FAILED,
                        LYKTA_TENANT = self.tenant.as_str(),
                        LYKTA_REASON = error.to_string();
                        "what waits for the cloud of tenant {} cannot be read or cleared: \
                         {error}", self.tenant
                    );
                }
                None
            }
        }
    }
}
