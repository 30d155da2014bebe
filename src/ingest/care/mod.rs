//! What the loop does for residents: each frame of a home is understood in the write that keeps it,
//! and so is each call of an alarm.
//!
//! What the disk has not taken yet is known all the same, and told with what it takes next: a
//! sensor has said it, whether its frame counts or comes again.

mod alarms;
mod answers;
mod home;
mod renewal;
mod time;

use self::alarms::{ALARMS, Alarms};
use self::home::{Home, Kept};
use super::consent::Consents;
use crate::care::escalation::Chain;
use crate::care::{At, Deafness, Heard, Resident};
use crate::clock::Moment;
use crate::store::{Message, RESCUED, Room, State};
use crate::units::{DevEui, PlanName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A gateway that was away for longer may have missed something; one that is started again has
/// missed no more than is lost on the air each day.
const MISSED: Duration = Duration::from_secs(60);

/// After this a log that somebody read from is tried again, and what is much to erase gone on with.
const ERASE_AGAIN: Duration = Duration::from_secs(2);

/// How a tenant's residents are, in numbers that tell of nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CareCounts {
    /// Alarms that are not over.
    pub alarms: u64,
    /// Of these, those that nobody has answered.
    pub unanswered: u64,
    /// Homes of which nothing is read, since consent was withdrawn by a command.
    pub withdrawn: u64,
    /// Homes of which nothing is read, since it is lost whether consent was withdrawn.
    pub consent_lost: u64,
    /// Alarms that rules have raised, and are remembered.
    pub raised: u64,
    /// Of these, those that were over by themselves before anybody can have come.
    pub over_by_themselves: u64,
}

/// A visit that a plan is to have at once, or need not have any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) plan: PlanName,
    pub(super) resident: String,
    pub(super) urgent: bool,
}

/// What is to be kept and told, in one transaction.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) states: Vec<State>,
    pub(super) messages: Vec<Message>,
}

/// The same while it comes about.
#[derive(Debug, Default)]
struct Draft {
    homes: BTreeSet<usize>,
    /// The homes whose consent has changed.
    consents: BTreeSet<usize>,
    alarms: bool,
    /// Whether all is to be kept anew, whatever has changed.
    all: bool,
    messages: Vec<Message>,
}

/// What a tenant of kind care goes by.
#[derive(Debug, Clone, Default)]
pub struct CareRules {
    /// The gateway's name.
    pub gateway: String,
    /// Who is told of alarms, and when.
    pub chain: Chain,
    /// How long what is erased may still lie on the card.
    pub erase_after: Duration,
    /// The plans that have a visit to a resident, by the pseudonym.
    pub plans: HashMap<String, Vec<PlanName>>,
}

/// A tenant's residents.
#[derive(Debug, Default)]
pub struct Care {
    rules: CareRules,
    homes: Vec<Home>,
    /// Whose sensor a device is, and which.
    sensors: HashMap<DevEui, (usize, usize)>,
    alarms: Alarms,
    /// Whether nothing was remembered of them at the start.
    alarms_lost: bool,
    /// What the clock said when it was last looked at; none before the first time.
    seen: Option<(Timestamp, Duration)>,
    /// Whether the clock is trusted.
    trusted: bool,
    /// What is not to be remembered any more.
    forgotten: Vec<(Room, String)>,
    /// Since when nobody hears anything, by the monotonic clock.
    deaf_since: Option<Duration>,
    /// For who plans.
    pub(super) visits: VecDeque<Visit>,
    /// When what was erased is overwritten next, by the monotonic clock.
    erase_at: Option<Duration>,
}

