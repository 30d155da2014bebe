//! What is known of a bin, in constant memory, and what each uplink changes.

use super::battery::Battery;
use super::days::Days;
use super::due::Due;
use super::emptying::{Fall, Readings, Seen};
use super::geometry::Geometry;
use super::heat::Heat;
use super::hours::Hours;
use super::input::{Echo, Input};
use super::posture::{Posture, Stand};
use super::shelf::Shelf;
use super::silence::Silence;
use crate::units::{Metres, Ratio, Volts};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3_600;

/// A day of waste begins then, in seconds after midnight: nobody brings any at night.
pub(super) const MORNING: i64 = 5 * HOUR;
/// Days that had an emptying from so many seconds before them on teach nothing about what comes.
const AROUND: i64 = 8 * HOUR;

/// Readings that come in out of order are not farther apart than this, in seconds. One that is
/// older than the one before by more shows that the clock was wrong then.
const DISORDER: i64 = HOUR;
/// Readings that are farther apart than this, in seconds, have nothing in common.
const APART: i64 = 30 * DAY;

/// A fall by this part of the depth is an emptying, but no less than the one and no more than the
/// other: what settles or is pressed falls less.
const FALL: f64 = 0.18;
const LEAST_FALL: f64 = 0.2;
const MOST_FALL: f64 = 0.3;
/// A rise by this part of the depth at once may be a bag before the sensor.
const RISE: f64 = 0.25;
/// After an emptying that leaves more than this part, it was partial.
const PARTIAL: f64 = 0.15;
/// How sure an emptying is where a fixed echo is known, or where one may be.
const AT_SHELF: f64 = 0.35;
const NEAR_SHELF: f64 = 0.7;
/// And where the surface only came back to where it had been, or when no crew is out.
const CAME_BACK: f64 = 0.8;
const AT_NIGHT: f64 = 0.6;
/// Crews are out from six to eight in the evening, in seconds after five.
const DAYTIME: std::ops::Range<i64> = HOUR..15 * HOUR;
/// From this part of wrong echoes on there may be one.
const MAY_BE_SHELF: f32 = 0.03;
/// From this part of the height on a bin is as good as full.
const RIM: f64 = 0.9;

/// Steps to the farthest echo: what fits in a byte, with some left.
const STEPS: f64 = 250.0;

/// What is settled about a bin beforehand.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where its sensor hangs.
    pub geometry: Geometry,
    /// From these levels on it may and must be emptied.
    pub may: Ratio,
    /// See `may`.
    pub must: Ratio,
    /// It must be emptied when so many days have passed since the last time, however empty.
    pub most_days: Option<f64>,
    /// Where its days begin.
    pub zone: TimeZone,
    /// What part of a bin comes in a day, at others like it: it counts until more is known.
    pub usual: Ratio,
    /// At this voltage its battery is empty.
    pub flat: Volts,
    /// How often it reports; learned if nobody says so.
    pub interval: Option<SignedDuration>,
}

impl Rules {
    /// Those of a bin that nothing but its geometry is known of.
    #[must_use]
    pub fn new(geometry: Geometry, zone: TimeZone) -> Self {
        Self {
            geometry,
            may: Ratio(0.6),
            must: Ratio(0.85),
            most_days: None,
            zone,
            usual: Ratio(0.1),
            flat: Volts(3.0),
            interval: None,
        }
    }

    /// Metres in a step: a centimetre, unless the bin is very deep.
    pub(super) fn step(&self) -> f64 {
        let hundredths = (self.geometry.farthest() * 100.0 / STEPS).ceil();
        hundredths.clamp(1.0, 1000.0) / 100.0
    }

    fn in_steps(&self, metres: f64) -> f64 {
        metres / self.step()
    }

    /// The depth in steps.
    pub(super) fn depth(&self) -> f64 {
        self.in_steps(self.geometry.depth.0).max(1.0)
    }

    /// When a bin was emptied between two readings, and whether crews were out then. That is when
    /// the second was heard, unless they were out after the first, and no more.
    fn emptied(&self, before: i64, seen: i64) -> (i64, bool) {
        let (_, began) = self.day(seen);
        if DAYTIME.contains(&(seen - began)) {
            return (seen, true);
        }
        let (_, began) = self.day(before);
        let until = began + DAYTIME.end;
        if before < until && until <= seen && seen - before < DAY {
            return (before.midpoint(until), true);
        }
        (seen, false)
    }

