//! The promise: any LoRaWAN sensor, any packet forwarder, any MQTT client. Here all three are
//! programs that we did not write (see peer.py).
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use support::{Broker, Lykta, Sensor};

/// Has this many uplinks sent and read back, from this frame counter on; what was printed.
fn exchange(first: u32, count: u32) -> String {
    let broker = Broker::start();
    let sensor = Sensor::new(0x1739);
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let peer = Command::new(here.join("python"))
        .arg(here.join("peer.py"))
        .args(["--udp", &lykta.udp.to_string()])
        .args(["--mqtt", &format!("127.0.0.1:{}", broker.port)])
        .args(["--dev-eui", &sensor.dev_eui.to_string()])
        .args(["--dev-addr", &sensor.dev_addr.to_string()])
        .args(["--nwk-s-key", &hex::encode(sensor.nwk_s_key)])
        .args(["--app-s-key", &hex::encode(sensor.app_s_key)])
        .args(["--first", &first.to_string(), "--count", &count.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&peer.stdout).into_owned();
    assert!(
        peer.status.success(),
        "{}\n{said}{}\n{}",
        peer.status,
        String::from_utf8_lossy(&peer.stderr),
        lykta.log().join("\n")
    );
    assert_eq!(lykta.accepted()[&sensor.dev_eui.0], first + count - 1);
    assert!(lykta.stop().success());
    said
}

#[test]
fn a_foreign_sensor_forwarder_and_cloud_understand_each_other_through_lykta() {
    assert_eq!(exchange(0, 40), "ok 40\n");
}

#[test]
fn also_up_to_the_last_counter_of_sixteen_bits() {
    assert_eq!(exchange(65_500, 36), "ok 36\n");
}
