//! Builds all parts from the settings, joins them, and stops them in order.
//!
//! ```text
//! thread "main"        status socket, concentrator (UDP) ◄─┐ bounded channels, both ways
//! thread "ingest"                           └► dedup ► lorawan ► codec ► store ─┐ notify
//! thread "up-TENANT"   one for each tenant       outbox ► MQTT ◄────────────────┘
//! thread "codec"       with scripts only: payloads ► their process ► "ingest"
//! thread "planner"     with a [plan] only: bins, orders ► plans ► "ingest"
//! ```
//!
//! A part that fails and says so stops no other: a taken port is tried again, a dead broker
//! leaves everything in the outbox. A thread that ends unasked is a bug, and ends the gateway,
//! so that the service manager starts it anew.

mod hats;
mod house;
mod inlet;
mod modem;
mod renewal;
mod report;
mod worker;

use crate::clock::Clock;
use crate::codec::Codec;
use crate::config::secret::read_store_key;
use crate::config::{Household, LorawanSettings, OutputSettings, PlanKind, Settings, Tenant};
use crate::device::Registry;
use crate::ingest::{
    self, Bins, Care, Decoding, Downlinks, Ingest, Input, Stopped, TenantSink, Tours, Transmit,
    Watch,
};
use crate::lorawan::{Channels, EdgeServer, Memory, Plan};
use crate::ops::button;
use crate::ops::card::{self, Card};
use crate::ops::health::{self, RadioHealth, TenantView, View};
use crate::ops::machine::{Machine, Told};
use crate::ops::output::{Lamp, Outputs};
use crate::ops::service;
use crate::ops::socket::{self, Reporter};
use crate::ops::web;
use crate::planning::{self, Board, Desk, Planner};
use crate::pulse::Pulse;
use crate::radio::TxError;
use crate::radio::concentrator::{self, Listener, Roster};
use crate::radio::dedup::Dedup;
use crate::radio::hat::{self, Hat};
use crate::store::{Database, Room, Store, StoreError};
use crate::units::{Hertz, TenantId};
use crate::upstream::{self, Forwarder, Shared};
use hats::Hats;
use house::Neighbours;
use inlet::Inlet;
pub use renewal::{Refused, Renewed, Renewer};
use serde_json::json;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use worker::Worker;

/// How many frames, reports and commands may wait for the disk: about ten seconds of the busiest concentrator.
const INPUT_QUEUE: usize = 1024;

/// How long radios of this machine may differ in telling of one frame.
const RADIO_WINDOW: Duration = Duration::from_millis(50);

/// How many transmissions may wait for the front end of a gateway.
const TRANSMISSION_QUEUE: usize = 64;

/// How long the last uplinks may take to reach the disk at a stop.
const INGEST_PATIENCE: Duration = Duration::from_secs(1);

/// How long a radio may take to come to an end. One that is sending a long frame takes two
/// seconds, and is left to it.
const RADIO_PATIENCE: Duration = Duration::from_millis(600);

/// How often the service manager is told that the start goes on.
const TELLS_START: Duration = Duration::from_secs(1);

/// How often the status lamp is set.
const LAMP: Duration = Duration::from_secs(1);

/// How often it is looked how the machine is.
const MACHINE: Duration = Duration::from_secs(60);

/// How long the thread that plans may take to notice a stop. It may be in the middle of reading
/// an extract, and is left to it.
const PLANNER_PATIENCE: Duration = Duration::from_millis(300);

/// How long the upstreams may take to say goodbye.
const UPSTREAM_PATIENCE: Duration = Duration::from_millis(3300);

/// Why the gateway cannot start or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The state directory cannot be made or written.
    #[error("state_dir {}: {source}; must be writable for the user that runs lykta", path.display())]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another lykta works there.
    #[error("state_dir {}: another lykta is running there", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A tenant's database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of a tenant's database cannot be read any more.
    #[error("the key of the database of tenant {tenant}: {what}; {help}")]
    Key {
        /// Whose.
        tenant: TenantId,
        /// Why not.
        what: String,
        /// What to do.
        help: String,
    },
    /// The operating system gives no thread.
    #[error("cannot start thread {name}: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A thread ended though nobody asked it to: a bug.
    #[error("internal error: thread {0} ended")]
    Ended(String),
}

