//! Whatever happens in a night: everybody is visited once, or named.

use crate::patrol::NIGHT;
use crate::running::{Running, at, plan};
use jiff::{SignedDuration, Timestamp};
use lykta::clock::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A second car, with two people.
const SECOND: &str = r#"
[[plan.night.vehicle]]
id = "car-2"
shift = "23:00-05:00"
crew = 2
"#;

#[derive(Debug, Clone)]
struct Visit {
    east: f64,
    north: f64,
    /// The begin in quarters of an hour after ten, and how many it is long.
    window: Option<(u32, u32)>,
    service: u32,
    crew: u8,
}

fn visit() -> impl Strategy<Value = Visit> {
    (-9.0..9.0f64, -9.0..9.0f64, prop::option::of((0u32..30, 1u32..8)), 5u32..40, 1u8..=2).prop_map(
        |(east, north, window, service, crew)| Visit { east, north, window, service, crew },
    )
}

fn settings(visits: &[Visit]) -> String {
    let clock = |quarter: u32| {
        let minutes = (22 * 60 + quarter * 15) % (24 * 60);
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    };
    let visits = visits.iter().enumerate().map(|(i, visit)| {
        let Visit { east, north, window, service, crew } = visit;
        let (lat, lon) = (59.3293 + north / 111.2, 18.0686 + east / 56.7);
        let window = window.map_or(String::new(), |(from, long)| {
            format!("window = \"{}-{}\"\n", clock(from), clock((from + long).min(32)))
        });
        format!(
            "[[plan.night.visit]]\nid = \"r{i}\"\nlat = {lat}\nlon = {lon}\n\
             service = \"{service}min\"\ncrew = {crew}\n{window}"
        )
    });
    let night = NIGHT.replace("iterations = 2000", "iterations = 200");
    night + SECOND + &visits.collect::<String>()
}

/// What happens: so many minutes later, somebody calls, or a call is withdrawn.
#[derive(Debug, Clone)]
struct Step {
    minutes: i64,
    urgent: Vec<prop::sample::Index>,
    withdraw: Option<prop::sample::Index>,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    (0i64..120, prop::collection::vec(index(), 0..3), prop::option::weighted(0.2, index()))
        .prop_map(|(minutes, urgent, withdraw)| Step { minutes, urgent, withdraw })
}

/// Each stop of a plan with the moment at which it begins; none for what is left out.
fn told(plan: &Value) -> Vec<(String, Option<Timestamp>)> {
    let tours = plan["routes"].as_array().unwrap().iter();
    let stops = tours.flat_map(|tour| tour["stops"].as_array().unwrap());
    let left_out = plan["leftOut"].as_array().unwrap().iter();
    let begin = |stop: &Value| {
        let at = stop.get("begin").or(stop.get("arrival"))?;
        Some(at.as_str().unwrap().parse().unwrap())
    };
    let of = |stop: &Value| (stop["id"].as_str().unwrap().to_owned(), begin(stop));
    stops.chain(left_out).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everybody_is_visited_once_or_named(
        visits in prop::collection::vec(visit(), 1..9),
        steps in prop::collection::vec(step(), 1..6),
    ) {
        let settings = settings(&visits);
        let mut now = at("2026-11-23T21:05:00+01:00");
        let mut kept: Option<String> = None;
        let mut begun: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut open: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            now += SignedDuration::from_mins(step.minutes);
            let id = |index: &prop::sample::Index| format!("r{}", index.index(visits.len()));
            let mut urgent: Vec<String> = step.urgent.iter().map(id).collect();
            let withdraw: Vec<String> = step.withdraw.iter().map(id).collect();
            urgent.retain(|id| !withdraw.contains(id));
            let running = Running::of(Clock::simulated(now, 0), &settings, &[], kept.clone());
            let args = json!({ "urgent": urgent, "withdraw": withdraw });
            let planned = running.tell("x", args);
            let answer = planned.command.clone().unwrap().1;
            prop_assert!(answer.is_ok(), "{answer:?}");
            let plan = plan(&planned);
            if plan["day"] != "2026-11-23" {
                // an hour before the shifts end the next night is planned, and nothing of it is begun
                break;
            }
            let told = told(&plan);
            kept = Some(planned.states[0].body.clone());
            for number in 0..visits.len() {
                let name = format!("r{number}");
                let times = told.iter().filter(|(id, _)| *id == name).count();
                prop_assert_eq!(times, 1, "{}: {}", name, plan);
            }
            open.extend(urgent);
            open.retain(|id| !withdraw.contains(id));
            for of in &open {
                let call = |(id, _): &(String, _)| id.rsplit_once('!').is_some_and(|(v, _)| v == of);
                prop_assert!(told.iter().any(call), "{} is lost: {}", of, plan);
            }
            // what is behind them stays what it was
            for (id, begin) in &told {
                if let Some(before) = begun.get(id) {
                    prop_assert_eq!(begin.as_ref(), Some(before), "{}: {}", id, plan);
                }
                if let Some(begin) = begin.filter(|begin| *begin <= now) {
                    let planned_at = now - SignedDuration::from_mins(step.minutes);
                    let new = begun.insert(id.clone(), begin).is_none();
                    prop_assert!(!new || begin >= planned_at, "{} was never planned: {}", id, plan);
                }
            }
        }
    }
}