    /// The day of waste that a time is in, and when it began, in seconds since 1970.
    pub(super) fn day(&self, at: i64) -> (i64, i64) {
        let stamp = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        let ahead = i64::from(self.zone.to_offset(stamp).seconds());
        let day = (at + ahead - MORNING).div_euclid(DAY);
        (day, day * DAY + MORNING - ahead)
    }
}

/// How far a level can be trusted: three of the values of resource 6042 in OMA LwM2M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The sensor said so, and nothing speaks against it.
    Accepted,
    /// It may be otherwise: a fixed echo, a bag, a single reading.
    Suspect,
    /// The sensor said nothing that can be of this bin; the level is what is expected.
    Rejected,
}

/// What an echo came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EchoFrom {
    /// The waste, as far as is known.
    Ok,
    /// The bin sends echoes from a fixed part.
    Fixed,
    /// Nothing in the bin.
    None,
}

/// Begins with this uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alarm {
    /// It burns.
    Fire,
    /// It lies, or stands elsewhere.
    Tilt,
}

/// Somebody emptied it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emptying {
    /// When the first reading after it was, or in the daytime between that and the one before.
    pub at: Timestamp,
    /// What was in it before.
    pub fill_before: Ratio,
    /// Whether something remained.
    pub partial: bool,
    /// How sure that is, from 0 to 1; below a half it does not count.
    pub confidence: f64,
}

impl Emptying {
    /// Whether it is more likely than not.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.confidence >= 0.5
    }
}

/// What an uplink means.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How full it is; none before anything was heard of it.
    pub fill: Option<Ratio>,
    /// How far that can be trusted.
    pub trust: Trust,
    /// What the echo came from.
    pub echo: EchoFrom,
    /// What begins.
    pub alarm: Option<Alarm>,
    /// What it looks like now, if that is new.
    pub posture: Option<Posture>,
    /// Somebody emptied it.
    pub emptied: Option<Emptying>,
    /// What is due now, if that is new.
    pub due: Option<Due>,
}

/// What is known of a bin. It serialises to less than 2 KiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// Hundredths of a metre in a step; with others what is known means something else.
    step: u16,
    /// Whether the sensor tells the level itself.
    told: bool,
    /// When it was heard last, and by which clock.
    pub(super) at: i64,
    pub(super) synced: bool,
    /// When it was heard of first, by a clock that could be trusted.
    first: Option<i64>,
    /// The level that is believed, as a part of the height, and when it was seen.
    pub(super) part: Option<f32>,
    pub(super) seen: i64,
    /// When it was emptied last.
    emptied: Option<i64>,
    readings: Readings,
    pub(super) hours: Hours,
    /// The day of waste that has begun, and the surface then; none if it teaches nothing.
    morning: Option<(i64, f32)>,
    pub(super) days: Days,
    shelf: Shelf,
    heat: Heat,
    stand: Stand,
    battery: Battery,
    silence: Silence,
    due: Due,
    presses: Option<u32>,
}

impl Bin {
    /// One that nothing is known of.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self {
            step: (rules.step() * 100.0).round() as u16,
            told: false,
            at: i64::MIN,
            synced: false,
            first: None,
            part: None,
            seen: 0,
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
        self.shelf.fixed
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
    pub fn lost_at(&self, rules: &Rules) -> Option<Timestamp> {
        let interval = rules.interval.map(|interval| interval.as_secs_f64());
        let after = self.silence.lost_after(interval) as i64;
        let known = self.at != i64::MIN && self.synced;
        known.then(|| Timestamp::from_second(self.at.saturating_add(after)).ok()).flatten()
    }

    /// Takes an uplink.
    pub fn offer(&mut self, rules: &Rules, input: &Input) -> Outcome {
        let at = input.at.as_second();
        let fire = self.heat.feel(at, input.temperature, input.fire == Some(true));
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
        let due = self.due.after(fill, old, (rules.may, rules.must));
        let new = (due != self.due).then_some(due);
        self.due = due;
        Outcome { fill, trust, echo, alarm, posture, emptied, due: new }
    }

