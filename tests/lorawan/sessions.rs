//! Acknowledgements, counters and restarts.

use crate::net::{Mote, Net, Say, concentrator, single};
use lykta::lorawan::{Event, Refusal, Slot};

const CONFIRMED: Say<'_> =
    Say { confirmed: true, ack: false, adr_ack_req: false, f_opts: &[], payload: Some((2, b"x")) };

/// A concentrator's network, where nobody needs to be pinned.
fn known(mote: &mut Mote) -> Net {
    let mut net = Net::new(concentrator(), &[mote]);
    net.exchange(mote, &Say::default());
    net
}

#[test]
fn a_confirmed_uplink_is_acknowledged_and_an_unconfirmed_one_is_not() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let (uplink, told) = net.exchange(&mut mote, &CONFIRMED);
    assert!(uplink.confirmed);
    let told = told.expect("an answer");
    assert!(told.ack && !told.confirmed && told.payload.is_none());
    let (_, told) = net.exchange(&mut mote, &Say::default());
    assert_eq!(told, None);
}

#[test]
fn a_lost_acknowledgement_is_given_again_and_the_data_once() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let phy = mote.say(&CONFIRMED);
    net.hear(&phy).unwrap();
    for _ in 0..8 {
        let again = net.hear(&phy).expect("the device repeats itself");
        assert_eq!(again.event, Event::Again);
        assert!(mote.hear(&again.answer.unwrap().phy).ack);
    }
    let refused = net.hear(&phy).unwrap_err();
    assert_eq!(refused, Refusal::Repeat(mote.dev_eui), "somebody wastes our airtime");
    let unconfirmed = mote.say(&Say::default());
    net.hear(&unconfirmed).unwrap();
    assert_eq!(net.hear(&unconfirmed).unwrap_err(), Refusal::Repeat(mote.dev_eui));
}

#[test]
fn the_acknowledgement_is_given_again_after_a_restart() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let phy = mote.say(&CONFIRMED);
    mote.hear(&net.hear(&phy).unwrap().answer.unwrap().phy);
    net.restart(concentrator(), &[&mote]);
    let again = net.hear(&phy).unwrap();
    assert_eq!(again.event, Event::Again);
    mote.hear(&again.answer.unwrap().phy);
    let (_, told) = net.exchange(&mut mote, &CONFIRMED);
    assert!(told.unwrap().ack);
}

#[test]
fn downlink_counters_never_go_back() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let mut last = None;
    for round in 0..40 {
        net.exchange(&mut mote, &CONFIRMED);
        assert!(mote.f_cnt_down > last);
        last = mote.f_cnt_down;
        if round % 7 == 0 {
            net.restart(concentrator(), &[&mote]);
        }
        if round % 5 == 0 {
            let lost = net.hear_only(&mote.say(&CONFIRMED)).unwrap();
            net.server.take_back(lost.undo);
        }
    }
}

#[test]
fn a_device_that_another_network_answered_before_hears_us() {
    let mut mote = Mote::abp(1);
    mote.f_cnt = 900;
    mote.f_cnt_down = Some(700);
    let mut net = Net::new(concentrator(), &[&mote]);
    let (_, told) = net.exchange(&mut mote, &CONFIRMED);
    assert!(told.unwrap().ack);
}

#[test]
fn both_counters_roll_over() {
    let mut mote = Mote::abp(1);
    mote.f_cnt = 65_530;
    let mut net = Net::new(concentrator(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
    let session = net.disk.sessions.get_mut(&(mote.dev_eui, Slot::Active)).unwrap();
    session.f_cnt_down = 65_534;
    mote.f_cnt_down = Some(65_533);
    net.restart(concentrator(), &[&mote]);
    for _ in 0..10 {
        let f_cnt = mote.f_cnt;
        let (uplink, told) = net.exchange(&mut mote, &CONFIRMED);
        assert_eq!(uplink.f_cnt, f_cnt);
        assert!(told.unwrap().ack);
    }
    assert_eq!(mote.f_cnt_down, Some(65_543));
}

#[test]
fn what_was_missed_is_known() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    mote.f_cnt += 4;
    let (uplink, _) = net.exchange(&mut mote, &Say::default());
    assert_eq!(uplink.missed, 4);
    let (uplink, _) = net.exchange(&mut mote, &Say::default());
    assert_eq!(uplink.missed, 0);
    let mut joined = Mote::otaa(2);
    let mut net = Net::new(concentrator(), &[&joined]);
    net.join(&mut joined);
    joined.f_cnt = 3;
    let (uplink, _) = net.exchange(&mut joined, &Say::default());
    assert_eq!(uplink.missed, 3, "a session begins with zero");
}

#[test]
fn a_device_that_joined_may_not_count_from_zero_again() {
    let mut mote = Mote { reset_allowed: true, ..Mote::otaa(1) };
    let mut net = Net::new(concentrator(), &[&mote]);
    net.join(&mut mote);
    mote.f_cnt = 50;
    net.exchange(&mut mote, &Say::default());
    mote.f_cnt = 0;
    let refused = net.hear(&mote.say(&Say::default())).unwrap_err();
    assert_eq!(refused, Refusal::Replay(mote.dev_eui), "it joins anew instead");
}

#[test]
fn a_recording_changes_nothing_that_is_agreed() {
    let mut mote = Mote { reset_allowed: true, ..Mote::abp(1) };
    let mut net = Net::new(single(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
    // LinkADRAns: all taken
    let recorded = mote.frame(1, &Say { f_opts: &[0x03, 0x07], ..Say::default() });
    mote.f_cnt = 40;
    net.exchange(&mut mote, &Say::default());
    let accepted = net.hear(&recorded).expect("its profile allows a reset");
    assert!(matches!(&accepted.event, Event::Uplink(uplink) if uplink.replayable));
    let session = &net.disk.sessions[&(mote.dev_eui, Slot::Active)];
    assert_eq!(session.link.pin, None);
}

#[test]
fn devices_at_one_address_are_told_apart() {
    let mut motes: Vec<_> = (1..=40).map(Mote::abp).collect();
    for (i, mote) in motes.iter_mut().enumerate() {
        mote.session.as_mut().unwrap().dev_addr.0 = 7;
        mote.f_cnt = 1_000 * i as u32;
    }
    let mut net = Net::new(concentrator(), &motes.iter().collect::<Vec<_>>());
    for _ in 0..3 {
        for mote in &mut motes {
            let phy = mote.say(&Say::default());
            let accepted = net.hear(&phy).unwrap();
            assert_eq!(accepted.device.dev_eui, mote.dev_eui);
            assert!(net.hear(&phy).is_err());
        }
    }
}
