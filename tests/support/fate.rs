//! A power cut, and what was under way to the disk.

/// What becomes, when the power fails, of that which was written and not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of it is lost.
    Nothing,
    /// All of it has reached the disk.
    Everything,
    /// Each sector by the toss of a coin.
    Sectors,
    /// In the order in which it was written, up to somewhere in the midst of a write.
    Torn,
    /// What was written last has reached the disk, and of what was written first only parts.
    Late,
}

impl Fate {
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::Everything, Self::Sectors, Self::Torn, Self::Late];
}
