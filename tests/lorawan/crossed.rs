//! Things that cross each other: tenants, restarts, late reports, recordings, failing disks.

use crate::net::{Mote, Net, SF9, Say, concentrator, item, single};
use jiff::SignedDuration;
use lykta::device::Registry;
use lykta::lorawan::{Changes, Downlink, Memory, News, Plan, Received, Refusal};
use lykta::store::{Command, Entry, Store};
use lykta::units::{AesKey, Db, DevEui, LoRa};
use std::time::Duration;

fn uplinks(net: &mut Net, mote: &mut Mote, count: usize) {
    for _ in 0..count {
        net.hear(&mote.say(&Say::default())).unwrap();
    }
}

/// What the stores of a former tenant and of the device's own remember, in this order.
fn gathered(former: Memory, own: Memory, mote: &Mote) -> Memory {
    let tenants = ["former", "waste"].map(|tenant| tenant.parse().unwrap());
    let stores = tenants.into_iter().zip([former, own]).collect();
    Memory::gather(stores, &Registry::new([mote.device()]))
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
    let memory = gathered(former, net.disk.clone(), &mote);
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
    let memory = gathered(former, net.disk.clone(), &new);
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
    let memory = gathered(former, net.disk.clone(), &new);
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
    let entry = |changes, queued| Entry { changes, queued, ..Entry::of(dev_eui, Vec::new()) };
    let mut former =
        Store::open(&directory.path().join("former.db"), &lykta::clock::Clock::system()).unwrap();
    let mut waste =
        Store::open(&directory.path().join("waste.db"), &lykta::clock::Clock::system()).unwrap();
    former.commit(&[entry(Changes::default(), Some(item(&net, "a", b"1")))]).unwrap();
    let memory = gathered(former.memory().unwrap(), waste.memory().unwrap(), &mote);
    let mut net = Net::remembering(concentrator(), &[&mote], memory);
    let answer = net.hear(&mote.say(&Say::default())).unwrap().answer;
    if let Some((id, f_cnt)) = answer.and_then(|answer| answer.carries) {
        let changes = net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
        waste.commit(&[entry(changes, None)]).unwrap();
        let left = gathered(former.memory().unwrap(), waste.memory().unwrap(), &mote).downlinks;
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
    let (id, f_cnt) = on_its_way(&mut net, &mut mote);
    net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
    // a new battery
    mote.f_cnt = 0;
    uplinks(&mut net, &mut mote, 3);
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
        let accepted = net.hear(&mote.say(&Say::default())).unwrap();
        assert!(!accepted.news.contains(&News::NotPinned), "it was never asked");
        if accepted.answer.is_some() {
            net.server.not_answered(mote.dev_eui);
        }
    }
}

#[test]
fn a_command_is_remembered_for_as_long_as_its_downlink_waits() {
    let directory = tempfile::tempdir().unwrap();
    let mut store =
        Store::open(&directory.path().join("waste.db"), &lykta::clock::Clock::system()).unwrap();
    let net = Net::new(concentrator(), &[]);
    let entry = |n: usize, queued: bool| Entry {
        queued: queued.then(|| item(&net, &format!("c{n}"), b"1")),
        command: Some(Command { id: format!("c{n}"), reply: "{}".into() }),
        ..Entry::of(DevEui(n as u64), Vec::new())
    };
    store.commit(&[entry(0, true)]).unwrap();
    store.commit(&(1..=1000).map(|n| entry(n, false)).collect::<Vec<_>>()).unwrap();
    assert!(store.reply("c0").unwrap().is_some(), "a thousand others came, and it waits still");
    let sent = Changes { ended: vec!["c0".into()], ..Changes::default() };
    store.commit(&[Entry { changes: sent, command: None, ..entry(0, false) }]).unwrap();
    store.commit(&[entry(1001, false)]).unwrap();
    assert_eq!(store.reply("c0").unwrap(), None, "then it goes with the others");
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

fn five() -> Plan {
    Plan { rx1_delay: 5, ..concentrator() }
}

/// A confirmed downlink that is on its way: its id and counter.
fn on_its_way(net: &mut Net, mote: &mut Mote) -> (String, u32) {
    let confirmed = Downlink { confirmed: true, ..item(net, "a", b"1") };
    net.server.enqueue(mote.dev_eui, confirmed).unwrap();
    let answer = net.hear(&mote.say(&Say::default())).unwrap().answer.unwrap();
    answer.carries.unwrap()
}

#[test]
fn a_device_with_a_new_battery_comes_to_terms_with_the_network_again() {
    let mut mote = Mote { reset_allowed: true, ..Mote::abp(1) };
    let mut net = Net::new(five(), &[&mote]);
    mote.f_cnt = 5_000;
    net.exchange(&mut mote, &Say::default());
    net.exchange(&mut mote, &Say { f_opts: &[0x08], ..Say::default() });
    (mote.f_cnt, mote.f_cnt_down) = (0, None);
    net.exchange(&mut mote, &Say::default());
    let say = Say { confirmed: true, f_opts: &[0x08], ..Say::default() };
    let answer = net.hear(&mote.say(&say)).unwrap().answer.unwrap();
    assert_eq!(answer.windows[0].delay.as_secs(), 5, "it has taken the delay again");

    let mut mote = Mote { reset_allowed: true, ..Mote::abp(2) };
    let mut net = Net::new(single(), &[&mote]);
    mote.f_cnt = 5_000;
    net.exchange(&mut mote, &Say::default());
    (mote.f_cnt, mote.f_cnt_down) = (0, None);
    net.exchange(&mut mote, &Say::default());
    net.exchange(&mut mote, &Say { f_opts: &[0x03, 0x07], ..Say::default() });
    for _ in 0..10 {
        assert_eq!(net.exchange(&mut mote, &Say::default()).1, None, "it is pinned again");
    }
}

#[test]
fn a_recording_that_looks_like_a_new_battery_does_not_part_device_and_network() {
    let mut mote = Mote { reset_allowed: true, ..Mote::abp(1) };
    let mut net = Net::new(five(), &[&mote]);
    let recorded = mote.say(&Say::default());
    net.hear(&recorded).unwrap();
    net.exchange(&mut mote, &Say { f_opts: &[0x08], ..Say::default() });
    for _ in 0..30 {
        net.exchange(&mut mote, &Say::default());
    }
    net.hear(&recorded).expect("its profile allows that");
    let say = Say { confirmed: true, ..Say::default() };
    let answer = net.hear(&mote.say(&say)).unwrap().answer.unwrap();
    assert_eq!(answer.windows[0].delay.as_secs(), 5, "the device listens then, as before");
}

#[test]
fn each_question_is_answered_once_and_whole() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.exchange(&mut mote, &Say { confirmed: true, ..Say::default() });
    let say = Say { f_opts: &[0x0d, 0x02, 0x0d, 0x0d, 0x02], ..Say::default() };
    let told = net.exchange(&mut mote, &say).1.unwrap();
    assert_eq!((told.f_opts[0], told.f_opts[6], told.f_opts.len()), (0x0d, 0x02, 9));
}

