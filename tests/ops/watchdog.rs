//! The watchdog: fed while every loop turns, whatever is outside, and no longer when one does not.
#![allow(unsafe_code, reason = "only a tracer can stop one thread of another process")]

use crate::support::{Lykta, Sensor, free_tcp_port, wait_until};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

const FED: &str = "WATCHDOG=1";

/// Started as by a service manager that waits for so long.
fn watched(lykta: &mut Lykta, within: Duration) {
    let mut command = lykta.command();
    command.env("WATCHDOG_USEC", within.as_micros().to_string());
    lykta.spawn_as(command);
    lykta.wait_for_notification("READY=1");
}

fn configured() -> Lykta {
    Lykta::configured(&format!(
        "[[radio]]\nname = \"street\"\nchip = \"sx1262\"\nreset = 18\nbusy = 20\ndio = 16\n\
         [[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:{}\"]\n{}",
        free_tcp_port(),
        Sensor::new(1).table("waste")
    ))
}

/// A thread of another process that stands still for as long as this lives.
struct Stopped(libc::pid_t);

impl Stopped {
    fn thread(process: u32, name: &str) -> Self {
        let tasks = Path::new("/proc").join(process.to_string()).join("task");
        let thread = std::fs::read_dir(tasks)
            .unwrap()
            .map(|task| task.unwrap().path())
            .find(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == name)
            .unwrap_or_else(|| panic!("no thread is called {name}"));
        let id: libc::pid_t = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // SAFETY: neither call is given memory
        let (seized, told) = unsafe {
            (
                libc::ptrace(libc::PTRACE_SEIZE, id, 0, 0),
                libc::ptrace(libc::PTRACE_INTERRUPT, id, 0, 0),
            )
        };
        assert_eq!((seized, told), (0, 0), "{}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: the status is there for as long as the call takes
        let stopped = unsafe { libc::waitpid(id, &raw mut status, libc::__WALL) };
        assert_eq!(stopped, id, "{}", std::io::Error::last_os_error());
        Self(id)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: the call is given no memory; a thread that has ended is an error and no more
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}

#[test]
fn a_broker_a_port_and_a_radio_that_are_not_there_are_no_hanging() {
    let mut lykta = configured();
    let squatter = UdpSocket::bind(lykta.udp).unwrap();
    watched(&mut lykta, Duration::from_millis(200));
    lykta.wait_for_log("ERROR cannot listen for concentrators");
    lykta.wait_for_log("WARN  no connection to mqtt://127.0.0.1:");
    for _ in 0..20 {
        lykta.wait_for_notification(FED);
    }
    drop(squatter);
    assert!(lykta.stop().success());
}

#[test]
fn nobody_is_told_who_does_not_wait_for_it() {
    let mut lykta = configured();
    lykta.restart();
    assert!(lykta.stop().success());
    let told = lykta.wait_for_notification("STOPPING=1");
    assert!(!told.iter().any(|line| line == FED), "{told:?}");
}

#[test]
fn a_loop_that_stands_still_is_found_though_all_others_turn() {
    let mut lykta = configured();
    watched(&mut lykta, Duration::from_secs(2));
    lykta.wait_for_notification(FED);
    let stopped = Stopped::thread(lykta.id(), "ingest");
    // wherever it was stopped, between two frames or in the midst of its turn
    lykta.wait_for_log("ERROR ingest hangs: it ");
    // fed up to then, and by nobody since
    let log = || lykta.log().iter().filter(|line| line.contains("hangs")).count();
    lykta.drain_notifications();
    let begin = Instant::now();
    wait_until("the service manager would have lost its patience", || {
        begin.elapsed() > Duration::from_secs(3)
    });
    assert!(!lykta.drain_notifications().iter().any(|line| line == FED));
    assert_eq!(log(), 1, "told once: {:?}", lykta.log());
    // and it was the thread alone
    drop(stopped);
    lykta.wait_for_notification(FED);
}
