//! Forecasts, beside what came.

use super::world::{BEGIN, DAY, HOUR, Make, outcomes};
use lykta::bins::{Bin, Forecast, Tenths};
use lykta::units::{Metres, Ratio};

/// Of each day from the fourth week on: what the sensor said at five in the morning, a day later,
/// and what was forecast for then; without the days of an emptying.
fn days(make: &Make, seed: u64) -> Vec<(f64, f64, Tenths<f64>)> {
    let rules = make.rules();
    let history = make.history(140, seed);
    let mut bin = Bin::new(&rules);
    let mut mornings: Vec<(i64, f64, Tenths<f64>)> = Vec::new();
    for (input, truth) in &history.heard {
        bin.offer(&rules, input);
        let second = input.at.as_second() - BEGIN;
        if second % DAY / HOUR == 3 {
            let Forecast { distance_24h, .. } = bin.forecast(&rules, input.at);
            let surface = make.depth - truth * (make.depth - 0.05);
            mornings.push((second / DAY, surface, distance_24h.unwrap().map(|Metres(m)| m)));
        }
    }
    let emptied =
        |day: i64| history.emptied.iter().any(|(at, _)| ((at - BEGIN) / DAY - day).abs() <= 1);
    let pairs = mornings
        .windows(2)
        .filter(|pair| pair[0].0 >= 28 && pair[1].0 == pair[0].0 + 1 && !emptied(pair[0].0));
    pairs.map(|pair| (pair[0].1, pair[1].1, pair[0].2)).collect()
}

#[test]
fn it_is_nearer_than_no_change_and_than_the_mean_and_its_interval_holds() {
    let (mut count, mut off, mut still, mut mean_off, mut inside) = (0, 0.0, 0.0, 0.0, 0);
    for seed in 0..12 {
        let make = Make { emptied_from: 0.8, ..Make::default() };
        let all = days(&make, seed);
        let mean = all.iter().map(|(now, then, _)| now - then).sum::<f64>() / all.len() as f64;
        for (now, then, forecast) in all {
            count += 1;
            off += (then - forecast.p50).abs();
            still += (then - now).abs();
            mean_off += (then - (now - mean)).abs();
            inside += usize::from((forecast.p10 - 0.005..=forecast.p90 + 0.005).contains(&then));
        }
    }
    assert!(count > 300, "{count}");
    assert!(off < still * 0.6, "{off} beside {still}");
    // this mean knows the future, but no weekdays
    assert!(off < mean_off * 0.95, "{off} beside {mean_off}");
    let inside = inside as f64 / f64::from(count);
    assert!((0.72..0.93).contains(&inside), "{inside}");
}

#[test]
fn it_tells_when_a_bin_will_be_full() {
    let (mut count, mut inside, mut off) = (0, 0, 0.0);
    for seed in 0..12 {
        let make = Make { emptied_from: 0.95, ..Make::default() };
        let rules = make.rules();
        let history = make.history(140, seed);
        let mut bin = Bin::new(&rules);
        for (number, (input, truth)) in history.heard.iter().enumerate() {
            bin.offer(&rules, input);
            let second = input.at.as_second();
            if second % DAY / HOUR != 12 || second - BEGIN < 30 * DAY || *truth > 0.5 {
                continue;
            }
            let forecast = bin.forecast(&rules, input.at);
            let (may, must) = (forecast.may_at.unwrap(), forecast.must_at.unwrap());
            assert!(may.p10 <= must.p10 && may.p50 <= must.p50 && may.p90 <= must.p90);
            let later = history.heard[number..].iter();
            let Some((full, _)) = later.clone().find(|(_, truth)| *truth >= 0.8) else { continue };
            let until = later.take_while(|(input, _)| input.at <= full.at);
            if until.into_iter().any(|(_, level)| *level < truth - 0.1) {
                continue;
            }
            count += 1;
            inside += usize::from((must.p10..=must.p90).contains(&full.at));
            off += full.at.duration_since(must.p50).as_secs_f64().abs() / DAY as f64;
        }
    }
    assert!(count > 300, "{count}");
    let (inside, off) = (inside as f64 / f64::from(count), off / f64::from(count));
    assert!((0.7..0.95).contains(&inside), "{inside}");
    assert!(off < 1.2, "{off} days");
}

#[test]
fn a_silent_bin_grows_as_it_is_expected_to_and_says_so() {
    let make = Make { tours: &[], comes: [0.05; 7], ..Make::default() };
    let rules = make.rules();
    let mut history = make.history(9, 1);
    history.heard.retain(|(input, _)| input.at.as_second() < BEGIN + 9 * DAY);
    let mut bin = Bin::new(&rules);
    for (input, _) in &history.heard {
        bin.offer(&rules, input);
    }
    let last = history.heard.last().unwrap().0.at;
    let now = bin.fill(&rules, last).unwrap().0;
    assert!(!bin.is_estimated(last));
    let later = last + jiff::SignedDuration::from_hours(48);
    assert!(bin.is_estimated(later));
    let then = bin.fill(&rules, later).unwrap().0;
    assert!((0.05..0.2).contains(&(then - now)), "{now} and {then}");
}

#[test]
fn a_new_bin_is_like_the_others() {
    for usual in [0.02, 0.1, 0.3] {
        let make = Make::default();
        let rules = lykta::bins::Rules { usual: Ratio(usual), ..make.rules() };
        let history = make.history(1, 1);
        let mut bin = Bin::new(&rules);
        bin.offer(&rules, &history.heard[0].0);
        assert!((bin.daily(&rules).0 - usual).abs() < 1e-9);
        assert_eq!(outcomes(&rules, &history).len(), history.heard.len());
    }
}
