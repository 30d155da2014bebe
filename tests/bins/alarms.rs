//! Fire and falls, as a whole uplink says them.

use super::world::{BEGIN, HOUR, Make, outcomes};
use jiff::Timestamp;
use lykta::bins::{Alarm, Bin, Input, News, Posture, Tended};
use lykta::units::{Celsius, Degrees, Measured, Quality, Quantity, Reading, Volts};

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
    bin.offer(&rules, &heat(-600, 20.0));
    let outcome = bin.offer(&rules, &Input::of(&[reading], at, true));
    assert_eq!(outcome.alarm, Some(Alarm::Fire));
}

#[test]
fn hours_of_sun_that_a_power_cut_has_hidden_are_no_fire_and_a_fire_after_it_is() {
    let rules = Make::default().rules();
    let unsynced = |second: i64, degrees: f64| Input { synced: false, ..heat(second, degrees) };
    for was_synced in [true, false] {
        let mut bin = Tended::new(&rules);
        for minute in [0, 10, 20] {
            let heard = heat(minute * 60, 12.0);
            bin.offer(&rules, &Input { synced: was_synced, ..heard });
        }
        // the clock goes on a minute after the last reading; the sun has shone since then
        bin.resume();
        for (minute, degrees) in [(21, 44.0), (31, 45.0), (41, 46.0)] {
            let (outcome, _) = bin.offer(&rules, &unsynced(minute * 60, degrees));
            assert_eq!(outcome.alarm, None, "{degrees}");
        }
        let (outcome, _) = bin.offer(&rules, &unsynced(51 * 60, 68.0));
        assert_eq!(outcome.alarm, Some(Alarm::Fire));
    }
}

#[test]
fn a_wrong_byte_in_an_hourly_record_is_no_fire() {
    for seed in 0..3 {
        let mut history = Make::default().history(200, seed);
        let mut random = fastrand::Rng::with_seed(seed);
        for (input, _) in history.heard.iter_mut().step_by(50) {
            input.temperature = Some(Celsius(f64::from(random.i16(-128..=127))));
        }
        let told = outcomes(&Make::default().rules(), &history);
        assert!(told.iter().all(|outcome| outcome.alarm.is_none()), "seed {seed}");
    }
}

#[test]
fn a_sensor_that_burns_after_one_hot_report_is_a_fire() {
    let rules = Make::default().rules();
    let mut bin = Tended::new(&rules);
    for hour in 0..20 {
        bin.offer(&rules, &heat(hour * HOUR, 12.0));
    }
    let (_, news) = bin.offer(&rules, &heat(20 * HOUR, 110.0));
    assert!(!news.contains(&News::Fire), "one reading");
    let fires: Vec<i64> = (0..48)
        .filter(|part| {
            let now = Timestamp::from_second(BEGIN + 20 * HOUR + part * 300).unwrap();
            bin.pass(&rules, now, Timestamp::MIN).contains(&News::Fire)
        })
        .collect();
    assert_eq!(fires, [18], "an hour and a half later, once");
}

