//! What rules and checks did, as tables or as JSON.

use super::Replayed;
use super::record::Event;
use crate::care::{Kind, Outcome};
use crate::cli::table::{Column, Table};
use crate::units::{duration, rounded};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Everything.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    nights: f64,
    residents: Vec<OfResident>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfResident {
    resident: String,
    /// Without consent nothing is decided, and events are counted.
    consent: bool,
    unheeded: u64,
    checks: BTreeMap<String, Answers>,
    rules: Vec<OfRule>,
    /// The rule with the most alarms that were over by themselves.
    worst: Option<String>,
    /// Technical faults that were told, by what they are about.
    faults: BTreeMap<String, u32>,
    sensors: Vec<OfSensor>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    confirmed: u32,
    not_confirmed: u32,
    fault: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfRule {
    rule: String,
    alarms: u32,
    per_week: Option<f64>,
    /// Over before anybody can have come.
    over_by_themselves: u32,
    suggestion: Option<Suggested>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Suggested {
    after: String,
    saves: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfSensor {
    sensor: String,
    events: u64,
    /// When those close together are one.
    signs: u64,
}

impl Report {
    pub(super) fn new(all: &[Replayed], events: &[Event]) -> Self {
        let span = events.first().zip(events.last());
        let days =
            span.map_or(0.0, |(first, last)| last.at.since(first.at).as_secs_f64() / 86_400.0);
        let nights = rounded(days, 1);
        Self { nights, residents: all.iter().map(|of| OfResident::new(of, nights)).collect() }
    }
}

impl OfResident {
    fn new(of: &Replayed, nights: f64) -> Self {
        let resident = of.watch.resident();
        let mut checks: BTreeMap<String, Answers> = BTreeMap::new();
        for check in &resident.checks {
            checks.entry(check.id.clone()).or_default();
        }
        let mut faults = BTreeMap::new();
        for decision in &of.decisions {
            match (decision.kind, decision.outcome) {
                (Kind::Check, Some(outcome)) => {
                    let answers = checks.entry(decision.rule.clone()).or_default();
                    *match outcome {
                        Outcome::Confirmed => &mut answers.confirmed,
                        Outcome::NotConfirmed => &mut answers.not_confirmed,
                        Outcome::Fault => &mut answers.fault,
                    } += 1;
                }
                (Kind::Fault, _) => *faults.entry(decision.rule.clone()).or_default() += 1,
                _ => {}
            }
        }
        let rules = resident.rules.iter().map(|rule| {
            let account = of.ledger.rules.get(&rule.id).cloned().unwrap_or_default();
            let suggestion = of.ledger.suggestion(resident, &rule.id);
            OfRule {
                rule: rule.id.clone(),
                alarms: account.alarms,
                per_week: (nights >= 1.0)
                    .then(|| rounded(f64::from(account.alarms) * 7.0 / nights, 1)),
                over_by_themselves: account.by_themselves(),
                suggestion: suggestion.map(|suggestion| Suggested {
                    after: duration::format(suggestion.after),
                    saves: suggestion.saved,
                }),
            }
        });
        let sensors = resident.sensors.iter().enumerate().map(|(number, sensor)| {
            let (events, signs) = of.watch.counted(number);
            OfSensor { sensor: sensor.id.clone(), events, signs }
        });
        Self {
            resident: resident.id.clone(),
            consent: resident.consent,
            unheeded: of.watch.unheeded(),
            checks,
            rules: rules.collect(),
            worst: of.ledger.worst().map(|(rule, _)| rule.to_owned()),
            faults,
            sensors: if resident.consent { sensors.collect() } else { Vec::new() },
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, of) in self.residents.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            of.write(f, self.nights)?;
        }
        Ok(())
    }
}

impl OfResident {
    fn write(&self, f: &mut fmt::Formatter<'_>, nights: f64) -> fmt::Result {
        if !self.consent {
            let events = self.unheeded;
            return writeln!(
                f,
                "{}: no consent; {events} events counted, nothing decided",
                self.resident
            );
        }
        writeln!(f, "{}: {nights} days\n", self.resident)?;
        let mut checks = Table::new([
            Column::Text("CHECK"),
            Column::Number("CONFIRMED"),
            Column::Number("NOT CONFIRMED"),
            Column::Number("FAULT"),
        ]);
        for (id, answers) in &self.checks {
            let Answers { confirmed, not_confirmed, fault } = answers;
            checks.row([
                id.clone(),
                confirmed.to_string(),
                not_confirmed.to_string(),
                fault.to_string(),
            ]);
        }
        writeln!(f, "{checks}")?;
        let mut rules = Table::new([
            Column::Text("RULE"),
            Column::Number("ALARMS"),
            Column::Number("PER WEEK"),
            Column::Number("OVER BY THEMSELVES"),
            Column::Text("SUGGESTION"),
        ]);
        for rule in &self.rules {
            let suggestion = rule.suggestion.as_ref();
            rules.row([
                rule.rule.clone(),
                rule.alarms.to_string(),
                rule.per_week.map_or("-".to_owned(), |n| format!("{n:.1}")),
                rule.over_by_themselves.to_string(),
                suggestion.map_or("-".to_owned(), |suggested| {
                    format!("after = \"{}\" saves {}", suggested.after, suggested.saves)
                }),
            ]);
        }
        writeln!(f, "{rules}")?;
        if let Some(worst) = &self.worst {
            writeln!(f, "{worst} cried most often for nothing.\n")?;
        }
        for (what, times) in &self.faults {
            writeln!(f, "{what}: {times} faults")?;
        }
        let mut sensors =
            Table::new([Column::Text("SENSOR"), Column::Number("EVENTS"), Column::Number("SIGNS")]);
        for sensor in &self.sensors {
            let (events, signs) = (sensor.events.to_string(), sensor.signs.to_string());
            sensors.row([sensor.sensor.clone(), events, signs]);
        }
        write!(f, "{sensors}")
    }
}
