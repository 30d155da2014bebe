//! What these tests need beside the common support.

use crate::support::{Broker, Lykta, Sensor, Subscriber, assert_kept, wait_until};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A message as an MQTT 5 subscriber sees it, with what MQTT 3.1.1 has no room for.
#[derive(Debug, Clone)]
pub struct Seen {
    pub retained: bool,
    pub content_type: String,
    /// As mosquitto_sub prints them: `name:value` with a space between.
    pub properties: String,
    pub topic: String,
    pub body: serde_json::Value,
}

/// mosquitto_sub over MQTT 5. In the end every message that came is held against its schema.
pub struct Watcher {
    process: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Whether that is done.
    bound: bool,
}

impl Watcher {
    /// Subscribes to everything. What is retained comes first, so an earlier message that is
    /// retained may be used to wait for the subscription.
    pub fn start(broker: &Broker) -> Self {
        let mut process = Command::new("mosquitto_sub")
            .args(["-V", "5", "-h", "127.0.0.1", "-p", &broker.port.to_string()])
            .args(["-q", "1", "-t", "#", "-F", "%r|%C|%P|%t|%p"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub is installed; tests/run installs it");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (output, list) = (process.stdout.take().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                list.lock().unwrap().push(parse(&line));
            }
        });
        Self { process, seen, bound: true }
    }

    /// The same for messages that a test has made up.
    pub fn of_anything(mut self) -> Self {
        self.bound = false;
        self
    }

    /// Whether a message came on a topic that ends so.
    pub fn has(&self, leaf: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|m| m.topic.ends_with(leaf))
    }

    /// The first message on a topic that ends so.
    pub fn wait_for(&self, leaf: &str) -> Seen {
        let mut found = None;
        wait_until(&format!("a message on …{leaf}"), || {
            found = self.seen.lock().unwrap().iter().find(|m| m.topic.ends_with(leaf)).cloned();
            found.is_some()
        });
        found.unwrap()
    }
}

fn parse(line: &str) -> Seen {
    let parts: Vec<_> = line.splitn(5, '|').collect();
    let [retained, content_type, properties, topic, body] = parts[..] else {
        panic!("not five parts: {line}")
    };
    Seen {
        retained: retained == "1",
        content_type: content_type.to_owned(),
        properties: properties.to_owned(),
        topic: topic.to_owned(),
        body: serde_json::from_str(body).unwrap(),
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let held = self.bound && !std::thread::panicking();
        let seen = if held { self.seen.lock().unwrap().clone() } else { Vec::new() };
        let _ = self.process.kill();
        let _ = self.process.wait();
        assert_kept(seen.iter().map(|message| (message.topic.as_str(), &message.body)));
    }
}

/// A directory that mosquitto can read, which gives up its rights when it is started as root.
pub fn readable_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Tables of a tenant `waste` at this address, with further lines of `[tenant.upstream]`.
pub fn waste(url: &str, upstream: &str) -> String {
    format!(
        "[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [{url:?}]\n\
         reconnect_min = \"50ms\"\nreconnect_max = \"200ms\"\nbacklog_rate = 0\n{upstream}\n"
    )
}

/// A running lykta with one tenant `waste` at this address.
pub fn lykta_at(url: &str, upstream: &str, sensor: &Sensor) -> Lykta {
    let mut lykta =
        Lykta::configured(&format!("{}{}", waste(url, upstream), sensor.table("waste")));
    lykta.restart();
    lykta
}

/// The counters of the uplinks that came, in the order in which they came.
pub fn counters(cloud: &Subscriber) -> Vec<u64> {
    cloud.on("/event/up").iter().map(|m| m.body["fCnt"].as_u64().unwrap()).collect()
}

/// Waits until exactly these uplinks have come, each once.
pub fn wait_for_counters(cloud: &Subscriber, wanted: impl IntoIterator<Item = u64>) {
    let wanted: Vec<_> = wanted.into_iter().collect();
    wait_until(&format!("the uplinks {wanted:?} have come"), || counters(cloud) == wanted);
}

/// How many lines of the log have this in them.
pub fn told(lykta: &Lykta, part: &str) -> usize {
    lykta.log().iter().filter(|line| line.contains(part)).count()
}

/// It says something, which may reach its log behind what it does, and says it once.
pub fn told_once(lykta: &Lykta, part: &str) {
    lykta.wait_for_log(part);
    assert_eq!(told(lykta, part), 1, "{part}: {}", lykta.log().join("\n"));
}

/// Sends a signal to the mosquitto that works in this directory.
pub fn signal(broker: &Broker, name: &str) {
    let directory = broker.directory().to_str().unwrap().to_owned();
    let process = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|id| {
            let words =
                std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("cmdline"));
            words.is_ok_and(|words| words.starts_with("mosquitto\0") && words.contains(&directory))
        })
        .expect("the broker runs");
    let sent = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// How many messages are in the outbox.
pub fn waiting(lykta: &Lykta) -> u64 {
    lykta::store::Outbox::open(&lykta.database("waste")).unwrap().waiting()
}
