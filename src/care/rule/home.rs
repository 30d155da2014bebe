//! Rules about bathroom, doors, quiet and the button.

use super::{Asked, Due, Run};
use crate::care::house::Sign;
use crate::care::reason::Reason;
use crate::care::resident::{RuleKind, SensorKind};
use crate::care::sensor::CHATTER;
use crate::care::time::{At, Window};
use std::time::Duration;

/// One that follows at once is the same.
fn once(run: &mut Run, sign: &Sign) {
    if run.since.is_none_or(|last| sign.at.since(last) > CHATTER) {
        (run.mark, run.by) = (Some(sign.at), sign.sensor);
    }
    run.since = Some(sign.at);
}

impl Asked<'_> {
    pub(super) fn note_home(&self, run: &mut Run, sign: &Sign) {
        let inside = self.kind_of(sign.sensor) != Some(SensorKind::Door);
        let (has, at) = (self.has(sign.sensor), sign.at);
        match self.rule.kind {
            RuleKind::BathroomStay { .. } if has => {
                if run.since.is_none() {
                    run.by = sign.sensor;
                }
                run.since.get_or_insert(at);
            }
            RuleKind::DoorNotReturned { .. } if has => {
                run.since = Some(at);
                run.by = sign.sensor;
            }
            RuleKind::BathroomStay { .. } => self.end(run, sign),
            RuleKind::DoorNotReturned { .. } if inside => self.end(run, sign),
            RuleKind::DoorOpened { window }
                if has && sign.on && window.around(&self.resident.zone, at).is_some() =>
            {
                once(run, sign);
            }
            RuleKind::Button if has && sign.on => once(run, sign),
            _ => {}
        }
    }

    fn end(&self, run: &mut Run, sign: &Sign) {
        run.since = None;
        if run.open.is_some() {
            (run.mark, run.by) = (Some(sign.at), sign.sensor);
        }
    }

    pub(super) fn due_home(&self, run: &Run) -> Option<Due> {
        let zone = &self.resident.zone;
        match self.rule.kind {
            RuleKind::BathroomStay { window, after } => {
                let since = run.since?;
                let because = vec![Reason::Still { sensor: run.by, since }];
                Some(Due::new(window.first_in(zone, since.after(after)), because))
            }
            RuleKind::DoorNotReturned { window, after } => {
                let since = run.since.filter(|_| !self.somebody_lies_or_sits())?;
                let because = vec![Reason::Seen { sensor: run.by, at: since }];
                let because = [because, vec![Reason::NothingSeen { since }]].concat();
                Some(Due::new(window.first_in(zone, since.after(after)), because))
            }
            RuleKind::DoorLeftOpen { window, after } => {
                let (sensor, since) = self.open_doors().min_by_key(|(_, since)| *since)?;
                let because = vec![Reason::Still { sensor, since }];
                Some(Due::new(window.first_in(zone, since.after(after)), because))
            }
            RuleKind::Quiet { window, after, warn } => self.due_quiet(run, window, after, warn),
            RuleKind::DoorOpened { .. } | RuleKind::Button => {
                let at = run.mark?;
                Some(Due::new(at, vec![Reason::Seen { sensor: run.by, at }]))
            }
            _ => None,
        }
    }

    fn due_quiet(
        &self,
        run: &Run,
        window: Option<Window>,
        after: Option<Duration>,
        warn: Option<Duration>,
    ) -> Option<Due> {
        let zone = &self.resident.zone;
        let last = self.last_sign();
        let at = match (window, after) {
            (None, None) => return None,
            (None, Some(after)) => last.after(after),
            (Some(window), Some(after)) => {
                let first = window.around_or_next(zone, last);
                let at = first.from.max(last).after(after);
                if at < first.to {
                    at
                } else {
                    let second = window.around_or_next(zone, first.to);
                    Some(second.from.after(after)).filter(|at| *at < second.to)?
                }
            }
            (Some(window), None) => {
                let hours = window.around_or_next(zone, run.handled);
                let since = hours.from;
                let seen = last >= since;
                let because = if seen { vec![] } else { vec![Reason::NothingSeen { since }] };
                let mut due = Due::new(hours.to, because);
                due.warn = warn.filter(|_| !seen).map(|warn| due.at.before(warn));
                due.warn = due.warn.filter(|_| run.warned != Some(last));
                return Some(due);
            }
        };
        let mut due = Due::new(at, vec![Reason::NothingSeen { since: last }]);
        due.warn = warn.map(|warn| at.before(warn)).filter(|_| run.warned != Some(last));
        Some(due)
    }

    /// Staff has been warned.
    pub(in crate::care) fn warned(&self, run: &mut Run) {
        run.warned = Some(self.last_sign());
    }

    pub(super) fn over_home(&self, run: &Run, open: At) -> Option<(At, Reason)> {
        match self.rule.kind {
            RuleKind::DoorLeftOpen { .. } if self.open_doors().next().is_none() => {
                let shut =
                    |number: &usize| Some((*number, self.house.sensors.get(*number)?.since?));
                let (sensor, at) = self.rule.sensors.iter().filter_map(shut).max_by_key(|s| s.1)?;
                Some((at, Reason::Seen { sensor, at }))
            }
            RuleKind::Quiet { .. } => {
                let sign = |number: &usize| Some((*number, self.house.sensors.get(*number)?.sign?));
                let (sensor, at) = self.rule.sensors.iter().filter_map(sign).max_by_key(|s| s.1)?;
                (at > open).then_some((at, Reason::Seen { sensor, at }))
            }
            RuleKind::BathroomStay { .. } | RuleKind::DoorNotReturned { .. } => {
                run.mark.map(|at| (at, Reason::Seen { sensor: run.by, at }))
            }
            _ => None,
        }
    }

    /// When its sensors saw somebody last; while they have seen nobody, since when they look.
    fn last_sign(&self) -> At {
        let signs = self.rule.sensors.iter().filter_map(|n| self.house.sensors.get(*n)?.sign);
        let floor = self.house.facts.begun.max(self.house.facts.resumed.unwrap_or(At(i64::MIN)));
        signs.max().map_or(floor, |last| last.max(floor))
    }

    fn open_doors(&self) -> impl Iterator<Item = (usize, At)> {
        self.rule.sensors.iter().filter_map(|number| {
            let door = self.house.sensors.get(*number).filter(|door| door.on == Some(true))?;
            let since = door.since?.max(self.house.facts.resumed.unwrap_or(At(i64::MIN)));
            Some((*number, since))
        })
    }

    fn somebody_lies_or_sits(&self) -> bool {
        let sensors = self.resident.sensors.iter().zip(&self.house.sensors);
        sensors
            .into_iter()
            .any(|(sensor, memory)| sensor.kind.holds_somebody() && memory.on == Some(true))
    }
}
