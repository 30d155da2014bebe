//! Answers on their way: late reports, failing disks, several tenants, deaf radios.

use crate::support::{Mote, Say, reception};
use lykta::clock::{Clock, ClockQuality, Moment};
use lykta::config::TenantKind;
use lykta::device::{Device, Registry};
use lykta::ingest::{
    Counters, Decoding, Downlinks, Ingest, Input, Look, Parts, TenantSink, Tours, Watch, Watched,
};
use lykta::lorawan::{Channels, EdgeServer, Memory, Plan};
use lykta::radio::dedup::Dedup;
use lykta::radio::vigil::Step;
use lykta::radio::{AirEvent, Heard, Report, Transmission, TxError};
use lykta::store::{Class, Cursor, Outbox, Store};
use lykta::units::{GatewayEui, Hertz, LoRa, TenantId};
use lykta::upstream::command::{Command, Receipt, Settled};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::advance;

const CONCENTRATOR: GatewayEui = GatewayEui(1);
const HAT: GatewayEui = GatewayEui(2);

struct World {
    ingest: Ingest,
    clock: Clock,
    sent: Arc<Mutex<Vec<Transmission>>>,
    /// What the vigil over the HAT asked for.
    steps: Arc<Mutex<Vec<Step>>>,
    /// Whether the HAT works, as far as it knows itself.
    works: Arc<AtomicBool>,
    directory: PathBuf,
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// Each mote is a tenant's of its own: "t0", "t1" …
fn world(directory: &Path, motes: &[&Mote]) -> World {
    world_with(directory, motes, false)
}

fn world_with(directory: &Path, motes: &[&Mote], beside_concentrator: bool) -> World {
    let mut memories = Vec::new();
    let mut tenants = HashMap::new();
    let mut devices = Vec::new();
    for (n, mote) in motes.iter().enumerate() {
        let id = tenant(&format!("t{n}"));
        let store = Store::open(&directory.join(format!("{id}.db")), &Clock::system()).unwrap();
        memories.push((id.clone(), store.memory().unwrap()));
        devices.push(Device { tenant: id.clone(), ..mote.device() });
        let sink = TenantSink {
            kind: TenantKind::Waste,
            store,
            bounds: lykta::store::Bounds::default(),
            news: Arc::default(),
            upstream: Arc::default(),
            counters: Arc::default(),
            tours: Tours::default(),
            care: lykta::ingest::Care::default(),
        };
        tenants.insert(id, sink);
    }
    let clock = Clock::simulated("2026-03-01T12:00:00Z".parse().unwrap(), 1);
    let sent = Arc::<Mutex<Vec<Transmission>>>::default();
    let transmit = {
        let sent = Arc::clone(&sent);
        Box::new(move |transmission| {
            sent.lock().unwrap().push(transmission);
            Ok(())
        })
    };
    let plan = Plan { channels: Channels::All(None), rx1_delay: 1, rx2_data_rate: 0 };
    let registry = Registry::new(devices);
    let memory = Memory::gather(memories, &registry);
    let server = EdgeServer::new(&registry, plan, memory);
    let hat = Watched {
        gateway: HAT,
        frequency: Hertz(868_100_000),
        spreading_factor: 7,
        beside_concentrator,
    };
    let steps = Arc::<Mutex<Vec<Step>>>::default();
    let works = Arc::new(AtomicBool::new(true));
    let obey = {
        let (steps, works) = (Arc::clone(&steps), Arc::clone(&works));
        Box::new(move |_, step| {
            // as the gateway's HATs do
            let works = works.load(Relaxed);
            if works || step == Step::Recovered {
                steps.lock().unwrap().push(step);
            }
            works
        })
    };
    let ingest = Ingest::new(Parts {
        watch: Watch::new(&[hat], &server, Duration::ZERO, obey, Box::new(|| true)),
        server,
        codecs: HashMap::new(),
        decoding: Decoding::default(),
        tenants,
        dedup: Dedup::new(Duration::ZERO),
        downlinks: Downlinks::open(&directory.join("air.db"), clock.now(), transmit),
        clock: clock.clone(),
        counters: Arc::new(Counters::default()),
        commit_interval: Duration::ZERO,
        commit_rows: 100,
    });
    World { ingest, clock, sent, steps, works, directory: directory.to_owned() }
}

impl World {
    fn hear(&mut self, phy: Vec<u8>) {
        self.hear_by(phy, &[CONCENTRATOR]);
    }

