//! The cloud: a subscriber that prints what arrives and keeps the books.

use super::town::Sent;
use crate::clock::Clock;
use crate::units::{DevEui, duration};
use anyhow::Context;
use jiff::Timestamp;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What came of a demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Frames that the gateway heard.
    pub heard: u64,
    /// Different messages that the cloud received, but for health and state.
    pub delivered: u64,
    /// Frames that were acknowledged to the concentrator, or accepted by the lamp post, and never
    /// reached the cloud.
    pub lost: u64,
    /// Messages that the cloud received again.
    pub duplicates: u64,
    /// The longest time between a measurement and its departure, in seconds of the
    /// demonstration's clock.
    pub longest_outage_s: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "frames heard            {:>8}", self.heard)?;
        writeln!(f, "messages delivered      {:>8}", self.delivered)?;
        writeln!(f, "lost                    {:>8}", self.lost)?;
        writeln!(f, "duplicates              {:>8}", self.duplicates)?;
        let outage = duration::format(Duration::from_secs(self.longest_outage_s));
        write!(f, "longest outage bridged  {outage:>8}  (of the street's time)")
    }
}

/// The subscriber.
#[derive(Debug, Clone)]
pub(super) struct Cloud {
    books: Arc<Mutex<Books>>,
    clock: Clock,
    names: Arc<HashMap<String, String>>,
    json: bool,
    unread: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Books {
    ids: HashSet<String>,
    duplicates: u64,
    arrived: Sent,
    /// Uplinks whose readings have arrived.
    read: Sent,
    longest: Duration,
}

impl Books {
    fn missing(&self, sent: &Sent) -> u64 {
        let whole = |uplink| self.arrived.contains(uplink) && self.read.contains(uplink);
        sent.iter().filter(|uplink| !whole(uplink)).count() as u64
    }
}

impl Cloud {
    /// Subscribes to everything, and prints it from then on.
    pub(super) async fn watch(
        broker: SocketAddr,
        clock: Clock,
        names: HashMap<String, String>,
        json: bool,
    ) -> anyhow::Result<(Self, JoinHandle<()>)> {
        let cloud = Self {
            books: Arc::default(),
            clock,
            names: Arc::new(names),
            json,
            unread: Arc::default(),
        };
        let mut options = MqttOptions::new("cloud", broker.ip().to_string(), broker.port());
        options.set_max_packet_size(Some(1 << 20));
        let (client, mut events) = AsyncClient::new(options, 10);
        client.subscribe("lykta/#", QoS::AtLeastOnce).await?;
        loop {
            let event = events.poll().await.context("the cloud cannot subscribe")?;
            if matches!(event, Event::Incoming(Packet::SubAck(_))) {
                break;
            }
        }
        let watcher = cloud.clone();
        let watching = tokio::spawn(async move {
            // the client must live as long as its event loop
            let _client = client;
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(message)) = event {
                    watcher.receive(&message);
                }
            }
        });
        Ok((cloud, watching))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all these uplinks have arrived.
    pub(super) fn has_all(&self, sent: &Sent) -> bool {
        self.books().missing(sent) == 0
    }

    /// How many different uplinks of these devices have arrived.
    pub(super) fn uplinks_of(&self, devices: &HashSet<DevEui>) -> u64 {
        let books = self.books();
        books.arrived.iter().filter(|(dev_eui, _)| devices.contains(dev_eui)).count() as u64
    }

    /// What came of it; so many uplinks are missing besides those that were sent to a concentrator.
    pub(super) fn summary(&self, heard: u64, sent: &Sent, missing: u64) -> Summary {
        let books = self.books();
        Summary {
            heard,
            delivered: books.ids.len() as u64,
            lost: books.missing(sent) + missing,
            duplicates: books.duplicates,
            longest_outage_s: books.longest.as_secs(),
        }
    }

    /// Returns when nobody reads the output any more, as after `lykta demo | head`.
    pub(super) async fn unread(&self) {
        self.unread.notified().await;
    }

    fn print(&self, line: fmt::Arguments<'_>) {
        if writeln!(io::stdout(), "{line}").is_err() {
            self.unread.notify_one();
        }
    }

    /// Says what happens besides messages.
    pub(super) fn note(&self, text: &str) {
        if !self.json {
            self.print(format_args!("{}  ── {text}", clock_time(self.clock.now().wall)));
        }
    }

