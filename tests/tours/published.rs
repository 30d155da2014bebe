//! Published instances and the best known answers to them: what we read is what others read, and
//! what we count is what they count.

use crate::{document, text};
use lykta::route::check;
use lykta::route::file::{Format, answer};
use lykta::route::problem::{Haul, Load, Window};

/// The cost that the published answer to an instance says and that we count.
fn costs(name: &str) -> (String, String) {
    let document = document(&format!("{name}.vrp"));
    let (plan, told) = answer::read(&document.problem, &text(&format!("{name}.sol"))).unwrap();
    let reckoning = check(&document.problem, &plan).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert!(reckoning.missing.is_empty());
    (told.unwrap(), document.format.cost(reckoning.cost))
}

#[test]
fn the_best_known_answers_cost_what_they_say() {
    for name in ["X-n101-k25", "C201R0.25", "RC208R0.75"] {
        let (told, counted) = costs(name);
        assert_eq!(told, counted, "{name}");
    }
}

/// All that lie in a directory, for whoever has more of them than may be shipped.
#[test]
fn the_best_known_answers_in_a_directory() {
    let Ok(directory) = std::env::var("LYKTA_ROUTES") else { return };
    let mut pending = vec![std::path::PathBuf::from(directory)];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            if !path.extension().is_some_and(|e| e == "vrp" || e == "txt") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let document = lykta::route::file::read(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let p = &document.problem;
            println!(
                "{} {:?}: {} stops, {} vehicles, {} sites",
                path.display(),
                document.format,
                p.stops.len(),
                p.vehicles.len(),
                p.sites.len()
            );
            let Ok(sol) = std::fs::read_to_string(path.with_extension("sol")) else { continue };
            let (plan, told) = answer::read(&document.problem, &sol).unwrap();
            let reckoning =
                check(&document.problem, &plan).unwrap_or_else(|faults| panic!("{faults:#?}"));
            assert_eq!(told, Some(document.format.cost(reckoning.cost)), "{}", path.display());
        }
    }
}

#[test]
fn solomon_counts_in_tenths() {
    let document = document("r101.txt");
    let problem = &document.problem;
    assert_eq!(document.format, Format::Solomon);
    assert_eq!((problem.stops.len(), problem.vehicles.len()), (100, 50));
    assert_eq!(problem.name, "R101");
    let stop = &problem.stops[0];
    assert_eq!((&*stop.id, stop.place, stop.load.volume), ("1", 1, 10));
    assert_eq!(stop.window, Window { earliest: 1610, latest: 1710 });
    assert_eq!(stop.service, 100);
    // (35,35) to (41,49): 15.2315…
    assert_eq!(problem.matrix.distance(0, 1), 152);
    assert_eq!(problem.matrix.time(1, 0), 152);
    let vehicle = &problem.vehicles[49];
    assert_eq!(vehicle.capacity, Load { volume: 200, mass: 0 });
    assert_eq!(vehicle.shift, Window { earliest: 0, latest: 2300 });
    assert_eq!(document.format.cost(16377), "1637.7");
}

#[test]
fn cvrplib_counts_to_the_nearest() {
    let problem = document("X-n101-k25.vrp").problem;
    assert_eq!((problem.stops.len(), problem.vehicles.len()), (100, 45));
    assert_eq!(problem.name, "X-n101-k25");
    assert!(problem.sites.is_empty());
    // (365,689) to (146,180): 554.11…
    assert_eq!(problem.matrix.distance(0, 1), 554);
}

#[test]
fn multi_trip_instances_load_again_at_the_depot() {
    let problem = document("C201R0.25.vrp").problem;
    assert_eq!((problem.stops.len(), problem.vehicles.len(), problem.sites.len()), (100, 8, 1));
    assert_eq!(problem.haul, Haul::Deliver);
    let site = &problem.sites[0];
    assert_eq!((&*site.id, site.place, site.service), ("0", 0, 0));
    assert_eq!(site.window, Window { earliest: 0, latest: 33_900 });
    assert_eq!(document("RC208R0.75.vrp").problem.stops[0].release, 4620);
    assert_eq!(problem.stops[0].service, 900);
    assert!(problem.vehicles.iter().all(|vehicle| vehicle.most_unloadings == u32::MAX));
}

#[test]
fn waste_instances_have_landfills_and_lunch() {
    let document = document("hill.txt");
    let problem = &document.problem;
    assert_eq!(document.format, Format::Kim);
    assert_eq!((problem.stops.len(), problem.sites.len()), (7, 2));
    assert_eq!(problem.haul, Haul::Collect);
    let vehicle = &problem.vehicles[0];
    assert_eq!(vehicle.capacity, Load { volume: 10_000, mass: 0 });
    assert_eq!(vehicle.daily, Load { volume: 25_050, mass: 0 });
    assert_eq!(vehicle.most_stops, 6);
    assert_eq!(vehicle.shift, Window { earliest: 4 * 3600, latest: 15 * 3600 });
    let pause = vehicle.pause.unwrap();
    assert_eq!((pause.window.earliest, pause.window.latest), (39_600, 43_200));
    assert_eq!(pause.length, 3600);
    let landfill = &problem.sites[1];
    assert_eq!((&*landfill.id, landfill.service), ("2", 900));
    assert_eq!(landfill.window, Window { earliest: 5 * 3600, latest: 14 * 3600 + 50 * 60 });
    let loads: Vec<u32> = problem.stops.iter().map(|stop| stop.load.volume).collect();
    assert_eq!(loads, [4000, 4000, 1550, 6001, 2000, 3000, 4500], "a third decimal rounds up");
    // 1000,2000 to 9000.5,2000 is 8000.5 feet, 136.37 s at 40 miles an hour
    assert_eq!(problem.matrix.distance(0, 1), 8001);
    assert_eq!(problem.matrix.time(0, 1), 137);
}
