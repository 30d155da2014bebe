//! One MQTT connection, of either protocol version, over rumqttc.
//!
//! rumqttc's event loop forgets accepted messages when a session is lost and can wedge after
//! an identifier collision, so a [`Link`] lives for exactly one connection and is thrown away
//! with any error. Its event loop runs in a task of its own, since polling it cannot be
//! cancelled halfway.

use super::error::LinkError;
use super::event_loop::{Event, EventLoop, MAX_PACKET, pump};
use super::tls;
use super::trouble::Peer;
use crate::clock::Clock;
use crate::config::secret::read_password;
use crate::config::{BrokerUrl, Protocol, Upstream};
use bytes::Bytes;
use rumqttc::{Transport, v5};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How many messages may be on their way unacknowledged.
pub(super) const WINDOW: usize = 100;

/// DNS, TCP, TLS and CONNACK together; a TLS handshake over a weak mobile link is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that rumqttc may not have taken yet: all messages, or all acknowledgements, and the
/// goodbye or a subscription.
const REQUESTS: usize = WINDOW + 1;

/// The content type of every message, where the protocol has one.
const JSON: &str = "application/json";

/// What a connection is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Messages go out; the broker publishes this one when the client vanishes.
    Deliver(Outgoing),
    /// Commands come in, and the broker keeps those that are not acknowledged.
    Listen {
        /// For how long (MQTT 5), in seconds.
        expiry: u32,
        /// Whether it forgets what it has kept so far.
        afresh: bool,
        /// How many it may bring before they are acknowledged (MQTT 5).
        window: u16,
    },
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) retain: bool,
    /// MQTT 5 user properties.
    pub(super) properties: Vec<(String, String)>,
}

/// An MQTT connection in the making, open, or closing.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    /// No packet may be larger.
    pub(super) largest: usize,
    events: mpsc::Receiver<Event>,
    pump: JoinHandle<()>,
}

#[derive(Debug)]
enum Client {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Link {
    /// Begins to connect. Certificates and password are read anew each time, so that a renewed
    /// one is used without a restart.
    pub(super) fn connect(
        settings: &Upstream,
        url: &BrokerUrl,
        client_id: &str,
        purpose: Purpose,
        clock: &Clock,
    ) -> Result<Self, LinkError> {
        let transport = match url.tls {
            true => Transport::Tls(tls::configuration(settings, clock)?),
            false => Transport::Tcp,
        };
        let login = login(settings)?;
        let host =
            if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        let mut network_options = rumqttc::NetworkOptions::new();
        network_options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        // a message that waits for the acknowledgement of the segment before it waits 40 ms
        network_options.set_tcp_nodelay(true);
        let peer = Peer::new(settings, url, client_id, CONNECT_TIMEOUT);
        // The pump waits when the forwarder is busy, so the broker waits too: nothing piles up.
        let (sender, events) = mpsc::channel(WINDOW);
        let (client, pump) = match settings.protocol {
            Protocol::V4 => {
                let mut options = rumqttc::MqttOptions::new(client_id, host, url.port);
                options.set_transport(transport);
                options.set_keep_alive(settings.keep_alive);
                options.set_inflight(WINDOW as u16);
                options.set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
                match purpose {
                    Purpose::Deliver(Outgoing { topic, payload, retain, .. }) => {
                        let qos = rumqttc::QoS::AtLeastOnce;
                        options.set_last_will(rumqttc::LastWill::new(topic, payload, qos, retain));
                    }
                    Purpose::Listen { afresh, .. } => {
                        options.set_clean_session(afresh);
                        options.set_manual_acks(true);
                    }
                }
                if let Some((username, password)) = login {
                    options.set_credentials(username, password);
                }
                let (client, mut event_loop) = rumqttc::AsyncClient::new(options, REQUESTS);
                event_loop.network_options = network_options;
                (
                    Client::V4(client),
                    tokio::spawn(pump(EventLoop::V4(Box::new(event_loop)), peer, sender)),
                )
            }
            Protocol::V5 => {
                let mut options = v5::MqttOptions::new(client_id, host, url.port);
                options.set_transport(transport);
                options.set_keep_alive(settings.keep_alive);
                options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
                options.set_network_options(network_options);
                options.set_outgoing_inflight_upper_limit(WINDOW as u16);
                options.set_max_packet_size(Some(MAX_PACKET));
                match purpose {
                    Purpose::Deliver(will) => {
                        options.set_last_will(last_will(will));
                    }
                    Purpose::Listen { expiry, afresh, window } => {
                        options.set_clean_start(afresh);
                        options.set_session_expiry_interval(Some(expiry));
                        options.set_receive_maximum(Some(window));
                        options.set_manual_acks(true);
                    }
                }
                if let Some((username, password)) = login {
                    options.set_credentials(username, password);
                }
                let (client, event_loop) = v5::AsyncClient::new(options, REQUESTS);
                (
                    Client::V5(client),
                    tokio::spawn(pump(EventLoop::V5(Box::new(event_loop)), peer, sender)),
                )
            }
        };
        Ok(Self { client, largest: MAX_PACKET as usize, events, pump })
    }

