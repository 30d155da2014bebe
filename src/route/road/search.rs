//! The search: from one place to all.
//!
//! Dijkstra's algorithm without any preparation. On the net of a municipality it is faster than
//! contraction hierarchies, as soon as a whole matrix is wanted.

use super::net::{Arc, ArcId, Rows};

/// What is to be least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Weight {
    /// Travel time; among equally fast ways the shortest.
    #[default]
    Time,
    /// Distance; among equally short ways the fastest.
    Distance,
}

impl Weight {
    /// A cost as a number to be compared: what counts is its upper half. Twice gives it back.
    pub(super) fn key(self, cost: u64) -> u64 {
        match self {
            Self::Time => cost,
            Self::Distance => cost.rotate_left(32),
        }
    }
}

/// Farther than anything.
pub(super) const NEVER: u64 = u64::MAX;

/// No way is followed beyond 10,000 km or 12 days: no real one is that long, and neither half of
/// a cost can overflow.
const FAR: u64 = 1 << 30;

/// Room for a search, used again for the next one.
#[derive(Debug)]
pub(super) struct Search {
    weight: Weight,
    /// The key of the least cost to each state.
    pub(super) keys: Vec<u64>,
    heap: Heap,
}

impl Search {
    pub(super) fn new(states: usize, weight: Weight) -> Self {
        Self { weight, keys: vec![NEVER; states], heap: Heap::default() }
    }

    /// The least costs from these states, which begin with a cost, to all others.
    pub(super) fn run(&mut self, arcs: &Rows<Arc>, from: impl Iterator<Item = (u32, u64)>) {
        self.explore(arcs, from, |_, _, _| ());
    }

    /// As [`Search::run`]; shows each step on a way that is better than all before: where it
    /// comes from, its arc, and where it leads.
    pub(super) fn explore(
        &mut self,
        arcs: &Rows<Arc>,
        from: impl Iterator<Item = (u32, u64)>,
        mut show: impl FnMut(u32, ArcId, u32),
    ) {
        self.keys.fill(NEVER);
        self.heap.0.clear();
        for (state, cost) in from {
            let key = self.weight.key(cost);
            if key < self.keys[state as usize] {
                self.keys[state as usize] = key;
                self.heap.push((key, state));
            }
        }
        while let Some((key, state)) = self.heap.pop() {
            if key > self.keys[state as usize] || (key >> 32).max(key & 0xffff_ffff) >= FAR {
                continue;
            }
            for arc in arcs.of(state) {
                let farther = key + self.weight.key(arc.cost);
                let best = &mut self.keys[arc.head as usize];
                if farther < *best {
                    *best = farther;
                    self.heap.push((farther, arc.head));
                    show(state, arc.id, arc.head);
                }
            }
        }
    }
}

/// A heap with four children a node: half as deep as a binary one, and its children lie in one
/// or two lines of the cache.
#[derive(Debug, Default)]
struct Heap(Vec<(u64, u32)>);

impl Heap {
    fn push(&mut self, item: (u64, u32)) {
        let mut hole = self.0.len();
        self.0.push(item);
        while hole > 0 {
            let parent = (hole - 1) / 4;
            if self.0[parent].0 <= item.0 {
                break;
            }
            self.0[hole] = self.0[parent];
            hole = parent;
        }
        self.0[hole] = item;
    }

    fn pop(&mut self) -> Option<(u64, u32)> {
        let last = self.0.pop()?;
        let Some(least) = self.0.first().copied() else { return Some(last) };
        let mut hole = 0;
        loop {
            let first = hole * 4 + 1;
            let children = self.0.get(first..).unwrap_or_default().iter().take(4).enumerate();
            let Some((child, least)) = children.min_by_key(|(_, child)| child.0) else { break };
            if least.0 >= last.0 {
                break;
            }
            self.0[hole] = *least;
            hole = first + child;
        }
        self.0[hole] = last;
        Some(least)
    }
}
