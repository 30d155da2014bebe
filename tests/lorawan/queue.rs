//! Downlinks of applications.

use crate::net::{Mote, Net, SF9, Say, concentrator, item};
use jiff::SignedDuration;
use lykta::lorawan::{Answer, Downlink, News, QueueError};
use lykta::units::LoRa;

fn enqueue(net: &mut Net, mote: &Mote, item: Downlink) {
    net.server.enqueue(mote.dev_eui, item.clone()).unwrap();
    net.disk.downlinks.push((mote.dev_eui, item));
}

/// The answer to an uplink, and what else became known.
fn answer(net: &mut Net, mote: &mut Mote, say: &Say<'_>) -> (Option<Answer>, Vec<News>) {
    let accepted = net.hear(&mote.say(say)).unwrap();
    (accepted.answer, accepted.news)
}

fn known(mote: &mut Mote) -> Net {
    let mut net = Net::new(concentrator(), &[mote]);
    net.exchange(mote, &Say::default());
    net
}

#[test]
fn a_downlink_leaves_after_the_next_uplink_and_once() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    for id in ["a", "b"] {
        let item = item(&net, id, id.as_bytes());
        enqueue(&mut net, &mote, item);
    }
    for (id, more) in [("a", true), ("b", false)] {
        let (sent, _) = answer(&mut net, &mut mote, &Say::default());
        let sent = sent.expect("an answer");
        let told = mote.hear(&sent.phy);
        assert_eq!(told.payload, Some((3, id.as_bytes().to_vec())));
        assert_eq!(told.more, more, "so that the device asks soon");
        let (carried, f_cnt) = sent.carries.unwrap();
        let changes = net.server.sent(mote.dev_eui, &carried, f_cnt).expect("it waited");
        assert_eq!(changes.ended, [id]);
        assert_eq!(net.server.sent(mote.dev_eui, &carried, f_cnt), None, "told once");
    }
    assert_eq!(answer(&mut net, &mut mote, &Say::default()).0, None);
}

#[test]
fn one_that_could_not_be_sent_waits_for_the_next_uplink() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let first = item(&net, "a", b"1");
    enqueue(&mut net, &mote, first);
    let (sent, _) = answer(&mut net, &mut mote, &Say::default());
    assert!(sent.is_some());
    let (while_on_its_way, _) = answer(&mut net, &mut mote, &Say::default());
    assert_eq!(while_on_its_way, None, "not twice");
    net.server.not_sent(mote.dev_eui, "a");
    assert!(answer(&mut net, &mut mote, &Say::default()).0.is_some());
}

#[test]
fn what_waits_survives_a_restart_and_a_failing_disk() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let waiting = item(&net, "a", b"1");
    enqueue(&mut net, &mote, waiting);
    net.restart(concentrator(), &[&mote]);
    let lost = net.hear_only(&mote.say(&Say::default())).unwrap();
    assert!(lost.answer.is_some());
    net.server.take_back(lost.undo);
    assert!(answer(&mut net, &mut mote, &Say::default()).0.is_some());
}

#[test]
fn whether_a_confirmed_one_arrived_is_told_with_the_next_uplink() {
    for ack in [true, false] {
        let mut mote = Mote::abp(1);
        let mut net = known(&mut mote);
        let confirmed = Downlink { confirmed: true, ..item(&net, "a", b"1") };
        enqueue(&mut net, &mote, confirmed);
        let (sent, _) = answer(&mut net, &mut mote, &Say::default());
        let sent = sent.unwrap();
        assert!(mote.hear(&sent.phy).confirmed);
        let (id, f_cnt) = sent.carries.unwrap();
        let changes = net.server.sent(mote.dev_eui, &id, f_cnt).unwrap();
        for (slot, session) in changes.sessions {
            net.disk.sessions.insert((mote.dev_eui, slot), session.unwrap());
        }
        net.disk.downlinks.clear();
        net.restart(concentrator(), &[&mote]);
        let (_, news) = answer(&mut net, &mut mote, &Say { ack, ..Say::default() });
        assert_eq!(news, [News::Acknowledged { id, f_cnt, acknowledged: ack }]);
        assert_eq!(answer(&mut net, &mut mote, &Say { ack, ..Say::default() }).1, []);
    }
}

#[test]
fn what_waits_too_long_is_given_up_and_told() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let old = Downlink { expires: net.now, ..item(&net, "old", b"1") };
    enqueue(&mut net, &mote, old);
    let fresh = item(&net, "fresh", b"2");
    enqueue(&mut net, &mote, fresh);
    let (sent, news) = answer(&mut net, &mut mote, &Say::default());
    assert_eq!(news, [News::Expired("old".into())]);
    assert_eq!(sent.unwrap().carries.unwrap().0, "fresh");
    net.server.not_sent(mote.dev_eui, "fresh");
    let expired = net.server.expire(net.now + SignedDuration::from_hours(11));
    assert_eq!(expired.len(), 1, "also when the device is never heard again");
}

#[test]
fn one_that_is_too_long_for_the_data_rate_is_told_and_blocks_no_other() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    net.heard_at = LoRa { spreading_factor: 12, ..SF9 };
    for (id, len) in [("long", 52), ("fits", 51)] {
        let item = item(&net, id, &vec![7; len]);
        enqueue(&mut net, &mote, item);
    }
    let (sent, news) = answer(&mut net, &mut mote, &Say::default());
    assert_eq!(news, [News::TooLong("long".into(), 51)]);
    assert_eq!(sent.unwrap().carries.unwrap().0, "fits");
}

#[test]
fn one_that_fits_only_the_first_window_is_not_sent_in_the_second() {
    let mut mote = Mote::abp(1);
    let mut net = known(&mut mote);
    let item = item(&net, "a", &[7; 100]);
    enqueue(&mut net, &mote, item);
    let (sent, _) = answer(&mut net, &mut mote, &Say { confirmed: true, ..Say::default() });
    let windows = sent.unwrap().windows;
    assert_eq!(windows.len(), 1, "115 bytes fit at SF9, 51 at SF12");
    assert_eq!(windows[0].modulation, SF9);
}

#[test]
fn a_full_payload_leaves_the_questions_for_later_but_not_the_answers() {
    let mut mote = Mote::abp(1);
    let mut net = Net::new(crate::net::single(), &[&mote]);
    let full = item(&net, "a", &[7; 112]);
    enqueue(&mut net, &mote, full);
    let (sent, _) = answer(&mut net, &mut mote, &Say { f_opts: &[0x02], ..Say::default() });
    let told = mote.hear(&sent.unwrap().phy);
    assert_eq!(told.f_opts, [0x02, 15, 2], "how it is heard, and no request");
    assert_eq!(told.payload.unwrap().1.len(), 112);
}

#[test]
fn a_line_has_an_end() {
    let mote = Mote::abp(1);
    let mut net = Net::new(concentrator(), &[&mote]);
    for n in 0..16 {
        let item = item(&net, &n.to_string(), b"");
        net.server.enqueue(mote.dev_eui, item).unwrap();
    }
    let one_more = item(&net, "16", b"");
    assert_eq!(net.server.enqueue(mote.dev_eui, one_more.clone()), Err(QueueError::Full));
    net.server.withdraw(mote.dev_eui, "3");
    assert_eq!(net.server.enqueue(mote.dev_eui, one_more.clone()), Ok(()));
    let nobody = Mote::abp(9);
    assert_eq!(net.server.enqueue(nobody.dev_eui, one_more), Err(QueueError::UnknownDevice));
}
