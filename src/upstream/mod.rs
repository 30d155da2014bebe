//! Messages out, to a tenant's broker: gone only when acknowledged.
//!
//! A [`Forwarder`] is a small state machine:
//!
//! ```text
//!            ┌────────────── waited ───────────────┐
//!            ▼                                     │
//!   ──► Connecting ── accepted ──► Delivering ── lost ──► Waiting
//!            └───────────── failed ────────────────────────▲
//! ```
//!
//! Each connection begins anew with the first message in the outbox, so whatever was on its
//! way when the last one broke goes out again, under the same id. Nothing is ever held only
//! by the MQTT library: at most [`link::WINDOW`] messages are with it, and each is still in
//! the outbox.

mod backoff;
mod envelope;
pub(crate) mod event;
mod link;
mod tls;
mod trouble;

pub use tls::{TlsError, configuration as tls_configuration};

use crate::clock::Clock;
use crate::config::{BrokerUrl, Upstream};
use crate::message;
use crate::store::{Class, Cursor, Key, Outbox, Row, StoreError};
use crate::units::{GatewayId, TenantId, duration};
use backoff::Backoff;
use link::{Event, Link, LinkError, WINDOW};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval, sleep, timeout};

/// Acknowledged messages are removed in groups: one write to the card for many.
const REMOVE_AT: usize = 200;

/// The outbox is asked again when so many slots are free, which saves questions but must leave
/// messages to send: a broker's small answers wait up to 40 ms for the TCP acknowledgement
/// that would ride on the next message. As many as rumqttc takes in at once.
const REFILL: usize = 10;

/// An acknowledged message is removed within this time; until then a crash repeats it.
const REMOVE_WITHIN: Duration = Duration::from_millis(500);

/// How often a healthy gateway says that it is.
const HEALTH_INTERVAL: Duration = Duration::from_secs(60);

/// How long a stop may wait for acknowledgements.
const STOP_PATIENCE: Duration = Duration::from_millis(2500);

/// What the broker refused is offered again after this, doubling.
const REFUSED_RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// What went to one tenant's broker, since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages acknowledged by the broker.
    pub delivered: AtomicU64,
    /// Messages refused by the broker, each time it did so.
    pub refused: AtomicU64,
    /// Connections that the broker accepted.
    pub connections: AtomicU64,
    /// Messages that wait in the outbox.
    pub waiting: AtomicU64,
    /// Whether there is a connection now.
    pub connected: AtomicBool,
}

/// What a forwarder shares with the rest of the gateway.
#[derive(Clone)]
pub struct Shared {
    /// Told when there are new messages in the outbox.
    pub news: Arc<Notify>,
    /// Read by whoever wants to know.
    pub counters: Arc<Counters>,
    /// The body of the health message, as of now.
    pub health: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// Brings one tenant's outbox to its broker.
#[derive(Debug)]
pub struct Forwarder {
    settings: Upstream,
    tenant: TenantId,
    /// `{prefix}/{gateway}/{tenant}`
    root: String,
    client_id: String,
    clock: Clock,
    outbox: Outbox,
    shared: Shared,
    backoff: Backoff,
    /// Which of the broker's addresses is next.
    turn: usize,
    /// The last trouble with each address that was told to operations; told again only when
    /// it changes, or after a connection.
    trouble: Vec<Option<String>>,
    /// Numbers the messages that are not stored.
    live: u64,
    run: String,
}

enum State {
    Connecting,
    Delivering(Link),
    Waiting(Duration),
    Stopped,
}

impl Forwarder {
    /// A forwarder for this tenant.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub fn new(
        gateway: &GatewayId,
        tenant: &TenantId,
        settings: Upstream,
        outbox: Outbox,
        clock: Clock,
        shared: Shared,
    ) -> Result<Self, StoreError> {
        shared.counters.waiting.store(outbox.count()?, Relaxed);
        let client_id =
            settings.client_id.clone().unwrap_or_else(|| format!("lykta-{gateway}-{tenant}"));
        Ok(Self {
            root: format!("{}/{gateway}/{tenant}", settings.prefix),
            backoff: Backoff::new(settings.reconnect_min, settings.reconnect_max),
            tenant: tenant.clone(),
            run: format!("{:08x}", fastrand::u32(..)),
            trouble: vec![None; settings.urls.len()],
            settings,
            client_id,
            clock,
            outbox,
            shared,
            turn: 0,
            live: 0,
        })
    }

