//! What is known of a home at a moment: its sensors, its bed, who is there.

use super::resident::{Resident, SensorKind};
use super::sensor::{CHATTER, Heard, SensorMemory, shift};
use super::time::{At, Span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whoever is out of bed for longer has got up: a new night begins.
pub(super) const LONGEST_ABSENCE: Duration = Duration::from_secs(4 * 3600);

/// Who is in the home, as far as somebody said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The resident, as always.
    #[default]
    Home,
    /// Nobody: the resident is in hospital, say.
    Away(Stay),
    /// Staff is there: they see for themselves.
    Staff(Stay),
}

/// How long a mode lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Since when.
    pub since: At,
    /// When it ends by itself.
    pub until: At,
    /// When somebody was reminded of it last.
    pub(super) reminded: Option<At>,
}

impl Stay {
    /// A mode from now on until then.
    #[must_use]
    pub fn new(since: At, until: At) -> Self {
        Self { since, until, reminded: None }
    }
}

/// Why nothing can be heard of a home, whoever speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deafness {
    /// The gateway's radios do not work, or hear nobody.
    Radio,
    /// Nobody knows any more whether there is consent.
    Consent,
}

/// Everything that is remembered of a home but what its rules and checks remember.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct House {
    pub(super) sensors: Vec<SensorMemory>,
    pub(super) facts: Facts,
}

/// What is known of the home as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    /// Since when it is watched.
    pub(super) begun: At,
    /// When it was last looked at.
    pub(super) now: At,
    pub(super) bed: Bed,
    /// The last sign of somebody who is up, by the sensor's number; doors tell of no one.
    pub(super) moved: Option<(usize, At)>,
    pub(super) mode: Mode,
    /// Since when the clock is not to be trusted.
    pub(super) clock_unset: Option<At>,
    /// When nothing could be heard last, whoever spoke.
    pub(super) deaf: Option<Span>,
    /// Why nothing can be heard now, and since when.
    pub(super) deafness: Option<(Deafness, At)>,
    /// Since when nobody is away and no staff is there.
    pub(super) resumed: Option<At>,
}

impl Facts {
    /// The sensors are others than before.
    pub(super) fn forget_sensors(&mut self) {
        self.moved = None;
        self.bed.witness = None;
        self.bed.doubted_by = None;
    }
}

/// All mats of a bed together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Bed {
    /// The begin of the last stretch of signs; those close together are one stretch.
    pub(super) from: Option<At>,
    /// The last sign.
    pub(super) last: Option<At>,
    /// The first sign since somebody was seen elsewhere.
    pub(super) settled: Option<At>,
    /// Who first saw somebody up since.
    pub(super) witness: Option<(usize, At)>,
    /// Who did while the bed was thought to be occupied, since its last frame.
    doubted_by: Option<(usize, At)>,
}

impl Bed {
    /// For how long somebody lay there at a stretch.
    pub(super) fn stretch(&self) -> Duration {
        self.last.zip(self.from).map_or(Duration::ZERO, |(last, from)| last.since(from))
    }
}

/// A sign of somebody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sign {
    pub(super) sensor: usize,
    pub(super) at: At,
    /// What the sensor said.
    pub(super) on: bool,
    /// Of a bed: how long it was empty before, and whether somebody was seen up meanwhile.
    pub(super) empty: Option<(Duration, bool)>,
}

impl House {
    pub(super) fn new(resident: &Resident, now: At) -> Self {
        Self {
            sensors: vec![SensorMemory::default(); resident.sensors.len()],
            facts: Facts { begun: now, now, ..Facts::default() },
        }
    }

    /// From when on frames could be heard; never, while none can.
    pub(super) fn floor(&self) -> At {
        if self.facts.deafness.is_some() {
            return At(i64::MAX);
        }
        self.facts.begun.max(self.facts.deaf.map_or(At(i64::MIN), |deaf| deaf.to))
    }

    /// Whether no rule is asked: somebody sees for themselves, there is nobody to be seen, or nobody
    /// may look.
    pub(super) fn rules_rest(&self) -> bool {
        let unasked = matches!(self.facts.deafness, Some((Deafness::Consent, _)));
        self.facts.mode != Mode::Home || unasked
    }

    /// Whether a bed says that somebody is there. One that tells of changes alone and has told of
    /// none for a day has lost one.
    pub(super) fn bed_is_occupied(&self, resident: &Resident) -> bool {
        let now = self.facts.now;
        self.pairs(resident).any(|(sensor, memory)| {
            sensor.kind == SensorKind::Bed
                && memory.on == Some(true)
                && (sensor.heartbeat.is_some() || memory.believed_until(sensor) > Some(now))
        })
    }

