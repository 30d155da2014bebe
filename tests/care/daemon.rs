//! The real daemon with a real broker.

use crate::support::{Broker, Concentrator, Lykta, Received, Sensor, Subscriber, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A home whose front door rings whenever it is opened.
struct House {
    broker: Broker,
    cloud: Subscriber,
    lykta: Lykta,
    air: Concentrator,
    door: Sensor,
    f_cnt: u32,
}

impl House {
    fn new(escalation: &str) -> Self {
        Self::with(escalation, "")
    }

    /// With further tables.
    fn with(escalation: &str, more: &str) -> Self {
        let broker = Broker::start();
        let cloud = Subscriber::start(&broker, &[]);
        let door = Sensor { profile: "browan-tbdw100", ..Sensor::new(1) };
        let mut lykta = Lykta::configured(&format!(
            "[[tenant]]\nid = \"care\"\nkind = \"care\"\nerase_after = \"1min\"\n\
             [tenant.escalation]\n{escalation}\n\
             [tenant.upstream]\nurls = [\"{}\"]\nreconnect_min = \"50ms\"\n\
             reconnect_max = \"200ms\"\n{}resident = \"kastanj\"\nsensor = \"front\"\n\
             [[resident]]\nid = \"kastanj\"\nconsent = true\n\
             [[resident.sensor]]\nid = \"front\"\nkind = \"door\"\n\
             [[resident.rule]]\nid = \"out\"\nrule = \"door_at_night\"\nmode = \"opened\"\n\
             window = \"00:00-24:00\"\n{more}",
            broker.url(),
            door.table("care")
        ));
        lykta.restart();
        lykta.wait_for_log(&format!("connected to {}", broker.url()));
        let air = Concentrator::new(1, lykta.udp);
        Self { broker, cloud, lykta, air, door, f_cnt: 0 }
    }

    fn opens(&mut self, open: bool) {
        self.f_cnt += 1;
        let frame = self.door.uplink(self.f_cnt, 100, &[u8::from(open), 203, 53, 0, 0, 138, 58, 0]);
        self.air.forward(&[frame]);
    }

    /// Each message about the rule once, however often it was delivered.
    fn told(&self) -> Vec<Received> {
        let mut all = BTreeMap::new();
        for message in self.cloud.on("/care/care/kastanj/alarm") {
            if message.body["rule"] == "out" {
                let id = message.body["id"].as_str().unwrap().to_owned();
                let number: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
                all.insert((id[..8].to_owned(), number), message);
            }
        }
        all.into_values().collect()
    }

    fn command(&self, name: &str, args: &Value) -> Value {
        let id = format!("{name}-{}", fastrand::u32(..));
        let body = json!({ "id": id, "args": args }).to_string();
        self.broker.publish(&format!("lykta/gw-1/care/command/{name}"), &[], &[body]);
        let mut answer = None;
        wait_until("the command is answered", || {
            let replies = self.cloud.on(&format!("command/{name}/reply"));
            answer = replies.into_iter().map(|reply| reply.body).find(|body| body["id"] == id);
            answer.is_some()
        });
        answer.unwrap()
    }
}

fn to(message: &Received) -> (u64, String) {
    let call = &message.body["call"];
    (call["number"].as_u64().unwrap(), call["to"][0].as_str().unwrap().to_owned())
}

#[test]
fn an_alarm_reaches_one_after_the_other_over_kills_until_somebody_answers() {
    let mut house =
        House::new("primary = \"1s\"\nsecondary = \"1s\"\nrepeat = \"1s\"\narrival = \"1h\"");
    house.opens(true);
    for kill in 0..6 {
        let before = house.told().len();
        if kill % 2 == 0 {
            wait_until("another is told", || house.told().len() > before);
        }
        std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(0..900)));
        house.lykta.kill();
        house.lykta.restart();
    }
    wait_until("all are told", || house.told().len() >= 6);
    let alarm = house.told()[0].body["alarm"].clone();
    let answer = house.command("acknowledge", &json!({ "alarm": alarm, "by": "primary" }));
    assert_eq!(answer["result"]["state"], "answered", "{answer}");
    wait_until("the others know", || house.told().last().unwrap().body["kind"] == "answered");
    let told = house.told();
    let calls: Vec<_> = told.iter().filter(|m| m.body["kind"] == "alarm").map(to).collect();
    for (n, (number, role)) in calls.iter().enumerate() {
        let role_then = ["primary", "secondary"].get(n).copied().unwrap_or("patrol_lead");
        assert_eq!((*number, role.as_str()), (n as u64, role_then), "{calls:?}");
    }
    let answer =
        house.command("acknowledge", &json!({ "alarm": alarm, "by": "primary", "done": true }));
    assert_eq!(answer["result"]["state"], "closed", "{answer}");
    assert!(house.lykta.stop().success());
}

