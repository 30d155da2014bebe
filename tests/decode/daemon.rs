//! Devices whose codecs are scripts, through the shipped daemon and a real broker.

use crate::support::{
    Broker, Concentrator, Forwarder, Lykta, Received, Sensor, Subscriber, wait_until,
};
use lykta::lorawan::frame::Frame;
use lykta::units::AesKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::process::Command;

const GOOD: &str = "function decodeUplink(input) {
    return {data: {distance: input.bytes[0] + ' cm', more: {open: input.bytes[1] === 1}, x: 1}};
}";

const GOOD_READINGS: &str = r#"
ignore = ["x"]
[[reading]]
output = "distance"
quantity = "distance"
unit = "cm"
[[reading]]
output = "more.open"
quantity = "contact_open"
"#;

/// Nothing but the end of its process stops it.
const ENDLESS: &str =
    "function decodeUplink() { return {data: {a: new Array(2**32 - 1).join()}}; }";

/// A lykta with profiles of its operator's, each with a script, not started yet.
fn lykta(broker: &Broker, sensors: &[Sensor], profiles: &[(&str, &str, &str)]) -> Lykta {
    let tenant = format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n",
        broker.url()
    );
    let devices: String = sensors.iter().map(|sensor| sensor.table("waste")).collect();
    let lykta = Lykta::configured(&format!("{tenant}\n{devices}"));
    for directory in ["profiles", "codecs"] {
        std::fs::create_dir(lykta.path().join(directory)).unwrap();
    }
    for (name, script, readings) in profiles {
        let hash = hex::encode(Sha256::digest(script));
        let profile = format!(
            "name = \"{name}\"\nvendor = \"v\"\nmodel = \"m\"\ncodec = \"{name}.js\"\n\
             sha256 = \"{hash}\"\nheartbeat = \"1h\"\n{readings}"
        );
        std::fs::write(lykta.path().join(format!("profiles/{name}.toml")), profile).unwrap();
        std::fs::write(lykta.path().join(format!("codecs/{name}.js")), script).unwrap();
    }
    lykta
}

fn sensor(number: u32, profile: &'static str) -> Sensor {
    Sensor { profile, ..Sensor::new(number) }
}

/// The uplinks of a sensor that reached the cloud.
fn ups(cloud: &Subscriber, sensor: &Sensor) -> Vec<Received> {
    cloud.on(&format!("device/{}/event/up", sensor.dev_eui))
}

fn f_cnts(ups: &[Received]) -> Vec<u64> {
    ups.iter().map(|up| up.body["fCnt"].as_u64().unwrap()).collect()
}

