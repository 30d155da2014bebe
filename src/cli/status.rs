//! `lykta status`: how is the daemon?

use super::ask::Target;
use super::exit;
use super::table::{Column, Table, ago, bytes, long, percent, printable};
use crate::ops::card::CardStatus;
use crate::ops::device::DeviceSummary;
use crate::ops::machine::MachineStatus;
use crate::ops::status::{
    AnswerStatus, BufferStatus, CapacityStatus, CareStatus, ClassStatus, ConcentratorSeen,
    DiskStatus, Status,
};
use crate::units::{Hertz, Ratio, count};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Asks the running daemon how it is: radios, tenants, devices, how full the air is.
///
/// The daemon answers root and its own user. With nobody there the exit code is 69.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta status")]
pub(super) struct Args {
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
    let status: Status = match daemon.ask("status") {
        Ok(status) => status,
        Err(silence) => {
            writeln!(stderr().lock(), "lykta: {silence}")?;
            return Ok(exit::UNAVAILABLE.into());
        }
    };
    let mut out = stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        write!(out, "{}", describe(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(status: &Status) -> String {
    let mut table = Table::new([Column::Text(""), Column::Text("")]);
    let mut line = |name: &str, value: String| table.row([name.to_owned(), value]);
    line(
        "lykta",
        format!(
            "{} at {}, running for {}, clock {}",
            status.version,
            status.gateway,
            long(Duration::from_secs(status.uptime_s)),
            status.clock.as_str()
        ),
    );
    if let Some(trouble) = &status.trouble {
        line("trouble", trouble.clone());
    }
    for fault in &status.faults {
        let about = fault.about.as_ref().map_or(String::new(), |about| format!(" ({about})"));
        line(
            fault.severity.as_str(),
            format!("{}{}: {}; {}", fault.code, printable(&about), fault.what, fault.action),
        );
    }
    if let Some(text) = status.machine.as_ref().and_then(machine) {
        line("machine", text);
    }
    line("air", air(status));
    line("concentrator", concentrator(status));
    for seen in &status.concentrators {
        line(&format!("  {}", seen.gateway), one_concentrator(seen));
    }
    for radio in &status.radios {
        line(
            &format!("radio {}", radio.name),
            format!(
                "{}, {} at {}: {} heard{}, {} damaged, {} sent, {}",
                radio.state,
                radio.modulation,
                megahertz(radio.frequency),
                radio.heard,
                radio.heard_ago_s.map_or(String::new(), |s| {
                    format!(" (the last {} ago)", long(Duration::from_secs(s)))
                }),
                radio.bad_crc,
                radio.sent,
                count(radio.restarts, "restart")
            ),
        );
    }
    if let Some(written) = &status.card {
        line("card", card(written));
    }
    for tenant in &status.tenants {
        let link = if tenant.connected { "connected" } else { "no broker" };
        let mut text = format!(
            "{link}; {} accepted, {} delivered, {} waiting",
            tenant.accepted, tenant.delivered, tenant.waiting
        );
        for (n, what) in [
            (tenant.refused, "refused by the broker"),
            (tenant.set_aside, "set aside"),
            (tenant.not_stored, "lost to the disk"),
            (tenant.not_decoded, "not decoded"),
            (tenant.not_mapped, "outputs not mapped"),
        ] {
            if n > 0 {
                let _ = write!(text, ", {n} {what}");
            }
        }
        let _ = write!(text, "; store {}", bytes(tenant.store_bytes));
        line(&format!("tenant {}", tenant.id), text);
        if let Some(kept) = &tenant.buffer {
            line("  buffer", buffer(kept));
        }
        if let Some(text) = tenant.care.as_ref().map(care) {
            line("  care", text);
        }
        if let Some(text) = tenant.disk.as_ref().and_then(disk) {
            line("  disk", text);
        }
        for class in &tenant.classes {
            line(&format!("  {}", class.class), waiting(class, status.time));
        }
        if let Some(trouble) = &tenant.trouble {
            let next = tenant.next_attempt_s.unwrap_or_default();
            let next = long(Duration::from_secs(next));
            line("  broker", format!("{}; next attempt in {next}", printable(trouble)));
        }
    }
    for profile in &status.stopped_codecs {
        let why = "had to be stopped too often, its devices are delivered raw";
        line("codec stopped", format!("of profile {profile}: {why}"));
    }
    if let Some(devices) = &status.devices {
        line("devices", summary(devices));
    }
    if let Some(answers) = &status.answers {
        line("answers", answered(answers));
    }
    for band in &status.airtime {
        line(
            &format!("band {}", band.name),
            format!(
                "{} of the hour sent, {} allowed",
                fine_percent(band.used),
                fine_percent(band.limit)
            ),
        );
    }
    let mut text = table.to_string();
    if let Some(capacity) = &status.capacity {
        text.push_str(&describe_capacity(capacity));
    }
    text
}

/// What waits of a class.
fn waiting(class: &ClassStatus, now: Timestamp) -> String {
    let mut text = format!("{} waiting", class.waiting);
    if let Some(oldest) = class.oldest {
        let _ = write!(text, ", the oldest {}", ago(oldest, now));
    }
    if class.set_aside > 0 {
        let _ = write!(text, ", {} set aside", class.set_aside);
    }
    text
}

/// How the machine is, as far as it tells.
fn machine(machine: &MachineStatus) -> Option<String> {
    let mut told = Vec::new();
    if let Some(degrees) = machine.temperature_c {
        told.push(format!("{degrees:.0} degrees"));
    }
    for (now, before, what) in [
        (machine.under_voltage, machine.under_voltage_before, "supply too weak"),
        (machine.throttled, machine.throttled_before, "throttled"),
    ] {
        match (now, before) {
            (Some(true), _) => told.push(what.to_owned()),
            (_, Some(true)) => told.push(format!("{what} earlier")),
            _ => {}
        }
    }
    if let Some((free, size)) = machine.disk_free_bytes.zip(machine.disk_bytes) {
        told.push(format!("{} of {} free on the disk", bytes(free), bytes(size)));
    }
    (!told.is_empty()).then(|| told.join(", "))
}

fn buffer(buffer: &BufferStatus) -> String {
    let BufferStatus { used_bytes, max_bytes, max_days, shed } = buffer;
    let full = fine_percent(Ratio(*used_bytes as f64 / (*max_bytes).max(1) as f64));
    let days = count(*max_days, "day");
    let mut text = format!("{full} of {} in use, for up to {days}", bytes(*max_bytes));
    let mut what = "; given up: ";
    for (n, noun) in [
        (shed.alarm, "alarm"),
        (shed.event, "event"),
        (shed.plan, "plan"),
        (shed.measurement, "measurement"),
        (shed.diagnostic, "diagnostic"),
    ] {
        if n > 0 {
            let _ = write!(text, "{what}{}", count(n, noun));
            what = ", ";
        }
    }
    text
}

fn care(care: &CareStatus) -> String {
    let CareStatus { counts, unheeded } = care;
    let mut text = format!(
        "{} open, {} unanswered; {} by rules so far, {} over by themselves",
        count(counts.alarms, "alarm"),
        counts.unanswered,
        count(counts.raised, "alarm"),
        counts.over_by_themselves
    );
    for (n, what) in [
        (counts.withdrawn, "consent withdrawn in"),
        (counts.consent_lost, "consent lost, and to be asked for again, in"),
    ] {
        if n > 0 {
            let _ = write!(text, "; {what} {}", count(n, "home"));
        }
    }
    if *unheeded > 0 {
        let _ = write!(text, "; {} not read for want of consent", count(*unheeded, "frame"));
    }
    text
}

/// What is wrong with the disk.
fn disk(disk: &DiskStatus) -> Option<String> {
    let mut wrong = Vec::new();
    if disk.store != "ok" {
        wrong.push("it takes nothing, see the journal".to_owned());
    }
    if disk.alarms_in_memory > 0 {
        wrong.push(format!("{} in memory only", count(disk.alarms_in_memory, "alarm")));
    }
    if disk.alarms_lost > 0 {
        wrong.push(format!("{} lost", count(disk.alarms_lost, "alarm")));
    }
    if disk.session_copy != "ok" {
        wrong.push("sessions of devices are kept once only".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

fn card(card: &CardStatus) -> String {
    let mut text = format!("{} written today", bytes(card.today_bytes));
    if let Some(per_day) = card.bytes_per_day {
        let whose = if card.device_bytes.is_some() { "by all programs" } else { "by lykta" };
        let _ = write!(text, ", {} a day {whose}", bytes(per_day));
    }
    match card.life_years {
        Some(years) if years < 100.0 => {
            let _ = write!(text, ": a new card lasts {years} years");
        }
        Some(_) => text.push_str(": a new card lasts longer than 100 years"),
        None => {}
    }
    text
}

fn air(status: &Status) -> String {
    let air = &status.air;
    let mut text = format!("{} heard", count(air.heard, "frame"));
    for (n, what) in [
        (air.copies, "copies"),
        (air.repeats, "repeated"),
        (air.unknown_device, "of unknown devices"),
        (air.not_uplink, "no uplinks"),
        (air.bad_mic, "with a wrong MIC"),
        (air.replays, "replayed"),
        (air.resets_refused, "with a refused counter reset"),
        (air.joins_refused, "joins refused"),
        (status.dropped, "dropped"),
    ] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

fn concentrator(status: &Status) -> String {
    let Some(listening) = status.listening else { return "not listened for".to_owned() };
    let udp = &status.concentrator;
    let mut text = format!("udp {listening}: {}", count(udp.packets, "packet"));
    for (n, what) in [
        (udp.bad_crc, "damaged"),
        (udp.fsk, "FSK"),
        (udp.malformed_packets + udp.malformed_datagrams, "malformed"),
        (udp.not_allowed, "not allowed"),
    ] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

fn one_concentrator(seen: &ConcentratorSeen) -> String {
    let ago = |seconds| long(Duration::from_secs(seconds));
    let mut text =
        format!("heard {} ago, {}", ago(seen.heard_ago_s), count(seen.packets, "packet"));
    match seen.asked_ago_s {
        Some(_) => {
            let _ = write!(text, ", {}", count(seen.taken, "downlink"));
        }
        None => text.push_str(", does not ask for downlinks"),
    }
    if seen.refused > 0 {
        let _ = write!(text, ", {} refused", seen.refused);
    }
    if let Some(share) = seen.acknowledged.filter(|share| share.0 < 0.99) {
        let _ = write!(text, ", only {} of its datagrams acknowledged", fine_percent(share));
    }
    text
}

fn answered(answers: &AnswerStatus) -> String {
    let mut text = format!("{} in RX1, {} in RX2", answers.rx1, answers.rx2);
    for (n, what) in [
        (answers.failed, "not sent"),
        (answers.late, "too late"),
        (answers.duty_cycle, "against the duty cycle"),
        (answers.overlap, "at the same time as others"),
        (answers.errors, "refused by a gateway"),
        (answers.unreported, "never reported"),
    ] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

fn summary(devices: &DeviceSummary) -> String {
    let mut text = format!("{} registered", devices.registered);
    for (n, what) in [
        (devices.in_time, "heard in time"),
        (devices.silent, "silent"),
        (devices.never, "never heard"),
        (devices.weak.filter(|n| *n > 0), "heard badly"),
    ] {
        if let Some(n) = n {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

fn describe_capacity(capacity: &CapacityStatus) -> String {
    let mut text = String::new();
    if !capacity.channels.is_empty() {
        let _ = writeln!(text, "\nthe air, last {}:", long(Duration::from_secs(capacity.span_s)));
        let mut table = Table::new([
            Column::Text("CHANNEL"),
            Column::Text("MODULATION"),
            Column::Number("IN USE"),
            Column::Number("COLLIDE"),
        ]);
        for channel in &capacity.channels {
            table.row([
                megahertz(channel.frequency),
                channel.modulation.clone(),
                fine_percent(channel.share),
                fine_percent(channel.collisions),
            ]);
        }
        let _ = write!(text, "{table}");
    }
    if !capacity.advice.is_empty() {
        text.push_str("\nadvice:\n");
        for advice in &capacity.advice {
            let _ = writeln!(text, "- {}", printable(advice));
        }
    }
    text
}

fn megahertz(frequency: Hertz) -> String {
    format!("{} MHz", f64::from(frequency.0) / 1e6)
}

/// A small share with a decimal.
fn fine_percent(ratio: Ratio) -> String {
    if ratio.0 >= 0.1 { percent(ratio) } else { format!("{:.1} %", ratio.0 * 100.0) }
}