    fn hear_by(&mut self, phy: Vec<u8>, gateways: &[GatewayEui]) {
        self.hear_at(phy, gateways, Hertz(868_100_000));
    }

    fn hear_at(&mut self, phy: Vec<u8>, gateways: &[GatewayEui], frequency: Hertz) {
        let now = self.clock.now();
        self.ingest.offer(Input::Air(AirEvent::Heard(Heard {
            phy,
            at: Moment { quality: ClockQuality::Synced, ..now },
            frequency,
            modulation: LoRa { spreading_factor: 7, bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            receptions: gateways.iter().map(|gateway| reception(*gateway)).collect(),
        })));
    }

    fn command(&mut self, payload: &str) {
        self.bring("downlink", payload, Receipt::default());
        self.ingest.turn();
    }

    fn bring(&mut self, name: &str, payload: &str, receipt: Receipt) {
        let payload = payload.as_bytes().to_vec();
        let command = Command { name: name.into(), payload, receipt };
        self.ingest.offer(Input::Command(tenant("t0"), command));
    }

    fn queue(&mut self, mote: &Mote, id: &str) {
        let args = format!(r#"{{"devEui":"{}","fPort":3,"hex":"01"}}"#, mote.dev_eui);
        self.command(&format!(r#"{{"id":"{id}","args":{args}}}"#));
    }

    fn report(&mut self, transmission: &Transmission) {
        let Transmission { id, gateway, .. } = *transmission;
        self.ingest.offer(Input::Air(AirEvent::Sent(Report { id, gateway, result: Ok(()) })));
    }

    fn sent(&self) -> Vec<Transmission> {
        self.sent.lock().unwrap().clone()
    }

    fn outbox(&self) -> Vec<(String, String)> {
        let mut outbox = Outbox::open(&self.directory.join("t0.db")).unwrap();
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 1000).unwrap();
        rows.into_iter().map(|row| (row.topic, row.body)).collect()
    }
}

/// As a full, slow or dead disk.
fn block(file: PathBuf) -> rusqlite::Connection {
    let blocker = rusqlite::Connection::open(file).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    blocker
}

#[test]
fn one_tenants_disk_does_not_make_anothers_answers_late() {
    let directory = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (Mote::abp(1), Mote::abp(2));
    let mut world = world(directory.path(), &[&one, &other]);
    let _blocked = block(directory.path().join("t1.db"));
    // whoever is slow is known from then on
    world.hear(other.say(&Say::default()));
    world.ingest.turn();
    world.hear(other.say(&Say { confirmed: true, ..Say::default() }));
    world.hear(one.say(&Say { confirmed: true, ..Say::default() }));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 1, "the acknowledgement of the tenant whose disk works");
}

#[test]
fn what_was_sent_while_the_disk_failed_is_not_sent_again_or_told_at_last() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let mut before = world(directory.path(), &[&mote]);
    before.hear(mote.say(&Say::default()));
    before.ingest.turn();
    before.queue(&mote, "open");
    before.hear(mote.say(&Say::default()));
    before.ingest.turn();
    let sent = before.sent();
    assert_eq!(sent.len(), 1);
    let blocked = block(directory.path().join("t0.db"));
    before.report(&sent[0]);
    before.ingest.turn();
    blocked.execute_batch("ROLLBACK").unwrap();
    drop(blocked);
    // the disk works again; whatever comes now
    before.hear(mote.say(&Say::default()));
    before.ingest.turn();
    let told = before.outbox().iter().any(|(topic, _)| topic.ends_with("event/txack"));
    before.ingest.finish();
    let mut after = world(directory.path(), &[&mote]);
    after.hear(mote.say(&Say::default()));
    after.ingest.turn();
    assert_eq!((told, after.sent().len()), (true, 0), "txack told; sent again after a restart");
}

#[test]
fn the_loop_wakes_when_a_report_is_overdue() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    world.hear(mote.say(&Say { confirmed: true, ..Say::default() }));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 1);
    let patience = world.ingest.patience();
    assert!(patience < Duration::from_secs(8), "{patience:?}");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_is_not_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    world.hear(mote.say(&Say::default()));
    world.ingest.turn();
    world.queue(&mote, "open");
    world.hear(mote.say(&Say::default()));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 1);
    advance(Duration::from_secs(7)).await;
    world.ingest.turn();
    world.hear(mote.say(&Say::default()));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 1, "{:?}", world.outbox().last());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_executed_is_answered_the_same_after_its_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    let deadline = world.clock.now().wall + Duration::from_secs(2);
    let command = format!(
        r#"{{"id":"open","deadline":"{deadline}","args":{{"devEui":"{}","fPort":3,"hex":"01"}}}}"#,
        mote.dev_eui
    );
    world.command(&command);
    advance(Duration::from_secs(3)).await;
    world.command(&command);
    let replies: Vec<_> =
        world.outbox().into_iter().filter(|(topic, _)| topic.ends_with("/reply")).collect();
    assert_eq!(replies.len(), 2);
    assert_eq!(replies[0], replies[1]);
}

