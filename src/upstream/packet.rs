//! MQTT packets of either version: rumqttc's on one side, our words on the other.
//!
//! This room does no I/O: it fills and reads buffers.

use super::error::LinkError;
use super::trouble::{self, Trouble};
use crate::config::Protocol;
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes::{self as mqttbytes5, v5};
use std::time::Duration;

/// No packet of ours is larger, and none that comes in may be: the largest stay far below this.
pub(super) const MAX_PACKET: u32 = 256 * 1024;

/// What comes in on a command topic is a few hundred bytes. More is not even passed on, so that
/// all that may be unacknowledged stays far below a megabyte.
const MAX_INCOMING: usize = 8 * 1024;

/// A plan from the cloud names all its bins: 500 with names of a usual length are 10 to 20 KiB.
/// As many as may be unacknowledged take 2 MB. Behind that they are let through by their size, so
/// that no more bytes of them wait there than of others.
const MAX_INCOMING_PLAN: usize = 64 * 1024;

/// The end of the topic of such a plan.
const PLAN_TOPIC: &[u8] = b"/command/plan";

/// The content type of every message, where the protocol has one.
const JSON: &str = "application/json";

/// The identifier of the subscription: it is asked for while nothing else is on its way.
const SUBSCRIPTION: u16 = 1;

/// What happened on the connection, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Event {
    /// The broker has accepted the connection, and takes packets of at most so many bytes.
    Connected(usize),
    /// The next message in line went out under this identifier.
    Sent(u16),
    /// The broker has taken it over.
    Acknowledged(u16),
    /// The broker has refused it (MQTT 5 only).
    Refused(u16, Refusal),
    /// The answer to the subscription: granted, or the reason why not.
    Subscribed(Result<(), String>),
    /// A message came in.
    Received(Incoming),
    /// The connection is over, for this reason. Nothing follows.
    Closed(LinkError),
}

/// Why the broker has refused a message.
#[derive(Debug)]
pub(super) struct Refusal {
    /// In words.
    pub(super) reason: String,
    /// Whether it is for what the message is. A quota that is exceeded is another day's.
    pub(super) of_message: bool,
}

/// A message that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    /// What it is acknowledged by; 0 when it needs no acknowledgement.
    pub(super) packet: u16,
    pub(super) topic: String,
    /// Whether the broker kept it from before the subscription.
    pub(super) retained: bool,
    /// `None` when it is larger than [`MAX_INCOMING`], or [`MAX_INCOMING_PLAN`], together with its
    /// topic.
    pub(super) payload: Option<Vec<u8>>,
}

