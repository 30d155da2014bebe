//! What the radios tell operations.

use log::kv::Key;
use std::sync::{Mutex, Once};

struct Journal(Mutex<Vec<Entry>>);

/// One entry: its level, its text, and of which radio it speaks.
#[derive(Debug, Clone)]
struct Entry {
    radio: Option<String>,
    line: String,
}

static JOURNAL: Journal = Journal(Mutex::new(Vec::new()));

impl log::Log for Journal {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("lykta")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let radio = record.key_values().get(Key::from("LYKTA_RADIO"));
            let entry = Entry {
                radio: radio.map(|name| name.to_string()),
                line: format!("{} {}", record.level(), record.args()),
            };
            self.0.lock().unwrap().push(entry);
        }
    }

    fn flush(&self) {}
}

/// Begins to write down what is said.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&JOURNAL).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// What was said of this radio.
pub(crate) fn of(radio: &str) -> Vec<String> {
    let all = JOURNAL.0.lock().unwrap();
    all.iter().filter(|e| e.radio.as_deref() == Some(radio)).map(|e| e.line.clone()).collect()
}

/// What was said that begins like this, with its level.
pub(crate) fn beginning(text: &str) -> Vec<String> {
    let all = JOURNAL.0.lock().unwrap();
    let says = |entry: &&Entry| entry.line.split_once(' ').is_some_and(|l| l.1.starts_with(text));
    all.iter().filter(says).map(|e| e.line.clone()).collect()
}
