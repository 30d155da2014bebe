//! Emptyings: the surface falls at once, and stays there.

use super::hours::median;
use super::packed::{Pack, Packed};
use serde::{Deserialize, Serialize};

/// So many readings are kept: those before a fall, and those that confirm it.
const KEPT: usize = 14;
const BEFORE: usize = 7;
const LEAST_BEFORE: usize = 3;
/// A press makes a smaller fall than this part of the depth.
const PRESSED_FALL: f64 = 0.5;
/// A sensor that reports rarely shows another level each time: the last two say what was in a bin,
/// and the first after a fall what remained.
const BEFORE_RARE: usize = 2;
const READINGS_RARE: usize = 2;
/// A reading agrees with a fall when it is deeper by this part of the least one.
const STILL: f64 = 0.8;
const STILL_RARE: f64 = 0.5;
/// The fall from one reading to the next is at least this part of the whole.
const AT_ONCE: f64 = 0.6;
/// A fall by this part of the depth, to this part of it or deeper, is clear: two readings are
/// enough.
const CLEAR_FALL: f64 = 0.35;
const CLEAR_FLOOR: f64 = 0.75;
const CLEAR_READINGS: usize = 2;
/// Another needs so many, or some less after so many seconds.
const READINGS: usize = 5;
const FEW_READINGS: usize = 3;
const LONG: i64 = 8 * 3600;
/// Surfaces are as deep within this part of the depth.
const SAME: f64 = 0.12;
/// This part of the readings after a fall has to agree with it.
const AGREE: f64 = 0.75;

/// A reading: seconds, steps, and whether a compactor has pressed since the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) at: i64,
    pub(super) step: u8,
    pub(super) pressed: bool,
}

/// The bit of the fifth byte of a time that says so.
const PRESSED: u8 = 0x80;

impl Pack for Seen {
    const SIZE: usize = 6;

    fn put(&self, bytes: &mut Vec<u8>) {
        let mut at = self.at.to_le_bytes();
        at[4] = (at[4] & !PRESSED) | if self.pressed { PRESSED } else { 0 };
        bytes.extend_from_slice(&at[..5]);
        bytes.push(self.step);
    }

    fn take(bytes: &[u8]) -> Self {
        let mut at = [0; 8];
        at[..5].copy_from_slice(&bytes[..5]);
        let pressed = at[4] & PRESSED != 0;
        at[4] &= !PRESSED;
        Self { at: i64::from_le_bytes(at), step: bytes[5], pressed }
    }
}

/// The last readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Readings(Packed<Seen>);

/// What counts as a fall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Falls {
    /// So many steps, of a bin of this depth.
    pub(super) least: f64,
    pub(super) depth: f64,
    /// Whether a clear one needs as many readings as others.
    pub(super) doubtful: bool,
    /// Whether the sensor reports rarely.
    pub(super) rare: bool,
    /// A compactor's press does not reach as deep as this step.
    pub(super) floor: f64,
}

/// A fall that stayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fall {
    /// When the last reading before it was, and the first after it.
    pub(super) before: i64,
    pub(super) at: i64,
    /// The steps before and after.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Whether the surface rose at once from as deep as it is now, a few readings ago: then it may
    /// have been there all the time.
    pub(super) back: bool,
}

impl Readings {
    pub(super) fn push(&mut self, seen: Seen) {
        self.0.push(seen, KEPT);
    }

    pub(super) fn clear(&mut self) {
        self.0.0.clear();
    }

    /// The middle of the last three that count: one wrong reading moves nothing, and two that
    /// agree do.
    pub(super) fn middle(&self, counts: impl Fn(u8) -> bool) -> Option<u8> {
        let steps = self.0.0.iter().rev().map(|seen| seen.step).filter(|step| counts(*step));
        let mut three: Vec<u8> = steps.take(3).collect();
        match three[..] {
            [last] | [last, _] => Some(last),
            _ => median(&mut three).map(|middle| middle as u8),
        }
    }

    /// The middle of those before the last.
    pub(super) fn before(&self) -> Option<f64> {
        let mut steps: Vec<u8> =
            self.0.0.iter().rev().skip(1).take(5).map(|seen| seen.step).collect();
        median(&mut steps)
    }

    /// A fall, if the last readings confirm one. What was before it is forgotten.
    pub(super) fn fall(&mut self, falls: Falls) -> Option<Fall> {
        let Falls { least, depth, doubtful, rare, floor } = falls;
        let all = &self.0.0;
        let (before, least_before) =
            if rare { (BEFORE_RARE, BEFORE_RARE) } else { (BEFORE, LEAST_BEFORE) };
        let found = (least_before..all.len()).rev().find_map(|at| {
            let jump = f64::from(all[at].step) - f64::from(all[at - 1].step);
            let deep = f64::from(all[at].step) >= floor && jump >= PRESSED_FALL * depth;
            let pressed = all[at].pressed && !deep;
            if jump < least * AT_ONCE || pressed {
                return None;
            }
            let steps = |seen: &[Seen]| seen.iter().map(|seen| seen.step).collect::<Vec<_>>();
            let from = median(&mut steps(&all[at.saturating_sub(before)..at]))?;
            let mut after = steps(&all[at..]);
            let first = f64::from(all[at].step);
            let still = from + least * if rare { STILL_RARE } else { STILL };
            let agree = after.iter().filter(|step| f64::from(**step) >= still).count();
            let to = if rare { first } else { median(&mut after)? };
            let span = all.last()?.at - all[at].at;
            let clear = !doubtful && to - from >= CLEAR_FALL * depth && to >= CLEAR_FLOOR * depth;
            let enough = match after.len() {
                n if clear && agree == n => n >= CLEAR_READINGS,
                n if rare => n >= READINGS_RARE,
                n => n >= READINGS || (n >= FEW_READINGS && span >= LONG),
            };
            let agreed = agree as f64 >= AGREE * after.len() as f64;
            let back = all[..at].windows(2).any(|pair| {
                let [deep, near] = [f64::from(pair[0].step), f64::from(pair[1].step)];
                deep - near >= least * AT_ONCE && (deep - to).abs() <= SAME * depth
            });
            (enough && agreed && to - from >= least).then_some((at, from, to, back))
        });
        let (place, from, to, back) = found?;
        let (before, at) = (all[place - 1].at, all[place].at);
        self.0.0.drain(..place);
        Some(Fall { before, at, from, to, back })
    }
}
