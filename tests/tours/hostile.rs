//! Files that are not what they should be: refused with their line and field, and never a panic.

use crate::text;
use lykta::route::file::{self, answer};
use lykta::route::problem::{Load, Need};
use proptest::prelude::*;

const FILES: [&str; 5] =
    ["X-n101-k25.vrp", "RC208R0.75.vrp", "r101.txt", "hill.txt", "street.json"];

/// What is said about a file with one change.
fn told(name: &str, from: &str, to: &str) -> String {
    let text = text(name).replace("\r\n", "\n");
    assert!(text.contains(from), "{from:?} is not in {name}");
    match file::read(&text.replacen(from, to, 1)) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_line_and_field() {
    let mut all = String::new();
    for (name, from, to) in [
        ("r101.txt", "CUSTOMER\nCUST NO.", "CUSTOMER\nNO."),
        ("r101.txt", "25         200", "25         many"),
        ("r101.txt", "41      49          10     161", "41      4x          10     161"),
        (
            "r101.txt",
            "41      49          10     161         171",
            "41      49          10     161         160",
        ),
        (
            "r101.txt",
            "41      49          10     161         171          10",
            "41      49          10     161         171",
        ),
        ("r101.txt", "    2          35", "    3          35"),
        ("r101.txt", "41      49          10     161", "41      49          -1     161"),
        ("r101.txt", "41      49          10     161", "41      1e300       10     161"),
        ("X-n101-k25.vrp", "DIMENSION", "DIMENSIONS"),
        ("X-n101-k25.vrp", "DIMENSION : \t101", "DIMENSION : \t102"),
        ("X-n101-k25.vrp", "DIMENSION : \t101", "DIMENSION : \t4000000000"),
        ("X-n101-k25.vrp", "EUC_2D", "GEO"),
        ("X-n101-k25.vrp", "CAPACITY", "DISTANCE"),
        ("X-n101-k25.vrp", "365\t689", "365\tinf"),
        ("X-n101-k25.vrp", "DEPOT_SECTION", "PRIZE_SECTION"),
        ("X-n101-k25.vrp", "\t1\t\n\t-1", "\t2\t\n\t-1"),
        ("X-n101-k25.vrp", "\t1\t\n\t-1", "\t1\t\n\t2\n\t-1"),
        ("RC208R0.75.vrp", "RELEASE_TIME_SECTION\n1\t0", "RELEASE_TIME_SECTION\n1\t0.5"),
        ("RC208R0.75.vrp", "1\t0\t960", "1\t970\t960"),
        ("RC208R0.75.vrp", "SERVICE_TIME: ", "SERVICE_TIME: 9999999999"),
        (
            "RC208R0.75.vrp",
            "VEHICLES_RELOAD_DEPOT_SECTION\n1\t1",
            "VEHICLES_RELOAD_DEPOT_SECTION\n1\t2",
        ),
        ("hill.txt", "3600\t", "soon\t"),
        ("hill.txt", "0400 1500 0  9999.00 0", "0400 1500 0  9999.00 1"),
        ("hill.txt", "9999.00 2\n3 ", "9999.00 0\n3 "),
        ("hill.txt", "9999.00 2\n3 ", "9999.00 2\n2 "),
        ("hill.txt", "1000 1400", "1400 1000"),
        ("hill.txt", "1000 1400", "1000 2500"),
        ("hill.txt", "60.005", "60,005"),
        ("hill.txt", "Stop_ID", "Id"),
        ("street.json", "\"stops\"", "\"stop\""),
        ("street.json", "\"09:00-13:30\"", "\"9 to 13\""),
        ("street.json", "\"20min\"", "\"20\""),
        ("street.json", "\"place\": \"a\"", "\"place\": \"z\""),
        ("street.json", "\"place\": \"a\"", "\"lat\": 59.9, \"lon\": 10.7"),
        ("street.json", "\"place\": \"a\",", ""),
        ("street.json", "\"id\": \"bin b\"", "\"id\": \"bin a\""),
        ("street.json", "\"crew\": 2", "\"crew\": 3"),
        ("street.json", "[25200, 34200]", "[34200, 25200]"),
        ("street.json", "5000, 5000, 1000, 2000", "5000, 5000, 1000"),
        ("street.json", "5000, 5000, 1000, 2000", "5000, 5000, 1000, 300000000"),
        ("street.json", "\"prize\": 700", "\"prize\": -700"),
        ("street.json", "\"prize\": 700", "\"prize\": 700000000"),
        ("street.json", "\"mostStops\": 4", "\"frozen\": [{ \"stop\": \"bin z\" }]"),
        ("street.json", "\"metres\"", "\"meters\""),
    ] {
        all.push_str(&format!("{name}: {from:?} -> {to:?}\n  {}\n", told(name, from, to)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_file_of_another_kind_is_none() {
    for text in ["", "\n\n", "id,lat,lon\n1,2,3\n", "[1, 2]", "\u{feff}", "VEHICLE\nNAME"] {
        assert_eq!(file::read(text).err(), Some(file::FileError::Unrecognised), "{text:?}");
    }
}

#[test]
fn the_example_is_a_day_of_two_trucks_and_a_crane() {
    let text = include_str!("../../config/tours/monday.json");
    let document = file::read(text).unwrap();
    let problem = &document.problem;
    let ids: Vec<&str> = problem.vehicles.iter().map(|vehicle| &*vehicle.id).collect();
    assert_eq!(ids, ["truck-1", "truck-2", "crane"]);
    let words = |bits: u32| -> Vec<&str> {
        let skills = document.skills.iter().enumerate();
        skills.filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, word)| &**word).collect()
    };
    assert_eq!(words(problem.vehicles[2].skills), ["crane", "crew of two"]);
    assert_eq!(words(problem.stops[3].skills), ["crane", "crew of two"]);
    assert_eq!(problem.vehicles[0].skills, 0);
    assert_eq!(problem.stops[1].need, Need::Optional(1200));
    assert_eq!(problem.stops[0].load, Load { volume: 800, mass: 90 });
    assert_eq!(problem.stops[1].load.mass, 0, "what is not told weighs nothing");
    assert_eq!(problem.vehicles[2].most_stops, u32::MAX);
    assert!(document.estimated);
}

#[test]
fn a_night_goes_on_after_midnight() {
    let text = r#"{
        "dayBegins": "12:00",
        "places": [{ "id": "base", "lat": 59.9, "lon": 10.7 }],
        "vehicles": [{ "id": "patrol", "start": "base", "shift": "22:00-06:30" }],
        "stops": [
            { "id": "r1", "lat": 59.91, "lon": 10.7, "window": "23:30-00:30" },
            { "id": "r2", "lat": 59.92, "lon": 10.7, "window": "03:00-03:20" }
        ]
    }"#;
    let document = file::read(text).unwrap();
    assert!(document.estimated);
    let problem = document.problem;
    let hours = |window: lykta::route::problem::Window| {
        (f64::from(window.earliest) / 3600.0, f64::from(window.latest) / 3600.0)
    };
    assert_eq!(hours(problem.vehicles[0].shift), (22.0, 30.5));
    assert_eq!(hours(problem.stops[0].window), (23.5, 24.5));
    assert_eq!(hours(problem.stops[1].window), (27.0, 27.0 + 1.0 / 3.0));
    // a hundredth of a degree of latitude is 1112 m
    assert_eq!(problem.matrix.distance(0, 1), 1557);
    assert_eq!(problem.matrix.time(0, 1), 187);
}

fn answers(text: &str) {
    match file::read(text) {
        Ok(document) => {
            for vehicle in &document.problem.vehicles {
                assert!(vehicle.start < document.problem.matrix.size());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn anything(text in ".{0,200}") {
        answers(&text);
    }

    #[test]
    fn nearly_a_file(
        text in r"(NAME|TYPE : MT|DIMENSION|CAPACITY|VEHICLES|EDGE_WEIGHT_TYPE|EDGE_WEIGHT_FORMAT|EXPLICIT|LOWER_ROW|EUC_2D|EDGE_WEIGHT_SECTION|NODE_COORD_SECTION|DEMAND_SECTION|DEPOT_SECTION|VEHICLE\nNUMBER CAPACITY|CUST NO.|Stop_ID|//|EOF|-1|0|1|2|9\.9|1e9| : |\n| ){0,60}"
    ) {
        answers(&text);
    }

    #[test]
    fn a_changed_file(
        which in 0usize..5,
        at in any::<prop::sample::Index>(),
        cut in 0usize..40,
        insert in r#"[ -~é\n\t]{0,8}"#,
    ) {
        let mut bytes = text(FILES[which]).into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + cut).min(bytes.len()), insert.into_bytes());
        answers(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_answer(text in r"(Route #1:|Cost|[0-9]{1,3}| |\n|é){0,60}", which in 0usize..5) {
        let document = crate::document(FILES[which]);
        if let Ok((plan, _)) = answer::read(&document.problem, &text) {
            let _ = lykta::route::check(&document.problem, &plan);
        }
    }

    /// Routes of any stops and sites are read as they were written.
    #[test]
    fn answers_go_round(
        routes in proptest::collection::vec(proptest::collection::vec(0usize..101, 0..30), 0..8),
    ) {
        use lykta::route::{Plan, Route, Visit};
        let document = crate::document("RC208R0.75.vrp");
        let visit = |n| if n == 100 { Visit::Site(0) } else { Visit::Stop(n) };
        let routes: Vec<Route> = routes
            .into_iter()
            .enumerate()
            .map(|(vehicle, visits)| Route { vehicle, visits: visits.into_iter().map(visit).collect() })
            .collect();
        let served = |stop| routes.iter().any(|route| route.visits.contains(&Visit::Stop(stop)));
        let unserved = (0..100).filter(|stop| !served(*stop)).collect();
        let plan = Plan { routes, unserved };
        let written = answer::write(&document, &plan, 16_201);
        let (read, cost) = answer::read(&document.problem, &written).unwrap();
        prop_assert_eq!(read, plan);
        prop_assert_eq!(cost.as_deref(), Some("16201"));
    }
}
