//! From ways to roads: ways are cut where one can turn, and joined where one cannot.

use super::access::Passage;
use super::extract::{Ban, Extract};
use super::index::curve;
use super::position::Position;

/// Two nodes of a way that are farther apart than this are an error in the data.
const LONGEST_STEP: f64 = 100_000.0;

/// A road between two junctions, and what the way at either end is.
#[derive(Debug)]
pub(super) struct Piece {
    /// The junctions at its ends, as numbers.
    pub(super) ends: [u32; 2],
    /// The ways that it is of at its ends, as numbers in the extract.
    pub(super) ways: [u32; 2],
    pub(super) passage: Passage,
    /// From end to end; at least two places.
    pub(super) shape: Vec<Position>,
}

impl Piece {
    /// Itself, or seen from its other end.
    fn turned(&self, turned: bool) -> (Passage, [u32; 2], [u32; 2]) {
        let Self { ends: [a, b], ways: [v, w], passage, .. } = *self;
        let Passage { lanes: [forward, backward], stop } = passage;
        if turned {
            (Passage { lanes: [backward, forward], stop }, [b, a], [w, v])
        } else {
            (passage, [a, b], [v, w])
        }
    }
}

/// All roads of an extract, and how many junctions there are. The junctions of the first numbers
/// are the nodes of the extract; those behind them are the two sides of barriers.
pub(super) fn pieces(extract: &Extract) -> (Vec<Piece>, usize) {
    let mut uses = vec![0_u8; extract.places.len()];
    for way in &extract.ways {
        let nodes = extract.nodes(way);
        for node in nodes {
            let uses = &mut uses[*node as usize];
            *uses = uses.saturating_add(1);
        }
        // a way's end is kept for now: it is joined with its continuation afterwards
        for end in [nodes.first(), nodes.last()].into_iter().flatten() {
            uses[*end as usize] = 2;
        }
    }
    let mut fixed = vec![false; extract.places.len()];
    for ban in &extract.bans {
        uses[ban.via as usize] = 2;
        fixed[ban.via as usize] = true;
    }
    let (cut, junctions) = cut(extract, &uses);
    fixed.resize(junctions, false);
    (joined(&cut, &fixed), junctions)
}

/// The ways, cut at every node with two uses, at barriers, and where their nodes are missing.
fn cut(extract: &Extract, uses: &[u8]) -> (Vec<Piece>, usize) {
    let mut pieces = Vec::new();
    let mut junctions = extract.places.len();
    let mut junction = |node: u32| {
        if !extract.barriers[node as usize] {
            return node;
        }
        // nobody gets past it: each road ends there for itself
        junctions += 1;
        (junctions - 1) as u32
    };
    for (number, way) in extract.ways.iter().enumerate() {
        let mut begin = None;
        let mut shape: Vec<Position> = Vec::new();
        let mut before = None;
        let mut close = |begin: u32, end: u32, shape: Vec<Position>| {
            // nothing but its own end
            if begin != end || shape.len() > 2 {
                let ends = [junction(begin), junction(end)];
                pieces.push(Piece { ends, ways: [number as u32; 2], passage: way.passage, shape });
            }
        };
        for node in extract.nodes(way) {
            let place = extract.places[*node as usize];
            let step = shape.last().zip(place).map(|(last, place)| last.distance(place).0);
            if place.is_none() || step.is_some_and(|step| step > LONGEST_STEP) {
                if let (Some(begin), Some(end)) = (begin.take(), before.take()) {
                    close(begin, end, std::mem::take(&mut shape));
                }
                shape.clear();
            }
            let Some(place) = place else { continue };
            shape.push(place);
            before = Some(*node);
            let Some(start) = begin else {
                begin = Some(*node);
                continue;
            };
            if uses[*node as usize] >= 2 || extract.barriers[*node as usize] {
                close(start, *node, std::mem::replace(&mut shape, vec![place]));
                begin = Some(*node);
            }
        }
        if let (Some(begin), Some(end)) = (begin, before)
            && shape.len() > 1
        {
            close(begin, end, shape);
        }
    }
    (pieces, junctions)
}