    /// Runs until `stop` says so, then delivers what it can within a moment and says goodbye.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut state = State::Connecting;
        loop {
            state = match state {
                State::Connecting => self.connect(&mut stop).await,
                State::Delivering(link) => self.deliver(link, &mut stop).await,
                State::Waiting(wait) => tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => State::Stopped,
                    () = sleep(wait) => State::Connecting,
                },
                State::Stopped => return,
            }
        }
    }

    async fn connect(&mut self, stop: &mut watch::Receiver<bool>) -> State {
        let url = self.settings.urls[self.turn % self.settings.urls.len()].clone();
        let will =
            link::Will { topic: self.topic("state"), payload: self.live(&state_body("offline")) };
        let mut link = match Link::connect(&self.settings, &url, &self.client_id, will) {
            Ok(link) => link,
            Err(error) => return self.lost(&url, &error),
        };
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return State::Stopped,
                event = link.event() => match event {
                    Event::Connected => return State::Delivering(link),
                    Event::Closed(error) => return self.lost(&url, &error),
                    Event::Sent(_) | Event::Acknowledged(_) | Event::Refused(..) => {}
                },
            }
        }
    }

    /// Notes a failed or broken connection and says how long to wait.
    fn lost(&mut self, url: &BrokerUrl, error: &LinkError) -> State {
        let told = &mut self.trouble[self.turn % self.settings.urls.len()];
        let wait = self.backoff.next(fastrand::f64());
        let trouble = error.to_string();
        if told.as_ref() != Some(&trouble) {
            log::warn!(
                MESSAGE_ID = message::UPSTREAM_LOST,
                LYKTA_TENANT = self.tenant.as_str(),
                LYKTA_REASON = trouble.as_str();
                "no connection to {url} for tenant {}: {trouble}; everything is kept, next \
                 attempt in {}", self.tenant, duration::format(round(wait))
            );
            *told = Some(trouble);
        }
        self.turn += 1;
        State::Waiting(wait)
    }

    async fn deliver(&mut self, link: Link, stop: &mut watch::Receiver<bool>) -> State {
        let turn = self.turn % self.settings.urls.len();
        let url = self.settings.urls[turn].clone();
        self.trouble[turn] = None;
        self.shared.counters.connections.fetch_add(1, Relaxed);
        self.shared.counters.connected.store(true, Relaxed);
        log::info!(
            MESSAGE_ID = message::UPSTREAM_CONNECTED,
            LYKTA_TENANT = self.tenant.as_str();
            "connected to {url} for tenant {}, {} messages wait",
            self.tenant, self.shared.counters.waiting.load(Relaxed)
        );
        let since = Instant::now();
        let end = Delivery::new(self, link).run(stop).await;
        self.shared.counters.connected.store(false, Relaxed);
        if since.elapsed() >= backoff::STABLE {
            self.backoff.reset();
        }
        match end {
            Some(error) => self.lost(&url, &error),
            None => State::Stopped,
        }
    }

    fn topic(&self, leaf: &str) -> String {
        format!("{}/{leaf}", self.root)
    }

    /// A message that is not stored. Its id is unique, but only of this moment.
    fn live(&mut self, body: &Value) -> String {
        self.live += 1;
        let id = format!("{}-{}-{}", self.outbox.epoch(), self.run, self.live);
        envelope::live(&id, self.clock.now(), body)
    }
}

fn state_body(state: &str) -> Value {
    json!({ "state": state })
}

fn round(wait: Duration) -> Duration {
    Duration::from_millis((wait.as_millis() as u64).next_multiple_of(100))
}

