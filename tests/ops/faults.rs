//! What is wrong has one name, whoever tells of it.

use crate::health;
use crate::support::{Broker, Lykta, Sensor, Subscriber, free_tcp_port, wait_until};
use lykta::fault::Fault;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::process::Command;

/// What `lykta status` says is wrong: names, and what they are about.
fn standing(lykta: &Lykta) -> Vec<(String, Value)> {
    let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["status", "--json", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    codes(&status["faults"])
}

fn codes(faults: &Value) -> Vec<(String, Value)> {
    let faults = faults.as_array().unwrap().iter();
    // a clock that nobody has set, and a disk of the test machine's own, are not of this test
    let faults = faults.filter(|f| f["code"] != "clock-unset" && f["code"] != "disk-nearly-full");
    faults.map(|f| (f["code"].as_str().unwrap().to_owned(), f["about"].clone())).collect()
}

#[test]
fn the_readme_lists_all_of_them() {
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&Fault::table()),
        "README.md must have this table:\n{}",
        Fault::table()
    );
}

#[test]
fn a_fault_has_the_same_name_in_status_and_health_and_goes_when_it_is_mended() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let tenant = |id: &str, port: u16| {
        format!(
            "[[tenant]]\nid = \"{id}\"\nkind = \"waste\"\n[tenant.upstream]\n\
             urls = [\"mqtt://127.0.0.1:{port}\"]\nreconnect_min = \"100ms\"\n\
             reconnect_max = \"500ms\"\n"
        )
    };
    let dead = free_tcp_port();
    let mut lykta = Lykta::configured(&format!(
        "{}{}{}",
        tenant("waste", broker.port),
        tenant("yard", dead),
        Sensor::new(1).table("waste")
    ));
    let squatter = UdpSocket::bind(lykta.udp).unwrap();
    lykta.restart();
    lykta.wait_for_log("connected to mqtt://");
    lykta.wait_for_log("no connection to mqtt://");
    let port = ("concentrator-port".to_owned(), Value::Null);
    let broker_of_yard = ("no-broker".to_owned(), json!("yard"));
    wait_until("both are told", || standing(&lykta) == [port.clone(), broker_of_yard.clone()]);
    // a tenant hears of the gateway and of itself, and of no other tenant
    assert_eq!(codes(&health(&broker, &cloud)["faults"]), [port]);

    drop(squatter);
    lykta.wait_for_log("INFO  listening for concentrators");
    assert_eq!(standing(&lykta), [broker_of_yard]);
    assert_eq!(codes(&health(&broker, &cloud)["faults"]), []);

    // the configuration on disk is another than the one that holds
    let file = lykta.path().join("lykta.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let refused =
        |lykta: &Lykta| standing(lykta).iter().any(|(code, _)| code == "settings-refused");
    for (text, wrong) in [("nonsense", true), (good.as_str(), false)] {
        std::fs::write(&file, text).unwrap();
        lykta.drain_notifications();
        lykta.signal("HUP");
        lykta.wait_for_notification("READY=1");
        // the command reads where to ask
        std::fs::write(&file, &good).unwrap();
        assert_eq!(refused(&lykta), wrong);
    }
    assert!(lykta.stop().success());
}

#[test]
fn status_tells_why_there_is_no_broker_what_waits_and_how_the_machine_is() {
    let port = free_tcp_port();
    let sensor = Sensor::new(1);
    let mut lykta = Lykta::configured(&format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:{port}\"]\n{}",
        sensor.table("waste")
    ));
    lykta.restart();
    lykta.wait_for_log("no connection to mqtt://");
    let mut air = crate::support::Concentrator::new(1, lykta.udp);
    air.forward(&[sensor.level(1, 80, 20)]);
    wait_until("the frame is on disk", || lykta.accepted().len() == 1);
    let text = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["status", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "no-broker (waste): the broker is not reached; everything is kept; see the reason",
        &format!("mqtt://127.0.0.1:{port}: "),
        "next attempt in ",
        "2 waiting, the oldest ",
        "free on the disk",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
