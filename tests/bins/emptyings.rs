//! Levels and emptyings.

use super::world::{BEGIN, DAY, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Bin, Due, Echo, Geometry, Input, Rules, Trust};
use lykta::units::{Degrees, Metres, Ratio};

fn distance(second: i64, metres: f64) -> Input {
    let mut input = Input::new(Timestamp::from_second(BEGIN + second).unwrap(), true);
    input.echo = Echo::Distance(Metres(metres));
    input
}

#[test]
fn a_wild_reading_moves_nothing_and_an_emptying_shows_with_the_second() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut fills = Vec::new();
    let distances = [0.4, 0.4, 0.4, 0.4, 1.0, 0.4, 0.4, 0.4, 1.28, 1.26, 1.28];
    for (hour, metres) in distances.into_iter().enumerate() {
        let outcome = bin.offer(&rules, &distance(hour as i64 * HOUR, metres));
        fills.push(outcome.fill.unwrap().0);
    }
    assert!((fills[4] - fills[3]).abs() < 0.02, "{fills:?}");
    assert!(fills[8] > 0.6, "one reading: {fills:?}");
    assert!(fills[9] < 0.05, "two readings: {fills:?}");
}

#[test]
fn no_echo_is_rejected_and_the_level_stays() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut missing = distance(0, 2.54);
    missing.echo = Echo::Missing;
    let outcome = bin.offer(&rules, &missing);
    assert_eq!((outcome.fill, outcome.trust), (None, Trust::Rejected));
    bin.offer(&rules, &distance(HOUR, 0.4));
    for hour in 2..100 {
        missing.at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
        let outcome = bin.offer(&rules, &missing);
        assert_eq!(outcome.trust, Trust::Rejected);
        assert!(outcome.fill.unwrap().0 > 0.7, "never empty");
        assert_eq!(outcome.emptied, None);
    }
    assert!(bin.is_estimated(missing.at));
}

#[test]
fn emptyings_are_found_through_losses_with_what_was_in_it() {
    for (loss, least) in [(0.0, 0.99), (0.17, 0.98), (0.5, 0.95)] {
        let (mut emptied, mut found, mut wrong, mut off) = (0, 0, 0, 0.0_f64);
        for seed in 0..6 {
            let make = Make { loss, ..Make::default() };
            let history = make.history(120, seed);
            let told: Vec<_> = outcomes(&make.rules(), &history)
                .into_iter()
                .filter_map(|outcome| outcome.emptied)
                .filter(|emptying| emptying.counts())
                .collect();
            let near = |at: i64, second: i64| (at - second).abs() <= 12 * HOUR;
            for (at, level) in &history.emptied {
                emptied += 1;
                let hit = told.iter().find(|emptying| near(*at, emptying.at.as_second()));
                found += usize::from(hit.is_some());
                off += hit.map_or(0.0, |emptying| (emptying.fill_before.0 - level).abs());
            }
            wrong += told
                .iter()
                .filter(|emptying| {
                    !history.emptied.iter().any(|(at, _)| near(*at, emptying.at.as_second()))
                })
                .count();
        }
        assert!(emptied > 60, "{emptied}");
        assert!(found as f64 >= least * emptied as f64, "loss {loss}: {found} of {emptied}");
        assert!(wrong <= 2, "loss {loss}: {wrong} that nobody did");
        assert!(off / (found as f64) < 0.06, "loss {loss}: {off} of {found}");
    }
}

#[test]
fn a_partial_emptying_says_so() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut told = Vec::new();
    for hour in 0..50 {
        let metres = if hour < 36 { 0.2 } else { 0.7 };
        told.extend(bin.offer(&rules, &distance(hour * HOUR, metres)).emptied);
    }
    assert_eq!(told.len(), 1);
    assert!(told[0].partial && told[0].counts(), "{told:?}");
    assert!((told[0].fill_before.0 - 0.88).abs() < 0.01);
    assert_eq!(told[0].at.as_second(), BEGIN + 36 * HOUR);
}

