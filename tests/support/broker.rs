//! A real mosquitto, and mosquitto_sub as the cloud.

use super::{PATIENCE, assert_kept, free_tcp_port, holds_within, wait_until};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A mosquitto of the test's own. Killed hard with its owner.
pub struct Broker {
    pub port: u16,
    directory: tempfile::TempDir,
    process: Option<Child>,
}

impl Broker {
    /// Starts one that lets everybody in.
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// Starts one with these further lines of configuration.
    pub fn with(lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_tcp_port();
        let state = directory.path().display();
        // What mosquitto has acknowledged it passes on at once, and keeps for a subscriber that
        // is away.
        let configuration = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {state}/\n\
             autosave_interval 3600\nmax_inflight_messages 0\nmax_queued_messages 0\n\
             queue_qos0_messages true\nlog_type none\n{lines}"
        );
        std::fs::write(directory.path().join("mosquitto.conf"), configuration).unwrap();
        // started as root it gives up its rights, and then must still be able to save
        if let Ok(path) = std::fs::metadata(directory.path()) {
            use std::os::unix::fs::PermissionsExt;
            let mut permissions = path.permissions();
            permissions.set_mode(0o777);
            std::fs::set_permissions(directory.path(), permissions).unwrap();
        }
        let mut broker = Self { port, directory, process: None };
        broker.restart();
        broker
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Sends this signal.
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let sent = Command::new("kill").args(["-s", name, &process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Makes mosquitto break this client's connection, by another one under the same name.
    pub fn drop_client(&self, client_id: &str) {
        let taken = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-i", client_id])
            .args(["-q", "1", "-t", READY, "-m", "{}"])
            .status();
        assert!(taken.unwrap().success());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again on the same port, with what it had saved.
    pub fn restart(&mut self) {
        self.spawn();
        let port = self.port;
        wait_until("mosquitto listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// As [`Broker::restart`], without waiting.
    pub fn spawn(&mut self) {
        self.kill();
        let process = Command::new("mosquitto")
            .arg("-c")
            .arg(self.directory.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed; tests/run installs it");
        self.process = Some(process);
    }

    /// Takes away what it had saved.
    pub fn forget(&self) {
        std::fs::remove_file(self.directory.path().join("mosquitto.db")).unwrap();
    }

    /// Publishes with QoS 1; each line is a message.
    pub fn publish(&self, topic: &str, arguments: &[&str], lines: &[String]) {
        let mut program = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1"])
            .args(["-t", topic, "-l"])
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("mosquitto_pub is installed; tests/run installs it");
        let mut input = program.stdin.take().unwrap();
        for line in lines {
            writeln!(input, "{line}").unwrap();
        }
        drop(input);
        assert!(program.wait().unwrap().success());
    }

    /// Makes mosquitto save its sessions, so that a subscription survives its kill -9.
    pub fn save(&self) {
        self.signal("USR1");
        let file = self.directory.path().join("mosquitto.db");
        wait_until("mosquitto has saved its sessions", || file.exists());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where tests publish to see whether there is a subscription.
const READY: &str = "test/ready";

/// One message as the cloud received it.
#[derive(Debug, Clone)]
pub struct Received {
    pub topic: String,
    pub retained: bool,
    pub body: Value,
}

/// mosquitto_sub with a persistent session: a consumer that we did not write. In the end every
/// message that came is held against its schema.
///
/// It subscribes with QoS 0. With QoS 1 its own acknowledgements are on their way when
/// mosquitto is killed; the kernel then resets the connection, and mosquitto_sub throws away
/// what it has received but not read. That loss would be theirs, but the test could not tell.
pub struct Subscriber {
    process: Child,
    /// `retained topic body`, parsed only when asked for: a subscriber that lags behind would
    /// leave messages with the broker, which forgets them when it is killed.
    lines: Arc<Mutex<Vec<String>>>,
    /// How many different messages of devices there are among them.
    different: Arc<AtomicUsize>,
    /// Whether messages are held against their schemas.
    bound: bool,
}

impl Subscriber {
    /// Subscribes to everything; returns once the broker has confirmed it.
    pub fn start(broker: &Broker, arguments: &[&str]) -> Self {
        // on a machine that is very busy mosquitto_sub has been seen to give up without a word
        let tries = std::iter::repeat_with(|| Self::spawn(broker, arguments)).take(6);
        tries
            .into_iter()
            .find(|subscriber| subscriber.subscribes_within(PATIENCE / 6, broker, arguments))
            .expect("mosquitto_sub subscribes")
    }

    fn spawn(broker: &Broker, arguments: &[&str]) -> Self {
        let mut process = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &broker.port.to_string()])
            .args(["-c", "-i", "cloud", "-q", "0", "-t", "#", "-F", "%r %t %p"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub is installed; tests/run installs it");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let different = Arc::new(AtomicUsize::new(0));
        let output = process.stdout.take().unwrap();
        let (list, count) = (Arc::clone(&lines), Arc::clone(&different));
        std::thread::spawn(move || {
            let mut ids = HashSet::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let id = line.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"'));
                if let Some((id, _)) = id.filter(|_| line.contains("/device/")) {
                    ids.insert(id.to_owned());
                }
                list.lock().unwrap().push(line);
                count.store(ids.len(), Relaxed);
            }
        });
        Self { process, lines, different, bound: true }
    }

    /// The same for messages that a test has made up.
    pub fn of_anything(mut self) -> Self {
        self.bound = false;
        self
    }

    /// Waits until a message of the test's own comes back: the subscription is there.
    pub fn wait_for_subscription(&self, broker: &Broker, arguments: &[&str]) {
        assert!(self.subscribes_within(PATIENCE, broker, arguments), "no subscription");
    }

    fn subscribes_within(&self, patience: Duration, broker: &Broker, arguments: &[&str]) -> bool {
        let echoes = || {
            self.lines.lock().unwrap().iter().filter(|l| l.contains(&format!(" {READY} "))).count()
        };
        let before = echoes();
        holds_within(patience, || {
            let published = Command::new("mosquitto_pub")
                .args(["-h", "127.0.0.1", "-p", &broker.port.to_string()])
                .args(["-q", "1", "-t", READY, "-m", "{}"])
                .args(arguments)
                .stderr(Stdio::null())
                .status()
                .unwrap();
            published.success() && echoes() > before
        })
    }

    /// Waits until the tenant `waste` of a gateway `gw-1` answers a command: from then on the
    /// broker keeps those that come while it is away.
    pub fn wait_until_commands_are_answered(&self, broker: &Broker) {
        wait_until("commands are answered", || {
            let hello = r#"{"id":"hello"}"#.to_owned();
            broker.publish("lykta/gw-1/waste/command/hello", &[], &[hello]);
            holds_within(Duration::from_millis(300), || {
                !self.on("/waste/command/hello/reply").is_empty()
            })
        });
    }

    /// Everything so far, without the test's own messages.
    pub fn received(&self) -> Vec<Received> {
        self.lines.lock().unwrap().iter().map(|line| parse(line)).collect()
    }

    /// The same one by one: a million of them parsed take gigabytes.
    pub fn for_each(&self, mut take: impl FnMut(Received)) {
        self.lines.lock().unwrap().iter().for_each(|line| take(parse(line)));
    }

    /// How many came, of those whose topic and body have this in them.
    pub fn count(&self, part: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// What came on topics that end so.
    pub fn on(&self, leaf: &str) -> Vec<Received> {
        self.received().into_iter().filter(|m| m.topic.ends_with(leaf)).collect()
    }

    /// How many different messages of devices came.
    pub fn different(&self) -> usize {
        self.different.load(Relaxed)
    }
}

fn parse(line: &str) -> Received {
    let mut parts = line.splitn(3, ' ');
    let retained = parts.next() == Some("1");
    let topic = parts.next().unwrap_or_default().to_owned();
    let body = serde_json::from_str(parts.next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("no JSON on {topic}: {e}: {line}"));
    Received { topic, retained, body }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // before it is killed, so that no line is half a line
        let held = self.bound && !std::thread::panicking();
        let received = if held { self.received() } else { Vec::new() };
        let _ = self.process.kill();
        let _ = self.process.wait();
        let received = received.iter().filter(|message| message.topic != READY);
        assert_kept(received.map(|message| (message.topic.as_str(), &message.body)));
    }
}
