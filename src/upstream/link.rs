//! One MQTT connection, of either protocol version, over rumqttc.
//!
//! rumqttc's event loop forgets accepted messages when a session is lost and can wedge after
//! an identifier collision, so a [`Link`] lives for exactly one connection and is thrown away
//! with any error. Its event loop runs in a task of its own, since polling it cannot be
//! cancelled halfway, and reports in order: what went out under which packet identifier, and
//! which identifier was answered how.

use super::error::LinkError;
use super::tls;
use super::trouble::{self, Peer};
use crate::config::secret::read_password;
use crate::config::{BrokerUrl, Protocol, Upstream};
use bytes::Bytes;
use rumqttc::{Transport, v5};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How many messages may be on their way unacknowledged.
pub(super) const WINDOW: usize = 100;

/// DNS, TCP, TLS and CONNACK together; a TLS handshake over a weak mobile link is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// rumqttc refuses packets above 10 KB unless told; the largest of ours stay far below this.
const MAX_PACKET: u32 = 256 * 1024;

/// What comes in on a command topic is a few hundred bytes. More is not even passed on, so that
/// a full channel of events stays below a megabyte.
pub(super) const MAX_INCOMING: usize = 8 * 1024;

/// Requests that rumqttc may not have taken yet: all messages, and one subscription.
const REQUESTS: usize = WINDOW + 1;

/// The content type of every message, where the protocol has one.
const JSON: &str = "application/json";

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
    /// The answer to the subscription: granted, or the reason why not.
    Subscribed(Result<(), String>),
    /// A message came in.
    Received(Incoming),
    /// The connection is over, for this reason. Nothing follows.
    Closed(LinkError),
}

/// A message that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) topic: String,
    /// Whether the broker kept it from before the subscription.
    pub(super) retained: bool,
    /// `None` when it is larger than [`MAX_INCOMING`], together with its topic.
    pub(super) payload: Option<Vec<u8>>,
}

impl Incoming {
    fn new(topic: &[u8], retained: bool, payload: &[u8]) -> Self {
        // copied: a slice of rumqttc's would keep its whole read buffer
        if topic.len() + payload.len() > MAX_INCOMING {
            return Self { topic: String::new(), retained, payload: None };
        }
        let topic = String::from_utf8_lossy(topic).into_owned();
        Self { topic, retained, payload: Some(payload.to_vec()) }
    }
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
    events: mpsc::Receiver<Event>,
    pump: JoinHandle<()>,
}

