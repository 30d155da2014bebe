//! A radio task at work on an emulated chip.

use crate::journal;
use embedded_hal_async::spi::{Operation, SpiDevice};
use jiff::Timestamp;
use lykta::clock::{ClockQuality, Moment};
use lykta::config::{Chip, Megahertz, RadioSettings, SpiPort};
use lykta::emulation::{Air, Antenna, Board, EmuChip, EmuSpi, Signal};
use lykta::radio::hat::interface::Interface;
use lykta::radio::hat::tap::Notes;
use lykta::radio::hat::task::{Task, Timing};
use lykta::radio::hat::{Command, Counters, State, sx1262, sx1276};
use lykta::radio::{AirEvent, Heard, Outlet, OutletError, Report, Transmission};
use lykta::units::{Dbm, GatewayEui, Hertz, LoRa};
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const CHANNEL: Hertz = Hertz(868_100_000);
pub(crate) const EUI: GatewayEui = GatewayEui(0x1739);

/// In virtual time: nothing here takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Front {
    pub(crate) chip: EmuChip,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stop: watch::Sender<bool>,
    /// When the radio's microsecond counter showed nought.
    pub(crate) epoch: Instant,
    /// How often the radio was opened.
    pub(crate) opened: Rc<Cell<u32>>,
    /// SPI transactions.
    pub(crate) transactions: Rc<Cell<u64>>,
    /// How many more reports there is no room for.
    pub(crate) full: Arc<AtomicU32>,
    heard: mpsc::Receiver<Heard>,
    reports: mpsc::Receiver<Report>,
    task: JoinHandle<()>,
}

/// Counts the transactions of an SPI device.
struct Counted(EmuSpi, Rc<Cell<u64>>);

impl embedded_hal::spi::ErrorType for Counted {
    type Error = Infallible;
}

impl SpiDevice for Counted {
    async fn transaction(
        &mut self,
        operations: &mut [Operation<'_, u8>],
    ) -> Result<(), Infallible> {
        self.1.set(self.1.get() + 1);
        SpiDevice::transaction(&mut self.0, operations).await
    }
}

/// Runs a test in which tasks need not be `Send`: the driver's are not known to be.
pub(crate) async fn alone<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

pub(crate) fn modulation(spreading_factor: u8) -> LoRa {
    LoRa { spreading_factor, bandwidth: Hertz(125_000) }
}

pub(crate) fn uplink(spreading_factor: u8) -> Signal {
    Signal::uplink(CHANNEL, modulation(spreading_factor))
}

pub(crate) fn settings(chip: Chip, spreading_factor: u8) -> RadioSettings {
    RadioSettings {
        name: None,
        chip,
        spi: SpiPort { bus: 0, select: 0 },
        select: None,
        reset: 18,
        busy: (chip == Chip::Sx1262).then_some(20),
        dio: 16,
        rx_enable: Some(5),
        tx_enable: Some(6),
        dio2_switch: true,
        tcxo: (chip == Chip::Sx1262).then_some(1.8),
        channel: Megahertz(CHANNEL),
        spreading_factor,
        power: 14,
        antenna_gain: 2.15,
    }
}

/// An SX1262 with a TCXO, whose DIO2 switches the antenna.
pub(crate) fn first_class(air: &Air) -> EmuChip {
    EmuChip::sx1262(air, Board::default())
}

impl Front {
    /// A radio that is being opened. The name must be the test's own: the journal is for all.
    pub(crate) fn start(name: &str, chip: EmuChip, settings: RadioSettings) -> Self {
        Self::start_believing(name, chip, settings.clone(), settings)
    }

