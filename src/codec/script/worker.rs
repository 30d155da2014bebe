//! The process in which scripts run: `lykta codec-worker`, started by the keeper alone.

use super::engine;
use super::wire::{Case, Outcome, Ready, Reply};
use crate::sys;
use std::io::{self, BufRead, Write};
use std::time::Duration;

/// The command that is the worker. It is in no help: nobody types it.
pub const COMMAND: &str = "codec-worker";

/// Of the whole process. The engine has its own limit, far below; this one holds also for what
/// the engine does not count.
const MAX_MEMORY: u64 = 32 * 1024 * 1024;

/// Gives up all rights but to read cases from stdin and to write replies to stdout, and does so
/// until stdin ends.
///
/// # Errors
/// When the rights cannot be given up, or the keeper is gone.
pub fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    // what is read or set up at first use is so now: afterwards no file can be opened
    warm_up();
    // should memory run out, the kernel takes this process first; where it may not be told so, it
    // is still the limits that hold
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let filtered = sys::confine(MAX_MEMORY)?;
    send(&mut output, &Ready { filtered })?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let begin = sys::thread_cpu_time();
        let reply = match serde_json::from_slice::<Case<'_>>(&line) {
            Ok(case) => engine::run(&case),
            Err(error) => {
                Reply { out: Outcome::Error(format!("the case: {error}")), console: Vec::new() }
            }
        };
        send(&mut output, &reply)?;
        // who computed for long has most likely filled the memory, too
        if sys::thread_cpu_time().saturating_sub(begin) > Duration::from_millis(20) {
            sys::return_free_memory();
        }
    }
}

fn send(output: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

fn warm_up() {
    let case = r#"{"source": "function decodeUplink() { return {data: new Date(2024, 0, 1)} }",
                   "routine": "decodeUplink", "input": {}}"#;
    if let Ok(case) = serde_json::from_str(case) {
        engine::run(&case);
    }
}
