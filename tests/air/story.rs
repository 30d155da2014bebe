//! What is told of devices in one way or another.

use crate::world::{Sensor, Setup, World, database, directory, live, sx1262_at};
use lykta::emulation::Answer;
use lykta::lorawan::{Channels, Slot};
use lykta::store::Store;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

/// Elsys: 1.6 degrees, 30 cm.
pub(crate) const LEVEL: &[u8] = &[0x01, 0x00, 0x10, 0x0e, 0x01, 0x2c];

fn pinned(directory: &Path, sensor: &Sensor) -> bool {
    let memory = Store::open(&database(directory), &lykta::clock::Clock::system())
        .unwrap()
        .memory()
        .unwrap();
    let session = memory.sessions.get(&(sensor.dev_eui, Slot::Active));
    session.is_some_and(|session| session.link.pin.is_some())
}

/// A device joins, is pinned if that is the plan, and then heard each time. Returns how many
/// tries the join took, and at which uplink it was pinned.
pub(crate) fn story(setup: Setup, data_rate: u8, seed: u64, lead: u32) -> (u32, usize) {
    let directory = directory();
    let sensor = Sensor::new(1);
    let pins = matches!(setup.plan.channels, Channels::Only(_));
    live(async {
        let world = World::start(directory.path(), setup, std::slice::from_ref(&sensor));
        sleep(Duration::from_secs(1)).await;
        let mut device = sensor.on(&world.air, data_rate, seed).await;
        device.set_window_lead(lead);
        let tries = device.join_within(30).await.unwrap().expect("it joins in the end");
        let mut at = 0;
        while pins && !pinned(directory.path(), &sensor) {
            at += 1;
            assert!(at < 60, "it is pinned in the end");
            device.send(5, LEVEL, false).await.unwrap();
            sleep(Duration::from_secs(30)).await;
        }
        if pins {
            let before = world.tenant.accepted.load(Relaxed);
            for _ in 0..3 {
                let answer = device.send(5, LEVEL, true).await.unwrap();
                assert!(matches!(answer, Answer::Downlink { .. }), "acknowledged: {answer:?}");
                sleep(Duration::from_secs(30)).await;
            }
            assert_eq!(world.tenant.accepted.load(Relaxed) - before, 3, "all are heard");
        }
        assert_eq!(world.tenant.joins.load(Relaxed), 1);
        assert_eq!(world.counters.not_answered.load(Relaxed), 0);
        world.stop().await;
        (tries, at)
    })
}

/// So many devices join one radio at SF7, one after the other. Returns how often they asked.
pub(crate) fn joins(devices: u16) -> u32 {
    let directory = directory();
    let sensors: Vec<_> = (0..devices).map(Sensor::new).collect();
    live(async {
        let world = World::start(directory.path(), Setup::single(sx1262_at(7)), &sensors);
        sleep(Duration::from_secs(1)).await;
        let mut tries = 0;
        for (seed, sensor) in (100..).zip(&sensors) {
            let mut device = sensor.on(&world.air, 5, seed).await;
            tries += device.join_within(40).await.unwrap().expect("it joins in the end");
        }
        assert_eq!(world.tenant.joins.load(Relaxed), u64::from(devices));
        world.stop().await;
        tries
    })
}
