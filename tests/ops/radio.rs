//! A radio that is configured and not there: told once, and nothing else suffers.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use std::process::Command;

const RADIO: &str =
    "[[radio]]\nname = \"street\"\nchip = \"sx1262\"\nreset = 18\nbusy = 20\ndio = 16\n";

fn tenant(broker: &Broker) -> String {
    format!(
        "{RADIO}[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n{}",
        broker.url(),
        Sensor::new(1).table("waste")
    )
}

#[test]
fn a_missing_hat_is_told_with_what_to_check_and_everything_else_works() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::configured(&tenant(&broker));
    lykta.restart();
    lykta.wait_for_log("radio street");
    let told: Vec<_> =
        lykta.log().into_iter().filter(|line| line.contains("radio street")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for word in ["ERROR", "/dev/spidev0.0", "dtparam=spi=on", "reset 18, busy 20, dio 16"] {
        assert!(told[0].contains(word), "{word}: {told:?}");
    }
    lykta.wait_for_log("1 radio");

    Concentrator::new(1, lykta.udp).forward(&[Sensor::new(1).level(1, 80, 20)]);
    wait_until("the uplink", || !cloud.on("/event/up").is_empty());
    wait_until("health", || !cloud.on("/health").is_empty());
    let health = cloud.on("/health").remove(0).body;
    assert_eq!(health["radios"], serde_json::json!({"configured": 1, "failing": 1}));

    let status = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["status", "--json", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["radios"][0]["name"], "street");
    assert_eq!(status["radios"][0]["state"], "does not work, see the journal");
    assert!(lykta.stop().success());
}
