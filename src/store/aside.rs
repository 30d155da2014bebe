//! What the broker does not take: out of the way of all else, and kept.

use super::outbox::{COLUMNS, row};
use super::{Class, Key, Outbox, Row, StoreError};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// So many messages may be set aside. Beyond them one stays in the outbox, where what bounds the
/// outbox bounds them too; but for an alarm there is as much room again.
const MOST: i64 = 1000;

/// A message to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcast {
    /// Which one.
    pub key: Key,
    /// Why, in words.
    pub reason: String,
    /// How often it was offered.
    pub tries: u32,
}

impl Outbox {
    /// Sets messages aside, as far as there is room; those that were.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is set aside then.
    pub fn set_aside(&mut self, outcasts: &[Outcast]) -> Result<Vec<Key>, StoreError> {
        self.follow()?;
        let mut set_aside = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut moved = Vec::new();
            let mut count = count(&tx)?;
            for Outcast { key, reason, tries } in outcasts {
                let alarm = key.class() == Some(Class::Alarm);
                if count >= if alarm { 2 * MOST } else { MOST } {
                    continue;
                }
                let copied = tx
                    .prepare_cached(&format!(
                        "INSERT INTO aside ({COLUMNS}, reason, tries)
                         SELECT {COLUMNS}, ?2, ?3 FROM outbox WHERE key = ?1"
                    ))?
                    .execute(params![key.0, reason, tries])?;
                if copied == 0 {
                    continue; // it is not in the outbox any more
                }
                tx.prepare_cached("DELETE FROM outbox WHERE key = ?1")?.execute([key.0])?;
                count += 1;
                moved.push(*key);
            }
            tx.commit()?;
            Ok(moved)
        };
        let moved = set_aside();
        self.told(moved)
    }

    /// How many messages are set aside.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_aside(&self) -> Result<u64, StoreError> {
        self.told(count(&self.db).map(|n| n as u64))
    }

    /// What is set aside, none less important than `least`: what was offered least often first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn aside(&self, least: Class) -> Result<Vec<Key>, StoreError> {
        let (_, end) = least.keys();
        let read = || -> rusqlite::Result<Vec<Key>> {
            let mut query = self
                .db
                .prepare_cached("SELECT key FROM aside WHERE key < ?1 ORDER BY tries, key")?;
            let keys = query.query_map([end], |row| row.get(0).map(Key))?;
            keys.collect()
        };
        self.told(read())
    }

    /// A message that is set aside. `None` when it is not there any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn row_aside(&mut self, key: Key) -> Result<Option<Row>, StoreError> {
        self.follow()?;
        let Self { db, past, .. } = self;
        past.fresh = false;
        let mut read = || {
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM aside WHERE key = ?1"))?
                .query_row([key.0], |found| row(db, past, found))
                .optional()
        };
        let found = read();
        self.told(found)
    }

    /// Notes that such a message is offered once more. Before it is done: it may be the end of the
    /// connection.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn offer_aside(&mut self, key: Key) -> Result<(), StoreError> {
        self.follow()?;
        let counted = self.db.execute("UPDATE aside SET tries = tries + 1 WHERE key = ?1", [key.0]);
        self.told(counted.map(drop))
    }

    /// Removes a message that was set aside and that the broker has acknowledged, and puts back
    /// into the outbox what was set aside for the same reason: so many.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is changed then.
    pub fn remove_aside(&mut self, key: Key) -> Result<u64, StoreError> {
        self.follow()?;
        let mut remove = || {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let remove = "DELETE FROM aside WHERE key = ?1 RETURNING reason";
            let reason: Option<String> =
                tx.query_row(remove, [key.0], |row| row.get(0)).optional()?;
            let back = tx.execute(
                &format!(
                    "INSERT INTO outbox ({COLUMNS}) SELECT {COLUMNS} FROM aside WHERE reason = ?1"
                ),
                [&reason],
            )?;
            tx.execute("DELETE FROM aside WHERE reason = ?1", [&reason])?;
            tx.commit()?;
            Ok(back as u64)
        };
        let removed = remove();
        self.told(removed)
    }

    /// The topic of a message that waits, below the tenant's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn topic(&self, key: Key) -> Result<Option<String>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached("SELECT topic FROM outbox WHERE key = ?1")?;
            query.query_row([key.0], |row| row.get(0)).optional()
        };
        self.told(read())
    }
}

