//! Where log lines go: the journal with fields, or plain text on stderr.

use super::fold::{Fate, Folds, Said};
use crate::fault::Fault;
use crate::message::{self, Nature};
use log::kv::{Key, Source, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// Passes on what lykta says and nothing of what its libraries say: what matters to
/// operations is said in lykta's own words, once for each change, and a library's warning for
/// each refused message would be a storm.
struct Own {
    to: Box<dyn Log>,
    /// How much is said. Accounts are no matter of it.
    level: LevelFilter,
    folds: Mutex<Folds>,
}

impl Log for Own {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.level && is_own(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) && !is_account(record) {
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

    /// Tells all that was only counted.
    fn flush(&self) {
        let rest = self.folds().rest();
        self.say(rest);
        self.to.flush();
    }
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with(env!("CARGO_PKG_NAME"))
}

fn is_account(record: &Record<'_>) -> bool {
    let id = record.key_values().get(Key::from("MESSAGE_ID"));
    let nature = id.and_then(|id| id.to_borrowed_str().map(message::nature));
    is_own(record.metadata()) && nature == Some(Nature::Account)
}

impl Own {
    fn new(to: Box<dyn Log>, level: LevelFilter) -> Self {
        Self { to, level, folds: Mutex::default() }
    }

    /// Tells what was counted.
    fn say(&self, counted: Vec<Said>) {
        for Said { level, text, fields } in counted {
            let args = format_args!("{text}");
            let target = env!("CARGO_PKG_NAME");
            let mut record = Record::builder();
            let record = record.level(level).target(target).key_values(&fields);
            self.tell(&record.args(args).build());
        }
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

/// The environment variable that sets how much is said: `off`, `error`, `warn`, `info` (the
/// default), `debug` or `trace`. An account ([`Nature::Account`]) is said at each of them.
pub const LEVEL_VARIABLE: &str = "LYKTA_LOG";

/// Where this process tells what it tells.
#[must_use = "what was counted is told when somebody asks for it"]
pub struct Journal(Arc<Own>);

impl Journal {
    /// Tells what was counted for an hour by now.
    pub fn tell_due(&self) {
        let due = self.0.folds().due(Instant::now());
        self.0.say(due);
    }
}

impl Drop for Journal {
    /// Tells what was counted and would be told later.
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Starts logging. To the journal when stderr is connected to it, as under systemd; else as
/// text to stderr. To be called once, by the program's entry.
pub fn init() -> Journal {
    let to_journal = connected_to_journal();
    if to_journal {
        // what a panic says may be a piece of what was read
        std::panic::set_hook(Box::new(|panic| {
            let at =
                panic.location().map_or_else(|| "an unknown place".into(), |at| at.to_string());
            // past the logger, which may be where it happened
            let _ = writeln!(stderr(), "a bug in lykta: a panic at {at}; please report it");
        }));
    }
    start(to_journal)
}

/// The same for a command of which operations are to know: to the journal if there is one, whoever
/// reads its stderr.
pub fn init_beside() -> Journal {
    start(true)
}

fn start(to_journal: bool) -> Journal {
    let asked = std::env::var(LEVEL_VARIABLE).ok();
    let known = asked.as_deref().map_or(Ok(LevelFilter::Info), str::parse);
    let level = known.as_ref().map_or(LevelFilter::Info, |level| *level);
    let to: Box<dyn Log> = match to_journal.then(JournalLog::new) {
        Some(Ok(journal)) => Box::new(journal),
        _ => Box::new(text()),
    };
    let own = Arc::new(Own::new(to, level));
    if log::set_boxed_logger(Box::new(Arc::clone(&own))).is_ok() {
        // accounts are at the level `info`
        log::set_max_level(level.max(Level::Info.to_level_filter()));
    }
    if let (Some(asked), Err(_)) = (asked, known) {
        log::warn!(
            MESSAGE_ID = message::CONFIG_WARNING;
            "environment {LEVEL_VARIABLE}: \"{asked}\" is no level; off, error, warn, info, debug \
             and trace are; going on with info"
        );
    }
    Journal(own)
}

/// One line each: time, level, text. How much is said is no matter of it.
fn text() -> env_logger::Logger {
    env_logger::Builder::new()
        .filter_level(LevelFilter::Trace)
        .format(|out, record| {
            let style = out.default_level_style(record.level());
            let time = out.timestamp_seconds();
            writeln!(out, "{time} {style}{:5}{style:#} {}", record.level(), record.args())
        })
        .build()
}
