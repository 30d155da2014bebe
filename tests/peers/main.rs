//! The promise: any LoRaWAN sensor, any packet forwarder, any MQTT client. Here all three are
//! programs that we did not write (see peer.py).
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use lykta::device::Activation;
use lykta::units::DevEui;
use std::path::Path;
use std::process::Command;
use support::{Broker, Lykta, Mote, Sensor};

/// Plays a scene of peer.py; what was printed, and the last uplink counter that lykta has accepted.
///
/// Answers leave five seconds after their uplinks: so long the machine may be busy.
fn play(dev_eui: DevEui, device: &str, lorawan: &str, scene: &[&str]) -> (String, u32) {
    let broker = Broker::start();
    let mut lykta = Lykta::configured(&format!(
        "[lorawan]\nrx1_delay = \"5s\"\n{lorawan}\n[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n\
         [tenant.upstream]\nurls = [\"{}\"]\n{device}",
        broker.url()
    ));
    lykta.restart();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let peer = Command::new(here.join("python"))
        .arg(here.join("peer.py"))
        .args(["--udp", &lykta.udp.to_string()])
        .args(["--mqtt", &format!("127.0.0.1:{}", broker.port)])
        .args(["--dev-eui", &dev_eui.to_string()])
        .args(scene)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&peer.stdout).into_owned();
    assert!(
        peer.status.success(),
        "{}\n{said}{}",
        peer.status,
        String::from_utf8_lossy(&peer.stderr)
    );
    let accepted = lykta.accepted()[&dev_eui.0];
    assert!(lykta.stop().success());
    (said, accepted)
}

/// Has this many uplinks sent, answered and read back, from this frame counter on.
fn exchange(first: u32, count: u32) {
    let sensor = Sensor::new(0x1739);
    let (said, accepted) = play(
        sensor.dev_eui,
        &sensor.table("waste"),
        "",
        &[
            "abp",
            "--dev-addr",
            &sensor.dev_addr.to_string(),
            "--nwk-s-key",
            &hex::encode(sensor.nwk_s_key),
            "--app-s-key",
            &hex::encode(sensor.app_s_key),
            "--first",
            &first.to_string(),
            "--count",
            &count.to_string(),
        ],
    );
    assert_eq!((said, accepted), (format!("ok {count}\n"), first + count - 1));
}

#[test]
fn a_foreign_sensor_forwarder_and_cloud_understand_each_other_through_lykta() {
    exchange(0, 40);
}

#[test]
fn also_up_to_the_last_counter_of_sixteen_bits() {
    exchange(65_500, 36);
}

#[test]
fn a_foreign_sensor_joins_and_is_acknowledged_and_sent_to() {
    let mote = Mote::otaa(1);
    let Activation::Otaa(otaa) = mote.device().activation else { unreachable!("it joins") };
    let (said, accepted) = play(
        mote.dev_eui,
        &mote.table("waste"),
        "rx2_data_rate = 3",
        &[
            "otaa",
            "--join-eui",
            &otaa.join_eui.to_string(),
            "--app-key",
            &hex::encode(otaa.app_key.0),
        ],
    );
    assert_eq!((said.as_str(), accepted), ("ok 8\n", 0), "the last one is of the second session");
}
