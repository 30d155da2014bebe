//! 10,000 frames through UDP, SQLite and a real mosquitto, with eight kill -9 of lykta and five
//! of the broker at random moments. `FRAMES=50000 cargo test --release --test delivery kills` is
//! the long run, of 100,000 messages.

use crate::books::Books;
use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use std::time::Duration;

const DEVICES: u32 = 50;
const LYKTA_KILLS: usize = 8;
const BROKER_KILLS: usize = 5;

/// As lykta has it: unacknowledged on their way at most, and removed together.
const WINDOW: usize = 100;
const REMOVE_AT: usize = 75;

/// How many messages may be on their way from mosquitto to the cloud when it is killed. They
/// fit into the subscriber's socket; more would wait in mosquitto, which forgets what it has
/// acknowledged and not yet passed on. That is its loss, and not what is tested here.
const ON_THE_WAY: usize = 40;

#[test]
fn nothing_accepted_is_lost_over_mqtt_5() {
    nothing_accepted_is_lost(5, 1);
}

#[test]
fn nothing_accepted_is_lost_over_mqtt_3_1_1() {
    nothing_accepted_is_lost(4, 2);
}

fn nothing_accepted_is_lost(protocol: u8, seed: u64) {
    let frames: u32 = std::env::var("FRAMES").map_or(10_000, |frames| frames.parse().unwrap());
    let frames_each = frames / DEVICES;
    let mut random = fastrand::Rng::with_seed(seed);
    let sensors: Vec<_> = (1..=DEVICES).map(Sensor::new).collect();
    let mut broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    let mut lykta = Lykta::start(&broker, &format!("protocol = {protocol}"), &sensors);
    let mut concentrator = Concentrator::new(1, lykta.udp);
    // a datagram that lykta took with it into its death is answered by nobody
    concentrator.set_patience(Duration::from_millis(500));

    // at which frame whom to kill
    let total = DEVICES * frames_each;
    let mut deaths: Vec<_> =
        (0..LYKTA_KILLS + BROKER_KILLS).map(|n| (random.u32(1..total), n < LYKTA_KILLS)).collect();
    deaths.sort_unstable();
    let mut next = vec![1; DEVICES as usize];
    let (mut sent, mut killed) = (0, 0);
    while next.iter().any(|f_cnt| *f_cnt <= frames_each) {
        for (sensor, f_cnt) in sensors.iter().zip(&mut next) {
            if *f_cnt <= frames_each {
                let phy = sensor.level(*f_cnt, (*f_cnt % 120) as u8 * 2, -1);
                // a frame that finds lykta busy is not acknowledged; the sensor repeats it
                if concentrator.try_forward(&[phy]) {
                    *f_cnt += 1;
                    sent += 1;
                }
            }
        }
        while let Some((_, is_lykta)) = deaths.get(killed).filter(|(at, _)| sent >= *at) {
            killed += 1;
            if *is_lykta {
                // somewhere in the middle of what it is doing
                std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
                lykta.kill();
                // What was heard but not on disk was not accepted: those sensors try again.
                // A counter on disk without its message would be missed at the end.
                let accepted = lykta.accepted();
                for (sensor, f_cnt) in sensors.iter().zip(&mut next) {
                    *f_cnt = accepted.get(&sensor.dev_eui.0).map_or(1, |last| last + 1);
                }
                sent = accepted.values().sum();
                lykta.restart();
            } else {
                wait_until("the cloud is close behind", || {
                    cloud.different() + ON_THE_WAY >= 2 * sent as usize
                });
                broker.kill();
                broker.restart();
                cloud.wait_for_subscription(&broker, &[]);
            }
        }
    }
    assert_eq!(killed, LYKTA_KILLS + BROKER_KILLS, "each death had its turn");

    let wanted = 2 * total as usize;
    wait_until("every message has arrived", || cloud.different() >= wanted);
    let status = lykta.stop();
    assert!(status.success(), "{status}");
    assert!(lykta.accepted().values().all(|last| *last == frames_each));
    let books = Books::check(&cloud);
    assert_eq!(books.different, wanted);
    let share = books.duplicates as f64 / wanted as f64 * 100.0;
    println!("{wanted} messages, {killed} kills, {} duplicates: {share:.2} %", books.duplicates);
    // what is on its way, and what is acknowledged and not yet removed
    let most = LYKTA_KILLS * (WINDOW + REMOVE_AT) + BROKER_KILLS * WINDOW;
    assert!(books.duplicates <= most, "{} duplicates", books.duplicates);
}