    fn is_old(&self, rules: &Rules, at: i64) -> bool {
        let since = self.emptied.max(self.first);
        rules
            .most_days
            .zip(since)
            .is_some_and(|(most, since)| self.synced && (at - since) as f64 >= most * DAY as f64)
    }

    /// Takes what an uplink says of the level.
    fn level(
        &mut self,
        rules: &Rules,
        input: &Input,
        at: i64,
    ) -> (Trust, EchoFrom, Option<Emptying>) {
        let seen = rules.geometry.seen(input.echo);
        let told = input
            .told
            .filter(|told| told.0.is_finite())
            .map(|Ratio(fill)| rules.geometry.surface(fill));
        let down = seen.or(told);
        self.set(rules, seen.is_none(), down.is_some());
        let passed = at.saturating_sub(self.at);
        let stale = input.synced && self.synced && passed <= 0;
        if stale && passed >= -DISORDER {
            // what came in out of order is history, and history is full
            let echo = if self.shelf.fixed { EchoFrom::Fixed } else { EchoFrom::Ok };
            return (Trust::Suspect, echo, None);
        }
        if stale || (!self.synced && self.at != i64::MIN) {
            self.begin_again(rules, at);
        } else if self.at != i64::MIN && input.synced {
            self.silence.heard(passed as f64);
        }
        if let (Some(volts), Some(degrees), true) = (input.battery, input.temperature, input.synced)
        {
            self.battery.read(at, volts, degrees);
        }
        let before = self.at;
        (self.at, self.synced) = (at, input.synced);
        if input.synced {
            self.first.get_or_insert(at);
            self.pass_mornings(rules, at);
        }
        if self.pressed(input.presses) {
            // what fell was pressed, and neither emptied nor an echo
            self.readings.clear();
            self.hours = Hours::default();
            self.morning = None;
        }
        let Some(down) = down else {
            let other = input.echo == Echo::Untold && self.part.is_some();
            let trust = if other { Trust::Suspect } else { Trust::Rejected };
            return (trust, if other { self.echo_from() } else { EchoFrom::None }, None);
        };
        let step = rules.in_steps(down.0).round().clamp(0.0, 254.0) as u8;
        if !input.synced {
            // a level, but no history
            self.believe(rules, step, at);
            return (Trust::Suspect, self.echo_from(), None);
        }
        let days = if before == i64::MIN { 0.0 } else { passed as f64 / DAY as f64 };
        let rim = rules.in_steps(rules.geometry.surface(RIM).0);
        let hour = at.div_euclid(HOUR);
        self.shelf.see(&self.hours, hour, step, days.max(0.0), rules.depth(), rim);
        if passed > APART {
            self.readings.clear();
        }
        self.readings.push(Seen { at, step });
        self.hours.put(hour, step);
        let emptied = self.empty(rules);
        let at_shelf = self.shelf.is_at(step, rules.depth());
        let usual = self.readings.before().unwrap_or(f64::from(step));
        let sudden = usual - f64::from(step) >= RISE * rules.depth();
        if !at_shelf {
            let counts = |step: u8| !self.shelf.is_at(step, rules.depth());
            let middle = self.readings.middle(counts).unwrap_or(step);
            self.believe(rules, middle, at);
        }
        let trust = if self.shelf.fixed || sudden { Trust::Suspect } else { Trust::Accepted };
        (trust, self.echo_from(), emptied)
    }

    fn echo_from(&self) -> EchoFrom {
        if self.shelf.fixed { EchoFrom::Fixed } else { EchoFrom::Ok }
    }

    fn believe(&mut self, rules: &Rules, step: u8, at: i64) {
        let down = Metres(f64::from(step) * rules.step());
        self.part = Some(rules.geometry.part(down) as f32);
        self.seen = at;
    }

    /// With another geometry, or another kind of sensor, what is known means something else.
    fn set(&mut self, rules: &Rules, told: bool, heard: bool) {
        let step = (rules.step() * 100.0).round() as u16;
        if step != self.step || (heard && told != self.told && self.part.is_some()) {
            self.readings.clear();
            self.hours = Hours::default();
            self.morning = None;
            self.days = Days::default();
            self.shelf = Shelf::default();
        }
        self.step = step;
        if heard {
            self.told = told;
        }
    }