fn count(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT count(*) FROM aside", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ClockQuality, Moment};
    use crate::store::{Cursor, Entry, Message, Store};
    use crate::units::DevEui;
    use jiff::Timestamp;
    use std::time::Duration;

    fn commit(store: &mut Store, class: Class, count: usize) {
        let message = Message {
            class,
            at: Moment {
                wall: Timestamp::from_second(7).expect("in range"),
                quality: ClockQuality::Estimated,
                monotonic: Duration::ZERO,
            },
            topic: format!("bin/{}", class.as_str()),
            body: r#"{"a":1}"#.into(),
        };
        let entry = Entry::of(DevEui(1), vec![message; count]);
        store.commit(&[entry]).expect("commits");
    }

    fn rows(outbox: &mut Outbox) -> Vec<Row> {
        outbox.next(Class::Diagnostic, &mut Cursor::default(), 10_000).expect("reads")
    }

    fn outcasts(rows: &[Row], reason: &str) -> Vec<Outcast> {
        rows.iter().map(|row| Outcast { key: row.key, reason: reason.into(), tries: 5 }).collect()
    }

    #[test]
    fn what_is_set_aside_is_out_of_the_way_whole_and_comes_back_with_its_like() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        commit(&mut store, Class::Measurement, 4);
        commit(&mut store, Class::Alarm, 1);
        let mut outbox = Outbox::open(&file).expect("opens");
        let all = rows(&mut outbox);
        let [alarm, first, second, third, last] = &all[..] else { panic!("five") };
        let moved = outbox.set_aside(&outcasts(&all[..2], "refused")).expect("writes");
        assert_eq!(moved, [alarm.key, first.key]);
        outbox.set_aside(&outcasts(&all[2..3], "large")).expect("writes");
        assert_eq!(outbox.set_aside(&outcasts(&all[..1], "refused")).expect("writes"), []);
        drop(outbox);

        let mut outbox = Outbox::open(&file).expect("opens again");
        assert_eq!(rows(&mut outbox), [third.clone(), last.clone()]);
        assert_eq!((outbox.waiting(), outbox.count_aside().expect("reads")), (2, 3));
        assert_eq!(outbox.aside(Class::Alarm).expect("reads"), [alarm.key]);
        assert_eq!(outbox.row_aside(alarm.key).expect("reads").as_ref(), Some(alarm));
        assert_eq!(outbox.row_aside(third.key).expect("reads"), None);
        outbox.offer_aside(alarm.key).expect("writes");
        let order = outbox.aside(Class::Diagnostic).expect("reads");
        assert_eq!(order, [first.key, second.key, alarm.key], "the fewest tries first");

        assert_eq!(outbox.remove_aside(alarm.key).expect("writes"), 1);
        assert_eq!(rows(&mut outbox), [first.clone(), third.clone(), last.clone()]);
        assert_eq!(outbox.aside(Class::Diagnostic).expect("reads"), [second.key]);
        assert_eq!(outbox.remove_aside(alarm.key).expect("writes"), 0, "it is gone");
        assert_eq!(outbox.count_aside().expect("reads"), 1);
    }

    #[test]
    fn there_is_room_for_so_many_and_for_as_many_alarms_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        let mut store = Store::open(&file, &Clock::system()).expect("opens");
        commit(&mut store, Class::Measurement, 1_001);
        commit(&mut store, Class::Alarm, 1_001);
        let mut outbox = Outbox::open(&file).expect("opens");
        let (alarms, measurements): (Vec<_>, Vec<_>) =
            rows(&mut outbox).into_iter().partition(|row| row.key.class() == Some(Class::Alarm));
        let moved = |outbox: &mut Outbox, rows: &[Row]| {
            outbox.set_aside(&outcasts(rows, "refused")).expect("writes").len()
        };
        assert_eq!(moved(&mut outbox, &measurements), 1_000);
        assert_eq!(moved(&mut outbox, &alarms), 1_000);
        assert_eq!(rows(&mut outbox).len(), 2, "and the others wait");
    }
}
