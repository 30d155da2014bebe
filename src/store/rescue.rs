//! What a damaged database still says, in a new one.
//!
//! The new file is made beside the damaged one, under a name of its own, and gets another when it is
//! whole and on disk. Only then is the damaged one set aside and the new one put in its place: a
//! power cut in between leaves either the damaged one, and all of this is done again, or the whole
//! new one.
//!
//! Rows are told by their shape: no two tables of any version have the same, and so not even the
//! first page is needed, which says where each table begins. A message keeps its place and the
//! epoch of its store, and so its id.

use super::copy::Counters;
use super::damaged::{self, with};
use super::pages::{Lost, Pages, Record};
use super::record::Value;
use super::rest::Rest;
use super::salvage::{ByClass, Message, Messages};
use super::{Class, Database, StoreError, copy, failed, memory, renewal, schema, untold};
use crate::lorawan::Memory;
use crate::units::count;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the new file is called while it is made, and when it is whole.
pub(super) const PART: &str = ".new.part";
pub(super) const NEW: &str = ".new";

/// How long measurements may take to be brought over, from when all else is there. What is more
/// important, and there is little of it, is not left behind.
const PATIENCE: Duration = Duration::from_secs(8);

/// No store has given out so many: a greater number is damaged.
pub(super) const LAST: i64 = 1 << 52;

/// What a store's numbers belong to, and the next that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) epoch: String,
    pub(super) next_sequence: u64,
}

/// What is known of a damaged database from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Which store it was.
    pub(super) identity: Option<Identity>,
    /// The sessions of its copy, as far as that can be read.
    pub(super) sessions: Option<Memory>,
    /// The counters of downlinks, of sessions that whoever asks goes on with.
    pub(super) counters: Counters,
    /// Whether the copy was kept up to the end, so that nothing but it is needed.
    pub(super) is_current: bool,
}

/// What became of a damaged database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescue {
    /// What was wrong with it.
    pub reason: String,
    /// Where it is now.
    pub aside: PathBuf,
    /// Whether it is there: of one that is gone, or was erased, nothing is.
    pub is_kept: bool,
    /// The messages that were saved, by class.
    pub saved: [u64; Class::ALL.len()],
    /// Messages that there was no time or no room for, by class. They are in the file that was set
    /// aside, and counted as given up.
    pub left: [u64; Class::ALL.len()],
    /// Devices whose sessions are known.
    pub sessions: u64,
    /// Whether those are all: the file, or its copy of them, could be read to its end.
    pub all_sessions: bool,
    /// Whether it is known how much could not be saved.
    pub all_counted: bool,
    /// Pages that cannot be read.
    pub lost_pages: u64,
    /// Rows of which a part cannot be read.
    pub lost_rows: u64,
    /// Whether perhaps nothing was wrong: a power cut may have left the same.
    pub is_doubtful: bool,
}

impl fmt::Display for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, lost_pages, lost_rows, .. } = self;
        let kept = match self.is_kept {
            true => format!("is kept as {}", self.aside.display()),
            false => "nothing of it is kept".to_owned(),
        };
        let was = match self.is_doubtful {
            true => "could not be told from a damaged one",
            false => "was damaged",
        };
        let missing = match self.all_sessions {
            true => "",
            false => {
                " (which may not be all: nor is there a second file of them; stop \
                      lykta and take over the last export: lykta store import; devices that join \
                      over the air come back by themselves in time)"
            }
        };
        write!(
            f,
            "{was} ({reason}) and {kept}; saved: {} ({}), the sessions of {}{missing}; not \
             saved: {}, {} torn, {} that cannot be read{}",
            count(self.saved.iter().sum(), "message"),
            count(self.saved[Class::Alarm as usize], "alarm"),
            count(self.sessions, "device"),
            count(self.left.iter().sum(), "message"),
            count(*lost_rows, "row"),
            count(*lost_pages, "page"),
            if self.all_counted { "" } else { "; how many messages were in them is not known" },
        )
    }
}