impl Care {
    /// These residents, each with the devices that its sensors are, and what is remembered of them
    /// and of their consent ([`Room::Care`] and [`Room::Consent`]). What cannot be read is forgotten,
    /// but for the consent; and where it is lost who was called to which alarm, somebody is called anew.
    pub fn new(
        rules: CareRules,
        residents: impl IntoIterator<Item = (Resident, Vec<DevEui>)>,
        remembered: impl IntoIterator<Item = (String, String)>,
        consents: impl IntoIterator<Item = (String, String)>,
        now: Moment,
    ) -> Self {
        let mut consents = Consents::of(consents);
        let mut remembered: HashMap<String, String> = remembered.into_iter().collect();
        let alarms = remembered.remove(ALARMS);
        let alarms: Option<Alarms> = alarms.and_then(|body| serde_json::from_str(&body).ok());
        let (mut homes, mut sensors) = (Vec::new(), HashMap::new());
        for (resident, devices) in residents {
            let devices = devices.into_iter().enumerate();
            sensors.extend(devices.map(|(n, device)| (device, (homes.len(), n))));
            let body = remembered.remove(&resident.id);
            let kept: Option<Kept> = body.and_then(|body| serde_json::from_str(&body).ok());
            let consent = consents.take(&resident);
            homes.push(Home::new(Arc::new(resident), consent, kept, now));
        }
        let forgotten = remembered.into_keys().map(|key| (Room::Care, key));
        let forgotten: Vec<_> =
            forgotten.chain(consents.forgotten().map(|key| (Room::Consent, key))).collect();
        let is_anything = !homes.is_empty() || !forgotten.is_empty();
        Self {
            rules,
            homes,
            sensors,
            alarms_lost: alarms.is_none(),
            alarms: alarms.unwrap_or_default(),
            forgotten,
            // what was there before this start, or before consent was withdrawn in the settings
            erase_at: is_anything.then_some(now.monotonic),
            ..Self::default()
        }
    }

    /// Whether what this device says may be read: the first question asked of its frames.
    pub(super) fn admits(&self, device: DevEui) -> bool {
        let home = self.sensors.get(&device).and_then(|(home, _)| self.homes.get(*home));
        home.is_some_and(Home::may_be_heard)
    }

    /// Whether somebody at this gateway can hear. Where nobody could for a while, what is not heard
    /// says nothing of sensors or residents.
    pub(super) fn listen(&mut self, hears: bool, now: Moment) -> Told {
        let mut draft = Draft::default();
        if hears {
            self.deaf_since = None;
        }
        let since = (!hears).then(|| *self.deaf_since.get_or_insert(now.monotonic));
        let is_long = |since| now.monotonic.saturating_sub(since) >= MISSED;
        if hears || since.is_some_and(is_long) {
            self.wake(now, &mut draft);
            for n in 0..self.homes.len() {
                let radio = (!hears).then_some(Deafness::Radio);
                let cause = self.homes[n].deafness().or(radio);
                if self.homes[n].watch.deafness() != cause {
                    let decisions = self.homes[n].watch.deafen(At::from(now.wall), cause);
                    self.take(n, decisions, now, &mut draft);
                }
            }
        }
        self.settle(draft)
    }

    /// How many homes are not heard because somebody withdrew consent by a command, and how many
    /// because what was known of it is lost.
    pub(super) fn unheard(&self) -> (usize, usize) {
        let lost = self.homes.iter().filter(|home| home.consent.is_lost()).count();
        let not_given = self.homes.iter().filter(|home| !home.consent.is_given()).count();
        (not_given - lost, lost)
    }

    /// All that is known: what was kept of it may be lost.
    pub(super) fn anew(&mut self) -> Told {
        self.settle(Draft { all: true, ..Draft::default() })
    }

    /// What kind of sensor it is.
    pub(super) fn kind(&self, device: DevEui) -> Option<crate::care::SensorKind> {
        let (home, sensor) = self.sensors.get(&device)?;
        Some(self.homes.get(*home)?.watch.resident().sensors.get(*sensor)?.kind)
    }

    /// A sensor said this.
    pub(super) fn hear(&mut self, device: DevEui, heard: &[Heard], now: Moment) -> Told {
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        if let Some((home, sensor)) = self.sensors.get(&device).copied() {
            draft.homes.insert(home);
            for heard in heard {
                let decisions = self.homes[home].watch.hear(At::from(now.wall), sensor, *heard);
                self.take(home, decisions, now, &mut draft);
            }
        }
        self.settle(draft)
    }

