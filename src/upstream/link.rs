//! One MQTT connection, of either protocol version.
//!
//! The packets are rumqttc's; what turns here is a loop of our own. rumqttc's forgets accepted
//! messages when a session is lost, can wedge after an identifier collision, and writes to the
//! socket once for each message, which is most of what a drain costs. Here all that is there to
//! be sent goes out in one write, and an identifier is used again only when it is free.
//!
//! A [`Link`] lives for exactly one connection and is thrown away with any error.

use super::error::LinkError;
use super::packet::{self, Event, Hello, MAX_PACKET, Outgoing, Purpose, Terms, Told};
use super::tls;
use super::trouble::{Peer, Trouble};
use super::wire::Wire;
use crate::clock::Clock;
use crate::config::secret::read_password;
use crate::config::{BrokerUrl, Protocol, Upstream};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many messages may be on their way unacknowledged.
pub(super) const WINDOW: usize = 100;

/// DNS, TCP, TLS and CONNACK together; a TLS handshake over a weak mobile link is slow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// With so many bytes unwritten there is no room for another acknowledgement: a broker that reads
/// nothing and sends on does not fill the memory.
const MAX_UNWRITTEN: usize = 16 * 1024;

/// An MQTT connection in the making, open, or closing.
#[derive(Debug)]
pub(super) struct Link {
    version: Protocol,
    peer: Peer,
    /// No packet may be larger.
    pub(super) largest: usize,
    stage: Stage,
    /// What happened and was not told yet.
    events: VecDeque<Event>,
    /// Messages that wait for an identifier.
    line: VecDeque<Outgoing>,
    /// Identifiers, the one that is free for the longest time first.
    free: VecDeque<u16>,
    /// What the broker owes an answer to.
    used: Vec<u16>,
    /// When the connection must be accepted.
    accept_by: Instant,
    /// When the broker last said anything.
    heard: Instant,
    /// When it is asked whether it is there: a connection that is half open is noticed.
    ask_at: Instant,
    keep_alive: Duration,
}

enum Stage {
    Opening(Opening, Hello),
    Open(Wire),
    Over,
}

