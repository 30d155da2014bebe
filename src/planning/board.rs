//! What can be seen of planning from outside.

use crate::route::sheet::Sheet;
use crate::units::PlanName;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The outcomes of so many orders are remembered.
const REMEMBERED: usize = 32;

/// All plans, as of now. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    notices: BTreeMap<PlanName, Notice>,
    /// The last ticket that was drawn.
    drawn: u64,
    /// What became of orders with a ticket, the last ones.
    outcomes: VecDeque<(u64, Option<String>)>,
}

/// What is known of one plan.
#[derive(Debug, Clone, Default)]
pub struct Notice {
    /// The plan that holds.
    pub sheet: Option<Arc<Sheet>>,
    /// How far a search is, if there is one.
    pub search: Option<Search>,
    /// Why the last order was in vain, if it was: the plan that holds is older than it should be.
    pub trouble: Option<String>,
    /// Whether nobody has set the clock: no plan is made by itself until then.
    pub clock_unset: bool,
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

/// Whether a plan is what it should be: the one on the broker stays there when it cannot be
/// renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanHealth {
    /// Its name.
    pub name: String,
    /// The day of the plan that holds; null if there is none yet.
    pub day: Option<Date>,
    /// When it was made.
    pub made_at: Option<Timestamp>,
    /// Why the last attempt to make a new one was in vain, or why there was none.
    pub trouble: Option<String>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It waits, or is being carried out.
    Open,
    /// There is a new plan.
    Made,
    /// There is none, and why.
    InVain(String),
    /// Nobody knows it: the gateway was started anew, or many others came after it.
    Unknown,
}

impl Board {
    /// What is known of a plan; none if there is no such plan.
    #[must_use]
    pub fn notice(&self, name: &PlanName) -> Option<Notice> {
        self.lock().notices.get(name).cloned()
    }

    /// The names of all plans.
    #[must_use]
    pub fn names(&self) -> Vec<PlanName> {
        self.lock().notices.keys().cloned().collect()
    }

    /// A ticket for an order, by which its outcome can be told from that of others.
    #[must_use]
    pub fn draw(&self) -> u64 {
        let mut inside = self.lock();
        // those of the process before must not be taken for ours
        let first = u64::from(std::process::id()) << 20;
        inside.drawn = inside.drawn.max(first) + 1;
        inside.drawn
    }

    /// What became of the order with this ticket.
    #[must_use]
    pub fn outcome(&self, ticket: u64) -> Outcome {
        let inside = self.lock();
        let oldest = inside.outcomes.front().map_or(0, |(ticket, _)| *ticket);
        match inside.outcomes.iter().find(|(other, _)| *other == ticket) {
            Some((_, None)) => Outcome::Made,
            Some((_, Some(trouble))) => Outcome::InVain(trouble.clone()),
            None if (oldest..=inside.drawn).contains(&ticket) => Outcome::Open,
            None => Outcome::Unknown,
        }
    }

    /// How these plans are.
    #[must_use]
    pub fn health(&self, names: &[PlanName]) -> Vec<PlanHealth> {
        let inside = self.lock();
        let of = |name: &PlanName| {
            let notice = inside.notices.get(name)?;
            let sheet = notice.sheet.as_deref();
            Some(PlanHealth {
                name: name.to_string(),
                day: sheet.map(|sheet| sheet.day),
                made_at: sheet.map(|sheet| sheet.made_at),
                trouble: notice.trouble.clone().or_else(|| {
                    notice
                        .clock_unset
                        .then(|| "the clock is not set: no plan is made by itself".to_owned())
                }),
            })
        };
        names.iter().filter_map(of).collect()
    }

    pub(super) fn post(&self, name: &PlanName, change: impl FnOnce(&mut Notice)) {
        change(self.lock().notices.entry(name.clone()).or_default());
    }

    pub(super) fn carried_out(&self, ticket: u64, trouble: Option<String>) {
        let mut inside = self.lock();
        inside.outcomes.push_back((ticket, trouble));
        if inside.outcomes.len() > REMEMBERED {
            inside.outcomes.pop_front();
        }
    }

    /// Held for the time of a copy only: who looks must not wait for who plans.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_is_told_its_own_outcome() {
        let board = Board::default();
        let (first, second) = (board.draw(), board.draw());
        assert_eq!(board.outcome(first), Outcome::Open);
        board.carried_out(first, Some("no levels".into()));
        assert_eq!(board.outcome(second), Outcome::Open);
        board.carried_out(second, None);
        assert_eq!(board.outcome(first), Outcome::InVain("no levels".into()));
        assert_eq!(board.outcome(second), Outcome::Made);
        assert_eq!(board.outcome(second + 1), Outcome::Unknown, "of another process");
        for _ in 0..REMEMBERED {
            board.carried_out(board.draw(), None);
        }
        assert_eq!(board.outcome(first), Outcome::Unknown);
        assert_eq!(Board::default().outcome(first), Outcome::Unknown);
    }
}
