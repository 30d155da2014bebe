//! Which bins are visited, what that is worth, and that each has exactly one reason.

use lykta::route::collection::{
    Bin, Collection, Filling, Horizon, Language, Level, MustBe, Outlook, Reason, Rules, Shortfall,
    State, WhyIn, WhyOut, collection,
};
use lykta::route::matrix::NO_WAY;
use lykta::route::problem::{Load, Need, Rates, Vehicle, Window};
use lykta::route::solver::{Settings, Solver};
use lykta::route::{Matrix, Plan, check};
use proptest::prelude::*;

const WHEN: Horizon =
    Horizon { tour: 0.5, next: 2.0, next_day: Some(jiff::civil::Weekday::Thursday) };

pub(crate) fn bin(id: &str, place: usize, level: f64) -> Bin {
    Bin {
        id: id.to_owned(),
        place,
        level: Some(Level { share: level, age: 0.1 }),
        emptied: None,
        filling: Some(Filling { before: 0.1, rate: 0.1, spread: 0.05 }),
        volume: 660.0,
        density: 0.1,
        service: 120,
        window: Window::ALWAYS,
        skills: 0,
        threshold_must: 0.9,
        most_days: None,
        state: State::Normal,
    }
}

/// A street: places a kilometre apart, the depot at one end.
fn street(size: usize) -> Matrix {
    let way = |i: usize| ((i / size) as i32 - (i % size) as i32).unsigned_abs();
    let metres: Vec<u32> = (0..size * size).map(|i| way(i) * 1000).collect();
    let seconds: Vec<u32> = (0..size * size).map(|i| way(i) * 120).collect();
    Matrix::new(size, metres, seconds)
}

fn vehicle() -> Vehicle {
    Vehicle {
        id: "truck".to_owned(),
        start: 0,
        end: 0,
        shift: Window { earliest: 6 * 3600, latest: 14 * 3600 },
        capacity: Load { volume: 3_000, mass: 3_000 },
        aboard: Load::default(),
        daily: Load::UNBOUNDED,
        most_stops: 1_000,
        most_unloadings: 100,
        pause: None,
        skills: 0,
        rates: Rates { fixed: 0, distance: 12, time: 0 },
        frozen: Vec::new(),
        not_before: 0,
    }
}

pub(crate) fn day(bins: &[Bin], size: usize) -> Collection {
    let rules = Rules::default();
    collection("day", bins, WHEN, &rules, street(size), vec![vehicle()], Vec::new())
}

pub(crate) fn planned(collection: &Collection) -> Plan {
    let settings = Settings { seed: 1, iterations: 300, from: None };
    let plan = Solver::new(&collection.problem).solve(&settings, &mut |_| true).plan;
    check(&collection.problem, &plan).unwrap();
    plan
}

fn prize(bin: &Bin) -> u32 {
    day(std::slice::from_ref(bin), 3).assessments[0].value.prize()
}

