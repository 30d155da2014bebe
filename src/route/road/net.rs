//! The net that is searched: states, and the arcs that lead from one to another.
//!
//! A state is a junction and what matters of how one came there. Mostly that is nothing. Two
//! things are the exceptions:
//!
//! - After an arc that a turn ban begins with, the junction is a state of its own, which the
//!   banned arcs do not leave. No other road is searched in a costlier way for that.
//! - Roads only for those who have business there (`destination`) may begin and end a way, but
//!   not lie in its middle. Who comes to them from a public road is in another state, from which
//!   no public road leaves.
//!
//! One may turn back at every junction and at every stop, unless a ban forbids it.

use super::extract::{Ban, Tally};
use super::piece::Piece;
use std::collections::HashMap;

/// No time, since that direction is closed.
pub(super) const CLOSED: u32 = u32::MAX;

/// The largest length in centimetres and time in milliseconds of one road: 10,000 km.
const MOST: f64 = 1e9;

/// One direction of a road: twice the road's number, and one more backward.
pub(super) type ArcId = u32;

/// A road's measures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Road {
    /// Where its places begin among all; the next road's begin where they end.
    pub(super) shape: u32,
    /// Its length in centimetres.
    pub(super) length: u32,
    /// How long it takes forward and backward, in milliseconds, or [`CLOSED`].
    pub(super) times: [u32; 2],
    /// Whether one can stop there: it may be stopped at, it can be come to and left again.
    pub(super) stop: bool,
}

/// A way from one state to another. Its cost is in milliseconds (the upper half) and centimetres
/// (the lower half), which can be added as one number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub(super) cost: u64,
    pub(super) head: u32,
    pub(super) id: ArcId,
}

/// For each number of a row the items that belong to it.
#[derive(Debug)]
pub(super) struct Rows<T> {
    first: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Rows<T> {
    /// Of pairs that may come in any order, which they keep within a row.
    pub(super) fn new(rows: usize, pairs: impl Iterator<Item = (u32, T)> + Clone) -> Self {
        let mut first = vec![0_u32; rows + 1];
        for (row, _) in pairs.clone() {
            first[row as usize + 1] += 1;
        }
        for row in 0..rows {
            first[row + 1] += first[row];
        }
        let mut next = first.clone();
        let mut items: Vec<T> = Vec::new();
        if let Some((_, any)) = pairs.clone().next() {
            items.resize(first[rows] as usize, any);
        }
        for (row, item) in pairs {
            let at = &mut next[row as usize];
            items[*at as usize] = item;
            *at += 1;
        }
        Self { first, items }
    }

    pub(super) fn of(&self, row: u32) -> &[T] {
        let row = row as usize;
        &self.items[self.first[row] as usize..self.first[row + 1] as usize]
    }

    pub(super) fn rows(&self) -> usize {
        self.first.len() - 1
    }
}

/// States and arcs.
#[derive(Debug)]
pub(super) struct Net {
    /// The arcs that leave each state.
    pub(super) out: Rows<Arc>,
    /// The arcs that lead to each state; their heads are where they come from.
    pub(super) back: Rows<Arc>,
    /// The state in which one is at the end of each arc, having begun on it.
    pub(super) ends: Vec<u32>,
    /// The states in which one can enter each arc.
    pub(super) entries: Rows<u32>,
    /// Which states are among roads for those with business there, come to from a public one.
    pub(super) inner: Vec<bool>,
}

/// The roads' lengths and times.
pub(super) fn roads(pieces: &[Piece]) -> Vec<Road> {
    let mut shape = 0;
    let road = |piece: &Piece| {
        let metres: f64 = piece.shape.windows(2).map(|pair| pair[0].distance(pair[1]).0).sum();
        // below MOST
        let length = (metres * 100.0).round().min(MOST) as u32;
        let times = piece.passage.lanes.map(|lane| {
            let time = |speed| (f64::from(length) * 360.0 / f64::from(speed)).round().min(MOST);
            lane.map_or(CLOSED, |lane| time(lane.speed) as u32)
        });
        let begin = shape;
        shape += piece.shape.len() as u32;
        Road { shape: begin, length, times, stop: piece.passage.stop }
    };
    pieces.iter().map(road).collect()
}

/// The cost of a whole road in one direction.
pub(super) fn cost(road: &Road, direction: u32) -> u64 {
    u64::from(road.times[direction as usize]) << 32 | u64::from(road.length)
}

/// A junction, whether one is among roads for those with business there, and the arc that one
/// came by, plus one, if a ban begins with it: one number for each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State {
    junction: u32,
    inner: bool,
    by: u32,
}

/// What leads from which state to which.
struct Rules<'a> {
    pieces: &'a [Piece],
    /// The arcs that leave each junction.
    leaving: Rows<ArcId>,
    /// Which junctions a public road touches.
    public: Vec<bool>,
    /// The arcs that a ban begins with: where one may not go from there.
    bans: HashMap<ArcId, Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    banned: Vec<ArcId>,
    /// If there are any, one may go nowhere else.
    only: Vec<ArcId>,
}