    /// The same, where the task believes in other settings than the driver has.
    pub(crate) fn start_believing(
        name: &str,
        chip: EmuChip,
        settings: RadioSettings,
        believed: RadioSettings,
    ) -> Self {
        journal::start();
        let (heard_in, heard) = mpsc::channel(10_000);
        let (reports_in, reports) = mpsc::channel(10_000);
        let full = Arc::new(AtomicU32::new(0));
        let refusing = Arc::clone(&full);
        let outlet = Outlet::new(move |event| match event {
            AirEvent::Heard(heard) => heard_in.try_send(heard).map_err(|_| OutletError::Closed),
            AirEvent::Sent(report) => {
                let refused = refusing.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
                if refused.is_ok() {
                    return Err(OutletError::Full);
                }
                reports_in.try_send(report).map_err(|_| OutletError::Closed)
            }
        });
        let (commands, receiver) = mpsc::channel(32);
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        let epoch = Instant::now();
        let task = Task {
            name: name.into(),
            settings: believed,
            eui: EUI,
            outlet,
            counters: Arc::clone(&counters),
            moments: Box::new(move |at| Moment {
                wall: Timestamp::UNIX_EPOCH,
                quality: ClockQuality::Unsynced,
                monotonic: at - epoch,
            }),
            commands: receiver,
            stop: stopped,
            timing: Timing::Timer,
        };
        let (opened, transactions) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let count = Rc::clone(&transactions);
        let (times, notes) = (Rc::clone(&opened), Notes::new(Arc::clone(&counters)));
        let board = chip.clone();
        let open = move || {
            times.set(times.get() + 1);
            let interface = Interface::new(
                board.reset_pin(),
                (settings.chip == Chip::Sx1262).then(|| board.busy_pin()),
                board.dio_pin(),
                Some(board.rx_switch()),
                Some(board.tx_switch()),
                Arc::clone(&notes),
            );
            (
                Counted(board.spi(), Rc::clone(&count)),
                interface,
                Arc::clone(&notes),
                settings.clone(),
            )
        };
        let kind = task.settings.chip;
        let task = spawn_local(async move {
            match kind {
                Chip::Sx1262 => {
                    task.keep(async || {
                        let (spi, interface, notes, settings) = open();
                        sx1262(spi, interface, notes, &settings).await
                    })
                    .await;
                }
                Chip::Sx1276 => {
                    task.keep(async || {
                        let (spi, interface, notes, settings) = open();
                        sx1276(spi, interface, notes, &settings).await
                    })
                    .await;
                }
            }
        });
        Self {
            chip,
            counters,
            commands,
            stop,
            epoch,
            opened,
            transactions,
            full,
            heard,
            reports,
            task,
        }
    }

    /// An SX1262 that listens by now.
    pub(crate) async fn sx1262(name: &str, air: &Air, spreading_factor: u8) -> Self {
        let front = Self::start(name, first_class(air), settings(Chip::Sx1262, spreading_factor));
        front.listens().await;
        front
    }

    /// An SX1276 that listens by now.
    pub(crate) async fn sx1276(name: &str, air: &Air, spreading_factor: u8) -> Self {
        let chip = EmuChip::sx1276(air, Antenna::Lines);
        let front = Self::start(name, chip, settings(Chip::Sx1276, spreading_factor));
        front.listens().await;
        front
    }

    /// Waits until the radio is up, and its receiver too.
    pub(crate) async fn listens(&self) {
        self.state(State::Up).await;
        sleep(Duration::from_millis(50)).await;
    }

    pub(crate) async fn state(&self, wanted: State) {
        let reached = async {
            while self.counters.state() != wanted {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(2 * PATIENCE, reached).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
    }

    /// The next frame.
    pub(crate) async fn heard(&mut self) -> Heard {
        timeout(PATIENCE, self.heard.recv()).await.expect("a frame").expect("an open outlet")
    }

    /// Whether a frame was heard that nobody has asked for yet.
    pub(crate) fn has_heard(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    /// The next report.
    pub(crate) async fn report(&mut self) -> Report {
        timeout(PATIENCE, self.reports.recv()).await.expect("a report").expect("an open outlet")
    }

    /// Reports that nobody has asked for yet.
    pub(crate) fn more_reports(&mut self) -> Vec<Report> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }

    /// What its microsecond counter shows at this time.
    pub(crate) fn tmst(&self, at: Instant) -> u32 {
        (at - self.epoch).as_micros() as u32
    }

    /// A downlink whose first symbol shall leave so long from now.
    pub(crate) fn downlink(&self, id: u64, ahead: Duration) -> Transmission {
        Transmission {
            id,
            gateway: EUI,
            tmst: self.tmst(Instant::now() + ahead),
            frequency: CHANNEL,
            modulation: modulation(9),
            power: Dbm(14.0),
            phy: vec![0x60; 17],
        }
    }

    pub(crate) async fn transmit(&self, transmission: Transmission) {
        self.command(Command::Transmit(transmission)).await;
    }

    pub(crate) async fn command(&self, command: Command) {
        self.commands.send(command).await.expect("a radio task");
    }

    /// Stops it, and says how long that took.
    pub(crate) async fn stop(self) -> (Duration, Vec<Report>) {
        let begin = Instant::now();
        self.stop.send_replace(true);
        self.task.await.expect("no panic");
        let took = begin.elapsed();
        let mut reports = self.reports;
        (took, std::iter::from_fn(|| reports.try_recv().ok()).collect())
    }
}

/// Nothing on this air broke the protocol of its chip.
#[track_caller]
pub(crate) fn assert_clean(air: &Air) {
    assert_eq!(air.violations(), []);
}
