//! Sensors that report a few times a day.

use super::world::{BEGIN, DAY, HOUR, Make};
use lykta::bins::{Bin, Emptying};

/// Of a bin whose sensor reports every so many hours: what comes in a day as it was learned, and
/// emptyings that were found, that were made, and that nobody made.
fn learned(every: i64, make: &Make, seed: u64) -> (Option<f64>, usize, usize, usize) {
    let rules = make.rules();
    let history = make.history(140, seed);
    let mut bin = Bin::new(&rules);
    let mut told: Vec<Emptying> = Vec::new();
    let of_its_hour = |second: i64| (second - BEGIN) / HOUR % every == seed as i64 % every;
    for (input, _) in history.heard.iter().filter(|(input, _)| of_its_hour(input.at.as_second())) {
        told.extend(bin.offer(&rules, input).emptied.filter(Emptying::counts));
    }
    let near = |a: i64, b: i64| (a - b).abs() <= DAY + every * HOUR;
    let found = |at: &i64| told.iter().any(|emptying| near(emptying.at.as_second(), *at));
    let wrong = told.iter().filter(|emptying| {
        !history.emptied.iter().any(|(at, _)| near(*at, emptying.at.as_second()))
    });
    let found = history.emptied.iter().filter(|(at, _)| found(at)).count();
    (bin.known_rate(&rules), found, history.emptied.len(), wrong.count())
}

#[test]
fn a_sensor_that_reports_rarely_learns_what_comes() {
    for every in [2, 4, 6, 8, 12, 24] {
        for seed in 0..4 {
            // slow enough that a day is not the whole bin
            let comes = [0.06, 0.05, 0.05, 0.05, 0.06, 0.1, 0.01];
            let make = Make { comes, emptied_from: 0.7, ..Make::default() };
            let truth = comes.iter().sum::<f64>() / 7.0;
            let (rate, found, made, wrong) = learned(every, &make, seed);
            let rate = rate.unwrap_or_else(|| panic!("each {every} h, seed {seed}: none"));
            assert!((rate / truth - 1.0).abs() < 0.3, "each {every} h, seed {seed}: {rate}");
            assert!(found + 1 >= made, "each {every} h, seed {seed}: {found} of {made}");
            assert!(wrong <= 1, "each {every} h, seed {seed}: {wrong} that nobody did");
        }
    }
}