#[test]
fn in_a_gap_a_bin_is_emptied_while_crews_are_out() {
    let rules = Make::default().rules();
    // local time is an hour ahead
    for (before, after, at) in [(15, 20, 17), (8, 10, 10), (20, 22, 22)] {
        let mut bin = Bin::new(&rules);
        let hours = (before - 10..=before).chain(after..after + 10);
        let told: Vec<_> = hours
            .filter_map(|hour| {
                let metres = if hour <= before { 0.1 } else { 1.3 };
                bin.offer(&rules, &distance((24 + hour) * HOUR, metres)).emptied
            })
            .collect();
        assert_eq!(told.len(), 1, "after {before}");
        assert_eq!(told[0].at.as_second(), BEGIN + (24 + at) * HOUR, "after {before}");
    }
}

#[test]
fn a_compactor_that_presses_is_not_emptied_and_one_that_is_emptied_is() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut told = Vec::new();
    // tenths, as such bins tell them; each second press is one while it fills
    for hour in 0..200_i64 {
        let tenths = match hour {
            0..150 => 2 + (hour % 30) / 4,
            _ => 0,
        };
        let mut input = distance(hour * HOUR, 0.0);
        input.echo = Echo::Untold;
        input.told = Some(Ratio(tenths as f64 / 10.0));
        input.presses = Some(hour.min(149) as u32 / 30);
        told.extend(bin.offer(&rules, &input).emptied.filter(|emptying| emptying.counts()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].at.as_second(), BEGIN + 150 * HOUR);
    assert_eq!(bin.fill(&rules, told[0].at), Some(Ratio(0.0)));
}

#[test]
fn what_smells_must_be_emptied_however_empty() {
    let rules = Rules { most_days: Some(14.0), ..Make::default().rules() };
    let mut bin = Bin::new(&rules);
    let mut due = Vec::new();
    for hour in 0..24 * 16 {
        due.extend(bin.offer(&rules, &distance(hour * HOUR, 1.2)).due.map(|due| (hour / 24, due)));
    }
    assert_eq!(due, [(14, Due::Must)]);
}

#[test]
fn a_clock_that_was_wrong_makes_no_bin_deaf() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    for hour in 0..30 {
        bin.offer(&rules, &distance(4000 * DAY + hour * HOUR, 0.3));
    }
    for hour in 0..3 {
        bin.offer(&rules, &distance(hour * HOUR, 1.2));
    }
    let now = Timestamp::from_second(BEGIN + 2 * HOUR).unwrap();
    assert!(bin.fill(&rules, now).unwrap().0 < 0.1);
    assert_eq!(bin.emptied(), None, "nobody knows");
    let late = bin.offer(&rules, &distance(HOUR + 1800, 0.2));
    assert_eq!(late.emptied, None);
    assert!(bin.fill(&rules, now).unwrap().0 < 0.1, "out of order by minutes");
}

#[test]
fn other_settings_are_no_emptying() {
    let told = |fill: f64| {
        let mut input = distance(0, 0.0);
        (input.echo, input.told) = (Echo::Untold, Some(Ratio(fill)));
        input
    };
    let make = |depth: f64, angle: f64| {
        let mut geometry = Geometry::straight(Metres(depth), Metres(0.0));
        geometry.angle = Degrees(angle);
        Rules::new(geometry, Make::default().rules().zone)
    };
    for (before, after, said) in [
        (make(1.0, 0.0), make(2.0, 0.0), told(0.5)),
        (make(2.0, 0.0), make(1.0, 0.0), told(0.5)),
        (make(1.5, 50.0), make(1.5, 0.0), distance(0, 1.2)),
    ] {
        let mut bin = Bin::new(&before);
        for hour in 0..120 {
            let mut input = said.clone();
            input.at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
            let outcome = bin.offer(if hour < 60 { &before } else { &after }, &input);
            assert_eq!(outcome.emptied, None, "hour {hour}, to {:?}", after.geometry);
        }
    }
}
