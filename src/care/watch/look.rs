//! What is due at a moment: of the mode, the sensors, the rules and the checks.

use super::{Watch, told_of};
use crate::care::check::{self, Look, Outcome};
use crate::care::decision::{BATTERY, Decision, Kind, SUPERVISION, answer, decided, decision};
use crate::care::house::{Mode, Stay};
use crate::care::reason::Reason;
use crate::care::resident::LATEST_ANSWER;
use crate::care::rule::Asked;
use crate::care::time::{At, next};
use jiff::civil::Time;
use std::time::Duration;

/// Of checks that nobody looked at, those of the last day are told one by one.
const TOLD_ONE_BY_ONE: Duration = Duration::from_secs(24 * 3600);
/// When staff changes batteries.
const DAYTIME: Time = Time::constant(9, 0, 0, 0);
/// So long before staff is thought to have gone it is reminded.
const REMINDED_BEFORE: Duration = Duration::from_secs(15 * 60);

impl Watch {
    pub(super) fn reminder(&self, stay: Stay) -> At {
        let last = stay.reminded.unwrap_or(stay.since);
        match self.house.facts.mode {
            Mode::Staff(_) if stay.reminded.is_none() => stay.until.before(REMINDED_BEFORE),
            Mode::Staff(_) => At(i64::MAX),
            _ => next(&self.resident.zone, DAYTIME, last),
        }
    }

    pub(super) fn look_at_mode(&mut self, now: At, decisions: &mut Vec<Decision>) {
        let Some((rule, reason)) = told_of(self.house.facts.mode) else { return };
        let (Mode::Away(stay) | Mode::Staff(stay)) = self.house.facts.mode else { return };
        if stay.until <= now {
            self.house.facts.mode = Mode::Home;
            self.resume(now);
            decisions.push(decision(now, Kind::Cleared, rule, Reason::ModeOver { at: stay.until }));
        } else if self.reminder(stay) <= now {
            if let Mode::Away(stay) | Mode::Staff(stay) = &mut self.house.facts.mode {
                stay.reminded = Some(now);
            }
            decisions.push(decision(now, Kind::Warning, rule, reason));
        }
    }

    pub(super) fn look_at_sensors(&mut self, now: At, decisions: &mut Vec<Decision>) {
        let floor = self.house.floor();
        for number in 0..self.house.sensors.len() {
            let sensor = &self.resident.sensors[number];
            let memory = &mut self.house.sensors[number];
            let failed = memory.silent.is_some() || memory.unreadable_told;
            if memory.silent.is_some_and(|silent| memory.heard.is_some_and(|h| h >= silent)) {
                memory.silent = None;
            }
            let newly_silent = memory.silent.is_none()
                && memory.silent_at(sensor, floor).is_some_and(|at| at <= now);
            if newly_silent {
                memory.silent = Some(now);
            }
            let newly_unreadable = memory.unreadable.is_some() && !memory.unreadable_told;
            memory.unreadable_told = memory.unreadable.is_some();
            let (fails, heard) = (memory.fails(), memory.heard.unwrap_or(now));
            let battery = self.look_at_battery(number, now);
            if newly_silent || newly_unreadable {
                let reason = check::fault(&self.resident, &self.house, number);
                decisions.extend(reason.map(|r| decision(now, Kind::Fault, SUPERVISION, r)));
            } else if failed && !fails {
                let reason = Reason::HeardAgain { sensor: number, at: heard };
                decisions.push(decision(now, Kind::Cleared, SUPERVISION, reason));
            }
            decisions.extend(battery);
        }
    }

