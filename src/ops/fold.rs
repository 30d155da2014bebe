//! What comes and goes all the time is told a few times, then counted, and told again with the
//! count: "said 47 times". A link that flaps, or a sensor that is understood every other time, is no
//! flood in the journal. What asks for somebody at once (errors) is always told, and so is what is
//! no news ([`message::Nature`]).

use crate::message::{self, Nature};
use log::kv::{self, Key, VisitSource};
use log::{Level, Record};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So often the same is told within [`WITHIN`].
const MOST: u32 = 5;

/// How long what is told again counts as the same going on.
const WITHIN: Duration = Duration::from_secs(3600);

/// So many different ones are kept count of; more are told as they come.
const KEPT: usize = 512;

/// What makes two messages the same: the id, and what it is about.
type Same = (String, String);

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct Folds(HashMap<Same, Fold>);

#[derive(Debug)]
struct Fold {
    since: Instant,
    told: u32,
    /// The last of those that were only counted, and how many they are.
    counted: Option<(Said, u32)>,
}

/// A message in words of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) level: Level,
    pub(super) text: String,
    pub(super) fields: Vec<(String, String)>,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is told.
    Told,
    /// It is told, with the word that from now on it is counted.
    Last,
    /// It is counted.
    Counted,
}

impl Folds {
    /// What becomes of this message now.
    pub(super) fn note(&mut self, record: &Record<'_>, now: Instant) -> Fate {
        if record.level() != Level::Warn && record.level() != Level::Info {
            return Fate::Told;
        }
        let fields = fields(record);
        let Some(same) = same(&fields) else { return Fate::Told };
        if message::nature(&same.0) != Nature::News {
            return Fate::Told;
        }
        if !self.0.contains_key(&same) && self.0.len() >= KEPT {
            return Fate::Told;
        }
        let new = Fold { since: now, told: 0, counted: None };
        let fold = self.0.entry(same).or_insert(new);
        fold.told += 1;
        match fold.told {
            n if n < MOST => Fate::Told,
            MOST => Fate::Last,
            _ => {
                let count = fold.counted.take().map_or(0, |(_, count)| count) + 1;
                let (level, text) = (record.level(), record.args().to_string());
                fold.counted = Some((Said { level, text, fields }, count));
                Fate::Counted
            }
        }
    }

    /// What was only counted and is to be told by now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Said> {
        let mut due = Vec::new();
        self.0.retain(|_, fold| {
            if now.saturating_duration_since(fold.since) < WITHIN {
                return true;
            }
            let Some(counted) = fold.counted.take() else { return false };
            due.push(again(counted, " in an hour"));
            // it may go on like that: the next hour begins with what has just been said
            *fold = Fold { since: now, told: MOST, counted: None };
            true
        });
        due
    }

    /// All that was only counted: nobody may be there to tell it later.
    pub(super) fn rest(&mut self) -> Vec<Said> {
        let counted = self.0.values_mut().filter_map(|fold| fold.counted.take());
        counted.map(|counted| again(counted, "")).collect()
    }
}

/// The last of those that were counted, with their count.
fn again((mut said, count): (Said, u32), within: &str) -> Said {
    said.text = format!("said {count} times more{within}, the last time: {}", said.text);
    said
}

/// Nothing that has no id, and so is no change of something.
fn same(fields: &[(String, String)]) -> Option<Same> {
    let id = fields.iter().find(|(key, _)| key == "MESSAGE_ID")?.1.clone();
    let is_about = |key: &str| key.starts_with("LYKTA_") && key != "LYKTA_REASON";
    let about = fields.iter().filter(|(key, _)| is_about(key));
    Some((id, about.map(|(key, value)| format!("{key}={value}\n")).collect()))
}

