//! What an uplink says of the level of a bin, and what it changes in what is known.

use super::bin::{Bin, DAY, HOUR};
use super::days::Days;
use super::emptying::{Fall, Falls, Seen};
use super::hours::{Hours, OFTEN, RARE, Surface};
use super::input::{Echo, Input};
use super::outcome::{EchoFrom, Emptying, Trust};
use super::rules::Rules;
use super::shelf::{Look, STILL_DAYS, Shelf};
use crate::units::{Metres, Ratio, rounded};
use jiff::Timestamp;

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
/// A fall by this part of the depth more than the least is certain.
const CERTAIN: f64 = 0.3;
/// A compactor presses nothing down to this part of the height: who does that has emptied it.
const FLOOR: f64 = 0.1;
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
/// And where it fell over, or was torn off, in the days before, in seconds.
const FELL_OVER: f64 = 0.3;
const LIES: i64 = 3 * DAY;
/// Where nothing is known of what comes but what comes to others, so many times as much is missing
/// before a surface stands still.
const UNKNOWN: f64 = 2.0;
/// A sensor is of another kind when so many readings in a row are: one that tells a distance and a
/// percentage may leave out one of them.
const OTHER_KIND: u8 = 3;
/// From this part of the height on a bin is as good as full.
const RIM: f64 = 0.9;

impl Bin {
    /// Takes what an uplink says of the level.
    pub(super) fn level(
        &mut self,
        rules: &Rules,
        input: &Input,
        at: i64,
    ) -> (Trust, EchoFrom, Option<Emptying>) {
        let seen = rules.geometry.seen(input.echo);
        // of an echo that says nothing a sensor computes no level either
        let told = input
            .told
            .filter(|told| told.0 >= 0.0 && told.0.is_finite() && input.echo == Echo::Untold)
            .map(|Ratio(fill)| rules.geometry.surface(fill));
        let down = seen.or(told);
        let is_strange = self.set(rules, seen.is_none(), down.is_some());
        let down = down.filter(|_| !is_strange);
        let passed = at.saturating_sub(self.at);
        let stale = input.synced && self.synced && passed <= 0;
        if stale && !self.goes_back(at) {
            // what came in out of order is history, and history is full
            return (Trust::Suspect, self.echo_from(), None);
        }
        if stale || (!self.synced && self.at != i64::MIN) {
            self.begin_again(rules, at);
        } else if self.at != i64::MIN && input.synced {
            self.silence.heard(passed as f64);
        }
        if let Some(volts) = input.battery.filter(|_| input.synced) {
            self.battery.read(at, volts, input.temperature);
        }
        let before = self.at;
        (self.at, self.synced) = (at, input.synced);
        if input.synced {
            self.seen_unsynced = false;
            self.first.get_or_insert(at);
            self.pass_mornings(rules, at);
        }
        let Some(down) = down else {
            let other = (input.echo == Echo::Untold || is_strange) && self.part.is_some();
            let trust = if other { Trust::Suspect } else { Trust::Rejected };
            return (trust, if other { self.echo_from() } else { EchoFrom::None }, None);
        };
        let step = rules.in_steps(down.0).round().clamp(0.0, 254.0) as u8;
        if !input.synced {
            // a level, but no history
            if !self.shelf.is_at(step, rules.depth()) {
                self.believe(rules, step, at);
                self.seen_unsynced = true;
            }
            return (Trust::Suspect, self.echo_from(), None);
        }
        let days = if before == i64::MIN { 0.0 } else { passed as f64 / DAY as f64 };
        let rim = rules.in_steps(rules.geometry.surface(RIM).0);
        let hour = at.div_euclid(HOUR);
        let pressed = self.pressed(input.presses);
        self.follow(step, rules.depth());
        if self.presses.is_none() {
            // what a compactor presses sinks, and is no echo
            let rare = self.hours_between(rules) > OFTEN;
            let (days, depth) = (days.max(0.0), rules.depth());
            let look = Look { hour, step, days, rare, depth, full: rim };
            self.shelf.see(&self.hours, &look);
        }
        if passed > APART {
            self.readings.clear();
        }
        self.readings.push(Seen { at, step, pressed });
        self.hours.put(hour, step);
        let emptied = self.empty(rules);
        let at_shelf = self.shelf.is_at(step, rules.depth());
        let usual = self.readings.before().unwrap_or(f64::from(step));
        let sudden = usual - f64::from(step) >= RISE * rules.depth();
        if !at_shelf {
            let counts = |step: u8| !self.shelf.is_at(step, rules.depth());
            let middle = self.readings.middle(counts).unwrap_or(step);
            let counts = emptied.as_ref().is_some_and(Emptying::counts);
            self.believe_so(rules, middle, at, counts);
        }
        // one that lies sees its other side
        let odd = self.shelf.is_fixed() || sudden || self.stand.lies_since().is_some();
        let trust = if odd { Trust::Suspect } else { Trust::Accepted };
        (trust, self.echo_from(), emptied)
    }

