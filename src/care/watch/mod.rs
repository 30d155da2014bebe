//! The watch over one resident: frames and time go in, decisions come out.

mod look;
mod memory;

use super::check::CheckRun;
use super::decision::{AWAY, CLOCK, CONSENT, Decision, GATEWAY, Kind, STAFF, decision};
use super::house::{Deafness, House, Mode, Stay};
use super::reason::Reason;
use super::resident::Resident;
use super::rule::{Asked, Run};
use super::sensor::Heard;
use super::time::{At, Span};
pub use memory::Memory;
use std::sync::Arc;
use std::time::Duration;

/// Who has lain in bed for so long is at home.
const HOME_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The watch over one resident.
#[derive(Debug, Clone)]
pub struct Watch {
    resident: Arc<Resident>,
    house: House,
    runs: Vec<Run>,
    checks: Vec<CheckRun>,
    /// Frames of a resident who does not consent: counted, and nothing else.
    unheeded: u64,
    /// Checks that were under way as they were agreed before: told at the next look.
    unfinished: Vec<Decision>,
}

impl Watch {
    /// A watch that begins now and knows nothing.
    #[must_use]
    pub fn new(resident: Arc<Resident>, now: At) -> Self {
        Self {
            house: House::new(&resident, now),
            runs: vec![Run::new(now); resident.rules.len()],
            checks: vec![CheckRun::new(now); resident.checks.len()],
            unheeded: 0,
            unfinished: Vec::new(),
            resident,
        }
    }

    /// The alarms that last, as if each were raised now: for when it is lost who was called.
    #[must_use]
    pub fn alarms(&self, now: At) -> Vec<Decision> {
        let runs = self.resident.rules.iter().zip(&self.runs).enumerate();
        let open = runs.filter_map(|(number, (rule, run))| Some((number, rule, run.open?)));
        open.map(|(number, rule, since)| {
            decision(now, Kind::Alarm, &rule.id, Reason::Alarm { rule: number, since })
        })
        .collect()
    }

    /// Who is watched over.
    #[must_use]
    pub fn resident(&self) -> &Arc<Resident> {
        &self.resident
    }

    /// When it was last looked at: what is remembered was true then.
    #[must_use]
    pub fn now(&self) -> At {
        self.house.facts.now
    }

    /// Frames with a state that a sensor sent, and the signs that they are when those close
    /// together are one.
    #[must_use]
    pub fn counted(&self, sensor: usize) -> (u64, u64) {
        self.house.sensors.get(sensor).map_or((0, 0), |memory| (memory.raw, memory.episodes))
    }

    /// How many frames of a resident who does not consent were passed over.
    #[must_use]
    pub fn unheeded(&self) -> u64 {
        self.unheeded
    }

    /// A sensor of the resident, by its number, said something.
    pub fn hear(&mut self, at: At, sensor: usize, heard: Heard) -> Vec<Decision> {
        if !self.resident.consent {
            self.unheeded += 1;
            return Vec::new();
        }
        // what was due before it is decided without it
        let mut decisions = self.look(at);
        let resident = Arc::clone(&self.resident);
        let sign = self.house.hear(&resident, sensor, at, heard);
        if let Some(sign) = sign {
            for (rule, run) in resident.rules.iter().zip(&mut self.runs) {
                Asked { rule, resident: &resident, house: &self.house }.note(run, &sign);
            }
        }
        self.home_again(&mut decisions);
        decisions.append(&mut self.look(at));
        decisions
    }

    /// Decides what is due at this time. To ask more often than [`Watch::next_look`] says changes
    /// nothing.
    pub fn look(&mut self, now: At) -> Vec<Decision> {
        if !self.resident.consent {
            return Vec::new();
        }
        let now = now.max(self.house.facts.now);
        self.house.facts.now = now;
        let mut decisions = std::mem::take(&mut self.unfinished);
        decisions.iter_mut().for_each(|decision| decision.at = now);
        self.look_at_mode(now, &mut decisions);
        self.look_at_sensors(now, &mut decisions);
        self.look_at_rules(now, &mut decisions);
        self.look_at_checks(now, &mut decisions);
        decisions
    }

    /// When something is due next, if nothing is heard until then.
    #[must_use]
    pub fn next_look(&self) -> Option<At> {
        if !self.resident.consent {
            return None;
        }
        let (resident, house) = (&self.resident, &self.house);
        let now = house.facts.now;
        let floor = house.floor();
        let sensors = resident.sensors.iter().zip(&house.sensors).flat_map(|(sensor, memory)| {
            let silent = memory.silent_at(sensor, floor).filter(|_| memory.silent.is_none());
            let believed = memory.believed_until(sensor).filter(|_| memory.on == Some(true));
            [silent, memory.battery_due, believed]
        });
        let mode = match house.facts.mode {
            Mode::Home => None,
            Mode::Away(stay) | Mode::Staff(stay) => Some([stay.until, self.reminder(stay)]),
        };
        let rules = resident.rules.iter().zip(&self.runs).flat_map(|(rule, run)| {
            let asked = Asked { rule, resident, house };
            if house.rules_rest() {
                return [None, None];
            }
            match run.open {
                Some(open) => [asked.over(run, open).map(|(at, _)| at), None],
                None => asked.due(run).map_or([None, None], |due| [Some(due.at), due.warn]),
            }
        });
        let checks = resident.checks.iter().zip(&self.checks).map(|(check, run)| {
            run.asked.map_or_else(|| run.due(check, resident), |asked| asked.after(check.retry))
        });
        let all = sensors.chain(rules).flatten().chain(mode.into_iter().flatten()).chain(checks);
        all.filter(|at| *at > now && *at < At(i64::MAX)).min()
    }

