//! From sensors to tours.

use crate::support::wait_until;
use crate::world::{BINS, EMPTY, FULL, PLAN, TRUCK, Town, left_out, stops};
use serde_json::json;

#[test]
fn the_full_bin_is_in_and_the_empty_one_out_each_with_its_reason_also_after_a_restart() {
    let mut town = Town::new(3, &format!("{BINS}{PLAN}{TRUCK}"));
    town.report(1, FULL);
    town.report(2, EMPTY);
    town.report(3, FULL);
    let reply = town.plan(&json!({ "name": "tours" }));
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!((&reply["result"]["stops"], &reply["result"]["unserved"]), (&json!(1), &json!(1)));

    wait_until("the plan is there", || !town.plans().is_empty());
    let plan = town.plans().remove(0);
    assert_eq!(stops(&plan), ["1"]);
    let stop = &plan["routes"][0]["stops"][0];
    assert!(stop["reason"].as_str().unwrap().contains("must: 98 % full"), "{stop}");
    assert!(left_out(&plan, "2").unwrap().starts_with("0 % full"), "{plan}");
    assert!(left_out(&plan, "3").unwrap().contains("no position"), "{plan}");
    assert_eq!(plan["estimated"], true, "there are no roads");
    assert_eq!(plan["routes"][0]["unloadings"][0]["site"], "tip");
    assert_eq!((&plan["class"], &plan["origin"]), (&json!("plan"), &json!("gateway")));
    for leaf in ["/plan/tours/geojson", "/plan/tours/gpx"] {
        wait_until(leaf, || !town.cloud.on(leaf).is_empty());
    }
    let gpx = town.cloud.on("/plan/tours/gpx").remove(0).body;
    assert!(gpx["routes"][0]["gpx"].as_str().unwrap().contains("<rtept"), "{gpx}");

    town.restart();
    let (code, shown, _) = town.ask(&["plan", "show", "tours", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, stops(&shown)), (Some(0), vec!["1".to_owned()]));
    assert_eq!(shown["madeAt"], plan["madeAt"]);
    // retained: whoever comes later has it, too
    assert_eq!(town.retained()["id"], plan["id"]);
    // levels were kept as well
    assert_eq!(town.plan(&json!({ "name": "tours" }))["result"]["stops"], 1);
}

#[test]
fn a_bin_that_becomes_full_mends_the_plan() {
    let mut town = Town::new(2, &format!("{BINS}{PLAN}{TRUCK}"));
    town.report(1, FULL);
    town.report(2, EMPTY);
    town.plan(&json!({ "name": "tours" }));
    wait_until("the plan is there", || town.plans().len() == 1);
    town.report(2, FULL);
    wait_until("it is mended", || town.plans().len() == 2);
    let plan = town.plans().remove(1);
    let mut all = stops(&plan);
    all.sort();
    assert_eq!(all, ["1", "2"]);
    assert_eq!((&plan["cause"], &plan["difference"]["added"]), (&json!("full"), &json!(["2"])));
}

#[test]
fn a_truck_that_is_too_small_is_told_and_the_plan_does_what_it_can() {
    let cart = TRUCK.replace("20000", "700");
    let plan = PLAN.split("[[plan.tours.site]]").next().unwrap();
    let mut town = Town::new(2, &format!("{BINS}{plan}{cart}"));
    town.report(1, FULL);
    town.report(2, FULL);
    let reply = town.plan(&json!({ "name": "tours" }));
    assert_eq!((&reply["result"]["stops"], &reply["result"]["unserved"]), (&json!(1), &json!(1)));
    wait_until("the plan is there", || !town.plans().is_empty());
    let plan = town.plans().remove(0);
    let kinds: Vec<_> =
        plan["shortfalls"].as_array().unwrap().iter().map(|lack| lack["kind"].clone()).collect();
    assert_eq!(kinds, ["capacity", "missing"], "{}", plan["shortfalls"]);
    assert!(plan["shortfalls"][0]["textSv"].as_str().unwrap().contains("räcker inte"));
    let missing = plan["leftOut"].as_array().unwrap().iter().find(|left| left["must"] == true);
    assert!(missing.unwrap()["reason"].as_str().unwrap().contains("no vehicle has room"));
    town.lykta.wait_for_log("plan tours falls short on");
}

#[test]
fn without_a_sensor_that_speaks_a_bin_is_visited_for_that_very_reason() {
    let mut town = Town::new(2, &format!("{BINS}{PLAN}{TRUCK}"));
    town.report(2, EMPTY);
    town.plan(&json!({ "name": "tours" }));
    wait_until("the plan is there", || !town.plans().is_empty());
    let plan = town.plans().remove(0);
    assert_eq!(stops(&plan), ["1"]);
    let reason = plan["routes"][0]["stops"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("nothing is known"), "{reason}");
}
