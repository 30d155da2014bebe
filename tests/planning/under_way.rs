//! Plans that are made while vehicles are on their way.

use crate::running::{Running, WEEK, at, plan};
use crate::world::{BINS, PLAN, TRUCK};
use jiff::Timestamp;
use lykta::clock::Clock;
use serde_json::{Value, json};

#[test]
fn what_a_truck_has_done_stays_as_it_was_when_the_plan_is_made_anew() {
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::start(night, WEEK, &[], None);
    running.order("x");
    let planned = running.next();
    let before = plan(&planned);
    // somebody has asked for it since its time: it is that night's
    running.order("once more");
    assert_eq!(plan(&running.next())["cause"], "command");
    drop(running);

    let kept = planned.states[0].body.clone();
    let under_way = Clock::simulated(at("2026-11-23T06:30:00+01:00"), 0);
    let running = Running::start(under_way, WEEK, &[], Some(kept));
    running.order("y");
    let after = plan(&running.next());
    let tour = |plan: &Value| {
        let tour = &plan["routes"][0];
        (tour["leaveAt"].clone(), tour["stops"].clone(), tour["backAt"].clone())
    };
    let reasons = |plan: &Value| -> Vec<Value> {
        let stops = plan["routes"][0]["stops"].as_array().unwrap();
        stops.iter().map(|stop| stop["reason"].clone()).collect()
    };
    assert_eq!(tour(&after).0, tour(&before).0, "it has left");
    assert_eq!(tour(&after).2, tour(&before).2);
    assert_eq!(reasons(&after), reasons(&before));
    assert_eq!(after["difference"]["moved"], Value::Array(vec![]));
}

#[test]
fn nothing_is_planned_in_the_past_of_a_truck_that_is_under_way() {
    // only the first bin at first; the second is full when it is asked again
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::start(night, WEEK, &[], None);
    running.order("x");
    let planned = running.next();
    drop(running);

    let mut kept: Value = serde_json::from_str(&planned.states[0].body).unwrap();
    let stops = kept["sheet"]["routes"][0]["stops"].as_array_mut().unwrap();
    let dropped = stops.pop().unwrap();
    let kept = kept.to_string();
    let noon = at("2026-11-23T12:00:00+01:00");
    let running = Running::start(Clock::simulated(noon, 0), WEEK, &[], Some(kept));
    running.order("y");
    let after = plan(&running.next());
    let stops = after["routes"][0]["stops"].as_array().unwrap();
    let again = stops.iter().find(|stop| stop["id"] == dropped["id"]).expect("it is visited");
    let arrival: Timestamp = again["arrival"].as_str().unwrap().parse().unwrap();
    assert!(arrival > noon, "{arrival}");
}

/// A morning's plan of both bins, and what is remembered of it.
fn morning() -> (Value, String) {
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::start(night, WEEK, &[], None);
    let planned = running.tell("x", json!({}));
    (plan(&planned), planned.states[0].body.clone())
}

fn ids(plan: &Value) -> Vec<&str> {
    let tours = plan["routes"].as_array().unwrap().iter();
    let stops = tours.flat_map(|tour| tour["stops"].as_array().unwrap());
    stops.map(|stop| stop["id"].as_str().unwrap()).collect()
}

#[test]
fn a_plan_from_the_cloud_begins_with_what_is_done() {
    let (before, kept) = morning();
    let noon = Clock::simulated(at("2026-11-23T12:00:00+01:00"), 0);
    let running = Running::start(noon, WEEK, &[], Some(kept));
    let told = |id: &str, stops: Value| {
        let routes = json!([{ "vehicle": "truck-1", "stops": stops }]);
        let given = json!({ "supersede": { "day": "2026-11-23", "routes": routes } });
        plan(&running.tell(id, given))
    };
    // told whole or as what is left of it, nothing is done twice
    for (id, stops) in [("whole", json!(ids(&before))), ("nothing", json!([]))] {
        let after = told(id, stops);
        assert_eq!(after["origin"], "cloud");
        assert_eq!(after["routes"][0]["stops"], before["routes"][0]["stops"], "{id}");
        assert_eq!(after["routes"][0]["leaveAt"], before["routes"][0]["leaveAt"]);
    }
}

#[test]
fn what_a_truck_has_done_that_is_not_there_any_more_is_not_done_again() {
    let (before, kept) = morning();
    assert_eq!(ids(&before).len(), 2);
    let settings = format!("{BINS}{PLAN}{TRUCK}").replace("truck-1", "truck-2");
    let settings =
        settings.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
    let noon = Clock::simulated(at("2026-11-23T12:00:00+01:00"), 0);
    let running = Running::of(noon, &settings, &[], Some(kept));
    let after = plan(&running.tell("y", json!({})));
    assert!(!ids(&after).contains(&"2"), "{after}");
}

