//! One connection's worth of delivering.

mod answers;
mod aside;
mod sending;

pub(super) use aside::Aside;

use super::Forwarder;
use super::budget::Allowed;
use super::error::LinkError;
use super::link::{Link, WINDOW};
use super::supply::{Pacing, Supply};
use crate::store::{Key, Outcast};
use crate::units::duration;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Acknowledged messages are removed in groups: one write to the card for many. What a kill finds
/// in one comes twice.
const REMOVE_AT: usize = 75;

/// The outbox is asked again when so many slots are free: fewer questions, and a window that is
/// never empty.
const REFILL: usize = 10;

/// An acknowledged message is removed within this time; until then a crash repeats it.
const REMOVE_WITHIN: Duration = Duration::from_millis(500);

/// How often it is looked around where nothing is under way: each look wakes the processor.
const AT_REST: Duration = Duration::from_secs(5);

/// So many acknowledged messages may wait for a disk that refuses to forget them; then no
/// more are sent until it does.
const MAX_UNREMOVED: usize = 50 * REMOVE_AT;

/// How often a healthy gateway says that it is.
const HEALTH_INTERVAL: Duration = Duration::from_secs(60);

/// The same over a metered line.
const SPARING_HEALTH_INTERVAL: Duration = Duration::from_secs(900);

/// How long a stop may wait for acknowledgements.
const STOP_PATIENCE: Duration = Duration::from_millis(2200);

/// A broker that owes one and the same answer for so long, whatever else it answers, will not give
/// it: the message goes out again by another connection. On a line that is slow and lives, answers
/// come in the order of the messages, and each waits only for the one before it.
const UNANSWERED: Duration = Duration::from_secs(60);

/// So often the outbox is asked in a row when all that it holds is passed over.
const QUESTIONS: usize = 50;

/// Slots that stored messages leave free, if there are more, so that a backlog does not silence
/// state and health.
const LIVE_SLOTS: usize = 2;

/// Where the newest states go.
pub(super) const LATEST: &str = "latest";

/// What is in the hands of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parcel {
    Stored(Key),
    /// What was set aside, once more.
    Aside(Key),
    /// What this message says, as the newest state.
    Newest(Key),
    /// About this very moment: state, health.
    Live(&'static str),
}

