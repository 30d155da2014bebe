//! `lykta run`: the daemon.

use super::exit;
use crate::clock::Clock;
use crate::config;
use crate::gateway::{Gateway, GatewayError, Parts, Refused, Renewed, Renewer};
use crate::message;
use crate::ops::journal::{self, Journal};
use crate::ops::service;
use crate::radio::hat::Hat;
use crate::store::StoreError;
use crate::sys;
use crate::units::count;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::interval;

/// Runs the gateway until it is told to stop (SIGTERM or Ctrl-C).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lykta run --config /etc/lykta/lykta.toml")]
pub(super) struct Args {
    /// The configuration; conf.d/, devices.d/ and profiles/ beside it are read too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How often it is looked at how things are; the status line is sent only when it has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let journal = journal::init();
    let loaded = match config::load(args.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            log::error!(MESSAGE_ID = message::FAILED; "the configuration is wrong:\n{}", problems.brief());
            // the service manager does not start it again after CONFIG, but a disk may come late
            let code = if problems.are_of_machine() { exit::IO } else { exit::CONFIG };
            return Ok(code.into());
        }
    };
    tell_warnings(&loaded);
    let config::Loaded { settings, registry, households, codecs, sources, .. } = loaded;
    // where each setting came from is of no use to the daemon, and is most of what was read
    drop(sources);
    sys::return_free_memory();
    let (clock, open_hat) = (Clock::system(), Box::new(Hat::spawn));
    let parts = Parts { settings, registry, households, codecs, clock, open_hat };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(serve(parts, args.config.clone(), &journal)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            log::error!(MESSAGE_ID = message::FAILED; "{error}");
            Ok(exit_code(&error).into())
        }
    }
}

fn tell_warnings(loaded: &config::Loaded) {
    for warning in &loaded.warnings {
        log::warn!(MESSAGE_ID = message::CONFIG_WARNING; "{}", warning.brief());
    }
}

async fn serve(parts: Parts, file: Option<PathBuf>, journal: &Journal) -> Result<(), GatewayError> {
    // first of all: who has been told that lykta is ready may tell it to stop at once
    let told = told_to_stop();
    tokio::pin!(told);
    let mut hangups = signal(SignalKind::hangup()).ok();
    let devices = parts.registry.len();
    let (udp, radios) = (parts.settings.concentrator.is_some(), parts.settings.radio.len());
    let mut gateway = Gateway::start(parts).await?;
    let view = std::sync::Arc::clone(gateway.view());
    let mut last = view.status();
    service::ready(&last);
    log::info!(
        MESSAGE_ID = message::STARTED;
        "lykta {} runs: {}, {}{}",
        env!("CARGO_PKG_VERSION"),
        count(devices as u64, "device"),
        count(view.tenants().len() as u64, "tenant"),
        receivers(udp.then(|| gateway.listening()), radios)
    );
    let watched = service::watched();
    // twice in the time that the service manager waits: one may come late
    let often = watched.map_or(STATUS_INTERVAL, |within| STATUS_INTERVAL.min(within / 2));
    let mut look = interval(often);
    let mut hung = false;
    let mut reading = None;
    loop {
        tokio::select! {
            () = &mut told => break,
            error = gateway.ended() => return Err(error),
            () = told_to_reload(&mut hangups), if reading.is_none() => {
                service::reloading();
                reading = Some(tokio::spawn(reload(gateway.renewer(), file.clone())));
            }
            renewed = outcome(&mut reading), if reading.is_some() => {
                view.set_settled(renewed.is_ok());
                if let Some(renewed) = tell_reload(renewed) {
                    gateway.watch(renewed);
                }
                last = view.status();
                service::ready(&last);
            }
            _ = look.tick() => {
                journal.tell_due();
                let status = view.status();
                if status != last {
                    service::status(&status);
                    last = status;
                }
                let hangs = watched.and_then(|_| gateway.hangs());
                match hangs {
                    None if watched.is_some() => service::alive(),
                    Some((part, doing)) if !hung => log::error!(
                        MESSAGE_ID = message::HANGS, LYKTA_REASON = doing;
                        "{part} hangs: it {doing}, and has for too long; the service manager is \
                         left to start lykta again"
                    ),
                    _ => {}
                }
                hung = hangs.is_some();
            }
        }
    }
    service::stopping();
    log::info!(MESSAGE_ID = message::STOPPING; "lykta stops");
    gateway.stop().await;
    Ok(())
}

