//! Several concentrators, and what real packet forwarders write.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, packet, wait_until};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use lykta::radio::gwmp;
use serde_json::{Value, json};
use std::time::Duration;

/// A gateway with one sensor, its broker and the cloud; `concentrator` are further lines of
/// `[concentrator]`.
fn gateway(concentrator: &str) -> (Broker, Subscriber, Lykta, Sensor) {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let mut lykta = Lykta::configured(&format!(
        "{concentrator}\n[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"{}\"]\n{}",
        broker.url(),
        sensor.table("waste")
    ));
    lykta.restart();
    (broker, cloud, lykta, sensor)
}

/// The uplinks by frame counter, in the order in which they came.
fn counters(cloud: &Subscriber) -> Vec<u64> {
    cloud.on("/event/up").iter().map(|up| up.body["fCnt"].as_u64().unwrap()).collect()
}

fn wait_for(cloud: &Subscriber, f_cnts: &[u64]) {
    wait_until(&format!("the uplinks {f_cnts:?} have arrived"), || counters(cloud) == f_cnts);
}

/// A datagram as a forwarder writes it by hand.
fn push_data(version: u8, eui: u64, token: u16, json: &Value) -> Vec<u8> {
    let [high, low] = token.to_be_bytes();
    let mut datagram = vec![version, high, low, 0];
    datagram.extend(eui.to_be_bytes());
    datagram.extend(json.to_string().as_bytes());
    datagram
}

fn rxpk(data: &str) -> Value {
    json!({"tmst": 1, "chan": 0, "rfch": 1, "freq": 868.1, "stat": 1, "modu": "LORA",
           "datr": "SF9BW125", "codr": "4/5", "rssi": -97, "lsnr": 5.5, "size": 23, "data": data})
}

#[test]
fn one_frame_heard_by_two_is_one_uplink_best_first() {
    let (_broker, cloud, mut lykta, sensor) = gateway("dedup_window = \"3s\"");
    let mut near = Concentrator::new(0xa1, lykta.udp);
    let mut far = Concentrator::new(0xa2, lykta.udp);
    // both are known from here on
    near.forward(&[sensor.level(1, 80, 20)]);
    far.forward(&[sensor.level(2, 80, 20)]);

    let phy = sensor.level(3, 80, 20);
    let weak = gwmp::push_data(far.eui, 700, &[packet(phy.clone(), -119.0, -11.25)]);
    let strong = gwmp::push_data(near.eui, 701, &[packet(phy, -80.0, 9.5)]);
    assert!(far.exchange(&weak) && near.exchange(&strong));
    wait_for(&cloud, &[1, 2, 3]);
    let uplinks = cloud.on("/event/up");
    let heard_by: Vec<_> = uplinks[2].body["rxInfo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rx| (rx["gatewayId"].as_str().unwrap(), rx["rssi"].clone(), rx["snr"].clone()))
        .collect();
    let best_first = [
        ("00000000000000a1", json!(-80), json!(9.5)),
        ("00000000000000a2", json!(-119), json!(-11.25)),
    ];
    assert_eq!(heard_by, best_first);
    assert!(lykta.stop().success());
    assert_eq!(counters(&cloud), [1, 2, 3], "nothing twice");
}

#[test]
fn a_concentrator_that_is_not_allowed_is_not_heard_and_not_answered() {
    let (_broker, cloud, mut lykta, sensor) = gateway("allow = [\"00000000000000a1\"]");
    let mut ours = Concentrator::new(0xa1, lykta.udp);
    let mut stranger = Concentrator::new(0xa2, lykta.udp);
    stranger.set_patience(Duration::from_millis(300));
    assert!(!stranger.try_forward(&[sensor.level(1, 80, 20)]));
    assert!(!stranger.exchange(&gwmp::pull_data(stranger.eui, 7)));
    lykta.wait_for_log("WARN  concentrator 00000000000000a2 is refused");
    ours.forward(&[sensor.level(2, 80, 20)]);
    wait_for(&cloud, &[2]);
    assert!(lykta.stop().success());
    let told = lykta.log().iter().filter(|line| line.contains("is refused")).count();
    assert_eq!(told, 1, "told once, then counted");
}

#[test]
fn any_number_of_made_up_concentrators_locks_nobody_out() {
    let (_broker, cloud, mut lykta, sensor) = gateway("");
    let stranger = Concentrator::new(0, lykta.udp);
    for eui in 1..=500 {
        let pull = gwmp::pull_data(lykta::units::GatewayEui(eui), eui as u16);
        assert!(stranger.exchange(&pull));
    }
    Concentrator::new(0xa1_0000, lykta.udp).forward(&[sensor.level(1, 80, 20)]);
    wait_for(&cloud, &[1]);
    assert!(lykta.stop().success());
    let lines = lykta.log();
    assert!(lines.len() < 100, "{} lines about names that somebody made up", lines.len());
}

#[test]
fn both_protocol_versions_and_both_ways_to_write_base64() {
    let (_broker, cloud, lykta, sensor) = gateway("");
    let concentrator = Concentrator::new(0xa1, lykta.udp);
    let mut f_cnt = 0;
    for version in [1, 2] {
        // lengths of which base64 needs two, one and no characters of padding
        for payload in 1..=3_usize {
            for padded in [true, false] {
                f_cnt += 1;
                let phy = sensor.uplink(f_cnt, 2, &vec![0x5a; payload]);
                let data =
                    if padded { STANDARD.encode(&phy) } else { STANDARD_NO_PAD.encode(&phy) };
                assert_eq!(data.ends_with('='), padded && phy.len() % 3 != 0);
                let datagram =
                    push_data(version, 0xa1, f_cnt as u16, &json!({"rxpk": [rxpk(&data)]}));
                let answer = concentrator.answer(&datagram).expect("an acknowledgement");
                assert_eq!(answer, [version, 0, f_cnt as u8, 1]);
            }
        }
    }
    wait_for(&cloud, &(1..=u64::from(f_cnt)).collect::<Vec<_>>());
}

#[test]
fn fsk_bad_crc_and_odd_packets_cost_no_other() {
    let (broker, cloud, lykta, sensor) = gateway("");
    let concentrator = Concentrator::new(0xa1, lykta.udp);
    let good = |f_cnt| rxpk(&STANDARD.encode(sensor.level(f_cnt, 80, 20)));
    let with = |f_cnt, key: &str, value: Value| {
        let mut packet = good(f_cnt);
        packet[key] = value;
        packet
    };
    let mut fsk = with(1, "modu", json!("FSK"));
    fsk["datr"] = json!(50_000);
    let packets = json!({"rxpk": [
        fsk,
        with(2, "stat", json!(-1)),
        with(3, "stat", json!(0)),
        with(4, "data", json!("not base64!")),
        with(5, "datr", json!("SF99BW1")),
        with(6, "freq", json!("868.1")),
        null,
        good(7),
        with(8, "somethingNew", json!({"deep": [1, 2]})),
    ], "stat": {"time": "2026-01-01 00:00:00 GMT", "rxnb": 9}});
    assert!(concentrator.exchange(&push_data(2, 0xa1, 9, &packets)));
    wait_for(&cloud, &[7, 8]);

    let health = crate::health(&broker, &cloud);
    let counted = &health["concentrator"];
    assert_eq!(counted["fsk"], 1, "{counted}");
    assert_eq!(counted["badCrc"], 2, "{counted}");
    assert_eq!(counted["malformedPackets"], 4, "{counted}");
    assert_eq!(counted["packets"], 2, "{counted}");
    assert_eq!(health["air"]["heard"], 2, "{health}");
}
