//! Random numbers for towns and weeks: the same on each machine.

/// SplitMix64 (Steele, Lea, Flood, 2014): one word of state, and any seed is a good one.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// A source of its own for each purpose, so that more draws for one do not change another.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut chance = Self(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Evenly from `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Evenly from `[least, most)`.
    pub(super) fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.unit()
    }

    /// From the normal distribution with mean 0 and deviation 1 (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// From the gamma distribution with this shape and scale 1 (Marsaglia and Tsang, 2000).
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        if shape <= 0.0 {
            return 0.0;
        }
        if shape < 1.0 {
            let less = (1.0 - self.unit()).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * less;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_have_their_moments() {
        const DRAWS: u32 = 20_000;
        let mut chance = Chance::new(1, 1);
        for shape in [0.05, 0.7, 4.0] {
            let draws: Vec<f64> = (0..DRAWS).map(|_| chance.gamma(shape)).collect();
            let mean = draws.iter().sum::<f64>() / f64::from(DRAWS);
            let square = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(DRAWS);
            assert!((mean / shape - 1.0).abs() < 0.1, "{shape}: {mean}");
            assert!((square / shape - 1.0).abs() < 0.2, "{shape}: {square}");
        }
        let mean = (0..DRAWS).map(|_| chance.normal()).sum::<f64>() / f64::from(DRAWS);
        assert!(mean.abs() < 0.03, "{mean}");
    }
}
