//! What the loop does for residents: each frame of a home is understood in the write that keeps it,
//! and so is each call of an alarm.
//!
//! What the disk has not taken yet is known all the same, and told with what it takes next: a
//! sensor has said it, whether its frame counts or comes again.

use super::consent::{Consent, Consents};
use crate::care::escalation::{Call, Chain, Escalation, Role};
use crate::care::ledger::Ledger;
use crate::care::{
    At, Deafness, Decision, Heard, Kind, Memory, Mode, Outcome, Resident, Span, Stay, Watch,
};
use crate::clock::{ClockQuality, Moment};
use crate::store::{Message, RESCUED, Room, State};
use crate::units::{DevEui, PlanName};
use crate::upstream::command::Person;
use crate::upstream::event::care::{self, Case};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Where the alarms that wait for an answer are remembered: no pseudonym has such a name.
const ALARMS: &str = "/alarms";

/// A clock that differs by so much from what has passed was set.
const STEP: SignedDuration = SignedDuration::from_secs(2);

/// A gateway that was away for longer may have missed something; one that is started again has
/// missed no more than is lost on the air each day.
const MISSED: Duration = Duration::from_secs(60);

/// A log that somebody reads from is tried again after this.
const ERASE_AGAIN: Duration = Duration::from_secs(5);

/// A resident's home.
#[derive(Debug)]
struct Home {
    /// All that was agreed, as the settings have it.
    agreed: Arc<Resident>,
    watch: Watch,
    /// Which rule cried for nothing.
    ledger: Ledger,
    /// Who consents, as far as the settings ask them.
    consent: Consent,
    /// Whether it goes on with what was remembered.
    restored: bool,
}

/// What is remembered of a home.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Nothing of who does not consent.
    memory: Option<Memory>,
    ledger: Ledger,
}

/// The alarms that somebody has to answer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Alarms {
    escalation: Escalation,
    /// What each is about, by its name.
    cases: BTreeMap<String, Case>,
}

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
    erase_at: Duration,
}

impl Care {
    /// These residents, each with the devices that its sensors are, and what is remembered of them
    /// and of their consent ([`Room::Care`] and [`Room::Consent`]). What cannot be read is forgotten,
    /// but for the consent.
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
        let alarms = alarms.and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default();
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
        Self {
            rules,
            homes,
            sensors,
            alarms,
            forgotten: forgotten
                .chain(consents.forgotten().map(|key| (Room::Consent, key)))
                .collect(),
            // what was there before this start, or before consent was withdrawn in the settings
            erase_at: now.monotonic,
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
        if self.homes.is_empty() {
            return None;
        }
        let homes = self.homes.iter().filter_map(|home| home.watch.next_look());
        let next = homes.chain(self.alarms.escalation.next_look()).min();
        let next = next.map(|at| {
            let wait = at.timestamp().duration_since(now.wall);
            Duration::try_from(wait).unwrap_or_default()
        });
        let erased = self.erase_at.saturating_sub(now.monotonic);
        Some(next.map_or(erased, |next| next.min(erased)))
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
        !self.homes.is_empty() && self.erase_at <= now.monotonic
    }

    /// Whether that worked.
    pub(super) fn erased(&mut self, worked: bool, now: Moment) {
        self.erase_at = now.monotonic + if worked { self.rules.erase_after } else { ERASE_AGAIN };
    }

    /// Somebody answers an alarm; whether there is one.
    pub(super) fn acknowledge(
        &mut self,
        alarm: &str,
        by: Role,
        done: bool,
        now: Moment,
    ) -> Option<Told> {
        self.alarms.cases.get(alarm)?;
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        // it may have ended by that, which is to be told all the same
        let Some(case) = self.alarms.cases.get(alarm).cloned() else {
            return Some(self.settle(draft));
        };
        draft.alarms = true;
        if done {
            if let Some(n) = self.home(&case.resident) {
                self.homes[n].ledger.interrupt(Some(&case.rule));
                draft.homes.insert(n);
            }
            let over = case.closed("besökt och avslutat", "visited and closed");
            self.close(alarm, &over, now, &mut draft);
        } else {
            let at = At::from(now.wall);
            let calls = self.alarms.escalation.acknowledge(&self.rules.chain, alarm, by, at);
            self.call(&calls, now, &mut draft);
        }
        Some(self.settle(draft))
    }