/// Reads the configuration again, for a gateway that runs.
async fn reload(renewer: Renewer, file: Option<PathBuf>) -> Result<Renewed, Refused> {
    let read = move || config::load(file.as_deref());
    let loaded = match spawn_blocking(read).await {
        Ok(loaded) => loaded.map_err(Refused::Wrong)?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    tell_warnings(&loaded);
    let renewed = renewer.renew(loaded).await;
    sys::return_free_memory();
    renewed
}

/// What came of it, once; nothing ever where nothing is read.
async fn outcome(
    reading: &mut Option<JoinHandle<Result<Renewed, Refused>>>,
) -> Result<Renewed, Refused> {
    let Some(task) = reading else { return std::future::pending().await };
    let ended = task.await;
    *reading = None;
    // what a panic says may be a piece of what was read
    ended.unwrap_or(Err(Refused::Panicked))
}

fn tell_reload(outcome: Result<Renewed, Refused>) -> Option<Renewed> {
    match outcome {
        Ok(renewed) => {
            log::info!(
                MESSAGE_ID = message::RELOADED;
                "the configuration was read again and holds: {}",
                count(renewed.devices as u64, "device")
            );
            Some(renewed)
        }
        Err(refused) => {
            let holds = match refused {
                // it may have come half way
                Refused::Panicked => "",
                _ => ", that of before does",
            };
            log::error!(
                MESSAGE_ID = message::RELOAD_REFUSED, LYKTA_REASON = refused.to_string();
                "the configuration was read again and does not hold{holds}: {refused}"
            );
            None
        }
    }
}

/// Ends with the next SIGHUP.
async fn told_to_reload(hangups: &mut Option<Signal>) {
    match hangups {
        Some(hangups) => _ = hangups.recv().await,
        None => std::future::pending().await,
    }
}

/// By what frames come in. The UDP port may be taken for now.
fn receivers(udp: Option<Option<SocketAddr>>, radios: usize) -> String {
    let udp = match udp {
        None => String::new(),
        Some(None) => ", concentrators at no port".to_owned(),
        Some(Some(at)) => format!(", concentrators at udp {at}"),
    };
    match radios {
        0 => udp,
        n => format!("{udp}, {}", count(n as u64, "radio")),
    }
}

/// Listens for SIGTERM and SIGINT from now on; the future ends with the first of them. A system
/// that gives no signal handlers ends the process the hard way, which loses nothing that was
/// accepted.
fn told_to_stop() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn exit_code(error: &GatewayError) -> u8 {
    match error {
        GatewayError::Key { .. }
        | GatewayError::Store(StoreError::WrongKey { .. } | StoreError::NoKey { .. }) => {
            exit::CONFIG
        }
        GatewayError::StateDir { .. } | GatewayError::Store(_) => exit::IO,
        GatewayError::Locked { .. } | GatewayError::Thread { .. } => exit::UNAVAILABLE,
        GatewayError::Ended(_) => exit::SOFTWARE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reading_that_panics_is_a_refusal() {
        let mut reading =
            Some(tokio::spawn(async { panic!("byte 3 is inside 'å' of `kastanjå`") }));
        let refused = outcome(&mut reading).await.expect_err("nothing was read");
        assert!(reading.is_none(), "it may be read again");
        let text = refused.to_string();
        assert!(text.contains("a fault in lykta") && !text.contains("kastanj"), "{text}");
    }
}