type Opening = Pin<Box<dyn Future<Output = Result<Wire, Trouble>> + Send>>;

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening(..) => "Opening",
            Self::Open(_) => "Open",
            Self::Over => "Over",
        })
    }
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
        let tls = url.tls.then(|| tls::configuration(settings, clock)).transpose()?;
        let opening = Box::pin(Wire::open(url.host.clone(), url.port, tls));
        let hello = Hello {
            client_id: client_id.to_owned(),
            keep_alive: settings.keep_alive,
            login: login(settings)?,
            purpose,
        };
        let now = Instant::now();
        Ok(Self {
            version: settings.protocol,
            peer: Peer::new(settings, url, client_id, CONNECT_TIMEOUT),
            largest: MAX_PACKET as usize,
            stage: Stage::Opening(opening, hello),
            events: VecDeque::new(),
            line: VecDeque::new(),
            free: VecDeque::new(),
            used: Vec::new(),
            accept_by: now + CONNECT_TIMEOUT,
            heard: now,
            ask_at: now,
            keep_alive: settings.keep_alive,
        })
    }

    /// What has happened already and was not told yet.
    pub(super) fn ready(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next thing that happened. Cancel-safe. Nothing is written or read but here.
    pub(super) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let error = match self.turn().await {
                Ok(()) => continue,
                Err(error) => error,
            };
            self.stage = Stage::Over;
            // acknowledgements that were read in one go with the end of the connection go first
            self.events.push_back(Event::Closed(self.peer.error(error)));
        }
    }

    async fn turn(&mut self) -> Result<(), Trouble> {
        let due = match self.peer.accepted {
            true => self.ask_at.min(self.heard + self.peer.patience),
            false => self.accept_by,
        };
        match &mut self.stage {
            Stage::Opening(opening, _) => {
                let opened = timeout_at(due, opening).await;
                let mut wire = opened.map_err(|_| Trouble::ConnectTimeout)??;
                if let Stage::Opening(_, hello) = std::mem::replace(&mut self.stage, Stage::Over) {
                    packet::connect(self.version, hello, &mut wire.out)?;
                }
                self.stage = Stage::Open(wire);
                Ok(())
            }
            Stage::Open(wire) => match timeout_at(due, wire.exchange()).await {
                Ok(exchanged) => {
                    exchanged?;
                    self.heard = Instant::now();
                    self.understand()
                }
                Err(_) => self.ask(),
            },
            Stage::Over => Err(Trouble::Other("the connection ended".into())),
        }
    }

    /// What was read, packet by packet.
    fn understand(&mut self) -> Result<(), Trouble> {
        while let Stage::Open(wire) = &mut self.stage
            && let Some(told) = packet::read(self.version, &mut wire.input)?
        {
            self.note(told)?;
        }
        Ok(())
    }

    fn note(&mut self, told: Told) -> Result<(), Trouble> {
        let event = match (told, self.peer.accepted) {
            (Told::Accepted(terms), false) => self.accepted(terms),
            (Told::TurnedDown(reason), false) => return Err(Trouble::TurnedDown(reason)),
            (Told::Goodbye(code), _) => return Err(Trouble::Goodbye(code)),
            (Told::Accepted(_) | Told::TurnedDown(_), true) | (_, false) => {
                let words = "the broker answers what it was not asked";
                return Err(Trouble::Other(words.into()));
            }
            (Told::Acknowledged(identifier), true) => {
                self.release(identifier)?;
                Event::Acknowledged(identifier)
            }
            (Told::Refused(identifier, refusal), true) => {
                self.release(identifier)?;
                Event::Refused(identifier, refusal)
            }
            (Told::Subscribed(granted), true) => Event::Subscribed(granted),
            (Told::Received(incoming), true) => Event::Received(incoming),
            (Told::Nothing, true) => return Ok(()),
        };
        self.events.push_back(event);
        self.send()
    }

    fn accepted(&mut self, terms: Terms) -> Event {
        self.largest = terms.largest;
        self.free = (1..=terms.window.clamp(1, WINDOW) as u16).collect();
        self.keep_alive = terms.keep_alive.unwrap_or(self.keep_alive);
        self.ask_at = Instant::now() + self.keep_alive;
        self.peer.patience = self.keep_alive * 2;
        self.peer.accepted = true;
        Event::Connected(terms.largest)
    }

    /// An identifier is free again.
    fn release(&mut self, identifier: u16) -> Result<(), Trouble> {
        let Some(place) = self.used.iter().position(|used| *used == identifier) else {
            let words = "the broker acknowledges what was not sent";
            return Err(Trouble::Other(words.into()));
        };
        self.used.remove(place);
        self.free.push_back(identifier);
        Ok(())
    }

    /// Sends what is in line, as far as identifiers are free.
    fn send(&mut self) -> Result<(), Trouble> {
        while let Stage::Open(wire) = &mut self.stage
            && !self.line.is_empty()
            && let Some(identifier) = self.free.pop_front()
            && let Some(message) = self.line.pop_front()
        {
            self.used.push(identifier);
            packet::publish(self.version, identifier, message, &mut wire.out)?;
            self.events.push_back(Event::Sent(identifier));
        }
        Ok(())
    }

    /// Asks the broker whether it is there, unless it owes the answer for too long.
    fn ask(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        if !self.peer.accepted {
            return Err(Trouble::ConnectTimeout);
        }
        if now >= self.heard + self.peer.patience {
            return Err(Trouble::Silent);
        }
        self.ask_at = now + self.keep_alive;
        self.write(packet::ping)
    }

    /// Puts something behind what is to be written. What is over writes nothing any more, and says
    /// so with its last event.
    fn write(
        &mut self,
        put: impl FnOnce(Protocol, &mut BytesMut) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match &mut self.stage {
            Stage::Open(wire) => put(self.version, &mut wire.out),
            Stage::Opening(..) | Stage::Over => Ok(()),
        }
    }

    /// Ends a connection on which something could not even be put into words.
    fn end_if(&mut self, done: Result<(), Trouble>) {
        if let Err(trouble) = done {
            self.stage = Stage::Over;
            self.events.push_back(Event::Closed(self.peer.error(trouble)));
        }
    }

    /// How many bytes a message takes as a packet.
    pub(super) fn size(&self, message: &Outgoing) -> usize {
        packet::size(self.version, message)
    }

    /// Whether a message is small enough to be sent. One that is not would end the connection.
    pub(super) fn fits(&self, message: &Outgoing) -> bool {
        self.size(message) <= self.largest
    }

    /// Hands a message over, of at most [`WINDOW`] that are not answered: more would wait here.
    pub(super) fn publish(&mut self, message: Outgoing) {
        self.line.push_back(message);
        let sent = self.send();
        self.end_if(sent);
    }

    /// Acknowledges a message that came in. `false` when there is no room.
    pub(super) fn acknowledge(&mut self, identifier: u16) -> bool {
        if matches!(&self.stage, Stage::Open(wire) if wire.out.len() >= MAX_UNWRITTEN) {
            return false;
        }
        let put = |version, out: &mut _| packet::acknowledge(version, identifier, out);
        let done = self.write(put);
        self.end_if(done);
        true
    }

    /// Asks for messages on these topics. Only while nothing is on its way: a packet identifier
    /// may be in use for one thing at a time.
    pub(super) fn subscribe(&mut self, filter: String) {
        let done = self.write(|version, out| packet::subscribe(version, filter, out));
        self.end_if(done);
    }

    /// Says goodbye, so that the broker does not publish the last will. A session goes on.
    pub(super) fn disconnect(&mut self) {
        let done = self.write(packet::goodbye);
        self.end_if(done);
    }
}

fn login(settings: &Upstream) -> Result<Option<(String, String)>, LinkError> {
    let Some(username) = &settings.username else { return Ok(None) };
    let password = match &settings.password_file {
        None => String::new(),
        Some(file) => read_password(file).map_err(LinkError::file("password_file"))?,
    };
    Ok(Some((username.clone(), password)))
}