/// One connection's worth of delivering.
struct Delivery<'a> {
    forwarder: &'a mut Forwarder,
    link: Link,
    cursor: Cursor,
    /// Messages up to this sequence number were waiting when the connection came up.
    late_until: u64,
    /// Whether the outbox may hold more behind the cursor.
    more: bool,
    /// Handed to the link, in order, not yet sent. `None`: a message that is not stored.
    line: VecDeque<Option<Key>>,
    /// Sent and not yet answered, by packet identifier.
    sent: HashMap<u16, Option<Key>>,
    /// Acknowledged and not yet removed.
    acknowledged: Vec<Key>,
    /// When what the broker refused is offered again.
    retry_at: Option<Instant>,
    retry: Backoff,
}

impl<'a> Delivery<'a> {
    fn new(forwarder: &'a mut Forwarder, link: Link) -> Self {
        Self {
            forwarder,
            link,
            cursor: Cursor::default(),
            late_until: 0,
            more: true,
            line: VecDeque::new(),
            sent: HashMap::new(),
            acknowledged: Vec::new(),
            retry_at: None,
            retry: Backoff::new(REFUSED_RETRY.0, REFUSED_RETRY.1),
        }
    }

    fn outstanding(&self) -> usize {
        self.line.len() + self.sent.len()
    }

