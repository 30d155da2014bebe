//! A home, what happens in it, and what is decided.

use lykta::care::{At, Decision, Heard, Language, Resident, Watch};
use lykta::config::Home;
use std::sync::Arc;

/// A home with one resident, from TOML without its head.
pub(crate) fn resident(zone: &str, text: &str) -> Arc<Resident> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("home.toml");
    let head = format!("timezone = \"{zone}\"\n[[resident]]\nid = \"r1\"\nconsent = true\n");
    std::fs::write(&path, head + text).unwrap();
    let residents = Home::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    Arc::new(residents.into_iter().next().unwrap())
}

/// Sensors by name and kind, none supervised.
pub(crate) fn sensors(all: &[(&str, &str)]) -> String {
    let sensor = |(id, kind): &(&str, &str)| {
        format!("[[resident.sensor]]\nid = \"{id}\"\nkind = \"{kind}\"\n")
    };
    all.iter().map(sensor).collect()
}

/// A moment of a text such as `2026-11-22T23:10:00Z`.
pub(crate) fn at(text: &str) -> At {
    At::from(text.parse::<jiff::Timestamp>().unwrap())
}

/// A watch that looks when it says that it wants to.
pub(crate) struct Home1 {
    pub(crate) watch: Watch,
    pub(crate) decisions: Vec<Decision>,
}

impl Home1 {
    pub(crate) fn new(resident: &Arc<Resident>, begin: At) -> Self {
        Self { watch: Watch::new(Arc::clone(resident), begin), decisions: Vec::new() }
    }

    /// Time goes on.
    pub(crate) fn until(&mut self, time: At) {
        let mut last = At(i64::MIN);
        while let Some(next) = self.watch.next_look().filter(|next| *next <= time) {
            assert!(next > last, "it asks for the same moment again: {next:?}");
            last = next;
            let decided = self.watch.look(next);
            self.decisions.extend(decided);
        }
        let decided = self.watch.look(time);
        self.decisions.extend(decided);
    }

    pub(crate) fn hear(&mut self, time: At, sensor: usize, heard: Heard) {
        self.until(time);
        let decided = self.watch.hear(time, sensor, heard);
        self.decisions.extend(decided);
    }

    /// Dies and is there again with what was stored.
    pub(crate) fn restart(&mut self) {
        let stored = serde_json::to_string(&self.watch.memory()).unwrap();
        let memory = serde_json::from_str(&stored).unwrap();
        let resident = Arc::clone(self.watch.resident());
        // it knows the time from what was stored
        self.watch = Watch::restore(resident, memory, At(0));
    }

    pub(crate) fn told(&self) -> String {
        self.decisions.iter().map(|decision| line(self.watch.resident(), decision)).collect()
    }
}

/// A decision in a line, by the clocks of the home.
pub(crate) fn line(resident: &Resident, decision: &Decision) -> String {
    let clock = resident.zone.to_datetime(decision.at.timestamp());
    let outcome = decision.outcome.map_or(String::new(), |outcome| {
        format!(" {}", serde_json::to_value(outcome).unwrap().as_str().unwrap())
    });
    let kind = serde_json::to_value(decision.kind).unwrap();
    let words = decision.because.iter().map(|reason| reason.words(resident, Language::English));
    let words: Vec<String> = words.collect();
    format!(
        "{} {} {}{outcome}: {}\n",
        clock.strftime("%d %H:%M:%S"),
        kind.as_str().unwrap(),
        decision.rule,
        words.join("; ")
    )
}
