//! When plans are made, and what becomes of trouble: the thread alone, by a clock of the test's.

use crate::world::{BINS, PLAN, TRUCK};
use jiff::Timestamp;
use lykta::bins::Level;
use lykta::clock::{Clock, ClockQuality};
use lykta::config::{Loaded, load_with};
use lykta::planning::{Board, Desk, Host, House, Order, Parts, Planned, Planner};
use lykta::units::{Ratio, TenantId};
use lykta::upstream::command::Given;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::{PATIENCE, wait_until};

/// What the ingest loop does when it is asked for the levels.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Silent,
    Panics,
    /// Tells, and takes nothing until the next look.
    Refuses,
}

/// A gateway with one full bin.
struct Quiet {
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

    fn levels(&self, _: &TenantId) -> Option<HashMap<String, Level>> {
        let mood = self.moods.lock().unwrap().pop_front();
        self.refuses.store(mood == Some(Mood::Refuses), Relaxed);
        match mood {
            None | Some(Mood::Refuses) => {
                let level = Level::first(Ratio(0.95), Timestamp::UNIX_EPOCH, false);
                Some(HashMap::from([("1".to_owned(), level)]))
            }
            Some(Mood::Silent) => None,
            Some(Mood::Panics) => panic!("on purpose"),
        }
    }
}

struct Running {
    desk: Desk,
    board: Board,
    delivered: Receiver<Planned>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(clock: Clock, days: &str, moods: &[Mood], remembered: Option<String>) -> Self {
        let Loaded { settings, registry, .. } = loaded(days);
        let (desk, orders) = Desk::new();
        let desk = desk.of(settings.plan.keys().cloned());
        let (board, stop) = (Board::default(), Arc::<AtomicBool>::default());
        let (sender, delivered) = channel();
        let moods = Arc::new(Mutex::new(moods.iter().copied().collect()));
        let remembered = remembered.map(|body| ("tours".to_owned(), body));
        let planner = Planner::new(Parts {
            settings: &settings,
            registry: &registry,
            remembered: remembered.into_iter().collect(),
            orders,
            board: board.clone(),
            clock,
            house: Box::new(Quiet { delivered: sender, moods, refuses: false.into() }),
            stop: Arc::clone(&stop),
        });
        let thread = Some(std::thread::spawn(move || planner.run()));
        Self { desk, board, delivered, stop, thread }
    }

    fn next(&self) -> Planned {
        self.delivered.recv_timeout(PATIENCE).unwrap()
    }

