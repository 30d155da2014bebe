//! What the clock does to homes: a start, a clock that is set, and one that is trusted or not.

use super::home::Home;
use super::{Care, Draft, MISSED};
use crate::care::{At, Span};
use crate::clock::{ClockQuality, Moment};
use crate::upstream::event::care::Case;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// A clock that differs by so much from what has passed was set.
const STEP: SignedDuration = SignedDuration::from_secs(2);

impl Care {
    /// What has to be known before anything is decided at this time.
    pub(super) fn wake(&mut self, now: Moment, draft: &mut Draft) {
        let known = now.quality != ClockQuality::Unsynced;
        match self.seen.replace((now.wall, now.monotonic)) {
            None => {
                self.trusted = known;
                self.begin(now, draft);
            }
            Some((wall, monotonic)) => {
                let passed = now.monotonic.saturating_sub(monotonic);
                let expected = wall.checked_add(passed).unwrap_or(Timestamp::MAX);
                let by = now.wall.duration_since(expected);
                let trusted = known || self.trusted && by.abs() < STEP;
                if by.abs() >= STEP {
                    self.step(expected, now, draft);
                }
                // a clock that was set goes on well without anybody to ask, as long as nobody sets it
                if trusted != self.trusted {
                    self.trusted = trusted;
                    self.trust(now, draft);
                }
            }
        }
    }

    /// The first look after a start.
    pub(super) fn begin(&mut self, now: Moment, draft: &mut Draft) {
        let at = At::from(now.wall);
        // also so that nothing stays of who does not consent any more
        draft.all = true;
        let known = self.homes.iter().filter(|home| home.restored).map(|home| home.watch.now());
        if let Some(was) = known.max().filter(|was| at < *was) {
            self.alarms.escalation.step(at.0.saturating_sub(was.0));
        }
        for n in 0..self.homes.len() {
            let cause = self.homes[n].deafness();
            let Home { watch, restored, .. } = &mut self.homes[n];
            if cause.is_some() {
                let decisions = watch.deafen(at.max(watch.now()), cause);
                self.take(n, decisions, now, draft);
                continue;
            }
            if !*restored {
                continue;
            }
            if !watch.resident().consent {
                // the settings have withdrawn it since
                self.consented(n, now, draft);
                continue;
            }
            let was = watch.now();
            let mut decisions = Vec::new();
            if at < was {
                // written down by a clock that was ahead, or this one is behind: what comes now is
                // none the less new
                decisions.append(&mut watch.step(at.0.saturating_sub(was.0)));
                decisions.append(&mut watch.was_deaf(Span { from: at, to: at }));
            } else if !self.trusted || at.since(was) > MISSED {
                decisions.append(&mut watch.was_deaf(Span { from: was, to: at.max(was) }));
            }
            self.take(n, decisions, now, draft);
        }
        self.trust(now, draft);
        for n in 0..self.homes.len() {
            let decisions = self.homes[n].watch.look(at);
            self.take(n, decisions, now, draft);
        }
        // nobody answers for who is cared for no longer, and who was called to them hears that
        let is_here = |case: &&Case| self.homes.iter().any(|home| home.agreed.id == case.resident);
        let gone = self.alarms.cases.values().filter(|case| !is_here(case));
        let gone: BTreeSet<String> = gone.map(|case| case.resident.clone()).collect();
        for resident in gone {
            self.leave(&resident, now, draft);
        }
        if self.alarms_lost {
            // whoever was called then, and for what: somebody is called again
            for n in 0..self.homes.len() {
                let mut decisions = self.homes[n].watch.alarms(at);
                let home = &self.homes[n].agreed.id;
                decisions.retain(|alarm| self.case_of(home, &alarm.rule).is_none());
                self.take(n, decisions, now, draft);
            }
        }
        // an order that was under way may be lost; who asks twice has asked once
        let open: BTreeSet<String> =
            self.alarms.cases.values().map(|case| case.resident.clone()).collect();
        open.iter().for_each(|resident| self.visit(resident, true));
    }

    pub(super) fn trust(&mut self, now: Moment, draft: &mut Draft) {
        for n in 0..self.homes.len() {
            let decisions = self.homes[n].watch.trust_clock(At::from(now.wall), self.trusted);
            self.take(n, decisions, now, draft);
        }
    }

    /// The clock was set, and would have said `expected`.
    pub(super) fn step(&mut self, expected: Timestamp, now: Moment, draft: &mut Draft) {
        let at = At::from(now.wall);
        let by = at.0.saturating_sub(At::from(expected).0);
        for n in 0..self.homes.len() {
            let Home { watch, ledger, .. } = &mut self.homes[n];
            ledger.interrupt(None);
            // what was due before it was set
            let mut decisions = watch.look(At::from(expected));
            decisions.append(&mut watch.step(at.0.saturating_sub(watch.now().0)));
            draft.homes.insert(n);
            self.take(n, decisions, now, draft);
        }
        self.alarms.escalation.step(by);
        draft.alarms |= !self.alarms.cases.is_empty();
    }
}
