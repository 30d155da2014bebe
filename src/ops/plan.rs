//! A plan as a document.

use crate::planning::Search;
use crate::route::sheet::Sheet;
use crate::units::PlanName;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The answer to `plan NAME`; to `plan-state NAME` and `plan-now NAME` without the plan itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnePlan {
    /// Its name.
    pub name: Option<PlanName>,
    /// The plan that holds, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<Arc<Sheet>>,
    /// How far a search for a new one is, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub search: Option<Search>,
    /// How many orders for it were carried out since the start, in vain or not.
    pub runs: u64,
    /// Why the last one was in vain, if it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}
