//! What was decided of homes becomes what is told, and alarms that somebody has to answer.

use super::{Care, Draft, Visit};
use crate::care::escalation::{Call, Escalation, Role};
use crate::care::{At, Decision, Kind, Outcome};
use crate::clock::Moment;
use crate::upstream::event::care::{self, Case};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the alarms that wait for an answer are remembered: no pseudonym has such a name.
pub(super) const ALARMS: &str = "/alarms";

/// The alarms that somebody has to answer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Alarms {
    pub(super) escalation: Escalation,
    /// What each is about, by its name.
    pub(super) cases: BTreeMap<String, Case>,
}

impl Care {
    /// What was decided becomes what is told.
    pub(super) fn take(
        &mut self,
        n: usize,
        decisions: Vec<Decision>,
        now: Moment,
        draft: &mut Draft,
    ) {
        let resident = Arc::clone(self.homes[n].watch.resident());
        for decision in decisions {
            draft.homes.insert(n);
            self.homes[n].ledger.note(&decision);
            let mut case = Case::of(&resident, &decision);
            let named = |at: At| care::name(&resident.id, &decision.rule, at);
            match decision.kind {
                Kind::Check if decision.outcome == Some(Outcome::Confirmed) => {
                    draft.messages.push(care::check(&resident, &decision, None, now));
                }
                Kind::Check => {
                    let alarm = named(decision.agreed.unwrap_or(decision.at));
                    draft.messages.push(care::check(&resident, &decision, Some(&alarm), now));
                    self.raise(&alarm, Role::PatrolLead, case, now, draft);
                }
                Kind::Alarm => {
                    self.raise(&named(decision.at), Role::Primary, case, now, draft);
                }
                Kind::Cleared => {
                    case = case.with_account(&self.homes[n].ledger, &resident);
                    match self.case_of(&case.resident, &case.rule) {
                        Some(alarm) => self.close(&alarm, &case, now, draft),
                        None => self.tell(&case, decision.kind, now, draft),
                    }
                }
                Kind::Fault | Kind::Warning => self.tell(&case, decision.kind, now, draft),
            }
        }
    }

    /// The alarm of this rule that is not over.
    pub(super) fn case_of(&self, resident: &str, rule: &str) -> Option<String> {
        let is_its = |case: &Case| case.resident == resident && case.rule == rule;
        self.alarms.cases.iter().find(|(_, case)| is_its(case)).map(|(alarm, _)| alarm.clone())
    }

    pub(super) fn tell(&self, case: &Case, kind: Kind, now: Moment, draft: &mut Draft) {
        draft.messages.push(care::decided(&self.rules.gateway, case, kind, now));
    }

    pub(super) fn raise(
        &mut self,
        alarm: &str,
        first: Role,
        case: Case,
        now: Moment,
        draft: &mut Draft,
    ) {
        let at = At::from(now.wall);
        let calls = self.alarms.escalation.raise(&self.rules.chain, alarm, first, at);
        draft.messages.extend(care::called(&self.rules.gateway, &case, &calls, now));
        draft.alarms = true;
        self.visit(&case.resident, true);
        if self.alarms.escalation.is_open(alarm) {
            self.alarms.cases.insert(alarm.to_owned(), case);
        }
    }

    /// An alarm is over, as this says.
    pub(super) fn close(&mut self, alarm: &str, over: &Case, now: Moment, draft: &mut Draft) {
        let calls = self.alarms.escalation.close(alarm);
        self.alarms.cases.remove(alarm);
        draft.messages.extend(care::called(&self.rules.gateway, over, &calls, now));
        draft.alarms = true;
        if self.alarms.cases.values().all(|case| case.resident != over.resident) {
            self.visit(&over.resident, false);
        }
    }

    /// All alarms of a resident are over.
    pub(super) fn close_all(
        &mut self,
        resident: &str,
        sv: &str,
        en: &str,
        now: Moment,
        draft: &mut Draft,
    ) {
        let theirs = self.alarms.cases.iter().filter(|(_, case)| case.resident == resident);
        let theirs: Vec<_> =
            theirs.map(|(alarm, case)| (alarm.clone(), case.clone().closed(sv, en))).collect();
        for (alarm, over) in theirs {
            self.close(&alarm, &over, now, draft);
        }
    }

    /// All alarms of a resident who is cared for no longer are over.
    pub(super) fn leave(&mut self, resident: &str, now: Moment, draft: &mut Draft) {
        self.close_all(resident, "vårdas inte längre här", "not cared for any more", now, draft);
    }

    /// Tells who is to be told by these calls of one alarm.
    pub(super) fn call(&self, calls: &[Call], now: Moment, draft: &mut Draft) {
        let Some(case) = calls.first().and_then(|call| self.alarms.cases.get(&call.alarm)) else {
            return;
        };
        draft.messages.extend(care::called(&self.rules.gateway, case, calls, now));
    }

    pub(super) fn visit(&mut self, resident: &str, urgent: bool) {
        for plan in self.rules.plans.get(resident).into_iter().flatten() {
            let (plan, resident) = (plan.clone(), resident.to_owned());
            self.visits.push_back(Visit { plan, resident, urgent });
        }
    }
}
