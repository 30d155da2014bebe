//! A radio hears one channel: devices are asked to stay on it, and kept there.

use crate::net::{CHANNEL, Mote, Net, SF9, Say, concentrator, single};
use lykta::lorawan::{Channels, News, Pin, Plan, Slot};
use lykta::units::{Hertz, LoRa};

/// LinkADRAns: channels, data rate and power taken.
const TAKEN: Say<'_> =
    Say { confirmed: false, ack: false, adr_ack_req: false, f_opts: &[0x03, 0x07], payload: None };

fn pin(net: &Net, mote: &Mote) -> Option<Pin> {
    net.disk.sessions[&(mote.dev_eui, Slot::Active)].link.pin
}

fn pinned(mote: &mut Mote) -> Net {
    let mut net = Net::new(single(), &[mote]);
    net.exchange(mote, &Say::default());
    net.exchange(mote, &TAKEN);
    net.exchange(mote, &Say { f_opts: &[0x06, 9, 9], ..Say::default() });
    assert!(pin(&net, mote).is_some());
    net
}

#[test]
fn a_device_is_asked_until_it_agrees_and_then_left_in_peace() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(single(), &[&mote]);
    for n in 0..3 {
        let (_, told) = net.exchange(&mut mote, &Say::default());
        let told = told.expect("asked with every uplink");
        // DR3 (SF9), the greatest power, channel 0 alone, sent once; and at first its status
        assert_eq!(hex::encode(&told.f_opts), ["033001000106", "0330010001"][n.min(1)]);
        assert!(told.adr);
    }
    net.exchange(&mut mote, &TAKEN);
    assert_eq!(pin(&net, &mote), Some(Pin { data_rate: 3, channels: 1 }));
    for _ in 0..20 {
        assert_eq!(net.exchange(&mut mote, &Say::default()).1, None);
    }
    net.restart(single(), &[&mote]);
    assert_eq!(net.exchange(&mut mote, &Say::default()).1, None, "it is remembered");
}

#[test]
fn several_radios_of_one_spreading_factor_share_a_device() {
    let radios = vec![(CHANNEL, 9), (Hertz(868_500_000), 9), (Hertz(868_300_000), 7)];
    let plan = Plan { channels: Channels::Only(radios), ..single() };
    let mut mote = Mote::abp(1);
    let mut net = Net::new(plan, &[&mote]);
    let (_, told) = net.exchange(&mut mote, &Say::default());
    assert_eq!(hex::encode(&told.unwrap().f_opts[..5]), "0330050001");
    net.heard_at = LoRa { spreading_factor: 7, ..SF9 };
    let (_, told) = net.exchange(&mut mote, &Say::default());
    assert_eq!(hex::encode(&told.unwrap().f_opts[..5]), "0350020001");
}

#[test]
fn a_refused_power_is_replaced_and_the_rest_kept() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(single(), &[&mote]);
    net.exchange(&mut mote, &Say::default());
    net.exchange(&mut mote, &Say { f_opts: &[0x03, 0x03], ..Say::default() });
    assert_eq!(pin(&net, &mote), None, "one part refused is all refused");
    let asked = (0..20).find_map(|_| net.exchange(&mut mote, &Say::default()).1).expect("again");
    assert_eq!(hex::encode(&asked.f_opts[..5]), "0331010001", "the next lower power");
    net.exchange(&mut mote, &TAKEN);
    assert!(pin(&net, &mote).is_some());
}

#[test]
fn a_device_that_never_agrees_is_told_of_once_and_asked_seldom() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(single(), &[&mote]);
    let (mut told, mut asked) = (0, 0);
    for _ in 0..200 {
        let accepted = net.hear(&mote.say(&Say::default())).unwrap();
        told += accepted.news.iter().filter(|news| **news == News::NotPinned).count();
        asked += usize::from(accepted.answer.is_some());
    }
    assert_eq!(told, 1);
    assert!((15..30).contains(&asked), "{asked} of 200");
}

