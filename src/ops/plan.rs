//! A plan as a document.

use crate::planning::Search;
use crate::route::sheet::Sheet;
use crate::units::{PlanName, TenantId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The answer to `plan NAME`; to `plan-now NAME` and `plan-state NAME TICKET` without the plan
/// itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnePlan {
    /// Its name.
    pub name: Option<PlanName>,
    /// The plan that holds, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<Arc<Sheet>>,
    /// The tenant of whose residents it tells, if it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residents_of: Vec<TenantId>,
    /// How far a search for a new one is, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub search: Option<Search>,
    /// The order that was given, or asked about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ticket: Option<u64>,
    /// Whether that order is not carried out yet.
    #[serde(default)]
    pub open: bool,
    /// Why it was in vain, if it was; without a ticket, why the last one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}
