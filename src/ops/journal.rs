//! Where log lines go: the journal with fields, or plain text on stderr.

use super::fold::{Fate, Folds, Said};
use crate::fault::Fault;
use crate::message;
use log::kv::{Key, Source, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Passes on what lykta says and nothing of what its libraries say: what matters to
/// operations is said in lykta's own words, once for each change, and a library's warning for
/// each refused message would be a storm.
struct Own<L> {
    to: L,
    folds: Mutex<Folds>,
}

impl<L: Log> Log for Own<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_PKG_NAME")) && self.to.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match self.folds().note(record, Instant::now()) {
            Fate::Told => self.tell(record),
            Fate::Last => {
                let text = record.args();
                let args = format_args!("{text} (if it comes again within the hour it is counted)");
                self.tell(&record.to_builder().args(args).build());
            }
            Fate::Counted => {}
        }
    }

    /// Tells what was counted, if it is time.
    fn flush(&self) {
        let due = self.folds().due(Instant::now());
        for Said { level, text, fields } in due {
            let args = format_args!("{text}");
            let target = env!("CARGO_PKG_NAME");
            let mut record = Record::builder();
            let record = record.level(level).target(target).key_values(&fields);
            self.tell(&record.args(args).build());
        }
        self.to.flush();
    }
}

impl<L: Log> Own<L> {
    fn new(to: L) -> Self {
        Self { to, folds: Mutex::default() }
    }

    fn folds(&self) -> MutexGuard<'_, Folds> {
        self.folds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With the name of the fault that it tells of.
    fn tell(&self, record: &Record<'_>) {
        let fields = record.key_values();
        let id = fields.get(Key::from("MESSAGE_ID"));
        let fault = id.and_then(|id| id.to_borrowed_str().and_then(Fault::told_by));
        match fault {
            Some(fault) => {
                let fields = WithFault { fields, fault };
                self.to.log(&record.to_builder().key_values(&fields).build());
            }
            None => self.to.log(record),
        }
    }
}

/// The fields of a message that tells of a fault, and the fault's name.
struct WithFault<'a> {
    fields: &'a dyn Source,
    fault: Fault,
}

impl Source for WithFault<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), log::kv::Error> {
        self.fields.visit(visitor)?;
        visitor.visit_pair(Key::from("LYKTA_FAULT"), Value::from(self.fault.code()))
    }
}

/// The environment variable that sets how much is said: `error`, `warn`, `info` (the
/// default), `debug` or `trace`.
pub const LEVEL_VARIABLE: &str = "LYKTA_LOG";

/// Starts logging. To the journal when stderr is connected to it, as under systemd; else as
/// text to stderr. To be called once, by the program's entry.
pub fn init() {
    start(connected_to_journal());
}

/// The same for a command of which operations are to know: to the journal if there is one, whoever
/// reads its stderr.
pub fn init_beside() {
    start(true);
}

fn start(to_journal: bool) {
    let asked = std::env::var(LEVEL_VARIABLE).ok();
    let known = asked.as_deref().map_or(Ok(LevelFilter::Info), str::parse);
    let level = known.as_ref().map_or(LevelFilter::Info, |level| *level);
    let logger: Box<dyn Log> = match to_journal.then(JournalLog::new) {
        Some(Ok(journal)) => Box::new(Own::new(journal)),
        _ => Box::new(Own::new(text(level))),
    };
    if log::set_boxed_logger(logger).is_ok() {
        log::set_max_level(level);
    }
    if let (Some(asked), Err(_)) = (asked, known) {
        log::warn!(
            MESSAGE_ID = message::CONFIG_WARNING;
            "environment {LEVEL_VARIABLE}: \"{asked}\" is no level; off, error, warn, info, debug \
             and trace are; going on with info"
        );
    }
}

/// One line each: time, level, text, and the fields but those for the journal's machinery.
fn text(level: LevelFilter) -> env_logger::Logger {
    use std::io::Write;
    env_logger::Builder::new()
        .filter_level(level)
        .format(|out, record| {
            let style = out.default_level_style(record.level());
            let time = out.timestamp_seconds();
            writeln!(out, "{time} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .build()
}
