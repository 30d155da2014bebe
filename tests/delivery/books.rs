//! What came, against what must have come.

use crate::support::{Received, Subscriber};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

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
    /// came in the order of its frames, with none missing; after each outage the more important
    /// came first; and the README's consumer takes each once.
    pub(crate) fn check(cloud: &Subscriber) -> Self {
        let mut first = HashMap::new();
        let mut last: HashMap<String, u64> = HashMap::new();
        let mut duplicates = 0;
        let (mut order, consumer) = (Order::default(), Consumer::new());
        cloud.for_each(|message| {
            order.note(&message);
            let Some(id) = message.body["id"].as_str().map(str::to_owned) else { return };
            let is_new = consumer.takes(&id);
            if !message.topic.contains("/device/") {
                return;
            }
            let f_cnt = message.body["fCnt"].as_u64();
            let content = content(&message);
            if let Some(first) = first.get(&id) {
                assert_eq!(first, &content, "one id, two messages: {id} on {}", message.topic);
                assert!(!is_new, "{id} is taken twice");
                duplicates += 1;
                return;
            }
            assert!(is_new, "{id} is not taken");
            first.insert(id, content);
            if let Some(f_cnt) = f_cnt {
                let before = last.insert(message.topic.clone(), f_cnt).unwrap_or(0);
                assert_eq!(f_cnt, before + 1, "{}: in order, none missing", message.topic);
            }
        });
        Self { different: first.len(), duplicates, overtaking: order.overtaking }
    }
}

/// How a message went out may differ between two copies of it, what it says may not.
fn content(message: &Received) -> u64 {
    let mut body = message.body.clone();
    let fields = body.as_object_mut().unwrap();
    fields.remove("sentAt");
    fields.remove("late");
    let mut hasher = DefaultHasher::new();
    (&message.topic, body.to_string()).hash(&mut hasher);
    hasher.finish()
}

/// Of what waited as a connection came up, alarms and events leave before measurements.
#[derive(Default)]
struct Order {
    measured: Option<String>,
    /// How many there were that could have come too late.
    overtaking: usize,
}

impl Order {
    fn note(&mut self, message: &Received) {
        if message.retained {
            return;
        }
        if message.topic.ends_with("/state") && message.body["state"] == "online" {
            // a connection begins
            self.measured = None;
        }
        if message.body["late"] != true {
            return;
        }
        match message.body["class"].as_str() {
            Some("alarm" | "event") if !message.topic.contains("/latest/") => {
                assert_eq!(self.measured, None, "{} came after a measurement", message.topic);
                self.overtaking += 1;
            }
            Some("measurement") => self.measured = Some(message.topic.clone()),
            _ => {}
        }
    }
}

/// The one of the README.
struct Consumer {
    db: rusqlite::Connection,
    insert: String,
    is_new: String,
}

impl Consumer {
    fn new() -> Self {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once("```sql\n").expect("the README has it");
        let (sql, _) = rest.split_once("```").unwrap();
        let statements: Vec<_> = sql.lines().collect();
        let [create, insert, is_new] = statements[..] else { panic!("three lines: {sql}") };
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(create).unwrap();
        Self { db, insert: insert.to_owned(), is_new: is_new.to_owned() }
    }

    /// Whether a message with this id is new to it.
    fn takes(&self, id: &str) -> bool {
        let mut insert = self.db.prepare_cached(&self.insert).unwrap();
        insert.execute([(":id", id)].as_slice()).unwrap();
        let mut is_new = self.db.prepare_cached(&self.is_new).unwrap();
        is_new.query_row([], |row| row.get::<_, u32>(0)).unwrap() == 1
    }
}
