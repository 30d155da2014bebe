//! Towns by chance, and a second opinion on them.

use crate::town::{Town, position};
use lykta::route::matrix::NO_WAY;
use lykta::route::road::{NEAR, Position, Profile, Roads, Snap, Weight};
use proptest::prelude::*;
use std::collections::HashMap;

/// A street of a town: whence, whither, and of which kind.
#[derive(Debug, Clone, Copy)]
struct Street {
    from: i64,
    to: i64,
    one_way: bool,
    business: bool,
    /// Its speed is that of its class, by which the fastest way is another than the shortest.
    slow: bool,
}

#[derive(Debug, Clone)]
struct Plan {
    places: Vec<(f64, f64)>,
    streets: Vec<Street>,
    /// Rule (only or no), street by which one comes, street that is meant.
    bans: Vec<(bool, usize, usize)>,
    /// Streets with a stop in the middle.
    stops: Vec<usize>,
}

const WIDE: usize = 5;

/// A grid of streets, some of which are missing.
fn plan(one_ways: bool, rules: bool) -> impl Strategy<Value = Plan> {
    let place = (-20.0..20.0_f64, -20.0..20.0_f64);
    let places = proptest::collection::vec(place, WIDE * WIDE);
    let kinds = proptest::collection::vec(0..100_u32, 2 * WIDE * (WIDE - 1));
    let bans = proptest::collection::vec((any::<bool>(), any::<u16>(), any::<u16>()), 0..12);
    let stops = proptest::collection::vec(any::<u16>(), 4..8);
    (places, kinds, bans, stops).prop_map(move |(offsets, kinds, bans, stops)| {
        let at = |i: usize| ((i % WIDE) as f64 * 100.0, (i / WIDE) as f64 * 100.0);
        let places: Vec<_> = offsets
            .iter()
            .enumerate()
            .map(|(i, (east, north))| (at(i).0 + east, at(i).1 + north))
            .collect();
        let right = (0..WIDE * WIDE).filter(|i| i % WIDE + 1 < WIDE).map(|i| (i, i + 1));
        let up = (0..WIDE * (WIDE - 1)).map(|i| (i, i + WIDE));
        let streets: Vec<Street> = right
            .chain(up)
            .zip(kinds)
            .filter(|(_, kind)| *kind >= 15)
            .map(|((from, to), kind)| {
                let (from, to) = if kind % 2 == 0 { (from, to) } else { (to, from) };
                Street {
                    from: from as i64 + 1,
                    to: to as i64 + 1,
                    one_way: one_ways && kind < 40,
                    business: rules && (40..55).contains(&kind),
                    slow: kind % 3 == 0,
                }
            })
            .collect();
        let street = |i: u16| usize::from(i) % streets.len();
        let bans =
            bans.iter().filter(|_| rules).map(|(only, a, b)| (*only, street(*a), street(*b)));
        let meet = |a: Street, b: Street| {
            [b.from, b.to].contains(&a.from) != [b.from, b.to].contains(&a.to)
        };
        let bans = bans.filter(|(_, a, b)| meet(streets[*a], streets[*b])).collect();
        let stops = stops.iter().map(|i| street(*i)).collect();
        Plan { places, streets, bans, stops }
    })
}

impl Plan {
    fn roads(&self) -> Roads {
        let mut town = Town::default();
        for (i, at) in self.places.iter().enumerate() {
            town.place(i as i64 + 1, *at);
        }
        for street in &self.streets {
            let mut tags = vec![("highway", if street.slow { "service" } else { "tertiary" })];
            if street.one_way {
                tags.push(("oneway", "yes"));
            }
            if street.business {
                tags.push(("access", "destination"));
            }
            town.street(vec![street.from, street.to], &tags);
        }
        for (only, from, to) in &self.bans {
            let rule = if *only { "only_straight_on" } else { "no_left_turn" };
            let via = self.via(*from, *to);
            town.restriction(&[("restriction", rule)], *from as i64 + 1, via, *to as i64 + 1);
        }
        town.roads(&Profile::TRUCK)
    }

