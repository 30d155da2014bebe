//! A bundle for whoever helps, searched for what must not be in it.

use crate::support::{Concentrator, Lykta, Sensor, store_key, wait_until};
use crate::{TENANT, command};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lykta::message::DECODE_FAILED;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const PASSWORD: &str = "korrekt-haest-batteri";
const PAYLOAD: [u8; 9] = [0xfe, 0xed, 0xfa, 0xce, 0xca, 0xfe, 0xd0, 0x0d, 0x5e];

/// The files of a bundle.
fn read(file: &Path) -> BTreeMap<String, String> {
    let gzip = flate2::read::GzDecoder::new(fs::File::open(file).unwrap());
    let mut archive = tar::Archive::new(gzip);
    let mut all = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        all.insert(name, text);
    }
    all
}

/// Makes a bundle where this is what the journal says.
fn diagnose(lykta: &Lykta, name: &str, journal: &[Value]) -> BTreeMap<String, String> {
    let bin = lykta.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let records: String = journal.iter().map(|record| format!("{record}\n")).collect();
    fs::write(bin.join("records"), records).unwrap();
    for (program, does) in [
        ("journalctl", "cat \"$(dirname \"$0\")/records\""),
        ("systemctl", "echo ActiveState=active"),
    ] {
        let program = bin.join(program);
        fs::write(&program, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let out = lykta.path().join(name);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = command(lykta.path(), &["diagnose", "--out", out.to_str().unwrap()]);
    let ended = command.env("PATH", path).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o600);
    read(&out)
}

#[test]
fn nothing_in_it_is_secret_or_personal_and_all_that_helps_is_there() {
    let bed = Sensor { profile: "milesight-ws301", ..Sensor::new(0x00de_caf5) };
    let level = Sensor::new(2);
    let password = tempfile::NamedTempFile::new().unwrap();
    fs::write(password.path(), format!("{PASSWORD}\n")).unwrap();
    let care = format!(
        "[[tenant]]\nid = \"care\"\nkind = \"care\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:9\"]\nusername = \"anna-maria\"\npassword_file = \"{}\"\n",
        password.path().display()
    );
    let mut lykta = Lykta::configured(&format!(
        "{TENANT}{care}{}resident = \"kastanj\"\nsensor = \"Annas balkong\"\n{}\
         [[resident]]\nid = \"kastanj\"\nconsent = true\n\
         [[resident.sensor]]\nid = \"Annas balkong\"\nkind = \"door\"\n",
        bed.table("care").replace("Storgatan", "Rosenvägen"),
        level.table("waste"),
    ));
    lykta.restart();
    let mut air = Concentrator::new(0xa1, lykta.udp);
    air.forward(&[bed.uplink(1, 85, &PAYLOAD), level.level(1, 80, 20)]);
    wait_until("both are on disk", || {
        lykta.accepted().len() == 1 && lykta.accepted_by("care").len() == 1
    });
    // what a journal should never say is in it here
    let says = |id: &str, what: String| {
        json!({
            "__REALTIME_TIMESTAMP": "1700000000123456", "PRIORITY": "4", "MESSAGE_ID": id,
            "_HOSTNAME": "annas-pi", "_CMDLINE": format!("lykta --password {PASSWORD}"),
            "MESSAGE": what,
        })
    };
    let hex = |bytes: &[u8]| hex::encode(bytes);
    let journal = [
        says(DECODE_FAILED, format!("payloads of device {} cannot be decoded", bed.dev_eui)),
        says("", format!("device {} at {}, {}", bed.dev_eui, bed.dev_addr, level.dev_addr)),
        says("", format!("kastanj has left Annas balkong on Rosenvägen {}", 0x00de_caf5 & 0xffff)),
        says("", format!("password {PASSWORD} of anna-maria")),
        says("", format!("key {} {}", hex(&bed.app_s_key), hex::encode_upper(bed.nwk_s_key))),
        says("", format!("store key {}", hex(&store_key(1).0))),
    ];
    let mut bundles = vec![diagnose(&lykta, "first.tar.gz", &journal)];
    let status: Value = serde_json::from_str(&bundles[0]["lykta/status.json"]).unwrap();
    assert_eq!(status["tenants"][0]["accepted"], 1, "{status:#}");
    assert!(bundles[0]["lykta/journal.txt"].contains("DECODE_FAILED payloads of device [id "));
    assert_eq!(bundles[0]["lykta/unit.txt"], "ActiveState=active\n");
    for (file, part) in [
        ("about.json", env!("CARGO_PKG_VERSION")),
        ("settings.json", "tenant[1].upstream.urls"),
        ("settings.json", "store.commit_interval"),
        ("machine.json", "\"kernel\": \""),
        ("status.json", "\"classes\""),
    ] {
        assert!(bundles[0][&format!("lykta/{file}")].contains(part), "{file}: {part}");
    }

    // without a daemon, and with a configuration that is wrong
    assert!(lykta.stop().success());
    bundles.push(diagnose(&lykta, "second.tar.gz", &journal));
    assert!(bundles[1]["lykta/status.json"].contains("lykta does not run"));
    assert!(bundles[1]["lykta/status.json"].contains("\"waiting\": 2"), "{:?}", bundles[1]);
    let file = lykta.path().join("lykta.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("resident = \"kastanj\"", "resident = \"kastanja\"")).unwrap();
    bundles.push(diagnose(&lykta, "third.tar.gz", &journal));
    fs::write(&file, text.replace("resident = \"kastanj\"", "resident = kastanj")).unwrap();
    bundles.push(diagnose(&lykta, "fourth.tar.gz", &journal));
    assert!(bundles[3]["lykta/settings.json"].contains("this is not TOML"), "{:?}", bundles[3]);

    let mut secrets =
        vec!["kastanj", "Annas", "annas", "anna-maria", "Rosenv", "Storgatan", PASSWORD]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
    for device in [&bed, &level] {
        secrets.extend([device.dev_eui.to_string(), device.dev_addr.to_string()]);
        secrets.extend([hex(&device.app_s_key[..8]), hex(&device.nwk_s_key[..8])]);
        secrets.push(hex::encode_upper(&device.nwk_s_key[..8]));
    }
    secrets.extend([hex(&PAYLOAD[..6]), STANDARD.encode(PAYLOAD), hex(&store_key(1).0[..8])]);
    for bundle in &bundles {
        let all: String = bundle.values().cloned().collect();
        for secret in &secrets {
            assert!(!all.contains(secret.as_str()), "{secret} in {all}");
        }
    }
}

