//! Commands in, by a connection of their own.
//!
//! The broker keeps a session for it: what comes while the gateway is away, it brings later. A
//! command is acknowledged when what came of it is on the disk, and until then the broker brings
//! it again on each connection; executed it is once, since the store knows its id.
//!
//! ```text
//!            ┌─ delivery is connected ─┐   ┌────── waited ──────┐
//!            │                         ▼   ▼                    │
//!   ──►    Away ◄── renewed ── Connecting ──► Listening ──► Waiting
//!                                      └── failed, refused ─────▲
//! ```
//!
//! It goes to the broker to which messages go, and only while they do: one that is away is told of
//! once, and asked by one client. A broker that does not want it keeps its messages: it is asked
//! ever less often.

mod hearing;

use super::Shared;
use super::backoff::Backoff;
use super::command;
use super::error::LinkError;
use super::link::Link;
use super::packet::{Event, Incoming, Purpose};
use crate::clock::Clock;
use crate::config::{BrokerUrl, Upstream};
use crate::message;
use crate::units::TenantId;
use hearing::Hearing;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// So many commands may be unacknowledged: what bounds their memory. The broker keeps the others.
const WINDOW: usize = 32;

/// A broker that refuses is asked again after so many times `reconnect_min`, doubling.
const RELUCTANCE: u32 = 10;

/// But no later than this.
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// What breaks may be an accident of the line. So many in a row are told.
const TELL_AT: u32 = 2;

/// Listens to a tenant's broker.
#[derive(Debug)]
pub(super) struct Listener {
    settings: Upstream,
    tenant: TenantId,
    /// `{prefix}/{gateway}/{tenant}`
    root: String,
    client_id: String,
    clock: Clock,
    shared: Shared,
    /// The broker to which messages go.
    broker: watch::Receiver<Option<BrokerUrl>>,
    /// After a connection that was lost.
    backoff: Backoff,
    /// After one that was not wanted.
    refused: Backoff,
    /// How many were not wanted, in a row.
    in_a_row: u32,
    /// Why commands cannot come, as was last told to operations.
    deaf: Option<String>,
    /// Whether the broker is to forget what it has kept: it is more than can be taken.
    afresh: bool,
}

enum State {
    /// Until messages are delivered.
    Away,
    Connecting(BrokerUrl),
    Listening(Box<Link>, BrokerUrl),
    Waiting(Duration),
    Stopped,
}

/// How a connection ends.
enum End {
    Stopped,
    /// What was not taken is to be brought again, or messages go to another broker.
    Renewed,
    /// The broker does not grant the subscription.
    Refused(String),
    /// The other connection broke over this one.
    Harmful,
    Closed(LinkError),
}

impl Listener {
    pub(super) fn new(
        settings: Upstream,
        tenant: TenantId,
        root: String,
        client_id: String,
        clock: Clock,
        shared: Shared,
        broker: watch::Receiver<Option<BrokerUrl>>,
    ) -> Self {
        Self {
            backoff: Backoff::new(settings.reconnect_min, settings.reconnect_max),
            refused: Backoff::new(settings.reconnect_min.saturating_mul(RELUCTANCE), RETRY_MAX),
            settings,
            tenant,
            root,
            client_id,
            clock,
            shared,
            broker,
            in_a_row: 0,
            deaf: None,
            afresh: false,
        }
    }

