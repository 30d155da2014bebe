//! A city of gateways and its brokers: what one second brings at most.

use super::{Pace, Reconnect};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

const FLEET: usize = 500;

/// A tenth of the fleet.
const BAR: usize = FLEET / 10;

/// As the settings are unless told.
const PACE: Pace = Pace {
    least: Duration::from_secs(5),
    greatest: Duration::from_secs(600),
    stable: Duration::from_secs(300),
    alarm: Duration::from_secs(30),
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// When the brokers die, all of them at once: the gateways have been connected for days.
const DEATH: u64 = 100 * HOUR;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What the city goes through.
struct Story {
    name: String,
    /// How many brokers there are, in the order in which they are preferred.
    brokers: usize,
    /// From when to when each is dead.
    dead: Vec<Vec<(Duration, Duration)>>,
    /// How long an attempt at a dead one takes: an answer that says no, or none at all.
    attempt: Duration,
    /// When an alarm is committed at every gateway.
    alarm: Option<Duration>,
    /// Whether all are booted in the instant of the first death, instead of being connected.
    boot: bool,
}

impl Story {
    fn new(name: &str, dead: &[(u64, u64)]) -> Self {
        let dead = dead.iter().map(|(from, to)| (seconds(*from), seconds(*to))).collect();
        Self {
            name: name.to_owned(),
            brokers: 1,
            dead: vec![dead],
            attempt: Duration::from_millis(50),
            alarm: None,
            boot: false,
        }
    }

    fn is_dead(&self, broker: usize, now: Duration) -> bool {
        self.dead[broker].iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    /// When a connection made now is lost.
    fn next_death(&self, broker: usize, now: Duration) -> Option<Duration> {
        self.dead[broker].iter().map(|(from, _)| *from).find(|from| *from > now)
    }
}

/// What a gateway does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Attempt,
    Failure,
    Loss,
    Alarm,
}

/// The attempts of the worst second at each broker, wherever that second begins.
struct Busiest {
    recent: Vec<VecDeque<Duration>>,
    worst: Vec<usize>,
    attempts: usize,
}

impl Busiest {
    fn note(&mut self, broker: usize, now: Duration) {
        let recent = &mut self.recent[broker];
        recent.push_back(now);
        while recent.front().is_some_and(|first| now - *first >= seconds(1)) {
            recent.pop_front();
        }
        self.worst[broker] = self.worst[broker].max(recent.len());
        self.attempts += 1;
    }
}

/// Lives through it until all are connected for good.
fn live(story: &Story, seed: u64) -> Busiest {
    let mut random = fastrand::Rng::with_seed(seed);
    let begin = if story.boot { seconds(DEATH) } else { seconds(0) };
    let mut fleet: Vec<Reconnect> =
        (0..FLEET).map(|_| Reconnect::new(PACE, story.brokers, begin)).collect();
    let mut queue = BinaryHeap::new();
    for (n, gateway) in fleet.iter_mut().enumerate() {
        if story.boot {
            let fresh = Reconnect::new(PACE, story.brokers, begin);
            *gateway = fresh.after_boot(random.f64());
            queue.push(Reverse((gateway.due(), n, Next::Attempt)));
        } else {
            gateway.connected(begin);
            queue.push(Reverse((story.next_death(0, begin).expect("one"), n, Next::Loss)));
        }
        if let Some(at) = story.alarm {
            queue.push(Reverse((at, n, Next::Alarm)));
        }
    }
    let mut busiest = Busiest {
        recent: vec![VecDeque::new(); story.brokers],
        worst: vec![0; story.brokers],
        attempts: 0,
    };
    // a wait that was cut short leaves its old end in the queue
    let mut planned: Vec<Option<Duration>> = fleet.iter().map(|g| Some(g.due())).collect();
    let mut connected = vec![!story.boot; FLEET];
    while let Some(Reverse((now, n, next))) = queue.pop() {
        let gateway = &mut fleet[n];
        let alarm = story.alarm.is_some_and(|at| at <= now) && !connected[n];
        match next {
            Next::Attempt if planned[n] != Some(now) => {}
            Next::Attempt => {
                planned[n] = None;
                let broker = gateway.address();
                busiest.note(broker, now);
                if story.is_dead(broker, now) {
                    queue.push(Reverse((now + story.attempt, n, Next::Failure)));
                } else {
                    gateway.connected(now);
                    connected[n] = true;
                    if let Some(at) = story.next_death(broker, now) {
                        queue.push(Reverse((at, n, Next::Loss)));
                    }
                }
            }
            Next::Failure | Next::Loss => {
                connected[n] = false;
                gateway.ended(now, alarm, random.f64());
                planned[n] = Some(gateway.due());
                queue.push(Reverse((gateway.due(), n, Next::Attempt)));
            }
            Next::Alarm => {
                if planned[n].is_some() && !connected[n] {
                    gateway.alarm(now, random.f64());
                    planned[n] = Some(gateway.due());
                    queue.push(Reverse((gateway.due(), n, Next::Attempt)));
                }
            }
        }
    }
    assert!(connected.iter().all(|connected| *connected), "{}: all are back", story.name);
    busiest
}

fn check(story: &Story) {
    for seed in 0..3 {
        let busiest = live(story, seed);
        let worst = *busiest.worst.iter().max().expect("a broker");
        if seed == 0 {
            println!("{}: {worst} in the worst second of {}", story.name, busiest.attempts);
        }
        assert!(worst <= BAR, "{}: {worst} of {FLEET} in one second (seed {seed})", story.name);
        // a million seconds have been looked at: enough
        if busiest.attempts > 500_000 {
            break;
        }
    }
}

/// How long brokers are dead, in seconds.
const OUTAGES: [(&str, u64); 4] =
    [("1 s", 1), ("10 min", 10 * MINUTE), ("2 h", 2 * HOUR), ("24 h", 24 * HOUR)];

#[test]
fn a_broker_that_was_gone_is_not_stormed() {
    for (name, outage) in OUTAGES {
        let dead = [(DEATH, DEATH + outage)];
        check(&Story::new(&format!("dead for {name}"), &dead));
        let silent = Story::new(&format!("silent for {name}"), &dead);
        check(&Story { attempt: seconds(30), ..silent });
    }
}

#[test]
fn nor_when_an_alarm_waits_everywhere() {
    for (name, outage) in OUTAGES {
        let dead = [(DEATH, DEATH + outage)];
        for (when, alarm) in [("before", DEATH), ("in the middle", DEATH + outage / 2)] {
            let name = format!("dead for {name}, an alarm in every street {when}");
            check(&Story { alarm: Some(seconds(alarm)), ..Story::new(&name, &dead) });
        }
    }
}

#[test]
fn nor_when_the_whole_city_is_booted() {
    for (name, outage) in [("at once", 0)].into_iter().chain(OUTAGES) {
        let dead = [(DEATH, DEATH + outage)];
        let story = Story::new(&format!("power comes back, the broker {name} later"), &dead);
        check(&Story { boot: true, ..story });
    }
}

#[test]
fn nor_by_one_death_after_the_other() {
    // short of what counts as stable, beyond it, and hardly up at all
    for every in [4 * MINUTE, 7 * MINUTE, 30] {
        let dead: Vec<_> =
            (0..200).map(|n| DEATH + n * every).map(|death| (death, death + 10)).collect();
        check(&Story::new(&format!("dead for 10 s every {every} s"), &dead));
    }
}

#[test]
fn nor_is_the_second_broker_when_the_first_dies() {
    for (name, outage) in OUTAGES {
        let dead = vec![(seconds(DEATH), seconds(DEATH + outage))];
        let story = Story::new(&format!("the first of two is dead for {name}"), &[]);
        check(&Story { brokers: 2, dead: vec![dead.clone(), vec![]], ..story });
        let story = Story::new(&format!("both of two are dead for {name}"), &[]);
        check(&Story { brokers: 2, dead: vec![dead.clone(), dead], ..story });
    }
}