#[test]
fn without_a_broker_alarms_wait_and_come_once_and_in_order() {
    let mut house = House::new("primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"");
    house.broker.save();
    house.broker.kill();
    for _ in 0..5 {
        house.opens(true);
        house.opens(false);
    }
    // to the disk, and over a death
    wait_until("all is heard", || {
        house.lykta.accepted_by("care").get(&house.door.dev_eui.0) == Some(&10)
    });
    house.lykta.kill();
    house.lykta.restart();
    house.broker.restart();
    wait_until("what waited has come", || !house.told().is_empty());
    let answer = house.command("staff", &json!({ "resident": "kastanj", "present": true }));
    assert_eq!(answer["result"]["state"], "staff", "{answer}");
    wait_until("the end has come", || {
        house.told().last().is_some_and(|message| message.body["kind"] == "cleared")
    });
    let kinds: Vec<_> = house.told().iter().map(|m| m.body["kind"].clone()).collect();
    // a door that is opened and closed is one alarm until it is over
    assert!(kinds.chunks(2).all(|pair| pair == ["alarm", "cleared"]), "{kinds:?}");
    let log = house.lykta.log().join("\n");
    for secret in ["kastanj", "front", "open"] {
        assert!(!log.contains(&format!("\"{secret}\"")) && !log.contains("kastanj"), "{log}");
    }
    for health in house.cloud.on("/care/health") {
        assert!(!health.body.to_string().contains("kastanj"), "{}", health.body);
    }
    assert!(house.lykta.stop().success());
}

#[test]
fn consent_is_withdrawn_by_a_command_and_the_next_frame_says_nothing() {
    let mut house = House::new("primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"");
    house.opens(true);
    wait_until("the alarm", || house.told().len() == 1);
    let answer = house.command("consent", &json!({ "resident": "kastanj", "given": false }));
    assert_eq!(answer["result"]["given"], false, "{answer}");
    wait_until("it is over", || house.told().last().unwrap().body["kind"] == "cleared");
    let before = house.told().len();
    house.opens(false);
    house.opens(true);
    wait_until("both are heard", || {
        house.lykta.accepted_by("care").get(&house.door.dev_eui.0) == Some(&3)
    });
    assert!(house.lykta.stop().success());
    wait_until("the goodbye", || {
        house.cloud.on("/care/state").last().is_some_and(|m| m.body["state"] == "offline")
    });
    assert_eq!(house.told().len(), before);
    assert!(house.cloud.received().iter().all(|m| !m.topic.contains("/device/")));
}

#[test]
fn the_patrol_is_sent_to_whom_an_alarm_is_about() {
    // whenever this runs, somebody has come on duty within the last hour and stays for a day
    let since = jiff::Timestamp::now().in_tz("Europe/Stockholm").unwrap().hour();
    let duty = format!("{since:02}:00-{:02}:59", (since + 23) % 24);
    let plan = format!(
        "[plan.night]\ntenant = \"care\"\nkind = \"patrol\"\nprofile = \"car\"\n\
         timezone = \"Europe/Stockholm\"\nat = \"21:00\"\niterations = 200\n\
         days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
         [[plan.night.depot]]\nid = \"base\"\nlat = 59.3293\nlon = 18.0686\n\
         [[plan.night.vehicle]]\nid = \"car-1\"\nshift = \"{duty}\"\n\
         [[plan.night.visit]]\nid = \"kastanj\"\nlat = 59.34\nlon = 18.07\n"
    );
    let escalation = "primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"";
    let mut house = House::with(escalation, &plan);
    house.opens(true);
    let urgent = || {
        let plans = house.cloud.on("/care/plan/night");
        plans.last().is_some_and(|plan| plan.body["routes"].to_string().contains("\"kastanj!1\""))
    };
    wait_until("the plan has the visit", urgent);
    house.command("staff", &json!({ "resident": "kastanj", "present": true }));
    wait_until("it is withdrawn", || !urgent());
    assert!(house.lykta.stop().success());
}

#[test]
fn alarms_and_consent_outlive_a_new_reading_of_the_configuration() {
    let mut house = House::new("primary = \"1s\"\nsecondary = \"1s\"\nrepeat = \"1s\"");
    let file = house.lykta.path().join("lykta.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let reload = |house: &House, text: &str| {
        std::fs::write(&file, text).unwrap();
        house.lykta.drain_notifications();
        house.lykta.signal("HUP");
        house.lykta.wait_for_notification("READY=1");
    };
    house.opens(true);
    // a call goes on where it was, one number after the other
    for n in 0..6 {
        let before = house.told().len();
        // another window, so that the home is made anew with what is known of it
        let hour = format!("window = \"00:00-2{}:00\"", 3 + n % 2);
        reload(&house, &good.replace("window = \"00:00-24:00\"", &hour));
        wait_until("another is told", || house.told().len() > before);
    }
    let calls: Vec<_> = house.told().iter().filter(|m| m.body["kind"] == "alarm").map(to).collect();
    let numbers: Vec<_> = calls.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..calls.len() as u64).collect::<Vec<_>>(), "{calls:?}");

    // withdrawn by a command, it stays so
    let revoked = house.command("consent", &json!({ "resident": "kastanj", "given": false }));
    assert_eq!(revoked["ok"], true, "{revoked}");
    reload(&house, &good);
    let told = house.told().len();
    house.opens(false);
    house.opens(true);
    let given = house.command("consent", &json!({ "resident": "kastanj", "given": true }));
    assert_eq!(given["ok"], true, "{given}");
    assert_eq!(house.told().len(), told, "nothing was read meanwhile");

    // withdrawn in the settings, what was open is over, and nothing is decided any more
    house.opens(false);
    house.opens(true);
    wait_until("an alarm has come", || {
        house.told().len() > told && house.told().last().unwrap().body["kind"] == "alarm"
    });
    reload(&house, &good.replace("consent = true", "consent = false"));
    wait_until("it is over", || house.told().last().unwrap().body["kind"] == "cleared");
    let refused = house.command("consent", &json!({ "resident": "kastanj", "given": true }));
    assert_eq!(refused["ok"], false, "{refused}");
}