    /// Somebody at this machine answers all alarms.
    pub(super) fn acknowledge_all(&mut self, now: Moment) -> Told {
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        let alarms: Vec<String> = self.alarms.cases.keys().cloned().collect();
        for alarm in alarms {
            let (chain, at) = (&self.rules.chain, At::from(now.wall));
            let by = Role::PatrolLead;
            let calls = self.alarms.escalation.acknowledge(chain, &alarm, by, at);
            draft.alarms |= !calls.is_empty() || self.alarms.escalation.is_open(&alarm);
            self.call(&calls, now, &mut draft);
        }
        self.settle(draft)
    }

    /// Staff is there, or the resident is away, until then; or not any more. None if there is no
    /// such resident.
    pub(super) fn be(
        &mut self,
        resident: &str,
        staff: bool,
        until: Option<Timestamp>,
        now: Moment,
    ) -> Option<Told> {
        let n = self.home(resident)?;
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        draft.homes.insert(n);
        let at = At::from(now.wall);
        let stay = until.map(|until| Stay::new(at, At::from(until)));
        let mode = match stay {
            None => Mode::Home,
            Some(stay) if staff => Mode::Staff(stay),
            Some(stay) => Mode::Away(stay),
        };
        if until.is_some() {
            self.homes[n].ledger.interrupt(None);
        }
        let decisions = self.homes[n].watch.set_mode(at, mode);
        self.take(n, decisions, now, &mut draft);
        if until.is_some() {
            // who is there sees for themselves, and who is away is not missed
            self.close_all(
                resident,
                "personal på plats eller borta",
                "staff there, or away",
                now,
                &mut draft,
            );
        }
        Some(self.settle(draft))
    }

    /// Consent is given or withdrawn; whether what is said in that home is read from now on. None if
    /// there is no such resident; false if the settings say that there is none.
    pub(super) fn consent(
        &mut self,
        resident: &str,
        who: Person,
        given: bool,
        now: Moment,
    ) -> Option<Result<(Told, bool), ()>> {
        let n = self.home(resident)?;
        if given && !self.homes[n].agreed.consent {
            return Some(Err(()));
        }
        let mut draft = Draft::default();
        self.wake(now, &mut draft);
        let home = &mut self.homes[n];
        let before = home.standing();
        if home.consent.change(who, given) {
            draft.consents.insert(n);
        }
        let is_heard = home.may_be_heard();
        if home.standing() == before {
            return Some(Ok((self.settle(draft), is_heard)));
        }
        *home = Home::new(Arc::clone(&home.agreed), home.consent.clone(), None, now);
        self.consented(n, now, &mut draft);
        Some(Ok((self.settle(draft), is_heard)))
    }

    /// Consent was given or withdrawn, by whom ever: the watch begins, or all about it ends.
    fn consented(&mut self, n: usize, now: Moment, draft: &mut Draft) {
        let resident = self.homes[n].agreed.id.clone();
        let is_heard = self.homes[n].may_be_heard();
        let at = At::from(now.wall);
        let decisions = self.homes[n].watch.trust_clock(at, self.trusted);
        self.take(n, decisions, now, draft);
        if !is_heard {
            self.close_all(&resident, "samtycket återkallat", "consent withdrawn", now, draft);
            // at once, and not after its time
            self.erase_at = now.monotonic;
        }
        let (sv, en) = match is_heard {
            true => ("samtycke lämnat, tillsynen har börjat", "consent given, checks have begun"),
            false => (
                "samtycket återkallat, ingen tillsyn görs och inget larm kommer",
                "consent withdrawn, no checks are made and no alarm comes",
            ),
        };
        let case = Case::about(&resident, "consent", sv, en);
        draft.messages.push(care::decided(&self.rules.gateway, &case, Kind::Warning, now));
        draft.homes.insert(n);
    }

