//! What begins or ends with a bin, and what becomes of a crew's report.

use super::due::Due;
use super::outcome::Emptying;
use super::posture::Posture;
use jiff::Timestamp;

/// What begins or ends, each told once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum News {
    /// It burns.
    Fire,
    /// It does not burn any more, or never did.
    FireOver,
    /// What it looks like now.
    Posture(Posture),
    /// Its echoes come from a fixed part: its level is not seen.
    EchoFixed,
    /// Its level is seen again.
    EchoFree,
    /// Somebody emptied it.
    Emptied(Emptying),
    /// Whether it is to be emptied.
    Due(Due),
    /// Nothing was heard of its sensor since then, and its own losses do not explain it.
    SensorLost(Timestamp),
    /// Its sensor is heard again.
    SensorHeard,
    /// Its battery is empty in so many days.
    BatteryLow(f64),
    /// Its battery was changed.
    BatteryChanged,
    /// It must be emptied since then, and nobody was there.
    PickupMissed(Timestamp),
    /// Somebody was there after all.
    PickupMade,
    /// A crew says that it was emptied then, and its level says no.
    Unconfirmed(Timestamp),
    /// It was emptied then, and no crew says so, though they do at other times.
    Unreported(Timestamp),
}

/// What a crew reports, as far as the sensor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The level has fallen.
    Confirmed,
    /// The next readings will show.
    Open,
    /// Nothing is known of the level.
    Unseen,
}
