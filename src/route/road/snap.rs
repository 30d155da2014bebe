//! From a stop's coordinates to the road that it is visited from.

use super::Roads;
use super::net::{ArcId, CLOSED, cost};
use super::position::{Position, between};
use crate::units::Metres;

/// A place on a road, from which a stop is visited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snap {
    /// Where on the road.
    pub position: Position,
    /// How far that is from the stop.
    pub distance: Metres,
    pub(super) road: u32,
    /// The place of the road behind which it lies, among all places.
    pub(super) place: u32,
    /// How far it is from the road's beginning, in centimetres.
    pub(super) along: u32,
}

/// Why a stop cannot be visited.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unreachable {
    /// No road is near.
    #[error("no road within {:.0} m; check the coordinates", limit.0)]
    TooFar {
        /// How near a road has to be.
        limit: Metres,
    },
    /// There is a road, but none that leads there and back from the rest of the town.
    #[error(
        "the road {:.0} m away is cut off from the others (a gate, an island, a road that is \
         closed farther on), and no other is within {:.0} m",
        distance.0, limit.0
    )]
    CutOff {
        /// How far that road is.
        distance: Metres,
        /// How near a road has to be.
        limit: Metres,
    },
}

impl Roads {
    /// The nearest place on a road at which one can stop, come there from the main part of all
    /// roads, and get back to it. It may be at most so far away as the crow flies.
    ///
    /// # Errors
    /// If there is none.
    pub fn snap(&self, at: Position, limit: Metres) -> Result<Snap, Unreachable> {
        let search =
            |accept: &dyn Fn(u32) -> bool| self.index.nearest(&self.places, at, limit.0, accept);
        let Some(found) = search(&|road| self.roads[road as usize].stop) else {
            // a road at which one must not stop (a motorway) is none here
            return Err(match search(&|road| self.cut_off[road as usize]) {
                Some(found) => Unreachable::CutOff { distance: Metres(found.metres), limit },
                None => Unreachable::TooFar { limit },
            });
        };
        let road = self.roads[found.road as usize];
        let [a, b] = [0, 1].map(|i| self.places[(found.place + i) as usize]);
        let before = &self.places[road.shape as usize..=found.place as usize];
        let whole: f64 = before.windows(2).map(|pair| pair[0].distance(pair[1]).0).sum();
        let along = (whole + a.distance(b).0 * found.share) * 100.0;
        // not beyond the road's length, which is a u32
        let along = along.round().clamp(0.0, f64::from(road.length)) as u32;
        Ok(Snap {
            position: between(a, b, found.share),
            distance: Metres(found.metres),
            road: found.road,
            place: found.place,
            along,
        })
    }

    /// The states that one is in after leaving a stop, with the arcs that lead there and what is
    /// left of them.
    pub(super) fn exits(&self, snap: &Snap) -> impl Iterator<Item = (u32, ArcId, u64)> {
        self.directions(snap.road).map(|arc| {
            let whole = cost(&self.roads[snap.road as usize], arc % 2);
            (self.net.ends[arc as usize], arc, whole - self.part(snap, arc))
        })
    }

    /// The states from which one drives up to a stop, with the arcs for that and the part of them.
    pub(super) fn entries(&self, snap: &Snap) -> impl Iterator<Item = (u32, ArcId, u64)> {
        self.directions(snap.road).flat_map(|arc| {
            let part = self.part(snap, arc);
            self.net.entries.of(arc).iter().map(move |state| (*state, arc, part))
        })
    }

    /// What it costs to get from one place to another on the same road without leaving it.
    pub(super) fn direct(&self, from: &Snap, to: &Snap) -> Option<(ArcId, u64)> {
        let ways = self.directions(from.road).filter(|_| from.road == to.road);
        let mut ahead =
            ways.filter(
                |arc| {
                    if arc % 2 == 0 { from.along <= to.along } else { from.along >= to.along }
                },
            );
        ahead.next().map(|arc| (arc, self.part(to, arc) - self.part(from, arc)))
    }

    /// The open directions of a road.
    fn directions(&self, road: u32) -> impl Iterator<Item = ArcId> {
        let times = self.roads[road as usize].times;
        [0, 1]
            .into_iter()
            .filter(move |way| times[*way as usize] != CLOSED)
            .map(move |way| road * 2 + way)
    }

    /// What it costs to come along an arc from its beginning to a place on it.
    fn part(&self, snap: &Snap, arc: ArcId) -> u64 {
        let road = &self.roads[snap.road as usize];
        let length = if arc.is_multiple_of(2) { snap.along } else { road.length - snap.along };
        let time = u64::from(road.times[arc as usize % 2]);
        let share = time * u64::from(length) / u64::from(road.length.max(1));
        share << 32 | u64::from(length)
    }
}
