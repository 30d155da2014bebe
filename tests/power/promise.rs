//! What lykta has promised at an instant, and whether a directory keeps it.

use crate::support::{database, entry, message};
use lykta::lorawan::{Changes, Counter, Link, Session, Slot};
use lykta::store::{Class, Cursor, Entry, Outbox, Room, State, Store, Survey};
use lykta::units::{DevEui, StoreKey};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The name of the database.
pub const FILE: &str = "waste.db";

/// One frame: what it leaves behind is derived from this, so that it can be told again.
#[derive(Debug, Clone)]
pub struct Frame {
    pub device: u64,
    pub f_cnt: u32,
    /// Its messages, by their numbers: each number once, in the order of the commits.
    pub messages: Vec<(u64, Class, Arc<str>)>,
}

impl Frame {
    /// As lykta keeps it.
    pub fn entry(&self) -> Entry {
        let counter = Counter { f_cnt_up: self.f_cnt, high_water: self.f_cnt, reset_at: None };
        let session = Session {
            derived: None,
            counter: Some(counter),
            f_cnt_down: self.f_cnt,
            link: Link::default(),
            binding: [8; 8],
        };
        let messages = self.messages.iter().map(|(_, class, body)| {
            message(*class, format!("device/{}/readings", DevEui(self.device)), body.to_string())
        });
        Entry {
            changes: Changes {
                sessions: vec![(Slot::Active, Some(session))],
                ..Changes::default()
            },
            states: vec![State {
                room: Room::Bins,
                key: self.device.to_string(),
                body: format!(r#"{{"fCnt":{}}}"#, self.f_cnt),
            }],
            ..entry(self.device, messages.collect())
        }
    }
}

/// The number in a body.
pub fn number(body: &str) -> u64 {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["n"].as_u64().unwrap()
}

/// Something that the world learns.
#[derive(Debug, Clone)]
pub enum Mark {
    /// The store is there, with this epoch.
    Opened(String),
    /// These are being committed …
    Begun(Vec<Frame>),
    /// … and are accepted.
    Accepted,
    /// A message may have been sent, under this id.
    Seen { message: u64, id: Id },
    /// Their removal has begun: they were delivered.
    Delivered(Vec<u64>),
}

/// All that was promised.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// Under which all of it is.
    key: Option<StoreKey>,
    /// Not known of a store that is made anew.
    epoch: Option<String>,
    /// Whether one was made anew, and what it was made of is still there.
    is_rescued: bool,
    /// Accepted and not delivered.
    kept: BTreeMap<u64, Arc<str>>,
    /// Delivered: may come again.
    delivered: BTreeMap<u64, Arc<str>>,
    /// The ids that the world has seen.
    seen: HashMap<u64, Id>,
    counters: HashMap<u64, u32>,
    under_way: Option<Vec<Frame>>,
}

/// What a directory holds.
struct Found {
    /// Number, id and body, most important first.
    rows: Vec<(u64, Id, String)>,
    counters: HashMap<u64, u32>,
    states: HashMap<u64, u32>,
    epoch: String,
    /// It could not be told from a damaged one, and was made anew.
    is_rescued: bool,
    /// What was set aside, or not put into its place.
    aside: Option<String>,
}

/// The epoch of a message, and its sequence number.
pub type Id = (Arc<str>, u64);

impl Promise {
    /// Of a database under this key.
    pub fn under(key: Option<StoreKey>) -> Self {
        Self { key, ..Self::default() }
    }

    pub fn note(&mut self, mark: &Mark) {
        match mark {
            Mark::Opened(epoch) => self.epoch = Some(epoch.clone()),
            Mark::Begun(frames) => self.under_way = Some(frames.clone()),
            Mark::Accepted => {
                for frame in self.under_way.take().expect("it was begun") {
                    self.counters.insert(frame.device, frame.f_cnt);
                    self.kept.extend(frame.messages.into_iter().map(|(n, _, body)| (n, body)));
                }
            }
            Mark::Seen { message, id } => {
                self.seen.insert(*message, id.clone());
            }
            Mark::Delivered(messages) => {
                let gone = messages.iter().filter_map(|n| self.kept.remove_entry(n));
                self.delivered.extend(gone);
            }
        }
    }

    /// Says what a directory does not keep of it. What it does keep is all that is promised from
    /// now on. Whether it was made anew.
    pub fn check(&mut self, directory: &Path) -> Result<bool, String> {
        let found = Found::read(directory, self.key.as_ref())?;
        self.is_rescued |= found.is_rescued;
        let is_another = self.epoch.as_ref().is_some_and(|epoch| *epoch != found.epoch);
        if is_another && !found.is_rescued {
            return Err("another store stands in its place".into());
        }
        if let Some(aside) = found.aside.as_ref().filter(|_| !self.is_rescued) {
            return Err(format!("lykta took it for damaged: {aside}"));
        }
        let lost: Vec<_> = {
            let there: HashMap<_, _> = found.rows.iter().map(|(n, _, body)| (n, body)).collect();
            self.kept.keys().filter(|n| !there.contains_key(n)).collect()
        };
        if !lost.is_empty() {
            return Err(format!("{} accepted messages are lost, as {}", lost.len(), lost[0]));
        }
        let under_way = self.settle(&found)?;
        for (n, id, body) in &found.rows {
            let known = self.kept.get(n).or_else(|| self.delivered.get(n));
            if known.is_none_or(|known| **known != **body) {
                return Err(format!("message {n} is not what was accepted: {body}"));
            }
            if self.seen.get(n).is_some_and(|seen| seen != id) {
                return Err(format!("message {n} has another id than the world has seen"));
            }
        }
        for (what, counters) in [("counters", &found.counters), ("levels", &found.states)] {
            if counters != &self.counters {
                return Err(format!(
                    "{what} are not those of the messages ({under_way}): {counters:?}, not {:?}",
                    self.counters
                ));
            }
        }
        in_order(&found.rows)?;
        let kept = found.rows.iter().map(|(n, _, body)| (*n, body.as_str().into()));
        self.kept = kept.collect();
        self.epoch = Some(found.epoch).filter(|_| !found.is_rescued);
        self.is_new_afterwards(directory)?;
        Ok(found.is_rescued)
    }