    fn look_at_battery(&mut self, number: usize, now: At) -> Option<Decision> {
        let memory = &mut self.house.sensors[number];
        let percent = memory.battery?;
        let reason = Reason::Battery { sensor: number, percent };
        match (memory.battery_due, memory.battery_is_low()) {
            (None, true) => memory.battery_due = Some(next(&self.resident.zone, DAYTIME, now)),
            (Some(_), false) => {
                memory.battery_due = None;
                let reason = Reason::BatteryChanged { sensor: number, percent };
                return Some(decision(now, Kind::Cleared, BATTERY, reason));
            }
            (Some(due), true) if due <= now => {
                memory.battery_due = Some(next(&self.resident.zone, DAYTIME, now));
                return Some(decision(now, Kind::Fault, BATTERY, reason));
            }
            _ => {}
        }
        None
    }

    pub(super) fn look_at_rules(&mut self, now: At, decisions: &mut Vec<Decision>) {
        if self.house.rules_rest() {
            return;
        }
        let (resident, house) = (&self.resident, &self.house);
        for (rule, run) in resident.rules.iter().zip(&mut self.runs) {
            let asked = Asked { rule, resident, house };
            if let Some(open) = run.open {
                match asked.over(run, open).filter(|(at, _)| *at <= now) {
                    None => continue,
                    Some((_, reason)) => {
                        run.end();
                        decisions.push(decision(now, Kind::Cleared, &rule.id, reason));
                    }
                }
            }
            while let Some(due) = asked.due(run).filter(|_| run.open.is_none()) {
                if due.at > now {
                    if due.warn.is_some_and(|warn| warn <= now) {
                        asked.warned(run);
                        let reason = Reason::AlarmAt { at: due.at };
                        decisions.push(decision(now, Kind::Warning, &rule.id, reason));
                    }
                    break;
                }
                let told = !due.because.is_empty() && asked.is_in_time(due.at, now);
                asked.done(run, &due, now, told);
                if told {
                    decisions.push(decided(now, Kind::Alarm, &rule.id, due.because));
                }
            }
        }
    }

    pub(super) fn look_at_checks(&mut self, now: At, decisions: &mut Vec<Decision>) {
        let (resident, house, open) = (&self.resident, &self.house, self.open_alarm());
        for (check, run) in resident.checks.iter().zip(&mut self.checks) {
            let mut skipped = 0;
            loop {
                let due = run.due(check, resident);
                if due > now {
                    break;
                }
                let late = now.since(due);
                let away = matches!(house.facts.mode, Mode::Away(_));
                let has_begun = run.asked.is_some();
                if !has_begun && late > LATEST_ANSWER && run.was_done(due, now) {
                    continue;
                }
                if away || late > TOLD_ONE_BY_ONE && !has_begun {
                    skipped += u32::from(!away);
                    run.done(due);
                    continue;
                }
                let look = match late > LATEST_ANSWER {
                    true => Look::missed(due),
                    false => check::look(check, resident, house, open, now),
                };
                if look.outcome != Outcome::Confirmed && late < check.retry {
                    run.asked = Some(due);
                    break;
                }
                run.done(due);
                decisions.push(answer(now, &check.id, due, look));
            }
            if skipped > 0 {
                let reason = Reason::Skipped { times: skipped };
                decisions.push(decision(now, Kind::Fault, &check.id, reason));
            }
        }
    }

    /// Checks that have begun are answered as things stand.
    pub(super) fn answer_begun(&mut self, now: At, decisions: &mut Vec<Decision>) {
        let (resident, house, open) = (&self.resident, &self.house, self.open_alarm());
        for (check, run) in resident.checks.iter().zip(&mut self.checks) {
            if let Some(due) = run.asked {
                let look = check::look(check, resident, house, open, now);
                decisions.push(answer(now, &check.id, due, look));
                run.done(due);
            }
        }
    }

    /// The clock was set: nobody knows any more when a check that has begun has its second look.
    pub(super) fn set_checks(&mut self, now: At) -> Vec<Decision> {
        let mut decisions = Vec::new();
        self.answer_begun(now, &mut decisions);
        for run in &mut self.checks {
            run.set(now);
        }
        decisions
    }

    /// An alarm that lasts.
    fn open_alarm(&self) -> Option<(usize, At)> {
        self.runs.iter().enumerate().find_map(|(rule, run)| Some((rule, run.open?)))
    }
}
