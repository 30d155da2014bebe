//! The watch over one resident: frames and time go in, decisions come out.

use super::check::{self, CheckRun, Look, Outcome};
use super::house::{Deafness, Facts, House, Mode, Stay};
use super::reason::Reason;
use super::resident::{LATEST_ANSWER, Resident, Sensor};
use super::rule::{Asked, Run};
use super::sensor::{Heard, SensorMemory};
use super::time::{At, Span, next};
use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Of checks that nobody looked at, those of the last day are told one by one.
const TOLD_ONE_BY_ONE: Duration = Duration::from_secs(24 * 3600);
/// When staff changes batteries.
const DAYTIME: Time = Time::constant(9, 0, 0, 0);
/// So long before staff is thought to have gone it is reminded.
const REMINDED_BEFORE: Duration = Duration::from_secs(15 * 60);
/// Who has lain in bed for so long is at home.
const HOME_AGAIN: Duration = Duration::from_secs(10 * 60);

/// What a decision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An agreed check has its answer.
    Check,
    /// Somebody has to go there.
    Alarm,
    /// Something technical has to be mended.
    Fault,
    /// An alarm or a fault is over, or a mode is.
    Cleared,
    /// An alarm will come, or a mode is still on.
    Warning,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: At,
    /// What it is.
    pub kind: Kind,
    /// Whose decision: the id of a rule or check, or one of [`OWN_RULES`].
    pub rule: String,
    /// What a check came to.
    pub outcome: Option<Outcome>,
    /// What a check was agreed for.
    pub agreed: Option<At>,
    /// What it rests on; never empty.
    pub because: Vec<Reason>,
}

/// The names of what is decided without a rule of the resident's own.
pub const OWN_RULES: [&str; 7] = [SUPERVISION, BATTERY, CLOCK, GATEWAY, AWAY, STAFF, CONSENT];
const SUPERVISION: &str = "supervision";
const BATTERY: &str = "battery";
const CLOCK: &str = "clock";
const GATEWAY: &str = "gateway";
const AWAY: &str = "away";
const STAFF: &str = "staff";
const CONSENT: &str = "consent";

/// All that is remembered of a resident: to be kept in the transaction of the frame that it comes
/// from. Sensors, rules and checks go by their names, so that it outlives a change of settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    facts: Facts,
    sensors: BTreeMap<String, SensorMemory>,
    rules: BTreeMap<String, Run>,
    checks: BTreeMap<String, CheckRun>,
    unheeded: u64,
}