impl Rules<'_> {
    /// Where an arc leads, unless it is entered as one of those for business alone.
    fn end(&self, arc: ArcId, inner: bool) -> State {
        let junction = self.pieces[arc as usize / 2].ends[1 - arc as usize % 2];
        let by = if self.bans.contains_key(&arc) { arc + 1 } else { 0 };
        State { junction, inner, by }
    }

    fn is_business(&self, arc: ArcId) -> bool {
        let lanes = self.pieces[arc as usize / 2].passage.lanes;
        lanes[arc as usize % 2].is_some_and(|lane| lane.destination)
    }

    /// The arcs that leave a state, with the states that they lead to.
    fn from(&self, state: State) -> impl Iterator<Item = (ArcId, State)> {
        let turns = state.by.checked_sub(1).and_then(|by| self.bans.get(&by));
        let leaving = self.leaving.of(state.junction).iter().copied();
        leaving.filter_map(move |arc| {
            let allowed = turns.is_none_or(|turns| {
                !turns.banned.contains(&arc) && (turns.only.is_empty() || turns.only.contains(&arc))
            });
            let business = self.is_business(arc);
            let inner = business && (state.inner || self.public[state.junction as usize]);
            (allowed && (business || !state.inner)).then(|| (arc, self.end(arc, inner)))
        })
    }
}

impl Net {
    /// The net of all roads between so many junctions.
    pub(super) fn new(
        pieces: &[Piece],
        roads: &[Road],
        junctions: usize,
        bans: &[Ban],
        tally: &mut Tally,
    ) -> Self {
        let arcs = || (0..roads.len() as u32 * 2).filter(|arc| is_open(roads, *arc));
        let begin = |arc: ArcId| pieces[arc as usize / 2].ends[arc as usize % 2];
        let leaving = Rows::new(junctions, arcs().map(|arc| (begin(arc), arc)));
        let mut rules =
            Rules { pieces, leaving, public: vec![false; junctions], bans: HashMap::new() };
        for arc in arcs().filter(|arc| !rules.is_business(*arc)).collect::<Vec<_>>() {
            for junction in pieces[arc as usize / 2].ends {
                rules.public[junction as usize] = true;
            }
        }
        // closed ones, too: a ban is ambiguous if its way goes on, open or not
        let touching =
            Rows::new(junctions, (0..roads.len() as u32 * 2).map(|arc| (begin(arc), arc)));
        for ban in bans {
            rules.add(ban, touching.of(ban.via), roads, tally);
        }

        let mut states: Vec<State> = arcs().map(|arc| rules.end(arc, false)).collect();
        states.sort_unstable();
        states.dedup();
        let mut known: std::collections::HashSet<State> = states.iter().copied().collect();
        let mut next = 0;
        while let Some(state) = states.get(next).copied() {
            next += 1;
            let fresh =
                rules.from(state).map(|(_, state)| state).filter(|state| known.insert(*state));
            states.extend(fresh);
        }
        // neighbours in the town are neighbours in memory, as far as their junctions are
        states.sort_unstable();
        let number: HashMap<State, u32> = states.iter().copied().zip(0..).collect();
        let ways: Vec<(u32, Arc)> = states
            .iter()
            .zip(0..)
            .flat_map(|(state, from)| rules.from(*state).map(move |(id, to)| (from, id, to)))
            .map(|(from, id, to)| {
                let cost = cost(&roads[id as usize / 2], id % 2);
                (from, Arc { cost, head: number[&to], id })
            })
            .collect();
        let turned = ways.iter().map(|(from, arc)| (arc.head, Arc { head: *from, ..*arc }));
        let end = |arc| number.get(&rules.end(arc, false)).copied().unwrap_or(u32::MAX);
        Self {
            out: Rows::new(states.len(), ways.iter().copied()),
            back: Rows::new(states.len(), turned),
            ends: (0..roads.len() as u32 * 2).map(end).collect(),
            inner: states.iter().map(|state| state.inner).collect(),
            entries: Rows::new(roads.len() * 2, ways.iter().map(|(from, arc)| (arc.id, *from))),
        }
    }
}

fn is_open(roads: &[Road], arc: ArcId) -> bool {
    roads[arc as usize / 2].times[arc as usize % 2] != CLOSED
}

impl Rules<'_> {
    /// Adds a turn ban, if it is clear which arcs it means. `touching` are all arcs that leave
    /// its junction, open or not.
    fn add(&mut self, ban: &Ban, touching: &[ArcId], roads: &[Road], tally: &mut Tally) {
        let pieces = self.pieces;
        let of_way = |way: u32| {
            let is = move |arc: &ArcId| pieces[*arc as usize / 2].ways[*arc as usize % 2] == way;
            touching.iter().copied().filter(is)
        };
        let open = |arc: &ArcId| is_open(roads, *arc);
        let from: Vec<ArcId> = of_way(ban.from).map(|arc| arc ^ 1).filter(open).collect();
        let to: Vec<ArcId> = of_way(ban.to).filter(open).collect();
        match (&from[..], &to[..]) {
            // nobody comes from there, or can go there
            ([], _) => {}
            (_, []) if !ban.only => {}
            ([from], [to]) => {
                let turns = self.bans.entry(*from).or_default();
                if ban.only {
                    turns.only.push(*to)
                } else {
                    turns.banned.push(*to)
                }
                tally.bans += 1;
            }
            _ => tally.bans_ignored += 1,
        }
    }
}
