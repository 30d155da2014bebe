//! What came, against what must have come.

use crate::support::{Received, Subscriber};
use serde_json::Value;
use std::collections::HashMap;

/// What was found in the books.
pub(crate) struct Books {
    /// How many messages of devices there are that are different.
    pub(crate) different: usize,
    /// How many came more than once, each time.
    pub(crate) duplicates: usize,
    /// How many alarms and events had waited, and left before all measurements that had.
    pub(crate) overtaking: usize,
}

impl Books {
    /// All messages that came are what they were the first time; those of one device on one topic
    /// came in the order of its frames, with none missing; and after each outage the more
    /// important came first.
    pub(crate) fn check(cloud: &Subscriber) -> Self {
        let received = cloud.received();
        let mut first = HashMap::new();
        let mut last: HashMap<String, u64> = HashMap::new();
        let (mut different, mut duplicates) = (0, 0);
        for message in received.iter().filter(|message| message.topic.contains("/device/")) {
            let id = message.body["id"].as_str().unwrap();
            if let Some(first) = first.get(id) {
                assert_eq!(first, &content(message), "one id, two messages");
                duplicates += 1;
                continue;
            }
            first.insert(id, content(message));
            different += 1;
            if let Some(f_cnt) = message.body["fCnt"].as_u64() {
                let before = last.insert(message.topic.clone(), f_cnt).unwrap_or(0);
                assert_eq!(f_cnt, before + 1, "{}: in order, none missing", message.topic);
            }
        }
        consumed(&received);
        Self { different, duplicates, overtaking: important_first(&received) }
    }
}

/// How a message went out may differ between two copies of it, what it says may not.
fn content(message: &Received) -> (String, Value) {
    let mut body = message.body.clone();
    let fields = body.as_object_mut().unwrap();
    fields.remove("sentAt");
    fields.remove("late");
    (message.topic.clone(), body)
}

/// Of what waited as a connection came up, alarms and events leave before measurements. How many
/// of them there were.
fn important_first(received: &[Received]) -> usize {
    let mut measured = None;
    let mut overtaking = 0;
    for message in received {
        if message.topic.ends_with("/state") && message.body["state"] == "online" {
            // a connection begins
            measured = None;
        }
        if message.body["late"] != true || message.retained {
            continue;
        }
        match message.body["class"].as_str() {
            Some("alarm" | "event") => {
                assert_eq!(measured, None, "{} came after a measurement", message.topic);
                overtaking += 1;
            }
            Some("measurement") => measured = Some(&message.topic),
            _ => {}
        }
    }
    overtaking
}

/// The consumer of the README takes each message once.
fn consumed(received: &[Received]) {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```sql\n").expect("the README has it");
    let (sql, _) = rest.split_once("```").unwrap();
    let statements: Vec<_> = sql.lines().collect();
    let [create, insert, is_new] = statements[..] else { panic!("three lines: {sql}") };
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch(create).unwrap();
    let mut insert = db.prepare(insert).unwrap();
    let mut is_new = db.prepare(is_new).unwrap();
    let ids = received.iter().filter_map(|message| message.body["id"].as_str());
    let mut taken = HashMap::<_, u32>::new();
    for id in ids {
        insert.execute([(":id", id)].as_slice()).unwrap();
        let new: u32 = is_new.query_row([], |row| row.get(0)).unwrap();
        *taken.entry(id).or_default() += new;
    }
    let wrong = taken.iter().find(|(_, times)| **times != 1);
    assert_eq!(wrong, None, "taken so many times");
}