    /// Whether a reading of this second is so much older than the last one that the clock was wrong
    /// then.
    fn goes_back(&self, at: i64) -> bool {
        self.at.saturating_sub(at) > DISORDER
    }

    /// Whether with a reading of this time what is known begins anew: it comes in no order.
    #[must_use]
    pub fn begins_anew(&self, at: Timestamp) -> bool {
        self.synced && self.goes_back(at.as_second())
    }

    fn echo_from(&self) -> EchoFrom {
        if self.shelf.is_fixed() { EchoFrom::Fixed } else { EchoFrom::Ok }
    }

    /// Whether it still sees the same all the time.
    fn follow(&mut self, step: u8, depth: f64) {
        let stood = self.shelf.stands();
        self.shelf.follow(step, depth);
        if stood && !self.shelf.stands() {
            // nobody saw what came on the day before
            self.morning = None;
        }
    }

    /// Of one that lies, or is torn off, only more is believed, or what it is after somebody emptied
    /// it: else a full one would be empty.
    fn believe_so(&mut self, rules: &Rules, step: u8, at: i64, emptied: bool) {
        let down = Metres(f64::from(step) * rules.step());
        let less = self.part.is_some_and(|part| rules.geometry.part(down) < f64::from(part));
        if emptied || !less || self.stand.lies_since().is_none() {
            self.believe(rules, step, at);
        }
    }

    fn believe(&mut self, rules: &Rules, step: u8, at: i64) {
        let down = Metres(f64::from(step) * rules.step());
        self.part = Some(rules.geometry.part(down) as f32);
        self.seen = at;
    }

    /// With another geometry, or another kind of sensor, what is known means something else. Whether
    /// what was heard is of another kind, and not often enough yet.
    fn set(&mut self, rules: &Rules, told: bool, heard: bool) -> bool {
        let mark = rules.geometry.mark();
        let other = mark != self.mark && self.mark != 0;
        let strange = heard && told != self.told && self.part.is_some();
        if heard {
            self.strange = if strange { self.strange.saturating_add(1) } else { 0 };
        }
        let is_changed = self.strange >= OTHER_KIND;
        if other || is_changed {
            self.readings.clear();
            self.hours = Hours::default();
            self.morning = None;
            self.days = Days::default();
            self.shelf = Shelf::default();
        }
        self.mark = mark;
        if heard && (!strange || is_changed) {
            (self.told, self.strange) = (told, 0);
        }
        strange && !is_changed
    }

    /// What is known is from a clock that was wrong: a clock must not make a bin deaf.
    pub(super) fn begin_again(&mut self, rules: &Rules, at: i64) {
        self.readings.clear();
        self.hours = Hours::default();
        self.morning = None;
        self.days.forget_from(rules.day(at).0);
        self.battery.begin_again(at);
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
        let every = self.hours_between(rules);
        // no more than two can be known of two days of hours
        for day in today - 1..=today {
            if self.morning.is_some_and(|(known, _)| known >= day) {
                continue;
            }
            let hour = (began - (today - day) * DAY).div_euclid(HOUR);
            let Some(surface) = self.hours.morning(hour, every) else { continue };
            let begun = self.morning.filter(|(known, _)| *known == day - 1);
            // what stands still teaches nothing about what comes
            if let Some((known, base)) = begun.filter(|_| !self.shelf.stands()) {
                self.days.push(known, f64::from(base), surface.seen);
            }
            self.morning = Some((day, self.base(surface) as f32));
            self.stand_still(rules, began, surface.seen);
        }
    }

