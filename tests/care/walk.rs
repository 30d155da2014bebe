//! Nights in which anything happens in any order, and what holds all the same.

use crate::world::{HOME, MINUTE, World};
use fastrand::Rng;
use jiff::{Timestamp, ToSpan};
use lykta::clock::ClockQuality;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

const DAY: i64 = 86_400;
/// What is done ahead stays done when the clock is set back by no more.
const STAYS_DONE: i64 = 6 * 3600;

/// A gateway, and what it owes.
struct Walk {
    world: World,
    random: Rng,
    consents: bool,
    /// How much was decided when consent was withdrawn.
    silent: usize,
    refuses: bool,
    /// The agreed times that have come, and are to be answered.
    owed: BTreeSet<Timestamp>,
    /// How many answers there were each time when the clock was set back by days: what was answered
    /// before may be asked again.
    turns: Vec<usize>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let begin = ["2026-11-22T16:00:00Z", "2026-10-24T16:00:00Z", "2027-03-27T16:00:00Z"];
        Self {
            world: World::new(begin[seed as usize % begin.len()]),
            random: Rng::with_seed(seed),
            consents: true,
            silent: 0,
            refuses: false,
            owed: BTreeSet::new(),
            turns: vec![0],
        }
    }

    async fn step(&mut self) {
        let on = self.random.bool();
        match self.random.u32(0..42) {
            0..8 => self.world.lies(on),
            8..16 => self.world.moves(on),
            16 => {
                let bed = self.world.bed.clone();
                self.world.say(&bed, 6, b"not to be read");
            }
            17..29 => {
                let most = *self.random.choice(&[5, 20, 60]).unwrap();
                let minutes = self.random.u32(1..most);
                self.pass(minutes).await;
            }
            29 => {
                // a check has come, or has begun
                let now = self.world.now();
                let next = agreed(now, now + 30.hours())[0];
                let wait = next.duration_since(now).as_mins() as u32;
                let late = self.random.u32(0..20);
                self.pass(wait + late).await;
            }
            30 => self.dies(None),
            31 => self.world.hears.store(on, Relaxed),
            32 => self.refuse(on),
            33..35 => self.sets_clock(),
            35 => {
                let quality = if on { ClockQuality::Synced } else { ClockQuality::Unsynced };
                self.world.trust_clock(quality);
            }
            36 => {
                let home = HOME.replace("22:00", if on { "21:00" } else { "23:00" });
                let kinds = ["bed_absence", "restless", "inactivity"];
                let kind = self.random.choice(&kinds).unwrap();
                self.world.agrees(&home.replace("bed_absence", kind));
                self.dies(None);
            }
            37 => self.says("staff", json!({ "resident": "r1", "present": on })).await,
            38 => {
                let given = self.random.u32(0..4) > 0;
                self.consents(given).await;
            }
            39 => self.world.press(),
            _ => {
                let by = ["primary", "secondary"][usize::from(on)];
                for alarm in open(&self.world).into_iter().take(2) {
                    let done = self.random.bool();
                    self.says("acknowledge", json!({ "alarm": alarm, "by": by, "done": done }))
                        .await;
                }
            }
        }
    }

    async fn pass(&mut self, minutes: u32) {
        let before = self.world.now();
        self.world.pass(minutes * MINUTE).await;
        self.owe(before);
    }

    async fn says(&mut self, name: &str, args: Value) {
        if self.refuses {
            self.refuse(false);
            // until the disk is tried again
            self.pass(1).await;
        }
        self.world.command(name, args);
    }

    fn refuse(&mut self, refuses: bool) {
        if self.refuses != refuses {
            self.world.refuse(refuses);
            self.refuses = refuses;
        }
    }

    /// Dies with what is not written, and starts by this clock.
    fn dies(&mut self, by: Option<i64>) {
        self.refuse(false);
        match by {
            Some(by) => self.world.start_with_clock(by, ClockQuality::Synced),
            None => self.world.start(),
        }
    }

    fn sets_clock(&mut self) {
        let by = *self.random.choice(&[600, -600, 3600, -3600, 30 * DAY, -30 * DAY]).unwrap();
        if by < -STAYS_DONE {
            self.turns.push(self.world.checks().len());
        }
        let before = self.world.now();
        match self.random.bool() {
            true => self.world.set_clock(by),
            false => self.dies(Some(by)),
        }
        // of what has passed for longer only the number is told
        if by < DAY {
            self.owe(before);
        }
    }

    /// The clock has gone on since then.
    fn owe(&mut self, before: Timestamp) {
        if self.consents {
            self.owed.extend(agreed(before, self.world.now()));
        }
    }

    async fn consents(&mut self, given: bool) {
        if !self.consents {
            assert_eq!(self.decided(), self.silent, "without consent nothing is decided");
        }
        self.says("consent", json!({ "resident": "r1", "given": given })).await;
        if self.consents && !given {
            let told: BTreeSet<_> = self.answers().into_iter().collect();
            self.owed.retain(|time| told.contains(time));
            assert_eq!(open(&self.world), BTreeSet::new());
        }
        self.consents = given;
        self.silent = self.decided();
    }

    fn decided(&self) -> usize {
        self.world.on("r1/alarm").len() + self.world.on("r1/check").len()
    }

    /// The agreed times that were answered.
    fn answers(&self) -> Vec<Timestamp> {
        self.world.checks().into_iter().map(|(time, _)| time.parse().unwrap()).collect()
    }

    async fn ends(mut self) {
        self.refuse(false);
        self.world.pass(31 * MINUTE).await;
        let answers = self.answers();
        let told: BTreeSet<_> = answers.iter().copied().collect();
        let lost: Vec<_> = self.owed.difference(&told).collect();
        assert!(lost.is_empty(), "nobody answered {lost:?}");
        self.turns.push(answers.len());
        for turn in self.turns.windows(2) {
            let turn = &answers[turn[0]..turn[1]];
            let once: BTreeSet<_> = turn.iter().collect();
            assert_eq!(once.len(), turn.len(), "twice: {turn:?}");
        }
        let results = self.world.on("/check");
        assert!(results.iter().all(|check| !check["because"].as_array().unwrap().is_empty()));
        open(&self.world);
    }
}

