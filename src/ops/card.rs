//! What is written to the card, and how long it will last.
//!
//! The kernel counts both: what this process has handed to the disk, and what has reached the disk
//! in the end, of all programs and of the file system itself. The second wears the card out.

use crate::clock::Moment;
use crate::units::rounded;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A rate is told after so long.
const LEAST: Duration = Duration::from_secs(3600);

/// How often what was written must be noted, so that a day begins with itself.
pub const NOTE: Duration = Duration::from_secs(600);

/// The kernel's sector, whatever the disk's may be.
const SECTOR: u64 = 512;

const DAY: f64 = 86_400.0;

/// What was written to the card.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardStatus {
    /// By lykta, in bytes, since midnight UTC or the start.
    pub today_bytes: u64,
    /// By lykta, in bytes, since the start.
    pub bytes: u64,
    /// By everybody, in bytes, since the start; `None` where the kernel does not tell.
    #[serde(default)]
    pub device_bytes: Option<u64>,
    /// By everybody in a day (by lykta, where only that is known), once there is an hour to tell
    /// by.
    #[serde(default)]
    pub bytes_per_day: Option<u64>,
    /// How long the card lasts at that rate, from new, in years.
    #[serde(default)]
    pub life_years: Option<f64>,
}

/// Bytes that were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    own: u64,
    device: Option<u64>,
}

/// Keeps the account of what is written to the disk that a directory lies on.
#[derive(Debug)]
pub struct Card {
    /// Where the kernel tells of the disk.
    disk: Option<PathBuf>,
    endurance: u64,
    account: Mutex<Option<Account>>,
}

#[derive(Debug)]
struct Account {
    begun: (Duration, Written),
    day: (Date, u64),
}

impl Card {
    /// Of the disk under this directory, which can take so many bytes in its life.
    pub fn new(directory: &Path, endurance: u64) -> Self {
        let disk = fs::metadata(directory).ok().map(|directory| {
            let (major, minor) = (libc::major(directory.dev()), libc::minor(directory.dev()));
            PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"))
        });
        Self { disk, endurance, account: Mutex::default() }
    }

    /// Notes what was written, and tells it.
    pub fn note(&self, now: Moment) -> CardStatus {
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let written = Written {
            own: own(&text(Path::new("/proc/self/io"))),
            device: self.disk.as_deref().and_then(|disk| device(&text(disk))),
        };
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let account = account.get_or_insert_with(|| Account::new(now, written));
        account.note(now, written, self.endurance)
    }
}

impl Account {
    fn new(now: Moment, written: Written) -> Self {
        Self { begun: (now.monotonic, written), day: (date(now), written.own) }
    }

    fn note(&mut self, now: Moment, written: Written, endurance: u64) -> CardStatus {
        if date(now) != self.day.0 {
            self.day = (date(now), written.own);
        }
        let (since, first) = self.begun;
        let bytes = written.own.saturating_sub(first.own);
        let device_bytes = match (written.device, first.device) {
            (Some(written), Some(first)) => Some(written.saturating_sub(first)),
            _ => None,
        };
        let elapsed = now.monotonic.saturating_sub(since);
        let days = elapsed.as_secs_f64() / DAY;
        let per_day = device_bytes.unwrap_or(bytes) as f64 / days;
        let per_day = (elapsed >= LEAST).then_some(per_day);
        CardStatus {
            today_bytes: written.own.saturating_sub(self.day.1),
            bytes,
            device_bytes,
            bytes_per_day: per_day.map(|bytes| bytes as u64),
            life_years: per_day
                .filter(|bytes| *bytes > 0.0)
                .map(|bytes| rounded(endurance as f64 / bytes / 365.25, 1)),
        }
    }
}

fn date(now: Moment) -> Date {
    now.wall.to_zoned(TimeZone::UTC).date()
}

/// What a process has handed to the disk, by the text of its `io`.
fn own(io: &str) -> u64 {
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let cancelled = field("cancelled_write_bytes:").unwrap_or(0);
    field("write_bytes:").unwrap_or(0).saturating_sub(cancelled)
}

/// What a disk has taken, by the text of its `stat`.
fn device(stat: &str) -> Option<u64> {
    Some(stat.split_whitespace().nth(6)?.parse::<u64>().ok()? * SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;
    use jiff::{SignedDuration, Timestamp};

    fn at(hours: u32) -> Moment {
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        Moment {
            wall: noon + SignedDuration::from_hours(hours.into()),
            quality: ClockQuality::Synced,
            monotonic: hours * Duration::from_secs(3600),
        }
    }

    #[test]
    fn the_kernels_words_are_read() {
        let io = "rchar: 1\nwchar: 2\nsyscr: 3\nread_bytes: 4\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n";
        assert_eq!(own(io), 4096);
        let stat = "  1 2 3 4 5 6 8 9 0 1 2 3 4 5 6 7 8\n";
        assert_eq!(device(stat), Some(4096));
        assert_eq!((own(""), device("")), (0, None));
    }

    #[test]
    fn a_day_begins_at_midnight_and_a_rate_after_an_hour() {
        let written = |own, device| Written { own, device: Some(device) };
        let mut account = Account::new(at(0), written(1000, 5000));
        let terabyte = 1_000_000_000_000;
        let first = account.note(at(0), written(1500, 6000), terabyte);
        assert_eq!((first.today_bytes, first.bytes, first.device_bytes), (500, 500, Some(1000)));
        assert_eq!((first.bytes_per_day, first.life_years), (None, None));
        account.note(at(12), written(3000, 8000), terabyte);
        let last = account.note(at(24), written(4000, 1_000_005_000), terabyte);
        assert_eq!((last.today_bytes, last.bytes), (1000, 3000));
        assert_eq!(last.bytes_per_day, Some(1_000_000_000));
        assert_eq!(last.life_years, Some(2.7), "a thousand days");
    }

    #[test]
    fn where_the_kernel_does_not_tell_lykta_counts_for_itself() {
        let card = Card::new(Path::new("/proc"), 1);
        assert_eq!(card.note(at(0)).device_bytes, None);
    }
}
