//! What a watch remembers over restarts and changes of settings.

use super::Watch;
use crate::care::check::{CheckRun, Look};
use crate::care::decision::{Decision, answer};
use crate::care::house::{Deafness, Facts};
use crate::care::resident::{Resident, Sensor};
use crate::care::rule::Run;
use crate::care::sensor::SensorMemory;
use crate::care::time::At;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

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

impl Watch {
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