    /// From now on these are the residents, and these the rules. Who is among them still goes on
    /// with what is known, and the alarms stay; what was due by the rules of before is decided by
    /// them. Of those who are new holds what is kept of their consent ([`Room::Consent`]).
    pub(super) fn renew(
        &mut self,
        rules: CareRules,
        residents: impl IntoIterator<Item = (Resident, Vec<DevEui>)>,
        consents: impl IntoIterator<Item = (String, String)>,
        now: Moment,
    ) -> Told {
        let mut told = self.look(now);
        let mut consents = Consents::of(consents);
        let before = std::mem::take(&mut self.homes).into_iter();
        let mut before: HashMap<_, _> = before.map(|home| (home.agreed.id.clone(), home)).collect();
        self.rules = rules;
        self.sensors.clear();
        // how their consent stood before
        let mut others: Vec<(usize, Option<(bool, bool)>)> = Vec::new();
        for (n, (resident, devices)) in residents.into_iter().enumerate() {
            let devices = devices.into_iter().enumerate();
            self.sensors.extend(devices.map(|(sensor, device)| (device, (n, sensor))));
            let home = match before.remove(&resident.id) {
                Some(home) if *home.agreed == resident => home,
                Some(home) => {
                    others.push((n, Some(home.standing())));
                    let kept = home.kept();
                    Home::new(Arc::new(resident), home.consent, Some(kept), now)
                }
                None => {
                    others.push((n, None));
                    let consent = consents.take(&resident);
                    Home::new(Arc::new(resident), consent, None, now)
                }
            };
            self.homes.push(home);
        }
        let (mut draft, at) = (Draft::default(), At::from(now.wall));
        for (gone, home) in before {
            // who was called to them hears that it is over
            self.close_all(
                &gone,
                "vårdas inte längre här",
                "not cared for any more",
                now,
                &mut draft,
            );
            self.erase_at = now.monotonic;
            // what was withdrawn stays so, should they come back
            if home.consent.is_given() {
                self.forgotten.push((Room::Consent, gone.clone()));
            }
            self.forgotten.push((Room::Care, gone));
        }
        for (n, before) in others {
            draft.homes.insert(n);
            let cause = self.homes[n].deafness();
            if cause.is_some() {
                let decisions = self.homes[n].watch.deafen(at, cause);
                self.take(n, decisions, now, &mut draft);
            }
            if before.is_some_and(|before| before != self.homes[n].standing()) {
                self.consented(n, now, &mut draft);
            } else {
                let decisions = self.homes[n].watch.trust_clock(at, self.trusted);
                self.take(n, decisions, now, &mut draft);
            }
            let decisions = self.homes[n].watch.look(at);
            self.take(n, decisions, now, &mut draft);
        }
        let Told { states, messages } = self.settle(draft);
        told.states.extend(states);
        told.messages.extend(messages);
        told
    }

    fn home(&self, resident: &str) -> Option<usize> {
        self.homes.iter().position(|home| home.agreed.id == resident)
    }

    /// What has to be known before anything is decided at this time.
    fn wake(&mut self, now: Moment, draft: &mut Draft) {
        let known = now.quality != ClockQuality::Unsynced;
        match self.seen.replace((now.wall, now.monotonic)) {
            None => {
                self.trusted = known;
                self.begin(now, draft);
            }
            Some((wall, monotonic)) => {
                let passed = now.monotonic.saturating_sub(monotonic);
                let expected = wall.checked_add(passed).unwrap_or(Timestamp::MAX);
                let by = now.wall.duration_since(expected);
                let trusted = known || self.trusted && by.abs() < STEP;
                if by.abs() >= STEP {
                    self.step(expected, now, draft);
                }
                // a clock that was set goes on well without anybody to ask, as long as nobody sets it
                if trusted != self.trusted {
                    self.trusted = trusted;
                    self.trust(now, draft);
                }
            }
        }
    }

