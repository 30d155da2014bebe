//! Fire and falls, as a whole uplink says them.

use super::world::{BEGIN, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Alarm, Bin, Input, Posture};
use lykta::units::{Celsius, Degrees, Measured, Quality, Quantity, Reading};

fn heat(second: i64, degrees: f64) -> Input {
    let mut input = Input::new(Timestamp::from_second(BEGIN + second).unwrap(), true);
    input.temperature = Some(Celsius(degrees));
    input
}

#[test]
fn a_year_of_sun_and_frost_is_no_fire() {
    for seed in 0..3 {
        let mut history = Make::default().history(365, seed);
        for (number, (input, _)) in history.heard.iter_mut().enumerate() {
            // the sun on black plastic, and firmware that knows no signs
            let degrees = input.temperature.map_or(0.0, |degrees| degrees.0);
            let sun = if number % 9 == 0 { 20.0 } else { 0.0 };
            let read = if degrees < 0.0 { degrees + 256.0 } else { degrees + sun };
            input.temperature = Some(Celsius(read));
        }
        let told = outcomes(&Make::default().rules(), &history);
        assert!(told.iter().all(|outcome| outcome.alarm.is_none()), "seed {seed}");
    }
}

#[test]
fn twenty_degrees_in_ten_minutes_are_a_fire_within_two_readings() {
    let rules = Make::default().rules();
    for base in [-10.0, 5.0, 30.0, 60.0] {
        let mut bin = Bin::new(&rules);
        bin.offer(&rules, &heat(0, base));
        bin.offer(&rules, &heat(HOUR, base));
        let alarms = [5, 10].map(|minute| {
            bin.offer(&rules, &heat(HOUR + minute * 60, base + 2.0 * minute as f64)).alarm
        });
        assert!(alarms.contains(&Some(Alarm::Fire)), "{base}");
        assert!(bin.burns());
    }
}

#[test]
fn a_fire_is_told_by_a_clock_that_nobody_has_set_and_beside_a_fall() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    for second in [0, 60] {
        let mut input = heat(second, 20.0);
        (input.synced, input.tilt) = (false, Some(Degrees(1.0)));
        bin.offer(&rules, &input);
    }
    for (second, degrees, alarm) in [(600, 30.0, None), (660, 60.0, Some(Alarm::Fire))] {
        let mut input = heat(second, degrees);
        (input.synced, input.tilt) = (false, Some(Degrees(90.0)));
        assert_eq!(bin.offer(&rules, &input).alarm, alarm, "{degrees}");
    }
    assert_eq!(bin.posture(), Posture::Dropped);
}

#[test]
fn a_temperature_out_of_its_range_is_judged_as_a_fire_not_dropped() {
    let rules = Make::default().rules();
    let mut bin = Bin::new(&rules);
    let at = Timestamp::from_second(BEGIN).unwrap();
    let reading = Reading {
        name: "temperature".into(),
        quantity: Quantity::Temperature,
        measured: Some(Measured::Temperature(Celsius(92.0))),
        quality: Quality::Suspect,
    };
    let outcome = bin.offer(&rules, &Input::of(&[reading], at, true));
    assert_eq!(outcome.alarm, Some(Alarm::Fire));
}