#[derive(Debug)]
enum Client {
    V4(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Link {
    /// Begins to connect; the broker publishes `will` when this client vanishes. Certificates and password are read anew each time, so that a renewed
    /// one is used without a restart.
    pub(super) fn connect(
        settings: &Upstream,
        url: &BrokerUrl,
        client_id: &str,
        will: Outgoing,
    ) -> Result<Self, LinkError> {
        let transport =
            if url.tls { Transport::Tls(tls::configuration(settings)?) } else { Transport::Tcp };
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
                options.set_clean_session(true);
                options.set_inflight(WINDOW as u16);
                options.set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
                let qos = rumqttc::QoS::AtLeastOnce;
                let Outgoing { topic, payload, retain, .. } = will;
                options.set_last_will(rumqttc::LastWill::new(topic, payload, qos, retain));
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
                options.set_clean_start(true);
                options.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
                options.set_network_options(network_options);
                options.set_outgoing_inflight_upper_limit(WINDOW as u16);
                options.set_max_packet_size(Some(MAX_PACKET));
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                let properties = v5::mqttbytes::v5::LastWillProperties {
                    delay_interval: None,
                    payload_format_indicator: Some(1),
                    message_expiry_interval: None,
                    content_type: Some(JSON.into()),
                    response_topic: None,
                    correlation_data: None,
                    user_properties: will.properties,
                };
                options.set_last_will(v5::mqttbytes::v5::LastWill::new(
                    will.topic,
                    will.payload,
                    qos,
                    will.retain,
                    Some(properties),
                ));
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
                    content_type: Some(JSON.into()),
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

/// Turns rumqttc's event loop until the connection is over.
///
/// rumqttc waits without end for room in the socket, and pings nobody meanwhile, so whether
/// the broker is still there is watched here: it answers a ping every keep-alive time.
async fn pump(mut event_loop: EventLoop, mut peer: Peer, events: mpsc::Sender<Event>) {
    let mut heard = Instant::now();
    loop {
        let polled = if peer.accepted {
            timeout_at(heard + peer.patience, event_loop.poll(&peer))
                .await
                .unwrap_or_else(|_| Err(LinkError::Connection(peer.silent())))
        } else {
            event_loop.poll(&peer).await
        };
        let ended = match polled {
            Ok(Noted { incoming, event }) => {
                if incoming {
                    heard = Instant::now();
                }
                if matches!(event, Some(Event::Connected)) {
                    peer.accepted = true;
                    peer.patience = event_loop.keep_alive() * 2;
                }
                if let Some(event) = event
                    && events.send(event).await.is_err()
                {
                    return;
                }
                continue;
            }
            Err(error) => error,
        };
        // acknowledgements that were read in one go with the end of the connection
        for event in event_loop.unread() {
            if events.send(event).await.is_err() {
                return;
            }
        }
        // a receiver that is gone does not wait for this
        let _ = events.send(Event::Closed(ended)).await;
        return;
    }
}

/// What an event loop reports.
struct Noted {
    /// Whether it came from the broker.
    incoming: bool,
    /// What it means, if it means anything here.
    event: Option<Event>,
}

enum EventLoop {
    V4(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

impl EventLoop {
    async fn poll(&mut self, peer: &Peer) -> Result<Noted, LinkError> {
        use rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded as TooLargeV4;
        use v5::mqttbytes::Error::PayloadSizeLimitExceeded as TooLargeV5;
        const TOO_LARGE: LinkError = LinkError::TooLarge { limit: MAX_PACKET / 1024 };
        match self {
            Self::V4(event_loop) => match event_loop.poll().await {
                Ok(event) => Ok(noted_v4(&event)),
                Err(rumqttc::ConnectionError::ConnectionRefused(code)) => {
                    Err(LinkError::Refused(trouble::refused(&code)))
                }
                Err(rumqttc::ConnectionError::MqttState(rumqttc::StateError::Deserialization(
                    TooLargeV4(_),
                ))) => Err(TOO_LARGE),
                Err(error) => Err(LinkError::Connection(peer.v4(&error))),
            },
            Self::V5(event_loop) => match event_loop.poll().await {
                Ok(event) => {
                    let noted = noted_v5(&event);
                    if let Some(Event::Refused(id, _)) = noted.event {
                        release(event_loop, id);
                    }
                    Ok(noted)
                }
                Err(v5::ConnectionError::ConnectionRefused(code)) => {
                    Err(LinkError::Refused(trouble::refused(&code)))
                }
                // from a broker that disregards what the CONNECT said
                Err(v5::ConnectionError::MqttState(v5::StateError::Deserialization(
                    TooLargeV5 { .. },
                ))) => Err(TOO_LARGE),
                Err(error) => Err(LinkError::Connection(peer.v5(&error))),
            },
        }
    }

    /// What was read and not yet reported when the connection ended.
    fn unread(&mut self) -> Vec<Event> {
        match self {
            Self::V4(event_loop) => {
                event_loop.state.events.drain(..).filter_map(|e| noted_v4(&e).event).collect()
            }
            Self::V5(event_loop) => {
                event_loop.state.events.drain(..).filter_map(|e| noted_v5(&e).event).collect()
            }
        }
    }

    /// How often the broker is asked whether it is there; an MQTT 5 broker may set it.
    fn keep_alive(&self) -> Duration {
        match self {
            Self::V4(event_loop) => event_loop.mqtt_options.keep_alive(),
            Self::V5(event_loop) => event_loop.options.keep_alive(),
        }
    }
}

/// Sends what waits for this identifier. rumqttc does so itself when a message is accepted, but
/// not when it is refused: nothing at all would go out any more.
fn release(event_loop: &mut v5::EventLoop, id: u16) {
    if let Some(waiting) = event_loop.state.collision.take_if(|publish| publish.pkid == id) {
        event_loop.state.collision_ping_count = 0;
        event_loop.pending.push_back(v5::Request::Publish(waiting));
    }
}

fn noted_v4(event: &rumqttc::Event) -> Noted {
    use rumqttc::{Event as E, Outgoing as O, Packet as P};
    let meaning = match event {
        E::Incoming(P::ConnAck(_)) => Some(Event::Connected),
        E::Outgoing(O::Publish(id)) => Some(Event::Sent(*id)),
        E::Incoming(P::PubAck(ack)) => Some(Event::Acknowledged(ack.pkid)),
        E::Incoming(P::SubAck(ack)) => {
            let refused = ack.return_codes.contains(&rumqttc::SubscribeReasonCode::Failure);
            Some(Event::Subscribed(if refused { Err("failure".into()) } else { Ok(()) }))
        }
        E::Incoming(P::Publish(p)) => {
            Some(Event::Received(Incoming::new(p.topic.as_bytes(), p.retain, &p.payload)))
        }
        _ => None,
    };
    Noted { incoming: matches!(event, E::Incoming(_)), event: meaning }
}

fn noted_v5(event: &v5::Event) -> Noted {
    use v5::Event as E;
    use v5::mqttbytes::v5::{Packet as P, PubAckReason, SubscribeReasonCode};
    let meaning = match event {
        E::Incoming(P::ConnAck(_)) => Some(Event::Connected),
        E::Outgoing(rumqttc::Outgoing::Publish(id)) => Some(Event::Sent(*id)),
        E::Incoming(P::PubAck(ack)) => Some(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                Event::Acknowledged(ack.pkid)
            }
            reason => Event::Refused(ack.pkid, trouble::spaced(&reason)),
        }),
        E::Incoming(P::SubAck(ack)) => Some(Event::Subscribed(match ack.return_codes[..] {
            [SubscribeReasonCode::Success(_)] => Ok(()),
            [reason, ..] => Err(trouble::spaced(&reason)),
            [] => Err("no reason".into()),
        })),
        E::Incoming(P::Publish(p)) => {
            Some(Event::Received(Incoming::new(&p.topic, p.retain, &p.payload)))
        }
        _ => None,
    };
    Noted { incoming: matches!(event, E::Incoming(_)), event: meaning }
}

fn login(settings: &Upstream) -> Result<Option<(String, String)>, LinkError> {
    let Some(username) = &settings.username else { return Ok(None) };
    let password = match &settings.password_file {
        None => String::new(),
        Some(file) => read_password(file).map_err(LinkError::file("password_file"))?,
    };
    Ok(Some((username.clone(), password)))
}
