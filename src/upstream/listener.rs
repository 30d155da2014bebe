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

use super::Shared;
use super::backoff::Backoff;
use super::command::{self, Command, Receipt, Settled};
use super::error::LinkError;
use super::event_loop::{Event, Incoming};
use super::link::{Link, Purpose};
use super::unacknowledged::Unacknowledged;
use crate::clock::Clock;
use crate::config::{BrokerUrl, Upstream};
use crate::message;
use crate::units::TenantId;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// So many commands may be unacknowledged: what bounds their memory. The broker keeps the others.
const WINDOW: usize = 32;

/// When a command that there was no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(100);

/// When an acknowledgement that there was no room for is tried again.
const ACKNOWLEDGE_AGAIN: Duration = Duration::from_millis(10);

/// How long the broker may take to answer the subscription.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker that refuses is asked again after so many times `reconnect_min`, doubling.
const RELUCTANCE: u32 = 10;

/// But no later than this.
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// What breaks may be an accident of the line. So many in a row are told.
const TELL_AT: u32 = 2;

/// A connection that lived this long has done no harm: some brokers allow one connection for each
/// user, and break the other.
const HARMLESS: Duration = Duration::from_secs(5);

/// A broker that goes away breaks both connections, within this time.
const BOTH: Duration = Duration::from_millis(250);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

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
    Listening(Link, BrokerUrl),
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
                    Event::Connected(_) => return State::Listening(link, url),
                    Event::Closed(error) => return self.failed(&error),
                    // nothing comes before
                    _ => {}
                },
            }
        }
    }

    async fn listen(
        &mut self,
        link: Link,
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
        self.deaf = Some(reason);
    }

    /// Commands come, and nothing breaks over it.
    fn works(&mut self) {
        self.in_a_row = 0;
        self.refused.reset();
        if self.deaf.take().is_some() {
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

/// One connection's worth of listening.
struct Hearing<'a> {
    listener: &'a mut Listener,
    link: Link,
    url: BrokerUrl,
    since: Instant,
    /// When the subscription was granted.
    granted: Option<Instant>,
    /// Whether it was found to do no harm.
    harmless: bool,
    /// When it is to be judged whether the other connection broke over this one.
    judged_at: Option<Instant>,
    unacknowledged: Unacknowledged,
    /// When there may be room for more acknowledgements.
    acknowledge_at: Option<Instant>,
    /// What there was no room for so far.
    waiting: VecDeque<Command>,
    offer_at: Instant,
    /// What was not taken comes again with the next connection: when that is due.
    renew_at: Option<Instant>,
    settle: mpsc::Sender<Settled>,
    settled: mpsc::Receiver<Settled>,
}

impl<'a> Hearing<'a> {
    fn new(listener: &'a mut Listener, link: Link, url: BrokerUrl) -> Self {
        let (settle, settled) = mpsc::channel(WINDOW);
        let now = Instant::now();
        Self {
            listener,
            link,
            url,
            since: now,
            granted: None,
            harmless: false,
            judged_at: None,
            unacknowledged: Unacknowledged::default(),
            acknowledge_at: None,
            waiting: VecDeque::new(),
            offer_at: now,
            renew_at: None,
            settle,
            settled,
        }
    }

    async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        self.link.subscribe(format!("{}/command/+", self.listener.root));
        loop {
            if let Some(end) = self.do_due(Instant::now()) {
                return end;
            }
            let due = self.next_due();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return End::Stopped,
                Some(settled) = self.settled.recv() => self.note_settled(settled),
                event = self.link.event() => match event {
                    Event::Subscribed(Ok(())) => self.granted = Some(Instant::now()),
                    Event::Subscribed(Err(reason)) => {
                        return End::Refused(format!("the subscription is not granted: {reason}"));
                    }
                    Event::Received(incoming) => self.receive(incoming),
                    Event::Closed(error) => return End::Closed(error),
                    // this connection publishes nothing
                    Event::Connected(_)
                    | Event::Sent(_)
                    | Event::Acknowledged(_)
                    | Event::Refused(..) => {}
                },
                moved = self.listener.broker.changed() => {
                    if moved.is_err() {
                        return End::Stopped;
                    }
                    match &*self.listener.broker.borrow_and_update() {
                        Some(url) if *url != self.url => return End::Renewed,
                        Some(_) => {}
                        None => {
                            let suspect = self.since.elapsed() < HARMLESS;
                            self.judged_at = suspect.then(|| Instant::now() + BOTH);
                        }
                    }
                }
                () = sleep_until(due.unwrap_or(self.since)), if due.is_some() => {}
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let offer = (!self.waiting.is_empty()).then_some(self.offer_at);
        let renew = self.renew_at.filter(|_| self.waiting.is_empty());
        let judge = match self.granted {
            None => Some(self.since + PATIENCE),
            Some(_) if self.harmless => None,
            Some(at) => Some(at + HARMLESS),
        };
        [offer, renew, judge, self.judged_at, self.acknowledge_at].into_iter().flatten().min()
    }

    fn do_due(&mut self, now: Instant) -> Option<End> {
        if self.judged_at.is_some_and(|at| now >= at) {
            return Some(End::Harmful);
        }
        match self.granted {
            None if now >= self.since + PATIENCE => {
                return Some(End::Refused("the broker does not answer the subscription".into()));
            }
            Some(at) if !self.harmless && now >= at + HARMLESS => {
                self.harmless = true;
                self.listener.works();
            }
            _ => {}
        }
        if self.acknowledge_at.is_some_and(|at| now >= at) {
            self.acknowledge();
        }
        if now >= self.offer_at {
            self.offer(now);
        }
        let renewed = self.waiting.is_empty() && self.renew_at.is_some_and(|at| now >= at);
        renewed.then_some(End::Renewed)
    }

    /// Takes note of a command, and passes it on if it can be answered.
    fn receive(&mut self, incoming: Incoming) {
        let counters = &self.listener.shared.counters;
        counters.commands.fetch_add(1, Relaxed);
        // a broker of MQTT 3.1.1 is not told how much there is room for
        if self.renew_at.is_some() || self.unacknowledged.len() >= WINDOW {
            self.miss();
            return;
        }
        let number = self.unacknowledged.enter(incoming.packet);
        match self.listener.read(incoming) {
            Some((name, payload)) => {
                let receipt = Receipt::new(number, self.settle.clone());
                self.waiting.push_back(Command { name, payload, receipt });
                self.offer(Instant::now());
            }
            None => {
                self.listener.shared.counters.commands_refused.fetch_add(1, Relaxed);
                log::debug!("a command is refused: retained, misnamed, too large, or without id");
                // nobody could do anything with it, however often it came
                self.note_settled(Settled { number, taken: true });
            }
        }
    }

    /// Passes on what waits, in order, while there is room.
    fn offer(&mut self, now: Instant) {
        while let Some(command) = self.waiting.pop_front() {
            if let Err(command) = (self.listener.shared.commands)(command) {
                self.waiting.push_front(command);
                self.offer_at = now + OFFER_AGAIN;
                return;
            }
        }
    }

    fn note_settled(&mut self, settled: Settled) {
        if !settled.taken {
            self.miss();
            return;
        }
        self.unacknowledged.settle(settled.number);
        self.acknowledge();
        self.listener.backoff.reset();
    }

    /// Acknowledges what is in good hands; whether there was room for all of it. There is not
    /// always: some brokers send more at once than they were told to.
    fn acknowledge(&mut self) -> bool {
        let link = &self.link;
        // with QoS 0 there is nothing to acknowledge
        let all = self.unacknowledged.acknowledge(|packet| packet == 0 || link.acknowledge(packet));
        self.acknowledge_at = (!all).then(|| Instant::now() + ACKNOWLEDGE_AGAIN);
        all
    }

    /// Something was not taken: the broker brings it again with the next connection.
    fn miss(&mut self) {
        if self.renew_at.is_none() {
            self.renew_at =
                Some(Instant::now() + self.listener.backoff.next_spread(fastrand::f64()));
        }
    }

    /// Says goodbye, after what is in good hands by now.
    async fn leave(&mut self) {
        while let Ok(settled) = self.settled.try_recv() {
            self.note_settled(settled);
        }
        let goodbye = async {
            while !self.acknowledge() {
                // what comes by now comes again
                let _ = timeout(ACKNOWLEDGE_AGAIN, self.link.event()).await;
            }
            self.link.disconnect();
            while !matches!(self.link.event().await, Event::Closed(_)) {}
        };
        // a broker that does not answer finds out by itself
        let _ = timeout(GOODBYE, goodbye).await;
    }
}
