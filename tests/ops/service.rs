//! Ready, status, stop: what the service manager is told, and when.

use crate::support::{Broker, Concentrator, Lykta, Sensor, free_tcp_port, wait_until};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The unit's promise; systemd kills what takes longer than its TimeoutStopSec=.
const STOP: Duration = Duration::from_secs(5);

/// A tenant whose broker is at this port.
fn tenant(port: u16) -> String {
    format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\n\
         urls = [\"mqtt://127.0.0.1:{port}\"]\nreconnect_min = \"100ms\"\n\
         reconnect_max = \"500ms\"\n{}",
        Sensor::new(1).table("waste")
    )
}

#[test]
fn a_dead_broker_and_a_taken_port_are_no_reason_to_wait() {
    let mut lykta = Lykta::configured(&tenant(free_tcp_port()));
    let squatter = UdpSocket::bind(lykta.udp).unwrap();
    lykta.restart();
    lykta.wait_for_log(&format!("ERROR cannot listen for concentrators at udp {}", lykta.udp));
    lykta.wait_for_log("WARN  no connection to mqtt://127.0.0.1:");

    drop(squatter);
    lykta.wait_for_log(&format!("INFO  listening for concentrators at udp {}", lykta.udp));
    Concentrator::new(1, lykta.udp).forward(&[Sensor::new(1).level(1, 80, 20)]);
    wait_until("the frame is on disk", || lykta.accepted().len() == 1);
    assert!(lykta.stop().success());
}

#[test]
fn a_service_manager_that_reads_nothing_holds_nothing_up() {
    let mut lykta = Lykta::configured(&tenant(free_tcp_port()));
    lykta.restart();
    let others = UnixDatagram::unbound().unwrap();
    others.connect(lykta.path().join("notify")).unwrap();
    others.set_nonblocking(true).unwrap();
    while others.send(b"STATUS=others speak, too").is_ok() {}
    let begin = Instant::now();
    assert!(lykta.stop().success());
    assert!(begin.elapsed() < STOP);
}

#[test]
fn each_trouble_of_an_outage_is_told_once() {
    // one broker is not there, the other hangs up on everybody
    let rude = TcpListener::bind("127.0.0.1:0").unwrap();
    let rude_port = rude.local_addr().unwrap().port();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    std::thread::spawn(move || {
        for call in rude.incoming() {
            drop(call);
            counter.fetch_add(1, Relaxed);
        }
    });
    let dead_port = free_tcp_port();
    let mut lykta = Lykta::configured(
        &tenant(dead_port)
            .replace("urls = [", &format!("urls = [\"mqtt://127.0.0.1:{rude_port}\", ")),
    );
    lykta.restart();
    wait_until("it has tried often", || calls.load(Relaxed) >= 10);
    let told = |port: u16| {
        let part = format!("no connection to mqtt://127.0.0.1:{port}");
        lykta.log().iter().filter(|line| line.contains(&part)).count()
    };
    assert_eq!(told(dead_port), 1, "{:?}", lykta.log());
    // how the hanging up looks from here depends on the moment
    assert!((1..=3).contains(&told(rude_port)), "{:?}", lykta.log());
}

#[test]
fn a_level_that_is_none_is_told() {
    let mut lykta = Lykta::configured(&tenant(free_tcp_port()));
    let mut command = lykta.command();
    command.env("LYKTA_LOG", "loud");
    lykta.spawn_as(command);
    lykta.wait_for_log("WARN  environment LYKTA_LOG: \"loud\" is no level");
    lykta.wait_for_notification("READY=1");
}

#[test]
fn the_status_line_tells_how_things_are() {
    let broker = Broker::start();
    let mut lykta = Lykta::configured(&tenant(broker.port));
    lykta.spawn();
    let mut lines = lykta.wait_for_notification("READY=1");
    assert_eq!(lines.len(), 2, "ready, and how things are: {lines:?}");
    Concentrator::new(1, lykta.udp).forward(&[Sensor::new(1).level(1, 80, 20)]);
    let last = "STATUS=1 frame heard; waste: 1 accepted, 0 waiting, connected";
    lines.extend(lykta.wait_for_notification(last));
    let mut statuses: Vec<_> = lines.iter().filter(|line| line.starts_with("STATUS=")).collect();
    let all = statuses.len();
    statuses.dedup();
    assert_eq!(statuses.len(), all, "one line twice: {lines:?}");
}

#[test]
fn stops_in_time_with_a_healthy_broker() {
    let broker = Broker::start();
    stops_in_time("TERM", broker.port, |_| {});
    stops_in_time("INT", broker.port, |_| {});
}

#[test]
fn stops_in_time_without_a_broker() {
    stops_in_time("TERM", free_tcp_port(), |_| {});
    stops_in_time("INT", free_tcp_port(), |_| {});
}

#[test]
fn stops_in_time_when_the_broker_accepts_and_never_answers() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    stops_in_time("TERM", port, |_| {});
    stops_in_time("INT", port, |_| {});
}

#[test]
fn stops_in_time_when_the_broker_freezes_with_sigterm() {
    let broker = Broker::start();
    stops_in_time("TERM", broker.port, |lykta| {
        lykta.wait_for_log("connected to mqtt://");
        broker.signal("STOP");
    });
}

#[test]
fn stops_in_time_when_the_broker_freezes_with_sigint() {
    let broker = Broker::start();
    stops_in_time("INT", broker.port, |lykta| {
        lykta.wait_for_log("connected to mqtt://");
        broker.signal("STOP");
    });
}

/// `freeze` is called once lykta runs and before anything is sent.
fn stops_in_time(signal: &str, port: u16, freeze: impl FnOnce(&Lykta)) {
    const FRAMES: u32 = 150;
    let mut lykta = Lykta::configured(&tenant(port));
    lykta.restart();
    let mut concentrator = Concentrator::new(1, lykta.udp);
    let sensor = Sensor::new(1);
    concentrator.forward(&[sensor.level(1, 80, 20)]);
    wait_until("the first frame is on disk", || lykta.accepted().len() == 1);
    freeze(&lykta);
    // more than the window holds, so that something waits in every place where it can
    for f_cnt in 2..=FRAMES {
        concentrator.forward(&[sensor.level(f_cnt, 80, 20)]);
    }

    let begin = Instant::now();
    lykta.signal(signal);
    let status = lykta.wait();
    let took = begin.elapsed();
    assert_eq!(status.code(), Some(0), "{status}\n{}", lykta.log().join("\n"));
    assert!(took < STOP, "SIG{signal}: {took:?}\n{}", lykta.log().join("\n"));
    lykta.wait_for_notification("STOPPING=1");
    assert_eq!(lykta.accepted()[&sensor.dev_eui.0], FRAMES, "acknowledged and not on disk");
}

#[test]
fn a_stop_right_after_ready_is_an_orderly_one() {
    let mut lykta = Lykta::configured(&tenant(free_tcp_port()));
    for _ in 0..20 {
        lykta.restart();
        let status = lykta.stop();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}
