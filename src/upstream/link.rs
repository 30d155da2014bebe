//! One MQTT connection, of either protocol version, over rumqttc.
//!
//! rumqttc's event loop forgets accepted messages when a session is lost and can wedge after
//! an identifier collision, so a [`Link`] lives for exactly one connection and is thrown away
//! with any error. Its event loop runs in a task of its own, since polling it cannot be
//! cancelled halfway, and reports in order: what went out under which packet identifier, and
//! which identifier was answered how.

use super::tls::{self, TlsError};
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

/// rumqttc refuses packets above 10 KB unless told; the largest of ours stay far below this.
const MAX_PACKET: u32 = 256 * 1024;

/// What happened on the connection, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The broker has accepted the connection.
    Connected,
    /// The next message in line went out under this identifier.
    Sent(u16),
    /// The broker has taken it over.
    Acknowledged(u16),
    /// The broker has refused it, with this reason (MQTT 5 only).
    Refused(u16, String),
    /// The connection is over, for this reason. Nothing follows.
    Closed(LinkError),
}

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The files for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The password file cannot be read.
    #[error("password_file {file}: {source}; must be readable for the user that runs lykta")]
    Password {
        /// The file, or the credential's name.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The broker, or the way to it, by rumqttc's word.
    #[error("{0}")]
    Connection(String),
    /// The broker turned the connection down.
    #[error(
        "the broker refuses the connection: {0}; check username, password_file, client_id and the broker's log"
    )]
    Refused(String),
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

/// The last will, published by the broker when this client vanishes.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: String,
}

/// An MQTT connection in the making, open, or closing.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
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
        will: Will,
    ) -> Result<Self, LinkError> {
        let transport =
            if url.tls { Transport::Tls(tls::configuration(settings)?) } else { Transport::Tcp };
        let login = login(settings)?;
        let host =
            if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
        // The pump waits when the forwarder is busy, so the broker waits too: nothing piles up.
        let (sender, events) = mpsc::channel(WINDOW);
        let (client, pump) = match settings.protocol {
            Protocol::V4 => {
                let mut options = rumqttc::MqttOptions::new(client_id, host, url.port);
                options.set_transport(transport);
                options.set_keep_alive(settings.keep_alive);
                options.set_clean_session(true);
                options.set_inflight(WINDOW as u16);
                options.set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
                let qos = rumqttc::QoS::AtLeastOnce;
                options.set_last_will(rumqttc::LastWill::new(will.topic, will.payload, qos, true));
                if let Some((username, password)) = login {
                    options.set_credentials(username, password);
                }
                let (client, mut event_loop) = rumqttc::AsyncClient::new(options, WINDOW);
                event_loop.network_options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
                (Client::V4(client), tokio::spawn(pump_v4(event_loop, sender)))
            }
            Protocol::V5 => {
                let mut options = v5::MqttOptions::new(client_id, host, url.port);
                options.set_transport(transport);
                options.set_keep_alive(settings.keep_alive);
                options.set_clean_start(true);
                options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
                options.set_outgoing_inflight_upper_limit(WINDOW as u16);
                options.set_max_packet_size(Some(MAX_PACKET));
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let will =
                    v5::mqttbytes::v5::LastWill::new(will.topic, will.payload, qos, true, None);
                options.set_last_will(will);
                if let Some((username, password)) = login {
                    options.set_credentials(username, password);
                }
                let (client, event_loop) = v5::AsyncClient::new(options, WINDOW);
                (Client::V5(client), tokio::spawn(pump_v5(event_loop, sender)))
            }
        };
        Ok(Self { client, events, pump })
    }

    /// The next thing that happened. Cancel-safe.
    pub(super) async fn event(&mut self) -> Event {
        self.events
            .recv()
            .await
            .unwrap_or_else(|| Event::Closed(LinkError::Connection("the connection ended".into())))
    }

    /// Hands a message over. `false` when there is no room, which the caller prevents by never
    /// having more than [`WINDOW`] outstanding.
    pub(super) fn publish(&self, message: Outgoing) -> bool {
        let Outgoing { topic, payload, retain, properties } = message;
        match &self.client {
            Client::V4(client) => {
                client.try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload).is_ok()
            }
            Client::V5(client) => {
                let properties = v5::mqttbytes::v5::PublishProperties {
                    user_properties: properties,
                    payload_format_indicator: Some(1),
                    content_type: Some("application/json".into()),
                    ..Default::default()
                };
                client
                    .try_publish_with_properties(
                        topic,
                        v5::mqttbytes::QoS::AtLeastOnce,
                        retain,
                        Bytes::from(payload),
                        properties,
                    )
                    .is_ok()
            }
        }
    }

    /// Says goodbye, so that the broker does not publish the last will.
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

async fn pump_v4(mut event_loop: rumqttc::EventLoop, events: mpsc::Sender<Event>) {
    use rumqttc::{ConnectionError, Event as E, Outgoing as O, Packet as P};
    loop {
        let event = match event_loop.poll().await {
            Ok(E::Incoming(P::ConnAck(_))) => Event::Connected,
            Ok(E::Outgoing(O::Publish(id))) => Event::Sent(id),
            Ok(E::Incoming(P::PubAck(ack))) => Event::Acknowledged(ack.pkid),
            Ok(_) => continue,
            Err(ConnectionError::ConnectionRefused(code)) => {
                Event::Closed(LinkError::Refused(format!("{code:?}")))
            }
            Err(error) => Event::Closed(LinkError::Connection(error.to_string())),
        };
        let last = matches!(event, Event::Closed(_));
        if events.send(event).await.is_err() || last {
            return;
        }
    }
}

async fn pump_v5(mut event_loop: v5::EventLoop, events: mpsc::Sender<Event>) {
    use v5::mqttbytes::v5::{Packet as P, PubAckReason};
    use v5::{ConnectionError, Event as E};
    loop {
        let event = match event_loop.poll().await {
            Ok(E::Incoming(P::ConnAck(_))) => Event::Connected,
            Ok(E::Outgoing(rumqttc::Outgoing::Publish(id))) => Event::Sent(id),
            Ok(E::Incoming(P::PubAck(ack))) => match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                    Event::Acknowledged(ack.pkid)
                }
                reason => Event::Refused(ack.pkid, format!("{reason:?}")),
            },
            Ok(E::Incoming(P::Disconnect(goodbye))) => Event::Closed(LinkError::Connection(
                format!("the broker closed the connection: {:?}", goodbye.reason_code),
            )),
            Ok(_) => continue,
            Err(ConnectionError::ConnectionRefused(code)) => {
                Event::Closed(LinkError::Refused(format!("{code:?}")))
            }
            Err(error) => Event::Closed(LinkError::Connection(error.to_string())),
        };
        let last = matches!(event, Event::Closed(_));
        if events.send(event).await.is_err() || last {
            return;
        }
    }
}

fn login(settings: &Upstream) -> Result<Option<(String, String)>, LinkError> {
    let password = match &settings.password_file {
        None => String::new(),
        Some(file) => std::fs::read_to_string(file)
            .map(|text| text.lines().next().unwrap_or_default().to_owned())
            .map_err(|source| LinkError::Password { file: file.display().to_string(), source })?,
    };
    Ok(settings.username.clone().map(|username| (username, password)))
}