    /// How many hours are between its reports.
    fn hours_between(&self, rules: &Rules) -> f64 {
        self.every(rules).unwrap_or(0.0) / HOUR as f64
    }

    /// A surface that stands still for too long is none.
    fn stand_still(&mut self, rules: &Rules, morning: i64, step: f64) {
        let part = rules.geometry.part(Metres(step * rules.step()));
        let days = self.days.still();
        if days < STILL_DAYS || self.shelf.is_fixed() || part >= RIM {
            return;
        }
        // what stood still says nothing of what comes
        let mut moved = self.days.clone();
        moved.forget_still();
        let today = (rules.calendar(), rules.day(morning).0);
        let daily = moved.means(today, rules.usual()).all / rules.height();
        let unknown = if moved.len() > 0 { 1.0 } else { UNKNOWN };
        let missing = daily * days as f64 / unknown;
        if self.shelf.stood(missing, part < PARTIAL, step) {
            self.days.forget_still();
            // the waste was not seen since then
            self.seen = self.seen.min(morning - days as i64 * DAY);
        }
    }

    /// The surface from which a forecast counts. A compactor's readings err to neither side.
    pub(super) fn base(&self, surface: Surface) -> f64 {
        if self.presses.is_some() { surface.seen } else { surface.base }
    }

    /// Whether a compactor has pressed since the last time.
    fn pressed(&mut self, presses: Option<u32>) -> bool {
        let before = self.presses;
        self.presses = presses.or(before);
        // with a new bag some begin to count again
        presses.zip(before).is_some_and(|(now, before)| now > before)
    }

    /// Finds an emptying that the last reading confirms.
    fn empty(&mut self, rules: &Rules) -> Option<Emptying> {
        if self.shelf.stands() {
            return None;
        }
        let depth = rules.geometry.depth.0;
        let least = (FALL * depth).max(LEAST_FALL).min(MOST_FALL * depth);
        let doubtful = self.shelf.is_fixed() || self.shelf.may_be();
        let falls = Falls {
            least: rules.in_steps(least),
            depth: rules.depth(),
            doubtful,
            rare: self.hours_between(rules) > RARE,
            floor: rules.in_steps(rules.geometry.surface(FLOOR).0).floor(),
        };
        let Fall { before, at: seen, from, to, back } = self.readings.fall(falls)?;
        let fall = (to - from) * rules.step();
        let mut confidence = 0.6 + 0.4 * ((fall - least) / (CERTAIN * depth)).clamp(0.0, 1.0);
        let above = |step: f64| !self.shelf.is_at(step.clamp(0.0, 254.0) as u8, rules.depth());
        if self.shelf.is_fixed() && !(self.shelf.is_rare() && above(from)) {
            confidence *= AT_SHELF;
        } else if self.shelf.may_be() || !above(from) {
            confidence *= NEAR_SHELF;
        }
        let (at, by_day) = rules.emptied(before, seen);
        if !by_day {
            confidence *= AT_NIGHT;
        }
        if back {
            confidence *= CAME_BACK;
        }
        if self.stand.lies_since().is_some_and(|since| before - since <= LIES) {
            // it fell over, and what was in it lies beside it
            confidence *= FELL_OVER;
        }
        let fill = |step: f64| rules.geometry.fill(Metres(step * rules.step()));
        let emptying = Emptying {
            at: Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH),
            fill_before: fill(from),
            partial: fill(to).0 > PARTIAL,
            confidence: rounded(confidence, 2),
        };
        if emptying.counts() {
            self.emptied = Some(at);
            self.stand.ask_again();
        }
        let (day, began) = rules.day(at);
        self.days.forget_from(day);
        self.hours.forget_before(seen.div_euclid(HOUR));
        // where that took long a day has begun since then, and not with what was there before
        self.morning = self.morning.and_then(|(morning, _)| {
            let began = began + (morning - day) * DAY;
            let surface = self.hours.morning(began.div_euclid(HOUR), self.hours_between(rules))?;
            (at < began - AROUND).then(|| (morning, self.base(surface) as f32))
        });
        Some(emptying)
    }
}
