//! The promise: sensors join, are acknowledged and are sent to, through the shipped program, a
//! packet forwarder over UDP and a real broker; what was promised over the air survives kill -9.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use support::{Broker, Forwarder, Lykta, Mote, Say, Subscriber, wait_until};

/// A gateway with one concentrator, and the cloud that watches.
struct Street {
    broker: Broker,
    cloud: Subscriber,
    lykta: Lykta,
    forwarder: Forwarder,
    /// The concentrator's counter.
    tmst: u32,
}

const CONFIRMED: Say<'_> =
    Say { confirmed: true, ack: false, adr_ack_req: false, f_opts: &[], payload: Some((9, b"x")) };

impl Street {
    fn new(motes: &[&Mote]) -> Self {
        Self::of_kind("waste", motes)
    }

    fn of_kind(kind: &str, motes: &[&Mote]) -> Self {
        let broker = Broker::start();
        let cloud = Subscriber::start(&broker, &[]);
        let devices: String = motes.iter().map(|mote| mote.table("waste")).collect();
        let mut lykta = Lykta::configured(&format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"{kind}\"\n[tenant.upstream]\nurls = [\"{}\"]\n\
             reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\n{devices}",
            broker.url()
        ));
        lykta.restart();
        let forwarder = Forwarder::new(0xa1, lykta.udp);
        forwarder.pull();
        // so that the counter wraps on the way
        let tmst = u32::MAX - 3_000_000;
        Self { broker, cloud, lykta, forwarder, tmst }
    }

    fn kill_and_restart(&mut self) {
        self.lykta.kill();
        self.lykta.restart();
        self.forwarder.pull();
    }

    /// Pushes a frame; its answer, checked against the counter. In the second window when the
    /// first is taken: this street lives faster than its concentrator's counter says.
    fn exchange(&mut self, phy: &[u8], delay: u32) -> Vec<u8> {
        self.forward(phy);
        let downlink = self.forwarder.downlink();
        let delay = match downlink.frequency.0 {
            868_100_000 => delay,
            869_525_000 => delay + 1,
            other => panic!("an answer at {other} Hz"),
        };
        assert_eq!(downlink.tmst, self.tmst.wrapping_add(delay * 1_000_000));
        assert!(downlink.inverted && !downlink.crc);
        self.forwarder.ack(downlink.token, None);
        downlink.phy
    }

    fn forward(&mut self, phy: &[u8]) {
        self.tmst = self.tmst.wrapping_add(2_500_000);
        self.forwarder.forward(phy, self.tmst);
    }

    fn join(&mut self, mote: &mut Mote) {
        let request = mote.join_request();
        let phy = self.exchange(&request, 5);
        mote.join(&phy);
    }

    /// Sends a command and waits for its reply.
    fn command(&self, name: &str, body: &Value) -> Value {
        let topic = format!("lykta/gw-1/waste/command/{name}");
        let before = self.replies(body).len();
        // one that comes before lykta has subscribed is lost: whoever sends it repeats it
        wait_until("a reply", || {
            let port = self.broker.port.to_string();
            let sent = Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", &topic, "-m"])
                .arg(body.to_string())
                .status();
            assert!(sent.unwrap().success());
            support::holds_within(Duration::from_secs(2), || self.replies(body).len() > before)
        });
        self.replies(body).pop().unwrap()
    }

    fn replies(&self, body: &Value) -> Vec<Value> {
        let all = self.cloud.on("/reply").into_iter().map(|m| m.body);
        all.filter(|reply| reply["id"] == body["id"]).collect()
    }

    fn wait_for(&self, leaf: &str) -> Value {
        wait_until(&format!("a message on {leaf}"), || !self.cloud.on(leaf).is_empty());
        self.cloud.on(leaf).pop().unwrap().body
    }
}

fn downlink(id: &str, mote: &Mote, confirmed: bool) -> Value {
    json!({ "id": id, "args": {
        "devEui": mote.dev_eui, "fPort": 3, "hex": "cafe", "confirmed": confirmed,
    }})
}