/// What a gateway is made of.
#[expect(missing_debug_implementations, reason = "a function has nothing to show")]
pub struct Parts {
    /// All settings, checked.
    pub settings: Settings,
    /// The devices of the settings, with their keys.
    pub registry: Registry,
    /// The residents of the settings, with their sensors.
    pub households: Vec<Household>,
    /// A codec for each profile in use, by name.
    pub codecs: HashMap<String, Codec>,
    /// The clock that all go by.
    pub clock: Clock,
    /// Opens a radio HAT.
    pub open_hat: OpenHat,
}

/// Starts the thread of a radio HAT: [`Hat::spawn`], or something like it on an emulated chip.
pub type OpenHat = Box<dyn FnMut(hat::Parts) -> io::Result<(Hat, hat::Ended)> + Send>;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    view: Arc<View>,
    listener: JoinHandle<()>,
    stop_air: watch::Sender<bool>,
    inlet: Inlet,
    radios: Vec<Worker>,
    /// Shows on the status lamp how the gateway is, and calls whoever is near.
    lamp: JoinHandle<()>,
    /// Waits for somebody who answers alarms here.
    button: JoinHandle<()>,
    /// Notes what is written to the card.
    account: JoinHandle<()>,
    /// Tells what is wrong with the machine.
    caretaker: JoinHandle<()>,
    /// Restarts the modem when there is no broker for long.
    modem: JoinHandle<()>,
    /// Answers `lykta status`.
    reporter: JoinHandle<()>,
    /// Answers Prometheus.
    metrics: JoinHandle<()>,
    ingest: Worker,
    /// Asks scripts, if any device needs one.
    codec: Option<Worker>,
    /// Makes plans, if there are any to make. Whatever becomes of it, all else goes on.
    planner: Option<Worker>,
    stop_planner: (Arc<AtomicBool>, Desk),
    renewer: Renewer,
    upstreams: Vec<Worker>,
    stop_upstreams: watch::Sender<bool>,
    /// Of each part whose hanging would go unseen, with its name.
    pulses: Vec<(String, Pulse)>,
    /// Held for as long as the gateway runs.
    _lock: File,
}

