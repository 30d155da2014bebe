//! The thread that plans, alone, by a clock of the test's.

use crate::support::{PATIENCE, care_key};
use crate::world::{BINS, DAYS, PLAN, TRUCK};
use jiff::Timestamp;
use lykta::bins::View;
use lykta::clock::Clock;
use lykta::config::{Loaded, load_with};
use lykta::planning::{Board, Desk, Host, House, Order, Parts, Planned, Planner};
use lykta::units::{PlanName, Ratio, TenantId};
use lykta::upstream::command::Planning;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the ingest loop does when it is asked for the levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Silent,
    Panics,
    /// Tells, and takes nothing until the next look.
    Refuses,
}

/// A gateway with one full bin, or with these.
struct Quiet {
    levels: HashMap<String, View>,
    delivered: Sender<Planned>,
    moods: Arc<Mutex<VecDeque<Mood>>>,
    refuses: AtomicBool,
}

impl Host for Quiet {
    fn busy(&mut self) -> bool {
        false
    }

    fn temperature(&self) -> Option<i64> {
        None
    }

    fn nap(&mut self, _: std::time::Duration) {}
}

impl House for Quiet {
    fn deliver(&self, planned: &Planned) -> bool {
        !self.refuses.load(Relaxed) && self.delivered.send(planned.clone()).is_ok()
    }

    fn bins(&self, _: &TenantId) -> Option<HashMap<String, View>> {
        let mood = self.moods.lock().unwrap().pop_front();
        self.refuses.store(mood == Some(Mood::Refuses), Relaxed);
        match mood {
            None | Some(Mood::Refuses) => Some(self.levels.clone()),
            Some(Mood::Silent) => None,
            Some(Mood::Panics) => panic!("on purpose"),
        }
    }
}

pub(crate) struct Running {
    pub(crate) desk: Desk,
    pub(crate) board: Board,
    delivered: Receiver<Planned>,
    name: PlanName,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The tours of the two bins on these days.
    pub(crate) fn start(
        clock: Clock,
        days: &str,
        moods: &[Mood],
        remembered: Option<String>,
    ) -> Self {
        let plan = PLAN.replace(DAYS, days);
        let plan = plan.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
        let truck = TRUCK.replace("00:00-23:59", "06:00-14:30");
        Self::of(clock, &format!("{BINS}{plan}{truck}"), moods, remembered)
    }

    /// The tours of the two bins from Monday to Friday, when they are as full as this.
    pub(crate) fn with(clock: Clock, levels: [View; 2]) -> Self {
        let plan = PLAN.replace(DAYS, WEEK);
        let plan = plan.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
        let levels = ["1", "2"].map(str::to_owned).into_iter().zip(levels).collect();
        Self::new(clock, &format!("{BINS}{plan}{TRUCK}"), levels, &[], None)
    }

    /// The only plan of these settings, with what is remembered of it.
    pub(crate) fn of(
        clock: Clock,
        settings: &str,
        moods: &[Mood],
        remembered: Option<String>,
    ) -> Self {
        let level = View::first(Ratio(0.95), Timestamp::UNIX_EPOCH, false);
        let levels = HashMap::from([("1".to_owned(), level)]);
        Self::new(clock, settings, levels, moods, remembered)
    }

    fn new(
        clock: Clock,
        settings: &str,
        levels: HashMap<String, View>,
        moods: &[Mood],
        remembered: Option<String>,
    ) -> Self {
        let Loaded { settings, registry, .. } = loaded(settings);
        let name = settings.plan.keys().next().unwrap().clone();
        let (desk, orders) = Desk::new();
        let desk = desk.of([name.clone()]);
        let (board, stop) = (Board::default(), Arc::<AtomicBool>::default());
        let (sender, delivered) = channel();
        let moods = Arc::new(Mutex::new(moods.iter().copied().collect()));
        let remembered = remembered.map(|body| (name.to_string(), body));
        let planner = Planner::new(Parts {
            settings: &settings,
            registry: &registry,
            remembered: remembered.into_iter().collect(),
            orders,
            board: board.clone(),
            clock,
            house: Box::new(Quiet { levels, delivered: sender, moods, refuses: false.into() }),
            stop: Arc::clone(&stop),
        });
        let thread = Some(std::thread::spawn(move || planner.run()));
        Self { desk, board, delivered, name, stop, thread }
    }

    pub(crate) fn next(&self) -> Planned {
        self.delivered.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn order(&self, id: &str) {
        self.send(id, json!({}));
    }

    /// A command with these arguments.
    pub(crate) fn send(&self, id: &str, mut args: Value) {
        args["name"] = json!(self.name);
        let planning = Planning::parse(args.as_object().unwrap()).unwrap();
        assert!(self.desk.pass(Order::Command { id: id.into(), planning }));
    }

    /// What comes of a command with these arguments.
    pub(crate) fn tell(&self, id: &str, args: Value) -> Planned {
        self.send(id, args);
        loop {
            let planned = self.next();
            if planned.command.as_ref().is_some_and(|(answered, _)| answered == id) {
                return planned;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.desk.nudge();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the thread panicked");
    }
}

fn loaded(settings: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "gateway = \"gw-1\"\nstate_dir = {:?}\n\
         [[tenant]]\nid = \"waste\"\nkind = \"waste\"\n\
         [tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n\
         [[tenant]]\nid = \"care\"\nkind = \"care\"\n{}\
         [tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n{settings}",
        directory.path(),
        care_key(directory.path())
    );
    let file = directory.path().join("lykta.toml");
    std::fs::write(&file, text).unwrap();
    load_with(Some(&file), []).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) const WEEK: &str = r#"["mon", "tue", "wed", "thu", "fri"]"#;

/// The plan in what was delivered.
pub(crate) fn plan(planned: &Planned) -> Value {
    let message = planned.messages.first().expect("a plan");
    assert_eq!(message.topic.matches('/').count(), 1, "the plan itself comes first");
    serde_json::from_str(&message.body).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
