//! What rumqttc's event loop does, in our words.
//!
//! It reports in order: what went out under which packet identifier, which identifier was
//! answered how, and what came in.

use super::error::LinkError;
use super::trouble::{self, Peer};
use rumqttc::v5;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// rumqttc refuses packets above 10 KB unless told; the largest of ours stay far below this.
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

/// Turns rumqttc's event loop until the connection is over.
///
/// rumqttc waits without end for room in the socket, and pings nobody meanwhile, so whether
/// the broker is still there is watched here: it answers a ping every keep-alive time.
pub(super) async fn pump(mut event_loop: EventLoop, mut peer: Peer, events: mpsc::Sender<Event>) {
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
                if matches!(event, Some(Event::Connected(_))) {
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

/// Of either protocol version.
pub(super) enum EventLoop {
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
                Err(error) => Err(peer.v4(&error)),
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
                Err(error) => Err(peer.v5(&error)),
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
        E::Incoming(P::ConnAck(_)) => Some(Event::Connected(MAX_PACKET as usize)),
        E::Outgoing(O::Publish(id)) => Some(Event::Sent(*id)),
        E::Incoming(P::PubAck(ack)) => Some(Event::Acknowledged(ack.pkid)),
        E::Incoming(P::SubAck(ack)) => {
            let refused = ack.return_codes.contains(&rumqttc::SubscribeReasonCode::Failure);
            Some(Event::Subscribed(if refused {
                Err("MQTT 3.1.1 gives no reason".into())
            } else {
                Ok(())
            }))
        }
        E::Incoming(P::Publish(p)) => {
            Some(Event::Received(Incoming::new(p.pkid, p.topic.as_bytes(), p.retain, &p.payload)))
        }
        _ => None,
    };
    Noted { incoming: matches!(event, E::Incoming(_)), event: meaning }
}

fn noted_v5(event: &v5::Event) -> Noted {
    use v5::Event as E;
    use v5::mqttbytes::v5::{Packet as P, PubAckReason, SubscribeReasonCode};
    let meaning = match event {
        E::Incoming(P::ConnAck(ack)) => {
            let theirs = ack.properties.as_ref().and_then(|properties| properties.max_packet_size);
            Some(Event::Connected(theirs.map_or(MAX_PACKET, |most| most.min(MAX_PACKET)) as usize))
        }
        E::Outgoing(rumqttc::Outgoing::Publish(id)) => Some(Event::Sent(*id)),
        E::Incoming(P::PubAck(ack)) => Some(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                Event::Acknowledged(ack.pkid)
            }
            reason => {
                use PubAckReason::{PacketIdentifierInUse, QuotaExceeded};
                let of_message = !matches!(reason, QuotaExceeded | PacketIdentifierInUse);
                Event::Refused(ack.pkid, Refusal { reason: trouble::spaced(&reason), of_message })
            }
        }),
        E::Incoming(P::SubAck(ack)) => Some(Event::Subscribed(match ack.return_codes[..] {
            [SubscribeReasonCode::Success(_)] => Ok(()),
            [reason, ..] => Err(trouble::spaced(&reason)),
            [] => Err("no reason".into()),
        })),
        E::Incoming(P::Publish(p)) => {
            Some(Event::Received(Incoming::new(p.pkid, &p.topic, p.retain, &p.payload)))
        }
        _ => None,
    };
    Noted { incoming: matches!(event, E::Incoming(_)), event: meaning }
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
}
