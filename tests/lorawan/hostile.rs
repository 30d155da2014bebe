//! Whatever comes over the air: no panic, no growth, nothing written for who is not authentic.

use crate::net::{CHANNEL, Mote, Net, SF9, Say, concentrator, single};
use lykta::lorawan::{Received, Refusal};
use lykta::units::{AesKey, Db, DevEui, JoinEui};
use proptest::prelude::*;

/// So often in a row a device that asks for a sign of life gets one with each uplink.
const EAGER: u32 = 8;

/// A network with a joined and a fixed device, both heard.
fn town() -> (Net, Mote, Mote) {
    let (mut joined, mut fixed) = (Mote::otaa(1), Mote::abp(2));
    let mut net = Net::new(single(), &[&joined, &fixed]);
    net.join(&mut joined);
    net.exchange(&mut joined, &Say::default());
    net.exchange(&mut fixed, &Say::default());
    (net, joined, fixed)
}

fn shown(net: &Net) -> String {
    format!("{:?}", net.server)
}

proptest! {
    #[test]
    fn random_bytes_change_nothing(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..260), 1..20)) {
        let (mut net, ..) = town();
        let before = shown(&net);
        for phy in frames {
            prop_assert!(net.hear(&phy).is_err());
        }
        prop_assert_eq!(shown(&net), before);
    }

    #[test]
    fn a_changed_frame_changes_nothing(
        join: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4), cut in 0usize..6,
    ) {
        let (mut net, mut joined, mut fixed) = town();
        let mut phy = if join { joined.join_request() } else {
            fixed.say(&Say { f_opts: &[0x03, 0x07], payload: Some((2, b"level")), ..Say::default() })
        };
        let original = phy.clone();
        for (at, with) in changes {
            let at = at.index(phy.len());
            phy[at] ^= with;
        }
        phy.truncate(phy.len() - cut);
        prop_assume!(phy != original);
        let before = shown(&net);
        prop_assert!(net.hear(&phy).is_err());
        prop_assert_eq!(shown(&net), before);
    }

    /// An authentic device with a bug, or an evil owner.
    #[test]
    fn any_commands_of_an_authentic_device_are_survived_and_answered_readably(
        rounds in prop::collection::vec((
            prop::collection::vec(any::<u8>(), 0..16),
            prop::option::of((0u8..4, prop::collection::vec(any::<u8>(), 0..40))),
            any::<[bool; 4]>(), 1u32..200,
        ), 1..40),
        pinned: bool,
    ) {
        let mut mote = Mote::abp(1);
        let plan = if pinned { single() } else { concentrator() };
        let mut net = Net::new(plan.clone(), &[&mote]);
        // how many frames in a row have asked for an answer, or may have
        let mut urging = 0;
        for (f_opts, payload, [confirmed, ack, adr_ack_req, restart], gap) in rounds {
            let payload = payload.as_ref().map(|(port, bytes)| (*port, bytes.as_slice()));
            let may_ask = adr_ack_req || !f_opts.is_empty() || payload.is_some();
            urging = if may_ask { urging + 1 } else { 0 };
            mote.f_cnt += gap - 1;
            let (_, told) = net.exchange(&mut mote, &Say { confirmed, ack, adr_ack_req, f_opts: &f_opts, payload });
            // one that asks again and again is answered seldom: it does not hear us
            if confirmed || adr_ack_req && urging <= EAGER {
                prop_assert!(told.is_some());
            }
            if let Some(told) = told {
                prop_assert_eq!(told.ack, confirmed);
                prop_assert!(told.f_opts.len() <= 15);
            }
            if restart {
                net.restart(plan.clone(), &[&mote]);
            }
        }
        let link = &net.disk.sessions.values().next().unwrap().link;
        prop_assert!(serde_json::to_string(link).unwrap().len() < 2_000, "bounded");
    }

    /// Every order of joins, uplinks, losses, restarts and failing disks.
    #[test]
    fn a_device_and_the_network_always_find_together_again(
        steps in prop::collection::vec(0u8..8, 1..80),
    ) {
        let mut mote = Mote::otaa(1);
        let mut net = Net::new(single(), &[&mote]);
        let mut recorded = Vec::new();
        for step in steps {
            match step {
                0 => { net.join(&mut mote); }
                // the answer to a join is lost
                1 => {
                    let request = mote.join_request();
                    net.hear(&request).unwrap();
                    recorded.push(request);
                    // what it had before is gone, as in most devices
                    mote.session = None;
                }
                2 => net.restart(single(), &[&mote]),
                3 if mote.session.is_some() => {
                    let phy = mote.say(&Say { confirmed: true, ..Say::default() });
                    let lost = net.hear_only(&phy).unwrap();
                    net.server.take_back(lost.undo);
                    recorded.push(phy);
                }
                4 => {
                    for phy in &recorded {
                        if let Ok(accepted) = net.hear_only(phy) {
                            // only what no disk ever took can be new
                            prop_assert_eq!(accepted.device.dev_eui, mote.dev_eui);
                            net.keep(&accepted);
                        }
                    }
                    recorded.clear();
                }
                // an uplink that nobody hears
                5 if mote.session.is_some() => { mote.say(&Say::default()); }
                _ if mote.session.is_some() => {
                    let phy = mote.say(&Say { confirmed: true, ..Say::default() });
                    let accepted = net.hear(&phy).expect("an authentic uplink is always heard");
                    prop_assert!(mote.hear(&accepted.answer.unwrap().phy).ack);
                }
                _ => {}
            }
        }
        net.join(&mut mote);
        net.exchange(&mut mote, &Say::default());
    }
}

#[test]
fn floods_of_strangers_leave_no_trace() {
    let (mut net, joined, fixed) = town();
    let (before, disk) = (shown(&net), net.disk.clone());
    for n in 0..20_000u32 {
        let mut stranger = Mote { dev_eui: DevEui(u64::from(n)), ..Mote::otaa(9) };
        assert!(matches!(net.hear(&stranger.join_request()), Err(Refusal::UnknownDevEui(_))));
        let mut forger = Mote {
            app_key: AesKey([200; 16]),
            dev_nonce: n as u16 / 2,
            join_eui: JoinEui(n.into()),
            ..joined.clone()
        };
        assert!(matches!(net.hear(&forger.join_request()), Err(Refusal::BadJoinMic(_))));
        let mut forger = fixed.clone();
        forger.session.as_mut().unwrap().nwk_s_key = AesKey([201; 16]);
        forger.f_cnt = n;
        assert!(matches!(net.hear(&forger.say(&Say::default())), Err(Refusal::BadMic(_))));
    }
    assert_eq!(shown(&net), before);
    assert_eq!(net.disk, disk);
}

#[test]
fn a_spreading_factor_that_no_data_rate_has_is_answered_in_the_second_window_or_not_at_all() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    for spreading_factor in [0, 5, 6, 13, 255] {
        let phy = mote.say(&Say { confirmed: true, f_opts: &[0x02], ..Say::default() });
        let received = Received {
            phy: &phy,
            at: net.now,
            age: std::time::Duration::ZERO,
            synced: true,
            frequency: CHANNEL,
            modulation: lykta::units::LoRa { spreading_factor, ..SF9 },
            snr: Db(f32::MAX),
            receivers: usize::MAX,
        };
        let answer = net.server.uplink(&received).unwrap().answer.unwrap();
        assert_eq!(answer.windows.len(), 1);
        mote.hear(&answer.phy);
    }
}
