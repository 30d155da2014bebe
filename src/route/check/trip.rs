//! From one loading or unloading to the next: what is aboard, and when it is there.

use super::super::plan::Visit;
use super::super::problem::{Haul, Load, Problem};

/// Volume and mass with room for any sum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) volume: u64,
    pub(super) mass: u64,
}

impl Sum {
    pub(super) fn add(&mut self, load: Load) {
        self.volume += u64::from(load.volume);
        self.mass += u64::from(load.mass);
    }

    pub(super) fn take(&mut self, load: Load) {
        self.volume = self.volume.saturating_sub(u64::from(load.volume));
        self.mass = self.mass.saturating_sub(u64::from(load.mass));
    }

    pub(super) fn exceeds(self, room: Load) -> bool {
        self.volume > u64::from(room.volume) || self.mass > u64::from(room.mass)
    }
}

/// The stops of the trip that begins with these visits: up to the next site.
fn trip<'a>(problem: &'a Problem, visits: &'a [Visit]) -> impl Iterator<Item = usize> + 'a {
    visits.iter().take_while(|visit| !matches!(visit, Visit::Site(_))).filter_map(|visit| {
        match *visit {
            Visit::Stop(stop) if stop < problem.stops.len() => Some(stop),
            _ => None,
        }
    })
}

/// When the goods of the trip that begins with these visits are all there.
pub(super) fn release(problem: &Problem, visits: &[Visit]) -> u64 {
    trip(problem, visits).map(|stop| u64::from(problem.stops[stop].release)).max().unwrap_or(0)
}

/// What is aboard when the trip that begins with these visits begins.
pub(super) fn loaded(problem: &Problem, visits: &[Visit]) -> Sum {
    let mut sum = Sum::default();
    if problem.haul == Haul::Deliver {
        trip(problem, visits).for_each(|stop| sum.add(problem.stops[stop].load));
    }
    sum
}
