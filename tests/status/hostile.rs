//! Clients that nobody can trust, at the socket of the running program.

use crate::support::{Concentrator, Lykta, PATIENCE, Sensor, wait_until};
use crate::{socket_of, start};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// So many may ask at once.
const PLACES: usize = 4;

fn connect(lykta: &Lykta) -> UnixStream {
    let client = UnixStream::connect(socket_of(lykta)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

/// The answer to this, if it is one; a connection that is cut is none.
fn answer(lykta: &Lykta, request: &[u8]) -> Option<Value> {
    let mut client = connect(lykta);
    let _ = client.write_all(request);
    let mut line = Vec::new();
    BufReader::new(client).read_until(b'\n', &mut line).ok()?;
    (!line.is_empty()).then(|| serde_json::from_slice(&line).unwrap())
}

/// How many ends of connections the daemon holds at its socket, and the one that listens. Not its
/// open files: others of them come and go, a connection to a broker that is not there among them.
fn held(lykta: &Lykta) -> usize {
    let path = socket_of(lykta);
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    sockets.lines().filter(|line| line.ends_with(&*path.to_string_lossy())).count()
}

/// Whether it says that too many ask.
fn is_refusal(answer: &Value) -> bool {
    answer["error"].as_str().is_some_and(|why| why.contains("too many"))
}

#[test]
fn garbage_is_answered_by_an_error() {
    let lykta = start(&[]);
    for request in [
        &b"\n"[..],
        b"statusses\n",
        b"STATUS\n",
        b"devices all\n",
        b"device\n",
        b"device \n",
        b"device zz\n",
        b"device 70b3d50700000001 70b3d50700000001\n",
        b"GET / HTTP/1.1\r\n",
        b"\0\xff\xfe{\"\n",
        &[b'x'; 128],
        &[b'x'; 100_000],
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        let answer = answer(&lykta, request).expect(&shown);
        assert!(answer["error"].is_string(), "{shown}: {answer}");
    }
    // what comes after the line is not looked at
    let answer = answer(&lykta, b"status\nstatus\n\0\0\0").expect("an answer");
    assert_eq!(answer["gateway"], "gw-1");
    assert!(lykta.log().iter().all(|line| !line.contains("panicked")));
}

#[test]
fn half_a_line_is_no_request() {
    let lykta = start(&[]);
    for half in [&b""[..], b"stat", b"status"] {
        let mut client = connect(&lykta);
        client.write_all(half).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn silent_clients_cost_others_a_moment_and_the_gateway_nothing() {
    let sensor = Sensor::new(1);
    let mut lykta = start(std::slice::from_ref(&sensor));
    let mut concentrator = Concentrator::new(0xa1, lykta.udp);
    concentrator.forward(&[sensor.level(1, 80, 20)]);
    wait_until("an uplink is accepted", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&1));
    let before = held(&lykta);
    let mut silent: Vec<UnixStream> = (0..PLACES).map(|_| connect(&lykta)).collect();
    silent[1].write_all(b"stat").unwrap();
    // the next is told so at once, and the next hundred
    for _ in 0..100 {
        assert!(is_refusal(&answer(&lykta, b"status\n").expect("a refusal")));
    }
    // and one that connects to the broker again and again
    assert!(held(&lykta) <= before + PLACES + 3);
    concentrator.forward(&[sensor.level(2, 80, 20)]);
    wait_until("the next is accepted", || lykta.accepted().get(&sensor.dev_eui.0) == Some(&2));
    // their time is over
    wait_until("others may ask again", || {
        answer(&lykta, b"status\n").is_some_and(|answer| answer["gateway"] == "gw-1")
    });
    for mut client in silent {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
    wait_until("nothing is left of them", || held(&lykta) <= before);
    assert!(lykta.stop().success());
    let log = lykta.log();
    assert!(log.len() < 8, "curiosity fills the journal: {log:?}");
}

#[test]
fn who_does_not_read_the_answer_is_left_alone() {
    // more than a socket's buffer holds
    let sensors: Vec<Sensor> = (1..=2_000).map(Sensor::new).collect();
    let lykta = start(&sensors);
    let before = held(&lykta);
    let deaf: Vec<UnixStream> = (0..PLACES)
        .map(|_| {
            let mut client = connect(&lykta);
            client.write_all(b"devices\n").unwrap();
            client
        })
        .collect();
    wait_until("the others may ask", || {
        answer(&lykta, b"devices\n")
            .is_some_and(|answer| answer["devices"].as_array().is_some_and(|d| d.len() == 2_000))
    });
    wait_until("nothing is left of them", || held(&lykta) <= before);
    for mut client in deaf {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(!rest.ends_with(b"\n"), "the answer went on after its time");
    }
}

#[test]
fn one_after_the_other_nobody_is_refused() {
    let lykta = start(&[]);
    for _ in 0..200 {
        assert_eq!(answer(&lykta, b"status\n").expect("an answer")["gateway"], "gw-1");
    }
}

#[test]
fn many_at_once_are_all_told_something() {
    let lykta = start(&[]);
    let before = held(&lykta);
    let answered: usize = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..50)
            .map(|_| {
                scope.spawn(|| {
                    let answer = answer(&lykta, b"status\n").expect("something");
                    assert!(is_refusal(&answer) || answer["gateway"] == "gw-1", "{answer}");
                    usize::from(!is_refusal(&answer))
                })
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).sum()
    });
    assert!(answered >= 1, "nobody was answered");
    wait_until("nothing is left of them", || held(&lykta) <= before);
}
