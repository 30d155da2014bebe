//! Plans that are mended by themselves.

use crate::running::{Mood, Running, WEEK, at, plan};
use crate::world::{BINS, DAYS, PLAN, TRUCK};
use lykta::clock::Clock;
use serde_json::{Value, json};

/// Ten minutes are a second.
const SPEED: u32 = 600;

fn settings() -> String {
    let settings = format!("{BINS}{PLAN}{TRUCK}");
    // however full it is, it must not be emptied, but it may be
    let settings = settings.replacen("[bin.1]\n", "[bin.1]\nthreshold_must = 1.0\n", 1);
    settings.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]")
}

/// What is remembered of a plan that leaves out the first bin, for this reason.
fn without_the_first(settings: &str, left: &Value) -> String {
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::of(night, settings, &[], None);
    let planned = running.tell("x", json!({}));
    let mut kept: Value = serde_json::from_str(&planned.states[0].body).unwrap();
    for tour in kept["sheet"]["routes"].as_array_mut().unwrap() {
        tour["stops"].as_array_mut().unwrap().retain(|stop| stop["id"] != "1");
        // nobody has left yet
        tour["leaveAt"] = json!("2026-11-23T20:00:00Z");
    }
    kept["sheet"]["leftOut"] = json!([left]);
    kept.to_string()
}

fn left_out(level: f64) -> Value {
    json!({ "id": "1", "lat": 59.33, "lon": 18.07, "level": level, "must": false, "reason": "" })
}

fn visits_the_first(plan: &Value) -> bool {
    let tours = plan["routes"].as_array().unwrap().iter();
    tours.flat_map(|tour| tour["stops"].as_array().unwrap()).any(|stop| stop["id"] == "1")
}

#[test]
fn mending_that_failed_is_tried_again() {
    let clock = Clock::simulated(at("2026-11-23T06:00:00+01:00"), SPEED);
    let days = PLAN.replace(DAYS, WEEK);
    let settings = format!("{BINS}{days}{TRUCK}");
    let settings =
        settings.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
    let kept = without_the_first(&settings, &left_out(0.3));
    // nobody tells the levels; they are told, and planning fails; all is well
    let moods = [Mood::Silent, Mood::Refuses, Mood::Panics];
    let running = Running::of(clock, &settings, &moods, Some(kept));
    let mended = plan(&running.next());
    assert_eq!(mended["cause"], "full");
    assert!(visits_the_first(&mended), "{mended}");
}

#[test]
fn a_bin_that_fills_faster_than_expected_is_taken_in_before_it_is_full() {
    let kept = without_the_first(&settings(), &left_out(0.3));
    let clock = Clock::simulated(at("2026-11-23T06:00:00+01:00"), SPEED);
    let mended = plan(&Running::of(clock, &settings(), &[], Some(kept)).next());
    assert_eq!(mended["cause"], "full");
    assert!(visits_the_first(&mended), "{mended}");
}

#[test]
fn a_bin_that_fills_as_expected_is_left_where_it_is() {
    let kept = without_the_first(&settings(), &left_out(0.95));
    let clock = Clock::simulated(at("2026-11-23T06:00:00+01:00"), SPEED);
    let running = Running::of(clock, &settings(), &[], Some(kept));
    // orders that change nothing, with a look at the bins between them
    for id in ["first", "second", "third"] {
        running.send(id, json!({ "urgent": ["nobody"] }));
        let answered = running.next().command.expect("a command, and no plan");
        assert_eq!(answered.0, id);
        assert!(answered.1.is_err());
    }
}
