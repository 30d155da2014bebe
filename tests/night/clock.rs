//! Nights of 23 and 25 hours, and clocks that jump.

use crate::world::{Home1, at, resident, sensors};
use lykta::care::{At, Heard, Kind, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

const CHECKS: &str = "[[resident.check]]\nid = \"night\"\nat = [\"00:00\", \"02:30\", \"03:00\"]\n\
                      [[resident.rule]]\nid = \"up\"\nrule = \"bed_absence\"\nwindow = \"22:00-07:00\"\n";
const DAY: i64 = 86_400;

fn home(zone: &str, begin: At) -> Home1 {
    let resident = resident(zone, &(sensors(&[("bed", "bed"), ("hall", "motion")]) + CHECKS));
    Home1::new(&resident, begin)
}

/// How often each agreed time was answered.
fn answers(home: &Home1) -> BTreeMap<At, u32> {
    let mut answers = BTreeMap::new();
    for decision in home.decisions.iter().filter(|d| d.kind == Kind::Check) {
        *answers.entry(decision.agreed.unwrap()).or_default() += 1;
    }
    answers
}

#[test]
fn both_nights_in_which_clocks_are_changed() {
    for (evening, hours) in [("2026-03-28T18:00:00Z", 14), ("2026-10-24T18:00:00Z", 14)] {
        let mut home = home("Europe/Stockholm", at(evening));
        home.hear(at(evening), 0, Heard::State(true));
        home.until(At(at(evening).0 + hours * 3600));
        let times: Vec<_> = home.decisions.iter().map(|decision| decision.outcome).collect();
        assert_eq!(times, [Some(Outcome::Confirmed); 3], "{}", home.told());
    }
}

#[test]
fn a_window_has_the_hours_that_the_clock_shows() {
    // left at 06:50 by a clock that went forward at two: still in the window
    let mut home = home("Europe/Stockholm", at("2026-03-28T18:00:00Z"));
    home.hear(at("2026-03-28T20:00:00Z"), 0, Heard::State(true));
    home.hear(at("2026-03-29T04:40:00Z"), 0, Heard::State(false));
    home.hear(at("2026-03-29T04:41:00Z"), 1, Heard::State(true));
    home.until(at("2026-03-29T08:00:00Z"));
    let alarms = home.decisions.iter().filter(|decision| decision.kind == Kind::Alarm);
    assert_eq!(alarms.map(|alarm| alarm.at).collect::<Vec<_>>(), [at("2026-03-29T04:55:00Z")]);
}

/// Four nights of a clock that is set by so much in the second one, at this hour.
fn stepped(by: i64, hour: i64) -> Home1 {
    let begin = at("2026-11-20T12:00:00Z");
    let mut home = home("UTC", begin);
    let mut wall = 0;
    for minute in 0..4 * 24 * 60 {
        let now = begin.after(Duration::from_secs(60 * minute));
        if now.0 == begin.0 + DAY + (hour + 12) * 3600 + 600 {
            home.until(now);
            let said = home.watch.step(by);
            home.decisions.extend(said);
            wall = by;
        }
        // in bed all the time, and moving
        if minute % 10 == 0 {
            home.hear(At(now.0 + wall), 0, Heard::State(minute % 20 == 0));
        }
    }
    home
}

#[test]
fn an_hour_more_or_less_loses_no_check_and_asks_none_twice() {
    for by in [3600, -3600] {
        for hour in 0..6 {
            let home = stepped(by, hour);
            let answers = answers(&home);
            assert_eq!(answers.len(), 12, "{by} at {hour}: {}", home.told());
            assert!(answers.values().all(|times| *times == 1), "{by} at {hour}: {}", home.told());
            let late = home.decisions.iter().filter(|d| d.kind == Kind::Check);
            for check in late.filter(|d| d.at.since(d.agreed.unwrap()).as_secs() > 1800) {
                assert_eq!(check.outcome, Some(Outcome::Fault), "too late to be fine");
            }
        }
    }
}

#[test]
fn thirty_days_more_or_less_ask_none_twice_and_go_on() {
    for by in [30 * DAY, -30 * DAY, 30 * DAY + 5 * 3600, -30 * DAY - 5 * 3600] {
        let home = stepped(by, 2);
        let answers = answers(&home);
        assert!(answers.values().all(|times| *times == 1), "{by}: {}", home.told());
        // the two nights after the step, and both before it
        let fine = home.decisions.iter().filter(|d| d.outcome == Some(Outcome::Confirmed)).count();
        assert!(fine >= 9, "{by}: {}", home.told());
        let alarms = home.decisions.iter().filter(|d| d.kind == Kind::Alarm).count();
        assert_eq!(alarms, 0, "a jump is no absence: {}", home.told());
    }
}

#[test]
fn an_absence_goes_on_through_a_step() {
    for by in [3600, -3600, 30 * DAY, -30 * DAY] {
        let mut home = home("UTC", at("2026-11-22T18:00:00Z"));
        home.hear(at("2026-11-22T20:00:00Z"), 0, Heard::State(true));
        home.hear(at("2026-11-23T01:00:00Z"), 0, Heard::State(false));
        home.hear(at("2026-11-23T01:01:00Z"), 1, Heard::State(true));
        home.until(at("2026-11-23T01:10:00Z"));
        let said = home.watch.step(by);
        home.decisions.extend(said);
        home.restart();
        let now = At(at("2026-11-23T01:10:00Z").0 + by);
        home.until(now.after(Duration::from_secs(3600)));
        let alarms = home.decisions.iter().filter(|decision| decision.kind == Kind::Alarm);
        let alarms: Vec<At> = alarms.map(|alarm| alarm.at).collect();
        assert_eq!(alarms, [now.after(Duration::from_secs(300))], "{by}");
    }
}
