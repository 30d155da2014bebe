//! What sensors can support: how soon a rule can know.

use super::resident::{Resident, Rule, RuleKind, Sensor};
use super::sensor::USUAL_LOSS;
use std::time::Duration;

/// A bed is not called empty earlier: people sit up, and turn (Vitalthings allows no less, too).
const SHORTEST_ABSENCE: Duration = Duration::from_secs(5 * 60);
/// A silence that comes by chance no more often than this is one to conclude from.
const CHANCE: f64 = 0.05;
/// One frame that is lost has to be borne however good the link is.
const FEWEST_BEATS: u32 = 2;

/// Why a rule cannot work with its sensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooShort {
    /// The shortest time that it can have.
    pub shortest: Duration,
    /// The sensor that needs it; none if the rule itself does.
    pub sensor: Option<String>,
}

impl Resident {
    /// The shortest time that this rule can have with its sensors.
    ///
    /// # Errors
    /// When its time is shorter.
    pub fn support(&self, rule: &Rule) -> Result<(), TooShort> {
        let Some(delay) = rule.kind.delay() else { return Ok(()) };
        let absence = matches!(rule.kind, RuleKind::BedAbsence { .. });
        let floor = if absence { SHORTEST_ABSENCE } else { Duration::ZERO };
        let sensors = rule.sensors.iter().filter_map(|number| self.sensors.get(*number));
        let slowest = sensors
            .map(|sensor| (needed(sensor, rule.kind.goes_by_silence()), sensor))
            .max_by_key(|(needed, _)| *needed)
            .filter(|(needed, _)| *needed > floor);
        let (shortest, sensor) =
            slowest.map_or((floor, None), |(needed, sensor)| (needed, Some(sensor.id.clone())));
        if delay < shortest { Err(TooShort { shortest, sensor }) } else { Ok(()) }
    }
}

/// How long after somebody was last there a sensor lets us know. What it tells by itself comes
/// after its hold time. To conclude from its silence, so many heartbeats have to be missing that it
/// is no chance.
fn needed(sensor: &Sensor, by_silence: bool) -> Duration {
    match sensor.heartbeat {
        Some(heartbeat) if by_silence => {
            let loss = sensor.loss.unwrap_or(USUAL_LOSS).clamp(0.01, 0.9);
            let beats = (CHANCE.ln() / loss.ln()).ceil() as u32;
            sensor.hold.saturating_add(heartbeat.saturating_mul(beats.max(FEWEST_BEATS)))
        }
        _ => sensor.hold,
    }
}
