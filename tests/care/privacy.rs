//! Consent comes first, and what is erased is gone: that a database under a key overwrites what is
//! removed from it is tried where it is kept.

use crate::support::{database, store_key};
use crate::world::{HOME, MINUTE, World};
use lykta::clock::Clock;
use lykta::store::Store;
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Whether the log is cut off within this time: other things are written into it, too.
async fn is_gone_within(world: &mut World, time: Duration) -> bool {
    for _ in 0..time.as_secs() {
        world.pass(Duration::from_secs(1)).await;
        if world.log() == 0 {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn without_consent_frames_are_counted_and_nothing_else() {
    for home in [
        HOME.replace("consent = true", "consent = false"),
        HOME.replace("consent = true", "consent = true\ncohabitant_consent = false"),
    ] {
        let mut world = World::with("2026-11-22T21:00:00Z", &home);
        for _ in 0..20 {
            world.lies(true);
            let bed = world.bed.clone();
            world.say(&bed, 6, b"not to be read");
            world.pass(Duration::from_secs(1800)).await;
        }
        assert_eq!(world.counters.unheeded.load(Relaxed), 40);
        assert_eq!(world.counters.not_decoded.load(Relaxed), 0, "it is not even read");
        assert_eq!(world.told(), []);
        let reply = world.command("consent", json!({ "resident": "r1", "given": true }));
        assert_eq!(reply["error"]["code"], "not_supported", "{reply}");
        world.stop();
        assert_eq!(world.remembered(), json!({ "memory": null, "ledger": { "rules": {} } }));
    }
}

#[tokio::test(start_paused = true)]
async fn consent_that_is_withdrawn_leaves_no_byte_behind() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    for _ in 0..200 {
        world.lies(fastrand::bool());
        world.moves(fastrand::bool());
        world.pass(Duration::from_secs(60)).await;
    }
    assert!(world.log() > 0, "there is something to erase");
    let reply = world.command("consent", json!({ "resident": "r1", "given": false }));
    assert_eq!(reply["result"]["given"], false);
    assert!(is_gone_within(&mut world, Duration::from_secs(60)).await);
    assert_eq!(world.alarms().last().unwrap(), "warning consent", "staff knows");
    // neither a restart nor a frame brings it back
    world.start();
    let told = world.told().len();
    world.lies(true);
    world.until("2026-11-23T05:00:00Z").await;
    assert_eq!(world.told().len(), told);
    assert_eq!(world.counters.unheeded.load(Relaxed), 1);
    world.stop();
    assert_eq!(world.remembered(), json!({ "memory": null, "ledger": { "rules": {} } }));
    world.start();
    // and it may be given again
    world.command("consent", json!({ "resident": "r1", "given": true }));
    world.lies(true);
    world.until("2026-11-24T05:00:00Z").await;
    assert_eq!(world.checks().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_second_file_has_missed_is_written_to_it_when_it_works_again() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    world.lies(true);
    world.pass(MINUTE).await;
    world.refuse_in("care.sessions.db", true);
    world.command("consent", json!({ "resident": "r1", "given": false }));
    assert!(world.counters.copy_fails.load(Relaxed));
    world.refuse_in("care.sessions.db", false);
    for _ in 0..12 {
        world.lies(true);
        world.pass(MINUTE).await;
    }
    assert!(!world.counters.copy_fails.load(Relaxed));
    world.forgets().await;
    world.start();
    world.lies(true);
    assert_eq!(world.counters.unheeded.load(Relaxed), 1, "it is withdrawn still");
}

/// What was set aside of the database.
fn asides(world: &World) -> usize {
    let names = std::fs::read_dir(world.directory.path()).unwrap();
    names
        .filter(|name| name.as_ref().unwrap().path().display().to_string().contains(".damaged-"))
        .count()
}

#[tokio::test(start_paused = true)]
async fn what_was_set_aside_is_erased_with_the_rest() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    world.lies(true);
    world.forgets().await;
    world.read_outbox();
    assert!(asides(&world) > 0, "there is something to erase");
    world.command("consent", json!({ "resident": "r1", "given": false }));
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(asides(&world), 0);
    // nor does what a start sets aside outlive its time
    world.forgets().await;
    world.start();
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(asides(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn damage_gives_no_consent_back() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    world.lies(true);
    world.command("consent", json!({ "resident": "r1", "given": false }));
    world.forgets().await;
    for lost in ["", "the file"] {
        world.die();
        if !lost.is_empty() {
            world.loses("care.db");
        }
        world.start();
        let before = world.told().len();
        world.lies(true);
        assert_eq!(world.counters.unheeded.load(Relaxed), 1, "{lost}");
        assert_eq!(world.told().len(), before, "{lost}");
        world.pass(Duration::from_secs(60)).await;
    }
    let reply = world.command("consent", json!({ "resident": "r1", "given": true }));
    assert_eq!(reply["result"]["read"], true, "{reply}");
    world.lies(true);
    // what is given again outlives damage as well
    world.forgets().await;
    world.start();
    world.lies(true);
    assert_eq!(world.counters.unheeded.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_knows_of_consent_any_more_nothing_is_read_and_each_check_is_a_fault() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    world.lies(true);
    world.command("consent", json!({ "resident": "r1", "given": false }));
    world.forgets().await;
    world.die();
    world.loses("care.sessions.db");
    // the power fails once more when the file is mended and before anything else is done
    drop(Store::open(database(&world.file(), Some(&store_key(1))), &Clock::system()).unwrap());
    for _ in 0..2 {
        world.start();
        world.lies(true);
        world.moves(true);
        assert_eq!(world.counters.unheeded.load(Relaxed), 2);
        world.pass(Duration::from_secs(60)).await;
    }
    world.until("2026-11-23T00:10:00Z").await;
    world.start();
    world.until("2026-11-23T05:00:00Z").await;
    let results: Vec<_> = world.checks().into_iter().map(|(_, result)| result).collect();
    assert_eq!(results, ["fault"; 3]);
    let alarms = world.alarms();
    assert!(alarms.contains(&"fault consent".to_owned()), "{alarms:?}");
    assert!(alarms.contains(&"alarm night patrol_lead".to_owned()), "{alarms:?}");
    assert!(!alarms.iter().any(|line| line.contains("supervision")), "{alarms:?}");
    let reply = world.command("consent", json!({ "resident": "r1", "given": true }));
    assert_eq!(reply["result"]["read"], true, "{reply}");
    world.start();
    world.lies(true);
    assert_eq!(world.counters.unheeded.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn who_lives_there_too_is_asked_as_well() {
    let home = HOME.replace("consent = true", "consent = true\ncohabitant_consent = true");
    let mut world = World::with("2026-11-22T12:00:00Z", &home);
    let say = |world: &mut World, who: &str, given: bool, read: bool| {
        let reply =
            world.command("consent", json!({ "resident": "r1", "who": who, "given": given }));
        assert_eq!(reply["result"]["read"], read, "{who} {given}");
        let before = world.counters.unheeded.load(Relaxed);
        world.lies(true);
        assert_eq!(world.counters.unheeded.load(Relaxed) - before, u64::from(!read));
    };
    say(&mut world, "cohabitant", false, false);
    say(&mut world, "resident", false, false);
    say(&mut world, "cohabitant", true, false);
    world.start();
    say(&mut world, "cohabitant", true, false);
    say(&mut world, "resident", true, true);
    let warnings = world.alarms().into_iter().filter(|line| line == "warning consent").count();
    assert_eq!(warnings, 2, "staff is told when it changes");
}

#[tokio::test(start_paused = true)]
async fn what_was_superseded_is_gone_after_its_time() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    world.lies(true);
    world.pass(Duration::from_secs(60)).await;
    assert!(world.log() > 0, "there is something to erase");
    // nothing is heard, and nothing else is written meanwhile
    assert!(is_gone_within(&mut world, Duration::from_secs(3600)).await);
}

#[test]
fn a_social_alarm_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let bed = crate::support::Sensor { profile: "netvox-r718j", ..crate::support::Sensor::new(1) };
    let text = format!(
        "gateway = \"gw-1\"\nstate_dir = {:?}\n[[tenant]]\nid = \"care\"\nkind = \"care\"\n{}\
         [tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n{}resident = \"r1\"\n\
         sensor = \"pendant\"\n[[resident]]\nid = \"r1\"\nconsent = true\n",
        directory.path(),
        crate::support::care_key(directory.path()),
        bed.table("care")
    );
    let file = directory.path().join("lykta.toml");
    std::fs::write(&file, text).unwrap();
    let problems = lykta::config::load_with(Some(&file), []).unwrap_err().to_string();
    assert!(problems.contains("lykta is no social alarm, and takes none"), "{problems}");
}

#[tokio::test(start_paused = true)]
async fn alarms_are_over_when_a_start_finds_no_consent_in_the_settings() {
    let mut world = World::new("2026-11-22T21:00:00Z");
    world.is_up_for(15).await;
    world.agrees(&HOME.replace("consent = true", "consent = false"));
    for _ in 0..2 {
        world.start();
        world.pass(10 * MINUTE).await;
        let told = ["alarm up primary", "cleared up primary", "warning consent"];
        assert_eq!(world.alarms(), told, "once");
    }
    assert_eq!(world.counters.of_care().alarms, 0);
}
