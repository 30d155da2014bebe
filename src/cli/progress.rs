//! How far a command has come, for whoever waits at the terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// What is done sooner needs no telling.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is told.
const OFTEN: Duration = Duration::from_millis(200);

/// One line on the terminal, gone when the work is done.
#[derive(Debug)]
pub(super) struct Progress {
    of: u64,
    what: &'static str,
    next: Instant,
    is_seen: bool,
    is_shown: bool,
}

impl Progress {
    /// Of so many things, such as messages.
    pub(super) fn new(of: u64, what: &'static str) -> Self {
        let next = Instant::now() + PATIENCE;
        Self { of, what, next, is_seen: stderr().is_terminal(), is_shown: false }
    }

    /// So many are done.
    pub(super) fn reach(&mut self, done: u64) {
        let now = Instant::now();
        if self.is_seen && now >= self.next {
            self.next = now + OFTEN;
            self.is_shown = true;
            let percent = done.min(self.of) * 100 / self.of.max(1);
            // nobody is left to see it when it cannot be written
            let _ = write!(stderr(), "\r{done} of {} {} ({percent} %)\x1b[K", self.of, self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
