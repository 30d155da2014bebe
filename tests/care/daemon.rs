//! The real daemon with a real broker.

use crate::support::{Broker, Concentrator, Lykta, Received, Sensor, Subscriber, wait_until};
use crate::world::{MINUTE, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

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

    /// A frame comes on another way than a command, and may be behind one that was sent later.
    fn wait_until_all_is_heard(&self) {
        wait_until("all is heard", || {
            self.lykta.accepted_by("care").get(&self.door.dev_eui.0) == Some(&self.f_cnt)
        });
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

/// `KILLS=200 cargo test --test care over_kills` is the long run.
#[test]
fn an_alarm_reaches_one_after_the_other_over_kills_until_somebody_answers() {
    let kills: usize = std::env::var("KILLS").map_or(6, |kills| kills.parse().unwrap());
    let mut house =
        House::new("primary = \"1s\"\nsecondary = \"1s\"\nrepeat = \"1s\"\narrival = \"1h\"");
    house.opens(true);
    for kill in 0..kills {
        let before = house.told().len();
        if kill % 2 == 0 {
            wait_until("another is told", || house.told().len() > before);
        }
        std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(0..900)));
        house.lykta.kill();
        house.lykta.restart();
    }
    let before = house.told().len();
    wait_until("it goes on", || house.told().len() > before.max(3));
    let alarm = house.told()[0].body["alarm"].clone();
    let answer = house.command("acknowledge", &json!({ "alarm": alarm, "by": "primary" }));
    assert_eq!(answer["result"]["state"], "answered", "{answer}");
    wait_until("the others know", || house.told().last().unwrap().body["kind"] == "answered");
    let told = house.told();
    let calls: Vec<_> = told.iter().filter(|m| m.body["kind"] == "alarm").map(to).collect();
    println!("{} calls over {kills} kills, each once", calls.len());
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
    house.wait_until_all_is_heard();
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
    house.wait_until_all_is_heard();
    assert!(house.lykta.stop().success());
    wait_until("the goodbye", || {
        house.cloud.on("/care/state").last().is_some_and(|m| m.body["state"] == "offline")
    });
    assert_eq!(house.told().len(), before);
    assert!(house.cloud.received().iter().all(|m| !m.topic.contains("/device/")));
}

/// A plan of the patrol with a visit to the house.
fn patrol() -> String {
    // whenever this runs, somebody has come on duty within the last hour and stays for a day
    let since = jiff::Timestamp::now().in_tz("Europe/Stockholm").unwrap().hour();
    let duty = format!("{since:02}:00-{:02}:59", (since + 23) % 24);
    format!(
        "[plan.night]\ntenant = \"care\"\nkind = \"patrol\"\nprofile = \"car\"\n\
         timezone = \"Europe/Stockholm\"\nat = \"21:00\"\niterations = 200\n\
         days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]\n\
         [[plan.night.depot]]\nid = \"base\"\nlat = 59.3293\nlon = 18.0686\n\
         [[plan.night.vehicle]]\nid = \"car-1\"\nshift = \"{duty}\"\n\
         [[plan.night.visit]]\nid = \"kastanj\"\nlat = 59.34\nlon = 18.07\n"
    )
}

