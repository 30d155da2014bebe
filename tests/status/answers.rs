//! The real daemon answers the real command.

use crate::support::{Concentrator, Lykta, Sensor, wait_until};
use crate::{TENANT, ask, command, said, start};
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = ask(directory, arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

#[test]
fn status_tells_what_the_daemon_did() {
    let sensors = [Sensor::new(1), Sensor::new(2)];
    let lykta = start(&sensors);
    let mut concentrator = Concentrator::new(0xa1, lykta.udp);
    concentrator.forward(&[sensors[0].level(1, 80, 20), Sensor::new(99).level(1, 80, 20)]);
    let mut status = Value::Null;
    wait_until("the uplink is accepted", || {
        status = json(lykta.path(), &["status", "--json"]);
        status["tenants"][0]["accepted"] == 1
    });
    assert_eq!(status["gateway"], "gw-1");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["listening"], lykta.udp.to_string());
    assert_eq!(status["air"]["heard"], 2, "{status}");
    assert_eq!(status["air"]["unknownDevice"], 1, "{status}");
    assert_eq!(status["concentrator"]["packets"], 2, "{status}");
    assert_eq!(status["tenants"][0]["id"], "waste");
    assert_eq!(status["tenants"][0]["kind"], "waste");
    assert_eq!(status["tenants"][0]["connected"], false);
    assert_eq!(status["tenants"][0]["waiting"], 2, "the event and its readings: {status}");
    assert!(status["tenants"][0]["storeBytes"].as_u64().unwrap() > 4096, "{status}");
    assert_eq!(status["devices"]["registered"], 2, "{status}");
    assert_eq!(status["trouble"], Value::Null);
    let buffer = &status["tenants"][0]["buffer"];
    assert!(buffer["usedBytes"].as_u64().unwrap() > 4096, "{status}");
    assert_eq!((&buffer["maxBytes"], &buffer["maxDays"]), (&512_000_000.into(), &90.into()));
    assert_eq!(buffer["shed"]["measurement"], 0);
    let well = serde_json::json!(
        {"store": "ok", "sessionCopy": "ok", "alarmsInMemory": 0, "alarmsLost": 0});
    assert_eq!(status["tenants"][0]["disk"], well);
    let (code, out, err) = ask(lykta.path(), &["status"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("no broker; 1 accepted, 0 delivered, 2 waiting"), "{out}");
    assert!(out.contains("% of 512.0 MB in use, for up to 90 days\n"), "{out}");
}

#[test]
fn status_tells_that_sessions_are_kept_once_only() {
    let mut lykta = Lykta::configured(TENANT);
    // no file can be there
    std::fs::create_dir_all(lykta.path().join("state/waste.sessions.db")).unwrap();
    lykta.restart();
    let status = json(lykta.path(), &["status", "--json"]);
    assert_eq!(status["tenants"][0]["disk"]["sessionCopy"], "failing", "{status}");
    let (_, out, _) = ask(lykta.path(), &["status"]);
    assert!(out.contains("  disk        sessions of devices are kept once only"), "{out}");
}

#[test]
fn devices_are_listed_and_shown() {
    let sensors = [Sensor::new(1), Sensor::new(2)];
    let lykta = start(&sensors);
    let list = json(lykta.path(), &["device", "list", "--json"]);
    let euis: Vec<&str> =
        list["devices"].as_array().unwrap().iter().map(|d| d["devEui"].as_str().unwrap()).collect();
    assert_eq!(euis, ["70b3d50700000001", "70b3d50700000002"]);
    // spelled as on the label
    let one = json(lykta.path(), &["device", "show", "70-B3-D5-07-00-00-00-02", "--json"]);
    assert_eq!(one["device"], list["devices"][1]);
    assert_eq!(one["device"]["name"], "Storgatan 2");
    for secret in [sensors[0].nwk_s_key, sensors[0].app_s_key] {
        assert!(!list.to_string().contains(&hex::encode(secret)));
    }
    let (code, out, err) = ask(lykta.path(), &["device", "show", "70b3d507000000ff"]);
    assert_eq!((code, out.as_str()), (Some(65), ""));
    assert!(err.contains("no device 70b3d507000000ff is registered"), "{err}");
    let (code, _, err) = ask(lykta.path(), &["device", "show", "70b3"]);
    assert_eq!(code, Some(64));
    assert!(err.contains("expected 16 hexadecimal digits, found 4"), "{err}");
}

#[test]
fn without_a_daemon_the_registry_is_listed_and_the_code_is_69() {
    let lykta = Lykta::configured(&format!("{TENANT}{}", Sensor::new(7).table("waste")));
    let silence = "lykta: lykta does not run, or runs with another state_dir than \
                   DIRECTORY/state: systemctl status lykta\n";
    let (code, out, err) = ask(lykta.path(), &["status", "--json"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(69), "", silence));
    let (code, out, err) = ask(lykta.path(), &["device", "list"]);
    assert_eq!(code, Some(69));
    assert!(out.contains("70b3d50700000007  Storgatan 7  waste   -"), "{out}");
    assert!(err.starts_with(silence) && err.contains("how it is heard is not known"), "{err}");
    let (code, out, err) = ask(lykta.path(), &["device", "show", "70b3d50700000007"]);
    assert_eq!((code, err.as_str()), (Some(69), silence));
    assert!(out.contains("heard       not known"), "{out}");
    let (code, out, _) = ask(lykta.path(), &["device", "list", "--json"]);
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(69));
    assert!(list["trouble"].as_str().unwrap().contains("does not run"), "{list}");
    assert_eq!(list["devices"][0]["heard"], Value::Null);
}