    /// Where two streets meet.
    fn via(&self, a: usize, b: usize) -> i64 {
        let (a, b) = (self.streets[a], self.streets[b]);
        if [b.from, b.to].contains(&a.from) { a.from } else { a.to }
    }

    fn middle(&self, street: usize) -> Position {
        let Street { from, to, .. } = self.streets[street];
        let (a, b) = (self.places[from as usize - 1], self.places[to as usize - 1]);
        position(((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0))
    }

    fn snaps(&self, roads: &Roads) -> Vec<Option<Snap>> {
        self.stops.iter().map(|stop| roads.snap(self.middle(*stop), NEAR).ok()).collect()
    }

    /// The shortest way in metres from the middle of one street to that of another, by trying all
    /// streets again and again. It knows nothing of how the roads are made: its states are the
    /// street one is on, in its direction, and whether one may still go on public roads.
    fn shortest(&self, from: usize, to: usize) -> Option<f64> {
        if from == to {
            return Some(0.0);
        }
        let length = |street: usize| {
            let Street { from, to, .. } = self.streets[street];
            position(self.places[from as usize - 1])
                .distance(position(self.places[to as usize - 1]))
                .0
        };
        let public = |node: i64| {
            self.streets.iter().any(|s| !s.business && (s.from == node || s.to == node))
        };
        let head = |street: usize, back: bool| {
            if back { self.streets[street].from } else { self.streets[street].to }
        };
        let ways = |street: usize| {
            [false, true].into_iter().filter(move |back| !(*back && self.streets[street].one_way))
        };
        let allowed = |a: usize, b: usize, node: i64| {
            let here = || {
                self.bans.iter().filter(|(_, from, to)| *from == a && self.via(*from, *to) == node)
            };
            let only: Vec<usize> = here()
                .filter(|(only, _, to)| *only && ways(*to).any(|back| head(*to, !back) == node))
                .map(|(_, _, to)| *to)
                .collect();
            !here().any(|(only, _, to)| !only && *to == b) && (only.is_empty() || only.contains(&b))
        };
        // in the middle of what is one road, nobody turns back
        let bend = |node: i64| {
            let there: Vec<_> =
                self.streets.iter().filter(|s| s.from == node || s.to == node).collect();
            let banned = self.bans.iter().any(|(_, from, to)| self.via(*from, *to) == node);
            let kind = |s: &Street| (s.business, s.slow, s.one_way);
            !banned && matches!(there[..], [a, b] if kind(a) == kind(b))
        };
        let mut best: HashMap<(usize, bool, bool), f64> = HashMap::new();
        for back in ways(from) {
            best.insert((from, back, false), length(from) / 2.0);
        }
        loop {
            let mut better = false;
            for ((street, back, inner), cost) in best.clone() {
                let node = head(street, back);
                for next in 0..self.streets.len() {
                    for way in ways(next).filter(|way| head(next, !way) == node) {
                        let business = self.streets[next].business;
                        let turns = next == street && bend(node);
                        if turns || !allowed(street, next, node) || (inner && !business) {
                            continue;
                        }
                        let inner = business && (inner || public(node));
                        let cost = cost + length(next);
                        let known = best.entry((next, way, inner)).or_insert(f64::INFINITY);
                        if cost < *known - 1e-6 {
                            *known = cost;
                            better = true;
                        }
                    }
                }
            }
            if !better {
                break;
            }
        }
        // one enters the last street whole, and stops in its middle
        let arrivals = best.iter().filter(|((street, _, _), _)| *street == to);
        arrivals.map(|(_, cost)| cost - length(to) / 2.0).min_by(f64::total_cmp)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_second_opinion_agrees(plan in plan(true, true)) {
        let roads = plan.roads();
        let snaps = plan.snaps(&roads);
        let matrix = roads.matrix(&snaps, Weight::Distance);
        for (i, from) in plan.stops.iter().enumerate() {
            for (j, to) in plan.stops.iter().enumerate() {
                // a stop may have been moved to a road that can be reached
                let beside = |k: usize| snaps[k].is_some_and(|snap| snap.distance.0 < 0.1);
                if !beside(i) || !beside(j) {
                    continue;
                }
                let found = matrix.distance(i, j);
                match plan.shortest(*from, *to) {
                    None => prop_assert_eq!(found, NO_WAY),
                    Some(metres) => prop_assert!((f64::from(found) - metres).abs() < 1.0,
                        "{} m instead of {} m from {:?} to {:?}", found, metres, plan.streets[*from], plan.streets[*to]),
                }
            }
        }
    }

    #[test]
    fn a_path_is_as_long_as_the_matrix_says(plan in plan(true, true), time in any::<bool>()) {
        let roads = plan.roads();
        let weight = if time { Weight::Time } else { Weight::Distance };
        let snaps = plan.snaps(&roads);
        let matrix = roads.matrix(&snaps, weight);
        for (i, from) in snaps.iter().enumerate() {
            for (j, to) in snaps.iter().enumerate() {
                let (Some(from), Some(to)) = (from, to) else { continue };
                let Some(path) = roads.path(from, to, weight) else {
                    prop_assert_eq!(matrix.distance(i, j), NO_WAY);
                    continue;
                };
                let line: f64 = path.line.windows(2).map(|pair| pair[0].distance(pair[1]).0).sum();
                prop_assert!((line - path.distance.0).abs() < 0.5, "{} {}", line, path.distance.0);
                prop_assert!((path.distance.0 - f64::from(matrix.distance(i, j))).abs() <= 0.5);
                prop_assert!((path.seconds - f64::from(matrix.time(i, j))).abs() <= 0.5);
            }
        }
    }

    #[test]
    fn a_known_matrix_is_extended_to_the_same(
        plan in plan(true, true), known in 0..8_usize, time in any::<bool>(), order in any::<u64>()
    ) {
        let roads = plan.roads();
        let weight = if time { Weight::Time } else { Weight::Distance };
        let snaps = plan.snaps(&roads);
        let fresh = roads.matrix(&snaps, weight);
        let known = known.min(snaps.len());
        let before = roads.matrix(&snaps[..known], weight);
        prop_assert_eq!(&roads.extended(&before, &snaps, weight), &fresh);
        // some stay, in whatever order, some are new
        let places: Vec<usize> = (0..snaps.len()).map(|i| (i + order as usize % 7) % snaps.len()).collect();
        let moved: Vec<_> = places.iter().map(|i| snaps[*i]).collect();
        let kept: Vec<_> = places.iter().map(|i| (order >> i & 3 > 0).then_some(*i)).collect();
        prop_assert_eq!(roads.revised(&fresh, &kept, &moved, weight), roads.matrix(&moved, weight));
    }

    #[test]
    fn without_one_way_streets_it_is_as_far_back(plan in plan(false, false)) {
        let roads = plan.roads();
        let snaps = plan.snaps(&roads);
        for weight in [Weight::Time, Weight::Distance] {
            let matrix = roads.matrix(&snaps, weight);
            for i in 0..snaps.len() {
                for j in 0..snaps.len() {
                    // half of an odd length is rounded
                    prop_assert!(matrix.distance(i, j).abs_diff(matrix.distance(j, i)) <= 1);
                    prop_assert!(matrix.time(i, j).abs_diff(matrix.time(j, i)) <= 1);
                }
            }
        }
    }

    /// With turn bans and closed quarters it need not be so: one may turn back where one stops,
    /// and has business where one stops.
    #[test]
    fn a_stop_on_the_way_is_no_shortcut(plan in plan(true, false)) {
        let roads = plan.roads();
        let snaps = plan.snaps(&roads);
        let (metres, seconds) =
            (roads.matrix(&snaps, Weight::Distance), roads.matrix(&snaps, Weight::Time));
        let all = 0..snaps.len();
        for (i, j, k) in all.clone().flat_map(|i| {
            let all = all.clone();
            all.clone().flat_map(move |j| all.clone().map(move |k| (i, j, k)))
        }) {
            let sum = metres.distance(i, j) + metres.distance(j, k);
            prop_assert!(metres.distance(i, k) <= sum + 1, "{} > {}", metres.distance(i, k), sum);
            prop_assert!(seconds.time(i, k) <= seconds.time(i, j) + seconds.time(j, k) + 1);
        }
    }
}
