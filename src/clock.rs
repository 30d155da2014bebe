//! Time with its quality.
//!
//! A Raspberry Pi has no battery-backed clock: after a power cut it believes whatever its
//! disk last said. So durations use the monotonic clock, and a wall time is only ever handed
//! on together with how far it can be trusted. This is the one place that reads either clock.

use crate::sys;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// How far a wall time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockQuality {
    /// The kernel's clock was disciplined by a time source.
    Synced,
    /// Computed afterwards from the monotonic clock.
    Estimated,
    /// Nobody had set the clock since the boot.
    Unsynced,
}

impl ClockQuality {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Estimated => "estimated",
            Self::Unsynced => "unsynced",
        }
    }
}

/// One instant, read from both clocks at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What time it is, as far as this machine knows.
    pub wall: Timestamp,
    /// How far to trust `wall`.
    pub quality: ClockQuality,
    /// Time since an arbitrary start; never goes backwards, never jumps. For durations.
    pub monotonic: Duration,
}

/// A source of moments. Clones read the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
struct Source {
    origin: Instant,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    System,
    Simulated {
        begin: Timestamp,
        speed: u32,
        quality: ClockQuality,
        /// When it was set, and to what.
        set: OnceLock<(Instant, Timestamp)>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Source { origin: Instant::now(), kind: Kind::System }))
    }

    /// A clock that starts at `begin` and runs `speed` times as fast as real time.
    pub fn simulated(begin: Timestamp, speed: u32) -> Self {
        Self::simulated_as(ClockQuality::Synced, begin, speed)
    }

    /// As [`Clock::simulated`], of this quality.
    pub fn simulated_as(quality: ClockQuality, begin: Timestamp, speed: u32) -> Self {
        let kind = Kind::Simulated { begin, speed, quality, set: OnceLock::new() };
        Self(Arc::new(Source { origin: Instant::now(), kind }))
    }

    /// Sets a simulated clock, as a time source does: from now on it is right, and known to be.
    /// Only once, and not the machine's clock.
    pub fn set(&self, wall: Timestamp) {
        if let Kind::Simulated { set, .. } = &self.0.kind {
            let _ = set.set((Instant::now(), wall));
        }
    }

    /// How many times as fast as real time it runs.
    pub fn speed(&self) -> u32 {
        match &self.0.kind {
            Kind::System => 1,
            Kind::Simulated { speed, .. } => *speed,
        }
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// What time it was, as far as is known now.
    pub fn at(&self, instant: Instant) -> Moment {
        let elapsed = instant.saturating_duration_since(self.0.origin);
        match &self.0.kind {
            Kind::System => Moment {
                wall: earlier(Timestamp::now(), instant.elapsed()),
                quality: if sys::clock_is_synchronized() {
                    ClockQuality::Synced
                } else {
                    ClockQuality::Unsynced
                },
                monotonic: elapsed,
            },
            Kind::Simulated { begin, speed, quality, set } => {
                let (from, since, quality) = match set.get() {
                    Some((at, wall)) if instant >= *at => {
                        (*wall, instant.saturating_duration_since(*at), ClockQuality::Synced)
                    }
                    _ => (*begin, elapsed, *quality),
                };
                let since = since.saturating_mul(*speed);
                Moment {
                    wall: from.checked_add(since).unwrap_or(Timestamp::MAX),
                    quality,
                    monotonic: elapsed.saturating_mul(*speed),
                }
            }
        }
    }
}

fn earlier(time: Timestamp, age: Duration) -> Timestamp {
    time.checked_sub(age).unwrap_or(time)
}
