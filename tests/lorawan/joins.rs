//! Joins over the air.

use crate::net::{CHANNEL, Mote, Net, SF9, Say, concentrator, single};
use lykta::device::Registry;
use lykta::lorawan::{EdgeServer, Event, Plan, Refusal, Slot};
use lykta::units::{AesKey, Hertz, JoinEui, LoRa};
use std::time::Duration;

#[test]
fn a_device_joins_and_its_uplinks_are_read() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let (answer, clear) = net.join(&mut mote);
    assert_eq!(clear.len(), 17, "no list of channels for a device that is to stay on one");
    let windows: Vec<_> =
        answer.windows.iter().map(|w| (w.delay, w.frequency, w.modulation)).collect();
    let sf12 = LoRa { spreading_factor: 12, ..SF9 };
    assert_eq!(
        windows,
        [
            (Duration::from_secs(5), CHANNEL, SF9),
            (Duration::from_secs(6), Hertz(869_525_000), sf12)
        ]
    );
    let say = Say { payload: Some((2, b"full")), ..Say::default() };
    let (uplink, _) = net.exchange(&mut mote, &say);
    assert_eq!(uplink.payload, b"full");
    assert_eq!((uplink.f_cnt, uplink.missed), (0, 0));
    assert_eq!(Some(uplink.dev_addr), mote.session.map(|s| s.dev_addr));
}

#[test]
fn behind_a_concentrator_five_more_channels_are_handed_out() {
    let mut mote = Mote::otaa(1);
    let plan = Plan { rx1_delay: 3, rx2_data_rate: 3, ..concentrator() };
    let mut net = Net::new(plan, &[&mote]);
    let (_, clear) = net.join(&mut mote);
    assert_eq!(clear.len(), 33);
    assert_eq!(hex::encode(&clear[13..29]), "184f84e85684b85e84886684586e8400");
    assert_eq!((clear[11], clear[12]), (0x03, 3), "RX2 and the delay as they are set");
    let say = Say { confirmed: true, ..Say::default() };
    let answer = net.hear(&mote.say(&say)).unwrap().answer.unwrap();
    let seconds: Vec<_> = answer.windows.iter().map(|w| w.delay.as_secs()).collect();
    assert_eq!(seconds, [3, 4]);
    assert_eq!(answer.windows[1].modulation, SF9);
}

#[test]
fn a_join_request_is_answered_once_and_never_again() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let first = mote.join_request();
    net.hear(&first).unwrap();
    assert_eq!(net.hear(&first).unwrap_err(), Refusal::Repeat(mote.dev_eui), "a late copy");
    let second = mote.join_request();
    net.hear(&second).unwrap();
    assert_eq!(net.hear(&first).unwrap_err(), Refusal::JoinReplay(mote.dev_eui));
    net.restart(single(), &[&mote]);
    for old in [&first, &second] {
        assert_eq!(
            net.hear(old).unwrap_err(),
            Refusal::JoinReplay(mote.dev_eui),
            "after a restart"
        );
    }
    net.hear(&mote.join_request()).expect("a new one");
}

#[test]
fn what_no_disk_has_taken_has_not_happened() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let request = mote.join_request();
    let lost = net.hear_only(&request).unwrap();
    net.server.take_back(lost.undo);
    let answer = net.hear(&request).expect("the same request again").answer.unwrap();
    mote.join(&answer.phy);
    let phy = mote.say(&Say { confirmed: true, ..Say::default() });
    let lost = net.hear_only(&phy).unwrap();
    net.server.take_back(lost.undo);
    let again = net.hear(&phy).expect("its repetition is welcome");
    assert!(matches!(again.event, Event::Uplink(_)));
    mote.hear(&again.answer.unwrap().phy);
}

