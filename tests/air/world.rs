//! A gateway with radios on the emulated air, and the devices around it.

use lykta::clock::Clock;
use lykta::codec::{Codec, builtin};
use lykta::config::{self, RadioSettings, TenantKind};
use lykta::device::{Abp, Activation, Device, Otaa, Registry};
use lykta::emulation::{self, Air, Board, EmuChip, EndDevice};
use lykta::ingest::{
    Counters, Decoding, Downlinks, Ingest, Input, Parts, TenantCounters, TenantSink, Tours, Watch,
    Watched,
};
use lykta::lorawan::{Channels, EdgeServer, Plan};
use lykta::radio::dedup::Dedup;
use lykta::radio::hat::interface::Interface;
use lykta::radio::hat::tap::Notes;
use lykta::radio::hat::task::{Task, Timing};
use lykta::radio::hat::{self, Command, sx1262, sx1276};
use lykta::radio::vigil::Step;
use lykta::radio::{AirEvent, Outlet, Transmission, TxError};
use lykta::store::Store;
use lykta::units::{AesKey, DevAddr, DevEui, GatewayEui, Hertz, JoinEui};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

pub(crate) const EUI: GatewayEui = GatewayEui(0x0200_0000_0000_0001);

/// A radio as it is set up: `[[radio]]` with these lines.
pub(crate) fn radio(lines: &str) -> RadioSettings {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lykta.toml");
    let text = format!(
        "gateway = \"lamp\"\nstate_dir = \"{}\"\n[[radio]]\nreset = 18\ndio = 16\n{lines}\n\
         [[tenant]]\nid = \"waste\"\n[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:1883\"]\n",
        directory.path().display()
    );
    std::fs::write(&file, text).unwrap();
    config::load(Some(&file)).unwrap().settings.radio.remove(0)
}

pub(crate) fn sx1262_at(spreading_factor: u8) -> RadioSettings {
    radio(&format!(
        "chip = \"sx1262\"\nbusy = 20\ntcxo = 1.8\nspreading_factor = {spreading_factor}"
    ))
}

/// One sensor that joins.
#[derive(Clone)]
pub(crate) struct Sensor {
    pub(crate) dev_eui: DevEui,
    pub(crate) join_eui: JoinEui,
    pub(crate) app_key: AesKey,
}

impl Sensor {
    pub(crate) fn new(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            dev_eui: DevEui(0x70b3_d507_0000_0000 | u64::from(number)),
            join_eui: JoinEui(0x70b3_d57e_d000_0001),
            app_key: AesKey(std::array::from_fn(|i| {
                [high, low][i % 2] ^ (i as u8).wrapping_mul(17)
            })),
        }
    }

    pub(crate) fn abp(&self) -> Abp {
        let key = |salt: u8| AesKey(self.app_key.0.map(|byte| byte ^ salt));
        let dev_addr = DevAddr(0x0100_0000 | (self.dev_eui.0 as u32 & 0xffff));
        Abp { dev_addr, nwk_s_key: key(1), app_s_key: key(2) }
    }

    fn device(&self, activation: Activation) -> Device {
        let profiles = builtin::profiles().unwrap();
        let profile = profiles.into_iter().find(|p| p.name == "elsys-elt").unwrap();
        Device {
            dev_eui: self.dev_eui,
            name: self.dev_eui.to_string(),
            tenant: "waste".parse().unwrap(),
            profile: Arc::new(profile),
            activation,
            bin: None,
            resident: None,
            sensor: None,
        }
    }

    pub(crate) fn otaa(&self) -> Otaa {
        Otaa { join_eui: self.join_eui, app_key: self.app_key.clone() }
    }

    /// Switches it on, at this data rate.
    pub(crate) async fn on(&self, air: &Air, data_rate: u8, seed: u64) -> EndDevice {
        let activation = emulation::Activation::Otaa {
            dev_eui: self.dev_eui,
            join_eui: self.join_eui,
            app_key: self.app_key.clone(),
        };
        let mut device = EndDevice::new(air, &activation, seed).await.unwrap();
        device.set_data_rate(data_rate);
        device
    }

    /// Its table in the configuration.
    pub(crate) fn table(&self) -> String {
        format!(
            "[[device]]\ntenant = \"waste\"\ndev_eui = \"{}\"\nprofile = \"elsys-elt\"\n\
             activation = {{ otaa = {{ join_eui = \"{}\", app_key = \"{}\" }} }}\n",
            self.dev_eui,
            self.join_eui,
            hex::encode(self.app_key.0)
        )
    }
}