fn status(lykta: &Lykta) -> Value {
    let told = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["status", "--json", "--config"])
        .arg(lykta.path().join("lykta.toml"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Sends uplinks one after the other until one came with its object: where others compute, too,
/// a script may have had no time.
fn until_decoded(
    cloud: &Subscriber,
    concentrator: &mut Concentrator,
    sensor: &Sensor,
    port: u8,
    payload: &[u8],
) -> Received {
    for f_cnt in 1.. {
        concentrator.forward(&[sensor.uplink(f_cnt, port, payload)]);
        wait_until("it came", || ups(cloud, sensor).len() == f_cnt as usize);
        let up = ups(cloud, sensor).pop().unwrap();
        if up.body.get("object").is_some() {
            return up;
        }
        assert_eq!(up.body["codecError"], "the codec did not answer in time");
        assert!(f_cnt < 100, "never decoded");
    }
    unreachable!()
}

#[test]
fn uplinks_are_decoded_by_scripts_and_read_by_profiles() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let (own, parking) = (sensor(1, "own"), sensor(2, "lpp-parking"));
    let mut lykta =
        lykta(&broker, &[own.clone(), parking.clone()], &[("own", GOOD, GOOD_READINGS)]);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let up = until_decoded(&cloud, &mut concentrator, &own, 9, &[57, 1]);
    assert_eq!(up.body["object"], json!({"distance": "57 cm", "more": {"open": true}, "x": 1}));
    let readings = |sensor: &Sensor| {
        let leaf = format!("device/{}/readings", sensor.dev_eui);
        wait_until("readings came", || !cloud.on(&leaf).is_empty());
        cloud.on(&leaf).pop().unwrap().body["readings"].clone()
    };
    assert_eq!(
        readings(&own),
        json!([
            {"name": "distance", "unit": "m", "value": 0.57, "quality": "good"},
            {"name": "contact_open", "value": true, "quality": "good"},
        ])
    );
    let free = [1, 0x66, 0, 2, 0x67, 0xff, 0x38];
    until_decoded(&cloud, &mut concentrator, &parking, 99, &free);
    assert_eq!(
        readings(&parking),
        json!([
            {"name": "parked", "value": false, "quality": "good"},
            {"name": "temperature", "unit": "Cel", "value": -20.0, "quality": "good"},
        ])
    );
    assert!(lykta.stop().success());
}

#[test]
fn a_script_without_end_costs_its_own_readings_and_nothing_else() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let (bad, house, good) = (sensor(1, "bad"), Sensor::new(2), sensor(3, "own"));
    let sensors = [bad.clone(), house.clone(), good.clone()];
    let mut lykta = lykta(&broker, &sensors, &[("bad", ENDLESS, ""), ("own", GOOD, GOOD_READINGS)]);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let mut f_cnt = 0;
    let told = loop {
        f_cnt += 1;
        concentrator.forward(&[bad.uplink(f_cnt, 9, &[1]), house.level(f_cnt, 50, 4)]);
        wait_until("both came", || {
            let count = |sensor| ups(&cloud, sensor).len() == f_cnt as usize;
            count(&bad) && count(&house)
        });
        let error = ups(&cloud, &bad).pop().unwrap().body["codecError"].to_string();
        if !error.contains("did not answer in time") {
            break error;
        }
        assert!(f_cnt < 100, "still run");
    };
    assert!(told.contains("had to be stopped 3 times"), "{told}");
    // whoever sent later and needs no script was there before
    let all = cloud.received();
    for n in 1..f_cnt {
        let at = |sensor: &Sensor| {
            let topic = format!("device/{}/event/up", sensor.dev_eui);
            all.iter().position(|m| m.topic.ends_with(&topic) && m.body["fCnt"] == n).unwrap()
        };
        assert!(at(&house) < at(&bad), "uplink {n}");
    }
    let expected: Vec<_> = (1..=u64::from(f_cnt)).collect();
    assert_eq!(f_cnts(&ups(&cloud, &bad)), expected);
    assert!(ups(&cloud, &bad).iter().all(|up| up.body.get("data").is_some()));
    assert!(ups(&cloud, &house).iter().all(|up| up.body.get("object").is_some()));

    lykta.wait_for_log("is not run any more");
    let status = status(&lykta);
    assert_eq!(status["stoppedCodecs"], json!(["bad"]));
    assert_eq!(status["tenants"][0]["notDecoded"], f_cnt);
    until_decoded(&cloud, &mut concentrator, &good, 9, &[57, 0]);
}

#[test]
fn an_uplink_that_waits_when_the_power_fails_is_welcome_again() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let bad = sensor(1, "bad");
    let mut lykta = lykta(&broker, std::slice::from_ref(&bad), &[("bad", ENDLESS, "")]);
    lykta.restart();
    for f_cnt in 1..=5 {
        let frame = bad.uplink(f_cnt, 9, &[1]);
        Concentrator::new(1, lykta.udp).forward(std::slice::from_ref(&frame));
        lykta.kill();
        lykta.restart();
        // its device repeats it, as nobody has told it that it was heard
        Concentrator::new(1, lykta.udp).forward(&[frame]);
        wait_until("it came", || f_cnts(&ups(&cloud, &bad)).contains(&u64::from(f_cnt)));
    }
    // what was on its way when it was killed comes again under the same id
    let mut ids = BTreeSet::new();
    let mut different = ups(&cloud, &bad);
    different.retain(|up| ids.insert(up.body["id"].to_string()));
    assert_eq!(f_cnts(&different), [1, 2, 3, 4, 5]);
}

#[test]
fn a_profile_whose_script_changed_underneath_is_refused_with_all_one_needs_to_know() {
    let broker = Broker::start();
    let lykta = lykta(&broker, &[sensor(1, "own")], &[("own", GOOD, GOOD_READINGS)]);
    let script = lykta.path().join("codecs/own.js");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
        command.arg("check").arg("--config").arg(lykta.path().join("lykta.toml"));
        let told = command.output().unwrap();
        (told.status.code(), String::from_utf8_lossy(&told.stderr).into_owned())
    };
    assert_eq!(check().0, Some(0));
    let changed = format!("{GOOD} // by a vendor's update");
    std::fs::write(&script, &changed).unwrap();
    let (code, told) = check();
    assert_eq!(code, Some(78));
    let (before, after) = (Sha256::digest(GOOD), Sha256::digest(&changed));
    for part in [
        "profiles/own.toml",
        "codecs/own.js",
        &hex::encode(before),
        &hex::encode(after),
        "lykta codec install",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    std::fs::remove_file(&script).unwrap();
    let (code, told) = check();
    assert_eq!(code, Some(78));
    assert!(told.contains("there is no codec \"own.js\""), "{told}");
}

