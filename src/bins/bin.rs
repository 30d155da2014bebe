//! What is known of a bin, in constant memory, and what each uplink changes.

use super::battery::Battery;
use super::days::Days;
use super::due::Due;
use super::emptying::Readings;
use super::heat::Heat;
use super::hours::Hours;
use super::input::Input;
use super::outcome::{Alarm, Outcome};
use super::packed::is_default;
use super::posture::{Posture, Stand};
use super::rules::Rules;
use super::shelf::Shelf;
use super::silence::Silence;
use crate::units::Ratio;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3_600;

/// A day of waste begins then, in seconds after midnight: nobody brings any at night.
pub(super) const MORNING: i64 = 5 * HOUR;
/// A level that is older than this, in seconds, grows by what is expected.
pub(super) const ESTIMATED: i64 = 6 * HOUR;
/// One that was silent for so many times as long as it takes to be lost needs to be listened to for
/// that part of it alone after the gateway was off.
const RESTARTS: i64 = 3;
/// Who is hot and then silent for so many of its intervals may have burnt.
const PATIENCE: f64 = 1.5;

/// What is known of a bin. It serialises to less than 2 KiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// Which geometry it is of; in another what is known means something else. 0 is unknown.
    #[serde(default)]
    pub(super) mark: u32,
    /// Whether the sensor tells the level itself.
    pub(super) told: bool,
    /// When it was heard last, and by which clock.
    pub(super) at: i64,
    pub(super) synced: bool,
    /// When it was heard of first, by a clock that could be trusted.
    pub(super) first: Option<i64>,
    /// The level that is believed, as a part of the height, when it was seen, and whether that was
    /// by a clock that nobody had set.
    pub(super) part: Option<f32>,
    pub(super) seen: i64,
    #[serde(rename = "v", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) seen_unsynced: bool,
    /// So many readings in a row were of the other kind of sensor.
    #[serde(rename = "k", default, skip_serializing_if = "is_default")]
    pub(super) strange: u8,
    /// When it was emptied last.
    pub(super) emptied: Option<i64>,
    pub(super) readings: Readings,
    pub(super) hours: Hours,
    /// The day of waste that has begun, and the surface then; none if it teaches nothing.
    pub(super) morning: Option<(i64, f32)>,
    pub(super) days: Days,
    pub(super) shelf: Shelf,
    pub(super) heat: Heat,
    pub(super) stand: Stand,
    pub(super) battery: Battery,
    pub(super) silence: Silence,
    pub(super) due: Due,
    /// How often a compactor has pressed.
    pub(super) presses: Option<u32>,
}