impl Gateway {
    /// Starts all parts. Returns when each has started or has said why it has not.
    ///
    /// # Errors
    /// When there is no place to keep data: nothing could be accepted then.
    pub async fn start(parts: Parts) -> Result<Self, GatewayError> {
        let Parts { settings, registry, households, codecs, clock, open_hat } = parts;
        let lock = lock(&settings.state_dir)?;
        let air = Arc::new(ingest::Counters::default());
        let udp = Arc::new(concentrator::Counters::default());

        let (sender, inputs) = sync_channel(INPUT_QUEUE);
        let inlet = Inlet::new(sender);
        let mut memories = Vec::new();
        let mut sinks = HashMap::new();
        let mut views = Vec::new();
        let mut outboxes = Vec::new();
        let (desk, orders) = Desk::new();
        let mut remembered = HashMap::new();
        // a start that does something is not to be taken for one that hangs
        let told = Cell::new(None::<Instant>);
        let at_work = || {
            if told.get().is_none_or(|at| at.elapsed() >= TELLS_START) {
                told.set(Some(Instant::now()));
                service::starting();
            }
        };
        for tenant in &settings.tenant {
            let file = database_file(&settings.state_dir, &tenant.id);
            let database = database(&file, tenant)?;
            let (store, outbox) = Store::open_telling(database.clone(), &clock, &at_work)?;
            if store.is_renewed() {
                log::info!(
                    tenant = tenant.id.as_str(), file:% = file.display();
                    "the database is encrypted with its key from now on; what could be read without it \
                     was overwritten, what was set aside as well"
                );
            }
            let waker = inlet.clone();
            store.wake_by(move || {
                // any question does
                waker.look(|_| {});
            });
            memories.push((tenant.id.clone(), store.memory()?));
            let plans = settings.plan.iter().filter(|(_, plan)| plan.tenant == tenant.id);
            let plans: Vec<_> = plans.map(|(name, _)| name.clone()).collect();
            let kept = store.states(Room::Plans)?.into_iter();
            remembered.extend(kept.filter(|(name, _)| plans.iter().any(|p| p.as_str() == name)));
            let bins = house::bins(tenant, &settings, &registry);
            let bins = Bins::new(bins, store.states(Room::Bins)?);
            let tours = Tours::new(bins, desk.of(plans));
            let rules = house::care(tenant, &settings);
            let residents = house::residents(tenant, &households);
            let (kept, consents) = (store.states(Room::Care)?, store.states(Room::Consent)?);
            let care = Care::new(rules, residents, kept, consents, clock.now());
            let news = Arc::new(Notify::new());
            let (counters, upstream) = (Arc::default(), Arc::<upstream::Counters>::default());
            // before anybody adds to it
            upstream.waiting.store(outbox.waiting(), Relaxed);
            let bounds = house::bounds(&tenant.buffer);
            views.push(TenantView {
                id: tenant.id.clone(),
                kind: tenant.kind,
                database,
                bounds,
                counters: Arc::clone(&counters),
                upstream: Arc::clone(&upstream),
            });
            outboxes.push((tenant.clone(), outbox, Arc::clone(&news), Arc::clone(&upstream)));
            sinks.insert(
                tenant.id.clone(),
                TenantSink {
                    kind: tenant.kind,
                    store,
                    bounds,
                    news,
                    upstream,
                    counters,
                    tours,
                    care,
                },
            );
        }
        let window = settings.concentrator.as_ref().map_or(RADIO_WINDOW, |c| c.dedup_window);
        let (transmissions, to_send) = mpsc::channel(TRANSMISSION_QUEUE);
        let outlet = inlet.air();
        let (roster, stopped) = (Arc::<Roster>::default(), Stopped::default());
        let view = Arc::new(View::new(health::Parts {
            clock: clock.clone(),
            air: Arc::clone(&air),
            udp: Arc::clone(&udp),
            roster: Arc::clone(&roster),
            listens: settings.concentrator.is_some(),
            outlet: outlet.clone(),
            stopped: stopped.clone(),
            machine: Machine::new(&settings.state_dir),
            tenants: views,
        }));
        let (stop_air, stop) = watch::channel(false);
        let (hats, radios) = Hats::spawn(&settings, open_hat, &outlet, &clock, &stop)?;
        let transmit: Transmit = {
            let hats = hats.clone();
            Box::new(move |transmission| match hats.transmit(transmission) {
                Ok(result) => result,
                // not one of our own: a concentrator
                Err(other) => transmissions.try_send(other).map_err(|_| TxError::NoWay),
            })
        };
        let hears = {
            let hats = hats.clone();
            let concentrators = settings.concentrator.is_some().then(|| Arc::clone(&roster));
            // where there is nothing to hear with, nobody expects it
            let is_mute = hats.len() == 0 && concentrators.is_none();
            Box::new(move || {
                let there =
                    concentrators.as_ref().is_some_and(|c| c.is_there(tokio::time::Instant::now()));
                is_mute || there || hats.failing() < hats.len()
            })
        };
        let now = clock.now();
        let memory = Memory::gather(memories, &registry);
        let server = EdgeServer::new(&registry, plan(&settings), memory);
        let (decoding, codec) = match renewal::needs_scripts(&registry, &codecs) {
            true => {
                let (decoding, worker) = renewal::asks(&inlet, &stopped)?;
                (decoding, Some(worker))
            }
            false => (Decoding::default(), None),
        };
        let ingest = Ingest::new(ingest::Parts {
            watch: Watch::new(
                &Hats::watched(&settings),
                &server,
                now.monotonic,
                hats.obey(),
                hears,
            ),
            server,
            codecs,
            decoding,
            tenants: sinks,
            dedup: Dedup::new(window),
            downlinks: Downlinks::open(&settings.state_dir.join("air.db"), now, transmit),
            clock: clock.clone(),
            counters: air,
            commit_interval: settings.store.commit_interval,
            commit_rows: settings.store.commit_rows as usize,
        });
        let pulse = Pulse::default();
        let mut pulses = hats.pulses();
        pulses.push(("ingest".into(), pulse.clone()));
        pulses.push(("concentrator".into(), udp.pulse.clone()));
        let ingest = Worker::spawn("ingest".into(), move || ingest.run(&inputs, pulse))?;
        let (board, stop_flag) = (Board::default(), Arc::<AtomicBool>::default());
        let planner = Planner::new(planning::Parts {
            settings: &settings,
            registry: &registry,
            remembered,
            orders,
            board: board.clone(),
            clock: clock.clone(),
            house: Box::new(Neighbours::new(inlet.clone())),
            stop: Arc::clone(&stop_flag),
        });
        let planner = match settings.plan.is_empty() {
            true => None,
            false => Some(Worker::spawn("planner".into(), move || planner.run())?),
        };
        let desk = desk.of(settings.plan.keys().cloned());
        let stop_planner = (stop_flag, desk.clone());
        let renewer = Renewer {
            fixed: Arc::new(renewal::fixed(&settings)),
            inlet: inlet.clone(),
            desk: desk.clone(),
            stopped: stopped.clone(),
            asks_scripts: Arc::new(AtomicBool::new(codec.is_some())),
        };

        let (stop_upstreams, stop_up) = watch::channel(false);
        let mut upstreams = Vec::new();
        for (tenant, outbox, news, counters) in outboxes {
            let (view, id, hats) = (Arc::clone(&view), tenant.id.clone(), hats.clone());
            let plans = settings.plan.iter().filter(|(_, plan)| plan.tenant == tenant.id);
            let plans: Vec<_> = plans.map(|(name, _)| name.clone()).collect();
            let board = board.clone();
            let health = move || {
                let radios = RadioHealth { configured: hats.len(), failing: hats.failing() };
                json!(view.health(&id, (radios, hats.faults()), board.health(&plans)))
            };
            let shared = Shared {
                news,
                counters,
                health: Arc::new(health),
                commands: Arc::new(inlet.commands(tenant.id.clone())),
            };
            let forwarder = Forwarder::new(
                &settings.gateway,
                &tenant.id,
                tenant.upstream,
                outbox,
                clock.clone(),
                shared,
            )?;
            upstreams.push(spawn_upstream(
                format!("up-{}", tenant.id),
                forwarder,
                stop_up.clone(),
            )?);
        }

        let ask = report::ask(inlet.clone(), &settings.tenant, hats.clone());
        let listener = match settings.concentrator {
            Some(settings) => {
                let (tell, started) = oneshot::channel();
                let part = Listener::new(concentrator::Parts {
                    listen: settings.listen,
                    allow: settings.allow,
                    allow_from: settings.allow_from,
                    clock,
                    outlet,
                    transmissions: to_send,
                    counters: udp,
                    roster,
                });
                let listener = tokio::spawn(part.run(stop, move |outcome| {
                    // nobody asks any more when the gateway is gone already
                    let _ = tell.send(outcome.is_ok());
                }));
                // its port is open, or it was said why not
                let _ = started.await;
                listener
            }
            // what is in the outbox is delivered all the same, and health is told
            None => tokio::spawn(async {}),
        };
        let endurance = u64::from(settings.store.card_endurance_tb) * 1_000_000_000_000;
        let card = Arc::new(Card::new(&settings.state_dir, endurance));
        let button = answered_here(settings.output.button, inlet.clone());
        let patrols = settings.plan.iter().filter(|(_, plan)| plan.kind == PlanKind::Patrol);
        let patrols = patrols.map(|(name, plan)| (name.clone(), plan.tenant.clone())).collect();
        let reporter = Arc::new(Reporter {
            patrols,
            gateway: settings.gateway,
            card: Arc::clone(&card),
            view: Arc::clone(&view),
            ask,
            desk,
            board,
        });
        Ok(Self {
            listener,
            stop_air,
            inlet,
            metrics: web::serve(settings.metrics, Arc::clone(&reporter)).await,
            reporter: socket::serve(&settings.state_dir, reporter),
            radios,
            lamp: lamp(&settings.output, hats, &view),
            button,
            account: account(card, Arc::clone(&view)),
            caretaker: caretaker(Arc::clone(&view)),
            modem: modem::watch(settings.modem, &view),
            ingest,
            codec,
            planner,
            stop_planner,
            renewer,
            upstreams,
            stop_upstreams,
            pulses,
            _lock: lock,
            view,
        })
    }

