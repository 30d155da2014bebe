//! Echoes that stick to a fixed part.

use super::world::{BEGIN, DAY, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Bin, Echo, EchoFrom, Input, News, Tended, Trust};
use lykta::units::Metres;

fn shelf(days: std::ops::Range<i64>) -> Make {
    // slow enough that the shelf is above the surface for most of the time
    let comes = [0.06, 0.05, 0.05, 0.05, 0.06, 0.1, 0.01];
    Make { comes, shelf: Some((0.5, 0.6, days)), ..Make::default() }
}

#[test]
fn a_fixed_echo_is_known_within_two_weeks_and_a_clean_bin_has_none() {
    for seed in 0..8 {
        let history = shelf(0..60).history(60, seed);
        let told = outcomes(&shelf(0..60).rules(), &history);
        let first = told.iter().position(|outcome| outcome.echo == EchoFrom::Fixed);
        let at = history.heard[first.expect("it is found")].0.at.as_second();
        assert!(at - BEGIN < 14 * DAY, "seed {seed}: after {} days", (at - BEGIN) / DAY);

        for loss in [0.0, 0.17, 0.5] {
            let make = Make { loss, ..Make::default() };
            let told = outcomes(&make.rules(), &make.history(200, seed));
            let fixed = told.iter().filter(|outcome| outcome.echo == EchoFrom::Fixed).count();
            assert_eq!(fixed, 0, "seed {seed}, loss {loss}");
        }
    }
}

#[test]
fn its_levels_are_suspect_and_its_emptyings_do_not_count_until_it_is_mended() {
    for seed in 0..4 {
        let make = shelf(0..60);
        let history = make.history(120, seed);
        let mut bin = Bin::new(&make.rules());
        let (mut false_ones, mut found) = (0, 0);
        for (input, _) in &history.heard {
            let outcome = bin.offer(&make.rules(), input);
            if outcome.echo == EchoFrom::Fixed {
                assert_eq!(outcome.trust, Trust::Suspect);
            }
            let day = (input.at.as_second() - BEGIN) / DAY;
            if let Some(emptying) = outcome.emptied.filter(|emptying| emptying.counts()) {
                let at = emptying.at.as_second();
                let true_one = history.emptied.iter().any(|(then, _)| (then - at).abs() < DAY / 2);
                false_ones += usize::from(!true_one && day < 60);
                found += usize::from(true_one && day > 90);
            }
        }
        let emptied = history.emptied.iter().filter(|(at, _)| at - BEGIN > 90 * DAY).count();
        assert!(false_ones <= 2, "seed {seed}: {false_ones} in two months");
        assert!(!bin.is_degraded(), "seed {seed}");
        assert_eq!(found, emptied, "seed {seed}: it works again");
    }
}

#[test]
fn a_degraded_bin_is_planned_by_what_is_expected_not_by_the_lie() {
    let make = shelf(0..400);
    let rules = make.rules();
    let history = make.history(90, 3);
    let mut bin = Bin::new(&rules);
    let (mut lie, mut told, mut count) = (0.0, 0.0, 0);
    for (input, truth) in &history.heard {
        let outcome = bin.offer(&rules, input);
        if outcome.echo == EchoFrom::Fixed {
            let said = rules.geometry.measured(input).unwrap().0;
            lie += (said - truth).abs();
            told += (outcome.fill.unwrap().0 - truth).abs();
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
    assert!(told < lie * 0.6, "{} beside {}", told / count as f64, lie / count as f64);
}

/// A nearly empty bin whose echo is at a fixed part for so many hours, and then for others not: on
/// which day that was found, and how many emptyings were told.
fn stays(every: i64, (on, off): (i64, i64), days: i64) -> (Option<i64>, usize) {
    let rules = Make::default().rules();
    let mut bin = Tended::new(&rules);
    let (mut found, mut emptied) = (None, 0);
    for hour in (0..24 * days).step_by(every as usize) {
        let wobble = if hour % 5 == 0 { 0.02 } else { 0.0 };
        let there = hour > 96 && (hour + 7) % (on + off) < on;
        let at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
        let mut input = Input::new(at, true);
        input.echo = Echo::Distance(Metres(if there { 0.62 } else { 1.2 } + wobble));
        for news in bin.offer(&rules, &input).1 {
            match news {
                News::EchoFixed => found = found.or(Some(hour / 24)),
                News::Emptied(_) => emptied += 1,
                _ => {}
            }
        }
    }
    (found, emptied)
}

#[test]
fn long_stays_at_a_fixed_part_are_found_when_they_come_again() {
    let cases = [
        (1, (30, 12), 40),
        (1, (40, 8), 40),
        (1, (48, 24), 30),
        (1, (48, 48), 30),
        (1, (72, 48), 40),
        (1, (168, 72), 60),
        (1, (288, 48), 90),
        (8, (48, 24), 40),
        (12, (24, 24), 40),
    ];
    for (every, stay, latest) in cases {
        let (found, emptied) = stays(every, stay, 120);
        assert!(found.is_some_and(|day| day <= latest), "each {every} h, {stay:?}: {found:?}");
        assert!(emptied <= 5, "each {every} h, {stay:?}: {emptied} that nobody did");
    }
}

#[test]
fn a_bin_that_fills_by_the_sack_has_no_fixed_part() {
    // whatever comes in comes at once, a third each time or so, and stays for days
    for seed in 0..12 {
        let rules = Make::default().rules();
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut bin, mut level, mut last) = (Tended::new(&rules), 0.0_f64, 0);
        for hour in 0..24 * 300 {
            // one that nobody uses for two weeks looks like one that is frozen
            if random.f64() < 1.0 / 60.0 || hour - last > 24 * 7 {
                last = hour;
                level = (level + 0.2 + 0.25 * random.f64()).min(1.0);
            }
            if hour % (24 * 7) == 34 {
                level = 0.0;
            }
            let at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
            let mut input = Input::new(at, true);
            input.echo = Echo::Distance(Metres(1.3 - 1.25 * level + 0.02 * random.f64()));
            let (_, news) = bin.offer(&rules, &input);
            assert!(!news.contains(&News::EchoFixed), "seed {seed}, day {}", hour / 24);
        }
    }
}
