//! What the loop does for the tours: it hands orders on.

use super::Bins;
use crate::planning::{Desk, Order};
use crate::upstream::command::{Code, Fault, Planning};
use std::collections::HashSet;

/// A tenant's bins, and who makes its plans.
#[derive(Debug, Default)]
pub struct Tours {
    /// What is known of its bins.
    pub bins: Bins,
    /// Who plans.
    pub desk: Desk,
    /// The commands that wait for a plan. No more than the desk has room for.
    orders: HashSet<String>,
}

impl Tours {
    /// These bins, planned there.
    pub fn new(bins: Bins, desk: Desk) -> Self {
        Self { bins, desk, orders: HashSet::new() }
    }

    /// Whether this command waits for its plan, and so is among the orders that are kept.
    pub(super) fn ordered(&self, id: &str) -> bool {
        self.orders.contains(id)
    }

    pub(super) fn order(&mut self, id: String, planning: Planning) -> Result<(), Fault> {
        if !self.desk.has(&planning.name) {
            let message = format!("this tenant has no plan {}", planning.name);
            return Err(Fault { code: Code::UnknownPlan, message });
        }
        let order = Order::Command { id: id.clone(), planning };
        if !self.desk.pass(order) {
            let message = "too many plans are waiting to be made; send it again".to_owned();
            return Err(Fault { code: Code::Busy, message });
        }
        self.orders.insert(id);
        Ok(())
    }

    pub(super) fn answered(&mut self, id: &str) {
        self.orders.remove(id);
    }
}
