//! Proofs of what a review found: each fails until its finding is mended.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "made for another test")]
#[path = "../lorawan/net.rs"]
mod net;
#[path = "../support/mod.rs"]
mod support;

mod ingest;

use jiff::SignedDuration;
use lykta::lorawan::{Changes, Downlink, Memory, News, Refusal};
use lykta::store::{Command, Entry, Store};
use lykta::units::{AesKey, DevEui, LoRa};
use net::{Mote, Net, SF9, Say, concentrator, single};

fn item(net: &Net, id: &str, payload: &[u8]) -> Downlink {
    Downlink {
        id: id.into(),
        f_port: 3,
        payload: payload.to_vec(),
        confirmed: false,
        expires: net.now + SignedDuration::from_hours(10),
    }
}

fn uplinks(net: &mut Net, mote: &mut Mote, count: usize) {
    for _ in 0..count {
        net.hear(&mote.say(&Say::default())).unwrap();
    }
}

/// What both tenants' stores remember, in this order.
fn merged(one: Memory, other: Memory) -> Memory {
    let mut memory = Memory::default();
    memory.merge(one);
    memory.merge(other);
    memory
}

#[test]
fn a_device_that_changed_its_tenant_and_joined_again_is_heard_after_a_restart() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.join(&mut mote);
    uplinks(&mut net, &mut mote, 50);
    let former = net.disk.clone();
    // its new tenant's store begins with the join
    net.disk = Memory::default();
    net.join(&mut mote);
    uplinks(&mut net, &mut mote, 5);
    let memory = merged(former, net.disk.clone());
    net = Net::remembering(concentrator(), &[&mote], memory);
    assert!(net.hear(&mote.say(&Say::default())).is_ok());
}

#[test]
fn a_session_under_a_former_key_does_not_displace_the_one_in_use() {
    let mut old = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&old]);
    uplinks(&mut net, &mut old, 100);
    let former = net.disk.clone();
    let mut new = Mote::abp(1);
    new.session.as_mut().unwrap().nwk_s_key = AesKey([9; 16]);
    net = Net::new(concentrator(), &[&new]);
    let recorded = new.say(&Say::default());
    net.hear(&recorded).unwrap();
    uplinks(&mut net, &mut new, 5);
    let memory = merged(former, net.disk.clone());
    net = Net::remembering(concentrator(), &[&new], memory);
    assert!(net.hear(&recorded).is_err(), "a recording is taken for new");
}

#[test]
fn joins_under_a_former_key_do_not_displace_those_of_the_key_in_use() {
    let mut old = Mote::otaa(1);
    let mut net = Net::new(concentrator(), &[&old]);
    net.join(&mut old);
    let former = net.disk.clone();
    let mut new = Mote::otaa(1);
    new.app_key = AesKey([9; 16]);
    net = Net::new(concentrator(), &[&new]);
    let recorded = new.join_request();
    net.hear(&recorded).unwrap();
    let memory = merged(former, net.disk.clone());
    net = Net::remembering(concentrator(), &[&new], memory);
    let again = net.hear(&recorded).map(|_| ());
    assert_eq!(again, Err(Refusal::JoinReplay(new.dev_eui)), "a recorded join is answered");
}

#[test]
fn what_a_former_tenant_queued_is_not_sent_and_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let net = Net::new(concentrator(), &[&mote]);
    let dev_eui = mote.dev_eui;
    let entry =
        |changes, queued| Entry { dev_eui, changes, queued, command: None, messages: Vec::new() };
    let mut former = Store::open(&directory.path().join("former.db")).unwrap();
    let mut waste = Store::open(&directory.path().join("waste.db")).unwrap();
    former.commit(&[entry(Changes::default(), Some(item(&net, "a", b"1")))]).unwrap();
    let memory = merged(former.memory().unwrap(), waste.memory().unwrap());
    let mut net = Net::remembering(concentrator(), &[&mote], memory);
    let answer = net.hear(&mote.say(&Say::default())).unwrap().answer;
    if let Some((id, f_cnt)) = answer.and_then(|answer| answer.carries) {
        let changes = net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
        waste.commit(&[entry(changes, None)]).unwrap();
        let left = merged(former.memory().unwrap(), waste.memory().unwrap()).downlinks;
        panic!("sent in the name of a former tenant; after the next restart again: {left:?}");
    }
}

#[test]
fn a_rejoin_tells_that_a_confirmed_downlink_was_not_acknowledged() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.join(&mut mote);
    uplinks(&mut net, &mut mote, 1);
    let reboot = Downlink { confirmed: true, ..item(&net, "reboot", b"1") };
    net.server.enqueue(mote.dev_eui, reboot).unwrap();
    let sent = net.hear(&mote.say(&Say::default())).unwrap().answer.unwrap();
    let (id, f_cnt) = sent.carries.unwrap();
    net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
    net.join(&mut mote);
    let news = net.hear(&mote.say(&Say::default())).unwrap().news;
    assert_eq!(news, [News::Acknowledged { id, f_cnt, acknowledged: false }]);
}

