//! The promise of the concentrator path: what a packet forwarder is given to transmit gets
//! there, what becomes of it is known, once, and strangers change nothing.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod airtime;
mod world;

use lykta::radio::TxError;
use lykta::radio::gwmp::Stat;
use lykta::units::GatewayEui;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use support::{Forwarder, wait_until};
use world::{World, transmission};

/// Waits until the listener has read as many datagrams.
fn wait_for_datagrams(world: &World, count: u64) {
    wait_until("the datagrams are read", || world.counters.datagrams.load(Relaxed) == count);
}

#[test]
fn a_transmission_goes_to_where_the_forwarder_asked_from() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    forwarder.pull();
    forwarder.push(r#"{"rxpk":[]}"#);
    world.transmit(transmission(7, forwarder.eui));
    let datagram = forwarder.pull_resp();
    let [version, high, low, kind] = datagram[..4] else { panic!("{datagram:?}") };
    assert_eq!((version, kind), (2, 3));
    insta::assert_snapshot!(std::str::from_utf8(&datagram[4..]).unwrap());
    forwarder.ack(u16::from_be_bytes([high, low]), None);
    assert_eq!(world.report(), (7, 0xa1, Ok(())));
    assert_eq!(world.stop(), [], "told once");
}

#[test]
fn every_refusal_of_a_forwarder_is_reported_with_its_reason() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    forwarder.pull();
    let errors = [
        ("TOO_LATE", TxError::TooLate),
        ("TOO_EARLY", TxError::TooEarly),
        ("COLLISION_PACKET", TxError::Collision),
        ("COLLISION_BEACON", TxError::Collision),
        ("TX_FREQ", TxError::Impossible),
        ("TX_POWER", TxError::Impossible),
        ("GPS_UNLOCKED", TxError::Refused),
        ("ON_FIRE", TxError::Refused),
    ];
    for (id, (word, error)) in (1..).zip(errors) {
        world.transmit(transmission(id, forwarder.eui));
        forwarder.ack(forwarder.downlink().token, Some(word));
        assert_eq!(world.report(), (id, 0xa1, Err(error)), "{word}");
    }
    let seen = world.roster.list().remove(0);
    assert_eq!(seen.refused.values().sum::<u64>(), 8, "{seen:?}");
    assert_eq!((seen.taken, seen.refused[&TxError::Collision]), (0, 2));
}

#[test]
fn a_forwarder_that_says_nothing_has_taken_it() {
    let world = World::start();
    let mut old = Forwarder::new(0xa1, world.address);
    old.speak(1);
    old.pull();
    world.transmit(transmission(1, old.eui));
    let downlink = old.downlink();
    assert_eq!((downlink.version, downlink.tmst), (1, 999_999), "in the version that it speaks");
    assert_eq!(world.report(), (1, 0xa1, Ok(())));
    // what it says afterwards is about nothing
    old.ack(downlink.token, Some("TOO_LATE"));
    wait_for_datagrams(&world, 2);
    assert_eq!(world.stop(), []);
}

#[test]
fn there_is_no_way_to_who_has_not_asked_for_downlinks() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    world.transmit(transmission(1, forwarder.eui));
    assert_eq!(world.report(), (1, 0xa1, Err(TxError::NoWay)), "never heard of");
    forwarder.push("{}");
    world.transmit(transmission(2, forwarder.eui));
    assert_eq!(world.report(), (2, 0xa1, Err(TxError::NoWay)), "only heard");
    forwarder.pull();
    world.transmit(transmission(3, forwarder.eui));
    forwarder.ack(forwarder.downlink().token, None);
    assert_eq!(world.report(), (3, 0xa1, Ok(())));
}

#[test]
fn each_of_two_concentrators_answers_for_itself() {
    let world = World::start();
    let [first, second] = [0xa1, 0xa2].map(|eui| Forwarder::new(eui, world.address));
    first.pull();
    second.pull();
    world.transmit(transmission(1, first.eui));
    world.transmit(transmission(2, second.eui));
    let tokens = [first.downlink().token, second.downlink().token];
    assert_ne!(tokens[0], tokens[1]);
    // neither can speak for the other, nor of what it was not given
    first.ack(tokens[1], Some("TOO_LATE"));
    second.ack(tokens[0], Some("TOO_LATE"));
    first.ack(tokens[0].wrapping_sub(1), Some("TOO_LATE"));
    wait_for_datagrams(&world, 5);
    second.ack(tokens[1], Some("COLLISION_PACKET"));
    assert_eq!(world.report(), (2, 0xa2, Err(TxError::Collision)));
    first.ack(tokens[0], None);
    assert_eq!(world.report(), (1, 0xa1, Ok(())));
}

