//! The line of a way, for maps and navigators, and the roads of an area, for pictures.

use super::net::ArcId;
use super::position::{Area, Position};
use super::search::{NEVER, Search, Weight};
use super::{Roads, Snap};
use crate::units::Metres;

/// The way from one stop to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its places, from the one stop's road to the other's; at least two.
    pub line: Vec<Position>,
    /// Its length, as in the matrix, but not rounded.
    pub distance: Metres,
    /// How long it takes in seconds, as in the matrix, but not rounded.
    pub seconds: f64,
}

/// A road for a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// From one junction to the next.
    pub places: &'a [Position],
    /// How fast one usually goes there, in km/h: the wider one may draw it.
    pub speed: f64,
    /// Whether stops can be visited from there.
    pub stop: bool,
}

impl Roads {
    /// The best way from one stop to another; none if there is no way.
    #[must_use]
    pub fn path(&self, from: &Snap, to: &Snap, weight: Weight) -> Option<Path> {
        let mut search = Search::new(self.net.out.rows(), weight);
        let mut by = vec![None; self.net.out.rows()];
        let starts = self.exits(from).map(|(state, _, cost)| (state, cost));
        search.explore(&self.net.out, starts, |tail, arc, head| {
            by[head as usize] = Some((tail, arc));
        });
        let around = self
            .entries(to)
            .filter(|(state, _, _)| search.keys[*state as usize] != NEVER)
            .map(|(state, arc, cost)| (search.keys[state as usize] + weight.key(cost), state, arc))
            .min();
        let direct = self.direct(from, to).map(|(arc, cost)| (weight.key(cost), arc));

        let mut line = vec![from.position];
        let key = match (direct, around) {
            (Some((key, arc)), around) if around.is_none_or(|(other, _, _)| key <= other) => {
                self.draw(arc, Some(from), Some(to), &mut line);
                key
            }
            (_, Some((key, state, last))) => {
                let mut arcs = Vec::new();
                let mut state = state;
                while let Some((tail, arc)) = by[state as usize] {
                    arcs.push(arc);
                    state = tail;
                }
                let began = self.exits(from).filter(|(end, _, _)| *end == state);
                let (_, first, _) = began.min_by_key(|(_, _, cost)| weight.key(*cost))?;
                self.draw(first, Some(from), None, &mut line);
                for arc in arcs.into_iter().rev() {
                    self.draw(arc, None, None, &mut line);
                }
                self.draw(last, None, Some(to), &mut line);
                key
            }
            (_, None) => return None,
        };
        line.push(to.position);
        line.dedup();
        if let [only] = line[..] {
            line.push(only);
        }
        let cost = weight.key(key);
        let centimetres = (cost & 0xffff_ffff) as f64;
        let milliseconds = (cost >> 32) as f64;
        Some(Path { line, distance: Metres(centimetres / 100.0), seconds: milliseconds / 1000.0 })
    }

    /// Every road that may have a part in an area. Two directions are one road.
    pub fn lines(&self, area: Area) -> impl Iterator<Item = Line<'_>> {
        self.index.within(area).into_iter().map(|number| {
            let road = &self.roads[number as usize];
            let fastest = road.times[0].min(road.times[1]).max(1);
            // centimetres in a millisecond are 36 km/h
            let speed = f64::from(road.length) / f64::from(fastest) * 36.0;
            Line { places: self.shape(number), speed, stop: road.stop }
        })
    }

    /// The area of all roads.
    #[must_use]
    pub fn area(&self) -> Area {
        self.area
    }

    /// The places of a road.
    pub(super) fn shape(&self, road: u32) -> &[Position] {
        let road = road as usize;
        let end = self.roads.get(road + 1).map_or(self.places.len(), |next| next.shape as usize);
        &self.places[self.roads[road].shape as usize..end]
    }

    /// Adds the places of an arc, as far as it lies behind one stop and before another on it.
    fn draw(&self, arc: ArcId, from: Option<&Snap>, to: Option<&Snap>, line: &mut Vec<Position>) {
        let shape = self.shape(arc / 2);
        let begin = self.roads[arc as usize / 2].shape;
        // a stop lies behind this many places of the road
        let behind = |stop: &Snap| (stop.place - begin) as usize + 1;
        if arc.is_multiple_of(2) {
            let (first, last) = (from.map_or(0, behind), to.map_or(shape.len(), behind));
            line.extend(shape.get(first..last).unwrap_or_default());
        } else {
            let (first, last) = (to.map_or(0, behind), from.map_or(shape.len(), behind));
            line.extend(shape.get(first..last).unwrap_or_default().iter().rev());
        }
    }
}