impl Bin {
    /// One that nothing is known of.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self {
            mark: rules.geometry.mark(),
            told: false,
            at: i64::MIN,
            synced: false,
            first: None,
            part: None,
            seen: 0,
            seen_unsynced: false,
            strange: 0,
            emptied: None,
            readings: Readings::default(),
            hours: Hours::default(),
            morning: None,
            days: Days::default(),
            shelf: Shelf::default(),
            heat: Heat::default(),
            stand: Stand::default(),
            battery: Battery::default(),
            silence: Silence::default(),
            due: Due::No,
            presses: None,
        }
    }

    /// When it was emptied last, if that was seen.
    #[must_use]
    pub fn emptied(&self) -> Option<Timestamp> {
        self.emptied.and_then(|at| Timestamp::from_second(at).ok())
    }

    /// When it was heard of first, by a clock that could be trusted: since then it is watched.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.first.and_then(|at| Timestamp::from_second(at).ok())
    }

    /// What it looks like.
    #[must_use]
    pub fn posture(&self) -> Posture {
        self.stand.posture
    }

    /// Whether it burns, as far as is known.
    #[must_use]
    pub fn burns(&self) -> bool {
        self.heat.burns()
    }

    /// Whether its echoes come from a fixed part.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.shelf.is_fixed()
    }

    /// What is due.
    #[must_use]
    pub fn due(&self) -> Due {
        self.due
    }

    /// In how many days its battery is empty; none if it does not fall, or too little is known.
    #[must_use]
    pub fn battery_days(&self, rules: &Rules) -> Option<f64> {
        self.battery.days(rules.flat)
    }

    /// How often it reports, as learned; none before its second frame.
    #[must_use]
    pub fn interval(&self) -> Option<SignedDuration> {
        self.silence.interval().map(SignedDuration::from_secs_f64)
    }

    /// What part of its frames arrives, of late.
    #[must_use]
    pub fn delivery(&self) -> Ratio {
        Ratio(self.silence.delivery())
    }

    /// From then on, if nothing is heard before, its sensor is lost.
    #[must_use]
    pub fn lost_at(&self, rules: &Rules, listening: Timestamp) -> Option<Timestamp> {
        let after = self.silence.lost_after(self.every(rules)) as i64;
        let known = self.at != i64::MIN && self.synced;
        let listening = listening.as_second();
        let since = self.at.max(listening);
        // a gateway that is started anew each night listens long enough, too
        let often = self.at.saturating_add(after.saturating_mul(RESTARTS));
        let often = often.max(listening.saturating_add(after / RESTARTS));
        let lost = since.saturating_add(after).min(often);
        known.then(|| Timestamp::from_second(lost).ok()).flatten()
    }

    /// Takes an uplink.
    pub fn offer(&mut self, rules: &Rules, input: &Input) -> Outcome {
        let at = input.at.as_second();
        match (self.synced, input.synced) {
            (true, false) => self.lose_time(),
            (false, true) => self.set_clock(rules, at),
            _ => {}
        }
        let fire = self.heat.feel(at, self.patient(rules), input.temperature, input.fire);
        let posture = self.stand.see(input);
        let tilt = posture.is_some_and(|p| matches!(p, Posture::Dropped | Posture::Moved));
        let alarm = match (fire, tilt) {
            (true, _) => Some(Alarm::Fire),
            (false, true) => Some(Alarm::Tilt),
            _ => None,
        };
        let (trust, echo, emptied) = self.level(rules, input, at);
        let fill = self.fill(rules, input.at);
        let old = self.is_old(rules, at);
        let due = self.due.after(fill, old, rules.levels());
        let new = (due != self.due).then_some(due);
        self.due = due;
        Outcome { fill, trust, echo, alarm, posture, emptied, due: new }
    }

    pub(super) fn is_old(&self, rules: &Rules, at: i64) -> bool {
        let since = self.emptied.max(self.first);
        rules
            .most_days
            .zip(since)
            .is_some_and(|(most, since)| self.synced && (at - since) as f64 >= most * DAY as f64)
    }

    /// How full it is now: as it was seen last, and what is expected to have come since then where
    /// it cannot be seen.
    #[must_use]
    pub fn fill(&self, rules: &Rules, now: Timestamp) -> Option<Ratio> {
        let part = self.expected_part(rules, now.as_second())?;
        Some(rules.geometry.fill(rules.geometry.surface(part)))
    }

    /// Whether that is an estimate rather than what was seen.
    #[must_use]
    pub fn is_estimated(&self, now: Timestamp) -> bool {
        now.as_second() - self.seen > ESTIMATED
    }

    /// How often it reports, in seconds.
    pub(super) fn every(&self, rules: &Rules) -> Option<f64> {
        rules.interval.map(|interval| interval.as_secs_f64()).or(self.silence.interval())
    }

    /// What is due by the mere passing of time, if that is new.
    pub(super) fn pass(&mut self, rules: &Rules, now: Timestamp) -> Option<Due> {
        let at = now.as_second();
        if self.at == i64::MIN || !self.synced || at <= self.at {
            return None;
        }
        let due = self.due.after(self.fill(rules, now), self.is_old(rules, at), rules.levels());
        let is_new = due != self.due;
        self.due = due;
        is_new.then_some(due)
    }

    /// Whether a fire begins by silence: one hot reading may be a wrong byte, and then the next
    /// one says so; but a sensor may burn with its bin.
    pub(super) fn wait(&mut self, rules: &Rules, now: i64, listening: i64) -> bool {
        let every = self.patient(rules).max(HOUR as f64 / 2.0);
        self.heat.wait(now, listening, (every * PATIENCE) as i64)
    }

    /// Somebody was there after it began to burn: whether a fire ends by that.
    pub(super) fn put_out(&mut self, at: i64) -> bool {
        self.heat.put_out(at)
    }

    /// What was heard by a clock that nobody had set counts as heard just now, once it is set: not
    /// a level that had been seen before.
    pub(super) fn trust(&mut self, rules: &Rules, now: Timestamp) {
        if self.at != i64::MIN && !self.synced {
            let at = now.as_second();
            self.set_clock(rules, at);
            self.begin_again(rules, at);
            (self.at, self.synced) = (at, true);
            if std::mem::take(&mut self.seen_unsynced) {
                self.seen = at;
            }
        }
    }

    /// Nobody knows how much time has passed: after a power cut a clock goes on where it was, and
    /// hours of sun look like the minutes of a fire.
    fn lose_time(&mut self) {
        self.heat.forget_slope();
    }

    /// The gateway was off, and it may have been its only clock: nobody knows for how long.
    pub(super) fn resume(&mut self) {
        if !self.synced {
            self.lose_time();
            self.seen_unsynced = false;
        }
    }

    /// The clock is set: what was felt last was felt an interval before now.
    fn set_clock(&mut self, rules: &Rules, now: i64) {
        if self.at != i64::MIN {
            let before = now.saturating_sub(self.patient(rules) as i64);
            self.heat.shift(before.saturating_sub(self.at));
        }
    }

    /// How often it reports, in seconds, as far as a fire is concerned.
    fn patient(&self, rules: &Rules) -> f64 {
        self.every(rules).or(self.heat.gap()).unwrap_or(HOUR as f64)
    }

    /// Somebody says that it was emptied then, and nobody sees whether that is so.
    pub(super) fn believe_empty(&mut self, at: i64) {
        self.note_emptied(at);
        if self.part.is_some() && at >= self.seen {
            (self.part, self.seen, self.seen_unsynced) = (Some(0.0), at, false);
        }
    }

    /// Somebody says that it was emptied then, and nothing speaks against it.
    pub(super) fn note_emptied(&mut self, at: i64) {
        self.emptied = self.emptied.max(Some(at));
        self.stand.ask_again();
    }
}
