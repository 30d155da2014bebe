//! Night checks: is there evidence that all is well?

use super::house::{House, Mode};
use super::reason::Reason;
use super::resident::{Check, Resident, SensorKind};
use super::sensor::CHATTER;
use super::time::{At, next, set_back};
use serde::{Deserialize, Serialize};

/// What a check came to. There is no fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is evidence that the resident is well.
    Confirmed,
    /// There is none: the patrol goes.
    NotConfirmed,
    /// Nobody can tell: the patrol goes.
    Fault,
}

/// What a check remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CheckRun {
    /// The last time that is dealt with.
    pub(super) handled: At,
    /// The time that is looked at again and again.
    pub(super) asked: Option<At>,
    /// Up to when all was dealt with before the clock was set back by days.
    ahead: Option<At>,
}

impl CheckRun {
    pub(super) fn new(now: At) -> Self {
        Self { handled: now, ..Self::default() }
    }

    /// This time is dealt with.
    pub(super) fn done(&mut self, due: At) {
        self.handled = due;
        self.asked = None;
    }

    /// Whether this time, which has passed long ago, was dealt with before the clock was set back
    /// and now forth again; then so are all up to there.
    pub(super) fn was_done(&mut self, due: At, now: At) -> bool {
        let ahead = self.ahead.take_if(|ahead| (due..=now).contains(ahead));
        ahead.is_some_and(|ahead| {
            self.done(ahead);
            true
        })
    }

    /// The time that is to be dealt with next.
    pub(super) fn due(&self, check: &Check, resident: &Resident) -> At {
        self.asked.unwrap_or_else(|| next(&resident.zone, check.at, self.handled))
    }

    /// The clock was set to `now`.
    pub(super) fn set(&mut self, now: At) {
        let was = self.handled;
        set_back(&mut self.handled, now);
        if self.handled < was {
            self.ahead = self.ahead.max(Some(was));
        }
    }
}

/// One look at the evidence. Each comes with what it rests on, which is never nothing.
pub(super) struct Look {
    pub(super) outcome: Outcome,
    pub(super) because: Vec<Reason>,
}

impl Look {
    fn new(outcome: Outcome, because: Vec<Reason>) -> Self {
        Self { outcome, because }
    }

    /// Nobody looked in time.
    pub(super) fn missed(due: At) -> Self {
        Self::new(Outcome::Fault, vec![Reason::Missed { at: due }])
    }
}

/// Looks at the evidence for a check now. `open` is an alarm that lasts.
pub(super) fn look(
    check: &Check,
    resident: &Resident,
    house: &House,
    open: Option<(usize, At)>,
    now: At,
) -> Look {
    if let Some(since) = house.facts.clock_unset {
        return Look::new(Outcome::Fault, vec![Reason::ClockUnset { since }]);
    }
    if let Some((cause, since)) = house.facts.deafness {
        return Look::new(Outcome::Fault, vec![Reason::DeafSince { cause, since }]);
    }
    let faults = check.sensors.iter().filter_map(|number| fault(resident, house, *number));
    let faults: Vec<Reason> = faults.collect();
    if !faults.is_empty() {
        return Look::new(Outcome::Fault, faults);
    }
    if let Mode::Staff(stay) = house.facts.mode {
        let because = Reason::Staff { since: stay.since, until: stay.until };
        return Look::new(Outcome::Confirmed, vec![because]);
    }
    if let Some((rule, since)) = open {
        return Look::new(Outcome::NotConfirmed, vec![Reason::Alarm { rule, since }]);
    }
    evidence(check, resident, house, now)
}

/// What is told of a sensor from which nothing can be concluded.
pub(super) fn fault(resident: &Resident, house: &House, number: usize) -> Option<Reason> {
    let (sensor, memory) = (resident.sensors.get(number)?, house.sensors.get(number)?);
    if let Some(since) = memory.unreadable {
        return Some(Reason::Unreadable { sensor: number, since });
    }
    memory.silent?;
    let since = memory.heard.unwrap_or(house.facts.begun);
    let beats = memory.beats(sensor, sensor.heartbeat?);
    Some(Reason::Silent { sensor: number, since, beats })
}

