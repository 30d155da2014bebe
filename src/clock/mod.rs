//! Time with its quality.
//!
//! A Raspberry Pi has no battery-backed clock: after a power cut it believes whatever its
//! disk last said. So durations use the monotonic clock, and a wall time is only ever handed
//! on together with how far it can be trusted. This is the one place that reads either clock.

pub mod history;

use crate::sys;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Written by systemd-timesyncd each time that it has asked a time server. Read by a service that
/// may not ask the kernel: with that right it could set the clock, but for a capability.
const ASKED: &str = "/run/systemd/timesync/synchronized";

/// So long the kernel itself trusts a clock that no server corrects: until it may be off by 16 s
/// at 500 millionths.
const TRUSTED: SignedDuration = SignedDuration::from_secs(32_000);

/// By more than this no clock drifts in that time: somebody has set it.
const DRIFT: SignedDuration = SignedDuration::from_secs(20);

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
    /// Of the number that is written down for it.
    pub(crate) fn of(number: i64) -> Self {
        match number {
            0 => Self::Synced,
            1 => Self::Estimated,
            _ => Self::Unsynced,
        }
    }

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
    /// Time since an arbitrary start, the same for all programs since the machine has booted;
    /// never goes backwards, never jumps. For durations.
    pub monotonic: Duration,
}

/// A source of moments. Clones read the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
struct Source {
    boot: Uuid,
    origin: Instant,
    /// What the monotonic clock said at `origin`.
    monotonic: Duration,
    /// What time it was at `origin` at the earliest, in unix microseconds.
    floor: AtomicI64,
    /// The newest answer of a time server, where only its file tells of it.
    answer: Mutex<Option<Answer>>,
    kind: Kind,
}

/// A time server was asked.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at: Timestamp,
    /// What time it was at the origin, as the clock said when this was first seen.
    zero: Timestamp,
}

#[derive(Debug)]
enum Kind {
    System,
    Simulated { speed: u32, set: Mutex<Set> },
}

