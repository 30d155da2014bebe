//! Consent comes first, and what is erased is gone: that a database under a key overwrites what is
//! removed from it is tried where it is kept.

use crate::world::{HOME, World};
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
        assert_eq!(world.remembered(), json!({ "revoked": false, "memory": null }));
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
    assert_eq!(world.remembered(), json!({ "revoked": true, "memory": null }));
    world.start();
    // and it may be given again
    world.command("consent", json!({ "resident": "r1", "given": true }));
    world.lies(true);
    world.until("2026-11-24T05:00:00Z").await;
    assert_eq!(world.checks().len(), 3);
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
