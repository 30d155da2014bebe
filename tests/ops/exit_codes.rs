//! Exit codes by cause, and messages that say what to do.

use crate::support::{Broker, Lykta, Sensor, wait_until};
use std::process::Command;

const TENANT: &str = "[[tenant]]\nid = \"waste\"\n[tenant.upstream]\n\
                      urls = [\"mqtt://127.0.0.1:9\"]\n";

/// Runs until it ends by itself; its exit code and what it said.
fn end(lykta: &mut Lykta) -> (Option<i32>, String) {
    lykta.spawn();
    let code = lykta.wait().code();
    wait_until("it has said why", || !lykta.log().is_empty());
    (code, lykta.log().join("\n"))
}

fn rewrite(lykta: &Lykta, from: &str, to: &str) {
    let file = lykta.path().join("lykta.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_wrong_configuration_is_78_and_names_the_line() {
    let mut lykta = Lykta::configured(TENANT);
    rewrite(&lykta, "gateway = ", "gatway = ");
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(78), "{said}");
    lykta.wait_for_log("= help: did you mean `gateway`?");
    lykta.wait_for_log(&format!("{}:1:1", lykta.path().join("lykta.toml").display()));
}

#[test]
fn a_key_in_a_wrong_line_is_not_printed() {
    let sensor = Sensor::new(0x00c0_ffee);
    let whole = hex::encode(sensor.app_s_key);
    let short = &whole[..31];
    let mut lykta = Lykta::configured(&format!("{TENANT}{}", sensor.table("waste")));
    rewrite(&lykta, &whole, short);
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(78), "{said}");
    lykta.wait_for_log("app_s_key");
    let said = lykta.log().join("\n");
    for secret in [&short[..8], &hex::encode(sensor.nwk_s_key)[..8]] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_state_dir_that_cannot_be_is_74() {
    let mut lykta = Lykta::configured(TENANT);
    std::fs::write(lykta.path().join("file"), "in the way").unwrap();
    rewrite(&lykta, "/state\"", "/file/state\"");
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(74), "the disk may come later: {said}");
    lykta.wait_for_log("file/state cannot be created");
    lykta.wait_for_log(&format!("{}:2:13", lykta.path().join("lykta.toml").display()));
}

#[test]
fn a_wrong_state_dir_beside_another_mistake_is_78() {
    let mut lykta = Lykta::configured(TENANT);
    rewrite(&lykta, "/state\"", "/nowhere/state\"");
    rewrite(&lykta, "id = \"waste\"", "id = \"Waste!\"");
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(78), "{said}");
}

#[test]
fn a_state_dir_that_cannot_be_locked_is_74() {
    let mut lykta = Lykta::configured(TENANT);
    std::fs::create_dir_all(lykta.path().join("state/lock")).unwrap();
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(74), "{said}");
    lykta.wait_for_log("must be writable for the user that runs lykta");
}

#[test]
fn a_database_of_a_newer_lykta_is_74_and_left_as_it_is() {
    let mut lykta = Lykta::configured(TENANT);
    let file = lykta.database("waste");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let db = rusqlite::Connection::open(&file).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let before = std::fs::read(&file).unwrap();
    let (code, said) = end(&mut lykta);
    assert_eq!(code, Some(74), "{said}");
    lykta.wait_for_log("written by a newer lykta (schema 99");
    // it says so in its own words: only the kind of journal may have changed
    assert_eq!(std::fs::read(&file).unwrap()[100..], before[100..]);
}

#[test]
fn a_file_that_is_no_database_is_kept_aside_and_stops_nothing() {
    let mut lykta = Lykta::configured(TENANT);
    let file = lykta.database("waste");
    let garbage = b"not a database at all, but long enough to look like one".repeat(100);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, &garbage).unwrap();
    lykta.restart();
    lykta.wait_for_log("waste.db: file is not a database");
    let others = std::fs::read_dir(file.parent().unwrap()).unwrap();
    let names = others.map(|file| file.unwrap().path());
    let aside = names.into_iter().find(|name| name.to_string_lossy().contains(".damaged-"));
    assert_eq!(std::fs::read(aside.unwrap()).unwrap(), garbage, "it may be all that is left");
    assert!(lykta.stop().success());
}

#[test]
fn a_second_lykta_is_69_and_the_first_goes_on() {
    let broker = Broker::start();
    let mut first = Lykta::start(&broker, "", &[Sensor::new(1)]);
    let second = first.command().env_remove("NOTIFY_SOCKET").output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(69), "{said}");
    assert!(said.contains("another lykta is running there"), "{said}");
    let state = first.path().join("state");
    assert!(said.contains(&state.display().to_string()), "{said}");
    assert!(first.log().iter().all(|line| !line.contains("ERROR")));
    assert!(first.stop().success());
}

#[test]
fn a_wrong_command_line_is_64() {
    for arguments in [&["run", "--confg", "x"][..], &["rum"], &[], &["run", "one", "two"]] {
        let ended = Command::new(env!("CARGO_BIN_EXE_lykta")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{arguments:?}: {said}");
        assert!(said.contains("Usage: lykta"), "{arguments:?}: {said}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_lykta")).args(["run", "--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Example: lykta run"));
}