pub(super) struct Delivery<'a> {
    forwarder: &'a mut Forwarder,
    link: Box<Link>,
    /// What goes next.
    supply: Supply,
    /// What a metered line lets go, as it was at the last question: the day may have ended.
    allowed: Allowed,
    /// Whether the outbox could not be read, and is to be asked again.
    unread: bool,
    /// Sent and not yet answered, with its packet identifier, the oldest first.
    sent: VecDeque<(u16, Parcel)>,
    /// Since when the first of them is the oldest, as far as the last tick knows.
    owed_since: Option<Instant>,
    /// Acknowledged and not yet removed.
    acknowledged: Vec<Key>,
    /// When what the broker refused is offered again.
    retry_at: Option<Instant>,
    /// Refusals without an acknowledgement between them.
    refused_in_a_row: usize,
    /// Whether anything was refused since the last offer.
    refused: bool,
    /// The last of them, when nothing was acknowledged since.
    refused_last: Option<Key>,
    /// On which topics.
    refused_topics: HashSet<String>,
    /// What the gateway says of itself that the broker refuses.
    unwanted: BTreeSet<&'static str>,
    /// When the state that was refused is offered again.
    state_at: Option<Instant>,
    /// When this connection began, or the last pardon was given.
    begun: Instant,
    /// When health is to be told.
    health_at: Instant,
    /// Whether that is overdue: a broker that takes one message at a time leaves no slot for it.
    health_waits: bool,
    /// Whether a stored message was acknowledged.
    gained: bool,
    /// To be set aside.
    outcasts: Vec<Outcast>,
    /// What is set aside and to be offered, and how often that was in vain.
    offers: VecDeque<Key>,
    offers_refused: usize,
    /// Whether all but alarms waits for such an offer to be made and answered.
    offering: bool,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(forwarder: &'a mut Forwarder, link: Box<Link>) -> Self {
        let late_until = forwarder.last_sequence();
        let waiting = forwarder.shared.counters.waiting.load(Relaxed);
        let allowed = forwarder.allowed();
        let settings = &forwarder.settings;
        let pacing = Pacing { rate: settings.backlog_rate, delay: settings.backlog_delay };
        let supply = Supply::new(late_until, waiting, pacing, fastrand::f64(), Instant::now());
        Self {
            forwarder,
            link,
            supply,
            allowed,
            unread: false,
            sent: VecDeque::new(),
            owed_since: None,
            acknowledged: Vec::new(),
            retry_at: None,
            refused_in_a_row: 0,
            refused: false,
            refused_last: None,
            refused_topics: HashSet::new(),
            unwanted: BTreeSet::new(),
            state_at: None,
            begun: Instant::now(),
            health_at: Instant::now(),
            health_waits: false,
            gained: false,
            outcasts: Vec::new(),
            offers: VecDeque::new(),
            offers_refused: 0,
            offering: false,
        }
    }

    fn outstanding(&self) -> usize {
        self.sent.len()
    }

    /// Delivers until the connection breaks, with the reason, or until `stop`, with `None`.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let end = self.deliver(stop).await;
        self.remove_acknowledged();
        self.conclude(end.as_ref());
        end
    }

    async fn deliver(&mut self, stop: &mut watch::Receiver<bool>) -> Option<LinkError> {
        let news = Arc::clone(&self.forwarder.shared.news);
        // when it was looked around last
        let mut tended: Option<Instant> = None;
        let mut leave_at: Option<Instant> = None;
        self.publish_state("online");
        // whether the outbox is to be asked although few slots are free: there is news
        let mut ask = true;
        loop {
            self.offer_aside();
            // half of a small window: one that is asked for when it is empty has nothing on its way
            let refill = REFILL.min(self.window().div_ceil(2));
            let room = self.room();
            let now = Instant::now();
            if (room >= refill || (ask && room > 0)) && self.supply.is_ready(now) {
                self.fill(room);
                ask = false;
            }
            self.tell_health(now);
            // what may not go yet is waited for, unless there is no room for it
            let mut due = self.supply.next_at().filter(|_| self.room() >= refill);
            if due.is_some() && self.only_alarms() {
                due = None;
            }
            if let Some(at) = leave_at
                && (Instant::now() >= at || (self.is_through() && self.outstanding() == 0))
            {
                self.leave().await;
                return None;
            }
            let resting = leave_at.is_none() && self.is_at_rest();
            let each = if resting { AT_REST } else { REMOVE_WITHIN };
            let tend_at = tended.map_or_else(Instant::now, |at| at + each);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop), if leave_at.is_none() => {
                    leave_at = Some(Instant::now() + STOP_PATIENCE);
                    self.end_offers();
                }
                // before the answers, of which a fast broker has always more: it may be an alarm
                () = news.notified() => {
                    self.supply.news();
                    ask = true;
                }
                event = self.link.event() => {
                    // all that is there at once: it takes longer to wait than to note
                    let mut next = Some(event);
                    while let Some(event) = next {
                        if let Some(error) = self.note(event) {
                            return Some(error);
                        }
                        next = self.link.ready();
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep_until(tend_at) => {
                    tended = Some(Instant::now());
                    self.remove_acknowledged();
                    if leave_at.is_none() {
                        self.tend_aside();
                    }
                    self.allowed = self.forwarder.allowed();
                    self.pardon();
                    self.end_silence();
                    self.offer_state();
                    self.offer_again();
                    self.unread = false;
                    if self.is_overdue() {
                        return Some(LinkError::Broken(format!(
                            "the broker has not acknowledged a message for {}",
                            duration::format(UNANSWERED)
                        )));
                    }
                }
                () = sleep_until(self.health_at), if self.has_room() => {}
            }
        }
    }

    /// Whether nothing is under way that could ask for something before there is news.
    fn is_at_rest(&self) -> bool {
        let answered = self.outstanding() == 0 && self.acknowledged.is_empty();
        let aside = self.forwarder.shared.counters.set_aside.load(Relaxed) > 0
            || !self.outcasts.is_empty()
            || self.offering
            || self.forwarder.aside.speak_at.is_some();
        let waits = self.unread || self.retry_at.is_some() || self.allowed != Allowed::All;
        answered && !aside && !waits && self.supply.is_empty()
    }

    /// Whether nothing but alarms may go: since the broker takes nothing, since a day's bytes are
    /// used up, or since the disk does not forget what was acknowledged, or is about to be asked
    /// anew for what was refused, or since health or what was set aside has its turn.
    fn only_alarms(&self) -> bool {
        let offer_due = self.retry_at.is_some_and(|at| Instant::now() >= at);
        let unremoved = self.acknowledged.len() > MAX_UNREMOVED;
        let in_turn = self.health_waits || self.offering || offer_due;
        in_turn || unremoved || self.allowed == Allowed::Alarms || self.refuses_all()
    }

    /// How many messages may be handed over now.
    fn room(&self) -> usize {
        if self.unread {
            return 0;
        }
        self.window().saturating_sub(self.outstanding())
    }

    /// How many stored messages may be on their way: never more than the broker takes, so that an
    /// alarm stands behind no message that is not.
    fn window(&self) -> usize {
        let window = self.link.window.saturating_sub(LIVE_SLOTS).max(1);
        self.forwarder.suspicion.window(window)
    }

    /// Whether something may be sent beside what is on its way.
    fn has_room(&self) -> bool {
        let outstanding = self.outstanding();
        let alone = self.offering && outstanding > 0;
        !alone && outstanding < self.forwarder.suspicion.window(self.link.window)
    }

    /// Whether the broker refuses one message after the other.
    fn hopeless(&self) -> bool {
        self.retry_at.is_some() && self.refused_in_a_row >= WINDOW
    }

    /// Whether nothing is left that may go now.
    fn is_through(&self) -> bool {
        self.unread || !self.supply.is_ready(Instant::now())
    }

    /// Says goodbye: the retained state, and a clean disconnection.
    async fn leave(&mut self) {
        let answered = async {
            let mut said = self.publish_state("offline");
            while self.outstanding() > 0 {
                let event = self.link.event().await;
                if self.note(event).is_some() {
                    return;
                }
                said = said || self.publish_state("offline");
            }
            if !said {
                return; // the last will says it
            }
            self.link.disconnect();
            loop {
                let event = self.link.event().await;
                if self.note(event).is_some() {
                    return;
                }
            }
        };
        // a broker that does not answer publishes the last will, which says the same
        let _ = timeout(Duration::from_secs(1), answered).await;
    }
}