    /// What is known is from a clock that was wrong: a clock must not make a bin deaf.
    fn begin_again(&mut self, rules: &Rules, at: i64) {
        self.readings.clear();
        self.hours = Hours::default();
        self.morning = None;
        self.days.forget_from(rules.day(at).0);
        self.emptied = self.emptied.filter(|emptied| *emptied <= at);
        self.first = self.first.filter(|first| *first <= at);
        self.seen = self.seen.min(at);
    }

    /// Writes down the days that have ended since the last reading.
    fn pass_mornings(&mut self, rules: &Rules, at: i64) {
        let (today, began) = rules.day(at);
        if self.morning.is_some_and(|(day, _)| day >= today) {
            return;
        }
        // no more than two can be known of two days of hours
        for day in today - 1..=today {
            if self.morning.is_some_and(|(known, _)| known >= day) {
                continue;
            }
            let hour = (began - (today - day) * DAY).div_euclid(HOUR);
            let Some(surface) = self.hours.morning(hour) else { continue };
            if let Some((known, base)) = self.morning.filter(|(known, _)| *known == day - 1) {
                self.days.push(known, f64::from(base), surface.seen);
            }
            self.morning = Some((day, surface.base as f32));
            if self.days.len() > 0 && !self.shelf.fixed {
                let part = rules.geometry.part(Metres(surface.seen * rules.step()));
                if (PARTIAL..RIM).contains(&part) {
                    let daily = self.daily(rules).0;
                    self.shelf.stood(self.days.still(), daily, surface.seen);
                }
            }
        }
    }

    /// The height in steps.
    pub(super) fn height(&self, rules: &Rules) -> f64 {
        rules.in_steps(rules.geometry.height()).max(1.0)
    }

    /// What comes in a day at others, in steps.
    pub(super) fn usual(&self, rules: &Rules) -> f64 {
        rules.usual.0 * self.height(rules)
    }

    /// Whether a compactor has pressed since the last time.
    fn pressed(&mut self, presses: Option<u32>) -> bool {
        let before = self.presses;
        self.presses = presses.or(before);
        presses.zip(before).is_some_and(|(now, before)| now != before)
    }

    /// Finds an emptying that the last reading confirms.
    fn empty(&mut self, rules: &Rules) -> Option<Emptying> {
        let depth = rules.geometry.depth.0;
        let least = (FALL * depth).max(LEAST_FALL).min(MOST_FALL * depth);
        let doubtful = self.shelf.fixed || self.shelf.part() >= MAY_BE_SHELF;
        let Fall { before, at: seen, from, to, back } =
            self.readings.fall(rules.in_steps(least), rules.depth(), doubtful)?;
        let fall = (to - from) * rules.step();
        let mut confidence = 0.6 + 0.4 * ((fall - least) / (CERTAIN * depth)).clamp(0.0, 1.0);
        let above = |step: f64| !self.shelf.is_at(step.clamp(0.0, 254.0) as u8, rules.depth());
        if self.shelf.fixed {
            confidence *= AT_SHELF;
        } else if self.shelf.part() >= MAY_BE_SHELF || !above(from) {
            confidence *= NEAR_SHELF;
        }
        let (at, by_day) = rules.emptied(before, seen);
        if !by_day {
            confidence *= AT_NIGHT;
        }
        if back {
            confidence *= CAME_BACK;
        }
        let fill = |step: f64| rules.geometry.fill(Metres(step * rules.step()));
        let emptying = Emptying {
            at: Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH),
            fill_before: fill(from),
            partial: fill(to).0 > PARTIAL,
            confidence: (confidence * 100.0).round() / 100.0,
        };
        if emptying.counts() {
            self.emptied = Some(at);
        }
        let (day, began) = rules.day(at);
        self.days.forget_from(day);
        self.morning = self.morning.filter(|(morning, _)| {
            let morning_began = began + (morning - day) * DAY;
            at < morning_began - AROUND
        });
        self.hours.forget_before(seen.div_euclid(HOUR));
        Some(emptying)
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
}

/// A fall by this part of the depth more than the least is certain.
const CERTAIN: f64 = 0.3;
/// A level that is older than this, in seconds, grows by what is expected.
pub(super) const ESTIMATED: i64 = 6 * HOUR;