    /// What can be seen from outside.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Who puts other settings in the place of those that hold.
    pub fn renewer(&self) -> Renewer {
        self.renewer.clone()
    }

    /// Watches over what came with other settings.
    pub fn watch(&mut self, renewed: Renewed) {
        self.codec = self.codec.take().or(renewed.codec);
    }

    /// Where concentrators are listened for, if the port is open.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.view.listening()
    }

    /// A part that has not shown its progress in time, and what it was doing. Nothing of what is
    /// outside, be it a broker or a radio, can make one late.
    pub fn hangs(&self) -> Option<(&str, &'static str)> {
        self.pulses.iter().find_map(|(name, pulse)| Some((name.as_str(), pulse.overdue()?)))
    }

    /// Waits until a thread ends unasked, which only a bug can make it do.
    pub async fn ended(&mut self) -> GatewayError {
        let name = poll_fn(|context| {
            let threads = self.upstreams.iter_mut().chain(&mut self.radios);
            let mut workers =
                threads.chain([&mut self.ingest]).chain(&mut self.codec).chain(&mut self.planner);
            match workers
                .find_map(|w| Pin::new(&mut w.ended).poll(context).is_ready().then_some(&w.name))
            {
                Some(name) => Poll::Ready(name.clone()),
                None => Poll::Pending,
            }
        })
        .await;
        GatewayError::Ended(name)
    }

    /// Stops in order: no more frames, the last ones to the disk, what can go to the brokers,
    /// goodbye. Takes less than five seconds; what is not delivered by then waits on the disk.
    pub async fn stop(mut self) {
        self.modem.abort();
        self.metrics.abort();
        self.reporter.abort();
        // its socket's file is gone before another daemon may come
        let _ = self.reporter.await;
        self.stop_air.send_replace(true);
        let (stop_planner, desk) = &self.stop_planner;
        stop_planner.store(true, Relaxed);
        // wakes it
        desk.nudge();
        // it only waits for datagrams, and ends at once
        let _ = self.listener.await;
        let quiet = async {
            for radio in &mut self.radios {
                radio.ended().await;
            }
        };
        if timeout(RADIO_PATIENCE, quiet).await.is_err() {
            log::debug!("a radio is still sending");
        }
        if let Some(planner) = &mut self.planner
            && timeout(PLANNER_PATIENCE, planner.ended()).await.is_err()
        {
            log::debug!("a plan is still being made; it is not waited for");
        }
        self.lamp.abort();
        self.button.abort();
        self.account.abort();
        self.caretaker.abort();
        self.inlet.close();
        if timeout(INGEST_PATIENCE, self.ingest.ended()).await.is_err() {
            log::warn!("the disk is slow: the last uplinks may not be on it");
        }
        self.stop_upstreams.send_replace(true);
        let goodbyes = async {
            for upstream in &mut self.upstreams {
                upstream.ended().await;
            }
        };
        if timeout(UPSTREAM_PATIENCE, goodbyes).await.is_err() {
            log::warn!("a broker does not answer the goodbye; what it has not taken is kept");
        }
    }
}

