//! The configuration read again while frames come in.

use crate::support::{Broker, Concentrator, Forwarder, Lykta, Sensor, Subscriber, wait_until};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const RELOADS: usize = 50;

/// Reloads, and waits for the end of it, as the service manager does.
fn reload(lykta: &Lykta) {
    lykta.drain_notifications();
    lykta.signal("HUP");
    let mut seen = lykta.wait_for_notification("RELOADING=1");
    let is_time = |line: &String| {
        let time = line.strip_prefix("MONOTONIC_USEC=");
        time.is_some_and(|time| time.parse::<u64>().is_ok_and(|time| time > 0))
    };
    assert!(seen.iter().any(is_time), "{seen:?}");
    seen = lykta.wait_for_notification("READY=1");
    assert!(seen.iter().any(|line| line.starts_with("STATUS=")), "{seen:?}");
}

/// Writes these devices, besides those of the main file.
fn write(lykta: &Lykta, text: &str) {
    let file = lykta.path().join("devices.d/more.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, owner_only).unwrap();
}

/// How often each frame arrived, by device and counter.
fn arrived(cloud: &Subscriber) -> BTreeMap<(String, u64), usize> {
    let mut all = BTreeMap::new();
    for up in cloud.on("/event/up") {
        let device = up.body["deviceInfo"]["devEui"].as_str().unwrap().to_owned();
        *all.entry((device, up.body["fCnt"].as_u64().unwrap())).or_default() += 1;
    }
    all
}

fn lines(lykta: &Lykta, part: &str) -> usize {
    lykta.log().iter().filter(|line| line.contains(part)).count()
}

#[test]
fn fifty_reloads_lose_no_frame_and_double_none() {
    let sensors: Vec<_> = (1..=8).map(Sensor::new).collect();
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let lykta = Lykta::start(&broker, "", &sensors);
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(Mutex::new(0));
    let field = {
        let (mut air, over, sent) =
            (Concentrator::new(1, lykta.udp), Arc::clone(&over), Arc::clone(&sent));
        std::thread::spawn(move || {
            while !over.load(Relaxed) {
                let f_cnt = *sent.lock().unwrap() + 1;
                let frames: Vec<_> = sensors.iter().map(|s| s.level(f_cnt, 80, 20)).collect();
                air.forward(&frames);
                *sent.lock().unwrap() = f_cnt;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        })
    };
    // each time another list, so that each time something changes
    let strangers: Vec<_> = (20..23).map(Sensor::new).collect();
    for n in 0..RELOADS {
        let before = *sent.lock().unwrap();
        let more: String = strangers[..n % 4].iter().map(|s| s.table("waste")).collect();
        write(&lykta, &more);
        reload(&lykta);
        wait_until("frames come in", || *sent.lock().unwrap() > before);
    }
    over.store(true, Relaxed);
    field.join().unwrap();
    let frames = *sent.lock().unwrap() as usize * 8;
    wait_until("all have arrived", || arrived(&cloud).len() == frames);
    assert!(arrived(&cloud).values().all(|times| *times == 1), "{:?}", arrived(&cloud));
    // each is an answer to somebody
    wait_until("it is told", || lines(&lykta, "read again and holds: ") == RELOADS);
    assert_eq!(lines(&lykta, " WARN ") + lines(&lykta, " ERROR "), 0, "{:?}", lykta.log());
}

#[test]
fn a_new_device_is_heard_and_one_that_was_removed_is_not() {
    let (stays, comes) = (Sensor::new(1), Sensor::new(2));
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let lykta = Lykta::start(&broker, "", std::slice::from_ref(&stays));
    let mut air = Concentrator::new(1, lykta.udp);
    air.forward(&[comes.level(1, 80, 20)]);
    air.forward(&[stays.level(1, 80, 20)]);
    let count = |device: &Sensor| {
        let eui = device.dev_eui.to_string();
        arrived(&cloud).into_keys().filter(|(known, _)| *known == eui).count()
    };

    wait_until("both were listened to", || count(&stays) == 1);

    write(&lykta, &comes.table("waste"));
    reload(&lykta);
    air.forward(&[comes.level(2, 80, 20)]);
    air.forward(&[comes.level(3, 80, 20)]);
    wait_until("the new one is heard", || count(&comes) == 2);

    write(&lykta, "");
    reload(&lykta);
    air.forward(&[comes.level(4, 80, 20)]);
    air.forward(&[stays.level(2, 80, 20)]);
    wait_until("the other is heard", || count(&stays) == 2);
    assert_eq!(count(&comes), 2, "one that is not ours any more");

    // it is back, and what it said before it went is still the past
    write(&lykta, &comes.table("waste"));
    reload(&lykta);
    air.forward(&[comes.level(3, 80, 20)]);
    air.forward(&[comes.level(5, 80, 20)]);
    wait_until("it is heard again", || count(&comes) == 3);
    assert_eq!(arrived(&cloud).into_keys().map(|(_, f_cnt)| f_cnt).max(), Some(5));
    assert!(arrived(&cloud).values().all(|times| *times == 1));
}

#[test]
fn a_profile_that_needs_a_script_finds_somebody_who_runs_it() {
    let sensor = Sensor { profile: "yard", ..Sensor::new(1) };
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let lykta = Lykta::start(&broker, "", &[]);
    let install = |says: &str| {
        let script = format!("function decodeUplink(i) {{ return {{ data: {{ t: {says} }} }} }}");
        let profile = format!(
            "name = \"yard\"\nvendor = \"Us\"\nmodel = \"One\"\ncodec = \"yard.js\"\nsha256 = \"{}\"\n\
             heartbeat = \"1h\"\n[[reading]]\noutput = \"t\"\nquantity = \"temperature\"\n",
            hex::encode(Sha256::digest(&script))
        );
        for (directory, file, text) in
            [("profiles", "yard.toml", &profile), ("codecs", "yard.js", &script)]
        {
            let directory = lykta.path().join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(file), text).unwrap();
        }
        reload(&lykta);
    };
    write(&lykta, &sensor.table("waste"));
    install("i.bytes[0]");
    let mut air = Concentrator::new(1, lykta.udp);
    air.forward(&[sensor.uplink(1, 2, &[21])]);
    wait_until("it is decoded", || cloud.on("/readings").len() == 1);
    install("i.bytes[0] + 1");
    air.forward(&[sensor.uplink(2, 2, &[21])]);
    wait_until("it is decoded again", || cloud.on("/readings").len() == 2);
    let values: Vec<_> =
        cloud.on("/readings").iter().map(|r| r.body["readings"][0]["value"].clone()).collect();
    assert_eq!(values, [json!(21.0), json!(22.0)], "{:?}", cloud.on("/readings"));
}

#[test]
fn what_is_wrong_or_fixed_is_named_and_changes_nothing() {
    let sensor = Sensor::new(1);
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut air = Concentrator::new(1, lykta.udp);
    let file = lykta.path().join("lykta.toml");
    let good = fs::read_to_string(&file).unwrap();

    for (n, (from, to, why)) in [
        ("[[tenant]]", "[[tennant]]", "did you mean `tenant`?"),
        (
            "commit_interval = \"0s\"",
            "commit_interval = \"1s\"",
            "needs a restart: store.commit_interval",
        ),
        (
            "backlog_rate = 0",
            "backlog_rate = 9",
            "needs a restart: tenant waste: upstream.backlog_rate",
        ),
        ("gateway = \"gw-1\"", "gateway = \"gw-2\"", "needs a restart: gateway"),
    ]
    .into_iter()
    .enumerate()
    {
        // with something that could hold: all of it does, or nothing
        write(&lykta, &Sensor::new(2).table("waste"));
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        reload(&lykta);
        let refused = "ERROR the configuration was read again and does not hold";
        wait_until("it is told", || lines(&lykta, refused) == n + 1);
        lykta.wait_for_log(why);
        let f_cnt = n as u32 + 1;
        air.forward(&[Sensor::new(2).level(f_cnt, 80, 20), sensor.level(f_cnt, 80, 20)]);
        wait_until("frames come in as before", || arrived(&cloud).len() == n + 1);
    }
    for secret in [sensor.nwk_s_key, sensor.app_s_key, Sensor::new(2).app_s_key] {
        assert_eq!(lines(&lykta, &hex::encode(secret)), 0);
    }
    fs::write(&file, &good).unwrap();
    reload(&lykta);
    air.forward(&[Sensor::new(2).level(9, 80, 20)]);
    wait_until("the other one is heard as well", || arrived(&cloud).len() == 5);
    // a stop in the middle is an orderly one
    lykta.signal("HUP");
    assert!(lykta.stop().success());
}

#[test]
fn each_warning_and_each_outcome_is_told_however_many_there_are() {
    let broker = Broker::start();
    let lykta = Lykta::start(&broker, "", &[Sensor::new(1)]);
    // they differ in nothing but their words
    let known: String =
        (2..10).map(|n| Sensor { app_s_key: [0; 16], ..Sensor::new(n) }.table("waste")).collect();
    write(&lykta, &known);
    reload(&lykta);
    wait_until("all are warned of", || lines(&lykta, "app_s_key") == 8);

    for n in 1..8 {
        write(&lykta, "[[device]]\n");
        reload(&lykta);
        wait_until("it is refused", || lines(&lykta, "again and does not hold") == n);
        write(&lykta, "");
        reload(&lykta);
        wait_until("it is mended", || lines(&lykta, "again and holds: 1 device") == n);
    }
}

#[test]
fn what_waits_for_a_device_still_waits() {
    let sensor = Sensor::new(1);
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    cloud.wait_until_commands_are_answered(&broker);
    let forwarder = Forwarder::new(1, lykta.udp);
    forwarder.pull();
    let command = json!({ "id": "open", "args": {
        "devEui": sensor.dev_eui.to_string(), "fPort": 3, "hex": "cafe" } });
    broker.publish("lykta/gw-1/waste/command/downlink", &[], &[command.to_string()]);
    wait_until("it waits", || {
        cloud.on("command/downlink/reply").iter().any(|reply| reply.body["id"] == "open")
    });
    write(&lykta, &Sensor::new(2).table("waste"));
    reload(&lykta);
    forwarder.forward(&sensor.level(1, 80, 20), 1_000_000);
    let sent = forwarder.downlink();
    assert!(sent.phy.len() > 12, "a header, a port, two bytes, a MIC: {:?}", sent.phy);
}
