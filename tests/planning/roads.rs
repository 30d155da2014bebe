//! Tours on roads.

use crate::support::wait_until;
use crate::town::{self, position};
use crate::world::{FULL, TRUCK, Town, left_out, stops};
use serde_json::{Value, json};
use std::path::Path;

/// A plan in a town of one square of streets; the third bin lies in the sea.
fn settings(extract: &Path) -> String {
    let at = |place: (f64, f64)| {
        let place = position(place);
        format!("lat = {}\nlon = {}\n", place.lat(), place.lon())
    };
    format!(
        "[bin.1]\n{}[bin.2]\n{}[bin.3]\n{}[plan.tours]\ntenant = \"waste\"\ntimezone = \"Europe/Oslo\"\n\
         days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
         iterations = 2000\nroads = {extract:?}\n[[plan.tours.depot]]\nid = \"yard\"\n{}{TRUCK}",
        at((300.0, 205.0)),
        at((0.0, 95.0)),
        at((9_000.0, 0.0)),
        at((0.0, 0.0)),
    )
}

fn drawn() -> town::Town {
    town::Town::drawn(&["ab.c", "d...", "e..f"]).way("abcfeda", &[])
}

#[test]
fn tours_follow_the_roads_and_a_bin_in_the_sea_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let extract = directory.path().join("town.osm.pbf");
    std::fs::write(&extract, drawn().file()).unwrap();
    let mut town = Town::new(3, &settings(&extract));
    (1..=3).for_each(|bin| town.report(bin, FULL));
    let reply = town.plan(&json!({ "name": "tours" }));
    assert_eq!(reply["result"]["estimated"], false, "{reply}");
    wait_until("the plan is there", || !town.plans().is_empty());
    let plan = town.plans().remove(0);
    assert_eq!(stops(&plan).len(), 2);
    let why = left_out(&plan, "3").unwrap();
    assert!(why.contains("no road within 250 m"), "{why}");
    assert_eq!(plan["shortfalls"][0]["kind"], "excluded", "it is full");
    assert_eq!(plan["attribution"], "© OpenStreetMap contributors");
    let line = plan["routes"][0]["geometry"]["coordinates"].as_array().unwrap();
    assert!(line.len() >= 5, "around the corners: {line:?}");
    assert_eq!(line.first(), line.last(), "home again");
    // once around the square
    let metres = plan["routes"][0]["metres"].as_u64().unwrap();
    assert!(town::about(metres as u32, 1000), "{metres} m");

    let state = town.lykta.path().join("state");
    let kept = std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(kept.filter(|name| name.to_string_lossy().ends_with(".matrix")).count(), 1);
    let (code, picture, _) = town.ask(&["plan", "show", "--format", "svg"]);
    assert_eq!(code, Some(0));
    assert!(picture.starts_with("<svg") || picture.starts_with("<?xml"), "{picture}");

    // what is gone is told, and the trucks leave all the same
    std::fs::remove_file(&extract).unwrap();
    let reply = town.plan(&json!({ "name": "tours" }));
    assert_eq!(reply["result"]["estimated"], true, "{reply}");
    town.lykta.wait_for_log("is estimated by straight lines");
    let (_, shown, _) = town.ask(&["plan", "show", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.get("attribution"), None);
}
