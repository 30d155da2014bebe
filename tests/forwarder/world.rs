//! A forwarder between a real outbox and a broker that is not.

use crate::journal;
use crate::settings::upstream;
use crate::sink::{Script, Sink};
use lykta::clock::Clock;
use lykta::config::{Protocol, Upstream};
use lykta::store::{Class, Entry, Message, Outbox, Store};
use lykta::units::DevEui;
use lykta::upstream::{Counters, Forwarder, Shared};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How many topics the messages are spread over.
pub const TOPICS: u64 = 7;

/// The forwarder's window, which is also the most that one cut can repeat.
pub const WINDOW: usize = 100;

pub struct World {
    pub sink: Sink,
    pub tenant: String,
    pub counters: Arc<Counters>,
    store: Store,
    file: PathBuf,
    news: Arc<Notify>,
    committed: u64,
    stop: watch::Sender<bool>,
    forwarder: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl World {
    /// With so many messages in the outbox from the start.
    pub fn new(protocol: Protocol, script: Script, messages: u64) -> Self {
        Self::with(protocol, script, messages, |_| {})
    }

    /// The same with other settings.
    pub fn with(
        protocol: Protocol,
        script: Script,
        messages: u64,
        change: impl FnOnce(&mut Upstream),
    ) -> Self {
        journal::start();
        let sink = Sink::start(script);
        let directory = tempfile::tempdir().unwrap();
        let tenant = format!("t-{}", sink.port);
        let file = directory.path().join("t.db");
        let store = Store::open(&file, &Clock::system()).unwrap();
        let mut world = Self {
            tenant,
            counters: Arc::default(),
            store,
            file,
            news: Arc::default(),
            committed: 0,
            stop: watch::channel(false).0,
            forwarder: None,
            sink,
            _directory: directory,
        };
        world.commit(Class::Measurement, messages);
        let mut settings = upstream(format!("mqtt://127.0.0.1:{}", world.sink.port), protocol);
        change(&mut settings);
        world.start(settings);
        world
    }

    fn start(&mut self, settings: Upstream) {
        let shared = Shared {
            news: Arc::clone(&self.news),
            counters: Arc::clone(&self.counters),
            health: Arc::new(|| serde_json::json!({})),
            commands: Arc::new(Err),
        };
        let forwarder = Forwarder::new(
            &"gw-1".parse().unwrap(),
            &self.tenant.parse().unwrap(),
            settings,
            Outbox::open(&self.file).unwrap(),
            Clock::system(),
            shared,
        )
        .unwrap();
        let stop = self.stop.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.forwarder = Some(std::thread::spawn(move || runtime.block_on(forwarder.run(stop))));
    }

    /// Puts so many messages into the outbox, numbered on from the last one.
    pub fn commit(&mut self, class: Class, messages: u64) {
        self.commit_on(class, messages, |n| format!("{}/{}", class.as_str(), n % TOPICS), 200);
    }

    /// The same on other topics and of another length.
    pub fn commit_on(
        &mut self,
        class: Class,
        messages: u64,
        topic: impl Fn(u64) -> String,
        length: usize,
    ) {
        let message = |n: u64| Message {
            class,
            at: Clock::system().now(),
            topic: topic(n),
            body: format!(r#"{{"n":{n},"filling":"{}"}}"#, "x".repeat(length)),
        };
        let first = self.committed + 1;
        self.committed += messages;
        let entry = Entry::of(DevEui(1), (first..=self.committed).map(message).collect());
        self.store.commit(&[entry]).unwrap();
        self.counters.waiting.fetch_add(messages, Relaxed);
        self.news.notify_one();
    }

    /// Whether the broker has taken all of these messages.
    pub fn taken(&self, messages: impl IntoIterator<Item = u64>) -> bool {
        let records = self.sink.records();
        let taken = records.iter().filter(|r| !r.refused).filter_map(|r| r.body["n"].as_u64());
        let taken: std::collections::HashSet<_> = taken.collect();
        messages.into_iter().all(|n| taken.contains(&n))
    }

    /// How many messages are set aside, by the store and by the books: nobody knows while they
    /// differ.
    pub fn set_aside(&self) -> u64 {
        let kept = Outbox::open(&self.file).unwrap().count_aside().unwrap();
        if kept == self.counters.set_aside.load(Relaxed) { kept } else { u64::MAX }
    }

    /// How many messages are in the outbox.
    pub fn waiting(&self) -> u64 {
        Outbox::open(&self.file).unwrap().waiting()
    }

    /// Ends the forwarder as a stop of the gateway does.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(forwarder) = self.forwarder.take() {
            let ended = forwarder.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the forwarder panicked");
        }
    }

    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}: {} came by {} connections, {} wait, {:?}",
                self.sink.count(),
                self.sink.connections(),
                self.waiting(),
                journal::of(&self.tenant, lykta::message::UPSTREAM_LOST).last(),
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the outbox is empty, and checks the broker's books: every message is in
    /// them, in order within its topic, and no cut repeated more than was under way.
    pub fn check_books(&self, cuts: usize) {
        self.wait_until("the outbox is empty", || self.waiting() == 0);
        let mut last = HashMap::new();
        let mut seen = std::collections::HashSet::new();
        let mut duplicates = 0;
        for record in self.sink.records() {
            let n = record.body["n"].as_u64().unwrap();
            if !seen.insert(n) {
                duplicates += 1;
                continue;
            }
            let before = last.insert(record.topic.clone(), n).unwrap_or(0);
            assert!(before < n, "{}: {n} came after {before}", record.topic);
        }
        let missing: Vec<_> = (1..=self.committed).filter(|n| !seen.contains(n)).collect();
        assert!(missing.is_empty(), "{missing:?}: gone from the outbox and never seen");
        assert!(duplicates <= cuts * WINDOW, "{duplicates} duplicates of {cuts} cuts");
        assert_eq!(self.sink.misnumbered(), 0, "packet identifiers that were in use");
        assert_eq!(self.counters.set_aside.load(Relaxed), 0);
        println!("{} messages, {cuts} cuts, {duplicates} duplicates", self.committed);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}
