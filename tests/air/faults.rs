//! Air that is not kind.

use crate::world::{Sensor, Setup, World, directory, live, sx1262_at};
use lykta::emulation::Answer;
use lykta::emulation::{Cure, Fault};
use lykta::radio::vigil::Step;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn a_join_whose_answer_is_lost_is_tried_again_by_the_device() {
    let directory = directory();
    let sensor = Sensor::new(1);
    live(async {
        let world = World::single(directory.path(), &sensor).await;
        let mut device = sensor.on(&world.air, 3, 5).await;
        world.air.drop_next_of(world.chips[0].station(), 2);
        device.join_within(40).await.unwrap().expect("it joins in the end");
        assert_eq!(world.tenant.joins.load(Relaxed), 3, "two answers were lost");
        world.stop().await;
    });
}

#[test]
fn a_lost_acknowledgement_costs_a_repetition_and_no_second_message() {
    let directory = directory();
    let sensor = Sensor::new(1);
    live(async {
        let world = World::single(directory.path(), &sensor).await;
        let mut device = sensor.on(&world.air, 3, 5).await;
        device.join_within(40).await.unwrap().expect("it joins in the end");
        for _ in 0..40 {
            device.send(5, b"", false).await.unwrap();
            sleep(Duration::from_secs(30)).await;
        }
        let (accepted, copies) =
            (world.tenant.accepted.load(Relaxed), world.counters.repeats.load(Relaxed));
        world.air.drop_next_of(world.chips[0].station(), 1);
        assert_eq!(device.send(5, b"", true).await.unwrap(), Answer::NoAck);
        let answer = device.send(5, b"", true).await.unwrap();
        assert!(matches!(answer, Answer::Downlink { .. }), "{answer:?}");
        assert!(world.tenant.accepted.load(Relaxed) > accepted);
        assert!(world.counters.repeats.load(Relaxed) >= copies);
        world.stop().await;
    });
}

#[test]
fn a_deaf_radio_is_set_up_again_and_hears() {
    let directory = directory();
    let sensor = Sensor::new(1);
    live(async {
        let setup = Setup::single(sx1262_at(9));
        let world = World::with_fixed(directory.path(), setup, std::slice::from_ref(&sensor));
        sleep(Duration::from_secs(1)).await;
        let abp = sensor.abp();
        let activation = lykta::emulation::Activation::Abp {
            dev_addr: abp.dev_addr,
            nwk_s_key: abp.nwk_s_key,
            app_s_key: abp.app_s_key,
        };
        let mut device =
            lykta::emulation::EndDevice::new(&world.air, &activation, 7).await.unwrap();
        device.set_data_rate(3);
        assert!(device.join().await.unwrap());
        while world.tenant.accepted.load(Relaxed) < 12 {
            device.send(5, b"", false).await.unwrap();
            sleep(Duration::from_secs(600)).await;
        }
        world.chips[0].break_down(Fault::Deaf, Cure::Setup);
        let before = world.tenant.accepted.load(Relaxed);
        // the profile promises one frame an hour
        sleep(Duration::from_secs(20 * 3600)).await;
        assert!(world.steps.lock().unwrap().contains(&Step::Reinit), "{:?}", world.steps);
        while world.tenant.accepted.load(Relaxed) == before {
            device.send(5, b"", false).await.unwrap();
            sleep(Duration::from_secs(600)).await;
        }
        assert!(world.radios[0].reinits.load(Relaxed) >= 1);
        world.stop().await;
    });
}
