//! Whatever sensors say, what is known stays small and sane, and survives a restart.

use super::world::{BEGIN, Make};
use jiff::Timestamp;
use lykta::bins::{Bin, Echo, Geometry, Input, Rules};
use lykta::units::{Celsius, Degrees, Metres, Ratio, Volts};
use proptest::prelude::*;

/// Less than so many bytes are kept of a bin, whatever happened.
const MOST: usize = 2048;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..2.6,
        1 => -300.0..300.0,
        1 => any::<f64>(),
    ]
}

fn input() -> impl Strategy<Value = (i64, Input)> {
    let passed = prop_oneof![
        20 => 0..20_000_i64,
        2 => -20_000..0_i64,
        1 => -40_000_000..400_000_000_i64,
    ];
    let echo = prop_oneof![
        6 => number().prop_map(|metres| Echo::Distance(Metres(metres))),
        1 => Just(Echo::Missing),
        1 => Just(Echo::Untold),
    ];
    let more = (
        prop::option::of(number()),
        prop::option::of(number()),
        prop::option::of(-60.0..300.0),
        prop::option::of(number()),
        prop::option::of(any::<u32>()),
    );
    let bits = (any::<bool>(), any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>());
    (passed, echo, more, bits).prop_map(|(passed, echo, more, bits)| {
        let (told, volts, degrees, angle, presses) = more;
        let (wrong, tilted, lid_open, fire) = bits;
        let mut input = Input::new(Timestamp::UNIX_EPOCH, !wrong || passed % 3 > 0);
        input.echo = echo;
        input.told = told.map(Ratio);
        input.battery = volts.map(Volts);
        input.temperature = degrees.map(Celsius);
        input.tilt = angle.map(Degrees);
        (input.presses, input.tilted, input.lid_open) = (presses, tilted, lid_open);
        input.fire = fire;
        (passed, input)
    })
}

fn ordered(values: [f64; 3], within: std::ops::RangeInclusive<f64>) -> bool {
    values.iter().all(|value| within.contains(value))
        && values[0] <= values[1]
        && values[1] <= values[2]
}

proptest! {
    #[test]
    fn no_readings_make_a_bin_absurd(
        inputs in prop::collection::vec(input(), 1..150),
        depth in 0.05..20.0_f64,
        cone: bool,
    ) {
        let volumes = if cone { vec![0.0, 0.1, 0.4, 1.0] } else { Vec::new() };
        let geometry = Geometry {
            volumes,
            angle: Degrees(if cone { 20.0 } else { 0.0 }),
            ..Geometry::straight(Metres(depth), Metres(depth * 0.1))
        };
        let rules = Rules { most_days: Some(10.0), ..Rules::new(geometry, Make::default().rules().zone) };
        let mut bin = Bin::new(&rules);
        let mut second = BEGIN;
        for (passed, mut input) in inputs {
            second = (second + passed).clamp(0, 5_000_000_000);
            input.at = Timestamp::from_second(second).unwrap();
            let outcome = bin.offer(&rules, &input);
            if let Some(Ratio(fill)) = outcome.fill {
                prop_assert!((0.0..=1.0).contains(&fill));
            }
            if let Some(emptying) = outcome.emptied {
                prop_assert!((0.0..=1.0).contains(&emptying.confidence));
                prop_assert!((0.0..=1.0).contains(&emptying.fill_before.0));
            }
            let forecast = bin.forecast(&rules, input.at);
            if let Some(tenths) = forecast.distance_24h {
                let metres = [tenths.p10.0, tenths.p50.0, tenths.p90.0];
                prop_assert!(ordered(metres, 0.0..=rules.geometry.farthest()), "{metres:?}");
            }
            for tenths in [forecast.may_at, forecast.must_at].into_iter().flatten() {
                prop_assert!(input.at <= tenths.p10);
                prop_assert!(tenths.p10 <= tenths.p50 && tenths.p50 <= tenths.p90);
            }
            prop_assert!(bin.battery_days(&rules).is_none_or(|days| days >= 0.0));
            prop_assert!(bin.lost_at(&rules).is_none_or(|at| at > input.at));
        }
        let text = serde_json::to_string(&bin).unwrap();
        prop_assert!(text.len() < MOST, "{} bytes: {text}", text.len());
        prop_assert_eq!(serde_json::from_str::<Bin>(&text).unwrap(), bin);
    }
}

#[test]
fn a_year_fits_in_two_kilobytes_and_a_restart_changes_nothing() {
    let make = Make { shelf: Some((0.5, 0.5, 0..100)), ..Make::default() };
    let rules = make.rules();
    let history = make.history(400, 9);
    let (mut bin, mut restarted) = (Bin::new(&rules), Bin::new(&rules));
    let mut most = 0;
    for (input, _) in &history.heard {
        let text = serde_json::to_string(&restarted).unwrap();
        most = most.max(text.len());
        restarted = serde_json::from_str(&text).unwrap();
        assert_eq!(bin.offer(&rules, input), restarted.offer(&rules, input));
    }
    assert!((1000..MOST).contains(&most), "{most} bytes");
    assert!(std::mem::size_of::<Bin>() < MOST);
}