impl Incoming {
    fn new(packet: u16, topic: &[u8], retained: bool, payload: &[u8]) -> Self {
        // copied: a slice of rumqttc's would keep its whole read buffer
        let most = if topic.ends_with(PLAN_TOPIC) { MAX_INCOMING_PLAN } else { MAX_INCOMING };
        if topic.len() + payload.len() > most {
            return Self { packet, topic: String::new(), retained, payload: None };
        }
        let topic = String::from_utf8_lossy(topic).into_owned();
        Self { packet, topic, retained, payload: Some(payload.to_vec()) }
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

/// The first packet of a connection.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) client_id: String,
    pub(super) keep_alive: Duration,
    /// Name and password.
    pub(super) login: Option<(String, String)>,
    pub(super) purpose: Purpose,
}

/// On what terms the broker has accepted the connection.
#[derive(Debug)]
pub(super) struct Terms {
    /// It takes packets of at most so many bytes.
    pub(super) largest: usize,
    /// It takes so many messages before it has acknowledged them.
    pub(super) window: usize,
    /// How often it wants to be asked whether it is there.
    pub(super) keep_alive: Option<Duration>,
}

/// What a packet from the broker says.
#[derive(Debug)]
pub(super) enum Told {
    Accepted(Terms),
    /// It does not want the connection, for this reason.
    TurnedDown(String),
    Acknowledged(u16),
    Refused(u16, Refusal),
    Subscribed(Result<(), String>),
    Received(Incoming),
    Goodbye(v5::DisconnectReasonCode),
    /// That it is there.
    Nothing,
}

/// Reads the next packet, if all of it is there.
pub(super) fn read(version: Protocol, input: &mut BytesMut) -> Result<Option<Told>, Trouble> {
    match version {
        Protocol::V4 => match v4::Packet::read(input, MAX_PACKET as usize) {
            Ok(packet) => Ok(Some(told_v4(packet))),
            Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
            Err(mqttbytes::Error::PayloadSizeLimitExceeded(_)) => Err(Trouble::TooLarge),
            Err(error) => Err(Trouble::Other(error.to_string())),
        },
        Protocol::V5 => match v5::Packet::read(input, Some(MAX_PACKET)) {
            Ok(packet) => Ok(Some(told_v5(packet))),
            Err(mqttbytes5::Error::InsufficientBytes(_)) => Ok(None),
            // from a broker that disregards what the CONNECT said
            Err(mqttbytes5::Error::PayloadSizeLimitExceeded { .. }) => Err(Trouble::TooLarge),
            Err(error) => Err(Trouble::Other(error.to_string())),
        },
    }
}

fn told_v4(packet: v4::Packet) -> Told {
    use v4::Packet as P;
    match packet {
        P::ConnAck(ack) if ack.code == v4::ConnectReturnCode::Success => {
            let largest = MAX_PACKET as usize;
            Told::Accepted(Terms { largest, window: usize::MAX, keep_alive: None })
        }
        P::ConnAck(ack) => Told::TurnedDown(trouble::refused(&ack.code)),
        P::PubAck(ack) => Told::Acknowledged(ack.pkid),
        P::SubAck(ack) => {
            let refused = ack.return_codes.contains(&v4::SubscribeReasonCode::Failure);
            let reason = || "MQTT 3.1.1 gives no reason".into();
            Told::Subscribed(if refused { Err(reason()) } else { Ok(()) })
        }
        P::Publish(p) => {
            Told::Received(Incoming::new(p.pkid, p.topic.as_bytes(), p.retain, &p.payload))
        }
        _ => Told::Nothing,
    }
}

fn told_v5(packet: v5::Packet) -> Told {
    use v5::{Packet as P, PubAckReason, SubscribeReasonCode};
    match packet {
        P::ConnAck(ack) if ack.code == v5::ConnectReturnCode::Success => {
            let theirs = ack.properties.as_ref();
            let largest = theirs.and_then(|terms| terms.max_packet_size).unwrap_or(MAX_PACKET);
            let window = theirs.and_then(|terms| terms.receive_max).unwrap_or(u16::MAX);
            let keep_alive = theirs.and_then(|terms| terms.server_keep_alive);
            Told::Accepted(Terms {
                largest: largest.min(MAX_PACKET) as usize,
                window: window.into(),
                // one that does not ask to be asked is asked all the same
                keep_alive: keep_alive.filter(|s| *s > 0).map(|s| Duration::from_secs(s.into())),
            })
        }
        P::ConnAck(ack) => Told::TurnedDown(trouble::refused(&ack.code)),
        P::PubAck(ack) => match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                Told::Acknowledged(ack.pkid)
            }
            reason => {
                use PubAckReason::{PacketIdentifierInUse, QuotaExceeded};
                let of_message = !matches!(reason, QuotaExceeded | PacketIdentifierInUse);
                Told::Refused(ack.pkid, Refusal { reason: trouble::spaced(&reason), of_message })
            }
        },
        P::SubAck(ack) => Told::Subscribed(match ack.return_codes[..] {
            [SubscribeReasonCode::Success(_)] => Ok(()),
            [reason, ..] => Err(trouble::spaced(&reason)),
            [] => Err("no reason".into()),
        }),
        P::Publish(p) => Told::Received(Incoming::new(p.pkid, &p.topic, p.retain, &p.payload)),
        P::Disconnect(goodbye) => Told::Goodbye(goodbye.reason_code),
        _ => Told::Nothing,
    }
}

/// What rumqttc does not write is a bug of ours, and ends the connection with words.
fn written<E: ToString>(result: Result<usize, E>) -> Result<(), Trouble> {
    result.map(drop).map_err(|error| Trouble::Other(error.to_string()))
}

pub(super) fn connect(version: Protocol, hello: Hello, out: &mut BytesMut) -> Result<(), Trouble> {
    let Hello { client_id, keep_alive, login, purpose } = hello;
    let keep_alive = keep_alive.as_secs() as u16;
    match version {
        Protocol::V4 => {
            let mut packet = v4::Connect::new(client_id);
            packet.keep_alive = keep_alive;
            packet.login = login.map(|(username, password)| v4::Login { username, password });
            match purpose {
                Purpose::Deliver(Outgoing { topic, payload, retain, .. }) => {
                    let qos = mqttbytes::QoS::AtLeastOnce;
                    packet.clean_session = true;
                    packet.last_will = Some(v4::LastWill::new(topic, payload, qos, retain));
                }
                Purpose::Listen { afresh, .. } => packet.clean_session = afresh,
            }
            written(packet.write(out))
        }
        Protocol::V5 => {
            let mut properties = v5::ConnectProperties::new();
            properties.max_packet_size = Some(MAX_PACKET);
            let (clean_start, will) = match purpose {
                Purpose::Deliver(will) => (true, Some(last_will(will))),
                Purpose::Listen { expiry, afresh, window } => {
                    properties.session_expiry_interval = Some(expiry);
                    properties.receive_maximum = Some(window);
                    (afresh, None)
                }
            };
            let login = login.map(|(username, password)| v5::Login { username, password });
            let properties = Some(properties);
            let packet = v5::Connect { client_id, keep_alive, clean_start, properties };
            written(v5::Packet::Connect(packet, will, login).write(out, None))
        }
    }
}

