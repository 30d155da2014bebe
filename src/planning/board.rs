//! What can be seen of planning from outside.

use crate::route::sheet::Sheet;
use crate::units::PlanName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All plans, as of now. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<PlanName, Notice>>>);

/// What is known of one plan.
#[derive(Debug, Clone, Default)]
pub struct Notice {
    /// The plan that holds.
    pub sheet: Option<Arc<Sheet>>,
    /// How far a search is, if there is one.
    pub search: Option<Search>,
    /// How many orders were carried out, in vain or not.
    pub runs: u64,
    /// Why the last one was in vain, if it was.
    pub trouble: Option<String>,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// Moves that were made.
    pub iterations: u64,
    /// Moves that will be made.
    pub of: u64,
    /// The best cost so far.
    pub cost: f64,
    /// Bins that must be emptied and have found no vehicle so far.
    pub missing: u64,
}

impl Board {
    /// What is known of a plan; none if there is no such plan.
    #[must_use]
    pub fn notice(&self, name: &PlanName) -> Option<Notice> {
        self.lock().get(name).cloned()
    }

    /// The names of all plans.
    #[must_use]
    pub fn names(&self) -> Vec<PlanName> {
        self.lock().keys().cloned().collect()
    }

    pub(super) fn post(&self, name: &PlanName, change: impl FnOnce(&mut Notice)) {
        change(self.lock().entry(name.clone()).or_default());
    }

    /// Held for the time of a copy only: who looks must not wait for who plans.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PlanName, Notice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
