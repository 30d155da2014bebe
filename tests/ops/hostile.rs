//! Hostile input at the UDP port of the running program.

use crate::support::{Broker, Concentrator, Lykta, Sensor, Subscriber, packet, wait_until};
use lykta::radio::gwmp;

const HEADER: [u8; 12] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1];

/// The greatest payload of a UDP datagram over IPv4.
const LARGEST: usize = 65_507;

fn push(json: impl AsRef<[u8]>) -> Vec<u8> {
    let datagram = [&HEADER, json.as_ref()].concat();
    assert!(datagram.len() <= LARGEST, "{}", datagram.len());
    datagram
}

/// Datagrams that are not of the protocol, from the first byte to the last bracket.
fn malformed(random: &mut fastrand::Rng, good: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    for version in [0, 3, 0x32, 255] {
        let mut other = good.to_vec();
        other[0] = version;
        all.push(other);
    }
    for kind in [1, 3, 4, 6, 255] {
        let mut other = good.to_vec();
        other[3] = kind;
        all.push(other);
    }
    for _ in 0..300 {
        let mut noise: Vec<u8> = (0..random.usize(0..2000)).map(|_| random.u8(..)).collect();
        if let Some(version) = noise.first_mut() {
            *version |= 0x80;
        }
        all.push(noise);
    }
    all.extend([
        push(r#"{"rxpk":"#.to_owned() + &"[".repeat(65_000)),
        push(r#"{"rxpk":["#.to_owned() + &r#"{"a":"#.repeat(13_000)),
        push(r#"{"rxpk":["#.to_owned() + &"0,".repeat(32_000)),
        push(format!(r#"{{"rxpk":[],"{}"#, "x".repeat(65_000))),
        push(r#"{"rxpk":[],"rxpk":[]}"#),
        push(r#"{"rxpk":{}}"#),
        push(b"{\"rxpk\":[\"\xff\xfe\xc0\"]}"),
        push("null"),
        push("\0".repeat(1000)),
        push(""),
    ]);
    all
}

/// Datagrams of the protocol, each with this many packets that are not.
fn bombs() -> Vec<(Vec<u8>, u64)> {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let rxpk = |key: &str, value: &str| {
        let mut fields = vec![
            ("tmst", "1"),
            ("freq", "868.1"),
            ("stat", "1"),
            ("modu", "\"LORA\""),
            ("datr", "\"SF7BW125\""),
            ("rssi", "-50"),
            ("lsnr", "5"),
            ("data", "\"QAE=\""),
        ];
        fields.retain(|(name, _)| *name != key);
        fields.push((key, value));
        let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        push(format!("{{\"rxpk\":[{{{}}}]}}", fields.join(",")))
    };
    vec![
        (push(format!("{{\"rxpk\":[{}]}}", deep(32_000))), 1),
        (push(format!("{{\"rxpk\":[{}0]}}", "0,".repeat(32_000))), 32_001),
        (push(format!("{{\"rxpk\":[{}{{}}]}}", "{},".repeat(20_000))), 20_001),
        (push(format!("{{\"rxpk\":[],\"stat\":{}}}", deep(32_000))), 0),
        (rxpk("datr", &deep(32_000)), 1),
        (rxpk("tmst", "-1"), 1),
        (rxpk("tmst", "4294967296"), 1),
        (rxpk("freq", "1e999"), 1),
        (rxpk("freq", "-868.1"), 1),
        (rxpk("lsnr", "1e39"), 1),
        (rxpk("rssi", "null"), 1),
        (rxpk("datr", "\"SF7BW99999999999999999999\""), 1),
        (rxpk("data", "\"\""), 1),
        (rxpk("data", "\"\\u0000\""), 1),
        (rxpk("stat", "99999"), 1),
    ]
}

#[test]
fn nothing_that_a_stranger_sends_takes_the_gateway_down() {
    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let sensor = Sensor::new(1);
    let mut lykta = Lykta::start(&broker, "", std::slice::from_ref(&sensor));
    let mut concentrator = Concentrator::new(0xa1, lykta.udp);
    let mut random = fastrand::Rng::with_seed(7);
    let good = gwmp::push_data(concentrator.eui, 1, &[packet(sensor.level(1, 80, 20), -97.0, 5.5)]);

    // an answered datagram every now and then, so that none is lost for want of a buffer
    let mut datagrams = 0;
    let malformed = malformed(&mut random, &good);
    for (n, datagram) in malformed.iter().enumerate() {
        concentrator.send(datagram);
        datagrams += 1;
        if n % 10 == 9 {
            assert!(concentrator.exchange(&gwmp::pull_data(concentrator.eui, n as u16)));
            datagrams += 1;
        }
    }
    let mut bad_packets = 0;
    for (mut bomb, packets) in bombs() {
        bomb[2] = datagrams as u8;
        assert!(concentrator.exchange(&bomb), "received, though of no use");
        datagrams += 1;
        bad_packets += packets;
    }
    // frames of the radio that are not LoRaWAN, too long, of nobody, or forged
    let mut forged = sensor.level(9, 80, 20);
    *forged.last_mut().unwrap() ^= 1;
    let noise: Vec<u8> = (0..40).map(|_| random.u8(..)).collect();
    let frames =
        vec![forged, Sensor::new(99).level(1, 80, 20), noise, vec![0x40; 40_000], vec![0x40; 5]];
    concentrator.forward(&frames);
    datagrams += 1;
    bad_packets += 1; // no radio carries 40,000 bytes
    concentrator.forward(&[sensor.level(1, 80, 20)]);
    datagrams += 1;
    wait_until("the good frame is delivered", || cloud.on("/event/up").len() == 1);

    let health = crate::health(&broker, &cloud);
    let counted = &health["concentrator"];
    assert_eq!(counted["datagrams"], datagrams, "{counted}");
    assert_eq!(counted["malformedDatagrams"], malformed.len(), "{counted}");
    assert_eq!(counted["malformedPackets"], bad_packets, "{counted}");
    assert_eq!(health["air"]["heard"], frames.len(), "{health}");
    assert_eq!(health["air"]["badMic"], 1, "{health}");
    assert_eq!(health["tenant"]["accepted"], 1, "{health}");
    assert!(lykta.stop().success());
    let log = lykta.log();
    assert!(log.iter().all(|line| !line.contains("panicked")), "{log:?}");
    assert!(log.len() < 10, "a stranger fills the journal: {log:?}");
}
