//! A town of a few bins with a gateway, a broker and a cloud.

use crate::support::{Broker, Concentrator, Lykta, Received, Sensor, Subscriber, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A depth of 1.5 m, so that 6 cm are 96 %, and 150 cm are nothing.
pub(crate) const FULL: u8 = 6;
pub(crate) const EMPTY: u8 = 150;
/// A little in it.
pub(crate) const LOW: u8 = 130;

/// Two bins near the depot, by the numbers of their sensors.
pub(crate) const BINS: &str = r#"
[bin.1]
lat = 59.3300
lon = 18.0700
[bin.2]
lat = 59.3320
lon = 18.0750
"#;

/// All days of the week.
pub(crate) const DAYS: &str = r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#;

/// A plan that leaves at any time.
pub(crate) const PLAN: &str = r#"
[plan.tours]
tenant = "waste"
timezone = "Europe/Stockholm"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
iterations = 2000
mend_after = "100ms"
[[plan.tours.depot]]
id = "yard"
lat = 59.3293
lon = 18.0686
[[plan.tours.site]]
id = "tip"
lat = 59.3393
lon = 18.0586
"#;

pub(crate) const TRUCK: &str = r#"
[[plan.tours.vehicle]]
id = "truck-1"
volume_l = 20000
shift = "00:00-23:59"
"#;

pub(crate) struct Town {
    pub(crate) broker: Broker,
    pub(crate) lykta: Lykta,
    pub(crate) cloud: Subscriber,
    sensors: Vec<Sensor>,
    counts: Vec<u32>,
    /// In which second each of them has reported.
    reported: Vec<i64>,
    concentrator: Concentrator,
    commands: usize,
}

impl Town {
    /// A town with so many sensors, the n-th in bin n, and these further settings. Plans are made
    /// when somebody asks: by themselves they would be where this machine's clock is right.
    pub(crate) fn new(sensors: u32, settings: &str) -> Self {
        Self::start(sensors, |_| settings.to_owned())
    }

    /// One with one sensor, and settings that know the broker.
    pub(crate) fn with(settings: impl FnOnce(&Broker) -> String) -> Self {
        Self::start(1, settings)
    }

    fn start(sensors: u32, settings: impl FnOnce(&Broker) -> String) -> Self {
        let broker = Broker::start();
        let settings = settings(&broker).replace(DAYS, "[]");
        let cloud = Subscriber::start(&broker, &[]);
        let tenant = format!(
            "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"{}\"]\n\
             reconnect_min = \"100ms\"\nreconnect_max = \"500ms\"\n",
            broker.url()
        );
        let sensors: Vec<Sensor> = (1..=sensors).map(Sensor::new).collect();
        let devices = sensors.iter().zip(1..);
        let devices = devices.map(|(s, n)| format!("{}bin = \"{n}\"\n", s.table("waste")));
        let devices: String = devices.collect();
        let mut lykta = Lykta::configured(&format!("{tenant}{devices}{settings}"));
        lykta.restart();
        let concentrator = Concentrator::new(1, lykta.udp);
        let (counts, reported) = (vec![0; sensors.len()], vec![0; sensors.len()]);
        let town =
            Self { broker, lykta, cloud, sensors, counts, reported, concentrator, commands: 0 };
        town.cloud.wait_until_commands_are_answered(&town.broker);
        town
    }

    /// The sensor of this bin sees the surface so many centimetres away, twice, and lykta has it.
    pub(crate) fn report(&mut self, bin: usize, centimetres: u8) {
        for _ in 0..2 {
            // of two in one second the later is history where this machine's clock is right
            let now = || Timestamp::now().as_second();
            wait_until("a second has passed", || now() > self.reported[bin - 1]);
            self.reported[bin - 1] = now();
            self.counts[bin - 1] += 1;
            let count = self.counts[bin - 1];
            let sensor = &self.sensors[bin - 1];
            self.concentrator.forward(&[sensor.level(count, centimetres, 12)]);
            let eui = sensor.dev_eui.0;
            let lykta = &self.lykta;
            wait_until("it is on disk", || lykta.accepted().get(&eui) == Some(&count));
        }
    }

    /// kill -9, and starts again.
    pub(crate) fn restart(&mut self) {
        let online = || {
            let states = self.cloud.on("/waste/state").into_iter();
            states.filter(|state| state.body["state"] == "online").count()
        };
        let before = online();
        self.lykta.kill();
        self.lykta.restart();
        wait_until("lykta is online again", || online() > before);
    }

    /// Sends `command/plan` with these arguments under a new id, and waits for the reply.
    pub(crate) fn plan(&mut self, args: &Value) -> Value {
        self.commands += 1;
        let id = format!("c-{}", self.commands);
        self.send(&id, args);
        self.reply(&id, 1)
    }

    pub(crate) fn send(&self, id: &str, args: &Value) {
        self.send_to("waste", id, args);
    }

    /// Sends it to a tenant.
    pub(crate) fn send_to(&self, tenant: &str, id: &str, args: &Value) {
        let mut program = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.broker.port.to_string(), "-q", "1", "-s"])
            .args(["-t", &format!("lykta/gw-1/{tenant}/command/plan")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub is installed; tests/run installs it");
        let command = json!({ "id": id, "args": args }).to_string();
        program.stdin.take().unwrap().write_all(command.as_bytes()).unwrap();
        assert!(program.wait().unwrap().success());
    }

    /// The n-th reply to a command, whichever tenant sent it.
    pub(crate) fn reply(&self, id: &str, n: usize) -> Value {
        let replies = || -> Vec<Received> {
            let all = self.cloud.on("/command/plan/reply").into_iter();
            all.filter(|reply| reply.body["id"] == id).collect()
        };
        wait_until(&format!("{n} replies to {id}"), || replies().len() >= n);
        replies().remove(n - 1).body
    }

    /// All plans that were published.
    pub(crate) fn plans(&self) -> Vec<Value> {
        self.cloud.on("/waste/plan/tours").into_iter().map(|message| message.body).collect()
    }

    /// The plan that the broker keeps for whoever comes later.
    pub(crate) fn retained(&self) -> Value {
        let said = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.broker.port.to_string(), "-W", "60"])
            .args(["-t", "lykta/gw-1/waste/plan/tours", "-C", "1", "--retained-only"])
            .output()
            .expect("mosquitto_sub is installed; tests/run installs it");
        serde_json::from_slice(&said.stdout).unwrap()
    }

    /// `lykta ARGUMENTS --config …`: its exit code, and what it said on stdout and stderr.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
        let configuration = self.lykta.path().join("lykta.toml");
        let Output { status, stdout, stderr } =
            command.args(arguments).arg("--config").arg(configuration).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

/// The ids of the stops of all tours.
pub(crate) fn stops(plan: &Value) -> Vec<String> {
    let routes = plan["routes"].as_array().unwrap().iter();
    let stops = routes.flat_map(|route| route["stops"].as_array().unwrap());
    stops.map(|stop| stop["id"].as_str().unwrap().to_owned()).collect()
}

/// Why a bin is left out.
pub(crate) fn left_out(plan: &Value, bin: &str) -> Option<String> {
    let mut all = plan["leftOut"].as_array().unwrap().iter();
    let found = all.find(|left| left["id"] == bin)?;
    Some(found["reason"].as_str().unwrap().to_owned())
}