#[test]
fn what_settings_say_now_does_not_undo_what_was_done_by_those_of_the_morning() {
    let (before, kept) = morning();
    let settings = format!("{BINS}{PLAN}{TRUCK}");
    let settings =
        settings.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
    // the truck holds next to nothing, goes home at once, and has lost its crane
    for (from, to) in [
        ("20000", "100"),
        ("00:00-23:59", "06:00-06:20"),
        ("[bin.2]\n", "[bin.2]\nskills = [\"crane\"]\nservice = \"2h\"\n"),
        ("[bin.1]\n", "[bin.1]\nwindow = \"05:00-05:10\"\n"),
    ] {
        let noon = Clock::simulated(at("2026-11-23T06:30:00+01:00"), 0);
        let settings = settings.replacen(from, to, 1);
        let at = if from == "00:00-23:59" { "at = \"03:00\"\n" } else { "" };
        let settings = settings.replacen("[plan.tours]\n", &format!("[plan.tours]\n{at}"), 1);
        let running = Running::of(noon, &settings, &[], Some(kept.clone()));
        let planned = running.tell("y", json!({}));
        let answer = planned.command.clone().unwrap().1;
        if from == "00:00-23:59" {
            // that day is over by these settings, and the truck keeps its plan
            assert!(answer.unwrap_err().message.contains("until"), "{to}");
            continue;
        }
        answer.unwrap_or_else(|fault| panic!("{to}: {fault}"));
        let after = plan(&planned);
        for stop in before["routes"][0]["stops"].as_array().unwrap() {
            let same = after["routes"][0]["stops"].as_array().unwrap().iter();
            let same = same.clone().find(|other| other["id"] == stop["id"]);
            assert_eq!(same.map(|same| &same["arrival"]), Some(&stop["arrival"]), "{to}");
        }
    }
}

#[test]
fn a_bin_that_is_asked_for_behind_the_truck_is_told_to_be_left() {
    let (_, kept) = morning();
    let noon = Clock::simulated(at("2026-11-23T12:00:00+01:00"), 0);
    let running = Running::start(noon, WEEK, &[], Some(kept));
    let planned = running.tell("y", json!({ "urgent": ["2"] }));
    assert_eq!(planned.command.clone().unwrap().1.unwrap()["unserved"], 1);
    let left = plan(&planned);
    assert_eq!(left["leftOut"][0]["id"], "2");
    assert_eq!(left["shortfalls"][0]["kind"], "again");
    // and is on the next tours
    let kept = planned.states[0].body.clone();
    drop(running);
    let tuesday = Clock::simulated(at("2026-11-24T05:00:00+01:00"), 0);
    let next = Running::start(tuesday, WEEK, &[], Some(kept)).next();
    assert_eq!(plan(&next)["cause"], "nightly");
    let stops = plan(&next)["routes"][0]["stops"].clone();
    let asked = stops.as_array().unwrap().iter().find(|stop| stop["id"] == "2");
    assert!(asked.unwrap()["reason"].as_str().unwrap().contains("asked for"), "{stops}");
}

#[test]
fn nobody_loses_the_plan_of_the_tours_that_go_on_and_the_next_day_gets_its_own() {
    let (before, kept) = morning();
    let back: Timestamp = before["routes"][0]["backAt"].as_str().unwrap().parse().unwrap();
    // the last hour of the shift; somebody is late
    let mut late: Value = serde_json::from_str(&kept).unwrap();
    late["sheet"]["routes"][0]["backAt"] = json!("2026-11-23T13:20:00Z");
    assert!(back < at("2026-11-23T13:20:00Z"));
    let running = Running::start(
        Clock::simulated(at("2026-11-23T14:00:00+01:00"), 0),
        WEEK,
        &[],
        Some(late.to_string()),
    );
    let fault = running.tell("y", json!({})).command.unwrap().1.unwrap_err();
    assert_eq!(fault.code.as_str(), "infeasible");
    assert!(fault.message.contains("until 2026-11-23T13:20:00Z"), "{fault}");
    drop(running);

    // a plan for Tuesday is there; one for Monday again, and Tuesday's is made in its time
    let mut ahead: Value = serde_json::from_str(&kept).unwrap();
    ahead["nightly"] = json!("2026-11-24");
    let monday = Clock::simulated(at("2026-11-23T12:30:00+01:00"), 0);
    let running = Running::start(monday, WEEK, &[], Some(ahead.to_string()));
    let planned = running.tell("y", json!({}));
    let kept: Value = serde_json::from_str(&planned.states[0].body).unwrap();
    assert_eq!(kept["nightly"], "2026-11-23");
}
