//! A gateway that works says next to nothing.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};

#[test]
fn three_hundred_good_frames_are_no_news() {
    let sensors: Vec<_> = (1..=10).map(Sensor::new).collect();
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::start(&broker, "", &sensors);
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=30 {
        let frames: Vec<_> = sensors.iter().map(|s| s.level(f_cnt, 80, 20)).collect();
        concentrator.forward(&frames);
    }
    wait_until("all is delivered", || {
        cloud.on("/event/up").len() == 300 && cloud.on("/readings").len() == 300
    });
    assert!(lykta.stop().success());
    let log = lykta.log();
    let above = log.iter().filter(|line| !line.contains(" INFO  ")).collect::<Vec<_>>();
    assert!(above.is_empty(), "{above:?}");
    // started, connected, the concentrator, stopped
    assert!(log.len() <= 5, "{log:?}");
}
