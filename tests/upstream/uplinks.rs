//! What becomes of frames that are not the plain case, and what a kill -9 may not undo.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use crate::world::{counters, told_once, wait_for_counters};
use serde_json::Value;

/// What is in the cloud about the uplink with this counter.
fn up(cloud: &Subscriber, f_cnt: u64) -> Value {
    let found = cloud.on("/event/up").into_iter().find(|m| m.body["fCnt"] == f_cnt);
    found.unwrap_or_else(|| panic!("no uplink {f_cnt}")).body
}

#[test]
fn a_payload_that_cannot_be_decoded_is_delivered_raw_with_the_error() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=3 {
        concentrator.forward(&[sensor.uplink(f_cnt, 2, b"not at all")]);
    }
    concentrator.forward(&[sensor.level(4, 100, 5)]);
    wait_for_counters(&cloud, 1..=4);
    let raw = up(&cloud, 1);
    assert_eq!(raw["codecError"], "10 bytes where 17 are expected");
    assert_eq!(raw.get("object"), None);
    assert_eq!(raw["data"], "bm90IGF0IGFsbA==");
    assert_eq!(up(&cloud, 4).get("codecError"), None);
    wait_until("the readings of the good one", || !cloud.on("/readings").is_empty());
    assert_eq!(cloud.on("/readings").len(), 1, "no readings of what could not be read");
    assert_eq!(cloud.on("/readings")[0].body["fCnt"], 4);
    told_once(&lykta, "cannot be decoded: 10 bytes where 17");
    told_once(&lykta, "can be decoded again");
}

#[test]
fn frames_without_a_payload_and_port_0_are_delivered_without_readings() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.without_payload(1)]);
    // MAC commands: LinkCheckReq
    concentrator.forward(&[sensor.uplink(2, 0, &[0x02])]);
    concentrator.forward(&[sensor.uplink(3, 2, &[])]);
    wait_for_counters(&cloud, 1..=3);
    for f_cnt in [1, 2] {
        let up = up(&cloud, f_cnt);
        assert_eq!((&up["fPort"], &up["data"]), (&0.into(), &"".into()));
        assert_eq!((up.get("codecError"), up.get("object")), (None, None));
    }
    assert_eq!(up(&cloud, 3)["codecError"], "0 bytes where 17 are expected");
    assert!(cloud.on("/readings").is_empty());
}

#[test]
fn a_counter_reset_is_refused_unless_the_profile_allows_it() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in [1000, 0, 1] {
        concentrator.forward(&[sensor.level(f_cnt, 100, 5)]);
    }
    // something that is accepted behind them: all three have been judged when it arrives
    concentrator.forward(&[sensor.level(1001, 100, 5)]);
    wait_for_counters(&cloud, [1000, 1001]);

    let profile = std::fs::read_to_string("config/profiles/sensoneo-single.toml").unwrap();
    let (head, readings) = profile.split_once("[[reading]]").unwrap();
    let profile = format!("{head}[counter]\nreset = true\n\n[[reading]]{readings}");
    std::fs::create_dir(lykta.path().join("profiles")).unwrap();
    std::fs::write(lykta.path().join("profiles/own.toml"), profile).unwrap();
    assert!(lykta.stop().success());
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in [0, 1, 0, 1002] {
        concentrator.forward(&[sensor.level(f_cnt, 100, 5)]);
    }
    wait_for_counters(&cloud, [1000, 1001, 0, 1, 1002]);
    assert_eq!(up(&cloud, 0)["replayable"], true);
    assert_eq!(up(&cloud, 1)["replayable"], true);
    assert_eq!(up(&cloud, 1002).get("replayable"), None, "never sent before");
    assert_eq!(up(&cloud, 1000).get("replayable"), None);
    let flagged = cloud.on("/readings").iter().filter(|m| m.body["replayable"] == true).count();
    assert_eq!(flagged, 2);
    told_once(&lykta, "counts its frames from zero again, as its profile allows");
}

#[test]
fn a_recording_is_refused_also_after_kill_9() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let frames: Vec<_> = (1..=5).map(|f_cnt| sensor.level(f_cnt, 100, 5)).collect();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&frames);
    wait_for_counters(&cloud, 1..=5);
    lykta.kill();
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&frames);
    concentrator.forward(&[sensor.level(6, 100, 5)]);
    wait_until("the new one has come", || counters(&cloud).contains(&6));
    // what the cloud has seen twice is a copy of one message, not a second uplink
    let ids: std::collections::HashSet<_> =
        cloud.on("/event/up").iter().map(|m| m.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 6);
    assert_eq!(lykta.accepted()[&sensor.dev_eui.0], 6);
}
