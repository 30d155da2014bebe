//! A file system that turns read-only under the daemon, as ext4 does on a card that fails.

use crate::support::{Broker, Concentrator, Disk, Lykta, Sensor, Subscriber, wait_until};
use crate::{asked, tenant};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn a_disk_that_turns_read_only_holds_up_nothing_that_was_accepted() {
    let mut disk = Disk::new(64);
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    broker.kill();
    let mut lykta = Lykta::configured_with_state(disk.root(), &tenant(&broker));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let sensor = Sensor::new(1);
    (1..=20).for_each(|n| concentrator.forward(&[sensor.level(n, 50, 4)]));
    let of_tenant = |disk: &Disk| asked(disk.root()).map(|answer| answer["tenants"][0].clone());
    wait_until("all is kept", || of_tenant(&disk).is_some_and(|tenant| tenant["accepted"] == 20));
    disk.fail();
    concentrator.forward(&[sensor.level(21, 50, 4)]);
    lykta.wait_for_log("uplinks of tenant waste cannot be kept");
    let kept = |tenant: Value| tenant["disk"]["alarmsInMemory"] == 1;
    wait_until("there is an alarm in memory", || of_tenant(&disk).is_some_and(kept));

    broker.restart();
    let frames = || -> BTreeSet<u64> {
        let ups = cloud.on("/event/up").into_iter();
        ups.map(|up| up.body["fCnt"].as_u64().unwrap()).collect()
    };
    wait_until("all that was accepted is there", || frames().len() == 20);
    let all = cloud.received();
    let waited = |topic: &str| topic.contains("/device/") || topic.ends_with("/alarm");
    let first = all.iter().find(|message| waited(&message.topic)).unwrap();
    assert_eq!((&first.body["kind"], &first.body["lost"]), (&"diskFails".into(), &1.into()));
    assert_eq!(lykta.stop().code(), Some(0));

    // a reboot later
    disk.remount();
    lykta.restart();
    concentrator.forward(&[sensor.level(21, 50, 4)]);
    wait_until("the next is there", || frames().len() == 21);
    assert_eq!(lykta.stop().code(), Some(0));
    assert!(!lykta.log().iter().any(|line| line.contains("damaged")));
}
