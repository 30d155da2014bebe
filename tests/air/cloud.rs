//! From the antenna to the cloud.

use crate::support::{Broker, Lykta, Subscriber, wait_until};
use crate::world::{Sensor, World, directory, live};
use lykta::emulation::Answer;
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn what_came_over_the_air_reaches_the_broker_and_the_session_goes_on() {
    let directory = directory();
    let sensor = Sensor::new(1);
    let accepted = live(async {
        let world = World::single(directory.path(), &sensor).await;
        let mut device = sensor.on(&world.air, 3, 2).await;
        device.join_within(30).await.unwrap().expect("it joins in the end");
        let mut heard = 0;
        while heard < 5 {
            // 1.6 degrees, 300 mm
            let answer =
                device.send(5, &[0x01, 0x00, 0x10, 0x0e, 0x01, 0x2c], false).await.unwrap();
            assert_ne!(answer, Answer::SessionExpired);
            sleep(Duration::from_secs(600)).await;
            heard = world.tenant.accepted.load(Relaxed);
        }
        world.stop().await;
        heard
    });

    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::configured(&format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n{}",
        broker.url(),
        sensor.table()
    ));
    let state = lykta.path().join("state");
    std::fs::create_dir(&state).unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), state.join(file.file_name())).unwrap();
    }
    lykta.restart();
    wait_until("all is delivered", || cloud.on("/event/up").len() as u64 >= accepted);
    assert_eq!(cloud.on("/event/join").len(), 1);
    let up = cloud.on("/event/up").remove(0).body;
    assert_eq!(up["txInfo"]["frequency"], 868_100_000);
    assert_eq!(up["rxInfo"][0]["gatewayId"], json!("0200000000000001"));
    assert_eq!(up["dr"], 3);
    let readings = cloud.on("/readings").remove(0).body;
    assert_eq!(readings["readings"][0]["quality"], "good", "{readings}");
}
