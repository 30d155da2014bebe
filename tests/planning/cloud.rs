//! What the cloud says.

use crate::support::wait_until;
use crate::world::{BINS, EMPTY, FULL, LOW, PLAN, TRUCK, Town, left_out, stops};
use lykta::store::{Room, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The cloud's plan for the day of the plan that holds: only the second bin.
fn brought(day: &Value) -> Value {
    json!({ "name": "tours", "supersede": {
        "day": day, "routes": [{ "vehicle": "truck-1", "stops": ["2"] }],
    }})
}

#[test]
fn a_plan_from_the_cloud_takes_the_place_of_ours_and_is_left_alone() {
    let mut town = Town::new(2, &format!("{BINS}{PLAN}{TRUCK}"));
    town.report(1, EMPTY);
    town.report(2, LOW);
    let day = town.plan(&json!({ "name": "tours" }))["result"]["day"].clone();
    let reply = town.plan(&brought(&day));
    assert_eq!(reply["result"]["origin"], "cloud", "{reply}");
    wait_until("both plans are there", || town.plans().len() == 2);
    let plan = town.plans().remove(1);
    assert_eq!(stops(&plan), ["2"]);
    assert_eq!((&plan["origin"], plan.get("seed")), (&json!("cloud"), None));
    assert!(plan["routes"][0]["stops"][0]["reason"].as_str().unwrap().contains("asked for"));
    assert_eq!(plan["routes"][0]["unloadings"][0]["site"], "tip", "nobody comes home loaded");
    assert!(left_out(&plan, "1").is_some());

    // a bin that becomes full does not mend it; the next order comes after that was looked after
    town.report(1, FULL);
    town.restart();
    assert_eq!(town.plan(&json!({ "name": "nowhere" }))["error"]["code"], "unknown_plan");
    let (_, shown, _) = town.ask(&["plan", "show", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["origin"], "cloud");
    // but whoever asks for a new one gets it
    let reply = town.plan(&json!({ "name": "tours" }));
    assert_eq!(reply["result"]["origin"], "gateway", "{reply}");
}

#[test]
fn a_plan_that_cannot_be_driven_is_refused_and_the_old_one_holds() {
    let cart = TRUCK.replace("20000", "700");
    let mut town = Town::new(2, &format!("{BINS}{PLAN}{cart}"));
    town.report(1, FULL);
    town.report(2, FULL);
    let day = town.plan(&json!({ "name": "tours" }))["result"]["day"].clone();
    let with = |stops: &[&str], vehicle: &str, day: &Value| {
        json!({ "name": "tours", "supersede": {
            "day": day, "routes": [{ "vehicle": vehicle, "stops": stops }],
        }})
    };
    let refused = |reply: &Value, code: &str, part: &str| {
        assert_eq!(
            (&reply["ok"], &reply["error"]["code"]),
            (&json!(false), &json!(code)),
            "{reply}"
        );
        assert!(reply["error"]["message"].as_str().unwrap().contains(part), "{reply}");
    };
    // both at once are more than it holds; one after the other they would fit
    let reply = town.plan(&with(&["1", "2"], "truck-1", &day));
    refused(&reply, "infeasible", "overloaded at stop 2");
    town.lykta.wait_for_log("breaks a rule and is not published");
    let reply = town.plan(&with(&["1", "tip", "1"], "truck-1", &day));
    refused(&reply, "infeasible", "visited 2 times");
    refused(&town.plan(&with(&["17"], "truck-1", &day)), "invalid", "\"17\"");
    refused(&town.plan(&with(&["1"], "tank", &day)), "invalid", "no vehicle \"tank\"");
    let past = town.plan(&with(&["1"], "truck-1", &json!("2020-01-01")));
    refused(&past, "infeasible", "2020-01-01 are over");
    let reply = town.plan(&with(&["2", "tip", "1"], "truck-1", &day));
    assert_eq!(reply["ok"], true, "{reply}");
    wait_until("the good ones are there", || town.plans().len() == 2);
}

#[test]
fn a_command_is_answered_once_planned_once_and_told_what_is_wrong_with_it() {
    let mut town = Town::new(1, &format!("{BINS}{PLAN}{TRUCK}"));
    for (args, code) in [
        (json!({}), "invalid"),
        (json!({ "name": 7 }), "invalid"),
        (json!({ "name": "tours", "supersede": [] }), "invalid"),
        (json!({ "name": "tour" }), "unknown_plan"),
        (json!({ "name": "Not A Name" }), "unknown_plan"),
    ] {
        let reply = town.plan(&args);
        assert_eq!(reply["error"]["code"], code, "{args}: {reply}");
    }
    let args = json!({ "name": "tours" });
    town.send("once", &args);
    let first = town.reply("once", 1);
    town.send("once", &args);
    assert_eq!(town.reply("once", 2)["result"], first["result"]);
    town.restart();
    town.send("once", &args);
    assert_eq!(town.reply("once", 3)["result"], first["result"]);
    // behind it in the outbox
    town.plan(&args);
    // what was not acknowledged before the kill comes twice
    let made = || -> BTreeSet<String> {
        town.plans().iter().map(|plan| plan["madeAt"].to_string()).collect()
    };
    wait_until("the plans are there", || made().len() >= 2);
    assert_eq!(made().len(), 2, "one for each of two ids");
}

#[test]
fn an_order_that_was_not_carried_out_is_after_the_next_start() {
    for kill in [true, false] {
        let plan = PLAN.replace("iterations = 2000", "iterations = 4000000000");
        let mut town = Town::new(1, &format!("{BINS}{plan}{TRUCK}"));
        town.report(1, FULL);
        town.send("order-1", &json!({ "name": "tours" }));
        let ordered = |town: &Town| {
            let store =
                Store::open(&town.lykta.database("waste"), &lykta::clock::Clock::system()).unwrap();
            store.states(Room::Orders).unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        wait_until("it is on disk", || ordered(&town) == ["order-1"]);
        // the same again, while it is planned
        town.send("order-1", &json!({ "name": "tours" }));
        if kill {
            town.lykta.kill();
        } else {
            assert!(town.lykta.stop().success());
        }
        let file = town.lykta.path().join("lykta.toml");
        let settings = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, settings.replace("4000000000", "2000")).unwrap();
        town.lykta.restart();
        assert_eq!(town.reply("order-1", 1)["ok"], true);
        wait_until("its plan is there", || !town.plans().is_empty());
        assert_eq!(ordered(&town), Vec::<String>::new());
        assert_eq!(town.plan(&json!({ "name": "tours" }))["ok"], true);
        wait_until("its plan is there, too", || town.plans().len() >= 2);
        assert_eq!(town.plans().len(), 2, "the order was carried out once");
    }
}
