//! The one way of an uplink, from the radio to the disk, driven without network and broker.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bins;
mod scripts;

use jiff::tz::TimeZone;
use lykta::bins::{Geometry, Rules};
use lykta::care;
use lykta::clock::{Clock, ClockQuality, Moment};
use lykta::codec::{Codec, builtin};
use lykta::config::TenantKind;
use lykta::device::{Abp, Activation, Device, Registry};
use lykta::ingest::{
    Bins, Care, CareRules, Codecs, Counters, Decoding, Downlinks, Ingest, Input, Parts, Stopped,
    TenantCounters, TenantSink, Tours, Watch,
};
use lykta::lorawan::{Changes, Channels, EdgeServer, Plan, Session};
use lykta::planning::Desk;
use lykta::pulse::Pulse;
use lykta::radio::dedup::Dedup;
use lykta::radio::{AirEvent, Heard, TxError};
use lykta::store::{Class, Cursor, Entry, Outbox, Room, Store};
use lykta::units::{AesKey, DevEui, GatewayEui, Hertz, LoRa, Metres, TenantId};
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use support::{Sensor, reception, wait_until};

struct Running {
    inputs: SyncSender<Input>,
    thread: JoinHandle<()>,
    air: Arc<Counters>,
    tenant: Arc<TenantCounters>,
    file: PathBuf,
    /// Who asks scripts, and does so only when a test lets it.
    codecs: Option<Codecs>,
}

/// Four sensors of one tenant; the third counts from zero again when it likes, and the fourth
/// needs a script.
fn start(directory: &Path, kind: TenantKind) -> Running {
    start_with(directory, kind, false)
}

/// Each in a bin of its own number, where they are in bins.
fn start_with(directory: &Path, kind: TenantKind, in_bins: bool) -> Running {
    let file = directory.join("waste.db");
    let store = Store::open(&file, &Clock::system()).unwrap();
    let memory = store.memory().unwrap();
    let profile = |reset| {
        let all = builtin::profiles().unwrap();
        let mut profile = all.into_iter().find(|p| p.name == "sensoneo-single").unwrap();
        profile.counter.reset = reset;
        if reset {
            profile.name = "forgetful".into();
        }
        Arc::new(profile)
    };
    let scripted = builtin::profiles().unwrap().into_iter().find(|p| p.name == "lpp-parking");
    let profiles = [profile(false), profile(true), Arc::new(scripted.unwrap())];
    let tenant: TenantId = "waste".parse().unwrap();
    let devices = (1..=4).map(|n| {
        let sensor = Sensor::new(n);
        Device {
            dev_eui: sensor.dev_eui,
            name: format!("bin {n}"),
            tenant: tenant.clone(),
            profile: Arc::clone(&profiles[[0, 0, 1, 2][n as usize - 1]]),
            activation: Activation::Abp(Abp {
                dev_addr: sensor.dev_addr,
                nwk_s_key: AesKey(sensor.nwk_s_key),
                app_s_key: AesKey(sensor.app_s_key),
            }),
            bin: in_bins.then(|| n.to_string()),
            resident: None,
            sensor: None,
        }
    });
    let codecs: HashMap<_, _> =
        profiles.iter().map(|p| (p.name.clone(), Codec::new(Arc::clone(p)).unwrap())).collect();
    let (air, counters) = (Arc::new(Counters::default()), Arc::new(TenantCounters::default()));
    let geometry = Geometry::straight(Metres(1.5), Metres(0.1));
    let rules = Rules::new(geometry, TimeZone::UTC);
    let rules = (1..=3).map(|n: u32| (n.to_string(), rules.clone())).collect();
    let bins = Bins::new(rules, store.states(Room::Bins).unwrap());
    let clock = Clock::system();
    let sink = TenantSink {
        kind,
        store,
        bounds: lykta::store::Bounds::default(),
        news: Arc::default(),
        upstream: Arc::default(),
        counters: Arc::clone(&counters),
        tours: Tours::new(bins, Desk::default()),
        care: cared_for(&[scripts::scripted().dev_eui], &clock),
    };
    let air_db = directory.join("air.db");
    // nobody transmits here: what is answered is told elsewhere
    let nobody = Box::new(|_| Err(TxError::NoWay));
    let plan = Plan { channels: Channels::All(None), rx1_delay: 1, rx2_data_rate: 0 };
    let (decoding, asker) = Decoding::new(|| (), Stopped::default());
    let server = EdgeServer::new(&Registry::new(devices), plan, memory);
    let ingest = Ingest::new(Parts {
        watch: Watch::new(&[], &server, Duration::ZERO, Box::new(|_, _| false), Box::new(|| true)),
        server,
        codecs,
        decoding,
        tenants: HashMap::from([(tenant, sink)]),
        dedup: Dedup::new(Duration::ZERO),
        downlinks: Downlinks::open(&air_db, clock.now(), nobody),
        clock,
        counters: Arc::clone(&air),
        commit_interval: Duration::ZERO,
        commit_rows: 100,
    });
    let (inputs, received) = sync_channel(64);
    let thread = std::thread::spawn(move || ingest.run(&received, Pulse::default()));
    Running { inputs, thread, air, tenant: counters, file, codecs: Some(asker) }
}

