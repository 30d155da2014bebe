//! Messages out, to a tenant's broker: gone only when acknowledged; and commands in.
//!
//! A [`Forwarder`] is a small state machine:
//!
//! ```text
//!   ──► Waiting ── it is time ──► Connecting ── accepted ──► Delivering
//!          ▲                          │                          │
//!          └───────── failed ─────────┴────────── lost ──────────┘
//! ```
//!
//! How long it waits is said by `reconnect`, which knows nothing but numbers.
//!
//! Each connection begins anew with the first message in the outbox, so whatever was on its
//! way when the last one broke goes out again, under the same id. Nothing is ever held only
//! by the connection: at most `link::WINDOW` messages are with it, and each is still in
//! the outbox.
//!
//! Commands come by a connection of their own (see `listener`), so that nothing that comes in
//! stands in the way of what goes out. What they ask for is done elsewhere, by whoever takes them
//! from [`Shared::commands`]; the answer is a message in the outbox like any other.

mod backoff;
mod budget;
pub mod command;
mod delivery;
mod disk;
pub(crate) mod envelope;
mod error;
pub(crate) mod event;
mod link;
mod listener;
mod packet;
mod reconnect;
mod refusals;
mod shared;
mod supply;
mod suspicion;
mod tls;
mod trouble;
mod unacknowledged;
mod wire;

pub use shared::{Counters, Outage, Shared};

use crate::clock::{Clock, ClockQuality};
use crate::config::{BrokerUrl, Upstream};
use crate::message;
use crate::store::{Class, Cursor, Key, Outbox, StoreError};
use crate::sys;
use crate::units::{GatewayId, TenantId, count, duration};
use backoff::Backoff;
use budget::{Allowed, Budget};
use delivery::{Aside, Delivery, Parcel};
use error::LinkError;
use link::Link;
use listener::Listener;
use packet::{Event, Outgoing, Purpose};
use reconnect::{Pace, Reconnect};
use refusals::Refusals;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use suspicion::Suspicion;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};

/// How many kinds of trouble are told in one outage.
const MAX_TOLD: usize = 16;

/// Whoever starts so soon after the machine did was started by it, and by power that came back to
/// a whole street perhaps.
const BOOTING: Duration = Duration::from_secs(300);

/// What the broker refused is offered again after this part of the time that it is offered for,
/// doubling: after a minute when that is an hour.
const OFFERS: u32 = 60;

/// How often it is asked whether the clock has been set, by whoever waits for that alone.
const CLOCK_WATCH: Duration = Duration::from_secs(1);

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
    reconnect: Reconnect,
    /// What the times of `reconnect` are counted from.
    origin: Instant,
    /// Whether the last attempt failed for the time of day, and nobody had set the clock.
    clock_to_blame: bool,
    /// What was told to operations since the last connection, with the address. Each trouble
    /// is told once, also when several take turns: brokers that fail in different ways, or a
    /// mobile link.
    told: Vec<String>,
    /// When what the broker refused is offered again: longer each time, over all connections.
    refused: Backoff,
    refusals: Refusals,
    /// Which message the broker breaks connections over.
    suspicion: Suspicion<Parcel>,
    aside: Aside,
    /// Messages of this outage that the broker has as the newest states.
    newest: HashSet<Key>,
    /// Of the bytes of a day.
    budget: Budget,
    /// The broker that is connected, for whoever listens to it.
    reached: watch::Sender<Option<BrokerUrl>>,
    /// Takes commands, unless none are wanted.
    listener: Option<Listener>,
    /// Whether the outbox could not be read or cleared at the last attempt.
    outbox_fails: [bool; 2],
    /// Numbers the messages that are not stored.
    live: u64,
    run: String,
}

enum State {
    Waiting,
    Connecting,
    Delivering(Box<Link>),
    Stopped,
}

