//! Bins that press their waste.

use super::world::{BEGIN, DAY, HOUR, Make};
use fastrand::Rng;
use jiff::Timestamp;
use lykta::bins::{Bin, Due, Echo, EchoFrom, Emptying, Input, Rules};
use lykta::units::Ratio;

/// One whose waste fills a tenth of it in a day when it is pressed; it is full of loose waste
/// before it presses that, a few times a day.
struct Compactor {
    /// It is emptied at this hour UTC when what is pressed is above 70 %.
    at: i64,
    /// Whether its counter begins again then.
    resets: bool,
}

/// What it said, when it was emptied, and how full of pressed waste it was at the end.
fn history(compactor: &Compactor, days: i64, seed: u64) -> (Vec<Input>, Vec<i64>, f64) {
    let mut random = Rng::with_seed(seed);
    let (mut pressed, mut loose, mut presses) = (0.0_f64, 0.0_f64, 40_u32);
    let (mut heard, mut emptied) = (Vec::new(), Vec::new());
    for hour in 0..days * 24 {
        let of_day = hour % 24;
        if (7..21).contains(&of_day) {
            loose += random.f64() * 2.0 * 0.45 / 14.0;
        }
        // a wall of waste is pressed to less than a quarter
        if loose > 0.3 {
            pressed = (pressed + loose * 0.22).min(1.0);
            loose = 0.0;
            presses += 1;
        }
        if of_day == compactor.at && pressed > 0.7 {
            emptied.push(BEGIN + hour * HOUR);
            (pressed, loose) = (0.0, 0.0);
            presses = if compactor.resets { 0 } else { presses };
        }
        if random.f64() < 0.17 {
            continue;
        }
        let mut input =
            Input::new(Timestamp::from_second(BEGIN + hour * HOUR + 600).unwrap(), true);
        input.echo = Echo::Untold;
        input.told = Some(Ratio(((pressed + loose).min(1.0) * 10.0).floor() / 10.0));
        input.presses = Some(presses);
        heard.push(input);
    }
    (heard, emptied, pressed + loose)
}

#[test]
fn its_emptyings_are_seen_whatever_its_counter_does_and_presses_are_none() {
    for at in [6, 9, 14] {
        for resets in [false, true] {
            let rules = Make::default().rules();
            let (heard, emptied, _) = history(&Compactor { at, resets }, 200, 3);
            let mut bin = Bin::new(&rules);
            let mut told: Vec<Emptying> = Vec::new();
            for input in &heard {
                let outcome = bin.offer(&rules, input);
                assert_ne!(outcome.echo, EchoFrom::Fixed, "pressing is no fixed echo");
                told.extend(outcome.emptied.filter(Emptying::counts));
            }
            let near = |a: i64, b: i64| (a - b).abs() <= DAY / 2;
            let found = emptied
                .iter()
                .filter(|at| told.iter().any(|emptying| near(emptying.at.as_second(), **at)))
                .count();
            let all = emptied.len();
            assert!(all > 15 && found + 1 >= all, "at {at}, {resets}: {found} of {all}");
            assert!(told.len() <= all, "at {at}, {resets}: {} for {all}", told.len());
        }
    }
}

#[test]
fn it_is_known_what_comes_and_when_it_will_be_full() {
    let rules = Make::default().rules();
    let (heard, emptied, _) = history(&Compactor { at: 9, resets: true }, 200, 5);
    let mut bin = Bin::new(&rules);
    let (mut off, mut count) = (0.0, 0);
    let mut dues = 0;
    for input in &heard {
        dues += usize::from(bin.offer(&rules, input).due == Some(Due::Must));
        let at = input.at.as_second();
        let next = emptied.iter().find(|emptied| **emptied > at);
        // two days after it was emptied: when will it be at 80 %?
        let since = emptied.iter().rev().find(|emptied| **emptied < at);
        let Some((since, next)) = since.zip(next).filter(|(since, _)| at - *since > 2 * DAY) else {
            continue;
        };
        if at - since < 2 * DAY + 3 * HOUR && at - BEGIN > 60 * DAY {
            let must = bin.forecast(&rules, input.at).must_at.unwrap().p50.as_second();
            off += (must - next).abs() as f64 / DAY as f64;
            count += 1;
        }
    }
    let rate = bin.known_rate(&rules).unwrap();
    assert!((0.07..0.13).contains(&rate), "{rate}");
    assert!(count > 10 && off / f64::from(count) < 1.7, "{count}: {}", off / f64::from(count));
    assert!(dues >= emptied.len() / 2, "{dues} for {}", emptied.len());
}

#[test]
fn it_smells_after_two_weeks_though_it_is_not_full() {
    let rules = Rules { most_days: Some(14.0), ..Make::default().rules() };
    let (heard, _, _) = history(&Compactor { at: 9, resets: false }, 100, 7);
    let mut bin = Bin::new(&rules);
    heard.iter().for_each(|input| {
        bin.offer(&rules, input);
    });
    let last = bin.emptied().expect("it was seen").as_second();
    // from now on nobody brings anything
    let mut due = None;
    for hour in 0..24 * 20 {
        let mut input = heard.last().unwrap().clone();
        input.at = Timestamp::from_second(BEGIN + 100 * DAY + hour * HOUR).unwrap();
        input.told = Some(Ratio(0.2));
        if bin.offer(&rules, &input).due == Some(Due::Must) {
            due = Some((input.at.as_second() - last) / DAY);
        }
    }
    assert_eq!(due, Some(14));
}
