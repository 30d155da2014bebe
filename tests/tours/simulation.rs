//! Weeks by chance: the same for everybody, and the same again.

use lykta::route::collection::Rules;
use lykta::route::problem::{Load, Rates, Site, Vehicle, Window};
use lykta::route::road::{Area, Estimated, Means, Position, straight};
use lykta::route::simulation::{Policy, Score, Tours, Town, Weeks, replay};
use lykta::route::{Plan, check};
use std::process::Command;

const DAYS: usize = 12;
const WARM_UP: usize = 5;

fn town(seed: u64) -> Town {
    let place = |lat, lon| Position::from_degrees(lat, lon).unwrap();
    Town::new(30, Area { least: place(59.17, 17.58), greatest: place(59.21, 17.66) }, seed)
}

pub(super) fn tours(town: &Town) -> Tours {
    let Estimated(matrix) = straight(&town.places, Means::Truck);
    let vehicle = Vehicle {
        id: "truck".to_owned(),
        start: Town::DEPOT,
        end: Town::DEPOT,
        shift: Window { earliest: 6 * 3600, latest: 16 * 3600 },
        capacity: Load { volume: 100_000, mass: 10_000 },
        aboard: Load::default(),
        daily: Load::UNBOUNDED,
        most_stops: 1_000,
        most_unloadings: 1_000,
        pause: None,
        skills: 0,
        rates: Rates { fixed: 0, distance: 12, time: 100 },
        frozen: Vec::new(),
        not_before: 0,
    };
    let site =
        Site { id: "site".to_owned(), place: Town::SITE, window: Window::ALWAYS, service: 900 };
    Tours {
        matrix,
        vehicles: vec![vehicle],
        sites: vec![site],
        week: [true, true, true, true, true, false, false],
        rules: Rules::default(),
        iterations: 100,
    }
}

fn score(policy: Policy, seed: u64) -> Score {
    let town = town(seed);
    let weeks = Weeks::new(&town, DAYS, seed);
    let mut see = |_, collection: &lykta::route::collection::Collection, plan: &Plan, _: &_| {
        let again = check(&collection.problem, plan).unwrap();
        assert_eq!(collection.missing(plan).is_some(), !again.missing.is_empty());
        assert_eq!(collection.verdicts(plan).len(), collection.assessments.len());
    };
    replay(&town, &weeks, &tours(&town), policy, WARM_UP, &mut see).unwrap()
}

#[test]
fn chance_begins_where_it_is_told() {
    let (one, other) = (town(1), town(2));
    assert_eq!(one.places, town(1).places);
    assert_ne!(one.places, other.places);
    let all = |weeks: &Weeks| -> Vec<f64> {
        let bins = 0..one.containers.len();
        bins.flat_map(|bin| (0..DAYS * 24).map(move |hour| weeks.comes(bin, hour))).collect()
    };
    assert_eq!(all(&Weeks::new(&one, DAYS, 3)), all(&Weeks::new(&one, DAYS, 3)));
    assert_ne!(all(&Weeks::new(&one, DAYS, 3)), all(&Weeks::new(&one, DAYS, 4)));
}

#[test]
fn bins_fill_as_fast_as_they_are_made_to() {
    let town = town(1);
    let days = 70;
    let weeks = Weeks::new(&town, days, 1);
    let mut came = 0.0;
    for bin in 0..town.containers.len() {
        came += (0..days * 24).map(|hour| weeks.comes(bin, hour)).sum::<f64>();
    }
    let rates: f64 = town.containers.iter().map(|container| container.rate).sum();
    // a burst on one day in a hundred comes on top
    let expected = rates + town.containers.len() as f64 * 0.003_25;
    assert!(
        (came / days as f64 / expected - 1.0).abs() < 0.05,
        "{} {expected}",
        came / days as f64
    );
}

#[test]
fn the_same_weeks_come_to_the_same() {
    let policy = Policy::Joint { factor: 1.0 };
    let once = score(policy, 1);
    assert_eq!(once, score(policy, 1));
    assert_ne!(once, score(policy, 2));
    assert!(once.metres > 0 && once.stops > 0, "{once:?}");
}

#[test]
fn more_emptying_is_more_driving_and_less_overflow() {
    let rare = score(Policy::All { every: 7 }, 1);
    let often = score(Policy::All { every: 1 }, 1);
    assert!(often.metres > rare.metres && often.stops == 5 * 30 && often.missed == 0);
    assert!(often.overflow_hours <= rare.overflow_hours && often.fill() < rare.fill());
    let late = score(Policy::Threshold { level: 0.9 }, 1);
    let early = score(Policy::Threshold { level: 0.4 }, 1);
    assert!(early.stops > late.stops && early.overflow_hours < late.overflow_hours);
    let careless = score(Policy::Joint { factor: 0.01 }, 1);
    let careful = score(Policy::Joint { factor: 30.0 }, 1);
    assert!(careful.stops > careless.stops && careful.overflow_hours <= careless.overflow_hours);
}

#[test]
fn the_table_and_its_pictures() {
    let directory = tempfile::tempdir().unwrap();
    let simulate = |more: &[&str]| {
        let few = ["--bins", "12", "--days", "5", "--warm-up", "5", "--iterations", "20"];
        let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
            .args(["plan", "simulate", "--policies", "all,threshold,risk,joint", "--service", "99"])
            .args(few)
            .args(more)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let pictures = directory.path().join("pictures");
    let (code, table, err) = simulate(&["--svg", pictures.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    // the numbers change with each better search
    let words = |line: &str| {
        let words = line.split_whitespace();
        let masked = words.map(|word| if word.contains(char::is_numeric) { "#" } else { word });
        masked.collect::<Vec<_>>().join(" ")
    };
    let rows: Vec<String> = table.lines().take(4).map(words).collect();
    insta::assert_snapshot!(rows.join("\n"));
    for (row, name) in table.lines().skip(3).zip(["all", "threshold", "risk", "joint"]) {
        assert!(row.starts_with(name), "{row}");
    }
    for name in ["all", "threshold", "joint"] {
        let picture = std::fs::read_to_string(pictures.join(name).with_extension("svg")).unwrap();
        assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
        // straight lines are nobody's map
        assert!(!picture.contains("OpenStreetMap"));
    }
    let (code, json, _) = simulate(&["--json"]);
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<_> =
        report["policies"].as_array().unwrap().iter().map(|p| &p["policy"]).collect();
    assert_eq!(names, ["all", "threshold", "risk", "joint"]);
    assert_eq!(report["estimated"], true);
    assert_eq!(simulate(&["--service", "100"]).0, Some(64));
    assert_eq!(simulate(&["--policies", "some"]).0, Some(64));
    assert_eq!(simulate(&["--roads", "/nowhere/x.osm.pbf"]).0, Some(74));
}
