//! Whole nights: each agreed check once, whatever happens, and alarms to whom they are for.

use crate::world::{HOME, MINUTE, World};
use lykta::clock::ClockQuality;
use lykta::store::{RESCUED, Room};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const DAY: i64 = 86_400;
const HOUR: Duration = Duration::from_secs(3600);

/// Nine hours in bed, with what sensors say by themselves each hour.
async fn sleep(world: &mut World, hours: u32) {
    for _ in 0..hours * 2 {
        world.lies(true);
        world.moves(false);
        world.pass(30 * MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_night_confirms_each_check_and_raises_nothing() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    sleep(&mut world, 8).await;
    let confirmed = |at: &str| (format!("2026-11-{at}:00Z"), "confirmed".to_owned());
    assert_eq!(
        world.checks(),
        [confirmed("22T23:00"), confirmed("23T01:30"), confirmed("23T02:00")]
    );
    assert_eq!(world.alarms(), [""; 0]);
    let check = &world.on("/check")[0];
    assert!(check["text"]["sv"].as_str().unwrap().contains("upptagen sedan 22:00"), "{check}");
    assert!(check["because"][0]["en"].as_str().unwrap().starts_with("bed: occupied since"));
    let topics: Vec<_> = world.told().into_iter().map(|(topic, _)| topic).collect();
    assert!(topics.iter().all(|topic| topic == "care/r1/check"), "decisions only: {topics:?}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_bed_is_looked_for_by_one_after_the_other() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    sleep(&mut world, 1).await;
    world.lies(false);
    world.pass(MINUTE).await;
    world.moves(true);
    world.pass(13 * MINUTE).await;
    assert_eq!(world.alarms(), [""; 0]);
    world.pass(MINUTE).await;
    assert_eq!(world.alarms(), ["alarm up primary"]);
    let alarm = world.on("/alarm").remove(0);
    let scaip = &alarm["scaip"];
    assert_eq!(
        [&scaip["controllerId"], &scaip["deviceType"], &scaip["statusCode"], &scaip["location"]],
        ["gw-1", "motion", "bed_absence", "r1"]
    );
    world.pass(2 * MINUTE).await;
    world.start();
    world.pass(2 * MINUTE).await;
    world.start();
    assert_eq!(
        world.calls(),
        ["alarm up primary", "alarm up secondary", "alarm up patrol_lead"],
        "a restart skips nobody, and tells nobody twice"
    );
    let calls = world.on("/alarm").into_iter().filter(|body| body["kind"] == "alarm");
    let numbers: Vec<_> = calls.map(|body| body["call"]["number"].clone()).collect();
    assert_eq!(numbers, [0, 1, 2]);
    // back in bed, and it is over for all who were told
    world.lies(true);
    world.pass(5 * MINUTE).await;
    assert_eq!(world.alarms().last().unwrap(), "cleared up primary,secondary,patrol_lead");
    world.pass(30 * MINUTE).await;
    assert_eq!(world.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_silent_sensor_is_a_fault_and_the_patrol_goes() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    sleep(&mut world, 2).await;
    // the bed falls silent: its heartbeat is an hour
    for _ in 0..30 {
        world.moves(false);
        world.pass(30 * MINUTE).await;
    }
    let checks = world.checks();
    assert_eq!(checks.len(), 3, "{checks:?}");
    assert!(checks.iter().all(|(_, result)| result == "fault"), "{checks:?}");
    let alarms = world.alarms();
    assert!(alarms.contains(&"fault supervision".to_owned()), "{alarms:?}");
    assert!(alarms.contains(&"alarm night patrol_lead".to_owned()), "{alarms:?}");
}

#[tokio::test(start_paused = true)]
async fn each_check_is_answered_once_over_any_number_of_deaths() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new("2026-11-22T21:00:00Z");
        for _ in 0..60 {
            world.lies(true);
            world.moves(false);
            world.pass(random.u32(1..9) * MINUTE).await;
            // also between what was heard and its write
            if random.bool() {
                world.lies(true);
            }
            world.start();
        }
        world.until("2026-11-23T06:00:00Z").await;
        let times = times(&world);
        assert_eq!(times.into_values().collect::<Vec<_>>(), [1, 1, 1], "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_nights_in_which_clocks_are_changed() {
    for begin in ["2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"] {
        let mut world = World::new(begin);
        sleep(&mut world, 10).await;
        let results: Vec<_> = world.checks().into_iter().map(|(_, result)| result).collect();
        assert_eq!(results, ["confirmed"; 3], "{begin}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_loses_no_check_and_asks_none_twice() {
    for by in [3600, -3600, 30 * DAY, -30 * DAY] {
        let mut world = World::new("2026-11-22T21:00:00Z");
        sleep(&mut world, 4).await;
        world.set_clock(by);
        sleep(&mut world, 28).await;
        let times = times(&world);
        assert!(times.values().all(|n| *n == 1), "{by}: {times:?}");
        assert!(times.len() >= 4, "{by}: {times:?}");
        let raised = world.alarms().into_iter().filter(|line| line.starts_with("alarm up"));
        assert_eq!(raised.count(), 0, "{by}: a jump is no absence");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_know_the_time_says_so() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    sleep(&mut world, 1).await;
    // nobody to ask any more: it goes on well
    world.trust_clock(ClockQuality::Unsynced);
    sleep(&mut world, 2).await;
    assert_eq!(world.checks().last().unwrap().1, "confirmed");
    // and somebody has set it wrong
    world.set_clock(-600);
    sleep(&mut world, 4).await;
    assert!(world.alarms().contains(&"fault clock".to_owned()));
    assert_eq!(world.checks().last().unwrap().1, "fault");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_after_a_power_cut_makes_no_sensor_mute() {
    let mut world = World::new("2026-11-22T22:00:00Z");
    sleep(&mut world, 1).await;
    world.lies(true);
    world.pass(9 * MINUTE).await;
    world.lies(true);
    // to the disk, and the time is not noted with it
    world.pass(MINUTE).await;
    // without a clock of its own it goes on from when the time was noted last, ten minutes ago
    world.start_with_clock(-3600, ClockQuality::Unsynced);
    world.lies(false);
    world.pass(MINUTE).await;
    world.moves(true);
    world.pass(15 * MINUTE).await;
    assert!(world.alarms().contains(&"fault clock".to_owned()));
    assert!(world.alarms().contains(&"alarm up primary".to_owned()), "{:?}", world.alarms());
    // and the time that is set then is everybody's
    world.start_with_clock(1800, ClockQuality::Synced);
    sleep(&mut world, 4).await;
    assert_eq!(world.checks().last().unwrap().1, "confirmed");
}

#[tokio::test(start_paused = true)]
async fn while_the_radio_is_deaf_no_sensor_is_broken_and_nothing_is_fine() {
    let mut world = World::new("2026-11-22T18:00:00Z");
    sleep(&mut world, 4).await;
    // a moment is no more than frames that are lost on the air
    world.hears.store(false, Relaxed);
    world.pass(MINUTE / 2).await;
    world.hears.store(true, Relaxed);
    world.pass(MINUTE).await;
    assert_eq!(world.alarms(), [""; 0]);
    world.hears.store(false, Relaxed);
    world.pass(8 * HOUR).await;
    assert_eq!(world.alarms()[0], "fault gateway", "at once, and not when sensors are missed");
    let results: Vec<_> = world.checks().into_iter().map(|(_, result)| result).collect();
    assert_eq!(results, ["fault"; 3]);
    let because = world.on("/check")[0]["because"].to_string();
    assert!(because.contains("the gateway hears nothing since"), "{because}");
    let broken = |world: &World| world.alarms().iter().any(|line| line.contains("supervision"));
    assert!(!broken(&world), "{:?}", world.alarms());
    // also over a restart
    world.start();
    world.hears.store(true, Relaxed);
    world.pass(2 * MINUTE).await;
    assert!(world.alarms().contains(&"cleared gateway".to_owned()), "{:?}", world.alarms());
    sleep(&mut world, 22).await;
    assert!(!broken(&world), "{:?}", world.alarms());
    assert_eq!(world.checks().last().unwrap().1, "confirmed");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cries_for_nothing_says_so_and_what_would_have_been_better() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    for _ in 0..2 {
        world.is_up_for(16).await;
        world.lies(true);
        world.pass(10 * MINUTE).await;
        world.start();
    }
    let over = |world: &World| {
        let alarms = world.on("r1/alarm").into_iter();
        alarms.filter(|body| body["kind"] == "cleared" && body["rule"] == "up").collect::<Vec<_>>()
    };
    let accounts: Vec<_> = over(&world).iter().map(|body| body["account"].clone()).collect();
    assert_eq!(accounts[0], json!({ "alarms": 1, "overByThemselves": 1 }));
    assert_eq!(
        accounts[1],
        json!({
            "alarms": 2,
            "overByThemselves": 2,
            "suggestion": { "after": "18m", "saves": 2 },
        })
    );
    // one that somebody has gone to is none of these
    world.is_up_for(16).await;
    world.command("staff", json!({ "resident": "r1", "present": true }));
    let counts = world.counters.of_care();
    assert_eq!((counts.raised, counts.over_by_themselves, counts.alarms), (3, 2, 0));
}

/// What came of the checks, and how often the patrol was sent for them.
fn answered(world: &World) -> (Vec<(String, String)>, usize) {
    let sent = world.calls().into_iter().filter(|call| call == "alarm night patrol_lead").count();
    (world.checks(), sent)
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_begun_is_answered_whatever_is_agreed_then() {
    let others = [
        HOME.replace("\"00:00\", \"02:30\", \"03:00\"", "\"05:00\""),
        HOME.replace("id = \"night\"", "id = \"rounds\""),
        HOME[..HOME.find("[[resident.check]]").unwrap()].to_owned(),
    ];
    for home in others {
        let mut world = World::new("2026-11-22T21:00:00Z");
        world.until("2026-11-22T23:05:00Z").await;
        assert_eq!(answered(&world), (vec![], 0), "it waits for its second look");
        world.agrees(&home);
        world.start();
        let (checks, sent) = answered(&world);
        assert_eq!(checks, [("2026-11-22T23:00:00Z".to_owned(), "fault".to_owned())]);
        assert_eq!(sent, 1, "somebody looks");
        world.start();
        world.pass(30 * MINUTE).await;
        assert_eq!(world.checks(), checks, "once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_begun_is_answered_whatever_becomes_of_consent() {
    for given in [false, true] {
        let mut world = World::new("2026-11-22T21:00:00Z");
        world.until("2026-11-22T23:05:00Z").await;
        // nobody knows any more whether it was withdrawn
        world.is_changed(Room::Consent, "r1", "");
        world.is_changed(Room::Consent, RESCUED, "{}");
        world.start();
        assert_eq!(world.alarms().last().unwrap(), "fault consent");
        if given {
            world.command("consent", json!({ "resident": "r1", "given": true }));
        }
        world.pass(30 * MINUTE).await;
        let fault = ("2026-11-22T23:00:00Z".to_owned(), "fault".to_owned());
        assert_eq!(world.checks(), [fault], "consent given: {given}");
    }
}

/// Somebody sets the clock, while it runs or while it is off.
fn sets(world: &mut World, by: i64, while_off: bool) {
    match while_off {
        true => world.start_with_clock(by, ClockQuality::Synced),
        false => world.set_clock(by),
    }
}

/// How often each agreed time was answered.
fn times(world: &World) -> BTreeMap<String, u32> {
    let mut times = BTreeMap::new();
    world.checks().into_iter().for_each(|(at, _)| *times.entry(at).or_insert(0) += 1);
    times
}

#[tokio::test(start_paused = true)]
async fn a_check_that_has_begun_is_answered_whatever_the_clock_says_then() {
    for by in [3600, -3600, 30 * DAY, -30 * DAY] {
        for dies in [false, true] {
            let mut world = World::new("2026-11-22T21:00:00Z");
            world.until("2026-11-22T23:05:00Z").await;
            assert_eq!(world.checks(), [], "it waits for its second look");
            sets(&mut world, by, dies);
            world.pass(30 * MINUTE).await;
            let begun = times(&world).remove("2026-11-22T23:00:00Z");
            assert_eq!(begun, Some(1), "{by} {dies}: {:?}", world.checks());
            world.pass(24 * HOUR).await;
            let times = times(&world);
            assert!(times.values().all(|n| *n == 1), "{by} {dies}: {times:?}");
            assert!(times.len() >= 3, "{by} {dies}: {times:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_by_days_loses_no_check_of_the_night() {
    for dies in [false, true] {
        let mut world = World::new("2026-11-22T21:00:00Z");
        sets(&mut world, -20 * DAY, dies);
        world.pass(8 * HOUR).await;
        assert_eq!(times(&world).len(), 3, "{dies}: {:?}", world.checks());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_for_a_moment_asks_no_check_of_before_again() {
    for dies in [false, true] {
        let mut world = World::new("2026-11-22T21:00:00Z");
        world.until("2026-11-23T06:00:00Z").await;
        let before = world.checks();
        assert_eq!(before.len(), 3);
        world.set_clock(-30 * DAY);
        world.pass(MINUTE).await;
        sets(&mut world, 30 * DAY, dies);
        assert_eq!(world.checks(), before, "{dies}");
        // and goes on
        world.pass(24 * HOUR).await;
        assert_eq!(times(&world).len(), 6, "{dies}: {:?}", world.checks());
    }
}

#[tokio::test(start_paused = true)]
async fn where_consent_is_lost_a_clock_that_is_behind_silences_no_check() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.until("2026-11-23T06:00:00Z").await;
    let before = times(&world).len();
    world.is_changed(Room::Consent, "r1", "");
    world.is_changed(Room::Consent, RESCUED, "{}");
    world.start_with_clock(-30 * DAY, ClockQuality::Synced);
    world.pass(24 * HOUR).await;
    assert_eq!(times(&world).len(), before + 3, "{:?}", world.checks());
}
