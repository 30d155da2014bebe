//! One night for each rule.

use crate::world::{Home1, at, resident, sensors};
use lykta::care::{At, Heard, Mode, Span, Stay, Watch};

/// What is decided of events by the clock in UTC, from noon of the 22nd on: `23:10 bed 1`.
fn night(rules: &str, events: &str, until: &str) -> String {
    let names = [
        ("bed", "bed"),
        ("hall", "motion"),
        ("bath", "motion"),
        ("toilet", "toilet"),
        ("door", "door"),
        ("chair", "chair"),
        ("button", "button"),
    ];
    let resident = resident("UTC", &(sensors(&names) + rules));
    let mut home = Home1::new(&resident, at("2026-11-22T12:00:00Z"));
    for event in events.split_terminator([',', '\n']).map(str::trim).filter(|e| !e.is_empty()) {
        let words: Vec<&str> = event.split(' ').collect();
        let sensor = names.iter().position(|(name, _)| *name == words[1]).unwrap();
        home.hear(time(words[0]), sensor, Heard::State(words[2] == "1"));
    }
    home.until(time(until));
    home.told()
}

/// Before noon it is the morning of the 23rd.
fn time(clock: &str) -> At {
    let day = if clock < "12" { 23 } else { 22 };
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    at(&format!("2026-11-{day}T{clock}{seconds}Z"))
}

fn rule(text: &str) -> String {
    format!("[[resident.rule]]\nid = \"it\"\n{text}\n")
}

#[test]
fn a_bed_that_is_left() {
    let up = rule("rule = \"bed_absence\"\nwindow = \"22:00-07:00\"\nafter = \"15min\"");
    let lies = "21:00 bed 1, 22:55 hall 1,";
    let cases = [
        ("is an alarm, over midnight", "21:00 bed 1, 23:50 bed 0, 23:51 hall 1", "06:00"),
        ("is none when nobody is seen up", "21:00 bed 1, 23:50 bed 0", "06:00"),
        (
            "is none when they are back in time",
            "21:00 bed 1, 23:50 bed 0, 23:51 hall 1, 00:04 bed 1",
            "06:00",
        ),
        (
            "is none when nobody lay there for long",
            "23:00 bed 1, 23:09 bed 0, 23:10 hall 1",
            "06:00",
        ),
        (
            "is over when they lie down, not at a touch",
            "21:00 bed 1, 01:00 bed 0, 01:01 hall 1, 01:30 bed 1, 01:30:10 bed 0, 01:50 bed 1",
            "06:00",
        ),
        (
            "is an alarm again when they leave again",
            "21:00 bed 1, 01:00 bed 0, 01:01 hall 1, 01:20 bed 1, 02:00 bed 0, 02:05 hall 1",
            "06:00",
        ),
        ("is none by day", "05:00 bed 1, 06:50 bed 0, 06:51 hall 1", "11:00"),
        (
            "is over when they are up and about by day",
            "21:00 bed 1, 06:40 bed 0, 06:41 hall 1, 06:58 hall 1, 07:03 hall 1",
            "11:00",
        ),
        (
            "is one when they are seen late, and not before the bed could answer",
            "21:00 bed 1, 01:00 bed 0, 01:40 hall 1",
            "06:00",
        ),
    ];
    let mut all = String::new();
    for (what, events, until) in cases {
        all.push_str(&format!("{what}:\n{}", night(&up, events, until)));
    }
    let alone = up.clone() + "corroborate = false\n";
    all.push_str(&format!("alone:\n{}", night(&alone, &format!("{lies} 23:00 bed 0"), "23:59")));
    insta::assert_snapshot!(all);
}

