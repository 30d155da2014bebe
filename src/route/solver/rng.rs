//! The solver's random numbers: the same on each machine and in each release.

/// Xoroshiro128+ (Blackman and Vigna, 2018), seeded by SplitMix64. Two words of state, two
/// nanoseconds a draw; a plan's bytes depend on it, therefore it is here and in no crate.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64, u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut mixed = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^ (word >> 31)
        };
        Self(mixed(), mixed())
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        let (first, mut second) = (self.0, self.1);
        let drawn = first.wrapping_add(second);
        second ^= first;
        self.0 = first.rotate_left(24) ^ second ^ (second << 16);
        self.1 = second.rotate_left(37);
        drawn
    }

    /// One of `0..count`. The bias of the multiplication is below 2⁻³² for a count of stops.
    #[inline]
    pub(super) fn below(&mut self, count: usize) -> usize {
        (((self.next() >> 32) * count as u64) >> 32) as usize
    }

    /// Evenly from `[0, 1)`.
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True once in `1 << bits` draws.
    #[inline]
    pub(super) fn rarely(&mut self, bits: u32) -> bool {
        self.next() >> (64 - bits) == 0
    }
}
