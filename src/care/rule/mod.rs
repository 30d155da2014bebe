//! Rules: when an alarm is due, and when it is over.
//!
//! A rule is asked again after each frame and at each moment that it names. So nothing of it has
//! to be remembered but what frames leave behind, and to be asked more often changes nothing.

mod bed;
mod home;

use super::house::{House, Sign};
use super::reason::Reason;
use super::resident::{Resident, Rule, RuleKind, SensorKind};
use super::sensor::shift;
use super::time::{At, set_back};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is judged at a certain time is not judged later than this: the gateway was off, and what
/// it knows is of another time.
const LATEST_JUDGEMENT: Duration = Duration::from_secs(3600);

/// What a rule remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    /// Since when its alarm is open.
    pub(super) open: Option<At>,
    /// The begin of what it looks at: of a stay, of a night that is counted.
    since: Option<At>,
    /// What has happened for good: a press, an opening, a return.
    mark: Option<At>,
    /// The sensor of it.
    by: usize,
    /// Whether somebody lay in bed for long enough.
    qualified: bool,
    /// How many times.
    times: u32,
    /// The last sign before the warning that was given.
    warned: Option<At>,
    /// The hours up to here are dealt with.
    handled: At,
}

impl Run {
    pub(super) fn new(now: At) -> Self {
        Self { handled: now, ..Self::default() }
    }

    /// The clock was wrong by so many seconds, and is set to `now`.
    pub(super) fn shift(&mut self, by: i64, now: At) {
        for at in [&mut self.open, &mut self.since, &mut self.mark, &mut self.warned] {
            shift(at, by);
        }
        set_back(&mut self.handled, now);
    }

    /// The alarm is over.
    pub(super) fn end(&mut self) {
        self.open = None;
        self.mark = None;
    }

    /// Somebody who saw for themselves has gone.
    pub(super) fn resume(&mut self, now: At) {
        self.since = None;
        self.mark = None;
        self.warned = None;
        self.handled = self.handled.max(now);
    }
}

/// A rule with all that it is asked about.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) rule: &'a Rule,
    pub(super) resident: &'a Resident,
    pub(super) house: &'a House,
}

/// When an alarm is due if nothing else is heard, and why.
pub(super) struct Due {
    pub(super) at: At,
    /// Empty when the hours end and there is nothing to tell.
    pub(super) because: Vec<Reason>,
    /// When staff is warned of it.
    pub(super) warn: Option<At>,
}

impl Due {
    fn new(at: At, because: Vec<Reason>) -> Self {
        Self { at, because, warn: None }
    }
}

impl RuleKind {
    /// Whether it is asked when its hours end, and not when something has lasted.
    fn is_by_the_clock(self) -> bool {
        match self {
            Self::NotToBed { .. } | Self::NotUp { .. } => true,
            Self::Quiet { after, .. } => after.is_none(),
            _ => false,
        }
    }

    /// Whether its alarm lasts until something ends it. One that does not is a thing that happened.
    pub(super) fn lasts(self) -> bool {
        !matches!(self, Self::DoorOpened { .. } | Self::Restless { .. } | Self::Button)
    }
}

impl Asked<'_> {
    fn has(&self, sensor: usize) -> bool {
        self.rule.sensors.contains(&sensor)
    }

    fn kind_of(&self, sensor: usize) -> Option<SensorKind> {
        self.resident.sensors.get(sensor).map(|sensor| sensor.kind)
    }

    /// Takes in a sign of somebody.
    pub(super) fn note(&self, run: &mut Run, sign: &Sign) {
        match self.rule.kind {
            RuleKind::BedAbsence { .. }
            | RuleKind::NotToBed { .. }
            | RuleKind::NotUp { .. }
            | RuleKind::Restless { .. } => self.note_bed(run, sign),
            _ => self.note_home(run, sign),
        }
    }

    /// When the alarm is due, if nothing else is heard.
    pub(super) fn due(&self, run: &Run) -> Option<Due> {
        match self.rule.kind {
            RuleKind::BedAbsence { .. }
            | RuleKind::NotToBed { .. }
            | RuleKind::NotUp { .. }
            | RuleKind::Restless { .. } => self.due_bed(run),
            _ => self.due_home(run),
        }
    }

    /// When the open alarm is over, if nothing else is heard, and why.
    pub(super) fn over(&self, run: &Run, open: At) -> Option<(At, Reason)> {
        match self.rule.kind {
            RuleKind::BedAbsence { .. }
            | RuleKind::NotToBed { .. }
            | RuleKind::NotUp { .. }
            | RuleKind::Restless { .. } => self.over_bed(run, open),
            _ => self.over_home(run, open),
        }
    }

    /// Whether what is due now still is to be told.
    pub(super) fn is_in_time(&self, due: At, now: At) -> bool {
        !self.rule.kind.is_by_the_clock() || now.since(due) <= LATEST_JUDGEMENT
    }

    /// The alarm has been told, or was not to be.
    pub(super) fn done(&self, run: &mut Run, due: &Due, now: At, told: bool) {
        if self.rule.kind.is_by_the_clock() {
            run.handled = due.at;
        }
        if let RuleKind::BedAbsence { .. } = self.rule.kind {
            // told once, however long it lasts
            run.since = self.house.facts.bed.last;
        }
        run.mark = None;
        run.open = (told && self.rule.kind.lasts()).then_some(now);
    }
}
