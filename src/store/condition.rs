//! What the two views of a database tell each other of its condition.

use super::{Key, Message};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Wakes the owner of the writing view.
type Wake = Box<dyn Fn() + Send + Sync>;

/// Shared by both views.
#[derive(Default)]
pub(super) struct Condition {
    /// What is wrong with the file, since it was found to be damaged.
    damage: Mutex<Option<String>>,
    /// Counts the files that took the place of a damaged one.
    generation: AtomicU64,
    wake: OnceLock<Wake>,
    /// Alarms that the disk has not taken yet: they go out all the same, under the number that
    /// they will have.
    kept: Mutex<Kept>,
}

/// Alarms in memory, each with the epoch that its number belongs to.
pub(super) type Kept = BTreeMap<Key, (Message, String)>;

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl Condition {
    /// What wakes the owner of the writing view, which alone can do something about damage.
    pub(super) fn wake_by(&self, wake: Wake) {
        // there is only one owner
        let _ = self.wake.set(wake);
    }

    /// The file is damaged.
    pub(super) fn report(&self, reason: String) {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    /// What is wrong with the file.
    pub(super) fn damage(&self) -> Option<String> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another file is in its place.
    pub(super) fn replaced(&self) {
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.generation.fetch_add(1, SeqCst);
    }

    /// The alarms in memory.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which file it is.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }
}