    /// Somebody says who is in the home now.
    pub fn set_mode(&mut self, now: At, mode: Mode) -> Vec<Decision> {
        let mut decisions = self.look(now);
        if !self.resident.consent {
            return decisions;
        }
        let now = self.house.facts.now;
        if let Mode::Away(_) = mode {
            // those that come then are not made
            self.answer_begun(now, &mut decisions);
        }
        let was = std::mem::replace(&mut self.house.facts.mode, mode);
        if let Some((rule, reason)) = told_of(mode) {
            for number in 0..self.runs.len() {
                if self.runs[number].open.take().is_some() {
                    let id = self.resident.rules[number].id.clone();
                    decisions.push(decision(now, Kind::Cleared, &id, reason.clone()));
                }
            }
            decisions.push(decision(now, Kind::Warning, rule, reason));
        } else if let Some((rule, _)) = told_of(was) {
            self.resume(now);
            decisions.push(decision(now, Kind::Cleared, rule, Reason::ModeOver { at: now }));
        }
        decisions.append(&mut self.look(now));
        decisions
    }

    /// Whether the gateway's clock can be trusted. While it cannot, each check is a fault.
    pub fn trust_clock(&mut self, now: At, trusted: bool) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let was = self.house.facts.clock_unset;
        if !self.resident.consent || was.is_none() == trusted {
            return self.look(now);
        }
        // before the checks of this moment: a clock that is not set has no moment
        self.house.facts.clock_unset = (!trusted).then_some(now);
        decisions.push(match trusted {
            true => decision(now, Kind::Cleared, CLOCK, Reason::ClockSet),
            false => decision(now, Kind::Fault, CLOCK, Reason::ClockUnset { since: now }),
        });
        decisions.append(&mut self.look(now));
        decisions
    }

    /// The gateway could hear nobody in this time. What was known before may have changed.
    pub fn was_deaf(&mut self, span: Span) -> Vec<Decision> {
        if !self.resident.consent {
            return Vec::new();
        }
        self.house.facts.deaf = Some(span);
        let reason = Reason::Deaf { from: span.from, to: span.to };
        let mut decisions = vec![decision(span.to, Kind::Fault, GATEWAY, reason)];
        decisions.append(&mut self.look(span.to));
        decisions
    }

    /// The gateway can hear nobody in this home from now on, for this cause; or it can again. Meanwhile
    /// each check is a fault, and no silence is a sensor's.
    pub fn deafen(&mut self, now: At, cause: Option<Deafness>) -> Vec<Decision> {
        let mut decisions = self.look(now);
        let was = self.house.facts.deafness;
        if !self.resident.consent || was.map(|(was, _)| was) == cause {
            return decisions;
        }
        let now = self.house.facts.now;
        let rule = |cause| match cause {
            Deafness::Radio => GATEWAY,
            Deafness::Consent => CONSENT,
        };
        self.house.facts.deafness = cause.map(|cause| (cause, now));
        if let Some((was, from)) = was {
            self.house.facts.deaf = Some(Span { from, to: now });
            let over = Reason::Deaf { from, to: now };
            decisions.push(decision(now, Kind::Cleared, rule(was), over));
        }
        if let Some(cause) = cause {
            let reason = Reason::DeafSince { cause, since: now };
            decisions.push(decision(now, Kind::Fault, rule(cause), reason));
        }
        decisions.append(&mut self.look(now));
        decisions
    }

    /// Why nobody is heard now.
    #[must_use]
    pub fn deafness(&self) -> Option<Deafness> {
        self.house.facts.deafness.map(|(cause, _)| cause)
    }

    /// The clock was wrong by so many seconds and has been set: what has lasted an hour still has.
    pub fn step(&mut self, by: i64) -> Vec<Decision> {
        self.house.shift(by);
        let now = self.house.facts.now;
        for run in &mut self.runs {
            run.shift(by, now);
        }
        let mut decisions = self.set_checks(now);
        decisions.append(&mut self.look(now));
        decisions
    }

    fn resume(&mut self, now: At) {
        let resident = Arc::clone(&self.resident);
        self.house.resume(&resident, now);
        for run in &mut self.runs {
            run.resume(now);
        }
    }

    /// Whoever lies in bed is not in hospital.
    fn home_again(&mut self, decisions: &mut Vec<Decision>) {
        let bed = &self.house.facts.bed;
        if let Mode::Away(stay) = self.house.facts.mode
            && bed.stretch() >= HOME_AGAIN
            && let Some(at) = bed.from.filter(|from| *from >= stay.since)
        {
            let now = self.house.facts.now;
            self.house.facts.mode = Mode::Home;
            self.resume(now);
            decisions.push(decision(now, Kind::Cleared, AWAY, Reason::Back { at }));
        }
    }
}

pub(super) fn told_of(mode: Mode) -> Option<(&'static str, Reason)> {
    match mode {
        Mode::Home => None,
        Mode::Away(Stay { since, until, .. }) => Some((AWAY, Reason::Away { since, until })),
        Mode::Staff(Stay { since, until, .. }) => Some((STAFF, Reason::Staff { since, until })),
    }
}