/// How a gateway is set up.
pub(crate) struct Setup {
    pub(crate) radios: Vec<RadioSettings>,
    pub(crate) plan: Plan,
    /// Whether the first window is refused, so that everything goes out in the second.
    pub(crate) only_rx2: bool,
}

impl Setup {
    /// One radio, to which devices are pinned.
    pub(crate) fn single(radio: RadioSettings) -> Self {
        let only = vec![(radio.channel.0, radio.spreading_factor)];
        let plan = Plan { channels: Channels::Only(only), rx1_delay: 1, rx2_data_rate: 0 };
        Self { radios: vec![radio], plan, only_rx2: false }
    }
}

/// A running gateway. To be used within [`live`].
pub(crate) struct World {
    pub(crate) air: Air,
    pub(crate) chips: Vec<EmuChip>,
    pub(crate) radios: Vec<Arc<hat::Counters>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tenant: Arc<TenantCounters>,
    /// What the vigils asked for.
    pub(crate) steps: Arc<Mutex<Vec<Step>>>,
    inlet: Inlet,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    ingest: JoinHandle<()>,
}

/// What waits for the ingest loop.
#[derive(Clone, Default)]
struct Inlet {
    inputs: Arc<Mutex<VecDeque<Input>>>,
    wake: Arc<Notify>,
    closed: Arc<std::sync::atomic::AtomicBool>,
}

impl Inlet {
    fn outlet(&self) -> Outlet {
        let inlet = self.clone();
        Outlet::new(move |event: AirEvent| {
            inlet.inputs.lock().unwrap().push_back(Input::Air(event));
            inlet.wake.notify_one();
            Ok(())
        })
    }
}

/// Runs a story in virtual time.
pub(crate) fn live<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        // in virtual time something that is waited for in vain is waited for long, but not for ever
        timeout(Duration::from_secs(30 * 24 * 3600), story).await.expect("the story ends")
    })
}