/// The agreed times from one moment to another.
fn agreed(from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let zone = jiff::tz::TimeZone::get("Europe/Stockholm").unwrap();
    let (mut day, last) = (from.to_zoned(zone.clone()).date(), to.to_zoned(zone.clone()).date());
    let mut all = Vec::new();
    while day <= last {
        let times = [(0, 0), (2, 30), (3, 0)].map(|(hour, minute)| {
            day.at(hour, minute, 0, 0).to_zoned(zone.clone()).unwrap().timestamp()
        });
        all.extend(times.into_iter().filter(|time| from < *time && *time <= to));
        day = day.tomorrow().unwrap();
    }
    all
}

/// The alarms that are not over, each called in its order.
fn open(world: &World) -> BTreeSet<String> {
    let roles = ["primary", "secondary", "patrol_lead"];
    let mut open: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for body in world.on("r1/alarm") {
        let Some(alarm) = body["alarm"].as_str() else { continue };
        let (to, number) = (&body["call"]["to"], body["call"]["number"].as_u64().unwrap());
        let role = roles.iter().position(|role| *role == to[0]);
        match (body["kind"].as_str().unwrap(), open.remove(alarm)) {
            ("alarm", None) => {
                assert_eq!((number, role == Some(1)), (0, false), "{body}");
                open.insert(alarm.to_owned(), (role.unwrap(), 0));
            }
            ("alarm", Some((last, before))) => {
                assert_eq!(role, Some((last + 1).min(2)), "{body}");
                assert!(number > before, "{body}");
                open.insert(alarm.to_owned(), (role.unwrap(), number));
            }
            ("answered", Some((last, before))) => {
                assert!(number > before, "{body}");
                open.insert(alarm.to_owned(), (last, number));
            }
            (kind, before) => assert!(kind == "cleared" && before.is_some(), "{body}"),
        }
    }
    open.into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_each_check_is_answered_once_and_each_alarm_called_in_order() {
    for seed in 0..4 {
        println!("seed {seed}");
        let mut walk = Walk::new(seed);
        for _ in 0..120 {
            walk.step().await;
        }
        walk.ends().await;
    }
}
