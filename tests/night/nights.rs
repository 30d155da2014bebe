//! Nights with a known truth: who is up when, which sensor falls silent when, and frames that are
//! lost by chance.

use crate::world::{Home1, at, resident};
use lykta::care::{At, Heard, Kind, Outcome};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

const HOME: &str = "
[[resident.sensor]]
id = \"bed\"
kind = \"bed\"
hold = \"5s\"
supervised = true
heartbeat = \"60min\"
[[resident.sensor]]
id = \"hall\"
kind = \"motion\"
hold = \"30s\"
supervised = true
heartbeat = \"60min\"
[[resident.rule]]
id = \"up\"
rule = \"bed_absence\"
window = \"22:00-07:00\"
after = \"15min\"
[[resident.check]]
id = \"night\"
at = [\"00:00\", \"03:00\"]
";

/// What happens in a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Sleeps,
    /// Gets up at this time for so long.
    Up(i64, i64),
    /// The bed sensor says nothing from this time on for half a day.
    Silent(i64),
}

/// Chance by a seed.
struct Chance(fastrand::Rng);

impl Chance {
    fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.i64(from..to)
    }
}

/// Frames of nights with a truth: bed and hall, with heartbeats, some lost.
fn frames(truths: &[Truth], begin: i64, loss: f64, seed: u64) -> Vec<(i64, usize, bool)> {
    let mut chance = Chance(fastrand::Rng::with_seed(seed));
    let mut changes: Vec<(i64, usize, bool)> = Vec::new();
    let mut silences = Vec::new();
    for (night, truth) in truths.iter().enumerate() {
        let noon = begin + night as i64 * DAY;
        let to_bed = noon + 9 * HOUR + chance.between(0, HOUR);
        let up = noon + 19 * HOUR + chance.between(0, HOUR);
        let walk = |changes: &mut Vec<_>, at: i64| {
            changes.push((at, 1, true));
            changes.push((at + 30, 1, false));
        };
        for _ in 0..20 {
            let at = noon + chance.between(20 * HOUR, 32 * HOUR);
            walk(&mut changes, at);
        }
        walk(&mut changes, to_bed - 60);
        changes.push((to_bed, 0, true));
        match *truth {
            Truth::Sleeps => {}
            Truth::Up(at, length) => {
                changes.push((noon + at, 0, false));
                walk(&mut changes, noon + at + 40);
                changes.push((noon + at + length, 0, true));
            }
            Truth::Silent(at) => silences.push((noon + at, noon + at + 12 * HOUR)),
        }
        changes.push((up, 0, false));
        walk(&mut changes, up + 30);
    }
    changes.sort();
    let end = begin + truths.len() as i64 * DAY;
    let mut frames = changes.clone();
    for sensor in 0..2 {
        let mut beat = begin + chance.between(0, HOUR);
        while beat < end {
            let before = changes.iter().rev().find(|(at, of, _)| *of == sensor && *at <= beat);
            frames.push((beat, sensor, before.is_some_and(|(_, _, on)| *on)));
            beat += HOUR + chance.between(-5, 6);
        }
    }
    frames.sort();
    let silent = |at: i64| silences.iter().any(|(from, to)| (*from..*to).contains(&at));
    frames.retain(|(at, sensor, _)| !(*sensor == 0 && silent(*at)));
    frames.retain(|(at, ..)| *at < end && chance.0.f64() >= loss);
    frames
}

fn run(frames: &[(i64, usize, bool)], begin: i64, nights: usize) -> Home1 {
    let resident = resident("UTC", HOME);
    let mut home = Home1::new(&resident, At(begin));
    for (time, sensor, on) in frames {
        home.hear(At(*time), *sensor, Heard::State(*on));
    }
    home.until(At(begin + nights as i64 * DAY));
    home
}

fn tail(home: &Home1) -> String {
    let told = home.told();
    let lines: Vec<&str> = told.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn begin() -> i64 {
    at("2026-11-01T12:00:00Z").0
}

#[test]
fn all_absences_and_silences_are_found_and_nothing_else() {
    let mut truths = vec![Truth::Sleeps; 5];
    for night in 0..25 {
        truths.push(match night % 5 {
            0 => Truth::Up(11 * HOUR + night * 700, 40 * 60),
            2 => Truth::Silent(9 * HOUR + night * 300),
            3 => Truth::Up(13 * HOUR + night * 300, 10 * 60),
            _ => Truth::Sleeps,
        });
    }
    for seed in 1..4 {
        let frames = frames(&truths, begin(), 0.0, seed);
        let home = run(&frames, begin(), truths.len());
        for (night, truth) in truths.iter().enumerate() {
            let noon = begin() + night as i64 * DAY;
            let of_night: Vec<_> = home
                .decisions
                .iter()
                .filter(|decision| (noon..noon + DAY).contains(&decision.at.0))
                .collect();
            let alarms: Vec<i64> = of_night
                .iter()
                .filter(|decision| decision.kind == Kind::Alarm)
                .map(|decision| decision.at.0 - noon)
                .collect();
            let faults = of_night.iter().filter(|decision| decision.kind == Kind::Fault).count();
            let mut checks = of_night.iter().filter_map(|decision| decision.outcome);
            match truth {
                Truth::Sleeps => {
                    assert_eq!((alarms.len(), faults), (0, 0), "{night}: {}", tail(&home));
                    assert!(checks.all(|outcome| outcome == Outcome::Confirmed));
                }
                Truth::Up(at, length) if *length > 15 * 60 => {
                    assert_eq!(alarms.len(), 1, "{night}: {}", tail(&home));
                    assert!((at + 880..at + 1200).contains(&alarms[0]), "{alarms:?} of {at}");
                }
                Truth::Up(..) => assert_eq!(alarms, [0; 0], "{night}: {}", tail(&home)),
                Truth::Silent(at) => {
                    assert_eq!(faults, 1, "{night}: {}", tail(&home));
                    // what was heard is believed for two heartbeats; then it is no longer fine
                    let late = of_night.iter().filter(|decision| {
                        decision.outcome.is_some() && decision.at.0 > noon + at + 3 * HOUR
                    });
                    for check in late {
                        assert_eq!(check.outcome, Some(Outcome::Fault), "{}", tail(&home));
                    }
                }
            }
        }
    }
}

#[test]
fn a_bad_link_is_no_fault() {
    // 45 % of all frames are lost; less than one false fault in thirty nights
    let truths = vec![Truth::Sleeps; 60];
    let mut faults = 0;
    for seed in 1..6 {
        let frames = frames(&truths, begin(), 0.45, seed);
        let home = run(&frames, begin(), truths.len());
        faults += home.decisions.iter().filter(|d| d.kind == Kind::Fault).count();
    }
    assert!(faults < 10, "{faults} faults in 300 nights");
}

#[test]
fn silence_is_found_on_a_bad_link_too() {
    for seed in 1..6 {
        let mut truths = vec![Truth::Sleeps; 10];
        truths.push(Truth::Silent(8 * HOUR));
        let frames = frames(&truths, begin(), 0.3, seed);
        let home = run(&frames, begin(), truths.len());
        let noon = begin() + 10 * DAY;
        let faults = home.decisions.iter().filter(|d| d.kind == Kind::Fault && d.at.0 > noon);
        assert_eq!(faults.count(), 1, "{}", tail(&home));
        let fine = home.decisions.iter().filter(|decision| {
            decision.at.0 > noon + 14 * HOUR && decision.outcome == Some(Outcome::Confirmed)
        });
        assert_eq!(fine.count(), 0, "{}", tail(&home));
    }
}
