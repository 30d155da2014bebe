//! What holds whatever sensors say, and in whatever order.

use crate::world::{Home1, at, resident};
use lykta::care::{At, Heard, Kind, Mode, Outcome, Reason, Resident, Span, Stay};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const SENSORS: usize = 7;

static HOME: LazyLock<Arc<Resident>> = LazyLock::new(|| {
    let text = include_str!("home.toml");
    resident("Europe/Stockholm", text)
});

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Frame(u32, usize, Heard),
    Late(u32, usize, Heard),
    Wait(u32),
    Staff(u32),
    Away(u32),
    Home,
    Clock(bool),
    Deaf(u32),
    Set(i64),
    Restart,
}

fn heard() -> impl Strategy<Value = Heard> {
    prop_oneof![
        10 => any::<bool>().prop_map(Heard::State),
        1 => Just(Heard::Alive),
        1 => (0u8..=100).prop_map(Heard::Battery),
        1 => Just(Heard::Unreadable),
    ]
}

fn frame() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![0u32..5, 0u32..1000, 0u32..8000];
    (wait, 0..SENSORS + 1, heard())
        .prop_map(|(wait, sensor, heard)| Step::Frame(wait, sensor, heard))
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => frame(),
        2 => (0u32..8000, 0..SENSORS, heard()).prop_map(|(t, s, h)| Step::Late(t, s, h)),
        2 => (0u32..40_000).prop_map(Step::Wait),
        1 => (0u32..9000).prop_map(Step::Staff),
        1 => (0u32..300_000).prop_map(Step::Away),
        1 => Just(Step::Home),
        1 => any::<bool>().prop_map(Step::Clock),
        1 => (0u32..9000).prop_map(Step::Deaf),
        1 => prop_oneof![-4000i64..4000, -3_000_000i64..3_000_000].prop_map(Step::Set),
        1 => Just(Step::Restart),
    ]
}

struct Run {
    home: Home1,
    now: At,
}

impl Run {
    fn new() -> Self {
        let now = at("2026-10-24T10:00:00Z");
        Self { home: Home1::new(&HOME, now), now }
    }

    fn wait(&mut self, seconds: u32) {
        self.now = self.now.after(Duration::from_secs(seconds.into()));
        self.home.until(self.now);
    }

