//! A lamp post with a radio of its own, and two bins that join over the air.
//!
//! Their radios are emulated chips, driven by the very drivers that real ones are; sensors and
//! gateway run real LoRaWAN stacks. They live in real time: an answer comes a second after its
//! uplink, whatever the street's clock does.

use super::sensor::{Model, Say, Sensor};
use super::start;
use crate::clock::Clock;
use crate::emulation::{Activation, Air, Board, EmuChip, EndDevice};
use crate::gateway::{Gateway, OpenHat};
use crate::radio::hat::interface::Interface;
use crate::radio::hat::tap::Notes;
use crate::radio::hat::task::{Task, Timing};
use crate::radio::hat::{Hat, sx1262};
use crate::units::{AesKey, DevEui, JoinEui};
use fastrand::Rng;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

pub(super) const TENANT: &str = "park";

/// The sensors' names, and what makes their stacks choose: these two ask on the channel that is
/// heard at once. Most others would have to try twice or thrice.
const PARK: [(&str, u64); 2] = [("Parken norra", 4), ("Parken södra", 13)];

/// Who makes the sensors join, by its own word.
const JOIN_EUI: JoinEui = JoinEui(0x70b3_d57e_d000_0001);

/// So that the two do not ask at the same moment.
const BETWEEN: Duration = Duration::from_secs(2);

/// From one uplink to the next.
const EVERY: Duration = Duration::from_secs(4);

/// The lamp post, its gateway, and the sensors around it.
pub(super) struct Lamp {
    air: Air,
    gateway: Gateway,
    sensors: Vec<JoinHandle<()>>,
}

struct Bin {
    sensor: Sensor,
    app_key: AesKey,
    seed: u64,
}

fn bins(random: &mut Rng) -> Vec<Bin> {
    let bin = |(number, (name, seed)): (u8, (&str, u64))| Bin {
        sensor: Sensor::new(Model::Elt, name, number, random),
        app_key: AesKey(std::array::from_fn(|_| random.u8(..))),
        seed,
    };
    (101..).zip(PARK).map(bin).collect()
}

/// What people call each device, and its DevEUI.
pub(super) fn names(seed: u64) -> impl Iterator<Item = (DevEui, String)> {
    let bins = bins(&mut Rng::with_seed(seed));
    bins.into_iter().map(|bin| (bin.sensor.dev_eui, bin.sensor.name))
}

impl Lamp {
    /// Starts the gateway and switches the sensors on.
    pub(super) async fn start(
        directory: &Path,
        broker: SocketAddr,
        clock: Clock,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let bins = bins(&mut Rng::with_seed(seed));
        let air = Air::new();
        let radio = air.clone();
        let open: OpenHat = Box::new(move |parts| {
            let chip = EmuChip::sx1262(&radio, Board::default());
            Hat::spawn_with(parts, Timing::Timer, async move |task| keep(task, chip).await)
        });
        let configuration = configuration(directory, broker, &bins);
        let gateway = start(directory, "lamp.toml", &configuration, clock, open).await?;
        let mut sensors = Vec::new();
        for (n, bin) in (0..).zip(bins) {
            sensors.push(tokio::spawn(live(bin, air.clone(), BETWEEN * n)));
        }
        Ok(Self { air, gateway, sensors })
    }

    pub(super) fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    /// Frames that the radio heard.
    pub(super) fn heard(&self) -> u64 {
        self.gateway.view().air().heard.load(Relaxed)
    }

    /// Uplinks that are on its disk.
    pub(super) fn accepted(&self) -> u64 {
        self.gateway.view().tenants().iter().map(|t| t.counters.accepted.load(Relaxed)).sum()
    }

    /// Switches the sensors off, so that nothing more is heard.
    pub(super) fn quiet(&self) {
        self.sensors.iter().for_each(JoinHandle::abort);
    }

    /// Stops the gateway.
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
        let violations = self.air.violations();
        debug_assert!(violations.is_empty(), "{violations:?}");
    }
}

/// The radio's side: what a HAT on this machine's pins would be.
async fn keep(task: Task, chip: EmuChip) {
    let (settings, notes) = (task.settings.clone(), Notes::new(Arc::clone(&task.counters)));
    task.keep(async || {
        let busy = Some(chip.busy_pin());
        let notes = Arc::clone(&notes);
        let (reset, dio) = (chip.reset_pin(), chip.dio_pin());
        let interface = Interface::new(reset, busy, dio, None, None, Arc::clone(&notes));
        sx1262(chip.spi(), interface, notes, &settings).await
    })
    .await;
}

/// The sensor's side: it joins, and then says how full its bin is.
async fn live(mut bin: Bin, air: Air, wait: Duration) {
    let activation = Activation::Otaa {
        dev_eui: bin.sensor.dev_eui,
        join_eui: JOIN_EUI,
        app_key: bin.app_key.clone(),
    };
    let Ok(mut device) = EndDevice::new(&air, &activation, bin.seed).await else { return };
    sleep(Duration::from_millis(500) + wait).await;
    while !device.join().await.unwrap_or(false) {}
    let mut random = Rng::with_seed(bin.seed);
    let mut distance = 120.0;
    loop {
        distance -= random.f64() * 2.0;
        if distance < 25.0 {
            distance = 145.0;
        }
        let (port, payload) = bin.sensor.say(Say::Level(Some(distance as u16), random.i8(-4..=1)));
        // now and then it asks whether it is heard
        let confirmed = random.u8(..4) == 0;
        if device.send(port, &payload, confirmed).await.is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

fn configuration(directory: &Path, broker: SocketAddr, bins: &[Bin]) -> String {
    let mut text = format!(
        "gateway = \"demo-lamp\"\nstate_dir = \"{}/lamp\"\n\n\
         [[radio]]\nchip = \"sx1262\"\nreset = 18\nbusy = 20\ndio = 16\ntcxo = 1.8\nspreading_factor = 7\n\n\
         [[tenant]]\nid = \"{TENANT}\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"mqtt://{broker}\"]\n\
         reconnect_min = \"200ms\"\nreconnect_max = \"1s\"\nbacklog_rate = 0\n\n",
        directory.display()
    );
    for Bin { sensor, app_key, .. } in bins {
        let activation = format!(
            "otaa = {{ join_eui = \"{JOIN_EUI}\", app_key = \"{}\" }}",
            hex::encode(app_key.0)
        );
        text.push_str(&sensor.table_with(TENANT, &activation, ""));
    }
    text
}
