//! The last two days of a bin, an hour a byte.

use super::packed::Packed;
use serde::{Deserialize, Serialize};

/// So many hours are kept.
pub(super) const KEPT: i64 = 48;
const NOTHING: u8 = u8::MAX;

/// A surface is where it was seen in these hours; readings before that are of another day.
const NOW: i64 = 6;
/// What was seen in the night before five o'clock counts as seen at five.
const MORNING: i64 = 8;
const LEAST_MORNING: usize = 2;
/// Of a sensor that sleeps at night the evening counts.
const EVENING: i64 = 14;
/// A sensor that reports less often than every so many hours is asked for one reading; and less
/// often than every so many others it shows another level each time: only the last counts, which
/// is no older than one of its intervals and a bit.
pub(super) const OFTEN: f64 = 2.0;
pub(super) const RARE: f64 = 4.5;
const LATE: f64 = 1.1;
/// No more readings than these make a median.
const MEDIAN: usize = 7;

/// How much of the low quarter of a day, and of two, goes into a surface. Echoes err to the deep
/// side: on warm afternoons, and between bottles. What was seen nearer was there.
const DAY_PART: f64 = 0.5;
const TWO_DAYS_PART: f64 = 0.3;

/// What was heard in each hour, in steps of distance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hours {
    /// The number of the last hour, since 1970.
    #[serde(rename = "l", default)]
    last: i64,
    /// In the place of each hour's number modulo [`KEPT`].
    #[serde(rename = "s", default)]
    steps: Packed<u8>,
}

/// Where a surface is, in steps from the sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surface {
    /// As the sensor says it.
    pub(super) seen: f64,
    /// Without what its echoes err.
    pub(super) base: f64,
}

impl Hours {
    /// Takes the reading of an hour. One from before the last hour must not come.
    pub(super) fn put(&mut self, hour: i64, step: u8) {
        if self.steps.0.len() != KEPT as usize || hour - self.last >= KEPT || hour < self.last {
            self.steps.0 = vec![NOTHING; KEPT as usize];
        } else {
            for between in self.last + 1..hour {
                self.steps.0[between.rem_euclid(KEPT) as usize] = NOTHING;
            }
        }
        self.last = hour;
        self.steps.0[hour.rem_euclid(KEPT) as usize] = step.min(NOTHING - 1);
    }

    /// Forgets what was before an hour.
    pub(super) fn forget_before(&mut self, hour: i64) {
        for old in self.last - KEPT + 1..hour.min(self.last + 1) {
            if let Some(step) = self.steps.0.get_mut(old.rem_euclid(KEPT) as usize) {
                *step = NOTHING;
            }
        }
    }

    /// The readings of hours before this one, the newest first.
    pub(super) fn back(&self, hour: i64) -> impl Iterator<Item = (i64, u8)> {
        let first = self.last - KEPT + 1;
        let hours = (first..hour.min(self.last + 1)).rev();
        hours.filter_map(|hour| {
            let step = *self.steps.0.get(hour.rem_euclid(KEPT) as usize)?;
            (step != NOTHING).then_some((hour, step))
        })
    }

    /// The surface after the last hour that was heard.
    pub(super) fn latest(&self) -> Option<Surface> {
        self.before(self.last + 1, NOW, 1)
    }

    /// The surface when this hour began, by the hours of the night before it, of a sensor that
    /// reports every so many hours.
    pub(super) fn morning(&self, hour: i64, every: f64) -> Option<Surface> {
        if every > RARE {
            let (at, step) = self.back(hour).next()?;
            let seen = f64::from(step);
            let late = (every * LATE).ceil() as i64;
            return (hour - at <= late.max(MORNING)).then_some(Surface { seen, base: seen });
        }
        let least = if every > OFTEN { 1 } else { LEAST_MORNING };
        self.before(hour, MORNING, least).or_else(|| self.before(hour, EVENING, least))
    }

    fn before(&self, end: i64, span: i64, least: usize) -> Option<Surface> {
        let mut near = [0; MEDIAN];
        let mut found = 0;
        let seen = self.back(end).take_while(|(hour, _)| *hour >= end - span).take(MEDIAN);
        for (place, (_, step)) in near.iter_mut().zip(seen) {
            *place = step;
            found += 1;
        }
        if found < least {
            return None;
        }
        let seen = median(&mut near[..found])?;
        let mut base = seen;
        for (hours, part) in [(24, DAY_PART), (KEPT, TWO_DAYS_PART)] {
            let mut all = [0; KEPT as usize];
            let mut count = 0;
            for (place, (_, step)) in
                all.iter_mut().zip(self.back(end).take_while(|(hour, _)| *hour >= end - hours))
            {
                *place = step;
                count += 1;
            }
            let all = &mut all[..count];
            all.sort_unstable();
            base += part * (f64::from(all[count / 4]) - seen);
        }
        Some(Surface { seen, base })
    }
}

/// The middle of some steps; none of none.
pub(super) fn median(steps: &mut [u8]) -> Option<f64> {
    steps.sort_unstable();
    let middle = steps.len() / 2;
    let high = f64::from(*steps.get(middle)?);
    Some(if steps.len() % 2 == 1 {
        high
    } else {
        f64::midpoint(f64::from(steps[middle - 1]), high)
    })
}
