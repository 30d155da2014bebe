//! The card as a power cut could have left it at many instants of a recorded time.

use crate::card::{Card, Event, Mark};
use crate::support::{Disk, Fate, Left, Messages};

/// A power cut, and what the world had learnt by then.
pub(crate) struct Point {
    at: usize,
    fate: Fate,
    seed: u64,
    /// The uplinks that were accepted since the daemon was started.
    pub(crate) accepted: u64,
    delivered: usize,
}

impl Point {
    /// Half of them are anywhere on the tape, half just before a flush, when the most is at stake.
    pub(crate) fn many(card: &Card, points: usize) -> Vec<Self> {
        let mut random = fastrand::Rng::with_seed(1);
        let tape = card.tape();
        let flushes = tape.iter().enumerate().filter(|(_, event)| matches!(event, Event::Flush));
        let flushes: Vec<_> = flushes.map(|(n, _)| n).collect();
        let point = |n: usize| {
            let at = match flushes.is_empty() || n.is_multiple_of(2) {
                true => random.usize(..=tape.len()),
                false => flushes[random.usize(..flushes.len())],
            };
            Self::new(card, at, Fate::ALL[n / 2 % Fate::ALL.len()], n as u64)
        };
        (0..points).map(point).collect()
    }

    /// The last instant there is.
    pub(crate) fn last(card: &Card, fate: Fate) -> Self {
        Self::new(card, card.tape().len(), fate, 0)
    }

    fn new(card: &Card, at: usize, fate: Fate, seed: u64) -> Self {
        let mut point = Self { at, fate, seed, accepted: 0, delivered: 0 };
        for event in &card.tape()[..at] {
            match event {
                Event::Mark(Mark::Accepted(n)) => point.accepted = *n,
                Event::Mark(Mark::Delivered(n)) => point.delivered = *n,
                Event::Write { .. } | Event::Flush => {}
            }
        }
        point
    }

    /// What was in the cloud by then, of all that came in this order.
    pub(crate) fn known(&self, delivered: &[((String, u64), String)]) -> Messages {
        delivered.iter().take(self.delivered).cloned().collect()
    }

    /// The card, as it is left.
    pub(crate) fn image(&self, card: &Card, image: &std::path::Path) {
        card.left(self.at, self.fate, &mut fastrand::Rng::with_seed(self.seed), image);
    }

    /// What is found when it is mounted, and ext4 replays its journal.
    pub(crate) fn left(&self, card: &Card) -> Result<Left, String> {
        let disk = Disk::of(|image| self.image(card, image));
        Left::read(&disk.root().join("var/lib/lykta"))
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, fate, accepted, delivered, .. } = self;
        write!(f, "event {at}, {fate:?}, {accepted} accepted, {delivered} delivered")
    }
}