    /// The first look after a start.
    fn begin(&mut self, now: Moment, draft: &mut Draft) {
        let at = At::from(now.wall);
        // also so that nothing stays of who does not consent any more
        draft.all = true;
        let known = self.homes.iter().filter(|home| home.restored).map(|home| home.watch.now());
        if let Some(was) = known.max().filter(|was| at < *was) {
            self.alarms.escalation.step(at.0.saturating_sub(was.0));
            draft.alarms = true;
        }
        for n in 0..self.homes.len() {
            let cause = self.homes[n].deafness();
            let Home { watch, restored, .. } = &mut self.homes[n];
            if cause.is_some() {
                let decisions = watch.deafen(at.max(watch.now()), cause);
                self.take(n, decisions, now, draft);
                continue;
            }
            if !*restored || !watch.resident().consent {
                continue;
            }
            let was = watch.now();
            let mut decisions = Vec::new();
            if at < was {
                // written down by a clock that was ahead, or this one is behind: what comes now is
                // none the less new
                decisions.append(&mut watch.step(at.0.saturating_sub(was.0)));
                decisions.append(&mut watch.was_deaf(Span { from: at, to: at }));
            } else if !self.trusted || at.since(was) > MISSED {
                decisions.append(&mut watch.was_deaf(Span { from: was, to: at.max(was) }));
            }
            self.take(n, decisions, now, draft);
        }
        self.trust(now, draft);
        for n in 0..self.homes.len() {
            let decisions = self.homes[n].watch.look(at);
            self.take(n, decisions, now, draft);
        }
        // nobody answers for who is cared for no longer
        let gone = |case: &Case| self.homes.iter().all(|home| home.agreed.id != case.resident);
        let gone: Vec<String> = self
            .alarms
            .cases
            .iter()
            .filter(|(_, case)| gone(case))
            .map(|(alarm, _)| alarm.clone())
            .collect();
        for alarm in gone {
            self.alarms.cases.remove(&alarm);
            self.alarms.escalation.close(&alarm);
            draft.alarms = true;
        }
        // an order that was under way may be lost; who asks twice has asked once
        let open: BTreeSet<String> =
            self.alarms.cases.values().map(|case| case.resident.clone()).collect();
        open.iter().for_each(|resident| self.visit(resident, true));
    }

    fn trust(&mut self, now: Moment, draft: &mut Draft) {
        for n in 0..self.homes.len() {
            let decisions = self.homes[n].watch.trust_clock(At::from(now.wall), self.trusted);
            self.take(n, decisions, now, draft);
        }
    }

    /// The clock was set, and would have said `expected`.
    fn step(&mut self, expected: Timestamp, now: Moment, draft: &mut Draft) {
        let at = At::from(now.wall);
        let by = at.0.saturating_sub(At::from(expected).0);
        for n in 0..self.homes.len() {
            let Home { watch, ledger, .. } = &mut self.homes[n];
            ledger.interrupt(None);
            // what was due before it was set
            let mut decisions = watch.look(At::from(expected));
            decisions.append(&mut watch.step(at.0.saturating_sub(watch.now().0)));
            draft.homes.insert(n);
            self.take(n, decisions, now, draft);
        }
        self.alarms.escalation.step(by);
        draft.alarms |= !self.alarms.cases.is_empty();
    }

    /// What was decided becomes what is told.
    fn take(&mut self, n: usize, decisions: Vec<Decision>, now: Moment, draft: &mut Draft) {
        let resident = Arc::clone(self.homes[n].watch.resident());
        for decision in decisions {
            draft.homes.insert(n);
            self.homes[n].ledger.note(&decision);
            let mut case = Case::of(&resident, &decision);
            let named = |at: At| care::name(&resident.id, &decision.rule, at);
            match decision.kind {
                Kind::Check if decision.outcome == Some(Outcome::Confirmed) => {
                    draft.messages.push(care::check(&resident, &decision, None, now));
                }
                Kind::Check => {
                    let alarm = named(decision.agreed.unwrap_or(decision.at));
                    draft.messages.push(care::check(&resident, &decision, Some(&alarm), now));
                    self.raise(&alarm, Role::PatrolLead, case, now, draft);
                }
                Kind::Alarm => {
                    self.raise(&named(decision.at), Role::Primary, case, now, draft);
                }
                Kind::Cleared => {
                    case = case.with_account(&self.homes[n].ledger, &resident);
                    let is_its =
                        |known: &Case| known.resident == case.resident && known.rule == case.rule;
                    let open = self.alarms.cases.iter().find(|(_, known)| is_its(known));
                    match open.map(|(alarm, _)| alarm.clone()) {
                        Some(alarm) => self.close(&alarm, &case, now, draft),
                        None => self.tell(&case, decision.kind, now, draft),
                    }
                }
                Kind::Fault | Kind::Warning => self.tell(&case, decision.kind, now, draft),
            }
        }
    }

