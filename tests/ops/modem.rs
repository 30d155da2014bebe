//! A modem that has hung itself up is restarted by the command of the machine's owner.

use crate::support::{Broker, Lykta, free_tcp_port, wait_until};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Two tenants at these brokers, and a command that writes a line to a file each time.
fn lykta_with(urls: [String; 2], script: &str) -> Lykta {
    let tenants = urls.iter().zip(["a", "b"]).map(|(url, id)| {
        format!(
            "[[tenant]]\nid = {id:?}\n[tenant.upstream]\nurls = [{url:?}]\n\
             reconnect_min = \"50ms\"\nreconnect_max = \"200ms\"\n"
        )
    });
    let tenants: String = tenants.collect();
    let modem = format!("[modem]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\nafter = \"2s\"\n");
    Lykta::configured(&(modem + &tenants))
}

fn dead() -> String {
    format!("mqtt://127.0.0.1:{}", free_tcp_port())
}

/// A broker that hangs up at once, and how often.
fn turning_away() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let attempts = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&attempts);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
            seen.fetch_add(1, Relaxed);
        }
    });
    (url, attempts)
}

fn told(lykta: &Lykta) -> Vec<String> {
    lykta.log().into_iter().filter(|line| line.contains("to restart the modem")).collect()
}

#[test]
fn without_any_broker_the_command_is_run_and_how_it_ended_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let mut lykta =
        lykta_with([dead(), dead()], &format!("echo run >> {}; exit 3", file.display()));
    lykta.restart();
    wait_until("it is run twice", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() == 2)
    });
    wait_until("it is told twice", || told(&lykta).len() == 2);
    let told = told(&lykta);
    assert!(told[0].contains("/bin/sh was run to restart the modem: it failed: exit status: 3"));
    assert!(told[0].ends_with("again in 4s if there is none by then"), "{told:?}");
    assert!(told[1].ends_with("again in 8s if there is none by then"), "{told:?}");
    assert!(lykta.stop().success());
}

#[test]
fn with_one_broker_left_it_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let mut broker = Broker::start();
    let (url, attempts) = turning_away();
    let mut lykta = lykta_with([url, broker.url()], &format!("echo run >> {}", file.display()));
    lykta.restart();
    lykta.wait_for_log("connected to");
    // at one in 200 ms that is longer than it is waited without one
    let first = attempts.load(Relaxed);
    wait_until("the other was tried long enough", || attempts.load(Relaxed) > first + 15);
    assert!(!file.exists(), "{:?}", told(&lykta));
    broker.kill();
    wait_until("it is run", || file.exists());
    wait_until("it is told", || told(&lykta).iter().any(|line| line.contains("it went well")));
}