#[test]
fn a_sensor_joins_and_the_cloud_hears_of_it_and_from_it() {
    let mut mote = Mote::otaa(1);
    let mut street = Street::new(&[&mote]);
    street.join(&mut mote);
    let join = street.wait_for("/event/join");
    let keys = mote.session.clone().unwrap();
    assert_eq!(join["devAddr"], json!(keys.dev_addr));
    let answer = street.exchange(&mote.say(&CONFIRMED), 1);
    assert!(mote.hear(&answer).ack);
    let up = street.wait_for("/event/up");
    assert_eq!((&up["fCnt"], &up["confirmed"]), (&json!(0), &json!(true)));
    assert_eq!(up["devAddr"], json!(keys.dev_addr));
    // the next one brings how the device is
    let status = Say { f_opts: &[0x06, 254, 10], ..Say::default() };
    street.forward(&mote.say(&status));
    let status = street.wait_for("/event/status");
    assert_eq!((&status["batteryLevel"], &status["margin"]), (&json!(100.0), &json!(10)));
}

#[test]
fn nothing_that_was_promised_over_the_air_is_forgotten_by_kill_9() {
    let mut mote = Mote::otaa(1);
    let mut street = Street::new(&[&mote]);
    street.join(&mut mote);
    let recorded = mote.clone();
    street.kill_and_restart();
    for _ in 0..4 {
        let answer = street.exchange(&mote.say(&CONFIRMED), 1);
        mote.hear(&answer);
        street.kill_and_restart();
    }
    // the same join request once more is a recording
    let mut replay = Mote { dev_nonce: recorded.dev_nonce - 1, ..recorded };
    street.forward(&replay.join_request());
    let answer = street.exchange(&mote.say(&CONFIRMED), 1);
    assert!(mote.hear(&answer).ack, "the answer is to the uplink, not to the recording");
    wait_until("all uplinks and the join are there", || street.cloud.different() >= 6);
    let joins: BTreeSet<_> =
        street.cloud.on("/event/join").iter().map(|m| m.body["id"].to_string()).collect();
    assert_eq!(joins.len(), 1);
    let counters: BTreeSet<_> =
        street.cloud.on("/event/up").iter().map(|m| m.body["fCnt"].as_u64().unwrap()).collect();
    assert_eq!(counters, BTreeSet::from([0, 1, 2, 3, 4]), "none is missing; some come twice");
}

#[test]
fn an_answer_that_comes_too_late_goes_out_in_the_second_window() {
    let mut mote = Mote::otaa(1);
    let mut street = Street::new(&[&mote]);
    let request = mote.join_request();
    street.forward(&request);
    let first = street.forwarder.downlink();
    street.forwarder.ack(first.token, Some("TOO_LATE"));
    let second = street.forwarder.downlink();
    assert_eq!(second.tmst, first.tmst.wrapping_add(1_000_000));
    assert_eq!(
        (second.frequency.0, second.modulation.to_string()),
        (869_525_000, "SF12BW125".into())
    );
    assert_eq!(second.phy, first.phy);
    mote.join(&second.phy);
    street.forwarder.ack(second.token, None);
    let answer = street.exchange(&mote.say(&CONFIRMED), 1);
    mote.hear(&answer);
}

#[test]
fn a_lost_acknowledgement_is_given_again_and_the_cloud_hears_the_data_once() {
    let mut mote = Mote::abp(1);
    let mut street = Street::new(&[&mote]);
    let phy = mote.say(&CONFIRMED);
    let _lost_on_the_air = street.exchange(&phy, 1);
    // while the device listens, what comes is taken for a late copy by another receiver
    street.forward(&phy);
    while !street.forwarder.is_addressed_within(Duration::from_millis(300)) {
        street.forward(&phy);
    }
    let downlink = street.forwarder.downlink();
    street.forwarder.ack(downlink.token, None);
    assert!(mote.hear(&downlink.phy).ack);
    street.forward(&mote.say(&Say::default()));
    wait_until("both uplinks", || street.cloud.on("/event/up").len() >= 2);
    let counters: Vec<_> =
        street.cloud.on("/event/up").iter().map(|m| m.body["fCnt"].clone()).collect();
    assert_eq!(counters, [0, 1]);
}