impl Memory {
    /// Why nobody was heard when it was made.
    #[must_use]
    pub fn deafness(&self) -> Option<Deafness> {
        self.facts.deafness.map(|(cause, _)| cause)
    }
}

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

    /// A watch that goes on with what it remembers. It has to look before it is asked when it
    /// wants to.
    #[must_use]
    pub fn restore(resident: Arc<Resident>, memory: Memory, now: At) -> Self {
        let Memory { facts, mut sensors, mut rules, checks, unheeded } = memory;
        let mut watch = Self::new(resident, now);
        watch.unheeded = unheeded;
        if !watch.resident.consent {
            return watch;
        }
        let resident = Arc::clone(&watch.resident);
        // numbers of sensors mean something only while the sensors are the same
        let same = sensors.len() == resident.sensors.len()
            && resident.sensors.iter().all(|sensor| sensors.contains_key(&sensor_name(sensor)));
        watch.house.facts = facts;
        if !same {
            watch.house.facts.forget_sensors();
        }
        for (sensor, memory) in resident.sensors.iter().zip(&mut watch.house.sensors) {
            *memory = sensors.remove(&sensor_name(sensor)).unwrap_or_default();
        }
        for (rule, run) in resident.rules.iter().zip(&mut watch.runs) {
            *run = rules.remove(&rule.id).unwrap_or_else(|| Run::new(now));
            if !rule.kind.lasts() {
                // left by a rule of this name that said something else: it would never end
                run.open = None;
            }
        }
        watch.go_on_with(checks);
        watch
    }

    /// A watch that knows nothing of the home, but goes on with the checks that were agreed.
    #[must_use]
    pub fn restore_checks(resident: Arc<Resident>, memory: Memory, now: At) -> Self {
        let mut watch = Self::new(resident, now);
        watch.go_on_with(memory.checks);
        if memory.facts.now > now {
            let mut begun = watch.set_checks(now);
            watch.unfinished.append(&mut begun);
        }
        watch
    }

    fn go_on_with(&mut self, mut checks: BTreeMap<String, CheckRun>) {
        for (number, run) in self.checks.iter_mut().enumerate() {
            if let Some(known) = checks.remove(&check_name(&self.resident, number)) {
                *run = known;
            }
        }
        // what is agreed no longer, or for another time, had begun all the same
        let asked = checks.iter().filter_map(|(name, run)| Some((name, run.asked?)));
        self.unfinished = asked.map(|(name, at)| unfinished(name, at)).collect();
    }

    /// All that it remembers.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let resident = &self.resident;
        let sensors = resident.sensors.iter().map(sensor_name);
        let rules = resident.rules.iter().map(|rule| rule.id.clone());
        let names = (0..self.checks.len()).map(|number| check_name(resident, number));
        Memory {
            facts: self.house.facts.clone(),
            sensors: sensors.zip(self.house.sensors.iter().cloned()).collect(),
            rules: rules.zip(self.runs.iter().cloned()).collect(),
            checks: names.zip(self.checks.iter().cloned()).collect(),
            unheeded: self.unheeded,
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

    fn reminder(&self, stay: Stay) -> At {
        let last = stay.reminded.unwrap_or(stay.since);
        match self.house.facts.mode {
            Mode::Staff(_) if stay.reminded.is_none() => stay.until.before(REMINDED_BEFORE),
            Mode::Staff(_) => At(i64::MAX),
            _ => next(&self.resident.zone, DAYTIME, last),
        }
    }

    fn look_at_mode(&mut self, now: At, decisions: &mut Vec<Decision>) {
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

    fn look_at_sensors(&mut self, now: At, decisions: &mut Vec<Decision>) {
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

    fn look_at_rules(&mut self, now: At, decisions: &mut Vec<Decision>) {
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

    fn look_at_checks(&mut self, now: At, decisions: &mut Vec<Decision>) {
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
    fn answer_begun(&mut self, now: At, decisions: &mut Vec<Decision>) {
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
    fn set_checks(&mut self, now: At) -> Vec<Decision> {
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

/// One that is another kind of sensor now is another one.
fn sensor_name(sensor: &Sensor) -> String {
    format!("{} {}", sensor.kind.word(), sensor.id)
}

fn check_name(resident: &Resident, number: usize) -> String {
    resident
        .checks
        .get(number)
        .map_or_else(String::new, |check| format!("{} {}", check.id, check.at))
}

/// The answer to a check of this name that nobody asks again.
fn unfinished(name: &str, agreed: At) -> Decision {
    let check = name.rsplit_once(' ').map_or(name, |(check, _)| check);
    answer(agreed, check, agreed, Look::missed(agreed))
}

fn answer(at: At, check: &str, agreed: At, Look { outcome, because }: Look) -> Decision {
    let (outcome, agreed) = (Some(outcome), Some(agreed));
    Decision { outcome, agreed, ..decided(at, Kind::Check, check, because) }
}

fn told_of(mode: Mode) -> Option<(&'static str, Reason)> {
    match mode {
        Mode::Home => None,
        Mode::Away(Stay { since, until, .. }) => Some((AWAY, Reason::Away { since, until })),
        Mode::Staff(Stay { since, until, .. }) => Some((STAFF, Reason::Staff { since, until })),
    }
}

fn decision(at: At, kind: Kind, rule: &str, reason: Reason) -> Decision {
    decided(at, kind, rule, vec![reason])
}

fn decided(at: At, kind: Kind, rule: &str, because: Vec<Reason>) -> Decision {
    Decision { at, kind, rule: rule.to_owned(), outcome: None, agreed: None, because }
}
