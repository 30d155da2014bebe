//! A gateway that works says next to nothing.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, store_key, wait_until};
use jiff::{SignedDuration, Timestamp};
use log::{LevelFilter, Log, Metadata, Record};
use lykta::clock::Clock;
use lykta::config;
use lykta::gateway::{Gateway, Parts};
use lykta::radio::hat::Hat;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

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

#[test]
fn what_was_only_counted_is_told_at_the_stop() {
    let sensor = Sensor::new(1);
    let broker = Broker::start();
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut air = Concentrator::new(1, lykta.udp);
    for n in 0..8 {
        air.forward(&[sensor.uplink(2 * n + 1, 2, &[0xff])]);
        air.forward(&[sensor.level(2 * n + 2, 80, 20)]);
    }
    wait_until("all are taken", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&16));
    assert!(lykta.stop().success());
    let again = "WARN  said 3 times more, the last time: payloads of device 70b3d50700000001";
    lykta.wait_for_log(again);
    lykta.wait_for_log("INFO  said 3 times more, the last time: payloads of device");
    let told = lykta.log().iter().filter(|line| line.contains("payloads of device")).count();
    assert_eq!(told, 12, "{:?}", lykta.log());
}

/// How much faster than life the hour goes.
const SPEED: u32 = 180;

/// What the one gateway says that runs in this process, and not in one of its own.
static TOLD: Told = Told(Mutex::new(Vec::new()));

struct Told(Mutex<Vec<String>>);

impl Log for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("lykta")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            self.0.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// A street and a home, heard by two concentrators, with what else there is on the air.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_normal_life_is_less_than_twenty_lines() {
    log::set_logger(&TOLD).unwrap();
    log::set_max_level(LevelFilter::Info);
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let bins: Vec<_> = (1..=20).map(Sensor::new).collect();
    let door = Sensor { profile: "browan-tbdw100", ..Sensor::new(30) };
    let key = directory.path().join("key");
    std::fs::write(&key, hex::encode(store_key(1).0)).unwrap();
    let upstream = format!("[tenant.upstream]\nurls = [\"{}\"]\n", broker.url());
    let street: String = bins.iter().map(|bin| bin.table("waste")).collect();
    let text = format!(
        "gateway = \"gw-1\"\nstate_dir = \"{}\"\n[concentrator]\nlisten = \"127.0.0.1:0\"\n\
         [[tenant]]\nid = \"waste\"\nkind = \"waste\"\n{upstream}\
         [[tenant]]\nid = \"care\"\nkind = \"care\"\nstore_key_file = \"{}\"\n{upstream}{street}\
         {}resident = \"kastanj\"\nsensor = \"front\"\n[[resident]]\nid = \"kastanj\"\n\
         consent = true\n[[resident.sensor]]\nid = \"front\"\nkind = \"door\"\n",
        directory.path().join("state").display(),
        key.display(),
        door.table("care")
    );
    let file = directory.path().join("lykta.toml");
    for (file, text) in [(&file, Some(text)), (&key, None)] {
        if let Some(text) = text {
            std::fs::write(file, text).unwrap();
        }
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let loaded = config::load(Some(&file)).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let begin: Timestamp = "2026-03-02T21:00:00Z".parse().unwrap();
    let clock = Clock::simulated(begin, SPEED);
    let config::Loaded { settings, registry, households, codecs, .. } = loaded;
    let parts = Parts {
        settings,
        registry,
        households,
        codecs,
        clock: clock.clone(),
        open_hat: Box::new(Hat::spawn),
    };
    let gateway = Gateway::start(parts).await.unwrap();
    let udp = gateway.listening().unwrap();
    let (mut near, mut far) = (Concentrator::new(1, udp), Concentrator::new(2, udp));
    let stranger = Sensor::new(99);
    for minute in 0..60 {
        let at = begin + SignedDuration::from_mins(minute);
        wait_until("the minute comes", || clock.now().wall >= at);
        let mut frames = Vec::new();
        // each bin every ten minutes, and one frame in twelve is lost
        for (n, bin) in bins.iter().enumerate() {
            let turn = minute as usize + n;
            if turn.is_multiple_of(10) && !turn.is_multiple_of(12) {
                let centimetres = 90 - (minute / 3) as u8;
                frames.push(bin.level(minute as u32 / 10 + 1, centimetres, 8));
            }
        }
        if minute % 7 == 0 {
            let open = u8::from(minute % 2 == 0);
            let payload = [open, 203, 53, 0, 0, 138, 58, 0];
            frames.push(door.uplink(minute as u32 / 7 + 1, 100, &payload));
        }
        // a neighbour's sensor, and noise
        frames.push(stranger.level(minute as u32 + 1, 50, 5));
        if minute % 9 == 0 {
            frames.push(vec![0xe0; 20]);
        }
        near.forward(&frames);
        far.forward(&frames[..frames.len() / 2]);
    }
    let end = begin + SignedDuration::from_hours(1);
    wait_until("the hour is over", || clock.now().wall >= end);
    wait_until("all is delivered", || cloud.on("/event/up").len() >= 100);
    gateway.stop().await;
    let told = TOLD.0.lock().unwrap().clone();
    let above: Vec<_> = told.iter().filter(|line| !line.starts_with("INFO ")).collect();
    assert!(above.is_empty(), "{above:#?}");
    assert!(told.len() < 20, "{told:#?}");
    // else nothing was listened to
    assert!(told.iter().any(|line| line.contains("concentrator 0000000000000001 is heard")));
}
