//! One connection's worth of listening.

use super::super::command::{Command, Receipt, Settled};
use super::super::link::Link;
use super::super::packet::{Event, Incoming};
use super::super::unacknowledged::Unacknowledged;
use super::{End, Listener, WINDOW};
use crate::config::BrokerUrl;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// When a command that there was no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_millis(100);

/// When an acknowledgement that there was no room for is tried again.
const ACKNOWLEDGE_AGAIN: Duration = Duration::from_millis(10);

/// How long the broker may take to answer the subscription.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that lived this long has done no harm: some brokers allow one connection for each
/// user, and break the other.
const HARMLESS: Duration = Duration::from_secs(5);

/// A broker that goes away breaks both connections, within this time.
const BOTH: Duration = Duration::from_millis(250);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// One connection's worth of listening.
pub(super) struct Hearing<'a> {
    listener: &'a mut Listener,
    link: Box<Link>,
    url: BrokerUrl,
    since: Instant,
    /// When the subscription was granted.
    pub(super) granted: Option<Instant>,
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
    pub(super) fn new(listener: &'a mut Listener, link: Box<Link>, url: BrokerUrl) -> Self {
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

    pub(super) async fn run(&mut self, stop: &mut watch::Receiver<bool>) -> End {
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
        let link = &mut self.link;
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
    pub(super) async fn leave(&mut self) {
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