    /// Does what is due.
    pub(super) fn look(&mut self, now: Moment) -> Told {
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        let at = At::from(now.wall);
        for n in 0..self.homes.len() {
            if self.homes[n].watch.next_look().is_some_and(|next| next <= at) {
                // also where nothing is told: a check may have begun
                draft.homes.insert(n);
                let decisions = self.homes[n].watch.look(at);
                self.take(n, decisions, now, &mut draft);
            }
        }
        if self.alarms.escalation.next_look().is_some_and(|next| next <= at) {
            let calls = self.alarms.escalation.look(&self.rules.chain, at);
            draft.alarms = true;
            for call in calls {
                self.call(&[call], now, &mut draft);
            }
        }
        self.settle(draft)
    }

    /// All that is known, for the last write before a stop: the next start knows when it was.
    pub(super) fn rest(&mut self, now: Moment) -> Told {
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        for n in 0..self.homes.len() {
            let decisions = self.homes[n].watch.look(At::from(now.wall));
            self.take(n, decisions, now, &mut draft);
            draft.homes.insert(n);
        }
        self.settle(draft)
    }

    /// How long nothing is due, by a clock that says this; none if nothing will be.
    pub(super) fn patience(&self, now: Moment) -> Option<Duration> {
        let homes = self.homes.iter().filter_map(|home| home.watch.next_look());
        let next = homes.chain(self.alarms.escalation.next_look()).min();
        let next = next.map(|at| {
            let wait = at.timestamp().duration_since(now.wall);
            Duration::try_from(wait).unwrap_or_default()
        });
        let erased = self.erase_at.map(|at| at.saturating_sub(now.monotonic));
        next.into_iter().chain(erased).min()
    }

    /// How it is, in numbers.
    pub(super) fn counts(&self) -> CareCounts {
        let (withdrawn, consent_lost) = self.unheard();
        let sums = self.homes.iter().map(|home| home.ledger.sum());
        let (raised, over_by_themselves) =
            sums.fold((0, 0), |sum, of| (sum.0 + u64::from(of.0), sum.1 + u64::from(of.1)));
        CareCounts {
            alarms: self.alarms.escalation.open() as u64,
            unanswered: self.alarms.escalation.unanswered() as u64,
            withdrawn: withdrawn as u64,
            consent_lost: consent_lost as u64,
            raised,
            over_by_themselves,
        }
    }

    /// Whether what was erased is to be overwritten now.
    pub(super) fn erases(&self, now: Moment) -> bool {
        self.erase_at.is_some_and(|at| at <= now.monotonic)
    }

    /// Whether that worked.
    pub(super) fn erased(&mut self, worked: bool, now: Moment) {
        let after = if worked { self.rules.erase_after } else { ERASE_AGAIN };
        let is_more = !worked || !self.homes.is_empty();
        self.erase_at = is_more.then_some(now.monotonic + after);
    }

    fn home(&self, resident: &str) -> Option<usize> {
        self.homes.iter().position(|home| home.agreed.id == resident)
    }

    /// What is to be kept of it.
    fn settle(&mut self, draft: Draft) -> Told {
        let state = |key: &str, body: String| State { room: Room::Care, key: key.to_owned(), body };
        let mut states = Vec::new();
        for (n, home) in self.homes.iter().enumerate() {
            let resident = &home.agreed.id;
            if draft.all || draft.homes.contains(&n) {
                states.push(state(resident, json(&home.kept())));
            }
            if draft.all || draft.consents.contains(&n) {
                states.push(home.consent.state(resident));
            }
        }
        if draft.all || draft.alarms {
            states.push(state(ALARMS, json(&self.alarms)));
        }
        // nothing is left of who is cared for no longer; and of all others all is known again
        let known = draft.all.then(|| (Room::Consent, RESCUED.to_owned()));
        let gone = self.forgotten.drain(..).chain(known);
        states.extend(gone.map(|(room, key)| State { room, key, body: String::new() }));
        Told { states, messages: draft.messages }
    }
}

fn json(kept: &impl Serialize) -> String {
    serde_json::to_string(kept).expect("what is remembered is a plain struct")
}
