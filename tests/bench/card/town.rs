//! A town of bins whose uplinks go the one real way to the disk, without a network.

use crate::support::{Sensor, reception};
use jiff::tz::TimeZone;
use lykta::bins::{Geometry, Rules};
use lykta::clock::{Clock, ClockQuality, Moment};
use lykta::codec::{Codec, builtin};
use lykta::config::TenantKind;
use lykta::device::{Abp, Activation, Device, Registry};
use lykta::ingest::{Bins, Decoding, Downlinks, Ingest, Input, Parts, TenantSink, Tours, Watch};
use lykta::lorawan::{Channels, EdgeServer, Plan};
use lykta::planning::Desk;
use lykta::radio::dedup::Dedup;
use lykta::radio::{AirEvent, Heard, TxError};
use lykta::store::{Room, Store};
use lykta::units::{AesKey, GatewayEui, Hertz, LoRa, Metres, TenantId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Town {
    ingest: Ingest,
    clock: Clock,
    sensors: Vec<Sensor>,
    counters: Vec<u32>,
    random: fastrand::Rng,
    /// What answers to sensors leave behind: elsewhere, since they are not what is measured.
    _answers: tempfile::TempDir,
}

impl Town {
    /// With what its files in this directory remember.
    pub fn open(directory: &Path, bins: u32, seed: u64) -> Self {
        let sensors: Vec<_> = (1..=bins).map(Sensor::new).collect();
        let store = Store::open(
            crate::database(&directory.join("waste.db")),
            &lykta::clock::Clock::system(),
        )
        .unwrap();
        let memory = store.memory().unwrap();
        let counters = sensors.iter().map(|sensor| {
            let session = memory.sessions.iter().find(|((eui, _), _)| *eui == sensor.dev_eui);
            session.and_then(|(_, session)| session.counter).map_or(0, |counter| counter.f_cnt_up)
        });
        let counters = counters.collect();
        let profiles = builtin::profiles().unwrap();
        let profile = profiles.into_iter().find(|p| p.name == sensors[0].profile).unwrap();
        let profile = Arc::new(profile);
        let tenant: TenantId = "waste".parse().unwrap();
        let device = |sensor: &Sensor| Device {
            dev_eui: sensor.dev_eui,
            name: format!("Storgatan {}", sensor.dev_eui.0 & 0xffff),
            tenant: tenant.clone(),
            profile: Arc::clone(&profile),
            activation: Activation::Abp(Abp {
                dev_addr: sensor.dev_addr,
                nwk_s_key: AesKey(sensor.nwk_s_key),
                app_s_key: AesKey(sensor.app_s_key),
            }),
            bin: Some(bin(sensor)),
            resident: None,
            sensor: None,
        };
        let registry = Registry::new(sensors.iter().map(device));
        let geometry = Geometry::straight(Metres(1.5), Metres(0.0));
        let rules = Rules::new(geometry, TimeZone::UTC);
        let bins = Bins::new(
            sensors.iter().map(|sensor| (bin(sensor), rules.clone())).collect(),
            store.states(Room::Bins).unwrap(),
        );
        let sink = TenantSink {
            kind: TenantKind::Waste,
            store,
            bounds: lykta::store::Bounds::default(),
            news: Arc::default(),
            upstream: Arc::default(),
            counters: Arc::default(),
            tours: Tours::new(bins, Desk::default()),
            care: lykta::ingest::Care::default(),
        };
        let clock = Clock::system();
        let answers = tempfile::tempdir().unwrap();
        let nobody = Box::new(|_| Err(TxError::NoWay));
        let plan = Plan { channels: Channels::All(None), rx1_delay: 1, rx2_data_rate: 0 };
        let server = EdgeServer::new(&registry, plan, memory);
        let ingest = Ingest::new(Parts {
            watch: Watch::new(
                &[],
                &server,
                Duration::ZERO,
                Box::new(|_, _| false),
                Box::new(|| true),
            ),
            server,
            codecs: HashMap::from([(profile.name.clone(), Codec::new(profile).unwrap())]),
            decoding: Decoding::default(),
            tenants: HashMap::from([(tenant, sink)]),
            dedup: Dedup::new(Duration::ZERO),
            downlinks: Downlinks::open(&answers.path().join("air.db"), clock.now(), nobody),
            clock: clock.clone(),
            counters: Arc::default(),
            commit_interval: Duration::ZERO,
            commit_rows: 1000,
        });
        let random = fastrand::Rng::with_seed(seed);
        Self { ingest, clock, sensors, counters, random, _answers: answers }
    }

    /// So many bins, drawn by lot, are heard, and made durable in one commit.
    pub fn hear(&mut self, uplinks: usize) {
        for _ in 0..uplinks {
            let n = self.random.usize(..self.sensors.len());
            self.say(n);
        }
        self.ingest.turn();
    }

    /// Every bin is heard once.
    pub fn hear_all(&mut self) {
        for n in 0..self.sensors.len() {
            self.say(n);
        }
        self.ingest.turn();
    }

    fn say(&mut self, n: usize) {
        self.counters[n] += 1;
        // a bin that is full after five days, with the noise of a sensor
        let count = self.counters[n];
        let centimetres = 140 - (count / 12 % 60) as u8 * 2 + self.random.u8(..4);
        let phy = self.sensors[n].level(count, centimetres, 5);
        let now = self.clock.now();
        let later = Duration::from_secs(600 * u64::from(count));
        let heard = Heard {
            phy,
            at: Moment { wall: now.wall + later, quality: ClockQuality::Synced, ..now },
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            receptions: vec![reception(GatewayEui(0xb827_ebff_fe00_0001))],
        };
        self.ingest.offer(Input::Air(AirEvent::Heard(heard)));
    }
}

fn bin(sensor: &Sensor) -> String {
    format!("{}", 1_000 + (sensor.dev_eui.0 & 0xffff))
}