    fn tell(&self, case: &Case, kind: Kind, now: Moment, draft: &mut Draft) {
        draft.messages.push(care::decided(&self.rules.gateway, case, kind, now));
    }

    fn raise(&mut self, alarm: &str, first: Role, case: Case, now: Moment, draft: &mut Draft) {
        let at = At::from(now.wall);
        let calls = self.alarms.escalation.raise(&self.rules.chain, alarm, first, at);
        draft.messages.extend(care::called(&self.rules.gateway, &case, &calls, now));
        draft.alarms = true;
        self.visit(&case.resident, true);
        if self.alarms.escalation.is_open(alarm) {
            self.alarms.cases.insert(alarm.to_owned(), case);
        }
    }

    /// An alarm is over, as this says.
    fn close(&mut self, alarm: &str, over: &Case, now: Moment, draft: &mut Draft) {
        let calls = self.alarms.escalation.close(alarm);
        self.alarms.cases.remove(alarm);
        draft.messages.extend(care::called(&self.rules.gateway, over, &calls, now));
        draft.alarms = true;
        if self.alarms.cases.values().all(|case| case.resident != over.resident) {
            self.visit(&over.resident, false);
        }
    }

    /// All alarms of a resident are over.
    fn close_all(&mut self, resident: &str, sv: &str, en: &str, now: Moment, draft: &mut Draft) {
        let theirs = self.alarms.cases.iter().filter(|(_, case)| case.resident == resident);
        let theirs: Vec<_> =
            theirs.map(|(alarm, case)| (alarm.clone(), case.clone().closed(sv, en))).collect();
        for (alarm, over) in theirs {
            self.close(&alarm, &over, now, draft);
        }
    }

    /// Tells who is to be told by these calls of one alarm.
    fn call(&self, calls: &[Call], now: Moment, draft: &mut Draft) {
        let Some(case) = calls.first().and_then(|call| self.alarms.cases.get(&call.alarm)) else {
            return;
        };
        draft.messages.extend(care::called(&self.rules.gateway, case, calls, now));
    }

    fn visit(&mut self, resident: &str, urgent: bool) {
        for plan in self.rules.plans.get(resident).into_iter().flatten() {
            let (plan, resident) = (plan.clone(), resident.to_owned());
            self.visits.push_back(Visit { plan, resident, urgent });
        }
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

impl Home {
    fn new(agreed: Arc<Resident>, consent: Consent, kept: Option<Kept>, now: Moment) -> Self {
        let at = At::from(now.wall);
        // whose consent is not known is not heard, and missed at each check
        let is_watched = agreed.consent && (consent.is_given() || consent.is_lost());
        let resident = Arc::new(Resident { consent: is_watched, ..(*agreed).clone() });
        let Kept { memory, ledger } = kept.unwrap_or_default();
        let restored = memory.map(|memory| Watch::restore(Arc::clone(&resident), memory, at));
        // what was heard before its consent was lost is not gone on with
        let restored = restored
            .filter(|watch| !consent.is_lost() || watch.deafness() == Some(Deafness::Consent));
        let ledger = if restored.is_some() { ledger } else { Ledger::default() };
        let is_restored = restored.is_some();
        let watch = restored.unwrap_or_else(|| Watch::new(resident, at));
        Self { agreed, watch, ledger, consent, restored: is_restored }
    }

    /// Whether what its sensors say may be read.
    fn may_be_heard(&self) -> bool {
        self.agreed.consent && self.consent.is_given()
    }

    fn standing(&self) -> (bool, bool) {
        (self.may_be_heard(), self.consent.is_lost())
    }

    /// Why nothing is heard of it, whatever the radios do.
    fn deafness(&self) -> Option<Deafness> {
        self.consent.is_lost().then_some(Deafness::Consent)
    }

    fn kept(&self) -> Kept {
        if !self.watch.resident().consent {
            return Kept::default();
        }
        Kept { memory: Some(self.watch.memory()), ledger: self.ledger.clone() }
    }
}

fn json(kept: &impl Serialize) -> String {
    serde_json::to_string(kept).expect("what is remembered is a plain struct")
}