/// What devices are to be told about their network.
fn plan(settings: &Settings) -> Plan {
    let LorawanSettings { rx1_delay, rx2_data_rate, channels } = &settings.lorawan;
    let radios = settings.radio.iter().map(|radio| (radio.channel.0, radio.spreading_factor));
    let channels = match &settings.concentrator {
        None if !settings.radio.is_empty() => Channels::Only(radios.collect()),
        _ if channels.is_empty() => Channels::All(None),
        _ => {
            // a channel of no frequency is none
            let mut list = [Hertz(0); 5];
            list.iter_mut().zip(channels).for_each(|(to, from)| *to = from.0);
            Channels::All(Some(list))
        }
    };
    Plan { channels, rx1_delay: rx1_delay.as_secs() as u8, rx2_data_rate: *rx2_data_rate }
}

/// Keeps lamp, relay and buzzer up to date. Without any there is nothing to do.
fn lamp(settings: &OutputSettings, hats: Hats, view: &Arc<View>) -> JoinHandle<()> {
    let (outputs, view) = (Outputs::open(settings), Arc::clone(view));
    if settings.status_led.or(settings.relay).or(settings.buzzer).is_none() {
        return tokio::spawn(async {});
    }
    tokio::spawn(async move {
        let connected = |tenant: &TenantView| tenant.upstream.connected.load(Relaxed);
        let disk_fails = |tenant: &TenantView| tenant.counters.disk_fails.load(Relaxed);
        loop {
            outputs.lamp(if hats.failing() > 0 || view.tenants().iter().any(disk_fails) {
                Lamp::Fault
            } else if view.tenants().iter().all(connected) {
                Lamp::Well
            } else {
                Lamp::NoBroker
            });
            // who cannot be told by a broker may be near
            let calls = |tenant: &TenantView| {
                tenant.counters.of_care().unanswered > 0 && !connected(tenant)
            };
            let calls = view.tenants().iter().any(calls);
            outputs.relay(calls);
            outputs.buzzer(calls);
            sleep(LAMP).await;
        }
    })
}

