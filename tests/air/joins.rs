//! Joins and what follows, by spreading factor, window and delay.

use crate::story::{LEVEL, joins, story};
use crate::world::{Sensor, Setup, World, directory, live, radio, sx1262_at};
use lykta::emulation::Answer;
use lykta::lorawan::{Channels, Plan};
use lykta::units::Hertz;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn devices_join_and_are_pinned_at_sf7_sf9_and_sf12() {
    for (spreading_factor, data_rate) in [(7, 5), (9, 3), (12, 0)] {
        for seed in 1..=4 {
            story(Setup::single(sx1262_at(spreading_factor)), data_rate, seed, 50);
        }
    }
}

#[test]
fn devices_join_and_are_pinned_by_answers_in_the_second_window_alone() {
    for seed in 1..=4 {
        let setup = Setup { only_rx2: true, ..Setup::single(sx1262_at(7)) };
        story(setup, 5, seed, 50);
    }
}

#[test]
fn devices_wait_for_their_answers_as_long_as_they_are_told() {
    for (rx1_delay, seed) in [(2, 1), (5, 2), (15, 3), (5, 4)] {
        let mut setup = Setup::single(sx1262_at(9));
        setup.plan.rx1_delay = rx1_delay;
        story(setup, 3, seed, 50);
    }
}

#[test]
fn an_exacting_device_hears_its_answers() {
    for seed in 1..=2 {
        story(Setup::single(sx1262_at(7)), 5, seed, 25);
    }
}

#[test]
fn an_sx1276_serves_devices_too_also_at_sf11() {
    for (spreading_factor, data_rate) in [(7, 5), (11, 1), (12, 0)] {
        let chip = format!("chip = \"sx1276\"\nspreading_factor = {spreading_factor}");
        story(Setup::single(radio(&chip)), data_rate, 3, 50);
    }
}

#[test]
fn several_radios_hear_devices_on_all_their_channels() {
    let directory = directory();
    let channels = [868_100_000, 868_300_000, 868_500_000].map(Hertz);
    let radios = ["868.1", "868.3", "868.5"].map(|channel| {
        radio(&format!("chip = \"sx1262\"\nbusy = 20\nspreading_factor = 9\nchannel = {channel}"))
    });
    let plan = Plan {
        channels: Channels::Only(channels.map(|channel| (channel, 9)).to_vec()),
        rx1_delay: 1,
        rx2_data_rate: 0,
    };
    let setup = Setup { radios: radios.into(), plan, only_rx2: false };
    let sensor = Sensor::new(1);
    live(async {
        let world = World::start(directory.path(), setup, std::slice::from_ref(&sensor));
        sleep(Duration::from_secs(1)).await;
        let mut device = sensor.on(&world.air, 3, 9).await;
        assert_eq!(device.join_within(1).await.unwrap(), Some(1), "whichever channel it takes");
        for _ in 0..10 {
            let answer = device.send(5, LEVEL, true).await.unwrap();
            assert!(matches!(answer, Answer::Downlink { .. }), "{answer:?}");
            sleep(Duration::from_secs(20)).await;
        }
        assert_eq!(world.tenant.accepted.load(Relaxed), 10);
        world.stop().await;
    });
}

#[test]
fn a_hundred_devices_join_one_radio() {
    // as long as it takes on this machine; `cargo bench --bench radio` says how long
    let tries = joins(100);
    assert!((100..1000).contains(&tries), "{tries}");
}