/// Finishes what a power cut has interrupted. Whether there is a database now.
pub(super) fn resume(
    database: &Database,
    now: Timestamp,
    at_work: &dyn Fn(),
) -> std::io::Result<bool> {
    let file = database.file();
    let new = with(file, NEW);
    damaged::remove(&with(file, PART))?;
    let exists = file.try_exists()?;
    if exists {
        // it is made again of what is still in its place
        damaged::remove(&new)?;
    } else if new.try_exists()? {
        if with(file, "-wal").try_exists()? {
            damaged::set_aside(file, now)?;
        }
        std::fs::rename(&new, file)?;
        damaged::sync_directory(file)?;
    }
    // before what is set aside goes: there is nobody else who knows of it
    untold::settle(file)?;
    let exists = exists || file.try_exists()?;
    if exists {
        renewal::sweep(database, at_work)?;
    }
    Ok(exists)
}

/// Makes a new database of what a damaged one and its copy still say, and puts it in its place.
/// Nothing has to be added to it afterwards: a power cut may come as soon as it is there. Meanwhile
/// `at_work` is called again and again: it takes its time on a slow card. Where perhaps nothing is
/// wrong, nothing is left behind, however long that takes.
pub(super) fn rescue(
    database: &Database,
    reason: &str,
    known: Elsewhere,
    now: Timestamp,
    is_doubtful: bool,
    at_work: &dyn Fn(),
) -> Result<Rescue, StoreError> {
    let file = database.file();
    let io = |source| StoreError::SetAside { file: file.to_owned(), source };
    let pages = Pages::open(database).map_err(io)?;
    let (part, new) = (with(file, PART), with(file, NEW));
    damaged::remove(&part).map_err(io)?;
    damaged::remove(&new).map_err(io)?;
    damaged::tidy(file, None);
    let patience = (!is_doubtful).then_some(PATIENCE);
    let Brought { saved, left, lost, sessions, all_sessions } =
        bring_over(&pages, &database.at(&part), known, patience, at_work).inspect_err(|_| {
            // the card may be full, and half a file is of no use
            let _ = damaged::remove(&part);
        })?;
    for suffix in damaged::COMPANIONS {
        // everything is in the file itself
        let _ = std::fs::remove_file(with(&part, suffix));
    }
    File::open(&part).and_then(|part| part.sync_all()).map_err(io)?;
    std::fs::rename(&part, &new).map_err(io)?;
    damaged::sync_directory(file).map_err(io)?;
    let aside = damaged::name_aside(file, now);
    let rescue = Rescue {
        reason: reason.to_owned(),
        aside: aside.clone(),
        is_kept: damaged::is_there(file),
        saved,
        left,
        sessions,
        all_sessions,
        all_counted: pages.is_certain() && lost.pages == 0,
        lost_pages: lost.pages,
        lost_rows: lost.rows,
        is_doubtful,
    };
    // without a note it is told all the same, unless something comes in between
    let _ = untold::note(file, &rescue);
    damaged::rename(file, &aside).map_err(io)?;
    std::fs::rename(&new, file).map_err(io)?;
    damaged::sync_directory(file).map_err(io)?;
    let _ = untold::settle(file);
    damaged::tidy(file, Some(&aside));
    Ok(rescue)
}

/// What became of the rows of a damaged database.
#[derive(Debug)]
pub(super) struct Brought {
    saved: ByClass,
    left: ByClass,
    pub(super) lost: Lost,
    sessions: u64,
    all_sessions: bool,
}