/// Somebody who consents, with motion sensors.
fn cared_for(devices: &[DevEui], clock: &Clock) -> Care {
    let sensor = |device: &DevEui| care::Sensor {
        id: device.to_string(),
        kind: care::SensorKind::Motion,
        hold: Duration::ZERO,
        heartbeat: None,
        loss: None,
        sees_bed: false,
    };
    let resident = care::Resident {
        id: "r1".to_owned(),
        consent: true,
        cohabitant: false,
        zone: TimeZone::UTC,
        sensors: devices.iter().map(sensor).collect(),
        rules: Vec::new(),
        checks: Vec::new(),
    };
    let homes = [(resident, devices.to_vec())];
    Care::new(CareRules::default(), homes, [], [], clock.now())
}

impl Running {
    fn hear(&self, phy: Vec<u8>) {
        self.inputs.send(Input::Air(AirEvent::Heard(heard(phy)))).unwrap();
    }

    /// Ends the loop as the gateway does, and returns what waits for the cloud.
    fn stop(self) -> (Arc<Counters>, Arc<TenantCounters>, Vec<String>) {
        drop(self.inputs);
        self.thread.join().unwrap();
        let mut outbox = Outbox::open(&self.file).unwrap();
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), usize::MAX >> 1).unwrap();
        (self.air, self.tenant, rows.into_iter().map(|row| row.topic).collect())
    }
}

fn heard(phy: Vec<u8>) -> Heard {
    heard_at(phy, 0)
}

/// So many hours after nine in the evening.
fn heard_at(phy: Vec<u8>, hours: i64) -> Heard {
    let begin: jiff::Timestamp = "2026-01-15T21:00:00Z".parse().unwrap();
    Heard {
        phy,
        at: Moment {
            wall: begin + jiff::SignedDuration::from_hours(hours),
            quality: ClockQuality::Synced,
            monotonic: Duration::ZERO,
        },
        frequency: Hertz(868_100_000),
        modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
        code_rate: "4/5".into(),
        receptions: vec![reception(GatewayEui(1))],
    }
}

fn n(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

/// A frame that comes again joins the first while that still waits, and is a repetition after.
fn said_again(air: &Counters) -> u64 {
    n(&air.repeats) + n(&air.copies)
}

#[test]
fn a_frame_that_the_disk_refuses_is_welcome_again() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), TenantKind::Waste);
    let sensor = Sensor::new(1);
    running.hear(sensor.level(7, 50, 4));
    wait_until("the first is accepted", || n(&running.tenant.accepted) == 1);

    // another process holds the file, as a full or dead disk would, for longer than lykta waits
    let blocker = rusqlite::Connection::open(&running.file).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    running.hear(sensor.level(8, 50, 4));
    running.hear(sensor.level(9, 50, 4));
    wait_until("both are refused", || n(&running.tenant.not_stored) == 2);
    blocker.execute_batch("ROLLBACK").unwrap();

    // their retransmissions are no repetitions: nobody has them yet
    running.hear(sensor.level(8, 50, 4));
    running.hear(sensor.level(9, 50, 4));
    running.hear(sensor.level(9, 50, 4));
    let (air, tenant, topics) = running.stop();
    assert_eq!(n(&tenant.accepted), 3);
    assert_eq!(said_again(&air), 1);
    assert_eq!(topics.len(), 6, "an uplink and its readings for each accepted frame");
}

#[test]
fn counters_survive_and_the_past_is_refused_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (steady, forgetful) = (Sensor::new(1), Sensor::new(3));
    let running = start(directory.path(), TenantKind::Waste);
    running.hear(steady.level(70_000, 50, 4));
    running.hear(forgetful.level(500, 50, 4));
    running.stop();

    let running = start(directory.path(), TenantKind::Waste);
    running.hear(steady.level(70_000, 50, 4));
    running.hear(steady.level(69_999, 50, 4));
    running.hear(steady.level(0, 50, 4));
    running.hear(forgetful.level(0, 50, 4));
    running.hear(forgetful.level(499, 50, 4));
    let (air, tenant, _) = running.stop();
    assert_eq!((said_again(&air), n(&air.replays), n(&air.resets_refused)), (2, 1, 0));
    assert_eq!(n(&tenant.accepted), 2, "the reset that its profile allows, and what follows it");
}

