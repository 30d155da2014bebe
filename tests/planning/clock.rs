//! When plans are made, and what becomes of trouble.

use crate::running::{Mood, Running, WEEK, at, plan};
use crate::support::wait_until;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lykta::bins::View;
use lykta::clock::{Clock, ClockQuality};
use lykta::planning::Planned;
use lykta::units::Ratio;
use serde_json::{Value, json};
use std::collections::HashMap;

#[test]
fn a_plan_is_made_at_its_time_and_remembered_as_that_nights() {
    let before = at("2026-11-23T04:25:00+01:00");
    let running = Running::start(Clock::simulated(before, 600), WEEK, &[], None);
    let planned = running.next();
    let made = plan(&planned);
    assert_eq!((&made["cause"], &made["day"]), (&"nightly".into(), &"2026-11-23".into()));
    let made_at: Timestamp = made["madeAt"].as_str().unwrap().parse().unwrap();
    assert!(made_at >= at("2026-11-23T04:30:00+01:00"), "{made_at}");
    assert_eq!(made["routes"][0]["leaveAt"], "2026-11-23T05:00:00Z", "six o'clock there");
    assert_eq!(planned.command, None);
    drop(running);

    // not a second time that night; the first that comes is what is asked for
    let kept = planned.states[0].body.clone();
    let later = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 1);
    let running = Running::start(later, WEEK, &[], Some(kept));
    running.order("asked");
    let planned = running.next();
    assert_eq!(planned.command.as_ref().map(|(id, _)| id.as_str()), Some("asked"));
    let difference = &plan(&planned)["difference"];
    assert_eq!(difference["added"], Value::Array(vec![]), "nothing has changed");
}

#[test]
fn no_plan_is_made_by_a_clock_that_nobody_has_set_nor_on_a_day_without_tours() {
    let monday = at("2026-11-23T05:00:00+01:00");
    let unset = Clock::simulated_as(ClockQuality::Unsynced, monday, 1);
    let sunday = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    for clock in [unset, sunday] {
        let running = Running::start(clock, WEEK, &[], None);
        // orders are taken in turns with the look at the clock
        running.order("first");
        running.order("second");
        for id in ["first", "second"] {
            let planned = running.next();
            assert_eq!(planned.command.as_ref().map(|(id, _)| id.as_str()), Some(id));
            assert_eq!(plan(&planned)["cause"], "command");
            assert_eq!(plan(&planned)["day"], "2026-11-23");
        }
    }
}

#[test]
fn trouble_is_an_answer_and_the_next_order_is_carried_out() {
    let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    // it is asked once before for bins that became full while it was off, if it is slow
    let moods = [Mood::Panics, Mood::Silent];
    let running = Running::start(clock, WEEK, &moods, None);
    for (id, part) in [("first", "on purpose"), ("second", "does not answer")] {
        running.order(id);
        let Planned { command, messages, states, .. } = running.next();
        let (answered, answer) = command.unwrap();
        let fault = answer.unwrap_err();
        assert_eq!((answered.as_str(), fault.code.as_str()), (id, "failed"));
        assert!(fault.message.contains(part), "{fault}");
        assert!(messages.is_empty() && states.is_empty(), "the last plan holds");
    }
    running.order("third");
    assert!(running.next().command.unwrap().1.is_ok());
    // it holds when it was handed over
    let notice = || running.board.notice(&"tours".parse().unwrap()).unwrap();
    wait_until("it is shown", || notice().sheet.is_some());
}

#[test]
fn a_plan_that_nobody_takes_does_not_hold_and_its_command_is_answered_later() {
    let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    let running = Running::start(clock, WEEK, &[Mood::Refuses], None);
    running.order("first");
    running.order("second");
    // it is taken again from the second look on
    let mut answers: HashMap<String, _> = HashMap::new();
    for _ in 0..2 {
        let planned = running.next();
        let (id, answer) = planned.command.unwrap();
        assert_eq!(planned.messages.is_empty(), answer.is_err());
        answers.insert(id, answer);
    }
    let fault = answers["first"].as_ref().unwrap_err();
    assert!(fault.message.contains("could not be handed over"), "{fault}");
    assert!(answers["second"].is_ok());
}

#[test]
fn a_plan_from_the_cloud_is_for_the_next_tours_and_for_no_others() {
    let clock = Clock::simulated(at("2026-11-23T09:00:00+01:00"), 0);
    let running = Running::start(clock, WEEK, &[], None);
    running.next();
    let brought = |day: &str| {
        let routes = json!([{ "vehicle": "truck-1", "stops": ["2"] }]);
        running.tell(day, json!({ "supersede": { "day": day, "routes": routes } }))
    };
    for (day, part) in [
        ("2026-11-20", "2026-11-20 are over"),
        ("2026-11-24", "only one for 2026-11-23"),
        ("2036-11-24", "only one for 2026-11-23"),
    ] {
        let Planned { command, messages, states, .. } = brought(day);
        let fault = command.unwrap().1.unwrap_err();
        assert_eq!(fault.code.as_str(), "infeasible");
        assert!(fault.message.contains(part), "{fault}");
        assert!(messages.is_empty() && states.is_empty(), "the last plan holds");
    }
    assert_eq!(plan(&brought("2026-11-23"))["origin"], "cloud");
}

#[test]
fn the_same_levels_give_the_same_plan() {
    let mut plans = Vec::new();
    for _ in 0..2 {
        let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 0);
        let running = Running::start(clock, WEEK, &[], None);
        running.order("x");
        plans.push(plan(&running.next()));
    }
    assert_eq!(plans[0], plans[1]);
}

#[test]
fn a_bin_without_a_sensor_is_not_on_every_tour() {
    let kept = |visited: &str| {
        format!(r#"{{"sheet":null,"visited":{{"2":{{"at":"{visited}","level":null}}}}}}"#)
    };
    for (visited, must) in [("2026-11-20T08:00:00Z", false), ("2026-11-10T08:00:00Z", true)] {
        let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 0);
        let running = Running::start(clock, WEEK, &[], Some(kept(visited)));
        running.order("x");
        let plan = plan(&running.next());
        let stops = plan["routes"][0]["stops"].as_array().unwrap();
        assert_eq!(stops.iter().any(|stop| stop["id"] == "2"), must, "{plan}");
    }
}

#[test]
fn a_bin_is_emptied_before_the_days_that_fill_it() {
    // as much comes in a week to both; it is Friday, and the next tours are on Monday
    let friday = at("2026-11-27T05:00:00+01:00");
    let level = |working: f64, resting: f64| View {
        weekdays: [working, working, working, working, working, resting, resting],
        zone: TimeZone::get("Europe/Stockholm").unwrap(),
        spread: 0.02,
        ..View::first(Ratio(0.68), friday - SignedDuration::from_hours(1), true)
    };
    let (park, office) = (level(0.02, 0.2), level(0.1, 0.0));
    let running = Running::with(Clock::simulated(friday, 0), [park, office]);
    let made = plan(&running.tell("x", json!({})));
    let stops = made["routes"][0]["stops"].as_array().unwrap();
    let overflows = |id: &str| {
        let stop = stops.iter().find(|stop| stop["id"] == id);
        stop.is_some_and(|stop| stop["reason"].as_str().unwrap().contains("overflows before Mon"))
    };
    assert!(overflows("1") && !overflows("2"), "{made}");
}