    fn pairs<'a>(
        &'a self,
        resident: &'a Resident,
    ) -> impl Iterator<Item = (&'a super::resident::Sensor, &'a SensorMemory)> {
        resident.sensors.iter().zip(&self.sensors)
    }

    /// Takes in a frame; the sign of somebody, if it is one.
    pub(super) fn hear(
        &mut self,
        resident: &Resident,
        number: usize,
        at: At,
        heard: Heard,
    ) -> Option<Sign> {
        let sensor = resident.sensors.get(number)?;
        let floor = self.floor();
        let occupied = self.bed_is_occupied(resident);
        let memory = self.sensors.get_mut(number)?;
        let was = memory.on;
        let seen = memory.hear(sensor, at, heard, floor);
        let Heard::State(on) = heard else { return None };
        if sensor.kind == SensorKind::Bed {
            let doubted_by = self.facts.bed.doubted_by.take();
            let at = seen?;
            // a lost "off" that a heartbeat makes up for: who was seen up meanwhile was up
            let doubted_by = doubted_by.filter(|_| sensor.heartbeat.is_some());
            return Some(self.lie(resident, number, at, on, occupied, doubted_by));
        }
        let at = seen?;
        let bed = &mut self.facts.bed;
        // that a motion has ended is not new
        let is_new = on || was != Some(true) || sensor.kind == SensorKind::Door;
        if is_new && !sensor.sees_bed && sensor.kind != SensorKind::Button {
            bed.settled = None;
            if occupied {
                bed.doubted_by.get_or_insert((number, at));
            } else if bed.last.is_some_and(|last| at >= last) {
                bed.witness.get_or_insert((number, at));
            }
        }
        if sensor.kind != SensorKind::Door {
            self.facts.moved = Some((number, at));
        }
        Some(Sign { sensor: number, at, on, empty: None })
    }

    fn lie(
        &mut self,
        resident: &Resident,
        number: usize,
        at: At,
        on: bool,
        occupied: bool,
        doubted_by: Option<(usize, At)>,
    ) -> Sign {
        let is_occupied = self.bed_is_occupied(resident);
        let bed = &mut self.facts.bed;
        let gap = bed.last.filter(|_| !occupied).map(|last| at.since(last));
        let empty = gap
            .filter(|gap| *gap > CHATTER)
            .map(|gap| (gap, bed.witness.is_some_and(|(_, seen)| seen <= at)));
        if bed.from.is_none() || empty.is_some() {
            bed.from = Some(at);
        }
        bed.last = bed.last.max(Some(at));
        bed.settled.get_or_insert(at);
        bed.witness = bed.witness.filter(|(_, seen)| !is_occupied && *seen >= at);
        if !is_occupied {
            bed.witness = bed.witness.or(doubted_by);
        }
        Sign { sensor: number, at, on, empty }
    }

    /// When somebody has lain in bed again for so long that it is no touch, if that was or will be
    /// after `since`.
    pub(super) fn back_at(&self, resident: &Resident, since: At) -> Option<At> {
        if self.bed_is_occupied(resident) {
            return Some(since.after(CHATTER));
        }
        self.facts.bed.last.filter(|last| last.since(since) >= CHATTER)
    }

    /// Somebody who saw for themselves has gone: what was seen before says nothing any more.
    pub(super) fn resume(&mut self, resident: &Resident, now: At) {
        let occupied = self.bed_is_occupied(resident);
        self.facts.resumed = Some(now);
        let bed = &mut self.facts.bed;
        bed.witness = None;
        bed.doubted_by = None;
        bed.settled = None;
        if !occupied && bed.last.is_some() {
            bed.last = Some(now);
        }
    }

    /// The clock was wrong by so many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        for sensor in &mut self.sensors {
            sensor.shift(by);
        }
        let facts = &mut self.facts;
        facts.begun.0 = facts.begun.0.saturating_add(by);
        facts.now.0 = facts.now.0.saturating_add(by);
        shift(&mut facts.bed.from, by);
        shift(&mut facts.bed.last, by);
        shift(&mut facts.bed.settled, by);
        shift(&mut facts.clock_unset, by);
        shift(&mut facts.resumed, by);
        for (_, at) in [&mut facts.bed.witness, &mut facts.bed.doubted_by, &mut facts.moved]
            .into_iter()
            .flatten()
        {
            at.0 = at.0.saturating_add(by);
        }
        if let Some((_, since)) = &mut facts.deafness {
            since.0 = since.0.saturating_add(by);
        }
        if let Some(deaf) = &mut facts.deaf {
            deaf.from.0 = deaf.from.0.saturating_add(by);
            deaf.to.0 = deaf.to.0.saturating_add(by);
        }
        if let Mode::Away(stay) | Mode::Staff(stay) = &mut facts.mode {
            stay.since.0 = stay.since.0.saturating_add(by);
            stay.until.0 = stay.until.0.saturating_add(by);
            shift(&mut stay.reminded, by);
        }
    }
}
