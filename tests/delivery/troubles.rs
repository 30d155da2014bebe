//! The broker is in trouble of every kind, at random, two hundred times: half of them with each
//! version of the protocol. `TROUBLES=1000` makes more.

use crate::books::Books;
use crate::support::{
    Broker, Concentrator, Lykta, Mote, Proxy, Sensor, Subscriber, Way, wait_until,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

const DEVICES: u32 = 20;

/// Each joins in the midst of one trouble, and so leaves an event behind. Their numbers are not
/// those of the sensors.
const MOTES: std::ops::Range<u8> = 101..201;

#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// kill -9, and back with what it had saved.
    Killed,
    /// As before, and it knows nobody any more.
    Forgetful,
    /// The connection is there, and for a while nothing passes.
    BlackHole,
    /// As before, until lykta notices.
    Dead,
    Slow,
    /// Nobody listens.
    Refused,
    /// Somebody listens, and lets nobody in.
    NotAuthorised,
}

/// How often they come, among each other: a connection that is dead takes ten seconds to be noticed.
const TROUBLES: [(Trouble, u8); 7] = [
    (Trouble::Killed, 3),
    (Trouble::Forgetful, 3),
    (Trouble::BlackHole, 3),
    (Trouble::Dead, 1),
    (Trouble::Slow, 3),
    (Trouble::Refused, 3),
    (Trouble::NotAuthorised, 3),
];

#[test]
fn whatever_the_broker_does_over_mqtt_5() {
    go_through(5, 1);
}

#[test]
fn whatever_the_broker_does_over_mqtt_3_1_1() {
    go_through(4, 2);
}

struct World {
    broker: Broker,
    proxy: Proxy,
    cloud: Subscriber,
    random: fastrand::Rng,
}

fn go_through(protocol: u8, seed: u64) {
    let troubles = std::env::var("TROUBLES").map_or(200, |n| n.parse().unwrap()) / 2;
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    broker.save();
    let proxy = Proxy::to(broker.port);
    let mut motes: Vec<_> = MOTES.map(Mote::otaa).collect();
    let sensors: Vec<_> = (1..=DEVICES).map(Sensor::new).collect();
    let tenant = format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:{}\"]\nprotocol = {protocol}\nkeep_alive = \"5s\"\n\
         reconnect_min = \"50ms\"\nreconnect_max = \"200ms\"\nbacklog_rate = 0\n{}{}",
        proxy.port,
        sensors.iter().map(|sensor| sensor.table("waste")).collect::<String>(),
        motes.iter().map(|mote| mote.table("waste")).collect::<String>(),
    );
    let mut lykta = Lykta::configured(&tenant);
    lykta.restart();
    let mut world = World { broker, proxy, cloud, random: fastrand::Rng::with_seed(seed) };
    let (sent, end) = (AtomicU32::new(0), AtomicBool::new(false));
    let mut air = Concentrator::new(2, lykta.udp);
    let mut joined = 0;
    std::thread::scope(|threads| {
        let _end = End(&end);
        threads.spawn(|| load(Concentrator::new(1, lykta.udp), &sensors, &sent, &end));
        let kinds = TROUBLES.iter().flat_map(|(kind, times)| vec![*kind; usize::from(*times)]);
        let mut kinds: Vec<_> = kinds.cycle().take(troubles).collect();
        world.random.shuffle(&mut kinds);
        for (n, trouble) in kinds.into_iter().enumerate() {
            let mote = motes.get_mut(n).map(|mote| mote.join_request());
            joined += usize::from(mote.is_some());
            world.make(trouble, || {
                mote.iter().for_each(|phy| air.forward(std::slice::from_ref(phy)))
            });
            let wanted = 2 * sent.load(SeqCst) as usize + joined;
            let what = format!("what was accepted until trouble {n}, {trouble:?}, has arrived");
            wait_until(&what, || world.cloud.different() >= wanted);
        }
    });
    let wanted = 2 * sent.load(SeqCst) as usize + joined;
    wait_until("every message has arrived", || world.cloud.different() >= wanted);
    assert!(lykta.stop().success());
    let books = Books::check(&world.cloud);
    assert_eq!(books.different, wanted);
    assert!(books.overtaking > troubles / 4, "{} events had waited", books.overtaking);
    println!("{troubles} troubles, {wanted} messages, {} duplicates", books.duplicates);
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Sensor after sensor, some sixty a second.
fn load(mut air: Concentrator, sensors: &[Sensor], sent: &AtomicU32, end: &AtomicBool) {
    air.set_patience(Duration::from_secs(5));
    for f_cnt in 1.. {
        for sensor in sensors {
            if end.load(SeqCst) {
                return;
            }
            let phy = sensor.level(f_cnt, (f_cnt % 120) as u8 * 2, -1);
            // what finds lykta busy is not acknowledged, and sent again
            while !air.try_forward(std::slice::from_ref(&phy)) {}
            sent.fetch_add(1, SeqCst);
            std::thread::sleep(Duration::from_millis(15));
        }
    }
}

impl World {
    /// Makes trouble; in the midst of it something else happens.
    fn make(&mut self, trouble: Trouble, meanwhile: impl FnOnce()) {
        match trouble {
            Trouble::Killed => self.kill(false, meanwhile),
            Trouble::Forgetful => self.kill(true, meanwhile),
            Trouble::BlackHole => self.block(Way::Stalled, 1_000, meanwhile),
            Trouble::Dead => self.dead(meanwhile),
            Trouble::Slow => self.block(Way::Slow, 500, meanwhile),
            Trouble::Refused => self.block(Way::Shut, 500, meanwhile),
            Trouble::NotAuthorised => {
                // whoever is in stays in
                self.proxy.set(Way::Shut);
                self.block(Way::Refusing, 500, meanwhile);
            }
        }
    }

    fn block(&mut self, way: Way, longest: u64, meanwhile: impl FnOnce()) {
        self.proxy.set(way);
        meanwhile();
        self.pause(longest);
        self.proxy.set(Way::Open);
    }

    fn dead(&mut self, meanwhile: impl FnOnce()) {
        let before = self.proxy.connections();
        self.proxy.set(Way::Stalled);
        meanwhile();
        wait_until("lykta tries another connection", || self.proxy.connections() > before);
        self.proxy.set(Way::Open);
    }

    fn pause(&mut self, longest: u64) {
        std::thread::sleep(Duration::from_millis(self.random.u64(..longest)));
    }

    /// What mosquitto has acknowledged and not yet passed on, it forgets when it is killed. That is
    /// its loss, and not what is tested here: so first nothing reaches it any more, and what it
    /// has is passed on. And nothing reaches it until the cloud is there again.
    fn kill(&mut self, forgets: bool, meanwhile: impl FnOnce()) {
        self.proxy.set(Way::Stalled);
        self.cloud.wait_for_subscription(&self.broker, &[]);
        self.broker.save();
        self.broker.kill();
        if forgets {
            self.broker.forget();
        }
        self.proxy.set(Way::Open);
        meanwhile();
        self.pause(300);
        self.proxy.set(Way::Shut);
        self.broker.restart();
        self.cloud.wait_for_subscription(&self.broker, &[]);
        self.proxy.set(Way::Open);
    }
}
