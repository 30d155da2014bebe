//! `lykta device list`.

use crate::cli::ask::{Target, note_shown};
use crate::cli::exit;
use crate::cli::table::{Column, Table, UNKNOWN, ago, percent, printable};
use crate::config::Loaded;
use crate::lorawan::statistics::Trend;
use crate::ops::access;
use crate::ops::device::{DeviceStatus, Devices, HeardStatus, PowerStatus};
use crate::units::{DevEui, TenantId};
use jiff::Timestamp;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

/// Lists the devices with how they are heard, the worst first.
///
/// Where the daemon does not run, the devices of the configuration are listed, without a word
/// about how they are heard; the exit code is 69 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta device list")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Print one JSON object instead of a table
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
    let mut answer = daemon.ask("devices").unwrap_or_else(|silence| Devices {
        time: Timestamp::now(),
        devices: None,
        residents_of: Vec::new(),
        trouble: Some(silence.to_string()),
    });
    note_shown(&answer.residents_of, access::DEVICES);
    let is_known = answer.devices.is_some();
    let mut devices = answer.devices.or_else(|| Some(registered(daemon.loaded.as_ref()?)));
    devices.iter_mut().for_each(|devices| devices.sort_by_key(badness));
    answer.devices = devices;
    if args.json {
        writeln!(stdout().lock(), "{}", serde_json::to_string_pretty(&answer)?)?;
    } else if let Some(devices) = &answer.devices {
        print(devices, answer.time)?;
    }
    let mut err = stderr().lock();
    if let Some(trouble) = &answer.trouble {
        writeln!(err, "lykta: {}", printable(trouble))?;
    }
    if !is_known && answer.devices.is_some() {
        writeln!(err, "What is configured is listed; how it is heard is not known.")?;
    }
    Ok(if is_known { ExitCode::SUCCESS } else { exit::UNAVAILABLE.into() })
}

/// The devices of the configuration.
pub(super) fn registered(loaded: &Loaded) -> Vec<DeviceStatus> {
    let kind = |id: &TenantId| {
        let tenant = loaded.settings.tenant.iter().find(|tenant| tenant.id == *id);
        tenant.map(|tenant| tenant.kind)
    };
    loaded
        .registry
        .iter()
        .filter_map(|device| {
            Some(DeviceStatus::new(device, kind(&device.tenant)?, None, Timestamp::UNIX_EPOCH))
        })
        .collect()
}

/// What makes a device come earlier: silent ones, never heard ones, then those that lose most.
fn badness(device: &DeviceStatus) -> (u8, u32, DevEui) {
    let (rank, ratio) = match &device.heard {
        Some(heard) if heard.ever && !heard.in_time => (0, heard.recent_ratio),
        Some(heard) if !heard.ever => (1, None),
        Some(heard) => (2, heard.recent_ratio),
        None => (3, None),
    };
    let ratio = ratio.map_or(1.0, |ratio| ratio.0);
    (rank, (ratio * 10_000.0) as u32, device.dev_eui)
}

fn print(devices: &[DeviceStatus], now: Timestamp) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if devices.is_empty() {
        return writeln!(out, "There is no device: lykta device import --help");
    }
    let mut table = Table::new([
        Column::Text("DEVEUI"),
        Column::Text("NAME"),
        Column::Text("TENANT"),
        Column::Text("LAST HEARD"),
        Column::Number("RATIO"),
        Column::Text("TREND"),
        Column::Number("MARGIN"),
        Column::Number("BATTERY"),
    ]);
    for device in devices {
        let heard = device.heard.as_ref();
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
        table.row([
            device.dev_eui.to_string(),
            device.name.clone(),
            device.tenant.to_string(),
            or_unknown(heard.map(|heard| last_heard(heard, now))),
            or_unknown(heard.and_then(|heard| heard.recent_ratio).map(percent)),
            or_unknown(heard.and_then(|heard| heard.trend).map(|trend| word(trend).to_owned())),
            or_unknown(heard.and_then(|heard| heard.margin_db).map(|db| format!("{db:.0} dB"))),
            or_unknown(heard.and_then(|heard| heard.power.as_ref()).map(power)),
        ]);
    }
    write!(out, "{table}")
}

/// When it was last heard; of care, whether it was in time.
pub(super) fn last_heard(heard: &HeardStatus, now: Timestamp) -> String {
    match (heard.ever, heard.last_heard, heard.in_time) {
        (false, ..) => "never".to_owned(),
        (true, None, true) => "in time".to_owned(),
        (true, Some(at), true) => ago(at, now),
        (true, None, false) => "silent".to_owned(),
        (true, Some(at), false) => format!("{}, silent", ago(at, now)),
    }
}

/// What it lives on.
pub(super) fn power(power: &PowerStatus) -> String {
    match (power.external, power.battery) {
        (true, _) => "mains".to_owned(),
        (false, Some(level)) => percent(level),
        (false, None) => UNKNOWN.to_owned(),
    }
}

/// Where it goes.
pub(super) fn word(trend: Trend) -> &'static str {
    match trend {
        Trend::Better => "better",
        Trend::Steady => "steady",
        Trend::Worse => "worse",
    }
}
