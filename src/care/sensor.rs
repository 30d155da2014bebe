//! What is known of one sensor, in constant memory.

use super::resident::Sensor;
use super::time::At;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Signs that are no further apart are one and the same: a contact chatters.
pub const CHATTER: Duration = Duration::from_secs(2 * 60);
/// One frame in six is lost where sensors hang in streets and houses; a bit more is careful.
pub(super) const USUAL_LOSS: f64 = 0.2;
/// One false silence of a sensor is allowed in so many days.
const DAYS_TO_A_FALSE_SILENCE: f64 = 100.0;
/// Two missing heartbeats are nothing, on any link.
const FEWEST_BEATS: u32 = 3;
/// A sensor that is silent for longer is silent, on any link.
const MOST_BEATS: u32 = 16;
/// Of so many heartbeats the loss is learned; then older ones count half.
const LEARNED: u32 = 128;
/// For so long the "occupied" of a sensor that has no heartbeat is believed.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);
/// What a sensor with a heartbeat said is believed while the silence since is no more unlikely,
const UNLIKELY: f64 = 0.01;
/// for two heartbeats at least, and for six at most.
const FEWEST_BELIEVED: u32 = 2;
const MOST_BELIEVED: u32 = 6;
/// Below this a battery is to be changed: it still lasts for weeks.
const BATTERY_LOW: u8 = 20;
/// And is new from here on.
const BATTERY_GOOD: u8 = 40;

/// What a sensor said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Somebody is there, moves, the door is open, the button is pressed; or not.
    State(bool),
    /// It lives; of the state it said nothing.
    Alive,
    /// What is left of its battery, in hundredths: one part of a frame, beside another.
    Battery(u8),
    /// It spoke, and nobody can read it.
    Unreadable,
}

/// What is remembered of a sensor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SensorMemory {
    /// What it said last.
    pub(super) on: Option<bool>,
    /// Since when it says so.
    pub(super) since: Option<At>,
    /// When its last frame was heard.
    pub(super) heard: Option<At>,
    /// When it last said its state: a frame that says only that it lives is no evidence.
    pub(super) stated: Option<At>,
    /// When it last saw somebody.
    pub(super) sign: Option<At>,
    /// Frames with a state.
    pub(super) raw: u64,
    /// How many signs there were when those close together are one.
    pub(super) episodes: u64,
    /// Heartbeats that came, and that did not.
    beats: u32,
    missed: u32,
    /// Since when it is told that it is silent.
    pub(super) silent: Option<At>,
    /// Since when nobody can read it.
    pub(super) unreadable: Option<At>,
    /// Whether that is told.
    pub(super) unreadable_told: bool,
    /// Hundredths of its battery.
    pub(super) battery: Option<u8>,
    /// When it is told that the battery is low: by day, and every day.
    pub(super) battery_due: Option<At>,
}

impl SensorMemory {
    /// Takes in a frame; when somebody was seen by it, if so. `floor` is when anything could be
    /// heard at all.
    pub(super) fn hear(&mut self, sensor: &Sensor, at: At, heard: Heard, floor: At) -> Option<At> {
        if self.heard.is_some_and(|last| at < last) {
            // it comes late: what was said after it holds
            self.raw += u64::from(matches!(heard, Heard::State(_)));
            return None;
        }
        if let Heard::Battery(percent) = heard {
            // the rest of that frame says that it lives, and whether anybody can read it
            self.battery = Some(percent);
            return None;
        }
        self.learn(sensor, at, heard, floor);
        self.heard = Some(at);
        self.unreadable = match heard {
            Heard::Unreadable => self.unreadable.or(Some(at)),
            // what nobody could read may have been that somebody got up
            Heard::Alive if sensor.kind.holds_somebody() => self.unreadable,
            _ => None,
        };
        let on = match heard {
            Heard::State(on) => on,
            _ => return None,
        };
        self.raw += 1;
        self.stated = Some(at);
        let was = self.on.replace(on);
        if was != Some(on) {
            self.since = Some(at);
        }
        let held = at.before(sensor.hold).max(self.sign.unwrap_or(At(i64::MIN)));
        let sign = match (was, on) {
            (_, true) => at,
            (Some(true), false) => held,
            // nobody says "off" without having said "on", but a heartbeat
            (_, false) if sensor.heartbeat.is_none() => held,
            _ => return None,
        };
        if self.sign.is_none_or(|last| sign.since(last) > CHATTER) {
            self.episodes += 1;
        }
        self.sign = Some(sign);
        self.sign
    }