#[test]
fn a_fire_that_begins_while_the_clock_is_set_is_told_and_the_sun_is_none() {
    let rules = Make::default().rules();
    let fires = |each: i64, off: i64, degrees: [f64; 6]| {
        let mut bin = Tended::new(&rules);
        let mut told = 0;
        for (n, degrees) in (0..).zip(degrees) {
            let is_set = n >= 3;
            let at = 10 * HOUR + n * each + if is_set { 0 } else { off };
            let input = Input { synced: is_set, ..heat(at, degrees) };
            let (outcome, _) = bin.offer(&rules, &input);
            told += usize::from(outcome.alarm == Some(Alarm::Fire));
        }
        told
    };
    for off in [-3 * HOUR, -600, -60, 60, 1200, 5 * HOUR] {
        assert_eq!(fires(600, off, [20.0, 20.0, 21.0, 50.0, 54.0, 58.0]), 1, "{off}");
        assert_eq!(fires(HOUR, off, [15.0, 20.0, 25.0, 41.0, 58.0, 60.0]), 0, "{off}");
    }
    // it was hot by a clock that was ahead, and then silent
    for ahead in [-HOUR, 0, 400 * 24 * HOUR] {
        let mut bin = Tended::new(&rules);
        for hour in 0..40 {
            bin.offer(&rules, &heat(hour * HOUR, 15.0));
        }
        bin.resume();
        bin.offer(&rules, &Input { synced: false, ..heat(40 * HOUR + ahead, 120.0) });
        let stamp = |hour: i64| Timestamp::from_second(BEGIN + hour * HOUR).unwrap();
        let told: Vec<_> =
            (41..60).flat_map(|hour| bin.pass(&rules, stamp(hour), stamp(41))).collect();
        assert!(told.contains(&News::Fire), "{ahead}: {told:?}");
    }
}

#[test]
fn a_doubt_of_long_ago_and_the_sun_of_today_are_no_fire() {
    let rules = Make::default().rules();
    let mut bin = Tended::new(&rules);
    for hour in 0..40 {
        bin.offer(&rules, &heat(hour * HOUR, 15.0));
    }
    bin.offer(&rules, &heat(40 * HOUR, 90.0));
    // the gateway is off for days
    bin.resume();
    let (outcome, _) = bin.offer(&rules, &heat(40 * HOUR + 5 * 24 * HOUR, 56.0));
    assert_eq!(outcome.alarm, None);
}

#[test]
fn one_that_is_hotter_than_its_thermometer_can_say_and_then_silent_burnt() {
    let rules = Make::default().rules();
    let stamp = |second: i64| Timestamp::from_second(BEGIN + second).unwrap();
    let fires = |readings: &[f64], silent: i64| {
        let mut bin = Tended::new(&rules);
        let mut told = Vec::new();
        for (n, degrees) in (0..).zip(readings) {
            told.extend(bin.offer(&rules, &heat(n * 600, *degrees)).1);
        }
        let last = readings.len() as i64 * 600;
        told.extend(
            (0..silent).flat_map(|n| bin.pass(&rules, stamp(last + n * 600), Timestamp::MIN)),
        );
        told.iter().filter(|news| **news == News::Fire).count()
    };
    assert_eq!(fires(&[[22.0; 9].as_slice(), &[245.0, 246.0]].concat(), 30), 1);
    assert_eq!(fires(&[[22.0; 9].as_slice(), &[255.0], &[22.0; 9]].concat(), 30), 0, "a byte");
    assert_eq!(fires(&[[2.0; 9].as_slice(), &[255.0, 254.0]].concat(), 30), 0, "frost");
    assert_eq!(fires(&[[22.0; 9].as_slice(), &[255.0; 60]].concat(), 0), 0, "broken");
}

#[test]
fn a_battery_is_known_to_end_without_a_thermometer_and_after_a_wrong_clock() {
    let rules = Make::default().rules();
    let mut bin = Tended::new(&rules);
    let mut ahead = heat(400 * 24 * HOUR, 10.0);
    ahead.battery = Some(Volts(3.6));
    bin.offer(&rules, &ahead);
    let mut low = Vec::new();
    for hour in 0..24 * 150 {
        let mut input = Input::new(Timestamp::from_second(BEGIN + hour * HOUR).unwrap(), true);
        input.battery = Some(Volts(3.6 - 0.004 * hour as f64 / 24.0));
        let (_, news) = bin.offer(&rules, &input);
        low.extend(news.iter().any(|n| matches!(n, News::BatteryLow(_))).then_some(hour / 24));
    }
    assert_eq!(low.len(), 1, "{low:?}");
    assert!((95..115).contains(&low[0]), "it ends on day 150: told on day {}", low[0]);
}
