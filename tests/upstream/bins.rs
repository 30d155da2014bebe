//! What the cloud hears of bins, and what crews tell.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use crate::world::waste;
use serde_json::{Value, json};
use std::collections::HashSet;

const ROOT: &str = "lykta/gw-1/waste";

fn bodies(cloud: &Subscriber, topic: &str) -> Vec<Value> {
    let messages = cloud.received().into_iter().filter(|message| message.topic.ends_with(topic));
    messages.map(|message| message.body).collect()
}

#[test]
fn a_fire_is_out_and_known_after_kill_9_and_a_crew_is_answered() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let bin = "bin = \"1739\"\n[bin.1739]\ndepth_m = 1.5\n";
    let table = format!("{}{}{bin}", waste(&broker.url(), ""), sensor.table("waste"));
    let mut lykta = Lykta::configured(&table);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 100, 12)]);
    wait_until("the level has come", || !bodies(&cloud, "/bin/1739/level").is_empty());
    let level = bodies(&cloud, "/bin/1739/level").remove(0);
    assert_eq!((&level["bin"], &level["fill"]), (&json!("1739"), &json!(0.34)), "{level}");

    concentrator.forward(&[sensor.level(2, 100, 95)]);
    wait_until("the fire has come", || !bodies(&cloud, "/bin/1739/event").is_empty());
    let fire = bodies(&cloud, "/bin/1739/event").remove(0);
    assert_eq!((&fire["kind"], &fire["class"]), (&json!("fire"), &json!("alarm")), "{fire}");
    lykta.wait_for_log("bin 1739 of tenant waste burns");

    lykta.kill();
    lykta.restart();
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(3, 100, 96)]);
    let knows = |body: &Value| body["fire"] == true && body["fillQuality"] == "suspect";
    wait_until("it is known still", || bodies(&cloud, "/bin/1739/level").last().is_some_and(knows));

    let order = |id: &str, bin: &str| json!({ "id": id, "args": { "bin": bin } }).to_string();
    broker.publish(
        &format!("{ROOT}/command/emptied"),
        &[],
        &[order("a", "1739"), order("b", "nobody's")],
    );
    wait_until("both are answered", || bodies(&cloud, "/command/emptied/reply").len() == 2);
    let mut replies = bodies(&cloud, "/command/emptied/reply");
    replies.sort_by_key(|reply| reply["id"].to_string());
    assert_eq!((&replies[0]["ok"], &replies[0]["result"]["level"]), (&json!(true), &json!("open")));
    assert_eq!(replies[1]["error"]["code"], "unknown_bin");
    // the same may come twice after kill -9
    let fires = bodies(&cloud, "/bin/1739/event").into_iter().filter(|b| b["kind"] == "fire");
    let ids: HashSet<String> = fires.map(|body| body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "told once");
}
