//! Topics, bodies and properties of each message, as a consumer sees them.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use crate::world::Watcher;
use insta::assert_json_snapshot;

const ROOT: &str = "lykta/gw-1/waste";

#[test]
fn every_message_over_mqtt_5() {
    let broker = Broker::start();
    let cloud = Watcher::start(&broker);
    let sensor = Sensor::new(7);
    let mut lykta = Lykta::start(&broker, "protocol = 5", std::slice::from_ref(&sensor));
    let state = cloud.wait_for("/state");
    assert_eq!(state.topic, format!("{ROOT}/state"));
    assert_eq!(state.content_type, "application/json");
    let id = state.body["id"].as_str().unwrap();
    assert_eq!(state.properties, format!("id:{id} class:diagnostic schema:1"));
    assert_json_snapshot!("state", state.body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
    });
    let health = cloud.wait_for("/health");
    assert_eq!(health.topic, format!("{ROOT}/health"));
    assert!(!health.retained);
    assert_json_snapshot!("health", health.body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
        ".version" => "[version]", ".uptimeS" => "[seconds]", ".machine" => "[machine]",
    });

    Concentrator::new(0xa1, lykta.udp).forward(&[sensor.level(40, 100, -3)]);
    let mut up = cloud.wait_for("/event/up");
    take_receivers_time(&mut up.body);
    assert_eq!(up.topic, format!("{ROOT}/device/70b3d50700000007/event/up"));
    assert_eq!(up.content_type, "application/json");
    let id = up.body["id"].as_str().unwrap();
    assert_eq!(up.properties, format!("id:{id} class:measurement schema:1"));
    assert_json_snapshot!("event_up", up.body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
        ".deduplicationId" => "[uuid]",
        ".rxInfo[].uplinkId" => "[number]",
    });
    let readings = cloud.wait_for("/readings");
    assert_eq!(readings.topic, format!("{ROOT}/device/70b3d50700000007/readings"));
    let id = readings.body["id"].as_str().unwrap();
    assert_eq!(readings.properties, format!("id:{id} class:measurement schema:1"));
    assert_json_snapshot!("readings", readings.body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
    });
    assert_eq!(up.body["time"], readings.body["time"], "both are of the same moment");
    assert!(lykta.stop().success());
}

#[test]
fn mqtt_3_1_1_says_the_same_without_properties() {
    let broker = Broker::start();
    let cloud = Watcher::start(&broker);
    let sensor = Sensor::new(7);
    let lykta = Lykta::start(&broker, "protocol = 4", std::slice::from_ref(&sensor));
    let state = cloud.wait_for("/state");
    assert_eq!((state.topic.as_str(), state.properties.as_str()), ("lykta/gw-1/waste/state", ""));
    assert_eq!(state.content_type, "");
    assert_eq!(state.body["state"], "online");
    assert_eq!(cloud.wait_for("/health").topic, format!("{ROOT}/health"));
    Concentrator::new(0xa1, lykta.udp).forward(&[sensor.level(40, 100, -3)]);
    // the very snapshots of MQTT 5
    let mut up = cloud.wait_for("/event/up");
    take_receivers_time(&mut up.body);
    assert_eq!(up.topic, format!("{ROOT}/device/70b3d50700000007/event/up"));
    assert_json_snapshot!("event_up", up.body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
        ".deduplicationId" => "[uuid]",
        ".rxInfo[].uplinkId" => "[number]",
    });
    assert_json_snapshot!("readings", cloud.wait_for("/readings").body, {
        ".id" => "[id]", ".time" => "[time]", ".sentAt" => "[time]", ".clock" => "[quality]",
    });
}

/// It is there when somebody has set this machine's clock, and not else.
fn take_receivers_time(up: &mut serde_json::Value) {
    let time = up["rxInfo"][0].as_object_mut().unwrap().remove("nsTime");
    assert_eq!(time.is_some(), up["clock"] == "synced", "{up}");
}

#[test]
fn the_retained_state_says_online_and_offline_over_mqtt_5() {
    retained_state(5);
}

#[test]
fn the_retained_state_says_online_and_offline_over_mqtt_3_1_1() {
    retained_state(4);
}

fn retained_state(protocol: u8) {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let states = || -> Vec<String> {
        let states = cloud.on("/waste/state");
        states.iter().map(|m| m.body["state"].as_str().unwrap().to_owned()).collect()
    };
    let mut lykta = Lykta::start(&broker, &format!("protocol = {protocol}"), &[Sensor::new(1)]);
    wait_until("it says online", || states() == ["online"]);
    assert_eq!(retained(&broker), "online");

    assert!(lykta.stop().success());
    wait_until("it says goodbye", || states() == ["online", "offline"]);
    assert_eq!(retained(&broker), "offline");

    lykta.restart();
    wait_until("it says online again", || states().len() == 3);
    assert_eq!(retained(&broker), "online");

    lykta.kill();
    wait_until("the last will", || states() == ["online", "offline", "online", "offline"]);
    assert_eq!(retained(&broker), "offline");
}

/// What somebody who comes later is told.
fn retained(broker: &Broker) -> String {
    let late = Watcher::start(broker);
    let state = late.wait_for("/waste/state");
    assert!(state.retained);
    state.body["state"].as_str().unwrap().to_owned()
}