    /// What was being committed is there, or it is not, but never half.
    fn settle(&mut self, found: &Found) -> Result<&'static str, String> {
        let Some(frames) = self.under_way.take() else { return Ok("nothing was under way") };
        let messages: Vec<_> = frames.iter().flat_map(|frame| &frame.messages).collect();
        let is_there = |n: &u64| found.rows.iter().any(|(there, ..)| there == n);
        match messages.iter().filter(|(n, ..)| is_there(n)).count() {
            0 => Ok("what was under way is not there"),
            all if all == messages.len() => {
                self.under_way = Some(frames);
                self.note(&Mark::Accepted);
                Ok("what was under way is there")
            }
            some => Err(format!("{some} of {} messages of one commit", messages.len())),
        }
    }

    /// A number that was seen is never given to another message.
    fn is_new_afterwards(&self, directory: &Path) -> Result<(), String> {
        let database = database(&directory.join(FILE), self.key.as_ref());
        let mut store =
            Store::open(database, &lykta::clock::Clock::system()).map_err(|e| e.to_string())?;
        let body = r#"{"n":0}"#.into();
        let next = Frame { device: 1, f_cnt: 0, messages: vec![(0, Class::Alarm, body)] };
        store.commit(&[next.entry()]).map_err(|e| e.to_string())?;
        drop(store);
        let rows = Found::read(directory, self.key.as_ref())?.rows;
        let (_, (_, sequence), _) = rows.iter().find(|(n, ..)| *n == 0).ok_or("no new message")?;
        let used = self.seen.values().map(|(_, sequence)| *sequence).max().unwrap_or(0);
        if *sequence > used {
            Ok(())
        } else {
            Err(format!("{sequence} is given again: the world has seen {used}"))
        }
    }
}

impl Found {
    fn read(directory: &Path, key: Option<&StoreKey>) -> Result<Self, String> {
        let database = database(&directory.join(FILE), key);
        let failed = |e: lykta::store::StoreError| format!("not readable: {e}");
        let mut store = Store::open(&database, &lykta::clock::Clock::system()).map_err(failed)?;
        let rescue = store.take_rescue();
        if let Some(rescue) = rescue.as_ref().filter(|rescue| !rescue.is_doubtful) {
            return Err(format!("a power cut is taken for damage: {}", rescue.reason));
        }
        let mut outbox = Outbox::open(&database).map_err(failed)?;
        let rows =
            outbox.next(Class::Diagnostic, &mut Cursor::default(), 1 << 30).map_err(failed)?;
        let sessions = store.memory().map_err(failed)?.sessions;
        let states = store.states(Room::Bins).map_err(failed)?;
        let epoch = outbox.epoch().to_owned();
        drop((store, outbox));
        let faults = Survey::open(&database).and_then(|mut survey| survey.faults(|_| {}));
        let faults = faults.map_err(failed)?;
        if !faults.is_empty() {
            return Err(format!("not sound: {faults:?}"));
        }
        let others = std::fs::read_dir(directory).map_err(|e| e.to_string())?.flatten();
        let names = others.map(|other| other.file_name().to_string_lossy().into_owned());
        let is_strange = |name: &String| {
            !name.starts_with("waste.") || name.contains("damaged") || name.contains("new")
        };
        let aside = names.filter(is_strange).max_by_key(|name| !name.contains("damaged"));
        if let Some(name) = aside.as_ref().filter(|name| !name.contains("damaged")) {
            return Err(format!("this is left: {name}"));
        }
        let state = |body: &str| -> u32 {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            body["fCnt"].as_u64().unwrap() as u32
        };
        Ok(Self {
            rows: rows
                .into_iter()
                .map(|row| (number(&row.body), (row.epoch, row.key.sequence()), row.body))
                .collect(),
            counters: sessions
                .into_iter()
                .filter_map(|((eui, _), session)| Some((eui.0, session.counter?.f_cnt_up)))
                .collect(),
            states: states
                .into_iter()
                .map(|(key, body)| (key.parse().unwrap(), state(&body)))
                .collect(),
            epoch,
            is_rescued: rescue.is_some(),
            aside,
        })
    }
}

/// Within a class they leave in the order in which they came.
fn in_order(rows: &[(u64, Id, String)]) -> Result<(), String> {
    let mut sorted: Vec<_> = rows.iter().map(|(n, (_, sequence), _)| (sequence, n)).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0].1 >= pair[1].1) {
        Some(pair) => Err(format!("message {} stands behind {}", pair[1].1, pair[0].1)),
        None => Ok(()),
    }
}
