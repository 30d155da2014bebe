//! What the unit and the program must agree on.

/// The values of a key in `systemd/lykta.service`, in their order.
fn values(key: &str) -> Vec<&'static str> {
    let unit = include_str!("../../systemd/lykta.service");
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_clock_can_be_asked_and_not_set() {
    // src/sys.rs asks by adjtimex(2); denied, every clock would be "unsynced" for ever
    let filters = values("SystemCallFilter");
    let taken = filters.iter().position(|f| f.starts_with('~') && f.contains("@privileged"));
    let allowed = filters.iter().position(|f| f.split(' ').any(|call| call == "adjtimex"));
    assert!(taken.expect("@privileged is denied") < allowed.expect("adjtimex is allowed"));
    assert!(!values("ProtectClock").contains(&"yes"), "its filter denies adjtimex whole");
    assert_eq!(values("CapabilityBoundingSet"), [""], "no CAP_SYS_TIME, and no other");
    assert_eq!(values("AmbientCapabilities"), [""]);
}

#[test]
fn what_a_new_start_cannot_mend_is_not_started_anew() {
    // as the tests of the exit codes see them: a wrong command line, a wrong configuration
    assert_eq!(values("RestartPreventExitStatus"), ["64 78"]);
    assert_eq!(values("Restart"), ["on-failure"]);
    assert_eq!(values("Type"), ["notify"]);
}

#[test]
fn the_command_for_a_modem_touches_what_its_unit_watches() {
    let path = include_str!("../../systemd/lykta-modem.path");
    let watched = path.lines().find_map(|line| line.strip_prefix("PathChanged=")).unwrap();
    let command = format!("[\"/usr/bin/touch\", \"{watched}\"]");
    for text in [include_str!("../../config/lykta.toml"), include_str!("../../README.md")] {
        assert!(text.contains(&format!("command = {command}")), "{command}");
    }
    // it is the state directory, the only place where the service may write
    assert_eq!(watched.rsplit_once('/').unwrap().0, "/var/lib/lykta");
    assert_eq!(values("StateDirectory"), ["lykta"]);
}

#[test]
fn a_radio_hat_needs_its_drop_in_and_no_more() {
    let drop_in = include_str!("../../systemd/lykta-hat.conf");
    let lines: Vec<_> = drop_in.lines().filter(|line| line.starts_with("DeviceAllow=")).collect();
    // what src/board.rs opens, by rppal: SPI, the interrupt lines, the registers of the pins
    for node in ["char-spi", "char-gpiochip", "/dev/gpiomem", "/dev/gpiomem0"] {
        assert!(lines.contains(&format!("DeviceAllow={node} rw").as_str()), "{node}");
    }
    assert_eq!(lines.len(), 4);
    // the word of systemd-timesyncd instead: src/clock/mod.rs
    assert!(drop_in.contains("SystemCallFilter=~@clock\nProtectClock=yes\n"));
    assert!(drop_in.contains("PrivateDevices=no") && drop_in.contains("DevicePolicy=closed"));
    assert_eq!(values("PrivateDevices"), ["yes"], "without a HAT there are no devices at all");
}

#[test]
fn a_codec_that_takes_all_memory_does_not_take_the_daemon() {
    // the worker has made itself the kernel's first choice
    assert_eq!(values("OOMPolicy"), ["continue"]);
    assert_eq!(values("Restart"), ["on-failure"]);
}