#[test]
fn each_of_the_others() {
    let mut all = String::new();
    for (what, rules, events, until) in [
        (
            "bathroom, over midnight",
            "rule = \"bathroom_stay\"\nwindow = \"22:00-06:00\"\nafter = \"20min\"\nsensors = [\"bath\", \"toilet\"]",
            "23:45 hall 1, 23:50 bath 1, 23:51 bath 0, 23:58 toilet 1, 00:25 hall 1, 01:00 bath 1, 01:05 hall 1",
            "04:00",
        ),
        (
            "bathroom, since before the hours",
            "rule = \"bathroom_stay\"\nwindow = \"22:00-06:00\"\nafter = \"20min\"\nsensors = [\"bath\"]",
            "21:15 bath 1",
            "23:00",
        ),
        (
            "door opened, and rattling",
            "rule = \"door_at_night\"\nmode = \"opened\"\nwindow = \"22:00-06:00\"",
            "21:59 door 1, 22:30 door 0, 23:00 door 1, 23:00:10 door 0, 23:00:20 door 1, 02:00 door 1",
            "07:00",
        ),
        (
            "not returned",
            "rule = \"door_at_night\"\nmode = \"not_returned\"\nwindow = \"22:00-06:00\"\nafter = \"10min\"",
            "23:00 door 1, 23:00:20 door 0, 23:30 hall 1, 23:40 door 1, 23:41 hall 1",
            "05:00",
        ),
        (
            "left open since the evening",
            "rule = \"door_at_night\"\nmode = \"left_open\"\nwindow = \"22:00-06:00\"\nafter = \"10min\"",
            "20:00 door 1, 22:30 door 0, 23:00 door 1, 23:05 door 0",
            "05:00",
        ),
        (
            "no motion by ten",
            "rule = \"no_motion\"\nwindow = \"06:00-10:00\"\nwarn = \"30min\"",
            "21:00 hall 1, 05:00 bed 1, 07:00 bed 0, 10:20 hall 1",
            "11:30",
        ),
        (
            "motion by ten",
            "rule = \"no_motion\"\nwindow = \"06:00-10:00\"\nwarn = \"30min\"",
            "21:00 hall 1, 06:10 hall 1",
            "11:30",
        ),
        (
            "nothing for six hours, rests until something is seen",
            "rule = \"inactivity\"\nafter = \"6h\"\nwarn = \"10min\"",
            "13:00 hall 1, 03:00 hall 1, 03:10 chair 1",
            "10:00",
        ),
        (
            "nothing for two hours of the night",
            "rule = \"inactivity\"\nafter = \"2h\"\nwindow = \"22:00-06:00\"",
            "19:00 hall 1, 23:30 hall 1, 01:15 hall 1",
            "11:00",
        ),
        (
            "not to bed",
            "rule = \"not_to_bed\"\nwindow = \"20:00-23:30\"",
            "21:00 bed 1, 21:00:20 bed 0, 00:10 bed 1",
            "05:00",
        ),
        (
            "to bed, and up again",
            "rule = \"not_to_bed\"\nwindow = \"20:00-23:30\"",
            "21:00 bed 1, 23:20 bed 0",
            "05:00",
        ),
        (
            "not up",
            "rule = \"not_up\"\nwindow = \"06:00-10:00\"",
            "22:00 bed 1, 02:00 hall 1, 08:00 bed 0, 08:01 bed 1, 10:40 hall 1",
            "11:30",
        ),
        (
            "up",
            "rule = \"not_up\"\nwindow = \"06:00-10:00\"",
            "22:00 bed 1, 08:00 bed 0, 08:01 hall 1",
            "11:30",
        ),
        (
            "restless",
            "rule = \"restless\"\nwindow = \"22:00-07:00\"\ntimes = 2",
            "21:00 bed 1, 23:50 bed 0, 23:51 hall 1, 23:58 bed 1, 01:00 bed 0, 01:06 bed 1, 02:00 bed 0, 02:01 hall 1, 02:09 bed 1, 03:00 bed 0, 03:01 hall 1, 03:09 bed 1",
            "07:00",
        ),
        (
            "button",
            "rule = \"button\"",
            "23:00 button 1, 23:00:01 button 0, 23:00:30 button 1, 01:00 button 1",
            "02:00",
        ),
    ] {
        all.push_str(&format!("{what}:\n{}", night(&rule(rules), events, until)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn checks_go_by_what_is_known() {
    let check = "[[resident.check]]\nid = \"night\"\nat = [\"00:00\", \"03:00\"]\n";
    let up = rule("rule = \"bed_absence\"\nwindow = \"22:00-07:00\"\nafter = \"15min\"");
    let mut all = String::new();
    for (what, rules, events) in [
        ("in bed", check.to_owned(), "22:41 bed 1"),
        ("nothing ever heard", check.to_owned(), ""),
        (
            "not in bed, then back within the retry",
            check.to_owned(),
            "22:00 bed 1, 23:30 bed 0, 00:10 bed 1",
        ),
        ("up, moving", check.to_owned(), "22:00 bed 1, 22:30 bed 0, 23:55 hall 1, 02:10 hall 1"),
        (
            "in bed as it seems, but seen elsewhere later",
            check.to_owned(),
            "22:00 bed 1, 23:30 hall 1",
        ),
        (
            "a mat that lost them, and nobody seen up",
            check.to_owned(),
            "21:50 hall 1, 22:00 bed 1, 23:15 bed 0, 01:50 bed 1, 01:51 bed 0",
        ),
        (
            "a mat that lost them, and somebody seen up",
            check.to_owned(),
            "21:50 hall 1, 22:00 bed 1, 23:15 bed 0, 23:20 hall 1",
        ),
        (
            "gone by the door",
            check.to_owned(),
            "22:00 bed 1, 22:30 bed 0, 23:50 hall 1, 23:51 door 1, 23:52 door 0",
        ),
        ("in a chair", check.to_owned(), "22:00 chair 1"),
        (
            "with an open alarm",
            up + check,
            "21:00 bed 1, 23:30 bed 0, 23:31 hall 1, 23:58 hall 1, 02:30 bed 1",
        ),
    ] {
        all.push_str(&format!("{what}:\n{}", night(&rules, events, "03:30")));
    }
    insta::assert_snapshot!(all);
}

const CARE: &str = "[[resident.rule]]\nid = \"up\"\nrule = \"bed_absence\"\nwindow = \"22:00-07:00\"\n\
                    [[resident.check]]\nid = \"night\"\nat = [\"00:00\", \"03:00\"]\n";

#[test]
fn staff_and_hospital_end_by_themselves() {
    let resident = resident("UTC", &(sensors(&[("bed", "bed"), ("hall", "motion")]) + CARE));
    let mut home = Home1::new(&resident, at("2026-11-22T20:00:00Z"));
    home.hear(at("2026-11-22T21:00:00Z"), 0, Heard::State(true));
    // staff takes the resident up, and forgets to say that they have gone
    let (since, until) = (at("2026-11-22T23:30:00Z"), at("2026-11-23T00:30:00Z"));
    home.until(since);
    let said = home.watch.set_mode(since, Mode::Staff(Stay::new(since, until)));
    home.decisions.extend(said);
    home.hear(at("2026-11-22T23:40:00Z"), 0, Heard::State(false));
    home.hear(at("2026-11-22T23:41:00Z"), 1, Heard::State(true));
    home.hear(at("2026-11-23T00:31:00Z"), 1, Heard::State(true));
    home.hear(at("2026-11-23T00:50:00Z"), 0, Heard::State(true));
    // to hospital in the morning; home again two days later
    let (since, until) = (at("2026-11-23T08:00:00Z"), at("2026-11-27T08:00:00Z"));
    home.until(since);
    home.hear(since, 0, Heard::State(false));
    let said = home.watch.set_mode(since, Mode::Away(Stay::new(since, until)));
    home.decisions.extend(said);
    home.restart();
    home.hear(at("2026-11-25T21:00:00Z"), 0, Heard::State(true));
    home.hear(at("2026-11-25T21:20:00Z"), 0, Heard::State(false));
    home.hear(at("2026-11-25T21:21:00Z"), 0, Heard::State(true));
    home.until(at("2026-11-26T01:00:00Z"));
    insta::assert_snapshot!(home.told());
}

#[test]
fn what_nobody_can_know_is_a_fault() {
    let home_of = |check: &str| {
        let bed =
            "[[resident.sensor]]\nid = \"bed\"\nkind = \"bed\"\nsupervised = true\nloss = 0.05\n";
        resident("UTC", &(bed.to_owned() + &sensors(&[("hall", "motion")]) + check))
    };
    let resident = home_of(CARE);
    let mut all = String::new();
    // the bed falls silent, though somebody is seen
    let mut home = Home1::new(&resident, at("2026-11-22T18:00:00Z"));
    home.hear(at("2026-11-22T19:00:00Z"), 0, Heard::State(true));
    home.hear(at("2026-11-22T23:59:00Z"), 1, Heard::State(true));
    home.hear(at("2026-11-23T01:00:00Z"), 0, Heard::State(true));
    home.until(at("2026-11-23T03:30:00Z"));
    all.push_str(&format!("silent:\n{}", home.told()));
    // nobody can read it
    let mut home = Home1::new(&resident, at("2026-11-22T18:00:00Z"));
    home.hear(at("2026-11-22T23:00:00Z"), 0, Heard::State(true));
    home.hear(at("2026-11-22T23:30:00Z"), 0, Heard::Unreadable);
    home.until(at("2026-11-23T00:05:00Z"));
    home.hear(at("2026-11-23T00:05:00Z"), 0, Heard::State(true));
    all.push_str(&format!("unreadable:\n{}", home.told()));
    // the clock
    let mut home = Home1::new(&resident, at("2026-11-22T18:00:00Z"));
    let said = home.watch.trust_clock(at("2026-11-22T23:00:00Z"), false);
    home.decisions.extend(said);
    home.hear(at("2026-11-22T23:30:00Z"), 0, Heard::State(true));
    home.until(at("2026-11-23T00:30:00Z"));
    let said = home.watch.trust_clock(at("2026-11-23T00:40:00Z"), true);
    home.decisions.extend(said);
    all.push_str(&format!("clock:\n{}", home.told()));
    // the gateway was off, and then nothing is heard
    let mut home = Home1::new(&resident, at("2026-11-22T18:00:00Z"));
    home.hear(at("2026-11-22T23:30:00Z"), 0, Heard::State(true));
    home.restart();
    let deaf = Span { from: at("2026-11-22T23:31:00Z"), to: at("2026-11-23T00:50:00Z") };
    let said = home.watch.was_deaf(deaf);
    home.decisions.extend(said);
    home.until(at("2026-11-23T03:30:00Z"));
    all.push_str(&format!("off:\n{}", home.told()));
    // a battery is told by day
    let mut home = Home1::new(&home_of(""), at("2026-11-22T18:00:00Z"));
    home.hear(at("2026-11-23T02:00:00Z"), 0, Heard::Battery(15));
    for hour in 2..36 {
        home.hear(at("2026-11-23T00:00:00Z").after(hours(hour)), 0, Heard::Alive);
    }
    home.hear(at("2026-11-24T13:00:00Z"), 0, Heard::Battery(100));
    all.push_str(&format!("battery:\n{}", home.told()));
    insta::assert_snapshot!(all);
}

fn hours(hours: u64) -> std::time::Duration {
    std::time::Duration::from_secs(3600 * hours)
}

#[test]
fn what_a_bed_says_besides_makes_nothing_fine_that_nobody_can_read() {
    let check = "[[resident.check]]\nid = \"night\"\nat = [\"00:00\"]\n";
    let resident = resident("UTC", &(sensors(&[("bed", "bed")]) + check));
    let mut home = Home1::new(&resident, at("2026-11-22T12:00:00Z"));
    home.hear(time("23:00"), 0, Heard::State(true));
    for frame in ["23:50", "00:05", "00:10"] {
        // both in one frame
        home.hear(time(frame), 0, Heard::Battery(90));
        home.hear(time(frame), 0, Heard::Unreadable);
    }
    // nor does it say here whether somebody lies there
    home.hear(time("00:14"), 0, Heard::Alive);
    home.until(time("00:30"));
    let fault = "bed: cannot be read since 2026-11-22 23:50\n";
    let told =
        format!("22 23:50:00 fault supervision: {fault}23 00:15:00 check night fault: {fault}");
    assert_eq!(home.told(), told);
}

#[test]
fn a_bed_that_says_only_that_it_lives_is_no_evidence_for_long() {
    let bed = "[[resident.sensor]]\nid = \"bed\"\nkind = \"bed\"\nsupervised = true\n".to_owned()
        + "heartbeat = \"60min\"\nloss = 0.1\n";
    let check = "[[resident.check]]\nid = \"night\"\nat = [\"23:00\", \"05:00\"]\n";
    let resident = resident("UTC", &(bed + check));
    let mut home = Home1::new(&resident, at("2026-11-22T12:00:00Z"));
    home.hear(at("2026-11-22T22:30:00Z"), 0, Heard::State(true));
    // that somebody got up was lost on the air
    for hour in 0..8 {
        home.hear(at("2026-11-22T23:00:00Z").after(hours(hour)), 0, Heard::Alive);
    }
    let told = home.told();
    assert!(told.contains("22 23:00:00 check night confirmed"), "{told}");
    assert!(told.contains("23 05:15:00 check night fault: bed:"), "{told}");
}

#[test]
fn a_sensor_that_is_of_another_kind_now_has_said_nothing_yet() {
    let of_kind = |kind| {
        let check = "[[resident.check]]\nid = \"night\"\nat = [\"00:00\"]\n";
        resident("UTC", &(sensors(&[("s", kind)]) + check))
    };
    let mut home = Home1::new(&of_kind("motion"), at("2026-11-22T12:00:00Z"));
    home.hear(time("23:50"), 0, Heard::State(true));
    let memory = home.watch.memory();
    home.watch = Watch::restore(of_kind("chair"), memory, time("23:55"));
    home.until(time("00:30"));
    assert!(home.told().contains("check night fault"), "{}", home.told());
}