/// What all topics of a tenant begin with.
pub(crate) fn root(prefix: &str, gateway: &GatewayId, tenant: &TenantId) -> String {
    format!("{prefix}/{gateway}/{tenant}")
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
        shared.counters.set_aside.store(outbox.count_aside()?, Relaxed);
        let client_id =
            settings.client_id.clone().unwrap_or_else(|| format!("lykta-{gateway}-{tenant}"));
        let root = root(&settings.prefix, gateway, tenant);
        let (reached, broker) = watch::channel(None);
        let listener = settings.commands.then(|| {
            let client_id = format!("{client_id}-commands");
            let (settings, tenant, shared) = (settings.clone(), tenant.clone(), shared.clone());
            let clock = clock.clone();
            Listener::new(settings, tenant, root.clone(), client_id, clock, shared, broker)
        });
        let limit = (settings.daily_mb > 0).then(|| u64::from(settings.daily_mb) * 1_000_000);
        let budget = Budget::new(limit, outbox.spent()?);
        let patience = settings.set_aside_after;
        let pace = Pace {
            least: settings.reconnect_min,
            greatest: settings.reconnect_max,
            stable: settings.reconnect_stable,
            alarm: settings.reconnect_alarm_max,
        };
        let mut reconnect = Reconnect::new(pace, settings.urls.len(), Duration::ZERO);
        if sys::monotonic() < BOOTING {
            reconnect = reconnect.after_boot(fastrand::f64());
        }
        Ok(Self {
            root,
            reconnect,
            origin: Instant::now(),
            clock_to_blame: false,
            tenant: tenant.clone(),
            run: format!("{:08x}", fastrand::u32(..)),
            settings,
            client_id,
            clock,
            outbox,
            shared,
            told: Vec::new(),
            refused: Backoff::new(patience / OFFERS, patience),
            refusals: Refusals::new(patience),
            suspicion: Suspicion::new(),
            aside: Aside::new(patience / OFFERS, patience),
            newest: HashSet::new(),
            budget,
            reached,
            listener,
            outbox_fails: [false; 2],
            live: 0,
        })
    }

    /// Runs until `stop` says so, then delivers what it can within a moment and says goodbye.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        let listener = self.listener.take();
        let listen = {
            let stop = stop.clone();
            async move {
                if let Some(listener) = listener {
                    listener.run(stop).await;
                }
            }
        };
        tokio::join!(self.forward(stop), listen);
    }

    async fn forward(mut self, mut stop: watch::Receiver<bool>) {
        let mut state = State::Waiting;
        loop {
            state = match state {
                State::Waiting => self.wait(&mut stop).await,
                State::Connecting => self.connect(&mut stop).await,
                State::Delivering(link) => self.deliver(link, &mut stop).await,
                State::Stopped => return,
            }
        }
    }

    /// Until it is time for the next attempt: sooner when an alarm begins to wait, and at once
    /// when the clock was to blame and is set.
    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> State {
        let news = Arc::clone(&self.shared.news);
        let mut clock = interval(CLOCK_WATCH);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return State::Stopped,
                () = sleep_until(self.origin + self.reconnect.due()) => return State::Connecting,
                () = news.notified(), if self.reconnect.patient() => {
                    if self.alarm_waits() {
                        self.reconnect.alarm(self.origin.elapsed(), fastrand::f64());
                    }
                }
                _ = clock.tick(), if self.clock_to_blame => {
                    if self.clock.now().quality != ClockQuality::Unsynced {
                        self.reconnect.at_once(self.origin.elapsed());
                    }
                }
            }
        }
    }

    /// What has a number up to this one did not go out at once.
    fn last_sequence(&mut self) -> u64 {
        let last = self.outbox.last_sequence();
        self.note_outbox(last).unwrap_or(0)
    }

    fn alarm_waits(&mut self) -> bool {
        let alarms = self.outbox.next(Class::Alarm, &mut Cursor::default(), 1);
        self.note_outbox(alarms).is_some_and(|alarms| !alarms.is_empty())
    }

    /// The address that is next, or in use.
    fn url(&self) -> BrokerUrl {
        self.settings.urls[self.reconnect.address()].clone()
    }

    async fn connect(&mut self, stop: &mut watch::Receiver<bool>) -> State {
        let url = self.url();
        let will = self.live("state", Class::Diagnostic, &state_body("offline"));
        let purpose = Purpose::Deliver(will);
        let quality = self.clock.now().quality;
        self.clock_to_blame = false;
        let link = Link::connect(&self.settings, &url, &self.client_id, purpose, &self.clock);
        let mut link = match link {
            Ok(link) => link,
            Err(error) => return self.failed(&url, &error),
        };
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return State::Stopped,
                event = link.event() => match event {
                    Event::Connected => return State::Delivering(Box::new(link)),
                    Event::Closed(error) => {
                        let of_time = matches!(error, LinkError::Time(_));
                        self.clock_to_blame = of_time && quality == ClockQuality::Unsynced;
                        return self.failed(&url, &error);
                    }
                    // nothing was sent or asked for yet
                    Event::Acknowledged(_)
                    | Event::Refused(..)
                    | Event::Subscribed(_)
                    | Event::Received(_) => {}
                },
            }
        }
    }

    fn failed(&mut self, url: &BrokerUrl, error: &LinkError) -> State {
        self.shared.counters.attempts_failed.fetch_add(1, Relaxed);
        self.lost(url, error)
    }

    /// Notes a failed or broken connection, after which it is waited.
    fn lost(&mut self, url: &BrokerUrl, error: &LinkError) -> State {
        let alarm = self.alarm_waits();
        let now = self.origin.elapsed();
        self.reconnect.ended(now, alarm, fastrand::f64());
        let next = match self.reconnect.due().saturating_sub(now) {
            Duration::ZERO => "the next address is tried at once".to_owned(),
            wait => format!("next attempt in {}", duration::format(round(wait))),
        };
        let trouble = error.to_string();
        let telling = format!("{url}: {trouble}");
        let next_at = self.origin + self.reconnect.due();
        self.shared.counters.set_outage(Some(Outage { reason: telling.clone(), next: next_at }));
        if self.told.len() < MAX_TOLD && !self.told.contains(&telling) {
            self.told.push(telling);
            log::warn!(
                MESSAGE_ID = message::UPSTREAM_LOST,
                LYKTA_TENANT = self.tenant.as_str(),
                LYKTA_REASON = trouble.as_str();
                "no connection to {url} for tenant {}: {trouble}; everything is kept, {next}",
                self.tenant
            );
        }
        State::Waiting
    }

    async fn deliver(&mut self, link: Box<Link>, stop: &mut watch::Receiver<bool>) -> State {
        let url = self.url();
        self.told.clear();
        self.reconnect.connected(self.origin.elapsed());
        self.shared.counters.connections.fetch_add(1, Relaxed);
        self.shared.counters.connected.store(true, Relaxed);
        self.shared.counters.set_outage(None);
        self.reached.send_replace(Some(url.clone()));
        log::info!(
            MESSAGE_ID = message::UPSTREAM_CONNECTED,
            LYKTA_TENANT = self.tenant.as_str();
            "connected to {url} for tenant {}, {} waiting",
            self.tenant, count(self.shared.counters.waiting.load(Relaxed), "message")
        );
        let since = Instant::now();
        let end = Delivery::new(self, link).run(stop).await;
        if since.elapsed() >= self.settings.reconnect_stable {
            self.break_silence();
        }
        self.shared.counters.connected.store(false, Relaxed);
        self.reached.send_replace(None);
        let Some(error) = end else { return State::Stopped };
        self.lost(&url, &error)
    }

    /// What a metered line lets go now.
    fn allowed(&mut self) -> Allowed {
        self.budget.allowed(self.clock.now())
    }

    fn topic(&self, leaf: &str) -> String {
        format!("{}/{leaf}", self.root)
    }

    /// A message that is not stored. Its id is unique, but only of this moment. What the gateway
    /// says of itself is retained.
    fn live(&mut self, leaf: &str, class: Class, body: &str) -> Outgoing {
        self.live += 1;
        let id = format!("{}-{}-{}", self.outbox.epoch(), self.run, self.live);
        Outgoing {
            topic: self.topic(leaf),
            payload: envelope::live(&id, leaf, class, self.clock.now(), body),
            retain: class == Class::Diagnostic,
            properties: envelope::properties(id, Some(class)),
        }
    }
}

/// The schema of what every body has.
#[cfg(test)]
pub(crate) fn envelope_schema() -> serde_json::Value {
    crate::schemas::of::<envelope::Envelope<'_>>()
}

/// The version of the message formats.
#[cfg(test)]
pub(crate) const SCHEMA_VERSION: &str = envelope::SCHEMA_VERSION;

/// The schema of the body of `state`.
#[cfg(test)]
pub(crate) fn state_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "description": "Whether the gateway is connected to this tenant's broker. Retained, and \
                        the last will of the connection.",
        "properties": { "state": {
            "enum": ["online", "offline"],
            "description": "`offline` also when the connection broke.",
        } },
        "required": ["state"],
    })
}

fn state_body(state: &str) -> String {
    format!(r#"{{"state":"{state}"}}"#)
}

fn round(wait: Duration) -> Duration {
    Duration::from_millis((wait.as_millis() as u64).next_multiple_of(100))
}