#[test]
fn a_configuration_that_is_whole_only_for_the_service_is_enough_to_ask() {
    let password = "username = \"gw-1\"\npassword_file = \"mqtt-password\"\n";
    let mut lykta = Lykta::configured(&format!("{TENANT}{password}"));
    let credentials = lykta.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("mqtt-password"), "correct horse\n").unwrap();
    let mut run = lykta.command();
    run.env("CREDENTIALS_DIRECTORY", credentials);
    lykta.spawn_as(run);
    lykta.wait_for_notification("READY=1");
    assert_eq!(json(lykta.path(), &["status", "--json"])["gateway"], "gw-1");
    let (code, out, _) = ask(lykta.path(), &["device", "list"]);
    assert_eq!((code, out.as_str()), (Some(0), "There is no device: lykta device import --help\n"));
}

#[test]
fn nothing_to_be_read_names_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = ask(directory.path(), &["status"]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.contains("DIRECTORY/lykta.toml") && err.contains("cannot be asked"), "{err}");
}

#[test]
fn another_user_is_told_who_may_ask() {
    let lykta = start(&[]);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(lykta.path(), 0o755);
    mode(&lykta.path().join("lykta.toml"), 0o644);
    // root may do everything; anybody else is stopped by the mode alone
    mode(&lykta.path().join("state"), 0o000);
    let mut status = command(lykta.path(), &["status"]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        status.uid(65_534).gid(65_534);
    }
    let (code, out, err) = said(lykta.path(), &status.output().unwrap());
    mode(&lykta.path().join("state"), 0o700);
    assert_eq!((code, out.as_str()), (Some(69), ""), "{err}");
    assert_eq!(
        err,
        "lykta: no permission to ask lykta at DIRECTORY/state/lykta.sock: ask as root or as the \
         user lykta\n"
    );
}

#[test]
fn each_command_shows_an_example() {
    for arguments in [&["status"][..], &["device", "list"], &["device", "show"]] {
        let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_lykta"));
        let help = help.args(arguments).arg("--help").output().unwrap();
        let text = String::from_utf8_lossy(&help.stdout);
        assert_eq!(help.status.code(), Some(0));
        assert!(
            text.contains(&format!("Example:\n  sudo lykta {}", arguments.join(" "))),
            "{text}"
        );
    }
}
