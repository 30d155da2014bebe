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
mod rounds;
mod state;
mod tenants;
mod upstreams;
mod worker;

use crate::clock::Clock;
use crate::codec::Codec;
use crate::config::{Household, LorawanSettings, PlanKind, Settings};
use crate::device::Registry;
use crate::ingest::{self, Decoding, Downlinks, Ingest, Stopped, Watch};
use crate::lorawan::{Channels, EdgeServer, Memory, Plan};
use crate::ops::card::Card;
use crate::ops::health::{self, View};
use crate::ops::machine::Machine;
use crate::ops::socket::{self, Reporter};
use crate::ops::web;
use crate::planning::{self, Board, Desk, Planner};
use crate::pulse::Pulse;
use crate::radio::concentrator::{self, Listener, Roster};
use crate::radio::dedup::Dedup;
use crate::radio::hat::{self, Hat};
use crate::store::StoreError;
use crate::units::{Hertz, TenantId};
use hats::Hats;
use house::Neighbours;
use inlet::Inlet;
pub use renewal::{Refused, Renewed, Renewer};
pub(crate) use state::{database, database_file, lock};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::task::Poll;
use std::time::Duration;
use tenants::{Opening, Tenants};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use upstreams::Outward;
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
        let (desk, orders) = Desk::new();
        let Tenants { memories, sinks, views, remembered, waiting } = Opening {
            settings: &settings,
            registry: &registry,
            households: &households,
            desk: &desk,
            inlet: &inlet,
            clock: &clock,
        }
        .tenants()?;
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
                hats.hears(settings.concentrator.is_some().then(|| Arc::clone(&roster))),
            ),
            server,
            codecs,
            decoding,
            tenants: sinks,
            dedup: Dedup::new(window),
            downlinks: Downlinks::open(
                &settings.state_dir.join("air.db"),
                now,
                hats.transmit(transmissions),
            ),
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
        let outward = Outward {
            settings: &settings,
            view: &view,
            hats: &hats,
            board: &board,
            inlet: &inlet,
            clock: &clock,
            stop: &stop_up,
        };
        let upstreams = waiting.into_iter().map(|waiting| outward.spawn(waiting));
        let upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;

        let ask = report::ask(inlet.clone(), &settings.tenant, hats.clone());
        let listener = match settings.concentrator {
            Some(settings) => {
                let parts = concentrator::Parts {
                    listen: settings.listen,
                    allow: settings.allow,
                    allow_from: settings.allow_from,
                    clock,
                    outlet,
                    transmissions: to_send,
                    counters: udp,
                    roster,
                };
                listen(parts, stop).await
            }
            // what is in the outbox is delivered all the same, and health is told
            None => tokio::spawn(async {}),
        };
        let endurance = u64::from(settings.store.card_endurance_tb) * 1_000_000_000_000;
        let card = Arc::new(Card::new(&settings.state_dir, endurance));
        let button = rounds::answered_here(settings.output.button, inlet.clone());
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
            lamp: rounds::lamp(&settings.output, hats, &view),
            button,
            account: rounds::account(card, Arc::clone(&view)),
            caretaker: rounds::caretaker(Arc::clone(&view)),
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

/// Listens for concentrators: its port is open when this returns, or it was said why not.
async fn listen(parts: concentrator::Parts, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let (tell, started) = oneshot::channel();
    let listener = tokio::spawn(Listener::new(parts).run(stop, move |outcome| {
        // nobody asks any more when the gateway is gone already
        let _ = tell.send(outcome.is_ok());
    }));
    let _ = started.await;
    listener
}