#[test]
fn a_new_battery_is_told_from_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), TenantKind::Waste);
    let sensor = Sensor::new(1);
    running.hear(sensor.level(5_000, 50, 4));
    // somebody plays old recordings, in no order
    for f_cnt in [70, 900, 60, 4_000] {
        running.hear(sensor.level(f_cnt, 50, 4));
    }
    wait_until("they are replays", || n(&running.air.replays) == 4);
    // the sensor itself counts up from zero: refused as well, but it is known what it is
    for f_cnt in 1..=5 {
        let mut frame = heard(sensor.level(f_cnt, 50, 4));
        frame.at.wall += Duration::from_secs(600 * u64::from(f_cnt));
        running.inputs.send(Input::Air(AirEvent::Heard(frame))).unwrap();
    }
    let (air, tenant, _) = running.stop();
    assert_eq!((n(&air.replays), n(&air.resets_refused)), (6, 3));
    assert_eq!(n(&tenant.accepted), 1);
}

#[test]
fn a_device_with_new_keys_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), TenantKind::Waste);
    running.hear(Sensor::new(1).level(5_000, 50, 4));
    let file = running.file.clone();
    running.stop();
    // as if it had been heard under another key: what is on disk belongs to that one
    let mut store = Store::open(&file, &Clock::system()).unwrap();
    let sessions = store.memory().unwrap().sessions;
    let ((dev_eui, slot), session) = sessions.into_iter().next().unwrap();
    let changes = Changes {
        sessions: vec![(slot, Some(Session { binding: [0; 8], ..session }))],
        ..Changes::default()
    };
    let entry = Entry { changes, ..Entry::of(dev_eui, Vec::new()) };
    store.commit(&[entry]).unwrap();
    drop(store);

    let running = start(directory.path(), TenantKind::Waste);
    running.hear(Sensor::new(1).level(0, 50, 4));
    let (_, tenant, _) = running.stop();
    assert_eq!(n(&tenant.accepted), 1);
}

#[test]
fn nothing_of_a_care_tenants_devices_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), TenantKind::Care);
    running.hear(Sensor::new(1).level(1, 50, 4));
    running.hear(Sensor::new(2).uplink(1, 99, b"what is this"));
    let (_, tenant, topics) = running.stop();
    assert_eq!(n(&tenant.accepted), 2, "but they are authenticated and counted");
    assert_eq!(n(&tenant.unheeded), 2, "nobody has consented");
    assert_eq!(n(&tenant.not_decoded), 0);
    // where nobody sets this machine's clock, that is said
    assert!(topics.iter().all(|topic| topic == "care/r1/alarm"), "{topics:?}");
}

#[derive(Debug, Clone)]
enum Air {
    Good { device: u32, ahead: u32 },
    Again,
    Stranger(u32),
    Forged { device: u32, byte: usize },
    Noise(Vec<u8>),
}

fn air() -> impl Strategy<Value = Air> {
    prop_oneof![
        4 => (1u32..=2, 1u32..90_000).prop_map(|(device, ahead)| Air::Good { device, ahead }),
        1 => Just(Air::Again),
        1 => (10u32..1000).prop_map(Air::Stranger),
        1 => (1u32..=2, any::<prop::sample::Index>())
            .prop_map(|(device, at)| Air::Forged { device, byte: at.index(20) }),
        1 => prop::collection::vec(any::<u8>(), 0..260).prop_map(Air::Noise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is on the air, every frame is accounted for once, and every good one is accepted.
    #[test]
    fn the_books_balance(script in prop::collection::vec(air(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let running = start(directory.path(), TenantKind::Waste);
        let mut f_cnt = [0u32; 3];
        let (mut last, mut good, mut sent) = (None, 0, 0);
        for event in &script {
            match event {
                Air::Good { device, ahead } => {
                    f_cnt[*device as usize] += ahead;
                    let phy = Sensor::new(*device).level(f_cnt[*device as usize], 60, -3);
                    last = Some(phy.clone());
                    running.hear(phy);
                    good += 1;
                    sent += 1;
                }
                Air::Again => if let Some(phy) = &last {
                    running.hear(phy.clone());
                    sent += 1;
                },
                Air::Stranger(number) => {
                    running.hear(Sensor::new(*number).level(1, 60, 0));
                    sent += 1;
                }
                Air::Forged { device, byte } => {
                    let mut phy = Sensor::new(*device).level(f_cnt[*device as usize] + 1, 60, 0);
                    // not the header nor the address: those make it another kind of stranger
                    phy[8 + byte] ^= 0x10;
                    running.hear(phy);
                    sent += 1;
                }
                Air::Noise(bytes) => {
                    running.hear(bytes.clone());
                    sent += 1;
                }
            }
        }
        let (air, tenant, topics) = running.stop();
        prop_assert_eq!(n(&tenant.accepted), good);
        prop_assert_eq!(topics.len() as u64, 2 * good);
        prop_assert_eq!(n(&air.heard) + n(&air.copies), sent);
        let refused = n(&air.not_uplink) + n(&air.unknown_device) + n(&air.bad_mic)
            + n(&air.repeats) + n(&air.replays) + n(&air.resets_refused);
        prop_assert_eq!(n(&air.heard), n(&tenant.accepted) + n(&tenant.not_stored) + refused);
    }
}