    fn order(&self, id: &str) {
        let name = "tours".parse().unwrap();
        assert!(self.desk.pass(Order::Command { id: id.into(), name, supersede: None }));
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

fn loaded(days: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let plan = PLAN.replace(r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#, days);
    let truck = TRUCK.replace("00:00-23:59", "06:00-14:30");
    let text = format!(
        "gateway = \"gw-1\"\nstate_dir = {:?}\n[[tenant]]\nid = \"waste\"\nkind = \"waste\"\n\
         [tenant.upstream]\nurls = [\"mqtt://127.0.0.1:9\"]\n{BINS}{plan}{truck}",
        directory.path()
    );
    let text = text.replace("iterations = 2000", "iterations = 2000\nbins = [\"1\", \"2\"]");
    let file = directory.path().join("lykta.toml");
    std::fs::write(&file, text).unwrap();
    load_with(Some(&file), []).unwrap_or_else(|problems| panic!("{problems}"))
}

const WEEK: &str = r#"["mon", "tue", "wed", "thu", "fri"]"#;

/// The plan in what was delivered.
fn plan(planned: &Planned) -> Value {
    let message = planned.messages.iter().find(|message| message.topic == "plan/tours");
    serde_json::from_str(&message.expect("a plan").body).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_plan_is_made_at_its_time_and_remembered_as_that_nights() {
    let before = at("2026-11-23T04:25:00+01:00");
    let running = Running::start(Clock::simulated(before, 600), WEEK, &[], None);
    let planned = running.next();
    let made = plan(&planned);
    assert_eq!((&made["cause"], &made["day"]), (&"nightly".into(), &"2026-11-23".into()));
    let made_at: Timestamp = made["madeAt"].as_str().unwrap().parse().unwrap();
    assert!(made_at >= at("2026-11-23T04:30:00+01:00"), "{made_at}");
    assert_eq!(made["routes"][0]["leaveAt"], "2026-11-23T05:00:00Z", "six o'clock there");
    assert_eq!(planned.command, None);
    drop(running);

    // not a second time that night; the first that comes is what is asked for
    let kept = planned.states[0].body.clone();
    let later = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 1);
    let running = Running::start(later, WEEK, &[], Some(kept));
    running.order("asked");
    let planned = running.next();
    assert_eq!(planned.command.as_ref().map(|(id, _)| id.as_str()), Some("asked"));
    let difference = &plan(&planned)["difference"];
    assert_eq!(difference["added"], Value::Array(vec![]), "nothing has changed");
}

#[test]
fn no_plan_is_made_by_a_clock_that_nobody_has_set_nor_on_a_day_without_tours() {
    let monday = at("2026-11-23T05:00:00+01:00");
    let unset = Clock::simulated_as(ClockQuality::Unsynced, monday, 1);
    let sunday = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    for clock in [unset, sunday] {
        let running = Running::start(clock, WEEK, &[], None);
        // orders are taken in turns with the look at the clock
        running.order("first");
        running.order("second");
        for id in ["first", "second"] {
            let planned = running.next();
            assert_eq!(planned.command.as_ref().map(|(id, _)| id.as_str()), Some(id));
            assert_eq!(plan(&planned)["cause"], "command");
            assert_eq!(plan(&planned)["day"], "2026-11-23");
        }
    }
}

#[test]
fn trouble_is_an_answer_and_the_next_order_is_carried_out() {
    let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    // it is asked once before for bins that became full while it was off, if it is slow
    let moods = [Mood::Panics, Mood::Silent];
    let running = Running::start(clock, WEEK, &moods, None);
    for (id, part) in [("first", "on purpose"), ("second", "does not answer")] {
        running.order(id);
        let Planned { command, messages, states, .. } = running.next();
        let (answered, answer) = command.unwrap();
        let fault = answer.unwrap_err();
        assert_eq!((answered.as_str(), fault.code.as_str()), (id, "failed"));
        assert!(fault.message.contains(part), "{fault}");
        assert!(messages.is_empty() && states.is_empty(), "the last plan holds");
    }
    running.order("third");
    assert!(running.next().command.unwrap().1.is_ok());
    // it holds when it was handed over
    let notice = || running.board.notice(&"tours".parse().unwrap()).unwrap();
    wait_until("it is shown", || notice().sheet.is_some());
}

#[test]
fn a_plan_that_nobody_takes_does_not_hold_and_its_command_is_answered_later() {
    let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 1);
    let running = Running::start(clock, WEEK, &[Mood::Refuses], None);
    running.order("first");
    running.order("second");
    // it is taken again from the second look on
    let mut answers: HashMap<String, _> = HashMap::new();
    for _ in 0..2 {
        let planned = running.next();
        let (id, answer) = planned.command.unwrap();
        assert_eq!(planned.messages.is_empty(), answer.is_err());
        answers.insert(id, answer);
    }
    let fault = answers["first"].as_ref().unwrap_err();
    assert!(fault.message.contains("could not be handed over"), "{fault}");
    assert!(answers["second"].is_ok());
}

#[test]
fn a_plan_from_the_cloud_is_for_the_next_tours_and_for_no_others() {
    let clock = Clock::simulated(at("2026-11-23T09:00:00+01:00"), 0);
    let running = Running::start(clock, WEEK, &[], None);
    running.next();
    let brought = |day: &str| {
        let (id, name) = (day.to_owned(), "tours".parse().unwrap());
        let routes = vec![("truck-1".to_owned(), vec!["2".to_owned()])];
        let supersede = Some(Given { day: day.parse().unwrap(), routes });
        assert!(running.desk.pass(Order::Command { id, name, supersede }));
        running.next()
    };
    for (day, part) in [
        ("2026-11-20", "2026-11-20 are over"),
        ("2026-11-24", "only one for 2026-11-23"),
        ("2036-11-24", "only one for 2026-11-23"),
    ] {
        let Planned { command, messages, states, .. } = brought(day);
        let fault = command.unwrap().1.unwrap_err();
        assert_eq!(fault.code.as_str(), "infeasible");
        assert!(fault.message.contains(part), "{fault}");
        assert!(messages.is_empty() && states.is_empty(), "the last plan holds");
    }
    assert_eq!(plan(&brought("2026-11-23"))["origin"], "cloud");
}

#[test]
fn what_a_truck_has_done_stays_as_it_was_when_the_plan_is_made_anew() {
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::start(night, WEEK, &[], None);
    running.order("x");
    let planned = running.next();
    let before = plan(&planned);
    // somebody has asked for it since its time: it is that night's
    running.order("once more");
    assert_eq!(plan(&running.next())["cause"], "command");
    drop(running);

    let kept = planned.states[0].body.clone();
    let under_way = Clock::simulated(at("2026-11-23T06:30:00+01:00"), 0);
    let running = Running::start(under_way, WEEK, &[], Some(kept));
    running.order("y");
    let after = plan(&running.next());
    let tour = |plan: &Value| {
        let tour = &plan["routes"][0];
        (tour["leaveAt"].clone(), tour["stops"].clone(), tour["backAt"].clone())
    };
    let reasons = |plan: &Value| -> Vec<Value> {
        let stops = plan["routes"][0]["stops"].as_array().unwrap();
        stops.iter().map(|stop| stop["reason"].clone()).collect()
    };
    assert_eq!(tour(&after).0, tour(&before).0, "it has left");
    assert_eq!(tour(&after).2, tour(&before).2);
    assert_eq!(reasons(&after), reasons(&before));
    assert_eq!(after["difference"]["moved"], Value::Array(vec![]));
}

#[test]
fn nothing_is_planned_in_the_past_of_a_truck_that_is_under_way() {
    // only the first bin at first; the second is full when it is asked again
    let night = Clock::simulated(at("2026-11-23T05:00:00+01:00"), 0);
    let running = Running::start(night, WEEK, &[], None);
    running.order("x");
    let planned = running.next();
    drop(running);

    let mut kept: Value = serde_json::from_str(&planned.states[0].body).unwrap();
    let stops = kept["sheet"]["routes"][0]["stops"].as_array_mut().unwrap();
    let dropped = stops.pop().unwrap();
    let kept = kept.to_string();
    let noon = at("2026-11-23T12:00:00+01:00");
    let running = Running::start(Clock::simulated(noon, 0), WEEK, &[], Some(kept));
    running.order("y");
    let after = plan(&running.next());
    let stops = after["routes"][0]["stops"].as_array().unwrap();
    let again = stops.iter().find(|stop| stop["id"] == dropped["id"]).expect("it is visited");
    let arrival: Timestamp = again["arrival"].as_str().unwrap().parse().unwrap();
    assert!(arrival > noon, "{arrival}");
}

#[test]
fn the_same_levels_give_the_same_plan() {
    let mut plans = Vec::new();
    for _ in 0..2 {
        let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 0);
        let running = Running::start(clock, WEEK, &[], None);
        running.order("x");
        plans.push(plan(&running.next()));
    }
    assert_eq!(plans[0], plans[1]);
}

#[test]
fn a_bin_without_a_sensor_is_not_on_every_tour() {
    let kept = |visited: &str| {
        format!(r#"{{"sheet":null,"visited":{{"2":{{"at":"{visited}","level":null}}}}}}"#)
    };
    for (visited, must) in [("2026-11-20T08:00:00Z", false), ("2026-11-10T08:00:00Z", true)] {
        let clock = Clock::simulated(at("2026-11-22T05:00:00+01:00"), 0);
        let running = Running::start(clock, WEEK, &[], Some(kept(visited)));
        running.order("x");
        let plan = plan(&running.next());
        let stops = plan["routes"][0]["stops"].as_array().unwrap();
        assert_eq!(stops.iter().any(|stop| stop["id"] == "2"), must, "{plan}");
    }
}