#[test]
fn the_receipt_of_a_command_is_signed_when_its_answer_is_on_the_disk_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    let args = format!(r#"{{"devEui":"{}","fPort":3,"hex":"01"}}"#, mote.dev_eui);
    let good = format!(r#"{{"id":"a","args":{args}}}"#);
    let (tell, mut told) = tokio::sync::mpsc::channel(8);
    let receipt = |number| Receipt::new(number, tell.clone());
    let settled = |number, taken| Ok(Settled { number, taken });

    let blocked = block(directory.path().join("t0.db"));
    world.bring("downlink", &good, receipt(1));
    assert!(told.try_recv().is_err(), "nothing is on the disk");
    world.ingest.turn();
    assert_eq!(told.try_recv(), settled(1, false), "it must be brought again");
    blocked.execute_batch("ROLLBACK").unwrap();
    drop(blocked);

    // executed, the same again at once and later, refused, and one that nobody can answer
    for (number, payload) in [(2, &*good), (3, &good), (4, r#"{"id":"b","args":{}}"#)] {
        world.bring("downlink", payload, receipt(number));
    }
    assert!(told.try_recv().is_err(), "nothing is on the disk");
    world.ingest.turn();
    assert_eq!([(); 3].map(|()| told.try_recv()), [2, 3, 4].map(|number| settled(number, true)));
    world.bring("downlink", &good, receipt(5));
    world.bring("downlink", "{", receipt(6));
    world.ingest.turn();
    assert_eq!([(); 2].map(|()| told.try_recv()), [5, 6].map(|number| settled(number, true)));

    let of = |id: &str| {
        let part = format!(r#""id":"{id}""#);
        world.outbox().iter().filter(|(_, body)| body.contains(&part)).count()
    };
    assert_eq!((of("a"), of("b")), (2, 1));
    let store =
        Store::open(&directory.path().join("t0.db"), &lykta::clock::Clock::system()).unwrap();
    assert_eq!(store.memory().unwrap().downlinks.len(), 1, "executed once");
}

#[tokio::test(start_paused = true)]
async fn airtime_that_cannot_be_written_at_the_start_stops_only_the_answers() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    drop(world(directory.path(), &[&mote]));
    let blocked = block(directory.path().join("air.db"));
    let mut world = world(directory.path(), &[&mote]);
    let say = Say { confirmed: true, ..Say::default() };
    world.hear(mote.say(&say));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 0, "what cannot be remembered is not sent");
    assert!(!world.outbox().is_empty(), "but the uplink is there");
    drop(blocked);
    advance(Duration::from_secs(31)).await;
    world.ingest.turn();
    world.hear(mote.say(&say));
    world.ingest.turn();
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_transmission_that_did_not_end_counts_as_sent() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    world.hear(mote.say(&Say { confirmed: true, ..Say::default() }));
    world.ingest.turn();
    let Transmission { id, gateway, .. } = world.sent()[0];
    // the radio sent, and its interrupt line did not tell
    let report = Report { id, gateway, result: Err(TxError::Unsure) };
    world.ingest.offer(Input::Air(AirEvent::Sent(report)));
    let used = Arc::<Mutex<Vec<String>>>::default();
    let look = {
        let used = Arc::clone(&used);
        move |sight: lykta::ingest::Sight<'_>| {
            for (_, ledger) in sight.schedule.ledgers() {
                let bands = ledger.usage(Duration::from_secs(3)).filter(|u| u.share() > 0.0);
                used.lock().unwrap().extend(bands.map(|u| u.band.name.to_string()));
            }
        }
    };
    world.ingest.offer(Input::Look(Look(Box::new(look))));
    let used = used.lock().unwrap().clone();
    assert!(
        used.iter().any(|band| band.contains("868.0")),
        "RX1's airtime is free again: {used:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_is_deaf_is_noticed_also_beside_a_concentrator() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let heartbeat = mote.device().profile.heartbeat;
    let mut world = world_with(directory.path(), &[&mote], true);
    world.hear_by(mote.say(&Say::default()), &[HAT, CONCENTRATOR]);
    world.ingest.turn();
    // its antenna has come off; the concentrator hears the device on the HAT's own channel
    for _ in 0..40 {
        advance(heartbeat + Duration::from_secs(31)).await;
        world.hear_by(mote.say(&Say::default()), &[CONCENTRATOR]);
        world.ingest.turn();
    }
    let steps = world.steps.lock().unwrap().clone();
    assert!(steps.starts_with(&[Step::Reinit, Step::Reset, Step::Alarm]), "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_radio_beside_a_concentrator_is_not_blamed_for_what_was_on_other_channels() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let heartbeat = mote.device().profile.heartbeat;
    let mut world = world_with(directory.path(), &[&mote], true);
    for n in 0..400u32 {
        advance(heartbeat).await;
        let phy = mote.say(&Say::default());
        if n % 16 == 0 {
            world.hear_by(phy, &[HAT, CONCENTRATOR]);
        } else {
            world.hear_at(phy, &[CONCENTRATOR], Hertz(868_300_000));
        }
        world.ingest.turn();
    }
    assert_eq!(*world.steps.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_has_never_heard_its_devices_is_told_to_be_deaf() {
    let directory = tempfile::tempdir().unwrap();
    let mote = Mote::abp(1);
    let heartbeat = mote.device().profile.heartbeat;
    let mut world = world(directory.path(), &[&mote]);
    for _ in 0..13 {
        advance(heartbeat).await;
        world.ingest.turn();
    }
    let steps = world.steps.lock().unwrap().clone();
    assert_eq!(steps, [Step::Reinit, Step::Reset, Step::Alarm]);
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_was_deaf_and_then_down_is_told_to_hear_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let heartbeat = mote.device().profile.heartbeat;
    let mut world = world(directory.path(), &[&mote]);
    world.hear_by(mote.say(&Say::default()), &[HAT]);
    world.ingest.turn();
    for heartbeats in 1..60 {
        // it hears nothing; then it does not even answer on SPI
        world.works.store(heartbeats < 15, Relaxed);
        advance(heartbeat + Duration::from_secs(31)).await;
        world.ingest.turn();
    }
    assert!(world.steps.lock().unwrap().contains(&Step::Alarm));
    // somebody has put it right
    world.works.store(true, Relaxed);
    for _ in 0..3 {
        world.hear_by(mote.say(&Say::default()), &[HAT]);
        advance(Duration::from_secs(31)).await;
        world.ingest.turn();
    }
    let last = world.steps.lock().unwrap().last().copied();
    assert_eq!(last, Some(Step::Recovered), "until the next restart it is called deaf");
}

#[test]
fn a_late_copy_of_a_confirmed_uplink_is_not_answered_beside_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut mote = Mote::abp(1);
    let mut world = world(directory.path(), &[&mote]);
    let phy = mote.say(&Say { confirmed: true, ..Say::default() });
    world.hear_by(phy.clone(), &[CONCENTRATOR]);
    world.ingest.turn();
    // the way of another concentrator to here is longer than the window for copies
    world.hear_by(phy, &[GatewayEui(3)]);
    world.ingest.turn();
    let sent: Vec<_> = world.sent().iter().map(|sent| (sent.gateway, sent.frequency)).collect();
    assert_eq!(sent.len(), 1, "two gateways speak at once, and jam each other: {sent:?}");
}
