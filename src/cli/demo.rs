//! `lykta demo`.

use super::exit;
use crate::demo::{self, Options};
use crate::units::duration;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Runs the gateway with simulated sensors and an embedded broker: nothing else is needed.
///
/// A dozen bins and one home at night send really encrypted LoRaWAN frames over UDP on
/// loopback; what the cloud receives is printed, one line a message. Halfway the broker is
/// taken away and given back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lykta demo --for 60s")]
pub(super) struct Args {
    /// How long to run, by the wall clock; until Ctrl-C unless given
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    lasts: Option<Duration>,
    /// How many times faster than life
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
    /// The same seed makes the same sensors do the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON: a line for each message, the last line is the summary
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options =
        Options { lasts: args.lasts, speed: args.speed, seed: args.seed, json: args.json };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let summary = runtime.block_on(demo::run(options, async {
        // without a way to hear Ctrl-C the default remains: the process ends
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }))?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
    } else {
        writeln!(out, "\n{summary}")?;
    }
    Ok(if summary.lost == 0 { ExitCode::SUCCESS } else { exit::SOFTWARE.into() })
}
