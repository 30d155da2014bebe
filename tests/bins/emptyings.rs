//! Levels and emptyings.

use super::world::{BEGIN, DAY, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Bin, Due, Echo, Geometry, Input, Posture, Rules, Tended, Trust};
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
fn a_bin_that_fell_over_and_lost_its_waste_was_not_emptied_and_lies_as_nobody_put_it() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut offer = |hour: i64, metres: f64, angle: f64| {
        let mut input = distance(hour * HOUR, metres);
        input.tilt = Some(Degrees(angle));
        (bin.offer(&rules, &input), bin.emptied(), bin.posture())
    };
    for hour in 0..48 {
        offer(hour, 0.3, 2.0);
    }
    for hour in 48..48 + 24 * 7 {
        let (outcome, emptied, posture) = offer(hour, 1.28, 88.0);
        assert!(!outcome.emptied.is_some_and(|emptying| emptying.counts()), "{outcome:?}");
        assert_eq!(emptied, None);
        if hour > 48 {
            assert_eq!((posture, outcome.trust), (Posture::Dropped, Trust::Suspect), "{hour}");
        }
    }
    // it is put up, fills, and is emptied by a crew
    let mut told = Vec::new();
    for hour in 216..216 + 48 {
        let (outcome, _, posture) = offer(hour, 0.4, 2.0);
        told.extend(outcome.emptied);
        assert!(hour == 216 || posture == Posture::Ok);
    }
    for hour in 264..270 {
        told.extend(offer(hour, 1.28, 3.0).0.emptied);
    }
    assert!(told.len() == 1 && told[0].counts(), "{told:?}");
}

#[test]
fn a_bin_that_was_put_otherwise_and_is_emptied_stands_as_it_was_put() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let mut offer = |hour: i64, metres: f64, angle: f64| {
        let mut input = distance(hour * HOUR, metres);
        input.tilt = Some(Degrees(angle));
        bin.offer(&rules, &input);
        (bin.posture(), bin.emptied())
    };
    // in a van for days
    for hour in 0..60 {
        offer(hour, 0.3, 90.0);
    }
    for hour in 60..140 {
        assert_eq!(
            offer(hour, 0.3, 2.0).0,
            if hour == 60 { Posture::Ok } else { Posture::Dropped }
        );
    }
    for hour in 140..180 {
        offer(hour, 1.28, 2.0);
    }
    let (posture, emptied) = offer(180, 1.27, 2.0);
    assert_eq!(posture, Posture::Ok);
    assert!(emptied.is_some());
}

#[test]
fn a_sensor_that_tells_a_distance_and_a_percentage_is_one_sensor() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    for hour in 0..200 {
        let mut input = distance(hour * HOUR, 0.4);
        // now and then an echo from behind the floor, or none; its level is computed from that
        input.told = Some(Ratio(if hour % 9 == 0 { 0.0 } else { 0.7 }));
        input.echo = match hour % 18 {
            0 => Echo::Distance(Metres(4.0)),
            9 => Echo::Missing,
            // and some uplinks tell the level alone
            4 | 5 => Echo::Untold,
            _ => input.echo,
        };
        let outcome = bin.offer(&rules, &input);
        assert_eq!(outcome.emptied, None, "hour {hour}");
        assert!(hour == 0 || outcome.fill.unwrap().0 > 0.69, "hour {hour}: {outcome:?}");
    }
    // and one that was changed for another kind is believed
    let mut told = distance(0, 0.0);
    (told.echo, told.told) = (Echo::Untold, Some(Ratio(0.2)));
    for hour in 200..203 {
        told.at = Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
        let outcome = bin.offer(&rules, &told);
        let level = if hour < 202 { 0.7 } else { 0.2 };
        assert!((outcome.fill.unwrap().0 - level).abs() < 0.1, "hour {hour}: {outcome:?}");
    }
}

#[test]
fn a_clock_that_is_set_makes_no_old_level_new() {
    let rules = Make::default().rules();
    let at = |hour: i64| Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
    let mut bin = Tended::new(&rules);
    for hour in 0..24 * 20 {
        bin.offer(&rules, &distance(hour * HOUR, 1.3 - hour as f64 / 24.0 % 7.0 * 0.15));
    }
    let missing = |hour: i64| Input { echo: Echo::Missing, ..distance(hour * HOUR, 0.0) };
    let last = 24 * 20;
    // it sees nothing for days, then the power fails, and the clock is set two days later
    for hour in last..last + 72 {
        bin.offer(&rules, &missing(hour));
    }
    let before = bin.bin.fill(&rules, at(last + 72)).unwrap().0;
    assert!(bin.bin.is_estimated(at(last + 72)));
    bin.offer(&rules, &Input { synced: false, ..missing(last + 72) });
    let now = at(last + 72 + 48);
    bin.pass(&rules, now, Timestamp::MIN);
    assert!(bin.bin.is_estimated(now));
    assert!(bin.bin.fill(&rules, now).unwrap().0 >= before, "it goes on filling");
    // a level of before another power cut is old, too
    let mut cut = Tended::new(&rules);
    cut.offer(&rules, &Input { synced: false, ..distance(0, 1.0) });
    cut.resume();
    cut.pass(&rules, now, Timestamp::MIN);
    assert!(cut.bin.is_estimated(now));
    // what was seen by such a clock is what it is now
    bin.offer(&rules, &Input { synced: false, ..distance((last + 80) * HOUR, 1.0) });
    let mut late = Tended::new(&rules);
    late.offer(&rules, &Input { synced: false, ..distance(0, 1.0) });
    late.pass(&rules, now, Timestamp::MIN);
    assert!(!late.bin.is_estimated(now));
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