fn last_will(will: Outgoing) -> v5::LastWill {
    let properties = v5::LastWillProperties {
        delay_interval: None,
        payload_format_indicator: Some(1),
        message_expiry_interval: None,
        content_type: Some(JSON.into()),
        response_topic: None,
        correlation_data: None,
        user_properties: will.properties,
    };
    let qos = mqttbytes5::QoS::AtLeastOnce;
    let Outgoing { topic, payload, retain, .. } = will;
    v5::LastWill::new(topic, payload, qos, retain, Some(properties))
}

/// A message under this identifier, to be acknowledged.
pub(super) fn publish(
    version: Protocol,
    identifier: u16,
    message: Outgoing,
    out: &mut BytesMut,
) -> Result<(), Trouble> {
    match version {
        Protocol::V4 => written(publication_v4(identifier, message).write(out)),
        Protocol::V5 => written(publication_v5(identifier, message).write(out)),
    }
}

fn publication_v4(pkid: u16, message: Outgoing) -> v4::Publish {
    let Outgoing { topic, payload, retain, .. } = message;
    let (qos, payload) = (mqttbytes::QoS::AtLeastOnce, Bytes::from(payload));
    v4::Publish { dup: false, qos, retain, topic, pkid, payload }
}

fn publication_v5(pkid: u16, message: Outgoing) -> v5::Publish {
    let Outgoing { topic, payload, retain, properties } = message;
    v5::Publish {
        dup: false,
        qos: mqttbytes5::QoS::AtLeastOnce,
        retain,
        topic: Bytes::from(topic),
        pkid,
        payload: Bytes::from(payload),
        properties: Some(v5::PublishProperties {
            user_properties: properties,
            payload_format_indicator: Some(1),
            content_type: Some(JSON.into()),
            ..Default::default()
        }),
    }
}

pub(super) fn acknowledge(
    version: Protocol,
    packet: u16,
    out: &mut BytesMut,
) -> Result<(), Trouble> {
    match version {
        Protocol::V4 => written(v4::PubAck::new(packet).write(out)),
        Protocol::V5 => written(v5::PubAck::new(packet, None).write(out)),
    }
}

pub(super) fn subscribe(
    version: Protocol,
    filter: String,
    out: &mut BytesMut,
) -> Result<(), Trouble> {
    match version {
        Protocol::V4 => {
            let mut packet = v4::Subscribe::new(filter, mqttbytes::QoS::AtLeastOnce);
            packet.pkid = SUBSCRIPTION;
            written(packet.write(out))
        }
        Protocol::V5 => {
            let filter = v5::Filter::new(filter, mqttbytes5::QoS::AtLeastOnce);
            let mut packet = v5::Subscribe::new(filter, None);
            packet.pkid = SUBSCRIPTION;
            written(packet.write(out))
        }
    }
}

pub(super) fn ping(version: Protocol, out: &mut BytesMut) -> Result<(), Trouble> {
    match version {
        Protocol::V4 => written(v4::PingReq.write(out)),
        Protocol::V5 => written(v5::PingReq::write(out)),
    }
}

pub(super) fn goodbye(version: Protocol, out: &mut BytesMut) -> Result<(), Trouble> {
    match version {
        Protocol::V4 => written(v4::Disconnect.write(out)),
        Protocol::V5 => {
            let reason = v5::DisconnectReasonCode::NormalDisconnection;
            written(v5::Disconnect::new(reason).write(out))
        }
    }
}

/// How many bytes a message takes as a packet.
pub(super) fn size(version: Protocol, message: &Outgoing) -> usize {
    let Outgoing { topic, payload, properties, .. } = message;
    let text = |text: &str| 2 + text.len();
    let mut rest = text(topic) + 2 + payload.len(); // 2 for the packet identifier
    if version == Protocol::V5 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plan_may_be_long_and_not_without_end() {
        let passes = |topic: &str, bytes: usize| {
            Incoming::new(1, topic.as_bytes(), false, &vec![b'x'; bytes]).payload.is_some()
        };
        let (plan, other) = ("lykta/gw-1/waste/command/plan", "lykta/gw-1/waste/command/open");
        assert!(passes(plan, 65_536 - plan.len()) && !passes(plan, 65_537 - plan.len()));
        assert!(passes(other, 8192 - other.len()) && !passes(other, 8193 - other.len()));
    }

    #[test]
    fn a_message_has_the_size_that_it_will_have_as_a_packet() {
        for length in [0, 1, 100, 127, 128, 1_000, 16_200, 16_384, 200_000, 2_100_000] {
            for key in [0, 1, 60, 127, 128, 5_000] {
                for version in [Protocol::V4, Protocol::V5] {
                    let message = Outgoing {
                        topic: "lykta/gw-1/waste/bin/1739/level".into(),
                        payload: "x".repeat(length),
                        retain: false,
                        properties: vec![
                            ("id".into(), "y".repeat(key)),
                            ("class".into(), "z".into()),
                        ],
                    };
                    let size = size(version, &message);
                    let mut packet = BytesMut::new();
                    publish(version, 1, message, &mut packet).expect("is written");
                    assert_eq!(size, packet.len());
                }
            }
        }
    }
}