fn fields(record: &Record<'_>) -> Vec<(String, String)> {
    struct All(Vec<(String, String)>);

    impl<'kvs> VisitSource<'kvs> for All {
        fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
            self.0.push((key.to_string(), value.to_string()));
            Ok(())
        }
    }

    let mut all = All(Vec::new());
    // one that cannot be read is left out
    let _ = record.key_values().visit(&mut all);
    all.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(folds: &mut Folds, level: Level, of: &str, text: &str, now: Instant) -> Fate {
        let fields = [("MESSAGE_ID", "lost"), ("LYKTA_TENANT", of), ("LYKTA_REASON", text)];
        let args = format_args!("{text}");
        folds.note(&Record::builder().level(level).key_values(&fields).args(args).build(), now)
    }

    #[test]
    fn what_comes_again_and_again_is_counted_and_told_each_hour() {
        let (mut folds, begin) = (Folds::default(), Instant::now());
        let minute = |n: u64| begin + Duration::from_secs(60 * n);
        let mut fates = Vec::new();
        for n in 0..52 {
            let text = format!("lost for the {n}th time");
            fates.push(note(&mut folds, Level::Warn, "waste", &text, minute(n)));
            assert_eq!(folds.due(minute(n)), []);
        }
        assert!(fates[..4].iter().all(|fate| *fate == Fate::Told));
        assert_eq!(fates[4], Fate::Last);
        assert!(fates[5..].iter().all(|fate| *fate == Fate::Counted));
        // another tenant's is another matter
        assert_eq!(note(&mut folds, Level::Warn, "yard", "lost", minute(53)), Fate::Told);
        let due = folds.due(minute(60));
        let text = "said 47 times more in an hour, the last time: lost for the 51th time";
        assert_eq!(due.iter().map(|said| said.text.as_str()).collect::<Vec<_>>(), [text]);
        assert!(due[0].fields.contains(&("LYKTA_TENANT".into(), "waste".into())));
        // it goes on: one line an hour; it is over: nothing more, and it may be told anew
        assert_eq!(note(&mut folds, Level::Warn, "waste", "lost", minute(61)), Fate::Counted);
        assert_eq!(folds.due(minute(120)).len(), 1);
        assert_eq!(folds.due(minute(180)), []);
        assert_eq!(note(&mut folds, Level::Warn, "waste", "lost", minute(181)), Fate::Told);
    }

    #[test]
    fn what_is_counted_is_told_at_the_end_though_the_hour_is_not_over() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        for n in 0..8 {
            note(&mut folds, Level::Warn, "waste", &format!("lost for the {n}th time"), now);
        }
        note(&mut folds, Level::Warn, "yard", "lost", now);
        assert_eq!(folds.due(now), []);
        let rest = folds.rest();
        let text = "said 3 times more, the last time: lost for the 7th time";
        assert_eq!(rest.iter().map(|said| said.text.as_str()).collect::<Vec<_>>(), [text]);
        assert_eq!(folds.rest(), []);
    }

    #[test]
    fn each_word_is_told() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        for id in [message::CONFIG_WARNING, message::RELOADED, message::CARE_READ] {
            let fields = [("MESSAGE_ID", id)];
            for _ in 0..100 {
                let mut record = Record::builder();
                let record = record.level(Level::Info).key_values(&fields);
                assert_eq!(folds.note(&record.build(), now), Fate::Told);
            }
        }
        // the end of an error comes as often as the error
        for _ in 0..100 {
            for (level, id) in
                [(Level::Error, message::STORE_FAILED), (Level::Info, message::STORE_WORKS)]
            {
                let fields = [("MESSAGE_ID", id), ("LYKTA_TENANT", "waste")];
                let record = Record::builder().level(level).key_values(&fields).build();
                assert_eq!(folds.note(&record, now), Fate::Told);
            }
        }
    }

    #[test]
    fn errors_and_what_has_no_id_are_always_told() {
        let (mut folds, now) = (Folds::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(note(&mut folds, Level::Error, "waste", "burns", now), Fate::Told);
            let plain = Record::builder().level(Level::Info).args(format_args!("said")).build();
            assert_eq!(folds.note(&plain, now), Fate::Told);
        }
    }
}
