//! What Prometheus reads, and those who only pretend to be it.

use crate::support::{Concentrator, Lykta, PATIENCE, Sensor, free_tcp_port, wait_until};
use crate::{TENANT, ask};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

/// A daemon with metrics at a port of the loopback.
fn start(port: u16, sensors: &[Sensor]) -> Lykta {
    let devices: String = sensors.iter().map(|sensor| sensor.table("waste")).collect();
    let mut lykta = Lykta::configured(&format!("{TENANT}{devices}"));
    set(&lykta, &format!("127.0.0.1:{port}"));
    lykta.restart();
    lykta
}

fn set(lykta: &Lykta, metrics: &str) {
    let file = lykta.path().join("lykta.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("metrics = \"{metrics}\"\n{text}")).unwrap();
}

fn exchange(mut client: impl Read + Write, request: &[u8]) -> String {
    let _ = client.write_all(request);
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn client(port: u16) -> TcpStream {
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

fn get(port: u16) -> Option<BTreeMap<String, f64>> {
    let answer = exchange(client(port), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    Some(
        samples
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').expect(line);
                (name.to_owned(), value.parse().expect(line))
            })
            .collect(),
    )
}

#[test]
fn the_numbers_are_those_of_status() {
    let (port, sensor) = (free_tcp_port(), Sensor::new(1));
    let lykta = start(port, std::slice::from_ref(&sensor));
    Concentrator::new(1, lykta.udp).forward(&[sensor.level(1, 80, 20), vec![0xff; 30]]);
    wait_until("both are counted", || get(port).unwrap()["lykta_air_heard_total"] == 2.0);
    let numbers = get(port).unwrap();
    let (code, status, _) = ask(lykta.path(), &["status", "--json"]);
    assert_eq!(code, Some(0));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let tenant = &status["tenants"][0];
    for (name, value) in [
        ("lykta_tenant_accepted_total{tenant=\"waste\"}", &tenant["accepted"]),
        ("lykta_tenant_waiting{tenant=\"waste\"}", &tenant["waiting"]),
        ("lykta_air_not_uplink_total", &status["air"]["notUplink"]),
        ("lykta_concentrator_packets_total", &status["concentrator"]["packets"]),
        (
            "lykta_seen_packets_total{seen=\"0000000000000001\"}",
            &status["concentrators"][0]["packets"],
        ),
        ("lykta_devices_registered", &status["devices"]["registered"]),
        ("lykta_machine_disk_bytes", &status["machine"]["diskBytes"]),
    ] {
        assert!(value.is_number(), "{name}: {status:#}");
        assert_eq!(numbers.get(name).copied(), value.as_f64(), "{name}: {numbers:#?}");
    }
    let fault = "lykta_fault{code=\"no-broker\",severity=\"warning\",about=\"waste\"}";
    assert_eq!(numbers[fault], 1.0);
    let names: String = numbers.into_keys().collect();
    for personal in
        [sensor.dev_eui.to_string(), "Storgatan".to_owned(), sensor.dev_addr.to_string()]
    {
        assert!(!names.contains(&personal), "{personal}: {names}");
    }
}

#[test]
fn nobody_who_asks_can_harm_it() {
    let (port, sensor) = (free_tcp_port(), Sensor::new(1));
    let mut lykta = start(port, std::slice::from_ref(&sensor));
    for (request, answer) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 404 "),
        (b"GET /metrics/../../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "),
        (b"\r\n\r\n", "HTTP/1.1 400 "),
        (b"\0\xff\xfe\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /metrics HTTP/1.1\nHost: x\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let told = exchange(client(port), request);
        assert!(told.starts_with(answer), "{answer}: {told}");
    }
    // one that never comes to an end, in as many pieces as it likes
    let _ = exchange(client(port), &[b'x'; 1_000_000]);
    let half = client(port);
    (&half).write_all(b"GET /metr").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert!(exchange(half, b"").starts_with("HTTP/1.1 400 "));

    // so many that no place is left, and none of them says or reads anything
    let silent: Vec<_> = (0..100).map(|_| client(port)).collect();
    let mut air = Concentrator::new(1, lykta.udp);
    for f_cnt in 1..=20 {
        air.forward(&[sensor.level(f_cnt, 80, 20)]);
    }
    wait_until("frames are taken in", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&20));
    wait_until("there is a place again", || get(port).is_some());
    drop(silent);
    assert!(lykta.stop().success());
}

#[test]
fn it_is_off_unless_asked_for_and_never_for_other_machines() {
    let port = free_tcp_port();
    let mut lykta = Lykta::configured(TENANT);
    lykta.restart();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    lykta.kill();
    for public in ["0.0.0.0:9185", "192.0.2.1:9185", "[::]:9185", "metrics.sock"] {
        let lykta = Lykta::configured(TENANT);
        set(&lykta, public);
        let (code, _, err) = ask(lykta.path(), &["check"]);
        assert_eq!(code, Some(78), "{public}");
        assert!(err.contains("metrics"), "{err}");
    }
}

#[test]
fn a_socket_serves_as_well_and_a_taken_port_stops_nothing() {
    let mut lykta = Lykta::configured(TENANT);
    let socket = lykta.path().join("metrics.sock");
    set(&lykta, socket.to_str().unwrap());
    lykta.restart();
    // again, in the place of the one that was left behind
    lykta.kill();
    lykta.restart();
    wait_until("it is there", || UnixStream::connect(&socket).is_ok());
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o660);
    let client = UnixStream::connect(&socket).unwrap();
    let answer = exchange(client, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.contains("\nlykta_info{version="), "{answer}");

    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = squatter.local_addr().unwrap().port();
    let lykta = start(port, &[]);
    lykta.wait_for_log(&format!("metrics cannot be read at 127.0.0.1:{port}"));
    assert_eq!(ask(lykta.path(), &["status"]).0, Some(0));
}