#[test]
fn a_pinned_device_hears_from_us_before_it_begins_to_wander() {
    let mut mote = Mote::abp(1);
    let mut net = pinned(&mut mote);
    let mut silent = 0;
    for _ in 0..500 {
        match net.exchange(&mut mote, &Say::default()).1 {
            Some(_) => silent = 0,
            None => silent += 1,
        }
        assert!(silent < 64, "after 64 uplinks a device asks (ADR_ACK_LIMIT)");
    }
    assert!(pin(&net, &mote).is_some());
    let mut steady = Mote { adr: false, ..Mote::abp(2) };
    let mut net = pinned(&mut steady);
    let answers = (0..200).filter(|_| net.exchange(&mut steady, &Say::default()).1.is_some());
    assert!(answers.count() <= 2, "one without ADR does not wander, and is left in peace");
}

#[test]
fn a_device_that_wandered_is_asked_again() {
    let asked = |net: &mut Net, mote: &mut Mote| {
        let told = net.exchange(mote, &Say::default()).1.expect("asked again");
        assert_eq!(told.f_opts[0], 0x03);
    };
    // it hops again: most of its uplinks are missing
    let mut mote = Mote::abp(1);
    let mut net = pinned(&mut mote);
    mote.f_cnt += 4;
    asked(&mut net, &mut mote);
    // it speaks at another data rate, that of another radio
    let radios = Channels::Only(vec![(CHANNEL, 9), (CHANNEL, 7)]);
    let plan = Plan { channels: radios, ..single() };
    let mut mote = Mote::abp(2);
    let mut net = pinned(&mut mote);
    net.restart(plan, &[&mote]);
    net.heard_at = LoRa { spreading_factor: 7, ..SF9 };
    asked(&mut net, &mut mote);
    // it has begun anew with a new battery
    let mut mote = Mote { reset_allowed: true, ..Mote::abp(3) };
    let mut net = pinned(&mut mote);
    mote.f_cnt = 100;
    net.exchange(&mut mote, &Say::default());
    mote.f_cnt = 0;
    asked(&mut net, &mut mote);
    // its radio listens on another channel now
    let plan = Plan { channels: Channels::Only(vec![(Hertz(868_300_000), 9)]), ..single() };
    let mut mote = Mote::abp(4);
    let mut net = pinned(&mut mote);
    net.restart(plan, &[&mote]);
    asked(&mut net, &mut mote);
}

#[test]
fn a_lost_frame_or_two_is_no_wandering() {
    let mut mote = Mote::abp(1);
    let mut net = pinned(&mut mote);
    for missed in [1, 2, 3] {
        mote.f_cnt += missed;
        assert_eq!(net.exchange(&mut mote, &Say::default()).1, None);
    }
}

#[test]
fn behind_a_concentrator_nobody_is_pinned_and_who_was_is_let_go() {
    let mut free = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&free]);
    assert_eq!(net.exchange(&mut free, &Say::default()).1, None);
    let mut mote = Mote::abp(2);
    let mut net = pinned(&mut mote);
    net.restart(concentrator(), &[&mote]);
    let told = net.exchange(&mut mote, &Say::default()).1.expect("let go");
    assert_eq!(hex::encode(told.f_opts), "0330ff0061", "all defined channels on");
    net.exchange(&mut mote, &TAKEN);
    assert_eq!(pin(&net, &mote), None);
    assert_eq!(net.exchange(&mut mote, &Say::default()).1, None);
}

#[test]
fn a_radio_beside_the_default_channels_pins_nobody() {
    let plan = Plan { channels: Channels::Only(vec![(Hertz(867_100_000), 9)]), ..single() };
    let mut mote = Mote::abp(1);
    let mut net = Net::new(plan, &[&mote]);
    assert_eq!(net.exchange(&mut mote, &Say::default()).1, None);
}
