//! Which rule cried, and what another time would have saved.
//!
//! An alarm that is over soon, before anybody can have come, was most likely none. Had the rule
//! waited as much longer, it would not have been raised. Constant memory for each rule.

use super::decision::{Decision, Kind};
use super::resident::{Resident, RuleKind};
use super::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Within these minutes alarms are counted that were over by themselves. Patrols take 20 to 60
/// minutes: what is over later may have been ended by one.
const STEPS: [u64; 5] = [5, 10, 15, 20, 30];
/// A suggestion that saves fewer alarms is chance.
const FEWEST_SAVED: u32 = 2;

/// The account of a resident's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// By the rule's name.
    pub rules: BTreeMap<String, Account>,
}

/// What a rule did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// How many alarms there were.
    pub alarms: u32,
    /// How many of them were over within the times that are told apart, each counted once.
    over_within: [u32; STEPS.len()],
    open: Option<At>,
}

/// What would have been better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion {
    /// The longer time.
    pub after: Duration,
    /// How many alarms it would have saved.
    pub saved: u32,
}

impl Ledger {
    /// Takes in a decision.
    pub fn note(&mut self, decision: &Decision) {
        match decision.kind {
            Kind::Alarm => {
                let account = self.rules.entry(decision.rule.clone()).or_default();
                account.alarms += 1;
                account.open = Some(decision.at);
            }
            Kind::Cleared => {
                let Some(account) = self.rules.get_mut(&decision.rule) else { return };
                let Some(open) = account.open.take() else { return };
                let lasted = decision.at.since(open);
                let step = STEPS.iter().position(|step| lasted < minutes(*step));
                if let Some(step) = step {
                    account.over_within[step] += 1;
                }
            }
            _ => {}
        }
    }

    /// Somebody came, or the clock was set: what ends now has not ended by itself. Of one rule, or
    /// of all.
    pub fn interrupt(&mut self, rule: Option<&str>) {
        let theirs = |(name, _): &(&String, &mut Account)| rule.is_none_or(|rule| rule == *name);
        self.rules.iter_mut().filter(theirs).for_each(|(_, account)| account.open = None);
    }

    /// How many alarms there were, and how many of them were over by themselves.
    #[must_use]
    pub fn sum(&self) -> (u32, u32) {
        let of = |account: &Account| (account.alarms, account.by_themselves());
        let sums = self.rules.values().map(of);
        sums.fold((0, 0), |sum, (alarms, by_themselves)| (sum.0 + alarms, sum.1 + by_themselves))
    }

    /// The rule with the most alarms that were over by themselves.
    #[must_use]
    pub fn worst(&self) -> Option<(&str, &Account)> {
        let rules = self.rules.iter().filter(|(_, account)| account.by_themselves() > 0);
        rules.max_by_key(|(_, a)| a.by_themselves()).map(|(rule, account)| (rule.as_str(), account))
    }

    /// A longer time for a rule that would have saved at least half of the alarms that were over by
    /// themselves: the shortest such.
    #[must_use]
    pub fn suggestion(&self, resident: &Resident, rule: &str) -> Option<Suggestion> {
        let account = self.rules.get(rule)?;
        let kind = resident.rules.iter().find(|known| known.id == rule)?.kind;
        // who has lain down again is back only after a while, and rules of silence end at once
        let settled = match kind {
            RuleKind::BedAbsence { .. } => super::sensor::CHATTER,
            _ => Duration::ZERO,
        };
        let delay = kind.delay()?;
        let mut saved = 0;
        for (step, over) in STEPS.iter().zip(account.over_within) {
            saved += over;
            if saved >= FEWEST_SAVED && 2 * saved >= account.by_themselves() {
                let after = delay + minutes(*step).saturating_sub(settled);
                return Some(Suggestion { after, saved });
            }
        }
        None
    }
}

impl Account {
    /// How many alarms were over before anybody can have come.
    #[must_use]
    pub fn by_themselves(&self) -> u32 {
        self.over_within.iter().sum()
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}
