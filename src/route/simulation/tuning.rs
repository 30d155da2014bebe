//! Turning each policy's knob until the bins are overfull for the same time.

use super::policy::Policy;
use super::score::Score;

/// Which policy: [`Policy`] without its knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Policy::All`].
    All,
    /// [`Policy::Threshold`].
    Threshold,
    /// [`Policy::Risk`].
    Risk,
    /// [`Policy::Joint`].
    Joint,
}

/// How often a knob is turned, and once more if that did not help.
pub const TURNS: usize = 8;

impl Kind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 4] = [Self::All, Self::Threshold, Self::Risk, Self::Joint];

    /// The policy with its knob at a place from 0 (drives least) to 1 (drives most).
    fn at(self, place: f64) -> Policy {
        let between = |least: f64, most: f64| least * (most / least).powf(place);
        match self {
            Self::All => Policy::All { every: between(15.0, 1.0).round() as u32 },
            Self::Threshold => Policy::Threshold { level: 1.1 - 1.05 * place },
            Self::Risk => Policy::Risk { probability: between(0.9, 0.000_1) },
            Self::Joint => Policy::Joint { factor: between(0.02, 50.0) },
        }
    }

    /// Its name, in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.at(0.5).name()
    }

    /// The policy that drives least among those that keep the target, and what it came to. If
    /// none does, the one that drives most.
    ///
    /// # Errors
    /// Those of `replay`.
    pub fn tuned<E>(
        self,
        target: u64,
        replay: &mut dyn FnMut(Policy) -> Result<Score, E>,
    ) -> Result<(Policy, Score), E> {
        let (mut least, mut most) = (0.0, 1.0);
        let mut best: Option<(Policy, Score)> = None;
        for _ in 0..TURNS {
            let place = (least + most) / 2.0;
            let policy = self.at(place);
            let score = replay(policy)?;
            if score.overflow_hours <= target {
                most = place;
                if best.is_none_or(|(_, best)| score.metres < best.metres) {
                    best = Some((policy, score));
                }
            } else {
                least = place;
            }
        }
        match best {
            Some(best) => Ok(best),
            None => {
                let policy = self.at(1.0);
                Ok((policy, replay(policy)?))
            }
        }
    }
}
