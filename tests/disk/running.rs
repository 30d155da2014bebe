//! The shipped program on a disk that fails it.

use crate::shelf::companion;
use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, wait_until};
use std::collections::BTreeSet;
use std::process::Command;

pub fn tenant(id: &str, broker: &Broker) -> String {
    format!(
        "[[tenant]]\nid = \"{id}\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n\
         reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\n",
        broker.url()
    )
}

/// Its messages of devices, by id.
pub fn ids(cloud: &Subscriber, tenant: &str) -> BTreeSet<String> {
    let topic = format!("/{tenant}/device/");
    let all = cloud.received().into_iter().filter(|message| message.topic.contains(&topic));
    all.map(|message| message.body["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_damaged_database_holds_up_nobody_and_loses_nothing_that_is_whole() {
    const FRAMES: u32 = 30;
    let mut broker = Broker::start();
    let (one, other) = (Sensor::new(1), Sensor::new(2));
    let configuration = format!(
        "{}{}{}{}",
        tenant("waste", &broker),
        tenant("other", &broker),
        one.table("waste"),
        other.table("other")
    );
    broker.kill();
    let mut lykta = Lykta::configured(&configuration);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    for n in 1..=FRAMES {
        concentrator.forward(&[one.level(n, 50, 4), other.level(n, 50, 4)]);
    }
    wait_until("all is kept", || {
        ["waste", "other"].iter().all(|tenant| {
            lykta::store::Outbox::open(&lykta.database(tenant)).unwrap().waiting()
                >= 2 * u64::from(FRAMES)
        })
    });
    lykta.stop();
    // the first page, without which SQLite finds nothing
    let file = lykta.database("waste");
    std::fs::remove_file(companion(&file, "-wal")).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..512].fill(0xff);
    std::fs::write(&file, bytes).unwrap();

    // who is subscribed too late is sent nothing again
    broker.restart();
    let cloud = Subscriber::start(&broker, &[]);
    lykta.spawn();
    let told = lykta.wait_for_notification("READY=1");
    assert!(told.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")), "{told:?}");
    lykta.wait_for_log("the database of tenant waste was damaged");
    wait_until("the alarm is there", || !cloud.on("/waste/gateway/alarm").is_empty());
    let alarm = &cloud.on("/waste/gateway/alarm")[0].body;
    assert_eq!((&alarm["kind"], &alarm["class"]), (&"databaseSetAside".into(), &"alarm".into()));
    assert_eq!(alarm["saved"]["measurement"], 2 * FRAMES);
    assert!(cloud.on("/other/gateway/alarm").is_empty());
    // both are heard as ever, from where they were
    concentrator.forward(&[one.level(FRAMES, 50, 4), other.level(FRAMES, 50, 4)]);
    concentrator.forward(&[one.level(FRAMES + 1, 50, 4), other.level(FRAMES + 1, 50, 4)]);
    for id in ["waste", "other"] {
        wait_until("the new uplink is there", || {
            let last = |m: &crate::support::Received| {
                m.topic.contains(&format!("/{id}/device/")) && m.body["fCnt"] == FRAMES + 1
            };
            cloud.received().iter().any(last)
        });
        assert_eq!(lykta.accepted_by(id).into_values().next(), Some(FRAMES + 1));
    }
    let status = lykta.stop();
    assert!(status.success(), "{status}");
}

#[test]
fn a_disk_that_takes_nothing_stops_no_alarm_and_all_goes_on_when_it_does() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let mut lykta =
        Lykta::configured(&format!("{}{}", tenant("waste", &broker), sensor.table("waste")));
    // a write beyond a limit shall be an error, as of a disk, and no signal
    let run = lykta.command();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(run.get_program());
    command.args(run.get_args()).stderr(std::process::Stdio::piped());
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    lykta.spawn_as(command);
    lykta.wait_for_notification("READY=1");
    let limit = |lykta: &Lykta, size: &str| {
        let pid = lykta.id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &pid, size]).status();
        assert!(limited.unwrap().success());
    };
    let mut concentrator = Concentrator::new(1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 50, 4)]);
    wait_until("the first is there", || ids(&cloud, "waste").len() == 2);

    limit(&lykta, "--fsize=0:unlimited");
    concentrator.forward(&[sensor.level(2, 60, 4)]);
    lykta.wait_for_log("uplinks of tenant waste cannot be kept");
    // the disk still takes nothing
    wait_until("the alarm is there", || !cloud.on("gateway/alarm").is_empty());
    let alarm = cloud.on("gateway/alarm").remove(0);
    assert_eq!(alarm.body["kind"], "diskFails");
    assert_eq!(alarm.body["lost"], 1);
    assert_eq!(ids(&cloud, "waste").len(), 2);

    limit(&lykta, "--fsize=unlimited:unlimited");
    lykta.wait_for_log("the disk takes the uplinks of tenant waste again");
    // its frame was taken back: a repetition is welcome
    concentrator.forward(&[sensor.level(2, 60, 4)]);
    wait_until("the second is there", || ids(&cloud, "waste").len() == 4);
    let status = lykta.stop();
    assert!(status.success(), "{status}");
    let alarms: BTreeSet<_> =
        cloud.on("gateway/alarm").iter().map(|alarm| alarm.body["id"].to_string()).collect();
    assert_eq!(alarms.len(), 1, "however often it went out, it has one id");
    assert_eq!(lykta.log().iter().filter(|line| line.contains("cannot be kept")).count(), 1);
}

#[test]
fn damage_is_told_once_also_if_another_tenant_keeps_lykta_from_starting() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let tenants = ["waste", "other"].map(|id| tenant(id, &broker)).concat();
    let mut lykta = Lykta::configured(&(tenants + &sensor.table("waste")));
    lykta.restart();
    lykta.stop();
    std::fs::write(lykta.database("waste"), "no database any more").unwrap();
    std::fs::remove_file(companion(&lykta.database("waste"), "-wal")).unwrap();
    let files = ["other", "other.sessions"].map(|name| lykta.database(name));
    let set_version = |version| {
        let before = files.each_ref().map(|file| {
            let other = rusqlite::Connection::open(file).unwrap();
            let before = other.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            other.pragma_update(None, "user_version", version).unwrap();
            before
        });
        before[0]
    };
    let known: i64 = set_version(99);
    lykta.spawn();
    assert_eq!(lykta.wait().code(), Some(74));
    lykta.wait_for_log("written by a newer lykta");
    set_version(known);

    // one that was not acknowledged in time comes twice, under the same id
    let alarms = || {
        let alarms = cloud.on("/waste/gateway/alarm").into_iter();
        alarms.map(|alarm| alarm.body["id"].to_string()).collect::<BTreeSet<_>>().len()
    };
    let said = |state: &str| {
        let states = cloud.on("/waste/state").into_iter();
        states.filter(|said| said.body["state"] == state).count()
    };
    lykta.restart();
    lykta.wait_for_log("the database of tenant waste was damaged");
    wait_until("the alarm is there", || alarms() == 1);
    lykta.stop();
    let before = said("online");
    lykta.restart();
    wait_until("lykta is online again", || said("online") > before);
    let before = said("offline");
    lykta.stop();
    // behind all that it had to say
    wait_until("its goodbye is there", || said("offline") > before);
    assert_eq!(alarms(), 1, "once");
}