/// A vendor's new firmware or a wrong profile: the names are others than those that it maps.
#[test]
fn what_the_profile_does_not_find_is_counted_told_and_costs_no_uplink() {
    let renamed = "function decodeUplink(input) { return {data: {distance_mm: 570}}; }";
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let own = sensor(1, "own");
    let mut lykta = lykta(&broker, std::slice::from_ref(&own), &[("own", renamed, GOOD_READINGS)]);
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let up = until_decoded(&cloud, &mut concentrator, &own, 9, &[57, 1]);
    assert_eq!(up.body["object"], json!({"distance_mm": 570}));
    lykta.wait_for_log("none of the profile's outputs is there, but \"distance_mm\"");
    // that nothing of it is known, and that this one is not
    assert_eq!(status(&lykta)["tenants"][0]["notMapped"], 2);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
    command.args(["status", "--config"]).arg(lykta.path().join("lykta.toml"));
    let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(told.contains("2 outputs not mapped"), "{told}");
}

#[test]
fn a_command_in_words_is_sent_as_the_codec_writes_it() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let (room, house) = (sensor(1, "netvox-rb11e"), Sensor::new(2));
    let mut lykta = lykta(&broker, &[room.clone(), house.clone()], &[]);
    lykta.restart();
    cloud.wait_until_commands_are_answered(&broker);
    let send = |id: &str, args: Value| {
        let command = json!({"id": id, "args": args}).to_string();
        broker.publish("lykta/gw-1/waste/command/downlink", &[], std::slice::from_ref(&command));
        let reply = || {
            let replies = cloud.on("/waste/command/downlink/reply");
            replies.into_iter().map(|reply| reply.body).rfind(|body| body["id"] == id)
        };
        wait_until("it is answered", || reply().is_some());
        reply().unwrap()
    };
    let (eui, other) = (room.dev_eui.to_string(), house.dev_eui.to_string());
    for (id, args, code, told) in [
        (
            "w-1",
            json!({"devEui": eui, "object": {"led": 1}}),
            "not_supported",
            "it understands: MinTime",
        ),
        (
            "w-2",
            json!({"devEui": eui, "object": {"MinTime": 0, "MaxTime": 9}}),
            "invalid",
            "MinTime: 1 to",
        ),
        (
            "w-3",
            json!({"devEui": other, "object": {"a": 1}}),
            "not_supported",
            "no codec that encodes",
        ),
        (
            "w-4",
            json!({"devEui": "0102030405060708", "object": {}}),
            "unknown_device",
            "no such device",
        ),
        (
            "w-5",
            json!({"devEui": eui, "object": {}, "hex": "00", "fPort": 1}),
            "invalid",
            "not both",
        ),
    ] {
        let error = send(id, args)["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    }
    let args = json!({"devEui": eui, "object": {"MinTime": 60, "MaxTime": 3600}});
    // where others compute, too, the codec may have had no time; then it is to be sent again
    let reply = (0..50)
        .map(|n| send(&format!("right-{n}"), args.clone()))
        .find(|reply| reply["error"]["code"] != "busy");
    let reply = reply.unwrap();
    assert_eq!(
        (&reply["ok"], &reply["result"]["state"]),
        (&json!(true), &json!("queued")),
        "{reply}"
    );
    // once for one id
    let id = reply["id"].as_str().unwrap().to_owned();
    assert_eq!(send(&id, args)["result"], reply["result"]);

    let forwarder = Forwarder::new(0xa1, lykta.udp);
    forwarder.pull();
    let report = hex::decode("0103012409c4012c010000").unwrap();
    let answer = (1..100).find_map(|f_cnt| {
        forwarder.forward(&room.uplink(f_cnt, 6, &report), f_cnt * 10_000_000);
        forwarder
            .is_addressed_within(std::time::Duration::from_secs(4))
            .then(|| forwarder.downlink())
    });
    let answer = answer.unwrap();
    let Ok(Frame::Data(frame)) = Frame::parse(&answer.phy) else { panic!("no data frame") };
    assert_eq!(frame.f_port, Some(7));
    let (nwk, app) = (AesKey(room.nwk_s_key), AesKey(room.app_s_key));
    let payload = frame.decrypt(&nwk, &app, u32::from(frame.f_cnt));
    assert_eq!(hex::encode(payload), "0103003c0e100100640064");
}
