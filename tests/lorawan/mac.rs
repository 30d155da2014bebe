//! What a device and the network say to each other beside the data.

use crate::net::{Mote, Net, Say, concentrator};
use jiff::SignedDuration;
use lykta::lorawan::mac::DevStatus;
use lykta::lorawan::{News, Plan, Slot};

fn say(f_opts: &[u8]) -> Say<'_> {
    Say { f_opts, ..Say::default() }
}

fn known(mote: &mut Mote, plan: Plan) -> Net {
    let mut net = Net::new(plan, &[mote]);
    net.exchange(mote, &Say::default());
    net
}

#[test]
fn a_device_that_asks_how_it_is_heard_is_told() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote, concentrator());
    let (_, told) = net.exchange(&mut mote, &say(&[0x02]));
    // 2.5 dB at SF9, whose floor is -12.5 dB, by two receivers; and while we are at it, its status
    assert_eq!(told.unwrap().f_opts, [0x02, 15, 2, 0x06]);
}

#[test]
fn a_device_that_asks_for_the_time_is_told_only_if_it_is_known() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote, concentrator());
    let (_, told) = net.exchange(&mut mote, &say(&[0x0d]));
    let f_opts = told.unwrap().f_opts;
    let seconds = u32::from_le_bytes(f_opts[1..5].try_into().unwrap());
    // GPS time is 18 s ahead of UTC, since 1980-01-06
    assert_eq!(i64::from(seconds) + 315_964_800 - 18, net.now.as_second());
    assert_eq!((f_opts[0], f_opts[5]), (0x0d, 0));
    let phy = mote.say(&say(&[0x0d]));
    let received = lykta::lorawan::Received {
        phy: &phy,
        at: net.now,
        age: std::time::Duration::ZERO,
        synced: false,
        frequency: crate::net::CHANNEL,
        modulation: crate::net::SF9,
        snr: lykta::units::Db(0.0),
        receivers: 1,
    };
    assert!(net.server.uplink(&received).unwrap().answer.is_none());
}

#[test]
fn commands_on_port_0_are_heard_as_well() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote, concentrator());
    let on_port_0 = Say { payload: Some((0, &[0x02])), ..Say::default() };
    let (uplink, told) = net.exchange(&mut mote, &on_port_0);
    assert!(uplink.payload.is_empty(), "nobody's data");
    assert_eq!(told.unwrap().f_opts[..3], [0x02, 15, 2]);
}

#[test]
fn a_device_that_asks_for_a_sign_of_life_gets_one() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote, concentrator());
    let asks = Say { adr_ack_req: true, ..Say::default() };
    assert!(net.exchange(&mut mote, &asks).1.is_some());
}

#[test]
fn the_status_is_asked_once_a_week() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote, concentrator());
    let mut asked = Vec::new();
    let begin = net.now;
    // six uplinks an hour for four weeks; the device answers every second time
    let mut answer = false;
    for _ in 0..6 * 24 * 28 {
        let f_opts: &[u8] = if std::mem::take(&mut answer) { &[0x06, 200, 0x3b] } else { &[] };
        let phy = mote.say(&say(f_opts));
        let accepted = net.hear(&phy).unwrap();
        if !f_opts.is_empty() {
            let status = DevStatus { battery: 200, margin: -5 };
            assert_eq!(accepted.news, [News::Status(status)]);
        }
        if let Some(told) = accepted.answer.map(|answer| mote.hear(&answer.phy)) {
            assert_eq!(told.f_opts, [0x06]);
            asked.push(net.now.duration_since(begin).as_hours());
            answer = asked.len() % 2 == 0;
        }
    }
    assert!(asked[0] <= 24, "within a day: {asked:?}");
    assert_eq!(asked[1] - asked[0], 24, "asked again the next day");
    assert!(asked[2] - asked[1] >= 7 * 24, "then a week later");
    assert!(asked.len() <= 8, "{asked:?}");
}

#[test]
fn a_clock_that_was_wrong_does_not_silence_the_question() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    net.now = "2050-01-01T00:00:00Z".parse().unwrap();
    net.exchange(&mut mote, &Say::default());
    net.now = "2026-03-01T00:00:00Z".parse().unwrap();
    let asked = (0..6 * 24 * 3).any(|_| net.exchange(&mut mote, &Say::default()).1.is_some());
    assert!(asked);
}

#[test]
fn a_device_with_a_fixed_session_is_told_other_answer_windows() {
    let mut mote = Mote::abp(1);
    let plan = Plan { rx1_delay: 5, rx2_data_rate: 3, ..concentrator() };
    let mut net = Net::new(plan, &[&mote]);
    let (_, told) = net.exchange(&mut mote, &Say::default());
    // RXParamSetupReq to DR3 at 869.525 MHz, RXTimingSetupReq to 5 s, DevStatusReq
    assert_eq!(hex::encode(told.unwrap().f_opts), "0503d2ad84080506");
    let windows = |net: &mut Net, mote: &mut Mote, f_opts: &[u8]| {
        let answer = net.hear(&mote.say(&say(f_opts))).unwrap().answer.expect("an answer");
        let told = mote.hear(&answer.phy);
        let delay = answer.windows[0].delay.as_secs();
        (delay, answer.windows[1].modulation.spreading_factor, hex::encode(told.f_opts))
    };
    // it refuses one part of the windows, which is to refuse all of them
    let refused = windows(&mut net, &mut mote, &[0x05, 0x05, 0x08]);
    assert_eq!(refused, (5, 12, "0503d2ad84".into()));
    // its answers go on until it hears us
    let taken = windows(&mut net, &mut mote, &[0x05, 0x07, 0x08, 0x06, 1, 1]);
    assert_eq!(taken, (5, 9, String::new()));
    assert_eq!(net.exchange(&mut mote, &Say::default()).1, None, "all is agreed");
    let link = &net.disk.sessions[&(mote.dev_eui, Slot::Active)].link;
    assert_eq!((link.rx1_delay, link.rx2_data_rate), (5, 3));
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut mote = Mote::abp(1);
    let plan = Plan { rx1_delay: 5, ..concentrator() };
    let mut net = Net::new(plan, &[&mote]);
    net.exchange(
        &mut mote,
        &say(&[0x08, 0x03, 0x07, 0x05, 0x07, 0x07, 0x03, 0x0a, 0x03, 0x04, 0x09]),
    );
    let link = &net.disk.sessions[&(mote.dev_eui, Slot::Active)].link;
    assert_eq!((link.rx1_delay, link.pin), (1, None));
}

#[test]
fn a_device_that_answers_nothing_is_not_asked_for_ever() {
    let mut mote = Mote::abp(1);
    let plan = Plan { rx1_delay: 5, ..concentrator() };
    let mut net = Net::new(plan, &[&mote]);
    let answers = (0..200).filter(|_| net.exchange(&mut mote, &Say::default()).1.is_some()).count();
    assert!((8..30).contains(&answers), "{answers} of 200");
    net.now += SignedDuration::from_hours(1);
}
