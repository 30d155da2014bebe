//! `lykta plan show` and `lykta plan now`.

use crate::world::{BINS, EMPTY, FULL, PLAN, TRUCK, Town};
use serde_json::Value;

#[test]
fn whoever_sits_at_the_machine_sees_and_makes_plans() {
    let mut town = Town::new(2, &format!("{BINS}{PLAN}{TRUCK}"));
    town.report(1, FULL);
    town.report(2, EMPTY);
    let (code, _, said) = town.ask(&["plan", "show"]);
    assert_eq!(code, Some(69));
    assert!(said.contains("there is no plan tours yet"), "{said}");

    let (code, table, said) = town.ask(&["plan", "now"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(table.contains("truck-1: leaves"), "{table}");
    assert!(table.contains("must: 98 % full"), "{table}");
    assert!(table.contains("estimated by straight lines"), "{table}");

    let (_, again, _) = town.ask(&["plan", "show", "tours"]);
    assert_eq!(again, table);
    let (_, map, _) = town.ask(&["plan", "show", "--format", "geojson"]);
    let map: Value = serde_json::from_str(&map).unwrap();
    assert_eq!(map["type"], "FeatureCollection");
    let (code, gpx, _) =
        town.ask(&["plan", "show", "tours", "--format", "gpx", "--vehicle", "truck-1"]);
    assert_eq!(code, Some(0));
    assert!(gpx.starts_with("<?xml") && gpx.trim_end().ends_with("</gpx>"), "{gpx}");

    let (code, _, said) = town.ask(&["plan", "show", "--vehicle", "tank"]);
    assert_eq!(code, Some(65));
    assert!(said.contains("vehicles that leave: truck-1"), "{said}");
    let (code, _, said) = town.ask(&["plan", "show", "toors"]);
    assert_eq!(code, Some(69));
    assert!(said.contains("there are: tours"), "{said}");
    town.lykta.stop();
    let (code, _, said) = town.ask(&["plan", "now", "tours"]);
    assert_eq!(code, Some(69));
    assert!(said.contains("does not run"), "{said}");
}

#[test]
fn without_a_plan_in_the_settings_that_is_said() {
    let town = Town::new(1, BINS);
    let (code, _, said) = town.ask(&["plan", "show"]);
    assert_eq!(code, Some(69));
    assert!(said.contains("no [plan.NAME] in the settings"), "{said}");
}