#[test]
fn who_has_left_the_settings_is_not_in_it_through_their_mistakes() {
    let door = Sensor { profile: "browan-tbdw100", ..Sensor::new(1) };
    let home = format!(
        "{}resident = \"kastanj\"\nsensor = \"Annas balkong\"\n\
         [[resident]]\nid = \"kastanj\"\nconsent = true\n\
         [[resident.sensor]]\nid = \"Annas balkong\"\nkind = \"door\"\n",
        door.table("care")
    );
    let tenant = TENANT.replace("\"waste\"", "\"care\"");
    let mut lykta = Lykta::configured(&format!("{tenant}{home}"));
    lykta.restart();
    let file = lykta.path().join("lykta.toml");
    let good = fs::read_to_string(&file).unwrap();
    let reload = |lykta: &Lykta, text: &str| {
        fs::write(&file, text).unwrap();
        lykta.drain_notifications();
        lykta.signal("HUP");
        lykta.wait_for_notification("READY=1");
    };
    let mistakes = [
        ("resident = \"kastanj\"", "resident = \"kastanja\""),
        ("sensor = \"Annas balkong\"", "sensor = \"Annas dörr\""),
        ("id = \"Annas balkong\"", "id = Annas balkong"),
        ("consent = true", "kastanj = true"),
    ];
    for (n, (from, to)) in mistakes.into_iter().enumerate() {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good);
        reload(&lykta, &wrong);
        let refused = || lykta.log().iter().filter(|line| line.contains("does not hold")).count();
        wait_until("it is refused", || refused() > n);
        // whoever can read the settings is told all of it
        let said = command(lykta.path(), &["check"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("kastanj") || said.contains("Annas"), "{said}");
    }
    let known = hex::encode(door.app_s_key);
    reload(&lykta, &good.replace(&known, "2b7e151628aed2a6abf7158809cf4f3c"));
    lykta.wait_for_log("the key is the example of the AES standard");
    lykta.wait_for_log("key:  device[0].activation.abp.app_s_key");
    assert!(lykta.stop().success());
    // it does not start with them, either
    fs::write(&file, good.replacen(mistakes[0].0, mistakes[0].1, 1)).unwrap();
    lykta.spawn();
    assert_eq!(lykta.wait().code(), Some(78));
    lykta.wait_for_log("the configuration is wrong");
    lykta.wait_for_log("error in the configuration");

    // then they move out, and somebody needs help
    fs::write(&file, good.split("[[device]]").next().unwrap()).unwrap();
    let journal = lykta.log().join("\n");
    assert!(journal.contains("key:  device[0].resident"), "{journal}");
    let record = json!({ "PRIORITY": "3", "MESSAGE": journal });
    let bundle: String = diagnose(&lykta, "bundle.tar.gz", &[record]).into_values().collect();
    assert!(bundle.contains("key:  device[0].resident"), "{bundle}");
    for name in ["kastanj", "Annas", "balkong"] {
        assert!(!journal.contains(name), "{name} in {journal}");
        assert!(!bundle.contains(name), "{name} in {bundle}");
    }
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let lykta = Lykta::configured(TENANT);
    let out = lykta.path().join("precious");
    fs::write(&out, "of somebody else").unwrap();
    let ended = command(lykta.path(), &["diagnose", "--out", out.to_str().unwrap()]).output();
    assert_eq!(ended.unwrap().status.code(), Some(74));
    assert_eq!(fs::read_to_string(&out).unwrap(), "of somebody else");
}
