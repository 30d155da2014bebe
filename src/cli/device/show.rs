//! `lykta device show`.

use super::list::{last_heard, power, registered, word};
use crate::cli::ask::{Target, note_shown};
use crate::cli::exit;
use crate::cli::table::{Column, Table, UNKNOWN, ago, long, percent, printable};
use crate::ops::access;
use crate::ops::device::{DeviceStatus, HeardStatus, OneDevice};
use crate::units::{DevEui, count};
use jiff::Timestamp;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Shows one device: what it is, and how it is heard.
///
/// Where the daemon does not run, only what the configuration says; the exit code is 69 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta device show 70b3d50700001739")]
pub(super) struct Args {
    /// Its DevEUI, as printed on it
    #[arg(value_name = "DEVEUI")]
    dev_eui: DevEui,
    #[command(flatten)]
    target: Target,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let daemon = match args.target.daemon()? {
        Ok(daemon) => daemon,
        Err(code) => return Ok(code),
    };
    let request = format!("device {}", args.dev_eui);
    let mut answer: OneDevice = daemon.ask(&request).unwrap_or_else(|silence| OneDevice {
        time: Timestamp::now(),
        device: None,
        residents_of: Vec::new(),
        trouble: Some(silence.to_string()),
    });
    note_shown(&answer.residents_of, access::DEVICES);
    if answer.trouble.is_some() {
        let mut configured = daemon.loaded.as_ref().map(registered).unwrap_or_default().into_iter();
        let device = || configured.find(|device| device.dev_eui == args.dev_eui);
        answer.device = answer.device.or_else(device);
    }
    if args.json {
        writeln!(stdout().lock(), "{}", serde_json::to_string_pretty(&answer)?)?;
    } else if let Some(device) = &answer.device {
        write!(stdout().lock(), "{}", describe(device, answer.time))?;
    }
    let mut err = stderr().lock();
    Ok(match (&answer.trouble, &answer.device) {
        (None, Some(_)) => ExitCode::SUCCESS,
        (None, None) => {
            writeln!(err, "lykta: no device {} is registered: lykta device list", args.dev_eui)?;
            exit::DATA.into()
        }
        (Some(trouble), _) => {
            writeln!(err, "lykta: {}", printable(trouble))?;
            exit::UNAVAILABLE.into()
        }
    })
}

fn describe(device: &DeviceStatus, now: Timestamp) -> Table<2> {
    let mut table = Table::new([Column::Text(""), Column::Text("")]);
    let mut line = |name: &str, value: String| table.row([name.to_owned(), value]);
    line("DevEUI", device.dev_eui.to_string());
    line("name", device.name.clone());
    line("tenant", device.tenant.to_string());
    line("profile", device.profile.clone());
    line(
        "activation",
        match device.dev_addr {
            Some(dev_addr) => format!("{}, DevAddr {dev_addr}", device.activation.to_uppercase()),
            None => device.activation.to_uppercase(),
        },
    );
    line("heartbeat", format!("every {} at least", long(Duration::from_secs(device.heartbeat_s))));
    let Some(heard) = &device.heard else {
        line("heard", "not known".to_owned());
        return table;
    };
    line("heard", last_heard(heard, now));
    if let (Some(recent), Some(overall)) = (heard.recent_ratio, heard.overall_ratio) {
        let trend = heard.trend.map_or(String::new(), |trend| format!(", {}", word(trend)));
        line(
            "delivery",
            format!(
                "{} of the last 64 frames, {} overall{trend}",
                percent(recent),
                percent(overall)
            ),
        );
    }
    frames(heard, &mut line);
    if let Some(said) = &heard.power {
        let margin =
            said.heard_us_db.map_or(String::new(), |db| format!("; hears the gateway at {db} dB"));
        line(
            "battery",
            match power(said).as_str() {
                UNKNOWN => format!("not known to the device{margin}, {}", ago(said.at, now)),
                power => format!("{power}{margin}, {}", ago(said.at, now)),
            },
        );
    }
    table
}

/// What is told of devices that are in nobody's home.
fn frames(heard: &HeardStatus, line: &mut impl FnMut(&str, String)) {
    if let (Some(received), Some(missed)) = (heard.received, heard.missed) {
        let absences = match heard.absences {
            None | Some(0) => String::new(),
            Some(n) => format!(", {}", count(n.into(), "absence")),
        };
        line("frames", format!("{received} received, {missed} missed{absences}"));
    }
    if let Some(interval) = heard.interval_s {
        line("interval", format!("a frame every {}", long(Duration::from_secs(interval))));
    }
    if let Some(margin) = heard.margin_db {
        let at = match (&heard.modulation, heard.frequency) {
            (Some(modulation), Some(frequency)) => {
                format!(", last {modulation} at {} MHz", f64::from(frequency.0) / 1e6)
            }
            _ => String::new(),
        };
        line("margin", format!("{margin:.1} dB above the floor{at}"));
    }
}