    fn receive(&self, message: &Publish) {
        let Ok(body) = serde_json::from_slice::<Value>(&message.payload) else {
            self.note("a message that is not JSON");
            return;
        };
        let topic = String::from_utf8_lossy(&message.topic);
        let levels: Vec<_> = topic.split('/').skip(2).collect();
        let again = self.keep(&levels, &body);
        if self.json {
            self.print(format_args!("{}", json!({ "topic": topic, "message": body })));
        } else if let Some(line) = self.line(&levels, &body) {
            let late = if body["late"] == true { "  (kept over the outage)" } else { "" };
            let again = if again { "  (again)" } else { "" };
            let time = body["time"].as_str().and_then(|t| t.parse().ok()).unwrap_or_default();
            self.print(format_args!("{}  {line}{late}{again}", clock_time(time)));
        }
    }

    /// Enters a message into the books; whether it was there before.
    fn keep(&self, levels: &[&str], body: &Value) -> bool {
        let [_, "device", dev_eui, ..] = levels else { return false };
        let mut books = self.books();
        if !books.ids.insert(body["id"].as_str().unwrap_or_default().to_owned()) {
            books.duplicates += 1;
            return true;
        }
        if let (Ok(dev_eui), Some(f_cnt)) = (dev_eui.parse::<DevEui>(), body["fCnt"].as_u64()) {
            let books = &mut *books;
            let which =
                if levels.ends_with(&["up"]) { &mut books.arrived } else { &mut books.read };
            which.insert((dev_eui, f_cnt as u32));
        }
        let instant = |key: &str| body[key].as_str().and_then(|t| t.parse::<Timestamp>().ok());
        if let (Some(time), Some(sent)) = (instant("time"), instant("sentAt")) {
            let waited = sent.duration_since(time).unsigned_abs();
            books.longest = books.longest.max(waited);
        }
        false
    }

    /// One message as one readable line.
    fn line(&self, levels: &[&str], body: &Value) -> Option<String> {
        match *levels {
            [tenant, "device", dev_eui, "readings"] => {
                let name = self.names.get(dev_eui).map_or(dev_eui, String::as_str);
                let readings = body["readings"].as_array()?;
                let said: Vec<_> = readings.iter().map(reading).collect();
                Some(format!("{tenant:6} {name:17} readings  {}", said.join(", ")))
            }
            [tenant, "device", dev_eui, "event", "up"] => {
                let name = self.names.get(dev_eui).map_or(dev_eui, String::as_str);
                let error = body["codecError"].as_str();
                let lora = &body["txInfo"]["modulation"]["lora"]["spreadingFactor"];
                Some(format!(
                    "{tenant:6} {name:17} up        frame {}, SF{lora}, {} dBm, {}",
                    body["fCnt"],
                    body["rxInfo"][0]["rssi"],
                    error.map_or_else(|| body["data"].to_string(), |e| format!("undecoded: {e}")),
                ))
            }
            [tenant, "device", dev_eui, "event", "join"] => {
                let name = self.names.get(dev_eui).map_or(dev_eui, String::as_str);
                Some(format!("{tenant:6} {name:17} joins     as {}", body["devAddr"].as_str()?))
            }
            [tenant, "device", dev_eui, "event", "status"] => {
                let name = self.names.get(dev_eui).map_or(dev_eui, String::as_str);
                Some(format!(
                    "{tenant:6} {name:17} status    it hears us {} dB above need",
                    body["margin"]
                ))
            }
            [tenant, "state"] => Some(format!("{tenant:6} state: {}", body["state"].as_str()?)),
            [tenant, "health"] => Some(format!(
                "{tenant:6} health: {} uplinks accepted, {} messages waiting",
                body["tenant"]["accepted"], body["tenant"]["waiting"]
            )),
            _ => Some(format!("{}: {body}", levels.join("/"))),
        }
    }
}

fn reading(reading: &Value) -> String {
    let name = reading["name"].as_str().unwrap_or_default().replace('_', " ");
    let value = match &reading["value"] {
        Value::Null => "none (the sensor has no value)".to_owned(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        number => match reading["unit"].as_str() {
            Some("Cel") => format!("{number} °C"),
            Some("/") => format!("{:.0} %", number.as_f64().unwrap_or_default() * 100.0),
            Some(unit) => format!("{number} {unit}"),
            None => number.to_string(),
        },
    };
    format!("{name} {value}")
}

fn clock_time(time: Timestamp) -> String {
    // the date is the same throughout, and only of the demonstration
    time.to_string().get(11..19).unwrap_or_default().to_owned()
}
