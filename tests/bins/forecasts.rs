//! Forecasts, beside what came.

use super::world::{BEGIN, DAY, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Bin, Echo, Forecast, Tenths};
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

/// Of a bin that only working days fill, a Monday's mark, and what it knows after so many days.
fn office(days: i64, seed: u64) -> (Make, Bin) {
    let comes = [0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0];
    let make = Make { comes, holidays: &[0, 5, 88, 91, 121, 129], ..Make::default() };
    let mut bin = Bin::new(&make.rules());
    for (input, _) in make.history(days, seed).heard {
        bin.offer(&make.rules(), &input);
    }
    (make, bin)
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + hour * HOUR).unwrap()
}

#[test]
fn tours_reckon_with_weekdays_and_holidays() {
    for seed in 0..4 {
        // up to the evening of the day before Good Friday
        let (make, bin) = office(87, seed);
        let view = bin.view(&make.rules()).unwrap();
        let (friday, monday) = (81 * 24 + 4, 84 * 24 + 4);
        let week = view.comes(at(monday), at(monday + 3 * 24));
        let weekend = view.comes(at(friday + 24), at(monday));
        assert!((0.2..0.4).contains(&week), "seed {seed}: {week} in three days");
        assert!(weekend < week / 3.0, "seed {seed}: {weekend} on a weekend beside {week}");
        // four days from Good Friday to Easter Monday, and the same a week later
        let easter = view.comes(at(88 * 24 + 4), at(92 * 24 + 4));
        let later = view.comes(at(95 * 24 + 4), at(99 * 24 + 4));
        assert!(easter < later * 0.7, "seed {seed}: {easter} beside {later}");
        let whole = view.comes(at(monday), at(monday + 7 * 24));
        let parts: f64 =
            (0..84).map(|part| view.comes(at(monday + 2 * part), at(monday + 2 * part + 2))).sum();
        assert!((whole - parts).abs() < 1e-9, "{whole} in parts is {parts}");
        assert_eq!(view.comes(at(monday), at(monday)), 0.0);
    }
}

#[test]
fn a_holiday_is_forecast_as_a_sunday() {
    for seed in 0..4 {
        let make = office(87, seed).0;
        let rules = make.rules();
        let history = make.history(125, seed);
        let mut bin = Bin::new(&rules);
        let mut comes = Vec::new();
        for (input, _) in &history.heard {
            bin.offer(&rules, input);
            let second = input.at.as_second() - BEGIN;
            if [87, 94, 120].contains(&(second / DAY)) && second % DAY / HOUR >= 22 {
                let forecast = bin.forecast(&rules, input.at).distance_24h.unwrap();
                let Echo::Distance(Metres(now)) = input.echo else { continue };
                comes.push((second / DAY, now - forecast.p50.0));
            }
        }
        let mean = |of: &dyn Fn(i64) -> bool| {
            let of: Vec<f64> = comes.iter().filter(|(day, _)| of(*day)).map(|c| c.1).collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        let (holidays, friday) = (mean(&|day| day != 94), mean(&|day| day == 94));
        assert!(holidays < friday / 2.0, "seed {seed}: {holidays} m beside {friday} m");
    }
}