/// Where a gateway of a test keeps its data: in memory where that can be, since a flush of a
/// shared disk is not what is tried here.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl World {
    pub(crate) fn start(directory: &Path, setup: Setup, sensors: &[Sensor]) -> Self {
        let devices = sensors.iter().map(|s| s.device(Activation::Otaa(s.otaa())));
        Self::with(directory, setup, devices.collect())
    }

    /// One SX1262 at SF9 that has been up for a second, and this sensor.
    pub(crate) async fn single(directory: &Path, sensor: &Sensor) -> Self {
        let setup = Setup::single(sx1262_at(9));
        let world = Self::start(directory, setup, std::slice::from_ref(sensor));
        sleep(Duration::from_secs(1)).await;
        world
    }

    pub(crate) fn with_fixed(directory: &Path, setup: Setup, sensors: &[Sensor]) -> Self {
        let devices = sensors.iter().map(|s| s.device(Activation::Abp(s.abp())));
        Self::with(directory, setup, devices.collect())
    }

    fn with(directory: &Path, setup: Setup, devices: Vec<Device>) -> Self {
        let air = Air::new();
        let clock = Clock::simulated("2026-01-15T21:00:00Z".parse().unwrap(), 1);
        let inlet = Inlet::default();
        let (stop, stopping) = watch::channel(false);
        let (mut chips, mut radios, mut tasks, mut ways) = (vec![], vec![], vec![], vec![]);
        let mut watched = Vec::new();
        for (index, settings) in setup.radios.into_iter().enumerate() {
            let eui = GatewayEui(EUI.0 + index as u64);
            watched.push(Watched {
                gateway: eui,
                frequency: settings.channel.0,
                spreading_factor: settings.spreading_factor,
                beside_concentrator: false,
            });
            let (commands, receiver) = mpsc::channel(32);
            let counters = Arc::new(hat::Counters::default());
            let clock = clock.clone();
            let task = Task {
                name: format!("radio{index}"),
                settings: settings.clone(),
                eui,
                outlet: inlet.outlet(),
                counters: Arc::clone(&counters),
                moments: Box::new(move |at| clock.at(at)),
                commands: receiver,
                stop: stopping.clone(),
                timing: Timing::Timer,
            };
            let chip = chip_of(&air, &settings);
            tasks.push(spawn_local(keep(task, chip.clone(), settings)));
            chips.push(chip);
            radios.push(counters);
            ways.push((eui, commands));
        }

        let store = Store::open(&directory.join("waste.db"), &Clock::system()).unwrap();
        let memory = store.memory().unwrap();
        let codecs = builtin::profiles().unwrap().into_iter();
        let codecs = codecs.map(|p| (p.name.clone(), Codec::new(Arc::new(p)).unwrap())).collect();
        let (counters, tenant) = (Arc::<Counters>::default(), Arc::<TenantCounters>::default());
        let sink = TenantSink {
            kind: TenantKind::Waste,
            store,
            bounds: lykta::store::Bounds::default(),
            news: Arc::default(),
            upstream: Arc::default(),
            counters: Arc::clone(&tenant),
            tours: Tours::default(),
            care: lykta::ingest::Care::default(),
        };
        let only_rx2 = setup.only_rx2;
        let give = ways.clone();
        let transmit = Box::new(move |transmission: Transmission| {
            if only_rx2 && transmission.frequency != Hertz(869_525_000) {
                return Err(TxError::TooLate);
            }
            let way = give.iter().find(|(eui, _)| *eui == transmission.gateway);
            let (_, commands) = way.ok_or(TxError::NoWay)?;
            commands.try_send(Command::Transmit(transmission)).map_err(|_| TxError::NoWay)
        });
        let steps = Arc::<Mutex<Vec<Step>>>::default();
        let noted = Arc::clone(&steps);
        let obey = Box::new(move |gateway, step| {
            noted.lock().unwrap().push(step);
            let way = ways.iter().find(|(eui, _)| *eui == gateway);
            let command = match step {
                Step::Reinit => Command::Reinit,
                Step::Reset => Command::Reset,
                Step::Alarm | Step::Recovered => return true,
            };
            way.is_some_and(|(_, commands)| commands.try_send(command).is_ok())
        });
        let server = EdgeServer::new(&Registry::new(devices), setup.plan, memory);
        let now = clock.now();
        let ingest = Ingest::new(Parts {
            watch: Watch::new(&watched, &server, now.monotonic, obey, Box::new(|| true)),
            server,
            codecs,
            decoding: Decoding::default(),
            tenants: [("waste".parse().unwrap(), sink)].into(),
            dedup: Dedup::new(Duration::from_millis(200)),
            downlinks: Downlinks::open(&directory.join("air.db"), now, transmit),
            clock,
            counters: Arc::clone(&counters),
            commit_interval: Duration::ZERO,
            commit_rows: 100,
        });
        let ingest = spawn_local(drive(ingest, inlet.clone()));
        Self { air, chips, radios, counters, tenant, steps, inlet, stop, tasks, ingest }
    }

    /// Stops in order. The chips' protocol must not have been violated by anybody.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.inlet.closed.store(true, std::sync::atomic::Ordering::Relaxed);
        self.inlet.wake.notify_one();
        self.ingest.await.unwrap();
        assert_eq!(self.air.violations(), []);
    }
}

fn chip_of(air: &Air, settings: &RadioSettings) -> EmuChip {
    match settings.chip {
        config::Chip::Sx1262 => {
            EmuChip::sx1262(air, Board { tcxo: settings.tcxo.is_some(), ..Board::default() })
        }
        config::Chip::Sx1276 => EmuChip::sx1276(air, lykta::emulation::Antenna::Fixed),
    }
}

async fn keep(task: Task, chip: EmuChip, settings: RadioSettings) {
    let notes = Notes::new(Arc::clone(&task.counters));
    let interface = |busy| {
        let notes = Arc::clone(&notes);
        Interface::new(chip.reset_pin(), busy, chip.dio_pin(), None, None, notes)
    };
    match settings.chip {
        config::Chip::Sx1262 => {
            task.keep(async || {
                let interface = interface(Some(chip.busy_pin()));
                sx1262(chip.spi(), interface, Arc::clone(&notes), &settings).await
            })
            .await;
        }
        config::Chip::Sx1276 => {
            task.keep(async || {
                let interface = interface(None);
                sx1276(chip.spi(), interface, Arc::clone(&notes), &settings).await
            })
            .await;
        }
    }
}

/// The ingest loop without its thread.
async fn drive(mut ingest: Ingest, inlet: Inlet) {
    loop {
        let closed = inlet.closed.load(std::sync::atomic::Ordering::Relaxed);
        loop {
            let next = inlet.inputs.lock().unwrap().pop_front();
            let Some(input) = next else { break };
            ingest.offer(input);
        }
        ingest.turn();
        if closed {
            return ingest.finish();
        }
        let patience = ingest.patience();
        // its timer is good to a millisecond
        let _ = timeout(patience + Duration::from_millis(1), inlet.wake.notified()).await;
    }
}

/// The database of the one tenant.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("waste.db")
}
