//! Which road is near: a packed tree of rectangles, built once.

use super::net::Road;
use super::position::{Area, Map, Position};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Steps of a road that share a rectangle.
const RUN: usize = 8;

/// Rectangles that share the next larger one.
const FAN: usize = 16;

/// Steps of a road that belong together.
#[derive(Debug, Clone, Copy)]
struct Run {
    road: u32,
    /// The first of its places, among all places; its steps end at the place behind its last.
    first: u32,
    steps: u32,
}

/// The runs of all roads, neighbours beside each other, and rectangles around them, level by
/// level. Its size depends on the number of places alone, not on how large the world is.
#[derive(Debug)]
pub(super) struct Index {
    runs: Vec<Run>,
    levels: Vec<Vec<Area>>,
}

/// A place on a road.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) road: u32,
    /// The place at which its step begins, among all places.
    pub(super) place: u32,
    /// How much of the step lies before it.
    pub(super) share: f64,
    /// How far it is, in metres.
    pub(super) metres: f64,
}

impl Index {
    pub(super) fn new(roads: &[Road], places: &[Position]) -> Self {
        let mut runs = Vec::new();
        for (number, road) in roads.iter().enumerate() {
            let end = roads.get(number + 1).map_or(places.len(), |next| next.shape as usize);
            // the last place begins no step
            let starts = road.shape as usize..end.saturating_sub(1);
            for first in starts.clone().step_by(RUN) {
                let steps = RUN.min(starts.end - first) as u32;
                runs.push(Run { road: number as u32, first: first as u32, steps });
            }
        }
        runs.sort_by_cached_key(|run| curve(places[(run.first + run.steps / 2) as usize]));
        let around = |run: &Run| {
            let places = &places[run.first as usize..=(run.first + run.steps) as usize];
            Area::around(places.iter().copied()).expect("a run has two places or more")
        };
        let mut levels = vec![runs.iter().map(around).collect::<Vec<_>>()];
        while let Some(level) = levels.last().filter(|level| level.len() > FAN) {
            let joined = level.chunks(FAN).map(|areas| {
                areas.iter().copied().reduce(Area::with).expect("a chunk is never empty")
            });
            let joined = joined.collect();
            levels.push(joined);
        }
        Self { runs, levels }
    }

    /// The nearest place on any accepted road, up to a distance in metres.
    pub(super) fn nearest(
        &self,
        places: &[Position],
        at: Position,
        limit: f64,
        accept: impl Fn(u32) -> bool,
    ) -> Option<Found> {
        let map = Map::around(at);
        let mut best: Option<Found> = None;
        // by distance, whose bits are in the order of the numbers as long as none is negative
        let mut open = BinaryHeap::new();
        let top = self.levels.len() - 1;
        let push = |open: &mut BinaryHeap<_>, level: usize, number: usize, most: f64| {
            let distance = map.distance(self.levels[level][number]);
            if distance <= most {
                open.push(Reverse((distance.to_bits(), level, number)));
            }
        };
        for number in 0..self.levels[top].len() {
            push(&mut open, top, number, limit);
        }
        while let Some(Reverse((distance, level, number))) = open.pop() {
            let most = best.map_or(limit, |best| best.metres);
            if f64::from_bits(distance) > most {
                break;
            }
            if level > 0 {
                let below = number * FAN..(number * FAN + FAN).min(self.levels[level - 1].len());
                for number in below {
                    push(&mut open, level - 1, number, most);
                }
                continue;
            }
            let run = self.runs[number];
            if !accept(run.road) {
                continue;
            }
            for place in run.first..run.first + run.steps {
                let (a, b) =
                    (map.offset(places[place as usize]), map.offset(places[place as usize + 1]));
                let (share, metres) = foot(a, b);
                let most = best.map_or(limit, |best| best.metres);
                if metres < most || (best.is_none() && metres <= most) {
                    best = Some(Found { road: run.road, place, share, metres });
                }
            }
        }
        best
    }

    /// The roads that may have a part in an area, in order, each once.
    pub(super) fn within(&self, area: Area) -> Vec<u32> {
        let top = self.levels.len() - 1;
        let mut open: Vec<(usize, usize)> = (0..self.levels[top].len()).map(|n| (top, n)).collect();
        let mut roads = Vec::new();
        while let Some((level, number)) = open.pop() {
            if !self.levels[level][number].meets(area) {
                continue;
            }
            match level.checked_sub(1) {
                None => roads.push(self.runs[number].road),
                Some(below) => {
                    let end = (number * FAN + FAN).min(self.levels[below].len());
                    open.extend((number * FAN..end).map(|number| (below, number)));
                }
            }
        }
        roads.sort_unstable();
        roads.dedup();
        roads
    }
}

/// The point of a line that is nearest to the origin: its share of the line, its distance.
fn foot((ax, ay): (f64, f64), (bx, by): (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (bx - ax, by - ay);
    let square = dx * dx + dy * dy;
    let share = if square > 0.0 { (-(ax * dx + ay * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    (share, (ax + share * dx).hypot(ay + share * dy))
}

/// A place's number along a curve that visits neighbours soon after each other (Z-order).
pub(super) fn curve(place: Position) -> u64 {
    let (lat, lon) = place.steps();
    let spread = |value: i32| {
        // from the least i32 upwards
        let mut bits = u64::from(value as u32 ^ 0x8000_0000);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            bits = (bits | bits << shift) & mask;
        }
        bits
    };
    spread(lat) << 1 | spread(lon)
}
