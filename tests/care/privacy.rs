//! Consent comes first, and what is erased is gone.

use crate::world::{HOME, World};
use serde_json::json;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What is remembered of the resident, as it lies on the disk.
fn remembered_whole(world: &World) -> Vec<u8> {
    let file = world.directory.path().join("care.db");
    let db = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT body FROM remembered WHERE room = 4 AND key = 'r1'";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Parts of it, each short enough to be in one page.
fn remembered(world: &World) -> Vec<Vec<u8>> {
    remembered_whole(world).chunks_exact(20).map(<[u8]>::to_vec).collect()
}

/// The files of the directory of state that have one of these.
fn has(world: &World, patterns: &[Vec<u8>]) -> Vec<String> {
    let files = std::fs::read_dir(world.directory.path()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| !file.ends_with("lykta.toml"));
    let found = files.filter(|file| {
        let bytes = std::fs::read(file).unwrap();
        let has = |pattern: &Vec<u8>| bytes.windows(pattern.len()).any(|window| window == pattern);
        patterns.iter().any(has)
    });
    found.map(|file| file.display().to_string()).collect()
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
        let file = world.directory.path().join("care.db");
        let db = rusqlite::Connection::open(file).unwrap();
        let sql = "SELECT count(*) FROM recent WHERE room = 4";
        assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(0));
        assert!(remembered_whole(&world).len() < 40, "no word of any sensor");
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
    let known = remembered(&world);
    assert_ne!(has(&world, &known), [""; 0], "there is something to erase");
    let reply = world.command("consent", json!({ "resident": "r1", "given": false }));
    assert_eq!(reply["result"]["given"], false);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(has(&world, &known), [""; 0]);
    assert_eq!(world.alarms().last().unwrap(), "warning consent", "staff knows");
    // neither a restart nor a frame brings it back
    world.start();
    let told = world.told().len();
    world.lies(true);
    world.until("2026-11-23T05:00:00Z").await;
    assert_eq!(world.told().len(), told);
    assert_eq!(world.counters.unheeded.load(Relaxed), 1);
    assert_eq!(has(&world, &known), [""; 0]);
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
    let first = remembered(&world);
    assert_ne!(has(&world, &first), [""; 0], "there is something to erase");
    for _ in 0..3 {
        world.pass(Duration::from_secs(1800)).await;
        world.lies(false);
    }
    world.pass(Duration::from_secs(3600)).await;
    let now = remembered_whole(&world);
    let superseded: Vec<_> =
        first.into_iter().filter(|part| !now.windows(part.len()).any(|w| w == part)).collect();
    assert!(!superseded.is_empty());
    assert_eq!(has(&world, &superseded), [""; 0]);
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