    fn does(&mut self, step: Step) {
        let said = match step {
            Step::Frame(wait, sensor, heard) => {
                self.wait(wait);
                self.home.watch.hear(self.now, sensor, heard)
            }
            Step::Late(ago, sensor, heard) => {
                let then = self.now.before(Duration::from_secs(ago.into()));
                self.home.watch.hear(then, sensor, heard)
            }
            Step::Wait(seconds) => return self.wait(seconds),
            Step::Staff(length) => {
                let until = self.now.after(Duration::from_secs(length.into()));
                self.home.watch.set_mode(self.now, Mode::Staff(Stay::new(self.now, until)))
            }
            Step::Away(length) => {
                let until = self.now.after(Duration::from_secs(length.into()));
                self.home.watch.set_mode(self.now, Mode::Away(Stay::new(self.now, until)))
            }
            Step::Home => self.home.watch.set_mode(self.now, Mode::Home),
            Step::Clock(trusted) => self.home.watch.trust_clock(self.now, trusted),
            Step::Deaf(length) => {
                let from = self.now;
                self.now = from.after(Duration::from_secs(length.into()));
                self.home.watch.was_deaf(Span { from, to: self.now })
            }
            Step::Set(by) => {
                self.now.0 += by;
                self.home.watch.step(by)
            }
            Step::Restart => return self.home.restart(),
        };
        self.home.decisions.extend(said);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// To die between any two steps, and to be asked more often, changes nothing.
    #[test]
    fn restarts_and_more_looks_change_nothing(
        steps in prop::collection::vec(any_step(), 0..120),
        restarts in prop::collection::vec(any::<bool>(), 120),
    ) {
        let (mut one, mut other) = (Run::new(), Run::new());
        for (step, restart) in steps.iter().zip(restarts) {
            one.does(*step);
            if restart {
                other.home.restart();
                let now = other.now;
                other.home.until(now);
                // half way to the next frame
                if let Step::Frame(wait, sensor, heard) = *step {
                    other.wait(wait / 2);
                    other.home.restart();
                    other.does(Step::Frame(wait - wait / 2, sensor, heard));
                    continue;
                }
            }
            other.does(*step);
        }
        prop_assert_eq!(one.home.told(), other.home.told());
        for decision in &one.home.decisions {
            prop_assert!(!decision.because.is_empty());
            prop_assert_eq!(decision.kind == Kind::Check, decision.outcome.is_some());
        }
    }

    /// Each agreed check has one answer, within half an hour.
    #[test]
    fn each_check_has_one_answer(steps in prop::collection::vec(frame(), 0..150)) {
        let mut run = Run::new();
        let begin = run.now;
        for step in steps {
            run.does(step);
        }
        let end = run.now;
        run.wait(1800);
        let mut answers: BTreeMap<At, u32> = BTreeMap::new();
        for check in run.home.decisions.iter().filter(|d| d.kind == Kind::Check) {
            let agreed = check.agreed.unwrap();
            *answers.entry(agreed).or_default() += 1;
            prop_assert!(check.at >= agreed && check.at.since(agreed).as_secs() <= 1800);
        }
        let zone = &HOME.zone;
        let mut day = zone.to_datetime(begin.timestamp()).date();
        while day <= zone.to_datetime(end.timestamp()).date() {
            for hour in [0, 3] {
                let time = day.at(hour, 0, 0, 0).to_zoned(zone.clone()).unwrap();
                let time = At::from(time.timestamp());
                if time > begin && time <= end {
                    prop_assert_eq!(answers.get(&time), Some(&1), "{:?}", time);
                }
            }
            day = day.tomorrow().unwrap();
        }
    }

    /// Frames that are lost never turn a silence that was a fault into something fine.
    #[test]
    fn lost_frames_never_turn_a_fault_into_fine(
        steps in prop::collection::vec((0u32..9000, 0..SENSORS, any::<bool>()), 0..150),
        lost in prop::collection::vec(prop::bool::weighted(0.3), 150),
    ) {
        let at_once = include_str!("home.toml").replace("retry = \"15min\"", "retry = \"0s\"");
        let resident = resident("UTC", &at_once);
        let begin = at("2026-11-22T10:00:00Z");
        let (mut all, mut some) = (Home1::new(&resident, begin), Home1::new(&resident, begin));
        let mut now = begin;
        for ((wait, sensor, on), lost) in steps.into_iter().zip(lost) {
            now = now.after(Duration::from_secs(wait.into()));
            all.hear(now, sensor, Heard::State(on));
            if !lost {
                some.hear(now, sensor, Heard::State(on));
            }
        }
        all.until(now);
        some.until(now);
        let outcomes = |home: &Home1| -> BTreeMap<At, (Outcome, bool)> {
            let checks = home.decisions.iter().filter(|d| d.kind == Kind::Check);
            let silent = |reason: &Reason| matches!(reason, Reason::Silent { .. });
            checks.map(|d| (d.agreed.unwrap(), (d.outcome.unwrap(), d.because.iter().any(silent)))).collect()
        };
        let some = outcomes(&some);
        for (agreed, (outcome, silent)) in outcomes(&all) {
            if outcome == Outcome::Fault && silent {
                prop_assert_eq!(some.get(&agreed).map(|o| o.0), Some(Outcome::Fault));
            }
        }
    }

    /// Without consent nothing is decided and nothing kept, but a count.
    #[test]
    fn without_consent_there_is_a_count(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut run = Run::new();
        let refused = Resident { consent: false, ..(**HOME).clone() };
        run.home = Home1::new(&Arc::new(refused), run.now);
        let frames = steps.iter().filter(|s| matches!(s, Step::Frame(..) | Step::Late(..))).count();
        for step in steps {
            run.does(step);
        }
        prop_assert_eq!(run.home.told(), "");
        prop_assert_eq!(run.home.watch.unheeded(), frames as u64);
        let kept = serde_json::to_value(run.home.watch.memory()).unwrap();
        prop_assert_eq!(&kept["facts"]["moved"], &serde_json::Value::Null);
        prop_assert!(kept["sensors"].as_object().unwrap().values().all(|s| s["heard"].is_null()));
    }
}

/// Memory does not grow with the night.
#[test]
fn memory_is_constant() {
    let mut run = Run::new();
    let size = |run: &Run| serde_json::to_string(&run.home.watch.memory()).unwrap().len();
    let mut sizes = Vec::new();
    for step in 0..20_000_u32 {
        run.does(Step::Frame(7, (step % 7) as usize, Heard::State(step % 3 == 0)));
        if step % 5_000 == 4_999 {
            sizes.push(size(&run));
        }
    }
    assert!(sizes.iter().all(|size| *size < 6_000), "{sizes:?}");
}
