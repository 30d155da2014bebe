//! When planning makes way for what cannot wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// From this temperature on the machine rests, in thousandths of a degree Celsius: at 85 °C a
/// Raspberry Pi throttles all of it.
const HOT: i64 = 80_000;
/// It rests until it is so cool.
const COOL: i64 = 75_000;

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a rest is before the next look.
const NAP: Duration = Duration::from_millis(100);
/// Longer than this in all a search does not rest: what it has found by then is the plan.
const LONGEST: Duration = Duration::from_secs(1800);

/// The machine on which is planned.
pub trait Host: Send {
    /// Whether frames wait to be taken in.
    fn busy(&mut self) -> bool;
    /// How hot it is, in thousandths of a degree Celsius; none if nobody knows.
    fn temperature(&self) -> Option<i64>;
    /// Lets time go by.
    fn nap(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// How hot the hottest thermal zone of this machine is, in thousandths of a degree Celsius.
#[must_use]
pub fn temperature() -> Option<i64> {
    let zones = std::fs::read_dir("/sys/class/thermal").ok()?;
    let read = |zone: PathBuf| std::fs::read_to_string(zone.join("temp")).ok()?.trim().parse().ok();
    zones.filter_map(|zone| read(zone.ok()?.path())).max()
}

/// Rests during one search.
#[derive(Debug)]
pub(super) struct Rest {
    looked: Option<Instant>,
    hot: bool,
    rested: Duration,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self { looked: None, hot: false, rested: Duration::ZERO }
    }

    /// Looks now and then, and rests while it has to; whether the search may go on.
    pub(super) fn take(&mut self, host: &mut dyn Host, stopped: &dyn Fn() -> bool) -> bool {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return !stopped();
        }
        while self.must(host) {
            if stopped() || self.rested >= LONGEST {
                return false;
            }
            host.nap(NAP);
            self.rested += NAP;
        }
        self.looked = Some(Instant::now());
        !stopped()
    }

    fn must(&mut self, host: &mut dyn Host) -> bool {
        let limit = if self.hot { COOL } else { HOT };
        self.hot = host.temperature().is_some_and(|temperature| temperature >= limit);
        self.hot || host.busy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that does what is written down, and keeps count of its naps.
    struct Scripted {
        temperatures: Vec<i64>,
        busy: u32,
        naps: usize,
    }

    impl Host for Scripted {
        fn busy(&mut self) -> bool {
            let busy = self.busy > 0;
            self.busy = self.busy.saturating_sub(1);
            busy
        }

        fn temperature(&self) -> Option<i64> {
            self.temperatures.get(self.naps).or(self.temperatures.last()).copied()
        }

        fn nap(&mut self, _: Duration) {
            self.naps += 1;
        }
    }

    fn naps(temperatures: &[i64], busy: u32, stopped: bool) -> (bool, usize) {
        let mut host = Scripted { temperatures: temperatures.to_vec(), busy, naps: 0 };
        let goes_on = Rest::new().take(&mut host, &|| stopped);
        (goes_on, host.naps)
    }

    #[test]
    fn it_rests_while_frames_wait_and_while_it_is_hot() {
        assert_eq!(naps(&[50_000], 0, false), (true, 0));
        assert_eq!(naps(&[], 3, false), (true, 3));
        assert_eq!(naps(&[81_000, 79_000, 76_000, 74_000], 0, false), (true, 3), "cools down");
        assert_eq!(naps(&[79_000], 0, false), (true, 0));
    }

    #[test]
    fn it_neither_rests_for_ever_nor_when_it_shall_end() {
        let most = (LONGEST.as_millis() / NAP.as_millis()) as usize;
        assert_eq!(naps(&[90_000], 0, false), (false, most));
        assert_eq!(naps(&[90_000], 0, true), (false, 0));
    }
}