#[test]
fn the_patrol_is_sent_to_whom_an_alarm_is_about() {
    let escalation = "primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"";
    let mut house = House::with(escalation, &patrol());
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

/// The tables of further homes, each with a door of its own; the first is that of the sensor with
/// number 2.
fn neighbours(homes: &[&str]) -> String {
    let home = |(n, id): (usize, &&str)| {
        let door = door(n as u32 + 2);
        format!(
            "{}resident = \"{id}\"\nsensor = \"{id}-door\"\n[[resident]]\nid = \"{id}\"\n\
             consent = true\n[[resident.sensor]]\nid = \"{id}-door\"\nkind = \"door\"\n\
             [[resident.rule]]\nid = \"{id}-rule\"\nrule = \"door_at_night\"\n\
             mode = \"opened\"\nwindow = \"00:00-24:00\"\n",
            door.table("care")
        )
    };
    homes.iter().enumerate().map(home).collect()
}

fn door(number: u32) -> Sensor {
    Sensor { profile: "browan-tbdw100", ..Sensor::new(number) }
}

const OPEN: [u8; 8] = [1, 203, 53, 0, 0, 138, 58, 0];

#[test]
fn each_home_has_its_alarm_and_how_long_that_took_is_printed() {
    let homes = ["h2", "h3", "h4", "h5", "h6"];
    let escalation = "primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"";
    let mut house = House::with(escalation, &neighbours(&homes));
    let mut took = Vec::new();
    for (n, home) in homes.iter().enumerate() {
        let frame = door(n as u32 + 2).uplink(1, 100, &OPEN);
        let begin = Instant::now();
        house.air.forward(&[frame]);
        let topic = format!("/care/{home}/alarm");
        wait_until("the alarm is there", || house.cloud.count(&topic) > 0);
        took.push(begin.elapsed());
    }
    println!("from the frame to the alarm: {took:?}");
    assert!(house.lykta.stop().success());
}

#[tokio::test(start_paused = true)]
async fn ten_hours_without_a_broker_are_delivered_once_afterwards_and_in_order() {
    let mut world = World::new("2026-11-22T20:00:00Z");
    for hour in 0..10 {
        world.lies(true);
        world.moves(false);
        world.pass(30 * MINUTE).await;
        // up for a while, now and then
        if hour % 3 == 1 {
            world.lies(false);
            world.pass(MINUTE).await;
            world.moves(true);
            world.pass(19 * MINUTE).await;
        }
        world.lies(true);
        world.pass(30 * MINUTE).await;
    }
    world.stop();
    let decided = world.waiting();
    let alarms = decided.iter().filter(|(_, topic, _)| topic.ends_with("/alarm")).count();
    assert!(alarms >= 4 && decided.len() - alarms >= 3, "{decided:?}");

    let broker = Broker::start();
    let cloud = Subscriber::start(&broker, &[]);
    let mut lykta = Lykta::configured_with_state(
        world.directory.path(),
        &format!(
            "[[tenant]]\nid = \"care\"\nkind = \"care\"\n[tenant.upstream]\nurls = [\"{}\"]\n",
            broker.url()
        ),
    );
    lykta.restart();
    let delivered = || {
        let all = cloud.received().into_iter().filter(|m| m.topic.contains("/care/care/r1/"));
        all.map(|m| {
            let id = m.body["id"].as_str().unwrap().rsplit('-').next().unwrap();
            (id.parse::<u64>().unwrap(), m)
        })
        .filter(|(number, _)| decided.iter().any(|(decided, ..)| decided == number))
        .collect::<Vec<_>>()
    };
    wait_until("all is there", || delivered().len() >= decided.len());
    assert!(lykta.stop().success());
    // alarms first, and each class in its order
    let (mut expected, checks): (Vec<_>, Vec<_>) =
        decided.iter().partition(|(_, topic, _)| topic.ends_with("/alarm"));
    expected.extend(checks);
    let delivered = delivered();
    let numbers = |all: &mut dyn Iterator<Item = u64>| all.collect::<Vec<_>>();
    assert_eq!(
        numbers(&mut delivered.iter().map(|(number, _)| *number)),
        numbers(&mut expected.iter().map(|(number, ..)| *number)),
        "once, and in order"
    );
    for ((_, received), (_, topic, body)) in delivered.iter().zip(expected) {
        assert!(received.topic.ends_with(topic), "{} {topic}", received.topic);
        assert_eq!(received.body["late"], true);
        for (key, value) in body.as_object().unwrap() {
            assert_eq!(received.body[key], *value, "{key}");
        }
    }
}

#[test]
fn what_is_known_of_residents_is_told_to_staff_alone() {
    let planted = ["lind-77", "lind-77-door", "lind-77-rule"];
    let payload = hex::encode(OPEN);
    let escalation = "primary = \"1s\"\nsecondary = \"1s\"\nrepeat = \"1s\"";
    let mut house = House::with(escalation, &neighbours(&planted[..1]));
    let sensor = door(2);
    house.air.forward(&[sensor.uplink(1, 100, &OPEN)]);
    let topic = format!("/care/{}/alarm", planted[0]);
    wait_until("somebody is called again", || house.cloud.count(&topic) >= 2);
    // one that nobody can read
    house.air.forward(&[sensor.uplink(2, 100, &[1])]);
    let mut shown = Vec::new();
    let mut look = |house: &House, args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
            .args(args)
            .arg("--config")
            .arg(house.lykta.path().join("lykta.toml"))
            .output()
            .unwrap();
        shown.push(format!("{args:?} {}", String::from_utf8_lossy(&output.stdout)));
        shown.push(format!("{args:?} {}", String::from_utf8_lossy(&output.stderr)));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status: Value = serde_json::from_str(&look(&house, &["status", "--json"])).unwrap();
    let care = &status["tenants"][0]["care"];
    assert_eq!((&care["alarms"], &care["unanswered"]), (&json!(1), &json!(1)), "{status}");
    let text = look(&house, &["status"]);
    assert!(text.contains("1 alarm open, 1 unanswered"), "{text}");
    look(&house, &["device", "list"]);
    look(&house, &["store", "stats"]);
    let alarm = house.cloud.on(&topic)[0].body["alarm"].clone();
    house.command("acknowledge", &json!({ "alarm": alarm, "by": "primary" }));
    house.command("staff", &json!({ "resident": planted[0], "present": true }));
    house.command("consent", &json!({ "resident": planted[0], "given": false }));
    house.air.forward(&[sensor.uplink(3, 100, &OPEN)]);
    house.lykta.kill();
    house.lykta.restart();
    house.air.forward(&[sensor.uplink(4, 100, &OPEN)]);
    wait_until("it is counted", || {
        let text = look(&house, &["status", "--json"]);
        let status: Value = serde_json::from_str(&text).unwrap();
        let care = &status["tenants"][0]["care"];
        care["unheeded"] == 1 && care["withdrawn"] == 1
    });
    look(&house, &["status"]);
    wait_until("health is told", || !house.cloud.on("/care/health").is_empty());
    assert!(house.lykta.stop().success());
    shown.extend(house.lykta.log());
    for message in house.cloud.received().iter().filter(|m| !m.topic.contains("/care/care/")) {
        // what the cloud asked itself
        if !message.topic.contains("/command/") {
            shown.push(format!("{} {}", message.topic, message.body));
        }
    }
    assert!(
        shown.iter().any(|line| line.contains("/care/health")),
        "there is something to look at"
    );
    for secret in planted.iter().copied().chain([payload.as_str(), "door_at_night"]) {
        let found: Vec<_> = shown.iter().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
}

#[test]
fn whoever_looks_at_what_tells_of_residents_is_noted() {
    let escalation = "primary = \"1h\"\nsecondary = \"1h\"\nrepeat = \"1h\"";
    let mut house = House::with(escalation, &patrol());
    house.opens(true);
    wait_until("the plan is there", || !house.cloud.on("/care/plan/night").is_empty());
    let run = |args: &[&str]| {
        let command = Command::new(env!("CARGO_BIN_EXE_lykta"))
            .args(args)
            .arg("--config")
            .arg(house.lykta.path().join("lykta.toml"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = format!("process {})", command.id());
        let output = command.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        (process, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let dev_eui = house.door.dev_eui.to_string();
    for (args, what) in [
        (&["device", "list"][..], "devices"),
        (&["device", "show", &dev_eui], "devices"),
        (&["plan", "show"], "the visits of a plan"),
        (&["plan", "now"], "the visits of a plan"),
    ] {
        let (process, said) = run(args);
        let line =
            format!("{what} of tenant care, which tell of residents, were shown to user {uid}");
        wait_until("it is noted", || {
            house.lykta.log().iter().any(|said| said.contains(&line) && said.contains(&process))
        });
        // who has logged in is known to the command
        assert!(said.contains(&line) && said.contains(&process), "{said}");
    }
    let (process, said) = run(&["store", "export"]);
    assert!(
        said.contains("the messages that wait of tenant care") && said.contains(&process),
        "{said}"
    );
    // numbers tell of nobody
    let noted = || house.lykta.log().iter().filter(|line| line.contains("were shown")).count();
    let before = noted();
    run(&["status"]);
    let (_, said) = run(&["store", "stats"]);
    assert!(!said.contains("were shown"), "{said}");
    assert_eq!(noted(), before);
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
    wait_until("it is over", || house.told().last().unwrap().body["kind"] == "cleared");
    // also when they are gone for a while, and somebody else lives there
    reload(&house, &good.replace("kastanj", "lind"));
    reload(&house, &good);
    let told = house.told().len();
    house.opens(false);
    house.opens(true);
    house.wait_until_all_is_heard();
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
