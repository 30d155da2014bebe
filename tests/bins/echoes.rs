//! Echoes that stick to a fixed part.

use super::world::{BEGIN, DAY, Make, outcomes};
use lykta::bins::{Bin, EchoFrom, Trust};

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
