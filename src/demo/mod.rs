//! The demonstration: the very same gateway, twice, with simulated sensors before it and an
//! embedded broker behind it. One listens to a concentrator, the other has a radio of its own.

mod broker;
mod cloud;
mod lamp;
mod sensor;
mod town;

use crate::clock::Clock;
use crate::config;
use crate::gateway::{Gateway, OpenHat, Parts};
use crate::radio::hat::Hat;
use anyhow::Context;
use broker::Embedded;
use cloud::Cloud;
pub use cloud::Summary;
use jiff::Timestamp;
use lamp::Lamp;
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use town::Town;

/// How the demonstration runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long, by the wall clock; until Ctrl-C unless told.
    pub lasts: Option<Duration>,
    /// How many times faster than life.
    pub speed: u32,
    /// The same seed makes the same sensors do the same.
    pub seed: u64,
    /// Print JSON lines instead of text.
    pub json: bool,
}

/// Without an end, the broker is taken away after this, once.
const BROKER_LEAVES_AFTER: Duration = Duration::from_secs(25);

/// The broker is away for this share of the whole time.
const OUTAGE_SHARE: u32 = 6;

/// Without an end, the broker is away for this long.
const OUTAGE: Duration = Duration::from_secs(10);

/// How long the last messages may take to arrive.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs the demonstration until its time is over or `stop` is, and says what came of it.
///
/// # Errors
/// When this machine gives no port, thread or temporary directory.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<Summary> {
    let directory = tempfile::Builder::new().prefix("lykta-demo-").tempdir()?;
    let town = Town::new(options.seed);
    let broker = Embedded::start().await?;
    let clock = Clock::simulated(last_night(), options.speed);
    let configuration = town.configuration(directory.path(), broker.gate);
    let open: OpenHat = Box::new(Hat::spawn);
    let mut gateway =
        start(directory.path(), "lykta.toml", &configuration, clock.clone(), open).await?;
    let concentrator = gateway.listening().context("no UDP port for the concentrator")?;
    let mut names = town.names();
    let park: HashSet<_> = lamp::names(options.seed)
        .map(|(dev_eui, name)| {
            names.insert(dev_eui.to_string(), name);
            dev_eui
        })
        .collect();
    let (cloud, watching) = Cloud::watch(broker.inside, clock.clone(), names, options.json).await?;
    let mut lamp = Lamp::start(directory.path(), broker.gate, clock.clone(), options.seed).await?;

    cloud.note(&format!(
        "a street with a dozen bins and a home at night, {} times faster than life, and a park \
         with two bins that join the radio of a lamp post; this is what the cloud receives:",
        options.speed
    ));
    let start = Instant::now();
    let (leaves, away) = match options.lasts {
        Some(lasts) => (lasts / 2 - lasts / (2 * OUTAGE_SHARE), lasts / OUTAGE_SHARE),
        None => (BROKER_LEAVES_AFTER, OUTAGE),
    };
    let outage = async {
        sleep_until(start + leaves).await;
        cloud.note("the broker is taken away");
        broker.set_open(false);
        sleep(away).await;
        broker.set_open(true);
        cloud.note("the broker is back");
        std::future::pending::<()>().await
    };
    let over = async {
        match options.lasts {
            Some(lasts) => sleep_until(start + lasts).await,
            None => std::future::pending().await,
        }
    };
    let sent = tokio::select! {
        sent = town.live(concentrator, clock) => sent?,
        () = outage => unreachable!("the outage's future never ends"),
        () = over => town.sent(),
        () = stop => town.sent(),
        () = cloud.unread() => town.sent(),
        error = gateway.ended() => return Err(error.into()),
        error = lamp.gateway().ended() => return Err(error.into()),
    };
    lamp.quiet();
    broker.set_open(true);
    let view = std::sync::Arc::clone(gateway.view());
    // the last frames are on their way to the gateway, its last messages on theirs to the cloud
    let drained = async {
        while !cloud.has_all(&sent) || cloud.uplinks_of(&park) < lamp.accepted() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let _ = timeout(DRAIN, drained).await;
    let heard = view.air().heard.load(Relaxed) + lamp.heard();
    let missing = lamp.accepted().saturating_sub(cloud.uplinks_of(&park));
    gateway.stop().await;
    lamp.stop().await;
    watching.abort();
    Ok(cloud.summary(heard, &sent, missing))
}

/// A gateway, from a configuration file like anybody's.
async fn start(
    directory: &Path,
    name: &str,
    configuration: &str,
    clock: Clock,
    open_hat: OpenHat,
) -> anyhow::Result<Gateway> {
    let file = directory.join(name);
    std::fs::write(&file, configuration)?;
    let loaded = config::load(Some(&file)).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let parts = Parts {
        settings: loaded.settings,
        registry: loaded.registry,
        households: loaded.households,
        codecs: loaded.codecs,
        clock,
        open_hat,
    };
    Ok(Gateway::start(parts).await?)
}

/// Nine in the evening (UTC) of yesterday: the night that has just been.
fn last_night() -> Timestamp {
    const DAY: i64 = 24 * 3600;
    let today = Timestamp::now().as_second() / DAY * DAY;
    Timestamp::from_second(today - 3 * 3600).unwrap_or(Timestamp::UNIX_EPOCH)
}
