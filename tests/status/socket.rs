//! The socket's file: whose it is, and what becomes of it.

use crate::support::{Lykta, wait_until};
use crate::{TENANT, ask, socket_of, start};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::{Command, Stdio};

#[test]
fn only_its_owner_may_ask_whatever_the_umask() {
    let mut lykta = Lykta::configured(TENANT);
    let run = lykta.command();
    let mut careless = Command::new("sh");
    careless
        .args(["-c", "umask 0; exec \"$0\" \"$@\""])
        .arg(run.get_program())
        .args(run.get_args());
    careless.env("NOTIFY_SOCKET", lykta.path().join("notify")).stderr(Stdio::piped());
    lykta.spawn_as(careless);
    lykta.wait_for_notification("READY=1");
    let socket = std::fs::metadata(socket_of(&lykta)).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o777, 0o600);
}

#[test]
fn a_socket_that_a_dead_daemon_left_is_replaced() {
    let mut lykta = start(&[]);
    lykta.kill();
    assert!(socket_of(&lykta).exists());
    let (code, _, err) = ask(lykta.path(), &["status"]);
    assert_eq!(code, Some(69));
    assert!(err.contains("lykta does not run"), "{err}");
    lykta.restart();
    assert_eq!(ask(lykta.path(), &["status"]).0, Some(0));
    assert!(lykta.stop().success());
    assert!(!socket_of(&lykta).exists(), "a daemon that stops in order takes it away");
}

#[test]
fn a_second_daemon_does_not_take_the_socket_of_the_first() {
    let lykta = start(&[]);
    let second = lykta.command().env_remove("NOTIFY_SOCKET").output().unwrap();
    assert_eq!(second.status.code(), Some(69));
    assert_eq!(ask(lykta.path(), &["status"]).0, Some(0));
}

#[test]
fn where_no_socket_can_be_the_gateway_runs_and_says_so() {
    let mut lykta = Lykta::configured(TENANT);
    let file = lykta.path().join("lykta.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let long = format!("/state{}\"", "e".repeat(100));
    std::fs::write(file, text.replace("/state\"", &long)).unwrap();
    lykta.restart();
    lykta.wait_for_log("lykta cannot be asked by \"lykta status\"");
    let (code, _, err) = ask(lykta.path(), &["status"]);
    assert_eq!(code, Some(69));
    assert!(err.contains("lykta does not answer at"), "{err}");
    assert!(lykta.stop().success());
    wait_until("it is said once", || {
        lykta.log().iter().filter(|line| line.contains("cannot be asked")).count() == 1
    });
}

#[test]
fn the_service_may_open_it() {
    let unit = include_str!("../../systemd/lykta.service");
    let families = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies="));
    assert!(families.is_some_and(|families| families.split(' ').any(|f| f == "AF_UNIX")));
    assert!(unit.lines().any(|line| line == "StateDirectory=lykta"));
}