pub(super) fn bring_over(
    pages: &Pages,
    new: &Database,
    known: Elsewhere,
    patience: Option<Duration>,
    at_work: &dyn Fn(),
) -> Result<Brought, StoreError> {
    let sqlite = |error| failed(new.file(), error);
    let db = schema::open(new)?;
    let has_copy = known.is_current && known.sessions.is_some();
    let identity = identity(pages, known.identity);
    let mut outbox = Messages::new(&db, identity.as_ref()).map_err(sqlite)?;
    let mut rest = Rest::default();
    let mut trouble = None;
    let mut lost = pages.visit(|(row, values)| {
        at_work();
        match Message::of(row, &values) {
            Some(message) => trouble = outbox.meet(&message).err(),
            None => rest.take(row, values),
        }
        trouble.is_none()
    });
    pages.visit_before(|(row, values)| {
        if let Some(message) = Message::of(row, &values)
            && trouble.is_none()
        {
            trouble = outbox.meet(&message).err();
        }
        trouble.is_none()
    });
    if let Some(error) = trouble {
        return Err(sqlite(error));
    }
    outbox.last_boot = rest.last_boot();
    let sessions = pages.is_certain() || !has_copy;
    rest.write(&db, sessions, pages.is_certain()).map_err(sqlite)?;
    let found = memory::read(&db).map_err(sqlite)?;
    let missing = copy::missing(&found, &known.sessions.unwrap_or_default(), Some(&known.counters));
    memory::restore(&db, &missing, 0).map_err(sqlite)?;
    outbox.begin_others().map_err(sqlite)?;
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut others = |(row, values): Record| {
        at_work();
        match Message::of(row, &values) {
            Some(message) if message.class >= Class::Measurement => {
                deadline.is_none_or(|at| Instant::now() < at) && outbox.put(&message).is_ok()
            }
            _ => true,
        }
    };
    pages.visit(&mut others);
    pages.visit_before(&mut others);
    lost.rows += outbox.refused;
    let (saved, left) = outbox.finish().map_err(sqlite)?;
    let known = memory::read(&db).map_err(sqlite)?.sessions;
    let devices: BTreeSet<_> = known.keys().map(|(dev_eui, _)| *dev_eui).collect();
    let all_sessions = has_copy || (pages.is_certain() && lost == Lost::default());
    Ok(Brought { saved, left, lost, sessions: devices.len() as u64, all_sessions })
}

/// Which store it was.
pub(super) fn identity(pages: &Pages, known: Option<Identity>) -> Option<Identity> {
    let mut found = None;
    pages.visit(|(row, values)| {
        if let (Some(0), [Value::Null, Value::Text(epoch), Value::Integer(next), ..]) =
            (row, &values[..])
            && (3..=4).contains(&values.len())
            && epoch.len() <= 64
            && epoch.chars().all(|c| c.is_ascii_alphanumeric())
            && (1..LAST).contains(next)
        {
            found = Some(Identity { epoch: epoch.clone(), next_sequence: *next as u64 });
        }
        found.is_none()
    });
    match (found, known) {
        (Some(found), Some(known)) if found.epoch == known.epoch => {
            let next_sequence = found.next_sequence.max(known.next_sequence);
            Some(Identity { next_sequence, ..found })
        }
        (found, known) => found.or(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Moment};
    use crate::store::{Entry, Store};
    use crate::units::DevEui;

    #[test]
    fn what_there_is_no_time_for_is_counted_exactly() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        let message = |n: u64| crate::store::Message {
            class: Class::ALL[(n % 5) as usize],
            at: Moment { wall: Timestamp::now(), ..Clock::system().now() },
            topic: "t".into(),
            body: format!("{{\"n\":{n}}}"),
        };
        let entry = Entry::of(DevEui(1), (0..5000).map(message).collect());
        store.commit(&[entry]).expect("commits");
        let pages = Pages::open(&(&file).into()).expect("opens");
        for (patience, kept) in [(Some(Duration::ZERO), 0), (None, 1000)] {
            let new = dir.path().join(format!("{kept}.db"));
            let Brought { saved, left, .. } =
                bring_over(&pages, &(&new).into(), Elsewhere::default(), patience, &|| {})
                    .expect("works");
            let gone = 1000 - kept;
            assert_eq!((saved, left), ([1000, 1000, 1000, kept, kept], [0, 0, 0, gone, gone]));
            let store = Store::open(&new, &Clock::system()).expect("opens");
            assert_eq!(store.shed_so_far().expect("reads"), left);
        }
    }
}
