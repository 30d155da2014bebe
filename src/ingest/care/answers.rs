//! What staff answer and say by commands.

use super::home::Home;
use super::{Care, Draft, Told};
use crate::care::escalation::Role;
use crate::care::{At, Kind, Mode, Stay};
use crate::clock::Moment;
use crate::upstream::command::Person;
use crate::upstream::event::care::{self, Case};
use jiff::Timestamp;
use std::sync::Arc;

impl Care {
    /// Somebody answers an alarm; whether there is one.
    pub(in crate::ingest) fn acknowledge(
        &mut self,
        alarm: &str,
        by: Role,
        done: bool,
        now: Moment,
    ) -> Option<Told> {
        self.alarms.cases.get(alarm)?;
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        // it may have ended by that, which is to be told all the same
        let Some(case) = self.alarms.cases.get(alarm).cloned() else {
            return Some(self.settle(draft));
        };
        draft.alarms = true;
        if done {
            if let Some(n) = self.home(&case.resident) {
                self.homes[n].ledger.interrupt(Some(&case.rule));
                draft.homes.insert(n);
            }
            let over = case.closed("besökt och avslutat", "visited and closed");
            self.close(alarm, &over, now, &mut draft);
        } else {
            let at = At::from(now.wall);
            let calls = self.alarms.escalation.acknowledge(&self.rules.chain, alarm, by, at);
            self.call(&calls, now, &mut draft);
        }
        Some(self.settle(draft))
    }

    /// Somebody at this machine answers all alarms.
    pub(in crate::ingest) fn acknowledge_all(&mut self, now: Moment) -> Told {
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        let alarms: Vec<String> = self.alarms.cases.keys().cloned().collect();
        for alarm in alarms {
            let (chain, at) = (&self.rules.chain, At::from(now.wall));
            let by = Role::PatrolLead;
            let calls = self.alarms.escalation.acknowledge(chain, &alarm, by, at);
            draft.alarms |= !calls.is_empty() || self.alarms.escalation.is_open(&alarm);
            self.call(&calls, now, &mut draft);
        }
        self.settle(draft)
    }

    /// Staff is there, or the resident is away, until then; or not any more. None if there is no
    /// such resident.
    pub(in crate::ingest) fn be(
        &mut self,
        resident: &str,
        staff: bool,
        until: Option<Timestamp>,
        now: Moment,
    ) -> Option<Told> {
        let n = self.home(resident)?;
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        draft.homes.insert(n);
        let at = At::from(now.wall);
        let stay = until.map(|until| Stay::new(at, At::from(until)));
        let mode = match stay {
            None => Mode::Home,
            Some(stay) if staff => Mode::Staff(stay),
            Some(stay) => Mode::Away(stay),
        };
        if until.is_some() {
            self.homes[n].ledger.interrupt(None);
        }
        let decisions = self.homes[n].watch.set_mode(at, mode);
        self.take(n, decisions, now, &mut draft);
        if until.is_some() {
            // who is there sees for themselves, and who is away is not missed
            self.close_all(
                resident,
                "personal på plats eller borta",
                "staff there, or away",
                now,
                &mut draft,
            );
        }
        Some(self.settle(draft))
    }

    /// Consent is given or withdrawn; whether what is said in that home is read from now on. None if
    /// there is no such resident; false if the settings say that there is none.
    pub(in crate::ingest) fn consent(
        &mut self,
        resident: &str,
        who: Person,
        given: bool,
        now: Moment,
    ) -> Option<Result<(Told, bool), ()>> {
        let n = self.home(resident)?;
        if given && !self.homes[n].agreed.consent {
            return Some(Err(()));
        }
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        let home = &mut self.homes[n];
        let before = home.standing();
        if home.consent.change(who, given) {
            draft.consents.insert(n);
        }
        let is_heard = home.may_be_heard();
        if home.standing() == before {
            return Some(Ok((self.settle(draft), is_heard)));
        }
        // of who withdraws it nothing is left
        let kept = is_heard.then(|| home.kept());
        *home = Home::new(Arc::clone(&home.agreed), home.consent.clone(), kept, now);
        self.consented(n, now, &mut draft);
        Some(Ok((self.settle(draft), is_heard)))
    }

    /// Consent was given or withdrawn, by whom ever: the watch begins, or all about it ends.
    pub(super) fn consented(&mut self, n: usize, now: Moment, draft: &mut Draft) {
        let resident = self.homes[n].agreed.id.clone();
        let is_heard = self.homes[n].may_be_heard();
        let at = At::from(now.wall);
        let decisions = self.homes[n].watch.trust_clock(at, self.trusted);
        self.take(n, decisions, now, draft);
        if !is_heard {
            self.close_all(&resident, "samtycket återkallat", "consent withdrawn", now, draft);
            // at once, and not after its time
            self.erase_at = Some(now.monotonic);
        }
        let (sv, en) = match is_heard {
            true => ("samtycke lämnat, tillsynen har börjat", "consent given, checks have begun"),
            false => (
                "samtycket återkallat, ingen tillsyn görs och inget larm kommer",
                "consent withdrawn, no checks are made and no alarm comes",
            ),
        };
        let case = Case::about(&resident, "consent", sv, en);
        draft.messages.push(care::decided(&self.rules.gateway, &case, Kind::Warning, now));
        draft.homes.insert(n);
    }
}
