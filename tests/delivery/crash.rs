//! lykta is killed at random instants, under load, a hundred times. `KILLS=1000 cargo test
//! --release --test delivery crash` is the long run.

use crate::books::Books;
use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, entry, message, wait_until};
use lykta::clock::Clock;
use lykta::store::{Class, Store};
use std::time::Duration;

const DEVICES: u32 = 20;

#[test]
fn killed_at_any_instant_it_loses_nothing_that_it_accepted() {
    let kills = std::env::var("KILLS").map_or(100, |kills| kills.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(7);
    let sensors: Vec<_> = (1..=DEVICES).map(Sensor::new).collect();
    let broker = Broker::start();
    // alarms that are made up below are promised nowhere
    let cloud = Subscriber::start(&broker, &[]).of_anything();
    let mut lykta = Lykta::start(&broker, "", &sensors);
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.set_patience(Duration::from_millis(200));
    let mut next = vec![1; DEVICES as usize];
    for kill in 0..kills {
        let instant = Duration::from_micros(random.u64(..120_000));
        std::thread::scope(|threads| {
            let killer = threads.spawn(|| {
                std::thread::sleep(instant);
                lykta.signal("KILL");
            });
            while !killer.is_finished() {
                let n = random.usize(..sensors.len());
                let phy = sensors[n].level(next[n], (next[n] % 120) as u8 * 2, -1);
                if concentrator.try_forward(&[phy]) {
                    next[n] += 1;
                }
            }
        });
        lykta.kill();
        // what was heard but is not on disk was not accepted: those sensors try again
        let accepted = lykta.accepted();
        for (sensor, f_cnt) in sensors.iter().zip(&mut next) {
            *f_cnt = accepted.get(&sensor.dev_eui.0).map_or(1, |last| last + 1);
        }
        if kill % 4 == 0 {
            let mut store = Store::open(&lykta.database("waste"), &Clock::system()).unwrap();
            let alarm = message(Class::Alarm, format!("alarm/{kill}"), "{}".into());
            store.commit(&[entry(1, vec![alarm])]).unwrap();
        }
        lykta.restart();
    }
    let frames: u32 = next.iter().map(|f_cnt| f_cnt - 1).sum();
    wait_until("every message has arrived", || cloud.different() >= 2 * frames as usize);
    wait_until("every alarm has arrived", || cloud.count("/alarm/") >= kills / 4);
    assert!(lykta.stop().success());
    let books = Books::check(&cloud);
    assert_eq!(books.different, 2 * frames as usize);
    assert!(books.overtaking >= kills / 4, "{} alarms", books.overtaking);
    assert!(books.duplicates > 0, "nothing was under way when it was killed");
    println!("{kills} kills, {} messages, {} duplicates", books.different, books.duplicates);
}