proptest! {
    #[test]
    fn what_is_fuller_or_fills_faster_is_worth_more(
        level in 0.0..1.2f64, more in 0.0..0.5f64, rate in 0.0..0.5f64, next in 0.2..5.0f64,
    ) {
        let mut one = bin("one", 1, level);
        one.filling = Some(Filling { before: rate, rate, spread: 0.05 });
        let fuller = Bin { level: Some(Level { share: level + more, age: 0.1 }), ..one.clone() };
        prop_assert!(prize(&fuller) >= prize(&one));
        let faster =
            Bin { filling: Some(Filling { before: rate + more, rate: rate + more, spread: 0.05 }), ..one.clone() };
        let risk = |bin: &Bin, next: f64| {
            let outlook = Outlook::new(bin, WHEN, &Rules::default()).unwrap();
            (outlook.overflow(next), outlook.overflow_days(next))
        };
        // a wider distribution around a full bin is no smaller risk, but no greater one either
        if level + rate * (0.6 + next) + more < 1.0 || more == 0.0 {
            prop_assert!(risk(&faster, next).0 >= risk(&one, next).0 - 1e-7);
            prop_assert!(risk(&faster, next).1 >= risk(&one, next).1 - 1e-7);
            prop_assert!(risk(&one, next + more).1 >= risk(&one, next).1 - 1e-7);
        }
    }

    #[test]
    fn each_bin_has_exactly_one_reason(
        bins in proptest::collection::vec((0.0..1.3f64, 0..5usize, 0.0..0.4f64, 0.0..9.0f64), 1..9),
    ) {
        let states =
            [State::Normal, State::Normal, State::Fire, State::Fallen, State::Suspended];
        let bins: Vec<Bin> = bins.iter().enumerate().map(|(i, &(level, state, rate, age))| Bin {
            filling: Some(Filling { before: rate, rate, spread: 0.05 }),
            level: (age < 6.0).then_some(Level { share: level, age }),
            emptied: (age > 3.0).then_some(age - 1.0),
            state: states[state],
            ..bin(&format!("b{i}"), i + 1, level)
        }).collect();
        let collection = day(&bins, bins.len() + 2);
        let plan = planned(&collection);
        let verdicts = collection.verdicts(&plan);
        prop_assert_eq!(verdicts.len(), bins.len());
        for (verdict, (bin, assessment)) in
            verdicts.iter().zip(bins.iter().zip(&collection.assessments))
        {
            prop_assert_eq!(&verdict.bin, &bin.id);
            let visited = verdict.stop.is_some_and(|stop| !plan.unserved.contains(&stop));
            prop_assert_eq!(verdict.reason.is_in(), visited, "{}", verdict.reason);
            prop_assert!(!verdict.reason.text(Language::Swedish).is_empty());
            let outlook = Outlook::new(bin, WHEN, &Rules::default());
            let full = outlook.is_none_or(|outlook| outlook.level >= bin.threshold_must);
            let barred = matches!(bin.state, State::Fire | State::Suspended);
            prop_assert!(!full || barred || assessment.must.is_some());
            // what must be visited is visited, or a message says that it is not
            if assessment.must.is_some() && !barred && !visited {
                let Some(Shortfall::Missing { bins, .. }) = collection.missing(&plan) else {
                    return Err(TestCaseError::fail("no message"));
                };
                prop_assert!(bins.contains(&verdict.bin));
            }
        }
    }
}

#[test]
fn a_silent_bin_is_planned_from_how_fast_it_fills() {
    let silent = Bin { level: Some(Level { share: 0.2, age: 5.0 }), ..bin("silent", 1, 0.0) };
    let emptied_since = Bin { emptied: Some(3.0), ..silent.clone() };
    let nothing = Bin { level: None, filling: None, ..silent.clone() };
    let only_emptied = Bin { emptied: Some(2.0), ..nothing.clone() };
    let long_ago = Bin { emptied: Some(8.0), ..nothing.clone() };
    let all = [silent, emptied_since, nothing, only_emptied, long_ago];
    let day = day(&all, 3);
    let level = |i: usize| day.assessments[i].outlook.map(|outlook| outlook.level);
    assert!((level(0).unwrap() - 0.75).abs() < 1e-9, "{:?}", level(0));
    assert!((level(1).unwrap() - 0.35).abs() < 1e-9, "{:?}", level(1));
    assert!(day.assessments.iter().all(|assessment| assessment.estimated()));
    assert_eq!(level(2), None);
    let needs: Vec<bool> = day.assessments.iter().map(|a| a.must.is_some()).collect();
    assert_eq!(needs, [false, false, true, false, true]);
    assert!(matches!(day.assessments[3].stop, Err(WhyOut::Emptied { .. })));
    assert_eq!(day.assessments[2].load.volume, 660);
}