    /// What has happened already and was not told yet.
    pub(super) fn ready(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// The next thing that happened. Cancel-safe.
    pub(super) async fn event(&mut self) -> Event {
        self.events
            .recv()
            .await
            .unwrap_or_else(|| Event::Closed(LinkError::Connection("the connection ended".into())))
    }

    /// How many bytes a message takes as a packet.
    pub(super) fn size(&self, message: &Outgoing) -> usize {
        size(message, matches!(self.client, Client::V5(_)))
    }

    /// Whether a message is small enough to be sent. One that is not would end the connection.
    pub(super) fn fits(&self, message: &Outgoing) -> bool {
        size(message, matches!(self.client, Client::V5(_))) <= self.largest
    }

    /// Hands a message over. `false` when there is no room, which the caller prevents by never
    /// having more than [`WINDOW`] outstanding.
    pub(super) fn publish(&self, message: Outgoing) -> bool {
        let Outgoing { topic, payload, retain, properties } = message;
        match &self.client {
            Client::V4(client) => {
                client.try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).is_ok()
            }
            Client::V5(client) => client
                .try_publish_with_properties(
                    topic,
                    v5::mqttbytes::QoS::AtLeastOnce,
                    retain,
                    Bytes::from(payload),
                    described(properties),
                )
                .is_ok(),
        }
    }

    /// Acknowledges a message that came in. `false` when there is no room.
    pub(super) fn acknowledge(&self, packet: u16) -> bool {
        match &self.client {
            Client::V4(client) => {
                let qos = rumqttc::QoS::AtLeastOnce;
                let mut message = rumqttc::Publish::new("", qos, Vec::new());
                message.pkid = packet;
                client.try_ack(&message).is_ok()
            }
            Client::V5(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let mut message = v5::mqttbytes::v5::Publish::new("", qos, Vec::new(), None);
                message.pkid = packet;
                client.try_ack(&message).is_ok()
            }
        }
    }

    /// Asks for messages on these topics. Only while nothing is on its way: a packet identifier
    /// may be in use for one thing at a time. `false` when there is no room.
    pub(super) fn subscribe(&self, filter: String) -> bool {
        match &self.client {
            Client::V4(client) => client.try_subscribe(filter, rumqttc::QoS::AtLeastOnce).is_ok(),
            Client::V5(client) => {
                client.try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce).is_ok()
            }
        }
    }

    /// Says goodbye, so that the broker does not publish the last will. A session goes on.
    pub(super) fn disconnect(&self) {
        // a full channel means a broker that answers nothing; it will not miss the goodbye
        let _ = match &self.client {
            Client::V4(client) => client.try_disconnect().is_ok(),
            Client::V5(client) => client.try_disconnect().is_ok(),
        };
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

fn last_will(will: Outgoing) -> v5::mqttbytes::v5::LastWill {
    let properties = v5::mqttbytes::v5::LastWillProperties {
        delay_interval: None,
        payload_format_indicator: Some(1),
        message_expiry_interval: None,
        content_type: Some(JSON.into()),
        response_topic: None,
        correlation_data: None,
        user_properties: will.properties,
    };
    let qos = v5::mqttbytes::QoS::AtLeastOnce;
    let Outgoing { topic, payload, retain, .. } = will;
    v5::mqttbytes::v5::LastWill::new(topic, payload, qos, retain, Some(properties))
}

/// What MQTT 5 says of a message beside its own properties.
fn described(user_properties: Vec<(String, String)>) -> v5::mqttbytes::v5::PublishProperties {
    v5::mqttbytes::v5::PublishProperties {
        user_properties,
        payload_format_indicator: Some(1),
        content_type: Some(JSON.into()),
        ..Default::default()
    }
}

/// How many bytes a message takes as a packet, with what MQTT 5 says of it or without.
fn size(message: &Outgoing, is_described: bool) -> usize {
    let Outgoing { topic, payload, properties, .. } = message;
    let text = |text: &str| 2 + text.len();
    let mut rest = text(topic) + 2 + payload.len(); // 2 for the packet identifier
    if is_described {
        let user = properties.iter().map(|(key, value)| 1 + text(key) + text(value));
        let all = 2 + 1 + text(JSON) + user.sum::<usize>();
        rest += length(all) + all;
    }
    1 + length(rest) + rest
}

/// How many bytes a length takes.
fn length(of: usize) -> usize {
    1 + usize::from(of >= 1 << 7) + usize::from(of >= 1 << 14) + usize::from(of >= 1 << 21)
}

fn login(settings: &Upstream) -> Result<Option<(String, String)>, LinkError> {
    let Some(username) = &settings.username else { return Ok(None) };
    let password = match &settings.password_file {
        None => String::new(),
        Some(file) => read_password(file).map_err(LinkError::file("password_file"))?,
    };
    Ok(Some((username.clone(), password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_that_it_will_have_as_a_packet() {
        for length in [0, 1, 100, 127, 128, 1_000, 16_200, 16_384, 200_000, 2_100_000] {
            for key in [0, 1, 60, 127, 128, 5_000] {
                let message = Outgoing {
                    topic: "lykta/gw-1/waste/bin/1739/level".into(),
                    payload: "x".repeat(length),
                    retain: false,
                    properties: vec![("id".into(), "y".repeat(key)), ("class".into(), "z".into())],
                };
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let Outgoing { topic, payload, properties, .. } = &message;
                let properties = Some(described(properties.clone()));
                let mut packet =
                    v5::mqttbytes::v5::Publish::new(topic, qos, payload.clone(), properties);
                packet.pkid = 1;
                assert_eq!(size(&message, true), packet.size());

                let qos = rumqttc::QoS::AtLeastOnce;
                let mut packet = rumqttc::Publish::new(topic, qos, payload.clone());
                packet.pkid = 1;
                assert_eq!(size(&message, false), packet.size());
            }
        }
    }
}
