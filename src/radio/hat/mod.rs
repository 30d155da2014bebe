//! The radio HATs of this machine: one chip each, one channel, one spreading factor.
//!
//! ```text
//!  thread "radio-NAME"
//!  chip ── board (SPI, pins) ── tap ── lora-phy ── task ──► outlet
//!                       interface ──┘               ▲
//!                                                commands
//! ```
//!
//! The driver is lora-phy as published; [`tap`] under it and [`interface`] beside it cure what
//! it gets wrong. The [`task`] is the same for every chip, real or emulated. A HAT looks like a
//! concentrator: it has an EUI and a microsecond counter.

pub mod interface;
mod modem;
mod open;
mod schedule;
mod standing;
pub mod tap;
pub mod task;

pub use self::open::{Sx1262, Sx1262Radio, Sx1276Radio, TokioDelay, sx1262, sx1276};

use self::open::board_of;
use self::tap::Notes;
use self::task::{Task, Timing};
use super::vigil::Step;
use super::{Outlet, Transmission};
use crate::clock::{Clock, Moment};
use crate::config::{Chip, RadioSettings};
use crate::message;
use crate::pulse::Pulse;
use crate::units::GatewayEui;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How many commands may wait for a radio that is busy sending.
const COMMAND_QUEUE: usize = 32;

/// What a radio is told to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send this at its time. Will be reported.
    Transmit(Transmission),
    /// Set the chip up again.
    Reinit,
    /// The same, after a pulse on its reset line.
    Reset,
}

/// Why a radio does not take a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// More commands wait than it can ever have to do.
    #[error("too many commands wait for the radio")]
    Full,
    /// It has stopped.
    #[error("the radio has stopped")]
    Stopped,
}

/// Whether a radio works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being opened for the first time.
    Opening,
    /// It listens.
    Up,
    /// It cannot be opened, or has failed, and is tried again.
    Down,
    /// It listens, and hears nothing though its devices are due, whatever was tried.
    Deaf,
}

/// One radio in numbers, since the start.
#[derive(Debug)]
pub struct Counters {
    /// Packets with a good CRC.
    pub packets: AtomicU64,
    /// Packets with a bad CRC, or whose header was damaged.
    pub bad_crc: AtomicU64,
    /// Reports that the rest of the gateway had no room for.
    pub dropped: AtomicU64,
    /// Frames that were sent.
    pub transmitted: AtomicU64,
    /// Frames that were not sent because the radio failed.
    pub tx_failed: AtomicU64,
    /// Frames that could not be sent at their time.
    pub tx_refused: AtomicU64,
    /// How often the chip was set up again.
    pub reinits: AtomicU64,
    /// How often it was reset.
    pub resets: AtomicU64,
    state: AtomicU8,
    deaf: AtomicBool,
    lead_us: AtomicU64,
    pulse: Pulse,
    /// In milliseconds; `u64::MAX` before the first.
    last_packet: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            packets: AtomicU64::default(),
            bad_crc: AtomicU64::default(),
            dropped: AtomicU64::default(),
            transmitted: AtomicU64::default(),
            tx_failed: AtomicU64::default(),
            tx_refused: AtomicU64::default(),
            reinits: AtomicU64::default(),
            resets: AtomicU64::default(),
            state: AtomicU8::new(State::Opening as u8),
            deaf: AtomicBool::default(),
            lead_us: AtomicU64::default(),
            pulse: Pulse::default(),
            last_packet: AtomicU64::new(u64::MAX),
        }
    }
}

impl Counters {
    /// Whether the radio works.
    pub fn state(&self) -> State {
        match self.state.load(Relaxed) {
            up if up == State::Up as u8 && self.deaf.load(Relaxed) => State::Deaf,
            up if up == State::Up as u8 => State::Up,
            down if down == State::Down as u8 => State::Down,
            _ => State::Opening,
        }
    }

    fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }

    /// Shows that its thread goes on, whether the radio works or not.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// What passes from the command to send to the first symbol, as measured.
    pub fn lead(&self) -> Duration {
        Duration::from_micros(self.lead_us.load(Relaxed))
    }

    fn set_lead(&self, lead: Duration) {
        self.lead_us.store(lead.as_micros() as u64, Relaxed);
    }

    /// When the last good packet came, on the gateway's monotonic clock.
    pub fn last_packet(&self) -> Option<Duration> {
        let at = self.last_packet.load(Relaxed);
        (at != u64::MAX).then(|| Duration::from_millis(at))
    }

    fn packet_at(&self, at: Moment) {
        self.packets.fetch_add(1, Relaxed);
        self.last_packet.store(at.monotonic.as_millis() as u64, Relaxed);
    }
}