/// Joins pieces where nothing but one other continues them in the same manner. What is fixed
/// stays a junction.
fn joined(pieces: &[Piece], fixed: &[bool]) -> Vec<Piece> {
    // an end is the number of its piece times two, and one more at its far side
    let mut count = vec![0_u8; fixed.len()];
    let mut meeting = vec![[0_u32; 2]; fixed.len()];
    for (number, piece) in pieces.iter().enumerate() {
        for (side, junction) in piece.ends.iter().enumerate() {
            let junction = *junction as usize;
            if let Some(end) = meeting[junction].get_mut(usize::from(count[junction])) {
                *end = (number * 2 + side) as u32;
            }
            count[junction] = count[junction].saturating_add(1);
        }
    }
    // the end of another piece that continues this one beyond this end
    let beyond = |end: u32| {
        let junction = pieces[end as usize / 2].ends[end as usize % 2] as usize;
        let [a, b] = meeting[junction];
        let other = if a == end { b } else { a };
        let joins = count[junction] == 2 && !fixed[junction] && end / 2 != other / 2;
        let through = |end: u32, out: u32| pieces[end as usize / 2].turned(end % 2 == out).0;
        (joins && through(end, 0) == through(other, 1)).then_some(other)
    };
    let mut done = vec![false; pieces.len()];
    let mut roads = Vec::new();
    for number in 0..pieces.len() {
        if done[number] {
            continue;
        }
        // back to where the road begins, or once around
        let mut first = number as u32 * 2;
        while let Some(other) = beyond(first).filter(|other| *other as usize / 2 != number) {
            first = other ^ 1;
        }
        let mut shape: Vec<Position> = Vec::new();
        let mut entry = first;
        let last = loop {
            let piece = &pieces[entry as usize / 2];
            done[entry as usize / 2] = true;
            let skip = usize::from(!shape.is_empty());
            if entry.is_multiple_of(2) {
                shape.extend(&piece.shape[skip..]);
            } else {
                shape.extend(piece.shape.iter().rev().skip(skip));
            }
            match beyond(entry ^ 1).filter(|next| !done[*next as usize / 2]) {
                Some(next) => entry = next,
                None => break entry,
            }
        };
        let (passage, [begin, _], [first_way, _]) =
            pieces[first as usize / 2].turned(first % 2 == 1);
        let (_, [_, end], [_, last_way]) = pieces[last as usize / 2].turned(last % 2 == 1);
        roads.push(Piece { ends: [begin, end], ways: [first_way, last_way], passage, shape });
    }
    roads
}

/// Numbers the junctions of the pieces anew, so that neighbours have numbers near to each other,
/// in the bans, too. How many there are.
pub(super) fn ordered(pieces: &mut [Piece], junctions: usize, bans: Vec<Ban>) -> (usize, Vec<Ban>) {
    const NONE: u32 = u32::MAX;
    let mut ends: Vec<(u64, u32)> = Vec::with_capacity(pieces.len() * 2);
    for piece in &*pieces {
        let places = [piece.shape.first(), piece.shape.last()];
        for (junction, place) in piece.ends.iter().zip(places.into_iter().flatten()) {
            ends.push((curve(*place), *junction));
        }
    }
    ends.sort_unstable();
    ends.dedup();
    let mut numbers = vec![NONE; junctions];
    for ((_, junction), number) in ends.iter().zip(0..) {
        numbers[*junction as usize] = number;
    }
    for piece in pieces {
        piece.ends = piece.ends.map(|junction| numbers[junction as usize]);
    }
    let renumbered = |ban: Ban| {
        let via = numbers[ban.via as usize];
        // at a barrier, or where the extract ends, nobody turns
        (via != NONE).then_some(Ban { via, ..ban })
    };
    (ends.len(), bans.into_iter().filter_map(renumbered).collect())
}
