//! What a power cut has left of the tenant `waste`, whose sensors count their frames from 1.

use super::{PATIENCE, Subscriber, holds_within};
use lykta::clock::Clock;
use lykta::store::{Class, Cursor, Outbox, Store};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A message by its topic below the tenant's and its frame, with its id.
pub type Messages = HashMap<(String, u64), String>;

/// The messages of devices that have come to the cloud, each once, in their order.
pub fn delivered(cloud: &Subscriber) -> Vec<((String, u64), String)> {
    let (mut messages, mut ids) = (Vec::new(), HashSet::new());
    cloud.for_each(|message| {
        if message.topic.contains("/device/") {
            let id = message.body["id"].as_str().unwrap().to_owned();
            let (_, topic) = message.topic.split_once("/waste/").unwrap();
            if ids.insert(id.clone()) {
                messages.push(((topic.to_owned(), message.body["fCnt"].as_u64().unwrap()), id));
            }
        }
    });
    messages
}

/// What is on a disk.
pub struct Left {
    /// By DevEUI.
    counters: HashMap<u64, u64>,
    pub waiting: Messages,
}

impl Left {
    /// Reads this state directory; says what is wrong with it when it is not sound.
    pub fn read(state: &Path) -> Result<Self, String> {
        let file = state.join("waste.db");
        let sound: String = rusqlite::Connection::open(&file)
            .and_then(|db| db.pragma_query_value(None, "integrity_check", |row| row.get(0)))
            .map_err(|e| e.to_string())?;
        if sound != "ok" {
            return Err(sound);
        }
        let mut store = Store::open(&file, &Clock::system()).map_err(|e| e.to_string())?;
        // one that is in doubt has every message and every id
        if let Some(rescue) = store.take_rescue().filter(|rescue| !rescue.is_doubtful) {
            return Err(rescue.to_string());
        }
        let mut outbox = Outbox::open(&file).map_err(|e| e.to_string())?;
        let all = outbox.next(Class::Diagnostic, &mut Cursor::default(), 1 << 30);
        let all = all.map_err(|e| e.to_string())?.into_iter();
        let waiting = all.filter(|row| row.topic.starts_with("device/")).map(|row| {
            let body: Value = serde_json::from_str(&row.body).unwrap();
            let id = format!("{}-{}", outbox.epoch(), row.key.sequence());
            ((row.topic, body["fCnt"].as_u64().unwrap()), id)
        });
        let counter = |session: lykta::lorawan::Session| session.counter.unwrap().f_cnt_up.into();
        let sessions = store.memory().map_err(|e| e.to_string())?.sessions.into_iter();
        Ok(Self {
            waiting: waiting.collect(),
            counters: sessions.map(|((eui, _), session)| (eui.0, counter(session))).collect(),
        })
    }

    /// How many frames it has accepted.
    pub fn accepted(&self) -> u64 {
        self.counters.values().sum()
    }

    /// Says what is missing when so many frames were accepted by then, and these messages
    /// delivered. What does not wait any more must be in the cloud, or come there in a moment.
    pub fn keeps(&self, promised: u64, known: &Messages, cloud: &Subscriber) -> Result<(), String> {
        let mut kept = Ok(());
        holds_within(PATIENCE, || {
            kept = self.keeps_now(promised, known, &delivered(cloud).into_iter().collect());
            kept.is_ok()
        });
        kept
    }

    fn keeps_now(
        &self,
        promised: u64,
        delivered: &Messages,
        cloud: &Messages,
    ) -> Result<(), String> {
        let there = self.accepted();
        if there < promised {
            return Err(format!("{promised} were accepted, {there} are on the disk"));
        }
        // neither counter without message nor message without counter
        let mut due = HashSet::new();
        for (eui, counter) in &self.counters {
            for f_cnt in 1..=*counter {
                for leaf in ["event/up", "readings"] {
                    due.insert((format!("device/{eui:016x}/{leaf}"), f_cnt));
                }
            }
        }
        for (known, what) in [(&self.waiting, "waits"), (delivered, "was delivered")] {
            if let Some(ahead) = known.keys().find(|message| !due.contains(message)) {
                return Err(format!("{ahead:?} {what}, and its frame is not on the disk"));
            }
        }
        let known = |m: &&(String, u64)| self.waiting.contains_key(*m) || cloud.contains_key(*m);
        if let Some(lost) = due.iter().find(|message| !known(message)) {
            return Err(format!("{lost:?} does not wait, and is not in the cloud"));
        }
        match self.waiting.iter().find(|(m, id)| cloud.get(*m).is_some_and(|c| c != *id)) {
            Some((renamed, id)) => Err(format!("{renamed:?}, {id}, has another id in the cloud")),
            None => Ok(()),
        }
    }
}