/// A radio HAT at work on its own thread. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Hat {
    name: String,
    eui: GatewayEui,
    commands: mpsc::Sender<Command>,
    counters: Arc<Counters>,
}

/// Resolves, with an error, when the thread of a HAT has ended: at most a second after it was told
/// to stop.
pub type Ended = oneshot::Receiver<()>;

/// What a HAT is made of.
#[derive(Debug)]
pub struct Parts {
    /// What it is called in the journal; its thread is `radio-NAME`.
    pub name: String,
    /// Its chip, pins and channel.
    pub settings: RadioSettings,
    /// Under which name it is a gateway.
    pub eui: GatewayEui,
    /// Where frames and reports go.
    pub outlet: Outlet,
    /// The gateway's clock.
    pub clock: Clock,
    /// Becomes true when it shall stop.
    pub stop: watch::Receiver<bool>,
}

impl Hat {
    /// Starts the thread, which opens the HAT, and tries again when that fails: nothing else
    /// waits for it.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn(parts: Parts) -> io::Result<(Self, Ended)> {
        Self::spawn_with(parts, Timing::Exact, async |task: Task| {
            let settings = task.settings.clone();
            let notes = Notes::new(Arc::clone(&task.counters));
            match settings.chip {
                Chip::Sx1262 => {
                    task.keep(async || {
                        let (spi, interface) = board_of(&settings, &notes)?;
                        sx1262(spi, interface, Arc::clone(&notes), &settings).await
                    })
                    .await;
                }
                Chip::Sx1276 => {
                    task.keep(async || {
                        let (spi, interface) = board_of(&settings, &notes)?;
                        sx1276(spi, interface, Arc::clone(&notes), &settings).await
                    })
                    .await;
                }
            }
        })
    }

    /// The same with a radio of the caller's: `work` calls [`Task::keep`] with a way to open it.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn_with<W>(parts: Parts, timing: Timing, work: W) -> io::Result<(Self, Ended)>
    where
        W: AsyncFnOnce(Task) + Send + 'static,
    {
        let Parts { name, settings, eui, outlet, clock, stop } = parts;
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let counters = Arc::new(Counters::default());
        let (guard, ended) = oneshot::channel::<()>();
        let task = Task {
            name: name.clone(),
            settings,
            eui,
            outlet,
            counters: Arc::clone(&counters),
            moments: Box::new(move |at| clock.at(at)),
            commands: receiver,
            stop,
            timing,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name(format!("radio-{name}")).spawn(move || {
            // dropped at the end, also when the work panics
            let _guard = guard;
            runtime.block_on(work(task));
        })?;
        Ok((Self { name, eui, commands, counters }, ended))
    }

    /// What it is called in the journal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Under which name it is a gateway.
    pub fn eui(&self) -> GatewayEui {
        self.eui
    }

    /// Its numbers.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Tells it to do something. Never blocks. A transmission is reported at the outlet, once,
    /// if this is `Ok`, and not at all if it is not.
    ///
    /// # Errors
    /// When it cannot take the command.
    pub fn command(&self, command: Command) -> Result<(), CommandError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Full,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })
    }

    /// Does what its [`Vigil`](super::vigil::Vigil) asks for.
    pub fn obey(&self, step: Step) {
        // a radio that has no room for a command is not deaf; one that has stopped no longer is
        let _ = match step {
            Step::Reinit => self.command(Command::Reinit),
            Step::Reset => self.command(Command::Reset),
            Step::Alarm => {
                self.counters.deaf.store(true, Relaxed);
                log::error!(
                    MESSAGE_ID = message::RADIO_DEAF,
                    LYKTA_RADIO = self.name.as_str();
                    "radio {} hears none of its devices, though they are due, and a reset did not \
                     help: look at its antenna and its power", self.name
                );
                Ok(())
            }
            Step::Recovered => {
                self.counters.deaf.store(false, Relaxed);
                log::info!(
                    MESSAGE_ID = message::RADIO_HEARS,
                    LYKTA_RADIO = self.name.as_str();
                    "radio {} hears its devices again", self.name
                );
                Ok(())
            }
        };
    }
}