/// Brings the presses of the button to the ingest loop.
fn answered_here(pin: Option<u8>, inlet: Inlet) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(pin) = pin else { return };
        // a press that finds no room is repeated by whoever still hears the buzzer
        button::watch(pin, || _ = inlet.pass(Input::Answered)).await;
    })
}

/// Notes now and then what was written, so that a day begins with itself.
fn account(card: Arc<Card>, view: Arc<View>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            card.note(view.now());
            sleep(card::NOTE).await;
        }
    })
}

/// Looks now and then how the machine is.
fn caretaker(view: Arc<View>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut told = Told::default();
        loop {
            told.note(&view.machine_faults(&view.machine()));
            sleep(MACHINE).await;
        }
    })
}

fn spawn_upstream(
    name: String,
    forwarder: Forwarder,
    stop: watch::Receiver<bool>,
) -> Result<Worker, GatewayError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| GatewayError::Thread { name: name.clone(), source })?;
    Worker::spawn(name, move || {
        runtime.block_on(forwarder.run(stop));
        // a name server that does not answer would else hold up the stop
        runtime.shutdown_background();
    })
}

/// Where a tenant's database lies.
pub(crate) fn database_file(state_dir: &Path, tenant: &TenantId) -> PathBuf {
    state_dir.join(format!("{tenant}.db"))
}

/// A tenant's database with its keys.
///
/// # Errors
/// When a key cannot be read.
pub(crate) fn database(file: &Path, tenant: &Tenant) -> Result<Database, GatewayError> {
    let key = |file: &Option<PathBuf>| {
        let key = file.as_deref().map(read_store_key).transpose();
        key.map_err(|(what, help)| GatewayError::Key { tenant: tenant.id.clone(), what, help })
    };
    Ok(Database::new(file, key(&tenant.store_key_file)?, key(&tenant.earlier_store_key_file)?))
}

/// Makes the state directory and takes it for this process.
pub(crate) fn lock(path: &Path) -> Result<File, GatewayError> {
    let failed = |source| GatewayError::StateDir { path: path.to_owned(), source };
    // it holds what sensors said: nobody else's business
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    // root takes it as well, in a directory that is not root's: no other file behind a link
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(GatewayError::Locked { path: path.to_owned() })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_leads_elsewhere_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        drop(lock(&state).expect("locks"));
        let other = dir.path().join("other");
        std::fs::write(&other, "of somebody else").expect("writes");
        std::fs::remove_file(state.join("lock")).expect("removes");
        std::os::unix::fs::symlink(&other, state.join("lock")).expect("links");
        assert!(matches!(lock(&state), Err(GatewayError::StateDir { .. })));
        assert_eq!(std::fs::read(&other).expect("reads"), b"of somebody else");
    }
}
