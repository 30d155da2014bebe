//! A mobile modem that has hung itself up is mended by a restart, which only a command of the
//! machine's owner knows how to do. It is run when no tenant has had a broker for long.

use crate::config::ModemSettings;
use crate::message;
use crate::ops::health::View;
use crate::sys;
use crate::units::duration;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

/// How often it is seen whether there is a broker.
const LOOK: Duration = Duration::from_secs(1);

/// The command may take so long, then it is killed.
const LIMIT: Duration = Duration::from_secs(60);

/// Without a broker it is run again after ever longer waits, up to this.
const SELDOM: Duration = Duration::from_secs(6 * 3600);

/// All that the command finds in its environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// For how long there was no broker, and when to do something about it. Knows no clock.
#[derive(Debug)]
struct Patience {
    after: Duration,
    wait: Duration,
    due: Duration,
}

impl Patience {
    fn new(after: Duration, now: Duration) -> Self {
        Self { after, wait: after, due: now + after }
    }

    /// There is a broker, or there was one since the last look.
    fn connected(&mut self, now: Duration) {
        *self = Self::new(self.after, now);
    }

    /// There is none. Whether it is time.
    fn is_up(&mut self, now: Duration) -> bool {
        let up = now >= self.due;
        if up {
            self.wait = (self.wait * 2).min(SELDOM.max(self.after));
            self.due = now + self.wait;
        }
        up
    }
}

/// Runs the command whenever it is time. Without one there is nothing to do.
pub(super) fn watch(settings: Option<ModemSettings>, view: &Arc<View>) -> JoinHandle<()> {
    let Some(settings) = settings else { return tokio::spawn(async {}) };
    let view = Arc::clone(view);
    tokio::spawn(async move {
        let begin = Instant::now();
        let mut patience = Patience::new(settings.after, begin.elapsed());
        let mut connections = 0;
        let mut tick = interval(LOOK);
        loop {
            tick.tick().await;
            let tenants = view.tenants();
            // one that came and went between two looks counts as well
            let count = tenants.iter().map(|t| t.upstream.connections.load(Relaxed)).sum();
            let before = std::mem::replace(&mut connections, count);
            if count != before || tenants.iter().any(|t| t.upstream.connected.load(Relaxed)) {
                patience.connected(begin.elapsed());
            } else if patience.is_up(begin.elapsed()) {
                let ran = run(&settings.command).await;
                tell(&settings, ran, patience.wait);
            }
        }
    })
}

/// Runs it to its end; `None` when it had to be killed.
async fn run(command: &[String]) -> io::Result<Option<ExitStatus>> {
    let [program, arguments @ ..] = command else { return Ok(None) };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // so that what it has started can be killed with it
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id();
    match timeout(LIMIT, child.wait()).await {
        Ok(status) => status.map(Some),
        Err(_) => {
            if let Some(group) = group {
                sys::kill_group(group);
            }
            child.wait().await.map(|_| None)
        }
    }
}

fn tell(settings: &ModemSettings, ran: io::Result<Option<ExitStatus>>, again: Duration) {
    let program = settings.command.first().map_or("", String::as_str);
    let (level, outcome) = match ran {
        Ok(Some(status)) if status.success() => (log::Level::Warn, "it went well".to_owned()),
        Ok(Some(status)) => (log::Level::Error, format!("it failed: {status}")),
        Ok(None) => (
            log::Level::Error,
            format!("it took more than {} and was killed", duration::format(LIMIT)),
        ),
        Err(error) => (log::Level::Error, format!("it cannot be run: {error}")),
    };
    log::log!(
        level,
        MESSAGE_ID = message::MODEM_COMMAND,
        LYKTA_REASON = outcome.as_str();
        "no broker for long: {program} was run to restart the modem: {outcome}; again in {} if \
         there is none by then", duration::format(again)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    #[test]
    fn it_is_time_after_a_while_without_a_broker_and_then_ever_more_seldom() {
        let mut patience = Patience::new(minutes(15), minutes(0));
        let mut times = Vec::new();
        for minute in 0..2_000 {
            if patience.is_up(minutes(minute)) {
                times.push(minute);
            }
        }
        assert_eq!(times, [15, 45, 105, 225, 465, 825, 1_185, 1_545, 1_905]);
        patience.connected(minutes(2_000));
        assert!(!patience.is_up(minutes(2_014)) && patience.is_up(minutes(2_015)));
        assert!(!patience.is_up(minutes(2_044)) && patience.is_up(minutes(2_045)));
    }

    #[test]
    fn who_is_patient_for_longer_than_that_stays_so() {
        let mut patience = Patience::new(minutes(600), minutes(0));
        assert!(patience.is_up(minutes(600)) && !patience.is_up(minutes(1_199)));
        assert!(patience.is_up(minutes(1_200)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_does_not_end_is_killed_with_what_it_has_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("child");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let command = ["/bin/sh", "-c", &script].map(str::to_owned);
        let running = tokio::spawn(async move { run(&command).await });
        // time stands still meanwhile
        let child = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some(id) = text.strip_suffix('\n') {
                break id.to_owned();
            }
            std::thread::sleep(Duration::from_millis(5));
            tokio::task::yield_now().await;
        };
        assert!(running.await.expect("runs").expect("starts").is_none());
        // the kernel takes its time on a busy machine; the child would take a thousand seconds
        let status = || std::fs::read_to_string(format!("/proc/{child}/status"));
        let lives = || status().is_ok_and(|status| !status.contains("State:\tZ"));
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        while lives() && std::time::Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!lives(), "{:?}", status());
    }

    #[tokio::test]
    async fn how_a_command_ends_is_told() {
        let run = async |words: &[&str]| {
            run(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).await
        };
        let status = |ran: io::Result<Option<ExitStatus>>| ran.expect("runs").expect("ends").code();
        assert_eq!(status(run(&["/bin/true"]).await), Some(0));
        assert_eq!(status(run(&["/bin/sh", "-c", "exit 7"]).await), Some(7));
        // no shell looks at it, and nothing of our environment is there
        assert_eq!(
            status(run(&["/bin/sh", "-c", "test \"$*\" = '$HOME; *'", "x", "$HOME; *"]).await),
            Some(0)
        );
        assert_eq!(status(run(&["/bin/sh", "-c", "test -z \"$CARGO\""]).await), Some(0));
        assert_eq!(
            run(&["/nonexistent"]).await.expect_err("is not there").kind(),
            io::ErrorKind::NotFound
        );
    }
}