#[test]
fn a_bin_on_no_road_is_named_and_not_routed() {
    let size = 4;
    let mut metres = street(size).distances().to_vec();
    for other in (0..size).filter(|other| *other != 1) {
        metres[other * size + 1] = NO_WAY;
        metres[size + other] = NO_WAY;
    }
    let matrix = Matrix::of_distances(size, metres);
    let bins = [bin("island", 1, 0.95), bin("town", 2, 0.95)];
    let vehicles = vec![Vehicle { shift: Window::ALWAYS, ..vehicle() }];
    let day = collection("day", &bins, WHEN, &Rules::default(), matrix, vehicles, Vec::new());
    assert_eq!(day.problem.stops.len(), 1);
    assert_eq!(day.problem.stops[0].need, Need::Must);
    assert_eq!(day.shortfalls(), [Shortfall::Excluded { bins: vec!["island".to_owned()] }]);
    let verdicts = day.verdicts(&planned(&day));
    assert_eq!(verdicts[0].reason, Reason::Out(WhyOut::NoWay));
    assert!(matches!(verdicts[1].reason, Reason::In(WhyIn::Must(MustBe::Full { .. }))));
}

#[test]
fn a_day_that_cannot_be_done_says_what_it_lacks() {
    let bins: Vec<Bin> = (1..=40).map(|i| bin(&format!("b{i}"), i, 0.95)).collect();
    let vehicle = Vehicle { shift: Window { earliest: 0, latest: 4 * 3600 }, ..vehicle() };
    let rules = Rules::default();
    let short = collection("day", &bins, WHEN, &rules, street(42), vec![vehicle], Vec::new());
    let plan = planned(&short);
    let mut said: Vec<String> = short.shortfalls().iter().map(ToString::to_string).collect();
    let missing = short.missing(&plan).unwrap();
    assert!(!plan.routes.is_empty());
    said.push(missing.to_string());
    said.push(missing.text(Language::Swedish));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_words_of_all_reasons() {
    let full_in = Some(5.6);
    let must = |must| Reason::In(WhyIn::Must(must));
    let reasons = [
        must(MustBe::Full { level: 0.92, threshold: 0.9 }),
        must(MustBe::Old { days: 14.2, most: 14.0 }),
        must(MustBe::Unknown { since: None, every: 7.0 }),
        must(MustBe::Unknown { since: Some(8.0), every: 7.0 }),
        must(MustBe::Fallen),
        must(MustBe::Requested),
        Reason::In(WhyIn::Overflow { probability: 0.63, days: 2.0, day: WHEN.next_day }),
        Reason::In(WhyIn::Overflow { probability: 0.63, days: 1.0, day: None }),
        Reason::In(WhyIn::OnTheWay { detour: 210, level: 0.55 }),
        Reason::Out(WhyOut::Fire),
        Reason::Out(WhyOut::Suspended),
        Reason::Out(WhyOut::NoWay),
        Reason::Out(WhyOut::Skills),
        Reason::Out(WhyOut::NotYet { level: 0.28, full_in }),
        Reason::Out(WhyOut::NotYet { level: 0.0, full_in: None }),
        Reason::Out(WhyOut::Emptied { days: 1.5, every: 7.0 }),
        Reason::Out(WhyOut::Detour { level: 0.28, detour: 2_340, full_in }),
        Reason::Out(WhyOut::Capacity { must: true, level: Some(0.97) }),
        Reason::Out(WhyOut::Capacity { must: false, level: None }),
        Reason::Out(WhyOut::Alone),
    ];
    let said = reasons.map(|reason| format!("{reason}\n{}", reason.text(Language::Swedish)));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_sensor_that_is_silent_for_weeks_is_no_endless_load() {
    let mut silent = bin("silent", 1, 0.8);
    silent.level = Some(Level { share: 0.8, age: 300.0 });
    let collection = day(&[silent, bin("full", 2, 0.95)], 4);
    let assessment = &collection.assessments[0];
    assert!(assessment.outlook.unwrap().level.is_finite());
    assert_eq!(assessment.load.volume, 792, "full, and a fifth beside it");
    let plan = planned(&collection);
    assert!(plan.unserved.is_empty(), "it fits, and so does the other");
}
