//! The writing view as a start finds it: under its key, mended, and with both files of one mind.

use super::condition::Condition;
use super::copy::{self, Copy, Counters};
use super::failure::{StoreError, failed};
use super::opened::{Opened, is_as_left};
use super::rescue::{self, Elsewhere};
use super::{Database, Outbox, Store, memory, renewal, untold};
use crate::clock::Clock;
use crate::lorawan::Memory;
use rusqlite::TransactionBehavior;
use std::sync::Arc;
use std::time::Duration;

impl Store {
    /// Opens a tenant's database, or makes a new one. What it knows of the time is told to the
    /// clock. A damaged one is set aside, and what can be read of it goes on in a new one: see
    /// [`Store::take_rescue`].
    ///
    /// # Errors
    /// When the file cannot be opened or made, is of a newer version, or under another key.
    pub fn open(database: impl Into<Database>, clock: &Clock) -> Result<Self, StoreError> {
        Self::open_both(database, clock).map(|(store, _)| store)
    }

    /// Opens both views of a tenant's database.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_both(
        database: impl Into<Database>,
        clock: &Clock,
    ) -> Result<(Self, Outbox), StoreError> {
        Self::open_telling(database, clock, &|| {})
    }

    /// Opens both views of a tenant's database. While a damaged one is replaced, or one is brought
    /// under another key, which may take minutes, `at_work` is called again and again.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_telling(
        database: impl Into<Database>,
        clock: &Clock,
        at_work: &dyn Fn(),
    ) -> Result<(Self, Outbox), StoreError> {
        let database = database.into();
        let found = database.found()?;
        if !database.differs(&found) {
            return Self::open_found(&database, clock, at_work);
        }
        // whatever is wrong with it is mended first, in its own terms
        let (mut store, outbox) = Self::open_found(&found, clock, at_work)?;
        let mut rescue = store.take_rescue();
        drop((store, outbox));
        renewal::renew(&found, &database, at_work)?;
        // what was set aside could be read with the former key, or without any
        rescue.iter_mut().for_each(|rescue| rescue.is_kept = false);
        let (mut store, outbox) = Self::open_found(&database, clock, at_work)?;
        store.rescue = store.rescue.take().or(rescue);
        store.is_renewed = true;
        Ok((store, outbox))
    }

    fn open_found(
        database: &Database,
        clock: &Clock,
        at_work: &dyn Fn(),
    ) -> Result<(Self, Outbox), StoreError> {
        let file = database.file();
        let now = clock.now();
        let io = |source| StoreError::SetAside { file: file.to_owned(), source };
        let exists = rescue::resume(database, now.wall, at_work).map_err(io)?;
        let copy = Copy::open(&database.copy(), now.monotonic);
        let copied = copy.as_ref().is_ok();
        let copy = copy.ok();
        let known = copy.as_ref().and_then(Copy::identity);
        let elsewhere = || Elsewhere {
            identity: known.clone(),
            sessions: copy.as_ref().and_then(|copy| copy.memory().ok()),
            counters: Counters::new(),
            is_current: known.is_some(),
        };
        let rescue = |reason: &StoreError| {
            let is_doubtful = matches!(reason, StoreError::Gap { .. });
            rescue::rescue(
                database,
                &reason.to_string(),
                elsewhere(),
                now.wall,
                is_doubtful,
                at_work,
            )
        };
        let opened = match is_as_left(database, exists, known.is_some()) {
            Ok(()) => Opened::new(database),
            Err(gone) => Err(gone),
        };
        let (opened, rescue) = match opened {
            Ok(opened) => (opened, None),
            // one that a newer version had opened would have a newer copy, too
            Err(StoreError::Schema { .. }) if copied && known.is_some() => {
                let what = "its version is damaged";
                let reason = StoreError::Gone { file: file.to_owned(), what };
                let rescue = rescue(&reason)?;
                (Opened::new(database)?, Some(rescue))
            }
            Err(
                reason @ (StoreError::Damaged { .. }
                | StoreError::Gone { .. }
                | StoreError::Gap { .. }),
            ) => {
                let rescue = rescue(&reason)?;
                (Opened::new(database)?, Some(rescue))
            }
            Err(error) => return Err(error),
        };
        let condition = Arc::<Condition>::default();
        let Opened { db, known: own, seen, recent, counters, outbox } = opened;
        if let Some(seen) = seen {
            clock.raise_floor(seen);
        }
        // a log that was cut off takes the newest reserve with it, and no number comes twice
        let copied =
            known.filter(|known| known.epoch == own.epoch).map(|known| known.next_sequence);
        let next_sequence = own.next_sequence.max(copied.unwrap_or(1)).max(outbox.1 + 1);
        let mut store = Self {
            db,
            database: database.clone(),
            clock: clock.clone(),
            epoch: own.epoch,
            next_sequence,
            reserved: own.next_sequence,
            recent,
            boot: None,
            same_since: Duration::ZERO,
            note_at: Duration::ZERO,
            counters,
            copy,
            copy_at: Duration::ZERO,
            condition: Arc::clone(&condition),
            replaced: None,
            rescue: None,
            is_renewed: false,
            shedding: None,
            age_at: Duration::ZERO,
            again: None,
        };
        store.reconcile()?;
        store.rescue = rescue.or_else(|| untold::read(file));
        // numbers to go on with, should the disk take nothing from now on; if it already does not,
        // the first commit says so
        let _ = store.write(&[]);
        Ok((store, outbox.0.tied_to(condition)))
    }

    /// Brings what only the copy knows back into the first file, and the copy up to date.
    fn reconcile(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now().monotonic;
        let Some(copy) = &mut self.copy else { return Ok(()) };
        let failed = |e| failed(self.database.file(), e);
        // a copy that cannot be read is none
        let theirs = copy.memory().unwrap_or_default();
        let mine = memory::read(&self.db).map_err(failed)?;
        let missing = copy::missing(&mine, &theirs, None);
        if missing != Memory::default() {
            let mut restore = || {
                let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let recent = memory::restore(&tx, &missing, self.recent)?;
                tx.commit()?;
                Ok(recent)
            };
            self.recent = restore().map_err(failed)?;
            self.counters.extend(missing.sessions.iter().map(|(key, s)| (*key, s.f_cnt_down)));
        }
        self.refresh_copy(now);
        Ok(())
    }
}