#[test]
fn a_command_reaches_its_sensor_and_its_sender_hears_what_became_of_it() {
    let mut mote = Mote::abp(1);
    let mut street = Street::new(&[&mote]);
    let command = downlink("open-7", &mote, true);
    let reply = street.command("downlink", &command);
    assert_eq!((&reply["ok"], &reply["result"]["state"]), (&json!(true), &json!("queued")));
    street.kill_and_restart();
    assert_eq!(street.command("downlink", &command)["result"], reply["result"], "executed once");

    let answer = street.exchange(&mote.say(&Say::default()), 1);
    let told = mote.hear(&answer);
    assert_eq!(told.payload, Some((3, vec![0xca, 0xfe])));
    assert!(told.confirmed);
    let sent = street.wait_for("/event/txack");
    assert_eq!(
        (&sent["queueItemId"], &sent["gatewayId"]),
        (&json!("open-7"), &json!("00000000000000a1"))
    );
    street.forward(&mote.say(&Say { ack: true, ..Say::default() }));
    let ack = street.wait_for("/event/ack");
    assert_eq!((&ack["queueItemId"], &ack["acknowledged"]), (&json!("open-7"), &json!(true)));
    assert_eq!(ack["fCntDown"], sent["fCntDown"]);
    street.forward(&mote.say(&Say::default()));
    assert!(
        !street.forwarder.is_addressed_within(Duration::from_millis(300)),
        "nothing more waits"
    );
    assert_eq!(street.cloud.on("/event/txack").len(), 1);
}

#[test]
fn a_downlink_that_no_gateway_sends_is_told_and_tried_again() {
    let mut mote = Mote::abp(1);
    let mut street = Street::new(&[&mote]);
    street.command("downlink", &downlink("open-8", &mote, false));
    street.forward(&mote.say(&Say::default()));
    for error in ["TOO_LATE", "COLLISION_PACKET"] {
        let token = street.forwarder.downlink().token;
        street.forwarder.ack(token, Some(error));
    }
    let log = street.wait_for("/event/log");
    assert_eq!(
        (&log["code"], &log["context"]["queue_item_id"]),
        (&json!("DOWNLINK_GATEWAY"), &json!("open-8"))
    );
    let answer = street.exchange(&mote.say(&Say::default()), 1);
    assert_eq!(mote.hear(&answer).payload, Some((3, vec![0xca, 0xfe])));
    street.wait_for("/event/txack");
}

#[test]
fn commands_that_cannot_be_executed_say_why() {
    let mote = Mote::abp(1);
    let street = Street::new(&[&mote]);
    let code = |name: &str, body: Value| street.command(name, &body)["error"]["code"].clone();
    let mut expired = downlink("a", &mote, false);
    expired["deadline"] = json!("2020-01-01T00:00:00Z");
    // this machine's clock may be one that nobody has set, and then no deadline is judged
    let found = street.command("downlink", &expired);
    assert!(found["error"]["code"] == "expired" || found["ok"] == true, "{found}");
    assert_eq!(code("downlink", downlink("b", &Mote::abp(2), false)), "unknown_device");
    assert_eq!(code("reboot", json!({"id": "c"})), "unknown_command");
    assert_eq!(code("downlink", json!({"id": "d", "args": {"devEui": 1}})), "invalid");
    let mut long = downlink("e", &mote, false);
    long["args"]["hex"] = json!("00".repeat(243));
    assert_eq!(code("downlink", long), "too_long");
    for n in 0..17 {
        street.command("downlink", &downlink(&format!("f{n}"), &mote, false));
    }
    assert_eq!(code("downlink", downlink("g", &mote, false)), "queue_full");
}

#[test]
fn a_care_tenant_takes_no_commands_for_devices_and_tells_of_none() {
    let mut mote = Mote::otaa(1);
    let mut street = Street::of_kind("care", &[&mote]);
    street.join(&mut mote);
    let answer = street.exchange(&mote.say(&CONFIRMED), 1);
    assert!(mote.hear(&answer).ack, "but the air works as for all");
    let reply = street.command("downlink", &downlink("a", &mote, false));
    assert_eq!(reply["error"]["code"], "not_supported");
    let told: Vec<_> = street.cloud.received().into_iter().map(|m| m.topic).collect();
    assert!(told.iter().all(|topic| !topic.contains("/device/")), "{told:?}");
}