#[test]
fn the_old_session_goes_on_until_the_new_one_is_used() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    net.join(&mut mote);
    net.exchange(&mut mote, &Say::default());
    let mut before = mote.clone();
    net.join(&mut mote);
    net.restart(single(), &[&mote]);
    // the answer was lost, or the device only asked whether somebody is there
    net.exchange(&mut before, &Say::default());
    net.exchange(&mut mote, &Say::default());
    assert!(!net.disk.sessions.contains_key(&(mote.dev_eui, Slot::Pending)));
    let late = before.say(&Say::default());
    assert!(matches!(net.hear(&late).unwrap_err(), Refusal::UnknownDevAddr(_)), "it is over");
    net.restart(single(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
}

#[test]
fn a_join_begins_both_counters_anew() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    for _ in 0..3 {
        net.join(&mut mote);
        for f_cnt in 0..5 {
            let (uplink, told) =
                net.exchange(&mut mote, &Say { confirmed: true, ..Say::default() });
            assert_eq!(uplink.f_cnt, f_cnt);
            assert!(told.unwrap().ack);
            assert_eq!(mote.f_cnt_down, Some(f_cnt));
        }
    }
}

#[test]
fn numbers_of_answers_rise_even_when_the_store_is_lost() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let nonce = |clear: &[u8]| u32::from_le_bytes([clear[1], clear[2], clear[3], 0]);
    let mut last = 0;
    for _ in 0..3 {
        let (_, clear) = net.join(&mut mote);
        assert!(nonce(&clear) > last);
        last = nonce(&clear);
    }
    let now = net.now;
    net = Net { now, ..Net::new(single(), &[&mote]) };
    let (_, clear) = net.join(&mut mote);
    assert!(nonce(&clear) > last, "devices of LoRaWAN 1.0.4 ignore a number that is not new");
}

#[test]
fn who_is_not_registered_so_is_not_answered() {
    let mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let mut stranger = Mote::otaa(2);
    let refused = net.hear(&stranger.join_request()).unwrap_err();
    assert_eq!(refused, Refusal::UnknownDevEui(stranger.dev_eui));
    let mut wrong_key = Mote { app_key: AesKey([99; 16]), ..mote.clone() };
    let refused = net.hear(&wrong_key.join_request()).unwrap_err();
    assert_eq!(refused, Refusal::BadJoinMic(mote.dev_eui));
    let mut elsewhere = Mote { join_eui: JoinEui(5), ..mote.clone() };
    let refused = net.hear(&elsewhere.join_request()).unwrap_err();
    assert_eq!(refused, Refusal::WrongJoinEui(mote.dev_eui, JoinEui(5)));
    let fixed = Mote::abp(3);
    let mut net = Net::new(single(), &[&fixed]);
    let mut asks = Mote { app_key: AesKey([3; 16]), ..fixed.clone() };
    assert_eq!(net.hear(&asks.join_request()).unwrap_err(), Refusal::JoinOfAbp(fixed.dev_eui));
    assert_eq!(net.disk, Default::default(), "nothing is written for any of them");
}

#[test]
fn another_app_key_is_another_device() {
    let mut mote = Mote::otaa(1);
    let mut net = Net::new(single(), &[&mote]);
    let first = mote.join_request();
    mote.join(&net.hear(&first).unwrap().answer.unwrap().phy);
    net.exchange(&mut mote, &Say::default());
    let before = mote.clone();
    mote.app_key = AesKey([77; 16]);
    mote.dev_nonce = 0;
    net.restart(single(), &[&mote]);
    let old = before.frame(before.f_cnt, &Say::default());
    assert!(matches!(net.hear(&old).unwrap_err(), Refusal::UnknownDevAddr(_)));
    assert_eq!(net.hear(&first).unwrap_err(), Refusal::BadJoinMic(mote.dev_eui));
    net.join(&mut mote);
}

#[test]
fn a_device_that_uses_every_number_is_bounded_and_heard() {
    let mut mote = Mote::otaa(1);
    let registry = Registry::new([mote.device()]);
    let mut net = Net::new(single(), &[&mote]);
    net.server = EdgeServer::new(&registry, single(), Default::default());
    for _ in 0..u16::MAX {
        let request = mote.join_request();
        net.hear_only(&request).unwrap();
    }
    mote.dev_nonce = 41;
    let refused = net.hear_only(&mote.join_request()).unwrap_err();
    assert_eq!(refused, Refusal::JoinReplay(mote.dev_eui));
}