/// To what a simulated clock was set last, and when that was.
#[derive(Debug, Clone, Copy)]
struct Set {
    wall: Timestamp,
    quality: ClockQuality,
    /// Of the simulated time since the origin.
    at: Duration,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(sys::boot_id().unwrap_or_else(Uuid::new_v4), sys::monotonic(), Kind::System)
    }

    /// A clock that starts at `begin` and runs `speed` times as fast as real time, in a boot of
    /// its own.
    pub fn simulated(begin: Timestamp, speed: u32) -> Self {
        Self::simulated_as(ClockQuality::Synced, begin, speed)
    }

    /// As [`Clock::simulated`], of this quality.
    pub fn simulated_as(quality: ClockQuality, begin: Timestamp, speed: u32) -> Self {
        let set = Set { wall: begin, quality, at: Duration::ZERO };
        let kind = Kind::Simulated { speed, set: Mutex::new(set) };
        Self::new(Uuid::new_v4(), Duration::ZERO, kind)
    }

    fn new(boot: Uuid, monotonic: Duration, kind: Kind) -> Self {
        let floor = AtomicI64::new(i64::MIN);
        let answer = Mutex::default();
        Self(Arc::new(Source { boot, origin: Instant::now(), monotonic, floor, answer, kind }))
    }

    /// In which boot of the machine it runs: monotonic times of one boot can be compared.
    pub fn boot(&self) -> Uuid {
        self.0.boot
    }

    /// How many times as fast as real time it runs.
    pub fn speed(&self) -> u32 {
        match self.0.kind {
            Kind::System => 1,
            Kind::Simulated { speed, .. } => speed,
        }
    }

    /// It is later than this, as is known from before the boot. While nobody has set the clock it
    /// goes on from there, if the machine believes in an earlier time: a Pi that wakes up in 1970
    /// would hold every certificate for one of the future.
    pub fn raise_floor(&self, seen: Timestamp) {
        let elapsed = self.0.origin.elapsed();
        self.0.floor.fetch_max(earlier(seen, elapsed).as_microsecond(), Relaxed);
    }

    /// Sets a simulated clock, as a time source or a person would. The machine's own is never set
    /// from here.
    pub fn set(&self, wall: Timestamp, quality: ClockQuality) {
        if let Kind::Simulated { speed, set } = &self.0.kind {
            let at = self.0.origin.elapsed().saturating_mul(*speed);
            *set.lock().unwrap_or_else(PoisonError::into_inner) = Set { wall, quality, at };
        }
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// What time it was, as far as is known now.
    pub fn at(&self, instant: Instant) -> Moment {
        let elapsed = instant.saturating_duration_since(self.0.origin);
        let (wall, quality, monotonic) = match &self.0.kind {
            Kind::System => {
                let now = Timestamp::now();
                let quality = match sys::clock_is_synchronized() {
                    Some(true) => ClockQuality::Synced,
                    None if self.was_asked(now) => ClockQuality::Synced,
                    Some(false) | None => ClockQuality::Unsynced,
                };
                (earlier(now, instant.elapsed()), quality, elapsed)
            }
            Kind::Simulated { speed, set } => {
                let Set { wall, quality, at } = *set.lock().unwrap_or_else(PoisonError::into_inner);
                let simulated = elapsed.saturating_mul(*speed);
                let wall = match simulated.checked_sub(at) {
                    Some(since) => wall.checked_add(since).unwrap_or(Timestamp::MAX),
                    None => earlier(wall, at - simulated),
                };
                (wall, quality, simulated)
            }
        };
        let wall = match quality {
            ClockQuality::Unsynced => wall.max(self.floor(elapsed)),
            _ => {
                // a floor of the future, of a clock that was set wrong once, ends here
                self.0.floor.fetch_min(earlier(wall, elapsed).as_microsecond(), Relaxed);
                wall
            }
        };
        Moment { wall, quality, monotonic: self.0.monotonic + monotonic }
    }

    /// Whether a time server was asked lately, and nobody has set the clock since.
    fn was_asked(&self, now: Timestamp) -> bool {
        let mut answer = self.0.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = touched(Path::new(ASKED)) else { return false };
        let zero = earlier(now, self.0.origin.elapsed());
        let known = answer.get_or_insert(Answer { at, zero });
        if known.at != at {
            *known = Answer { at, zero };
        }
        known.holds(now, zero)
    }

    fn floor(&self, elapsed: Duration) -> Timestamp {
        let floor = Timestamp::from_microsecond(self.0.floor.load(Relaxed));
        let floor = floor.ok().and_then(|floor| floor.checked_add(elapsed).ok());
        floor.unwrap_or(Timestamp::MIN)
    }
}

/// When a file was touched.
fn touched(file: &Path) -> Option<Timestamp> {
    let touched = std::fs::metadata(file).and_then(|file| file.modified());
    touched.ok().and_then(|touched| Timestamp::try_from(touched).ok())
}

impl Answer {
    /// Whether it holds for a clock that says now that it is `now`, and that it was `zero` at the
    /// clock's origin.
    fn holds(&self, now: Timestamp, zero: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        let is_set = zero.duration_since(self.zero).abs() > DRIFT;
        !age.is_negative() && age <= TRUSTED && !is_set
    }
}

fn earlier(time: Timestamp, age: Duration) -> Timestamp {
    time.checked_sub(age).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_server_is_believed_as_long_as_the_kernel_would_unless_somebody_sets_the_clock() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let at = Timestamp::from_second(1_790_000_000).expect("a time");
        file.as_file().set_modified(at.into()).expect("touched");
        assert_eq!(touched(file.path()), Some(at));
        assert_eq!(touched(Path::new("/nowhere/synchronized")), None);
        let after = |seconds: i64| at + SignedDuration::from_secs(seconds);
        let answer = Answer { at, zero: after(-100) };
        let holds = |seconds: i64, drift: i64| answer.holds(after(seconds), after(-100 + drift));
        assert!(holds(0, 0) && holds(2048, 1) && holds(32_000, -16));
        assert!(!holds(-1, 0) && !holds(32_001, 0), "the future, and long ago");
        assert!(!holds(300, 60) && !holds(300, -60), "set forth and back");
    }
}
