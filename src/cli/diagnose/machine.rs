//! What the machine, the service manager and the journal say.

use crate::program;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// So many lines of the journal.
const LINES: &str = "2000";

/// What tells of a unit, without its environment, in which there may be secrets.
const UNIT: &str = "--property=ActiveState,SubState,Result,ExecMainStatus,ExecMainCode,NRestarts,\
                    ActiveEnterTimestamp,MemoryCurrent,CPUUsageNSec,TasksCurrent,StatusText,\
                    FragmentPath,DropInPaths,NeedDaemonReload,UnitFileState,WatchdogUSec";

/// What this machine is.
pub(super) fn facts() -> String {
    let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|rest| rest.trim_matches([':', '=', '\t', ' ', '"']).to_owned())
    };
    let memory = text("/proc/meminfo");
    let first = |file| text(file).trim_end_matches(['\0', '\n']).to_owned();
    let devices = ["/dev/spidev0.0", "/dev/spidev0.1", "/dev/gpiochip0", "/dev/gpiomem"];
    let devices = devices.into_iter().filter(|node| fs::metadata(node).is_ok());
    let facts = json!({
        "model": first("/proc/device-tree/model"),
        "kernel": first("/proc/sys/kernel/osrelease"),
        "system": field(&text("/etc/os-release"), "PRETTY_NAME"),
        "processors": std::thread::available_parallelism().map(usize::from).ok(),
        "memoryTotal": field(&memory, "MemTotal"),
        "memoryAvailable": field(&memory, "MemAvailable"),
        "swapTotal": field(&memory, "SwapTotal"),
        "load": first("/proc/loadavg"),
        "uptimeS": first("/proc/uptime").split('.').next().and_then(|s| s.parse::<u64>().ok()),
        "devices": devices.collect::<Vec<_>>(),
    });
    format!("{facts:#}\n")
}

/// How the service is.
pub(super) fn unit() -> String {
    said("systemctl", &["show", "lykta.service", UNIT])
}

/// The last lines of the service: when, how bad, which message, and its words.
pub(super) fn journal() -> String {
    let of = ["-u", "lykta.service", "-n", LINES, "-o", "json", "--no-pager", "-q"];
    lines(&said("journalctl", &of))
}

/// What the kernel said of the card, the supply, and memory that ran out.
pub(super) fn kernel() -> String {
    let what = "mmc|ext4|I/O error|oltage|throttl|Out of memory|oom";
    let of = ["-k", "-g", what, "-n", "200", "-o", "json", "--no-pager", "-q"];
    lines(&said("journalctl", &of))
}

/// Records of the journal in words, without the name of the host and of programs.
fn lines(records: &str) -> String {
    let mut text = String::new();
    for line in records.lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            let _ = writeln!(text, "{line}");
            continue;
        };
        let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let time = field("__REALTIME_TIMESTAMP").parse().ok();
        let time = time.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        let time = time.map_or_else(String::new, |time| format!("{time:.3}"));
        let (priority, id) = (field("PRIORITY"), field("MESSAGE_ID"));
        let known = crate::message::ALL.iter().find(|(_, known)| *known == id);
        let name = known.map_or("", |(name, _)| name);
        let _ = writeln!(text, "{time} <{priority}> {name} {}", field("MESSAGE"));
    }
    text
}

/// What a program prints, or why it does not.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = match program::output(Command::new(program).args(arguments)) {
        Ok(output) => output,
        Err(error) => return format!("{program}: {error}\n"),
    };
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if program::is_late(&output) {
        let _ = writeln!(text, "{program}: it was ended before it was done");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_record_only_what_is_wanted_is_kept() {
        let record = json!({
            "__REALTIME_TIMESTAMP": "1700000000123456", "PRIORITY": "4", "_HOSTNAME": "annas-pi",
            "MESSAGE_ID": crate::message::UPSTREAM_LOST, "MESSAGE": "no connection",
            "_CMDLINE": "lykta run", "LYKTA_TENANT": "waste",
        });
        let text = lines(&format!("{record}\n-- no record\n"));
        let first = "2023-11-14T22:13:20.123Z <4> UPSTREAM_LOST no connection\n";
        assert_eq!(text, format!("{first}-- no record\n"));
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        assert!(said("/nonexistent", &[]).starts_with("/nonexistent: "));
        assert_eq!(said("echo", &["a"]), "a\n");
    }
}
