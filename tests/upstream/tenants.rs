//! Tenants on one gateway know nothing of each other.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, free_tcp_port, wait_until};
use crate::world::{counters, wait_for_counters};

fn tenant(id: &str, kind: &str, url: &str) -> String {
    format!(
        "[[tenant]]\nid = {id:?}\nkind = {kind:?}\n[tenant.upstream]\nurls = [{url:?}]\n\
         reconnect_min = \"50ms\"\nreconnect_max = \"200ms\"\n"
    )
}

#[test]
fn a_dead_broker_of_one_tenant_leaves_the_other_untouched() {
    let north = Broker::start();
    let south_url = format!("mqtt://127.0.0.1:{}", free_tcp_port());
    let cloud = Subscriber::start(&north, &[]);
    let (a, b) = (Sensor::new(1), Sensor::new(2));
    let mut lykta = Lykta::configured(&format!(
        "{}{}{}{}",
        tenant("north", "waste", &north.url()),
        tenant("south", "waste", &south_url),
        a.table("north"),
        b.table("south"),
    ));
    lykta.restart();
    lykta.wait_for_log(&format!("connected to {}", north.url()));
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=20 {
        concentrator.forward(&[b.level(f_cnt, 100, 5), a.level(f_cnt, 100, 5)]);
    }
    wait_for_counters(&cloud, 1..=20);
    assert!(cloud.on("/event/up").iter().all(|m| m.body.get("late").is_none()), "no detour");
    assert!(lykta.stop().success(), "and it stops in order");
}

#[test]
fn nothing_of_one_tenant_appears_at_the_other() {
    let (north, south) = (Broker::start(), Broker::start());
    let (north_cloud, south_cloud) =
        (Subscriber::start(&north, &[]), Subscriber::start(&south, &[]));
    let (a, b) = (Sensor::new(1), Sensor::new(2));
    let mut lykta = Lykta::configured(&format!(
        "{}{}{}{}",
        tenant("north", "waste", &north.url()),
        tenant("south", "generic", &south.url()),
        a.table("north"),
        b.table("south"),
    ));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[a.level(1, 100, 5), b.level(2, 100, 5), b.uplink(3, 2, b"raw")]);
    wait_for_counters(&north_cloud, [1]);
    wait_for_counters(&south_cloud, [2, 3]);
    assert!(lykta.stop().success());
    for (cloud, own, foreign) in
        [(&north_cloud, "lykta/gw-1/north/", "south"), (&south_cloud, "lykta/gw-1/south/", "north")]
    {
        wait_until("the goodbye", || {
            cloud.on("/state").last().is_some_and(|m| m.body["state"] == "offline")
        });
        for message in cloud.received().iter().filter(|m| m.topic != "test/ready") {
            assert!(message.topic.starts_with(own), "{}", message.topic);
            let body = message.body.to_string();
            assert!(!body.contains(foreign), "{body}");
        }
    }
    let of = |cloud: &Subscriber| {
        cloud.received().into_iter().map(|m| m.body.to_string()).collect::<String>()
    };
    assert!(!of(&north_cloud).contains(&b.dev_eui.to_string()));
    assert!(!of(&south_cloud).contains(&a.dev_eui.to_string()));
}

#[test]
fn a_care_tenant_publishes_nothing_of_a_device() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let (home, bin) = (Sensor { profile: "browan-tbms100", ..Sensor::new(1) }, Sensor::new(2));
    let resident = "resident = \"r1\"\nsensor = \"hall\"\n\n[[resident]]\nid = \"r1\"\n\
                    consent = false\n[[resident.sensor]]\nid = \"hall\"\nkind = \"motion\"\n\n";
    // the home's payload is undecodable at first: not even the error leaves the house
    let mut lykta = Lykta::configured(&format!(
        "{}{}{}{resident}{}",
        tenant("care", "care", &broker.url()),
        tenant("waste", "waste", &broker.url()),
        home.table("care"),
        bin.table("waste"),
    ));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let frames: Vec<_> = (1..=9).map(|f_cnt| home.uplink(f_cnt, 102, b"secret")).collect();
    concentrator.forward(&frames);
    concentrator.forward(&[home.uplink(10, 102, &[0x01, 0x76, 0x3a, 0, 0, 0x05, 0, 0])]);
    // heard behind them, so they have been dealt with when it arrives
    concentrator.forward(&[bin.level(1, 100, 5)]);
    wait_until("the other tenant's uplink", || counters(&cloud) == [1]);
    assert!(lykta.stop().success());
    wait_until("the goodbye", || {
        cloud.on("/care/state").last().is_some_and(|m| m.body["state"] == "offline")
    });
    let mut leaves: Vec<_> = cloud
        .received()
        .into_iter()
        .filter_map(|m| Some(m.topic.strip_prefix("lykta/gw-1/care/")?.to_owned()))
        .collect();
    leaves.sort_unstable();
    leaves.dedup();
    assert_eq!(leaves, ["health", "state"]);
    let all: String = cloud.received().into_iter().map(|m| m.body.to_string()).collect();
    let told = lykta.log().join("\n");
    for secret in ["r1", "hall", &home.dev_addr.to_string(), "c2VjcmV0"] {
        assert!(!all.contains(&format!("\"{secret}\"")), "{secret}");
    }
    assert!(!told.contains("c2VjcmV0") && !told.contains("hall"), "{told}");
    assert_eq!(lykta.accepted_by("care")[&home.dev_eui.0], 10, "but the counter is kept");
}