#[test]
fn a_forwarder_that_moved_is_found_at_its_new_address() {
    let world = World::start();
    let before = Forwarder::new(0xa1, world.address);
    before.pull();
    let after = Forwarder::new(0xa1, world.address);
    after.pull();
    world.transmit(transmission(1, after.eui));
    after.ack(after.downlink().token, None);
    assert_eq!(world.report(), (1, 0xa1, Ok(())));
    assert_eq!(world.roster.list()[0].pull.unwrap().address, after.down());
}

#[test]
fn a_network_that_is_not_allowed_is_neither_heard_nor_answered() {
    let world = World::with(&["192.168.7.0/24", "fd00::/8"]);
    let stranger = Forwarder::new(0xa1, world.address);
    stranger.pull_in_vain(Duration::from_millis(200));
    wait_for_datagrams(&world, 1);
    assert_eq!(world.counters.not_allowed.load(Relaxed), 1);
    assert_eq!(world.roster.list(), []);
    world.transmit(transmission(1, stranger.eui));
    assert_eq!(world.report(), (1, 0xa1, Err(TxError::NoWay)));

    let world = World::with(&["192.168.7.0/24", "127.0.0.0/8"]);
    Forwarder::new(0xa1, world.address).pull();
}

#[test]
fn what_a_forwarder_tells_of_itself_can_be_seen() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    forwarder.push(
        r#"{"stat":{"time":"2026-01-12 08:59:28 GMT","lati":59.33,"long":18.07,"alti":44,
            "rxnb":20,"rxok":17,"rxfw":17,"ackr":99.5,"dwnb":3,"txnb":2,"temp":31.2}}"#,
    );
    let rxpk = r#"{"tmst":5,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5",
        "rssi":-97,"lsnr":5.5,"size":3,"data":"QAEC"}"#;
    forwarder.push(&format!(r#"{{"rxpk":[{rxpk},null,{rxpk}]}}"#));
    assert_eq!(world.frame().phy, [0x40, 1, 2]);
    let seen = world.roster.list().remove(0);
    let stat = Stat {
        time: "2026-01-12T08:59:28Z".parse().ok(),
        rxnb: Some(20),
        rxok: Some(17),
        rxfw: Some(17),
        ackr: Some(99.5),
        dwnb: Some(3),
        txnb: Some(2),
        lati: Some(59.33),
        long: Some(18.07),
        alti: Some(44.0),
    };
    assert_eq!(seen.stat, Some(stat), "kept, though the next datagram had none");
    assert_eq!((seen.gateway, seen.version, seen.packets), (forwarder.eui, 2, 2));
    assert_eq!(seen.pull, None);
}

#[test]
fn a_slow_gateway_loses_no_report() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    forwarder.pull();
    world.full.store(5, Relaxed);
    for id in 1..=3 {
        world.transmit(transmission(id, GatewayEui(0xee)));
    }
    world.transmit(transmission(4, forwarder.eui));
    for id in 1..=3 {
        assert_eq!(world.report(), (id, 0xee, Err(TxError::NoWay)));
    }
    forwarder.ack(forwarder.downlink().token, None);
    assert_eq!(world.report(), (4, 0xa1, Ok(())));
    assert_eq!(world.full.load(Relaxed), 0, "it was tried again");
}

#[test]
fn hundreds_of_transmissions_are_each_reported_once() {
    let world = World::start();
    let forwarder = Forwarder::new(0xa1, world.address);
    forwarder.pull();
    const COUNT: u64 = 600;
    std::thread::scope(|scope| {
        // the forwarder takes its time: it answers only when it has been given 200
        scope.spawn(|| {
            for _ in 0..COUNT / 200 {
                let tokens: Vec<_> = (0..200).map(|_| forwarder.downlink().token).collect();
                tokens.into_iter().for_each(|token| forwarder.ack(token, None));
            }
        });
        let (sender, eui) = (world.sender(), forwarder.eui);
        scope.spawn(move || {
            (1..=COUNT).for_each(|id| sender.blocking_send(transmission(id, eui)).unwrap());
        });
        let reported: BTreeSet<_> = (0..COUNT).map(|_| world.report().0).collect();
        assert_eq!(reported, (1..=COUNT).collect());
    });
    assert_eq!(world.stop(), []);
}

#[test]
fn while_the_port_is_taken_there_is_no_way_to_anybody() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let world = World::at(taken.local_addr().unwrap(), &[]);
    world.transmit(transmission(1, GatewayEui(0xa1)));
    assert_eq!(world.report(), (1, 0xa1, Err(TxError::NoWay)));
}
