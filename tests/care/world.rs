//! The one way of an uplink in a home, driven without network and broker, and by a clock that goes
//! as fast as the test.

use crate::support::{Sensor, care_key, database, reception, store_key};
use lykta::care::escalation::Chain;
use lykta::clock::{Clock, ClockQuality};
use lykta::config::{Loaded, TenantKind, load_with};
use lykta::ingest::{
    Care, CareRules, Counters, Decoding, Downlinks, Ingest, Input, Parts, TenantCounters,
    TenantSink, Tours, Watch,
};
use lykta::lorawan::{Channels, EdgeServer, Memory, Plan};
use lykta::radio::dedup::Dedup;
use lykta::radio::{AirEvent, Heard, TxError};
use lykta::store::{Class, Cursor, Entry, Outbox, Room, State, Store};
use lykta::units::{DevEui, GatewayEui, Hertz, LoRa, TenantId};
use lykta::upstream::command::{Command, Receipt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// Who lives there, with the checks of every night.
pub const HOME: &str = r#"
[[resident]]
id = "r1"
consent = true
[[resident.sensor]]
id = "hall"
kind = "motion"
[[resident.rule]]
id = "up"
rule = "bed_absence"
window = "22:00-07:00"
[[resident.check]]
id = "night"
at = ["00:00", "02:30", "03:00"]
"#;

pub const MINUTE: Duration = Duration::from_secs(60);

/// A home with a bed and a hall, over as many lives of the gateway as one likes.
pub struct World {
    pub directory: tempfile::TempDir,
    pub bed: Sensor,
    pub hall: Sensor,
    pub counters: Arc<TenantCounters>,
    /// Whether its radio hears.
    pub hears: Arc<AtomicBool>,
    loaded: Loaded,
    clock: Clock,
    ingest: Option<Ingest>,
    outbox: Option<Outbox>,
    f_cnt: u32,
    commands: u32,
}

impl World {
    pub fn new(begin: &str) -> Self {
        Self::with(begin, HOME)
    }

    pub fn with(begin: &str, home: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bed = Sensor { profile: "netvox-r718j", ..Sensor::new(1) };
        let hall = Sensor { profile: "browan-tbms100", ..Sensor::new(2) };
        let loaded = load(directory.path(), &[(&bed, "bed"), (&hall, "hall")], home);
        let clock = Clock::simulated(begin.parse().unwrap(), 1);
        let (counters, hears) = (Arc::default(), Arc::new(AtomicBool::new(true)));
        let (ingest, outbox, f_cnt, commands) = (None, None, 0, 0);
        let mut world = Self {
            directory,
            bed,
            hall,
            counters,
            hears,
            loaded,
            clock,
            ingest,
            outbox,
            f_cnt,
            commands,
        };
        world.start();
        world
    }

    /// Dies at once, if it lives, and starts again.
    pub fn start(&mut self) {
        self.die();
        let file = self.file();
        let key = store_key(1);
        let (store, outbox) = Store::open_both(database(&file, Some(&key)), &self.clock).unwrap();
        self.outbox = Some(outbox);
        let id: TenantId = "care".parse().unwrap();
        let registry = &self.loaded.registry;
        let memory = Memory::gather(vec![(id.clone(), store.memory().unwrap())], registry);
        let rules = CareRules {
            gateway: "gw-1".into(),
            chain: Chain::default(),
            erase_after: Duration::from_secs(3600),
            plans: HashMap::new(),
        };
        let homes = self.loaded.households.iter();
        let homes = homes.map(|home| (home.resident.clone(), home.devices.clone()));
        let kept = store.states(Room::Care).unwrap();
        let consents = store.states(Room::Consent).unwrap();
        let care = Care::new(rules, homes, kept, consents, self.clock.now());
        self.counters = Arc::default();
        let sink = TenantSink {
            kind: TenantKind::Care,
            store,
            bounds: lykta::store::Bounds::default(),
            news: Arc::default(),
            upstream: Arc::default(),
            counters: Arc::clone(&self.counters),
            tours: Tours::default(),
            care,
        };
        let plan = Plan { channels: Channels::All(None), rx1_delay: 1, rx2_data_rate: 0 };
        let server = EdgeServer::new(registry, plan, memory);
        let nobody = Box::new(|_| Err(TxError::NoWay));
        let now = self.clock.now();
        let hears = Arc::clone(&self.hears);
        let hears = Box::new(move || hears.load(Relaxed));
        self.ingest = Some(Ingest::new(Parts {
            watch: Watch::new(&[], &server, now.monotonic, Box::new(|_, _| false), hears),
            server,
            codecs: std::mem::take(&mut self.loaded.codecs),
            tenants: HashMap::from([(id, sink)]),
            decoding: Decoding::default(),
            dedup: Dedup::new(Duration::ZERO),
            downlinks: Downlinks::open(&self.directory.path().join("air.db"), now, nobody),
            clock: self.clock.clone(),
            counters: Arc::<Counters>::default(),
            commit_interval: Duration::from_secs(2),
            commit_rows: 100,
        }));
        // the loop takes them, and there is one loop at a time
        self.loaded.codecs = codecs();
        self.ingest().turn();
    }

    /// From the next start on this is what was agreed.
    pub fn agrees(&mut self, home: &str) {
        let sensors = [(&self.bed, "bed"), (&self.hall, "hall")];
        self.loaded = load(self.directory.path(), &sensors, home);
    }

    /// Dies at once, and what its file says of this is other: nothing, if that is empty.
    pub fn is_changed(&mut self, room: Room, key: &str, body: &str) {
        self.die();
        let (key, body) = (key.to_owned(), body.to_owned());
        let entry =
            Entry { states: vec![State { room, key, body }], ..Entry::of(DevEui(0), Vec::new()) };
        let key = store_key(1);
        let mut store = Store::open(database(&self.file(), Some(&key)), &self.clock).unwrap();
        store.commit(&[entry]).unwrap();
    }

    /// Dies at once, if it lives.
    pub fn die(&mut self) {
        self.outbox = None;
        drop(self.ingest.take());
    }

    /// Where all is kept.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("care.db")
    }

    /// A card that forgets all but the first page, as soon as the log is empty.
    pub async fn forgets(&mut self) {
        for _ in 0..3600 {
            if self.log() == 0 {
                break;
            }
            self.pass(Duration::from_secs(1)).await;
        }
        let mut bytes = std::fs::read(self.file()).unwrap();
        bytes[1024..].fill(0x5a);
        std::fs::write(self.file(), bytes).unwrap();
    }

    /// The disk takes nothing of what is told or remembered, or does again.
    pub fn refuse(&self, refuses: bool) {
        self.refuse_in("care.db", refuses);
    }

    /// The same of one file.
    pub fn refuse_in(&self, file: &str, refuses: bool) {
        let db = rusqlite::Connection::open(self.directory.path().join(file)).unwrap();
        let key = format!("x'{}'", hex::encode(store_key(1).0));
        db.pragma_update(None, "key", key).unwrap();
        db.pragma_update(None, "cipher_page_size", 1024).unwrap();
        for table in ["outbox", "remembered"] {
            db.execute_batch(&match refuses {
                true => format!(
                    "CREATE TRIGGER no_{table} BEFORE INSERT ON {table}
                     BEGIN SELECT RAISE(ABORT, 'no'); END"
                ),
                false => format!("DROP TRIGGER no_{table}"),
            })
            .unwrap();
        }
    }

    /// Who reads what waits meets the damage.
    pub fn read_outbox(&mut self) {
        let outbox = self.outbox.as_mut().expect("it lives");
        let rows = outbox.next(Class::Diagnostic, &mut Cursor::default(), 1000);
        assert!(rows.is_err(), "it is damaged");
        self.ingest().turn();
    }

    /// Dies at once, and starts again with a clock that is off by so many seconds.
    pub fn start_with_clock(&mut self, by: i64, quality: ClockQuality) {
        self.die();
        self.clock.set(self.clock.now().wall + jiff::SignedDuration::from_secs(by), quality);
        self.start();
    }

    /// Stops in order.
    pub fn stop(&mut self) {
        self.ingest.take().unwrap().finish();
    }

    fn ingest(&mut self) -> &mut Ingest {
        self.ingest.as_mut().expect("it lives")
    }

    /// Lets this much time pass; the loop sleeps as it asks for.
    pub async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let wait = self.ingest().patience().min(left).max(Duration::from_millis(1));
            tokio::time::advance(wait).await;
            self.ingest().turn();
            if left <= wait {
                return;
            }
        }
    }

    /// What time it is, as the gateway thinks.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now().wall
    }

    /// Lets time pass until then.
    pub async fn until(&mut self, time: &str) {
        let time: jiff::Timestamp = time.parse().unwrap();
        let wait = time.duration_since(self.clock.now().wall);
        self.pass(Duration::try_from(wait).expect("it is later than now")).await;
    }

    /// The clock is set by somebody.
    pub fn set_clock(&mut self, by: i64) {
        let now = self.clock.now();
        self.clock.set(now.wall + jiff::SignedDuration::from_secs(by), now.quality);
        self.ingest().turn();
    }

    pub fn trust_clock(&mut self, quality: ClockQuality) {
        self.clock.set(self.clock.now().wall, quality);
        self.ingest().turn();
    }

    pub fn lies(&mut self, on: bool) {
        let payload = [1, 0x21, 1, 0x24, u8::from(on), 0, 0, 0, 0, 0, 0];
        let bed = self.bed.clone();
        self.say(&bed, 6, &payload);
    }

    pub fn moves(&mut self, on: bool) {
        let hall = self.hall.clone();
        self.say(&hall, 102, &[u8::from(on), 0x76, 0x3a, 0, 0, 5, 0, 0]);
    }

    /// In bed for half an hour, and then up for so long.
    pub async fn is_up_for(&mut self, minutes: u32) {
        for _ in 0..2 {
            self.lies(true);
            self.pass(15 * MINUTE).await;
        }
        self.lies(false);
        self.pass(MINUTE).await;
        self.moves(true);
        self.pass((minutes - 1) * MINUTE).await;
    }

    /// Without what this database knew.
    pub fn loses(&self, database: &str) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.directory.path().join(format!("{database}{suffix}")));
        }
    }

    pub fn say(&mut self, sensor: &Sensor, port: u8, payload: &[u8]) {
        self.f_cnt += 1;
        let phy = sensor.uplink(self.f_cnt, port, payload);
        let heard = Heard {
            phy,
            at: self.clock.now(),
            frequency: Hertz(868_100_000),
            modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
            code_rate: "4/5".into(),
            receptions: vec![reception(GatewayEui(1))],
        };
        self.ingest().offer(Input::Air(AirEvent::Heard(heard)));
        self.ingest().turn();
    }

    /// A command of this name; its answer.
    pub fn command(&mut self, name: &str, args: Value) -> Value {
        self.commands += 1;
        let id = format!("c{}", self.commands);
        self.send(name, &id, &args);
        self.answers(&id).pop().unwrap_or_else(|| panic!("no answer to {name} {args}"))
    }

    pub fn send(&mut self, name: &str, id: &str, args: &Value) {
        let payload = json!({ "id": id, "args": args }).to_string().into_bytes();
        let command = Command { name: name.to_owned(), payload, receipt: Receipt::default() };
        self.ingest().offer(Input::Command("care".parse().unwrap(), command));
        self.ingest().turn();
    }

    /// Somebody presses the button of the gateway.
    pub fn press(&mut self) {
        self.ingest().offer(Input::Answered);
        self.ingest().turn();
    }

    pub fn answers(&self, id: &str) -> Vec<Value> {
        let told = self.told();
        told.into_iter().map(|(_, body)| body).filter(|body| body["id"] == id).collect()
    }

    /// What is remembered of the resident.
    pub fn remembered(&self) -> Value {
        serde_json::from_str(&self.kept(Room::Care, "r1")).unwrap()
    }

    /// What its file says of this.
    pub fn kept(&self, room: Room, of: &str) -> String {
        let file = self.file();
        let store = Store::open(database(&file, Some(&store_key(1))), &self.clock).unwrap();
        let mut states = store.states(room).unwrap().into_iter();
        states.find(|(key, _)| key == of).expect("it is remembered").1
    }

    /// How many bytes the log of the database has, in which stands what was superseded.
    pub fn log(&self) -> u64 {
        std::fs::metadata(self.directory.path().join("care.db-wal")).unwrap().len()
    }

    /// All that waits for the cloud, in the order in which it came about.
    pub fn told(&self) -> Vec<(String, Value)> {
        self.waiting().into_iter().map(|(_, topic, body)| (topic, body)).collect()
    }

    /// The same with the number of each.
    pub fn waiting(&self) -> Vec<(u64, String, Value)> {
        let file = self.file();
        let mut outbox = Outbox::open(database(&file, Some(&store_key(1)))).unwrap();
        let mut cursor = Cursor::default();
        let mut rows = outbox.next(Class::Diagnostic, &mut cursor, usize::MAX >> 1).unwrap();
        rows.sort_by_key(|row| row.key.sequence());
        let told = rows.into_iter();
        told.map(|row| (row.key.sequence(), row.topic, serde_json::from_str(&row.body).unwrap()))
            .collect()
    }

    /// What is told on a topic that ends so.
    pub fn on(&self, leaf: &str) -> Vec<Value> {
        let told = self.told().into_iter().filter(|(topic, _)| topic.ends_with(leaf));
        told.map(|(_, body)| body).collect()
    }

    /// The agreed times of the checks that were answered, and what they came to.
    pub fn checks(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.on("/check").iter().map(|b| (text(&b["agreed"]), text(&b["result"]))).collect()
    }

    /// The same of those who are told of an alarm, without what a gateway that died says of itself.
    pub fn calls(&self) -> Vec<String> {
        let mut lines = self.alarms();
        lines.retain(|line| line != "fault gateway");
        lines
    }

    /// What was told on the topic of alarms: kind, rule, and whom.
    pub fn alarms(&self) -> Vec<String> {
        let line = |body: &Value| {
            let to = body["call"]["to"].as_array().cloned().unwrap_or_default();
            let to: Vec<&str> = to.iter().map(|role| role.as_str().unwrap()).collect();
            let word = |key: &str| body[key].as_str().unwrap().to_owned();
            format!("{} {} {}", word("kind"), word("rule"), to.join(",")).trim().to_owned()
        };
        // the gateway has alarms of its own
        self.on("r1/alarm").iter().map(line).collect()
    }
}

fn codecs() -> HashMap<String, lykta::codec::Codec> {
    use lykta::codec::{Codec, builtin};
    let profiles = builtin::profiles().unwrap().into_iter();
    profiles.map(|p| (p.name.clone(), Codec::new(Arc::new(p)).unwrap())).collect()
}

/// A configuration of these sensors in the home of "r1".
pub fn load(state: &std::path::Path, sensors: &[(&Sensor, &str)], home: &str) -> Loaded {
    let devices: String = sensors
        .iter()
        .map(|(sensor, name)| {
            format!("{}resident = \"r1\"\nsensor = \"{name}\"\n", sensor.table("care"))
        })
        .collect();
    let key = care_key(state);
    let text = format!(
        "gateway = \"gw-1\"\nstate_dir = {state:?}\n[[tenant]]\nid = \"care\"\nkind = \"care\"\n\
         {key}[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n{devices}{home}"
    );
    let file = state.join("lykta.toml");
    std::fs::write(&file, text).unwrap();
    load_with(Some(&file), []).unwrap_or_else(|problems| panic!("{problems}"))
}