#[test]
fn a_recording_confirms_no_downlink_and_takes_none() {
    let mut mote = Mote::abp(1);
    mote.reset_allowed = true;
    let mut net = Net::new(concentrator(), &[&mote]);
    mote.f_cnt = 5_000;
    let recorded = mote.frame(4_000, &Say { ack: true, ..Say::default() });
    let recorded_later = mote.frame(4_001, &Say::default());
    uplinks(&mut net, &mut mote, 1);
    mote.f_cnt = 0;
    uplinks(&mut net, &mut mote, 3);
    let confirmed = Downlink { confirmed: true, ..item(&net, "open", b"1") };
    net.server.enqueue(mote.dev_eui, confirmed).unwrap();
    let sent = net.hear(&mote.say(&Say::default())).unwrap().answer.unwrap();
    let (id, f_cnt) = sent.carries.unwrap();
    net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
    let news = net.hear(&recorded).map(|accepted| accepted.news).unwrap_or_default();
    let next = item(&net, "next", b"1");
    net.server.enqueue(mote.dev_eui, next).unwrap();
    let answer = net.hear(&recorded_later).ok().and_then(|accepted| accepted.answer);
    let carried = answer.and_then(|answer| answer.carries);
    assert_eq!((news, carried), (vec![], None));
}

#[test]
fn a_downlink_that_fits_but_for_an_answer_beside_it_waits_for_the_next_uplink() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.heard_at = LoRa { spreading_factor: 12, ..SF9 };
    uplinks(&mut net, &mut mote, 1);
    let full = item(&net, "full", &[7; 51]);
    net.server.enqueue(mote.dev_eui, full).unwrap();
    let asking = net.hear(&mote.say(&Say { f_opts: &[0x02], ..Say::default() })).unwrap();
    assert_eq!(asking.news, [], "one LinkCheckReq costs the command");
    let next = net.hear(&mote.say(&Say::default())).unwrap().answer.expect("an answer");
    assert_eq!(next.carries.unwrap().0, "full");
}

#[test]
fn a_device_that_asks_very_much_is_answered_and_keeps_its_line() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    uplinks(&mut net, &mut mote, 1);
    for id in ["a", "b"] {
        let waiting = item(&net, id, b"1");
        net.server.enqueue(mote.dev_eui, waiting).unwrap();
    }
    let questions = [0x02; 100];
    let say = Say { confirmed: true, payload: Some((0, &questions)), ..Say::default() };
    let accepted = net.hear(&mote.say(&say)).unwrap();
    assert_eq!(accepted.news, []);
    assert_ne!(accepted.answer.unwrap().windows, [], "never empty");
}

#[test]
fn an_uplink_that_the_disk_refuses_does_not_free_a_downlink_in_flight() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    uplinks(&mut net, &mut mote, 1);
    let waiting = item(&net, "a", b"1");
    net.server.enqueue(mote.dev_eui, waiting).unwrap();
    assert!(net.hear(&mote.say(&Say::default())).unwrap().answer.is_some());
    let refused = net.hear_only(&mote.say(&Say::default())).unwrap();
    net.server.take_back(refused.undo);
    let next = net.hear(&mote.say(&Say::default())).unwrap();
    assert_eq!(next.answer, None, "it is on its way still");
}

#[test]
fn a_device_that_never_tells_its_status_is_not_asked_with_every_downlink() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    let mut asked = 0;
    for _ in 0..6 {
        let (_, told) = net.exchange(&mut mote, &Say { confirmed: true, ..Say::default() });
        asked += usize::from(told.unwrap().f_opts.contains(&0x06));
    }
    assert!(asked <= 2, "{asked} times within an hour");
}

#[test]
fn questions_that_never_left_do_not_make_a_device_stubborn() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(single(), &[&mote]);
    // each answer is refused by the law, or by the radio: nobody hears any
    for _ in 0..12 {
        let news = net.hear(&mote.say(&Say::default())).unwrap().news;
        assert!(!news.contains(&News::NotPinned), "it was never asked");
    }
}

#[test]
fn an_id_that_is_forgotten_and_comes_again_costs_no_others_uplinks() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("waste.db")).unwrap();
    let net = Net::new(concentrator(), &[]);
    let entry = |n: usize, queued: bool| Entry {
        dev_eui: DevEui(n as u64),
        changes: Changes::default(),
        queued: queued.then(|| item(&net, &format!("c{n}"), b"1")),
        command: Some(Command { id: format!("c{n}"), reply: "{}".into() }),
        messages: Vec::new(),
    };
    store.commit(&[entry(0, true)]).unwrap();
    store.commit(&(1..=1000).map(|n| entry(n, false)).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.reply("c0").unwrap(), None, "forgotten, and it waits still");
    // together with whatever uplinks share the write
    store.commit(&[entry(0, true)]).unwrap();
}

#[test]
fn a_device_that_joins_without_end_does_not_use_up_the_airtime_of_all() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.heard_at = LoRa { spreading_factor: 12, ..SF9 };
    // its receiver is broken: it hears no answer, and asks every 15 s
    let begin = net.now;
    let mut answered = 0;
    for n in 0..240 {
        net.now = begin + SignedDuration::from_secs(15 * n) - SignedDuration::from_mins(10);
        let request = mote.join_request();
        answered += i64::from(net.hear(&request).is_ok_and(|accepted| accepted.answer.is_some()));
    }
    // 17 bytes at SF12 take 1.3 s, and the hour of RX2 has 360 s
    assert!(answered < 60, "{answered} answers within an hour");
}
