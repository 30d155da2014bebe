//! Which states hang together.

use super::net::{Arc, Net, Rows};

/// Which states can be come to from the main part of the net, and from which one gets to it. The
/// main part is the one with the longest roads among those in which one gets from everywhere to
/// everywhere, and not one of the roads for those with business there.
pub(super) fn reach(net: &Net) -> (Vec<bool>, Vec<bool>) {
    let part = parts(&net.out);
    let mut lengths = vec![0_u64; net.out.rows()];
    for state in (0..net.out.rows()).filter(|state| !net.inner[*state]) {
        let within =
            net.out.of(state as u32).iter().filter(|arc| part[arc.head as usize] == part[state]);
        lengths[part[state] as usize] += within.map(|arc| arc.cost & 0xffff_ffff).sum::<u64>();
    }
    // the first of equals
    let longest =
        lengths.iter().zip(0_u32..).max_by_key(|(length, part)| (**length, u32::MAX - part));
    let (_, main) = longest.unwrap_or((&0, 0));
    let main: Vec<u32> =
        (0..net.out.rows() as u32).filter(|state| part[*state as usize] == main).collect();
    (closure(&net.out, &main), closure(&net.back, &main))
}

/// Whatever can be come to from some states.
fn closure(arcs: &Rows<Arc>, from: &[u32]) -> Vec<bool> {
    let mut seen = vec![false; arcs.rows()];
    let mut open = from.to_vec();
    for state in from {
        seen[*state as usize] = true;
    }
    while let Some(state) = open.pop() {
        for arc in arcs.of(state) {
            if !std::mem::replace(&mut seen[arc.head as usize], true) {
                open.push(arc.head);
            }
        }
    }
    seen
}

/// The strongly connected component of each state, as a number, after Tarjan; with a stack of its
/// own, since the way through all junctions of a town is too long for that of the thread.
fn parts(arcs: &Rows<Arc>) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let states = arcs.rows();
    let mut order = vec![NEW; states];
    let mut low = vec![0_u32; states];
    let mut waiting = vec![false; states];
    let mut stack = Vec::new();
    let mut calls: Vec<(u32, usize)> = Vec::new();
    let mut count = 0;
    let mut parts = vec![0; states];
    let mut found = 0;
    for root in 0..states as u32 {
        if order[root as usize] != NEW {
            continue;
        }
        calls.push((root, 0));
        while let Some((state, next)) = calls.last_mut() {
            let at = *state as usize;
            if *next == 0 && order[at] == NEW {
                order[at] = count;
                low[at] = count;
                count += 1;
                stack.push(*state);
                waiting[at] = true;
            }
            if let Some(arc) = arcs.of(*state).get(*next) {
                *next += 1;
                let head = arc.head as usize;
                if order[head] == NEW {
                    calls.push((arc.head, 0));
                } else if waiting[head] {
                    low[at] = low[at].min(order[head]);
                }
                continue;
            }
            if low[at] == order[at] {
                let begin = stack.iter().rposition(|other| *other as usize == at);
                let begin = begin.expect("a state waits until its part is whole");
                for member in stack.drain(begin..) {
                    waiting[member as usize] = false;
                    parts[member as usize] = found;
                }
                found += 1;
            }
            calls.pop();
            if let Some((parent, _)) = calls.last() {
                let parent = *parent as usize;
                low[parent] = low[parent].min(low[at]);
            }
        }
    }
    parts
}