    /// Learns from the time since the last frame how many are lost. A frame that tells of a change
    /// is no heartbeat; those that are missing before it are missing all the same.
    fn learn(&mut self, sensor: &Sensor, at: At, heard: Heard, floor: At) {
        let (Some(heartbeat), Some(last)) = (sensor.heartbeat, self.heard) else { return };
        // a silence that was told is no chance
        if self.silent.is_some() || last < floor {
            return;
        }
        let gap = at.since(last).as_secs_f64() / heartbeat.as_secs_f64().max(1.0);
        let is_change = matches!(heard, Heard::State(on) if self.on != Some(on));
        let missed = match is_change {
            true => gap,
            false => {
                self.beats += 1;
                gap.round() - 1.0
            }
        };
        // a float becomes the nearest number that there is
        self.missed += (missed as u32).min(MOST_BEATS);
        if self.beats + self.missed > LEARNED {
            self.beats /= 2;
            self.missed /= 2;
        }
    }

    /// The part of its frames that is lost. What is learned may be wrong, and is thought to be more
    /// by its standard error: much more while little is known.
    pub(super) fn loss(&self, sensor: &Sensor) -> f64 {
        let chances = f64::from(self.beats + self.missed) + 10.0;
        let learned = (f64::from(self.missed) + 4.5) / chances;
        let error = (learned * (1.0 - learned) / chances).sqrt();
        sensor.loss.unwrap_or(learned + error).clamp(0.0, 0.8)
    }

    /// How many heartbeats have to be missing before it is more than chance.
    pub(super) fn beats(&self, sensor: &Sensor, heartbeat: Duration) -> u32 {
        let loss = self.loss(sensor);
        let a_day = 86_400.0 / heartbeat.as_secs_f64().max(1.0);
        let chances = DAYS_TO_A_FALSE_SILENCE * a_day * (1.0 - loss);
        let mut left = chances * loss.powi(FEWEST_BEATS as i32);
        let mut beats = FEWEST_BEATS;
        while left > 1.0 && beats < MOST_BEATS {
            left *= loss;
            beats += 1;
        }
        beats
    }

    /// When its silence is more than chance; never, if it has no heartbeat.
    pub(super) fn silent_at(&self, sensor: &Sensor, floor: At) -> Option<At> {
        let heartbeat = sensor.heartbeat?;
        let from = self.heard.unwrap_or(floor).max(floor);
        let beats = self.beats(sensor, heartbeat);
        Some(from.after(heartbeat.saturating_mul(beats)).after(heartbeat / 4))
    }

    /// Until when the state that it said last is believed: two heartbeats on a good link, more on one where a
    /// few in a row are lost by chance.
    pub(super) fn believed_until(&self, sensor: &Sensor) -> Option<At> {
        let believed = match sensor.heartbeat {
            Some(heartbeat) => {
                let beats = (UNLIKELY.ln() / self.loss(sensor).max(0.01).ln()).ceil() as u32;
                let beats = beats.clamp(FEWEST_BELIEVED, MOST_BELIEVED);
                heartbeat.saturating_mul(beats).saturating_add(sensor.hold)
            }
            None => BELIEVED,
        };
        Some(self.stated?.after(believed))
    }

    /// Whether its battery is to be changed. It stays so until there is a new one.
    pub(super) fn battery_is_low(&self) -> bool {
        let limit = if self.battery_due.is_some() { BATTERY_GOOD } else { BATTERY_LOW };
        self.battery.is_some_and(|percent| percent < limit)
    }

    /// Whether nothing can be concluded from it.
    pub(super) fn fails(&self) -> bool {
        self.silent.is_some() || self.unreadable.is_some()
    }

    /// The clock was wrong by so many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        for at in [
            &mut self.since,
            &mut self.heard,
            &mut self.stated,
            &mut self.sign,
            &mut self.silent,
            &mut self.unreadable,
            &mut self.battery_due,
        ] {
            shift(at, by);
        }
    }
}

/// Moves a moment by so many seconds.
pub(super) fn shift(at: &mut Option<At>, by: i64) {
    if let Some(At(second)) = at {
        *second = second.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::resident::SensorKind;

    fn sensor(loss: Option<f64>) -> Sensor {
        Sensor {
            id: "bed".to_owned(),
            kind: SensorKind::Bed,
            hold: Duration::from_secs(5),
            heartbeat: Some(Duration::from_secs(3600)),
            loss,
            sees_bed: false,
        }
    }

    #[test]
    fn the_worse_the_link_the_longer_a_silence_is_chance() {
        let memory = SensorMemory::default();
        let beats = |loss| memory.beats(&sensor(Some(loss)), Duration::from_secs(3600));
        assert_eq!([0.0, 0.05, 0.2, 0.45, 0.99].map(beats), [3, 3, 5, 9, 16]);
    }

    #[test]
    fn the_loss_is_learned_from_gaps_in_the_heartbeats() {
        let sensor = sensor(None);
        let mut memory = SensorMemory::default();
        assert!(memory.loss(&sensor) > 0.4, "little is known");
        for beat in 0..600 {
            // every third is lost
            if beat % 3 != 0 {
                // a frame may tell of the battery, too
                for heard in [Heard::Battery(90), Heard::State(false)] {
                    memory.hear(&sensor, At(beat * 3600), heard, At(0));
                }
            }
        }
        let loss = memory.loss(&sensor);
        assert!((0.30..0.45).contains(&loss), "{loss}");
    }
}
