//! Rules about the bed.

use super::{Asked, Due, Run};
use crate::care::house::{LONGEST_ABSENCE, Sign};
use crate::care::reason::Reason;
use crate::care::resident::{RuleKind, SensorKind};
use crate::care::sensor::CHATTER;
use crate::care::time::{At, Window};

impl Asked<'_> {
    pub(super) fn note_bed(&self, run: &mut Run, sign: &Sign) {
        let bed = &self.house.facts.bed;
        let of_bed = self.kind_of(sign.sensor) == Some(SensorKind::Bed);
        match self.rule.kind {
            RuleKind::BedAbsence { qualify, after, .. } if of_bed => {
                if sign.empty.is_some_and(|(gap, _)| gap > LONGEST_ABSENCE) {
                    run.qualified = false;
                }
                run.qualified |= bed.stretch() >= qualify;
                if run.open.is_some()
                    && (run.mark.is_none() || sign.empty.is_some_and(|(gap, _)| gap >= after))
                {
                    run.mark = Some(sign.at);
                }
            }
            // a touch is no night
            RuleKind::NotToBed { .. } if of_bed && bed.stretch() >= CHATTER => {
                run.since = bed.last;
            }
            RuleKind::NotUp { .. } if !of_bed && self.has(sign.sensor) => {
                run.since = Some(sign.at);
            }
            RuleKind::Restless { window, times, corroborate } if of_bed => {
                let Some((gap, seen)) = sign.empty else { return };
                let Some(night) = window.around(&self.resident.zone, sign.at.before(gap)) else {
                    return;
                };
                if gap > LONGEST_ABSENCE || corroborate && !seen {
                    return;
                }
                if run.since != Some(night.from) {
                    run.since = Some(night.from);
                    run.times = 0;
                }
                run.times += 1;
                if run.times == times {
                    run.mark = Some(sign.at);
                }
            }
            _ => {}
        }
    }

    pub(super) fn due_bed(&self, run: &Run) -> Option<Due> {
        let zone = &self.resident.zone;
        let bed = &self.house.facts.bed;
        let occupied = self.house.bed_is_occupied(self.resident);
        match self.rule.kind {
            RuleKind::BedAbsence { window, after, corroborate, .. } => {
                let last =
                    bed.last.filter(|_| run.qualified && !occupied && run.since != bed.last)?;
                let mut at = last.after(after);
                let mut because = vec![Reason::BedEmpty { since: last }];
                if corroborate {
                    let (sensor, seen) = bed.witness?;
                    // who turned over is felt by the bed again
                    at = at.max(seen.after(CHATTER));
                    because.push(Reason::Seen { sensor, at: seen });
                }
                window.around(zone, at).map(|_| Due::new(at, because))
            }
            RuleKind::NotToBed { window } => {
                let night = window.around_or_next(zone, run.handled);
                let lay = occupied || self.was(run, night.from);
                let because = vec![Reason::NotInBed { since: night.from }];
                Some(Due::new(night.to, if lay { Vec::new() } else { because }))
            }
            RuleKind::NotUp { window } => {
                let morning = window.around_or_next(zone, run.handled);
                // without another sensor only the bed can tell
                let up = match self.sees_up() {
                    true => self.was(run, morning.from),
                    false => !occupied,
                };
                let because = vec![Reason::NothingSeen { since: morning.from }];
                Some(Due::new(morning.to, if up { Vec::new() } else { because }))
            }
            RuleKind::Restless { .. } => {
                let (at, since) = run.mark.zip(run.since)?;
                Some(Due::new(at, vec![Reason::Left { times: run.times, since }]))
            }
            _ => None,
        }
    }

    /// Whether it was seen since then, or nobody can tell since nobody watched then.
    fn was(&self, run: &Run, from: At) -> bool {
        run.since.is_some_and(|since| since >= from) || self.house.facts.begun > from
    }

    /// Whether it goes by a sensor that sees who is up.
    fn sees_up(&self) -> bool {
        let mut sensors = self.rule.sensors.iter();
        sensors.any(|number| self.kind_of(*number) != Some(SensorKind::Bed))
    }

    pub(super) fn over_bed(&self, run: &Run, open: At) -> Option<(At, Reason)> {
        let back = |since: At| {
            self.house.back_at(self.resident, since).map(|at| (at, Reason::Back { at: since }))
        };
        match self.rule.kind {
            RuleKind::BedAbsence { window, .. } => {
                run.mark.and_then(back).or_else(|| self.up_and_about(window, open))
            }
            RuleKind::NotToBed { .. } => {
                let from = self.house.facts.bed.from.filter(|_| {
                    self.house.bed_is_occupied(self.resident)
                        || self.house.facts.bed.last > Some(open)
                })?;
                back(from).map(|(at, reason)| (at.max(open), reason))
            }
            RuleKind::NotUp { .. } if self.sees_up() => {
                let (sensor, at) = self.house.facts.moved.filter(|_| run.since > Some(open))?;
                Some((at, Reason::Seen { sensor, at }))
            }
            RuleKind::NotUp { .. } => {
                let last = self.house.facts.bed.last?;
                let occupied = self.house.bed_is_occupied(self.resident);
                (!occupied).then(|| (last.after(CHATTER), Reason::BedEmpty { since: last }))
            }
            _ => None,
        }
    }

    /// After the hours it is no alarm to be up, if one is seen.
    fn up_and_about(&self, window: Window, open: At) -> Option<(At, Reason)> {
        let (sensor, at) = self.house.facts.moved?;
        let by_day = window.around(&self.resident.zone, at).is_none();
        (at > open && by_day).then_some((at, Reason::Seen { sensor, at }))
    }
}