    /// Delivers until the connection breaks, with the reason, or until `stop`, with `None`.
    async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let news = Arc::clone(&self.forwarder.shared.news);
        let mut remove = interval(REMOVE_WITHIN);
        let mut health = interval(HEALTH_INTERVAL);
        let mut leave_at: Option<Instant> = None;
        self.late_until = self.forwarder.outbox.last_sequence().unwrap_or(0);
        self.publish_live("state", &state_body("online"), true);
        // whether the outbox is to be asked although few slots are free: there is news
        let mut ask = true;
        loop {
            if self.more && (ask || self.outstanding() + REFILL <= WINDOW) {
                self.fill();
                ask = false;
            }
            if let Some(at) = leave_at
                && (Instant::now() >= at || (!self.more && self.outstanding() == 0))
            {
                self.leave().await;
                self.remove_acknowledged();
                return None;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if leave_at.is_none() => {
                    leave_at = Some(Instant::now() + STOP_PATIENCE);
                }
                event = self.link.event() => {
                    if let Some(error) = self.note(event) {
                        self.remove_acknowledged();
                        return Some(error);
                    }
                }
                () = news.notified() => {
                    self.more = true;
                    ask = true;
                }
                _ = remove.tick() => {
                    self.remove_acknowledged();
                    self.offer_again();
                }
                _ = health.tick() => {
                    let body = (self.forwarder.shared.health)();
                    self.publish_live("health", &body, false);
                }
            }
        }
    }

    /// Hands over as many messages as there are free slots.
    fn fill(&mut self) {
        let room = WINDOW.saturating_sub(self.outstanding());
        if room == 0 || self.retry_at.is_some_and(|at| Instant::now() >= at) {
            return;
        }
        let rows = match self.forwarder.outbox.next(&mut self.cursor, room) {
            Ok(rows) => rows,
            Err(error) => {
                // the ingest loop meets the same disk and tells operations
                log::debug!("outbox: {error}");
                self.more = false;
                return;
            }
        };
        self.more = rows.len() == room;
        for row in rows {
            self.publish(&row);
        }
    }

    fn publish(&mut self, row: &Row) {
        let id = envelope::id(self.forwarder.outbox.epoch(), row);
        let late = row.key.sequence() <= self.late_until;
        let class = row.key.class();
        let message = link::Outgoing {
            topic: self.forwarder.topic(&row.topic),
            payload: envelope::stored(&id, row, self.forwarder.clock.now(), late),
            retain: class == Some(Class::Plan),
            properties: vec![
                ("id".into(), id),
                ("class".into(), class.map_or("", Class::as_str).into()),
                ("schema".into(), envelope::SCHEMA_VERSION.into()),
            ],
        };
        self.hand_over(message, Some(row.key));
    }

    fn publish_live(&mut self, leaf: &str, body: &Value, retain: bool) {
        if self.outstanding() >= WINDOW {
            return; // the next one will say the same, newer
        }
        let payload = self.forwarder.live(body);
        let properties = vec![
            ("class".into(), Class::Diagnostic.as_str().into()),
            ("schema".into(), envelope::SCHEMA_VERSION.into()),
        ];
        let topic = self.forwarder.topic(leaf);
        self.hand_over(link::Outgoing { topic, payload, retain, properties }, None);
    }

    fn hand_over(&mut self, message: link::Outgoing, key: Option<Key>) {
        // a message that finds no room stays in the outbox for the next connection
        if self.link.publish(message) {
            self.line.push_back(key);
        }
    }

    /// Takes note of what happened on the link; the reason, when it is over.
    fn note(&mut self, event: Event) -> Option<LinkError> {
        let counters = &self.forwarder.shared.counters;
        match event {
            Event::Connected => {}
            Event::Sent(identifier) => {
                if let Some(key) = self.line.pop_front() {
                    self.sent.insert(identifier, key);
                }
            }
            Event::Acknowledged(identifier) => {
                if let Some(Some(key)) = self.sent.remove(&identifier) {
                    counters.delivered.fetch_add(1, Relaxed);
                    self.acknowledged.push(key);
                    if self.acknowledged.len() >= REMOVE_AT {
                        self.remove_acknowledged();
                    }
                }
            }
            Event::Refused(identifier, reason) => {
                self.sent.remove(&identifier);
                counters.refused.fetch_add(1, Relaxed);
                if self.retry_at.is_none() {
                    let wait = self.retry.next(1.0);
                    self.retry_at = Some(Instant::now() + wait);
                    log::error!(
                        MESSAGE_ID = message::UPSTREAM_REFUSED,
                        LYKTA_TENANT = self.forwarder.tenant.as_str(),
                        LYKTA_REASON = reason.as_str();
                        "the broker refuses messages of tenant {}: {reason}; they are kept and \
                         offered again in {}; may this user publish to {}/#?",
                        self.forwarder.tenant, duration::format(wait), self.forwarder.root
                    );
                }
            }
            Event::Closed(error) => return Some(error),
        }
        None
    }

    /// Begins anew with the first message once everything on its way is answered, so that
    /// what was refused goes out again and nothing else twice.
    fn offer_again(&mut self) {
        let due = self.retry_at.is_some_and(|at| Instant::now() >= at);
        if due && self.outstanding() == 0 && self.acknowledged.is_empty() {
            self.retry_at = None;
            self.cursor = Cursor::default();
            self.more = true;
        }
    }

    fn remove_acknowledged(&mut self) {
        if self.acknowledged.is_empty() {
            return;
        }
        match self.forwarder.outbox.remove(&self.acknowledged) {
            Ok(()) => {
                let removed = self.acknowledged.len() as u64;
                self.forwarder.shared.counters.waiting.fetch_sub(removed, Relaxed);
                self.acknowledged.clear();
            }
            // kept in memory and tried again; bounded by what is in the outbox
            Err(error) => log::debug!("outbox: {error}"),
        }
    }

    /// Says goodbye: the retained state, and a clean disconnection.
    async fn leave(&mut self) {
        let payload = self.forwarder.live(&state_body("offline"));
        let topic = self.forwarder.topic("state");
        let message = link::Outgoing { topic, payload, retain: true, properties: vec![] };
        self.hand_over(message, None);
        let answered = async {
            while self.outstanding() > 0 {
                let event = self.link.event().await;
                if self.note(event).is_some() {
                    return;
                }
            }
            self.link.disconnect();
            while self.note_closed().await {}
        };
        // a broker that does not answer publishes the last will, which says the same
        let _ = timeout(Duration::from_secs(1), answered).await;
    }

    /// Waits for the link's next event; whether it is still open.
    async fn note_closed(&mut self) -> bool {
        let event = self.link.event().await;
        self.note(event).is_none()
    }
}