#[test]
fn a_reset_does_not_swallow_what_became_of_a_confirmed_downlink() {
    let mut mote = Mote { reset_allowed: true, ..Mote::abp(1) };
    let mut net = Net::new(concentrator(), &[&mote]);
    mote.f_cnt = 30;
    net.exchange(&mut mote, &Say::default());
    let (id, f_cnt) = on_its_way(&mut net, &mut mote);
    net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
    mote.f_cnt = 0;
    let mut news = Vec::new();
    for _ in 0..40 {
        // while it could be a recording it acknowledges nothing
        news.extend(net.hear(&mote.say(&Say { ack: true, ..Say::default() })).unwrap().news);
    }
    let told: Vec<_> = news.iter().filter(|n| matches!(n, News::Acknowledged { .. })).collect();
    assert_eq!(told.len(), 1, "{news:?}");
}

#[test]
fn an_acknowledgement_that_comes_before_the_report_counts() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
    let (id, f_cnt) = on_its_way(&mut net, &mut mote);
    // the device acknowledges before the forwarder's silence is taken for a yes
    let accepted = net.hear(&mote.say(&Say { ack: true, ..Say::default() })).unwrap();
    assert_eq!(accepted.news, [News::Acknowledged { id: id.clone(), f_cnt, acknowledged: true }]);
    assert_eq!(accepted.changes.ended, std::slice::from_ref(&id));
    assert_eq!(net.server.sent(mote.dev_eui, &id, f_cnt), None);
    assert_eq!(net.hear(&mote.say(&Say::default())).unwrap().news, []);
}

#[test]
fn a_join_request_that_was_kept_does_not_replace_a_newer_session() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    let kept = mote.join_request();
    net.join(&mut mote);
    let received = Received {
        phy: &kept,
        at: net.now,
        age: Duration::from_secs(60),
        synced: true,
        frequency: crate::net::CHANNEL,
        modulation: SF9,
        snr: Db(0.0),
        receivers: 1,
    };
    assert_eq!(net.server.uplink(&received).unwrap_err(), Refusal::LateJoin(mote.dev_eui));
    net.hear(&mote.say(&Say::default())).expect("the session that the device has");
}

#[test]
fn what_a_forwarder_kept_is_no_new_battery() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    let all: Vec<_> = (0..60).map(|_| mote.say(&Say::default())).collect();
    for phy in &all {
        net.hear(phy).unwrap();
    }
    let now = net.now;
    for phy in &all[..30] {
        // all at once
        net.now = now - SignedDuration::from_mins(10);
        assert_eq!(net.hear(phy).unwrap_err(), Refusal::Replay(mote.dev_eui));
    }
}

#[test]
fn acknowledgements_that_no_disk_took_are_not_counted() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    let phy = mote.say(&Say { confirmed: true, ..Say::default() });
    net.hear(&phy).unwrap();
    for _ in 0..8 {
        let lost = net.hear_only(&phy).unwrap();
        net.server.take_back(lost.undo);
    }
    net.hear(&phy).expect("none of them was answered");
}

#[test]
fn a_downlink_that_is_sent_while_the_disk_fails_is_still_awaited() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
    let (id, f_cnt) = on_its_way(&mut net, &mut mote);
    let lost = net.hear_only(&mote.say(&Say::default())).unwrap();
    net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
    net.server.take_back(lost.undo);
    let news = net.hear(&mote.say(&Say { ack: true, ..Say::default() })).unwrap().news;
    assert_eq!(news, [News::Acknowledged { id, f_cnt, acknowledged: true }]);
}

#[test]
fn a_device_that_urges_and_never_hears_is_not_answered_for_ever() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    let urges = Say { adr_ack_req: true, ..Say::default() };
    let answers = (0..200).filter(|_| net.exchange(&mut mote, &urges).1.is_some()).count();
    assert!((8..40).contains(&answers), "{answers} of 200");
}