    /// Runs until `stop` says so, then says goodbye; the broker keeps the session.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut state = State::Away;
        loop {
            state = match state {
                State::Away => self.wait_for_broker(&mut stop).await,
                State::Connecting(url) => self.connect(url, &mut stop).await,
                State::Listening(link, url) => self.listen(link, url, &mut stop).await,
                State::Waiting(wait) => tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => State::Stopped,
                    () = sleep(wait) => State::Away,
                },
                State::Stopped => return,
            }
        }
    }

    async fn wait_for_broker(&mut self, stop: &mut watch::Receiver<bool>) -> State {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => State::Stopped,
            reached = self.broker.wait_for(Option::is_some) => {
                let url = reached.ok().and_then(|url| url.clone());
                url.map_or(State::Stopped, State::Connecting)
            }
        }
    }

    async fn connect(&mut self, url: BrokerUrl, stop: &mut watch::Receiver<bool>) -> State {
        let purpose = Purpose::Listen {
            expiry: u32::try_from(self.settings.command_session.as_secs()).unwrap_or(u32::MAX),
            afresh: self.afresh,
            window: WINDOW as u16,
        };
        let link = Link::connect(&self.settings, &url, &self.client_id, purpose, &self.clock);
        let mut link = match link {
            Ok(link) => link,
            Err(error) => return self.failed(&error),
        };
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return State::Stopped,
                event = link.event() => match event {
                    Event::Connected => return State::Listening(Box::new(link), url),
                    Event::Closed(error) => return self.failed(&error),
                    // nothing comes before
                    _ => {}
                },
            }
        }
    }

    async fn listen(
        &mut self,
        link: Box<Link>,
        url: BrokerUrl,
        stop: &mut watch::Receiver<bool>,
    ) -> State {
        self.afresh = false;
        log::debug!("tenant {} listens to {url}", self.tenant);
        let since = Instant::now();
        let mut hearing = Hearing::new(self, link, url);
        let end = hearing.run(stop).await;
        let granted = hearing.granted.is_some();
        if !matches!(end, End::Closed(_)) {
            hearing.leave().await;
        }
        if since.elapsed() >= self.settings.reconnect_stable {
            self.backoff.reset();
        }
        match end {
            End::Stopped => State::Stopped,
            End::Renewed => State::Away,
            End::Refused(reason) => self.refuse(reason, true),
            End::Harmful => {
                let reason = "the connection that messages go out by breaks over this one";
                self.refuse(reason.into(), false)
            }
            End::Closed(error @ LinkError::TooLarge { .. }) => {
                // it would come again for ever, and nothing behind it
                self.afresh = true;
                let reason = format!("{error}; what the broker keeps is given up");
                self.refuse(reason, true)
            }
            End::Closed(error) if !granted => self.failed(&error),
            End::Closed(error) => self.lost(&error),
        }
    }

    /// The connection was lost, as any may be.
    fn lost(&mut self, error: &LinkError) -> State {
        log::debug!("tenant {} listens no longer: {error}", self.tenant);
        State::Waiting(self.backoff.next_spread(fastrand::f64()))
    }

    /// The connection did not come about: because there is no way to the broker, or because the
    /// broker does not want it.
    fn failed(&mut self, error: &LinkError) -> State {
        if self.broker.borrow().is_none() {
            return self.lost(error);
        }
        self.refuse(error.to_string(), matches!(error, LinkError::Refused(_)))
    }

    fn refuse(&mut self, reason: String, is_certain: bool) -> State {
        self.in_a_row += 1;
        if is_certain || self.in_a_row >= TELL_AT {
            self.tell(reason);
        }
        State::Waiting(self.refused.next_spread(fastrand::f64()))
    }

    /// Tells operations that commands cannot come.
    fn tell(&mut self, reason: String) {
        self.shared.counters.subscriptions_refused.fetch_add(1, Relaxed);
        if self.deaf.as_ref() != Some(&reason) {
            log::warn!(
                MESSAGE_ID = message::COMMANDS_REFUSED,
                LYKTA_TENANT = self.tenant.as_str(),
                LYKTA_REASON = reason.as_str();
                "no commands for tenant {}: {reason}; messages go out as ever; may this user \
                 connect a second time, as {}, and subscribe to {}/command/+? if no commands are \
                 wanted, set commands = false",
                self.tenant, self.client_id, self.root
            );
        }
        self.shared.counters.deaf.store(true, Relaxed);
        self.deaf = Some(reason);
    }

    /// Commands come, and nothing breaks over it.
    fn works(&mut self) {
        self.in_a_row = 0;
        self.refused.reset();
        if self.deaf.take().is_some() {
            self.shared.counters.deaf.store(false, Relaxed);
            log::info!(
                MESSAGE_ID = message::COMMANDS_WORK,
                LYKTA_TENANT = self.tenant.as_str();
                "commands for tenant {} can come again", self.tenant
            );
        }
    }

    /// Name and payload of what can be answered, with its id.
    fn read(&self, incoming: Incoming) -> Option<(String, Vec<u8>)> {
        let Incoming { topic, retained, payload, .. } = incoming;
        let leaf = topic.strip_prefix(&self.root)?;
        let name = leaf.strip_prefix("/command/").filter(|name| command::is_name(name))?;
        // one that is retained would come at each connection, however old it is
        let payload = payload.filter(|payload| !retained && command::id(payload).is_some())?;
        Some((name.to_owned(), payload))
    }
}
