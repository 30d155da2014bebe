//! What the forwarder tells operations, with its fields.

use log::kv::{Error, Key, Value, VisitSource};
use std::collections::HashMap;
use std::sync::{Mutex, Once};

/// The fields of one entry; the text is under `MESSAGE`, how bad it is under `LEVEL`.
pub type Entry = HashMap<String, String>;

struct Journal(Mutex<Vec<Entry>>);

static JOURNAL: Journal = Journal(Mutex::new(Vec::new()));

struct Fields<'a>(&'a mut Entry);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.insert(key.to_string(), value.to_string());
        Ok(())
    }
}

impl log::Log for Journal {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("lykta")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut entry = Entry::from([
                ("MESSAGE".into(), record.args().to_string()),
                ("LEVEL".into(), record.level().to_string()),
            ]);
            record.key_values().visit(&mut Fields(&mut entry)).unwrap();
            self.0.lock().unwrap().push(entry);
        }
    }

    fn flush(&self) {}
}

/// Begins to write down what is said.
pub fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&JOURNAL).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// What was said of this tenant under this message id.
pub fn of(tenant: &str, message_id: &str) -> Vec<Entry> {
    let all = JOURNAL.0.lock().unwrap();
    let has = |entry: &Entry, key: &str, value| entry.get(key).is_some_and(|v| v == value);
    all.iter()
        .filter(|e| has(e, "LYKTA_TENANT", tenant) && has(e, "MESSAGE_ID", message_id))
        .cloned()
        .collect()
}