fn evidence(check: &Check, resident: &Resident, house: &House, now: At) -> Look {
    let floor = house.facts.deaf.map_or(At(i64::MIN), |deaf| deaf.to);
    let sensors = || {
        check.sensors.iter().filter_map(|number| {
            Some((*number, resident.sensors.get(*number)?, house.sensors.get(*number)?))
        })
    };
    // somebody elsewhere, or a door: whoever lay here may have got up, and a frame may be lost
    let elsewhere = |not: usize| {
        sensors()
            .filter(|(number, sensor, _)| {
                *number != not && sensor.kind != SensorKind::Bed && !sensor.sees_bed
            })
            .filter_map(|(number, _, memory)| Some((number, memory.sign?)))
            .max_by_key(|(_, at)| *at)
    };
    let mut against = Vec::new();
    let mut unknown = false;
    for (number, sensor, memory) in sensors().filter(|(_, s, _)| s.kind.holds_somebody()) {
        let Some((believed, heard)) = memory.believed_until(sensor).zip(memory.stated) else {
            continue;
        };
        let since = memory.since.unwrap_or(heard);
        let occupied = Reason::Occupied { sensor: number, since, heard };
        let is_on = memory.on == Some(true);
        if sensor.heartbeat.is_none() && !is_on && heard >= floor {
            // it tells of changes alone, and there was none
            continue;
        } else if believed < now || heard < floor {
            // it may have changed since, to the better or the worse
            against.push(Reason::Stale { sensor: number, heard });
            unknown |= sensor.heartbeat.is_some() || heard < floor;
        } else if !is_on {
            continue;
        } else if let Some((other, at)) = elsewhere(number).filter(|(_, at)| *at > heard) {
            against.extend([occupied, Reason::Doubt { sensor: other, at }]);
        } else {
            return Look::new(Outcome::Confirmed, vec![occupied]);
        }
    }
    let doubted = unknown || against.iter().any(|reason| matches!(reason, Reason::Doubt { .. }));
    if let Some(lay) = lay(check, resident, house, now).filter(|_| !doubted) {
        return Look::new(Outcome::Confirmed, vec![lay]);
    }
    let beds = || sensors().filter(|(_, sensor, _)| sensor.kind == SensorKind::Bed);
    if let Some(since) = house.facts.bed.last
        && beds().next().is_some()
        && beds().all(|(_, _, memory)| memory.on == Some(false))
    {
        against.push(Reason::BedEmpty { since });
    }
    let signs = sensors().filter_map(|(number, sensor, memory)| {
        memory.sign.map(|at| (number, sensor.kind == SensorKind::Door, at))
    });
    let last = |doors: bool| {
        signs.clone().filter(|(_, door, _)| *door == doors).max_by_key(|(_, _, at)| *at)
    };
    let (sign, door) = (last(false), last(true));
    if let Some((sensor, _, at)) = sign {
        let gone = door.filter(|(_, _, door)| *door > at);
        let seen = Reason::Seen { sensor, at };
        match gone {
            None if at >= now.before(check.fresh) && at >= floor => {
                return Look::new(Outcome::Confirmed, vec![seen]);
            }
            None if against.contains(&Reason::Doubt { sensor, at }) => {}
            None => against.push(seen),
            Some((sensor, _, at)) => against.extend([seen, Reason::Doubt { sensor, at }]),
        }
    }
    if let Some(deaf) = house.facts.deaf.filter(|deaf| sign.is_none_or(|s| s.2 < deaf.to)) {
        against.push(Reason::Deaf { from: deaf.from, to: deaf.to });
        unknown = true;
    }
    if sensors().all(|(_, _, memory)| memory.heard.is_none()) {
        against.extend(check.sensors.iter().map(|number| Reason::NeverHeard { sensor: *number }));
        unknown = true;
    }
    if against.is_empty() {
        against.push(Reason::NothingSeen { since: house.facts.begun });
    }
    Look::new(if unknown { Outcome::Fault } else { Outcome::NotConfirmed }, against)
}

/// Whoever lay in bed and was seen nowhere else lies there still, for a while: contacts under a
/// mattress let go of people who turn over, and an empty bed alone is no absence for rules either.
/// It needs sensors that would see somebody up; and a bed with a heartbeat says itself that it is
/// empty.
fn lay(check: &Check, resident: &Resident, house: &House, now: At) -> Option<Reason> {
    let bed = &house.facts.bed;
    let (since, last) = bed.settled.zip(bed.last)?;
    let sensors = || {
        let numbers = check.sensors.iter();
        numbers.filter_map(|number| resident.sensors.get(*number).zip(house.sensors.get(*number)))
    };
    let mut beds = sensors().filter(|(sensor, _)| sensor.kind == SensorKind::Bed).peekable();
    let by_changes = beds.peek().is_some() && beds.all(|(sensor, _)| sensor.heartbeat.is_none());
    let seen_up = sensors().any(|(sensor, memory)| {
        !matches!(sensor.kind, SensorKind::Bed | SensorKind::Button)
            && !sensor.sees_bed
            && memory.heard.is_some()
    });
    let lay = last.since(since) >= CHATTER && last >= now.before(check.lain);
    let heard = house.facts.deaf.is_none_or(|deaf| deaf.to <= since);
    (by_changes && seen_up && lay && heard && bed.witness.is_none())
        .then_some(Reason::Lay { since, last })
}
